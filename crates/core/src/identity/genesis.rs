//! The genesis of a deployment, and the `ledger_id` that follows from it.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::{FormatError, decode_canonical};
use crate::ids::LedgerId;
use crate::keys::PublicKey;
use crate::limits::{DECIMALS_MAX, PROBATION_MS_MAX, UNIT_BYTES_MAX, VETO_MS_MAX};
use crate::tags::Tag;
use crate::text::{is_blank, is_plain};
use crate::wire;

/// Who may create credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditPolicy {
    /// Every device credits itself.
    SelfReported {
        /// Most minor units of one credit.
        posting_cap: u64,
        /// Most minor units along one branch of one journal.
        journal_cap: u64,
    },
    /// Every credit carries the proof of an issuer key.
    Issued,
}

/// Times that the rules of identity logs go by, measured between the times in receipts. They are
/// part of the genesis, because everybody must judge a log alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Periods {
    /// How long a linked device has no admin rights, in milliseconds.
    pub probation_ms: u64,
    /// How long a recovery can be vetoed before it takes effect, in milliseconds.
    pub veto_ms: u64,
}

impl Periods {
    /// Nothing waits.
    pub const NONE: Self = Self {
        probation_ms: 0,
        veto_ms: 0,
    };
}

impl Default for Periods {
    /// A day of probation, three days for a veto.
    fn default() -> Self {
        const HOUR_MS: u64 = 3_600_000;
        Self {
            probation_ms: 24 * HOUR_MS,
            veto_ms: 72 * HOUR_MS,
        }
    }
}

/// What fixes one ledger world. Keeps its encoding verbatim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    bytes: Bytes,
    ledger_id: LedgerId,
    service_root: PublicKey,
    next_service_root_hash: [u8; 32],
    unit: String,
    decimals: u32,
    policy: CreditPolicy,
    periods: Periods,
}

/// The choices that make a new [`Genesis`].
#[derive(Debug, Clone)]
pub struct GenesisSpec {
    /// Root of all service keys.
    pub service_root: PublicKey,
    /// [`next_key_hash`] of the root's successor.
    pub next_service_root_hash: [u8; 32],
    /// Name of one whole unit for people, 1 to 16 bytes of plain text.
    pub unit: String,
    /// Decimal places, 0 to 18.
    pub decimals: u32,
    /// Who may create credits.
    pub policy: CreditPolicy,
    /// 16 random bytes.
    pub random: [u8; 16],
    /// Probation and veto time, at most 30 days each.
    pub periods: Periods,
}

/// What a log or a genesis commits to of a key that comes later.
pub fn next_key_hash(key: &PublicKey) -> [u8; 32] {
    Tag::NextKey.hash_unbound(&[key.as_bytes()])
}

impl Genesis {
    /// Makes the genesis of a new deployment.
    ///
    /// # Errors
    /// [`FormatError::Field`] when the unit, the decimals or the periods are out of their limits.
    pub fn create(spec: GenesisSpec) -> Result<Self, FormatError> {
        let credit_policy = match spec.policy {
            CreditPolicy::SelfReported {
                posting_cap,
                journal_cap,
            } => wire::CreditPolicy::SelfReported(wire::SelfReported {
                posting_cap,
                journal_cap,
            }),
            CreditPolicy::Issued => wire::CreditPolicy::Issued(wire::Issued {}),
        };
        let message = wire::Genesis {
            service_root: spec.service_root.as_bytes().to_vec(),
            next_service_root_hash: spec.next_service_root_hash.to_vec(),
            unit: spec.unit,
            decimals: spec.decimals,
            credit_policy: Some(credit_policy),
            random: spec.random.to_vec(),
            probation_ms: spec.periods.probation_ms,
            veto_ms: spec.periods.veto_ms,
        };
        Self::decode(message.encode_to_vec().into())
    }

    /// Takes and checks encoded bytes.
    ///
    /// # Errors
    /// [`FormatError`] for anything but a canonical genesis within its limits.
    pub fn decode(bytes: Bytes) -> Result<Self, FormatError> {
        let message: wire::Genesis = decode_canonical("the genesis", &bytes)?;
        let service_root = PublicKey::from_bytes(&message.service_root)
            .map_err(|e| FormatError::Key("the service root", e))?;
        let next_service_root_hash = message.next_service_root_hash[..]
            .try_into()
            .map_err(|_| FormatError::Field("the next service root"))?;
        let unit = &message.unit;
        if is_blank(unit) || unit.len() > UNIT_BYTES_MAX || !is_plain(unit) {
            return Err(FormatError::Field("the unit"));
        }
        if message.decimals > DECIMALS_MAX {
            return Err(FormatError::Field("the decimals"));
        }
        if message.random.len() != 16 {
            return Err(FormatError::Field("the random bytes"));
        }
        let periods = Periods {
            probation_ms: message.probation_ms,
            veto_ms: message.veto_ms,
        };
        if periods.probation_ms > PROBATION_MS_MAX || periods.veto_ms > VETO_MS_MAX {
            return Err(FormatError::Field("the periods"));
        }
        let policy = match message.credit_policy {
            Some(wire::CreditPolicy::SelfReported(p)) => CreditPolicy::SelfReported {
                posting_cap: p.posting_cap,
                journal_cap: p.journal_cap,
            },
            Some(wire::CreditPolicy::Issued(_)) => CreditPolicy::Issued,
            None => return Err(FormatError::Field("the credit policy")),
        };
        let mut ledger_id = [0; 16];
        ledger_id.copy_from_slice(&Tag::Genesis.hash_unbound(&[&bytes])[..16]);
        Ok(Self {
            ledger_id: LedgerId::from_bytes(ledger_id),
            service_root,
            next_service_root_hash,
            unit: message.unit,
            decimals: message.decimals,
            policy,
            periods,
            bytes,
        })
    }

    /// The verbatim encoding.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The deployment's id.
    pub fn ledger_id(&self) -> LedgerId {
        self.ledger_id
    }

    /// The root of all service keys.
    pub fn service_root(&self) -> &PublicKey {
        &self.service_root
    }

    /// Commitment to the root's successor.
    pub fn next_service_root_hash(&self) -> &[u8; 32] {
        &self.next_service_root_hash
    }

    /// Name of one whole unit.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Decimal places of a unit.
    pub fn decimals(&self) -> u32 {
        self.decimals
    }

    /// Who may create credits.
    pub fn policy(&self) -> CreditPolicy {
        self.policy
    }

    /// Probation and veto time.
    pub fn periods(&self) -> Periods {
        self.periods
    }
}
