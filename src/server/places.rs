//! How many connections each client has, where that is limited (LT-07).
//!
//! All loops share one table without a lock: a place in it has a mark of its client and a count. A client has a set of
//! places to choose from, by a hash whose key nobody knows. Two loops may begin to count the same client in two places of
//! its set at the same moment; so whoever takes a place looks at the whole set afterwards, and gives it back if all counts
//! of the client together are above the limit. Nobody can get above it, whatever the order.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::connection::Now;
use crate::http::{ClientAddress, Request};

/// Places in a set. With four places for each connection of the server, a set of sixteen is full once in a million cases,
/// even if no two connections are of the same client.
const SET_LEN: usize = 16;
const PLACES_PER_CONNECTION: usize = 4;
/// Most places: 8 MiB. If more than some hundred thousand clients are there, a few may find their set full.
const PLACE_COUNT_MAX: usize = 1 << 20;

/// The count is in the lower bits, the mark of the client in the others.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// What is given up to another loop before a client is refused; two loops that count at once give way once or twice.
const TRIES_MAX: usize = 64;

/// The counts of all clients; clones share them.
#[derive(Clone)]
pub(super) struct Places {
    table: Arc<[AtomicU64]>,
    hasher: RandomState,
    limit: u64,
}

/// One connection of a client; to drop it is to give it back.
pub(super) struct Place {
    table: Arc<[AtomicU64]>,
    index: u32,
}

impl Places {
    /// Room for the clients of `connections_max` connections, each of which may have `limit` of them.
    pub(super) fn new(connections_max: usize, limit: NonZeroU32) -> Self {
        let count = connections_max
            .saturating_mul(PLACES_PER_CONNECTION)
            .clamp(SET_LEN, PLACE_COUNT_MAX)
            .next_power_of_two();
        Self {
            table: (0..count).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            limit: u64::from(limit.get()).min(COUNT_MASK),
        }
    }

    /// Counts one more connection of `client`; `None` if it has as many as it may.
    pub(super) fn take(&self, client: ClientAddress) -> Option<Place> {
        let hash = self.hasher.hash_one(client);
        let set_count = (self.table.len() / SET_LEN) as u64;
        let first = usize::try_from(hash % set_count).ok()? * SET_LEN;
        let set = &self.table[first..first + SET_LEN];
        let mark = hash >> COUNT_BITS;
        let place = (0..TRIES_MAX).find_map(|_| count_one(set, mark))?;
        let place = Place {
            table: Arc::clone(&self.table),
            index: u32::try_from(first + place).ok()?,
        };
        let total: u64 = set
            .iter()
            .map(|place| place.load(Ordering::SeqCst))
            .filter(|place| place >> COUNT_BITS == mark)
            .map(|place| place & COUNT_MASK)
            .sum();
        (total <= self.limit).then_some(place)
    }
}

impl Now {
    /// The place of a connection from `remote`; none if that is not limited, or known only when a trusted proxy says whom
    /// it speaks for.
    ///
    /// # Errors
    ///
    /// [`NoPlace`] if its client has as many connections as it may.
    pub(super) fn place_at_accept(&self, remote: SocketAddr) -> Result<Option<Place>, NoPlace> {
        match &self.places {
            Some(places) if !self.config.trusted_proxies.trust(remote.ip()) => {
                let place = places.take(remote.ip().into());
                place.map(Some).ok_or(NoPlace)
            }
            _ => Ok(None),
        }
    }

    /// The place of a WebSocket that a trusted proxy asks for; none if it needs no other than what was taken at accept.
    /// Connections of proxies carry requests of many clients, so only those are counted that are upgraded.
    ///
    /// # Errors
    ///
    /// [`NoPlace`] as above.
    pub(super) fn place_at_request(
        &self,
        remote: SocketAddr,
        request: &Request<'_>,
    ) -> Result<Option<Place>, NoPlace> {
        let proxies = &self.config.trusted_proxies;
        match &self.places {
            Some(places) if request.wants_upgrade() && proxies.trust(remote.ip()) => {
                let place = places.take(proxies.client_of(remote.ip(), request));
                place.map(Some).ok_or(NoPlace)
            }
            _ => Ok(None),
        }
    }
}

