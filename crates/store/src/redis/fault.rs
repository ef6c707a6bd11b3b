//! What errors of the client and the server mean for a store.

use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::StoreError;

/// How a connection ends that the other side ended.
const CUT: [io::ErrorKind; 4] = [
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::UnexpectedEof,
];
/// How the resolver begins, whose errors have no kind of their own.
const NO_NAME: &str = "failed to lookup address information: ";

/// What became of a command that was not answered as it should.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nobody knows: there was no answer, and the connection is of no more use.
    Unanswered(Unanswered),
    /// It was not carried out: the server has no such script.
    NoScript,
    /// It was not carried out: this user may not do it.
    Denied(Denial),
    /// It was not carried out, and will not be.
    Refused(StoreError),
}

/// Why there was no answer. None of these texts tells more than the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nobody listens at the address.
    #[error("the connection is refused")]
    Refused,
    /// Nothing came back in time.
    #[error("no answer in time")]
    Silent,
    /// The host has no address.
    #[error("the name of the host is not known ({0})")]
    Name(String),
    /// The connection ended.
    #[error("the connection was cut")]
    Cut,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// What a server does not let its user do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// Come in: wrong or missing password, or no such user.
    Entry,
    /// Call a command.
    Command,
    /// Touch a key.
    Key,
    /// Publish to a channel, or listen to it.
    Channel,
}

impl Unanswered {
    fn told_by(error: &RedisError) -> Self {
        let cause = error.source();
        // The client shares its causes.
        let shared = cause.and_then(|cause| cause.downcast_ref::<Arc<dyn Error + Send + Sync>>());
        let cause = match shared {
            Some(shared) => shared.downcast_ref(),
            None => cause.and_then(|cause| cause.downcast_ref()),
        };
        let Some(cause): Option<&io::Error> = cause else {
            return Self::Other(error.category().to_owned());
        };
        let is = |kinds: &[io::ErrorKind]| kinds.contains(&cause.kind());
        let text = cause.to_string();
        if is(&[io::ErrorKind::ConnectionRefused]) {
            Self::Refused
        } else if is(&[io::ErrorKind::TimedOut]) {
            Self::Silent
        } else if is(&CUT) {
            Self::Cut
        } else if let Some(why) = text.strip_prefix(NO_NAME) {
            Self::Name(why.to_owned())
        } else {
            Self::Other(text)
        }
    }
}

impl Denial {
    /// Versions word it differently, and a script says it by other words than its server.
    fn told_by(error: &RedisError) -> Option<Self> {
        if error.kind() == ErrorKind::AuthenticationFailed {
            return Some(Self::Entry);
        }
        let detail = error.detail().unwrap_or_default();
        let is_denial = match error.code()? {
            "WRONGPASS" | "NOAUTH" => return Some(Self::Entry),
            "NOPERM" => true,
            "ERR" => [
                "The user executing the script can't",
                "ACL failure in script",
                "no permissions to run",
            ]
            .iter()
            .any(|words| detail.contains(words)),
            _ => false,
        };
        let command = ["permissions to run", "can't run this command"];
        is_denial.then(|| {
            // The text of a denied command may name a user who is called by one of these words.
            if detail.is_empty() || command.iter().any(|words| detail.contains(words)) {
                Self::Command
            } else if detail.contains("channel") {
                Self::Channel
            } else {
                Self::Key
            }
        })
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        if let Some(denial) = Denial::told_by(&error) {
            return Self::Denied(denial);
        }
        let Some(code) = error.code() else {
            return Self::Unanswered(Unanswered::told_by(&error));
        };
        if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) {
            return Self::NoScript;
        }
        Self::Refused(match code {
            // MISCONF: the server cannot write its file, most often because the disk is full.
            "OOM" | "MISCONF" => StoreError::Full,
            "WRONGTYPE" => StoreError::Damaged("a value has another type".to_owned()),
            // What a script fails at is what it reads.
            "ERR"
                if error
                    .detail()
                    .is_some_and(|detail| detail.contains("script")) =>
            {
                StoreError::Damaged("a script cannot read a value".to_owned())
            }
            code => StoreError::Unavailable(format!("redis answers {code}")),
        })
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unanswered(why) => Self::Unavailable(format!("no answer from redis: {why}")),
            Fault::NoScript => Self::Unavailable("redis forgets its scripts".to_owned()),
            Fault::Denied(denial) => Self::Unavailable(format!(
                "redis denies this user {}",
                match denial {
                    Denial::Entry => "the connection",
                    Denial::Command => "a command",
                    Denial::Key => "a key",
                    Denial::Channel => "a channel",
                }
            )),
            Fault::Refused(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::{RedisResult, parse_redis_value};

    use super::*;

    fn told(answer: &str) -> Fault {
        let value = parse_redis_value(format!("-{answer}\r\n").as_bytes());
        let value: RedisResult<redis::Value> = value.and_then(redis::Value::extract_error);
        value.expect_err("an error").into()
    }

    #[test]
    fn what_was_not_carried_out_is_refused_for_now_or_until_there_is_room() {
        for passing in [
            "LOADING Redis is loading the dataset in memory",
            "READONLY You can't write against a read only replica.",
            "MASTERDOWN Link with MASTER is down",
            "BUSY Redis is busy running a script.",
            "MOVED 3999 127.0.0.1:6381",
        ] {
            let fault = told(passing);
            assert!(
                matches!(fault, Fault::Refused(StoreError::Unavailable(_))),
                "{passing}: {fault:?}"
            );
        }
        for full in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "MISCONF Errors writing to the AOF file: No space left on device",
        ] {
            let fault = told(full);
            assert!(matches!(fault, Fault::Refused(StoreError::Full)), "{full}");
        }
        assert!(matches!(
            told("NOSCRIPT No matching script."),
            Fault::NoScript
        ));
    }

    #[test]
    fn what_the_user_may_not_do_is_told_in_the_words_of_every_version() {
        for (answer, denial) in [
            ("NOAUTH Authentication required.", Denial::Entry),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                Denial::Entry,
            ),
            // 7.0
            (
                "NOPERM this user has no permissions to run the 'hset' command",
                Denial::Command,
            ),
            (
                "NOPERM this user has no permissions to access one of the keys used as arguments",
                Denial::Key,
            ),
            (
                "NOPERM this user has no permissions to access one of the channels used as \
                 arguments",
                Denial::Channel,
            ),
            (
                "ERR The user executing the script can't run this command or subcommand script: \
                 0f, on @user_script:1.",
                Denial::Command,
            ),
            (
                "ERR The user executing the script can't access at least one of the keys \
                 mentioned in the command arguments script: 0f, on @user_script:1.",
                Denial::Key,
            ),
            // 7.2
            (
                "NOPERM User channel has no permissions to run the 'script|load' command",
                Denial::Command,
            ),
            ("NOPERM No permissions to access a key", Denial::Key),
            ("NOPERM No permissions to access a channel", Denial::Channel),
            (
                "ERR ACL failure in script: User key has no permissions to run the 'hset' command \
                 script: 0f, on @user_script:1.",
                Denial::Command,
            ),
        ] {
            let fault = told(answer);
            assert!(
                matches!(fault, Fault::Denied(told) if told == denial),
                "{answer}: {fault:?}"
            );
            assert!(matches!(fault.into(), StoreError::Unavailable(_)));
        }
    }
}
