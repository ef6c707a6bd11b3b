//! What an operator sets, in three layers: defaults, a file (TOML), and the environment
//! (`EDGE_LEDGER__SECTION__KEY`), each above the one before.
//!
//! A [`Setting`] is declared once: what it means, how it is written, what it is if nobody sets it.
//! The [`Reader`] reads all of them, and keeps everything that is wrong, so that an operator hears
//! it at once. Nothing here looks at the process's environment: whoever starts the process hands
//! it in, see [`Inputs`].
//!
//! Settings are read here, and not the files that they name: that is the start's, see
//! [`run`](crate::run). Settings that every service has are in the files below, one per section; a service brings its
//! own sections.

mod admin;
mod effective;
mod inputs;
mod keys;
mod limits;
mod log;
mod operator;
mod problem;
mod reader;
mod server;
mod setting;
mod shutdown;
mod store;
mod tls;

pub use effective::{Effective, without_secrets};
pub use inputs::{FileText, Inputs};
pub use log::{LogFormat, LogSection};
pub use operator::OperatorSection;
pub(crate) use problem::CONFIGURATION;
pub use problem::Problem;
pub use reader::Reader;
pub use server::{ServerSection, is_loopback_host};
pub use setting::{Form, Setting};
pub use store::{RedisUrl, StoreAddress, StoreSection};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits::Limits;
use crate::tls::TlsFiles;

/// The sections that every service has.
#[expect(missing_debug_implementations, reason = "may hold a password")]
pub struct Common {
    /// `[server]`: where it listens, and as what.
    pub server: ServerSection,
    /// `[keys]`: the keys folder.
    pub keys_dir: PathBuf,
    /// `[store]`: where identities live.
    pub store: StoreSection,
    /// `[tls]`: the certificate, if there is one.
    pub tls: Option<TlsFiles>,
    /// Whether what is beyond loopback may go without.
    pub accepts_plaintext: bool,
    /// `[admin]`: where probes and metrics are asked for, if anywhere.
    pub admin: Option<SocketAddr>,
    /// `[limits]`: bounds of connections.
    pub limits: Limits,
    /// `[log]`: what is logged, and how.
    pub log: LogSection,
    /// `[shutdown]`: time that open calls have to end.
    pub drain_grace: Duration,
    /// `[operator]`: where the commands of operators are answered, if anywhere.
    pub operator: Option<OperatorSection>,
}

impl Common {
    /// Reads the sections. What cannot be read is a problem of the reader, and here the default.
    pub fn read(reader: &mut Reader) -> Self {
        let server = server::read(reader);
        let accepts_plaintext = tls::accepts_plaintext(reader);
        let tls = tls::read(reader, server.listen, accepts_plaintext);
        let beside = operator::Beside {
            listen: server.listen,
            has_tls: tls.is_some(),
            accepts_plaintext,
        };
        Self {
            tls,
            accepts_plaintext,
            server,
            keys_dir: keys::read(reader),
            store: store::read(reader),
            admin: admin::read(reader),
            limits: limits::read(reader),
            log: log::read(reader),
            drain_grace: shutdown::read(reader),
            operator: operator::read(reader, &beside),
        }
    }
}

/// The settings of [`Common`] in the order of the documentation. Services differ in the address
/// where they listen if nobody says.
pub fn common_settings(listen: &'static str) -> Vec<Setting> {
    let mut settings = server::settings(listen).to_vec();
    settings.extend(keys::SETTINGS);
    settings.extend(store::SETTINGS);
    settings.extend(tls::SETTINGS);
    settings.extend(admin::SETTINGS);
    settings.extend(limits::SETTINGS);
    settings.extend(log::SETTINGS);
    settings.extend(shutdown::SETTINGS);
    settings.extend(operator::SETTINGS);
    settings
}

#[cfg(test)]
mod tests;
