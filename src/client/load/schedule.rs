//! When messages are due, if the clock decides.

use std::time::{Duration, Instant};

/// The resolution of the poll's timeouts: whoever has to be more punctual stays awake.
const NAP_MIN: Duration = Duration::from_millis(1);

/// Even times from a beginning on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    begin: Instant,
    per_second: f64,
    /// How many were taken.
    taken: u64,
}

impl Schedule {
    pub(super) fn new(begin: Instant, per_second: f64) -> Self {
        Self {
            begin,
            per_second,
            taken: 0,
        }
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Instant {
        #[expect(clippy::cast_precision_loss, reason = "2^53 messages are enough")]
        let seconds = self.taken as f64 / self.per_second;
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        // What is never due is due when nobody waits any more.
        self.begin
            .checked_add(wait)
            .unwrap_or(self.begin + Duration::from_secs(1 << 32))
    }

    /// The next one was sent.
    pub(super) fn advance(&mut self) {
        self.taken += 1;
    }

    /// How long to sleep until the next one is due: whole milliseconds, and not at all for less than one.
    pub(super) fn nap(&self, now: Instant) -> Duration {
        let left = self.next_due().saturating_duration_since(now);
        if left < NAP_MIN {
            return Duration::ZERO;
        }
        Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
    }

    /// How many are due before `end` and were not taken.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates; times and rates are positive"
    )]
    pub(super) fn behind(&self, end: Instant) -> u64 {
        let seconds = end.saturating_duration_since(self.begin).as_secs_f64();
        ((seconds * self.per_second).ceil() as u64).saturating_sub(self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_even_and_do_not_drift() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, 400.0);
        assert_eq!(schedule.next_due(), begin);
        assert_eq!(schedule.nap(begin), Duration::ZERO);
        for _ in 0..1_000_000 {
            schedule.advance();
        }
        assert_eq!(schedule.next_due(), begin + Duration::from_secs(2500));
        let at = |millis| begin + Duration::from_millis(millis);
        assert_eq!(schedule.nap(at(2_499_990)), Duration::from_millis(10));
        assert_eq!(
            schedule.nap(at(2_499_999) + Duration::from_micros(1)),
            Duration::ZERO
        );
        assert_eq!(schedule.nap(at(2_600_000)), Duration::ZERO);
        assert_eq!(schedule.behind(at(2_500_000)), 0);
        assert_eq!(schedule.behind(at(2_501_000)), 400);
    }
}
