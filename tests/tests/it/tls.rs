//! Devices on services that speak TLS, and what people are told when they cannot.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use device_agent::testing::{Deployment, link};
use device_agent::{
    Agent, AgentError, Details, Level, NewDevice, Options, Security, TlsProblem, Trust,
};
use device_agent::{init, join, within};
use edge_ledger_chassis::{Clock, Tls, TlsFiles};
use edge_ledger_tests::Process;
use edge_ledger_tests::process::edge_ledger;
use serde_json::Value;

use crate::certificates::Authority;

const PATIENCE: Duration = Duration::from_secs(20);

/// A pair that runs as a process.
pub(crate) struct Up {
    _process: Process,
    pub(crate) identity_url: String,
    ledger_url: String,
}

pub(crate) fn up(folder: &Path, options: &[&Path]) -> anyhow::Result<Up> {
    let mut command = Command::new(edge_ledger()?);
    let any = "127.0.0.1:0";
    command.args(["up", "--json", "--identity-listen", any]);
    command.args(["--ledger-listen", any, "--data"]);
    command.arg(folder.join("data")).args(options);
    let mut process = Process::start(&mut command)?;
    let said: Value = serde_json::from_str(&process.line()?.unwrap_or_default())?;
    let url = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    Ok(Up {
        identity_url: url("identity_url"),
        ledger_url: url("ledger_url"),
        _process: process,
    })
}

/// A pair with a certificate for a host, and the authority's file.
fn up_with(folder: &Path, host: &str) -> anyhow::Result<(Up, PathBuf)> {
    let authority = Authority::new()?;
    let certified = authority.certify(folder, host, true)?;
    let options = [
        Path::new("--tls-cert"),
        &certified.certificate,
        Path::new("--tls-key"),
        &certified.key,
    ];
    Ok((up(folder, &options)?, authority.file(folder)?))
}

fn new_device(folder: &Path, name: &str, url: &str, tls_ca: Option<PathBuf>) -> NewDevice {
    NewDevice {
        home: folder.join(name),
        identity_urls: url.into(),
        ledger_urls: None,
        name: name.to_owned(),
        security: Security {
            ca: tls_ca,
            ..Security::default()
        },
    }
}

#[tokio::test]
async fn devices_sync_over_tls_and_remember_whom_to_trust() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (up, authority) = up_with(folder.path(), "127.0.0.1")?;
    for url in [&up.identity_url, &up.ledger_url] {
        assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    }
    let ca = Some(authority.clone());
    let phone = new_device(folder.path(), "phone", &up.identity_url, ca.clone());
    init(&phone, Trust::FirstUse).await?;
    // The home keeps a copy.
    let phone = Agent::open(&phone.home, Options::default()).await?;
    // The link brings the address.
    let laptop = new_device(folder.path(), "laptop", "http://127.0.0.1:1", ca);
    let (linked, joined) = link(&phone, false, async |invitation, show| {
        join(&laptop, &invitation, Trust::FirstUse, show).await
    })
    .await?;
    joined?;
    linked?;
    std::fs::remove_file(authority)?;
    let laptop = Agent::open(&laptop.home, Options::default()).await?;
    phone.earn(5, Details::default()).await?;
    within(PATIENCE, phone.wait_acked(Level::Durable)).await?;
    within(PATIENCE, laptop.sync()).await?;
    assert_eq!(laptop.balance().balance, 5);
    Ok(())
}

/// What an agent and the command say of a service that they cannot dial.
async fn refused(
    folder: &Path,
    url: &str,
    ca: Option<&Path>,
) -> anyhow::Result<(TlsProblem, Value)> {
    let new = new_device(folder, "nobody", url, ca.map(Path::to_owned));
    let problem = match init(&new, Trust::FirstUse).await {
        Err(AgentError::Tls { problem, .. }) => problem,
        other => anyhow::bail!("{other:?}"),
    };
    let mut command = Command::new(edge_ledger()?);
    command.arg("--home").arg(folder.join("somebody"));
    command.args(["--json", "init", "--identity-url", url]);
    if let Some(ca) = ca {
        command.arg("--tls-ca").arg(ca);
    }
    let output = command.output()?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let mut said: Value = serde_json::from_slice(&output.stdout)?;
    Ok((problem, said["error"].take()))
}

