//! The keys that seal challenges and invites: one of those in the folder seals, and each of them
//! opens what it sealed.
//!
//! A replica opens with a new key as soon as it finds it, and seals with it only a while later, when
//! the other replicas have it too. So nothing that one of them sealed is refused by another, and a
//! key is replaced without a restart.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use zeroize::Zeroize as _;

use super::service::numbered;
use super::{FIRST_SERIAL, KeysError, KeysFolder, Rotated, SEALING};
use crate::limits::{SEAL_LOOKS, SEALING_KEYS_MAX};
use crate::watched;

/// A key that seals and opens. It has no `Debug`, and is wiped when dropped.
#[derive(PartialEq, Eq)]
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct SealingKey {
    serial: u64,
    bytes: [u8; 32],
}

impl SealingKey {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl Drop for SealingKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// The keys that are in use at one time: at least one. It has no `Debug`.
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct SealingKeys {
    seals: Arc<SealingKey>,
    /// The latest first.
    opens: Vec<Arc<SealingKey>>,
}

impl SealingKeys {
    /// The one that seals.
    pub fn sealing(&self) -> &SealingKey {
        &self.seals
    }

    /// Those that open, the latest first.
    pub fn opening(&self) -> impl Iterator<Item = &SealingKey> {
        self.opens.iter().map(AsRef::as_ref)
    }

    fn latest(&self) -> &SealingKey {
        self.opens.first().unwrap_or(&self.seals)
    }

    /// Serials of those that open, the latest first.
    fn serials(&self) -> Vec<u64> {
        self.opening().map(|key| key.serial).collect()
    }
}

/// The sealing keys of a folder, which follow what is put there and taken away. Clones share them. It
/// has no `Debug`.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct Sealing(Arc<Shared>);

struct Shared {
    /// Where others may come from.
    folder: Option<KeysFolder>,
    state: Mutex<State>,
}

struct State {
    keys: Arc<SealingKeys>,
    /// How often the latest key was seen since it was found.
    looks: u32,
    /// What was complained of last.
    complaint: Option<String>,
}

/// One key for good, which must come from a secure random source.
impl From<[u8; 32]> for Sealing {
    fn from(bytes: [u8; 32]) -> Self {
        let key = SealingKey {
            serial: FIRST_SERIAL,
            bytes,
        };
        let key = Arc::new(key);
        Self::new(None, Arc::clone(&key), vec![key])
    }
}

impl Sealing {
    /// The keys of a folder. Where there are several the one before the latest seals at first: the
    /// latest may be so new that other replicas lack it.
    ///
    /// # Errors
    /// [`KeysError`] for every file that is in the way.
    pub fn load(folder: KeysFolder) -> Result<Self, Vec<KeysError>> {
        let opens = folder.sealing_keys()?;
        let before = opens.get(1).or(opens.first());
        let missing = || vec![KeysError::Missing(folder.files.path(SEALING))];
        let seals = before.cloned().ok_or_else(missing)?;
        Ok(Self::new(Some(folder), seals, opens))
    }

    fn new(
        folder: Option<KeysFolder>,
        seals: Arc<SealingKey>,
        opens: Vec<Arc<SealingKey>>,
    ) -> Self {
        let state = Mutex::new(State {
            keys: Arc::new(SealingKeys { seals, opens }),
            looks: 0,
            complaint: None,
        });
        Self(Arc::new(Shared { folder, state }))
    }

    /// The keys in use.
    pub fn current(&self) -> Arc<SealingKeys> {
        Arc::clone(&self.lock().keys)
    }

    /// Looks at the folder: what was put there opens from now on, what was taken away does no more,
    /// and the latest seals once it was seen [`SEAL_LOOKS`] times. Says whether the keys in use, or
    /// the one that seals, are others now.
    ///
    /// # Errors
    /// [`KeysError`] for every file that is in the way: the keys stay. The same is not complained of
    /// twice.
    pub fn reload(&self) -> Result<bool, Vec<KeysError>> {
        self.look(false)
    }

    /// Does as [`reload`](Self::reload), and complains `again` of the same.
    fn look(&self, again: bool) -> Result<bool, Vec<KeysError>> {
        let Some(folder) = &self.0.folder else {
            return Ok(false);
        };
        let exposed = folder.open_to_others(folder.sealing_key_files());
        let opens = if exposed.is_empty() {
            folder.sealing_keys()
        } else {
            Err(exposed)
        };
        let mut state = self.lock();
        match opens {
            Ok(opens) => {
                state.complaint = None;
                Ok(state.go_over(opens))
            }
            Err(errors) => {
                let complaint = Some(format!("{errors:?}"));
                if state.complaint == complaint && !again {
                    return Ok(false);
                }
                state.complaint = complaint;
                Err(errors)
            }
        }
    }

