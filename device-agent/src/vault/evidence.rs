//! Evidence of a forked identity log, kept in the home folder until a person takes it away.

use std::fs;
use std::path::{Path, PathBuf};

use edge_ledger_core::identity::{Evidence, Genesis};
use edge_ledger_core::ids::IdentityId;

use super::{io_error, write_new};
use crate::error::HomeError;

const BEGINS: &str = "evidence-";
const ENDS: &str = ".bin";

/// Keeps evidence. There is one file of each position: the first that was seen.
///
/// # Errors
/// [`HomeError::Io`].
pub(crate) fn keep_evidence(folder: &Path, evidence: &Evidence) -> Result<PathBuf, HomeError> {
    let name = format!("{BEGINS}{}{ENDS}", evidence.position());
    let path = folder.join(&name);
    if !path.exists() {
        write_new(folder, &name, evidence.bytes()).map_err(|e| io_error(&path, e))?;
    }
    Ok(path)
}

/// The evidence of the earliest position that a folder keeps of an identity, if any. A file that
/// proves nothing is none.
///
/// # Errors
/// [`HomeError::Io`].
pub(crate) fn evidence(
    folder: &Path,
    genesis: &Genesis,
    identity: IdentityId,
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
        let is_ours = evidence.genesis() == genesis && evidence.identity() == identity;
        let is_earlier = found
            .as_ref()
            .is_none_or(|(position, _)| evidence.position() < *position);
        if is_ours && is_earlier {
            found = Some((evidence.position(), path));
        }
    }
    Ok(found)
}
