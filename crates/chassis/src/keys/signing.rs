//! The service key in use, which another may follow while the service runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{Genesis, ServiceCertificate};
use tokio_util::sync::CancellationToken;

use super::{GENESIS, KeysError, KeysFolder};
use crate::watched;

/// The key that signs what is new: greetings, receipts, and the acks of streams that it greeted.
/// What older ones signed stays valid. Clones share it. It has no `Debug`.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct Signing(Arc<Shared>);

struct Shared {
    /// Where others may come from.
    folder: Option<KeysFolder>,
    state: Mutex<State>,
}

struct State {
    signer: Arc<ServiceSigner>,
    /// What was complained of last.
    complaint: Option<String>,
}

/// One key for good.
impl From<Arc<ServiceSigner>> for Signing {
    fn from(signer: Arc<ServiceSigner>) -> Self {
        Self::new(None, signer)
    }
}

impl Signing {
    /// The latest key of a folder, which is followed by those that are put there.
    ///
    /// # Errors
    /// [`KeysError`] for every file that is in the way.
    pub fn load(folder: KeysFolder) -> Result<(Genesis, Self), Vec<KeysError>> {
        let (genesis, signer) = folder.service_key()?;
        Ok((genesis, Self::new(Some(folder), signer)))
    }

    fn new(folder: Option<KeysFolder>, signer: Arc<ServiceSigner>) -> Self {
        let complaint = None;
        let state = Mutex::new(State { signer, complaint });
        Self(Arc::new(Shared { folder, state }))
    }

    /// The key in use. Whoever signs several things that belong together holds on to one.
    pub fn current(&self) -> Arc<ServiceSigner> {
        Arc::clone(&self.lock().signer)
    }

    /// The folder that later keys are looked for in, if there is one.
    pub fn folder(&self) -> Option<&KeysFolder> {
        self.0.folder.as_ref()
    }

    /// Its serial.
    pub fn serial(&self) -> u64 {
        self.lock().signer.certificate().serial()
    }

    /// Goes over to a later key, if there is one in the folder; never back to an earlier one. Says
    /// whether another is in use now.
    ///
    /// # Errors
    /// [`KeysError`] for everything that is in the way of a later one: the key stays. The same is
    /// not complained of twice.
    pub fn reload(&self) -> Result<bool, Vec<KeysError>> {
        self.look(false)
    }

    /// Does as [`reload`](Self::reload), and complains `again` of the same.
    fn look(&self, again: bool) -> Result<bool, Vec<KeysError>> {
        let Some(folder) = &self.0.folder else {
            return Ok(false);
        };
        let later = self.later(folder);
        let mut state = self.lock();
        match later {
            Ok(None) => {
                state.complaint = None;
                Ok(false)
            }
            Ok(Some(later)) => {
                state.complaint = None;
                let (ours, theirs) = (state.signer.certificate(), later.certificate());
                // Another clone may have been quicker.
                let goes_over = ours.serial() < theirs.serial();
                if goes_over {
                    state.signer = later;
                }
                Ok(goes_over)
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

    /// A later key than the one in use.
    fn later(&self, folder: &KeysFolder) -> Result<Option<Arc<ServiceSigner>>, Vec<KeysError>> {
        if let Some(error) = folder.keyless().map_err(|error| vec![error])? {
            return Err(vec![error]);
        }
        let serial = folder.newest().map_err(|error| vec![error])?;
        if serial <= self.serial() {
            return Ok(None);
        }
        let exposed = folder.exposed();
        if !exposed.is_empty() {
            return Err(exposed);
        }
        let (genesis, signer) = folder.service_key()?;
        let ours = self.current();
        let ours = ours.certificate();
        let (body, signature) = (ours.body().clone(), *ours.signature());
        // The folder may have been taken for another deployment's.
        match ServiceCertificate::verify(&genesis, body, signature) {
            Ok(_) => Ok(Some(signer)),
            Err(_) => Err(vec![KeysError::Foreign(folder.files.path(GENESIS))]),
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
                tracing::info!(
                    serial = self.serial(),
                    "another service key signs from now on"
                )
            },
            |errors| self.complain(errors),
        )
        .await;
    }

    fn complain(&self, errors: &[KeysError]) {
        for error in errors {
            tracing::error!(
                %error,
                next = error.what_to_do(),
                serial = self.serial(),
                "the new service key cannot be used, the old one stays"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
