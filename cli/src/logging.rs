//! What the libraries log: to standard error, and nothing below a warning unless it is asked for.

use std::io::stderr;

use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` picks exactly; `-v` shows what people feel, `-vv` all.
pub(crate) fn start(verbose: u8, default: &str) {
    let directives = match verbose {
        0 => default,
        1 => "info",
        _ => "debug,h2=info,hyper=info,tower=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(false)
        .init();
}
