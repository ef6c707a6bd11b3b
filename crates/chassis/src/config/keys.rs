//! `[keys]`: the folder of a deployment's keys.

use std::path::PathBuf;

use super::reader::Reader;
use super::setting::{Form, Setting};

pub(super) const SETTINGS: [Setting; 1] = [Setting {
    key: "keys.dir",
    form: Form::Path,
    default: "",
    meaning: "folder with `genesis`, `service.key`, `service.cert` and, for the identity service, \
              `sealing.key`, as `edge-ledger keys init` makes them, and those that followed them; \
              the roots need not be there",
}];

pub(super) fn read(reader: &mut Reader) -> PathBuf {
    let folder = reader.path("keys.dir");
    if folder.is_none() && !reader.has_problem("keys.dir") {
        reader.problem(
            "keys.dir",
            "the service has no keys",
            "make them once with `edge-ledger keys init --dir DIR`, and write that folder",
        );
    }
    folder.unwrap_or_default()
}
