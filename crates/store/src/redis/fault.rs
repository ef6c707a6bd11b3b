//! What errors of the client and the server mean for a store.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::StoreError;

/// What became of a command that was not answered as it should.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nobody knows: there was no answer, and the connection is of no more use.
    Unanswered(String),
    /// It was not carried out: the server has no such script.
    NoScript,
    /// It was not carried out, and will not be.
    Refused(StoreError),
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let Some(code) = error.code() else {
            // The texts of these tell at most the address.
            return Self::Unanswered(error.category().to_owned());
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
            "NOPERM User has no permissions",
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
}
