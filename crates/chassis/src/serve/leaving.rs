//! When a connection shall end: the process stops, or it is old.

use std::time::Duration;

use http::Extensions;
use tokio_util::sync::CancellationToken;

/// How far the age at which a connection ends strays from the mean, so that those that were opened
/// together do not come back together.
const AGE_JITTER: f64 = 0.1;

/// Tells a call that its connection shall end, in each request's extensions: a stream says
/// farewell then, and what is left after a grace is cut off.
#[derive(Debug, Clone)]
pub struct Leaving(pub(super) CancellationToken);

impl Leaving {
    /// What a request's connection says of it. Never told to a request without a connection.
    pub fn of(extensions: &Extensions) -> CancellationToken {
        let leaving = extensions.get::<Self>();
        leaving.map_or_else(CancellationToken::new, |Self(token)| token.clone())
    }
}

/// The age at which a connection ends; `chance` is between 0 and 1.
pub(super) fn age(mean: Duration, chance: f64) -> Duration {
    mean.mul_f64(1.0 - AGE_JITTER + 2.0 * AGE_JITTER * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_stray_by_a_tenth_at_most() {
        let mean = Duration::from_secs(1_800);
        let ages = [0.0, 0.5, 1.0].map(|chance| age(mean, chance).as_secs_f64().round());
        assert_eq!(ages, [1_620.0, 1_800.0, 1_980.0]);
    }
}
