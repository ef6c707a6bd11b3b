//! The root key, its successors, and the key that can recover the identity.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::check::said_less_than;
use super::{IdentityLog, LogError};
use crate::identity::FormatError;
use crate::identity::genesis::next_key_hash;
use crate::identity::statement::{RotateReason, Signer};
use crate::keys::PublicKey;
use crate::limits::{
    RECOVERIES_MAX, RECOVERS_PER_KEY_MAX, RECOVERY_KEYS_PER_ROOT_MAX, ROTATIONS_MAX,
};

/// The key that can recover an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryKey {
    /// The key.
    pub key: PublicKey,
    /// How long a recovery can be vetoed, in milliseconds.
    pub veto_ms: u64,
    /// Position of the statement that set it.
    pub set_at: u64,
}

/// A recovery that waits for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Position of its statement, which a veto names.
    pub position: u64,
    /// The root key that it brings.
    pub root: PublicKey,
    /// Commitment to the root key after that.
    pub next_root_hash: [u8; 32],
    /// Service time from which it holds, in milliseconds since 1970.
    pub effective_ms: i64,
}

/// Who holds the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Roots {
    /// `None` if the identity's id is no key.
    root: Option<PublicKey>,
    /// Commitment to the root's successor, once the log is open.
    next: Option<[u8; 32]>,
    recovery: Option<RecoveryKey>,
    pending: Option<Recovery>,
    /// Rotations since the last recovery.
    rotations: usize,
    /// Recoveries that took effect.
    recoveries: usize,
    /// Position of the last of them; 0 if there was none.
    recovered_at: u64,
    /// Recovery keys that this root set.
    recovery_keys: usize,
    /// How often each key asked for a recovery.
    recovers: BTreeMap<[u8; 32], usize>,
}

impl Roots {
    pub(super) fn new(root: Option<PublicKey>) -> Self {
        Self {
            root,
            next: None,
            recovery: None,
            pending: None,
            rotations: 0,
            recoveries: 0,
            recovered_at: 0,
            recovery_keys: 0,
            recovers: BTreeMap::new(),
        }
    }

    pub(super) fn root(&self) -> Option<PublicKey> {
        self.root
    }

    pub(super) fn next(&self) -> Option<[u8; 32]> {
        self.next
    }

    pub(super) fn recovery_key(&self) -> Option<&RecoveryKey> {
        self.recovery.as_ref()
    }

    pub(super) fn recovered_at(&self) -> u64 {
        self.recovered_at
    }

    pub(super) fn pending(&self) -> Option<&Recovery> {
        self.pending.as_ref()
    }

    /// How they stand at a time: a recovery that nobody vetoed holds from its time on.
    pub(super) fn at(&self, now_ms: i64) -> Cow<'_, Self> {
        if self.pending.is_some_and(|r| r.effective_ms <= now_ms) {
            let mut later = self.clone();
            later.settle(now_ms);
            Cow::Owned(later)
        } else {
            Cow::Borrowed(self)
        }
    }

    pub(super) fn settle(&mut self, now_ms: i64) {
        let due = |recovery: &mut Recovery| recovery.effective_ms <= now_ms;
        if let Some(recovery) = self.pending.take_if(due) {
            self.root = Some(recovery.root);
            self.next = Some(recovery.next_root_hash);
            self.recoveries += 1;
            self.recovered_at = recovery.position;
            (self.rotations, self.recovery_keys) = (0, 0);
        }
    }

    pub(super) fn open(&mut self, next_root_hash: [u8; 32]) {
        self.next = Some(next_root_hash);
    }

    /// Whether the log committed to a key as a root that comes later.
    pub(super) fn commit_to(&self, hash: &[u8; 32]) -> bool {
        let pending = self.pending.as_ref().map(|r| &r.next_root_hash);
        self.next.as_ref() == Some(hash) || pending == Some(hash)
    }

    /// Whether a key is the successor that the log committed to.
    pub(super) fn is_next(&self, key: &PublicKey) -> bool {
        self.next == Some(next_key_hash(key))
    }

    /// What the old root began ends with it.
    pub(super) fn rotate(
        &mut self,
        root: PublicKey,
        next_root_hash: [u8; 32],
        reason: RotateReason,
    ) {
        (self.root, self.next, self.pending) = (Some(root), Some(next_root_hash), None);
        self.rotations += 1;
        self.recovery_keys = 0;
        if reason == RotateReason::Compromised {
            self.recovery = None;
        }
    }

    /// What the earlier recovery key began ends with it.
    pub(super) fn set_recovery(&mut self, key: RecoveryKey) {
        (self.recovery, self.pending) = (Some(key), None);
        self.recovery_keys += 1;
    }

    pub(super) fn recover(&mut self, by: &PublicKey, recovery: Recovery) {
        *self.recovers.entry(*by.as_bytes()).or_default() += 1;
        self.pending = Some(recovery);
    }

    pub(super) fn veto(&mut self) {
        self.pending = None;
    }
}

