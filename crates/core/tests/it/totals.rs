//! Sums at the edge of their ranges (S-29), caps, and proofs of issuers.

use std::sync::OnceLock;

use bytes::Bytes;
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    CreditPolicy, FormatError, IdentityLog, Point, ServiceCertificate, ServiceRole,
};
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::fold::{Void, fold, fold_with};
use edge_ledger_core::ledger::issuer::{Grant, proves};
use edge_ledger_core::ledger::{Effect, Fold, Kind, Posting, VerifiedEntry};
use edge_ledger_core::limits::{AMOUNT_MAX, ENTRY_POSTINGS_MAX, JOURNAL_TOTAL_MAX};
use edge_ledger_core::tags::Tag;
use proptest::prelude::*;

use crate::fixture::entries::{Pen, credit, debit, posting, refund};
use crate::fixture::protobuf::{Writer, other_spellings};
use crate::fixture::tally::Tally;
use crate::fixture::{World, cases, device_id, key};

/// What a journal can still take after [`full`]: 2^63 − 1 less 1,024 times the largest amount.
const ROOM: u64 = 1_023;

/// A chain of entries of one device.
fn chained(pen: &Pen<'_>, parent: Point, entries: &[Vec<Posting>]) -> Vec<VerifiedEntry> {
    let mut at = parent;
    let mut chained = Vec::new();
    for postings in entries {
        let (run, point) = pen.entry(at, postings);
        chained.extend(pen.verified(&run).entries().iter().cloned());
        at = point;
    }
    chained
}

/// Two entries of 1,024 postings of the largest amount together.
fn full(pen: &Pen<'_>, kind: Kind) -> Vec<VerifiedEntry> {
    let all: Vec<Posting> = (0..1_024)
        .map(|n| posting(kind, &format!("full {n}"), AMOUNT_MAX))
        .collect();
    let entries: Vec<Vec<Posting>> = all.chunks(ENTRY_POSTINGS_MAX).map(<[_]>::to_vec).collect();
    chained(pen, Point::START, &entries)
}

/// The effects of the last postings of a set of entries.
fn effects(log: &IdentityLog, entries: &[VerifiedEntry], last: usize) -> Vec<Effect> {
    let mut effects = Vec::new();
    fold_with(log, entries, |_, _, effect| effects.push(effect));
    effects.split_off(effects.len() - last)
}

#[test]
fn a_journal_holds_exactly_2_to_the_63_less_1() {
    let world = World::uncapped();
    let log = world.log_of("phone");
    let pen = Pen::new(&world, "phone");
    let max = i128::try_from(JOURNAL_TOTAL_MAX).expect("it is one");
    assert_eq!(max, (1 << 63) - 1);
    for kind in [Kind::Credit, Kind::Debit] {
        let base = full(&pen, kind);
        let end = base[base.len() - 1].point();
        let of = |fold: &Fold| match kind {
            Kind::Credit => fold.credited(),
            Kind::Debit | Kind::Refund => fold.debited(),
        };
        assert_eq!(of(&fold(&log, &base)), max - i128::from(ROOM));
        for (amount, counts) in [
            (1, true),
            (ROOM, true),
            (ROOM + 1, false),
            (AMOUNT_MAX, false),
        ] {
            let last = vec![posting(kind, "last", amount), posting(kind, "after", ROOM)];
            let entries = [base.clone(), chained(&pen, end, &[last])].concat();
            let told = effects(&log, &entries, 2);
            let void = Effect::Void(Void::TotalRange);
            assert_eq!(told[0] == Effect::Counted, counts, "{amount}");
            assert_eq!(told[0] == void, !counts);
            // A void posting uses nothing of the range.
            assert_eq!(told[1] == Effect::Counted, !counts);
            let total = of(&fold(&log, &entries));
            assert_eq!(
                total,
                if counts && amount < ROOM {
                    max - i128::from(ROOM) + 1
                } else {
                    max
                }
            );
        }
        // Another branch has its own range, and a key that is there already uses none.
        let again = vec![
            posting(kind, "full 7", AMOUNT_MAX),
            posting(kind, "other", ROOM),
        ];
        let mut entries = [base.clone(), chained(&pen, end, &[again])].concat();
        let aside = vec![posting(kind, "aside", AMOUNT_MAX); 2];
        entries.extend(chained(&pen, Point::START, &[aside]));
        assert_eq!(of(&fold(&log, &entries)), max + i128::from(AMOUNT_MAX));
    }
}

