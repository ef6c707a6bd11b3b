//! The keys folder of a deployment: made once, read on every start, apart from the data.
//!
//! Losing the data is repaired by the devices; losing the root ends the ledger. So nothing here
//! is ever overwritten, and nothing that cannot be made again is made in place of something that
//! is missing.
//!
//! | file | what | without it |
//! | --- | --- | --- |
//! | `root.key` | the service root, which certifies service keys; may be kept elsewhere | no new service key |
//! | `next-root.key` | the root that comes after it, to which the genesis commits; likewise | no succession |
//! | `genesis` | what fixes the deployment, and so its `ledger_id` | no deployment |
//! | `service.key` | signs greetings, receipts and acks | the service does not start |
//! | `service.cert` | the root's word for that key | made again by the root |
//! | `sealing.key` | seals challenges, which live for a minute | made again |
//!
//! Keys are 64 hex digits. The certificate is its body and its signature, a line of hex each.

mod file;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge_ledger_core::identity::genesis::{GenesisSpec, next_key_hash};
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{
    CreditPolicy, FormatError, Genesis, Periods, ServiceCertificate, ServiceRole,
};
use edge_ledger_core::keys::{SecretKey, Signature};
use edge_ledger_core::limits::{AMOUNT_MAX, JOURNAL_TOTAL_MAX};
use zeroize::Zeroize as _;

use file::{Files, decode_hex, encode_hex};

const ROOT: &str = "root.key";
const NEXT_ROOT: &str = "next-root.key";
const GENESIS: &str = "genesis";
const SERVICE: &str = "service.key";
const CERTIFICATE: &str = "service.cert";
const SEALING: &str = "sealing.key";

/// A file of the folder, and who needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFile {
    /// Its name.
    pub name: &'static str,
    /// Who needs it.
    pub needed_by: NeededBy,
}

/// Who needs a file of the keys folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeededBy {
    /// Nobody while services run: it makes new service keys, and is kept apart.
    Nobody,
    /// Every replica of both services.
    BothServices,
    /// Every replica of the identity service.
    IdentityService,
}

/// All files, in the order in which they are made.
const FILES: [KeyFile; 6] = [
    key_file(ROOT, NeededBy::Nobody),
    key_file(NEXT_ROOT, NeededBy::Nobody),
    key_file(GENESIS, NeededBy::BothServices),
    key_file(SERVICE, NeededBy::BothServices),
    key_file(CERTIFICATE, NeededBy::BothServices),
    key_file(SEALING, NeededBy::IdentityService),
];

const fn key_file(name: &'static str, needed_by: NeededBy) -> KeyFile {
    KeyFile { name, needed_by }
}

/// Bits of a key's mode that open it to others, or to a group for writing.
const OPEN_KEY: u32 = 0o027;
/// Bits of the folder's mode that let others change it ...
const OPEN_FOLDER: u32 = 0o002;
/// ... unless each can only change what is theirs.
const STICKY: u32 = 0o1000;

/// Number of a deployment's first service key.
const FIRST_SERIAL: u64 = 1;

/// What a new deployment is to be. Fixed for ever once its keys are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// Name of one whole unit, 1 to 16 bytes.
    pub unit: String,
    /// Decimal places of a unit.
    pub decimals: u32,
    /// Who may create credits.
    pub policy: CreditPolicy,
    /// How long new devices are in probation, and recoveries can be vetoed.
    pub periods: Periods,
}

/// Whole credits that devices report themselves, capped by nothing but the format: 2^53 − 1 in
/// one posting and 2^63 − 1 along one journal. Whoever hands credits out to others wants
/// [`CreditPolicy::Issued`] or smaller caps.
impl Default for Choices {
    fn default() -> Self {
        Self {
            unit: "credit".to_owned(),
            decimals: 0,
            policy: CreditPolicy::SelfReported {
                posting_cap: AMOUNT_MAX,
                journal_cap: u64::try_from(JOURNAL_TOTAL_MAX).unwrap_or(u64::MAX),
            },
            periods: Periods::default(),
        }
    }
}

/// The key that seals challenges. It has no `Debug`, and is wiped when dropped.
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct SealingKey([u8; 32]);

