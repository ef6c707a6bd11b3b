//! TLS by configuration: a certificate, its key and, for mutual TLS, the authority of clients, all
//! from files that may be replaced while the service runs.
//!
//! A handshake uses what the files held last and was usable. Files that change are read again at
//! an interval; what cannot be used is said in the log, and the old certificate stays.

mod files;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::limits::TLS_RELOAD_EVERY;
use files::{Contents, Fingerprint};

/// The files that a service's TLS is made of, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The service's certificate, followed by those between it and its authority.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Authorities of which a client must show a certificate; none: anybody may connect.
    pub client_ca: Option<PathBuf>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// A file holds no PEM section of the kind that is needed.
    #[error("there is no {what} in {path}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is looked for.
        what: &'static str,
    },
    /// What a file holds cannot be read as what it should be.
    #[error("{path} cannot be used: {why}")]
    Unusable {
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
}

impl TlsError {
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
        }
    }
}

/// A service's TLS: version 1.3, HTTP/2. Clones share what is loaded.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: TlsFiles,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    /// What was read last, usable or not.
    read: Option<Fingerprint>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] saying which file cannot be used, and why.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let loaded = Loaded {
            config: Arc::new(contents.server_config(&files)?),
            read: Some(contents.fingerprint()),
        };
        Ok(Self(Arc::new(Shared {
            files,
            loaded: Mutex::new(loaded),
        })))
    }

    /// Reads the files again if they changed. Says whether another certificate is in use now.
    ///
    /// # Errors
    /// [`TlsError`] when they changed and cannot be used: what was loaded before stays in use. The
    /// same files are not complained of twice.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let files = &self.0.files;
        let read = Contents::read(files);
        let mut loaded = self.lock();
        let fingerprint = read.as_ref().ok().map(Contents::fingerprint);
        if loaded.read == fingerprint {
            return Ok(false);
        }
        loaded.read = fingerprint;
        loaded.config = Arc::new(read?.server_config(files)?);
        Ok(true)
    }

    /// Looks at the files again and again, until it is stopped.
    pub(crate) async fn follow(self, stopping: CancellationToken) {
        let mut every = tokio::time::interval(TLS_RELOAD_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        every.tick().await;
        while stopping.run_until_cancelled(every.tick()).await.is_some() {
            let tls = self.clone();
            // Files may lie on a disk that does not answer.
            let reloaded = tokio::task::spawn_blocking(move || tls.reload()).await;
            match reloaded {
                Ok(Ok(true)) => tracing::info!("the TLS certificate was replaced"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(
                    %error,
                    next = error.what_to_do(),
                    "the new TLS certificate cannot be used, the old one stays"
                ),
                Err(error) => tracing::error!(%error, "reading the TLS files failed"),
            }
        }
    }

    /// Shakes hands with what is loaded now.
    pub(crate) async fn accept<I>(&self, io: I) -> std::io::Result<TlsStream<I>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.lock().config);
        TlsAcceptor::from(config).accept(io).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}
