//! What is said on the socket, a line of JSON each: one request, then answers until the last. Where
//! an answer asks for a line that a person types, the asker sends that in between.

use futures::SinkExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{FramedRead, FramedWrite, LinesCodec, LinesCodecError};

use crate::args::UseCommand;
use crate::device::doctor::Check;
use crate::explain::Explanation;
use crate::limits::LINE_BYTES_MAX;
use crate::output::{Line, Look, Say};

/// Of what is said here. Both ends are this program, so there is nothing to negotiate.
pub(super) const VERSION: u32 = 4;

/// The head of a request, which every version can read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u32,
}

/// What somebody asks of the agent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) version: u32,
    pub(super) job: Job,
    /// The home folder as it was typed, to be shown.
    pub(super) home: String,
    /// The addresses that were typed, which must be the agent's.
    #[serde(default)]
    pub(super) identity_urls: Vec<String>,
    #[serde(default)]
    pub(super) ledger_urls: Vec<String>,
}

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Job {
    /// A command, and how it prints.
    Perform { command: UseCommand, look: Look },
    /// The doctor's look at the device.
    Check,
}

/// What was typed, after the agent asked for it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Typed {
    pub(super) line: Line,
}

/// What the agent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It is on it.
    Taken,
    /// The command said something.
    Said(Say),
    /// What the doctor saw; the last answer.
    Checks(Vec<Check>),
    /// It is done; the last answer.
    Done,
    /// It failed; the last answer.
    Failed(Explanation),
}

pub(super) type Reader<R> = FramedRead<R, LinesCodec>;
pub(super) type Writer<W> = FramedWrite<W, LinesCodec>;

pub(super) fn split<R: AsyncRead, W: AsyncWrite>(reads: R, writes: W) -> (Reader<R>, Writer<W>) {
    let lines = || LinesCodec::new_with_max_length(LINE_BYTES_MAX);
    (
        FramedRead::new(reads, lines()),
        FramedWrite::new(writes, lines()),
    )
}

/// Sends a message on a line of its own.
pub(super) async fn send<W: AsyncWrite + Unpin>(
    writer: &mut Writer<W>,
    message: &impl Serialize,
) -> Result<(), LinesCodecError> {
    let line = serde_json::to_string(message).map_err(std::io::Error::from)?;
    writer.send(line).await
}

/// Reads a message from a line.
pub(super) fn read<T: DeserializeOwned>(line: &str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| error.to_string())
}
