//! Files that change under a service, and what its log says of them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;
use crate::limits::{COMPLAIN_LOOKS, RELOAD_EVERY};

/// 1 March 2026, midnight.
const NOW_MS: i64 = 1_772_323_200_000;

/// Writes a certificate that ends with a year, and its key.
fn write(folder: &Path, ends: i32) -> TlsFiles {
    let mut params = CertificateParams::new(["id.example".to_owned()]).unwrap();
    params.not_after = date_time_ymd(ends, 12, 31);
    let key = KeyPair::generate().unwrap();
    let files = TlsFiles {
        certificate: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        client_ca: None,
        client_names: Vec::new(),
    };
    fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

fn load(files: TlsFiles) -> Tls {
    Tls::load(files, Clock::manual(NOW_MS).0).unwrap()
}

#[test]
fn everything_that_is_wrong_with_the_files_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("absent"),
        key: folder.path().join("key.pem"),
        client_ca: Some(folder.path().join("ca.pem")),
        client_names: Vec::new(),
    };
    fs::write(&files.key, "no key").unwrap();
    fs::write(folder.path().join("ca.pem"), "no authority").unwrap();
    let errors = Tls::load(files, Clock::system()).err().unwrap();
    let named: Vec<TlsFile> = errors.iter().map(TlsError::file).collect();
    assert_eq!(
        named,
        [TlsFile::Certificate, TlsFile::Key, TlsFile::ClientCa],
        "{errors:?}"
    );
}

#[test]
fn one_that_is_over_is_loaded_and_told_but_replaces_none() {
    let folder = tempfile::tempdir().unwrap();
    let over = load(write(folder.path(), 2001));
    let said = over.out_of_date().unwrap();
    assert_eq!(said.file(), TlsFile::Certificate);
    let said = said.to_string();
    for word in ["2001-12-31", "2026-03-01", "cert.pem"] {
        assert!(said.contains(word), "{said}");
    }
    let good = load(write(folder.path(), 2027));
    assert!(good.out_of_date().is_none());
    write(folder.path(), 2002);
    let errors = good.reload().unwrap_err();
    assert!(matches!(&errors[..], [TlsError::OutOfDate { .. }]));
    assert_eq!(good.validity().end().to_string(), "2027-12-31T00:00:00Z");
    write(folder.path(), 2028);
    assert!(good.reload().unwrap());
    assert_eq!(good.validity().end().to_string(), "2028-12-31T00:00:00Z");
}

/// What was logged, a line each.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

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

#[tokio::test(start_paused = true)]
async fn a_bad_one_is_complained_of_until_it_is_mended() {
    let said = Said::default();
    let writer = said.clone();
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _here = tracing::subscriber::set_default(log);
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), 2027);
    let tls = load(files.clone());
    let stopping = CancellationToken::new();
    let mut following = std::pin::pin!(tls.follow(stopping.clone()));
    let mut pass = async |looks: u32| {
        let time = RELOAD_EVERY * looks + Duration::from_millis(1);
        let _ = tokio::time::timeout(time, following.as_mut()).await;
        said.lines()
    };
    assert_eq!(pass(3).await, Vec::<String>::new());
    fs::remove_file(&files.key).unwrap();
    let first = pass(2).await;
    assert_eq!(first.len(), 1, "{first:?}");
    for word in ["ERROR", "key.pem", "old_ends=2027-12-31"] {
        assert!(first[0].contains(word), "{first:?}");
    }
    // Not at every look, but again; and as the files are then.
    assert_eq!(pass(COMPLAIN_LOOKS - 5).await.len(), 1);
    fs::remove_file(&files.certificate).unwrap();
    let again = pass(5).await;
    assert_eq!(again.len(), 3, "{again:?}");
    assert!(again[1].contains("cert.pem"), "{again:?}");
    assert_eq!(pass(3 * COMPLAIN_LOOKS).await.len(), 9);
    write(folder.path(), 2028);
    let mended = pass(2 * COMPLAIN_LOOKS).await;
    assert_eq!(mended.len(), 10, "{mended:?}");
    assert!(mended[9].contains("ends=2028-12-31"), "{mended:?}");
}
