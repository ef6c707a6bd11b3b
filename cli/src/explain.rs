//! What is said when something fails: what, why, and what to type next.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};

use device_agent::backup::BackupError;
use device_agent::{AgentError, HomeError, PostingError, Refusal, TlsProblem, TokenError};
use edge_ledger_chassis::{KeysError, TlsError, TlsFile};
use edge_ledger_store::{OpenError, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::amount::AmountError;

mod roots;

/// How a command ended that did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    /// Nobody reads the output: nothing is wrong, and nothing can be said.
    Unread,
    /// Refused or failed.
    Refused,
    /// Typed wrongly.
    Usage,
    /// May pass by itself.
    Temporary,
    /// The person wanted it to end.
    Interrupted,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Unread => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Temporary => 75,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command failed. One word wide, since most calls do not fail.
#[derive(Debug, Clone)]
pub(crate) struct Failure(Box<Explanation>);

/// Why a command failed, for people and for programs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Explanation {
    /// For programs; never renamed.
    pub(crate) reason: String,
    /// What failed, and why.
    pub(crate) message: String,
    /// What to type or do next.
    pub(crate) next: Option<String>,
    /// Further fields of the JSON form.
    pub(crate) details: Map<String, Value>,
    /// What is below the message, for those who want to know more.
    pub(crate) causes: Vec<String>,
    pub(crate) exit: Exit,
    /// Whether everything was said already.
    pub(crate) is_said: bool,
}

impl Deref for Failure {
    type Target = Explanation;

    fn deref(&self) -> &Explanation {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Explanation {
        &mut self.0
    }
}

impl Failure {
    pub(crate) fn new(exit: Exit, reason: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Explanation {
            reason: reason.to_owned(),
            message: message.into(),
            next: None,
            details: Map::new(),
            causes: Vec::new(),
            exit,
            is_said: false,
        }))
    }

    /// The explanation, to be said.
    pub(crate) fn into_explanation(self) -> Explanation {
        *self.0
    }

    pub(crate) fn refused(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, reason, message)
    }

    pub(crate) fn usage(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, reason, message)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "INTERRUPTED", "interrupted")
    }

    /// A failure that the output has told already.
    pub(crate) fn said(exit: Exit) -> Self {
        let mut failure = Self::new(exit, "", "");
        failure.is_said = true;
        failure
    }

    #[must_use]
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut source = error.source();
        while let Some(cause) = source {
            self.causes.push(cause.to_string());
            source = cause.source();
        }
        self
    }
}

/// Text that is no key or id: of a wrong length, or not hex.
pub(crate) fn key_format(error: impl fmt::Display) -> Failure {
    Failure::usage("KEY_FORMAT", error.to_string())
        .next("copy it as it was printed; ids are hex digits")
}

/// The output cannot be written.
pub(crate) fn output_failed(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::said(Exit::Unread);
    }
    Failure::refused("OUTPUT", format!("cannot write the output: {error}"))
}

