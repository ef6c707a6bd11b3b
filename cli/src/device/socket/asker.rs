//! The end of a command that goes through a running agent.

use std::io::{self, ErrorKind};
use std::path::Path;

use device_agent::EventKey;
use futures::StreamExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::codec::LinesCodecError;

use super::wire::{self, Answer, Job, Reader, Request, Typed, VERSION, Writer};
use crate::args::{Global, UseCommand};
use crate::device::doctor::Check;
use crate::device::open::socket;
use crate::explain::{Exit, Failure};
use crate::limits::TAKEN_WITHIN;
use crate::output::{Line, Output, Say};

/// The agent that holds a home folder, for one command.
pub(in crate::device) struct Running {
    reads: Reader<OwnedReadHalf>,
    writes: Writer<OwnedWriteHalf>,
    home: String,
    identity_urls: Vec<String>,
    ledger_urls: Vec<String>,
}

impl Running {
    /// Connects to the agent that holds a home folder, if one does.
    pub(in crate::device) async fn find(
        home: &Path,
        global: &Global,
    ) -> Result<Option<Self>, Failure> {
        let stream = match UnixStream::connect(socket(home)).await {
            Ok(stream) => stream,
            Err(error) => return none(&error).map_or(Ok(None), Err),
        };
        let (reads, writes) = stream.into_split();
        let (reads, writes) = wire::split(reads, writes);
        Ok(Some(Self {
            reads,
            writes,
            home: home.display().to_string(),
            identity_urls: global.identity_url.clone(),
            ledger_urls: global.ledger_url.clone(),
        }))
    }

    /// Has a command carried out, and prints what it says.
    pub(in crate::device) async fn perform(
        &mut self,
        mut command: UseCommand,
        output: &Output,
    ) -> Result<(), Failure> {
        // Chosen here, so that it is known also when the agent is killed in the middle.
        let key = event_key(&mut command)?;
        let ended = || match &key {
            Some(key) => gone()
                .with("event_key", key.clone())
                .next(format!("type it again with --key {key}: a key counts once")),
            None => gone(),
        };
        let look = output.look();
        self.ask(Job::Perform { command, look }).await?;
        let mut typed = None;
        loop {
            let answer = tokio::select! {
                answer = self.reads.next() => understood(answer)?,
                line = line(&mut typed) => {
                    // One that ended meanwhile may have said why.
                    let _ = wire::send(&mut self.writes, &Typed { line }).await;
                    continue;
                }
            };
            match answer.ok_or_else(&ended)? {
                Answer::Taken => {}
                Answer::Said(Say::Ask(prompt)) => typed = Some(output.typed(&prompt)),
                Answer::Said(say) => {
                    output.relay(&say)?;
                    if let Say::Keep { .. } = say {
                        let line = Some(String::new());
                        let _ = wire::send(&mut self.writes, &Typed { line }).await;
                    }
                }
                Answer::Done => return Ok(()),
                Answer::Failed(explanation) => return Err(explanation.into()),
                Answer::Checks(_) => return Err(nonsense("checks were not asked for")),
            }
        }
    }

    /// Has the device looked after.
    pub(in crate::device) async fn check(&mut self) -> Result<Vec<Check>, Failure> {
        self.ask(Job::Check).await?;
        loop {
            match self.next().await?.ok_or_else(gone)? {
                Answer::Taken => {}
                Answer::Checks(checks) => return Ok(checks),
                Answer::Failed(explanation) => return Err(explanation.into()),
                Answer::Said(_) | Answer::Done => return Err(nonsense("there are no checks")),
            }
        }
    }

    /// Asks, and waits until it is taken on.
    async fn ask(&mut self, job: Job) -> Result<(), Failure> {
        let request = Request {
            version: VERSION,
            job,
            home: self.home.clone(),
            identity_urls: self.identity_urls.clone(),
            ledger_urls: self.ledger_urls.clone(),
        };
        let taken = async {
            // One that ended meanwhile may have said why.
            let _ = wire::send(&mut self.writes, &request).await;
            self.next().await
        };
        match timeout(TAKEN_WITHIN, taken).await {
            Ok(Ok(Some(Answer::Taken))) => Ok(()),
            Ok(Ok(Some(Answer::Failed(explanation)))) => Err(explanation.into()),
            Ok(Ok(Some(_))) => Err(nonsense("it answers before it took the command")),
            Ok(Ok(None)) => Err(not_taken("it ended")),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(silent()),
        }
    }

    /// The next answer; none when the agent is gone.
    async fn next(&mut self) -> Result<Option<Answer>, Failure> {
        understood(self.reads.next().await)
    }
}

/// An answer, or none when the agent is gone.
fn understood(line: Option<Result<String, LinesCodecError>>) -> Result<Option<Answer>, Failure> {
    match line {
        Some(Ok(line)) => wire::read(&line).map(Some).map_err(nonsense),
        Some(Err(LinesCodecError::MaxLineLengthExceeded)) => Err(nonsense("its line is too long")),
        Some(Err(LinesCodecError::Io(_))) | None => Ok(None),
    }
}

/// Waits for the line that was asked for, once; for ever when none was.
async fn line(typed: &mut Option<oneshot::Receiver<Line>>) -> Line {
    let Some(typing) = typed else {
        return std::future::pending().await;
    };
    let line = typing.await.ok().flatten();
    *typed = None;
    line
}

/// What it means that nobody could be connected to: no agent, unless one is too busy.
fn none(error: &io::Error) -> Option<Failure> {
    (error.kind() == ErrorKind::WouldBlock).then(silent)
}

/// The key under which a command records, made here if none was given.
fn event_key(command: &mut UseCommand) -> Result<Option<String>, Failure> {
    let (UseCommand::Earn(posted) | UseCommand::Spend(posted)) = command else {
        return Ok(None);
    };
    if posted.key.is_none() {
        let fresh = EventKey::new(uuid::Uuid::now_v7().as_bytes().to_vec());
        let fresh = fresh.map_err(|error| nonsense(error.to_string()))?;
        posted.key = Some(fresh.to_string());
    }
    Ok(posted.key.clone())
}

fn gone() -> Failure {
    let message = "the running agent ended in the middle; what it had begun may be done or not";
    Failure::new(Exit::Temporary, "AGENT_GONE", message).next("type it again")
}

fn not_taken(why: &str) -> Failure {
    let message = format!("the running agent did not take the command: {why}");
    Failure::new(Exit::Temporary, "AGENT_GONE", message).next("type it again")
}

fn silent() -> Failure {
    let seconds = TAKEN_WITHIN.as_secs();
    let message = format!("the running agent did not answer within {seconds} s");
    Failure::new(Exit::Temporary, "AGENT_SILENT", message)
        .next("try again, or end `edge-ledger agent` and start it anew")
}

fn nonsense(why: impl Into<String>) -> Failure {
    let message = format!("the running agent cannot be understood: {}", why.into());
    Failure::refused("AGENT_VERSION", message).next("end `edge-ledger agent` and start it anew")
}
