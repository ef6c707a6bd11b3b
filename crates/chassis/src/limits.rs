//! Every bound of a service's connections, in one place.

use std::time::Duration;

/// Connections that are open at once.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Streams of one connection that are open at once.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Streams that a client may reset before they were accepted.
pub const PENDING_RESETS_MAX: usize = 20;
/// Bytes of one request's header list beyond which HTTP/2 itself refuses it.
pub const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// Bytes of names and values of one request's metadata.
pub const METADATA_BYTES_MAX: usize = 8 * 1024;
/// Entries of one request's metadata.
pub const METADATA_ENTRIES_MAX: usize = 64;
/// Time from the accept to the first request.
pub const FIRST_REQUEST: Duration = Duration::from_secs(5);
/// Silence after which a connection is asked whether it lives.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Time that it has to answer.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the files of a certificate are looked at.
pub const TLS_RELOAD_EVERY: Duration = Duration::from_secs(10);
/// Pause after an accept that failed, so that a lack of file descriptors does not spin.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The bounds that a deployment, or a test, may change.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// See [`CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// See [`FIRST_REQUEST`].
    pub first_request: Duration,
    /// See [`KEEPALIVE_INTERVAL`].
    pub keepalive_interval: Duration,
    /// See [`KEEPALIVE_TIMEOUT`].
    pub keepalive_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            first_request: FIRST_REQUEST,
            keepalive_interval: KEEPALIVE_INTERVAL,
            keepalive_timeout: KEEPALIVE_TIMEOUT,
        }
    }
}
