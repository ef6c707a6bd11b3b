//! The table of reasons: name, code, what to do, and when to come back.

use std::time::Duration;

use tonic::Code;

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident, $name:literal, $code:ident, $advice:literal;)+) => {
        /// Why a call was refused. Each has one code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $reason,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$reason,)+];

            /// Its name in `ErrorInfo`, never changed.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }

            /// Its gRPC code.
            pub const fn code(self) -> Code {
                match self {
                    $(Self::$reason => Code::$code,)+
                }
            }

            /// What the caller can do about it.
            pub const fn what_to_do(self) -> &'static str {
                match self {
                    $(Self::$reason => $advice,)+
                }
            }
        }
    };
}

reasons! {
    /// A key, id or signature of a wrong length.
    KeyFormat, "KEY_FORMAT", InvalidArgument, "send keys as 32 raw bytes, device ids as 16";
    /// A weak, torsioned or non-canonical key.
    KeyWeak, "KEY_WEAK", InvalidArgument, "make a new key";
    /// A key that was in the log before.
    KeyReused, "KEY_REUSED", InvalidArgument, "make a new key for the device";
    /// A signature that does not fit.
    BadSignature, "BAD_SIGNATURE", Unauthenticated, "sign exactly the bytes that you send, for this deployment";
    /// A challenge that is unknown, expired, used or another's.
    ChallengeInvalid, "CHALLENGE_INVALID", Unauthenticated, "get a new challenge and answer it within a minute";
    /// No session, or one that ended or is another's.
    SessionInvalid, "SESSION_INVALID", Unauthenticated, "authenticate again and send the new token";
    /// A hello whose proof does not fit the stream.
    ProofInvalid, "PROOF_INVALID", Unauthenticated, "open a new stream and sign its greeting";
    /// Not the caller's, whether or not it exists.
    Forbidden, "FORBIDDEN", PermissionDenied, "use your own identity and a key that may do this";
    /// The device was revoked or replaced.
    DeviceRevoked, "DEVICE_REVOKED", PermissionDenied, "link this device again with a new key";
    /// An identity that the operator blocked.
    IdentityBlocked, "IDENTITY_BLOCKED", PermissionDenied, "ask the operator; what this device records goes up when the identity is unblocked";
    /// As many entries as the operator lets the identity have.
    QuotaExceeded, "QUOTA_EXCEEDED", ResourceExhausted, "ask the operator for more; what this device records goes up then";
    /// A link without the new device's own proof or an admin's signature.
    LinkUnproven, "LINK_UNPROVEN", PermissionDenied, "let the new device sign its certificate, and an admin device the statement";
    /// A service that registers nobody.
    RegistrationClosed, "REGISTRATION_CLOSED", PermissionDenied, "ask the operator where identities are registered";
    /// An invite that is none, expired, or was used.
    InviteInvalid, "INVITE_INVALID", PermissionDenied, "ask the operator for a new invite; each is good for one identity";
    /// An admin device that was linked a short time ago.
    Probation, "PROBATION", PermissionDenied, "wait until the probation of this device is over, or use another admin device";
    /// An enrolment key that adds no more devices.
    EnrolmentEnded, "ENROLMENT_ENDED", PermissionDenied, "make a new enrolment key on an admin device";
    /// Too many invalid runs.
    Misbehaved, "MISBEHAVED", PermissionDenied, "send only entries that pass the rules of docs/protocol.md";
    /// The last admin.
    LastAdmin, "LAST_ADMIN", FailedPrecondition, "make another device an admin first";
    /// A recovery waits for its veto time.
    RecoveryPending, "RECOVERY_PENDING", FailedPrecondition, "wait until the recovery takes effect, or veto it";
    /// No recovery waits.
    NoRecovery, "NO_RECOVERY", FailedPrecondition, "read the log again: the recovery was cancelled or has taken effect";
    /// Two logs for one identity.
    LogForked, "LOG_FORKED", FailedPrecondition, "keep both logs as evidence and ask the operator";
    /// The device's own journal is forked.
    Forked, "FORKED", FailedPrecondition, "replace or revoke the device";
    /// Something else had to come first.
    HelloExpected, "HELLO_EXPECTED", FailedPrecondition, "open a new stream and say hello first";
    /// No hello in time.
    HelloTimeout, "HELLO_TIMEOUT", DeadlineExceeded, "open a new stream and say hello within 5 s";
    /// Another version of the protocol.
    UpgradeRequired, "UPGRADE_REQUIRED", FailedPrecondition, "upgrade the older of both sides";
    /// The service does not answer to the name that was dialled.
    AudienceUnknown, "AUDIENCE_UNKNOWN", FailedPrecondition, "dial a configured name, or let the operator add this one to the audiences";
    /// The log knows no such device.
    UnknownDevice, "UNKNOWN_DEVICE", NotFound, "read the log again for its devices";
    /// The log knows no such enrolment key.
    UnknownEnrolment, "UNKNOWN_ENROLMENT", NotFound, "read the log again for its enrolment keys";
    /// The log went on.
    VersionConflict, "VERSION_CONFLICT", Aborted, "read the log again and sign a new statement after its head";
    /// As many devices as there may be.
    DeviceLimit, "DEVICE_LIMIT", ResourceExhausted, "revoke a device that is no longer used";
    /// As many statements of this kind as there may be.
    StatementLimit, "STATEMENT_LIMIT", ResourceExhausted, "leave it as it is: what was said before holds";
    /// A message above its limit.
    MessageTooLarge, "MESSAGE_TOO_LARGE", ResourceExhausted, "send smaller messages";
    /// More metadata than a request may carry.
    MetadataTooLarge, "METADATA_TOO_LARGE", ResourceExhausted, "send at most 64 entries and 8 KiB of metadata";
    /// A message that cannot be read.
    BadMessage, "BAD_MESSAGE", InvalidArgument, "send messages as edgeledger.*.v1 describes them, uncompressed";
    /// No such method.
    UnknownMethod, "UNKNOWN_METHOD", Unimplemented, "upgrade the service, or call a method that it has";
    /// A health check names a service that is not here.
    UnknownService, "UNKNOWN_SERVICE", NotFound, "ask for a service that this process has, or for the empty name";
    /// Another stream of the device took over.
    Superseded, "SUPERSEDED", Aborted, "wait a minute before connecting again, and check for a copy of this device";
    /// The process stops, or the connection is old.
    Draining, "DRAINING", Unavailable, "connect again";
    /// The store does not answer.
    StoreUnavailable, "STORE_UNAVAILABLE", Unavailable, "try again";
    /// The store is full.
    StorageFull, "STORAGE_FULL", ResourceExhausted, "ask the operator for space; reading goes on";
    /// The store is damaged.
    DataLoss, "DATA_LOSS", DataLoss, "keep this device as it is and ask the operator";
    /// Too much work.
    Overloaded, "OVERLOADED", ResourceExhausted, "try again later";
    /// Too many calls.
    RateLimited, "RATE_LIMITED", ResourceExhausted, "try again later";
    /// A reader that makes no progress.
    SlowConsumer, "SLOW_CONSUMER", ResourceExhausted, "connect again and read what is sent";
    /// No such link session, or it ended.
    LinkGone, "LINK_GONE", NotFound, "show a new code on the linked device";
    /// A link session that is opened or joined already.
    LinkTaken, "LINK_TAKEN", FailedPrecondition, "show a new code on the linked device; a code works once";
    /// A link session that took too long.
    LinkExpired, "LINK_EXPIRED", DeadlineExceeded, "show a new code on the linked device and join within two minutes";
    /// An operator's call without the operator's token.
    OperatorToken, "OPERATOR_TOKEN", Unauthenticated, "send the token of operator.token_file as `authorization: Bearer TOKEN`";
    /// An operator names an identity that is not here.
    UnknownIdentity, "UNKNOWN_IDENTITY", NotFound, "name an identity that this deployment has, by its 64 hex digits";
    /// A service that does not make service keys itself.
    RotatesElsewhere, "ROTATES_ELSEWHERE", FailedPrecondition, "type `edge-ledger keys rotate --dir DIR` where the root key is, and bring the new files to every replica";
    /// An operator's words that are none.
    OperatorWords, "OPERATOR_WORDS", InvalidArgument, "give 1 to 200 bytes of text in one line, and at most 2^53 - 1 entries";
    /// An archive of another deployment.
    ArchiveForeign, "ARCHIVE_FOREIGN", FailedPrecondition, "import it into services that have the keys of its deployment";
    /// An archive that is not as it was exported.
    ArchiveDamaged, "ARCHIVE_DAMAGED", InvalidArgument, "export it again, or use another copy; what was imported before this is verified, and importing it again changes nothing";
    /// A store that has another log of the identity.
    ArchiveConflict, "ARCHIVE_CONFLICT", FailedPrecondition, "find out which of both stores was put back from an old copy; devices settle it with `edge-ledger recovery settle`";
    /// As many link messages as there may be.
    LinkFull, "LINK_FULL", ResourceExhausted, "start the link again; it takes at most 16 messages a side";
}

impl Reason {
    /// How long to wait before trying again, where trying again helps and the caller has no own
    /// measure.
    pub const fn retry_after(self) -> Option<Duration> {
        if matches!(self.code(), Code::Unavailable) {
            Some(Duration::from_millis(500))
        } else if matches!(self, Self::Overloaded | Self::RateLimited) {
            Some(Duration::from_secs(1))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_no_code_says_nothing() {
        for (i, reason) in Reason::ALL.iter().enumerate() {
            let name = reason.as_str();
            assert!(
                name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'),
                "{name}"
            );
            assert!(
                !Reason::ALL[..i].iter().any(|other| other.as_str() == name),
                "{name}"
            );
            assert!(
                !matches!(reason.code(), Code::Ok | Code::Unknown | Code::Internal),
                "{name}"
            );
        }
    }
}
