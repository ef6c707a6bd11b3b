//! What a service refuses, in one form: a gRPC status with `google.rpc.ErrorInfo`, whose reason is
//! for programs and whose message tells people what to do. Reasons are never renamed.
//!
//! A message carries no user data: identities, names and tokens stay out of it.

mod rewrite;
mod table;

pub use rewrite::{from_decode, rewrite};
pub use table::Reason;

use std::collections::HashMap;
use std::time::Duration;

use edge_ledger_store::StoreError;
use edge_ledger_telemetry::meters::{self, meters};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of all reasons.
pub const DOMAIN: &str = "edge-ledger";

/// Refuses with a reason. `what` says what is wrong, without a full stop; what to do about it is
/// added, and a delay where the table has one.
pub fn refusal(reason: Reason, what: &str) -> Status {
    build(reason, what, reason.retry_after())
}

/// Refuses, and says when to come back.
pub fn refusal_retry(reason: Reason, what: &str, retry_after: Duration) -> Status {
    build(reason, what, Some(retry_after))
}

fn build(reason: Reason, what: &str, retry_after: Option<Duration>) -> Status {
    meters().refusals.add(1, &meters::reason(reason.as_str()));
    let mut details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, HashMap::new());
    if let Some(delay) = retry_after {
        details.set_retry_info(Some(delay));
    }
    let message = format!("{what}: {}", reason.what_to_do());
    Status::with_error_details(reason.code(), message, details)
}

/// Refuses because the store failed. What the store said goes to the log, not to the caller.
pub fn store_refusal(error: &StoreError) -> Status {
    match error {
        StoreError::Unavailable(cause) => {
            tracing::warn!(%cause, "store unavailable");
            refusal(Reason::StoreUnavailable, "the store does not answer")
        }
        StoreError::Full => {
            tracing::warn!("store full");
            refusal(Reason::StorageFull, "the store takes no more data")
        }
        StoreError::Blocked => refusal(Reason::IdentityBlocked, "the identity is blocked"),
        StoreError::OverQuota => refusal(
            Reason::QuotaExceeded,
            "the identity has as many entries as it may",
        ),
        StoreError::Damaged(cause) => {
            tracing::error!(%cause, "store damaged");
            refusal(
                Reason::DataLoss,
                "what the store holds of this identity is damaged",
            )
        }
    }
}

impl Reason {
    /// The reason of a status that [`refusal`] made.
    pub fn of(status: &Status) -> Option<Self> {
        let name = reason_of(status)?;
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == name)
    }
}

/// The reason of a status that [`refusal`] made, by its name.
pub fn reason_of(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then_some(info.reason)
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_refusal_carries_reason_advice_and_delay() {
        let status = refusal(Reason::Draining, "this process stops");
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason_of(&status).as_deref(), Some("DRAINING"));
        assert!(
            status.message().starts_with("this process stops: "),
            "{status}"
        );
        let retry = status.get_details_retry_info().unwrap();
        assert!(retry.retry_delay.is_some());
        let status = refusal_retry(Reason::Superseded, "taken over", Duration::from_secs(60));
        let retry = status.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_secs(60)));
    }

    #[test]
    fn the_store_keeps_its_words_to_itself() {
        let errors = [
            (
                StoreError::Unavailable("10.0.0.7 refused".into()),
                Code::Unavailable,
            ),
            (StoreError::Full, Code::ResourceExhausted),
            (StoreError::Blocked, Code::PermissionDenied),
            (StoreError::OverQuota, Code::ResourceExhausted),
            (StoreError::Damaged("row 7".into()), Code::DataLoss),
        ];
        for (error, code) in errors {
            let status = store_refusal(&error);
            assert_eq!(status.code(), code);
            assert!(!status.message().contains('7'), "{status}");
        }
    }
}
