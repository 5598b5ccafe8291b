//! Who of one loop is in which group, and so who of this loop receives a delivery.
//!
//! A delivery costs one hash at most, whatever the size of the group; then its receivers are a plain slice of ids. Joining
//! and leaving do not depend on the size of the group either, because everything is linked both ways by index:
//!
//! ```text
//! seats[slot] ──first──▶ membership ──next──▶ membership ──▶ …        one list per session
//!                          │     ▲
//!          group, position │     │ entries[position]
//!                          ▼     │
//! name ──hash──▶ group: members  [ id  id  id … ]
//!                       entries  [ ·   ·   ·  … ]
//! ```
//!
//! Whoever leaves is replaced in `members` by the last one, whose membership is told its new position. Finding a
//! membership of a session walks that session's list, which its limit of groups keeps short: at 128 groups, to leave
//! and join one took 0.9 µs together, against 0.14 µs for a session with one group.
//!
//! One membership takes 32 bytes: 12 in the group, 12 for itself and 8 for the seat, which further memberships of
//! the session share. A group takes some 200 bytes and its name; they are freed with its last member.

use std::cell::Cell;
use std::collections::HashMap;
use std::iter;
use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};
use std::slice;

use crate::delivery::{Feed, GroupName, Recipients, SessionId};

/// The memberships of one loop's sessions.
///
/// All ids given to it are of that one loop. An id whose slot was seen with a later generation, or that was
/// [removed](Self::remove), is stale: it is in no group and cannot join one, so that a request which has
/// outlived its connection leaves no ghost behind.
#[derive(Debug, Default)]
pub struct Registry {
    group_keys: HashMap<GroupName, Key>,
    /// Boxed, so that a deleted group leaves 8 bytes in the table and not its whole size.
    groups: Slab<Box<Group>>,
    memberships: Slab<Membership>,
    /// By [`SessionId::slot`].
    seats: Vec<Seat>,
    recent: RecentKeys,
    /// The feed of the group that was created last.
    last_feed: Option<Feed>,
}

impl Registry {
    /// Makes `session` a member of `group`; false if it was one already or is stale.
    pub fn join(&mut self, session: SessionId, group: GroupName) -> bool {
        if !self.take_seat(session) {
            return false;
        }
        let group_key = self.find_or_create(group);
        if self
            .keys_of(session)
            .any(|key| self.memberships[key].group == group_key)
        {
            return false;
        }
        let group = &mut self.groups[group_key];
        let seat = &mut self.seats[session.slot() as usize];
        let membership = self.memberships.insert(Membership {
            group: group_key,
            position: group.next_position(),
            next: seat.first,
        });
        group.members.push(session);
        group.entries.push(membership);
        seat.first = Some(membership);
        true
    }

    /// Ends the membership of `session` in `group`; false if it was none.
    pub fn leave(&mut self, session: SessionId, group: &GroupName) -> bool {
        let Some(key) = self.find(session, group) else {
            return false;
        };
        let next = self.memberships[key].next;
        let before = self
            .keys_of(session)
            .find(|&other| self.memberships[other].next == Some(key));
        match before {
            Some(before) => self.memberships[before].next = next,
            None => self.seats[session.slot() as usize].first = next,
        }
        self.end(key);
        true
    }

    /// Ends all memberships of `session` for good, because its connection has ended.
    pub fn remove(&mut self, session: SessionId) {
        if self.take_seat(session) {
            let seat = &mut self.seats[session.slot() as usize];
            seat.generation = session.generation().wrapping_add(1);
            let first = seat.first.take();
            self.end_list(first);
        }
    }

    /// Everyone of this loop for whom a delivery is, in no particular order; `One` yields its id unchecked.
    #[must_use]
    pub fn recipients<'a>(&'a self, recipients: &'a Recipients) -> &'a [SessionId] {
        match recipients {
            Recipients::Group(name) => self.members(name),
            Recipients::One(session) => slice::from_ref(session),
            Recipients::Member(session, group) if self.is_member(*session, group) => {
                slice::from_ref(session)
            }
            Recipients::Member(..) => &[],
        }
    }

    /// What tells messages to these recipients from others; `None` if it is a group without a member on this loop.
    #[must_use]
    pub fn feed(&self, recipients: &Recipients) -> Option<Feed> {
        match recipients {
            Recipients::Group(name) | Recipients::Member(_, name) => {
                let key = self.key_of(name)?;
                Some(self.groups[key].feed)
            }
            Recipients::One(_) => Some(Feed::DIRECT),
        }
    }

