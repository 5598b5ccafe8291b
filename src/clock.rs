//! Time as everything below the server knows it: a value that is passed in.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time, in whole milliseconds since the clock of the server was started.
///
/// Half the size of an `Instant`, which counts when every idle connection keeps a few, and as easily made up in a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// When the clock was started.
    pub const START: Self = Self(0);
    /// Later than every other moment: the deadline of what has none.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment that is `elapsed` after the start; a begun millisecond does not count.
    #[must_use]
    pub fn after_start(elapsed: Duration) -> Self {
        Self(whole_millis(elapsed))
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Ends at [`Moment::NEVER`] instead of overflowing.
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(later)))
    }
}

impl Sub for Moment {
    type Output = Duration;

    /// The time from `earlier` to `self`, zero if `earlier` is the later one.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let second = Duration::from_secs(1);
        assert_eq!((Moment::START + second).as_millis(), 1000);
        assert_eq!(Moment::NEVER + second, Moment::NEVER);
        assert_eq!(Moment::START - (Moment::START + second), Duration::ZERO);
        assert_eq!((Moment::START + second) - Moment::START, second);
        assert_eq!(Moment::START + Duration::MAX, Moment::NEVER);
    }
}
