use edge_ledger_core::limits::UNIT_BYTES_MAX;
use serde_json::Value;

use super::*;

const PASSWORD: &str = "correct horse battery staple";
/// Costs nothing.
const CHEAP: v3::Cost = v3::Cost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

fn vectors() -> Vec<Value> {
    let text = include_str!("../../../tests/vectors/backups.json");
    serde_json::from_str(text).unwrap()
}

fn bytes(vector: &Value, field: &str) -> Option<Vec<u8>> {
    let text = vector.get(field)?.as_str()?;
    Some(data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap())
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap()
}

fn backup() -> Backup {
    Backup {
        root: Zeroizing::new([1; 32]),
        next_root: Some(Zeroizing::new([2; 32])),
        genesis: None,
        identity_urls: Some("http://127.0.0.1:7410".into()),
        fingerprint: None,
        identity: None,
    }
}

fn sealed() -> Vec<u8> {
    v3::seal(&backup(), PASSWORD, CHEAP, [3; 16], [4; 24]).unwrap()
}

fn why(file: &[u8], password: &str) -> BackupError {
    open(file, password).err().unwrap()
}

#[test]
fn files_of_every_format_open_to_the_keys_that_others_sealed() {
    for vector in vectors() {
        let name = text(&vector, "name");
        let file = bytes(&vector, "file").unwrap();
        let (backup, format) = open(&file, text(&vector, "password")).unwrap();
        let expected = match text(&vector, "format") {
            "original-v1" => BackupFormat::PiKeyV1,
            "original-v2" => BackupFormat::PiKeyV2,
            "original-node" => BackupFormat::NodeIdentity,
            "v3" => BackupFormat::V3,
            other => panic!("{other}"),
        };
        assert_eq!(format, expected, "{name}");
        assert_eq!(Some(backup.root.to_vec()), bytes(&vector, "seed"), "{name}");
        let expected = vector.get("identity").and_then(Value::as_str);
        let expected = expected.unwrap_or_else(|| text(&vector, "public_key"));
        assert_eq!(backup.identity().to_string(), expected, "{name}");
        let root = backup.root_key().public_key();
        let root = data_encoding::HEXLOWER.encode(root.as_bytes());
        assert_eq!(root, text(&vector, "public_key"), "{name}");
        let next = backup.next_root.map(|seed| seed.to_vec());
        assert_eq!(next, bytes(&vector, "next_seed"), "{name}");
        let fingerprint = backup.fingerprint.map(|bytes| bytes.to_vec());
        assert_eq!(fingerprint, bytes(&vector, "fingerprint"), "{name}");
        let url = vector.get("identity_url").and_then(Value::as_str);
        let urls = backup.identity_urls.map(|urls| urls.to_string());
        assert_eq!(urls.as_deref(), url, "{name}");
        if text(&vector, "password").is_empty() {
            continue;
        }
        assert_eq!(
            why(&file, "another password"),
            BackupError::Password,
            "{name}"
        );
    }
}

#[test]
fn version_3_is_written_byte_for_byte_as_others_write_it() {
    let vectors = vectors();
    let vector = vectors.iter().find(|v| v["format"] == "v3").unwrap();
    let number = |field: &str| u32::try_from(vector[field].as_u64().unwrap()).unwrap();
    let cost = v3::Cost {
        memory_kib: number("memory_kib"),
        passes: number("passes"),
        lanes: number("lanes"),
    };
    let file = bytes(vector, "file").unwrap();
    let (backup, _) = open(&file, text(vector, "password")).unwrap();
    let salt = file[21..37].try_into().unwrap();
    let nonce = file[37..61].try_into().unwrap();
    let again = v3::seal(&backup, text(vector, "password"), cost, salt, nonce).unwrap();
    assert_eq!(again, file);
}

