//! Identities, devices and runs to try a store with.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};

use bytes::Bytes;
use edge_ledger_core::identity::{Cut, Point};
use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId, StoreEpoch};
use edge_ledger_core::keys::{PublicKey, SecretKey};
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::entry::{Author, sign_raw};
use edge_ledger_core::ledger::{Extended, KeptRun, VerifiedRun, gate};

use super::Stores;
use crate::identity::{Adoption, LogEnd, StatementAppend, StoredRecord};
use crate::ledger::AppendOutcome;
use crate::{LogVersion, Origin};

/// Some service time.
pub const NOW_MS: i64 = 1_790_000_000_000;
/// A format that no version reads: a store keeps payloads without looking at them.
pub const FORMAT: u16 = 7;

/// The deployment of all devices here.
pub const LEDGER: LedgerId = LedgerId::from_bytes([9; 16]);

/// 32 bytes that no other call returns.
pub fn fresh_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&RandomState::new().hash_one(0).to_be_bytes());
    }
    bytes
}

/// An identity that no other test uses.
pub fn fresh_identity() -> IdentityId {
    IdentityId::from_bytes(fresh_bytes())
}

/// A device that signs what it is told to.
#[derive(Debug)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    identity: IdentityId,
    key: Key,
}

struct Key(SecretKey, PublicKey);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.1.fmt(f)
    }
}

impl Device {
    /// A new device of an identity.
    pub fn new(identity: IdentityId) -> Self {
        let secret = SecretKey::from_seed(fresh_bytes());
        let public = secret.public_key();
        Self {
            id: public.device_id(),
            identity,
            key: Key(secret, public),
        }
    }

    /// Whose it is.
    pub fn identity(&self) -> IdentityId {
        self.identity
    }

    /// Its key.
    pub fn key(&self) -> &PublicKey {
        &self.key.1
    }

    /// A run of these payloads after a point.
    pub fn run(&self, parent: Point, payloads: &[&[u8]]) -> VerifiedRun {
        let payloads = payloads.iter().map(|p| Bytes::copy_from_slice(p)).collect();
        self.run_in_format(FORMAT, parent, payloads)
    }

    /// A run of one entry after a point.
    pub fn entry(&self, parent: Point, payload: &str) -> VerifiedRun {
        self.run(parent, &[payload.as_bytes()])
    }

    /// A run of some number of entries after a point; `salt` tells branches apart.
    pub fn chain(&self, parent: Point, entries: usize, salt: u64) -> VerifiedRun {
        self.chain_in_format(FORMAT, parent, entries, salt)
    }

    /// The same in a format.
    pub fn chain_in_format(
        &self,
        format: u16,
        parent: Point,
        entries: usize,
        salt: u64,
    ) -> VerifiedRun {
        let payload = |index| Bytes::from(format!("{salt}:{index}"));
        self.run_in_format(format, parent, (0..entries).map(payload).collect())
    }

    /// A run in a format.
    pub fn run_in_format(&self, format: u16, parent: Point, payloads: Vec<Bytes>) -> VerifiedRun {
        let payloads = payloads.into_iter().map(|payload| (format, payload));
        self.run_in_formats(parent, payloads.collect())
    }

    /// A run of payloads, each of its format.
    pub fn run_in_formats(&self, parent: Point, payloads: Vec<(u16, Bytes)>) -> VerifiedRun {
        let Key(secret, public) = &self.key;
        let run = sign_raw(LEDGER, self.identity, secret, parent, payloads);
        let author = Author {
            ledger_id: LEDGER,
            identity: self.identity,
            key: public,
        };
        gate::verify(author, &run).expect("a run that was just signed")
    }

    /// The part of a run from one index to another, signed there.
    pub fn part(&self, run: &VerifiedRun, from: usize, to: usize) -> VerifiedRun {
        let entries = &run.entries()[from..to];
        let payloads = entries
            .iter()
            .map(|entry| (entry.format(), entry.payload().clone()))
            .collect();
        self.run_in_formats(entries[0].parent(), payloads)
    }
}

