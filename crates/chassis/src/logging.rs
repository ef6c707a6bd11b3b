//! The log of a service: one line per event on standard error, JSON for machines, text for people.
//!
//! A line that was written while something was traced names trace and span. What others wrote into a value cannot begin a line of its own or move a cursor.

use std::io::{self, IsTerminal as _, Write, stderr};

use edge_ledger_telemetry::context;
use edge_ledger_telemetry::export::Telemetry;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt};

use crate::config::{LogFormat, LogSection};

/// How lines look, once it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// A JSON object each.
    Json,
    /// Text.
    Text,
}

/// Starts the log of this process, and says how its lines look. Panics are logged as well. With
/// telemetry the spans and events go there, too.
pub fn start(section: &LogSection, telemetry: Option<&Telemetry>) -> Lines {
    let lines = match section.format {
        LogFormat::Json => Lines::Json,
        LogFormat::Text => Lines::Text,
        LogFormat::Auto if stderr().is_terminal() => Lines::Text,
        LogFormat::Auto => Lines::Json,
    };
    // Spans are for telemetry; a line says what happened, and names the span.
    let events = EnvFilter::new(&section.level).and(filter_fn(Telemetry::is_for_people));
    let log = fmt::layer().with_ansi(false).with_writer(move || Escaped {
        to: stderr(),
        lines,
    });
    let log = match lines {
        Lines::Json => {
            let json = log.json().flatten_event(true);
            let alone = json.with_current_span(false).with_span_list(false);
            alone.with_filter(events).boxed()
        }
        Lines::Text => log.with_filter(events).boxed(),
    };
    let subscriber = Registry::default()
        .with(telemetry.map(Telemetry::layer))
        .with(log);
    // It fails when there is a log already, which then goes on.
    let _ = subscriber.try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let what = panic.payload_as_str().unwrap_or_default();
        tracing::error!(place, what, "panicked");
    }));
    lines
}

/// Writes one event at a time, as one line.
struct Escaped<W> {
    to: W,
    lines: Lines,
}

/// A line with the names of the trace and the span that it was written in.
fn with_ids(line: &mut String, lines: Lines, (trace, span): &(String, String)) {
    match (lines, line.strip_suffix('}')) {
        (Lines::Json, Some(open)) => {
            *line = format!(r#"{open},"trace_id":"{trace}","span_id":"{span}"}}"#);
        }
        _ => line.push_str(&format!(" trace_id={trace} span_id={span}")),
    }
}

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
        if let Some(ids) = context::current_ids() {
            with_ids(&mut line, self.lines, &ids);
        }
        line.push('\n');
        self.to.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
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
        let log = fmt()
            .with_ansi(false)
            .with_writer(move || Escaped {
                to: writer.clone(),
                lines: Lines::Text,
            })
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
        let log = fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || Escaped {
                to: writer.clone(),
                lines: Lines::Json,
            })
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

    #[test]
    fn a_line_with_ids_is_a_line_of_its_format() {
        let ids = ("0af7".to_owned(), "b7ad".to_owned());
        let mut json = r#"{"message":"a } b"}"#.to_owned();
        with_ids(&mut json, Lines::Json, &ids);
        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&line["trace_id"], &line["span_id"]),
            (&"0af7".into(), &"b7ad".into())
        );
        let mut text = "a".to_owned();
        with_ids(&mut text, Lines::Text, &ids);
        assert_eq!(text, "a trace_id=0af7 span_id=b7ad");
    }
}
