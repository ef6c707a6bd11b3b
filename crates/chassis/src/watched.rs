//! Files that may be replaced while a service runs: looked at again and again, off the threads of
//! connections.

use tokio_util::sync::CancellationToken;

use crate::limits::{COMPLAIN_LOOKS, RELOAD_EVERY};

/// Looks at files at an interval until it is stopped. `look` says whether others are in use now, or
/// what is wrong: once, and again when it is asked to. What cannot be used is complained of until
/// it is mended.
pub(crate) async fn follow<E, L>(
    stopping: CancellationToken,
    look: L,
    replaced: impl Fn(),
    complain: impl Fn(&[E]),
) where
    E: Send + 'static,
    L: Fn(bool) -> Result<bool, Vec<E>> + Clone + Send + 'static,
{
    let mut every = tokio::time::interval(RELOAD_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    every.tick().await;
    // Looks at files that cannot be used, since they were complained of.
    let mut bad: Option<u32> = None;
    while stopping.run_until_cancelled(every.tick()).await.is_some() {
        let look = look.clone();
        let again = bad.is_some_and(|looks| looks + 1 >= COMPLAIN_LOOKS);
        // Files may lie on a disk that does not answer.
        let looked = tokio::task::spawn_blocking(move || look(again)).await;
        bad = match looked {
            Ok(Ok(true)) => {
                replaced();
                None
            }
            Ok(Ok(false)) => bad.map(|looks| looks + 1),
            Ok(Err(errors)) => {
                complain(&errors);
                Some(0)
            }
            Err(error) => {
                tracing::error!(%error, "reading files again failed");
                bad
            }
        };
    }
}
