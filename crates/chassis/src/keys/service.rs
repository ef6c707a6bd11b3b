//! Service keys: the first, and those that followed it. Each has files of its own, so that going
//! over to another never replaces a file; a certificate is written after its key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{FormatError, Genesis, ServiceCertificate, ServiceRole};
use edge_ledger_core::keys::{SecretKey, Signature};

use super::file::{decode_hex, encode_hex, read_text};
use super::{
    CERTIFICATE, FIRST_SERIAL, GENESIS, KeysError, KeysFolder, NO_SEED, ROOT, SERVICE, keep, seed,
};

/// What came of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// Serial of the new key.
    pub serial: u64,
    /// Its files, in the order in which replicas get them: the key, then the certificate that a
    /// service key has.
    pub files: Vec<String>,
    /// Serial of the key before it, which stays in the folder.
    pub kept: u64,
    /// Serials of older keys, whose files were removed.
    pub retired: Vec<u64>,
}

impl KeysFolder {
    /// The deployment, and the latest key that signs greetings, receipts and acks. The roots need
    /// not be there.
    ///
    /// # Errors
    /// [`KeysError`] for every file that is in the way.
    pub fn service_key(&self) -> Result<(Genesis, Arc<ServiceSigner>), Vec<KeysError>> {
        let mut errors = Vec::new();
        let genesis = keep(self.needed(GENESIS, self.genesis()), &mut errors);
        let serial = keep(self.newest(), &mut errors).unwrap_or(FIRST_SERIAL);
        let (key, named) = (key_name(serial), certificate_name(serial));
        let secret = keep(self.needed(&key, self.seed(&key)), &mut errors);
        let text = keep(self.needed(&named, self.files.read(&named)), &mut errors);
        let certificate = genesis.as_ref().zip(text).and_then(|(genesis, text)| {
            keep(self.certificate(genesis, serial, &text), &mut errors)
        });
        let (Some(genesis), Some(secret), Some(certificate)) = (genesis, secret, certificate)
        else {
            return Err(errors);
        };
        let signer = ServiceSigner::new(SecretKey::from_seed(secret), certificate);
        let signer = signer.map_err(|_| {
            vec![KeysError::Unpaired {
                certificate: self.files.path(&named),
                key: self.files.path(&key),
            }]
        })?;
        Ok((genesis, Arc::new(signer)))
    }

    /// Makes the service key that follows the latest one, certified by the root in the folder, or
    /// in another file. The one before stays, for replicas that do not have the new one yet; older
    /// ones, which nobody signs with any more, are removed. Interrupted, it can be done again.
    ///
    /// # Errors
    /// [`KeysError`]; then the latest key is the same as before.
    pub fn rotate(&self, root: Option<&Path>) -> Result<Rotated, KeysError> {
        self.is_there()?;
        let _lock = self.files.lock()?;
        let genesis = self.needed(GENESIS, self.genesis())?;
        let root = self.root(&genesis, root)?;
        let certified = self.certified()?;
        let kept = certified.last().copied();
        let kept = kept.ok_or_else(|| KeysError::Missing(self.files.path(CERTIFICATE)))?;
        let serial = kept
            .checked_add(1)
            .ok_or_else(|| self.damaged(&certificate_name(kept), &"no serial follows it"))?;
        self.certify(&genesis, &root, serial)?;
        let retired: Vec<u64> = certified.into_iter().filter(|old| *old < kept).collect();
        for old in &retired {
            // A certificate without its key is a fault, a key without its certificate is none.
            self.files.remove(&certificate_name(*old))?;
            self.files.remove(&key_name(*old))?;
        }
        Ok(Rotated {
            serial,
            files: vec![key_name(serial), certificate_name(serial)],
            kept,
            retired,
        })
    }

    /// Lets the root certify the service key of a serial.
    pub(super) fn certify(
        &self,
        genesis: &Genesis,
        root: &SecretKey,
        serial: u64,
    ) -> Result<(), KeysError> {
        let key = SecretKey::from_seed(self.seed_or_new(&key_name(serial))?).public_key();
        let (ledger_id, role) = (genesis.ledger_id(), ServiceRole::Service);
        let certificate = ServiceCertificate::issue(root, ledger_id, &key, role, serial);
        let body = encode_hex(certificate.body());
        let signature = encode_hex(certificate.signature().as_bytes());
        let text = format!("{}\n{}", *body, *signature);
        self.files.write(&certificate_name(serial), &text)
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.files.folder()
    }

    /// Serials of the keys that have a certificate, in order.
    ///
    /// # Errors
    /// [`KeysError::Io`].
    pub fn certified(&self) -> Result<Vec<u64>, KeysError> {
        self.serials(CERTIFICATE)
    }