impl SealingKey {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for SealingKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What a service needs of the keys folder. It has no `Debug`.
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct Keys {
    /// The deployment.
    pub genesis: Genesis,
    /// The key that signs greetings, receipts and acks.
    pub signer: Arc<ServiceSigner>,
    /// The key that seals challenges.
    pub sealing: SealingKey,
}

/// Why a keys folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There is no such folder.
    #[error("there is no folder {}", .0.display())]
    NoFolder(PathBuf),
    /// Something that cannot be made again is not there.
    #[error("{} is missing", .0.display())]
    Missing(PathBuf),
    /// A file that cannot be read as what it should be.
    #[error("{} is damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file of another deployment than the genesis.
    #[error("{} belongs to another deployment than the genesis beside it", .0.display())]
    Foreign(PathBuf),
    /// A key and a certificate that were not made for each other.
    #[error("{} is not the certificate of {}", .certificate.display(), .key.display())]
    Unpaired {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// A certificate of another role.
    #[error("{} is of a key that may not sign for a service", .0.display())]
    Role(PathBuf),
    /// Others than its owner and its group can read a key, or others than its owner change it.
    #[error("{} is open to others, with mode {mode:04o}", .path.display())]
    Exposed {
        /// The key, or the folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The choices for a new deployment are out of their limits.
    #[error("a deployment cannot be made like this")]
    Choices(#[source] FormatError),
    /// The system refused.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl KeysError {
    /// What a person can do about it.
    pub const fn what_to_do(&self) -> &'static str {
        match self {
            Self::NoFolder(_) => "give a folder that `edge-ledger keys init --dir DIR` made",
            Self::Missing(_) | Self::Damaged { .. } | Self::Foreign(_) | Self::Unpaired { .. } => {
                "put the backup of the keys folder back; nothing was changed in it"
            }
            Self::Role(_) => "give the folder of a service, not that of an issuer",
            Self::Exposed { .. } => "take it from them: `chmod g-w,o= FILE`",
            Self::Choices(_) => "choose a unit of 1 to 16 bytes and at most 18 decimals",
            Self::Io { .. } => "give a folder that this user can read and write",
        }
    }

    /// For programs; never renamed.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoFolder(_) | Self::Missing(_) => "KEYS_MISSING",
            Self::Damaged { .. } => "KEYS_DAMAGED",
            Self::Foreign(_) | Self::Unpaired { .. } | Self::Role(_) => "KEYS_FOREIGN",
            Self::Exposed { .. } => "KEYS_EXPOSED",
            Self::Choices(_) => "KEYS_CHOICES",
            Self::Io { .. } => "KEYS_IO",
        }
    }
}

/// A folder of keys.
#[derive(Debug, Clone)]
pub struct KeysFolder {
    files: Files,
}

impl KeysFolder {
    /// A folder whose keys were made: nothing is made in it.
    pub fn at(folder: &Path) -> Self {
        Self {
            files: Files::new(folder),
        }
    }

    /// Whether there is such a folder.
    ///
    /// # Errors
    /// [`KeysError::NoFolder`], or [`KeysError::Io`] when it cannot be told.
    pub fn is_there(&self) -> Result<(), KeysError> {
        self.files.mode_of_folder().map(drop)
    }

    /// Files that are open to others than the owner of the keys and, for reading, a group that the
    /// service may have them by. Who may write into the folder could put other keys in their place.
    pub fn exposed(&self) -> Vec<KeysError> {
        let keys = [ROOT, NEXT_ROOT, SERVICE, SEALING];
        let keys = keys.map(|name| (self.files.path(name), self.files.mode(name), OPEN_KEY));
        let folder = self.files.mode_of_folder();
        let folder = folder.ok().filter(|mode| mode & STICKY == 0);
        let folder = (self.files.folder(), folder, OPEN_FOLDER);
        let all = keys.into_iter().chain([folder]);
        all.filter_map(|(path, mode, open)| {
            let mode = mode.filter(|mode| mode & open != 0)?;
            Some(KeysError::Exposed { path, mode })
        })
        .collect()
    }

