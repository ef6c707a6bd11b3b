//! What the rules of identity logs refuse, as statuses.

use edge_ledger_chassis::{Reason, refusal};
use edge_ledger_core::identity::{Act, FormatError, LogError, Statement};
use edge_ledger_core::keys::KeyError;
use tonic::Status;

/// Refuses an identity that is not the caller's, in the same words whether or not it exists.
pub(crate) fn not_yours() -> Status {
    refusal(Reason::Forbidden, "this is not your identity")
}

/// Refuses a key that is no device, where only devices are.
pub(crate) fn no_device() -> Status {
    refusal(Reason::Forbidden, "this is for devices alone")
}

/// Refuses a statement that follows another head than the log's.
pub(crate) fn conflict() -> Status {
    refusal(
        Reason::VersionConflict,
        "the statement does not follow the log's head",
    )
}

/// Refuses an enrolment key that adds no more devices.
pub(crate) fn enrolment_ended() -> Status {
    refusal(
        Reason::EnrolmentEnded,
        "the enrolment key was ended, has expired or is used up",
    )
}

/// A public key that the policy refuses.
pub(crate) fn key(error: KeyError) -> Status {
    match error {
        KeyError::Length => refusal(Reason::KeyFormat, "a key has a wrong length"),
        KeyError::Weak => refusal(Reason::KeyWeak, "a key is weak or not canonical"),
        KeyError::BadSignature => refusal(Reason::BadSignature, "a signature does not fit"),
    }
}

/// Bytes that are no statement of an existing log. A certificate that its own key did not sign
/// proves no link.
pub(crate) fn malformed(error: &FormatError) -> Status {
    if let FormatError::Key("the signature of a certificate", _) = error {
        let what = "the new device did not sign its certificate";
        return refusal(Reason::LinkUnproven, what);
    }
    malformed_incept(error)
}

/// Bytes that are no first statement.
pub(crate) fn malformed_incept(error: &FormatError) -> Status {
    match error {
        // A signature of a wrong length is one that does not fit.
        FormatError::Key(what, KeyError::Length) if what.contains("signature") => {
            key(KeyError::BadSignature)
        }
        FormatError::Key(_, error) => key(*error),
        FormatError::Foreign(_) => refusal(
            Reason::Forbidden,
            "the statement belongs to another deployment or identity",
        ),
        FormatError::Undecodable(_) | FormatError::NotCanonical(_) | FormatError::Field(_) => {
            refusal(Reason::BadMessage, "the statement is malformed")
        }
    }
}

/// Why a statement cannot be the next of its log.
pub(crate) fn statement(statement: &Statement, error: &LogError) -> Status {
    let links = matches!(statement.body().act, Act::AddDevice { .. });
    match error {
        // The time is made from the log's end: a later end is another log.
        LogError::Conflict | LogError::TimeWentBack => conflict(),
        LogError::Format(error) => malformed(error),
        LogError::NotAllowed if links => {
            refusal(Reason::LinkUnproven, "no admin device signed the link")
        }
        LogError::NotAllowed => refusal(Reason::Forbidden, "the signer may not do this"),
        LogError::Probation => refusal(
            Reason::Probation,
            "the device has no admin rights before its probation is over",
        ),
        LogError::EnrolmentEnded => enrolment_ended(),
        LogError::UnknownEnrolment => refusal(
            Reason::UnknownEnrolment,
            "the log has no such enrolment key",
        ),
        LogError::UnknownDevice => refusal(Reason::UnknownDevice, "the log has no such device"),
        LogError::DeviceEnded => refusal(
            Reason::DeviceRevoked,
            "the statement names or is signed by a device that was revoked or replaced",
        ),
        LogError::KeyReused => refusal(Reason::KeyReused, "a key enters a log only once"),
        LogError::LastAdmin => refusal(Reason::LastAdmin, "nobody could sign afterwards"),
        LogError::RecoveryPending => refusal(
            Reason::RecoveryPending,
            "another recovery waits for its veto time",
        ),
        LogError::NothingPending => refusal(Reason::NoRecovery, "no such recovery waits"),
        LogError::NoBranch => refusal(
            Reason::BadMessage,
            "the statement names no other branch of the log",
        ),
        LogError::DeviceLimit => refusal(
            Reason::DeviceLimit,
            "the identity has as many devices as it may",
        ),
        LogError::StatementLimit => refusal(
            Reason::StatementLimit,
            "this was said as often as it may be",
        ),
    }
}
