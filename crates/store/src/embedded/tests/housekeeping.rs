//! What ends does not pile up, and every tip can be signed for.

use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::ledger::VerifiedRun;
use redb::ReadableTableMetadata as _;

use crate::conformance::fixtures::{
    Device, LEDGER, NOW_MS, admissible, after, fresh_bytes, fresh_identity, statement,
};
use crate::embedded::tables::{EXPIRIES, LINKS, NONCES, SESSIONS, Snapshot};
use crate::embedded::{Embedded, Fault};
use crate::identity::{LogEnd, StatementOutcome, StoredSession};
use crate::{IdentityStore as _, LedgerStore as _, Origin};

/// Rows of nonces, sessions, links, and of what remembers their ends.
async fn rows(store: &Embedded) -> [u64; 4] {
    let count = |snapshot: &Snapshot| -> Result<_, Fault> {
        Ok([
            snapshot.table(NONCES)?.len()?,
            snapshot.table(SESSIONS)?.len()?,
            snapshot.table(LINKS)?.len()?,
            snapshot.table(EXPIRIES)?.len()?,
        ])
    };
    store.read(count).await.unwrap()
}

#[tokio::test]
async fn what_ended_is_taken_away_by_later_writes() {
    let store = Embedded::in_memory();
    let (identity, session) = (fresh_identity(), fresh_bytes());
    let device = Device::new(identity).id;
    for at in 0..200 {
        let (now_ms, expires_ms) = (NOW_MS + at, NOW_MS + at + 10);
        store
            .redeem_challenge(identity, fresh_bytes(), expires_ms, now_ms)
            .await
            .unwrap();
        let earlier = store.session(identity, session, now_ms).await.unwrap();
        assert_eq!(
            earlier.is_some(),
            at > 0,
            "a session that goes on is not taken away"
        );
        let stored = StoredSession { device, expires_ms };
        store
            .open_session(identity, fresh_bytes(), stored, now_ms)
            .await
            .unwrap();
        store
            .open_session(identity, session, stored, now_ms)
            .await
            .unwrap();
        store
            .open_link(fresh_bytes(), expires_ms, now_ms)
            .await
            .unwrap();
    }
    let [nonces, sessions, links, ends] = rows(&store).await;
    assert!(nonces <= 13 && sessions <= 14 && links <= 13 && ends <= 52);
    // A long pause, and a backlog larger than one write takes away.
    for at in 0..100 {
        store
            .redeem_challenge(identity, fresh_bytes(), NOW_MS + 300, NOW_MS + at)
            .await
            .unwrap();
    }
    for _ in 0..10 {
        let now_ms = NOW_MS + 10_000;
        store
            .redeem_challenge(identity, fresh_bytes(), now_ms + 5, now_ms)
            .await
            .unwrap();
    }
    assert_eq!(rows(&store).await, [10, 0, 0, 10]);
}

/// Otherwise no statement could record it.
#[tokio::test]
async fn every_tip_has_a_signature_however_its_journal_grew() {
    let store = Embedded::in_memory();
    let identity = fresh_identity();
    let device = Device::new(identity);
    let whole = device.chain(Point::START, 9, 0);
    let mut end = LogEnd::EMPTY;
    for (from, to) in [(0, 4), (1, 2), (2, 7), (0, 3), (6, 9), (0, 9)] {
        append_under(&store, identity, &device.part(&whole, from, to)).await;
        let branch = device.chain(whole.entries()[from].point(), 2, to as u64);
        append_under(&store, identity, &branch).await;
        let ending = statement(end.clone(), &[&device]);
        let outcome = store.append_statement(identity, ending).await.unwrap();
        let StatementOutcome::Appended(records) = outcome else {
            panic!()
        };
        for tip in &records[0].tips {
            tip.verify(LEDGER, device.key()).unwrap();
        }
        assert!(!records[0].tips.is_empty());
        end = after(&end, &records);
    }
}

async fn append_under(store: &Embedded, identity: IdentityId, run: &VerifiedRun) {
    let seen = store.heads(identity).await.unwrap().version;
    store
        .append(identity, seen, Origin(1), vec![admissible(run)])
        .await
        .unwrap();
}
