//! The one spelling of a payload (S-47), and that a changed run is never taken for another.

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::{DeviceId, EntryHash, IdentityId, LedgerId};
use edge_ledger_core::keys::Signature;
use edge_ledger_core::ledger::entry::Author;
use edge_ledger_core::ledger::{Kind, Posting, Reject, Run, verify};
use proptest::prelude::*;

use crate::fixture::entries::{Pen, credit, debit, payload_at, posting, posting_bytes, refund};
use crate::fixture::protobuf::{Writer, other_spellings};
use crate::fixture::{World, cases};

fn judged(pen: &Pen<'_>, payload: impl Into<Bytes>) -> Result<(), Reject> {
    let run = pen.run(1, Point::START, vec![payload.into()]);
    verify(pen.author(), &run).map(|_| ())
}

#[test]
fn a_payload_has_one_spelling() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let postings = [
        credit("a", 300).with_memo("memo").expect("short"),
        debit("b", 1),
        refund("b", 1),
    ];
    let mut refused = 0;
    for wall_ms in [0, -1, 1_790_000_000_000] {
        for posting in &postings {
            let with = |bytes: &[u8]| {
                let writer = Writer::new().raw(&payload_at(wall_ms, &postings));
                writer.bytes(2, bytes).finish()
            };
            let sound = posting_bytes(posting);
            assert_eq!(judged(&pen, with(&sound)), Ok(()));
            for (what, spelling) in other_spellings(&sound, 15) {
                let reject = judged(&pen, with(&spelling));
                assert_eq!(reject, Err(Reject::NotCanonical), "posting: {what}");
                refused += 1;
            }
        }
        let payload = payload_at(wall_ms, &postings);
        assert_eq!(judged(&pen, payload.clone()), Ok(()));
        for (what, spelling) in other_spellings(&payload, 15) {
            // Postings are a list: one more of them is another payload, not another spelling.
            if what == "the last field twice" || wall_ms == 0 && what == "the first field twice" {
                continue;
            }
            if wall_ms == 0 && what == "fields out of order" {
                continue;
            }
            let reject = judged(&pen, spelling);
            assert_eq!(reject, Err(Reject::NotCanonical), "payload: {what}");
            refused += 1;
        }
    }
    assert!(refused > 80, "{refused}");
}

#[test]
fn defaults_are_absent_and_there_is_one_effect() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let sound = posting_bytes(&debit("a", 5));
    let with = |posting: Vec<u8>| Writer::new().bytes(2, &posting).finish();
    let add = |tag, bytes: &[u8]| Writer::new().raw(&sound).bytes(tag, bytes).finish();
    for (what, payload) in [
        (
            "wall_ms 0",
            Writer::new().varint(1, 0).bytes(2, &sound).finish(),
        ),
        ("an empty memo", with(add(10, b""))),
        ("an empty proof", with(add(11, b""))),
        (
            "two effects",
            with(Writer::new().varint(1, 5).raw(&sound).finish()),
        ),
        (
            "one effect twice",
            with(Writer::new().varint(2, 5).raw(&sound).finish()),
        ),
        ("no effect", with(Writer::new().bytes(9, b"a").finish())),
        (
            "an unknown effect",
            with(Writer::new().varint(4, 5).bytes(9, b"a").finish()),
        ),
        ("a memo that is no text", with(add(10, &[0xff, 0xfe]))),
        (
            "an effect of the wrong wire type",
            with(Writer::new().bytes(2, b"5").bytes(9, b"a").finish()),
        ),
        (
            "a posting cut short",
            Writer::new().raw(&[0x12, 0x7f, 0x08]).finish(),
        ),
        (
            "a length beyond the end",
            Writer::new()
                .raw(&[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f])
                .finish(),
        ),
    ] {
        assert_eq!(judged(&pen, payload), Err(Reject::NotCanonical), "{what}");
    }
}

/// A run of some entries, at the start of a journal or further on.
#[derive(Debug, Clone)]
struct Plan {
    start: u64,
    format: u16,
    entries: Vec<Vec<(u8, u8, u64)>>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let posting = (0..3_u8, 0..4_u8, 1..1_000_u64);
    let entry = prop::collection::vec(posting, 1..4);
    let start = prop_oneof![Just(0), 1..5_u64, Just(u64::MAX - 9)];
    let format = prop_oneof![4 => Just(1_u16), 1 => Just(2)];
    (start, format, prop::collection::vec(entry, 1..5)).prop_map(|(start, format, entries)| Plan {
        start,
        format,
        entries,
    })
}

impl Plan {
    fn run(&self, pen: &Pen<'_>) -> Run {
        let kinds = [Kind::Credit, Kind::Debit, Kind::Refund];
        let payloads = self.entries.iter().map(|entry| {
            let postings: Vec<Posting> = entry
                .iter()
                .map(|(kind, key, n)| posting(kinds[usize::from(*kind)], &key.to_string(), *n))
                .collect();
            payload_at(7, &postings)
        });
        let hash = if self.start == 0 { [0; 32] } else { [1; 32] };
        let parent = Point {
            seq: self.start,
            hash: EntryHash::from_bytes(hash),
        };
        pen.run(self.format, parent, payloads.collect())
    }
}

