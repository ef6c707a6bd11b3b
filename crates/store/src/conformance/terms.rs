//! What operators say of identities.

use std::collections::BTreeSet;

use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::ledger::Heads;
use tokio::task::JoinSet;

use super::Stores;
use super::fixtures::{
    Device, NOW_MS, admissible, after, after_plain, append, fresh_identity, statement, version,
};
use crate::identity::{LogEnd, StatementOutcome};
use crate::ledger::AppendOutcome;
use crate::operator::{Block, Terms, TermsOutcome};
use crate::{Change, Origin};

fn blocked() -> Terms {
    Terms {
        block: Some(Block {
            reason: "spam".to_owned(),
            since_ms: NOW_MS,
        }),
        entries_max: None,
    }
}

fn bounded(entries_max: u64) -> Terms {
    Terms {
        block: None,
        entries_max: Some(entries_max),
    }
}

/// An identity with a log.
async fn known(stores: &Stores) -> IdentityId {
    let identity = fresh_identity();
    let first = statement(LogEnd::EMPTY, &[]);
    let appended = stores.identity.append_statement(identity, first).await;
    assert!(matches!(appended, Ok(StatementOutcome::Appended(_))));
    identity
}

async fn set(stores: &Stores, identity: IdentityId, from: &Terms, to: &Terms) -> TermsOutcome {
    let set = stores
        .operator
        .set_terms(identity, from.clone(), to.clone());
    set.await.unwrap()
}

async fn terms(stores: &Stores, identity: IdentityId) -> Terms {
    stores
        .identity
        .log(identity, 0)
        .await
        .unwrap()
        .unwrap()
        .terms
}

/// Tries to append one entry under the present version.
async fn try_append(stores: &Stores, device: &Device, parent: Point) -> AppendOutcome {
    let identity = device.identity();
    let run = device.entry(parent, "entry");
    loop {
        let seen = version(stores, identity).await;
        let runs = vec![admissible(&run)];
        let appended = stores.ledger.append(identity, seen, Origin(1), runs).await;
        let outcome = appended.unwrap();
        if outcome != AppendOutcome::LogMoved {
            return outcome;
        }
    }
}

fn places(heads: &Heads) -> u64 {
    heads.tips().map(|tip| tip.point.seq).sum()
}

/// And one without terms has none.
pub async fn an_identity_without_a_log_has_no_terms(stores: &Stores) {
    let stranger = fresh_identity();
    let outcome = set(stores, stranger, &Terms::default(), &blocked()).await;
    assert_eq!(outcome, TermsOutcome::Unknown);
    assert_eq!(stores.identity.log(stranger, 0).await.unwrap(), None);
    let identity = known(stores).await;
    assert_eq!(terms(stores, identity).await, Terms::default());
}

/// Each change raises the version once and is announced; what changes nothing is neither.
pub async fn terms_are_compared_and_raise_the_version(stores: &Stores) {
    let identity = known(stores).await;
    let mut feed = stores.identity.changes();
    let mut seen = version(stores, identity).await;
    let both = Terms {
        entries_max: Some(7),
        ..blocked()
    };
    let none = Terms::default();
    for (from, to) in [(&none, &blocked()), (&blocked(), &both), (&both, &none)] {
        assert_eq!(set(stores, identity, from, to).await, TermsOutcome::Set);
        assert_eq!(terms(stores, identity).await, *to);
        let now = version(stores, identity).await;
        assert!(now > seen);
        seen = now;
        loop {
            if let Change::Log { identity: of } = feed.recv().await.unwrap()
                && of == identity
            {
                break;
            }
        }
    }
    assert_eq!(set(stores, identity, &none, &none).await, TermsOutcome::Set);
    let conflict = set(stores, identity, &both, &blocked()).await;
    assert_eq!(conflict, TermsOutcome::Conflict);
    assert_eq!(version(stores, identity).await, seen);
    assert_eq!(terms(stores, identity).await, none);
}

/// Its owner can still say that a device is lost; the terms stay.
pub async fn a_blocked_identity_takes_statements_and_no_entries(stores: &Stores) {
    let identity = fresh_identity();
    let first = statement(LogEnd::EMPTY, &[]);
    let opened = stores.identity.append_statement(identity, first.clone());
    opened.await.unwrap();
    let device = Device::new(identity);
    let run = device.chain(Point::START, 2, 0);
    append(stores, identity, &[&run]).await;
    set(stores, identity, &Terms::default(), &blocked()).await;
    let refused = try_append(stores, &device, run.last()).await;
    assert_eq!(refused, AppendOutcome::Blocked);
    let revokes = statement(after_plain(&first), &[&device]);
    let appended = stores.identity.append_statement(identity, revokes).await;
    let StatementOutcome::Appended(records) = appended.unwrap() else {
        panic!("a statement was refused");
    };
    assert_eq!(records[0].tips.len(), 1);
    assert_eq!(terms(stores, identity).await, blocked());
    let end = after(&after_plain(&first), &records);
    let log = stores.identity.log(identity, 0).await.unwrap().unwrap();
    assert_eq!(log.position, end.position);
    set(stores, identity, &blocked(), &Terms::default()).await;
    let kept = try_append(stores, &device, run.last()).await;
    assert!(matches!(kept, AppendOutcome::Appended(_)), "{kept:?}");
}

