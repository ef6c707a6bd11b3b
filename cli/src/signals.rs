//! Ctrl-C and SIGTERM: the first asks to end, the second ends at once.

use edge_ledger_chassis::Signals;

use crate::explain::{Exit, Failure};

/// The person, or the system, who wants the process to end.
#[derive(Debug)]
pub(crate) struct Interrupts(Signals);

impl Interrupts {
    /// Listens from here on; until then the first signal ends the process.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let signals = Signals::listen().map_err(|error| {
            Failure::refused("SIGNALS", format!("cannot listen for signals: {error}"))
        })?;
        Ok(Self(signals))
    }

    /// Waits for a signal.
    pub(crate) async fn next(&mut self) {
        self.0.next().await;
    }

    /// Runs what ends a command; a further signal ends the process at once.
    pub(crate) async fn unless_again<T>(&mut self, ending: impl Future<Output = T>) -> T {
        match self.0.unless_again(ending).await {
            Some(ended) => ended,
            None => std::process::exit(Exit::Interrupted.code().into()),
        }
    }
}

/// Runs what may be dropped anywhere, unless the person interrupts.
pub(crate) async fn unless_interrupted<T, E>(
    act: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure>
where
    Failure: From<E>,
{
    let mut interrupts = Interrupts::listen()?;
    tokio::select! {
        done = act => Ok(done?),
        () = interrupts.next() => Err(Failure::interrupted()),
    }
}
