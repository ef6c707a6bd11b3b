//! PiKey ids as the JavaScript service shows them. The expected values were computed with
//! Python's `hashlib`: SHA-512(`3141592653589793` ‖ key), 40 bytes, the first four XOR `31415926`.

use edge_ledger_core::identity::pikey::{pikey_id, short_id};
use edge_ledger_core::ids::IdentityId;

const CASES: [(&str, &str); 4] = [
    (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "1e5c4fccbb7133373fd6902ed5fde3ca2f56e1c6c562d6bf295ebd69fcc575838c3488d03882d2ec",
    ),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "56750fa6f7a37b86fb9f4d2bd8cfaf57afab2fc07dc95b7a2546ddae3b8ecf3c1ccb8ad2c5e8989f",
    ),
    (
        // The public key of RFC 8032's first test.
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "6ac2aedf8dcee92771d090bda2040986f42a2d861e77585df1f7e40b66eafc99a995436fc0d99e58",
    ),
    (
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "cc74e671c218ac61b5d4e5f28c76ee88d708c82d40b55499b2adeb088b86cbd99fd4da7e0d4063bf",
    ),
];

#[test]
fn ids_and_short_ids_are_those_of_the_original() {
    for (key, id) in CASES {
        let identity: IdentityId = key.parse().expect("an identity id");
        assert_eq!(hex::encode(pikey_id(&identity)), id);
        assert_eq!(short_id(&identity), format!("π:{}", &id[..16]));
    }
}