/// Those of a forked journal count once for each branch; what is kept already is taken again.
pub async fn a_quota_counts_the_places_of_all_journals(stores: &Stores) {
    let identity = known(stores).await;
    let (one, other) = (Device::new(identity), Device::new(identity));
    let (run, second) = (
        one.chain(Point::START, 3, 0),
        other.chain(Point::START, 2, 1),
    );
    append(stores, identity, &[&run, &second]).await;
    set(stores, identity, &Terms::default(), &bounded(6)).await;
    // A branch at the second place counts twice, which is one too many.
    let fork = one.entry(run.entries()[0].point(), "fork");
    let seen = version(stores, identity).await;
    let forks = stores
        .ledger
        .append(identity, seen, Origin(1), vec![admissible(&fork)]);
    assert_eq!(forks.await.unwrap(), AppendOutcome::OverQuota);
    append(stores, identity, &[&run]).await;
    let fits = try_append(stores, &other, second.last()).await;
    assert!(matches!(fits, AppendOutcome::Appended(_)), "{fits:?}");
    let more = try_append(stores, &one, run.last()).await;
    assert_eq!(more, AppendOutcome::OverQuota);
    // A lower one takes nothing away.
    set(stores, identity, &bounded(6), &bounded(1)).await;
    append(stores, identity, &[&run]).await;
    let heads = stores.ledger.heads(identity).await.unwrap().value;
    assert_eq!(places(&heads), 6);
    set(stores, identity, &bounded(1), &bounded(8)).await;
    let forks = try_append(stores, &one, run.entries()[0].point()).await;
    assert!(matches!(forks, AppendOutcome::Appended(_)), "{forks:?}");
}

/// After the block is there nothing is kept any more, whoever was about to append.
pub async fn a_block_and_appends_never_cross(stores: &Stores) {
    for _ in 0..5 {
        let identity = known(stores).await;
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let ledger = stores.ledger.clone();
            let device = Device::new(identity);
            tasks.spawn(async move {
                let mut parent = Point::START;
                loop {
                    let run = device.entry(parent, "entry");
                    let seen = ledger.heads(identity).await.unwrap().version;
                    let runs = vec![admissible(&run)];
                    let appended = ledger.append(identity, seen, Origin(1), runs).await;
                    match appended.unwrap() {
                        AppendOutcome::Appended(_) => parent = run.last(),
                        AppendOutcome::LogMoved => {}
                        AppendOutcome::Blocked => return parent.seq,
                        AppendOutcome::OverQuota => panic!("there is no quota"),
                    }
                }
            });
        }
        set(stores, identity, &Terms::default(), &blocked()).await;
        let at_the_block = stores.ledger.heads(identity).await.unwrap().value;
        let appended: u64 = tasks.join_all().await.into_iter().sum();
        let heads = stores.ledger.heads(identity).await.unwrap().value;
        assert_eq!(heads, at_the_block);
        assert_eq!(places(&heads), appended, "what was answered is kept");
    }
}

/// However many devices append at once.
pub async fn appends_at_once_never_pass_a_quota(stores: &Stores) {
    const QUOTA: u64 = 20;
    let identity = known(stores).await;
    set(stores, identity, &Terms::default(), &bounded(QUOTA)).await;
    let seen = version(stores, identity).await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let ledger = stores.ledger.clone();
        let device = Device::new(identity);
        tasks.spawn(async move {
            let mut parent = Point::START;
            loop {
                let run = device.entry(parent, "entry");
                let runs = vec![admissible(&run)];
                let appended = ledger.append(identity, seen, Origin(1), runs).await;
                match appended.unwrap() {
                    AppendOutcome::Appended(_) => parent = run.last(),
                    AppendOutcome::OverQuota => return parent.seq,
                    AppendOutcome::LogMoved | AppendOutcome::Blocked => {
                        panic!("neither happened")
                    }
                }
            }
        });
    }
    let appended: u64 = tasks.join_all().await.into_iter().sum();
    let heads = stores.ledger.heads(identity).await.unwrap().value;
    assert_eq!((appended, places(&heads)), (QUOTA, QUOTA));
}

/// However many there are; one that has only entries is none.
pub async fn a_walk_meets_every_identity_that_has_a_log(stores: &Stores) {
    let mut made = BTreeSet::new();
    for _ in 0..600 {
        made.insert(known(stores).await);
    }
    let without = fresh_identity();
    let device = Device::new(without);
    append(stores, without, &[&device.chain(Point::START, 1, 0)]).await;
    let (mut met, mut from, mut pages) = (BTreeSet::new(), None, 0);
    loop {
        let page = stores.operator.identities(from).await.unwrap();
        met.extend(page.identities);
        pages += 1;
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert!(made.is_subset(&met) && !met.contains(&without));
    assert!(pages > 1, "one page holds so many");
}