    /// Whether `session` is in `group`.
    #[must_use]
    pub fn is_member(&self, session: SessionId, group: &GroupName) -> bool {
        self.find(session, group).is_some()
    }

    /// The groups of `session`, the last joined first.
    pub fn groups_of(&self, session: SessionId) -> impl Iterator<Item = &GroupName> {
        self.keys_of(session)
            .map(|key| &self.groups[self.memberships[key].group].name)
    }

    /// How many members `group` has on this loop.
    #[must_use]
    pub fn member_count(&self, group: &GroupName) -> usize {
        self.members(group).len()
    }

    /// How many groups have a member on this loop.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.group_keys.len()
    }

    /// How many memberships there are, all sessions and groups of this loop together.
    #[must_use]
    pub fn membership_count(&self) -> usize {
        self.memberships.len()
    }

    /// The members of `group`: none if it does not exist.
    fn members(&self, group: &GroupName) -> &[SessionId] {
        self.key_of(group)
            .map_or(&[], |key| &self.groups[key].members)
    }

    /// The membership of `session` in `group`, if it has one.
    fn find(&self, session: SessionId, group: &GroupName) -> Option<Key> {
        let group = self.key_of(group)?;
        self.keys_of(session)
            .find(|&key| self.memberships[key].group == group)
    }

    /// The group of that name, if there is one.
    fn key_of(&self, name: &GroupName) -> Option<Key> {
        let recent = self.recent.place_of(name);
        if let Some(key) = recent.get()
            && self.groups.get(key).is_some_and(|it| it.name == *name)
        {
            return Some(key);
        }
        let key = *self.group_keys.get(name)?;
        recent.set(Some(key));
        Some(key)
    }

    /// The memberships of `session`: none if it is stale.
    fn keys_of(&self, session: SessionId) -> impl Iterator<Item = Key> {
        let seat = self.seats.get(session.slot() as usize);
        let first = seat.filter(|seat| seat.generation == session.generation());
        iter::successors(first.and_then(|seat| seat.first), |&key| {
            self.memberships[key].next
        })
    }

    /// Makes the seat of the slot that of `session`; false if it is stale.
    ///
    /// An earlier session that was never removed loses its memberships: its slot is reused, so it is gone.
    fn take_seat(&mut self, session: SessionId) -> bool {
        let slot = session.slot() as usize;
        if slot >= self.seats.len() {
            self.seats.resize(slot + 1, Seat::default());
        }
        let seat = &mut self.seats[slot];
        if seat.is_later_than(session) {
            return false;
        }
        if seat.generation != session.generation() {
            seat.generation = session.generation();
            let first = seat.first.take();
            self.end_list(first);
        }
        true
    }

    /// The group of that name; a new one must get its first member at once.
    fn find_or_create(&mut self, name: GroupName) -> Key {
        let (groups, last_feed) = (&mut self.groups, &mut self.last_feed);
        let create = |name: &GroupName| {
            let feed = last_feed.unwrap_or(Feed::DIRECT).next();
            *last_feed = Some(feed);
            groups.insert(Box::new(Group::new(name.clone(), feed)))
        };
        *self.group_keys.entry(name).or_insert_with_key(create)
    }

    /// Ends a whole list of memberships that no seat refers to any more.
    fn end_list(&mut self, first: Option<Key>) {
        let mut rest = first;
        while let Some(key) = rest {
            rest = self.memberships[key].next;
            self.end(key);
        }
    }

    /// Takes a membership, already out of its session's list, out of its group; an empty group goes with it.
    fn end(&mut self, key: Key) {
        let Membership {
            group: group_key,
            position,
            ..
        } = self.memberships.remove(key);
        let group = &mut self.groups[group_key];
        group.members.swap_remove(position as usize);
        group.entries.swap_remove(position as usize);
        if let Some(&moved) = group.entries.get(position as usize) {
            self.memberships[moved].position = position;
        }
        if group.members.is_empty() {
            let group = self.groups.remove(group_key);
            self.group_keys.remove(&group.name);
            shrink_map(&mut self.group_keys);
        } else {
            shrink(&mut group.members);
            shrink(&mut group.entries);
        }
    }
}

