//! Putting two branches of the identity log together, by the root key or the recovery key.

use std::sync::Arc;

use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, Branch, IdentityLog};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::limits::STATEMENT_BYTES_MAX;

use super::Agent;
use crate::engine::Command;
use crate::error::{AgentError, RootError};
use crate::identity_client::{Caller, CallerKey, IdentitySession};
use crate::statement;
use crate::words::RecoveryWords;

/// Room in a statement for what stands around a branch.
const ENVELOPE_BYTES: usize = 1_024;
/// The same for each of its statements.
const STATEMENT_ENVELOPE_BYTES: usize = 256;

impl Agent {
    /// Continues the service's branch of an identity log of which it gave out two: says by the
    /// root key, which must be here, or by the recovery key, that what this device's branch says
    /// of devices and keys holds in it. Returns how many branches were taken over.
    ///
    /// # Errors
    /// [`RootError::NotForked`]; [`RootError::BranchTooLong`]; [`AgentError::NoRootKey`],
    /// [`RootError::StaleRootKey`], [`RootError::WrongWords`]; [`AgentError::Unreachable`];
    /// [`AgentError::Refused`].
    pub async fn settle_fork(&self, words: Option<&RecoveryWords>) -> Result<usize, AgentError> {
        let _turn = self.shared.roots.lock().await;
        let key = Arc::new(match words {
            Some(words) => words.key(),
            None => {
                let log = self.log();
                self.root_key(&log, log.time())?
            }
        });
        let mut session = self.sign_in_somehow(&key).await?;
        let told = session.log_after(0).await?;
        let known = self.log();
        let empty = IdentityLog::empty(known.genesis().clone(), known.identity());
        let mut log = statement::grown(&empty, &told)?;
        let take_over = |reply| Command::TakeOver { parts: told, reply };
        let branches = self.ask(take_over).await?;
        if branches.is_empty() {
            return Err(RootError::NotForked.into());
        }
        let signing = match words {
            Some(_) => SigningAs::Recovery(&key),
            None => SigningAs::Root(&key),
        };
        self.check_holder(&key, words.is_some())?;
        for branch in &branches {
            if weight(branch) > STATEMENT_BYTES_MAX {
                return Err(RootError::BranchTooLong.into());
            }
            let is_done =
                |log: &IdentityLog| branch.head().is_some_and(|head| log.has_abandoned(head));
            let act = |_: &IdentityLog| Act::RecoverFork {
                branch: branch.clone(),
            };
            let keys = std::slice::from_ref(&signing);
            let parts = statement::append(&mut session, &log, is_done, act, keys).await?;
            log = statement::grown(&log, &parts)?;
            self.ask(|reply| Command::Adopt { parts, reply }).await?;
        }
        Ok(branches.len())
    }

    /// By both branches together: that is what the service will judge by.
    fn check_holder(&self, key: &SecretKey, by_words: bool) -> Result<(), AgentError> {
        let log = self.log();
        let public = key.public_key();
        if by_words {
            let known = log.recovery_key().is_some_and(|known| known.key == public);
            return known.then_some(()).ok_or(RootError::WrongWords.into());
        }
        let known = log.is_root(&public, log.time());
        known.then_some(()).ok_or(RootError::StaleRootKey.into())
    }

    /// As this device, or with the key, if the service's branch does not have the device.
    async fn sign_in_somehow(&self, key: &Arc<SecretKey>) -> Result<IdentitySession, AgentError> {
        let refused = match self.sign_in().await {
            Err(error @ AgentError::Refused(_)) => error,
            signed_in => return signed_in,
        };
        let membership = &self.shared.membership;
        let caller = Caller {
            ledger_id: membership.genesis.ledger_id(),
            identity: membership.identity,
            key: CallerKey::Root(key.clone()),
        };
        let signed_in = self.shared.identity.sign_in(&caller).await;
        signed_in.map_err(|_| refused)
    }
}

fn weight(branch: &Branch) -> usize {
    let statements = branch.statements().iter().map(|parts| {
        let bytes = parts.statement.len() + parts.body.len() + parts.certificate_body.len();
        bytes + STATEMENT_ENVELOPE_BYTES
    });
    statements.sum::<usize>() + ENVELOPE_BYTES
}
