//! S-01, S-02 and S-03: keys and signatures that the policy refuses.

use bytes::Bytes;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use edge_ledger_chassis::Reason;
use edge_ledger_proto::identity as wire;
use prost::Message as _;
use tonic::Code;

use crate::person::{Person, append, get_log, register};
use crate::world::{Client, World, assert_refused, key};

async fn ask(client: &mut Client, identity: &[u8], public_key: &[u8]) -> tonic::Status {
    let request = wire::GetChallengeRequest {
        identity: Bytes::copy_from_slice(identity),
        public_key: Bytes::copy_from_slice(public_key),
        purpose: wire::ChallengePurpose::Identity.into(),
    };
    client.get_challenge(request).await.unwrap_err()
}

#[tokio::test]
async fn s01_lengths() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let good = *key(20).public_key().as_bytes();
    for len in [0, 16, 31, 33, 64] {
        let bad = vec![7; len];
        let status = ask(&mut client, &bad, &good).await;
        assert_refused(&status, Code::InvalidArgument, Reason::KeyFormat);
        let status = ask(&mut client, &good, &bad).await;
        assert_refused(&status, Code::InvalidArgument, Reason::KeyFormat);
        let request = wire::AuthenticateRequest {
            public_key: bad.clone().into(),
            ..wire::AuthenticateRequest::default()
        };
        let status = client.authenticate(request).await.unwrap_err();
        assert_refused(&status, Code::InvalidArgument, Reason::KeyFormat);
        let status = get_log(&mut client, &token, bad.into(), 0)
            .await
            .unwrap_err();
        assert_refused(&status, Code::InvalidArgument, Reason::KeyFormat);
    }
    let mut incept = Incept::of(&Person::new(&world.genesis, 30));
    incept.certificate_body.public_key = vec![7; 31].into();
    let status = register(&mut client, incept.encode()).await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, Reason::KeyFormat);
    person.still_works(&mut client).await;
}

/// Small-order points, encodings that are not canonical, and a good key with a torsion added.
fn weak_keys() -> Vec<[u8; 32]> {
    let mut weak: Vec<[u8; 32]> = EIGHT_TORSION
        .iter()
        .map(|p| p.compress().to_bytes())
        .collect();
    let mut beyond = [0xff; 32];
    beyond[31] = 0x7f;
    for low in [0xed, 0xee] {
        beyond[0] = low;
        weak.push(beyond);
    }
    weak.push([0xff; 32]);
    let good = CompressedEdwardsY(*key(20).public_key().as_bytes());
    let torsioned = good.decompress().unwrap() + EIGHT_TORSION[1];
    weak.push(torsioned.compress().to_bytes());
    weak
}

#[tokio::test]
async fn s02_weak_keys() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let good = *key(20).public_key().as_bytes();
    for weak in weak_keys() {
        let status = ask(&mut client, &weak, &good).await;
        assert_refused(&status, Code::InvalidArgument, Reason::KeyWeak);
        let status = ask(&mut client, &good, &weak).await;
        assert_refused(&status, Code::InvalidArgument, Reason::KeyWeak);
        let mut incept = Incept::of(&Person::new(&world.genesis, 30));
        incept.certificate_body.public_key = Bytes::copy_from_slice(&weak);
        let status = register(&mut client, incept.encode()).await.unwrap_err();
        assert_refused(&status, Code::InvalidArgument, Reason::KeyWeak);
        let mut incept = Incept::of(&Person::new(&world.genesis, 30));
        incept.statement.signatures[0].public_key = Bytes::copy_from_slice(&weak);
        let status = register(&mut client, incept.encode()).await.unwrap_err();
        assert_refused(&status, Code::InvalidArgument, Reason::KeyWeak);
    }
    person.still_works(&mut client).await;
}

/// Everything that is almost this signature.
pub(crate) fn bad_signatures(good: &[u8]) -> Vec<Bytes> {
    let mut wrong = good.to_vec();
    wrong[3] ^= 1;
    let mut extended = good.to_vec();
    extended.push(0);
    let truncated = good[..63].to_vec();
    vec![
        wrong.into(),
        truncated.into(),
        extended.into(),
        Bytes::new(),
        malleable(good).into(),
        vec![0; 64].into(),
    ]
}

/// The same signature with the group's order added to its scalar.
fn malleable(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut changed = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in changed[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    changed
}

#[tokio::test]
async fn s03_signatures_of_a_first_statement() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::new(&world.genesis, 30);
    let good = Incept::of(&person);
    for bad in bad_signatures(&good.statement.signatures[0].signature) {
        let mut incept = Incept::of(&person);
        incept.statement.signatures[0].signature = bad;
        let status = register(&mut client, incept.encode()).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, Reason::BadSignature);
    }
    for bad in bad_signatures(&good.certificate.signature) {
        let mut incept = Incept::of(&person);
        incept.certificate.signature = bad;
        let status = register(&mut client, incept.encode()).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, Reason::BadSignature);
    }
    let receipted = register(&mut client, person.incept().bytes().clone()).await;
    person.take(receipted.unwrap());
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s03_signatures_of_a_later_statement() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let good = person.rename("desk");
    let statement = wire::Statement::decode(&good[..]).unwrap();
    for bad in bad_signatures(&statement.signatures[0].signature) {
        let mut statement = statement.clone();
        statement.signatures[0].signature = bad;
        let bytes = Bytes::from(statement.encode_to_vec());
        let status = append(&mut client, &token, bytes).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, Reason::BadSignature);
    }
    person.append(&mut client, &token, good).await;
    assert_eq!(person.log.head().position, 2);
}

/// An `Incept`, taken apart to be spoilt.
struct Incept {
    statement: wire::Statement,
    body: wire::StatementBody,
    incept: wire::Incept,
    certificate: wire::Certificate,
    certificate_body: wire::CertificateBody,
}

impl Incept {
    fn of(person: &Person) -> Self {
        let statement = wire::Statement::decode(&person.incept().bytes()[..]).unwrap();
        let mut body = wire::StatementBody::decode(&statement.body[..]).unwrap();
        let Some(wire::statement_body::Act::Incept(mut incept)) = body.act.take() else {
            panic!("another act");
        };
        let certificate = incept.certificate.take().unwrap();
        Self {
            certificate_body: wire::CertificateBody::decode(&certificate.body[..]).unwrap(),
            statement,
            body,
            incept,
            certificate,
        }
    }

    fn encode(mut self) -> Bytes {
        self.certificate.body = self.certificate_body.encode_to_vec().into();
        self.incept.certificate = Some(self.certificate);
        self.body.act = Some(wire::statement_body::Act::Incept(self.incept));
        self.statement.body = self.body.encode_to_vec().into();
        self.statement.encode_to_vec().into()
    }
}
