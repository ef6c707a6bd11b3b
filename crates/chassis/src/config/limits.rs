//! `[limits]`: the bounds of connections that an operator may change.

use std::time::Duration;

use super::reader::Reader;
use super::setting::{Form, Setting};
use crate::limits::Limits;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) const SETTINGS: [Setting; 4] = [
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

pub(super) fn read(reader: &mut Reader) -> Limits {
    let standard = Limits::default();
    let connections_max = reader.count("limits.connections_max");
    let connections_max = connections_max.and_then(|count| usize::try_from(count).ok());
    let mut time = |key, standard| reader.time(key).unwrap_or(standard);
    Limits {
        connections_max: connections_max.unwrap_or(standard.connections_max),
        first_request: time("limits.first_request", standard.first_request),
        keepalive_interval: time("limits.keepalive_interval", standard.keepalive_interval),
        keepalive_timeout: time("limits.keepalive_timeout", standard.keepalive_timeout),
        ..standard
    }
}
