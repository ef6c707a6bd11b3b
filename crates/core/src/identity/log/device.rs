//! What a log says about one device.

use crate::identity::Cut;
use crate::ids::DeviceId;
use crate::keys::PublicKey;

/// Where a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// It may speak.
    Active,
    /// Another key went on in its place.
    Replaced {
        /// The successor.
        by: DeviceId,
    },
    /// Its lineage was ended.
    Revoked,
}

/// What the log says about one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Its key.
    pub key: PublicKey,
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// Whether it may sign statements about others, once its probation is over.
    pub admin: bool,
    /// Position of the statement that added it.
    pub added_at: u64,
    /// Service time until which it has no admin rights, in milliseconds since 1970. `None` for a
    /// device that the root key added.
    pub probation_ends_ms: Option<i64>,
    /// The first device of its lineage.
    pub lineage: DeviceId,
    /// Where it stands.
    pub state: DeviceState,
    /// What remains of its journal, once it was ended.
    pub cut: Option<Cut>,
}

impl DeviceRecord {
    /// Whether it is in probation at a time.
    pub fn in_probation(&self, now_ms: i64) -> bool {
        self.probation_ends_ms.is_some_and(|ends| now_ms < ends)
    }
}
