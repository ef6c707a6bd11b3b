//! How journals ended when this process last heard of it: a guess that saves a round trip. The
//! script that appends compares it, and says how they end by now.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use edge_ledger_core::ids::{DeviceId, IdentityId};

use super::survey::Ending;

/// Most journals that are remembered.
const JOURNALS_MAX: usize = 16_384;

/// Endings by identity and device.
#[derive(Debug, Default)]
pub(super) struct Endings(Mutex<HashMap<(IdentityId, DeviceId), Ending>>);

impl Endings {
    /// The endings of some journals, if all are known.
    pub(super) fn of(&self, identity: IdentityId, devices: &[DeviceId]) -> Option<Vec<Ending>> {
        let known = self.lock();
        let ending = |device: &DeviceId| known.get(&(identity, *device)).cloned();
        devices.iter().map(ending).collect()
    }

    pub(super) fn learn(&self, identity: IdentityId, device: DeviceId, ending: Ending) {
        let mut known = self.lock();
        if known.len() >= JOURNALS_MAX {
            known.clear();
        }
        known.insert((identity, device), ending);
    }

    pub(super) fn forget(&self, identity: IdentityId, devices: &[DeviceId]) {
        let mut known = self.lock();
        for device in devices {
            known.remove(&(identity, *device));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(IdentityId, DeviceId), Ending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
