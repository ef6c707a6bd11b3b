//! Mutual TLS: who is let in, and what is said of who is not, on both ends.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use edge_ledger_chassis::{Limits, Serving, Tls, TlsFiles};
use tonic::transport::{ClientTlsConfig, Identity};

use super::certificates::{Authority, write};
use super::tls::{call, load, serve, trusting};

const KIOSK: &str = "spiffe://cluster.example/ns/shop/sa/kiosk";

/// A service that lets in clients of an authority, with some names.
struct Site {
    folder: tempfile::TempDir,
    authority: Authority,
    clients: Authority,
    tls: Tls,
    serving: Serving,
}

impl Site {
    async fn start(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (authority, clients) = (Authority::new(), Authority::new());
        let files = TlsFiles {
            client_ca: Some(client_ca(folder.path(), &clients)),
            client_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..authority.files(folder.path())
        };
        let tls = load(files);
        Self {
            serving: serve(&tls, Limits::default()).await,
            folder,
            authority,
            clients,
            tls,
        }
    }

    fn with(&self, (certificate, key): (String, String)) -> ClientTlsConfig {
        trusting(&self.authority).identity(Identity::from_pem(certificate, key))
    }

    async fn is_let_in(&self, client: (String, String)) -> bool {
        call(&self.serving, self.with(client)).await.is_ok()
    }

    /// What a client that is refused hears.
    async fn refusal(&self, config: ClientTlsConfig) -> String {
        format!("{:?}", call(&self.serving, config).await.unwrap_err())
    }
}

fn client_ca(folder: &Path, clients: &Authority) -> std::path::PathBuf {
    write(folder, "clients.pem", &clients.pem)
}

/// What was logged, a line each.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Said {
    /// Takes the refusals that were logged.
    fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.contains("certificate was refused"));
        lines.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn who_is_refused_hears_why_and_so_does_the_log() {
    let said = Said::default();
    let writer = said.clone();
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _here = tracing::subscriber::set_default(log);
    let site = Site::start(&["spiffe://cluster.example/other", KIOSK]).await;
    assert!(site.is_let_in(site.clients.client(KIOSK, true)).await);
    assert_eq!(said.take(), Vec::<String>::new());
    let stranger = Authority::new();
    for (config, alert, line) in [
        (
            trusting(&site.authority),
            "CertificateRequired",
            "it showed none",
        ),
        (
            site.with(
                site.clients
                    .client("spiffe://cluster.example/ns/shop/sa/kios", true),
            ),
            "AccessDenied",
            "none of the names in tls.client_names",
        ),
        (
            // What is no URI is none of the names, whatever it says.
            site.with(site.clients.certify("cluster.example")),
            "AccessDenied",
            "none of the names in tls.client_names",
        ),
        (
            site.with(site.clients.client(KIOSK, false)),
            "CertificateExpired",
            "expired",
        ),
        (
            site.with(stranger.client(KIOSK, true)),
            "DecryptError",
            "none of the authorities in tls.client_ca_file",
        ),
    ] {
        let heard = site.refusal(config).await;
        assert!(heard.contains(alert), "{alert} is not in {heard}");
        let lines = said.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        for word in ["WARN", "peer=127.0.0.1:", line] {
            assert!(lines[0].contains(word), "{word} is not in {lines:?}");
        }
    }
}

#[tokio::test]
async fn without_names_every_certificate_of_the_authority_is_let_in() {
    let site = Site::start(&[]).await;
    assert!(site.is_let_in(site.clients.certify("gateway")).await);
    assert!(site.is_let_in(site.clients.client(KIOSK, true)).await);
    assert!(!site.is_let_in(site.authority.client(KIOSK, true)).await);
}

#[tokio::test]
async fn another_authority_of_clients_is_gone_over_to_and_names_stay() {
    let site = Site::start(&[KIOSK]).await;
    let after = Authority::new();
    let before = || site.clients.client(KIOSK, true);
    assert!(site.is_let_in(before()).await);
    assert!(!site.is_let_in(after.client(KIOSK, true)).await);
    client_ca(site.folder.path(), &after);
    assert!(site.tls.reload().unwrap());
    assert!(site.is_let_in(after.client(KIOSK, true)).await);
    assert!(!site.is_let_in(before()).await);
    assert!(
        !site
            .is_let_in(after.client("spiffe://cluster.example/x", true))
            .await
    );
    // A file that holds none lets nobody else in, and nobody out.
    write(site.folder.path(), "clients.pem", "");
    assert!(site.tls.reload().is_err());
    assert!(site.is_let_in(after.client(KIOSK, true)).await);
}
