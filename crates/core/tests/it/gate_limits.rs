//! The gate's limits, each at the limit and one beyond (S-22, S-29, S-31, S-47).

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::EntryHash;
use edge_ledger_core::ledger::entry::Draft;
use edge_ledger_core::ledger::posting::PostingError;
use edge_ledger_core::ledger::{EntryContent, EventKey, Kind, Posting, Reject, Run, verify};
use edge_ledger_core::limits::{
    AMOUNT_MAX, ENTRY_PAYLOAD_BYTES_MAX, ENTRY_POSTINGS_MAX, EVENT_KEY_BYTES_MAX,
    ISSUER_PROOF_BYTES_MAX, MEMO_BYTES_MAX,
};

use crate::fixture::World;
use crate::fixture::entries::{Pen, credit, debit, payload, payload_at, posting_bytes, refund};
use crate::fixture::protobuf::Writer;

/// What the gate says of one entry with this payload, signed by its author.
fn judged(pen: &Pen<'_>, payload: Bytes) -> Result<(), Reject> {
    verify(pen.author(), &pen.run(1, Point::START, vec![payload])).map(|_| ())
}

/// A posting out of any parts, also such as a `Posting` cannot have.
fn raw_posting(amount: u64, key: &[u8], memo: &str, proof: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new().varint(2, amount);
    if !key.is_empty() {
        writer = writer.bytes(9, key);
    }
    if !memo.is_empty() {
        writer = writer.bytes(10, memo.as_bytes());
    }
    if !proof.is_empty() {
        writer = writer.bytes(11, proof);
    }
    writer.finish()
}

fn payload_of(postings: &[Vec<u8>]) -> Bytes {
    let writer = postings
        .iter()
        .fold(Writer::new(), |writer, p| writer.bytes(2, p));
    writer.finish().into()
}

#[test]
fn an_entry_has_1_to_1000_postings() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let some = |count: usize| payload(&vec![debit("a", 1); count]);
    assert_eq!(judged(&pen, some(1)), Ok(()));
    assert_eq!(judged(&pen, some(ENTRY_POSTINGS_MAX)), Ok(()));
    for bad in [some(0), some(ENTRY_POSTINGS_MAX + 1), payload_at(1, &[])] {
        assert_eq!(judged(&pen, bad), Err(Reject::EntrySize));
    }
}

#[test]
fn an_entry_has_at_most_256_kib() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let exactly = |bytes: usize| {
        let filler = raw_posting(1, &[7; 128], &"m".repeat(128), &[8; 64]);
        let mut postings = vec![filler; 1];
        while payload_of(&postings).len() + 600 < bytes {
            postings.push(postings[0].clone());
        }
        let lasts = (1..4).flat_map(|memo| (1..=512).map(move |proof| (memo, proof)));
        let payloads = lasts.map(|(memo, proof)| {
            let last = raw_posting(1, b"a", &"m".repeat(memo), &vec![8; proof]);
            payload_of(&[postings.clone(), vec![last]].concat())
        });
        let mut exact = payloads.filter(|payload| payload.len() == bytes);
        exact.next().expect("some last posting fills the gap")
    };
    assert_eq!(judged(&pen, exactly(ENTRY_PAYLOAD_BYTES_MAX)), Ok(()));
    let over = exactly(ENTRY_PAYLOAD_BYTES_MAX + 1);
    assert_eq!(judged(&pen, over), Err(Reject::EntrySize));
    // The limit is one of all formats.
    let unreadable = |length| {
        let run = pen.run(2, Point::START, vec![vec![9; length].into()]);
        verify(pen.author(), &run).map(|_| ())
    };
    assert_eq!(unreadable(ENTRY_PAYLOAD_BYTES_MAX), Ok(()));
    assert_eq!(
        unreadable(ENTRY_PAYLOAD_BYTES_MAX + 1),
        Err(Reject::EntrySize)
    );
    assert_eq!(unreadable(0), Err(Reject::EntrySize));
}

/// A memo is shown to other people.
#[test]
fn a_memo_is_plain_text() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    for (memo, expected) in [
        ("coffee, π 👩\u{200d}💻", Ok(())),
        ("two\nlines", Err(Reject::BadText)),
        ("\u{1b}[2J", Err(Reject::BadText)),
        ("\u{202e}001 tnaps", Err(Reject::BadText)),
        ("\u{feff}", Err(Reject::BadText)),
    ] {
        let posting = raw_posting(1, b"a", memo, b"");
        let judged = judged(&pen, payload_of(&[posting]));
        assert_eq!(judged, expected, "{memo:?}");
        assert_eq!(debit("a", 1).with_memo(memo).is_ok(), expected.is_ok());
    }
}

