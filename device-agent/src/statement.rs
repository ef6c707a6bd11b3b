//! Statements of this device, or of the root key, on their way into the log.

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, IdentityLog, Statement, StatementBody};
use edge_ledger_store::log_view::follow;

use crate::error::AgentError;
use crate::identity_client::IdentitySession;
use crate::limits::{STATEMENT_AGAIN_FIRST, STATEMENT_AGAIN_MAX, STATEMENT_RETRIES_MAX};

/// Signs an act at the head of the log and appends it, anew if the log moved meanwhile. Returns
/// what the log has gained since `log`, the statement included.
///
/// Nothing is signed when the log says that it `is_done`: an answer may have been lost, or the
/// whole was run before.
pub(crate) async fn append(
    session: &mut IdentitySession,
    log: &IdentityLog,
    is_done: impl Fn(&IdentityLog) -> bool,
    act: impl Fn(&IdentityLog) -> Act,
    keys: &[SigningAs<'_>],
) -> Result<Vec<ReceiptParts>, AgentError> {
    let mut log = log.clone();
    let mut gained = Vec::new();
    let mut sent: Option<Bytes> = None;
    let mut refused = AgentError::TimedOut;
    let mut waits = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(STATEMENT_AGAIN_FIRST)
        .with_max_delay(STATEMENT_AGAIN_MAX)
        .without_max_times()
        .build();
    for attempt in 0..STATEMENT_RETRIES_MAX {
        if attempt > 0 {
            tokio::time::sleep(waits.next().unwrap_or(STATEMENT_AGAIN_MAX)).await;
        }
        let parts = session.log_after(log.head().position).await?;
        log = grown(&log, &parts)?;
        gained.extend(parts);
        let records = log.records_after(0);
        let is_there = |sent: &Bytes| records.iter().any(|r| r.statement.bytes() == sent);
        if sent.as_ref().is_some_and(is_there) || is_done(&log) {
            return Ok(gained);
        }
        let head = log.head();
        let body = StatementBody {
            identity: log.identity(),
            position: head.position + 1,
            expected_head: head.hash,
            act: act(&log),
        };
        let statement = Statement::sign(log.ledger_id(), &body, keys)?;
        sent = Some(statement.bytes().clone());
        match session.append(statement.bytes().clone()).await {
            Ok(receipted) => {
                gained.push(receipted);
                return Ok(gained);
            }
            // The log moved: read it and sign again. Anything else is final.
            Err(error @ AgentError::Unreachable { .. }) => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

/// The log with all of these.
pub(crate) fn grown(log: &IdentityLog, parts: &[ReceiptParts]) -> Result<IdentityLog, AgentError> {
    let following = follow(log, parts);
    if following.taken.len() == parts.len() {
        Ok(following.grown)
    } else {
        let what = "the statements that were sent do not follow the log";
        Err(AgentError::Untrusted(what.to_owned()))
    }
}
