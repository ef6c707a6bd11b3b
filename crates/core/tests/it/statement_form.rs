//! The one form of statements, certificates and genesis: any other spelling is refused.

use edge_ledger_core::identity::certificate::Description;
use edge_ledger_core::identity::genesis::GenesisSpec;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Act, Certificate, Challenge, CreditPolicy, FormatError, Genesis, Periods, Point, Purpose,
    RotateReason, ServiceCertificate, Statement, StatementBody,
};
use edge_ledger_core::ids::EntryHash;
use edge_ledger_core::keys::Signature;
use edge_ledger_core::limits::{
    AUDIENCE_BYTES_MAX, DECIMALS_MAX, NAME_BYTES_MAX, PLATFORM_BYTES_MAX, STATEMENT_BYTES_MAX,
    UNIT_BYTES_MAX,
};
use edge_ledger_core::tags::Tag;

use crate::fixture::hands::{enrolment_key, recover, revoke_enrolment, rotate};
use crate::fixture::protobuf::{Writer, body_of, fields, other_spellings, value};
use crate::fixture::{World, device_id, key, rename, revoke, tip};

/// One statement of every act.
fn every_act(world: &World) -> Vec<Statement> {
    let log = world.log_with("admin", &["phone"]);
    let point = Point {
        seq: 300,
        hash: EntryHash::from_bytes([1; 32]),
    };
    let tips = vec![tip("phone", point)];
    let acts = [
        world.incept("admin"),
        world.add("laptop", true),
        world.add("laptop", false),
        revoke("phone", tips.clone()),
        world.replace("phone", "laptop", tips),
        rename("phone", "mine"),
        rotate("next root", "third root", RotateReason::Compromised),
        Act::SetRecovery {
            key: key("words").public_key(),
            veto_ms: Some(300),
        },
        recover("rescue", "after rescue"),
        Act::Veto { position: 300 },
        enrolment_key("token", 3, 1_000),
        revoke_enrolment("token"),
    ];
    let admin = key("admin");
    acts.map(|act| world.sign(&log, act, &[SigningAs::Device(&admin)]))
        .to_vec()
}

/// The value of the act's only message field of a statement body, and how to put another there.
fn rewrap_act(statement: &Statement, change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    rewrap_body(statement, |body| {
        let mut writer = Writer::new();
        for (tag, field) in fields(body) {
            writer = match tag {
                4..=14 => writer.bytes(tag, &change(&value(&field))),
                _ => writer.raw(&field),
            };
        }
        writer.finish()
    })
}

fn rewrap_body(statement: &Statement, change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut writer = Writer::new();
    for (tag, field) in fields(statement.bytes()) {
        writer = match tag {
            1 => writer.bytes(1, &change(&value(&field))),
            _ => writer.raw(&field),
        };
    }
    writer.finish()
}

/// Signatures and tips are lists at the end of their messages, which may hold one thing twice.
fn is_a_list(spelling: &str) -> bool {
    spelling == "the last field twice"
}

#[test]
fn statements_have_one_spelling_at_every_depth() {
    let world = World::uncapped();
    let decode = |bytes: Vec<u8>| Statement::decode(world.ledger_id(), bytes.into());
    let mut refused = 0;
    for statement in every_act(&world) {
        let bytes = statement.bytes().to_vec();
        assert_eq!(decode(bytes.clone()).as_ref(), Ok(&statement));
        assert_eq!(
            decode(rewrap_body(&statement, <[u8]>::to_vec)),
            Ok(statement.clone())
        );
        for (what, spelling) in other_spellings(&bytes, 15) {
            assert!(decode(spelling).is_err() || is_a_list(what), "{what}");
            refused += 1;
        }
        let body = body_of(&statement);
        for (what, spelling) in other_spellings(&body, 15) {
            let bytes = rewrap_body(&statement, |_| spelling.clone());
            assert!(decode(bytes).is_err(), "body: {what}");
            refused += 1;
        }
        let act = fields(&body).pop().expect("an act").1;
        for (what, spelling) in other_spellings(&value(&act), 15) {
            let bytes = rewrap_act(&statement, |_| spelling.clone());
            assert!(decode(bytes).is_err() || is_a_list(what), "act: {what}");
            refused += 1;
        }
    }
    assert!(refused > 300, "{refused}");
}

