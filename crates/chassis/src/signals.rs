//! Ctrl-C and SIGTERM: the first asks to end, the second ends at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The person, or the system, who wants the process to end.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from here on; until then the first signal ends the process.
    ///
    /// # Errors
    /// When the system does not let it listen.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Runs what ends a process; none if a further signal came before it was through.
    pub async fn unless_again<T>(&mut self, ending: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            ended = ending => Some(ended),
            () = self.next() => None,
        }
    }
}
