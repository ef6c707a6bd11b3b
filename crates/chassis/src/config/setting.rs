//! One thing that can be set.

use std::fmt;
use std::time::Duration;

/// What begins the name of every setting in the environment.
pub(super) const PREFIX: &str = "EDGE_LEDGER__";

/// A setting: declared once, for reading, printing and the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Section and name, such as `server.listen`.
    pub key: &'static str,
    /// How it is written.
    pub form: Form,
    /// What it is if nobody sets it, as it would be written; empty for nothing.
    pub default: &'static str,
    /// What it is for: a part of a sentence.
    pub meaning: &'static str,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// IP address and port.
    Address,
    /// The same, or nothing.
    OptionalAddress,
    /// Names with their ports, as devices dial them.
    Authorities,
    /// Names of clients as their certificates have them, such as `spiffe://cluster/gateway`.
    Names,
    /// IP networks, such as `10.0.0.0/8`, or addresses.
    Networks,
    /// Each `http://` or `https://`, a host, and a port; at most so many.
    Urls(usize),
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A time with its unit.
    Time {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// Servers of ICE, with their scheme: `stun` or `turn`.
    IceServers(&'static str),
    /// A file or folder.
    Path,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A URL that may hold a password.
    SecretUrl,
    /// Directives of a log filter.
    Filter,
}

impl Setting {
    /// Its name in the environment.
    pub fn variable(&self) -> String {
        let upper = self.key.to_ascii_uppercase();
        format!("{PREFIX}{}", upper.replace('.', "__"))
    }

    /// Section and name.
    pub fn parts(&self) -> (&'static str, &'static str) {
        self.key.split_once('.').unwrap_or(("", self.key))
    }

    /// What to write, for who wrote something else.
    pub fn what_to_write(&self) -> String {
        match self.form {
            _ if self.default.is_empty() => format!("write {}", self.form),
            Form::SecretUrl
            | Form::OptionalAddress
            | Form::Authorities
            | Form::Names
            | Form::IceServers(_)
            | Form::Path => {
                format!("write {}", self.form)
            }
            Form::Address
            | Form::Networks
            | Form::Urls(_)
            | Form::Flag
            | Form::Count { .. }
            | Form::Time { .. }
            | Form::Word(_)
            | Form::Filter => format!("write {}, such as `{}`", self.form, self.default),
        }
    }

    /// Whether its value is never shown whole.
    pub fn is_secret(&self) -> bool {
        self.form == Form::SecretUrl
    }
}

/// As in "write …".
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address | Self::OptionalAddress => f.write_str("an IP address and a port"),
            Self::Authorities => f.write_str("a list of `host:port`"),
            Self::Names => f.write_str("a list of URIs"),
            Self::Networks => f.write_str("a list of IP networks"),
            Self::Urls(most) => write!(
                f,
                "a list of at most {most} `http://HOST:PORT` or `https://HOST:PORT`"
            ),
            Self::Flag => f.write_str("`true` or `false`"),
            Self::Count { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Time { min, max } => {
                let (min, max) = (
                    humantime::format_duration(*min),
                    humantime::format_duration(*max),
                );
                write!(f, "a time from `{min}` to `{max}`")
            }
            Self::IceServers(scheme) => write!(f, "a list of `{scheme}:HOST:PORT`"),
            Self::Path => f.write_str("a path"),
            Self::Word(words) => {
                f.write_str("one of ")?;
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                f.write_str(&words.join(", "))
            }
            Self::SecretUrl => f.write_str("`redis://USER:PASSWORD@HOST:PORT`"),
            Self::Filter => f.write_str("a level, or `target=level` directives with commas"),
        }
    }
}
