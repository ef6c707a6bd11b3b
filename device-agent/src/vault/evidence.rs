//! Evidence of forked identity logs, kept in the home folder until a person takes it away.

use std::fs;
use std::path::{Path, PathBuf};

use edge_ledger_core::identity::{Evidence, IdentityLog, LogHead};

use super::{io_error, write_new};
use crate::error::HomeError;

const BEGINS: &str = "evidence-";
const ENDS: &str = ".bin";

fn name_of(position: u64) -> String {
    format!("{BEGINS}{position}{ENDS}")
}

/// Where the evidence of a position is kept.
pub(crate) fn evidence_file(folder: &Path, position: u64) -> PathBuf {
    folder.join(name_of(position))
}

/// Keeps evidence. There is one file of each position: the first that was seen.
///
/// # Errors
/// [`HomeError::Io`].
pub(crate) fn keep_evidence(folder: &Path, evidence: &Evidence) -> Result<(), HomeError> {
    let path = evidence_file(folder, evidence.position());
    if !path.exists() {
        let name = name_of(evidence.position());
        write_new(folder, &name, evidence.bytes()).map_err(|e| io_error(&path, e))?;
    }
    Ok(())
}

/// The evidence of the latest position that a folder keeps of a fork of this log that was settled,
/// if any. A file that proves nothing is none.
///
/// # Errors
/// [`HomeError::Io`].
pub(crate) fn settled_evidence(
    folder: &Path,
    log: &IdentityLog,
) -> Result<Option<(u64, PathBuf)>, HomeError> {
    let mut found: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(folder).map_err(|e| io_error(folder, e))? {
        let path = entry.map_err(|e| io_error(folder, e))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let is_named = name.is_some_and(|name| name.starts_with(BEGINS) && name.ends_with(ENDS));
        if !is_named {
            continue;
        }
        let bytes = fs::read(&path).map_err(|e| io_error(&path, e))?;
        let Ok(evidence) = Evidence::decode(bytes.into()) else {
            continue;
        };
        let position = evidence.position();
        let heads = evidence.hashes().map(|hash| LogHead { position, hash });
        let is_settled = evidence.genesis() == log.genesis()
            && evidence.identity() == log.identity()
            && heads.iter().any(|head| log.has_abandoned(*head));
        let is_later = found.as_ref().is_none_or(|(known, _)| position > *known);
        if is_settled && is_later {
            found = Some((position, path));
        }
    }
    Ok(found)
}
