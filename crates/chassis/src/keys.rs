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
//! | `service-2.key`, `service-2.cert`, … | those that followed it, by serial: the last one signs | the one before signs |
//! | `sealing.key` | seals challenges, which live for a minute, and invites | made again |
//! | `sealing-2.key`, … | those that followed it: the latest one seals, each opens | the others go on |
//!
//! Keys are 64 hex digits. The certificate is its body and its signature, a line of hex each.

mod error;
mod file;
mod operator;
mod sealing;
mod service;
mod signing;

use std::path::{Path, PathBuf};

use edge_ledger_core::identity::genesis::{GenesisSpec, next_key_hash};
use edge_ledger_core::identity::{CreditPolicy, Genesis, Periods};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::limits::{AMOUNT_MAX, JOURNAL_TOTAL_MAX};

use file::{Files, decode_hex, encode_hex};
use service::numbered;

pub use error::KeysError;
pub use operator::OperatorToken;
pub use sealing::{Sealing, SealingKey, SealingKeys};
pub use service::Rotated;
pub use signing::Signing;

const ROOT: &str = "root.key";
const NEXT_ROOT: &str = "next-root.key";
const GENESIS: &str = "genesis";
const SERVICE: &str = "service.key";
const CERTIFICATE: &str = "service.cert";
const SEALING: &str = "sealing.key";

/// A file of the folder, and who needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Its name.
    pub name: String,
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

/// What a service needs of the keys folder. It has no `Debug`.
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct Keys {
    /// The deployment.
    pub genesis: Genesis,
    /// The keys that sign greetings, receipts and acks.
    pub signer: Signing,
    /// The keys that seal challenges and invites.
    pub sealing: Sealing,
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
        let mut keys = [ROOT, NEXT_ROOT].map(str::to_owned).to_vec();
        keys.extend(self.sealing_key_files());
        keys.extend(self.service_key_files());
        let mut exposed = self.open_to_others(keys);
        let folder = self.files.mode_of_folder().ok();
        let open = folder.filter(|mode| mode & STICKY == 0 && mode & OPEN_FOLDER != 0);
        exposed.extend(open.map(|mode| KeysError::Exposed {
            path: self.files.folder(),
            mode,
        }));
        exposed
    }

    /// Those of some keys that are open to others.
    fn open_to_others(&self, keys: Vec<String>) -> Vec<KeysError> {
        let modes = keys.into_iter();
        let modes = modes.map(|name| (self.files.path(&name), self.files.mode(&name)));
        let open = modes.filter_map(|(path, mode)| {
            let mode = mode.filter(|mode| mode & OPEN_KEY != 0)?;
            Some(KeysError::Exposed { path, mode })
        });
        open.collect()
    }

    /// Which files of a keys folder are there, in the order in which they are made.
    ///
    /// # Errors
    /// [`KeysError::Io`].
    pub fn files(&self) -> Result<Vec<(KeyFile, bool)>, KeysError> {
        use NeededBy::{BothServices, IdentityService, Nobody};
        let mut all = vec![(ROOT.to_owned(), Nobody), (NEXT_ROOT.to_owned(), Nobody)];
        all.push((GENESIS.to_owned(), BothServices));
        all.extend(
            self.service_files()?
                .into_iter()
                .map(|name| (name, BothServices)),
        );
        let mut sealing = self.sealing_serials()?;
        if sealing.is_empty() {
            sealing.push(FIRST_SERIAL);
        }
        let sealing = sealing.into_iter();
        all.extend(sealing.map(|serial| (numbered(SEALING, serial), IdentityService)));
        let all = all.into_iter();
        all.map(|(name, needed_by)| {
            let is_there = self.files.read(&name)?.is_some();
            Ok((KeyFile { name, needed_by }, is_there))
        })
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
        if this.certified()?.is_empty() {
            let root = this.seed(ROOT)?.map(SecretKey::from_seed);
            let root = root.ok_or_else(|| KeysError::Missing(this.files.path(ROOT)))?;
            this.certify(&genesis, &root, FIRST_SERIAL)?;
        }
        if this.sealing_serials()?.is_empty() {
            this.seed_or_new(SEALING)?;
        }
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
        let is_made = self.files.read(GENESIS)?.is_some();
        if !is_made || self.sealing_serials()?.is_empty() || self.certified()?.is_empty() {
            return Ok(None);
        }
        let (genesis, signer) = Signing::load(self.clone()).map_err(first)?;
        Ok(Some(Keys {
            genesis,
            signer,
            sealing: Sealing::load(self.clone()).map_err(first)?,
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
        for later in self.service_files()? {
            if self.files.read(&later)?.is_some() {
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

    fn seed_or_new(&self, name: &str) -> Result<[u8; 32], KeysError> {
        if let Some(seed) = self.seed(name)? {
            return Ok(seed);
        }
        let seed: [u8; 32] = rand::random();
        self.files.write(name, &encode_hex(&seed))?;
        Ok(seed)
    }

    fn seed(&self, name: &str) -> Result<Option<[u8; 32]>, KeysError> {
        let Some(text) = self.files.read(name)? else {
            return Ok(None);
        };
        let seed = seed(&text);
        seed.map(Some).ok_or_else(|| self.damaged(name, &NO_SEED))
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

/// What is wrong with a file that should hold a key.
const NO_SEED: &str = "it is not 64 hex digits";

fn seed(text: &str) -> Option<[u8; 32]> {
    decode_hex(text).and_then(|bytes| <[u8; 32]>::try_from(&bytes[..]).ok())
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