    /// The deployment, and the key that signs greetings, receipts and acks. The roots need not
    /// be there.
    ///
    /// # Errors
    /// [`KeysError`] for every file that is in the way.
    pub fn service_key(&self) -> Result<(Genesis, Arc<ServiceSigner>), Vec<KeysError>> {
        let mut errors = Vec::new();
        let genesis = keep(self.needed(GENESIS, self.genesis()), &mut errors);
        let secret = keep(self.needed(SERVICE, self.seed(SERVICE)), &mut errors);
        let text = keep(
            self.needed(CERTIFICATE, self.files.read(CERTIFICATE)),
            &mut errors,
        );
        let certificate = genesis.as_ref().zip(text);
        let certificate = certificate
            .and_then(|(genesis, text)| keep(self.certificate(genesis, &text), &mut errors));
        let (Some(genesis), Some(secret), Some(certificate)) = (genesis, secret, certificate)
        else {
            return Err(errors);
        };
        if certificate.role() != ServiceRole::Service {
            return Err(vec![KeysError::Role(self.files.path(CERTIFICATE))]);
        }
        let signer = ServiceSigner::new(SecretKey::from_seed(secret), certificate);
        let signer = signer.map_err(|_| {
            vec![KeysError::Unpaired {
                certificate: self.files.path(CERTIFICATE),
                key: self.files.path(SERVICE),
            }]
        })?;
        Ok((genesis, Arc::new(signer)))
    }

    /// The key that seals challenges.
    ///
    /// # Errors
    /// [`KeysError`] saying why it cannot be read.
    pub fn sealing_key(&self) -> Result<SealingKey, KeysError> {
        self.needed(SEALING, self.seed(SEALING)).map(SealingKey)
    }

    /// Which files of a keys folder are there, in the order in which they are made.
    ///
    /// # Errors
    /// [`KeysError::Io`].
    pub fn files(&self) -> Result<Vec<(KeyFile, bool)>, KeysError> {
        let all = FILES.iter();
        all.map(|file| Ok((*file, self.files.read(file.name)?.is_some())))
            .collect()
    }

    /// Reads the keys in a folder. Makes what is missing of a new one, also when making it was
    /// interrupted: the folder with mode 0700, its files with mode 0400, each whole or not at
    /// all, and `choices` of the deployment.
    ///
    /// # Errors
    /// [`KeysError`] saying why not.
    pub fn open_or_init(folder: &Path, choices: &Choices) -> Result<Keys, KeysError> {
        let this = Self::at(folder);
        if let Some(keys) = this.read()? {
            return Ok(keys);
        }
        // Of two processes that start on a new folder one makes the keys and the other reads them.
        let _lock = this.files.lock()?;
        let genesis = match this.genesis()? {
            Some(genesis) => genesis,
            None => this.make_genesis(choices)?,
        };
        if this.files.read(CERTIFICATE)?.is_none() {
            this.certify(&genesis)?;
        }
        this.seed_or_new(SEALING)?;
        let missing = || KeysError::Missing(this.files.path(SERVICE));
        this.read()?.ok_or_else(missing)
    }

    /// Whether a folder holds a deployment.
    ///
    /// # Errors
    /// [`KeysError::Io`].
    pub fn is_made(folder: &Path) -> Result<bool, KeysError> {
        Ok(Files::new(folder).read(GENESIS)?.is_some())
    }

    /// The keys, if all are there.
    fn read(&self) -> Result<Option<Keys>, KeysError> {
        for name in [GENESIS, CERTIFICATE, SEALING] {
            if self.files.read(name)?.is_none() {
                return Ok(None);
            }
        }
        let (genesis, signer) = self.service_key().map_err(first)?;
        Ok(Some(Keys {
            genesis,
            signer,
            sealing: self.sealing_key()?,
        }))
    }

    /// The genesis, which must be that of the root beside it.
    fn genesis(&self) -> Result<Option<Genesis>, KeysError> {
        let Some(text) = self.files.read(GENESIS)? else {
            return Ok(None);
        };
        let bytes = decode_hex(&text).ok_or_else(|| self.damaged(GENESIS, &"it is not hex"))?;
        let genesis = Genesis::decode(bytes.to_vec().into())
            .map_err(|error| self.damaged(GENESIS, &error))?;
        let root = self.seed(ROOT)?.map(SecretKey::from_seed);
        let same = root.is_none_or(|root| root.public_key() == *genesis.service_root());
        if same {
            Ok(Some(genesis))
        } else {
            Err(KeysError::Foreign(self.files.path(ROOT)))
        }
    }

