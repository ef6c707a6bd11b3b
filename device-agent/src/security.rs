//! How a device's connections are secured: whom it believes that a service is who it says, what it
//! shows of itself, and whether it goes without.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use zeroize::Zeroizing;

use crate::addresses::Addresses;
use crate::error::HomeError;
use crate::tls::{self, TlsProblem, root_cause};

/// How connections to the services are secured. What is given is kept in the home folder and holds
/// from then on, also where nothing is given later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// PEM file of an authority that signed the services' certificates, where the system does not
    /// know it.
    pub ca: Option<PathBuf>,
    /// What the device shows to services that let in only who has a certificate.
    pub client: Option<ClientFiles>,
    /// Dials services beyond this machine without TLS, where their address begins with `http://`:
    /// whoever is on the way can read and disturb what is said, and learns who pays when.
    pub accept_plaintext: bool,
}

/// A certificate of the device itself, for TLS, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The certificate, followed by those between it and its authority.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

/// What was read of it. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Secured {
    pub(crate) authority: Option<Arc<[u8]>>,
    /// Certificate and key, one after the other.
    pub(crate) client: Option<Arc<Zeroizing<Vec<u8>>>>,
    pub(crate) accepts_plaintext: bool,
}

impl Secured {
    /// Reads what is given.
    ///
    /// # Errors
    /// [`HomeError`] when a file cannot be read, or does not hold what it should.
    pub(crate) fn read(given: &Security) -> Result<Self, HomeError> {
        let client = given.client.as_ref();
        Ok(Self {
            authority: given.ca.as_deref().map(authority).transpose()?,
            client: client
                .map(|files| client_pem(&files.certificate, &files.key))
                .transpose()?,
            accepts_plaintext: given.accept_plaintext,
        })
    }

    /// Lets an address speak TLS, if it is one of `https`.
    ///
    /// # Errors
    /// [`TlsProblem`].
    pub(crate) fn apply(&self, endpoint: Endpoint) -> Result<Endpoint, TlsProblem> {
        let uri = endpoint.uri();
        if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
            return if self.accepts_plaintext || uri.host().is_some_and(is_loopback_host) {
                Ok(endpoint)
            } else {
                Err(TlsProblem::Plaintext)
            };
        }
        let mut config = ClientTlsConfig::new();
        if let Some(own) = &self.authority {
            config = config.ca_certificate(Certificate::from_pem(own));
        }
        if let Some(pem) = &self.client {
            config = config.identity(Identity::from_pem(&***pem, &***pem));
        }
        let with_system = endpoint
            .clone()
            .tls_config(config.clone().with_native_roots());
        match with_system {
            Ok(endpoint) => Ok(endpoint),
            // A system without authorities is no hindrance for who brings one.
            Err(_) if self.authority.is_some() => endpoint
                .tls_config(config)
                .map_err(|error| TlsProblem::Other(root_cause(&error))),
            Err(_) => Err(TlsProblem::NoAuthorities),
        }
    }

    /// What a service of `https` has against this device, if a connection to it failed for that.
    pub(crate) async fn refusal_at(&self, url: &str) -> Option<TlsProblem> {
        if !url.starts_with("https:") {
            return None;
        }
        // Rarely needed, and too large to be part of every call.
        Box::pin(tls::refusal_at(url, self.client_config()?)).await
    }

    /// What the device's connections are made with, once more for a look of its own.
    fn client_config(&self) -> Option<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(pem) = &self.authority {
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?
            .with_root_certificates(roots);
        let mut config = match &self.client {
            Some(pem) => {
                let chain = CertificateDer::pem_slice_iter(pem).flatten().collect();
                let key = PrivateKeyDer::from_pem_slice(pem).ok()?;
                builder.with_client_auth_cert(chain, key).ok()?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Some(config)
    }

    /// Says in the log that others can read along, if they can.
    pub(crate) fn warn_of(&self, urls: &Addresses) {
        let in_the_open = |url: &&str| url.starts_with("http:") && !is_loopback(url);
        for url in urls.iter().filter(in_the_open) {
            if self.accepts_plaintext {
                tracing::warn!(url, "no TLS: who is on the way can read and disturb it");
            }
        }
    }
}

/// Whether an address stays on this machine.
pub fn is_loopback(url: &str) -> bool {
    let uri: Option<http::Uri> = url.parse().ok();
    uri.as_ref()
        .and_then(http::Uri::host)
        .is_some_and(is_loopback_host)
}

fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().map(|ip| ip.to_canonical());
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

/// The PEM of an authority.
pub(crate) fn authority(path: &Path) -> Result<Arc<[u8]>, HomeError> {
    let pem = read(path)?;
    let mut certificates = CertificateDer::pem_slice_iter(&pem);
    if !matches!(certificates.next(), Some(Ok(_))) || !certificates.all(|c| c.is_ok()) {
        return Err(HomeError::Authority(path.display().to_string()));
    }
    Ok(pem.as_slice().into())
}

/// The PEM of a certificate and its key, which may stand in one file.
pub(crate) fn client_pem(
    certificate: &Path,
    key: &Path,
) -> Result<Arc<Zeroizing<Vec<u8>>>, HomeError> {
    let unusable = |path: &Path, why| HomeError::ClientCertificate {
        path: path.display().to_string(),
        why,
    };
    let mut pem = read(certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| unusable(certificate, "there is no certificate in it"))?;
    let of_key = read(key)?;
    let secret = PrivateKeyDer::from_pem_slice(&of_key)
        .map_err(|_| unusable(key, "there is no unencrypted key in it"))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = builder.with_root_certificates(RootCertStore::empty());
            builder.with_client_auth_cert(chain, secret)
        })
        .map_err(|_| unusable(key, "it is not the key of the certificate"))?;
    if certificate != key {
        pem.push(b'\n');
        pem.extend_from_slice(&of_key);
    }
    Ok(Arc::new(pem))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, HomeError> {
    let pem = std::fs::read(path).map_err(|why| HomeError::Io {
        path: path.display().to_string(),
        why,
    });
    pem.map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for url in [
            "http://127.0.0.1:7410",
            "http://127.1.2.3",
            "http://localhost:7410/",
            "http://LOCALHOST",
            "http://[::1]:7410",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://10.0.0.1:7410",
            "http://0.0.0.0:7410",
            "http://localhost.example:7410",
            "http://127.0.0.1.example",
            "http://127.0.0.1:80@example.org",
            "http://localhost@example.org",
            "http://[::2]:7410",
            "http://example.org/127.0.0.1",
            "",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn plaintext_beyond_this_machine_is_accepted_by_name_alone() {
        let apply = |url: &'static str, accepts_plaintext| {
            let secured = Secured {
                accepts_plaintext,
                ..Secured::default()
            };
            secured.apply(Endpoint::from_static(url)).map(drop)
        };
        assert_eq!(apply("http://127.0.0.1:7", false), Ok(()));
        assert_eq!(
            apply("http://ledger.example", false),
            Err(TlsProblem::Plaintext)
        );
        assert_eq!(apply("http://ledger.example", true), Ok(()));
    }
}
