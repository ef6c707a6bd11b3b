//! `admin export`: what a service keeps, as the lines of an archive.

use bytes::Bytes;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_proto::admin as pb;

use super::Operator;
use super::archive::{Line, Progress, Tally};
use crate::explain::{Failure, output_failed};
use crate::output::Output;

pub(super) async fn run(
    operator: &mut Operator,
    identity: Option<IdentityId>,
    output: &Output,
) -> Result<(), Failure> {
    let identity = identity.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes()));
    let request = operator.long_request(pb::ExportRequest { identity });
    let mut items = match operator.client.export(request).await {
        Ok(items) => items.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let (mut tally, mut progress) = (Tally::default(), Progress::new());
    loop {
        let item = match items.message().await {
            Ok(Some(response)) => response.item,
            Ok(None) => break,
            Err(status) => return Err(broken_off(operator.refused(status).await)),
        };
        let line = item.and_then(Line::of).ok_or_else(|| {
            let message = "the service sent something that this version cannot write down";
            broken_off(Failure::refused("ARCHIVE_NEWER", message))
        })?;
        let text = text(&line)?;
        tally.add(&line, &text);
        output.raw(text).await?;
        if progress.is_due() {
            say(&tally, "so far", output).await;
        }
    }
    output.raw(text(&tally.end())?).await?;
    say(&tally, "exported", output).await;
    Ok(())
}

fn text(line: &Line) -> Result<String, Failure> {
    let text = serde_json::to_string(line).map_err(|error| output_failed(&error.into()))?;
    Ok(text + "\n")
}

/// What was written lacks its end, and is refused where it is imported.
fn broken_off(failure: Failure) -> Failure {
    match failure.next.is_some() {
        true => failure,
        false => {
            failure.next("type it again: what was written is not whole, and cannot be imported")
        }
    }
}

async fn say(tally: &Tally, how: &str, output: &Output) {
    let counts = tally.counts;
    output
        .note(&format!(
            "{how}: {} identities, {} statements, {} entries",
            counts.identities, counts.statements, counts.entries
        ))
        .await;
}
