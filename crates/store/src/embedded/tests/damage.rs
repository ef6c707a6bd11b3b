//! Damaged values (S-43): found, told of the identity that they belong to, and nobody else's
//! trouble.

use std::sync::Arc;

use edge_ledger_core::identity::{LogHead, Point};
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Heads, Tip};
use redb::{ReadableTable as _, TableDefinition};

use super::disk::{Disk, Plan};
use super::{append, open_on, tips};
use crate::Health;
use crate::conformance::fixtures::{Device, NOW_MS, fresh_bytes, fresh_identity, statement};
use crate::embedded::Embedded;
use crate::embedded::fault::Fault;
use crate::embedded::tables::{ENTRIES, LINKS, LOGS, SESSIONS, STATEMENTS, TIPS};
use crate::embedded::write::Decision;
use crate::identity::{LinkSide, StoredSession};
use crate::{IdentityStore as _, LedgerStore as _, StoreError};

type Values<const N: usize> = TableDefinition<'static, &'static [u8; N], &'static [u8]>;

/// Changes the values of a table whose keys start with a prefix, behind the store's back. Returns
/// the length of the longest.
fn alter<const N: usize>(
    store: &Embedded,
    table: Values<N>,
    prefix: &[u8],
    change: impl Fn(&mut Vec<u8>),
) -> usize {
    let alter = |database: &redb::Database| -> Result<usize, Fault> {
        let transaction = database.begin_write()?;
        let mut table = transaction.open_table(table)?;
        let mut changed = Vec::new();
        for row in table.iter()? {
            let (key, value) = row?;
            if key.value().starts_with(prefix) {
                let mut value = value.value().to_vec();
                change(&mut value);
                changed.push((*key.value(), value));
            }
        }
        let longest = changed.iter().map(|(_, value)| value.len()).max();
        for (key, value) in changed {
            table.insert(&key, &*value)?;
        }
        drop(table);
        transaction.commit()?;
        Ok(longest.expect("there are values to change"))
    };
    store.open.engine.with(alter).unwrap()
}

/// Everything that can be asked about an identity.
async fn ask(
    store: &Embedded,
    identity: IdentityId,
    device: DeviceId,
    point: Point,
    pass: [u8; 32],
) -> Vec<Result<(), StoreError>> {
    let heads = Heads::new([Tip { device, point }]);
    vec![
        store.heads(identity).await.map(drop),
        store.missing(identity, &Have::new()).await.map(drop),
        store.locate(identity, &heads).await.map(drop),
        store.log(identity, 0).await.map(drop),
        store.session(identity, pass, NOW_MS).await.map(drop),
        store
            .link_inbox(pass, LinkSide::Opener, 0, NOW_MS)
            .await
            .map(drop),
    ]
}

#[tokio::test]
async fn a_flipped_bit_in_any_byte_of_any_value_is_found() {
    let store = Embedded::in_memory();
    let mut who = Vec::new();
    for _ in 0..2 {
        let (identity, pass) = (fresh_identity(), fresh_bytes());
        let device = Device::new(identity);
        let run = device.chain(Point::START, 3, 0);
        append(&store, identity, &run).await.unwrap();
        let ending = statement(LogHead::EMPTY, &[&device]);
        store.append_statement(identity, ending).await.unwrap();
        let session = StoredSession {
            device: device.id,
            expires_ms: NOW_MS + 9,
        };
        store
            .open_session(identity, pass, session, NOW_MS)
            .await
            .unwrap();
        store.open_link(pass, NOW_MS + 9, NOW_MS).await.unwrap();
        store
            .post_link(pass, LinkSide::Joiner, "hello".into(), NOW_MS)
            .await
            .unwrap();
        who.push((identity, device.id, run.entries()[0].point(), pass));
    }
    let [(identity, device, point, pass), other] = who[..] else {
        panic!()
    };

    for table in 0..6 {
        let alter = |change: &dyn Fn(&mut Vec<u8>)| match table {
            0 => alter(&store, ENTRIES, identity.as_bytes(), change),
            1 => alter(&store, TIPS, identity.as_bytes(), change),
            2 => alter(&store, LOGS, identity.as_bytes(), change),
            3 => alter(&store, STATEMENTS, identity.as_bytes(), change),
            4 => alter(&store, SESSIONS, identity.as_bytes(), change),
            _ => alter(&store, LINKS, &pass, change),
        };
        let longest = alter(&|_| ());
        for at in 0..longest {
            let flip = |value: &mut Vec<u8>| {
                if let Some(byte) = value.get_mut(at) {
                    *byte ^= 1 << (at % 8);
                }
            };
            alter(&flip);
            let answers = ask(&store, identity, device, point, pass).await;
            alter(&flip);
            let damaged = |answer: &Result<(), _>| matches!(answer, Err(StoreError::Damaged(_)));
            assert!(answers.iter().any(damaged), "byte {at} of table {table}");
            assert!(
                answers
                    .iter()
                    .all(|answer| answer.is_ok() || damaged(answer)),
                "{answers:?}"
            );
        }
        let (identity, device, point, pass) = other;
        let answers = ask(&store, identity, device, point, pass).await;
        assert!(answers.iter().all(Result::is_ok), "others are served");
    }
}