/// A run that no cut names.
pub fn admissible(run: &VerifiedRun) -> Admissible {
    Admissible {
        run: run.clone(),
        in_cut: false,
    }
}

/// Appends runs under the log's present version.
pub async fn append(stores: &Stores, identity: IdentityId, runs: &[&VerifiedRun]) -> Vec<Extended> {
    let runs = runs.iter().map(|run| admissible(run)).collect();
    append_admissible(stores, identity, runs).await
}

/// Appends admissible runs under the log's present version.
pub async fn append_admissible(
    stores: &Stores,
    identity: IdentityId,
    runs: Vec<Admissible>,
) -> Vec<Extended> {
    let seen = version(stores, identity).await;
    match stores.ledger.append(identity, seen, Origin(1), runs).await {
        Ok(AppendOutcome::Appended(outcomes)) => outcomes,
        other => panic!("the log did not move, and yet: {other:?}"),
    }
}

/// The version of an identity's log.
pub async fn version(stores: &Stores, identity: IdentityId) -> LogVersion {
    stores.ledger.heads(identity).await.unwrap().version
}

/// The kept tips of a device.
pub async fn tips(stores: &Stores, identity: IdentityId, device: &Device) -> Vec<Point> {
    stores
        .ledger
        .heads(identity)
        .await
        .unwrap()
        .value
        .of(&device.id)
        .to_vec()
}

/// Everything that is kept of an identity, page by page.
pub async fn all_runs(stores: &Stores, identity: IdentityId) -> Vec<KeptRun> {
    let mut have = edge_ledger_core::ledger::journals::Have::new();
    let mut runs: Vec<KeptRun> = Vec::new();
    loop {
        let page = stores.ledger.missing(identity, &have).await.unwrap().value;
        assert!(
            !page.more || !page.runs.is_empty(),
            "a page with nothing, and more"
        );
        for run in &page.runs {
            let points: &mut BTreeSet<Point> = have.entry(run.run.device).or_default();
            points.insert(run.last);
        }
        runs.extend(page.runs);
        if !page.more {
            return runs;
        }
    }
}

/// Some end of a log at a position, which is no log's.
pub fn elsewhere(position: u64) -> LogEnd {
    LogEnd {
        position,
        last: Some(record()),
    }
}

/// Where a log ends after it gained records.
pub fn after(end: &LogEnd, records: &[StoredRecord]) -> LogEnd {
    LogEnd {
        position: end.position + records.len() as u64,
        last: records.last().or(end.last.as_ref()).cloned(),
    }
}

/// Where a log ends after a statement that ended no device.
pub fn after_plain(append: &StatementAppend) -> LogEnd {
    let record = StoredRecord {
        statement: append.statement.clone(),
        service_time_ms: append.service_time_ms,
        tips: Vec::new(),
    };
    after(&append.expected, &[record])
}

/// A record that nobody else has.
fn record() -> StoredRecord {
    StoredRecord {
        statement: Bytes::copy_from_slice(&fresh_bytes()),
        service_time_ms: NOW_MS,
        tips: Vec::new(),
    }
}

/// A statement that follows the end of a log and ends devices.
pub fn statement(expected: LogEnd, ends: &[&Device]) -> StatementAppend {
    StatementAppend {
        expected,
        statement: Bytes::copy_from_slice(&fresh_bytes()),
        service_time_ms: NOW_MS,
        ends: ends.iter().map(|device| device.id).collect(),
        fresh_epoch: StoreEpoch::from_bytes([3; 16]),
    }
}

/// An adoption of one statement that follows the end of a log, and of cuts.
pub fn adoption(expected: LogEnd, cuts: Vec<(DeviceId, Cut)>) -> Adoption {
    Adoption {
        expected,
        records: vec![record()],
        cuts,
        fresh_epoch: StoreEpoch::from_bytes([3; 16]),
    }
}
