//! How long an entry takes from the call on one device to the balance on the other.

use std::time::Duration;

use device_agent::{Details, Event};
use serde::Serialize;
use tokio::time::Instant;

use super::devices::Devices;
use crate::explain::Failure;

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
    for _ in 0..entries {
        expected += 1;
        let called = Instant::now();
        devices.first.earn(1, Details::default()).await?;
        loop {
            match events.next().await {
                Some(Event::EntriesKept { balance, .. }) if balance == expected => break,
                Some(_) => {}
                None => return Err(Failure::refused("DEMO", "the second device stopped")),
            }
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
