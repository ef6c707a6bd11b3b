//! The home folder: keys in files of mode 0600 that are written atomically and never overwritten,
//! what the device belongs to, its store, and a lock against a second process.
//!
//! | file | what |
//! | --- | --- |
//! | `device.key` | the device's secret key, 64 hex digits |
//! | `entering-device.key` | the same, while the root key brings the device in |
//! | `device-2.key`, … | the keys of those that replaced it, in order |
//! | `identity.key` | the identity's root key, on the device that made it, until it is taken off |
//! | `next-identity.key` | the root key that comes after it, to which the log commits |
//! | `later-identity.key` | the one after that, while the root key is being rotated |
//! | `retired-identity.key`, `retired-next-identity.key` | root keys that another device put an end to |
//! | `recovering.json`, `recovering-….key` | an identity that is being recovered, and its new root keys |
//! | `evidence-….bin` | proof that the log's service gave a position twice |
//! | `home.json` | identity, genesis and service addresses |
//! | `service-ca.pem` | the authority of the services' certificates, if the device was told one |
//! | `client.pem` | the device's own certificate for TLS and its key, likewise |
//! | `accepts-plaintext` | empty: the device dials without TLS beyond this machine, if told to |
//! | `ledger.redb` | the device's store |
//! | `lock` | held while a process uses the folder |

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use edge_ledger_core::identity::Genesis;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::keys::SecretKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::addresses::Addresses;
use crate::error::HomeError;
use crate::security::{self, Secured, Security};

mod entering;
mod evidence;
mod recovering;
mod roots;

pub(crate) use evidence::{evidence_file, keep_evidence, settled_evidence};
pub(crate) use recovering::{Recovering, forget as forget_recovering};
pub(crate) use roots::{later_root_key, remove_root_keys, root_keys};

const DEVICE_KEY: &str = "device.key";
const MEMBERSHIP: &str = "home.json";
const AUTHORITY: &str = "service-ca.pem";
const CLIENT: &str = "client.pem";
const PLAINTEXT: &str = "accepts-plaintext";
const STORE: &str = "ledger.redb";
const LOCK: &str = "lock";

/// What a device belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    /// The identity.
    pub(crate) identity: IdentityId,
    /// The deployment.
    pub(crate) genesis: Genesis,
    /// Addresses of the identity service.
    pub(crate) identity_urls: Addresses,
    /// Addresses of the ledger service.
    pub(crate) ledger_urls: Addresses,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MembershipFile {
    identity: String,
    genesis: String,
    identity_urls: Vec<String>,
    ledger_urls: Vec<String>,
}

/// A home folder that this process holds.
pub(crate) struct Vault {
    folder: PathBuf,
    _lock: File,
}

