//! What is measured of a load, and how it is told.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::peer::http;

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

/// What a server has counted, as `/metrics` says.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(String);

impl Metrics {
    /// Asks for them.
    pub(crate) fn of(addr: SocketAddr) -> Self {
        let (_, response) = http(addr, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(response.status, 200);
        Self(String::from_utf8(response.body).expect("text"))
    }

    /// What is counted, without how much.
    pub(crate) fn names(&self) -> Vec<String> {
        let samples = self.0.lines().filter(|line| !line.starts_with('#'));
        let name = |sample: &str| sample.rsplit_once(' ').map(|(name, _)| name.to_owned());
        samples.filter_map(name).collect()
    }

    /// The sum of all samples whose name and labels begin like this, behind `switchboard_`.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        let samples = self.0.lines().filter_map(|line| {
            let sample = line.strip_prefix("switchboard_")?.strip_prefix(name)?;
            sample.rsplit(' ').next()?.parse::<u64>().ok()
        });
        samples.sum()
    }
}
