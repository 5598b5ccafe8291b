//! How often somebody may fail to log in (AC-09), on all loops together.
//!
//! Each failure is a debt that time pays off, at the limit per minute; whoever owes a minute gets no further attempt. The
//! table has a fixed number of places and no lock. An address has a few places to choose from, by a hash whose key
//! nobody knows; when all are taken, the smallest debt is forgotten.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::http::ClientAddress;

/// Sets of places, and places in each: 32 KiB in all, for some thousand clients that fail at a time.
const SET_COUNT: usize = 1024;
const SET_LEN: usize = 4;

/// A place has the upper bits of the hash, and below them when the debt is paid off, in milliseconds; 40 bits of them
/// last for 34 years.
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

const MINUTE: Duration = Duration::from_secs(60);

/// Who has failed to log in lately; clones share it.
#[derive(Clone)]
pub(super) struct Attempts {
    places: Arc<[AtomicU64]>,
    hasher: RandomState,
    /// How long a failure is owed; `None` if there is no limit.
    debt: Option<Duration>,
}

impl Attempts {
    /// Nobody has failed yet, and everyone may so many times a minute.
    pub(super) fn new(failures_per_minute_max: Option<NonZeroU32>) -> Self {
        let debt = failures_per_minute_max.map(|limit| MINUTE / limit.get());
        let place_count = debt.map_or(0, |_| SET_COUNT * SET_LEN);
        Self {
            places: (0..place_count).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            debt,
        }
    }

    /// Whether `client` may not try at the moment.
    pub(super) fn are_over(&self, client: ClientAddress, now: Moment) -> bool {
        let Some(debt) = self.debt else {
            return false;
        };
        let (set, tag) = self.set_of(client);
        let owed_until = set
            .iter()
            .map(|place| place.load(Ordering::Relaxed))
            .filter(|place| tag_of(*place) == tag)
            .map(|place| place & TIME_MASK)
            .max();
        owed_until.is_some_and(|until| until + millis(debt) > now.as_millis() + millis(MINUTE))
    }

    /// `client` has failed.
    pub(super) fn add(&self, client: ClientAddress, now: Moment) {
        let Some(debt) = self.debt else {
            return;
        };
        let (set, tag) = self.set_of(client);
        let place = set
            .iter()
            .min_by_key(|place| {
                let value = place.load(Ordering::Relaxed);
                (tag_of(value) != tag, value & TIME_MASK)
            })
            .expect("sets are not empty");
        let now = now.as_millis();
        let owed = |value: u64| {
            let since = match value & TIME_MASK {
                until if tag_of(value) == tag => until.max(now),
                _ => now,
            };
            // Nobody owes more than a minute.
            let until = (since + millis(debt)).min(now + millis(MINUTE));
            Some(tag << TIME_BITS | until & TIME_MASK)
        };
        let updated = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, owed);
        debug_assert!(updated.is_ok(), "the update never gives up");
    }

    /// The places that `client` can have, and the mark that is its own.
    fn set_of(&self, client: ClientAddress) -> (&[AtomicU64], u64) {
        let hash = self.hasher.hash_one(client);
        let set_count = (self.places.len() / SET_LEN).max(1) as u64;
        let index = usize::try_from(hash % set_count).unwrap_or_default() * SET_LEN;
        // An empty place has no tag of anybody.
        let tag = (hash >> TIME_BITS).max(1);
        (
            self.places.get(index..index + SET_LEN).unwrap_or_default(),
            tag,
        )
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("debt", &self.debt)
            .finish_non_exhaustive()
    }
}

fn tag_of(place: u64) -> u64 {
    place >> TIME_BITS
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn client(number: u32) -> ClientAddress {
        IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    fn after(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    #[test]
    fn ac_09_failures_are_counted_for_each_address_and_time_forgets_them() {
        let attempts = Attempts::new(NonZeroU32::new(6));
        let now = after(100);
        for _ in 0..6 {
            assert!(!attempts.are_over(client(1), now));
            attempts.add(client(1), now);
        }
        assert!(attempts.are_over(client(1), now));
        assert!(!attempts.are_over(client(2), now));
        // One attempt every ten seconds, whatever else comes.
        for _ in 0..10 {
            attempts.add(client(1), now);
        }
        assert!(attempts.are_over(client(1), after(109)));
        assert!(!attempts.are_over(client(1), after(110)));
        attempts.add(client(1), after(110));
        assert!(attempts.are_over(client(1), after(119)));
        assert!(!attempts.are_over(client(1), after(180)));
    }

    #[test]
    fn ac_09_clones_count_together() {
        let attempts = Attempts::new(NonZeroU32::new(2));
        let clone = attempts.clone();
        attempts.add(client(1), after(0));
        clone.add(client(1), after(0));
        assert!(attempts.are_over(client(1), after(0)) && clone.are_over(client(1), after(0)));
    }

    #[test]
    fn ac_09_many_addresses_take_no_memory_and_no_limit_takes_none_at_all() {
        let attempts = Attempts::new(NonZeroU32::new(1));
        for number in 0..100_000 {
            attempts.add(client(number), after(0));
            // The last one to fail is always remembered.
            assert!(attempts.are_over(client(number), after(0)));
        }
        let unlimited = Attempts::new(None);
        unlimited.add(client(1), after(0));
        assert!(!unlimited.are_over(client(1), after(0)));
        assert!(unlimited.places.is_empty());
    }
}
