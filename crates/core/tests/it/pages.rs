//! Pages: about one frame of runs, each of which ends at a signature and fits into a frame.

use edge_ledger_core::identity::{Cut, Point, SignedTip};
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Extended, Journals, KeptRun, Posting, Reject, Run, Tip, verify};
use edge_ledger_core::limits::{
    ENTRY_PAYLOAD_BYTES_MAX, FRAME_BYTES_MAX, FRAME_RUNS_MAX, ISSUER_PROOF_BYTES_MAX,
    PAGE_BYTES_MAX, RUN_BYTES_MAX,
};

use crate::fixture::World;
use crate::fixture::entries::{Pen, debit, payload_at};

/// A payload of about 250 KB, which no other number gives.
fn heavy(number: i64) -> bytes::Bytes {
    let mut posting = debit("k", 1);
    posting.issuer_proof = vec![7; ISSUER_PROOF_BYTES_MAX].into();
    payload_at(number, &vec![posting; 470])
}

fn light(number: i64) -> bytes::Bytes {
    payload_at(number, &[debit("k", 1)])
}

fn append(journals: &mut Journals, pen: &Pen<'_>, run: &Run) {
    let run = pen.verified(run);
    let extended = journals.append(&Admissible { run, in_cut: false });
    assert!(matches!(extended, Extended::Kept { .. }), "{extended:?}");
}

/// All pages for somebody who has nothing, as they are sent.
fn pages(journals: &Journals, mut have: Have) -> Vec<Vec<KeptRun>> {
    let mut pages = Vec::new();
    loop {
        let (runs, more) = journals.missing(&have);
        for kept in &runs {
            let points = have.entry(kept.run.device).or_default();
            points.remove(&kept.run.parent());
            points.insert(kept.last);
        }
        pages.push(runs);
        if !more {
            return pages;
        }
    }
}

/// What somebody has who took all these runs.
fn received(pen: &Pen<'_>, pages: &[Vec<KeptRun>]) -> Journals {
    let mut journals = Journals::default();
    for kept in pages.iter().flatten() {
        assert!(kept.run.weight() <= RUN_BYTES_MAX);
        append(&mut journals, pen, &kept.run);
    }
    journals
}

#[test]
fn a_run_is_at_most_a_frame() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    // The limit is one of all formats, and a later one may say anything.
    let judge = |last: usize| {
        let lengths = [
            ENTRY_PAYLOAD_BYTES_MAX,
            ENTRY_PAYLOAD_BYTES_MAX,
            ENTRY_PAYLOAD_BYTES_MAX,
            last,
        ];
        let run = pen.run(
            2,
            Point::START,
            lengths.map(|length| vec![1; length].into()).to_vec(),
        );
        (run.weight(), verify(pen.author(), &run).map(|_| ()))
    };
    let last = RUN_BYTES_MAX - judge(0).0;
    assert_eq!(judge(last), (RUN_BYTES_MAX, Ok(())));
    assert_eq!(judge(last + 1), (RUN_BYTES_MAX + 1, Err(Reject::EntrySize)));
    const { assert!(RUN_BYTES_MAX + 1_024 < FRAME_BYTES_MAX) };
}

#[test]
fn a_journal_of_single_entries_is_paged_by_bytes() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let mut journals = Journals::default();
    let mut at = Point::START;
    for number in 0..7 {
        let run = pen.run(1, at, vec![heavy(number)]);
        append(&mut journals, &pen, &run);
        at = pen.verified(&run).last();
    }
    let pages = pages(&journals, Have::new());
    assert_eq!(
        pages.iter().map(Vec::len).collect::<Vec<_>>(),
        [1; 4],
        "joined into one run each"
    );
    for page in &pages {
        assert!(page.iter().map(|kept| kept.run.weight()).sum::<usize>() < PAGE_BYTES_MAX + 1_024);
    }
    assert_eq!(received(&pen, &pages).heads(), journals.heads());
}

#[test]
fn a_page_has_at_most_256_runs() {
    let world = World::uncapped();
    let mut journals = Journals::default();
    // Runs of different journals cannot be joined.
    let mut sent: Vec<Run> = (0..=FRAME_RUNS_MAX)
        .map(|number| {
            let pen = Pen::new(&world, &format!("device {number}"));
            let run = pen.run(1, Point::START, vec![light(1)]);
            append(&mut journals, &pen, &run);
            run
        })
        .collect();
    sent.sort_unstable_by_key(|run| run.device);
    let pages = pages(&journals, Have::new());
    assert_eq!(
        pages.iter().map(Vec::len).collect::<Vec<_>>(),
        [FRAME_RUNS_MAX, 1]
    );
    let runs = pages.iter().flatten().map(|kept| &kept.run);
    assert!(runs.eq(&sent));
}

