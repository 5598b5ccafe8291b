//! How many requests of services are carried out in a second (HT-08), on all loops together.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Moment;
use crate::http::HttpError;

/// A limit that all loops share; what a second allows may come at once.
#[derive(Clone, Debug)]
pub(in crate::endpoints) struct RestRate {
    /// Until when what was carried out would take at the limit, in microseconds.
    busy_until: Arc<AtomicU64>,
    /// What one request takes then; 0 for no limit.
    micros: u64,
}

const SECOND_MICROS: u64 = 1_000_000;

impl RestRate {
    /// So many requests a second.
    pub(in crate::endpoints) fn new(requests_per_second_max: Option<NonZeroU32>) -> Self {
        Self {
            busy_until: Arc::default(),
            micros: requests_per_second_max
                .map_or(0, |limit| SECOND_MICROS / u64::from(limit.get())),
        }
    }

    /// Counts a request that comes at `now`.
    ///
    /// # Errors
    ///
    /// [`HttpError::TooManyRequests`] if it is one too many; it is not counted then.
    pub(in crate::endpoints) fn charge(&self, now: Moment) -> Result<(), HttpError> {
        if self.micros == 0 {
            return Ok(());
        }
        let now = now.as_millis().saturating_mul(1000);
        let with_one_more = |until: u64| {
            let until = until.max(now) + self.micros;
            (until <= now + SECOND_MICROS).then_some(until)
        };
        self.busy_until
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_one_more)
            .map(|_| ())
            .map_err(|_| HttpError::TooManyRequests)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ht_08_a_second_s_worth_may_come_at_once_and_then_one_at_a_time() {
        let rate = RestRate::new(NonZeroU32::new(10));
        let clone = rate.clone();
        let at = |millis: u64| Moment::START + Duration::from_millis(5000 + millis);
        for _ in 0..5 {
            assert_eq!(rate.charge(at(0)), Ok(()));
            assert_eq!(clone.charge(at(0)), Ok(()));
        }
        assert_eq!(rate.charge(at(0)), Err(HttpError::TooManyRequests));
        assert_eq!(rate.charge(at(99)), Err(HttpError::TooManyRequests));
        assert_eq!(clone.charge(at(100)), Ok(()));
        assert_eq!(rate.charge(at(100)), Err(HttpError::TooManyRequests));
        assert_eq!(rate.charge(at(10_000)), Ok(()));
    }

    #[test]
    fn ht_08_without_a_limit_everything_is_carried_out() {
        let rate = RestRate::new(None);
        for _ in 0..1000 {
            assert_eq!(rate.charge(Moment::START), Ok(()));
        }
    }
}
