//! Why a server is not used.

use super::fault::{Denial, Fault, Unanswered};
use super::rights::Lack;
use crate::StoreError;

/// Why a server is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be read; it is not repeated here, since it may hold a password.
    #[error("the address of redis is no redis:// URL, or asks for what is not built in (TLS)")]
    Url,
    /// It cannot be reached.
    #[error("cannot reach redis at {address}: {why}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What happened.
        why: Unanswered,
    },
    /// It does not let us in.
    #[error(
        "redis at {address} does not let user `{user}` in: the password is wrong or missing, or \
         the user is unknown or off, or as many clients as `maxclients` allows are there already"
    )]
    NotLetIn {
        /// Host and port.
        address: String,
        /// Who asked.
        user: String,
    },
    /// It has no such database.
    #[error("redis at {address} has no database {database}, which the address names")]
    NoDatabase {
        /// Host and port.
        address: String,
        /// Its number.
        database: i64,
    },
    /// It does not let us do what is needed.
    #[error(
        "redis at {address} denies user `{user}` {}: run `ACL SETUSER {user} {}`, and write it \
         into its ACL file or redis.conf",
        words(.lacks),
        rules(.lacks)
    )]
    Denied {
        /// Host and port.
        address: String,
        /// Who asked.
        user: String,
        /// What is missing.
        lacks: Vec<Lack>,
    },
    /// Commands of it are switched off or renamed.
    #[error(
        "redis at {address} does not know the commands {}: take their `rename-command` out of \
         redis.conf",
        .commands.join(", ")
    )]
    NoCommand {
        /// Host and port.
        address: String,
        /// Which of those that are needed.
        commands: Vec<&'static str>,
    },
    /// It still reads its file.
    #[error("redis at {address} is still loading its data ({loaded} % of it is there)")]
    Loading {
        /// Host and port.
        address: String,
        /// How much of it, as the server tells.
        loaded: String,
    },
    /// It writes the file of its writes anew, maybe for the first time.
    #[error(
        "redis at {address} is writing its append-only file anew: until that is done, what it \
         answers may be in no file"
    )]
    Rewriting {
        /// Host and port.
        address: String,
    },
    /// Its version is too old.
    #[error("redis {0} is too old: version 7.0 or later is needed")]
    TooOld(String),
    /// It is part of a set-up that this store does not know.
    #[error("redis runs in {0} mode: only a standalone server is supported")]
    Mode(String),
    /// It is a replica, which takes no writes.
    #[error("redis is a replica: name its primary")]
    Replica,
    /// It may drop keys when memory is full.
    #[error(
        "redis may drop what is kept (maxmemory-policy {0}): set `maxmemory-policy noeviction`, \
         and run `CONFIG SET maxmemory-policy noeviction` for the running server"
    )]
    Evicts(String),
    /// It may lose what it answered.
    #[error(
        "redis may lose what it answered ({found}): set `appendonly yes`, `appendfsync always` and \
         `no-appendfsync-on-rewrite no` (for the running server by `CONFIG SET` each); \
         or `appendfsync everysec` on redis 7.2 or later, and allow `WAITAOF` to this user \
         (`+waitaof`); or accept the loss window by name, and then nothing is acked"
    )]
    LossWindow {
        /// Its settings.
        found: String,
    },
    /// It does not let us ask for its settings.
    #[error(
        "redis does not tell {0}: allow `CONFIG GET` and `INFO` to this user (`ACL SETUSER` with \
         `+config|get +info`), or declare `appendfsync` in the configuration"
    )]
    Untold(&'static str),
}

/// A server, and who asks it, as messages name them.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) address: String,
    pub(super) user: String,
}

impl Place {
    /// Why the server cannot be used if it does not answer to this command as it should.
    pub(super) fn unfit(&self, command: &'static str, fault: impl Into<Fault>) -> ConnectError {
        let denied = |lack| self.denied(vec![lack]);
        match fault.into() {
            Fault::Unanswered(why) => self.unreachable(why),
            Fault::Denied(Denial::Entry) => ConnectError::NotLetIn {
                address: self.address.clone(),
                user: self.user.clone(),
            },
            Fault::Denied(Denial::Command | Denial::Key) => denied(Lack::Command(command)),
            Fault::Denied(Denial::Channel) => denied(Lack::Channels),
            fault @ (Fault::NoScript | Fault::Refused(_)) => {
                self.unreachable(Unanswered::Other(StoreError::from(fault).to_string()))
            }
        }
    }

    pub(super) fn denied(&self, lacks: Vec<Lack>) -> ConnectError {
        ConnectError::Denied {
            address: self.address.clone(),
            user: self.user.clone(),
            lacks,
        }
    }

    fn unreachable(&self, why: Unanswered) -> ConnectError {
        ConnectError::Unreachable {
            address: self.address.clone(),
            why,
        }
    }
}

fn words(lacks: &[Lack]) -> String {
    let words: Vec<_> = lacks.iter().map(Lack::to_string).collect();
    words.join(", ")
}

fn rules(lacks: &[Lack]) -> String {
    let mut rules: Vec<_> = lacks.iter().map(Lack::rule).collect();
    // All keys are allowed by one.
    rules.dedup();
    rules.join(" ")
}
