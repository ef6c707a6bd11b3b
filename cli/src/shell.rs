//! `completions` and `man`: what shells and manuals want to know, from what can be typed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde::Serialize;

use crate::args::Cli;
use crate::explain::Failure;
use crate::output::Output;

const PROGRAM: &str = "edge-ledger";

/// The script for a shell.
#[derive(Debug, Serialize)]
struct Script {
    shell: String,
    script: String,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.script.trim_end())
    }
}

pub(crate) async fn completions(shell: Shell, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    let script = Script {
        shell: shell.to_string(),
        script: String::from_utf8_lossy(&script).into_owned(),
    };
    output.print(&script).await
}

/// The pages that were written.
#[derive(Debug, Serialize)]
struct Pages {
    dir: PathBuf,
    pages: Vec<String>,
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, dir) = (self.pages.len(), self.dir.display());
        write!(f, "Wrote {count} pages.\nNext:  man -l {dir}/{PROGRAM}.1")
    }
}

pub(crate) async fn man(dir: &Path, output: &Output) -> Result<(), Failure> {
    let unusable = |error| {
        let message = format!("cannot write manual pages to {}: {error}", dir.display());
        Failure::refused("MAN_IO", message).next("give a folder that you can write with --dir DIR")
    };
    fs::create_dir_all(dir).map_err(unusable)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(unusable)?;
    let mut pages = Vec::new();
    for page in fs::read_dir(dir).map_err(unusable)? {
        let name = page.map_err(unusable)?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PROGRAM) && name.ends_with(".1") {
            pages.push(name.into_owned());
        }
    }
    pages.sort();
    let dir = dir.to_owned();
    output.print(&Pages { dir, pages }).await
}
