//! `[limits]`: the bounds of connections that an operator may change.

use std::time::Duration;

use super::reader::Reader;
use super::setting::{Form, Setting};
use crate::limits::{Bound, Limits};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) const SETTINGS: [Setting; 8] = [
    Setting {
        key: "limits.connections_max",
        form: Form::Count {
            min: 1,
            max: 1_000_000,
        },
        default: "16384",
        meaning: "connections that are open at once; further ones are closed",
    },
    Setting {
        key: "limits.connections_per_address_max",
        form: Form::Count {
            min: 1,
            max: 1_000_000,
        },
        default: "50",
        meaning: "connections of one address (of IPv6: of its /64) that are open at once",
    },
    Setting {
        key: "limits.trusted_proxies",
        form: Form::Networks,
        default: "127.0.0.0/8, ::1/128",
        meaning: "networks of balancers and gateways, whose connections are not counted by \
                  address, since each stands for many clients",
    },
    Setting {
        key: "limits.connection_age",
        form: Form::Time {
            min: Duration::from_secs(10),
            max: DAY,
        },
        default: "30m",
        meaning: "age at which a connection is told to end, give or take a tenth, so that \
                  clients spread over replicas",
    },
    Setting {
        key: "limits.connection_age_grace",
        form: Form::Time {
            min: Duration::ZERO,
            max: HOUR,
        },
        default: "10s",
        meaning: "time that its calls have to end then",
    },
    Setting {
        key: "limits.first_request",
        form: Form::Time {
            min: Duration::from_millis(100),
            max: Duration::from_secs(60),
        },
        default: "5s",
        meaning: "time from the accept to the first request",
    },
    Setting {
        key: "limits.keepalive_interval",
        form: Form::Time {
            min: SECOND,
            max: HOUR,
        },
        default: "20s",
        meaning: "silence after which a connection is asked whether it lives",
    },
    Setting {
        key: "limits.keepalive_timeout",
        form: Form::Time {
            min: SECOND,
            max: HOUR,
        },
        default: "10s",
        meaning: "time that it has to answer",
    },
];

impl Limits {
    /// Those that an operator may change, by their settings.
    pub fn bounds(&self) -> Vec<Bound> {
        let time = |time: Duration| humantime::format_duration(time).to_string();
        let networks = self.trusted_proxies.iter().map(ToString::to_string);
        let values = [
            self.connections_max.to_string(),
            self.connections_per_address_max.to_string(),
            networks.collect::<Vec<_>>().join(", "),
            time(self.connection_age),
            time(self.connection_age_grace),
            time(self.first_request),
            time(self.keepalive_interval),
            time(self.keepalive_timeout),
        ];
        let bounds = SETTINGS.into_iter().zip(values);
        let bounds = bounds.map(|(setting, value)| Bound {
            name: setting.key,
            value,
            meaning: setting.meaning,
        });
        bounds.collect()
    }
}

pub(super) fn read(reader: &mut Reader) -> Limits {
    let standard = Limits::default();
    let count = |reader: &mut Reader, key, standard| {
        let count = reader.count(key);
        count
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(standard)
    };
    let time = |reader: &mut Reader, key, standard| reader.time(key).unwrap_or(standard);
    Limits {
        connections_max: count(reader, "limits.connections_max", standard.connections_max),
        connections_per_address_max: count(
            reader,
            "limits.connections_per_address_max",
            standard.connections_per_address_max,
        ),
        trusted_proxies: reader.networks("limits.trusted_proxies"),
        connection_age: time(reader, "limits.connection_age", standard.connection_age),
        connection_age_grace: time(
            reader,
            "limits.connection_age_grace",
            standard.connection_age_grace,
        ),
        first_request: time(reader, "limits.first_request", standard.first_request),
        keepalive_interval: time(
            reader,
            "limits.keepalive_interval",
            standard.keepalive_interval,
        ),
        keepalive_timeout: time(
            reader,
            "limits.keepalive_timeout",
            standard.keepalive_timeout,
        ),
    }
}
