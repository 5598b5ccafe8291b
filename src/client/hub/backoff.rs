//! Whether to try again to connect, and how long to wait before.

use std::time::Duration;

use crate::client::ClientError;

/// Exponential growth with full jitter: any time up to a bound that doubles, so that the clients of a server that comes
/// back do not all come back at once.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    /// Waits up to `first` before the second try, up to twice that before the third, and never longer than `longest`.
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            tries: 0,
        }
    }

    /// The next wait.
    ///
    /// # Panics
    ///
    /// If the system has no source of random numbers.
    pub(super) fn next_wait(&mut self) -> Duration {
        self.wait_for(getrandom::u32().expect("the system has a source of random numbers"))
    }

    /// The next wait, given a random number.
    fn wait_for(&mut self, random: u32) -> Duration {
        let bound = self
            .first
            .saturating_mul(1 << self.tries.min(16))
            .min(self.longest);
        self.tries = self.tries.saturating_add(1);
        bound.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// The connection stands: the next loss is a first one.
    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }
}

/// Whether the server may think otherwise after a while.
pub(super) fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
        ClientError::Resolve(..)
        | ClientError::Connect(..)
        | ClientError::DialTimeout
        | ClientError::Lost
        | ClientError::Io(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest_and_begins_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(500));
        let bounds = [(); 5].map(|()| backoff.wait_for(u32::MAX).as_millis());
        assert_eq!(bounds, [100, 200, 400, 500, 500]);
        backoff.reset();
        assert_eq!(backoff.wait_for(u32::MAX / 2).as_millis(), 50);
        assert_eq!(backoff.wait_for(0), Duration::ZERO);
        for _ in 0..100 {
            assert!(backoff.wait_for(u32::MAX) <= Duration::from_millis(500));
        }
    }
}