/// `Option`-like defaults: a field with its default value must be absent.
#[test]
fn defaults_are_not_spelled_out() {
    let world = World::uncapped();
    let plain = &every_act(&world)[2];
    let spelled = rewrap_act(plain, |add| Writer::new().raw(add).varint(2, 0).finish());
    assert_eq!(
        Statement::decode(world.ledger_id(), spelled.into()),
        Err(FormatError::NotCanonical("the body of a statement"))
    );
    let truth = rewrap_act(plain, |add| Writer::new().raw(add).varint(2, 2).finish());
    assert!(Statement::decode(world.ledger_id(), truth.into()).is_err());
}

#[test]
fn a_statement_without_an_act_or_with_two_is_refused() {
    let world = World::uncapped();
    let statements = every_act(&world);
    let (add, rename) = (&statements[1], &statements[5]);
    let without = rewrap_body(add, |body| {
        let fields = fields(body);
        fields[..3].iter().flat_map(|(_, f)| f.clone()).collect()
    });
    assert_eq!(
        Statement::decode(world.ledger_id(), without.into()),
        Err(FormatError::Field("the act of a statement"))
    );
    let other_act = fields(&body_of(rename)).pop().expect("an act").1;
    let two = rewrap_body(add, |body| [body, &other_act].concat());
    assert!(Statement::decode(world.ledger_id(), two.into()).is_err());
    let unknown = rewrap_body(add, |body| {
        let fields = fields(body);
        let head: Vec<u8> = fields[..3].iter().flat_map(|(_, f)| f.clone()).collect();
        Writer::new().raw(&head).bytes(15, b"later").finish()
    });
    assert!(Statement::decode(world.ledger_id(), unknown.into()).is_err());
}

#[test]
fn a_statement_has_one_or_two_signatures() {
    let world = World::uncapped();
    let log = world.log_of("admin");
    let admin = key("admin");
    let sign = |count: usize| {
        let body = StatementBody {
            identity: world.identity(),
            position: 2,
            expected_head: log.head().hash,
            act: rename("admin", "mine"),
        };
        let keys: Vec<_> = (0..count).map(|_| SigningAs::Device(&admin)).collect();
        Statement::sign(world.ledger_id(), &body, &keys)
    };
    assert!(sign(1).is_ok() && sign(2).is_ok());
    let refused = Err(FormatError::Field("the number of signatures"));
    assert_eq!(sign(0), refused);
    assert_eq!(sign(3), refused);
}

#[test]
fn a_statement_has_a_position_a_head_and_a_size() {
    let world = World::uncapped();
    let statement = &every_act(&world)[5];
    let with_first = |tag: u32, bytes: &[u8]| {
        rewrap_body(statement, |body| {
            let mut writer = Writer::new();
            for (number, field) in fields(body) {
                writer = match number {
                    2 if tag == 2 => writer,
                    _ if number == tag => writer.bytes(number, bytes),
                    _ => writer.raw(&field),
                };
            }
            writer.finish()
        })
    };
    let decode = |bytes: Vec<u8>| Statement::decode(world.ledger_id(), bytes.into());
    assert_eq!(
        decode(with_first(2, &[])),
        Err(FormatError::Field("the position of a statement"))
    );
    for length in [1, 31, 33] {
        assert_eq!(
            decode(with_first(1, &vec![1; length])),
            Err(FormatError::Field("the identity of a statement"))
        );
        assert_eq!(
            decode(with_first(3, &vec![1; length])),
            Err(FormatError::Field("the expected head of a statement"))
        );
    }
    let too_long = vec![0; STATEMENT_BYTES_MAX + 1];
    assert_eq!(
        decode(too_long),
        Err(FormatError::Field("the size of a statement"))
    );
    assert_ne!(
        decode(vec![0; STATEMENT_BYTES_MAX]),
        Err(FormatError::Field("the size of a statement"))
    );
}

fn describe(world: &World, name: &str, platform: &str) -> Result<Certificate, FormatError> {
    let description = Description {
        identity: world.identity(),
        name: name.to_owned(),
        platform: platform.to_owned(),
        replaces: None,
    };
    Certificate::sign(world.ledger_id(), &key("phone"), &description)
}

