//! Where the log ends journals.

use edge_ledger_core::identity::{Cut, Point, SignedTip};
use edge_ledger_core::ledger::{Extended, VerifiedRun};

use super::Stores;
use super::fixtures::{
    Device, admissible, adoption, after, all_runs, append, elsewhere, fresh_identity, statement,
    tips,
};
use crate::identity::{LogEnd, StatementOutcome};
use crate::ledger::AppendOutcome;
use crate::{LogVersion, Origin};

fn signed(run: &VerifiedRun) -> SignedTip {
    SignedTip {
        device: run.device(),
        point: run.last(),
        signature: run.signature(),
    }
}

fn recorded(outcome: StatementOutcome, device: &Device) -> Vec<SignedTip> {
    let StatementOutcome::Appended(records) = outcome else {
        panic!("{outcome:?}")
    };
    let [record] = &records[..] else {
        panic!("{records:?}")
    };
    assert!(record.tips.iter().all(|tip| tip.device == device.id));
    record.tips.clone()
}

/// All branches of them, with their signatures, in order; and of no other device.
pub async fn a_statement_records_the_tips_of_the_devices_that_it_ends(stores: &Stores) {
    let identity = fresh_identity();
    let (ended, other, idle) = (
        Device::new(identity),
        Device::new(identity),
        Device::new(identity),
    );
    let trunk = ended.chain(Point::START, 5, 0);
    let below = ended.part(&trunk, 0, 3);
    let branch = ended.chain(below.last(), 4, 1);
    let foreign = other.chain(Point::START, 2, 0);
    append(stores, identity, &[&below, &trunk, &branch, &foreign]).await;
    let append = statement(LogEnd::EMPTY, &[&ended, &idle]);
    let outcome = stores
        .identity
        .append_statement(identity, append)
        .await
        .unwrap();
    let mut expected = vec![signed(&trunk), signed(&branch)];
    expected.sort_unstable();
    let tips = recorded(outcome, &ended);
    assert_eq!(tips, expected);
    let log = stores.identity.log(identity, 0).await.unwrap().unwrap();
    assert_eq!(log.records[0].tips, expected);
}

/// Whatever is appended at the same time: an append that was kept is below a recorded tip, and
/// one that came later was told that the log moved.
pub async fn tips_and_version_are_recorded_in_one_step(stores: &Stores) {
    for _ in 0..20 {
        let identity = fresh_identity();
        let device = Device::new(identity);
        let whole = device.chain(Point::START, 24, 0);
        let fork = device.chain(whole.entries()[2].point(), 1, 1);
        let ledger = stores.ledger.clone();
        let runs: Vec<_> = (0..24).map(|at| device.part(&whole, at, at + 1)).collect();
        let mut appends = tokio::task::JoinSet::new();
        appends.spawn(async move {
            let mut kept = Vec::new();
            for run in runs.iter().take(3).chain([&fork]).chain(&runs[3..]) {
                let runs = vec![admissible(run)];
                let outcome = ledger
                    .append(identity, LogVersion(0), Origin(1), runs)
                    .await;
                match outcome.unwrap() {
                    AppendOutcome::Appended(outcomes) => match &outcomes[..] {
                        [Extended::Kept { tips, .. }] => kept.clone_from(tips),
                        other => panic!("{other:?}"),
                    },
                    AppendOutcome::LogMoved => break,
                    AppendOutcome::Blocked | AppendOutcome::OverQuota => {
                        panic!("no operator said anything")
                    }
                }
            }
            kept
        });
        let append = statement(LogEnd::EMPTY, &[&device]);
        let outcome = stores
            .identity
            .append_statement(identity, append)
            .await
            .unwrap();
        let kept = appends.join_all().await.remove(0);
        let tips_recorded = recorded(outcome, &device);
        let points: Vec<_> = tips_recorded.iter().map(|tip| tip.point).collect();
        assert_eq!(points, kept);
        assert_eq!(tips(stores, identity, &device).await, kept);
    }
}

/// Entries outside are gone and can come back; entries inside and other devices stay.
pub async fn an_adoption_drops_what_is_outside_its_cuts(stores: &Stores) {
    let identity = fresh_identity();
    let (ended, other) = (Device::new(identity), Device::new(identity));
    let trunk = ended.chain(Point::START, 6, 0);
    let inside = ended.part(&trunk, 0, 4);
    let branch = ended.chain(trunk.entries()[1].point(), 3, 1);
    let foreign = other.chain(Point::START, 2, 0);
    append(stores, identity, &[&trunk, &inside, &branch, &foreign]).await;
    let cut = Cut::of_device(ended.id, [signed(&inside)].iter());
    let cuts = vec![(ended.id, cut), (Device::new(identity).id, Cut::default())];
    let adopted = adoption(LogEnd::EMPTY, cuts);
    stores.identity.adopt(identity, adopted).await.unwrap();
    assert_eq!(tips(stores, identity, &ended).await, [inside.last()]);
    let kept: Vec<_> = all_runs(stores, identity)
        .await
        .into_iter()
        .map(|run| run.run)
        .collect();
    assert_eq!(kept.len(), 2);
    assert!(kept.contains(&inside.to_run()) && kept.contains(&foreign.to_run()));
    let again = append(stores, identity, &[&ended.part(&trunk, 4, 6)]).await;
    assert_eq!(
        again,
        [Extended::Kept {
            from: 0,
            tips: vec![trunk.last()]
        }]
    );
}

/// Because a run must be able to end there, and the next statement to record it.
pub async fn a_cut_signs_the_tip_that_it_leaves(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let whole = device.chain(Point::START, 9, 0);
    append(stores, identity, &[&whole]).await;
    let inside = device.part(&whole, 0, 5);
    let cuts = vec![(
        device.id,
        Cut::of_device(device.id, [signed(&inside)].iter()),
    )];
    let adopted = adoption(LogEnd::EMPTY, cuts);
    stores
        .identity
        .adopt(identity, adopted.clone())
        .await
        .unwrap();
    let kept = all_runs(stores, identity).await;
    assert_eq!(
        kept.iter().map(|run| &run.run).collect::<Vec<_>>(),
        [&inside.to_run()]
    );
    let end = after(&adopted.expected, &adopted.records);
    let append = statement(end, &[&device]);
    let outcome = stores
        .identity
        .append_statement(identity, append)
        .await
        .unwrap();
    assert_eq!(recorded(outcome, &device), [signed(&inside)]);
}

/// Neither log nor journals change.
pub async fn an_adoption_that_conflicts_drops_nothing(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let run = device.chain(Point::START, 3, 0);
    append(stores, identity, &[&run]).await;
    let cuts = vec![(device.id, Cut::default())];
    let adopted = adoption(elsewhere(5), cuts.clone());
    let outcome = stores.identity.adopt(identity, adopted).await.unwrap();
    assert_eq!(outcome, StatementOutcome::Conflict);
    assert_eq!(tips(stores, identity, &device).await, [run.last()]);
    assert_eq!(stores.identity.log(identity, 0).await.unwrap(), None);
    let adopted = adoption(LogEnd::EMPTY, cuts);
    stores.identity.adopt(identity, adopted).await.unwrap();
    assert!(tips(stores, identity, &device).await.is_empty());
    assert!(all_runs(stores, identity).await.is_empty());
}
