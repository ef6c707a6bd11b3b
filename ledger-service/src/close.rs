//! From the end of a session to the status that the device reads.

use std::time::Duration;

use edge_ledger_chassis::Reason;
use edge_ledger_chassis::status::{refusal, refusal_retry, store_refusal};
use edge_ledger_core::identity::FormatError;
use edge_ledger_core::keys::KeyError;
use edge_ledger_core::sync::{Close, GoAwayReason, HandshakeError};
use tonic::Status;

use crate::session::End;

/// Time that a superseded device stays away, so that two copies do not play ping-pong.
const SUPERSEDED_FOR: Duration = Duration::from_secs(60);

pub(crate) fn status(end: &End) -> Status {
    match end {
        End::Close(close) => of_close(close),
        End::Store(error) => store_refusal(error),
    }
}

fn of_close(close: &Close) -> Status {
    let what = close.to_string();
    match close {
        Close::Expected(_) => refusal(Reason::HelloExpected, &what),
        Close::BadMessage(_) => refusal(Reason::BadMessage, &what),
        Close::Handshake(error) => of_handshake(error, &what),
        Close::Forbidden => refusal(Reason::Forbidden, &what),
        Close::DeviceRevoked => refusal(Reason::DeviceRevoked, &what),
        Close::Forked => refusal(Reason::Forked, &what),
        Close::LogForked => refusal(Reason::LogForked, &what),
        Close::Misbehaved => refusal(Reason::Misbehaved, &what),
        Close::Stalled => refusal(Reason::SlowConsumer, &what),
        Close::GoAway(GoAwayReason::Draining) => {
            refusal(Reason::Draining, "the service ends this stream")
        }
        Close::GoAway(GoAwayReason::DeviceRevoked) => {
            refusal(Reason::DeviceRevoked, "the device was revoked")
        }
        Close::GoAway(GoAwayReason::Superseded) => refusal_retry(
            Reason::Superseded,
            "another stream of this device was opened",
            SUPERSEDED_FOR,
        ),
    }
}

fn of_handshake(error: &HandshakeError, what: &str) -> Status {
    match error {
        HandshakeError::Format(FormatError::Key(_, KeyError::Weak)) => {
            refusal(Reason::KeyWeak, what)
        }
        HandshakeError::Format(FormatError::Key(_, KeyError::Length)) => {
            refusal(Reason::KeyFormat, what)
        }
        HandshakeError::Format(_) => refusal(Reason::BadMessage, what),
        HandshakeError::Version(_) => refusal(Reason::UpgradeRequired, what),
        HandshakeError::Proof | HandshakeError::Audience(_) | HandshakeError::Deployment => {
            refusal(Reason::ProofInvalid, what)
        }
    }
}
