//! Whether the server takes writes: what it said to the last group, and to a probe when nothing is
//! written.
//!
//! The probe is a write, because a server that is full, read-only or cannot save its file answers
//! everything else.

use std::time::Duration;

use redis::{RedisResult, Value, cmd};
use tokio::time::timeout;

use super::committer::Committer;
use super::fault::{Fault, Unanswered};
use super::keys;
use crate::{Health, StoreError};

/// How long nothing is written before a probe is.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(2);
/// How long the server may take over a probe.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// How long what is written stays.
const PROBE_KEPT: Duration = Duration::from_secs(60);

impl Committer {
    /// Writes something that means nothing.
    pub(super) async fn probe(&mut self) {
        let probed = match timeout(PROBE_WITHIN, self.write_probe()).await {
            Ok(probed) => probed,
            // The connection was taken along: the next attempt makes a new one.
            Err(_) => Err(Fault::Unanswered(Unanswered::Silent).into()),
        };
        let Err(error) = probed else {
            self.set_health(Health::Serving);
            return;
        };
        if self.set_health(Health::told_by(&error).unwrap_or(Health::Unavailable)) {
            tracing::warn!(%error, "redis takes no writes");
        }
    }

    /// Says whether that is news.
    pub(super) fn set_health(&self, health: Health) -> bool {
        let changed = self
            .health
            .send_if_modified(|now| std::mem::replace(now, health) != health);
        if changed {
            tracing::info!(?health, "redis is in another state");
        }
        changed
    }

    async fn write_probe(&mut self) -> Result<(), StoreError> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.connect().await?,
        };
        let wrote: RedisResult<Value> = cmd("SET")
            .arg(keys::PROBE)
            .arg("")
            .arg("PX")
            .arg(PROBE_KEPT.as_millis() as u64)
            .query_async(&mut link.connection)
            .await;
        let wrote = wrote.map_err(Fault::from);
        // A new connection finds out what else is denied.
        if !matches!(wrote, Err(Fault::Unanswered(_) | Fault::Denied(_))) {
            self.link = Some(link);
        }
        wrote?;
        Ok(())
    }
}
