//! `keys rotate`: a new service key, which services go over to by themselves.

use std::fmt;
use std::path::PathBuf;

use edge_ledger_chassis::KeysFolder;
use edge_ledger_chassis::keys::Rotated;
use serde::Serialize;

use crate::args::KeysRotate;
use crate::explain::Failure;
use crate::folders::absolute;
use crate::output::Output;

/// What was made, and what is to be done with it.
#[derive(Debug, Serialize)]
struct Made {
    serial: u64,
    /// Serial of the key before, which stays.
    kept: u64,
    /// Serials of those that were removed.
    retired: Vec<u64>,
    dir: PathBuf,
    /// The new files, in the order in which replicas get them.
    files: [String; 2],
}

pub(super) async fn run(options: &KeysRotate, output: &Output) -> Result<(), Failure> {
    let Rotated {
        serial,
        files,
        kept,
        retired,
    } = KeysFolder::at(&options.dir).rotate(options.root.as_deref())?;
    output
        .print(&Made {
            serial,
            kept,
            retired,
            dir: absolute(&options.dir),
            files,
        })
        .await
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { serial, kept, .. } = self;
        let [key, certificate] = &self.files;
        writeln!(f, "Made service key {serial}; key {kept} stays for now.")?;
        writeln!(f, "  folder     {}", self.dir.display())?;
        writeln!(f, "  new files  {key}, {certificate}")?;
        let retired: Vec<String> = self.retired.iter().map(u64::to_string).collect();
        if !retired.is_empty() {
            writeln!(f, "  removed    key {}", retired.join(", "))?;
        }
        write!(
            f,
            "Services that read this folder sign with it within seconds; their log says so.\n\
             Next:  back the folder up, and copy {key} and then {certificate} to every replica that \
             has a folder of its own"
        )
    }
}
