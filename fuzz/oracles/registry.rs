//! The registry against a set of pairs: any bytes are a sequence of joins, leaves, removals and publishes.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Arbitrary, Unstructured};
use switchboard::delivery::{GroupName, Recipients, SessionId};
use switchboard::registry::Registry;

/// Does what `data` says to a registry and to a model of it, and compares them after each step.
///
/// # Panics
///
/// If the two differ.
pub(crate) fn check(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut pair = Pair::default();
    while !input.is_empty() {
        let Ok(step) = Step::arbitrary(&mut input) else {
            break;
        };
        pair.apply(&step);
        pair.compare_counts();
    }
    pair.compare_everyone();
    pair.remove_everyone();
}

/// Slots of the loop: few, so that they are reused.
const SLOT_COUNT: u8 = 10;

/// Groups: few, so that they are shared.
const GROUP_COUNT: u8 = 4;

/// One thing that happens.
#[derive(Arbitrary, Debug)]
enum Step {
    Join(Who, Group),
    Leave(Who, Group),
    Remove(Who),
    Publish(Group),
    /// A new connection gets the slot of one that is gone, or was forgotten.
    Reuse(Slot),
}

/// Some session: the present one of a slot, or one of those before it.
#[derive(Debug)]
struct Who {
    slot: Slot,
    age: u32,
}

impl<'a> Arbitrary<'a> for Who {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self {
            slot: Slot::arbitrary(input)?,
            age: input.int_in_range(0..=3_u32)?.saturating_sub(1),
        })
    }
}

/// One of the slots.
#[derive(Clone, Copy, Debug)]
struct Slot(u8);

impl<'a> Arbitrary<'a> for Slot {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(input.int_in_range(0..=SLOT_COUNT - 1)?))
    }
}

/// One of the groups.
#[derive(Clone, Copy, Debug)]
struct Group(u8);

impl Group {
    /// Its name, in a hub of no importance.
    fn name(self) -> GroupName {
        GroupName::new("hub", &self.0.to_string())
    }
}

impl<'a> Arbitrary<'a> for Group {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(input.int_in_range(0..=GROUP_COUNT - 1)?))
    }
}

/// The registry and what it should be: who is in which group, and how far each slot's sessions are.
#[derive(Default)]
struct Pair {
    registry: Registry,
    members: BTreeMap<GroupName, BTreeSet<SessionId>>,
    /// The generation of the present session of a slot, by slot.
    present: BTreeMap<u8, u32>,
    /// Sessions that were removed, and those whose slot a later one has taken.
    stale: BTreeSet<SessionId>,
}

impl Pair {
    /// Does one step to both.
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Join(who, group) => self.join(self.session(who), group.name()),
            Step::Leave(who, group) => self.leave(self.session(who), &group.name()),
            Step::Remove(who) => self.remove(self.session(who)),
            Step::Publish(group) => self.publish(&group.name()),
            Step::Reuse(slot) => *self.present.entry(slot.0).or_default() += 1,
        }
    }

    /// Somebody joins: refused if stale or a member already.
    fn join(&mut self, session: SessionId, group: GroupName) {
        let is_new = !self.stale.contains(&session)
            && self
                .members
                .entry(group.clone())
                .or_default()
                .insert(session);
        self.forget_before(session);
        assert_eq!(
            self.registry.join(session, group),
            is_new,
            "{session} joins"
        );
    }

    /// Somebody leaves: refused if not a member.
    fn leave(&mut self, session: SessionId, group: &GroupName) {
        let was_member = self
            .members
            .get_mut(group)
            .is_some_and(|members| members.remove(&session));
        assert_eq!(
            self.registry.leave(session, group),
            was_member,
            "{session} leaves"
        );
    }

    /// A connection ends: it is stale from now on.
    fn remove(&mut self, session: SessionId) {
        self.forget_before(session);
        self.forget(session);
        self.registry.remove(session);
    }

    /// A delivery reaches exactly the members of this moment, each once.
    fn publish(&self, group: &GroupName) {
        let recipients = Recipients::Group(group.clone());
        let reached = self.registry.recipients(&recipients);
        let expected = self.members.get(group).cloned().unwrap_or_default();
        assert_eq!(
            reached.len(),
            expected.len(),
            "somebody twice or missing in {group:?}"
        );
        assert_eq!(
            reached.iter().copied().collect::<BTreeSet<_>>(),
            expected,
            "{group:?}"
        );
        assert_eq!(self.registry.member_count(group), expected.len());
    }

    /// Groups without members do not count, and memberships count once.
    fn compare_counts(&self) {
        let groups = self.members.values().filter(|members| !members.is_empty());
        assert_eq!(self.registry.group_count(), groups.count());
        let memberships = self.members.values().map(BTreeSet::len).sum::<usize>();
        assert_eq!(self.registry.membership_count(), memberships);
    }

    /// Every group has its members, every session its groups.
    fn compare_everyone(&self) {
        for group in self.members.keys() {
            self.publish(group);
        }
        for session in self.sessions() {
            let groups: Vec<_> = self.registry.groups_of(session).cloned().collect();
            let expected: BTreeSet<_> = self
                .members
                .iter()
                .filter(|(_, members)| members.contains(&session))
                .collect();
            assert_eq!(groups.len(), expected.len(), "groups of {session}");
            for group in groups {
                assert!(
                    self.members[&group].contains(&session),
                    "{session} haunts {group:?}"
                );
                assert!(self.registry.is_member(session, &group));
            }
        }
    }

    /// When all connections have ended nothing is left.
    fn remove_everyone(&mut self) {
        for session in self.sessions() {
            self.remove(session);
            self.compare_counts();
        }
        assert_eq!(
            (
                self.registry.group_count(),
                self.registry.membership_count()
            ),
            (0, 0)
        );
    }

    /// All sessions that any step can have named, the earlier ones of a slot first.
    fn sessions(&self) -> Vec<SessionId> {
        let present = |slot| self.present.get(&slot).copied().unwrap_or_default();
        (0..SLOT_COUNT)
            .flat_map(|slot| (0..=present(slot)).map(move |age| id(slot, age)))
            .collect()
    }

    /// The id behind `who`.
    fn session(&self, who: &Who) -> SessionId {
        let present = self.present.get(&who.slot.0).copied().unwrap_or_default();
        id(who.slot.0, present.saturating_sub(who.age))
    }

    /// Whoever had the slot before is gone, even if nobody said so.
    fn forget_before(&mut self, session: SessionId) {
        for generation in 0..session.generation() {
            let slot = u8::try_from(session.slot()).expect("slots are few");
            self.forget(id(slot, generation));
        }
    }

    /// One session is gone for good.
    fn forget(&mut self, session: SessionId) {
        self.stale.insert(session);
        for members in self.members.values_mut() {
            members.remove(&session);
        }
    }
}

/// The id of a session of loop 0.
fn id(slot: u8, generation: u32) -> SessionId {
    SessionId::new(0, slot.into(), generation).expect("slots are few")
}
