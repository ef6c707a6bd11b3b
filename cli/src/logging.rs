//! What the libraries log: to standard error, and nothing below a warning unless it is asked for.

use std::io::stderr;

use edge_ledger_telemetry::export::Telemetry;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt};

/// Starts logging. `RUST_LOG` picks exactly; `-v` shows what people feel, `-vv` all.
pub(crate) fn start(verbose: u8, default: &str, telemetry: Option<&Telemetry>) {
    let directives = match verbose {
        0 => default,
        1 => "info",
        _ => "debug,h2=info,hyper=info,tower=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives));
    let log = fmt::layer().with_writer(stderr).with_ansi(false);
    // Spans are for telemetry.
    let log = log.with_filter(filter.and(filter_fn(Telemetry::is_for_people)));
    Registry::default()
        .with(telemetry.map(Telemetry::layer))
        .with(log)
        .init();
}
