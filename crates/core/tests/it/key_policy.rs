//! The one policy for keys and signatures: what libraries disagree about is refused (S-01…S-03).

use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use edge_ledger_core::keys::{KeyError, PublicKey, Signature};
use edge_ledger_core::tags::Tag;
use sha2::{Digest as _, Sha512};

use crate::fixture::{World, key, seed};

/// The order of the base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn weak(bytes: &[u8; 32]) -> bool {
    PublicKey::from_bytes(bytes) == Err(KeyError::Weak)
}

/// The secret scalar and the nonce prefix of a seed (RFC 8032 §5.1.5).
fn expand(name: &str) -> (Scalar, [u8; 64]) {
    let hash: [u8; 64] = Sha512::digest(seed(name)).into();
    let mut scalar = [0; 32];
    scalar.copy_from_slice(&hash[..32]);
    scalar[0] &= 248;
    scalar[31] = scalar[31] & 127 | 64;
    (Scalar::from_bytes_mod_order(scalar), hash)
}

fn wide(parts: &[&[u8]]) -> Scalar {
    let mut sha = Sha512::new();
    for part in parts {
        sha.update(part);
    }
    Scalar::from_bytes_mod_order_wide(&sha.finalize().into())
}

/// Signs with a nonce point that is moved by `twist`, as only the holder of the secret can.
fn sign_twisted(name: &str, message: &[u8], twist: EdwardsPoint) -> Signature {
    let (secret, hash) = expand(name);
    let nonce = wide(&[&hash[32..], message]);
    let point = (ED25519_BASEPOINT_TABLE * &nonce + twist).compress();
    let challenge = wide(&[point.as_bytes(), key(name).public_key().as_bytes(), message]);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(point.as_bytes());
    signature[32..].copy_from_slice((nonce + challenge * secret).as_bytes());
    Signature::from_bytes(signature)
}

#[test]
fn wrong_lengths_are_refused() {
    for length in [0, 1, 31, 33, 64] {
        assert_eq!(
            PublicKey::from_bytes(&vec![1; length]),
            Err(KeyError::Length)
        );
    }
    for length in [0, 32, 63, 65, 128] {
        assert_eq!(
            Signature::try_from(&vec![1; length][..]),
            Err(KeyError::Length)
        );
    }
}

#[test]
fn the_eight_small_order_points_are_refused() {
    for point in EIGHT_TORSION {
        assert!(weak(&point.compress().to_bytes()));
    }
}

#[test]
fn torsioned_keys_are_refused_and_their_prime_order_part_is_not() {
    for name in ["a", "b", "c"] {
        let sound = key(name).public_key();
        let point = CompressedEdwardsY(*sound.as_bytes())
            .decompress()
            .expect("a public key is a point");
        assert_eq!(PublicKey::from_bytes(sound.as_bytes()), Ok(sound));
        for torsion in &EIGHT_TORSION[1..] {
            assert!(weak(&(point + torsion).compress().to_bytes()));
        }
    }
}

#[test]
fn non_canonical_encodings_are_refused() {
    let mut decodable = 0;
    for above in 0..19_u8 {
        for sign in [0, 0x80] {
            // p + above, little-endian, where p = 2^255 − 19.
            let mut bytes = [0xff; 32];
            bytes[0] = 0xed + above;
            bytes[31] = 0x7f | sign;
            decodable += usize::from(CompressedEdwardsY(bytes).decompress().is_some());
            assert!(weak(&bytes), "p + {above}");
        }
    }
    // y = 1 and y = −1 have x = 0, which has no sign.
    let mut one = [0; 32];
    one[0] = 1;
    one[31] = 0x80;
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    assert!(weak(&one) && weak(&minus_one));
    assert!(decodable > 10, "the library decodes them, so we must check");
}

#[test]
fn points_off_the_curve_are_refused() {
    let off_curve = (0..=u8::MAX)
        .map(|first| {
            let mut bytes = [0; 32];
            bytes[0] = first;
            bytes
        })
        .filter(|bytes| CompressedEdwardsY(*bytes).decompress().is_none());
    let count = off_curve.inspect(|bytes| assert!(weak(bytes))).count();
    assert!(count > 50);
}

#[test]
fn a_signature_with_s_plus_the_order_is_refused() {
    let (key, hash) = (key("a"), [7; 32]);
    let sound = key.sign(&hash);
    assert_eq!(key.public_key().verify(&hash, &sound), Ok(()));
    let mut bytes = *sound.as_bytes();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let malleated = Signature::from_bytes(bytes);
    assert_eq!(
        key.public_key().verify(&hash, &malleated),
        Err(KeyError::BadSignature)
    );
}

