//! The root keys in a home folder, and how they move up when the log says that they were rotated.
//!
//! The log alone says which key is the root. A key is on the disk before anything is sent that
//! names it, and is given up only when a receipted log has another in its place; so whatever is
//! interrupted goes on from the files and the log.

use std::path::Path;

use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::{Act, IdentityLog};
use edge_ledger_core::keys::{PublicKey, SecretKey};

use super::{Vault, damaged, key_or, read_key, recovering, remove, rename};
use crate::error::HomeError;

const ROOT_KEY: &str = "identity.key";
const NEXT_ROOT_KEY: &str = "next-identity.key";
const LATER_ROOT_KEY: &str = "later-identity.key";
const RETIRED_ROOT_KEY: &str = "retired-identity.key";
const RETIRED_NEXT_ROOT_KEY: &str = "retired-next-identity.key";
const RETIRED_LATER_ROOT_KEY: &str = "retired-later-identity.key";

/// The root keys that a folder has.
#[derive(Default)]
pub(crate) struct RootKeys {
    /// The identity's root key.
    pub(crate) root: Option<SecretKey>,
    /// The one that comes next.
    pub(crate) next: Option<SecretKey>,
    /// The one after that, while a rotation is under way.
    pub(crate) later: Option<SecretKey>,
}

/// Reads the root keys of a folder. Each file is written once and renamed whole, so no lock is
/// needed.
///
/// # Errors
/// [`HomeError`].
pub(crate) fn root_keys(folder: &Path) -> Result<RootKeys, HomeError> {
    Ok(RootKeys {
        root: read_key(folder, ROOT_KEY)?,
        next: read_key(folder, NEXT_ROOT_KEY)?,
        later: read_key(folder, LATER_ROOT_KEY)?,
    })
}

/// The key that is to come after the next: the one that a rotation which was interrupted has
/// written, or a fresh one.
///
/// # Errors
/// [`HomeError`].
pub(crate) fn later_root_key(folder: &Path, fresh_seed: [u8; 32]) -> Result<SecretKey, HomeError> {
    key_or(folder, LATER_ROOT_KEY, fresh_seed)
}

/// Takes the root keys off a device.
///
/// # Errors
/// [`HomeError::Io`].
pub(crate) fn remove_root_keys(folder: &Path) -> Result<(), HomeError> {
    // What a recovery left that was killed at its very end.
    recovering::forget(folder)?;
    remove(
        folder,
        &[
            LATER_ROOT_KEY,
            ROOT_KEY,
            NEXT_ROOT_KEY,
            RETIRED_ROOT_KEY,
            RETIRED_NEXT_ROOT_KEY,
            RETIRED_LATER_ROOT_KEY,
        ],
    )
}

impl Vault {
    /// The identity's root key: the one in the folder, or a fresh one that is written first.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn root_key(&self, fresh_seed: [u8; 32]) -> Result<SecretKey, HomeError> {
        self.key_or(ROOT_KEY, fresh_seed)
    }

    /// The root key that comes next, likewise.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn next_root_key(&self, fresh_seed: [u8; 32]) -> Result<SecretKey, HomeError> {
        self.key_or(NEXT_ROOT_KEY, fresh_seed)
    }

    /// Whether the folder has no other root keys than these: those of an `init` that was
    /// interrupted, say, which are of another identity.
    ///
    /// # Errors
    /// [`HomeError::Damaged`] naming the file that is in the way.
    pub(crate) fn has_room_for_root_keys(
        &self,
        root: &SecretKey,
        next: Option<&SecretKey>,
    ) -> Result<(), HomeError> {
        let keys = root_keys(&self.folder)?;
        let public = |key: Option<&SecretKey>| key.map(SecretKey::public_key);
        for (name, found, own) in [
            (ROOT_KEY, keys.root.as_ref(), Some(root)),
            (NEXT_ROOT_KEY, keys.next.as_ref(), next),
        ] {
            if found.is_some() && public(found) != public(own) {
                let why = "it is a root key of another identity; give another folder";
                return Err(damaged(&self.folder.join(name), &why));
            }
        }
        Ok(())
    }

    /// Moves the root keys up when the log has the next one as the root, and puts those aside that
    /// were the root once and are no longer.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn settle_root_keys(&self, log: &IdentityLog) -> Result<(), HomeError> {
        let folder = &self.folder;
        let now = log.time();
        let Some(root) = log.root(now) else {
            return Ok(());
        };
        let is_root =
            |key: &Option<SecretKey>| key.as_ref().is_some_and(|k| k.public_key() == root);
        let keys = root_keys(folder)?;
        if !is_root(&keys.root) {
            if is_root(&keys.next) {
                // In place of the old root, which signs nothing any more.
                rename(folder, NEXT_ROOT_KEY, ROOT_KEY)?;
            } else if keys
                .root
                .as_ref()
                .is_some_and(|key| was_root(log, &key.public_key()))
            {
                rename(folder, ROOT_KEY, RETIRED_ROOT_KEY)?;
                if keys.next.is_some() {
                    rename(folder, NEXT_ROOT_KEY, RETIRED_NEXT_ROOT_KEY)?;
                }
                // Of a rotation that comes too late.
                if keys.later.is_some() {
                    rename(folder, LATER_ROOT_KEY, RETIRED_LATER_ROOT_KEY)?;
                }
            }
        }
        let keys = root_keys(folder)?;
        let committed = log.next_root_hash(now);
        let is_committed = |key: &SecretKey| committed == Some(next_key_hash(&key.public_key()));
        if is_root(&keys.root)
            && keys.next.is_none()
            && keys.later.as_ref().is_some_and(is_committed)
        {
            rename(folder, LATER_ROOT_KEY, NEXT_ROOT_KEY)?;
        }
        Ok(())
    }
}

/// Whether the log ever had a key as the root.
fn was_root(log: &IdentityLog, key: &PublicKey) -> bool {
    let is_first = key.as_bytes() == log.identity().as_bytes();
    is_first
        || log
            .records_after(0)
            .iter()
            .any(|record| match &record.statement.body().act {
                Act::RotateRoot { root, .. } | Act::Recover { root, .. } => root == key,
                Act::Incept { .. }
                | Act::AddDevice { .. }
                | Act::Revoke { .. }
                | Act::Replace { .. }
                | Act::Rename { .. }
                | Act::RecoverFork { .. }
                | Act::SetRecovery { .. }
                | Act::Veto { .. }
                | Act::EnrolmentKey { .. }
                | Act::RevokeEnrolment { .. } => false,
            })
}