/// One group with at least one member.
#[derive(Debug)]
struct Group {
    name: GroupName,
    feed: Feed,
    /// What a delivery goes through.
    members: Vec<SessionId>,
    /// The membership of the member at the same position.
    entries: Vec<Key>,
}

impl Group {
    /// A group that waits for its first member.
    fn new(name: GroupName, feed: Feed) -> Self {
        Self {
            name,
            feed,
            members: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Where the next member will be.
    fn next_position(&self) -> u32 {
        u32::try_from(self.members.len()).expect("at most one member per slot, of which 2^24 exist")
    }
}

/// One session in one group, as an item of the session's list.
#[derive(Debug)]
struct Membership {
    group: Key,
    /// Where the session is among the members of the group.
    position: u32,
    next: Option<Key>,
}

/// Which group was found last for a name that lies there in memory.
///
/// Whoever sends to a group again and again does so with the same name, or one of a few, so that it need not be hashed
/// each time. What is found here has to be checked: names come and go.
#[derive(Debug)]
struct RecentKeys(Box<[Cell<Option<Key>>]>);

impl RecentKeys {
    /// Names that are told apart: 4 bytes each.
    const COUNT: usize = 1024;
    /// Names are at least so many bytes apart, as the allocator gives them out.
    const DISTANCE: usize = 16;

    fn place_of(&self, name: &GroupName) -> &Cell<Option<Key>> {
        &self.0[name.address() / Self::DISTANCE % Self::COUNT]
    }
}

impl Default for RecentKeys {
    fn default() -> Self {
        Self(vec![Cell::default(); Self::COUNT].into_boxed_slice())
    }
}

/// What is known of the sessions of one slot.
#[derive(Clone, Copy, Debug, Default)]
struct Seat {
    /// The session that the memberships are of; those before it are stale.
    generation: u32,
    /// The head of its list.
    first: Option<Key>,
}

impl Seat {
    /// Whether `session` had the slot before. Generations wrap, so the shorter way round says which is earlier.
    fn is_later_than(self, session: SessionId) -> bool {
        let lead = self.generation.wrapping_sub(session.generation());
        lead.cast_signed() > 0
    }
}

/// Where an item is in a [`Slab`]: its index plus one, so that `Option<Key>` takes 4 bytes too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key(NonZeroU32);

impl Key {
    /// Names the item at `index`.
    fn at(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("2^24 sessions with 128 groups each are 2^31 memberships"))
    }

    /// Where the item is in the vector.
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Items that keep their place while others come and go; a place is reused, and all are freed with the last item.
#[derive(Debug)]
struct Slab<T> {
    items: Vec<Option<T>>,
    vacant: Vec<Key>,
}

impl<T> Slab<T> {
    /// Keeps `item` until [`Self::remove`].
    fn insert(&mut self, item: T) -> Key {
        if let Some(key) = self.vacant.pop() {
            self.items[key.index()] = Some(item);
            return key;
        }
        self.items.push(Some(item));
        Key::at(self.items.len() - 1)
    }

    /// Gives the item back; its key leads nowhere from now on.
    fn remove(&mut self, key: Key) -> T {
        let item = self.items[key.index()].take().expect(HELD);
        self.vacant.push(key);
        if self.len() == 0 {
            *self = Self::default();
        }
        item
    }

    /// The item, if the key leads to one.
    fn get(&self, key: Key) -> Option<&T> {
        self.items.get(key.index())?.as_ref()
    }

    /// How many items are kept.
    fn len(&self) -> usize {
        self.items.len() - self.vacant.len()
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            vacant: Vec::new(),
        }
    }
}

impl<T> Index<Key> for Slab<T> {
    type Output = T;

    fn index(&self, key: Key) -> &T {
        self.items[key.index()].as_ref().expect(HELD)
    }
}

impl<T> IndexMut<Key> for Slab<T> {
    fn index_mut(&mut self, key: Key) -> &mut T {
        self.items[key.index()].as_mut().expect(HELD)
    }
}

/// Why a key always finds its item.
const HELD: &str = "keys are dropped together with what they lead to";

/// Gives memory back after many have left; half of what stays is spare, so that this is rare.
fn shrink<T>(items: &mut Vec<T>) {
    if items.capacity() > SPARE_COUNT_MAX && items.len() * 4 < items.capacity() {
        items.shrink_to(items.len() * 2);
    }
}

/// Like [`shrink`], but later: a map's capacity may be twice what was asked for.
fn shrink_map<K: Eq + std::hash::Hash, V>(items: &mut HashMap<K, V>) {
    if items.capacity() > SPARE_COUNT_MAX && items.len() * 8 < items.capacity() {
        items.shrink_to(items.len() * 2);
    }
}

/// Capacity that is not worth the work of giving it back.
const SPARE_COUNT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::{Group, Key, Membership, Registry, SPARE_COUNT_MAX, Seat, Slab};
    use crate::delivery::{Feed, GroupName, Recipients, SessionId};

