//! The acts: what a statement can do.

use crate::identity::{Branch, Certificate, Genesis, SignedTip};
use crate::ids::DeviceId;
use crate::keys::PublicKey;

use super::Signer;

/// Why a lineage was ended: for people, the rule is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeReason {
    /// It cannot be found.
    Lost,
    /// Somebody else may hold its key.
    Compromised,
    /// It is no longer used.
    Retired,
}

impl RevokeReason {
    /// Whether it says more than another reason: what was said of a device is not played down by
    /// saying it again.
    pub fn outweighs(self, other: Self) -> bool {
        let weight = |reason| match reason {
            Self::Retired => 0,
            Self::Lost => 1,
            Self::Compromised => 2,
        };
        weight(self) > weight(other)
    }
}

/// Why the root key was succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateReason {
    /// As a habit.
    Routine,
    /// Somebody else may hold the old key: the recovery key, which it may have set, ends too.
    Compromised,
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Opens the log, with the first device as admin.
    Incept {
        /// Commitment to the next root key.
        next_root_hash: [u8; 32],
        /// The deployment.
        genesis: Box<Genesis>,
        /// The first device.
        certificate: Box<Certificate>,
    },
    /// Links a device.
    AddDevice {
        /// The new device.
        certificate: Box<Certificate>,
        /// Whether it may sign statements about others.
        admin: bool,
    },
    /// Ends a lineage.
    Revoke {
        /// Any device of the lineage.
        device: DeviceId,
        /// For people.
        reason: RevokeReason,
        /// Tips that the cut keeps beside the receipt's.
        tips: Vec<SignedTip>,
    },
    /// Lets a new key go on where an old one must stop.
    Replace {
        /// The device that ends.
        old: DeviceId,
        /// The new device.
        certificate: Box<Certificate>,
        /// Tips that the cut keeps beside the receipt's.
        tips: Vec<SignedTip>,
    },
    /// Gives a device another name.
    Rename {
        /// The device.
        device: DeviceId,
        /// The new name.
        name: String,
    },
    /// Puts the root key's pre-committed successor in its place.
    RotateRoot {
        /// The new root key, which the log committed to.
        root: PublicKey,
        /// Commitment to the one after it.
        next_root_hash: [u8; 32],
        /// Why.
        reason: RotateReason,
    },
    /// Sets the key that can recover the identity, in place of an earlier one.
    SetRecovery {
        /// The recovery key.
        key: PublicKey,
        /// How long a recovery by it can be vetoed, in milliseconds; the deployment's veto time if
        /// unset.
        veto_ms: Option<u64>,
    },
    /// Announces a new root key, which takes effect when the veto time is over.
    Recover {
        /// The new root key.
        root: PublicKey,
        /// Commitment to the one after it.
        next_root_hash: [u8; 32],
    },
    /// Continues a log of which a service gave out two branches: the one that this follows, with
    /// what the other one says of devices and keys.
    RecoverFork {
        /// The other branch.
        branch: Branch,
    },
    /// Cancels a recovery that waits.
    Veto {
        /// Position of the `Recover`.
        position: u64,
    },
    /// Lets a key add plain devices.
    EnrolmentKey {
        /// The enrolment key.
        key: PublicKey,
        /// How many devices it may add.
        uses: u32,
        /// Service time after which it adds none, in milliseconds since 1970.
        expires_ms: i64,
        /// Name for people.
        name: String,
    },
    /// Ends an enrolment key.
    RevokeEnrolment {
        /// The enrolment key.
        key: PublicKey,
    },
}

impl Act {
    /// The key that enters by this act and proves itself by a signature of its own, the second one,
    /// beside that of who lets it in. Linked devices prove themselves by their certificates.
    pub fn newcomer(&self) -> Option<Signer> {
        match self {
            Self::Replace { certificate, .. } => Some(Signer::Device(*certificate.key())),
            Self::SetRecovery { key, .. } => Some(Signer::Recovery(*key)),
            Self::Recover { root, .. } => Some(Signer::Root(*root)),
            Self::EnrolmentKey { key, .. } => Some(Signer::Enrolment(*key)),
            Self::Incept { .. }
            | Self::AddDevice { .. }
            | Self::Revoke { .. }
            | Self::Rename { .. }
            | Self::RotateRoot { .. }
            | Self::RecoverFork { .. }
            | Self::Veto { .. }
            | Self::RevokeEnrolment { .. } => None,
        }
    }
}
