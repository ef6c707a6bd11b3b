//! `keys rotate`: a new service key or sealing key, which services go over to by themselves.

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
    #[serde(skip)]
    is_sealing: bool,
    serial: u64,
    /// Serial of the key before, which stays.
    kept: u64,
    /// Serials of those that were removed.
    retired: Vec<u64>,
    dir: PathBuf,
    /// The new files, in the order in which replicas get them.
    files: Vec<String>,
}

pub(super) async fn run(options: &KeysRotate, output: &Output) -> Result<(), Failure> {
    let folder = KeysFolder::at(&options.dir);
    let rotated = if options.sealing {
        folder.rotate_sealing()?
    } else {
        folder.rotate(options.root.as_deref())?
    };
    let Rotated {
        serial,
        files,
        kept,
        retired,
    } = rotated;
    output
        .print(&Made {
            is_sealing: options.sealing,
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
        let what = if self.is_sealing {
            "sealing"
        } else {
            "service"
        };
        writeln!(f, "Made {what} key {serial}; key {kept} stays for now.")?;
        writeln!(f, "  folder     {}", self.dir.display())?;
        writeln!(f, "  new files  {}", self.files.join(", "))?;
        let retired: Vec<String> = self.retired.iter().map(u64::to_string).collect();
        if !retired.is_empty() {
            writeln!(f, "  removed    key {}", retired.join(", "))?;
        }
        let (does, to) = if self.is_sealing {
            (
                "Identity services that read this folder open with it within seconds, and seal with \
                 it after five minutes",
                "to every replica of the identity service that has a folder of its own, until then",
            )
        } else {
            (
                "Services that read this folder sign with it within seconds",
                "to every replica that has a folder of its own",
            )
        };
        let files = self.files.join(" and then ");
        write!(
            f,
            "{does}; their log says so.\nNext:  back the folder up, and copy {files} {to}"
        )
    }
}
