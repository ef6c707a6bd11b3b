//! TLS by configuration: a certificate, its key and, for mutual TLS, the authority of clients, all
//! from files that may be replaced while the service runs.
//!
//! A handshake uses what the files held last and was usable. Files that change are read again at
//! an interval; what cannot be used is said in the log, again and again until it is mended, and
//! the old certificate stays.

mod clients;
mod files;
mod validity;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use edge_ledger_telemetry::meters;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::watched;
use files::{Contents, Fingerprint, Made};

pub(crate) use clients::refusal;
pub use validity::Validity;

/// The files that a service's TLS is made of, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The service's certificate, followed by those between it and its authority.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Authorities of which a client must show a certificate; none: anybody may connect.
    pub client_ca: Option<PathBuf>,
    /// URIs, one of which a client's certificate must name, to the letter; none: any certificate of
    /// those authorities.
    pub client_names: Vec<String>,
}

impl TlsFiles {
    /// Whether a text can be one of the names: a whole URI. They are compared byte by byte, so that
    /// a pattern would let in nobody.
    pub fn is_client_name(text: &str) -> bool {
        let uri: Option<http::Uri> = text.parse().ok();
        uri.is_some_and(|uri| uri.scheme().is_some()) && !text.contains('*')
    }
}

/// One of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFile {
    /// That of the certificate.
    Certificate,
    /// That of its key.
    Key,
    /// That of the authorities of clients.
    ClientCa,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// Which it is.
        file: TlsFile,
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// A file holds no PEM section of the kind that is needed.
    #[error("there is no {what} in {path}")]
    Missing {
        /// Which it is.
        file: TlsFile,
        /// The file.
        path: PathBuf,
        /// What is looked for.
        what: &'static str,
    },
    /// What a file holds cannot be read as what it should be.
    #[error("{path} cannot be used: {why}")]
    Unusable {
        /// Which it is.
        file: TlsFile,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The key is another certificate's.
    #[error("the key in {key} is not that of the certificate in {certificate}")]
    Mismatch {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
    /// The certificate is over, or its time has not come: by the clock of this machine.
    #[error("the certificate in {path} {validity}, and it is {now} now")]
    OutOfDate {
        /// File of the certificate.
        path: PathBuf,
        /// When it holds.
        validity: Validity,
        /// What time it is.
        now: String,
    },
}

impl TlsError {
    /// Which of the files has to be mended.
    pub const fn file(&self) -> TlsFile {
        match self {
            Self::Unreadable { file, .. }
            | Self::Missing { file, .. }
            | Self::Unusable { file, .. } => *file,
            Self::Mismatch { .. } => TlsFile::Key,
            Self::OutOfDate { .. } => TlsFile::Certificate,
        }
    }

    /// What the operator can do about it.
    pub const fn what_to_do(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "name a PEM file that the service may read; keys need mode 0400 and its user"
            }
            Self::Missing { .. } => {
                "give PEM files: the certificate chain with the service's own first, and its key"
            }
            Self::Unusable { .. } => {
                "write the file anew as PEM: an unencrypted key, certificates of X.509 version 3"
            }
            Self::Mismatch { .. } => "give the certificate and the key that were made together",
            Self::OutOfDate { .. } => {
                "renew the certificate, or set the clock of this machine if that is wrong"
            }
        }
    }
}

/// A service's TLS: version 1.3, HTTP/2. Clones share what is loaded.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: TlsFiles,
    clock: Clock,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    made: Made,
    /// What was read last, usable or not.
    read: Option<Fingerprint>,
}

impl Tls {
    /// Reads the files. A certificate that is out of date is loaded: see
    /// [`out_of_date`](Self::out_of_date).
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn load(files: TlsFiles, clock: Clock) -> Result<Self, Vec<TlsError>> {
        let contents = Contents::read(&files);
        let read = contents.fingerprint();
        let made = contents.make(&files)?;
        Ok(Self(Arc::new(Shared {
            files,
            clock,
            loaded: Mutex::new(Loaded { made, read }),
        })))
    }

    /// When the certificate that is in use holds.
    pub fn validity(&self) -> Validity {
        self.lock().made.validity
    }

    /// What is to be said of the certificate in use, if it does not hold now.
    pub fn out_of_date(&self) -> Option<TlsError> {
        self.0.out_of_date(self.validity())
    }

    /// Reads the files again if they changed. Says whether another certificate is in use now.
    ///
    /// # Errors
    /// Everything that is wrong when they changed and cannot be used, also because the new
    /// certificate is out of date: what was loaded before stays in use. The same files are not
    /// complained of twice.
    pub fn reload(&self) -> Result<bool, Vec<TlsError>> {
        self.look(false)
    }

    /// Does as [`reload`](Self::reload), and complains `again` of files that did not change.
    fn look(&self, again: bool) -> Result<bool, Vec<TlsError>> {
        let shared = &self.0;
        let contents = Contents::read(&shared.files);
        let fingerprint = contents.fingerprint();
        let mut loaded = self.lock();
        if loaded.read == fingerprint && !again {
            return Ok(false);
        }
        loaded.read = fingerprint;
        let made = contents.make(&shared.files)?;
        let made_validity = made.validity;
        if let Some(error) = shared.out_of_date(made_validity) {
            return Err(vec![error]);
        }
        loaded.made = made;
        measure(made_validity);
        Ok(true)
    }

    /// Looks at the files again and again, until it is stopped.
    pub(crate) async fn follow(self, stopping: CancellationToken) {
        measure(self.validity());
        let looking = self.clone();
        watched::follow(
            stopping,
            move |again| looking.look(again),
            || tracing::info!(ends = %self.validity().end(), "the TLS certificate was replaced"),
            |errors| self.complain(errors),
        )
        .await;
    }

    fn complain(&self, errors: &[TlsError]) {
        meters().tls_reload_failed.record(1, &[]);
        for error in errors {
            tracing::error!(
                %error,
                next = error.what_to_do(),
                old_ends = %self.validity().end(),
                "the new TLS certificate cannot be used, the old one stays"
            );
        }
    }

    /// Shakes hands with what is loaded now. Who is refused was told why, if there was anything to
    /// tell.
    pub(crate) async fn accept<I>(&self, io: I) -> Result<TlsStream<I>, (std::io::Error, I)>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.lock().made.config);
        TlsAcceptor::from(config).accept(io).into_fallible().await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Measures the certificate that is in use from now on.
fn measure(validity: Validity) {
    meters().tls_certificate_end.record(validity.ends_s(), &[]);
    meters().tls_reload_failed.record(0, &[]);
}

impl Shared {
    fn out_of_date(&self, validity: Validity) -> Option<TlsError> {
        let now_ms = self.clock.wall_ms();
        (!validity.holds_at(now_ms)).then(|| TlsError::OutOfDate {
            path: self.files.certificate.clone(),
            validity,
            now: validity::moment(now_ms.div_euclid(1_000)).to_string(),
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}

#[cfg(test)]
mod tests;
