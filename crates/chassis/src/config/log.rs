//! `[log]`: what is logged, and how.

use super::reader::Reader;
use super::setting::{Form, Setting};

pub(super) const SETTINGS: [Setting; 2] = [
    Setting {
        key: "log.level",
        form: Form::Filter,
        default: "info",
        meaning: "least severity: `error`, `warn`, `info`, `debug` or `trace`, also per target, \
                  such as `info,identity_service=debug`",
    },
    Setting {
        key: "log.format",
        form: Form::Word(&["auto", "json", "text"]),
        default: "auto",
        meaning: "one JSON object or one text per line, on standard error; `auto` is text on a \
                  terminal and JSON elsewhere",
    },
];

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// A JSON object.
    Json,
    /// Words.
    Text,
}

/// What is logged, and how.
#[derive(Debug, Clone, Default)]
pub struct LogSection {
    /// Directives of the filter, which are sound; empty for nothing but errors.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

pub(super) fn read(reader: &mut Reader) -> LogSection {
    let format = match reader.word("log.format") {
        Some("json") => LogFormat::Json,
        Some("text") => LogFormat::Text,
        _ => LogFormat::Auto,
    };
    LogSection {
        level: reader.filter("log.level").unwrap_or_default(),
        format,
    }
}