    fn session(slot: u32, generation: u32) -> SessionId {
        SessionId::new(0, slot, generation).unwrap()
    }

    fn group(name: &str) -> GroupName {
        GroupName::new("hub", name)
    }

    fn members(registry: &Registry, name: &str) -> Vec<SessionId> {
        let mut members = registry
            .recipients(&Recipients::Group(group(name)))
            .to_vec();
        members.sort();
        members
    }

    fn groups_of(registry: &Registry, session: SessionId) -> Vec<&str> {
        let mut names: Vec<_> = registry.groups_of(session).map(GroupName::name).collect();
        names.sort_unstable();
        names
    }

    /// Capacity of everything the registry keeps, in bytes, names excluded.
    fn heap_bytes(registry: &Registry) -> usize {
        fn slab_bytes<T>(slab: &Slab<T>) -> usize {
            slab.items.capacity() * size_of::<Option<T>>()
                + slab.vacant.capacity() * size_of::<Key>()
        }
        let in_groups = registry.groups.items.iter().flatten().map(|group| {
            size_of::<Group>()
                + group.members.capacity() * size_of::<SessionId>()
                + group.entries.capacity() * size_of::<Key>()
        });
        registry.group_keys.capacity() * (size_of::<(GroupName, Key)>() + 1) * 8 / 7
            + slab_bytes(&registry.groups)
            + slab_bytes(&registry.memberships)
            + registry.seats.capacity() * size_of::<Seat>()
            + in_groups.sum::<usize>()
    }

    #[test]
    fn ms_06_a_group_delivery_reaches_its_members_and_nobody_else() {
        let mut registry = Registry::default();
        let [ann, ben, eve] = [0, 1, 2].map(|slot| session(slot, 1));
        assert!(registry.join(ann, group("a")));
        assert!(registry.join(ben, group("a")));
        assert!(registry.join(ben, group("b")));
        assert!(registry.join(eve, group("b")));
        assert_eq!(members(&registry, "a"), [ann, ben]);
        assert_eq!(members(&registry, "b"), [ben, eve]);
        assert_eq!(members(&registry, "c"), []);
        assert_eq!(groups_of(&registry, ben), ["a", "b"]);
        assert_eq!(registry.member_count(&group("a")), 2);
        assert_eq!(
            (registry.group_count(), registry.membership_count()),
            (2, 4)
        );
    }

    #[test]
    fn ms_06_the_same_name_in_another_hub_is_another_group() {
        let mut registry = Registry::default();
        registry.join(session(0, 1), GroupName::new("hub", "room"));
        assert_eq!(registry.member_count(&GroupName::new("other", "room")), 0);
    }

    #[test]
    fn ms_06_one_is_who_it_says_even_if_not_here() {
        let registry = Registry::default();
        let elsewhere = SessionId::new(7, 3, 1).unwrap();
        assert_eq!(
            registry.recipients(&Recipients::One(elsewhere)),
            [elsewhere]
        );
    }

    #[test]
    fn a_member_is_who_it_says_only_while_in_the_group() {
        let mut registry = Registry::default();
        let recipient = Recipients::Member(session(0, 1), group("a"));
        assert!(registry.recipients(&recipient).is_empty());
        registry.join(session(0, 1), group("a"));
        assert_eq!(registry.recipients(&recipient), [session(0, 1)]);
        let other = Recipients::Member(session(0, 1), group("b"));
        assert!(registry.recipients(&other).is_empty());
        registry.leave(session(0, 1), &group("a"));
        assert!(registry.recipients(&recipient).is_empty());
    }