/// The client has as many connections as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoPlace;

/// Adds one to a count of the client in its set, or begins a new one; its place in the set. `None` if another loop was
/// faster, or if there is no room.
fn count_one(set: &[AtomicU64], mark: u64) -> Option<usize> {
    let values: Vec<_> = set
        .iter()
        .map(|place| place.load(Ordering::SeqCst))
        .collect();
    let own = values.iter().position(|value| value >> COUNT_BITS == mark);
    let free = || values.iter().position(|value| value & COUNT_MASK == 0);
    let index = own.or_else(free)?;
    let count = if own.is_some() {
        values[index] & COUNT_MASK
    } else {
        0
    };
    if count == COUNT_MASK {
        return None;
    }
    let counted = mark << COUNT_BITS | (count + 1);
    set[index]
        .compare_exchange(values[index], counted, Ordering::SeqCst, Ordering::SeqCst)
        .ok()?;
    Some(index)
}

impl Drop for Place {
    fn drop(&mut self) {
        // Its count is above zero as long as the place is not given back.
        self.table[self.index as usize].fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.index).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Barrier;
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    fn places(connections_max: usize, limit: u32) -> Places {
        Places::new(connections_max, NonZeroU32::new(limit).unwrap())
    }

    fn client(number: u32) -> ClientAddress {
        IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    fn counted(places: &Places) -> u64 {
        let counts = places.table.iter();
        counts
            .map(|place| place.load(Ordering::SeqCst) & COUNT_MASK)
            .sum()
    }

    #[test]
    fn lt_07_a_client_has_as_many_connections_as_it_may_and_no_more() {
        let places = places(100, 2);
        let [first, second] = [0; 2].map(|_| places.take(client(1)));
        assert!(first.is_some() && second.is_some());
        assert!(places.take(client(1)).is_none());
        assert!(places.take(client(2)).is_some());
        drop(first);
        let again = places.take(client(1));
        assert!(again.is_some() && places.take(client(1)).is_none());
        drop((second, again));
        assert_eq!(counted(&places), 0);
    }

    #[test]
    fn lt_07_all_connections_of_the_server_can_be_of_different_clients() {
        let places = places(10_000, 1);
        let taken: Vec<_> = (0..10_000).map(|it| places.take(client(it))).collect();
        assert!(taken.iter().all(Option::is_some));
        assert_eq!(counted(&places), 10_000);
        drop(taken);
        assert_eq!(counted(&places), 0);
    }

    #[test]
    fn lt_07_loops_that_count_at_once_stay_below_the_limit_together() {
        let (places, barrier) = (places(100, 5), Barrier::new(4));
        for round in 0..50 {
            let taken: Vec<_> = thread::scope(|scope| {
                let loops: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            let taken: Vec<_> =
                                (0..4).filter_map(|_| places.take(client(round))).collect();
                            taken
                        })
                    })
                    .collect();
                loops
                    .into_iter()
                    .flat_map(|it| it.join().unwrap())
                    .collect()
            });
            assert!(taken.len() <= 5, "{} at once", taken.len());
            assert_eq!(counted(&places), taken.len() as u64);
        }
        assert_eq!(counted(&places), 0);
    }

    proptest! {
        /// A map of counts says the same, whatever comes and goes in whatever order.
        #[test]
        fn lt_07_the_table_agrees_with_a_map(steps in proptest::collection::vec((0_u32..8, any::<bool>()), 0..200)) {
            let places = places(8, 3);
            let mut taken: HashMap<u32, Vec<Place>> = HashMap::new();
            for (number, comes) in steps {
                let own = taken.entry(number).or_default();
                if comes {
                    let place = places.take(client(number));
                    prop_assert_eq!(place.is_some(), own.len() < 3);
                    own.extend(place);
                } else {
                    own.pop();
                }
                let total: usize = taken.values().map(Vec::len).sum();
                prop_assert_eq!(counted(&places), total as u64);
            }
        }
    }
}
