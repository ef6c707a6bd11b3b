//! What the server's user must be allowed to do: the one list that the check at the start goes by,
//! and that the line for operators is held to.
//!
//! Nothing but a call tells, since a user need not be allowed to read the rules. The calls are such
//! that nothing changes: the key that they name is a string, of which the server says so to every
//! command for lists and hashes after it looked at what the user may do. The key is another one
//! each time, so that any number of processes may ask at once; it is deleted at the end, and if the
//! connection breaks before, it expires.

use std::fmt;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value, cmd};

use super::fault::{Denial, Fault};
use super::keys;
use super::script::Script;
use super::stamp;
use super::unfit::{ConnectError, Place};

/// Stands for the key in a call.
const KEY: &str = "KEY";
/// Stands for the channel in a call.
const CHANNEL: &str = "CHANNEL";
/// Stands for a script, one of those that are loaded in any case.
const SCRIPT: &str = "SCRIPT";
/// For how long the key is kept if nobody deletes it, in milliseconds.
const KEPT: &str = "60000";
/// What no script is called.
const NO_SCRIPT: &str = "0000000000000000000000000000000000000000";
/// It makes the key a string; so it comes first.
const FIRST: Call = ("set", &[KEY, "", "PX", KEPT]);

/// A command as the rules of an ACL name it, and what it is called with.
type Call = (&'static str, &'static [&'static str]);

/// Those that would make a list or a hash of a key that is not there.
const CREATING: [Call; 4] = [
    ("hset", &[KEY, "field", "value"]),
    ("hsetnx", &[KEY, "field", "value"]),
    ("hincrby", &[KEY, "field", "1"]),
    ("rpush", &[KEY, "value"]),
];
/// All others.
const OTHERS: [Call; 16] = [
    ("evalsha", &[NO_SCRIPT, "1", KEY]),
    ("script|load", &[SCRIPT]),
    ("time", &[]),
    ("scan", &["0", "COUNT", "1"]),
    ("ping", &[]),
    ("publish", &[CHANNEL, "probe"]),
    ("get", &[KEY]),
    ("hget", &[KEY, "field"]),
    ("hmget", &[KEY, "field"]),
    ("hgetall", &[KEY]),
    ("hdel", &[KEY, "field"]),
    ("lindex", &[KEY, "0"]),
    ("lrange", &[KEY, "0", "0"]),
    ("pexpire", &[KEY, KEPT]),
    ("del", &[KEY]),
    ("unlink", &[KEY]),
];
/// What is called in any case before all of these: to connect, and for the settings; or after them,
/// by the listener.
#[cfg(test)]
const ELSEWHERE: [&str; 4] = ["select", "info", "config|get", "psubscribe"];

/// Something that a user is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// A command.
    Command(&'static str),
    /// A key.
    Key(String),
    /// The channels of the hints.
    Channels,
}

impl Lack {
    /// What gives it, as the rules of an ACL say it.
    pub(super) fn rule(&self) -> String {
        match self {
            Self::Command(name) => format!("+{name}"),
            Self::Key(_) => "~el:*".to_owned(),
            Self::Channels => format!("&{}", keys::CHANNELS),
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(name) => write!(f, "the command {name}"),
            Self::Key(key) => write!(f, "the key {key}"),
            Self::Channels => write!(f, "the channels {}", keys::CHANNELS),
        }
    }
}

/// What is missing.
#[derive(Debug, Default)]
struct Missing {
    lacks: Vec<Lack>,
    commands: Vec<&'static str>,
}

impl Missing {
    /// Looks at the answer to a call. Everything but a denial says that it is allowed: that memory
    /// is full, for one, is looked at later.
    fn note(
        &mut self,
        name: &'static str,
        key: &str,
        answer: RedisResult<Value>,
    ) -> Result<(), Fault> {
        let Err(error) = answer else { return Ok(()) };
        if is_unknown(&error) {
            if !self.commands.contains(&name) {
                self.commands.push(name);
            }
            return Ok(());
        }
        let lack = match Fault::from(error) {
            Fault::Denied(Denial::Command) => Lack::Command(name),
            Fault::Denied(Denial::Key) => Lack::Key(key.to_owned()),
            Fault::Denied(Denial::Channel) => Lack::Channels,
            fault @ (Fault::Unanswered(_) | Fault::Denied(Denial::Entry)) => return Err(fault),
            Fault::NoScript | Fault::Refused(_) => return Ok(()),
        };
        if !self.lacks.contains(&lack) {
            self.lacks.push(lack);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.lacks.is_empty() && self.commands.is_empty()
    }
}

/// Finds out whether the user may do all that is needed.
pub(super) async fn check(
    connection: &mut MultiplexedConnection,
    place: &Place,
) -> Result<(), ConnectError> {
    let missing = ask(connection).await;
    let missing = missing.map_err(|fault| place.unfit(FIRST.0, fault))?;
    if !missing.commands.is_empty() {
        return Err(ConnectError::NoCommand {
            address: place.address.clone(),
            commands: missing.commands,
        });
    }
    if !missing.lacks.is_empty() {
        return Err(place.denied(missing.lacks));
    }
    Ok(())
}

async fn ask(connection: &mut MultiplexedConnection) -> Result<Missing, Fault> {
    let key = keys::probe(stamp::fresh());
    let mut missing = Missing::default();
    let (name, args) = FIRST;
    let first: RedisResult<Value> = call(name, args, &key).query_async(connection).await;
    missing.note(name, keys::PROBE, first)?;
    // Without the string they would leave something.
    let creating = CREATING.iter().filter(|_| missing.is_empty());
    let calls: Vec<_> = creating.chain(&OTHERS).copied().collect();
    let kinds: Vec<_> = keys::of_each_kind().collect();

    let mut pipeline = Pipeline::new();
    for (name, args) in &calls {
        pipeline.add_command(call(name, args, &key));
    }
    for key in &kinds {
        // It reads, and would write if there were anything.
        pipeline.cmd("SET").arg(key).arg("").arg("XX").arg("GET");
    }
    let answers: Vec<RedisResult<Value>> = pipeline.ignore_errors().query_async(connection).await?;
    let calls = calls.iter().map(|(name, _)| (*name, keys::PROBE));
    let kinds = kinds.iter().map(|key| (name, key.as_str()));
    for ((name, key), answer) in calls.chain(kinds).zip(answers) {
        missing.note(name, key, answer)?;
    }
    Ok(missing)
}

fn call(name: &str, args: &[&str], key: &str) -> Cmd {
    let mut words = name.split('|');
    let mut command = cmd(&words.next().unwrap_or_default().to_ascii_uppercase());
    for word in words {
        command.arg(word.to_ascii_uppercase());
    }
    for arg in args {
        match *arg {
            KEY => command.arg(key),
            CHANNEL => command.arg(keys::PROBE_CHANNEL),
            SCRIPT => command.arg(Script::Fence.source()),
            other => command.arg(other),
        };
    }
    command
}

/// Whether the server has no such command: `rename-command` takes it away.
fn is_unknown(error: &RedisError) -> bool {
    let detail = error.detail().unwrap_or_default();
    error.code() == Some("ERR")
        && ["unknown command", "unknown subcommand"]
            .iter()
            .any(|words| detail.starts_with(words))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::redis::commands::acl_rules;

    const CRATE: &str = include_str!("../redis.rs");
    /// What this process sends by itself; scripts call the others.
    const SENT: [&str; 9] = [
        "evalsha",
        "script|load",
        "time",
        "ping",
        "publish",
        "get",
        "set",
        "hgetall",
        "scan",
    ];

    fn asked() -> BTreeSet<String> {
        let calls = [FIRST].into_iter().chain(CREATING).chain(OTHERS);
        calls.map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn the_page_allows_what_is_asked_for_and_no_more() {
        let allowed: BTreeSet<_> = acl_rules(CRATE)
            .into_iter()
            .filter_map(|rule| rule.strip_prefix('+').map(ToOwned::to_owned))
            .collect();
        let elsewhere = ELSEWHERE.map(ToOwned::to_owned);
        assert_eq!(allowed, asked().into_iter().chain(elsewhere).collect());
        let rules = acl_rules(CRATE);
        for lack in [Lack::Key(String::new()), Lack::Channels] {
            assert!(rules.contains(&lack.rule()), "{lack}");
        }
    }

    #[test]
    fn what_is_asked_for_is_what_is_called() {
        let mut called: BTreeSet<_> = SENT.map(ToOwned::to_owned).into_iter().collect();
        for source in Script::sources() {
            for before in ["redis.call('", "many('"] {
                let calls = source.split(before).skip(1);
                let names = calls.filter_map(|rest| rest.split('\'').next());
                called.extend(names.map(str::to_ascii_lowercase));
            }
        }
        assert_eq!(called, asked());
    }
}
