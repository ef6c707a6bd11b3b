//! The identity's root key and recovery key, by a device that holds or watches them.

use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, IdentityLog, RotateReason};
use edge_ledger_core::keys::SecretKey;

use super::Agent;
use crate::engine::Command;
use crate::error::{AgentError, RootError};
use crate::identity_client::IdentitySession;
use crate::statement;
use crate::vault;
use crate::words::RecoveryWords;

/// The reason of a refusal of a signer who may not do what was asked for.
const FORBIDDEN: &str = "FORBIDDEN";

/// What is known of an identity's recovery key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryStatus {
    /// The key, if one is set.
    pub key: Option<RecoveryKeyInfo>,
    /// How long a recovery waits, in milliseconds.
    pub veto_ms: u64,
    /// A recovery that was asked for, and not vetoed; it takes effect by time alone.
    pub pending: Option<PendingRecovery>,
    /// A recovery whose time has come, and whose root key said nothing yet: it cannot be vetoed, and
    /// the root keys of before are worth nothing.
    pub in_effect: Option<PendingRecovery>,
}

/// A recovery key that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryKeyInfo {
    /// Log position that set it.
    pub set_at: u64,
    /// Service time of that, in milliseconds since 1970.
    pub since_ms: i64,
}

/// A recovery that waits, or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRecovery {
    /// Log position that asked for it.
    pub position: u64,
    /// Service time at which it takes effect, in milliseconds since 1970.
    pub effective_ms: i64,
}

impl Agent {
    /// Puts the next root key, to which the log commits, in the root key's place, and makes a new
    /// next one. A compromised root is rotated twice: what took the root key can have taken the
    /// next one, which lies beside it. Run again after an interruption, it finishes what was begun.
    /// Returns how many rotations this call saw done. Backups made before are outdated.
    ///
    /// # Errors
    /// [`AgentError::NoRootKey`], [`RootError::NoNextRootKey`], [`RootError::StaleRootKey`];
    /// [`AgentError::Unreachable`]; [`AgentError::Refused`].
    pub async fn rotate(&self, reason: RotateReason) -> Result<u32, AgentError> {
        let _turn = self.shared.roots.lock().await;
        let home = &self.shared.home;
        // Without the keys nothing has to be asked.
        let before = vault::root_keys(home)?;
        if before.root.is_none() && before.next.is_none() {
            return Err(AgentError::NoRootKey);
        }
        let (mut session, log) = self.latest_log().await?;
        // The log that was just taken over may have moved the keys up.
        let resumed = before.later.is_some() && vault::root_keys(home)?.later.is_none();
        let wanted = match (reason, resumed) {
            (RotateReason::Routine, _) => 1,
            // Whoever took the keys has those two that were there.
            (RotateReason::Compromised, true) if last_reason(&log) != Some(reason) => 3,
            (RotateReason::Compromised, _) => 2,
        };
        let mut done = u32::from(resumed);
        while done < wanted {
            self.rotate_once(&mut session, reason).await?;
            done += 1;
        }
        Ok(done)
    }

    async fn rotate_once(
        &self,
        session: &mut IdentitySession,
        reason: RotateReason,
    ) -> Result<(), AgentError> {
        let (home, log) = (&self.shared.home, self.log());
        let keys = vault::root_keys(home)?;
        let root = keys.root.ok_or(RootError::StaleRootKey)?;
        // A new key is written when nothing but the service is in the way.
        check_root(&log, &root, session.began_ms())?;
        let next = keys.next.ok_or(RootError::NoNextRootKey)?;
        if log.next_root_hash(log.time()) != Some(next_key_hash(&next.public_key())) {
            return Err(RootError::NoNextRootKey.into());
        }
        let later = vault::later_root_key(home, rand::random())?;
        let (public, next_root_hash) = (next.public_key(), next_key_hash(&later.public_key()));
        let is_done = |log: &IdentityLog| log.is_root(&public, log.time());
        let act = |_: &IdentityLog| Act::RotateRoot {
            root: public,
            next_root_hash,
            reason,
        };
        let keys = [SigningAs::Root(&next)];
        let said = statement::append(session, &log, is_done, act, &keys).await;
        let parts = said.map_err(|error| {
            // The root key that this follows was the root when the session began.
            let is_late = matches!(&error, AgentError::Refused(r) if r.reason == FORBIDDEN);
            match is_late {
                true => RootError::StaleRootKey.into(),
                false => error,
            }
        })?;
        // Taking it over moves the keys up, too.
        self.ask(|reply| Command::Adopt { parts, reply }).await?;
        let keys = vault::root_keys(home)?;
        let has_moved = keys.root.is_some_and(|key| key.public_key() == public);
        if has_moved && keys.next.is_some() {
            Ok(())
        } else {
            Err(RootError::StaleRootKey.into())
        }
    }