fn next(error: &Value) -> &str {
    error["next"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn who_cannot_be_trusted_is_told_apart() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (up, authority) = up_with(folder.path(), "127.0.0.1")?;
    let other = tempfile::tempdir()?;
    let stranger = Authority::new()?.file(other.path())?;
    let (problem, error) = refused(folder.path(), &up.identity_url, Some(&stranger)).await?;
    assert_eq!(problem, TlsProblem::UnknownAuthority);
    assert_eq!(error["reason"], "TLS_UNKNOWN_AUTHORITY");
    assert!(next(&error).contains("--tls-ca"), "{error}");

    let by_name = up.identity_url.replace("127.0.0.1", "localhost");
    let (problem, error) = refused(folder.path(), &by_name, Some(&authority)).await?;
    assert_eq!(problem, TlsProblem::WrongName);
    assert_eq!(error["reason"], "TLS_WRONG_NAME");
    assert!(next(&error).contains("--identity-url https://"), "{error}");

    let plainly = up.identity_url.replace("https", "http");
    let (problem, error) = refused(folder.path(), &plainly, None).await?;
    assert_eq!(problem, TlsProblem::TlsService);
    assert_eq!(error["reason"], "TLS_NEEDED");
    assert!(next(&error).contains(&up.identity_url), "{error}");
    Ok(())
}

/// An identity service whose certificate is over, and the authority's file.
async fn out_of_date(folder: &Path) -> anyhow::Result<(identity_service::Server, PathBuf)> {
    let authority = Authority::new()?;
    let certified = authority.certify(folder, "127.0.0.1", false)?;
    let files = TlsFiles {
        certificate: certified.certificate,
        key: certified.key,
        client_ca: None,
        client_names: Vec::new(),
    };
    let deployment = Deployment::new()?;
    let service = identity_service::Server::bind(identity_service::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        audiences: Vec::new(),
        ledger_urls: Vec::new(),
        identity_urls: Vec::new(),
        store: Arc::new(deployment.store.clone()),
        genesis: deployment.genesis.clone(),
        signer: deployment.signer.clone(),
        sealing: [4; 32].into(),
        clock: Clock::system(),
        limits: identity_service::Limits::default(),
        tls: Some(
            Tls::load(files, Clock::system()).map_err(|errors| anyhow::anyhow!("{errors:?}"))?,
        ),
        ice: identity_service::IceConfig::default(),
        reflection: false,
    });
    Ok((service.await?, authority.file(folder)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_over_is_told_to_be() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // No service starts with such a certificate, but one that runs may come to have it.
    let (service, authority) = out_of_date(folder.path()).await?;
    let url = format!("https://{}", service.local_addr());
    let (problem, error) = refused(folder.path(), &url, Some(&authority)).await?;
    assert_eq!(problem, TlsProblem::OutOfDate);
    assert_eq!(error["reason"], "TLS_OUT_OF_DATE");
    assert!(next(&error).contains("clock"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_service_without_tls_is_told_to_be() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let up = up(folder.path(), &[])?;
    let authority = Authority::new()?.file(folder.path())?;
    let secretly = up.identity_url.replace("http", "https");
    let (problem, error) = refused(folder.path(), &secretly, Some(&authority)).await?;
    assert_eq!(problem, TlsProblem::PlainService);
    assert_eq!(error["reason"], "TLS_NOT_SPOKEN");
    assert!(next(&error).contains(&up.identity_url), "{error}");
    Ok(())
}

#[test]
fn files_that_are_no_certificates_are_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "")?;
    let run = |args: &[&str]| -> anyhow::Result<Value> {
        let mut command = Command::new(edge_ledger()?);
        command.arg("--home").arg(folder.path().join("home"));
        command.arg("--json").args(args);
        let mut said: Value = serde_json::from_slice(&command.output()?.stdout)?;
        Ok(said["error"].take())
    };
    let path = empty.to_string_lossy();
    let data = folder.path().join("data");
    let data = data.to_string_lossy();
    let served = run(&[
        "up",
        "--data",
        &data,
        "--tls-cert",
        &path,
        "--tls-key",
        &path,
    ])?;
    assert_eq!(served["reason"], "TLS_FILE", "{served}");
    assert!(next(&served).contains("--tls-cert"), "{served}");
    let dialled = run(&["init", "--tls-ca", &path])?;
    assert_eq!(dialled["reason"], "TLS_FILE", "{dialled}");
    assert!(next(&dialled).contains("--tls-ca"), "{dialled}");
    assert_eq!(
        run(&["up", "--tls-cert", &path])?["reason"],
        "USAGE",
        "a key belongs to it"
    );
    Ok(())
}

#[tokio::test]
async fn plaintext_beyond_this_machine_is_dialled_only_if_that_is_accepted() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let up = up(folder.path(), &[])?;
    // The same service, dialled as if it were another machine's.
    let url = up.identity_url.replace("127.0.0.1", "0.0.0.0");
    let (problem, error) = refused(folder.path(), &url, None).await?;
    assert_eq!(problem, TlsProblem::Plaintext);
    assert_eq!(error["reason"], "PLAINTEXT");
    for word in [
        url.replace("http", "https"),
        "--accept-plaintext".to_owned(),
    ] {
        assert!(next(&error).contains(&word), "{error}");
    }
    // It gets as far as the service, which does not answer to that name.
    let mut new = new_device(folder.path(), "phone", &url, None);
    new.security.accept_plaintext = true;
    let answered = init(&new, Trust::FirstUse).await;
    assert!(
        !matches!(answered, Err(AgentError::Tls { .. })),
        "{answered:?}"
    );
    // From then on the home knows.
    new.security.accept_plaintext = false;
    let answered = init(&new, Trust::FirstUse).await;
    assert!(
        !matches!(answered, Err(AgentError::Tls { .. })),
        "{answered:?}"
    );
    Ok(())
}
