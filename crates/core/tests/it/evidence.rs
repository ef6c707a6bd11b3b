//! S-50: two receipts for one position prove that its service gave the place twice.

use edge_ledger_core::identity::log::next_hash;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    CreditPolicy, Evidence, FormatError, IdentityLog, ReceiptedStatement, ServiceCertificate,
    ServiceRole, StatementRecord,
};
use edge_ledger_core::keys::Signature;

use crate::fixture::protobuf::{Writer, fields, other_spellings, value};
use crate::fixture::{SERVICE_TIME_MS, World, key, record, rename};

/// The receipt of a renaming that follows a log, by a service key.
fn receipt(world: &World, by: &ServiceSigner, log: &IdentityLog, name: &str) -> ReceiptParts {
    recorded(world, by, log, name, SERVICE_TIME_MS)
}

fn recorded(
    world: &World,
    by: &ServiceSigner,
    log: &IdentityLog,
    name: &str,
    service_time_ms: i64,
) -> ReceiptParts {
    let as_root = [SigningAs::Root(&world.root)];
    let statement = world.sign(log, rename("admin", name), &as_root);
    let record = StatementRecord {
        service_time_ms,
        ..record(statement, Vec::new())
    };
    let hash = next_hash(world.ledger_id(), log.head().hash, &record);
    ReceiptedStatement::sign(by, &world.genesis, record, hash).parts()
}

#[test]
fn it_verifies_itself_in_either_order() {
    let world = World::uncapped();
    let log = world.log_of("admin");
    let (one, other) = (
        receipt(&world, &world.service, &log, "one"),
        receipt(&world, &world.service, &log, "other"),
    );
    let evidence = Evidence::of(&world.genesis, &one, &other).expect("they contradict");
    assert_eq!(
        Evidence::of(&world.genesis, &other, &one),
        Ok(evidence.clone())
    );
    assert_eq!(evidence.position(), 2);
    assert_eq!(evidence.identity(), world.identity());
    assert_eq!(evidence.genesis().ledger_id(), world.ledger_id());
    let [low, high] = evidence.hashes();
    assert!(low < high);
    let again = Evidence::decode(evidence.bytes().clone());
    assert_eq!(again, Ok(evidence.clone()));
    // Another service key of the deployment, and another time of the same statement, are the same.
    let public = key("another service").public_key();
    let (id, role) = (world.ledger_id(), ServiceRole::Service);
    let certificate = ServiceCertificate::issue(&world.service_root, id, &public, role, 9);
    let second = ServiceSigner::new(key("another service"), certificate).expect("its own");
    let later = recorded(&world, &second, &log, "one", SERVICE_TIME_MS + 1);
    assert!(Evidence::of(&world.genesis, &one, &later).is_ok());
}

#[test]
fn what_does_not_contradict_is_no_evidence() {
    let world = World::uncapped();
    let mut log = world.log_of("admin");
    let by = &world.service;
    let (one, other) = (
        receipt(&world, by, &log, "one"),
        receipt(&world, by, &log, "other"),
    );
    let of = |a: &ReceiptParts, b: &ReceiptParts| Evidence::of(&world.genesis, a, b).map(|_| ());
    let order = Err(FormatError::Field("the order of the receipts"));
    assert_eq!(of(&one, &one), order, "twice the same");
    let as_root = [SigningAs::Root(&world.root)];
    world
        .say(&mut log, rename("admin", "one"), &as_root)
        .expect("can be renamed");
    let place = Err(FormatError::Field("the place of the receipts"));
    let next = receipt(&world, by, &log, "next");
    assert_eq!(of(&one, &next), place, "another position");
    let mut stranger = World::uncapped();
    stranger.root = key("another root");
    let theirs = receipt(&stranger, by, &stranger.log_of("admin"), "other");
    assert_eq!(of(&one, &theirs), place, "another identity");
    let mut unsigned = other.clone();
    unsigned.signature = one.signature;
    assert!(of(&one, &unsigned).is_err());
    unsigned.signature = Signature::from_bytes([0; 64]);
    assert!(of(&unsigned, &one).is_err());
    let issued = receipt(&world, &world.issuer, &world.log_of("admin"), "other");
    let role = Err(FormatError::Field("the role of a receipt's key"));
    assert_eq!(of(&one, &issued), role);
    let elsewhere = World::new(CreditPolicy::Issued);
    assert!(Evidence::of(&elsewhere.genesis, &one, &other).is_err());
}

#[test]
fn it_has_one_spelling_and_two_receipts() {
    let world = World::uncapped();
    let log = world.log_of("admin");
    let of = |name| receipt(&world, &world.service, &log, name);
    let evidence = Evidence::of(&world.genesis, &of("one"), &of("other")).expect("they contradict");
    for (what, spelling) in other_spellings(evidence.bytes(), 15) {
        assert!(Evidence::decode(spelling.into()).is_err(), "{what}");
    }
    let parts: Vec<Vec<u8>> = fields(evidence.bytes())
        .iter()
        .map(|(_, field)| value(field))
        .collect();
    let made = |receipts: &[&[u8]]| {
        let writer = Writer::new().bytes(1, &parts[0]);
        let writer = receipts.iter().fold(writer, |w, r| w.bytes(2, r));
        Evidence::decode(writer.finish().into()).map(|_| ())
    };
    let (low, high) = (&parts[1][..], &parts[2][..]);
    assert_eq!(made(&[low, high]), Ok(()));
    assert_eq!(
        made(&[high, low]),
        Err(FormatError::Field("the order of the receipts"))
    );
    let number = Err(FormatError::Field("the number of receipts"));
    assert_eq!(made(&[]), number);
    assert_eq!(made(&[low]), number);
    assert_eq!(made(&[low, high, high]), number);
}