#[test]
fn sums_over_journals_pass_64_bits_both_ways() {
    let world = World::uncapped();
    let names = ["phone", "tablet", "laptop", "kiosk", "worker"];
    let log = world.log_with(names[0], &names[1..]);
    let max = i128::try_from(JOURNAL_TOTAL_MAX).expect("it is one");
    for (kind, sign) in [(Kind::Credit, 1), (Kind::Debit, -1)] {
        let mut entries = Vec::new();
        for name in names {
            let pen = Pen::new(&world, name);
            let all: Vec<Posting> = (0..1_024)
                .map(|n| posting(kind, &format!("{name} {n}"), AMOUNT_MAX))
                .chain([posting(kind, &format!("{name} last"), ROOM)])
                .collect();
            let chunks: Vec<Vec<Posting>> =
                all.chunks(ENTRY_POSTINGS_MAX).map(<[_]>::to_vec).collect();
            entries.extend(chained(&pen, Point::START, &chunks));
        }
        let balance = fold(&log, &entries).balance();
        assert_eq!(balance, sign * 5 * max);
        assert!(balance.abs() > i128::from(u64::MAX) * 2);
    }
}

/// A full journal of each kind, folded, and where it ends.
struct FullJournals {
    world: World,
    log: IdentityLog,
    bases: [(Kind, Fold, Point); 2],
}

fn full_journals() -> &'static FullJournals {
    static FULL: OnceLock<FullJournals> = OnceLock::new();
    FULL.get_or_init(|| {
        let world = World::uncapped();
        let log = world.log_of("phone");
        let bases = [Kind::Credit, Kind::Debit].map(|kind| {
            let base = full(&Pen::new(&world, "phone"), kind);
            (kind, fold(&log, &base), base[base.len() - 1].point())
        });
        FullJournals { world, log, bases }
    })
}

/// Near the end of the range: what is counted fits, what is void would not have fitted.
#[test]
fn no_sum_wraps_or_clamps() {
    static TALLY: Tally = Tally::new(&["exactly full", "void", "both", "a key again"]);
    let amounts = prop::sample::select(&[1, 2, 510, 511, 512, 1_022, 1_023, 1_024, AMOUNT_MAX][..]);
    let tail = prop::collection::vec((0..4_u8, amounts), 1..6);
    proptest!(cases(), |(which in 0..2_usize, tail in tail)| {
        let FullJournals { world, log, bases } = full_journals();
        let (kind, base, end) = &bases[which];
        let pen = Pen::new(world, "phone");
        let entries: Vec<Vec<Posting>> =
            tail.iter().map(|(key, n)| vec![posting(*kind, &key.to_string(), *n)]).collect();
        let mut fold = base.clone();
        for entry in chained(&pen, *end, &entries) {
            prop_assert_eq!(fold.extend(log, &entry), Ok(()));
        }
        let mut weights = [0_u64; 4];
        let mut void = 0;
        for (key, amount) in &tail {
            let others: u64 = weights.iter().sum::<u64>() - weights[usize::from(*key)];
            let weight = weights[usize::from(*key)].max(*amount);
            if others + weight <= ROOM {
                TALLY.count_if(weights[usize::from(*key)] > 0, "a key again");
                weights[usize::from(*key)] = weight;
            } else {
                void += 1;
            }
        }
        let sum = i128::from(weights.iter().sum::<u64>());
        let full = i128::try_from(JOURNAL_TOTAL_MAX).expect("it is one") - i128::from(ROOM);
        let total = fold.credited() + fold.debited();
        prop_assert_eq!(total, full + sum);
        prop_assert_eq!(fold.balance(), if *kind == Kind::Credit { total } else { -total });
        TALLY.count_if(sum == i128::from(ROOM), "exactly full");
        TALLY.count_if(void > 0, "void");
        TALLY.count_if(void > 0 && sum > 0, "both");
    });
    TALLY.require(500);
}

