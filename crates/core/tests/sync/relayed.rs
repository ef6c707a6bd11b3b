//! Receipts of the service that devices pass on to each other: a peer's own word is none.

use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{IdentityLog, Point, ServiceCertificate, ServiceRole};
use edge_ledger_core::ids::{EntryHash, StoreEpoch};
use edge_ledger_core::ledger::ack::AckBody;
use edge_ledger_core::ledger::{Ack, Heads, Level};
use edge_ledger_core::sync::{AckParts, Close, Frame, Input, Output, RelayedAck};

use crate::chronicle::Chronicle;
use crate::hand::{Hand, close, names};
use crate::world::{STORE_EPOCH, genesis, key, member, signer, world};

fn ack_by(signer: &ServiceSigner, log: &IdentityLog, seq: u64) -> Ack {
    let body = AckBody {
        identity: world().identity(),
        device: member(3).id,
        point: Point {
            seq,
            hash: EntryHash::from_bytes([3; 32]),
        },
        log_position: log.head().position,
        log_hash: log.head().hash,
        level: Level::Durable,
        store_epoch: STORE_EPOCH,
        service_time_ms: 5,
        key_serial: signer.certificate().serial(),
    };
    Ack::sign(signer, world().ledger_id(), body)
}

fn ack(seq: u64) -> Ack {
    ack_by(&world().signer, Chronicle::base().log(), seq)
}

/// So many, each good.
pub(crate) fn acks(count: u64) -> Vec<RelayedAck> {
    let service = world().signer.certificate();
    let relayed = (1..=count).map(|seq| RelayedAck::new(&ack(seq), service));
    relayed.collect()
}

fn open() -> Hand {
    let log = Chronicle::base().log().clone();
    Hand::open_peer(member(0), member(1), &log, &Heads::default())
}

fn refused(relayed: RelayedAck) {
    let mut all = acks(2);
    all.push(relayed);
    let outputs = open().frame(Frame::RelayedAcks(all));
    assert_eq!(names(&outputs), ["close"]);
    assert_eq!(close(&outputs), Some(&Close::BadMessage("RelayedAcks")));
}

#[test]
fn receipts_of_the_service_are_passed_on_and_checked() {
    let service = world().signer.certificate();
    let given: Vec<Ack> = (1..=65).map(ack).collect();
    let to_relay = given.iter().map(|ack| (*ack, service.clone())).collect();
    let outputs = open().input(Input::RelayAcks(to_relay));
    assert_eq!(names(&outputs), ["RelayedAcks", "RelayedAcks"]);
    let mut received = Vec::new();
    let mut receiver = open();
    for output in outputs {
        let Output::Send(frame) = output else {
            panic!("not a frame");
        };
        for output in receiver.frame(frame) {
            let Output::Acked { acks, service: by } = output else {
                panic!("not acked: {output:?}");
            };
            assert_eq!(by, *service);
            received.extend(acks);
        }
    }
    assert_eq!(received, given);
}

#[test]
fn those_of_several_keys_are_told_apart() {
    let other = signer(&world().genesis, 249);
    let log = Chronicle::base().log().clone();
    let mut all = acks(2);
    all.push(RelayedAck::new(
        &ack_by(&other, &log, 9),
        other.certificate(),
    ));
    all.extend(acks(1));
    let outputs = open().frame(Frame::RelayedAcks(all));
    let count = |output: &Output| {
        let Output::Acked { acks, service } = output else {
            panic!("not acked: {output:?}");
        };
        (acks.len(), service.serial())
    };
    let counts: Vec<_> = outputs.iter().map(count).collect();
    assert_eq!(counts, [(2, 252), (1, 249), (1, 252)]);
}

#[test]
fn a_receipt_that_was_forged_or_changed_is_refused() {
    let good = || acks(1).remove(0);
    let changed = |change: fn(&mut RelayedAck)| {
        let mut relayed = good();
        change(&mut relayed);
        refused(relayed);
    };
    changed(|relayed| relayed.ack.point.seq += 1);
    changed(|relayed| relayed.ack.level = Level::Replicated);
    changed(|relayed| relayed.ack.device = member(0).id);
    changed(|relayed| relayed.store_epoch = StoreEpoch::from_bytes([9; 16]));
    changed(|relayed| relayed.ack.key_serial += 1);
    changed(|relayed| relayed.ack.log_position -= 1);
    changed(|relayed| relayed.certificate_body = Vec::new().into());
    changed(|relayed| relayed.certificate_signature = relayed.ack.signature);
    // Signed by the device itself, and shown as of the service's key.
    let mut own = good();
    let hash = ack(1).body.hash(world().ledger_id());
    own.ack.signature = member(1).key.sign(&hash);
    refused(own);
}

#[test]
fn a_receipt_of_a_foreign_or_another_key_is_refused() {
    let log = Chronicle::base().log().clone();
    let foreign = signer(&genesis(2), 252);
    refused(RelayedAck::new(
        &ack_by(&foreign, &log, 1),
        foreign.certificate(),
    ));
    // A key that another root certified, or for another role.
    for (root, role) in [(249, ServiceRole::Service), (250, ServiceRole::Issuer)] {
        let secret = key(248);
        let public = secret.public_key();
        let ledger_id = world().ledger_id();
        let certificate = ServiceCertificate::issue(&key(root), ledger_id, &public, role, 3);
        let signer = ServiceSigner::new(secret, certificate).expect("it is of this key");
        refused(RelayedAck::new(
            &ack_by(&signer, &log, 1),
            signer.certificate(),
        ));
    }
}

#[test]
fn a_receipt_waits_for_the_statements_that_it_names() {
    let mut chronicle = Chronicle::base();
    let mut hand = Hand::open_peer(member(0), member(1), chronicle.log(), &Heads::default());
    chronicle.rename(member(0).id, "another name");
    let ack = ack_by(&world().signer, chronicle.log(), 1);
    let relayed = RelayedAck::new(&ack, world().signer.certificate());
    assert!(hand.frame(Frame::RelayedAcks(vec![relayed])).is_empty());
    let outputs = hand.input(Input::LogChanged(chronicle.log().clone()));
    assert!(names(&outputs).contains(&"acked"), "{outputs:?}");
}

#[test]
fn what_a_peer_says_itself_is_no_receipt() {
    let outputs = open().frame(Frame::Acks(vec![AckParts::from(&ack(1))]));
    assert_eq!(close(&outputs), Some(&Close::BadMessage("Acks")));
    // To and from a service nothing is passed on.
    let log = Chronicle::base().log().clone();
    let heads = Heads::default();
    for mut hand in [
        Hand::open_service(member(0), &log, &heads),
        Hand::open_device(member(0), &log, &heads),
    ] {
        let to_relay = vec![(ack(1), world().signer.certificate().clone())];
        assert!(hand.input(Input::RelayAcks(to_relay)).is_empty());
        let outputs = hand.frame(Frame::RelayedAcks(acks(1)));
        assert_eq!(close(&outputs), Some(&Close::BadMessage("RelayedAcks")));
    }
}
