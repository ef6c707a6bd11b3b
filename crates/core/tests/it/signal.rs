//! S-60, S-64: offers and answers that are followed, and those that are not.

use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, CreditPolicy, FormatError, IdentityLog};
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::limits::{
    SIGNAL_BY_HAND_MS_MAX, SIGNAL_BYTES_MAX, SIGNAL_SDP_BYTES_MAX, SIGNALS_SEEN_MAX,
};
use edge_ledger_core::signal::{Seen, Signal, SignalBody, SignalError, SignalKind};
use edge_ledger_core::tags::Tag;

use crate::fixture::protobuf::{Writer, fields, other_spellings, value};
use crate::fixture::{SERVICE_TIME_MS, World, device_id, key, record, revoke};

/// What the receiver said last.
const NONCE: [u8; 32] = [9; 32];
/// SHA-256 of the author's certificate.
const CERTIFICATE: [u8; 32] = [0xab; 32];

/// A description that names a certificate.
fn sdp(fingerprint: &[u8; 32]) -> String {
    let pairs: Vec<String> = fingerprint.iter().map(|b| format!("{b:02X}")).collect();
    format!(
        "v=0\r\ns=-\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\n",
        pairs.join(":")
    )
}

/// A sound offer of one device to another.
pub(crate) fn offer(world: &World, from: &str, to: &str) -> SignalBody {
    SignalBody {
        kind: SignalKind::Offer,
        identity: world.identity(),
        author: key(from).public_key(),
        to: Some(device_id(to)),
        nonce: NONCE,
        connection: [7; 16],
        fingerprint: CERTIFICATE,
        sdp: sdp(&CERTIFICATE),
        made_ms: SERVICE_TIME_MS,
    }
}

/// The answer of the other device.
fn answer(world: &World, offer: &Signal) -> SignalBody {
    SignalBody {
        kind: SignalKind::Answer,
        nonce: offer.hash(world.ledger_id()),
        ..self::offer(world, "phone", "admin")
    }
}

struct Place {
    world: World,
    log: IdentityLog,
}

impl Place {
    fn new() -> Self {
        let world = World::uncapped();
        let log = world.log_with("admin", &["phone"]);
        Self { world, log }
    }

    fn signed(&self, by: &str, body: &SignalBody) -> Signal {
        Signal::sign(self.world.ledger_id(), &key(by), body)
    }

    /// What the phone says to a signal that the admin device signed.
    fn checked(&self, body: &SignalBody) -> Result<SignalBody, SignalError> {
        self.taken(&self.signed("admin", body).encode())
    }

    fn taken(&self, bytes: &[u8]) -> Result<SignalBody, SignalError> {
        Signal::decode(bytes)?.check(&self.log, device_id("phone"))
    }

    /// The root says something.
    fn say(&mut self, act: Act) {
        let as_root = [SigningAs::Root(&self.world.root)];
        let statement = self.world.sign(&self.log, act, &as_root);
        let applied = self.log.apply(record(statement, Vec::new()));
        applied.expect("the root may say it");
    }

    fn offer(&self) -> SignalBody {
        offer(&self.world, "admin", "phone")
    }
}

#[test]
fn a_signal_is_read_as_it_was_said() {
    let place = Place::new();
    let offer = place.offer();
    assert_eq!(place.checked(&offer), Ok(offer.clone()));
    assert_eq!(offer.is_offer_to(&[[1; 32], NONCE]), Ok(()));
    let signed = place.signed("admin", &offer);
    let answer = answer(&place.world, &signed);
    let bytes = place.signed("phone", &answer).encode();
    let read = Signal::decode(&bytes).expect("sound");
    let read = read.check(&place.log, device_id("admin"));
    assert_eq!(read, Ok(answer.clone()));
    let hash = signed.hash(place.world.ledger_id());
    assert_eq!(answer.is_answer_to(&offer, &hash), Ok(()));
}

#[test]
fn another_key_or_a_changed_body_or_deployment_is_refused() {
    let place = Place::new();
    let offer = place.offer();
    let refused = |bytes: &[u8]| matches!(place.taken(bytes), Err(SignalError::Format(_)));
    assert!(refused(&place.signed("phone", &offer).encode()));
    assert!(refused(&place.signed("tablet", &offer).encode()));
    let good = place.signed("admin", &offer).encode();
    let parts: Vec<Vec<u8>> = fields(&good).iter().map(|(_, f)| value(f)).collect();
    for at in 0..parts[0].len() {
        let mut body = parts[0].clone();
        body[at] ^= 1;
        let bytes = Writer::new().bytes(1, &body).bytes(2, &parts[1]).finish();
        assert!(refused(&bytes), "byte {at}");
    }
    for signature in [&parts[1][..63], &[0; 64], &[]] {
        let bytes = Writer::new().bytes(1, &parts[0]).bytes(2, signature);
        assert!(refused(&bytes.finish()));
    }
    let elsewhere = World::new(CreditPolicy::Issued).ledger_id();
    let foreign = Signal::sign(elsewhere, &key("admin"), &offer);
    assert!(refused(&foreign.encode()));
    // The body, signed as something else.
    let hash = Tag::Challenge.hash(place.world.ledger_id(), &[&parts[0]]);
    let other = key("admin").sign(&hash);
    let bytes = Writer::new().bytes(1, &parts[0]).bytes(2, other.as_bytes());
    assert!(refused(&bytes.finish()));
}

