//! A device that a root key brings in: its key has a name of its own until the device is in its place,
//! so that no key is taken for it that came into the folder some other way.

use edge_ledger_core::keys::SecretKey;

use super::{DEVICE_KEY, Vault, read_key, remove};
use crate::error::HomeError;

const ENTERING_KEY: &str = "entering-device.key";

impl Vault {
    /// Whether the folder has no key of a device but one that entering has made: a root key brings in
    /// new devices only, and a key that came here some other way may be another device's.
    ///
    /// # Errors
    /// [`HomeError::Occupied`].
    pub(crate) fn has_room_for_device(&self) -> Result<(), HomeError> {
        let public = |key: Option<SecretKey>| key.map(|key| key.public_key());
        let found = public(read_key(&self.folder, DEVICE_KEY)?);
        if found.is_some() && found != public(read_key(&self.folder, ENTERING_KEY)?) {
            return Err(HomeError::Occupied(self.folder.display().to_string()));
        }
        Ok(())
    }

    /// The key of a device that a root key is to bring in: that of a run that was interrupted, or a
    /// fresh one that is written first.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn entering_key(&self, fresh_seed: [u8; 32]) -> Result<SecretKey, HomeError> {
        self.has_room_for_device()?;
        self.key_or(ENTERING_KEY, fresh_seed)
    }

    /// Forgets that the device came in by the root key: it is in its place.
    ///
    /// # Errors
    /// [`HomeError`].
    pub(crate) fn forget_entering(&self) -> Result<(), HomeError> {
        if !self.folder.join(ENTERING_KEY).exists() {
            return Ok(());
        }
        remove(&self.folder, &[ENTERING_KEY])
    }
}
