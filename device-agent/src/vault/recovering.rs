//! An identity that is being recovered in a folder in which no device lives yet. The state outlives
//! the keys: until the person has seen to the other devices.
//!
//! | file | what |
//! | --- | --- |
//! | `recovering-identity.key` | the root key that it gets |
//! | `recovering-next-identity.key` | the one that comes after it |
//! | `recovering.json` | the identity, the deployment, and when the recovery takes effect |

use std::fs;
use std::io;
use std::path::Path;

use edge_ledger_core::ids::{IdentityId, LedgerId};
use edge_ledger_core::keys::SecretKey;
use serde::{Deserialize, Serialize};

use super::{Vault, damaged, io_error, remove, replace};
use crate::addresses::Addresses;
use crate::error::HomeError;

const STATE: &str = "recovering.json";
const ROOT_KEY: &str = "recovering-identity.key";
const NEXT_ROOT_KEY: &str = "recovering-next-identity.key";

/// What is known of a recovery that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recovering {
    /// The identity.
    pub(crate) identity: IdentityId,
    /// The deployment.
    pub(crate) ledger_id: LedgerId,
    /// Addresses of the identity service.
    pub(crate) identity_urls: Addresses,
    /// When it takes effect, once the log has it, in milliseconds since 1970.
    pub(crate) effective_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    identity: String,
    ledger_id: String,
    identity_urls: Vec<String>,
    effective_ms: Option<i64>,
}

impl Recovering {
    /// Reads what a folder knows. It is replaced whole, so no lock is needed.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, HomeError> {
        let path = folder.join(STATE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&path, error)),
        };
        let file: StateFile = serde_json::from_slice(&bytes).map_err(|e| damaged(&path, &e))?;
        Ok(Some(Self {
            identity: file.identity.parse().map_err(|e| damaged(&path, &e))?,
            ledger_id: file.ledger_id.parse().map_err(|e| damaged(&path, &e))?,
            identity_urls: Addresses::new(file.identity_urls).map_err(|e| damaged(&path, &e))?,
            effective_ms: file.effective_ms,
        }))
    }
}

impl Vault {
    /// Writes what is known of a recovery.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn save_recovering(&self, state: &Recovering) -> Result<(), HomeError> {
        let path = self.folder.join(STATE);
        let file = StateFile {
            identity: state.identity.to_string(),
            ledger_id: state.ledger_id.to_string(),
            identity_urls: state.identity_urls.to_vec(),
            effective_ms: state.effective_ms,
        };
        let text = serde_json::to_vec_pretty(&file).map_err(|e| damaged(&path, &e))?;
        replace(&self.folder, STATE, &text).map_err(|e| io_error(&path, e))
    }

    /// The root keys that the identity gets: those of a run that was interrupted, or fresh ones
    /// that are written first.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn recovering_keys(
        &self,
        fresh_seeds: [[u8; 32]; 2],
    ) -> Result<(SecretKey, SecretKey), HomeError> {
        let [root, next] = fresh_seeds;
        Ok((
            self.key_or(ROOT_KEY, root)?,
            self.key_or(NEXT_ROOT_KEY, next)?,
        ))
    }

    /// Forgets the keys of a recovery that is done: they are the root keys here.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn forget_recovering_keys(&self) -> Result<(), HomeError> {
        remove(&self.folder, &[ROOT_KEY, NEXT_ROOT_KEY])
    }

    /// Forgets a recovery that was vetoed.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn forget_recovering(&self) -> Result<(), HomeError> {
        forget(&self.folder)
    }
}

/// Forgets a recovery. The state goes last: while it is there, so may be keys.
pub(crate) fn forget(folder: &Path) -> Result<(), HomeError> {
    remove(folder, &[ROOT_KEY, NEXT_ROOT_KEY, STATE])
}
