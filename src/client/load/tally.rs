//! What is counted of a load, and what is told of it.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::peer::End;

/// Longest latency that is told apart; longer ones count as this.
const LATENCY_NANOS_MAX: u64 = 3_600_000_000_000;
/// Digits to which latencies are exact.
const LATENCY_DIGITS: u8 = 3;

/// How far a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadProgress {
    /// Connections that stand.
    pub open_count: usize,
    /// For how long messages have been sent; zero before the first.
    pub elapsed: Duration,
    /// Messages that came back, or connections that were opened.
    pub received: u64,
    /// What went wrong: see [`LoadReport::error_count`].
    pub error_count: u64,
}

/// What came of a load.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadReport {
    /// For how long messages were sent.
    pub elapsed: Duration,
    /// Messages that were sent, or connections that were begun.
    pub sent: u64,
    /// Messages that came back, each as it was sent; or connections that were opened.
    pub received: u64,
    /// Bytes of the payloads that were sent.
    pub bytes_out: u64,
    /// Bytes of the payloads that came back.
    pub bytes_in: u64,
    /// Messages that did not come back, once for each receiver; or connections that did not open.
    pub lost: u64,
    /// Messages that came and were not sent, not so, or not now.
    pub unexpected: u64,
    /// Connections that ended before their time.
    pub ended: u64,
    /// Messages that were due and could not be sent in time: the rate is more than the server, or this generator, bears.
    pub behind: u64,
    /// The first thing that went wrong, in words.
    pub first_error: Option<String>,
    latencies: Histogram<u64>,
}

impl LoadReport {
    pub(super) fn new() -> Self {
        Self {
            elapsed: Duration::ZERO,
            sent: 0,
            received: 0,
            bytes_out: 0,
            bytes_in: 0,
            lost: 0,
            unexpected: 0,
            ended: 0,
            behind: 0,
            first_error: None,
            latencies: Histogram::new_with_max(LATENCY_NANOS_MAX, LATENCY_DIGITS)
                .expect("bounds that a histogram can have"),
        }
    }

    /// What went wrong, all kinds together.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.lost + self.unexpected + self.ended
    }

    /// How many came back in a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        per_second(self.received, self.elapsed)
    }

    /// The latency that this share of all, from 0 to 1, did not exceed; `None` if there was none.
    #[must_use]
    pub fn latency(&self, share: f64) -> Option<Duration> {
        (!self.latencies.is_empty())
            .then(|| Duration::from_nanos(self.latencies.value_at_quantile(share)))
    }

    /// The mean of all latencies; `None` if there was none.
    #[must_use]
    pub fn latency_mean(&self) -> Option<Duration> {
        (!self.latencies.is_empty())
            .then(|| Duration::from_secs_f64(self.latencies.mean() / 1_000_000_000.0))
    }

    pub(super) fn on_latency(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(nanos);
    }

    /// Remembers why a connection ended, if that is the first thing that went wrong.
    pub(super) fn on_end(&mut self, end: &End) {
        let text = match end {
            End::Done => return,
            End::Closed(ending) => format!("closed by the server: {ending}"),
            End::Failed(error) => error.to_string(),
        };
        self.first_error.get_or_insert(text);
    }
}

/// How many in a second.
#[expect(clippy::cast_precision_loss, reason = "a rate is told to a few digits")]
pub(super) fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() {
        return 0.0;
    }
    count as f64 / elapsed.as_secs_f64()
}
