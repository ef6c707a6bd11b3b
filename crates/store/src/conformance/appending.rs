//! Appending runs.

use std::collections::BTreeSet;

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::Extended;
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::limits::JOURNAL_TIPS_MAX;

use super::Stores;
use super::fixtures::{
    Device, admissible, after_plain, all_runs, append, append_admissible, fresh_identity,
    statement, tips, version,
};
use crate::identity::LogEnd;
use crate::ledger::AppendOutcome;
use crate::{LogVersion, Origin};

/// A run comes back as it went in, and its end is the tip.
pub async fn a_run_is_kept_with_its_signature(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let run = device.run(Point::START, &[b"one", b"two", b"three"]);
    let outcomes = append(stores, identity, &[&run]).await;
    assert_eq!(
        outcomes,
        [Extended::Kept {
            from: 0,
            tips: vec![run.last()]
        }]
    );
    assert_eq!(tips(stores, identity, &device).await, [run.last()]);
    let kept = all_runs(stores, identity).await;
    assert_eq!(kept.len(), 1);
    assert_eq!((&kept[0].run, kept[0].last), (&run.to_run(), run.last()));
}

/// Appending again changes nothing; a run that overlaps adds what is new of it.
pub async fn what_is_kept_stays_as_it_is(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let whole = device.chain(Point::START, 6, 0);
    let (head, middle) = (device.part(&whole, 0, 3), device.part(&whole, 1, 5));
    append(stores, identity, &[&head]).await;
    assert_eq!(
        append(stores, identity, &[&head]).await,
        [Extended::Duplicate]
    );
    let kept = Extended::Kept {
        from: 2,
        tips: vec![middle.last()],
    };
    assert_eq!(append(stores, identity, &[&middle]).await, [kept]);
    for _ in 0..2 {
        let inside = device.part(&whole, 0, 2);
        assert_eq!(
            append(stores, identity, &[&inside]).await,
            [Extended::Duplicate]
        );
    }
    let kept = Extended::Kept {
        from: 5,
        tips: vec![whole.last()],
    };
    assert_eq!(append(stores, identity, &[&whole]).await, [kept]);
    let runs = all_runs(stores, identity).await;
    assert_eq!(
        runs.iter().map(|run| &run.run).collect::<Vec<_>>(),
        [&whole.to_run()]
    );
}

/// It is stored only once its parent is.
pub async fn a_run_whose_parent_is_not_kept_waits(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let whole = device.chain(Point::START, 4, 0);
    let (below, above) = (device.part(&whole, 0, 2), device.part(&whole, 2, 4));
    let waiting = Extended::Waiting {
        missing: below.last(),
    };
    assert_eq!(append(stores, identity, &[&above]).await, [waiting]);
    assert!(all_runs(stores, identity).await.is_empty());
    append(stores, identity, &[&below]).await;
    let kept = Extended::Kept {
        from: 0,
        tips: vec![above.last()],
    };
    assert_eq!(append(stores, identity, &[&above]).await, [kept]);
}

/// Each run of a batch sees what those before it did.
pub async fn runs_of_a_batch_build_on_each_other(stores: &Stores) {
    let identity = fresh_identity();
    let (one, two) = (Device::new(identity), Device::new(identity));
    let whole = one.chain(Point::START, 4, 0);
    let (below, above) = (one.part(&whole, 0, 2), one.part(&whole, 2, 4));
    let (other, lost) = (
        two.entry(Point::START, "x"),
        two.entry(whole.last(), "lost"),
    );
    let outcomes = append(stores, identity, &[&below, &lost, &above, &other, &below]).await;
    assert_eq!(
        outcomes,
        [
            Extended::Kept {
                from: 0,
                tips: vec![below.last()]
            },
            Extended::Waiting {
                missing: whole.last()
            },
            Extended::Kept {
                from: 0,
                tips: vec![above.last()]
            },
            Extended::Kept {
                from: 0,
                tips: vec![other.last()]
            },
            Extended::Duplicate,
        ]
    );
    let heads = stores.ledger.heads(identity).await.unwrap().value;
    assert_eq!(heads.of(&one.id), [above.last()]);
    assert_eq!(heads.of(&two.id), [other.last()]);
}

