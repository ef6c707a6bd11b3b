//! Identity logs.

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::StoreEpoch;

use super::Stores;
use super::fixtures::{
    Device, NOW_MS, adoption, after, after_plain, append, elsewhere, fresh_identity, statement,
    version,
};
use crate::LogVersion;
use crate::identity::{Adoption, LogEnd, StatementOutcome, StoredRecord};

/// Even when it has entries.
pub async fn an_unknown_identity_has_no_log_and_version_zero(stores: &Stores) {
    let identity = fresh_identity();
    assert_eq!(stores.identity.log(identity, 0).await.unwrap(), None);
    assert_eq!(version(stores, identity).await, LogVersion(0));
    let device = Device::new(identity);
    append(stores, identity, &[&device.chain(Point::START, 1, 0)]).await;
    assert_eq!(stores.identity.log(identity, 0).await.unwrap(), None);
}

/// The epoch of the first one stays, each raises the version.
pub async fn a_statement_opens_a_log_and_another_follows(stores: &Stores) {
    let identity = fresh_identity();
    let first = statement(LogEnd::EMPTY, &[]);
    let mut second = statement(after_plain(&first), &[]);
    second.fresh_epoch = StoreEpoch::from_bytes([8; 16]);
    second.service_time_ms = NOW_MS + 5;
    let mut version = LogVersion(0);
    for (append, position) in [(&first, 1), (&second, 2)] {
        let outcome = stores
            .identity
            .append_statement(identity, append.clone())
            .await
            .unwrap();
        let record = StoredRecord {
            statement: append.statement.clone(),
            service_time_ms: append.service_time_ms,
            tips: Vec::new(),
        };
        assert_eq!(outcome, StatementOutcome::Appended(vec![record.clone()]));
        let log = stores
            .identity
            .log(identity, position - 1)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((log.position, &log.records[..]), (position, &[record][..]));
        assert_eq!(log.epoch, first.fresh_epoch);
        assert!(log.version > version);
        version = log.version;
    }
}

/// Nothing is written then, and the same statement again is one too.
pub async fn a_statement_that_follows_another_head_is_a_conflict(stores: &Stores) {
    let identity = fresh_identity();
    let orphan = statement(elsewhere(3), &[]);
    let outcome = stores
        .identity
        .append_statement(identity, orphan)
        .await
        .unwrap();
    assert_eq!(outcome, StatementOutcome::Conflict);
    assert_eq!(stores.identity.log(identity, 0).await.unwrap(), None);
    let first = statement(LogEnd::EMPTY, &[]);
    stores
        .identity
        .append_statement(identity, first.clone())
        .await
        .unwrap();
    let before = stores.identity.log(identity, 0).await.unwrap();
    // The very statement, with something else recorded beside it, is another log.
    let mut other_tips = after_plain(&first);
    other_tips.last.as_mut().unwrap().service_time_ms += 1;
    let other_place = LogEnd {
        position: 2,
        ..after_plain(&first)
    };
    for late in [
        first.clone(),
        statement(elsewhere(1), &[]),
        statement(other_tips, &[]),
        statement(other_place, &[]),
        statement(LogEnd::EMPTY, &[]),
    ] {
        let outcome = stores
            .identity
            .append_statement(identity, late)
            .await
            .unwrap();
        assert_eq!(outcome, StatementOutcome::Conflict);
    }
    assert_eq!(stores.identity.log(identity, 0).await.unwrap(), before);
}

/// And the log is that one's.
pub async fn of_concurrent_statements_one_is_appended(stores: &Stores) {
    let identity = fresh_identity();
    let mut expected = LogEnd::EMPTY;
    for round in 1..=5 {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let identities = stores.identity.clone();
            let append = statement(expected.clone(), &[]);
            tasks.spawn(async move {
                let outcome = identities
                    .append_statement(identity, append.clone())
                    .await
                    .unwrap();
                (outcome != StatementOutcome::Conflict).then_some(append)
            });
        }
        let appended: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(appended.len(), 1);
        let log = stores
            .identity
            .log(identity, round - 1)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(log.position, round);
        assert_eq!(log.records.len(), 1);
        assert_eq!(log.records[0].statement, appended[0].statement);
        expected = after_plain(&appended[0]);
    }
}

/// Past its end there is nothing, and that is no error.
pub async fn a_log_is_read_after_a_position(stores: &Stores) {
    let identity = fresh_identity();
    let mut expected = LogEnd::EMPTY;
    let mut statements = Vec::new();
    for _ in 0..4 {
        let append = statement(expected.clone(), &[]);
        stores
            .identity
            .append_statement(identity, append.clone())
            .await
            .unwrap();
        expected = after_plain(&append);
        statements.push(append.statement);
    }
    for after in [0, 1, 3, 4, 5, u64::MAX] {
        let log = stores.identity.log(identity, after).await.unwrap().unwrap();
        let from = usize::try_from(after).unwrap_or(4).min(4);
        let read: Vec<_> = log
            .records
            .into_iter()
            .map(|record| record.statement)
            .collect();
        assert_eq!(read, statements[from..]);
        assert_eq!(log.position, expected.position);
    }
}

/// With the times and tips of their receipts, if they follow the head.
pub async fn receipted_statements_are_adopted_verbatim(stores: &Stores) {
    let (source, identity) = (fresh_identity(), fresh_identity());
    let device = Device::new(source);
    append(stores, source, &[&device.chain(Point::START, 3, 0)]).await;
    let first = statement(LogEnd::EMPTY, &[]);
    stores
        .identity
        .append_statement(source, first.clone())
        .await
        .unwrap();
    let ending = statement(after_plain(&first), &[&device]);
    stores
        .identity
        .append_statement(source, ending)
        .await
        .unwrap();
    let records = stores
        .identity
        .log(source, 0)
        .await
        .unwrap()
        .unwrap()
        .records;
    assert_eq!(records[1].tips.len(), 1);

    let adopted = Adoption {
        records: records.clone(),
        ..adoption(LogEnd::EMPTY, vec![])
    };
    let outcome = stores
        .identity
        .adopt(identity, adopted.clone())
        .await
        .unwrap();
    assert_eq!(outcome, StatementOutcome::Appended(records.clone()));
    let log = stores.identity.log(identity, 0).await.unwrap().unwrap();
    assert_eq!((log.position, log.records), (2, records.clone()));
    assert!(log.version > LogVersion(0));

    let again = stores.identity.adopt(identity, adopted).await.unwrap();
    assert_eq!(again, StatementOutcome::Conflict);
    let third = StoredRecord {
        statement: Bytes::from_static(b"third"),
        ..records[0].clone()
    };
    let more = Adoption {
        records: vec![third.clone()],
        ..adoption(after(&LogEnd::EMPTY, &records), vec![])
    };
    stores.identity.adopt(identity, more).await.unwrap();
    let longer = stores.identity.log(identity, 2).await.unwrap().unwrap();
    assert_eq!(longer.records, [third]);
    assert!(longer.version > log.version);
    assert_eq!(longer.epoch, log.epoch);
}
