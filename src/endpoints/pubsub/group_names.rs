//! Names of groups at hand.

use super::flavour::Flavour;
use super::hub_name::HubName;
use crate::delivery::GroupName;

/// Remembers names of groups that were used lately, so that most messages and joins need not allocate one, and members of
/// a group share its name.
///
/// Each name has one place, which the next one that belongs there takes over: nothing is ever searched, and whoever makes
/// up names only has others allocate theirs again.
#[derive(Clone, Debug)]
pub(super) struct GroupNames {
    recent: Box<[Option<GroupName>]>,
}

impl Default for GroupNames {
    fn default() -> Self {
        Self {
            recent: vec![None; PLACE_COUNT].into_boxed_slice(),
        }
    }
}

impl GroupNames {
    /// The name of the part of a group that has members of this flavour.
    pub(super) fn get(&mut self, flavour: Flavour, hub: &HubName, name: &str) -> GroupName {
        if flavour != Flavour::Json {
            return flavour.group(hub, name);
        }
        let place = &mut self.recent[place_of(name)];
        match place {
            Some(group) if group.is(hub.as_str(), name) => group.clone(),
            _ => place.insert(flavour.group(hub, name)).clone(),
        }
    }
}

/// How many names are remembered: 16 bytes each, and the names.
const PLACE_COUNT: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 10;

/// Where a name belongs: a hash that is fast, and not meant to be hard to foresee.
fn place_of(name: &str) -> usize {
    /// 2^64 divided by the golden ratio, which spreads neighbouring numbers.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = name.as_bytes().as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let add = |hash: u64, word: &[u8; 8]| {
        let sum = hash ^ u64::from_le_bytes(*word);
        // To multiply moves bits up only, so those at the top are brought down before.
        (sum ^ (sum >> 32)).wrapping_mul(GOLDEN)
    };
    let hash = add(words.iter().fold(0, add), &last);
    // The highest bits are the best mixed, and there are few enough for any integer.
    (hash >> (u64::BITS - PLACE_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_whether_it_is_remembered_or_not() {
        let mut names = GroupNames::default();
        let hubs = ["default", "a", "b"].map(|hub| HubName::new(hub).unwrap());
        for _ in 0..2 {
            for number in 0..5000 {
                for hub in &hubs {
                    for flavour in Flavour::ALL {
                        let name = format!("@user/{number}");
                        assert_eq!(names.get(flavour, hub, &name), flavour.group(hub, &name));
                    }
                }
            }
        }
        assert_eq!(
            names.get(Flavour::Json, &hubs[1], ""),
            GroupName::new("a", "")
        );
    }

    #[test]
    fn names_with_numbers_find_different_places() {
        for prefix in ["room", "@user/", "a-long-name-of-a-room-"] {
            let places: std::collections::HashSet<_> = (0..PLACE_COUNT)
                .map(|number| place_of(&format!("{prefix}{number}")))
                .collect();
            // A thousand balls thrown at random into as many places leave 37 % of these empty.
            assert!(places.len() > PLACE_COUNT / 2, "{prefix}: {}", places.len());
        }
    }
}