/// A cut can drop the entry that the ones below a fork came with, and leave a branch of another
/// format: its signature covers them too.
#[test]
fn a_run_crosses_formats() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let mut journals = Journals::default();
    let trunk = pen.run(1, Point::START, (0..5).map(light).collect());
    append(&mut journals, &pen, &trunk);
    let fork = pen.verified(&trunk).entries()[2].point();
    let branch = pen.run(2, fork, (5..7).map(light).collect());
    append(&mut journals, &pen, &branch);
    let tip = SignedTip {
        device: pen.device(),
        point: pen.verified(&branch).last(),
        signature: branch.signature,
    };
    journals.cut(pen.device(), &Cut::of_device(pen.device(), [tip].iter()));
    let pages = pages(&journals, Have::new());
    let [kept] = &pages.iter().flatten().collect::<Vec<_>>()[..] else {
        panic!("not one run: {pages:?}")
    };
    assert_eq!(kept.run.formats, [1, 1, 1, 2, 2]);
    let there = received(&pen, &pages);
    assert!(there.entries().eq(journals.entries()), "the same entries");
    assert_eq!(there.heads(), journals.heads());
    let mut mislabelled = kept.run.clone();
    mislabelled.formats[3] = 3;
    let refused = verify(pen.author(), &mislabelled);
    assert_eq!(refused, Err(Reject::BadSignature));
}

/// Heavy branches that leave each other in the middle of runs: of the two ways to go on from an
/// unsigned entry only the one that it came with fits into a frame.
#[test]
fn forks_inside_heavy_runs_travel_as_they_came() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    for seed in 0..8 {
        let mut journals = Journals::default();
        let first = pen.run(1, Point::START, (0..4).map(heavy).collect());
        append(&mut journals, &pen, &first);
        let fork = pen.verified(&first).entries()[2].point();
        let second = pen.run(
            1,
            fork,
            (0..4).map(|n| heavy(100 * (seed + 1) + n)).collect(),
        );
        append(&mut journals, &pen, &second);
        let fork = pen.verified(&second).entries()[2].point();
        let third = pen.run(1, fork, (0..4).map(|n| heavy(5_000 + n)).collect());
        append(&mut journals, &pen, &third);
        let pages = pages(&journals, Have::new());
        assert_eq!(received(&pen, &pages).heads(), journals.heads());
    }
}

/// When a cut drops the entry that an unsigned one came with, and the next signature is too far, no
/// run can bring it any more. It is left out, alone: all else goes on.
#[test]
fn what_no_run_can_bring_is_left_out() {
    let world = World::uncapped();
    let (pen, other) = (Pen::new(&world, "phone"), Pen::new(&world, "tablet"));
    let mut journals = Journals::default();
    let first = pen.run(1, Point::START, (0..4).map(heavy).collect());
    append(&mut journals, &pen, &first);
    let fork = pen.verified(&first).entries()[2].point();
    let second = pen.run(1, fork, (10..14).map(heavy).collect());
    append(&mut journals, &pen, &second);
    let sound = other.run(1, Point::START, vec![light(1)]);
    append(&mut journals, &other, &sound);
    let cut_tip = SignedTip {
        device: pen.device(),
        point: pen.verified(&second).last(),
        signature: second.signature,
    };
    journals.cut(
        pen.device(),
        &Cut::of_device(pen.device(), [cut_tip].iter()),
    );
    assert_eq!(journals.entries().count(), 3 + 4 + 1);
    let pages = pages(&journals, Have::new());
    let runs: Vec<&KeptRun> = pages.iter().flatten().collect();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].run, sound);
    // Who has the entries below the fork gets the rest.
    let have = Have::from([(pen.device(), [fork].into())]);
    let pages = self::pages(&journals, have);
    let mut runs = pages.iter().flatten();
    assert!(runs.any(|kept| kept.last == cut_tip.point));
}

/// Who has a part gets the rest of it, from the middle of a run too.
#[test]
fn a_page_begins_where_the_other_side_ends() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let mut journals = Journals::default();
    let postings: Vec<Posting> = (1..=9).map(|n| debit("k", n)).collect();
    let run = pen.chain(Point::START, &postings);
    append(&mut journals, &pen, &run);
    let verified = pen.verified(&run);
    for (index, entry) in verified.entries().iter().enumerate() {
        let have = Have::from([(pen.device(), [entry.point()].into())]);
        let (runs, more) = journals.missing(&have);
        assert!(!more);
        let rest: Vec<_> = runs
            .iter()
            .flat_map(|kept| kept.run.payloads.clone())
            .collect();
        assert_eq!(rest, run.payloads[index + 1..]);
        assert!(runs.iter().all(|kept| kept.run.parent() == entry.point()));
        assert!(journals.keeps(&Tip {
            device: pen.device(),
            point: entry.point()
        }));
    }
}
