//! One identity: what is kept of it, and what the operator says of it.

use bytes::Bytes;
use edge_ledger_chassis::status::store_refusal;
use edge_ledger_chassis::{Reason, refusal};
use edge_ledger_core::identity::{DeviceRecord, DeviceState};
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::text::{is_blank, is_plain};
use edge_ledger_proto::admin as wire;
use edge_ledger_store::StoreError;
use edge_ledger_store::operator::{Block, QUOTA_MAX, Terms, TermsOutcome};
use tonic::Status;

use crate::limits::{REASON_BYTES_MAX, TERMS_TRIES_MAX};
use crate::place::Place;

/// The identities of the deployment.
pub(crate) struct Identities(pub(crate) Place);

impl Identities {
    pub(crate) async fn show(
        &self,
        identity: IdentityId,
        measure: bool,
    ) -> Result<wire::GetIdentityResponse, Status> {
        let view = self.0.known(identity).await?;
        let heads = self.0.heads(identity).await?.value;
        let payload_bytes = match measure {
            true => Some(self.payload_bytes(identity).await?),
            false => None,
        };
        let head = view.log.head();
        let mut devices: Vec<_> = view.log.devices().collect();
        devices.sort_by_key(|(_, record)| record.added_at);
        let devices = devices.into_iter();
        Ok(wire::GetIdentityResponse {
            identity: Bytes::copy_from_slice(identity.as_bytes()),
            log_position: head.position,
            log_hash: Bytes::copy_from_slice(head.hash.as_bytes()),
            store_epoch: Bytes::copy_from_slice(view.epoch.as_bytes()),
            devices: devices
                .map(|(id, record)| device(id, record, &heads))
                .collect(),
            entries: places(&heads),
            payload_bytes,
            entries_max: view.terms.entries_max,
            block: view.terms.block.map(told),
        })
    }

    pub(crate) async fn block(
        &self,
        identity: IdentityId,
        reason: &str,
    ) -> Result<wire::BlockIdentityResponse, Status> {
        if !is_reason(reason) {
            return Err(refusal(Reason::OperatorWords, "the reason is no such text"));
        }
        let new = Block {
            reason: reason.to_owned(),
            since_ms: self.0.clock.wall_ms(),
        };
        let set = |terms: &Terms| Terms {
            block: Some(terms.block.clone().unwrap_or_else(|| new.clone())),
            ..terms.clone()
        };
        let (before, now) = self.change(identity, set).await?;
        let was_blocked = before.block.is_some();
        if !was_blocked {
            tracing::warn!(%identity, "an operator blocked an identity");
        }
        Ok(wire::BlockIdentityResponse {
            block: now.block.map(told),
            was_blocked,
        })
    }

    pub(crate) async fn unblock(
        &self,
        identity: IdentityId,
    ) -> Result<wire::UnblockIdentityResponse, Status> {
        let set = |terms: &Terms| Terms {
            block: None,
            ..terms.clone()
        };
        let (before, _) = self.change(identity, set).await?;
        let was_blocked = before.block.is_some();
        if was_blocked {
            tracing::warn!(%identity, "an operator unblocked an identity");
        }
        Ok(wire::UnblockIdentityResponse { was_blocked })
    }

    pub(crate) async fn set_quota(
        &self,
        identity: IdentityId,
        entries_max: Option<u64>,
    ) -> Result<wire::SetQuotaResponse, Status> {
        if !is_quota(entries_max) {
            return Err(refusal(Reason::OperatorWords, "the quota is too high"));
        }
        let set = |terms: &Terms| Terms {
            entries_max,
            ..terms.clone()
        };
        let (_, now) = self.change(identity, set).await?;
        tracing::info!(%identity, "an operator set a quota");
        let heads = self.0.heads(identity).await?.value;
        Ok(wire::SetQuotaResponse {
            entries_max: now.entries_max,
            entries: places(&heads),
        })
    }

    /// Puts other terms in the place of those in effect; returns both.
    async fn change(
        &self,
        identity: IdentityId,
        set: impl Fn(&Terms) -> Terms,
    ) -> Result<(Terms, Terms), Status> {
        for _ in 0..TERMS_TRIES_MAX {
            let before = self.0.known(identity).await?.terms;
            let after = set(&before);
            let outcome = self
                .0
                .terms
                .set_terms(identity, before.clone(), after.clone());
            match outcome.await.map_err(|error| store_refusal(&error))? {
                TermsOutcome::Set => return Ok((before, after)),
                TermsOutcome::Conflict | TermsOutcome::Unknown => {}
            }
        }
        let moving = StoreError::Unavailable("the terms do not stand still".to_owned());
        Err(store_refusal(&moving))
    }

    /// Reads all that is kept, page by page.
    async fn payload_bytes(&self, identity: IdentityId) -> Result<u64, Status> {
        let (mut have, mut bytes) = (Have::new(), 0);
        loop {
            let page = self.0.ledgers.missing(identity, &have).await;
            let page = page.map_err(|error| store_refusal(&error))?.value;
            for kept in &page.runs {
                let payloads = kept.run.payloads.iter();
                bytes += payloads.map(|payload| payload.len() as u64).sum::<u64>();
                let points = have.entry(kept.run.device).or_default();
                points.remove(&kept.run.parent());
                points.insert(kept.last);
            }
            if !page.more || page.runs.is_empty() {
                return Ok(bytes);
            }
        }
    }
}

/// Whether terms are such as operators can set.
pub(crate) fn are_fit(terms: &Terms) -> bool {
    let has_reason = terms
        .block
        .as_ref()
        .is_none_or(|block| is_reason(&block.reason));
    has_reason && is_quota(terms.entries_max)
}

fn is_reason(text: &str) -> bool {
    (1..=REASON_BYTES_MAX).contains(&text.len()) && is_plain(text) && !is_blank(text)
}

fn is_quota(entries_max: Option<u64>) -> bool {
    entries_max.is_none_or(|most| most <= QUOTA_MAX)
}

/// The places that count for a quota.
fn places(heads: &Heads) -> u64 {
    heads
        .tips()
        .fold(0, |sum, tip| tip.point.seq.saturating_add(sum))
}

fn device(id: &DeviceId, record: &DeviceRecord, heads: &Heads) -> wire::DeviceInfo {
    let state = match record.state {
        DeviceState::Active => "active",
        DeviceState::Replaced { .. } => "replaced",
        DeviceState::Revoked => "revoked",
    };
    wire::DeviceInfo {
        device: Bytes::copy_from_slice(id.as_bytes()),
        name: record.name.clone(),
        platform: record.platform.clone(),
        state: state.to_owned(),
        admin: record.admin,
        tips: heads.of(id).iter().map(|point| point.seq).collect(),
    }
}

/// A block as it is told.
pub(crate) fn told(block: Block) -> wire::Block {
    wire::Block {
        reason: block.reason,
        since_ms: block.since_ms,
    }
}