impl Vault {
    /// Creates the folder if need be, with mode 0700, and locks it.
    ///
    /// # Errors
    /// [`HomeError::InUse`] when another process holds it, [`HomeError::Io`].
    pub(crate) fn lock(folder: &Path) -> Result<Self, HomeError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| io_error(folder, e))?;
        let path = folder.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| io_error(&path, e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                folder: folder.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(HomeError::InUse(folder.display().to_string())),
            Err(TryLockError::Error(error)) => Err(io_error(&path, error)),
        }
    }

    /// Locks a folder in which no device lives, whether it is in use or not.
    ///
    /// # Errors
    /// [`HomeError::Occupied`], and as [`lock`](Self::lock).
    pub(crate) fn lock_free(folder: &Path) -> Result<Self, HomeError> {
        must_be_free(folder)?;
        let vault = Self::lock(folder)?;
        // Somebody may have been quicker.
        must_be_free(folder)?;
        Ok(vault)
    }

    /// The device's store.
    pub(crate) fn store_path(&self) -> PathBuf {
        self.folder.join(STORE)
    }

    /// The device's key: the one in the folder, or a fresh one that is written first. A key whose
    /// enrolment was interrupted is used again, so the same statement gets the same answer.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn device_key(&self, fresh_seed: [u8; 32]) -> Result<SecretKey, HomeError> {
        self.key_or(DEVICE_KEY, fresh_seed)
    }

    /// The device's first key, if the folder has one.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn made_device_key(&self) -> Result<Option<SecretKey>, HomeError> {
        read_key(&self.folder, DEVICE_KEY)
    }

    /// Takes keys away that no log has: those of an identity that could not be made.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn forget_first_keys(&self) -> Result<(), HomeError> {
        remove_root_keys(&self.folder)?;
        remove(&self.folder, &[DEVICE_KEY])
    }

    /// Writes what the device belongs to. From here on the folder is occupied.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn occupy(&self, membership: &Membership) -> Result<(), HomeError> {
        let file = MembershipFile {
            identity: membership.identity.to_string(),
            genesis: data_encoding::HEXLOWER.encode(membership.genesis.bytes()),
            identity_urls: membership.identity_urls.to_vec(),
            ledger_urls: membership.ledger_urls.to_vec(),
        };
        let path = self.folder.join(MEMBERSHIP);
        let text = serde_json::to_vec_pretty(&file).map_err(|e| damaged(&path, &e))?;
        write_new(&self.folder, MEMBERSHIP, &text).map_err(|e| io_error(&path, e))
    }

    /// Reads what the device belongs to, and its keys: the first, and those that came after it.
    ///
    /// # Errors
    /// [`HomeError::Empty`] when no device lives here, [`HomeError::Damaged`].
    pub(crate) fn open(&self) -> Result<(Membership, Vec<SecretKey>), HomeError> {
        read(&self.folder)
    }

    /// What is said of a home without a device's key.
    pub(crate) fn without_key(&self) -> HomeError {
        without_key(&self.folder)
    }

    /// Writes the key that comes after all that are there.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn next_device_key(&self, fresh_seed: [u8; 32]) -> Result<SecretKey, HomeError> {
        let (_, keys) = self.open()?;
        self.key_or(&device_key_name(keys.len()), fresh_seed)
    }

    /// How connections are secured: as given, which is kept from then on, or else as it is kept.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn secured(&self, given: &Security) -> Result<Secured, HomeError> {
        let secured = secured_of(&self.folder, given)?;
        let authority = secured.authority.as_deref();
        let client = secured.client.as_ref().map(|pem| pem.as_slice());
        for (name, bytes) in [
            (AUTHORITY, authority.filter(|_| given.ca.is_some())),
            (CLIENT, client.filter(|_| given.client.is_some())),
            (PLAINTEXT, given.accept_plaintext.then_some(&[][..])),
        ] {
            let Some(bytes) = bytes else { continue };
            let written = replace(&self.folder, name, bytes);
            written.map_err(|e| io_error(&self.folder.join(name), e))?;
        }
        Ok(secured)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn key_or(&self, name: &str, fresh_seed: [u8; 32]) -> Result<SecretKey, HomeError> {
        key_or(&self.folder, name, fresh_seed)
    }
}

/// The key in a file, or a fresh one that is written first.
fn key_or(folder: &Path, name: &str, fresh_seed: [u8; 32]) -> Result<SecretKey, HomeError> {
    if let Some(key) = read_key(folder, name)? {
        return Ok(key);
    }
    let key = SecretKey::from_seed(fresh_seed);
    let text = Zeroizing::new(data_encoding::HEXLOWER.encode(&*key.seed()));
    write_new(folder, name, text.as_bytes()).map_err(|e| io_error(&folder.join(name), e))?;
    Ok(key)
}

/// How connections are secured: as given, or else as a folder keeps it.
///
/// # Errors
/// [`HomeError`].
pub(crate) fn secured_of(folder: &Path, given: &Security) -> Result<Secured, HomeError> {
    let kept = |name| Some(folder.join(name)).filter(|path| path.exists());
    let mut secured = Secured::read(given)?;
    if let Some(path) = kept(AUTHORITY).filter(|_| given.ca.is_none()) {
        secured.authority = Some(security::authority(&path)?);
    }
    if let Some(path) = kept(CLIENT).filter(|_| given.client.is_none()) {
        secured.client = Some(security::client_pem(&path, &path)?);
    }
    secured.accepts_plaintext |= kept(PLAINTEXT).is_some();
    Ok(secured)
}

/// Refuses a folder in which a device lives.
///
/// # Errors
/// [`HomeError::Occupied`].
pub(crate) fn must_be_free(folder: &Path) -> Result<(), HomeError> {
    if folder.join(MEMBERSHIP).exists() {
        return Err(HomeError::Occupied(folder.display().to_string()));
    }
    Ok(())
}

/// Reads what the device in a folder belongs to, and its keys: the first, and those that came
/// after it. All are written once, whole.
///
/// # Errors
/// [`HomeError::Empty`] when no device lives there, [`HomeError::Damaged`], [`HomeError::Io`].
pub(crate) fn read(folder: &Path) -> Result<(Membership, Vec<SecretKey>), HomeError> {
    let membership = membership(folder)?;
    let mut keys = Vec::new();
    while let Some(key) = read_key(folder, &device_key_name(keys.len()))? {
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(without_key(folder));
    }
    Ok((membership, keys))
}

fn without_key(folder: &Path) -> HomeError {
    damaged(
        &folder.join(DEVICE_KEY),
        &"the device's key is missing; link this device anew",
    )
}

