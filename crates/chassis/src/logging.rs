//! The log of a service: one line per event on standard error, JSON for machines, text for people.
//!
//! What others wrote into a value cannot begin a line of its own or move a cursor.

use std::io::{self, IsTerminal as _, Write, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSection};

/// How lines look, once it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// A JSON object each.
    Json,
    /// Text.
    Text,
}

/// Starts the log of this process, and says how its lines look. Panics are logged as well.
pub fn start(section: &LogSection) -> Lines {
    let lines = match section.format {
        LogFormat::Json => Lines::Json,
        LogFormat::Text => Lines::Text,
        LogFormat::Auto if stderr().is_terminal() => Lines::Text,
        LogFormat::Auto => Lines::Json,
    };
    let filter = EnvFilter::new(&section.level);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(|| Escaped(stderr()));
    // It fails when there is a log already, which then goes on.
    let _ = match lines {
        Lines::Json => log.json().flatten_event(true).try_init(),
        Lines::Text => log.try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let what = panic.payload_as_str().unwrap_or_default();
        tracing::error!(place, what, "panicked");
    }));
    lines
}

/// Writes one event at a time, as one line.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = String::with_capacity(text.len());
        for c in text.strip_suffix('\n').unwrap_or(&text).chars() {
            if c.is_control() {
                line.extend(c.escape_default());
            } else {
                line.push(c);
            }
        }
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            said.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const HOSTILE: &str = "a\r\nERROR all is lost \u{1b}[2J\u{7}\u{9b}31m\u{0}\"";

    fn log_text(said: &Said) -> String {
        String::from_utf8(said.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn text_stays_on_its_line() {
        let said = Said::default();
        let writer = said.clone();
        let log = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || Escaped(writer.clone()))
            .finish();
        tracing::subscriber::with_default(log, || {
            tracing::info!(name = HOSTILE, display = %HOSTILE, debug = ?HOSTILE, "{HOSTILE}");
        });
        let text = log_text(&said);
        assert_eq!(text.lines().count(), 1, "{text:?}");
        let inside = text.trim_end_matches('\n');
        assert!(!inside.contains(char::is_control), "{text:?}");
        assert!(text.contains("all is lost"), "{text:?}");
    }

    #[test]
    fn json_gives_hostile_text_back_as_it_was() {
        let said = Said::default();
        let writer = said.clone();
        let log = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || Escaped(writer.clone()))
            .finish();
        tracing::subscriber::with_default(log, || {
            tracing::warn!(name = "n\n\"x\u{1b}", "m\r\n");
        });
        let text = log_text(&said);
        assert_eq!(text.lines().count(), 1, "{text:?}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["name"], "n\n\"x\u{1b}");
        assert_eq!(line["message"], "m\r\n");
        assert_eq!(line["level"], "WARN");
    }
}
