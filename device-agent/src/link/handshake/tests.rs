//! The handshake, and who attacks it: each attack with what it gets.

use super::*;
use crate::link::code::CODE_RANDOM_BYTES;

/// What a session comes to.
struct Session {
    asked: Asked,
    waiting: Waiting,
}

fn code(seed: u8) -> LinkCode {
    LinkCode::new([seed; CODE_RANDOM_BYTES])
}

fn opening(code: &LinkCode) -> Opening {
    let offer = pb::LinkOffer {
        identity: Bytes::from_static(&[1; 32]),
        genesis: Bytes::from_static(b"genesis"),
    };
    Opening {
        code: code.clone(),
        offer,
        nonce: [0xa0; 32],
    }
}

fn certificate(name: &'static [u8]) -> pb::Certificate {
    pb::Certificate {
        body: Bytes::from_static(name),
        signature: Bytes::from_static(&[2; 64]),
    }
}

fn secret(code: &LinkCode, form: pb::LinkForm) -> Secret {
    code.secret(form).unwrap()
}

/// Runs a session of two honest devices between which nobody sits.
fn run(code: &LinkCode, form: pb::LinkForm, joiner_nonce: Nonce) -> Session {
    let (joining, start) = Joining::start(code.nameplate, &secret(code, form));
    let (offered, [answer, offer]) = opening(code).start(&start).unwrap();
    let informed = joining.offer(&answer, &offer).unwrap();
    assert_eq!(informed.offer().genesis, &b"genesis"[..]);
    let (applied, application) = informed.apply(certificate(b"new"), joiner_nonce).unwrap();
    let (committed, nonce) = offered.application(&application).unwrap();
    let (waiting, reveal) = applied.nonce(&nonce).unwrap();
    let asked = committed.reveal(&reveal).unwrap();
    Session { asked, waiting }
}

#[test]
fn both_devices_come_to_one_number_with_either_secret() {
    for form in [pb::LinkForm::Typed, pb::LinkForm::Scanned] {
        let Session { mut asked, waiting } = run(&code(7), form, [3; 32]);
        assert_eq!(asked.certificate, certificate(b"new"));
        assert!(asked.number.is(&waiting.number.to_string()));
        let welcome = Message::Welcome(pb::LinkWelcome { log_position: 2 });
        let welcome = asked.channel.seal(welcome).unwrap();
        waiting.welcome(&welcome).unwrap();
    }
}

#[test]
fn numbers_differ_from_session_to_session() {
    let number = |nonce| {
        run(&code(7), pb::LinkForm::Typed, nonce)
            .asked
            .number
            .to_string()
    };
    // The key is new each time, so the same nonces give other numbers, too.
    let seen: std::collections::BTreeSet<String> =
        (0..8).map(|nonce| number([nonce / 2; 32])).collect();
    assert!(seen.len() > 6, "{seen:?}");
}

/// Whoever has another code, on either side, or lies about its form, gets nothing.
#[test]
fn a_wrong_guess_ends_the_session() {
    let (right, wrong) = (code(7), code(8));
    for form in [pb::LinkForm::Typed, pb::LinkForm::Scanned] {
        let guess = secret(&wrong, form);
        let (joining, start) = Joining::start(right.nameplate, &guess);
        let (offered, [answer, offer]) = opening(&right).start(&start).unwrap();
        assert!(joining.offer(&answer, &offer).is_err(), "reads the offer");

        let (joining, start) = Joining::start(right.nameplate, &guess);
        let (_, [answer, offer]) = opening(&wrong).start(&start).unwrap();
        let informed = joining.offer(&answer, &offer);
        assert!(informed.is_err(), "of another session, as the names differ");

        let forged = Channel::new(&SharedKey::new([0; 32]), Side::Joiner)
            .seal(Message::Application(pb::LinkApplication::default()))
            .unwrap();
        assert!(offered.application(&forged).is_err());
    }
    let (joining, start) = Joining::start(right.nameplate, &secret(&right, pb::LinkForm::Typed));
    let mut start = pake::read(&start).unwrap();
    start.set_form(pb::LinkForm::Scanned);
    let lie = prost::Message::encode_to_vec(&start);
    let (_, [answer, offer]) = opening(&right).start(&lie).unwrap();
    assert!(joining.offer(&answer, &offer).is_err());
    start.set_form(pb::LinkForm::Unspecified);
    let lie = prost::Message::encode_to_vec(&start);
    assert!(opening(&right).start(&lie).is_err());
}

/// The relay puts its own messages in the place of the two devices'. Without the code it opens and
/// makes nothing; what it swaps or repeats does not open.
#[test]
fn a_relay_without_the_code_can_only_end_the_session() {
    let code = code(7);
    let (_, start) = Joining::start(code.nameplate, &secret(&code, pb::LinkForm::Typed));
    let guess = Secret::Typed(zeroize::Zeroizing::new(1));
    let (_, own) = Joining::start(code.nameplate, &guess);
    let (_, [answer, offer]) = opening(&code).start(&own).unwrap();
    // The offer was sealed for whoever sent `own`; the honest device cannot read it.
    let (joining, _) = Joining::start(code.nameplate, &secret(&code, pb::LinkForm::Typed));
    assert!(joining.offer(&answer, &offer).is_err());
    // Its own start, sent back to the new device as if it were the other's.
    let (joining, _) = Joining::start(code.nameplate, &secret(&code, pb::LinkForm::Typed));
    assert!(joining.offer(&start, &offer).is_err());
    for nonsense in [&b""[..], &[0xff; 40], &[0; 33]] {
        assert!(opening(&code).start(nonsense).is_err());
    }
}