#[test]
fn caps_are_of_one_posting_and_of_one_branch() {
    let world = World::new(CreditPolicy::SelfReported {
        posting_cap: 50,
        journal_cap: 100,
    });
    let log = world.log_with("phone", &["tablet"]);
    let (phone, tablet) = (Pen::new(&world, "phone"), Pen::new(&world, "tablet"));
    let counted = Effect::Counted;
    let (posting_cap, journal_cap) = (
        Effect::Void(Void::PostingCap),
        Effect::Void(Void::JournalCap),
    );
    let postings = vec![
        credit("a", 51),
        credit("a", 50),
        credit("b", 50),
        credit("c", 1),
        credit("a", 50),
        debit("d", AMOUNT_MAX),
        refund("d", AMOUNT_MAX),
    ];
    let first = chained(&phone, Point::START, &[postings]);
    let expected = [
        posting_cap,
        counted,
        counted,
        journal_cap,
        counted,
        counted,
        counted,
    ];
    assert_eq!(effects(&log, &first, 7), expected);
    assert_eq!(fold(&log, &first).balance(), 100);
    // Other branches and other devices have their own cap; a key still counts once.
    let branch = chained(
        &phone,
        Point::START,
        &[vec![credit("c", 1), credit("a", 10)]],
    );
    let other = chained(
        &tablet,
        Point::START,
        &[vec![credit("a", 40), credit("d", 50)]],
    );
    let all = [first, branch, other].concat();
    assert_eq!(fold(&log, &all).balance(), 100 + 1 + 50);
}

#[test]
fn debits_count_once_along_a_lineage_and_refunds_give_back_no_more() {
    let world = World::uncapped();
    let mut log = world.log_with("tablet", &["phone"]);
    let (old, new) = (key("phone"), key("phone 2"));
    let keys = [SigningAs::Device(&old), SigningAs::Device(&new)];
    world
        .say(
            &mut log,
            world.replace("phone", "phone 2", Vec::new()),
            &keys,
        )
        .expect("replaced");
    let entries = |name: &str, postings: &[Posting]| {
        chained(&Pen::new(&world, name), Point::START, &[postings.to_vec()])
    };
    let balance = |all: &[Vec<VerifiedEntry>]| fold(&log, &all.concat()).balance();
    let phone = entries("phone", &[debit("a", 30)]);
    let phone_2 = entries("phone 2", &[debit("a", 30), debit("b", 5)]);
    let tablet = entries("tablet", &[debit("a", 30)]);
    assert_eq!(
        balance(&[phone.clone(), phone_2.clone()]),
        -35,
        "one lineage"
    );
    assert_eq!(
        balance(&[phone.clone(), phone_2, tablet]),
        -65,
        "and another"
    );
    let of_successor = entries("phone 2", &[refund("a", 10), refund("a", 40)]);
    assert_eq!(
        balance(&[phone.clone(), of_successor.clone()]),
        0,
        "up to the debit"
    );
    assert_eq!(balance(&[of_successor]), 0, "nothing was spent");
    let stranger = entries("tablet", &[refund("a", 10)]);
    assert_eq!(balance(&[phone, stranger]), -30, "of another lineage");
}

