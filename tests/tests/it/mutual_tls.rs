//! Devices that show a certificate to services which let in nobody without one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use device_agent::{
    Agent, AgentError, ClientFiles, Details, Level, NewDevice, Options, Security, TlsProblem,
    Trust, init, within,
};
use edge_ledger_tests::process::edge_ledger;
use serde_json::Value;

use crate::certificates::{Authority, Certified};
use crate::tls::up;
use crate::tls_site::TlsSite;

const PATIENCE: Duration = Duration::from_secs(20);
const KIOSK: &str = "spiffe://cluster.example/kiosk";

/// Services that let in one name, the authority of clients, and a folder for certificates.
struct Site {
    site: TlsSite,
    clients: Authority,
    folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let clients = Authority::new()?;
        let let_in = (clients.file(folder.path())?, vec![KIOSK.to_owned()]);
        Ok(Self {
            site: TlsSite::start(1, Some(let_in)).await?,
            clients,
            folder,
        })
    }

    fn shows(&self, certified: Certified) -> Security {
        Security {
            client: Some(ClientFiles {
                certificate: certified.certificate,
                key: certified.key,
            }),
            ..self.site.knows()
        }
    }

    /// Why a device is not let in, and what its person is told.
    async fn refusal(&self, security: &Security) -> anyhow::Result<(TlsProblem, Value)> {
        let new = self.site.new_device("nobody", security.clone());
        let problem = match init(&new, Trust::FirstUse).await {
            Err(AgentError::Tls { problem, .. }) => problem,
            other => anyhow::bail!("{other:?}"),
        };
        let mut command = Command::new(edge_ledger()?);
        command.arg("--home").arg(self.site.home("somebody"));
        let url = self.site.identity_url();
        command.args(["--json", "init", "--identity-url", &url]);
        command.arg("--tls-ca").arg(&self.site.ca);
        if let Some(client) = &security.client {
            command.arg("--tls-client-cert").arg(&client.certificate);
            command.arg("--tls-client-key").arg(&client.key);
        }
        let said = tokio::task::spawn_blocking(move || command.output()).await??;
        assert_eq!(said.status.code(), Some(1), "{said:?}");
        let mut said: Value = serde_json::from_slice(&said.stdout)?;
        Ok((problem, said["error"].take()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_with_a_certificate_is_let_in_and_keeps_it() -> anyhow::Result<()> {
    let Site {
        site,
        clients,
        folder,
    } = Site::start().await?;
    let certified = clients.client(folder.path(), KIOSK, true)?;
    let security = Security {
        client: Some(ClientFiles {
            certificate: certified.certificate,
            key: certified.key,
        }),
        ..site.knows()
    };
    let trust = Trust::Ledger(site.genesis.ledger_id());
    init(&site.new_device("phone", security), trust).await?;
    let kept = std::fs::metadata(site.home("phone").join("client.pem"))?;
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    drop(folder);
    let phone = Agent::open(&site.home("phone"), Options::default()).await?;
    phone.earn(5, Details::default()).await?;
    within(PATIENCE, phone.wait_acked(Level::Durable)).await?;
    let id = phone.status().device;
    phone.rename(id, "kiosk").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_is_told_why_and_what_to_type() -> anyhow::Result<()> {
    let site = Site::start().await?;
    let folder = |name: &str| -> anyhow::Result<std::path::PathBuf> {
        let folder = site.folder.path().join(name);
        std::fs::create_dir(&folder)?;
        Ok(folder)
    };
    let client = |authority: &Authority, at: &Path, uri, is_valid| {
        Ok::<_, anyhow::Error>(site.shows(authority.client(at, uri, is_valid)?))
    };
    let stranger = Authority::new()?;
    for (security, expected) in [
        (site.site.knows(), TlsProblem::ClientCertificate),
        (
            client(
                &site.clients,
                &folder("name")?,
                "spiffe://cluster.example/gate",
                true,
            )?,
            TlsProblem::ClientWrongName,
        ),
        (
            client(&site.clients, &folder("over")?, KIOSK, false)?,
            TlsProblem::ClientOutOfDate,
        ),
        (
            client(&stranger, &folder("stranger")?, KIOSK, true)?,
            TlsProblem::ClientUnknownAuthority,
        ),
    ] {
        let (problem, error) = site.refusal(&security).await?;
        assert_eq!(problem, expected);
        assert_eq!(error["reason"], "TLS_CLIENT_CERTIFICATE", "{error}");
        let next = error["next"].as_str().unwrap_or_default();
        assert!(
            next.contains("--tls-client-cert FILE --tls-client-key FILE"),
            "{error}"
        );
    }
    Ok(())
}

/// Both services in one process, as `up` serves them.
#[tokio::test]
async fn up_lets_in_whom_it_was_told_to() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let place = |name: &str| -> anyhow::Result<std::path::PathBuf> {
        let place = folder.path().join(name);
        std::fs::create_dir(&place)?;
        Ok(place)
    };
    let (authority, clients) = (Authority::new()?, Authority::new()?);
    let services = authority.certify(folder.path(), "127.0.0.1", true)?;
    let ca = authority.file(folder.path())?;
    let client_ca = clients.file(&place("clients")?)?;
    let options = [
        Path::new("--tls-cert"),
        &services.certificate,
        Path::new("--tls-key"),
        &services.key,
        Path::new("--tls-client-ca"),
        &client_ca,
        Path::new("--tls-client-name"),
        Path::new("spiffe://cluster.example/gate"),
        Path::new("--tls-client-name"),
        Path::new(KIOSK),
    ];
    let up = up(folder.path(), &options)?;
    let shows = |certified: Option<Certified>| Security {
        ca: Some(ca.clone()),
        client: certified.map(|certified| ClientFiles {
            certificate: certified.certificate,
            key: certified.key,
        }),
        ..Security::default()
    };
    let new = |name: &str, security| NewDevice {
        home: folder.path().join(name),
        identity_urls: up.identity_url.as_str().into(),
        ledger_urls: None,
        name: name.to_owned(),
        security,
    };
    let elsewhere = clients.client(&place("elsewhere")?, "spiffe://cluster.example/tv", true)?;
    for (security, expected) in [
        (shows(None), TlsProblem::ClientCertificate),
        (shows(Some(elsewhere)), TlsProblem::ClientWrongName),
    ] {
        match init(&new("nobody", security), Trust::FirstUse).await {
            Err(AgentError::Tls { problem, .. }) => assert_eq!(problem, expected),
            other => anyhow::bail!("{other:?}"),
        }
    }
    let kiosk = clients.client(&place("of-kiosk")?, KIOSK, true)?;
    let kiosk = new("kiosk", shows(Some(kiosk)));
    init(&kiosk, Trust::FirstUse).await?;
    let kiosk = Agent::open(&kiosk.home, Options::default()).await?;
    kiosk.earn(5, Details::default()).await?;
    Ok(within(PATIENCE, kiosk.wait_acked(Level::Durable)).await?)
}

#[test]
fn files_that_are_no_certificate_of_a_device_are_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    std::fs::create_dir(&one)?;
    std::fs::create_dir(&two)?;
    let authority = Authority::new()?;
    let one = authority.client(&one, KIOSK, true)?;
    let two = authority.client(&two, KIOSK, true)?;
    let run = |certificate: &Path, key: Option<&Path>| -> anyhow::Result<Value> {
        let mut command = Command::new(edge_ledger()?);
        command.arg("--home").arg(folder.path().join("home"));
        command.args(["--json", "init", "--identity-url", "https://127.0.0.1:1"]);
        command.arg("--tls-client-cert").arg(certificate);
        if let Some(key) = key {
            command.arg("--tls-client-key").arg(key);
        }
        let output = command.output()?;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let mut said: Value = serde_json::from_slice(&output.stdout)?;
        Ok(said["error"].take())
    };
    for (certificate, key, named) in [
        (&one.key, &one.key, &one.key),
        (&one.certificate, &one.certificate, &one.certificate),
        (&one.certificate, &two.key, &two.key),
    ] {
        let error = run(certificate, Some(key))?;
        assert_eq!(error["reason"], "TLS_FILE", "{error}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(&named.display().to_string()), "{error}");
    }
    assert_eq!(
        run(&one.certificate, None)?["reason"],
        "USAGE",
        "a key belongs to it"
    );
    Ok(())
}
