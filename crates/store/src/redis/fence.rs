//! Servers that sync once a second, and can be waited for (`WAITAOF`, from Redis 7.2 on).
//!
//! `WAITAOF` waits for what its own connection wrote last, and at once says yes to a connection
//! that wrote nothing. So each group of the committer ends with a write of its own, the fence, and
//! one `WAITAOF`: the file is written in order, so that whatever the server carried out before the
//! fence, for whomever, is synced with it.
//!
//! Such a server also shows to readers what is not synced yet. What is read and then signed (a
//! log, for its receipts, and how journals end, for acks) goes behind a fence first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edge_ledger_core::ids::IdentityId;
use redis::{Cmd, RedisResult, Value, cmd};

use super::RedisStore;
use super::committer::Answer;
use super::keys;
use super::script::{Call, Script};
use super::stamp::Stamp;
use crate::{LogVersion, StoreError};

/// How long a server may take to sync. Once a second it begins; a busy disk takes its time.
pub(super) const SYNC_WITHIN: Duration = Duration::from_secs(3);
/// Most logs that are known to be synced.
const LOGS_MAX: usize = 16_384;

/// The command that waits.
pub(super) fn wait(within: Duration) -> Cmd {
    let mut command = cmd("WAITAOF");
    // The server itself, and none of its replicas.
    command
        .arg(1)
        .arg(0)
        .arg(within.as_millis().max(1).to_string());
    command
}

/// Whether the answer to it says that this server synced.
pub(super) fn is_synced(answer: RedisResult<Value>) -> bool {
    match answer {
        Ok(Value::Array(servers)) => matches!(servers[..], [Value::Int(1..), ..]),
        _ => false,
    }
}

/// The write that a group ends with.
pub(super) fn call(stamp: Stamp) -> Call {
    Call::new(Script::Fence, [keys::FENCE.to_owned()]).arg(stamp)
}

/// Whether what is read must go behind a fence, and what is known to be there.
#[derive(Debug, Default)]
pub(super) struct Fences {
    needed: AtomicBool,
    logs: Mutex<HashMap<IdentityId, LogVersion>>,
}

impl Fences {
    /// The committer connected: perhaps to a server that was started anew, and lost what it had
    /// not synced.
    pub(super) fn reset(&self, needed: bool) {
        self.needed.store(needed, Ordering::Relaxed);
        self.logs().clear();
    }

    fn needed(&self) -> bool {
        self.needed.load(Ordering::Relaxed)
    }

    fn has(&self, identity: IdentityId, version: LogVersion) -> bool {
        self.logs().get(&identity) == Some(&version)
    }

    fn learn(&self, identity: IdentityId, version: LogVersion) {
        let mut logs = self.logs();
        if logs.len() >= LOGS_MAX {
            logs.clear();
        }
        logs.insert(identity, version);
    }

    fn logs(&self) -> MutexGuard<'_, HashMap<IdentityId, LogVersion>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RedisStore {
    /// Waits until what was read is synced.
    pub(super) async fn fence(&self) -> Result<(), StoreError> {
        if !self.open.fences.needed() {
            return Ok(());
        }
        // The committer's own fence would do; a group needs a write to be one.
        let call = call(self.open.stamps.write());
        self.write(call, |answer: Answer| match &*answer.said.word {
            b"done" => Ok(((), None)),
            _ => answer.said.unknown(),
        })
        .await
    }

    /// Waits until a log that was read is synced; once per version.
    pub(super) async fn fence_log(
        &self,
        identity: IdentityId,
        version: LogVersion,
    ) -> Result<(), StoreError> {
        let fences = &self.open.fences;
        if fences.needed() && !fences.has(identity, version) {
            self.fence().await?;
            fences.learn(identity, version);
        }
        Ok(())
    }
}
