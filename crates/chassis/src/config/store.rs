//! `[store]`: where identities live.

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

/// Where identities live.
#[expect(missing_debug_implementations, reason = "may hold a password")]
pub struct StoreSection {
    /// The server.
    pub url: RedisUrl,
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
    /// As the store takes it.
    pub fn redis(&self) -> RedisConfig {
        let mut config = RedisConfig::new(self.url.0.as_str());
        config.accept_loss_window = self.accept_loss_window;
        config.declared_appendfsync = self.declared_appendfsync;
        config.response_timeout = self.response_timeout;
        config.load_timeout = self.load_timeout;
        config
    }
}

pub(super) fn read(reader: &mut Reader) -> StoreSection {
    let kind = reader.word("store.kind");
    let url = read_url(reader, kind == Some("redis"));
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
        url,
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

fn read_url(reader: &mut Reader, is_needed: bool) -> RedisUrl {
    let url = reader.secret("store.url");
    let file = reader.path("store.url_file");
    let (key, url) = match (url, file) {
        (Some(_), Some(_)) => {
            reader.problem(
                "store.url_file",
                "store.url is set as well, and only one of them can hold",
                "write one of the two: the file, if there is a password",
            );
            ("store.url", None)
        }
        (Some(url), None) => ("store.url", Some(url)),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => ("store.url_file", Some(text.trim().to_owned())),
            Err(error) => {
                reader.problem(
                    "store.url_file",
                    format!("cannot read {}: {error}", path.display()),
                    "write a file that the service may read, with the address in it",
                );
                ("store.url_file", None)
            }
        },
        (None, None) if is_needed => {
            reader.problem(
                "store.url",
                "the address of Redis is not set",
                "write `redis://HOST:PORT`, or with a password store.url_file",
            );
            ("store.url", None)
        }
        (None, None) => ("store.url", None),
    };
    // What is wrong is said without the text, which may hold a password.
    if let Some(url) = &url
        && !SCHEMES.iter().any(|scheme| url.starts_with(scheme))
    {
        let wrong = if url.starts_with("rediss://") {
            "TLS to Redis is not built in"
        } else {
            "it is no address of Redis"
        };
        reader.problem(key, wrong, "write `redis://[user:password@]host[:port]`");
    }
    RedisUrl(Zeroizing::new(url.unwrap_or_default()))
}
