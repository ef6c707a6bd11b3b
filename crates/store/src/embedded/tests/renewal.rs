//! Another end of a device's log, in the place of the one that it has.

use bytes::Bytes;
use edge_ledger_core::identity::{Cut, Point, SignedTip};

use crate::conformance::fixtures::{Device, admissible, adoption, after, after_plain, statement};
use crate::conformance::fixtures::{elsewhere, fresh_identity};
use crate::embedded::{Embedded, Renewal};
use crate::identity::{Adoption, LogEnd, StatementOutcome};
use crate::{IdentityStore as _, LedgerStore as _, LogVersion, Origin};

#[tokio::test]
async fn another_end_takes_the_place_of_a_log_s_with_its_facts_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent");
    let store = Embedded::open(&path).unwrap();
    let identity = fresh_identity();
    let device = Device::new(identity);
    let first = statement(LogEnd::EMPTY, &[]);
    let second = statement(after_plain(&first), &[]);
    let third = statement(after_plain(&second), &[]);
    for append in [&first, &second, &third] {
        let append = store.append_statement(identity, append.clone()).await;
        assert!(matches!(append, Ok(StatementOutcome::Appended(_))));
    }
    let run = device.chain(Point::START, 3, 0);
    let runs = vec![admissible(&run)];
    store
        .append(identity, LogVersion(3), Origin(1), runs)
        .await
        .unwrap();
    let before = store.log(identity, 0).await.unwrap().unwrap();

    let kept = device.part(&run, 0, 2);
    let tip = SignedTip {
        device: device.id,
        point: kept.last(),
        signature: kept.signature(),
    };
    let cut = Cut::of_device(device.id, [&tip].into_iter());
    let end = after_plain(&third);
    let renewal = |expected| Renewal {
        keep: 1,
        adoption: Adoption {
            expected,
            ..adoption(LogEnd::EMPTY, vec![(device.id, cut.clone())])
        },
        facts: vec![("branch".to_owned(), Bytes::from_static(b"what it was"))],
    };
    let moved = store.renew(identity, renewal(elsewhere(3))).await.unwrap();
    assert_eq!(moved, StatementOutcome::Conflict);
    assert_eq!(store.log(identity, 0).await.unwrap(), Some(before.clone()));
    assert_eq!(store.get("branch").await.unwrap(), None);

    let renewal = renewal(end);
    let records = renewal.adoption.records.clone();
    let renewed = store.renew(identity, renewal).await.unwrap();
    assert_eq!(renewed, StatementOutcome::Appended(records.clone()));
    drop(store);
    let store = Embedded::open(&path).unwrap();
    let log = store.log(identity, 0).await.unwrap().unwrap();
    let whole = [&before.records[..1], &records[..]].concat();
    assert_eq!((log.position, &log.records), (2, &whole));
    assert_eq!(log.version, LogVersion(before.version.0 + 1));
    assert_eq!(log.epoch, before.epoch);
    let fact = store.get("branch").await.unwrap();
    assert_eq!(fact, Some(Bytes::from_static(b"what it was")));
    let heads = store.heads(identity).await.unwrap().value;
    assert_eq!(heads.of(&device.id), [kept.last()]);
    // It goes on from there.
    let next = statement(after(&after_plain(&first), &records), &[]);
    let next = store.append_statement(identity, next).await.unwrap();
    assert!(matches!(next, StatementOutcome::Appended(_)));
}