    #[test]
    fn sc_03_a_group_is_one_feed_from_its_first_member_to_its_last() {
        let mut registry = Registry::default();
        let feed = |registry: &Registry, name| registry.feed(&Recipients::Group(group(name)));
        let (first, second) = (session(1, 1), session(2, 1));
        assert_eq!(feed(&registry, "a"), None, "nobody is there");
        registry.join(first, group("a"));
        registry.join(first, group("b"));
        let before = feed(&registry, "a");
        assert_ne!(before, feed(&registry, "b"));
        registry.join(second, group("a"));
        registry.leave(first, &group("a"));
        assert_eq!(feed(&registry, "a"), before);
        registry.leave(second, &group("a"));
        registry.join(first, group("a"));
        let direct = registry.feed(&Recipients::One(first));
        assert_eq!(direct, Some(Feed::DIRECT));
        for other in [None, before, direct, feed(&registry, "b")] {
            assert_ne!(
                feed(&registry, "a"),
                other,
                "what waits is of another group"
            );
        }
    }

    #[test]
    fn joining_twice_is_one_membership() {
        let mut registry = Registry::default();
        assert!(registry.join(session(0, 1), group("a")));
        assert!(!registry.join(session(0, 1), group("a")));
        assert_eq!(members(&registry, "a"), [session(0, 1)]);
        assert_eq!(registry.membership_count(), 1);
    }

    #[test]
    fn ms_07_whoever_left_is_in_that_group_no_more_but_in_the_others() {
        for left in ["a", "b", "c"] {
            let mut registry = Registry::default();
            for name in ["a", "b", "c"] {
                registry.join(session(0, 1), group(name));
                registry.join(session(1, 1), group(name));
            }
            assert!(registry.leave(session(0, 1), &group(left)));
            assert!(!registry.leave(session(0, 1), &group(left)), "left twice");
            assert!(!registry.is_member(session(0, 1), &group(left)));
            assert_eq!(members(&registry, left), [session(1, 1)]);
            let rest: Vec<_> = ["a", "b", "c"]
                .into_iter()
                .filter(|&name| name != left)
                .collect();
            assert_eq!(groups_of(&registry, session(0, 1)), rest);
        }
    }

    #[test]
    fn leaving_a_group_without_being_in_it_changes_nothing() {
        let mut registry = Registry::default();
        registry.join(session(0, 1), group("a"));
        assert!(!registry.leave(session(1, 1), &group("a")));
        assert!(!registry.leave(session(0, 1), &group("b")));
        assert!(
            !registry.leave(session(0, 2), &group("a")),
            "another generation"
        );
        assert_eq!(members(&registry, "a"), [session(0, 1)]);
    }

    #[test]
    fn ms_07_whoever_was_removed_is_nowhere_and_cannot_come_back() {
        let mut registry = Registry::default();
        for name in ["a", "b"] {
            registry.join(session(0, 1), group(name));
            registry.join(session(1, 1), group(name));
        }
        registry.remove(session(0, 1));
        assert_eq!(members(&registry, "a"), [session(1, 1)]);
        assert_eq!(members(&registry, "b"), [session(1, 1)]);
        assert_eq!(registry.groups_of(session(0, 1)).count(), 0);
        assert!(
            !registry.join(session(0, 1), group("a")),
            "a late request made a ghost"
        );
        assert_eq!(registry.membership_count(), 2);
    }

    #[test]
    fn ms_07_whoever_was_in_no_group_cannot_join_after_its_removal_either() {
        let mut registry = Registry::default();
        registry.remove(session(5, 1));
        assert!(!registry.join(session(5, 1), group("a")));
        assert!(registry.join(session(5, 2), group("a")));
        assert_eq!(registry.group_count(), 1);
    }

    #[test]
    fn ms_07_the_next_session_of_a_slot_has_nothing_of_the_one_before() {
        for was_removed in [true, false] {
            let mut registry = Registry::default();
            registry.join(session(0, 1), group("a"));
            if was_removed {
                registry.remove(session(0, 1));
            }
            assert!(registry.join(session(0, 2), group("b")));
            assert_eq!(members(&registry, "a"), []);
            assert_eq!(members(&registry, "b"), [session(0, 2)]);
            assert!(!registry.is_member(session(0, 1), &group("b")));
            assert!(!registry.join(session(0, 1), group("a")));
            registry.remove(session(0, 1));
            assert_eq!(groups_of(&registry, session(0, 2)), ["b"]);
        }
    }

