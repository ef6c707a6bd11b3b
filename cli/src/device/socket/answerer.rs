//! The agent's end of its socket: one task per command, so that none waits for another.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use device_agent::Agent;
use edge_ledger_chassis::Tasks;
use futures::StreamExt as _;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::door::Door;
use super::wire::{self, Answer, Head, Job, Reader, Request, VERSION, Writer};
use crate::device::open::socket;
use crate::device::{self, doctor, perform};
use crate::explain::{Exit, Failure};
use crate::limits::{
    ACCEPT_AGAIN_AFTER, ASKERS_MAX, LEAVE_WITHIN, LINES_WAITING_MAX, PIECES_WAITING_MAX,
    READ_WITHIN, TAKEN_WITHIN,
};
use crate::output::{Line, Output, Say};

/// The socket of an agent, which goes with it.
#[derive(Debug)]
pub(in crate::device) struct Socket {
    path: PathBuf,
    tasks: Tasks,
}

/// What all commands of an agent share.
struct Shared {
    agent: Agent,
    room: Arc<Semaphore>,
}

impl Socket {
    /// Listens in a home folder that the agent holds, so what is there was left by a dead one.
    pub(in crate::device) fn listen(home: &Path, agent: &Agent) -> Result<Self, Failure> {
        let path = socket(home);
        let unusable = |error: io::Error| unusable(&path, &error);
        fs::set_permissions(home, Permissions::from_mode(0o700)).map_err(unusable)?;
        take_over(&path).map_err(unusable)?;
        let listener = UnixListener::bind(&path).map_err(unusable)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(unusable)?;
        let owner = fs::metadata(&path).map_err(unusable)?.uid();
        let door = Door::new(listener, owner);
        let shared = Arc::new(Shared {
            agent: agent.clone(),
            room: Arc::new(Semaphore::new(ASKERS_MAX)),
        });
        let tasks = Tasks::new();
        tasks.spawn(accept(door, shared, tasks.clone()));
        Ok(Self { path, tasks })
    }

    pub(in crate::device) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes no more commands.
    pub(in crate::device) fn close(&self) {
        // Who comes now finds no agent, rather than one that does not answer.
        let _ = fs::remove_file(&self.path);
        self.tasks.stopping().cancel();
    }

    /// Waits until those who asked have heard the end.
    pub(in crate::device) async fn leave(self) {
        self.tasks.shutdown(LEAVE_WITHIN).await;
    }
}

/// Makes room for the socket: what a killed agent left goes, anything else is somebody's.
fn take_over(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(ErrorKind::AlreadyExists, "it is no socket")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot listen on {}: {error}", path.display());
    Failure::refused("AGENT_SOCKET", message)
        .next("give a folder of your own, with a path below 100 bytes, with --home DIR")
}

async fn accept(door: Door, shared: Arc<Shared>, tasks: Tasks) {
    let stopping = tasks.stopping();
    while let Some(accepted) = stopping.run_until_cancelled(door.next()).await {
        match accepted {
            Ok(None) => tracing::warn!("another user tried to use the device"),
            Ok(Some(stream)) => {
                let room = shared.room.clone().try_acquire_owned().ok();
                tasks.spawn(answer(stream, room, shared.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a command could not connect");
                sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

/// Answers one command, to its end or until the asker leaves.
async fn answer(
    stream: UnixStream,
    room: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared>,
) -> Option<()> {
    let (reads, writes) = stream.into_split();
    let (reads, writes) = wire::split(reads, writes);
    let mut asker = Asker { reads, writes };
    if room.is_none() {
        return asker.tell(&failed(busy())).await;
    }
    let line = timeout(TAKEN_WITHIN, asker.reads.next()).await;
    let line = line.ok()??.ok()?;
    let last = match understood(&line, &shared) {
        Ok(request) => {
            asker.tell(&Answer::Taken).await?;
            asker.serve(request, &shared).await?
        }
        Err(failure) => failed(failure),
    };
    asker.tell(&last).await
}

/// Who asked, for one command. What it does returns none once the asker is gone.
struct Asker {
    reads: Reader<OwnedReadHalf>,
    writes: Writer<OwnedWriteHalf>,
}

impl Asker {
    async fn tell(&mut self, answer: &Answer) -> Option<()> {
        let told = timeout(READ_WITHIN, wire::send(&mut self.writes, answer)).await;
        told.ok()?.ok()
    }

    /// Carries out what was asked. An asker that leaves drops it where it waits: what was asked
    /// of the device by then is done by the device, whole.
    async fn serve(&mut self, request: Request, shared: &Shared) -> Option<Answer> {
        let (says, mut said) = mpsc::channel(PIECES_WAITING_MAX);
        let (types, typed) = mpsc::channel(LINES_WAITING_MAX);
        let mut work = std::pin::pin!(carry_out(request, shared, says, typed));
        let last = loop {
            tokio::select! {
                biased;
                Some(say) = said.recv() => self.tell(&Answer::Said(say)).await?,
                // Anything but what was typed is its end.
                line = self.reads.next() => {
                    let typed: wire::Typed = wire::read(&line?.ok()?).ok()?;
                    types.try_send(typed.line).ok()?;
                }
                last = &mut work => break last,
            }
        };
        while let Ok(say) = said.try_recv() {
            self.tell(&Answer::Said(say)).await?;
        }
        Some(last.unwrap_or_else(failed))
    }
}

fn failed(failure: Failure) -> Answer {
    Answer::Failed(failure.into_explanation())
}

fn understood(line: &str, shared: &Shared) -> Result<Request, Failure> {
    let head: Head = wire::read(line).map_err(misunderstood)?;
    if head.version != VERSION {
        return Err(misunderstood(format!(
            "it speaks version {VERSION}, not {}",
            head.version
        )));
    }
    let request: Request = wire::read(line).map_err(misunderstood)?;
    let (identity_urls, ledger_urls) = shared.agent.addresses();
    for (option, typed, used) in [
        ("--identity-url", &request.identity_urls, identity_urls),
        ("--ledger-url", &request.ledger_urls, ledger_urls),
    ] {
        if !typed.is_empty() && !typed.iter().eq(used.iter()) {
            let typed = typed.join(",");
            let message = format!("the running agent uses {used}, not {typed}");
            return Err(Failure::new(Exit::Temporary, "HOME_IN_USE", message)
                .next(format!("leave {option} away, or start the agent with it")));
        }
    }
    Ok(request)
}

fn misunderstood(why: String) -> Failure {
    let message = format!("the running agent is of another version: {why}");
    Failure::refused("AGENT_VERSION", message).next("end `edge-ledger agent` and start it anew")
}

fn busy() -> Failure {
    let message = format!("the running agent serves {ASKERS_MAX} commands already");
    Failure::new(Exit::Temporary, "AGENT_BUSY", message)
        .next("end one of them, such as `edge-ledger watch`, or wait")
}

/// Carries out what was asked, and returns the last answer.
async fn carry_out(
    request: Request,
    shared: &Shared,
    says: mpsc::Sender<Say>,
    typed: mpsc::Receiver<Line>,
) -> Result<Answer, Failure> {
    match request.job {
        Job::Perform { command, look } => {
            let output = Output::to_asker(look, says, typed);
            let on = device::Site {
                agent: &shared.agent,
                home: Path::new(&request.home),
                events: shared.agent.events(),
            };
            perform(command, on, &output).await?;
            Ok(Answer::Done)
        }
        Job::Check => Ok(Answer::Checks(doctor::device::checks(&shared.agent).await)),
    }
}
