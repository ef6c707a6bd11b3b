//! The domain encodes signed bytes by its own declarations. Here every one of them is read by the
//! contract's types, with every field set, and encoded again to the same bytes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Debug;

use bytes::Bytes;
use edge_ledger_core::identity::certificate::Description;
use edge_ledger_core::identity::genesis::{GenesisSpec, next_key_hash};
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Act, Certificate, Challenge, CreditPolicy, Genesis, Periods, Point, Purpose,
    ReceiptedStatement, RevokeReason, ServiceCertificate, ServiceRole, SignedTip, Statement,
    StatementBody, StatementRecord,
};
use edge_ledger_core::ids::{DeviceId, EntryHash, LedgerId, LogHash};
use edge_ledger_core::keys::{SecretKey, Signature};
use edge_ledger_core::ledger::issuer::Grant;
use edge_ledger_core::ledger::{Draft, EventKey, Kind, Posting};
use edge_ledger_core::tags::Tag;
use edge_ledger_proto::{identity, ledger};
use prost::Message;

/// Reads bytes by the contract; a field that the contract lacks or types otherwise would not come
/// back.
fn read<M: Message + Default>(bytes: &[u8]) -> M {
    let message = M::decode(bytes).unwrap();
    assert_eq!(message.encode_to_vec(), bytes);
    message
}

/// Takes a message apart into all its fields and asserts that each is set.
macro_rules! all_set {
    ($message:expr, $type:path { $($field:ident),+ }) => {{
        let $type { $($field),+ } = &$message;
        $(is_set(stringify!($type.$field), $field);)+
    }};
}

mod signed_bytes {
    mod handshake;
    mod keys;
    mod peers;
}

