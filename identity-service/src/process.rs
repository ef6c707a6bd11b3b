//! The service as a process of its own, and its own settings.

mod signal;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_chassis::config::{Common, Form, Reader, Setting, is_loopback_host};
use edge_ledger_chassis::limits::Bound;
use edge_ledger_chassis::run::{Parts, Service, StartError};
use edge_ledger_chassis::{KeysError, KeysFolder, Sealing};
use edge_ledger_core::limits::ADDRESSES_MAX;
use edge_ledger_store::Measured;
use http::Uri;

use crate::limits::{LINK_FIRST_MESSAGE, LINK_LIFE, Limits};
use crate::registration::Registration;
use crate::server::{BindError, Config, Server};
use signal::SignalSection;

const PER_MINUTE: Form = Form::Count {
    min: 1,
    max: 1_000_000,
};

const SETTINGS: [Setting; 11] = [
    Setting {
        key: "identity.ledger_urls",
        form: Form::Urls(ADDRESSES_MAX),
        default: "http://127.0.0.1:7420",
        meaning: "the ledger service as devices shall dial it, at each of its addresses; they are \
                  told them when they are made, and try them in this order",
    },
    Setting {
        key: "identity.identity_urls",
        form: Form::Urls(ADDRESSES_MAX),
        default: "",
        meaning: "further addresses of the identity service, likewise: devices try them after \
                  those with which they were made",
    },
    Setting {
        key: "identity.link_life",
        form: Form::Time {
            min: Duration::from_secs(1),
            max: LINK_LIFE,
        },
        default: "2m",
        meaning: "life of a link session, and so of the code that a device shows",
    },
    Setting {
        key: "identity.link_first_message",
        form: Form::Time {
            min: Duration::from_millis(100),
            max: Duration::from_secs(60),
        },
        default: "5s",
        meaning: "time to say whether a link is opened or joined",
    },
    Setting {
        key: "identity.challenges_per_minute",
        form: PER_MINUTE,
        default: "600",
        meaning: "challenges that an address (of IPv6: a /64) may ask for, and proofs that it may \
                  send; those of `limits.trusted_proxies` are not counted",
    },
    Setting {
        key: "identity.joins_per_minute",
        form: PER_MINUTE,
        default: "20",
        meaning: "link sessions that an address may join, guesses of codes among them",
    },
    Setting {
        key: "identity.registrations_per_minute",
        form: PER_MINUTE,
        default: "60",
        meaning: "identities that an address may register",
    },
    Setting {
        key: "identity.registration",
        form: Form::Word(&["open", "invite", "closed"]),
        default: "open",
        meaning: "who may register an identity: anybody, whoever has an invite that `edge-ledger \
                  keys invite` made, or nobody",
    },
    signal::STUN,
    signal::TURN,
    signal::TURN_SECRET,
];

/// What `[identity]` and `[signal]` say.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct IdentitySection {
    ledger_urls: Vec<String>,
    identity_urls: Vec<String>,
    link_life: Duration,
    link_first_message: Duration,
    challenges_per_minute: NonZeroU32,
    joins_per_minute: NonZeroU32,
    registrations_per_minute: NonZeroU32,
    registration: Registration,
    signal: SignalSection,
}

impl Limits {
    /// Those that an operator may change, by their settings.
    pub fn bounds(&self) -> Vec<Bound> {
        let time = |time: Duration| humantime::format_duration(time).to_string();
        let own = [
            ("identity.link_life", time(self.link_life)),
            ("identity.link_first_message", time(self.link_first_message)),
            (
                "identity.challenges_per_minute",
                self.challenges_per_minute.to_string(),
            ),
            (
                "identity.joins_per_minute",
                self.joins_per_minute.to_string(),
            ),
            (
                "identity.registrations_per_minute",
                self.registrations_per_minute.to_string(),
            ),
        ];
        let own = own.into_iter().map(|(name, value)| {
            let setting = SETTINGS.into_iter().find(|setting| setting.key == name);
            Bound {
                name,
                value,
                meaning: setting.map_or("", |setting| setting.meaning),
            }
        });
        self.connections.bounds().into_iter().chain(own).collect()
    }
}

impl Service for Server {
    const NAME: &'static str = "identity-service";
    const ABOUT: &'static str = "Who may speak: challenges, sessions, identity logs, links";
    const LISTEN: &'static str = "127.0.0.1:7410";
    const SETTINGS: &'static [Setting] = &SETTINGS;
    type Own = IdentitySection;
    type Secrets = Sealing;

