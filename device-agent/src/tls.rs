//! Why no TLS connection came about, as far as that can be told.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, InvalidMessage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

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

/// What a service has against this device's certificate, or that it has none, for who dials it with
/// what `config` shows. The failed call does not tell: which of its errors comes first is chance.
pub(crate) async fn refusal_at(url: &str, config: ClientConfig) -> Option<TlsProblem> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let ask = async {
        let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
        let mut tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await?;
        // Who is let in hears nothing, as long as nothing is said.
        tls.read_u8().await
    };
    let refused = timeout(PROBE_WITHIN, ask).await.ok()?.err()?;
    of_words(&refused.to_string())
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
        if let Some(found) = of_words(&error.to_string()) {
            return Some(found);
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
    let words = error.to_string();
    of_words(&words).unwrap_or(TlsProblem::Other(words))
}

/// What rustls says of an alert, before its name.
const ALERT_RECEIVED: &str = "received fatal alert: ";

/// What a service has against this device's certificate, by what an error says. In TLS 1.3 it is only
/// told after the handshake, and HTTP/2 keeps no more of an error than its words.
fn of_words(error: &str) -> Option<TlsProblem> {
    let (_, alert) = error.split_once(ALERT_RECEIVED)?;
    Some(match alert {
        "CertificateRequired" => TlsProblem::ClientCertificate,
        // Another authority may have the name of a known one, and its own key.
        "UnknownCA" | "DecryptError" => TlsProblem::ClientUnknownAuthority,
        "CertificateExpired" => TlsProblem::ClientOutOfDate,
        "AccessDenied" => TlsProblem::ClientWrongName,
        "BadCertificate"
        | "UnsupportedCertificate"
        | "CertificateRevoked"
        | "CertificateUnknown" => TlsProblem::ClientRefused,
        _ => return None,
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
