//! What can go wrong, by what the caller does about it.

use edge_ledger_core::identity::FormatError;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::ledger::posting::PostingError;
use edge_ledger_store::StoreError;

use crate::backup::BackupError;
use crate::enrolment::TokenError;
use crate::tls::TlsProblem;
use crate::words::WordsError;

/// Why a call on the agent failed.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The home folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The device's own store failed; nothing was recorded.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A posting is out of its limits.
    #[error(transparent)]
    Posting(#[from] PostingError),
    /// A spend above what is available here and now.
    #[error("only {available} of {asked} are available")]
    NoFunds {
        /// What is available, in minor units.
        available: u64,
        /// What was asked for, in minor units.
        asked: u64,
    },
    /// An event key that was used before for something else.
    #[error("the event key was used before with another amount")]
    EventKeyConflict,
    /// A refund of a debit that this device's lineage never made.
    #[error("there is no debit with this event key on this device")]
    NothingToRefund,
    /// A refund that would take back an earlier one, or give back more than was spent.
    #[error(
        "{debit} were spent under this key and {refunded} given back: a refund names the \
         new total, and {asked} is not between"
    )]
    RefundTotal {
        /// The debit, in minor units.
        debit: u64,
        /// What was given back before, in minor units.
        refunded: u64,
        /// The total that was asked for, in minor units.
        asked: u64,
    },
    /// No link to another device: what happened.
    #[error("no direct link: {0}")]
    Peer(String),
    /// The service refused for a reason that trying again does not change.
    #[error("{0}")]
    Refused(Refusal),
    /// The service cannot be reached, or cannot answer: try again later.
    #[error("the {service} service at {url} cannot be reached: {why}")]
    Unreachable {
        /// Which.
        service: &'static str,
        /// Where.
        url: String,
        /// What happened.
        why: String,
    },
    /// Another stream of this device took the place of this one: it is tried again, later.
    #[error(
        "another stream of this device took this one's place: a copy of its folder, or another \
         process, is in use"
    )]
    Superseded,
    /// No TLS connection came about: it is tried again, but most often a person has to act.
    #[error("no secure connection to the {service} service at {url}: {problem}")]
    Tls {
        /// Which.
        service: &'static str,
        /// Where.
        url: String,
        /// Why.
        problem: TlsProblem,
    },
    /// The service, or a message, cannot be trusted.
    #[error("not to be trusted: {0}")]
    Untrusted(String),
    /// A link code that cannot be read.
    #[error("this is no link code: {0}")]
    LinkCode(&'static str),
    /// The link session ended before both devices were done.
    #[error("the link session ended: {0}")]
    LinkEnded(String),
    /// The number that was typed is not the one that the new device shows.
    #[error("the new device shows another number, so it was not linked")]
    LinkNumber,
    /// A backup cannot be made or read.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// An enrolment token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The service knows no enrolment key that fits the token, or not its identity.
    #[error("the service knows no enrolment key of this token")]
    UnknownEnrolment,
    /// The root key is not on this device: it was taken off, or never was here.
    #[error("the identity's root key is not on this device")]
    NoRootKey,
    /// The service knows no identity of which this is the root key.
    #[error("the service knows no identity that has this root key now")]
    UnknownIdentity,
    /// The identity of a root key cannot be made: it was made already.
    #[error("the identity of this key was made already")]
    IdentityExists,
    /// The root key or the recovery key cannot do what was asked.
    #[error(transparent)]
    Root(#[from] RootError),
    /// It took longer than the caller wanted to wait; it goes on.
    #[error("not done in time")]
    TimedOut,
    /// The agent was stopped.
    #[error("the agent is stopped")]
    Stopped,
}

impl AgentError {
    /// What happened, beside the address that is said to it.
    pub(crate) fn why(&self) -> String {
        if let Self::Unreachable { why, .. } = self {
            return why.clone();
        }
        if let Self::Tls { problem, .. } = self {
            return problem.to_string();
        }
        self.to_string()
    }

    /// What the last of so many addresses said, when none could be used.
    pub(crate) fn of_several(mut self, count: usize) -> Self {
        if let Self::Unreachable { why, .. } = &mut self
            && count > 1
        {
            why.push_str("; nor can it at its other addresses");
        }
        self
    }
}

/// What is wrong with the keys that hold an identity, or with its log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// The root key is on this device, and the one that comes after it is not.
    #[error("the identity's next root key is not on this device")]
    NoNextRootKey,
    /// A rotation or recovery elsewhere put an end to the root keys of this device.
    #[error("the root keys on this device are not the identity's any more")]
    StaleRootKey,
    /// A rotation was begun on this device, and not finished.
    #[error("a rotation of the root key was begun and is not finished")]
    RotationUnfinished,
    /// Words that are no recovery key.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// The words are not the recovery key of the identity, or the service does not know it.
    #[error("these words are not the recovery key of that identity")]
    WrongWords,
    /// No recovery waits that could be vetoed.
    #[error("no recovery waits")]
    NoRecovery,
    /// The veto time of the recovery that was asked for is over: it cannot be vetoed any more.
    #[error("the recovery that was asked for is in effect, and cannot be stopped any more")]
    RecoveryInEffect {
        /// When it took effect, in milliseconds since 1970.
        effective_ms: i64,
    },
    /// Another recovery waits, which this device did not ask for.
    #[error("another recovery of this identity waits until its veto time is over")]
    OtherRecovery {
        /// When it takes effect, in milliseconds since 1970.
        effective_ms: i64,
    },
    /// The recovery that this device asked for was vetoed, or a rotation or a new recovery key
    /// put an end to it.
    #[error("the recovery was vetoed, or the identity got other keys meanwhile")]
    RecoveryEnded,
    /// The veto time of the recovery that this device asked for is over by the service's clock, and
    /// its key is not the root: as [`RecoveryEnded`](Self::RecoveryEnded), or the service lost it.
    #[error(
        "the veto time is over and the recovery is not in effect: it was vetoed, or the identity got \
         other keys meanwhile"
    )]
    RecoveryNotInEffect,
    /// A recovery of another identity was begun in the folder.
    #[error("the identity {0} is being recovered in this folder")]
    OtherIdentity(IdentityId),
    /// The service has another identity log than this device, which holds the evidence: no
    /// statement is signed until a person has seen to that.
    #[error("the service's identity log contradicts this device's at position {position}")]
    LogForked {
        /// The first position that differs.
        position: u64,
    },
    /// The service's identity log does not contradict this device's.
    #[error("the identity log has no other branch that this device knows of")]
    NotForked,
    /// The other branch has more statements than one statement can name.
    #[error("the other branch of the identity log is too long to be named")]
    BranchTooLong,
}