#[test]
fn another_spelling_of_the_same_is_refused() {
    let place = Place::new();
    let good = place.signed("admin", &place.offer()).encode();
    for (what, bytes) in other_spellings(&good, 9) {
        assert!(place.taken(&bytes).is_err(), "{what}");
    }
    let body = value(&fields(&good)[0].1);
    for (what, body) in other_spellings(&body, 15) {
        let hash = Tag::Signal.hash(place.world.ledger_id(), &[&body]);
        let signature = key("admin").sign(&hash);
        let bytes = Writer::new().bytes(1, &body).bytes(2, signature.as_bytes());
        assert!(place.taken(&bytes.finish()).is_err(), "{what}");
    }
}

#[test]
fn whoever_it_is_not_for_does_not_follow_it() {
    let place = Place::new();
    let offer = place.offer();
    let to_other = SignalBody {
        to: Some(device_id("laptop")),
        ..offer.clone()
    };
    assert_eq!(place.checked(&to_other), Err(SignalError::NotForUs));
    let stranger = SignalBody {
        identity: IdentityId::from_bytes([5; 32]),
        ..offer.clone()
    };
    assert_eq!(place.checked(&stranger), Err(SignalError::Identity));
    // What a device said itself is shown to it again.
    let echo = self::offer(&place.world, "phone", "phone");
    let bytes = place.signed("phone", &echo).encode();
    assert_eq!(place.taken(&bytes), Err(SignalError::NotForUs));
    // Somebody it is for, who was not named: only in an offer that is carried by hand.
    let to_any = |kind, nonce| SignalBody {
        kind,
        nonce,
        to: None,
        ..offer.clone()
    };
    let by_hand = to_any(SignalKind::Offer, [0; 32]);
    assert_eq!(place.checked(&by_hand), Ok(by_hand.clone()));
    for (kind, nonce) in [
        (SignalKind::Offer, NONCE),
        (SignalKind::Answer, [0; 32]),
        (SignalKind::Answer, NONCE),
    ] {
        let refused = place.checked(&to_any(kind, nonce));
        assert!(matches!(refused, Err(SignalError::Format(_))));
    }
}

#[test]
fn a_device_that_was_ended_is_not_followed_and_one_that_is_new_is() {
    let mut place = Place::new();
    let new = offer(&place.world, "laptop", "phone");
    let bytes = place.signed("laptop", &new).encode();
    assert_eq!(place.taken(&bytes), Ok(new));
    place.say(place.world.add("laptop", false));
    place.say(revoke("laptop", Vec::new()));
    assert_eq!(place.taken(&bytes), Err(SignalError::Ended));
}

#[test]
fn the_description_names_the_certificate_that_is_signed_for_and_no_other() {
    let place = Place::new();
    let with = |sdp: String| {
        place.checked(&SignalBody {
            sdp,
            ..place.offer()
        })
    };
    let good = sdp(&CERTIFICATE);
    let other = sdp(&[0xac; 32]);
    assert!(with(good.to_lowercase()).is_ok());
    assert!(with(good.replace("\r\n", "\n")).is_ok());
    assert!(with(good.replace("sha-256", "SHA-256")).is_ok());
    assert!(with(format!("{good}{good}")).is_ok());
    for bad in [
        String::new(),
        "v=0\r\n".to_owned(),
        other.clone(),
        format!("{good}{other}"),
        format!("{other}{good}"),
        good.replace("sha-256", "sha-1"),
        good.replace("sha-256 ", "sha-256"),
        good.replace("sha-256 AB", "sha-256 +B"),
        good.replace("sha-256 AB:", "sha-256 "),
        good.replace("AB\r", "AB:AB\r"),
        good.replace("AB:AB", "ABAB"),
        good.replace("a=fingerprint", "b=fingerprint"),
    ] {
        assert_eq!(with(bad.clone()), Err(SignalError::Fingerprint), "{bad:?}");
    }
    // A sign is no digit, also where the number would be the same.
    let small = [0x0b; 32];
    let signed = SignalBody {
        fingerprint: small,
        sdp: sdp(&small).replacen("0B", "+B", 1),
        ..place.offer()
    };
    assert_eq!(place.checked(&signed), Err(SignalError::Fingerprint));
    let signed_for_other = SignalBody {
        fingerprint: [0xac; 32],
        ..place.offer()
    };
    assert_eq!(
        place.checked(&signed_for_other),
        Err(SignalError::Fingerprint)
    );
}