    #[test]
    fn generations_may_wrap() {
        let mut registry = Registry::default();
        for generation in [1 << 30, 1 << 31, u32::MAX, 0, 1] {
            assert!(registry.join(session(0, generation), group("a")));
            registry.remove(session(0, generation));
        }
        assert!(!registry.join(session(0, u32::MAX), group("a")));
    }

    #[test]
    fn ms_07_mass_churn_leaves_nothing_behind() {
        let mut registry = Registry::default();
        let names: Vec<_> = (0..2_000)
            .map(|number| group(&number.to_string()))
            .collect();
        for generation in 1..=3 {
            for slot in 0..2_000 {
                for name in names[slot as usize..].iter().step_by(97) {
                    assert!(registry.join(session(slot, generation), name.clone()));
                }
            }
            assert_eq!(registry.group_count(), names.len());
            for slot in (0..2_000).rev() {
                registry.leave(session(slot, generation), &names[slot as usize]);
                registry.remove(session(slot, generation));
            }
            assert_eq!(
                (registry.group_count(), registry.membership_count()),
                (0, 0)
            );
        }
        let left = heap_bytes(&registry) - registry.seats.capacity() * size_of::<Seat>();
        assert!(left < 8 * SPARE_COUNT_MAX * 64, "{left} bytes are left");
    }

    #[test]
    fn ms_07_a_group_gives_back_the_room_of_those_who_left() {
        let mut registry = Registry::default();
        for slot in 0..10_000 {
            registry.join(session(slot, 1), group("a"));
        }
        for slot in 0..9_990 {
            registry.remove(session(slot, 1));
            let room = registry.groups.items[0]
                .as_ref()
                .unwrap()
                .members
                .capacity();
            let count = registry.member_count(&group("a"));
            assert!(
                room <= SPARE_COUNT_MAX.max(4 * count),
                "room for {room}, {count} here"
            );
        }
    }

    #[test]
    fn ms_07_names_of_deleted_groups_are_freed_while_others_live() {
        let mut registry = Registry::default();
        for number in 0..10_000 {
            registry.join(session(number, 1), group(&number.to_string()));
        }
        for number in 1..10_000 {
            registry.leave(session(number, 1), &group(&number.to_string()));
        }
        assert_eq!(registry.group_count(), 1);
        assert!(registry.group_keys.capacity() <= 8 * SPARE_COUNT_MAX);
        assert_eq!(registry.groups.items.iter().flatten().count(), 1);
    }

    #[test]
    fn ms_07_what_was_found_before_is_not_taken_for_another_group() {
        let mut registry = Registry::default();
        let names = ["a", "b"].map(|name| GroupName::new("hub", name));
        let [a, b] = [1, 2].map(|slot| session(slot, 1));
        for _ in 0..3 {
            // Each in turn is the only group, and has the place of the other.
            for (name, member) in names.iter().zip([a, b]) {
                registry.join(member, name.clone());
                for other in &names {
                    let expected: &[_] = if other == name { &[member] } else { &[] };
                    let found = Recipients::Group(other.clone());
                    assert_eq!(registry.recipients(&found), expected);
                    assert_eq!(registry.recipients(&found), expected, "once more");
                }
                registry.leave(member, name);
                assert_eq!(registry.recipients(&Recipients::Group(name.clone())), []);
            }
        }
    }

    #[test]
    fn a_place_in_the_tables_is_reused() {
        let mut registry = Registry::default();
        registry.join(session(0, 1), group("stays"));
        for generation in 1..1_000 {
            registry.join(session(1, generation), group("comes"));
            registry.remove(session(1, generation));
        }
        assert_eq!(
            (
                registry.memberships.items.len(),
                registry.groups.items.len()
            ),
            (2, 2)
        );
    }

    #[test]
    fn a_membership_in_a_big_group_takes_32_bytes() {
        assert_eq!(size_of::<Option<Membership>>(), 12);
        assert_eq!(size_of::<Seat>(), 8);

        // A power of two, where the vectors are full. Elsewhere they have room to grow, which is not resident.
        const MEMBER_COUNT: u32 = 1 << 16;
        let mut registry = Registry::default();
        for slot in 0..MEMBER_COUNT {
            registry.join(session(slot, 1), group("a"));
        }
        let bytes = heap_bytes(&registry) / MEMBER_COUNT as usize;
        println!("{bytes} bytes per member");
        assert!((32..40).contains(&bytes), "{bytes} bytes per member");
    }
}
