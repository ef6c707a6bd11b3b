//! `docs/protocol.md` says what the code does: its tables are compared with the code, with the
//! contract and with the vectors. What differs is named; mend the page or the code.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use curve25519_dalek::MontgomeryPoint;
use edge_ledger_core::limits;
use edge_ledger_core::tags::Tag;
use edge_ledger_proto::identity::{LinkMessage, LinkOffer, link_message};
use prost::Message as _;

const PAGE: &str = include_str!("../../docs/protocol.md");
const VECTORS: &str = include_str!("../../tests/vectors/protocol_v1.json");
const LIMITS: &str = include_str!("../../crates/core/src/limits.rs");
const REASONS: &str = include_str!("../../crates/chassis/src/status/table.rs");
const CONTRACT: [&str; 10] = [
    include_str!("../edgeledger/identity/v1/deployment.proto"),
    include_str!("../edgeledger/identity/v1/identity_service.proto"),
    include_str!("../edgeledger/identity/v1/link.proto"),
    include_str!("../edgeledger/identity/v1/statement.proto"),
    include_str!("../edgeledger/ledger/v1/entry.proto"),
    include_str!("../edgeledger/ledger/v1/frame.proto"),
    include_str!("../edgeledger/ledger/v1/ledger_service.proto"),
    include_str!("../edgeledger/signal/v1/nearby.proto"),
    include_str!("../edgeledger/signal/v1/signal.proto"),
    include_str!("../edgeledger/signal/v1/signal_service.proto"),
];

/// The rows of all tables that are marked as this kind, without their heads, as cells.
fn rows(kind: &str) -> Vec<Vec<&'static str>> {
    let mark = format!("<!-- checked: {kind} -->");
    let mut rows = Vec::new();
    let mut lines = PAGE.lines();
    while lines.by_ref().any(|line| line == mark) {
        let table = lines
            .by_ref()
            .take_while(|line| line.starts_with('|'))
            .skip(2);
        rows.extend(table.map(cells));
    }
    assert!(!rows.is_empty(), "no table is marked as {kind}");
    rows
}