fn is_set<T: Default + PartialEq + Debug>(name: &str, value: &T) {
    assert_ne!(*value, T::default(), "{name} is not set");
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

struct World {
    genesis: Genesis,
    root: SecretKey,
    device: SecretKey,
}

impl World {
    fn new() -> Self {
        let genesis = Genesis::create(GenesisSpec {
            service_root: key(1).public_key(),
            next_service_root_hash: next_key_hash(&key(2).public_key()),
            unit: "credit".into(),
            decimals: 2,
            policy: CreditPolicy::SelfReported {
                posting_cap: 3,
                journal_cap: 4,
            },
            random: [5; 16],
            periods: Periods {
                probation_ms: 31,
                veto_ms: 32,
            },
        });
        Self {
            genesis: genesis.unwrap(),
            root: key(6),
            device: key(7),
        }
    }

    fn ledger_id(&self) -> LedgerId {
        self.genesis.ledger_id()
    }

    fn signer(&self, role: ServiceRole) -> ServiceSigner {
        let secret = key(8);
        let public = secret.public_key();
        let certificate = ServiceCertificate::issue(&key(1), self.ledger_id(), &public, role, 9);
        ServiceSigner::new(secret, certificate).unwrap()
    }

    fn certificate(&self) -> Box<Certificate> {
        let description = Description {
            identity: self.root.public_key().identity_id(),
            name: "laptop".into(),
            platform: "linux/x86_64".into(),
            replaces: Some(key(10).public_key().device_id()),
        };
        Box::new(Certificate::sign(self.ledger_id(), &self.device, &description).unwrap())
    }

    fn tip(&self) -> SignedTip {
        let hash = EntryHash::from_bytes([11; 32]);
        let point = Point { seq: 12, hash };
        SignedTip {
            device: self.device.public_key().device_id(),
            point,
            signature: point.sign(self.ledger_id(), &self.device),
        }
    }

    fn statement(&self, act: Act) -> Statement {
        let body = StatementBody {
            identity: self.root.public_key().identity_id(),
            position: 13,
            expected_head: LogHash::from_bytes([14; 32]),
            act,
        };
        let keys = [SigningAs::Root(&self.root), SigningAs::Device(&self.device)];
        let statement = Statement::sign(self.ledger_id(), &body, &keys).unwrap();
        // The other kinds of signers are kinds of the contract too.
        let keys = [
            SigningAs::Enrolment(&self.device),
            SigningAs::Recovery(&self.root),
        ];
        let other = Statement::sign(self.ledger_id(), &body, &keys).unwrap();
        let message: identity::Statement = read(other.bytes());
        let kinds: Vec<i32> = message.signatures.iter().map(|s| s.kind).collect();
        let expected = [
            identity::SignerKind::Enrolment,
            identity::SignerKind::Recovery,
        ];
        assert_eq!(kinds, expected.map(i32::from));
        statement
    }
}

#[test]
fn genesis() {
    let world = World::new();
    let message: identity::Genesis = read(world.genesis.bytes());
    all_set!(
        message,
        identity::Genesis {
            service_root,
            next_service_root_hash,
            unit,
            decimals,
            credit_policy,
            random,
            probation_ms,
            veto_ms
        }
    );
    let Some(identity::genesis::CreditPolicy::SelfReported(caps)) = message.credit_policy else {
        panic!("another policy");
    };
    all_set!(
        caps,
        identity::SelfReported {
            posting_cap,
            journal_cap
        }
    );
    let spec = GenesisSpec {
        service_root: key(1).public_key(),
        next_service_root_hash: [1; 32],
        unit: "u".into(),
        decimals: 0,
        policy: CreditPolicy::Issued,
        random: [0; 16],
        periods: Periods::NONE,
    };
    let issued: identity::Genesis = read(Genesis::create(spec).unwrap().bytes());
    assert_eq!(
        issued.credit_policy,
        Some(identity::genesis::CreditPolicy::Issued(identity::Issued {}))
    );
}

#[test]
fn service_key() {
    let world = World::new();
    for (role, number) in [(ServiceRole::Service, 1), (ServiceRole::Issuer, 3)] {
        let body: identity::ServiceKeyBody = read(world.signer(role).certificate().body());
        all_set!(
            body,
            identity::ServiceKeyBody {
                public_key,
                role,
                serial
            }
        );
        assert_eq!(body.role, number);
    }
}

fn check_certificate(certificate: Option<&identity::Certificate>) {
    let certificate = certificate.unwrap();
    all_set!(*certificate, identity::Certificate { body, signature });
    let body: identity::CertificateBody = read(&certificate.body);
    all_set!(
        body,
        identity::CertificateBody {
            identity,
            public_key,
            name,
            platform,
            replaces
        }
    );
}

fn check_tips(tips: &[identity::SignedTip]) {
    assert_eq!(tips.len(), 1);
    all_set!(
        tips[0],
        identity::SignedTip {
            device,
            seq,
            hash,
            signature
        }
    );
}

fn check_statement(statement: &Statement) -> identity::statement_body::Act {
    let message: identity::Statement = read(statement.bytes());
    all_set!(message, identity::Statement { body, signatures });
    assert_eq!(message.signatures.len(), 2);
    for signature in &message.signatures {
        all_set!(
            *signature,
            identity::StatementSignature {
                kind,
                public_key,
                signature
            }
        );
    }
    let body: identity::StatementBody = read(&message.body);
    all_set!(
        body,
        identity::StatementBody {
            identity,
            position,
            expected_head,
            act
        }
    );
    body.act.unwrap()
}

#[test]
fn statements_that_add() {
    use identity::statement_body::Act as Wire;
    let world = World::new();
    let incept = world.statement(Act::Incept {
        next_root_hash: [15; 32],
        genesis: Box::new(world.genesis.clone()),
        certificate: world.certificate(),
    });
    let Wire::Incept(incept) = check_statement(&incept) else {
        panic!("another act");
    };
    all_set!(
        incept,
        identity::Incept {
            next_root_hash,
            genesis,
            certificate
        }
    );
    check_certificate(incept.certificate.as_ref());
    let add = world.statement(Act::AddDevice {
        certificate: world.certificate(),
        admin: true,
    });
    let Wire::AddDevice(add) = check_statement(&add) else {
        panic!("another act");
    };
    all_set!(add, identity::AddDevice { certificate, admin });
    check_certificate(add.certificate.as_ref());
}

#[test]
fn statements_that_change() {
    use identity::statement_body::Act as Wire;
    let world = World::new();
    let device = DeviceId::from_bytes([16; 16]);
    let reasons = [
        RevokeReason::Lost,
        RevokeReason::Compromised,
        RevokeReason::Retired,
    ];
    for (reason, number) in reasons.into_iter().zip(1..) {
        let tips = vec![world.tip()];
        let revoke = world.statement(Act::Revoke {
            device,
            reason,
            tips,
        });
        let Wire::Revoke(revoke) = check_statement(&revoke) else {
            panic!("another act");
        };
        all_set!(
            revoke,
            identity::Revoke {
                device,
                reason,
                tips
            }
        );
        assert_eq!(revoke.reason, number);
        check_tips(&revoke.tips);
    }
    let replace = world.statement(Act::Replace {
        old: device,
        certificate: world.certificate(),
        tips: vec![world.tip()],
    });
    let Wire::Replace(replace) = check_statement(&replace) else {
        panic!("another act");
    };
    all_set!(
        replace,
        identity::Replace {
            old,
            certificate,
            tips
        }
    );
    check_certificate(replace.certificate.as_ref());
    check_tips(&replace.tips);
    let rename = world.statement(Act::Rename {
        device,
        name: "desk".into(),
    });
    let Wire::Rename(rename) = check_statement(&rename) else {
        panic!("another act");
    };
    all_set!(rename, identity::Rename { device, name });
}

#[test]
fn receipt() {
    let world = World::new();
    let record = StatementRecord {
        statement: world.statement(Act::Rename {
            device: DeviceId::from_bytes([16; 16]),
            name: "desk".into(),
        }),
        service_time_ms: 17,
        tips: vec![world.tip()],
    };
    let signer = world.signer(ServiceRole::Service);
    let log_hash = LogHash::from_bytes([18; 32]);
    let parts = ReceiptedStatement::sign(&signer, &world.genesis, record, log_hash).parts();
    let body: identity::StatementReceiptBody = read(&parts.body);
    all_set!(
        body,
        identity::StatementReceiptBody {
            identity,
            position,
            log_hash,
            service_time_ms,
            tips
        }
    );
    check_tips(&body.tips);
    let wire = identity::ReceiptedStatement::from(parts.clone());
    let back = edge_ledger_core::identity::receipt::ReceiptParts::try_from(wire).unwrap();
    assert_eq!(
        (back.statement, back.body, back.signature),
        (parts.statement, parts.body, parts.signature)
    );
}

#[test]
fn challenge() {
    let world = World::new();
    let challenge = Challenge {
        nonce: [19; 32],
        purpose: Purpose::Identity,
        audience: "localhost:7410".into(),
        identity: world.root.public_key().identity_id(),
        device: world.device.public_key().device_id(),
        expires_ms: 20,
    };
    let body: identity::ChallengeBody = read(&challenge.encode());
    all_set!(
        body,
        identity::ChallengeBody {
            nonce,
            purpose,
            audience,
            identity,
            device,
            expires_ms
        }
    );
}

#[test]
fn entry_of_every_kind() {
    use ledger::posting::Effect;
    let world = World::new();
    let kinds = [Kind::Credit, Kind::Debit, Kind::Refund];
    let postings = kinds.map(|kind| Posting {
        kind,
        event_key: EventKey::new(vec![25]).unwrap(),
        amount: 26,
        memo: "coffee".into(),
        issuer_proof: Bytes::from_static(&[27]),
    });
    let draft = Draft {
        wall_ms: -28,
        postings: postings.to_vec(),
    };
    let identity = world.root.public_key().identity_id();
    let run = draft
        .sign(world.ledger_id(), identity, &world.device, Point::START)
        .unwrap();
    let payload: ledger::EntryPayload = read(&run.payloads[0]);
    all_set!(payload, ledger::EntryPayload { wall_ms, postings });
    assert_eq!(payload.wall_ms, -28);
    let effects = [Effect::Credit(26), Effect::Debit(26), Effect::Refund(26)];
    for (posting, expected) in payload.postings.iter().zip(effects) {
        all_set!(
            *posting,
            ledger::Posting {
                effect,
                event_key,
                memo,
                issuer_proof
            }
        );
        assert_eq!(posting.effect, Some(expected));
    }
}

/// The body of a proof does not travel: the signature shows how the domain encodes it.
#[test]
fn issuer_proof() {
    let world = World::new();
    let issuer = world.signer(ServiceRole::Issuer);
    let identity = world.root.public_key().identity_id();
    let device = world.device.public_key().device_id();
    let grant = Grant {
        identity,
        refund: true,
        event_key: EventKey::new(vec![29]).unwrap(),
        amount: 30,
        beneficiary: Some(device),
    };
    let proof: ledger::IssuerProof = read(&grant.sign(world.ledger_id(), &issuer).unwrap());
    all_set!(
        proof,
        ledger::IssuerProof {
            issuer,
            issuer_signature,
            signature,
            beneficiary
        }
    );
    let body = ledger::IssuerProofBody {
        identity: Bytes::copy_from_slice(identity.as_bytes()),
        amount: 30,
        event_key: Bytes::from_static(&[29]),
        beneficiary: Bytes::copy_from_slice(device.as_bytes()),
        refund: true,
    };
    let hash = Tag::IssuerProof.hash(world.ledger_id(), &[&body.encode_to_vec()]);
    let signature = Signature::try_from(&proof.signature[..]).unwrap();
    assert!(issuer.certificate().key().verify(&hash, &signature).is_ok());
}