    fn secrets(keys: &KeysFolder) -> Result<Sealing, Vec<KeysError>> {
        Sealing::load(keys.clone())
    }

    fn read(reader: &mut Reader, common: &Common) -> IdentitySection {
        let ledger_urls = told(reader, common, "identity.ledger_urls");
        if ledger_urls.is_empty() && !reader.has_problem("identity.ledger_urls") {
            reader.problem(
                "identity.ledger_urls",
                "devices would not be told where the ledger service is",
                "write at least one address",
            );
        }
        let identity_urls = told(reader, common, "identity.identity_urls");
        let mut count = |key, standard| {
            let count = reader
                .count(key)
                .and_then(|count| u32::try_from(count).ok());
            count.and_then(NonZeroU32::new).unwrap_or(standard)
        };
        let standard = Limits::default();
        let challenges = standard.challenges_per_minute;
        let registrations = standard.registrations_per_minute;
        let challenges_per_minute = count("identity.challenges_per_minute", challenges);
        let joins_per_minute = count("identity.joins_per_minute", standard.joins_per_minute);
        let registrations_per_minute = count("identity.registrations_per_minute", registrations);
        let registration = match reader.word("identity.registration") {
            Some("invite") => Registration::Invite,
            Some("closed") => Registration::Closed,
            _ => Registration::Open,
        };
        let signal = SignalSection::read(reader);
        let mut time = |key, standard| reader.time(key).unwrap_or(standard);
        IdentitySection {
            challenges_per_minute,
            joins_per_minute,
            registrations_per_minute,
            registration,
            signal,
            link_life: time("identity.link_life", LINK_LIFE),
            link_first_message: time("identity.link_first_message", LINK_FIRST_MESSAGE),
            ledger_urls,
            identity_urls,
        }
    }

    fn look(reader: &mut Reader, own: &mut IdentitySection) {
        own.signal.look(reader);
    }

    async fn start(parts: Parts<Sealing>, own: IdentitySection) -> Result<Self, StartError> {
        let limits = Limits {
            connections: parts.limits.clone(),
            link_life: own.link_life,
            link_first_message: own.link_first_message,
            challenges_per_minute: own.challenges_per_minute,
            joins_per_minute: own.joins_per_minute,
            registrations_per_minute: own.registrations_per_minute,
            registration: own.registration,
        };
        let bounds = limits.bounds();
        let operators = edge_ledger_operator::Config::of_process(&parts, Self::NAME, bounds);
        let config = Config {
            listen: parts.server.listen,
            audiences: parts.server.audiences,
            ledger_urls: own.ledger_urls,
            identity_urls: own.identity_urls,
            store: Arc::new(Measured::redis(parts.store)),
            genesis: parts.genesis,
            signer: parts.signer,
            sealing: parts.secrets,
            clock: parts.clock,
            limits,
            tls: parts.tls,
            ice: own.signal.ice,
            reflection: parts.server.reflection,
        };
        let server = Self::bind(config).await.map_err(|error| match error {
            BindError::Listen { listen, source } => StartError::Listen { listen, source },
            BindError::ServiceKey(error) => StartError::ServiceKey(error),
        })?;
        match operators {
            Some(operators) => Ok(server.with_operators(operators).await?),
            None => Ok(server),
        }
    }

    fn local_addr(&self) -> SocketAddr {
        self.local_addr()
    }

    async fn shutdown(self, grace: Duration) -> bool {
        self.shutdown(grace).await
    }
}

/// Addresses that devices are told, and what is wrong with any of them.
fn told(reader: &mut Reader, common: &Common, key: &'static str) -> Vec<String> {
    let urls = reader.urls(key);
    let on_loopback = |url: &Uri| is_loopback_host(url.host().unwrap_or_default());
    if !common.server.listen.ip().is_loopback() && urls.iter().any(on_loopback) {
        reader.problem(
            key,
            "devices elsewhere would look for the service on themselves",
            "write its address as devices shall dial it, such as `https://ledger.example:443`",
        );
    }
    let in_the_open = |url: &Uri| url.scheme_str() == Some("http") && !on_loopback(url);
    if urls.iter().any(in_the_open) && !common.accepts_plaintext {
        reader.problem(
            key,
            "devices would be told to dial it without TLS, which they refuse beyond loopback",
            "write its address with `https://`; or, where devices are told to accept that, \
             tls.accept_plaintext = true",
        );
    }
    let bare = |url: &Uri| url.to_string().trim_end_matches('/').to_owned();
    urls.iter().map(bare).collect()
}