impl From<WordsError> for AgentError {
    fn from(error: WordsError) -> Self {
        Self::Root(error.into())
    }
}

impl From<FormatError> for AgentError {
    fn from(error: FormatError) -> Self {
        Self::Untrusted(error.to_string())
    }
}

/// The reason of a refusal that ends a device: no time and no statement lifts it.
pub(crate) const DEVICE_REVOKED: &str = "DEVICE_REVOKED";

/// The reason of a stream that another stream of the same device took the place of.
pub(crate) const SUPERSEDED: &str = "SUPERSEDED";
/// The reason of a refusal of a service that is not of this deployment, as this device says it.
pub(crate) const UNTRUSTED: &str = "UNTRUSTED";

/// The reason of a service that was dialled under a name that it does not know.
pub(crate) const AUDIENCE_UNKNOWN: &str = "AUDIENCE_UNKNOWN";

/// The reason of a refusal when the service's identity log is another one.
pub(crate) const LOG_FORKED: &str = "LOG_FORKED";

/// The reason of a refusal of an enrolment key that adds no device any more.
pub(crate) const ENROLMENT_ENDED: &str = "ENROLMENT_ENDED";

/// The reason of a refusal of an admin device that was linked a short time ago.
pub(crate) const PROBATION: &str = "PROBATION";

/// The reason of a refusal of one device more than there may be.
pub(crate) const DEVICE_LIMIT: &str = "DEVICE_LIMIT";

/// The reason of a refusal to open a link session under a name that is in use.
pub(crate) const LINK_TAKEN: &str = "LINK_TAKEN";

/// The reason of a refusal of a statement that does not follow the log's head.
pub(crate) const VERSION_CONFLICT: &str = "VERSION_CONFLICT";

/// A typed refusal of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, as `ErrorInfo` has it, such as `DEVICE_REVOKED`; never renamed.
    pub reason: String,
    /// What the service says about it, and what to do.
    pub message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.reason)
    }
}

/// Why a home folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is no device in it.
    #[error("there is no device in {0}")]
    Empty(String),
    /// There is a device in it already, which is never overwritten.
    #[error("there is a device in {0} already")]
    Occupied(String),
    /// Another process has it open.
    #[error("another process uses {0}")]
    InUse(String),
    /// A file of authorities has no certificate in PEM form.
    #[error("there is no certificate in {0}")]
    Authority(String),
    /// A certificate of this device, or its key, that cannot be used.
    #[error("{path} cannot be used for TLS: {why}")]
    ClientCertificate {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something in it cannot be read as what it should be.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file system refuses.
    #[error("{path}: {why}")]
    Io {
        /// The file.
        path: String,
        /// What it says.
        why: std::io::Error,
    },
}