#[tokio::test]
async fn a_value_in_the_wrong_place_is_found() {
    let store = Embedded::in_memory();
    let identity = fresh_identity();
    for salt in 0..2 {
        let device = Device::new(identity);
        append(&store, identity, &device.chain(Point::START, 1, salt))
            .await
            .unwrap();
    }
    let swap = |database: &redb::Database| -> Result<(), Fault> {
        let transaction = database.begin_write()?;
        let mut table = transaction.open_table(TIPS)?;
        let rows: Result<Vec<_>, redb::StorageError> = table
            .iter()?
            .map(|row| row.map(|(key, value)| (*key.value(), value.value().to_vec())))
            .collect();
        let rows = rows?;
        table.insert(&rows[0].0, &*rows[1].1)?;
        drop(table);
        Ok(transaction.commit()?)
    };
    store.open.engine.with(swap).unwrap();
    let answer = store.heads(identity).await;
    assert!(matches!(answer, Err(StoreError::Damaged(_))), "{answer:?}");
}

/// On one thread, so that all are in one group.
#[tokio::test]
async fn a_write_that_meets_damage_fails_alone() {
    let disk = Arc::new(Disk::default());
    let store = open_on(&disk).unwrap();
    let damaged = fresh_identity();
    let device = Device::new(damaged);
    let whole = device.chain(Point::START, 4, 0);
    append(&store, damaged, &device.part(&whole, 0, 2))
        .await
        .unwrap();
    alter(&store, TIPS, damaged.as_bytes(), |value| value.truncate(20));

    disk.set_plan(Plan::SyncsWait);
    let others: Vec<_> = (0..10).map(|_| Device::new(fresh_identity())).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for (at, other) in others.into_iter().enumerate() {
        let run = other.entry(Point::START, "x");
        let healthy = store.clone();
        tasks.spawn(async move {
            let outcome = append(&healthy, other.identity(), &run).await;
            assert_eq!(tips(&healthy, other.identity(), &other).await, [run.last()]);
            outcome.map(drop)
        });
        tokio::task::yield_now().await;
        if at == 0 {
            disk.wait_for_sync();
        }
        let run = device.part(&whole, 2, 3);
        let meets_damage = store.clone();
        tasks.spawn(async move { append(&meets_damage, damaged, &run).await.map(drop) });
    }
    tokio::task::yield_now().await;
    disk.set_plan(Plan::Never);
    let outcomes = tasks.join_all().await;
    let failed = |outcome: &&Result<(), _>| matches!(outcome, Err(StoreError::Damaged(_)));
    assert_eq!(outcomes.iter().filter(failed).count(), 10);
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        10
    );
    assert_eq!(*store.health().borrow(), Health::Serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_engine_fails_one_write() {
    for store in [Embedded::in_memory(), open_on(&Arc::default()).unwrap()] {
        let identity = fresh_identity();
        let device = Device::new(identity);
        let whole = device.chain(Point::START, 4, 0);
        append(&store, identity, &device.part(&whole, 0, 2))
            .await
            .unwrap();
        let panics = |tables: &mut crate::embedded::Tables<'_>| -> Result<Decision<()>, Fault> {
            tables.outbox.insert(1, &b"x"[..])?;
            panic!("as the engine may");
        };
        let answer = store.write(1, panics).await;
        assert!(matches!(answer, Err(StoreError::Damaged(_))), "{answer:?}");
        assert!(
            store.outbox().await.unwrap().is_empty(),
            "nothing of it is kept"
        );
        append(&store, identity, &whole).await.unwrap();
        assert_eq!(tips(&store, identity, &device).await, [whole.last()]);
        let read = |_: &crate::embedded::Snapshot| -> Result<(), Fault> { panic!("so may a read") };
        let answer = store.read(read).await;
        assert!(matches!(answer, Err(StoreError::Damaged(_))), "{answer:?}");
    }
}