impl From<Explanation> for Failure {
    fn from(explanation: Explanation) -> Self {
        Self(Box::new(explanation))
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        let message = error.to_string();
        let failure = match &error {
            AgentError::Home(home) => of_home(home, message),
            AgentError::Store(store) => of_store(store, message),
            AgentError::Posting(posting) => of_posting(posting, message),
            AgentError::NoFunds { available, asked } => Self::refused("no_funds", message)
                .with("available", *available)
                .with("asked", *asked),
            AgentError::EventKeyConflict => Self::refused("EVENT_KEY_CONFLICT", message)
                .next("look at `edge-ledger history`, and give another --key for another act"),
            AgentError::RefundTotal {
                debit,
                refunded,
                asked,
            } => Self::refused("REFUND_TOTAL", message)
                .with("debit", *debit)
                .with("refunded", *refunded)
                .with("asked", *asked)
                .next("a refund names the total that is given back of the debit"),
            AgentError::NothingToRefund => Self::refused("NOTHING_TO_REFUND", message)
                .next("find the key with `edge-ledger history`; a device refunds its own debits"),
            AgentError::Refused(refusal) => of_refusal(refusal),
            AgentError::Unreachable { service, .. } => {
                let option = format!("--{service}-url URL");
                Self::new(Exit::Temporary, "UNREACHABLE", message).next(format!(
                    "start the services with `edge-ledger up`, or give their address with {option}"
                ))
            }
            AgentError::Superseded => {
                Self::new(Exit::Temporary, "SUPERSEDED", message).next(roots::SUPERSEDED)
            }
            AgentError::Tls {
                service,
                url,
                problem,
            } => of_tls(service, url, problem, message),
            AgentError::Untrusted(_) => Self::refused("UNTRUSTED", message)
                .next("check the address, and the ledger id that `edge-ledger up` prints"),
            AgentError::LinkCode(_) => Self::usage("LINK_CODE", message).next(
                "copy the code or the link that `edge-ledger link` shows on the other device",
            ),
            AgentError::LinkEnded(_) => Self::refused("LINK_ENDED", message)
                .next("show a new code with `edge-ledger link`; it lives for two minutes"),
            AgentError::LinkNumber => Self::refused("LINK_NUMBER", message).next(
                "see that it is your device that asks; then show a new code with \
                 `edge-ledger link`",
            ),
            AgentError::Backup(backup) => of_backup(backup, message),
            AgentError::Token(token) => of_token(token, message),
            AgentError::UnknownEnrolment => Self::refused("UNKNOWN_ENROLMENT", message).next(
                "check the address; a service that lost its data gets it back from any device \
                 that still runs",
            ),
            AgentError::Peer(_) => Self::refused("NO_PEER_LINK", message)
                .next("make a new offer with `edge-ledger peer offer` on the other device"),
            AgentError::NoRootKey => Self::refused("NO_ROOT_KEY", message).next(roots::NO_ROOT_KEY),
            AgentError::UnknownIdentity => {
                Self::refused("UNKNOWN_IDENTITY", message).next(roots::UNKNOWN_IDENTITY)
            }
            AgentError::IdentityExists => {
                Self::refused("IDENTITY_EXISTS", message).next(roots::IDENTITY_EXISTS)
            }
            AgentError::Root(root) => roots::explain(root, message),
            AgentError::TimedOut => Self::new(Exit::Temporary, "TIMED_OUT", message),
            AgentError::Stopped => Self::refused("STOPPED", message),
        };
        failure.because(&error)
    }
}

fn of_posting(posting: &PostingError, message: String) -> Failure {
    match posting {
        PostingError::Amount => Failure::usage("AMOUNT_RANGE", message),
        PostingError::Size(_) => {
            Failure::usage("ENTRY_SIZE", message).next("keys and memos have at most 128 bytes")
        }
        PostingError::Text(_) => Failure::usage("BAD_TEXT", message)
            .next("type the memo again, as one line without invisible characters"),
        PostingError::Kind => Failure::refused("BAD_MESSAGE", message),
    }
}

pub(crate) fn of_tls(service: &str, url: &str, problem: &TlsProblem, message: String) -> Failure {
    let with = |scheme: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        format!("dial it as --{service}-url {scheme}://{rest}")
    };
    let (reason, next) = match problem {
        TlsProblem::UnknownAuthority => (
            "TLS_UNKNOWN_AUTHORITY",
            "give the authority's certificate with --tls-ca FILE; who runs the service has it"
                .to_owned(),
        ),
        TlsProblem::OutOfDate => (
            "TLS_OUT_OF_DATE",
            "check this machine's clock with `date`; if it is right, let who runs the service \
             renew the certificate"
                .to_owned(),
        ),
        TlsProblem::WrongName => (
            "TLS_WRONG_NAME",
            format!("dial a name that the certificate has: --{service}-url https://NAME:PORT"),
        ),
        TlsProblem::PlainService => ("TLS_NOT_SPOKEN", with("http")),
        TlsProblem::TlsService => ("TLS_NEEDED", with("https")),
        TlsProblem::Plaintext => (
            "PLAINTEXT",
            format!(
                "{}; or, if nobody else is on the way there, add --accept-plaintext, which this \
                 device remembers",
                with("https")
            ),
        ),
        TlsProblem::ClientCertificate
        | TlsProblem::ClientUnknownAuthority
        | TlsProblem::ClientOutOfDate
        | TlsProblem::ClientWrongName
        | TlsProblem::ClientRefused => (
            "TLS_CLIENT_CERTIFICATE",
            "give this device's certificate and its key with --tls-client-cert FILE \
             --tls-client-key FILE; who runs the service makes them, or knows an address where \
             devices are let in without"
                .to_owned(),
        ),
        TlsProblem::NoAuthorities => (
            "TLS_NO_AUTHORITIES",
            "install this system's certificates (package ca-certificates), or give the \
             authority's with --tls-ca FILE"
                .to_owned(),
        ),
        TlsProblem::Other(_) => (
            "TLS_FAILED",
            "let who runs the service look at its certificate and its log".to_owned(),
        ),
    };
    Failure::refused(reason, message).next(next)
}