/// Branches are kept side by side, but only so many.
pub async fn a_fork_is_kept_until_there_are_eight_tips(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let trunk = device.chain(Point::START, 3, 0);
    append(stores, identity, &[&trunk]).await;
    let mut expected = BTreeSet::new();
    for branch in 0..JOURNAL_TIPS_MAX as u64 {
        let run = device.chain(trunk.last(), 2, 100 + branch);
        append(stores, identity, &[&run]).await;
        expected.insert(run.last());
    }
    let expected: Vec<_> = expected.into_iter().collect();
    assert_eq!(tips(stores, identity, &device).await, expected);
    let ninth = device.chain(trunk.last(), 1, 999);
    assert_eq!(
        append(stores, identity, &[&ninth]).await,
        [Extended::TooManyTips]
    );
    assert_eq!(tips(stores, identity, &device).await, expected);
    let longer = device.chain(expected[0], 1, 5);
    let outcomes = append(stores, identity, &[&longer]).await;
    assert!(
        matches!(outcomes[..], [Extended::Kept { from: 0, .. }]),
        "a branch may go on"
    );
}

/// What a cut names is kept however many tips there are.
pub async fn a_cut_lifts_the_limit_on_tips(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let branches: Vec<_> = (0..JOURNAL_TIPS_MAX as u64 + 2)
        .map(|branch| device.chain(Point::START, 1, branch))
        .collect();
    for run in &branches[..JOURNAL_TIPS_MAX] {
        append(stores, identity, &[run]).await;
    }
    let [.., ninth, tenth] = &branches[..] else {
        panic!("there are ten")
    };
    assert_eq!(
        append(stores, identity, &[ninth]).await,
        [Extended::TooManyTips]
    );
    for run in [ninth, tenth] {
        let named = Admissible {
            run: run.clone(),
            in_cut: true,
        };
        let outcomes = append_admissible(stores, identity, vec![named]).await;
        assert!(matches!(outcomes[..], [Extended::Kept { from: 0, .. }]));
    }
    assert_eq!(
        tips(stores, identity, &device).await.len(),
        JOURNAL_TIPS_MAX + 2
    );
}

/// The whole batch is refused, whatever is in it.
pub async fn an_append_under_another_log_version_changes_nothing(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let first = statement(LogEnd::EMPTY, &[]);
    stores
        .identity
        .append_statement(identity, first.clone())
        .await
        .unwrap();
    let seen = version(stores, identity).await;
    stores
        .identity
        .append_statement(identity, statement(after_plain(&first), &[]))
        .await
        .unwrap();
    let run = device.chain(Point::START, 2, 0);
    let now = version(stores, identity).await;
    assert!(now > seen, "every change of the log raises its version");
    for other in [LogVersion(0), seen, LogVersion(now.0 + 1)] {
        let outcome = stores
            .ledger
            .append(identity, other, Origin(1), vec![admissible(&run)]);
        assert_eq!(outcome.await.unwrap(), AppendOutcome::LogMoved);
        assert!(tips(stores, identity, &device).await.is_empty());
    }
    let outcome = stores
        .ledger
        .append(identity, now, Origin(1), vec![admissible(&run)])
        .await;
    assert!(matches!(outcome.unwrap(), AppendOutcome::Appended(_)));
}

/// Neither entries nor versions of one are another's.
pub async fn identities_do_not_touch_each_other(stores: &Stores) {
    let (one, two) = (fresh_identity(), fresh_identity());
    let device = Device::new(one);
    append(stores, one, &[&device.chain(Point::START, 2, 0)]).await;
    stores
        .identity
        .append_statement(one, statement(LogEnd::EMPTY, &[&device]))
        .await
        .unwrap();
    let other = stores.ledger.heads(two).await.unwrap();
    assert!(other.value.is_empty());
    assert_eq!(other.version, LogVersion(0));
    assert!(all_runs(stores, two).await.is_empty());
}

/// Every run that was said to be kept is kept, and the tips are exactly the branches.
pub async fn concurrent_appends_of_one_place_fork_and_lose_nothing(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let trunk = device.chain(Point::START, 1, 0);
    append(stores, identity, &[&trunk]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for branch in 0..20 {
        let run = device.chain(trunk.last(), 2, 50 + branch);
        let ledger = stores.ledger.clone();
        tasks.spawn(async move {
            let runs = vec![admissible(&run)];
            let outcome = ledger
                .append(identity, LogVersion(0), Origin(branch), runs)
                .await;
            (run.last(), outcome.unwrap())
        });
    }
    let mut kept = BTreeSet::new();
    for (last, outcome) in tasks.join_all().await {
        let AppendOutcome::Appended(outcomes) = outcome else {
            panic!("the log did not move")
        };
        match &outcomes[..] {
            [Extended::Kept { from: 0, tips }] if tips.contains(&last) => {
                kept.insert(last);
            }
            [Extended::TooManyTips] => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kept.len(), JOURNAL_TIPS_MAX);
    let expected: Vec<_> = kept.into_iter().collect();
    assert_eq!(tips(stores, identity, &device).await, expected);
}
