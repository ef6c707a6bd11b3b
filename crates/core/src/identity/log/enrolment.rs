//! Enrolment keys: each adds a number of plain devices until it expires or is ended.

use super::check::said_less_than;
use super::roots::Roots;
use super::{IdentityLog, LogError};
use crate::identity::statement::Signer;
use crate::identity::{Act, FormatError};
use crate::ids::DeviceId;
use crate::keys::PublicKey;
use crate::limits::{ENROLMENT_KEYS_PER_SIGNER_MAX, ENROLMENT_LIFE_MS_MAX};

/// Who made an enrolment key, and ends it by its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentMaker {
    /// A root key.
    Root(PublicKey),
    /// A device of a lineage.
    Lineage(DeviceId),
}

/// What the log says about one enrolment key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentRecord {
    /// The key.
    pub key: PublicKey,
    /// Its name.
    pub name: String,
    /// How many devices it may add.
    pub uses: u32,
    /// How many it has added.
    pub used: u32,
    /// Service time after which it adds none, in milliseconds since 1970.
    pub expires_ms: i64,
    /// Position of the statement that made it.
    pub added_at: u64,
    /// Who made it.
    pub maker: EnrolmentMaker,
    /// Whether it was ended.
    pub ended: bool,
}

impl EnrolmentRecord {
    /// Whether it can add a device at a time.
    pub fn is_open(&self, now_ms: i64) -> bool {
        !self.ended && self.used < self.uses && now_ms <= self.expires_ms
    }
}

impl IdentityLog {
    /// An enrolment key adds plain devices that take nobody's place, and signs nothing else.
    pub(super) fn enrolment_may(
        &self,
        act: &Act,
        key: &PublicKey,
        now_ms: i64,
    ) -> Result<(), LogError> {
        let Some(enrolment) = self.enrolments.get(&key.device_id()) else {
            return Err(LogError::NotAllowed);
        };
        let Act::AddDevice { certificate, admin } = act else {
            return Err(LogError::NotAllowed);
        };
        if *admin || certificate.replaces().is_some() || enrolment.key != *key {
            return Err(LogError::NotAllowed);
        }
        if enrolment.is_open(now_ms) {
            Ok(())
        } else {
            Err(LogError::EnrolmentEnded)
        }
    }

    /// Whoever makes an enrolment key has a number of them of its own, so that a thief uses up
    /// nobody else's.
    pub(super) fn check_enrolment(
        &self,
        roots: &Roots,
        (key, expires_ms): (&PublicKey, i64),
        by: Option<Signer>,
        now_ms: i64,
    ) -> Result<(), LogError> {
        self.check_fresh_key(roots, key)?;
        let maker = self.maker(by).ok_or(LogError::NotAllowed)?;
        if expires_ms < now_ms {
            return Err(LogError::EnrolmentEnded);
        }
        if expires_ms.abs_diff(now_ms) > ENROLMENT_LIFE_MS_MAX {
            return Err(FormatError::Field("the life of an enrolment key").into());
        }
        let made = self.enrolments.values().filter(|e| e.maker == maker);
        said_less_than(ENROLMENT_KEYS_PER_SIGNER_MAX, Some(&made.count()))
    }

    pub(super) fn check_enrolment_goes_on(&self, key: &PublicKey) -> Result<(), LogError> {
        let enrolment = self.enrolments.get(&key.device_id());
        let enrolment = enrolment.ok_or(LogError::UnknownEnrolment)?;
        if enrolment.ended {
            Err(LogError::EnrolmentEnded)
        } else {
            Ok(())
        }
    }

    pub(super) fn maker(&self, by: Option<Signer>) -> Option<EnrolmentMaker> {
        match by? {
            Signer::Root(key) => Some(EnrolmentMaker::Root(key)),
            Signer::Device(key) => self.lineage(&key.device_id()).map(EnrolmentMaker::Lineage),
            Signer::Enrolment(_) | Signer::Recovery(_) => None,
        }
    }

    /// Ends the enrolment keys of a maker that has ended.
    pub(super) fn end_enrolments_of(&mut self, maker: EnrolmentMaker) {
        let of_maker = self.enrolments.values_mut().filter(|e| e.maker == maker);
        of_maker.for_each(|enrolment| enrolment.ended = true);
    }
}