fn of_home(error: &HomeError, message: String) -> Failure {
    match error {
        HomeError::Empty(_) => Failure::refused("NO_DEVICE", message).next(
            "make an identity with `edge-ledger init`, or join one with `edge-ledger join CODE`",
        ),
        HomeError::Occupied(_) => Failure::refused("DEVICE_EXISTS", message)
            .next("it is never overwritten: give another folder with --home DIR"),
        HomeError::InUse(_) => Failure::new(Exit::Temporary, "HOME_IN_USE", message).next(
            "end the other process, such as `edge-ledger watch` or `edge-ledger agent`, or wait",
        ),
        HomeError::Damaged { .. } => Failure::refused("HOME_DAMAGED", message)
            .next("keep the folder, and join anew in another: `edge-ledger --home DIR join CODE`"),
        HomeError::Authority(_) => Failure::usage("TLS_FILE", message)
            .next("give the authority's certificate as a PEM file with --tls-ca FILE"),
        HomeError::ClientCertificate { .. } => Failure::usage("TLS_FILE", message).next(
            "give this device's certificate and its key as PEM files with --tls-client-cert FILE \
             --tls-client-key FILE",
        ),
        HomeError::Io { .. } => Failure::refused("HOME_IO", message)
            .next("give a folder that you can read and write with --home DIR"),
    }
}

fn of_store(error: &StoreError, message: String) -> Failure {
    match error {
        StoreError::Unavailable(_) => Failure::refused("STORE_UNAVAILABLE", message),
        // A device's own store knows no operator.
        StoreError::Blocked => Failure::refused("IDENTITY_BLOCKED", message),
        StoreError::OverQuota => Failure::refused("QUOTA_EXCEEDED", message),
        StoreError::Full => {
            Failure::refused("STORAGE_FULL", message).next("make room on the disk, and try again")
        }
        StoreError::Damaged(_) => Failure::refused("DATA_LOSS", message)
            .next("keep the folder, and join anew in another: `edge-ledger --home DIR join CODE`"),
    }
}

fn of_backup(error: &BackupError, message: String) -> Failure {
    let (reason, next) = match error {
        BackupError::ShortPassword => {
            return Failure::usage("PASSWORD", message)
                .next("take several words: who finds the file can try as often as he likes");
        }
        BackupError::Password => (
            "BACKUP_PASSWORD",
            "type the password that the backup was made with; if it is right, use another copy",
        ),
        BackupError::Truncated { .. } | BackupError::Header => {
            ("BACKUP_DAMAGED", "use another copy of the file")
        }
        BackupError::Newer(_) => ("BACKUP_NEWER", "run the version that wrote it"),
        BackupError::Unknown { .. } | BackupError::Cost | BackupError::Content(_) => (
            "BACKUP_UNKNOWN",
            "give the file that `edge-ledger backup create` wrote",
        ),
    };
    Failure::refused(reason, message).next(next)
}

fn of_token(error: &TokenError, message: String) -> Failure {
    let (reason, next) = match error {
        TokenError::Unknown => (
            "TOKEN_UNKNOWN",
            "give the file that `edge-ledger enrol-token create` wrote",
        ),
        TokenError::Newer(_) => ("TOKEN_NEWER", "run the version that wrote it"),
        TokenError::Damaged(_) => (
            "TOKEN_DAMAGED",
            "copy the file again, or make another: `edge-ledger enrol-token create`",
        ),
        TokenError::Exposed { .. } => (
            "TOKEN_EXPOSED",
            "take it from them: `chmod g-w,o= FILE`; if others may have read it, end it: \
             `edge-ledger enrol-token revoke NAME`",
        ),
        TokenError::Exists(_) => ("FILE_EXISTS", "give another file with --out FILE"),
        TokenError::Io { .. } => ("TOKEN_IO", "give a file that you can read and write"),
    };
    Failure::refused(reason, message).next(next)
}