fn cells(row: &'static str) -> Vec<&'static str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn name(cell: &str) -> String {
    quoted(cell)[0].to_owned()
}

/// Compares two tables by their first column.
fn compare<V: PartialEq + std::fmt::Debug>(
    what: &str,
    page: impl IntoIterator<Item = (String, V)>,
    code: impl IntoIterator<Item = (String, V)>,
) {
    let mut on_page = BTreeMap::new();
    for (name, value) in page {
        let again = on_page.insert(name.clone(), value);
        assert!(again.is_none(), "{what}: {name} stands twice on the page");
    }
    let code: BTreeMap<String, V> = code.into_iter().collect();
    for (name, value) in &code {
        assert_eq!(
            on_page.get(name),
            Some(value),
            "{what}: page (left), code (right): {name}"
        );
    }
    for name in on_page.keys() {
        assert!(code.contains_key(name), "{what}: only the page has {name}");
    }
}

#[test]
fn tags() {
    let page = rows("tags")
        .into_iter()
        .map(|row| (name(row[0]), name(row[1])));
    let code = Tag::ALL.map(|tag| {
        let text = tag.as_bytes().strip_suffix(&[0]).unwrap();
        (
            format!("{tag:?}"),
            String::from_utf8_lossy(text).into_owned(),
        )
    });
    compare("tags", page, code);
}

#[test]
fn layouts_have_no_gap_and_start_with_their_tag() {
    for tag in [Tag::Log, Tag::Entry, Tag::Ack] {
        let mut at = 0;
        for row in rows(&format!("layout {tag:?}")) {
            assert_eq!(row[0], at.to_string(), "{tag:?}: the offset of {}", row[2]);
            let bytes = row[1].parse().unwrap_or(0);
            assert!(
                at > 0 || bytes == tag.as_bytes().len(),
                "{tag:?}: the tag's length"
            );
            at += bytes;
        }
    }
}

/// The members of every `message` or `enum` of the contract, as `number name type`.
fn declared(keyword: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut inside: Option<String> = None;
    for line in CONTRACT.iter().flat_map(|file| file.lines()) {
        let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
        match words.as_slice() {
            [of, name, "{" | "{}"] if *of == keyword => {
                found.entry((*name).to_owned()).or_default();
                inside = line.ends_with('{').then(|| (*name).to_owned());
            }
            _ if line == "}" => inside = None,
            [rest @ .., name, "=", number] if number.parse::<u32>().is_ok() => {
                let Some(members) = inside.as_ref().and_then(|of| found.get_mut(of)) else {
                    continue;
                };
                members.insert(member(rest, name, number));
            }
            _ => {}
        }
    }
    found
}

fn member(rest: &[&str], name: &str, number: &str) -> String {
    let (type_of, repeated) = match rest {
        [] => return format!("{number} {name}"),
        ["repeated", type_of] => (*type_of, " repeated"),
        [type_of, ..] => (*type_of, ""),
    };
    let type_of = type_of.rsplit('.').next().unwrap();
    format!("{number} {name} {type_of}{repeated}")
}

/// Members on the page: what stands in backticks and starts with a number.
fn members(cell: &str) -> BTreeSet<String> {
    let numbered =
        |text: &&str| text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(' ');
    quoted(cell)
        .into_iter()
        .filter(numbered)
        .map(str::to_owned)
        .collect()
}

#[test]
fn messages_and_frame_numbers() {
    let page = rows("messages")
        .into_iter()
        .map(|row| (name(row[0]), members(row[1])));
    let code = declared("message");
    assert!(code["Frame"].contains("7 runs Runs"), "{:?}", code["Frame"]);
    compare("messages", page, code);
}

#[test]
fn enums() {
    let page = rows("enums")
        .into_iter()
        .map(|row| (name(row[0]), members(row[1])));
    let code = declared("enum").into_iter().map(|(name, values)| {
        let prefix = screaming(&name) + "_";
        let values = values
            .into_iter()
            .map(|value| value.replacen(&prefix, "", 1));
        // Zero is never valid.
        (
            name,
            values.filter(|value| !value.starts_with("0 ")).collect(),
        )
    });
    compare("enums", page, code);
}

/// `CamelCase` as `CAMEL_CASE`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}

macro_rules! values {
    ($($name:ident),+ $(,)?) => {
        [$((stringify!($name).to_owned(), limits::$name.to_string())),+]
    };
}

#[test]
fn limits_and_their_values() {
    let code = values![
        ENTRY_POSTINGS_MAX,
        ENTRY_PAYLOAD_BYTES_MAX,
        MEMO_BYTES_MAX,
        EVENT_KEY_BYTES_MAX,
        ISSUER_PROOF_BYTES_MAX,
        AMOUNT_MAX,
        JOURNAL_TOTAL_MAX,
        JOURNAL_TIPS_MAX,
        FRAME_BYTES_MAX,
        RUN_BYTES_MAX,
        PAGE_BYTES_MAX,
        FRAME_RUNS_MAX,
        WINDOW_FRAMES_MAX,
        LOCATOR_POINTS_MAX,
        LOCATOR_FRAME_POINTS_MAX,
        HAVE_POINTS_MAX,
        FRAME_STATEMENTS_MAX,
        HEADS_TIPS_MAX,
        FRAME_ACKS_MAX,
        FRAME_RELAYED_ACKS_MAX,
        WAITING_BYTES_MAX,
        WAITING_RUNS_MAX,
        DEVICES_ACTIVE_MAX,
        DEVICES_ACTIVE_BY_ROOT,
        DEVICES_EVER_MAX,
        DEVICES_BY_ROOT_MIN,
        NAME_BYTES_MAX,
        PLATFORM_BYTES_MAX,
        RENAMES_PER_DEVICE_MAX,
        REVOKES_PER_LINEAGE_MAX,
        ROTATIONS_MAX,
        RECOVERIES_MAX,
        RECOVERS_PER_KEY_MAX,
        RECOVERY_KEYS_PER_ROOT_MAX,
        FORKS_MAX,
        FORK_TIPS_MAX,
        ENROLMENT_KEYS_PER_SIGNER_MAX,
        ENROLMENT_USES_MAX,
        ENROLMENT_LIFE_MS_MAX,
        PROBATION_MS_MAX,
        VETO_MS_MAX,
        STATEMENT_TIPS_MAX,
        STATEMENT_DEVICE_TIPS_MAX,
        STATEMENT_SIGNATURES_MAX,
        RECEIPT_TIPS_MAX,
        STATEMENT_BYTES_MAX,
        UNIT_BYTES_MAX,
        DECIMALS_MAX,
        CHALLENGE_LIFE_MS,
        AUDIENCE_BYTES_MAX,
        ADDRESSES_MAX,
        PROTOCOL_VERSION,
        ENTRY_FORMAT,
        DIGEST_EVERY_MS,
        DIGEST_SLACK_MS,
        MISBEHAVED_RUNS_MAX,
        MISBEHAVED_WINDOW_MS,
        STALLED_AFTER_MS,
        PEER_OPENING_MS_MAX,
        WAITING_ACKS_MAX,
        STATEMENTS_AGAIN_MS,
        PINGS_DUE_MAX,
        FLUSHES_WAITING_MAX,
        UNSURE_COMPARISONS_MAX,
        MEND_WAIT_MS_MAX,
        LOG_ASKS_MAX,
        SIGNAL_BYTES_MAX,
        SIGNAL_SDP_BYTES_MAX,
        SIGNAL_BY_HAND_MS_MAX,
        SIGNALS_SEEN_MAX,
    ];
    let named: BTreeSet<&str> = code.iter().map(|(name, _)| name.as_str()).collect();
    let constants = LIMITS
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "));
    for constant in constants.filter_map(|rest| rest.split(':').next()) {
        assert!(
            named.contains(constant),
            "this test and the page lack {constant}"
        );
    }
    let page = rows("limits")
        .into_iter()
        .map(|row| (name(row[0]), row[1].replace(',', "")));
    compare("limits", page, code);
}

#[test]
fn reasons_and_their_codes() {
    let page = rows("reasons")
        .into_iter()
        .map(|row| (name(row[0]), name(row[1])));
    let code = REASONS.lines().filter_map(|line| {
        let line = line.trim().strip_suffix("\";")?;
        let mut parts = line.splitn(4, ", ");
        let (_, name, code) = (parts.next()?, parts.next()?, parts.next()?);
        Some((name.trim_matches('"').to_owned(), screaming(code)))
    });
    let code: Vec<_> = code.collect();
    assert!(
        code.len() > 30,
        "the table of reasons has another form: {code:?}"
    );
    compare("reasons", page, code);
}

/// The example of a link session, made again: what a code gives, and what a shared key gives.
fn link_example() -> Vec<String> {
    let random: Vec<u8> = (0..24).collect();
    let word = |at: usize| u32::from_be_bytes(random[at..at + 4].try_into().unwrap());
    let (nameplate, typed) = (word(0) >> 7, word(4) >> 2);
    let (plate, secret) = (nameplate.to_be_bytes(), typed.to_be_bytes());
    let check = Tag::Nameplate.hash_unbound(&[b"check", &plate, &secret])[0] & 31;
    let code = [
        symbols(nameplate.into(), 5),
        symbols(typed.into(), 6),
        symbols(check.into(), 1),
    ]
    .concat();
    let scanned = u128::from_be_bytes(random[8..].try_into().unwrap());
    let long = [symbols(scanned >> 3, 25), symbols(scanned << 2 & 31, 1)].concat();
    let shared: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let key = |direction: &[u8]| Tag::LinkKey.hash_unbound(&[&shared, direction]);
    let offer = LinkOffer {
        identity: vec![1; 32].into(),
        genesis: b"genesis".to_vec().into(),
    }
    .encode_to_vec();
    let length = u32::try_from(offer.len()).unwrap().to_be_bytes();
    let told: [&[u8]; 5] = [&shared, &length, &offer, &[2; 64], b"new"];
    let transcript = Tag::LinkTranscript.hash_unbound(&told);
    let number = Tag::LinkNumber.hash_unbound(&[&transcript, &[3; 32], &[4; 32]]);
    let number = u64::from_be_bytes(number[..8].try_into().unwrap()) % 1_000_000;
    let mut made = vec![
        format!("{}-{}-{}", &code[..4], &code[4..8], &code[8..]),
        format!("{}-{long}", &code[..5]),
        format!("ledger={}&", "07".repeat(16)),
        hex(&random),
        hex(&random[8..]),
        hex(&Tag::Nameplate.hash_unbound(&[&plate])),
        hex(&shared),
        hex(&key(b"opener")),
        hex(&key(b"joiner")),
        hex(&offer),
        hex(&transcript),
        hex(&Tag::LinkCommitment.hash_unbound(&[&transcript, &[3; 32]])),
        format!("{:03} {:03}", number / 1000, number % 1000),
    ];
    for direction in [b"opener", b"joiner"] {
        made.extend([0, 1].map(|n| hex(&sealed(key(direction), n))));
    }
    made
}

/// The example of two devices on one network, made again: keys and proofs of what both know.
fn nearby_example() -> Vec<String> {
    let rendezvous: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let dialler = MontgomeryPoint::mul_base_clamped([1; 32]);
    let listener = MontgomeryPoint::mul_base_clamped([2; 32]);
    let shared = listener.mul_clamped([1; 32]);
    let keys = [dialler.as_bytes(), listener.as_bytes()];
    let proof = |role| {
        let parts: [&[u8]; 4] = [&rendezvous, &[role], keys[0], keys[1]];
        hex(&Tag::NearbyProof.hash_unbound(&parts))
    };
    let key = |role| {
        let parts: [&[u8]; 5] = [&rendezvous, shared.as_bytes(), &[role], keys[0], keys[1]];
        hex(&Tag::NearbyKey.hash_unbound(&parts))
    };
    let mut made = vec![hex(&rendezvous), hex(shared.as_bytes())];
    made.extend(keys.map(|key| hex(key)));
    made.extend([1, 2].map(proof));
    made.extend([1, 2].map(key));
    made
}

/// So many symbols of Crockford's base 32.
fn symbols(digits: u128, count: usize) -> String {
    (0..count)
        .rev()
        .map(|at| usize::try_from(digits >> (5 * at) & 31).unwrap())
        .map(|digit| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[digit]))
        .collect()
}

/// Message `n` of a direction: refused, with "no".
fn sealed(key: [u8; 32], n: u64) -> Vec<u8> {
    let message = LinkMessage {
        message: Some(link_message::Message::Refused("no".to_owned())),
    };
    let nonce = [&[0; 16][..], &n.to_be_bytes()].concat();
    let nonce = XNonce::try_from(&nonce[..]).unwrap();
    XChaCha20Poly1305::new(&Key::from(key))
        .encrypt(&nonce, &*message.encode_to_vec())
        .unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_example_is_one_of_the_vectors_or_made_again() {
    let examples_made = [link_example(), nearby_example()].concat();
    for made in &examples_made {
        assert!(PAGE.contains(made.as_str()), "the page lacks {made}");
    }
    let words = PAGE.split(|c: char| !c.is_ascii_alphanumeric());
    let examples =
        words.filter(|word| word.len() >= 32 && word.bytes().all(|b| b.is_ascii_hexdigit()));
    let made = |word: &str| examples_made.iter().any(|made| made.contains(word));
    let known = |word: &str| VECTORS.contains(word) || made(word);
    for example in examples {
        assert!(known(example), "nothing makes {example}");
    }
}