#[test]
fn names_and_platforms_have_limits() {
    let world = World::uncapped();
    let text = |length: usize| "x".repeat(length);
    assert!(describe(&world, &text(NAME_BYTES_MAX), &text(PLATFORM_BYTES_MAX)).is_ok());
    assert!(describe(&world, "x", "").is_ok());
    let name = Err(FormatError::Field("the name of a device"));
    for bad in [
        &text(NAME_BYTES_MAX + 1),
        "",
        "  ",
        "a\nb",
        "a\u{1b}[31m",
        "\u{85}",
        "phone\u{202e}enohp",
        "pho\u{200b}ne",
        "\u{3000}\u{200d}",
    ] {
        assert_eq!(describe(&world, bad, ""), name, "{bad:?}");
    }
    let platform = Err(FormatError::Field("the platform of a device"));
    for bad in [&text(PLATFORM_BYTES_MAX + 1), "a\rb", "a\u{2066}b"] {
        assert_eq!(describe(&world, "x", bad), platform, "{bad:?}");
    }
    let log = world.log_with("admin", &["phone"]);
    let body = |name: String| StatementBody {
        identity: world.identity(),
        position: log.head().position + 1,
        expected_head: log.head().hash,
        act: Act::Rename {
            device: device_id("phone"),
            name,
        },
    };
    let sign = |name| {
        let keys = [SigningAs::Root(&world.root)];
        Statement::sign(world.ledger_id(), &body(name), &keys).map(|_| ())
    };
    assert_eq!(sign(text(NAME_BYTES_MAX)), Ok(()));
    let name = Err(FormatError::Field("the name of a device"));
    assert_eq!(sign(text(NAME_BYTES_MAX + 1)), name);
    assert_eq!(sign("tab\t".to_owned()), name);
    assert_eq!(sign("right\u{200f}left".to_owned()), name);
}

#[test]
fn certificates_have_one_spelling_and_a_proof() {
    let world = World::uncapped();
    let phone = key("phone");
    let sound = world.certificate("phone", Some(device_id("old")));
    let verify = |body: &[u8], signature| {
        Certificate::verify(world.ledger_id(), body.to_vec().into(), signature)
    };
    assert_eq!(verify(sound.body(), *sound.signature()), Ok(*sound.clone()));
    assert!(verify(sound.body(), Signature::from_bytes([0; 64])).is_err());
    for (what, spelling) in other_spellings(sound.body(), 15) {
        let hash = Tag::Certificate.hash(world.ledger_id(), &[&spelling]);
        assert!(verify(&spelling, phone.sign(&hash)).is_err(), "{what}");
    }
    let body = |identity: &[u8], replaces: &[u8]| {
        Writer::new()
            .bytes(1, identity)
            .bytes(2, phone.public_key().as_bytes())
            .bytes(3, b"x")
            .bytes(5, replaces)
            .finish()
    };
    let signed = |body: Vec<u8>| {
        let hash = Tag::Certificate.hash(world.ledger_id(), &[&body]);
        verify(&body, phone.sign(&hash)).map(|_| ())
    };
    assert_eq!(signed(body(&[1; 32], &[1; 16])), Ok(()));
    for (identity, replaces) in [(31, 16), (33, 16), (32, 15), (32, 17), (32, 0)] {
        assert!(signed(body(&vec![1; identity], &vec![1; replaces])).is_err());
    }
}

fn genesis(unit: &str, decimals: u32) -> Result<Genesis, FormatError> {
    Genesis::create(GenesisSpec {
        service_root: key("service root").public_key(),
        next_service_root_hash: [1; 32],
        unit: unit.to_owned(),
        decimals,
        policy: CreditPolicy::Issued,
        random: [2; 16],
        periods: Periods::NONE,
    })
}