/// Under an `issued` policy: what a proof is for, and that it is for nothing else.
#[test]
fn a_proof_is_for_one_posting() {
    let world = World::new(CreditPolicy::Issued);
    let mut log = world.log_with("tablet", &["phone"]);
    let (old, new) = (key("phone"), key("phone 2"));
    let keys = [SigningAs::Device(&old), SigningAs::Device(&new)];
    world
        .say(
            &mut log,
            world.replace("phone", "phone 2", Vec::new()),
            &keys,
        )
        .expect("replaced");
    let sound = Grant {
        identity: world.identity(),
        refund: false,
        event_key: credit("a", 1).event_key,
        amount: 9,
        beneficiary: None,
    };
    let proof = |grant: &Grant| {
        grant
            .sign(world.ledger_id(), &world.issuer)
            .expect("an issuer")
    };
    let proven = |posting: &Posting, proof: &Bytes, device: DeviceId| {
        let issuer_proof = proof.clone();
        proves(
            &log,
            device,
            &Posting {
                issuer_proof,
                ..posting.clone()
            },
        )
    };
    let (phone, tablet) = (device_id("phone"), device_id("tablet"));
    let good = credit("a", 9);
    assert!(proven(&good, &proof(&sound), phone) && proven(&good, &proof(&sound), tablet));
    for wrong in [
        credit("a", 10),
        credit("b", 9),
        refund("a", 9),
        debit("a", 9),
    ] {
        assert!(!proven(&wrong, &proof(&sound), phone));
    }
    let other_identity = Grant {
        identity: IdentityId::from_bytes([1; 32]),
        ..sound.clone()
    };
    assert!(!proven(&good, &proof(&other_identity), phone));
    let of_refund = Grant {
        refund: true,
        beneficiary: Some(phone),
        ..sound.clone()
    };
    assert!(!proven(&good, &proof(&of_refund), phone));
    assert!(proven(&refund("a", 9), &proof(&of_refund), phone));
    assert!(!proven(&refund("a", 9), &proof(&of_refund), tablet));
    let of_nobody = Grant {
        beneficiary: None,
        ..of_refund
    };
    let no_beneficiary = Err(FormatError::Field("the beneficiary of a refund"));
    assert_eq!(
        of_nobody.sign(world.ledger_id(), &world.issuer),
        no_beneficiary
    );
    assert!(!proven(&good, &Bytes::new(), phone));
    for (what, spelling) in other_spellings(&proof(&sound), 15) {
        assert!(!proven(&good, &spelling.into(), phone), "{what}");
    }

    let for_lineage = |name| Grant {
        beneficiary: Some(device_id(name)),
        ..sound.clone()
    };
    for named in ["phone", "phone 2"] {
        let proof = proof(&for_lineage(named));
        assert!(proven(&good, &proof, phone) && proven(&good, &proof, device_id("phone 2")));
        assert!(!proven(&good, &proof, tablet), "another lineage");
    }
    assert!(!proven(
        &good,
        &proof(&for_lineage("stranger")),
        device_id("stranger")
    ));
    // The beneficiary is signed: taken out of the proof, the signature does not fit.
    let bare = |proof: &Bytes| Bytes::copy_from_slice(&proof[..proof.len() - 18]);
    assert!(!proven(&good, &bare(&proof(&for_lineage("phone"))), phone));

    let elsewhere = World::named("another deployment", CreditPolicy::Issued);
    let theirs = sound
        .sign(elsewhere.ledger_id(), &elsewhere.issuer)
        .expect("an issuer");
    assert!(!proven(&good, &theirs, phone));
    assert!(
        sound.sign(world.ledger_id(), &world.service).is_err(),
        "not an issuer"
    );
    // A service key that is no issuer's, though the root vouches for it.
    let body = Writer::new()
        .bytes(1, world.identity().as_bytes())
        .varint(2, 9)
        .bytes(3, b"a");
    let hash = Tag::IssuerProof.hash(world.ledger_id(), &[&body.finish()]);
    let by = |name: &str, certificate: &ServiceCertificate, hash: &[u8; 32]| -> Bytes {
        let proof = Writer::new()
            .bytes(1, certificate.body())
            .bytes(2, certificate.signature().as_bytes())
            .bytes(3, key(name).sign(hash).as_bytes());
        proof.finish().into()
    };
    assert_eq!(
        by("issuer", world.issuer.certificate(), &hash),
        proof(&sound)
    );
    let of_refund = Writer::new()
        .bytes(1, world.identity().as_bytes())
        .varint(2, 9)
        .bytes(3, b"a")
        .varint(5, 1);
    let for_anybody = Tag::IssuerProof.hash(world.ledger_id(), &[&of_refund.finish()]);
    let for_anybody = by("issuer", world.issuer.certificate(), &for_anybody);
    assert!(!proven(&refund("a", 9), &for_anybody, phone));
    assert!(!proven(
        &good,
        &by("service", world.service.certificate(), &hash),
        phone
    ));
    let issue = |root: &str, role| {
        let (root, public) = (key(root), key("issuer").public_key());
        let certificate = ServiceCertificate::issue(&root, world.ledger_id(), &public, role, 3);
        ServiceSigner::new(key("issuer"), certificate).expect("of this key")
    };
    let self_made = issue("issuer", ServiceRole::Issuer);
    assert!(!proven(
        &good,
        &sound.sign(world.ledger_id(), &self_made).expect("signs"),
        phone
    ));
    let rotated = issue("service root", ServiceRole::Issuer);
    assert!(proven(
        &good,
        &sound.sign(world.ledger_id(), &rotated).expect("signs"),
        phone
    ));
}