    /// Serial of the latest key that is there with its certificate.
    pub(super) fn newest(&self) -> Result<u64, KeysError> {
        let certified = self.certified()?.into_iter().rev();
        let mut whole = certified.filter(|serial| self.files.mode(&key_name(*serial)).is_some());
        Ok(whole.next().unwrap_or(FIRST_SERIAL))
    }

    /// A certificate that is later than all keys: somebody forgot the key, or will bring it in a
    /// moment.
    pub(super) fn keyless(&self) -> Result<Option<KeysError>, KeysError> {
        let latest = self.certified()?.last().copied();
        let keyless = latest.filter(|latest| self.files.mode(&key_name(*latest)).is_none());
        Ok(keyless.map(|serial| KeysError::Missing(self.files.path(&key_name(serial)))))
    }

    /// Names of the service keys that are there. Who cannot list the folder hears so elsewhere.
    pub(super) fn service_key_files(&self) -> Vec<String> {
        let serials = self.serials(SERVICE).unwrap_or_default();
        serials.into_iter().map(key_name).collect()
    }

    /// Names of service keys and their certificates, the first one's if there are none.
    pub(super) fn service_files(&self) -> Result<Vec<String>, KeysError> {
        let mut serials = self.serials(SERVICE)?;
        serials.extend(self.certified()?);
        if serials.is_empty() {
            serials.push(FIRST_SERIAL);
        }
        serials.sort_unstable();
        serials.dedup();
        let names = serials.into_iter();
        Ok(names
            .flat_map(|serial| [key_name(serial), certificate_name(serial)])
            .collect())
    }

    /// Serials that have a file like that of the first, in order.
    pub(super) fn serials(&self, first: &str) -> Result<Vec<u64>, KeysError> {
        let (stem, end) = first.split_once('.').unwrap_or((first, ""));
        let names = self.files.names()?.into_iter();
        let mut serials: Vec<u64> = names
            .filter_map(|name| {
                let (rest, of) = name.split_once('.')?;
                let serial = match rest.strip_prefix(stem)? {
                    "" => FIRST_SERIAL,
                    rest => rest.strip_prefix('-')?.parse().ok()?,
                };
                (of == end && numbered(first, serial) == name).then_some(serial)
            })
            .collect();
        serials.sort_unstable();
        Ok(serials)
    }

    /// The root's key, which must be that of the genesis.
    fn root(&self, genesis: &Genesis, given: Option<&Path>) -> Result<SecretKey, KeysError> {
        let path = given.map_or_else(|| self.files.path(ROOT), PathBuf::from);
        let text = read_text(&path)?.ok_or_else(|| KeysError::NoRoot(path.clone()))?;
        let root = seed(&text).map(SecretKey::from_seed);
        let root = root.ok_or_else(|| KeysError::Damaged {
            path: path.clone(),
            why: NO_SEED.to_owned(),
        })?;
        if root.public_key() == *genesis.service_root() {
            Ok(root)
        } else {
            Err(KeysError::Foreign(path))
        }
    }

    fn certificate(
        &self,
        genesis: &Genesis,
        serial: u64,
        text: &str,
    ) -> Result<ServiceCertificate, KeysError> {
        let name = certificate_name(serial);
        let parts = text.split_once('\n');
        let parts = parts.and_then(|(body, signature)| {
            let signature = Signature::try_from(&decode_hex(signature)?[..]).ok()?;
            Some((decode_hex(body)?.to_vec(), signature))
        });
        let (body, signature) =
            parts.ok_or_else(|| self.damaged(&name, &"it is not two lines of hex"))?;
        let certificate = match ServiceCertificate::verify(genesis, body.into(), signature) {
            Ok(certificate) => certificate,
            Err(FormatError::Key(..)) => return Err(KeysError::Foreign(self.files.path(&name))),
            Err(error) => return Err(self.damaged(&name, &error)),
        };
        if certificate.role() != ServiceRole::Service {
            return Err(KeysError::Role(self.files.path(&name)));
        }
        if certificate.serial() != serial {
            let why = format!("it is that of serial {}", certificate.serial());
            return Err(self.damaged(&name, &why));
        }
        Ok(certificate)
    }
}

fn key_name(serial: u64) -> String {
    numbered(SERVICE, serial)
}

fn certificate_name(serial: u64) -> String {
    numbered(CERTIFICATE, serial)
}

/// The name of a file like that of the first.
pub(super) fn numbered(first: &str, serial: u64) -> String {
    match (serial, first.split_once('.')) {
        (FIRST_SERIAL, _) | (_, None) => first.to_owned(),
        (serial, Some((stem, end))) => format!("{stem}-{serial}.{end}"),
    }
}