    /// Sets the recovery key, in place of an earlier one. By the root key, which must be here.
    /// `veto`: how long its recoveries wait, if longer than the deployment says.
    ///
    /// # Errors
    /// [`AgentError::NoRootKey`], [`RootError::StaleRootKey`]; [`AgentError::Unreachable`];
    /// [`AgentError::Refused`], such as `STATEMENT_LIMIT`.
    pub async fn set_recovery(
        &self,
        words: &RecoveryWords,
        veto: Option<Duration>,
    ) -> Result<(), AgentError> {
        let _turn = self.shared.roots.lock().await;
        let (mut session, log) = self.latest_log().await?;
        let root = self.root_key(&log, session.began_ms())?;
        let key = words.key();
        let public = key.public_key();
        let veto_ms = veto.map(|veto| u64::try_from(veto.as_millis()).unwrap_or(u64::MAX));
        let is_done =
            |log: &IdentityLog| log.recovery_key().is_some_and(|known| known.key == public);
        let act = |_: &IdentityLog| Act::SetRecovery {
            key: public,
            veto_ms,
        };
        let keys = [SigningAs::Root(&root), SigningAs::Recovery(&key)];
        let parts = statement::append(&mut session, &log, is_done, act, &keys).await?;
        self.ask(|reply| Command::Adopt { parts, reply }).await
    }

    /// Whether this device holds the identity's root key, as far as it knows the log.
    ///
    /// # Errors
    /// [`AgentError::NoRootKey`], [`RootError::StaleRootKey`], [`AgentError::Home`].
    pub fn holds_root_key(&self) -> Result<(), AgentError> {
        let log = self.log();
        self.root_key(&log, log.time()).map(|_| ())
    }

    /// What the log says about recovery, as this device knows it: by its own clock, if that is
    /// later than the log.
    pub fn recovery(&self) -> RecoveryStatus {
        self.recovery_at(self.now_ms())
    }

    /// The same by the log of the service and by its clock.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`]; [`AgentError::Refused`]; [`RootError::LogForked`].
    pub async fn latest_recovery(&self) -> Result<RecoveryStatus, AgentError> {
        let (session, log) = self.latest_log().await?;
        Ok(self.recovery_at(log.time().max(session.began_ms())))
    }

    fn recovery_at(&self, now_ms: i64) -> RecoveryStatus {
        let log = self.log();
        let key = log.recovery_key();
        let since = |position: u64| log.records_after(position.saturating_sub(1)).first();
        let deployed = log.genesis().periods().veto_ms;
        let asked = log.recovery(log.time()).map(|recovery| PendingRecovery {
            position: recovery.position,
            effective_ms: recovery.effective_ms,
        });
        let waits = |recovery: &PendingRecovery| now_ms < recovery.effective_ms;
        RecoveryStatus {
            key: key.map(|key| RecoveryKeyInfo {
                set_at: key.set_at,
                since_ms: since(key.set_at).map_or(0, |record| record.service_time_ms),
            }),
            veto_ms: key.map_or(deployed, |key| key.veto_ms),
            pending: asked.filter(waits),
            in_effect: asked.filter(|recovery| !waits(recovery)),
        }
    }

    /// Cancels the recovery that waits. This device must be an admin.
    ///
    /// # Errors
    /// [`RootError::NoRecovery`], [`RootError::RecoveryInEffect`]; [`AgentError::Unreachable`];
    /// [`AgentError::Refused`].
    pub async fn veto(&self) -> Result<(), AgentError> {
        let (session, log) = self.latest_log().await?;
        let recovery = log.recovery(log.time()).ok_or(RootError::NoRecovery)?;
        let (position, effective_ms) = (recovery.position, recovery.effective_ms);
        if effective_ms <= session.began_ms() {
            return Err(RootError::RecoveryInEffect { effective_ms }.into());
        }
        self.state_act(|_| Act::Veto { position }).await.map(|_| ())
    }

    pub(super) fn root_key(&self, log: &IdentityLog, now_ms: i64) -> Result<SecretKey, AgentError> {
        let keys = vault::root_keys(&self.shared.home)?;
        let root = keys.root.ok_or(AgentError::NoRootKey)?;
        check_root(log, &root, now_ms)?;
        Ok(root)
    }

    /// Reads the log to its end, and takes it over.
    async fn latest_log(&self) -> Result<(IdentitySession, Arc<IdentityLog>), AgentError> {
        self.check_log()?;
        let mut session = self.sign_in().await?;
        let parts = session.log_after(self.log().head().position).await?;
        self.ask(|reply| Command::Adopt { parts, reply }).await?;
        Ok((session, self.log()))
    }
}

/// By the service's clock: a recovery takes effect by time alone.
fn check_root(log: &IdentityLog, root: &SecretKey, now_ms: i64) -> Result<(), AgentError> {
    if log.is_root(&root.public_key(), log.time().max(now_ms)) {
        Ok(())
    } else {
        Err(RootError::StaleRootKey.into())
    }
}

/// Why the root was rotated last.
fn last_reason(log: &IdentityLog) -> Option<RotateReason> {
    let records = log.records_after(0).iter().rev();
    records
        .map(|record| &record.statement.body().act)
        .find_map(|act| match act {
            Act::RotateRoot { reason, .. } => Some(*reason),
            Act::Incept { .. }
            | Act::AddDevice { .. }
            | Act::Revoke { .. }
            | Act::Replace { .. }
            | Act::Rename { .. }
            | Act::SetRecovery { .. }
            | Act::Recover { .. }
            | Act::RecoverFork { .. }
            | Act::Veto { .. }
            | Act::EnrolmentKey { .. }
            | Act::RevokeEnrolment { .. } => None,
        })
}