    fn make_genesis(&self, choices: &Choices) -> Result<Genesis, KeysError> {
        // These come after the genesis: it was there, and a new one would be another ledger.
        for later in [SERVICE, CERTIFICATE] {
            if self.files.read(later)?.is_some() {
                return Err(KeysError::Missing(self.files.path(GENESIS)));
            }
        }
        let root = SecretKey::from_seed(self.seed_or_new(ROOT)?);
        let next_root = SecretKey::from_seed(self.seed_or_new(NEXT_ROOT)?);
        let genesis = Genesis::create(GenesisSpec {
            service_root: root.public_key(),
            next_service_root_hash: next_key_hash(&next_root.public_key()),
            unit: choices.unit.clone(),
            decimals: choices.decimals,
            policy: choices.policy,
            random: rand::random(),
            periods: choices.periods,
        })
        .map_err(KeysError::Choices)?;
        self.files.write(GENESIS, &encode_hex(genesis.bytes()))?;
        Ok(genesis)
    }

    /// Lets the root certify the service key.
    fn certify(&self, genesis: &Genesis) -> Result<(), KeysError> {
        let root = self.seed(ROOT)?.map(SecretKey::from_seed);
        let root = root.ok_or_else(|| KeysError::Missing(self.files.path(ROOT)))?;
        let key = SecretKey::from_seed(self.seed_or_new(SERVICE)?).public_key();
        let (ledger_id, role) = (genesis.ledger_id(), ServiceRole::Service);
        let certificate = ServiceCertificate::issue(&root, ledger_id, &key, role, FIRST_SERIAL);
        let body = encode_hex(certificate.body());
        let signature = encode_hex(certificate.signature().as_bytes());
        let text = format!("{}\n{}", *body, *signature);
        self.files.write(CERTIFICATE, &text)
    }

    fn certificate(&self, genesis: &Genesis, text: &str) -> Result<ServiceCertificate, KeysError> {
        let parts = text.split_once('\n');
        let parts = parts.and_then(|(body, signature)| {
            let signature = Signature::try_from(&decode_hex(signature)?[..]).ok()?;
            Some((decode_hex(body)?.to_vec(), signature))
        });
        let (body, signature) =
            parts.ok_or_else(|| self.damaged(CERTIFICATE, &"it is not two lines of hex"))?;
        match ServiceCertificate::verify(genesis, body.into(), signature) {
            Ok(certificate) => Ok(certificate),
            Err(FormatError::Key(..)) => Err(KeysError::Foreign(self.files.path(CERTIFICATE))),
            Err(error) => Err(self.damaged(CERTIFICATE, &error)),
        }
    }

    fn seed_or_new(&self, name: &'static str) -> Result<[u8; 32], KeysError> {
        if let Some(seed) = self.seed(name)? {
            return Ok(seed);
        }
        let seed: [u8; 32] = rand::random();
        self.files.write(name, &encode_hex(&seed))?;
        Ok(seed)
    }

    fn seed(&self, name: &'static str) -> Result<Option<[u8; 32]>, KeysError> {
        let Some(text) = self.files.read(name)? else {
            return Ok(None);
        };
        let seed = decode_hex(&text).and_then(|bytes| <[u8; 32]>::try_from(&bytes[..]).ok());
        match seed {
            Some(seed) => Ok(Some(seed)),
            None => Err(self.damaged(name, &"it is not 64 hex digits")),
        }
    }

    /// A file that must be there.
    fn needed<T>(&self, name: &str, read: Result<Option<T>, KeysError>) -> Result<T, KeysError> {
        read?.ok_or_else(|| KeysError::Missing(self.files.path(name)))
    }

    fn damaged(&self, name: &str, why: &dyn std::fmt::Display) -> KeysError {
        KeysError::Damaged {
            path: self.files.path(name),
            why: why.to_string(),
        }
    }
}

/// Puts what is wrong to the rest.
fn keep<T>(read: Result<T, KeysError>, errors: &mut Vec<KeysError>) -> Option<T> {
    read.map_err(|error| errors.push(error)).ok()
}

/// For who mends one thing after the other.
fn first(errors: Vec<KeysError>) -> KeysError {
    let mut errors = errors.into_iter();
    errors.next().unwrap_or(KeysError::Missing(PathBuf::new()))
}

#[cfg(test)]
mod tests;
