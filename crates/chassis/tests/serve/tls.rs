//! TLS: who gets in, what is refused, and certificates that change.

use std::fs;
use std::time::Duration;

use edge_ledger_chassis::{Clock, Limits, Serving, Tls, TlsError, TlsFiles};
use edge_ledger_proto::identity::GetDeploymentRequest;
use edge_ledger_proto::identity::identity_service_client::IdentityServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::certificates::{Authority, write};
use super::{PATIENCE, stub};

pub(super) async fn serve(tls: &Tls, limits: Limits) -> Serving {
    let listener = stub::bind().await;
    listener.serve(stub::routes(), stub::methods(), limits, Some(tls.clone()))
}

pub(super) fn load(files: TlsFiles) -> Tls {
    Tls::load(files, Clock::system()).unwrap()
}

/// The one thing that is wrong.
fn only<T>(result: Result<T, Vec<TlsError>>) -> TlsError {
    let mut errors = result.err().unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

pub(super) fn trusting(authority: &Authority) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem))
}

/// Makes one call over a new connection; says what the handler heard.
pub(super) async fn call(serving: &Serving, config: ClientTlsConfig) -> Result<String, Status> {
    let endpoint = Endpoint::from_shared(format!("https://{}", serving.local_addr())).unwrap();
    let endpoint = endpoint.tls_config(config).unwrap();
    let channel = endpoint.connect().await;
    let channel = channel.map_err(|error| Status::unavailable(format!("{error:?}")))?;
    let mut client = IdentityServiceClient::new(channel);
    let response = client.get_deployment(GetDeploymentRequest {}).await?;
    Ok(response.into_inner().ledger_urls.concat())
}

#[tokio::test]
async fn a_call_over_tls_names_the_authority_that_was_dialled() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let tls = load(authority.files(folder.path()));
    let serving = serve(&tls, Limits::default()).await;
    let heard = call(&serving, trusting(&authority)).await.unwrap();
    let expected = format!("127.0.0.1 dialled {}", serving.local_addr());
    assert_eq!(heard, expected);
    let stranger = call(&serving, trusting(&Authority::new())).await;
    assert!(
        stranger
            .unwrap_err()
            .message()
            .contains("InvalidCertificate"),
        "only who is trusted is talked to"
    );
    assert!(serving.shutdown(PATIENCE).await);
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (Authority::new(), Authority::new());
    let files = before.files(folder.path());
    let tls = load(files.clone());
    let serving = serve(&tls, Limits::default()).await;
    assert!(!tls.reload().unwrap(), "nothing changed");
    for bad in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
        fs::write(&files.certificate, bad).unwrap();
        assert!(tls.reload().is_err());
        assert!(!tls.reload().unwrap(), "it is complained of once");
        call(&serving, trusting(&before)).await.unwrap();
    }
    // A certificate that was written, and its key not yet.
    fs::write(&files.certificate, after.certify("127.0.0.1").0).unwrap();
    assert!(matches!(only(tls.reload()), TlsError::Mismatch { .. }));
    call(&serving, trusting(&before)).await.unwrap();
    fs::remove_file(&files.key).unwrap();
    assert!(matches!(only(tls.reload()), TlsError::Unreadable { .. }));
    after.files(folder.path());
    assert!(tls.reload().unwrap());
    call(&serving, trusting(&after)).await.unwrap();
    call(&serving, trusting(&before)).await.unwrap_err();
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let good = authority.files(folder.path());
    let mut absent = good.clone();
    absent.key = folder.path().join("absent");
    let mut keyless = good.clone();
    keyless.key.clone_from(&good.certificate);
    let mut foreign = good.clone();
    foreign.key = write(folder.path(), "other.pem", &authority.certify("x").1);
    let mut broken = good.clone();
    broken.client_ca = Some(write(
        folder.path(),
        "ca.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ));
    let refused = |files| only(Tls::load(files, Clock::system()));
    assert!(matches!(refused(absent), TlsError::Unreadable { .. }));
    assert!(matches!(refused(keyless), TlsError::Missing { .. }));
    assert!(matches!(refused(foreign), TlsError::Mismatch { .. }));
    let error = refused(broken);
    assert!(matches!(error, TlsError::Unusable { .. }));
    assert!(error.to_string().contains("ca.pem") && !error.what_to_do().is_empty());
    load(good);
}

#[tokio::test]
async fn a_handshake_that_stalls_is_closed_in_time_and_does_not_use_up_the_grace() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let tls = load(authority.files(folder.path()));
    let stalled = [&b""[..], &[22, 3, 1, 0, 200, 1]];
    let limits = Limits {
        first_request: Duration::from_millis(100),
        ..Limits::default()
    };
    let serving = serve(&tls, limits).await;
    for said in stalled {
        let mut tcp = TcpStream::connect(serving.local_addr()).await.unwrap();
        tcp.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        let closed = timeout(PATIENCE, tcp.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "still open after {said:?}");
    }
    let limits = Limits {
        first_request: PATIENCE * 2,
        ..Limits::default()
    };
    let serving = serve(&tls, limits).await;
    let mut connections = Vec::new();
    for said in stalled {
        let mut tcp = TcpStream::connect(serving.local_addr()).await.unwrap();
        tcp.write_all(said).await.unwrap();
        connections.push(tcp);
    }
    // Served only after those were accepted.
    call(&serving, trusting(&authority)).await.unwrap();
    let ended = timeout(PATIENCE, serving.shutdown(PATIENCE * 2)).await;
    assert_eq!(ended, Ok(true));
}