/// Somebody who saw the code sits between the two devices and speaks to both: the numbers differ,
/// so the one that the person types is refused.
#[test]
fn a_third_device_that_knows_the_code_is_found_by_the_number() {
    let code = code(7);
    let typed = || secret(&code, pb::LinkForm::Typed);
    // Towards the linked device it is the new one, under its own key.
    let thief = {
        let (joining, start) = Joining::start(code.nameplate, &typed());
        let (offered, [answer, offer]) = opening(&code).start(&start).unwrap();
        let informed = joining.offer(&answer, &offer).unwrap();
        let (applied, application) = informed.apply(certificate(b"thief"), [4; 32]).unwrap();
        let (committed, nonce) = offered.application(&application).unwrap();
        let (_, reveal) = applied.nonce(&nonce).unwrap();
        committed.reveal(&reveal).unwrap()
    };
    // Towards the new device it is the linked one, with the same nonces.
    let honest = run(&code, pb::LinkForm::Typed, [4; 32]);
    assert!(!thief.number.is(&honest.waiting.number.to_string()));
}

/// It cannot look for nonces that make the numbers equal: it is committed before it knows.
#[test]
fn the_number_cannot_be_ground() {
    let code = code(7);
    let (joining, start) = Joining::start(code.nameplate, &secret(&code, pb::LinkForm::Typed));
    let (offered, [answer, offer]) = opening(&code).start(&start).unwrap();
    let informed = joining.offer(&answer, &offer).unwrap();
    let (mut applied, application) = informed.apply(certificate(b"thief"), [4; 32]).unwrap();
    let (committed, nonce) = offered.application(&application).unwrap();
    // Only now could it choose, and what it chooses is not what it was committed to.
    applied.nonce = [5; 32];
    let (_, reveal) = applied.nonce(&nonce).unwrap();
    assert!(matches!(
        committed.reveal(&reveal),
        Err(AgentError::Untrusted(_))
    ));
}

/// The certificate that a person approves is the one that the number covers.
#[test]
fn another_certificate_has_another_number_and_another_commitment() {
    let key = SharedKey::new([1; 32]);
    let offer = opening(&code(7)).offer;
    let transcript = |offer: &pb::LinkOffer, name| Transcript::new(&key, offer, &certificate(name));
    let (one, other) = (transcript(&offer, b"new"), transcript(&offer, b"swapped"));
    assert_ne!(one.commitment(&[3; 32]), other.commitment(&[3; 32]));
    let number = |transcript: &Transcript| Number::of(transcript, &[3; 32], &[4; 32]).to_string();
    assert_ne!(number(&one), number(&other));
    let elsewhere = pb::LinkOffer {
        genesis: Bytes::from_static(b"another"),
        ..offer.clone()
    };
    let elsewhere = transcript(&elsewhere, b"new");
    assert_ne!(number(&one), number(&elsewhere));
}

/// Nor is there a way to say another one: neither before the number is known, nor after.
#[test]
fn a_certificate_is_said_once() {
    let code = code(7);
    let (joining, start) = Joining::start(code.nameplate, &secret(&code, pb::LinkForm::Typed));
    let (offered, [answer, offer]) = opening(&code).start(&start).unwrap();
    let informed = joining.offer(&answer, &offer).unwrap();
    let (mut applied, application) = informed.apply(certificate(b"new"), [3; 32]).unwrap();
    let (committed, _) = offered.application(&application).unwrap();
    let swapped = Message::Application(pb::LinkApplication {
        certificate: Some(certificate(b"swapped")),
        commitment: Bytes::copy_from_slice(&applied.transcript.commitment(&[3; 32])),
    });
    let swapped = applied.channel.seal(swapped).unwrap();
    assert!(committed.reveal(&swapped).is_err());
    // What a person approves is what was said first, whatever comes after the number.
    let Session { asked, waiting } = run(&code, pb::LinkForm::Typed, [3; 32]);
    assert!(asked.number.is(&waiting.number.to_string()));
    assert_eq!(asked.certificate, certificate(b"new"));
}

#[test]
fn a_message_out_of_turn_ends_the_session() {
    let code = code(7);
    let (joining, start) = Joining::start(code.nameplate, &secret(&code, pb::LinkForm::Typed));
    let (offered, [answer, offer]) = opening(&code).start(&start).unwrap();
    let mut informed = joining.offer(&answer, &offer).unwrap();
    let early = informed
        .channel
        .seal(Message::Reveal(Bytes::new()))
        .unwrap();
    assert!(offered.application(&early).is_err());

    let Session { mut asked, waiting } = run(&code, pb::LinkForm::Typed, [3; 32]);
    let nonce = asked.channel.seal(Message::Nonce(Bytes::new())).unwrap();
    assert!(waiting.welcome(&nonce).is_err());
}

#[test]
fn a_refusal_reaches_the_new_device() {
    let Session { mut asked, waiting } = run(&code(7), pb::LinkForm::Typed, [3; 32]);
    let refused = Message::Refused("not today".to_owned());
    let refused = asked.channel.seal(refused).unwrap();
    let heard = waiting.welcome(&refused);
    assert!(matches!(heard, Err(AgentError::LinkEnded(why)) if why == "not today"));
}
