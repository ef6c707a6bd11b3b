//! Why no TLS connection came about, as far as that can be told.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

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
    /// The service is dialled without TLS, as `http://`, beyond this machine, and nobody accepted
    /// that by name.
    Plaintext,
    /// The service wants a certificate of this device, which has none.
    ClientCertificate,
    /// The service does not know who signed this device's certificate.
    ClientUnknownAuthority,
    /// The time of this device's certificate is over, by the service's clock.
    ClientOutOfDate,
    /// This device's certificate has no name that the service lets in.
    ClientWrongName,
    /// The service does not take this device's certificate.
    ClientRefused,
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
            Self::Plaintext => "it is beyond this machine, and would be dialled without TLS",
            Self::ClientCertificate => "it lets in only who has a certificate",
            Self::ClientUnknownAuthority => {
                "this device's certificate is of an authority that is not known there"
            }
            Self::ClientOutOfDate => "this device's certificate is expired, by the clock there",
            Self::ClientWrongName => "this device's certificate has none of the names let in there",
            Self::ClientRefused => "this device's certificate is not taken there",
            Self::NoAuthorities => "this system has no authorities to check its certificate with",
            Self::Other(why) => why,
        })
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
    if let Tls::AlertReceived(alert) = error
        && let Some(problem) = of_alert(*alert)
    {
        return problem;
    }
    TlsProblem::Other(error.to_string())
}

/// What a service has against this device's certificate.
fn of_alert(alert: AlertDescription) -> Option<TlsProblem> {
    use AlertDescription as Alert;
    Some(if alert == Alert::CertificateRequired {
        TlsProblem::ClientCertificate
    // Another authority may have the name of a known one, and its own key.
    } else if matches!(alert, Alert::UnknownCA | Alert::DecryptError) {
        TlsProblem::ClientUnknownAuthority
    } else if alert == Alert::CertificateExpired {
        TlsProblem::ClientOutOfDate
    } else if alert == Alert::AccessDenied {
        TlsProblem::ClientWrongName
    } else if matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
    ) {
        TlsProblem::ClientRefused
    } else {
        return None;
    })
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
