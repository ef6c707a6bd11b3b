//! `admin import`: an archive, into the store of a service.
//!
//! The whole file is read and checked first. What is no file, such as a pipe, is kept in a temporary
//! file meanwhile.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Seek as _};
use std::os::fd::AsFd as _;

use edge_ledger_proto::admin as pb;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Operator;
use super::archive::{Checked, Progress, check, next_line, parse};
use crate::explain::Failure;
use crate::limits::ARCHIVE_LINES_WAITING_MAX;
use crate::output::Output;

/// What is in the store now.
#[derive(Debug, Serialize)]
struct Imported {
    identities: u64,
    statements: u64,
    entries: u64,
    /// Statements that were not there before.
    new_statements: u64,
    /// Entries that were not there before.
    new_entries: u64,
    /// Entries that a later revocation there has cut off.
    cut_off: u64,
}

pub(super) async fn run(operator: &mut Operator, output: &Output) -> Result<(), Failure> {
    let opened = tokio::task::spawn_blocking(open).await;
    let (file, checked) = opened.map_err(|_| Failure::interrupted())??;
    let (lines, requests) = mpsc::channel(ARCHIVE_LINES_WAITING_MAX);
    let reading = tokio::task::spawn_blocking(move || read(file, checked, &lines));
    let request = operator.long_request(ReceiverStream::new(requests));
    let mut told = match operator.client.import(request).await {
        Ok(told) => told.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let (mut last, mut progress) = (pb::ImportResponse::default(), Progress::new());
    loop {
        match told.message().await {
            Ok(Some(response)) => last = response,
            Ok(None) => break,
            Err(status) => return Err(stopped(operator.refused(status).await, &last)),
        }
        if progress.is_due() {
            let (items, lines) = (last.items, checked.lines);
            output.note(&format!("line {items} of {lines}")).await;
        }
    }
    let read = reading.await;
    read.map_err(|_| Failure::interrupted())??;
    if last.items != checked.lines {
        let message = "the service did not take in all of it";
        return Err(stopped(Failure::refused("ARCHIVE_UNREAD", message), &last));
    }
    let counts = checked.counts;
    output
        .print(&Imported {
            identities: counts.identities,
            statements: counts.statements,
            entries: counts.entries,
            new_statements: last.statements,
            new_entries: last.entries,
            cut_off: last.cut_off,
        })
        .await
}

/// Standard input as a file at its beginning, whole.
fn open() -> Result<(File, Checked), Failure> {
    let unread = |error: io::Error| {
        Failure::refused("ARCHIVE_IO", format!("the archive cannot be read: {error}"))
            .next("give it as standard input: edge-ledger admin import < FILE")
    };
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(unread)?;
    let mut file = File::from(stdin);
    if file.rewind().is_err() {
        let mut kept = tempfile::tempfile().map_err(unread)?;
        io::copy(&mut file, &mut kept).map_err(unread)?;
        file = kept;
        file.rewind().map_err(unread)?;
    }
    let checked = check(&mut BufReader::new(&file))?;
    file.rewind().map_err(unread)?;
    Ok((file, checked))
}

/// Sends the lines of a file that was checked, as fast as they are taken.
fn read(
    file: File,
    checked: Checked,
    lines: &mpsc::Sender<pb::ImportRequest>,
) -> Result<(), Failure> {
    let mut file = BufReader::new(file);
    for number in 1..=checked.lines {
        let Some(text) = next_line(&mut file, number)? else {
            break;
        };
        let item = parse(&text, number)?.into_item();
        if lines.blocking_send(pb::ImportRequest { item }).is_err() {
            // The service says why it takes no more.
            break;
        }
    }
    Ok(())
}

/// Says how far it came.
fn stopped(failure: Failure, last: &pb::ImportResponse) -> Failure {
    let next = format!(
        "{} identities are there whole; mend what is said, and import the same file again: what is \
         there already changes nothing",
        last.identities
    );
    failure.with("identities", last.identities).next(next)
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Imported {} identities.", self.identities)?;
        writeln!(
            f,
            "  statements  {}, of which {} are new",
            self.statements, self.new_statements
        )?;
        write!(
            f,
            "  entries     {}, of which {} are new",
            self.entries, self.new_entries
        )?;
        if self.cut_off > 0 {
            write!(
                f,
                "\n  cut off     {} by a later revocation there",
                self.cut_off
            )?;
        }
        Ok(())
    }
}