#[test]
fn parts_of_a_posting_have_limits() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let judge = |key: usize, memo: usize, proof: usize| {
        let posting = raw_posting(1, &vec![1; key], &"m".repeat(memo), &vec![2; proof]);
        judged(&pen, payload_of(&[posting]))
    };
    let (key, memo, proof) = (EVENT_KEY_BYTES_MAX, MEMO_BYTES_MAX, ISSUER_PROOF_BYTES_MAX);
    assert_eq!(judge(1, 0, 0), Ok(()));
    assert_eq!(judge(key, memo, proof), Ok(()));
    let refused = Err(Reject::EntrySize);
    assert_eq!(judge(0, 0, 0), refused);
    assert_eq!(judge(key + 1, 0, 0), refused);
    assert_eq!(judge(1, memo + 1, 0), refused);
    assert_eq!(judge(1, 0, proof + 1), refused);
    assert!(EventKey::new(vec![1; key]).is_ok());
    for length in [0, key + 1] {
        let size = Err(PostingError::Size("an event key"));
        assert_eq!(EventKey::new(vec![1; length]), size);
    }
    // Limits count bytes, not characters.
    let posting = credit("a", 1);
    assert!(posting.clone().with_memo("π".repeat(memo / 2)).is_ok());
    assert!(posting.with_memo("π".repeat(memo / 2 + 1)).is_err());
}

#[test]
fn amounts_have_a_range() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    for tag in [1, 2, 3] {
        let judge = |amount| {
            let posting = Writer::new().varint(tag, amount).bytes(9, b"a").finish();
            judged(&pen, payload_of(&[posting]))
        };
        assert_eq!(judge(1), Ok(()));
        assert_eq!(judge(AMOUNT_MAX), Ok(()));
        for bad in [0, AMOUNT_MAX + 1, u64::MAX] {
            assert_eq!(judge(bad), Err(Reject::AmountRange));
        }
    }
    let key = || EventKey::new("a").expect("a key");
    for bad in [0, AMOUNT_MAX + 1, u64::MAX] {
        assert!(Posting::new(Kind::Credit, key(), bad).is_err());
    }
}

/// What `Draft` refuses to sign is what the gate refuses to take.
#[test]
fn a_draft_has_the_limits_of_the_gate_and_its_encoding() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let sign = |postings: Vec<Posting>| {
        let draft = Draft {
            wall_ms: -5,
            postings,
        };
        draft.sign(world.ledger_id(), world.identity(), &pen.key, Point::START)
    };
    let mut proven = debit("b", AMOUNT_MAX);
    proven.issuer_proof = Bytes::from_static(&[1, 2]);
    let postings = vec![
        credit("a", 1).with_memo("for π").expect("a short memo"),
        proven,
        refund("c", 300),
    ];
    let run = sign(postings.clone()).expect("within the limits");
    assert_eq!(run.payloads, [payload_at(-5, &postings)]);
    let verified = pen.verified(&run);
    let content = EntryContent::V1 {
        wall_ms: -5,
        postings: postings.clone(),
    };
    assert_eq!(*verified.entries()[0].content(), content);
    for posting in &postings {
        assert_eq!(posting.encode(), posting_bytes(posting));
        assert_eq!(Posting::decode(posting.encode()).as_ref(), Ok(posting));
        assert!(Draft::posting_bytes(posting) >= posting_bytes(posting).len() + 2);
    }

    assert!(sign(Vec::new()).is_err());
    assert!(sign(vec![debit("a", 1); ENTRY_POSTINGS_MAX]).is_ok());
    assert!(sign(vec![debit("a", 1); ENTRY_POSTINGS_MAX + 1]).is_err());
    let mut heavy = debit("a", 1);
    heavy.issuer_proof = vec![1; ISSUER_PROOF_BYTES_MAX].into();
    assert!(sign(vec![heavy.clone(); 400]).is_ok());
    assert!(sign(vec![heavy.clone(); 600]).is_err());
    heavy.issuer_proof = vec![1; ISSUER_PROOF_BYTES_MAX + 1].into();
    assert!(sign(vec![heavy]).is_err());
    let mut zero = debit("a", 1);
    zero.amount = 0;
    assert!(sign(vec![zero]).is_err());
}

