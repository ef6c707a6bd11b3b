//! The certificate that a service shows: to be looked at, and for nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::limits::CONNECT_WITHIN;

/// The one protocol that services offer.
const ALPN: &[u8] = b"h2";

/// The certificate, in DER, that a service shows at an address of `https`; none if it shows none in
/// time. It may be anybody's, also one that no device would take: the handshake is given up as soon
/// as it is seen, so nobody is trusted and nothing is said.
pub async fn certificate(url: &str) -> Option<Vec<u8>> {
    let uri: http::Uri = url.parse().ok()?;
    if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
        return None;
    }
    let host = uri.host()?.trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let schemes = provider.signature_verification_algorithms;
    let looks = Arc::new(Looks {
        schemes: schemes.supported_schemes(),
        seen: Mutex::default(),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(looks.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    let look = async {
        let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    };
    // It ends in no other way than with an error.
    let _ = timeout(CONNECT_WITHIN, look).await;
    let mut seen = looks.seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.take()
}

/// Looks at a certificate, and takes none.
#[derive(Debug)]
struct Looks {
    schemes: Vec<SignatureScheme>,
    seen: Mutex<Option<Vec<u8>>>,
}

fn enough() -> Error {
    Error::General("the certificate was seen".to_owned())
}

impl ServerCertVerifier for Looks {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(end_entity.to_vec());
        Err(enough())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(enough())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(enough())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
