//! `[store]`: where identities live.

use std::path::PathBuf;
use std::time::Duration;

use edge_ledger_store::redis::{AppendFsync, RedisConfig};
use zeroize::Zeroizing;

use super::reader::Reader;
use super::setting::{Form, Setting};

/// Schemes that the store knows.
const SCHEMES: [&str; 2] = ["redis://", "redis+unix://"];

pub(super) const SETTINGS: [Setting; 7] = [
    Setting {
        key: "store.kind",
        form: Form::Word(&["embedded", "redis"]),
        default: "embedded",
        meaning: "where identities live. A service of its own needs `redis`: one process owns \
                  the embedded store's file, and that is `edge-ledger up`, which runs both",
    },
    Setting {
        key: "store.url",
        form: Form::SecretUrl,
        default: "",
        meaning: "the Redis server, `redis://[user:password@]host[:port][/database]` or \
                  `redis+unix:///path`; write a password into `store.url_file` instead",
    },
    Setting {
        key: "store.url_file",
        form: Form::Path,
        default: "",
        meaning: "file whose text is that address, for addresses with a password",
    },
    Setting {
        key: "store.accept_loss_window",
        form: Form::Flag,
        default: "false",
        meaning: "accepts a Redis that may lose what it answered last: then nothing is acked",
    },
    Setting {
        key: "store.declared_appendfsync",
        form: Form::Word(&["always", "everysec", "no"]),
        default: "",
        meaning: "what `appendfsync` is, for a Redis that does not let the user ask",
    },
    Setting {
        key: "store.response_timeout",
        form: Form::Time {
            min: Duration::from_millis(100),
            max: Duration::from_secs(60),
        },
        default: "5s",
        meaning: "time that Redis has to answer before the connection is given up",
    },
    Setting {
        key: "store.load_timeout",
        form: Form::Time {
            min: Duration::from_secs(1),
            max: Duration::from_secs(60 * 60),
        },
        default: "1m",
        meaning: "time that a service waits at its start for a Redis that still loads its data",
    },
];

/// Address of a Redis server, maybe with a password: it is never shown, and wiped when dropped.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct RedisUrl(Zeroizing<String>);

/// Where the address of the server is written.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "may hold a password")]
pub enum StoreAddress {
    /// In the settings.
    Url(RedisUrl),
    /// In a file of its own.
    File(PathBuf),
}

/// Where identities live.
#[expect(missing_debug_implementations, reason = "may hold a password")]
pub struct StoreSection {
    /// The server; none if the settings do not say it, which is a problem of theirs.
    pub address: Option<StoreAddress>,
    /// See `store.accept_loss_window`.
    pub accept_loss_window: bool,
    /// See `store.declared_appendfsync`.
    pub declared_appendfsync: Option<AppendFsync>,
    /// See `store.response_timeout`.
    pub response_timeout: Duration,
    /// See `store.load_timeout`.
    pub load_timeout: Duration,
}

impl StoreSection {
    /// The address, from its file if it is in one. What is wrong there is a problem of the reader.
    pub fn url(&self, reader: &mut Reader) -> Option<RedisUrl> {
        let path = match self.address.as_ref()? {
            StoreAddress::Url(url) => return Some(url.clone()),
            StoreAddress::File(path) => path,
        };
        match std::fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => checked(reader, "store.url_file", text.trim()),
            Err(error) => {
                reader.problem(
                    "store.url_file",
                    format!("cannot read {}: {error}", path.display()),
                    "write a file that the service may read, with the address in it",
                );
                None
            }
        }
    }

    /// As the store takes it.
    pub fn redis(&self, url: &RedisUrl) -> RedisConfig {
        let mut config = RedisConfig::new(url.0.as_str());
        config.accept_loss_window = self.accept_loss_window;
        config.declared_appendfsync = self.declared_appendfsync;
        config.response_timeout = self.response_timeout;
        config.load_timeout = self.load_timeout;
        config
    }
}

pub(super) fn read(reader: &mut Reader) -> StoreSection {
    let kind = reader.word("store.kind");
    let address = read_address(reader, kind == Some("redis"));
    if kind == Some("embedded") {
        reader.problem(
            "store.kind",
            "a service of its own cannot use the embedded store: one process owns that file, and \
             the other service would not see it",
            "write `redis` and store.url, or run both services in one process with `edge-ledger up`",
        );
    }
    let declared = reader.word("store.declared_appendfsync");
    StoreSection {
        address,
        accept_loss_window: reader.flag("store.accept_loss_window").unwrap_or_default(),
        declared_appendfsync: declared.map(|word| match word {
            "always" => AppendFsync::Always,
            "everysec" => AppendFsync::EverySecond,
            _ => AppendFsync::Never,
        }),
        response_timeout: reader.time("store.response_timeout").unwrap_or_default(),
        load_timeout: reader.time("store.load_timeout").unwrap_or_default(),
    }
}

fn read_address(reader: &mut Reader, is_needed: bool) -> Option<StoreAddress> {
    let url = reader.secret("store.url").map(Zeroizing::new);
    let file = reader.path("store.url_file");
    match (url, file) {
        (Some(url), None) => checked(reader, "store.url", &url).map(StoreAddress::Url),
        (None, Some(path)) => Some(StoreAddress::File(path)),
        (Some(url), Some(_)) => {
            // It is looked at all the same, so that everything is said at once.
            checked(reader, "store.url", &url);
            reader.problem(
                "store.url_file",
                "store.url is set as well, and only one of them can hold",
                "write one of the two: the file, if there is a password",
            );
            None
        }
        (None, None) => {
            if is_needed && !reader.has_problem("store.url") {
                reader.problem(
                    "store.url",
                    "the address of Redis is not set",
                    "write `redis://HOST:PORT`, or with a password store.url_file",
                );
            }
            None
        }
    }
}

/// An address that the store can read. What is wrong is said without the text, which may hold a
/// password.
fn checked(reader: &mut Reader, key: &str, url: &str) -> Option<RedisUrl> {
    let wrong = if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
        if url.starts_with("rediss://") {
            "TLS to Redis is not built in"
        } else {
            "it is no address of Redis"
        }
    } else if url.contains('#') || RedisConfig::new(url).check().is_err() {
        // The parser passes over what follows a hash mark, which would be the end of a password.
        "it is an address of Redis that cannot be read"
    } else {
        return Some(RedisUrl(Zeroizing::new(url.to_owned())));
    };
    reader.problem(
        key,
        wrong,
        "write `redis://[user:password@]host[:port][/database]` or `redis+unix:///path`: a port \
         below 65536, a database by its number, and in user and password `%2F` for `/`, `%40` for \
         `@`, `%3A` for `:`, `%23` for `#`, `%25` for `%`",
    );
    None
}
