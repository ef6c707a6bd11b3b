//! The Secrets of the namespace, as deploy/README.md tells an operator to make them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use edge_ledger_tests::process::edge_ledger;
use rcgen::{CertificateParams, KeyPair};
use sha2::{Digest as _, Sha256};

use crate::cluster::Secrets;
use crate::rendered::root;

/// Password of the user of Redis.
pub(crate) const PASSWORD: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Which file is in which Secret. The roots are in none.
const KEYS: [(&str, &[&str]); 2] = [
    (
        "edge-ledger-keys",
        &["genesis", "service.key", "service.cert"],
    ),
    ("edge-ledger-sealing", &["sealing.key"]),
];

/// All of them, for a Redis at a port of this machine.
pub(crate) fn made(redis_port: u16) -> anyhow::Result<Secrets> {
    let folder = tempfile::tempdir()?;
    let keys = folder.path().join("keys");
    let init = Command::new(edge_ledger()?)
        .env_clear()
        .args(["keys", "init", "--json", "--dir"])
        .arg(&keys)
        .output()?;
    anyhow::ensure!(init.status.success(), "{init:?}");
    let mut secrets = Secrets::new();
    for (secret, files) in KEYS {
        secrets.insert(secret.to_owned(), read(&keys, files)?);
    }
    let url = format!("redis://edge-ledger:{PASSWORD}@127.0.0.1:{redis_port}\n");
    let of_one = |name: &str, bytes: Vec<u8>| BTreeMap::from([(name.to_owned(), bytes)]);
    secrets.insert("redis-url".to_owned(), of_one("url", url.into()));
    secrets.insert("redis-acl".to_owned(), of_one("users.acl", users()?.into()));
    for name in ["edge-ledger", "identity-service", "ledger-service"] {
        secrets.insert(format!("{name}-tls"), certificate()?);
    }
    Ok(secrets)
}

/// The file of users with the hash of the password in it, as `sed` puts it there.
pub(crate) fn users() -> anyhow::Result<String> {
    let path = root().join("deploy/kubernetes/components/redis/users.acl");
    let hash: String = Sha256::digest(PASSWORD.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(fs::read_to_string(path)?.replace("PASSWORD_SHA256", &hash))
}

fn read(folder: &Path, files: &[&str]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let files = files.iter();
    files
        .map(|file| Ok(((*file).to_owned(), fs::read(folder.join(file))?)))
        .collect()
}

/// As cert-manager makes them.
fn certificate() -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    let files = [
        ("tls.crt", certificate.pem()),
        ("tls.key", key.serialize_pem()),
    ];
    let files = files.into_iter();
    Ok(files
        .map(|(name, pem)| (name.to_owned(), pem.into_bytes()))
        .collect())
}
