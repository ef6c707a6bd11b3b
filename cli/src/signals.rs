//! Ctrl-C and SIGTERM: the first asks to end, the second ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::explain::{Exit, Failure};

/// The person, or the system, who wants the process to end.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Listens from here on; until then the first signal ends the process.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::refused("SIGNALS", format!("cannot listen for signals: {error}"))
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Runs what ends a command; a further signal ends the process at once.
    pub(crate) async fn unless_again<T>(&mut self, ending: impl Future<Output = T>) -> T {
        tokio::select! {
            ended = ending => ended,
            () = self.next() => std::process::exit(Exit::Interrupted.code().into()),
        }
    }
}
