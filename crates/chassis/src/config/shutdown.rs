//! `[shutdown]`: how a service ends.

use std::time::Duration;

use super::reader::Reader;
use super::setting::{Form, Setting};
use crate::limits::DRAIN_GRACE_MAX;

pub(super) const SETTINGS: [Setting; 1] = [Setting {
    key: "shutdown.grace",
    form: Form::Time {
        min: Duration::ZERO,
        max: DRAIN_GRACE_MAX,
    },
    default: "4s",
    meaning: "time that open calls have to end after SIGTERM; what is left then is ended, and the \
              process is gone 5 s after the signal",
}];

pub(super) fn read(reader: &mut Reader) -> Duration {
    reader.time("shutdown.grace").unwrap_or_default()
}
