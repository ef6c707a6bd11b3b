//! `[admin]`: where probes and metrics are asked for.

use std::net::SocketAddr;

use super::reader::Reader;
use super::setting::{Form, Setting};

pub(super) const SETTINGS: [Setting; 1] = [Setting {
    key: "admin.listen",
    form: Form::OptionalAddress,
    default: "",
    meaning: "where the service answers probes and gives its metrics, in plain HTTP: `/livez`, \
              `/readyz`, `/metrics`, `/version`; nowhere if it is not set",
}];

pub(super) fn read(reader: &mut Reader) -> Option<SocketAddr> {
    reader.address("admin.listen")
}
