//! When each peer is told to go while the server drains.
//!
//! Peers that are all sent away at once all come back at once, to a server that has hardly started or to the few that
//! are left. So the ends are spread over most of the drain time, evenly but not in step; until its own end comes, a
//! peer is served as before. Every loop spreads its own peers over the same window, which makes the sum even too.

use std::time::Duration;

use crate::clock::Moment;
use crate::delivery::SessionId;

/// Ends in a second at least: the last of a few peers need not wait for as long as the last of many.
const ENDS_PER_SECOND_MIN: u32 = 100;

/// What all loops agree on when the server drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drain {
    begun: Moment,
    /// How long after the beginning the last peer is told to go.
    window: Duration,
    /// When everything ends, whoever is still there.
    pub(super) deadline: Moment,
}

impl Drain {
    /// Spreads the ends of `peer_count` peers of all loops over four fifths of `timeout`; the rest is for the last ones
    /// to answer.
    pub(super) fn new(begun: Moment, timeout: Duration, peer_count: usize) -> Self {
        let peer_count = u32::try_from(peer_count).unwrap_or(u32::MAX);
        let quick = Duration::from_secs(1) * peer_count / ENDS_PER_SECOND_MIN;
        Self {
            begun,
            window: quick.min(timeout * 4 / 5),
            deadline: begun + timeout,
        }
    }
}

/// The peers of one loop that are still to be told to go, and when.
#[derive(Debug)]
pub(super) struct Farewells {
    drain: Drain,
    peers: Vec<SessionId>,
    /// How many of them were told.
    told_count: usize,
}

impl Farewells {
    pub(super) fn new(drain: Drain, peers: Vec<SessionId>) -> Self {
        Self {
            drain,
            peers,
            told_count: 0,
        }
    }

    /// What all loops have agreed on.
    pub(super) fn drain(&self) -> Drain {
        self.drain
    }

    /// When everything ends, whoever is still there.
    pub(super) fn deadline(&self) -> Moment {
        self.drain.deadline
    }

    /// When somebody is to be told next, or everything ends.
    pub(super) fn next_moment(&self) -> Moment {
        let next = self.peers.get(self.told_count);
        next.map_or(self.drain.deadline, |&peer| self.due(peer))
    }

    /// Who is to be told by now; everyone comes up once.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<SessionId> {
        let &peer = self.peers.get(self.told_count)?;
        (self.due(peer) <= now).then(|| {
            self.told_count += 1;
            peer
        })
    }

    /// The next peer's own part of the window, at a point that is its own too.
    fn due(&self, peer: SessionId) -> Moment {
        // A slot has 24 bits, and this a few more.
        let [told_count, count] = [self.told_count, self.peers.len()]
            .map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let place = f64::from(told_count) + jitter(peer);
        self.drain.begun + self.drain.window.mul_f64(place / f64::from(count))
    }
}

/// A number from 0 to 1 without a visible pattern in consecutive ids, and not the same on every loop.
fn jitter(peer: SessionId) -> f64 {
    /// 2^64 divided by the golden ratio: the multiples fall evenly into a ring of that size.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let spread = (peer.to_bits() ^ peer.to_bits() >> 32).wrapping_mul(GOLDEN) >> 32;
    f64::from(u32::try_from(spread).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_SECONDS: Duration = Duration::from_secs(10);

    fn begun() -> Moment {
        Moment::START + Duration::from_millis(123_456)
    }

    fn peers_of(loop_index: u8, count: u32) -> Vec<SessionId> {
        (1..=count)
            .map(|slot| SessionId::new(loop_index, slot, 1).unwrap())
            .collect()
    }

    /// When each peer of all loops is told, in milliseconds since the beginning, by loops that look when they are due.
    fn ends(timeout: Duration, counts: &[u32]) -> Vec<u64> {
        let total: u32 = counts.iter().sum();
        let drain = Drain::new(begun(), timeout, total as usize);
        let mut ends = Vec::new();
        for (loop_index, &count) in (0..).zip(counts) {
            let peers = peers_of(loop_index, count);
            let mut farewells = Farewells::new(drain, peers.clone());
            let mut told = Vec::new();
            while farewells.next_moment() < farewells.deadline() {
                let now = farewells.next_moment();
                let early = (now - begun()).saturating_sub(Duration::from_millis(1));
                if begun() + early < now {
                    assert_eq!(farewells.take_due(begun() + early), None);
                }
                while let Some(peer) = farewells.take_due(now) {
                    told.push(peer);
                    ends.push((now - begun()).as_millis().try_into().unwrap());
                }
            }
            assert_eq!(told, peers, "each once");
        }
        ends.sort_unstable();
        ends
    }

    /// How many ends fall into each span of so many milliseconds.
    fn counts_per(millis: u64, ends: &[u64]) -> Vec<usize> {
        let spans = ends.last().map_or(0, |last| last / millis + 1);
        let count = |span| ends.iter().filter(|end| *end / millis == span).count();
        (0..spans).map(count).collect()
    }

    #[test]
    fn sd_02_the_ends_of_ten_thousand_peers_are_spread_over_the_window() {
        for counts in [&[10_000][..], &[5000, 5000], &[7000, 2000, 999, 1]] {
            let ends = ends(TEN_SECONDS, counts);
            assert_eq!(ends.len(), 10_000);
            assert!(ends[9_999] <= 8000, "{}", ends[9_999]);
            for per_second in counts_per(1000, &ends) {
                assert!((1200..=1300).contains(&per_second), "{per_second}");
            }
            for per_tenth in counts_per(100, &ends) {
                assert!((100..=150).contains(&per_tenth), "{per_tenth}");
            }
        }
    }

    #[test]
    fn sd_02_the_ends_are_not_in_step() {
        let ends = ends(TEN_SECONDS, &[1000]);
        let pauses: Vec<_> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let spread = pauses.iter().max().unwrap() - pauses.iter().min().unwrap();
        assert!(spread >= 8, "pauses of 8 ms on average differ by {spread}");
    }

    #[test]
    fn a_few_peers_do_not_wait_for_each_other() {
        assert!(ends(TEN_SECONDS, &[1]) <= vec![10]);
        assert!(ends(TEN_SECONDS, &[25, 25]).pop() <= Some(500));
        assert!(ends(TEN_SECONDS, &[799]).pop() <= Some(8000));
        assert!(ends(TEN_SECONDS, &[]).is_empty());
    }

    #[test]
    fn a_short_drain_is_kept() {
        let ends = ends(Duration::from_millis(10), &[5000]);
        assert_eq!(ends.len(), 5000);
        assert!(ends[4999] <= 8);
    }

    #[test]
    fn everyone_who_is_due_after_a_pause_comes_up() {
        let drain = Drain::new(begun(), TEN_SECONDS, 1000);
        let mut farewells = Farewells::new(drain, peers_of(0, 1000));
        let late = begun() + TEN_SECONDS;
        assert_eq!(
            std::iter::from_fn(|| farewells.take_due(late)).count(),
            1000
        );
        assert_eq!(farewells.next_moment(), drain.deadline);
    }
}