#[test]
fn clocks_decide_nothing() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    for wall_ms in [i64::MIN, i64::MIN + 1, -1, 0, 1, 1 << 53, i64::MAX] {
        let payload = payload_at(wall_ms, &[credit("a", 1)]);
        let verified = pen.verified(&pen.run(1, Point::START, vec![payload]));
        let EntryContent::V1 { wall_ms: read, .. } = verified.entries()[0].content() else {
            panic!("a payload of format 1 is readable")
        };
        assert_eq!(*read, wall_ms);
    }
}

#[test]
fn a_run_starts_where_it_says() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let some = EntryHash::from_bytes([1; 32]);
    let judge = |seq: u64, hash, payloads: usize| {
        let parent = Point {
            seq: seq.wrapping_sub(1),
            hash,
        };
        let run = pen.run(1, parent, vec![payload(&[debit("a", 1)]); payloads]);
        assert_eq!(run.first_seq, seq);
        verify(pen.author(), &run).map(|_| ())
    };
    assert_eq!(judge(1, EntryHash::ZERO, 1), Ok(()));
    assert_eq!(judge(2, some, 1), Ok(()));
    assert_eq!(judge(u64::MAX - 1, some, 1), Ok(()));
    assert_eq!(judge(u64::MAX - 3, some, 3), Ok(()));
    for (seq, hash, payloads) in [
        (1, EntryHash::ZERO, 0),
        (2, some, 0),
        (0, EntryHash::ZERO, 1),
        (0, some, 1),
        (1, some, 1),
        (2, EntryHash::ZERO, 1),
        (u64::MAX, some, 1),
        (u64::MAX, EntryHash::ZERO, 1),
        (u64::MAX - 1, some, 2),
        (u64::MAX - 2, some, 1_000),
    ] {
        assert_eq!(judge(seq, hash, payloads), Err(Reject::BadRun), "{seq}");
    }
}

#[test]
fn a_run_is_its_authors() {
    let world = World::uncapped();
    let (phone, tablet) = (Pen::new(&world, "phone"), Pen::new(&world, "tablet"));
    let (run, _) = phone.entry(Point::START, &[credit("a", 1)]);
    assert_eq!(verify(tablet.author(), &run), Err(Reject::Foreign));
    let claimed = Run {
        device: tablet.device(),
        ..run
    };
    assert_eq!(verify(tablet.author(), &claimed), Err(Reject::BadSignature));
    assert_eq!(verify(phone.author(), &claimed), Err(Reject::Foreign));
}

#[test]
fn a_run_of_1000_entries_is_one_signature() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let postings: Vec<Posting> = (0..1_000)
        .map(|n| debit(&format!("key {n}"), n + 1))
        .collect();
    let run = pen.chain(Point::START, &postings);
    let verified = pen.verified(&run);
    let points = pen.points(1, Point::START, &run.payloads);
    assert_eq!(verified.entries().len(), 1_000);
    let mut parent = Point::START;
    for (entry, point) in verified.entries().iter().zip(&points) {
        assert_eq!((entry.parent(), entry.point()), (parent, *point));
        assert_eq!((entry.device(), entry.format()), (pen.device(), 1));
        parent = entry.point();
    }
    assert_eq!(verified.parent(), Point::START);
    assert_eq!((verified.last(), verified.last().seq), (parent, 1_000));
    assert_eq!(verified.to_run(), run);
    assert_eq!(
        verified.payload_bytes(),
        run.payloads.iter().map(Bytes::len).sum::<usize>()
    );
}

#[test]
fn a_higher_format_is_kept_unread() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let anything: Bytes = vec![0xff; 9].into();
    for format in [2, 3, u16::MAX] {
        let run = pen.run(format, Point::START, vec![anything.clone(); 2]);
        let verified = pen.verified(&run);
        for entry in verified.entries() {
            assert_eq!(*entry.content(), EntryContent::Unreadable);
            assert_eq!((entry.format(), entry.payload()), (format, &anything));
        }
        assert_eq!(verified.to_run(), run);
        // The format is signed.
        let other = Run {
            formats: vec![format, 4],
            ..run
        };
        assert_eq!(verify(pen.author(), &other), Err(Reject::BadSignature));
    }
    let run = pen.run(0, Point::START, vec![anything.clone()]);
    assert_eq!(verify(pen.author(), &run), Err(Reject::BadRun));
    let run = pen.run(1, Point::START, vec![anything]);
    assert_eq!(verify(pen.author(), &run), Err(Reject::NotCanonical));
}