fn of_refusal(refusal: &Refusal) -> Failure {
    let failure = Failure::refused(&refusal.reason, refusal.message.clone());
    let next = match refusal.reason.as_str() {
        "DEVICE_REVOKED" => {
            "if a copy of this folder took its place: `edge-ledger link` on a linked device, and \
             `edge-ledger join CODE --replace` here; if it was revoked: `--home NEW_DIR join CODE`"
        }
        "IDENTITY_BLOCKED" | "QUOTA_EXCEEDED" => {
            "ask who runs the service; what is recorded stays on this device, and goes up by itself \
             when the service takes it again"
        }
        "LAST_ADMIN" => "link another device first: `edge-ledger link --admin`",
        "ENROLMENT_ENDED" => {
            "ask for a new token, made on an admin device: `edge-ledger enrol-token create`"
        }
        "PROBATION" => "type this on an admin device that was linked earlier, or wait",
        "FORBIDDEN" => "ask an admin device: `edge-ledger devices` shows which those are",
        "LINK_GONE" | "LINK_TAKEN" | "LINK_EXPIRED" => {
            "show a new code with `edge-ledger link`; it works once, for two minutes"
        }
        "DEVICE_LIMIT" => "revoke one that is no longer used: `edge-ledger devices revoke NAME`",
        "STATEMENT_LIMIT" => {
            "leave the name as it is; what was revoked stays so without another statement"
        }
        "AUDIENCE_UNKNOWN" => "dial a name that the services know: `edge-ledger up --host NAME`",
        _ => return failure,
    };
    failure.next(next)
}

impl From<AmountError> for Failure {
    fn from(error: AmountError) -> Self {
        let reason = match error {
            AmountError::Format | AmountError::Decimals(_) => "AMOUNT_FORMAT",
            AmountError::Range => "AMOUNT_RANGE",
        };
        Self::usage(reason, error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let message = error.to_string();
        let failure = match &error {
            OpenError::InUse(_) => Self::refused("STORE_IN_USE", message)
                .next("end the other `edge-ledger up`, or give another folder with --data DIR"),
            OpenError::Damaged { .. } => Self::refused("STORE_DAMAGED", message).next(
                "move the data folder away and start again: the devices bring back what they hold",
            ),
            OpenError::Newer(_) => {
                Self::refused("STORE_NEWER", message).next("run the version that wrote it")
            }
            OpenError::Io { source, .. } => {
                Self::refused("STORE_IO", format!("{message}: {source}"))
                    .next("give a folder that you can read and write with --data DIR")
            }
        };
        failure.because(&error)
    }
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        let message = match &error {
            KeysError::Io { source, .. } => format!("{error}: {source}"),
            KeysError::Choices(source) => format!("{error}: {source}"),
            KeysError::NoFolder(_)
            | KeysError::Missing(_)
            | KeysError::Damaged { .. }
            | KeysError::Foreign(_)
            | KeysError::Unpaired { .. }
            | KeysError::NoRoot(_)
            | KeysError::Exists(_)
            | KeysError::Role(_)
            | KeysError::Exposed { .. } => error.to_string(),
        };
        Self::refused(error.reason(), message)
            .next(error.what_to_do())
            .because(&error)
    }
}

/// Everything that is wrong with the files of a certificate.
impl From<Vec<TlsError>> for Failure {
    fn from(errors: Vec<TlsError>) -> Self {
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let mut next: Vec<&str> = errors.iter().map(TlsError::what_to_do).collect();
        next.dedup();
        let pair = |error: &TlsError| error.file() != TlsFile::ClientCa;
        let mut options = Vec::new();
        if errors.iter().any(pair) {
            options.push("--tls-cert FILE --tls-key FILE");
        }
        if !errors.iter().all(pair) {
            options.push("--tls-client-ca FILE");
        }
        Self::refused("TLS_FILE", said.join("; ")).next(format!(
            "{} ({})",
            next.join("; "),
            options.join(" ")
        ))
    }
}