#[test]
fn what_is_sealed_comes_back_and_no_two_files_are_alike() {
    let file = seal(&backup(), PASSWORD).unwrap();
    assert_ne!(seal(&backup(), PASSWORD).unwrap(), file);
    let (opened, format) = open(&file, PASSWORD).unwrap();
    assert_eq!(format, BackupFormat::V3);
    assert!(!format.is_weak() && BackupFormat::PiKeyV1.is_weak());
    assert_eq!(*opened.root, [1; 32]);
    assert_eq!(opened.next_root.as_deref(), Some(&[2; 32]));
    assert_eq!(opened.identity_urls(), backup().identity_urls());
}

#[test]
fn short_passwords_are_refused_by_their_characters() {
    for short in ["", "elevencharS", "ππππππππππ"] {
        assert_eq!(seal(&backup(), short), Err(BackupError::ShortPassword));
    }
}

#[test]
fn a_file_that_is_cut_off_says_so_wherever_it_ends() {
    let file = sealed();
    for end in 0..file.len() {
        let error = why(&file[..end], PASSWORD);
        let expected = match end {
            0..8 => matches!(error, BackupError::Unknown { .. }),
            _ => matches!(error, BackupError::Truncated { bytes, .. } if bytes == end),
        };
        assert!(expected, "{end}: {error}");
    }
    let longer = [&file[..], b"x"].concat();
    assert_eq!(why(&longer, PASSWORD), BackupError::Header);
}

#[test]
fn every_changed_bit_is_noticed() {
    let file = sealed();
    for index in 0..file.len() {
        for bit in 0..8 {
            let mut changed = file.clone();
            changed[index] ^= 1 << bit;
            let error = why(&changed, PASSWORD);
            let expected = match index {
                0..8 => matches!(error, BackupError::Unknown { .. }),
                8 if changed[8] < 3 => matches!(error, BackupError::Unknown { .. }),
                8 => matches!(error, BackupError::Newer(_)),
                9..73 => error == BackupError::Header,
                _ => error == BackupError::Password,
            };
            assert!(expected, "byte {index} bit {bit}: {error}");
        }
    }
}

/// Whoever can change a header can also change its checksum.
#[test]
fn a_header_that_was_forged_with_its_checksum_opens_nothing() {
    use sha2::{Digest as _, Sha256};
    let forge = |at: usize, byte: u8| {
        let mut forged = sealed();
        forged[at] = byte;
        let hash = Sha256::digest(&forged[..65]);
        forged[65..73].copy_from_slice(&hash[..8]);
        why(&forged, PASSWORD)
    };
    assert_eq!(forge(16, 2), BackupError::Password, "passes");
    assert_eq!(forge(30, 0), BackupError::Password, "salt");
    assert_eq!(forge(50, 0), BackupError::Password, "nonce");
    assert_eq!(forge(9, 0xff), BackupError::Cost, "memory");
    assert_eq!(forge(13, 0xff), BackupError::Cost, "passes");
    assert_eq!(forge(17, 0xff), BackupError::Cost, "lanes");
    assert_eq!(forge(12, 0), BackupError::Cost, "memory for no lane");
    assert!(matches!(forge(61, 0x7f), BackupError::Truncated { .. }));
}

#[test]
fn what_is_no_backup_is_told_so_and_never_panics() {
    for (length, first) in [(62, 2), (77, 2), (78, 1), (61, 1), (0, 0), (1_000_000, 1)] {
        let file = vec![first; length];
        assert_eq!(why(&file, PASSWORD), BackupError::Unknown { bytes: length });
    }
    assert_eq!(why(b"ELBACKUP\x04", PASSWORD), BackupError::Newer(4));
    // There are no older ones of this kind.
    for version in [0, 1, 2] {
        let file = [b"ELBACKUP", &[version][..]].concat();
        assert_eq!(why(&file, PASSWORD), BackupError::Unknown { bytes: 9 });
    }
    let unit = "x".repeat(UNIT_BYTES_MAX + 1);
    assert!(matches!(
        why(unit.as_bytes(), PASSWORD),
        BackupError::Unknown { .. }
    ));
}