#[test]
fn sizes_are_bounded() {
    let place = Place::new();
    let padded = |len: usize| {
        let mut sdp = sdp(&CERTIFICATE);
        sdp.extend(std::iter::repeat_n('x', len - sdp.len()));
        place.checked(&SignalBody {
            sdp,
            ..place.offer()
        })
    };
    assert!(padded(SIGNAL_SDP_BYTES_MAX).is_ok());
    let too_long = padded(SIGNAL_SDP_BYTES_MAX + 1);
    assert!(matches!(too_long, Err(SignalError::Format(_))));
    let length = Err(FormatError::Field("the length of a signal"));
    let of = |len: usize| Signal::decode(&vec![0xff; len]);
    assert_ne!(of(SIGNAL_BYTES_MAX), length);
    assert_eq!(of(SIGNAL_BYTES_MAX + 1), length);
}

#[test]
fn an_offer_answers_what_this_device_said_last() {
    let offer = Place::new().offer();
    let stale = Err(SignalError::Stale);
    assert_eq!(offer.is_offer_to(&[]), stale);
    assert_eq!(offer.is_offer_to(&[[1; 32], [2; 32]]), stale);
    assert_eq!(offer.is_offer_by_hand(SERVICE_TIME_MS), stale);
    let by_hand = SignalBody {
        nonce: [0; 32],
        ..offer.clone()
    };
    assert_eq!(by_hand.is_offer_to(&[[0; 32]]), stale);
    let answer = SignalBody {
        kind: SignalKind::Answer,
        ..offer
    };
    let kind = Err(SignalError::Kind("an offer"));
    assert_eq!(answer.is_offer_to(&[NONCE]), kind);
    assert_eq!(answer.is_offer_by_hand(SERVICE_TIME_MS), kind);
}

#[test]
fn an_offer_that_is_carried_by_hand_expires() {
    let by_hand = SignalBody {
        nonce: [0; 32],
        ..Place::new().offer()
    };
    let after = |ms: i64| by_hand.is_offer_by_hand(SERVICE_TIME_MS + ms);
    let (life, stale) = (SIGNAL_BY_HAND_MS_MAX, Err(SignalError::Stale));
    for good in [0, life, -life] {
        assert_eq!(after(good), Ok(()));
    }
    for bad in [life + 1, -life - 1, 365 * 24 * 3_600_000] {
        assert_eq!(after(bad), stale);
    }
    for made_ms in [i64::MIN, i64::MAX] {
        let strange = SignalBody {
            made_ms,
            ..by_hand.clone()
        };
        assert_eq!(strange.is_offer_by_hand(SERVICE_TIME_MS), stale);
        assert_eq!(strange.is_offer_by_hand(i64::MAX - made_ms.max(0)), stale);
    }
}

#[test]
fn an_answer_is_of_the_device_and_attempt_that_was_asked() {
    let place = Place::new();
    let offer = place.offer();
    let hash = place.signed("admin", &offer).hash(place.world.ledger_id());
    let answer = answer(&place.world, &place.signed("admin", &offer));
    let stale = Err(SignalError::Stale);
    let changed = |change: fn(&mut SignalBody)| {
        let mut answer = answer.clone();
        change(&mut answer);
        answer.is_answer_to(&offer, &hash)
    };
    assert_eq!(changed(|_| {}), Ok(()));
    assert_eq!(changed(|answer| answer.nonce[0] ^= 1), stale);
    assert_eq!(changed(|answer| answer.connection[0] ^= 1), stale);
    assert_eq!(
        changed(|answer| answer.author = key("laptop").public_key()),
        Err(SignalError::NotForUs)
    );
    assert_eq!(
        changed(|answer| answer.kind = SignalKind::Offer),
        Err(SignalError::Kind("an answer"))
    );
    // Another offer of the same attempt has another hash; one by hand may be answered by anybody.
    let again = SignalBody {
        made_ms: 1,
        ..offer.clone()
    };
    let other = place.signed("admin", &again).hash(place.world.ledger_id());
    assert_eq!(answer.is_answer_to(&again, &other), stale);
    let to_any = SignalBody { to: None, ..offer };
    assert_eq!(answer.is_answer_to(&to_any, &hash), Ok(()));
}

#[test]
fn an_attempt_is_followed_once_and_the_memory_of_it_is_bounded() {
    let of = |number: usize| {
        let mut connection = [0; 16];
        connection[..8].copy_from_slice(&(number as u64).to_be_bytes());
        connection
    };
    let mut seen = Seen::default();
    for number in 0..SIGNALS_SEEN_MAX {
        assert!(seen.is_new(of(number)));
    }
    for number in 0..SIGNALS_SEEN_MAX {
        assert!(!seen.is_new(of(number)));
    }
    assert!(seen.is_new(of(SIGNALS_SEEN_MAX)));
    assert!(!seen.is_new(of(1)), "only the oldest was forgotten");
    assert!(seen.is_new(of(0)));
}