/// The cofactored equation `8·S·B = 8·R + 8·k·A` holds for these, so a batch verifier takes them;
/// the policy does not.
#[test]
fn a_nonce_point_with_torsion_is_refused() {
    let hash = [9; 32];
    let public = key("a").public_key();
    let plain = sign_twisted("a", &hash, EIGHT_TORSION[0]);
    assert_eq!(plain, key("a").sign(&hash), "made as the library makes it");
    let point = CompressedEdwardsY(*public.as_bytes())
        .decompress()
        .expect("a public key is a point");
    for torsion in &EIGHT_TORSION[1..] {
        let twisted = sign_twisted("a", &hash, *torsion);
        let bytes = twisted.as_bytes();
        let mut half = [0; 32];
        half.copy_from_slice(&bytes[..32]);
        let nonce = CompressedEdwardsY(half).decompress().expect("a point");
        half.copy_from_slice(&bytes[32..]);
        let s = Scalar::from_canonical_bytes(half).expect("a scalar");
        let challenge = wide(&[nonce.compress().as_bytes(), public.as_bytes(), &hash]);
        assert_eq!(
            (ED25519_BASEPOINT_TABLE * &s).mul_by_cofactor(),
            (nonce + challenge * point).mul_by_cofactor(),
            "a cofactored check accepts it"
        );
        assert_eq!(public.verify(&hash, &twisted), Err(KeyError::BadSignature));
    }
}

#[test]
fn a_small_order_nonce_point_is_refused() {
    // With R of small order, S = k·a fits the equation for R = identity.
    let (secret, _) = expand("a");
    let (public, hash) = (key("a").public_key(), [3; 32]);
    for torsion in EIGHT_TORSION {
        let point = torsion.compress();
        let challenge = wide(&[point.as_bytes(), public.as_bytes(), &hash]);
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(point.as_bytes());
        signature[32..].copy_from_slice((challenge * secret).as_bytes());
        assert_eq!(
            public.verify(&hash, &Signature::from_bytes(signature)),
            Err(KeyError::BadSignature)
        );
    }
}

#[test]
fn any_flipped_bit_of_a_signature_or_hash_is_refused() {
    let (key, hash) = (key("a"), [5; 32]);
    let signature = key.sign(&hash);
    for bit in 0..512 {
        let mut bytes = *signature.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let flipped = Signature::from_bytes(bytes);
        assert!(key.public_key().verify(&hash, &flipped).is_err());
    }
    for bit in 0..256 {
        let mut other = hash;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(key.public_key().verify(&other, &signature).is_err());
    }
}

/// A plain signature of a root key proves nothing, whatever it signs, and the other way round.
#[test]
fn root_signatures_and_plain_ones_do_not_stand_for_each_other() {
    let world = World::uncapped();
    let (ledger_id, root) = (world.ledger_id(), &world.root);
    let body = b"any body";
    let sound = root.sign_root(Tag::Statement, ledger_id, body);
    let public = root.public_key();
    let verify = |signature| public.verify_root(Tag::Statement, ledger_id, body, &signature);
    assert_eq!(verify(sound), Ok(()));

    let context = Tag::Statement.context(ledger_id);
    let hash = Tag::Statement.hash(ledger_id, &[body]);
    let prehash: [u8; 64] = Sha512::new()
        .chain_update(&context)
        .chain_update(body)
        .finalize()
        .into();
    // The old client signs any bytes that a server sends: give it the best ones.
    let dom2 = [
        b"SigEd25519 no Ed25519 collisions\x01".as_slice(),
        &[context.len() as u8],
        &context,
        &prehash,
    ]
    .concat();
    let oracle = ed25519_dalek::SigningKey::from_bytes(&seed("root"));
    for message in [&hash[..], &body[..], &prehash, &dom2, &context] {
        let plain = ed25519_dalek::Signer::sign(&oracle, message);
        assert!(verify(Signature::from_bytes(plain.to_bytes())).is_err());
    }
    assert!(public.verify(&hash, &sound).is_err());
    assert!(public.verify_message(body, &sound).is_err());
    assert!(public.verify_message(&prehash, &sound).is_err());
}

#[test]
fn secrets_are_not_shown() {
    let signature = key("a").sign(&[1; 32]);
    assert_eq!(format!("{signature:?}"), "Signature(..)");
    let shown = format!("{:?}", key("a").public_key());
    assert!(shown.len() < 24, "{shown}");
    assert_eq!(*key("a").seed(), seed("a"));
}
