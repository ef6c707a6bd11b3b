//! What is said about root keys, recoveries and forked logs.

use device_agent::RootError;

use super::Failure;

pub(super) const NO_ROOT_KEY: &str = "the device that made the identity has it, until it is taken off; else one that was made with \
     `edge-ledger backup restore FILE`";
pub(super) const UNKNOWN_IDENTITY: &str = "a root key that was rotated or recovered is worth nothing: use a backup made after that; or give \
     the service that holds the identity with --identity-url URL: one that lost its data gets it back \
     from any device that still runs";
pub(super) const IDENTITY_EXISTS: &str = "make this machine a device of it with `edge-ledger backup restore FILE`; an `init` that was \
     interrupted is finished by the same one again, with the same --name";
pub(super) const SUPERSEDED: &str = "end the other one: of two copies of a folder one can go on, and the other is told what to type";
const OTHER: &str =
    "somebody else has the words: if a device is left, type `edge-ledger recovery veto` there";
const DONE: &str = "if one of you asked for it, type `edge-ledger recover` there again; if not, whoever did holds \
     the identity now: spend what is left, and make another one";

/// Explains one of the errors that are about them.
pub(super) fn explain(error: &RootError, message: String) -> Failure {
    let (reason, next) = match error {
        RootError::Words(_) => {
            return Failure::usage("RECOVERY_WORDS", message)
                .next("read them off the paper again, all 24, in their order");
        }
        RootError::OtherRecovery { effective_ms } => {
            let failure = Failure::refused("RECOVERY_PENDING", message);
            return failure.with("effective_ms", *effective_ms).next(OTHER);
        }
        RootError::RecoveryInEffect { effective_ms } => {
            let failure = Failure::refused("RECOVERY_IN_EFFECT", message);
            return failure.with("effective_ms", *effective_ms).next(DONE);
        }
        RootError::OtherIdentity(identity) => {
            return Failure::refused("OTHER_IDENTITY", message)
                .with("identity", identity.to_string())
                .next("give another folder with --home DIR for another identity");
        }
        RootError::LogForked { position } => {
            return Failure::refused("LOG_FORKED", message)
                .with("position", *position)
                .next("put the two branches together first: `edge-ledger recovery settle`");
        }
        RootError::NotForked => (
            "NOT_FORKED",
            "there is nothing to settle here; if another device says that the log forked, do it there",
        ),
        RootError::BranchTooLong => (
            "BRANCH_TOO_LONG",
            "say again in the service's log what this one says of devices: link them anew, and revoke \
             those that were revoked",
        ),
        RootError::NoNextRootKey => (
            "NO_NEXT_ROOT_KEY",
            "do it on a device, or restore a backup, that has it: `edge-ledger backup verify FILE`",
        ),
        RootError::StaleRootKey => (
            "STALE_ROOT_KEY",
            "the root key was rotated or recovered elsewhere: do it there",
        ),
        RootError::RotationUnfinished => (
            "ROTATION_UNFINISHED",
            "finish it first, with `edge-ledger rotate`",
        ),
        RootError::WrongWords => (
            "WRONG_WORDS",
            "check --identity; of several papers the last one counts, and none after `edge-ledger \
             rotate --compromised`",
        ),
        RootError::NoRecovery => (
            "NO_RECOVERY",
            "there is nothing to stop; `edge-ledger recovery status` shows what is set",
        ),
        RootError::RecoveryEnded => (
            "RECOVERY_ENDED",
            "if it was vetoed by one of you, leave it; else type `edge-ledger recover` again with \
             the words, and revoke the device that stopped it",
        ),
        RootError::RecoveryNotInEffect => (
            "RECOVERY_ENDED",
            "give the words with `edge-ledger recover --words-file FILE`: that says what became of \
             it, and the next run begins anew",
        ),
    };
    Failure::refused(reason, message).next(next)
}
