//! Receipts: what the service signs of a statement, and that nothing of it can be changed.

use edge_ledger_core::identity::log::next_hash;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    CreditPolicy, FormatError, IdentityLog, LogError, Point, ReceiptedStatement,
    ServiceCertificate, ServiceRole, SignedTip, StatementRecord,
};
use edge_ledger_core::ids::{EntryHash, IdentityId, LogHash};
use edge_ledger_core::keys::{KeyError, SecretKey, Signature};
use edge_ledger_core::limits::RECEIPT_TIPS_MAX;
use edge_ledger_core::tags::Tag;

use crate::fixture::protobuf::{Writer, other_spellings};
use crate::fixture::{SERVICE_TIME_MS, World, key, rename, revoke, tip};

/// A log whose last statement is a revocation, and the receipt of it.
struct Receipted {
    world: World,
    log: IdentityLog,
    record: StatementRecord,
    parts: ReceiptParts,
}

fn receipted() -> Receipted {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone"]);
    let point = Point {
        seq: 3,
        hash: EntryHash::from_bytes([4; 32]),
    };
    let admin = key("admin");
    let statement = world.sign(
        &log,
        revoke("phone", Vec::new()),
        &[SigningAs::Device(&admin)],
    );
    let record = crate::fixture::record(statement, vec![tip("phone", point)]);
    log.apply(record.clone()).expect("can be revoked");
    let hash = log.head().hash;
    let receipt = ReceiptedStatement::sign(&world.service, &world.genesis, record.clone(), hash);
    Receipted {
        parts: receipt.parts(),
        world,
        log,
        record,
    }
}

impl Receipted {
    fn prev(&self) -> LogHash {
        self.log
            .hash_at(self.log.head().position - 1)
            .expect("in the log")
    }

    fn verify(&self, parts: ReceiptParts) -> Result<ReceiptedStatement, FormatError> {
        ReceiptedStatement::verify(
            &self.world.genesis,
            self.world.identity(),
            self.prev(),
            parts,
        )
    }

    /// The receipt with another body, signed again by a service key.
    fn with_body(&self, body: Vec<u8>, signer: &SecretKey) -> ReceiptParts {
        let hash = Tag::StatementReceipt.hash(self.world.ledger_id(), &[&body]);
        ReceiptParts {
            body: body.into(),
            signature: signer.sign(&hash),
            ..self.parts.clone()
        }
    }
}

#[test]
fn a_receipt_gives_back_the_record_and_its_parts_verbatim() {
    let receipted = receipted();
    let verified = receipted.verify(receipted.parts.clone()).expect("sound");
    assert_eq!(*verified.record(), receipted.record);
    let parts = verified.parts();
    assert_eq!(parts.statement, receipted.parts.statement);
    assert_eq!(parts.body, receipted.parts.body);
    assert_eq!(parts.certificate_body, receipted.parts.certificate_body);
    assert_eq!(
        parts.certificate_signature,
        receipted.parts.certificate_signature
    );
    assert_eq!(parts.signature, receipted.parts.signature);
    assert_eq!(verified.into_record(), receipted.record);
}

/// After a crash any replica makes the same receipt from the record.
#[test]
fn a_receipt_is_a_function_of_the_record() {
    let receipted = receipted();
    let again = ReceiptedStatement::sign(
        &receipted.world.service,
        &receipted.world.genesis,
        receipted.record.clone(),
        receipted.log.head().hash,
    );
    assert_eq!(
        again,
        receipted.verify(receipted.parts.clone()).expect("sound")
    );
}

/// A replica that has gone over to another service key says the same, and is believed.
#[test]
fn another_service_key_signs_the_same_receipt() {
    let receipted = receipted();
    let world = &receipted.world;
    let (role, secret) = (ServiceRole::Service, key("the next service key"));
    let (ledger_id, public) = (world.genesis.ledger_id(), secret.public_key());
    let certificate = ServiceCertificate::issue(&world.service_root, ledger_id, &public, role, 2);
    let signer = ServiceSigner::new(secret, certificate).expect("the certificate is of this key");
    let (record, hash) = (receipted.record.clone(), receipted.log.head().hash);
    let again = ReceiptedStatement::sign(&signer, &world.genesis, record, hash).parts();
    assert_eq!(again.statement, receipted.parts.statement);
    assert_eq!(again.body, receipted.parts.body);
    assert_ne!(again.signature, receipted.parts.signature);
    let verified = receipted.verify(again).expect("certified by the same root");
    assert_eq!(verified.into_record(), receipted.record);
}