pub(super) fn check_veto(roots: &Roots, position: u64) -> Result<(), LogError> {
    match roots.pending {
        Some(recovery) if recovery.position == position => Ok(()),
        Some(_) | None => Err(LogError::NothingPending),
    }
}

impl IdentityLog {
    /// How long a recovery can be vetoed.
    pub(super) fn veto_ms(&self, roots: &Roots) -> u64 {
        let own = roots.recovery.map(|recovery| recovery.veto_ms);
        own.unwrap_or(self.genesis.periods().veto_ms)
    }

    pub(super) fn check_rotation(
        &self,
        roots: &Roots,
        root: &PublicKey,
        next_root_hash: &[u8; 32],
    ) -> Result<(), LogError> {
        self.check_commitment(roots, root, next_root_hash)?;
        said_less_than(ROTATIONS_MAX, Some(&roots.rotations))
    }

    /// An identity may only lengthen the time in which it can be saved from its own recovery key.
    pub(super) fn check_recovery_key(
        &self,
        roots: &Roots,
        key: &PublicKey,
        veto_ms: Option<u64>,
    ) -> Result<(), LogError> {
        self.check_fresh_key(roots, key)?;
        if veto_ms.is_some_and(|veto_ms| veto_ms < self.genesis.periods().veto_ms) {
            return Err(FormatError::Field("the veto time").into());
        }
        said_less_than(RECOVERY_KEYS_PER_ROOT_MAX, Some(&roots.recovery_keys))
    }

    pub(super) fn check_recovery(
        &self,
        roots: &Roots,
        root: &PublicKey,
        next_root_hash: &[u8; 32],
        by: Option<Signer>,
    ) -> Result<(), LogError> {
        self.check_fresh_key(roots, root)?;
        self.check_commitment(roots, root, next_root_hash)?;
        if roots.pending.is_some() {
            return Err(LogError::RecoveryPending);
        }
        let asked = by.and_then(|by| roots.recovers.get(by.key().as_bytes()));
        said_less_than(RECOVERS_PER_KEY_MAX, asked)?;
        said_less_than(RECOVERIES_MAX, Some(&roots.recoveries))
    }

    /// A key has one role, and enters once; what the log commits to enters as a root alone.
    pub(super) fn check_fresh_key(&self, roots: &Roots, key: &PublicKey) -> Result<(), LogError> {
        self.check_fresh_hash(roots, &next_key_hash(key))
    }

    /// The root after a new one must be another key, and one that is still without a role.
    pub(super) fn check_commitment(
        &self,
        roots: &Roots,
        root: &PublicKey,
        next_root_hash: &[u8; 32],
    ) -> Result<(), LogError> {
        if next_key_hash(root) == *next_root_hash {
            return Err(LogError::KeyReused);
        }
        self.check_fresh_hash(roots, next_root_hash)
    }

    fn check_fresh_hash(&self, roots: &Roots, hash: &[u8; 32]) -> Result<(), LogError> {
        if self.keys.contains(hash) || roots.commit_to(hash) {
            Err(LogError::KeyReused)
        } else {
            Ok(())
        }
    }
}
