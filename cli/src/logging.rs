//! What the libraries log: to standard error, and nothing below a warning unless it is asked for.

use std::io::stderr;

use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` picks exactly; `-v` shows what people feel, `-vv` all.
///
/// Unasked, only a service warns: a device that is offline is no news to whoever made it so.
pub(crate) fn start(verbose: u8, is_service: bool) {
    let directives = match verbose {
        0 if is_service => "warn",
        0 => "off",
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