#[test]
fn any_flipped_bit_of_any_part_is_refused() {
    let receipted = receipted();
    let parts = &receipted.parts;
    let flip = |bytes: &[u8], bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    let flip_signature = |signature: &Signature, bit| {
        Signature::try_from(&flip(signature.as_bytes(), bit)[..]).expect("64 bytes")
    };
    for bit in 0..parts.body.len() * 8 {
        let body = flip(&parts.body, bit).into();
        let parts = ReceiptParts {
            body,
            ..parts.clone()
        };
        assert!(receipted.verify(parts).is_err(), "body, bit {bit}");
    }
    for bit in 0..parts.statement.len() * 8 {
        let statement = flip(&parts.statement, bit).into();
        let parts = ReceiptParts {
            statement,
            ..parts.clone()
        };
        assert!(receipted.verify(parts).is_err(), "statement, bit {bit}");
    }
    for bit in 0..parts.certificate_body.len() * 8 {
        let certificate_body = flip(&parts.certificate_body, bit).into();
        let parts = ReceiptParts {
            certificate_body,
            ..parts.clone()
        };
        assert!(receipted.verify(parts).is_err(), "certificate, bit {bit}");
    }
    for bit in 0..512 {
        let certificate_signature = flip_signature(&parts.certificate_signature, bit);
        let signature = flip_signature(&parts.signature, bit);
        assert!(
            receipted
                .verify(ReceiptParts {
                    certificate_signature,
                    ..parts.clone()
                })
                .is_err()
        );
        assert!(
            receipted
                .verify(ReceiptParts {
                    signature,
                    ..parts.clone()
                })
                .is_err()
        );
    }
}

/// Every field of the body is bound to the statement and its place, not only to the signature.
#[test]
fn a_body_that_is_signed_but_tells_of_something_else_is_refused() {
    let receipted = receipted();
    let (world, service) = (&receipted.world, key("service"));
    let position = receipted.log.head().position;
    let plain = crate::fixture::record(receipted.record.statement.clone(), Vec::new());
    let log_hash = next_hash(world.ledger_id(), receipted.prev(), &plain);
    let body = |identity: &[u8], position, log_hash: LogHash| {
        Writer::new()
            .bytes(1, identity)
            .varint(2, position)
            .bytes(3, log_hash.as_bytes())
            .varint(4, receipted.record.service_time_ms as u64)
            .finish()
    };
    let identity = world.identity();
    let check = |body| {
        receipted
            .verify(receipted.with_body(body, &service))
            .map(|_| ())
    };
    assert_eq!(check(body(identity.as_bytes(), position, log_hash)), Ok(()));
    let foreign = Err(FormatError::Foreign("a receipt"));
    for wrong in [
        body(&[7; 32], position, log_hash),
        body(identity.as_bytes(), position - 1, log_hash),
        body(identity.as_bytes(), position + 1, log_hash),
        body(identity.as_bytes(), position, receipted.prev()),
        body(identity.as_bytes(), position, LogHash::ZERO),
        body(&[7; 31], position, log_hash),
    ] {
        assert_eq!(check(wrong), foreign);
    }
    for (what, spelling) in other_spellings(&body(identity.as_bytes(), position, log_hash), 15) {
        assert!(check(spelling).is_err(), "{what}");
    }
}

#[test]
fn a_receipt_is_for_one_identity_place_and_deployment() {
    let receipted = receipted();
    let (world, parts) = (&receipted.world, &receipted.parts);
    let verify = |genesis, identity, prev| {
        ReceiptedStatement::verify(genesis, identity, prev, parts.clone()).map(|_| ())
    };
    let (identity, prev) = (world.identity(), receipted.prev());
    assert_eq!(verify(&world.genesis, identity, prev), Ok(()));
    let other = IdentityId::from_bytes([3; 32]);
    assert!(verify(&world.genesis, other, prev).is_err());
    assert!(verify(&world.genesis, identity, LogHash::ZERO).is_err());
    assert!(verify(&world.genesis, identity, receipted.log.head().hash).is_err());
    let deployment = World::new(CreditPolicy::Issued);
    assert!(verify(&deployment.genesis, identity, prev).is_err());
}

