//! What is measured of a load, and how it is told.

use std::fmt;
use std::time::Duration;

/// How long each of many things took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds one.
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// Adds those of another measurement.
    pub(crate) fn extend(&mut self, others: &Self) {
        self.0.extend_from_slice(&others.0);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// What so many of a thousand did not exceed; 1,000 is the longest.
    pub(crate) fn per_mille(&self, count: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * count).div_ceil(1000);
        sorted[rank.max(1) - 1]
    }

    /// What 99 of a hundred did not exceed.
    pub(crate) fn p99(&self) -> Duration {
        self.per_mille(990)
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [500, 990, 1000].map(|count| self.per_mille(count).as_micros());
        let count = self.count();
        write!(f, "p50 {p50} µs, p99 {p99} µs, max {max} µs of {count}")
    }
}

/// The middle one of some durations, or the longer one of the two in the middle.
pub(crate) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}
