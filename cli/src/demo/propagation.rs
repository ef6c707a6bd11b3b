//! How long an entry takes from the call on one device to the balance on the other.

use std::time::Duration;

use device_agent::{Details, Event, Events};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::devices::Devices;
use crate::explain::Failure;

/// No entry takes longer.
const ENTRY_WITHIN: Duration = Duration::from_secs(5);

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Propagation {
    pub(super) p50: f64,
    pub(super) p99: f64,
    #[serde(skip)]
    pub(super) entries: usize,
}

/// Earns on the first device, again as soon as the second has heard of the last.
pub(super) async fn measure(devices: &Devices, entries: usize) -> Result<Propagation, Failure> {
    let mut events = devices.second.events();
    let mut expected = devices.second.balance().balance;
    let mut times = Vec::with_capacity(entries);
    for entry in 1..=entries {
        expected += 1;
        let called = Instant::now();
        devices.first.earn(1, Details::default()).await?;
        let heard = timeout(ENTRY_WITHIN, hear(&mut events, expected)).await;
        if !heard.is_ok_and(|heard| heard) {
            let seconds = ENTRY_WITHIN.as_secs();
            let message = format!("entry {entry} did not reach the second device in {seconds} s");
            return Err(Failure::refused("DEMO", message));
        }
        times.push(called.elapsed());
    }
    times.sort_unstable();
    Ok(Propagation {
        p50: percentile_ms(&times, 50),
        p99: percentile_ms(&times, 99),
        entries,
    })
}

/// Waits until a device hears of a balance; false when it stops before.
async fn hear(events: &mut Events, expected: i128) -> bool {
    while let Some(event) = events.next().await {
        if matches!(event, Event::EntriesKept { balance, .. } if balance == expected) {
            return true;
        }
    }
    false
}

/// The smallest time that so many percent of sorted times do not pass, in ms with two decimals.
fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    let time = sorted.get(rank).copied().unwrap_or_default();
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert!((percentile_ms(&times, 50) - 100.0).abs() < 1e-9);
        assert!((percentile_ms(&times, 99) - 198.0).abs() < 1e-9);
        assert!((percentile_ms(&[Duration::from_micros(1_234)], 99) - 1.23).abs() < 1e-9);
        assert!(percentile_ms(&[], 50).abs() < 1e-9);
    }
}
