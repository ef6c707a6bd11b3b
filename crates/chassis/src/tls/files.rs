//! What the files hold, and what TLS is made of it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{Error, RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{TlsError, TlsFiles};

/// The one protocol that is offered.
const ALPN: &[u8] = b"h2";

/// Tells whether files changed, and nothing of the key that they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

/// The files' contents of one moment.
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

impl Contents {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: Zeroizing::new(read(&files.key)?),
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        let client_ca = self.client_ca.as_deref().unwrap_or_default();
        for part in [&self.certificate, &*self.key, client_ca] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Fingerprint(hash.finalize().into())
    }

    pub(super) fn server_config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable(&files.certificate))?;
        let builder = match (&files.client_ca, &self.client_ca) {
            (Some(path), Some(pem)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path, pem)? {
                    roots.add(authority).map_err(unusable(path))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                    .build()
                    .map_err(unusable(path))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let chain = certificates(&files.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            if matches!(error, PemError::NoItemsFound) {
                missing(&files.key, "private key")
            } else {
                // What it says may quote the file.
                unusable(&files.key)("its PEM is broken")
            }
        })?;
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| refused(files, &error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

fn refused(files: &TlsFiles, error: &Error) -> TlsError {
    if let Error::InconsistentKeys(_) = error {
        TlsError::Mismatch {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        }
    } else if let Error::InvalidCertificate(why) = error {
        unusable(&files.certificate)(format!("{why:?}"))
    } else {
        unusable(&files.key)(error)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|why| TlsError::Unreadable {
        path: path.to_owned(),
        why,
    })
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let sections: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = sections.map_err(|_| unusable(path)("its PEM is broken"))?;
    if certificates.is_empty() {
        return Err(missing(path, "certificate"));
    }
    Ok(certificates)
}

fn missing(path: &Path, what: &'static str) -> TlsError {
    TlsError::Missing {
        path: path.to_owned(),
        what,
    }
}

fn unusable<E: ToString>(path: &Path) -> impl Fn(E) -> TlsError {
    let path = path.to_owned();
    move |why| TlsError::Unusable {
        path: path.clone(),
        why: why.to_string(),
    }
}