/// What the device in a folder belongs to. It never changes, so no lock is needed.
///
/// # Errors
/// [`HomeError::Empty`] when no device lives there, [`HomeError::Damaged`].
pub(crate) fn membership(folder: &Path) -> Result<Membership, HomeError> {
    let path = folder.join(MEMBERSHIP);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(HomeError::Empty(folder.display().to_string()));
        }
        Err(error) => return Err(io_error(&path, error)),
    };
    let file: MembershipFile = serde_json::from_slice(&bytes).map_err(|e| damaged(&path, &e))?;
    let genesis = data_encoding::HEXLOWER
        .decode(file.genesis.as_bytes())
        .map_err(|e| damaged(&path, &e))?;
    Ok(Membership {
        identity: file.identity.parse().map_err(|e| damaged(&path, &e))?,
        genesis: Genesis::decode(genesis.into()).map_err(|e| damaged(&path, &e))?,
        identity_urls: Addresses::new(file.identity_urls).map_err(|e| damaged(&path, &e))?,
        ledger_urls: Addresses::new(file.ledger_urls).map_err(|e| damaged(&path, &e))?,
    })
}

/// Writes a file of mode 0600 that must not be there yet, whole or not at all.
///
/// # Errors
/// [`HomeError::Io`].
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    write_new_private(path, bytes).map_err(|e| io_error(path, e))
}

/// As [`write_private`], with the error of the file system as it is.
pub(crate) fn write_new_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().and_then(|name| name.to_str());
    write_new(folder, name.ok_or(io::ErrorKind::InvalidFilename)?, bytes)
}

/// The file of a device's key: those that replaced it are numbered from 2.
fn device_key_name(before: usize) -> String {
    match before {
        0 => DEVICE_KEY.to_owned(),
        before => format!("device-{}.key", before + 1),
    }
}

fn read_key(folder: &Path, name: &str) -> Result<Option<SecretKey>, HomeError> {
    let path = folder.join(name);
    let text = match fs::read_to_string(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(&path, error)),
    };
    let bytes = data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.trim().as_bytes())
        .map(Zeroizing::new);
    let seed = bytes.ok().and_then(|b| <[u8; 32]>::try_from(&b[..]).ok());
    seed.map(|seed| Some(SecretKey::from_seed(seed)))
        .ok_or_else(|| damaged(&path, &"not 64 hex digits"))
}

/// Writes a new file so that it is there whole or not at all, and never in place of another.
fn write_new(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = draft(folder, name, bytes)?;
    // A link, unlike a rename, fails when the name is taken.
    let linked = fs::hard_link(&draft, folder.join(name));
    fs::remove_file(&draft)?;
    linked?;
    File::open(folder)?.sync_all()
}

/// Removes files, those that are there.
fn remove(folder: &Path, names: &[&str]) -> Result<(), HomeError> {
    for name in names {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error(&path, error)),
        }
    }
    sync(folder)
}

/// Gives a file another name, in place of whatever had it.
fn rename(folder: &Path, from: &str, to: &str) -> Result<(), HomeError> {
    let path = folder.join(from);
    fs::rename(&path, folder.join(to)).map_err(|e| io_error(&path, e))?;
    sync(folder)
}

fn sync(folder: &Path) -> Result<(), HomeError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|e| io_error(folder, e))
}

/// Writes a file in place of another, so that one of both is there whole.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::rename(draft(folder, name, bytes)?, folder.join(name))?;
    File::open(folder)?.sync_all()
}

fn draft(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let draft = folder.join(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(draft)
}

fn io_error(path: &Path, why: io::Error) -> HomeError {
    HomeError::Io {
        path: path.display().to_string(),
        why,
    }
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> HomeError {
    HomeError::Damaged {
        path: path.display().to_string(),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn keys_are_private_kept_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::lock(folder.path()).unwrap();
        let first = vault.device_key([1; 32]).unwrap();
        let again = vault.device_key([2; 32]).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        let mode = fs::metadata(folder.path().join(DEVICE_KEY))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(write_new(folder.path(), DEVICE_KEY, b"x").is_err());
        assert_eq!(
            vault.device_key([3; 32]).unwrap().public_key(),
            first.public_key()
        );
    }

    #[test]
    fn a_second_holder_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::lock(folder.path()).unwrap();
        assert!(matches!(
            Vault::lock(folder.path()),
            Err(HomeError::InUse(_))
        ));
        drop(vault);
        assert!(Vault::lock(folder.path()).is_ok());
    }

    #[test]
    fn a_damaged_key_is_an_error_not_a_new_key() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::lock(folder.path()).unwrap();
        fs::write(folder.path().join(DEVICE_KEY), "abc").unwrap();
        assert!(matches!(
            vault.device_key([1; 32]),
            Err(HomeError::Damaged { .. })
        ));
        assert!(matches!(vault.open(), Err(HomeError::Empty(_))));
    }
}