#[test]
fn only_a_certified_service_key_makes_a_receipt() {
    let receipted = receipted();
    let world = &receipted.world;
    let with_certificate = |signer: &str, certificate: &ServiceCertificate| {
        let parts = receipted.with_body(receipted.parts.body.to_vec(), &key(signer));
        let parts = ReceiptParts {
            certificate_body: certificate.body().clone(),
            certificate_signature: *certificate.signature(),
            ..parts
        };
        receipted.verify(parts).map(|_| ())
    };
    let issue = |root: &str, of: &str, role| {
        ServiceCertificate::issue(
            &key(root),
            world.ledger_id(),
            &key(of).public_key(),
            role,
            9,
        )
    };
    let service = ServiceRole::Service;
    let rotated = issue("service root", "new service", service);
    assert_eq!(with_certificate("new service", &rotated), Ok(()));
    let bad_signature = |what| Err(FormatError::Key(what, KeyError::BadSignature));
    assert_eq!(
        with_certificate("service", &rotated),
        bad_signature("the signature of a receipt")
    );
    assert_eq!(
        with_certificate("admin", &issue("admin", "admin", service)),
        bad_signature("the signature of a service key")
    );
    assert_eq!(
        with_certificate("service root", &issue("service", "service root", service)),
        bad_signature("the signature of a service key")
    );
    assert_eq!(
        with_certificate("issuer", world.issuer.certificate()),
        Err(FormatError::Field("the role of a receipt's key"))
    );
    assert!(with_certificate("service root", world.service.certificate()).is_err());
}

/// A lineage can have as many devices as its identity ever had, each with tips of its own: the
/// receipt that ends it has to be readable.
#[test]
fn a_receipt_holds_the_tips_of_the_largest_lineage() {
    let receipted = receipted();
    let sign = |count: usize| {
        let signed = receipted.record.tips[0];
        let at = |seq| Point {
            seq,
            ..signed.point
        };
        let tips = (1..=count as u64).map(|seq| SignedTip {
            point: at(seq),
            ..signed
        });
        let record = StatementRecord {
            tips: tips.collect(),
            ..receipted.record.clone()
        };
        let world = &receipted.world;
        let hash = next_hash(world.ledger_id(), receipted.prev(), &record);
        ReceiptedStatement::sign(&world.service, &world.genesis, record, hash).parts()
    };
    assert!(receipted.verify(sign(RECEIPT_TIPS_MAX)).is_ok());
    assert_eq!(
        receipted.verify(sign(RECEIPT_TIPS_MAX + 1)),
        Err(FormatError::Field("the number of tips"))
    );
}

/// A store that lost a statement can be given the same bytes again; what it records then may
/// differ, and so would the cuts.
#[test]
fn what_was_recorded_beside_a_statement_is_part_of_the_log() {
    let receipted = receipted();
    let (world, statement) = (&receipted.world, &receipted.record.statement);
    let below = receipted.prev();
    let other = Point {
        seq: 3,
        hash: EntryHash::from_bytes([5; 32]),
    };
    let later = StatementRecord {
        service_time_ms: receipted.record.service_time_ms + 1,
        ..receipted.record.clone()
    };
    for record in [
        crate::fixture::record(statement.clone(), Vec::new()),
        crate::fixture::record(statement.clone(), vec![tip("phone", other)]),
        later,
    ] {
        let mut log = world.log_with("admin", &["phone"]);
        assert_eq!(log.head().hash, below);
        log.apply(record.clone()).expect("may be the next");
        let (head, first) = (log.head(), receipted.log.head());
        assert_eq!(head.position, first.position);
        assert_ne!(head.hash, first.hash);
        let parts =
            ReceiptedStatement::sign(&world.service, &world.genesis, record, head.hash).parts();
        assert!(receipted.verify(parts.clone()).is_ok(), "both are receipts");
        assert_eq!(log.has(head.position, &parts), Some(true));
        assert_eq!(receipted.log.has(head.position, &parts), Some(false));
        let following = rename("admin", "mine");
        let next = world.sign(&log, following, &[SigningAs::Device(&key("admin"))]);
        assert_eq!(
            receipted.log.check(&next, SERVICE_TIME_MS),
            Err(LogError::Conflict)
        );
    }
    let position = receipted.log.head().position;
    assert_eq!(receipted.log.has(position, &receipted.parts), Some(true));
    assert_eq!(receipted.log.has(position + 1, &receipted.parts), None);
    assert_eq!(receipted.log.has(0, &receipted.parts), None);
}

/// Of one set of tips there is one record.
#[test]
fn recorded_tips_are_in_order_and_each_once() {
    let receipted = receipted();
    let world = &receipted.world;
    let at = |seq| {
        let hash = EntryHash::from_bytes([4; 32]);
        tip("phone", Point { seq, hash })
    };
    let out_of_order = FormatError::Field("the order of tips");
    for tips in [vec![at(4), at(3)], vec![at(3), at(3)]] {
        let record = StatementRecord {
            tips,
            ..receipted.record.clone()
        };
        let mut log = world.log_with("admin", &["phone"]);
        assert_eq!(log.apply(record.clone()), Err(out_of_order.clone().into()));
        let hash = next_hash(world.ledger_id(), receipted.prev(), &record);
        let receipt = ReceiptedStatement::sign(&world.service, &world.genesis, record, hash);
        assert_eq!(receipted.verify(receipt.parts()), Err(out_of_order.clone()));
    }
}
