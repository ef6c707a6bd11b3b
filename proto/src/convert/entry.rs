//! Runs, tips and acks.

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::{DeviceId, EntryHash};
use edge_ledger_core::ledger::{Heads, Level, Run, Tip};
use edge_ledger_core::sync::AckParts;

use super::{ConvertError, fixed, known, place, signature};
use crate::ledger;

impl From<Run> for ledger::Run {
    fn from(run: Run) -> Self {
        Self {
            device: Bytes::copy_from_slice(run.device.as_bytes()),
            formats: run.formats.into_iter().map(u32::from).collect(),
            first_seq: run.first_seq,
            first_prev: Bytes::copy_from_slice(run.first_prev.as_bytes()),
            payloads: run.payloads,
            signature: Bytes::copy_from_slice(run.signature.as_bytes()),
        }
    }
}

/// Whether numbers and hashes agree is for the gate to say, run by run.
impl TryFrom<ledger::Run> for Run {
    type Error = ConvertError;

    fn try_from(run: ledger::Run) -> Result<Self, ConvertError> {
        Ok(Self {
            device: DeviceId::from_bytes(fixed("run.device", &run.device)?),
            formats: run
                .formats
                .into_iter()
                .map(u16::try_from)
                .collect::<Result<_, _>>()
                .map_err(|_| ConvertError::range("run.formats"))?,
            first_seq: run.first_seq,
            first_prev: EntryHash::from_bytes(fixed("run.first_prev", &run.first_prev)?),
            payloads: run.payloads,
            signature: signature("run.signature", &run.signature)?,
        })
    }
}

impl From<Tip> for ledger::Tip {
    fn from(tip: Tip) -> Self {
        Self {
            device: Bytes::copy_from_slice(tip.device.as_bytes()),
            seq: tip.point.seq,
            hash: Bytes::copy_from_slice(tip.point.hash.as_bytes()),
        }
    }
}

impl TryFrom<ledger::Tip> for Tip {
    type Error = ConvertError;

    fn try_from(tip: ledger::Tip) -> Result<Self, ConvertError> {
        Ok(Self {
            device: DeviceId::from_bytes(fixed("tip.device", &tip.device)?),
            point: Point {
                seq: place("tip.seq", tip.seq)?,
                hash: EntryHash::from_bytes(fixed("tip.hash", &tip.hash)?),
            },
        })
    }
}

impl From<Heads> for ledger::Heads {
    fn from(heads: Heads) -> Self {
        Self {
            tips: heads.tips().map(ledger::Tip::from).collect(),
        }
    }
}

impl TryFrom<ledger::Heads> for Heads {
    type Error = ConvertError;

    fn try_from(heads: ledger::Heads) -> Result<Self, ConvertError> {
        let tips = heads.tips.into_iter().map(Tip::try_from);
        Ok(Self::new(tips.collect::<Result<Vec<_>, _>>()?))
    }
}

impl From<Vec<Tip>> for ledger::Locator {
    fn from(points: Vec<Tip>) -> Self {
        Self {
            points: points.into_iter().map(ledger::Tip::from).collect(),
        }
    }
}

impl TryFrom<ledger::Locator> for Vec<Tip> {
    type Error = ConvertError;

    fn try_from(locator: ledger::Locator) -> Result<Self, ConvertError> {
        locator.points.into_iter().map(Tip::try_from).collect()
    }
}

impl From<Level> for ledger::AckLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Volatile => Self::Volatile,
            Level::Durable => Self::Durable,
            Level::Replicated => Self::Replicated,
        }
    }
}

impl TryFrom<ledger::AckLevel> for Level {
    type Error = ConvertError;

    fn try_from(level: ledger::AckLevel) -> Result<Self, ConvertError> {
        match level {
            ledger::AckLevel::Unspecified => Err(ConvertError::range("ack.level")),
            ledger::AckLevel::Volatile => Ok(Self::Volatile),
            ledger::AckLevel::Durable => Ok(Self::Durable),
            ledger::AckLevel::Replicated => Ok(Self::Replicated),
        }
    }
}

impl From<AckParts> for ledger::Ack {
    fn from(ack: AckParts) -> Self {
        Self {
            device: Bytes::copy_from_slice(ack.device.as_bytes()),
            seq: ack.point.seq,
            hash: Bytes::copy_from_slice(ack.point.hash.as_bytes()),
            log_position: ack.log_position,
            level: ledger::AckLevel::from(ack.level).into(),
            service_time_ms: ack.service_time_ms,
            key_serial: ack.key_serial,
            signature: Bytes::copy_from_slice(ack.signature.as_bytes()),
        }
    }
}

impl TryFrom<ledger::Ack> for AckParts {
    type Error = ConvertError;

    fn try_from(ack: ledger::Ack) -> Result<Self, ConvertError> {
        Ok(Self {
            device: DeviceId::from_bytes(fixed("ack.device", &ack.device)?),
            point: Point {
                seq: place("ack.seq", ack.seq)?,
                hash: EntryHash::from_bytes(fixed("ack.hash", &ack.hash)?),
            },
            log_position: ack.log_position,
            level: known::<ledger::AckLevel>("ack.level", ack.level)?.try_into()?,
            service_time_ms: ack.service_time_ms,
            key_serial: ack.key_serial,
            signature: signature("ack.signature", &ack.signature)?,
        })
    }
}