#[test]
fn a_genesis_has_limits_and_one_spelling() {
    assert!(genesis(&"x".repeat(UNIT_BYTES_MAX), DECIMALS_MAX).is_ok());
    let unit = Err(FormatError::Field("the unit"));
    assert_eq!(genesis(&"x".repeat(UNIT_BYTES_MAX + 1), 0), unit);
    for bad in ["", " ", "a\u{1b}[2J", "a\n"] {
        assert_eq!(genesis(bad, 0), unit, "{bad:?}");
    }
    let decimals = Err(FormatError::Field("the decimals"));
    assert_eq!(genesis("x", DECIMALS_MAX + 1), decimals);
    let sound = genesis("x", 0).expect("within its limits");
    for (what, spelling) in other_spellings(sound.bytes(), 15) {
        assert!(Genesis::decode(spelling.into()).is_err(), "{what}");
    }
    let policies = [
        CreditPolicy::Issued,
        CreditPolicy::SelfReported {
            posting_cap: 0,
            journal_cap: 0,
        },
        CreditPolicy::SelfReported {
            posting_cap: u64::MAX,
            journal_cap: 1,
        },
    ];
    let ids: Vec<_> = policies
        .into_iter()
        .map(|policy| {
            let world = World::new(policy);
            assert_eq!(world.genesis.policy(), policy);
            let again = Genesis::decode(world.genesis.bytes().clone());
            assert_eq!(again, Ok(world.genesis.clone()));
            world.ledger_id()
        })
        .collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

#[test]
fn challenges_and_service_certificates_have_one_spelling() {
    let world = World::uncapped();
    let challenge = Challenge {
        nonce: [9; 32],
        purpose: Purpose::Identity,
        audience: "a".repeat(AUDIENCE_BYTES_MAX),
        identity: world.identity(),
        device: device_id("phone"),
        expires_ms: -1,
    };
    let bytes = challenge.encode();
    assert_eq!(Challenge::decode(&bytes), Ok(challenge.clone()));
    for (what, spelling) in other_spellings(&bytes, 15) {
        assert!(Challenge::decode(&spelling).is_err(), "{what}");
    }
    let mut longer = challenge;
    longer.audience.push('a');
    assert_eq!(
        Challenge::decode(&longer.encode()),
        Err(FormatError::Field("the audience of a challenge"))
    );
    let certificate = world.service.certificate();
    for (what, spelling) in other_spellings(certificate.body(), 15) {
        let hash = Tag::ServiceKey.hash(world.ledger_id(), &[&spelling]);
        let signature = world.service_root.sign(&hash);
        let verified = ServiceCertificate::verify(&world.genesis, spelling.into(), signature);
        assert!(verified.is_err(), "{what}");
    }
}

/// Every key and commitment of an act has its length, and every number and enum its range.
#[test]
fn acts_about_keys_have_no_other_fields() {
    let world = World::uncapped();
    let acts = every_act(&world);
    let decode = |statement: &Statement, act: Writer| {
        let bytes = rewrap_act(statement, |_| act.clone().finish());
        Statement::decode(world.ledger_id(), bytes.into()).map(|_| ())
    };
    let public = key("third root").public_key();
    let (sound, hash) = (&public.as_bytes()[..], &[7; 32][..]);
    let weak: &[u8] = &[0; 32];
    let is_key = |error: Result<(), FormatError>| matches!(error, Err(FormatError::Key(..)));

    let rotation = |root, hash, reason| {
        let act = Writer::new()
            .bytes(1, root)
            .bytes(2, hash)
            .varint(3, reason);
        decode(&acts[6], act)
    };
    assert_eq!(rotation(sound, hash, 2), Ok(()));
    assert!(is_key(rotation(&sound[1..], hash, 1)) && is_key(rotation(weak, hash, 1)));
    let next = Err(FormatError::Field("the next root key"));
    assert_eq!(rotation(sound, &hash[1..], 1), next);
    let reason = Err(FormatError::Field("the reason of a rotation"));
    assert_eq!(rotation(sound, hash, 3), reason);
    let none = Writer::new().bytes(1, sound).bytes(2, hash);
    assert_eq!(decode(&acts[6], none), reason);

    let recovery = |bytes| decode(&acts[7], Writer::new().bytes(1, bytes));
    assert_eq!(recovery(sound), Ok(()), "the deployment's veto time");
    assert!(is_key(recovery(&sound[1..])) && is_key(recovery(weak)));

    let recover = |root, hash| decode(&acts[8], Writer::new().bytes(1, root).bytes(2, hash));
    assert_eq!(recover(sound, hash), Ok(()));
    assert!(is_key(recover(weak, hash)));
    assert_eq!(recover(sound, &[7; 33]), next);

    let nowhere = Err(FormatError::Field("the position of a recovery"));
    assert_eq!(decode(&acts[9], Writer::new()), nowhere);

    let end = |bytes| decode(&acts[11], Writer::new().bytes(1, bytes));
    assert_eq!(end(sound), Ok(()));
    assert!(is_key(end(weak)) && is_key(end(&sound[1..])));
}
