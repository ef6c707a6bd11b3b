//! What the files hold, and what TLS is made of it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{Error, RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::clients::Named;
use super::{TlsError, TlsFile, TlsFiles, Validity};

/// The one protocol that is offered.
const ALPN: &[u8] = b"h2";

/// Tells whether files changed, and nothing of the key that they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

/// What TLS is made of.
pub(super) struct Made {
    pub(super) config: Arc<ServerConfig>,
    /// That of the service's own certificate.
    pub(super) validity: Validity,
}

type Verifier = Arc<dyn ClientCertVerifier>;

/// The files' contents of one moment, each as it was read.
pub(super) struct Contents {
    certificate: Result<Vec<u8>, TlsError>,
    key: Result<Zeroizing<Vec<u8>>, TlsError>,
    client_ca: Option<Result<Vec<u8>, TlsError>>,
}

impl Contents {
    pub(super) fn read(files: &TlsFiles) -> Self {
        let client_ca = files.client_ca.as_deref();
        Self {
            certificate: read(TlsFile::Certificate, &files.certificate),
            key: read(TlsFile::Key, &files.key).map(Zeroizing::new),
            client_ca: client_ca.map(|path| read(TlsFile::ClientCa, path)),
        }
    }

    /// None while a file cannot be read.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        let mut hash = Sha256::new();
        let nothing = Vec::new();
        let client_ca = self.client_ca.as_ref().map_or(Ok(&nothing), Result::as_ref);
        let (certificate, key) = (self.certificate.as_ref().ok()?, self.key.as_ref().ok()?);
        for part in [certificate, &**key, client_ca.ok()?] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Some(Fingerprint(hash.finalize().into()))
    }

    /// Makes TLS of them, or says everything that is wrong.
    pub(super) fn make(self, files: &TlsFiles) -> Result<Made, Vec<TlsError>> {
        let mut errors = Vec::new();
        let chain = self
            .certificate
            .and_then(|pem| certificates(TlsFile::Certificate, &files.certificate, &pem));
        let chain = keep(chain, &mut errors);
        let key = self.key.and_then(|pem| private_key(&files.key, &pem));
        let key = keep(key, &mut errors);
        let verifier = match (&files.client_ca, self.client_ca) {
            (Some(path), Some(pem)) => {
                let made = pem.and_then(|pem| verifier(path, &pem, &files.client_names));
                keep(made, &mut errors).map(Some)
            }
            _ => Some(None),
        };
        let (Some(chain), Some(key), Some(verifier)) = (chain, key, verifier) else {
            return Err(errors);
        };
        make(files, chain, key, verifier).map_err(|error| vec![error])
    }
}

/// Puts what is wrong to the rest.
fn keep<T>(read: Result<T, TlsError>, errors: &mut Vec<TlsError>) -> Option<T> {
    read.map_err(|error| errors.push(error)).ok()
}

fn make(
    files: &TlsFiles,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    verifier: Option<Verifier>,
) -> Result<Made, TlsError> {
    let of_certificate = unusable(TlsFile::Certificate, &files.certificate);
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| of_certificate(error.to_string()))?;
    let asks = verifier.is_some();
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let validity = chain.first().and_then(|own| Validity::of(own));
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| refused(files, &error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    if asks {
        // A session that is taken up again is not asked for its certificate again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    let unclear = || of_certificate("it does not say when it holds".to_owned());
    Ok(Made {
        config: Arc::new(config),
        validity: validity.ok_or_else(unclear)?,
    })
}

/// Lets in who has a certificate of an authority, with one of the names, if there are any.
fn verifier(path: &Path, pem: &[u8], names: &[String]) -> Result<Verifier, TlsError> {
    let unusable = unusable(TlsFile::ClientCa, path);
    let mut roots = RootCertStore::empty();
    for authority in certificates(TlsFile::ClientCa, path, pem)? {
        let added = roots.add(authority);
        added.map_err(|error| unusable(error.to_string()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let inner = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    if names.is_empty() {
        return Ok(inner);
    }
    let names = names.to_vec();
    Ok(Arc::new(Named { inner, names }))
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        if matches!(error, PemError::NoItemsFound) {
            missing(TlsFile::Key, path, "private key")
        } else {
            // What it says may quote the file.
            unusable(TlsFile::Key, path)("its PEM is broken".to_owned())
        }
    })
}

fn refused(files: &TlsFiles, error: &Error) -> TlsError {
    if let Error::InconsistentKeys(_) = error {
        TlsError::Mismatch {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        }
    } else if let Error::InvalidCertificate(why) = error {
        unusable(TlsFile::Certificate, &files.certificate)(format!("{why:?}"))
    } else {
        unusable(TlsFile::Key, &files.key)(error.to_string())
    }
}

fn read(file: TlsFile, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|why| TlsError::Unreadable {
        file,
        path: path.to_owned(),
        why,
    })
}

fn certificates(
    file: TlsFile,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let sections: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates =
        sections.map_err(|_| unusable(file, path)("its PEM is broken".to_owned()))?;
    if certificates.is_empty() {
        return Err(missing(file, path, "certificate"));
    }
    Ok(certificates)
}

fn missing(file: TlsFile, path: &Path, what: &'static str) -> TlsError {
    TlsError::Missing {
        file,
        path: path.to_owned(),
        what,
    }
}

fn unusable(file: TlsFile, path: &Path) -> impl Fn(String) -> TlsError {
    let path = path.to_owned();
    move |why| TlsError::Unusable {
        file,
        path: path.clone(),
        why,
    }
}
