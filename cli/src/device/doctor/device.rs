//! The device from within: its store, its journal, and how far it is synced.

use device_agent::{Agent, Status, within};

use super::Check;
use crate::device::calendar::utc;
use crate::device::synced::sync;
use crate::limits::{REREAD_WITHIN, SYNC_WITHIN};

/// What mends a refusal that names nothing else.
const OF_SERVICES: &str = "see below what answers at the addresses of the services";

/// Looks at a device that this process holds.
pub(in crate::device) async fn checks(agent: &Agent) -> Vec<Check> {
    let synced = match sync(agent).await {
        Ok(synced) => synced.why_not().map_or(Ok(()), |why| Err(unsynced(why))),
        Err(failure) => Err(Check::failed("sync", failure, OF_SERVICES)),
    };
    let mut checks = vec![store(agent).await];
    let status = agent.status();
    checks.push(journal(&status));
    checks.push(identity_log(&status));
    checks.push(match synced {
        Ok(()) => Check::ok(
            "sync",
            "this device and the service have told each other all",
        ),
        Err(check) => check,
    });
    checks.push(unacked(&status));
    checks.extend(recovery(agent).await);
    checks
}

/// A recovery that was asked for, which a person must know of.
async fn recovery(agent: &Agent) -> Option<Check> {
    let known = within(SYNC_WITHIN, agent.latest_recovery()).await.ok();
    let known = known.unwrap_or_else(|| agent.recovery());
    if let Some(waits) = known.pending {
        let says = format!(
            "one was asked for, and takes effect at {} UTC",
            utc(waits.effective_ms)
        );
        let fix = "if it was none of you, type `edge-ledger recovery veto` on an admin device";
        return Some(Check::warn("recovery", says, fix));
    }
    let done = known.in_effect?;
    let says = format!(
        "one is in effect since {} UTC, and was not finished; the root keys and backups of before \
         are worthless",
        utc(done.effective_ms)
    );
    let fix = "if it was one of you, type `edge-ledger recover` there again; else whoever asked for \
               it holds the identity";
    Some(Check::warn("recovery", says, fix))
}

/// Reads every entry, which checks it: its record, its hash, and that its signature covers it.
async fn store(agent: &Agent) -> Check {
    match within(REREAD_WITHIN, agent.history()).await {
        Ok(history) => {
            let says = format!(
                "it opens, and all {} postings pass every check",
                history.len()
            );
            Check::ok("store", says)
        }
        Err(error) => Check::failed("store", error.into(), "try again"),
    }
}

fn journal(status: &Status) -> Check {
    if status.rolled_back {
        let says = "this folder is an old copy of the device, so it records nothing";
        let fix = "it gets a new key as soon as the service answers; if that is refused, `edge-ledger \
                   link` on another device and `edge-ledger join CODE --replace` here";
        return Check::fail("journal", says, fix);
    }
    let entries = status.tip.map_or(0, |tip| tip.seq);
    Check::ok(
        "journal",
        format!("{entries} entries, without a gap or a fork"),
    )
}

fn identity_log(status: &Status) -> Check {
    let Some(forked) = &status.forked_log else {
        let mut says = format!(
            "{} statements, and no service contradicts them",
            status.log_position
        );
        if let Some(settled) = &status.settled_fork {
            says.push_str(&format!(
                "; position {} was given twice, which is settled, and proved by {}",
                settled.position,
                settled.file.display()
            ));
        }
        return Check::ok("identity_log", says);
    };
    let says = format!(
        "two receipts for position {} contradict each other, so nothing is linked, renamed or \
         revoked here; what is earned and spent goes on",
        forked.position
    );
    let fix = format!(
        "type `edge-ledger recovery settle` here, with the root keys or with --words, to put the two \
         branches together. Give {} to whoever runs the service: its store was put back, or it lies",
        forked.file.display()
    );
    Check::fail("identity_log", says, fix)
}

fn unsynced(why: &str) -> Check {
    let fix = "see below whether the services can be reached; if all is well there, whoever runs them \
               has to look at their log and store; what is recorded goes up then";
    Check::warn("sync", format!("not now: {why}"), fix)
}

fn unacked(status: &Status) -> Check {
    let (entries, waiting) = (status.unacked_entries(), status.balance.waiting);
    if entries == 0 && waiting == 0 {
        return Check::ok("outbox", "the service has all that this device recorded");
    }
    let mut says = format!("{entries} entries not acked, {waiting} postings waiting");
    if let Some(ms) = status.oldest_unacked_ms {
        says.push_str(&format!(", the oldest for {} s or more", ms / 1_000));
    }
    let fix = "they go up by themselves once the device syncs; until then keep the folder";
    Check::warn("outbox", says, fix)
}
