//! What the environment says.

use std::env;

/// Why nothing can be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A value that cannot be used.
    #[error("{variable} is {value:?}: {allowed}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// An exporter that cannot be made of what is there.
    #[error("the OTEL_EXPORTER_OTLP_… variables cannot be used: {0}")]
    Exporter(String),
}

impl ExportError {
    pub(super) fn exporter(error: impl std::fmt::Display) -> Self {
        Self::Exporter(error.to_string())
    }
}

/// What is exported.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const DISABLED: &str = "OTEL_SDK_DISABLED";

impl Signal {
    pub(super) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    fn endpoint(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            Self::Metrics => "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            Self::Logs => "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        }
    }

    fn exporter(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_TRACES_EXPORTER",
            Self::Metrics => "OTEL_METRICS_EXPORTER",
            Self::Logs => "OTEL_LOGS_EXPORTER",
        }
    }

    fn protocol(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            Self::Metrics => "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
            Self::Logs => "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
        }
    }
}

/// A variable with a text; an empty one is as good as none.
fn said(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Whether somebody said where to send it.
pub(super) fn is_exported(signal: Signal) -> bool {
    let off =
        |variable, word: &str| said(variable).is_some_and(|value| value.eq_ignore_ascii_case(word));
    let has_endpoint = said(ENDPOINT).or_else(|| said(signal.endpoint())).is_some();
    has_endpoint && !off(DISABLED, "true") && !off(signal.exporter(), "none")
}

/// Refuses what the standard allows and this program does not carry.
pub(super) fn check() -> Result<(), ExportError> {
    let protocols = Signal::ALL.map(Signal::protocol);
    for variable in protocols.into_iter().chain(["OTEL_EXPORTER_OTLP_PROTOCOL"]) {
        if let Some(value) = said(variable).filter(|value| value != "grpc") {
            let allowed =
                "this program sends by `grpc` alone, to port 4317 of a collector as a rule";
            return Err(ExportError::Variable {
                variable,
                value,
                allowed,
            });
        }
    }
    for variable in Signal::ALL.map(Signal::exporter) {
        let known = |value: &String| !["otlp", "none"].contains(&value.as_str());
        if let Some(value) = said(variable).filter(known) {
            let allowed = "write `otlp` or `none`";
            return Err(ExportError::Variable {
                variable,
                value,
                allowed,
            });
        }
    }
    Ok(())
}
