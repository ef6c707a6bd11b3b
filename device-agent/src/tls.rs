//! Whom this device believes that a service is who it says: the authorities of the system, and one
//! of its own.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::error::HomeError;
use crate::limits::PROBE_WITHIN;

/// Why no TLS connection came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsProblem {
    /// The certificate was signed by nobody whom this device knows.
    UnknownAuthority,
    /// The certificate's time is over, or has not come: by this device's clock.
    OutOfDate,
    /// The certificate is of another name than was dialled.
    WrongName,
    /// The service speaks no TLS there.
    PlainService,
    /// The service speaks TLS, and was dialled without, as `http://`.
    TlsService,
    /// The service wants a certificate of this device.
    ClientCertificate,
    /// This system has no authorities, and none was given.
    NoAuthorities,
    /// Anything else.
    Other(String),
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownAuthority => "its certificate is of an authority that is not known here",
            Self::OutOfDate => "its certificate is expired, or not valid yet, by this clock",
            Self::WrongName => "its certificate is for another name than was dialled",
            Self::PlainService => "it does not speak TLS there",
            Self::TlsService => "it speaks TLS there, and was dialled without",
            Self::ClientCertificate => "it lets in only who has a certificate",
            Self::NoAuthorities => "this system has no authorities to check its certificate with",
            Self::Other(why) => why,
        })
    }
}

/// The authorities that a device knows. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Authorities {
    own: Option<Arc<[u8]>>,
}

impl Authorities {
    /// Those of the system, and one from a PEM file.
    ///
    /// # Errors
    /// [`HomeError`] when the file cannot be read, or has no certificate.
    pub(crate) fn read(path: &Path) -> Result<Self, HomeError> {
        let pem = std::fs::read(path).map_err(|why| HomeError::Io {
            path: path.display().to_string(),
            why,
        })?;
        let mut certificates = CertificateDer::pem_slice_iter(&pem);
        if !matches!(certificates.next(), Some(Ok(_))) || !certificates.all(|c| c.is_ok()) {
            return Err(HomeError::Authority(path.display().to_string()));
        }
        Ok(Self {
            own: Some(pem.into()),
        })
    }

    /// The own one's PEM.
    pub(crate) fn own(&self) -> Option<&[u8]> {
        self.own.as_deref()
    }

    /// Lets an address speak TLS, if it is one of `https`.
    ///
    /// # Errors
    /// [`TlsProblem`].
    pub(crate) fn apply(&self, endpoint: Endpoint) -> Result<Endpoint, TlsProblem> {
        if endpoint.uri().scheme() != Some(&http::uri::Scheme::HTTPS) {
            return Ok(endpoint);
        }
        let mut config = ClientTlsConfig::new();
        if let Some(own) = &self.own {
            config = config.ca_certificate(Certificate::from_pem(own));
        }
        let with_system = endpoint
            .clone()
            .tls_config(config.clone().with_native_roots());
        match with_system {
            Ok(endpoint) => Ok(endpoint),
            // A system without authorities is no hindrance for who brings one.
            Err(_) if self.own.is_some() => endpoint
                .tls_config(config)
                .map_err(|error| TlsProblem::Other(root_cause(&error))),
            Err(_) => Err(TlsProblem::NoAuthorities),
        }
    }
}

/// What a TLS service answers to who speaks something else: a record that holds an alert.
const ALERT: u8 = 21;
/// What no protocol begins with.
const NONSENSE: [u8; 5] = [0; 5];

/// Whether a service that was dialled without TLS speaks it. The failed call does not tell: which
/// of its errors comes first is chance.
pub(crate) async fn is_spoken_at(url: &str) -> bool {
    let uri: Option<http::Uri> = url.parse().ok();
    let Some((host, port)) = uri.as_ref().and_then(plain_address) else {
        return false;
    };
    let ask = async {
        let mut tcp = TcpStream::connect((host, port)).await?;
        tcp.write_all(&NONSENSE).await?;
        tcp.read_u8().await
    };
    matches!(timeout(PROBE_WITHIN, ask).await, Ok(Ok(ALERT)))
}

fn plain_address(uri: &http::Uri) -> Option<(&str, u16)> {
    let host = uri.host()?.trim_matches(['[', ']']);
    let is_plain = uri.scheme() == Some(&http::uri::Scheme::HTTP);
    is_plain.then(|| (host, uri.port_u16().unwrap_or(80)))
}

/// What a failure of a connection over TLS has to do with that, if it has.
pub(crate) fn problem(url: &str, error: &(dyn Error + 'static)) -> Option<TlsProblem> {
    if !url.starts_with("https:") {
        return None;
    }
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(of_rustls(found));
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            if let Some(found) = io.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
                return Some(of_rustls(found));
            }
            if io.kind() == io::ErrorKind::UnexpectedEof {
                return Some(TlsProblem::PlainService);
            }
        }
        cause = error.source();
    }
    None
}

fn of_rustls(error: &rustls::Error) -> TlsProblem {
    use rustls::Error as Tls;
    if let Tls::InvalidCertificate(certificate) = error {
        return of_certificate(certificate);
    }
    if let Tls::InvalidMessage(InvalidMessage::InvalidContentType) = error {
        return TlsProblem::PlainService;
    }
    if let Tls::AlertReceived(AlertDescription::CertificateRequired) = error {
        return TlsProblem::ClientCertificate;
    }
    TlsProblem::Other(error.to_string())
}

fn of_certificate(error: &CertificateError) -> TlsProblem {
    use CertificateError as Certificate;
    // Another authority may have the name of a known one, and its own key.
    if matches!(
        error,
        Certificate::UnknownIssuer | Certificate::BadSignature
    ) {
        TlsProblem::UnknownAuthority
    } else if matches!(
        error,
        Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. }
    ) {
        TlsProblem::OutOfDate
    } else if matches!(
        error,
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }
    ) {
        TlsProblem::WrongName
    } else if error.to_string().contains("CaUsedAsEndEntity") {
        let what =
            "its certificate is one of an authority (CA:TRUE): a service needs one of its own";
        TlsProblem::Other(what.to_owned())
    } else {
        TlsProblem::Other(error.to_string())
    }
}

/// The innermost reason of an error, which says what a person can act on.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
