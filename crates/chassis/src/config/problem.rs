//! What is wrong with a configuration.

use std::fmt;

/// The reason of what a person has to write otherwise.
pub(crate) const CONFIGURATION: &str = "CONFIGURATION";

/// One thing that is wrong. Its texts hold no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// For programs; never renamed. `CONFIGURATION`, unless a file that is named has its own.
    pub reason: &'static str,
    /// The setting, or the file.
    pub key: String,
    /// Where the value came from: `default`, the file, or the variable.
    pub source: String,
    /// What is wrong.
    pub wrong: String,
    /// What to write instead.
    pub next: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            source,
            wrong,
            next,
            ..
        } = self;
        write!(f, "{key} ({source}): {wrong}; {next}")
    }
}
