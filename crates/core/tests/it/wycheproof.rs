//! The 151 Ed25519 cases of Wycheproof, through the one verification policy.

use edge_ledger_core::keys::{KeyError, PublicKey, Signature};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../tests/vectors/wycheproof_ed25519.json");

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a string")).expect("hex")
}

fn check(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
    let key = PublicKey::from_bytes(key)?;
    key.verify_message(message, &Signature::try_from(signature)?)
}

#[test]
fn all_151_cases_agree() {
    let vectors: Value = serde_json::from_str(VECTORS).expect("json");
    let mut seen = 0;
    for group in vectors["testGroups"].as_array().expect("groups") {
        let key = bytes(&group["publicKey"]["pk"]);
        for test in group["tests"].as_array().expect("tests") {
            let result = check(&key, &bytes(&test["msg"]), &bytes(&test["sig"]));
            let valid = match test["result"].as_str() {
                Some("valid") => true,
                Some("invalid") => false,
                other => panic!("no rule for the result {other:?}"),
            };
            assert_eq!(result.is_ok(), valid, "{test}");
            seen += 1;
        }
    }
    assert_eq!(seen, 151);
}