fn flipped<const N: usize>(bytes: &[u8; N], bit: usize) -> [u8; N] {
    let mut bytes = *bytes;
    bytes[bit / 8 % N] ^= 1 << (bit % 8);
    bytes
}

/// Changes one thing of a run, chosen by two numbers; `None` if that would change nothing.
fn changed(run: &Run, what: u8, where_: usize) -> Option<Run> {
    let mut run = run.clone();
    let index = where_ % run.payloads.len();
    match what {
        0 => run.device = DeviceId::from_bytes(flipped(run.device.as_bytes(), where_)),
        1 => run.formats[index] ^= 1 << (where_ / 7 % 16),
        2 => run.first_seq ^= 1 << (where_ % 64),
        3 => run.first_prev = EntryHash::from_bytes(flipped(run.first_prev.as_bytes(), where_)),
        4 => run.signature = Signature::from_bytes(flipped(run.signature.as_bytes(), where_)),
        5 => {
            let mut payload = run.payloads[index].to_vec();
            let bit = where_ / run.payloads.len() % (payload.len() * 8);
            payload[bit / 8] ^= 1 << (bit % 8);
            run.payloads[index] = payload.into();
        }
        6 => {
            let payload = &run.payloads[index];
            run.payloads[index] = payload.slice(..where_ / 5 % payload.len());
        }
        7 => {
            run.formats.remove(index);
            run.payloads.remove(index);
        }
        8 => {
            let other = (index + 1) % run.payloads.len();
            if run.payloads[index] == run.payloads[other] {
                return None;
            }
            run.payloads.swap(index, other);
        }
        9 => {
            run.formats.insert(index, run.formats[index]);
            run.payloads.insert(index, run.payloads[index].clone());
        }
        10 => run.formats.push(1),
        11 => run.formats.truncate(index),
        _ => {
            run.formats.push(1);
            run.payloads.push(payload_at(0, &[credit("more", 1)]));
        }
    }
    Some(run)
}

proptest! {
    #![proptest_config(cases())]

    /// Whatever single thing of a run is changed, the gate refuses it.
    #[test]
    fn a_changed_run_is_refused(plan in plans(), what in 0..13_u8, where_ in any::<usize>()) {
        let world = world();
        let pen = Pen::new(world, "phone");
        let run = plan.run(&pen);
        prop_assert!(verify(pen.author(), &run).is_ok());
        if let Some(changed) = changed(&run, what, where_) {
            prop_assert!(verify(pen.author(), &changed).is_err(), "{changed:?}");
        }
    }

    /// A part of a run is a run only when it ends where the run ends, and then its entries are
    /// the same ones: same places, same hashes, same content.
    #[test]
    fn a_part_of_a_run_is_its_end(plan in plans(), from in 0..5_usize, to in 0..5_usize) {
        let world = world();
        let pen = Pen::new(world, "phone");
        let run = plan.run(&pen);
        let whole = pen.verified(&run);
        let length = run.payloads.len();
        let (from, to) = (from % length, to % length + 1);
        let mut points = vec![whole.parent()];
        points.extend(whole.entries().iter().map(|entry| entry.point()));
        if from < to {
            let part = Run {
                first_seq: points[from].seq + 1,
                first_prev: points[from].hash,
                formats: run.formats[from..to].to_vec(),
                payloads: run.payloads[from..to].to_vec(),
                ..run
            };
            match verify(pen.author(), &part) {
                Ok(verified) => {
                    prop_assert_eq!(to, length);
                    prop_assert_eq!(verified.entries(), &whole.entries()[from..]);
                }
                Err(reject) => {
                    prop_assert!(to < length);
                    prop_assert_eq!(reject, Reject::BadSignature);
                }
            }
        }
    }

    /// A run is of one deployment, identity and device.
    #[test]
    fn a_run_is_nowhere_else(plan in plans(), what in 0..3_u8, bit in any::<usize>()) {
        let world = world();
        let (pen, other) = (Pen::new(world, "phone"), Pen::new(world, "tablet"));
        let run = plan.run(&pen);
        let mut author = pen.author();
        match what {
            0 => author.ledger_id = LedgerId::from_bytes(flipped(author.ledger_id.as_bytes(), bit)),
            1 => author.identity = IdentityId::from_bytes(flipped(author.identity.as_bytes(), bit)),
            _ => author = Author { key: &other.public, ..author },
        }
        prop_assert!(verify(author, &run).is_err());
    }
}

fn world() -> &'static World {
    static WORLD: std::sync::OnceLock<World> = std::sync::OnceLock::new();
    WORLD.get_or_init(World::uncapped)
}
