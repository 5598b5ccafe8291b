//! Which loop looks after what is remembered of a group.

use std::hash::{BuildHasher, RandomState};

use crate::delivery::GroupName;
use crate::handler::LoopPlace;

/// Finds the home of each group: the one loop that keeps what concerns all of its members, wherever they live.
///
/// Clones find the same homes, so the loops agree without asking each other.
#[derive(Clone, Debug)]
pub(super) struct Homes {
    /// Spreads the groups evenly; keyed, so that nobody can name groups that all live on one loop.
    hasher: RandomState,
    /// The loop that asks.
    place: LoopPlace,
}

impl Homes {
    /// With a key from the system's generator; there is one loop until [`Self::on_start`] says otherwise.
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            place: LoopPlace::ALONE,
        }
    }

    /// Says how many loops there are.
    pub(super) fn on_start(&mut self, place: LoopPlace) {
        self.place = place;
    }

    /// The loop that looks after `group`.
    pub(super) fn of(&self, group: &GroupName) -> usize {
        let count = u64::try_from(self.place.count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.hasher.hash_one(group) % count).unwrap_or_default()
    }

    /// How many loops share the groups.
    pub(super) fn loop_count(&self) -> usize {
        self.place.count
    }
}

#[cfg(test)]
mod tests {
    use super::Homes;
    use crate::delivery::GroupName;
    use crate::handler::LoopPlace;

    #[test]
    fn all_loops_agree_on_homes_and_each_gets_its_share() {
        let drawn = Homes::new();
        let loops: Vec<_> = (0..4)
            .map(|index| {
                let mut homes = drawn.clone();
                homes.on_start(LoopPlace { index, count: 4 });
                homes
            })
            .collect();
        let mut counts = [0; 4];
        for number in 0..1000 {
            let group = GroupName::new("hub", &number.to_string());
            let home = loops[0].of(&group);
            assert!(loops.iter().all(|homes| homes.of(&group) == home));
            counts[home] += 1;
        }
        assert!(counts.iter().all(|&count| count > 150), "{counts:?}");
    }

    #[test]
    fn a_handler_alone_is_at_home_everywhere() {
        assert_eq!(Homes::new().of(&GroupName::new("hub", "room")), 0);
    }
}
