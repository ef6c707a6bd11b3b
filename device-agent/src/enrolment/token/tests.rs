//! A token says exactly one thing, or nothing.

use std::fs::{self, Permissions};

use super::*;

fn token() -> EnrolmentToken {
    EnrolmentToken::new(
        LedgerId::from_bytes([1; 16]),
        IdentityId::from_bytes([2; 32]),
        "http://127.0.0.1:7410".into(),
        [3; 32],
    )
}

fn why_not(text: &str) -> String {
    match EnrolmentToken::from_text(text) {
        Ok(_) => panic!("{text} was taken"),
        Err(error) => error.to_string(),
    }
}

fn sound(text: &str) -> EnrolmentToken {
    match EnrolmentToken::from_text(text) {
        Ok(token) => token,
        Err(error) => panic!("{text}: {error}"),
    }
}

#[test]
fn a_token_is_six_lines_and_comes_back_as_it_was() {
    let text = token().to_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0], "edge-ledger enrolment token 1");
    assert_eq!(lines[3], "service http://127.0.0.1:7410");
    assert_eq!(lines[4], format!("key {}", "03".repeat(32)));
    for same in [
        text.to_string(),
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("{}\n\n", *text),
    ] {
        let read = sound(&same);
        assert_eq!(*read.to_text(), *text);
        assert_eq!(read.id(), token().id());
    }
}

#[test]
fn a_service_at_several_addresses_is_named_with_all_of_them() {
    let urls = ["http://127.0.0.1:7410", "https://id.example"];
    let token = EnrolmentToken::new(
        LedgerId::from_bytes([1; 16]),
        IdentityId::from_bytes([2; 32]),
        Addresses::new(urls.map(str::to_owned)).unwrap(),
        [3; 32],
    );
    let text = token.to_text();
    assert_eq!(
        text.lines().nth(3),
        Some("service http://127.0.0.1:7410,https://id.example")
    );
    let read = sound(&text);
    assert_eq!(read.identity_urls(), token.identity_urls());
    let nine: Vec<String> = (0..9).map(|n| format!("http://{n}")).collect();
    for list in [
        nine.join(","),
        "http://a,,http://b".to_owned(),
        ",".to_owned(),
    ] {
        let other = text.replace(&urls.join(","), &list);
        assert_eq!(
            why_not(&other),
            TokenError::Damaged("the service is no address").to_string()
        );
    }
}

#[test]
fn every_changed_or_missing_byte_is_noticed() {
    let text = token().to_text();
    for at in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        // Another digit, or another letter, or no line's end.
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(EnrolmentToken::from_text(&changed).is_err(), "{at}");
        if at + 1 < text.len() {
            assert!(EnrolmentToken::from_text(&text[..at]).is_err(), "{at}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_and_the_key_is_not() {
    let text = token().to_text();
    for (bad, expected) in [
        (String::new(), "no enrolment token"),
        ("-----BEGIN".to_owned(), "no enrolment token"),
        (text.replace("token 1", "token 2"), "version \"2\""),
        (
            text.replace("ledger 01", "ledger zz"),
            "the ledger is no id",
        ),
        (text.replace("identity ", "id "), "the identity is missing"),
        (
            text.replace("http://", "http ://"),
            "the service is no address",
        ),
        (text.replace("key 03", "key "), "the key is no key"),
        (text.replace(":7410", ":7411"), "the checksum does not fit"),
        (format!("{}x", *text), "something comes after it"),
    ] {
        let why = why_not(&bad);
        assert!(why.contains(expected), "{why}");
        assert!(!why.contains("0303"), "{why}");
    }
}

#[test]
fn the_file_is_private_never_overwritten_and_refused_when_open_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    token().write(&file).unwrap();
    assert!(matches!(token().write(&file), Err(TokenError::Exists(_))));
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    for (mode, is_taken) in [
        (0o600, true),
        (0o400, true),
        (0o440, true),
        (0o640, true),
        (0o660, false),
        (0o604, false),
        (0o644, false),
        (0o602, false),
    ] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        match EnrolmentToken::read(&file) {
            Ok(_) => assert!(is_taken, "{mode:o}"),
            Err(TokenError::Exposed { mode: said, .. }) => {
                assert_eq!((is_taken, said), (false, mode));
            }
            Err(error) => panic!("{mode:o}: {error}"),
        }
    }
    let missing = EnrolmentToken::read(&folder.path().join("none"));
    assert!(matches!(missing, Err(TokenError::Io { .. })));
    let long = folder.path().join("long");
    fs::write(&long, vec![b'x'; TOKEN_BYTES_MAX + 1]).unwrap();
    fs::set_permissions(&long, Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(
        EnrolmentToken::read(&long),
        Err(TokenError::Unknown)
    ));
}