    /// Looks at the folder again and again, until it is stopped.
    pub async fn follow(self, stopping: CancellationToken) {
        if self.0.folder.is_none() {
            return;
        }
        let looking = self.clone();
        watched::follow(
            stopping,
            move |again| looking.look(again),
            || {
                let keys = self.current();
                tracing::info!(
                    seals = keys.seals.serial,
                    opens = ?keys.serials(),
                    "other sealing keys are in use from now on"
                );
            },
            |errors| self.complain(errors),
        )
        .await;
    }

    fn complain(&self, errors: &[KeysError]) {
        let serials = self.current().serials();
        for error in errors {
            tracing::error!(
                %error,
                next = error.what_to_do(),
                opens = ?serials,
                "the new sealing keys cannot be used, the old ones stay"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes over the keys of the folder, the latest first. Says whether that changes anything.
    fn go_over(&mut self, opens: Vec<Arc<SealingKey>>) -> bool {
        let Some(latest) = opens.first().cloned() else {
            return false;
        };
        let before = Arc::clone(&self.keys);
        let is_same = *before.latest() == *latest;
        self.looks = if is_same {
            self.looks.saturating_add(1)
        } else {
            0
        };
        let in_use = opens.iter().find(|key| **key == before.seals);
        let seals = if self.looks >= SEAL_LOOKS {
            &latest
        } else {
            in_use.or(opens.get(1)).unwrap_or(&latest)
        };
        let seals = Arc::clone(seals);
        let is_other = seals != before.seals || opens != before.opens;
        if is_other {
            self.keys = Arc::new(SealingKeys { seals, opens });
        }
        is_other
    }
}

impl KeysFolder {
    /// The keys that seal and open, the latest first, at least one and at most
    /// [`SEALING_KEYS_MAX`].
    pub(super) fn sealing_keys(&self) -> Result<Vec<Arc<SealingKey>>, Vec<KeysError>> {
        let serials = self.sealing_serials().map_err(|error| vec![error])?;
        let latest = serials.into_iter().rev().take(SEALING_KEYS_MAX);
        let (mut keys, mut errors) = (Vec::new(), Vec::new());
        for serial in latest {
            let name = numbered(SEALING, serial);
            match self.needed(&name, self.seed(&name)) {
                Ok(bytes) => keys.push(Arc::new(SealingKey { serial, bytes })),
                Err(error) => errors.push(error),
            }
        }
        if keys.is_empty() && errors.is_empty() {
            errors.push(KeysError::Missing(self.files.path(SEALING)));
        }
        if errors.is_empty() {
            Ok(keys)
        } else {
            Err(errors)
        }
    }

    /// Makes the sealing key that follows the latest one. Services open with it when they find it,
    /// and seal with it a while later. The latest [`SEALING_KEYS_MAX`] stay, since invites that they
    /// sealed may be on their way; older ones are removed.
    ///
    /// # Errors
    /// [`KeysError`]; then the latest key is the same as before.
    pub fn rotate_sealing(&self) -> Result<Rotated, KeysError> {
        self.is_there()?;
        let _lock = self.files.lock()?;
        let serials = self.sealing_serials()?;
        let kept = serials.last().copied();
        let kept = kept.ok_or_else(|| KeysError::Missing(self.files.path(SEALING)))?;
        let last = numbered(SEALING, kept);
        let serial = kept
            .checked_add(1)
            .ok_or_else(|| self.damaged(&last, &"no serial follows it"))?;
        let name = numbered(SEALING, serial);
        self.seed_or_new(&name)?;
        let stay = serials.len().saturating_sub(SEALING_KEYS_MAX - 1);
        let retired = serials[..stay].to_vec();
        for old in &retired {
            self.files.remove(&numbered(SEALING, *old))?;
        }
        Ok(Rotated {
            serial,
            files: vec![name],
            kept,
            retired,
        })
    }

    /// Serials of the sealing keys that are there, in order.
    pub(super) fn sealing_serials(&self) -> Result<Vec<u64>, KeysError> {
        self.serials(SEALING)
    }

    /// Names of the sealing keys that are there. Who cannot list the folder hears so elsewhere.
    pub(super) fn sealing_key_files(&self) -> Vec<String> {
        let serials = self.sealing_serials().unwrap_or_default().into_iter();
        serials.map(|serial| numbered(SEALING, serial)).collect()
    }
}

#[cfg(test)]
mod tests;
