//! The words that the layers share when a message travels: who it is for, and who somebody is.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::AddAssign;
use std::sync::Arc;

/// The longest name of a group or user, in bytes, hub excluded.
pub const NAME_LEN_MAX: usize = 1024;

/// Names one connection for as long as the process lives: loop, slot and generation in 64 bits.
///
/// A slot is reused, a generation is not, so an id that has outlived its connection matches nobody.
///
/// | Bits | Field |
/// |---|---|
/// | 63–32 | generation of the slot |
/// | 31–24 | loop |
/// | 23–0 | slot within the loop |
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// Most loops that an id can tell apart.
    pub const LOOP_COUNT_MAX: usize = 1 << 8;
    /// Most connections of one loop that an id can tell apart.
    pub const SLOT_COUNT_MAX: usize = 1 << 24;

    /// Puts an id together; `None` if the slot is not below [`Self::SLOT_COUNT_MAX`].
    #[must_use]
    pub fn new(loop_index: u8, slot: u32, generation: u32) -> Option<Self> {
        if slot as usize >= Self::SLOT_COUNT_MAX {
            return None;
        }
        let place = u32::from(loop_index) << 24 | slot;
        Some(Self(u64::from(generation) << 32 | u64::from(place)))
    }

    /// Takes an id out of the bits of [`Self::to_bits`]; any bits are an id, though perhaps of nobody.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The id as a number, for whoever needs one: the token of a poll, the name of a connection.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// Which loop the connection lives on.
    #[must_use]
    pub fn loop_index(self) -> usize {
        let [_, _, _, _, loop_index, ..] = self.0.to_be_bytes();
        usize::from(loop_index)
    }

    /// Which slot of its loop the connection has; below [`Self::SLOT_COUNT_MAX`].
    #[must_use]
    pub fn slot(self) -> u32 {
        let [.., high, middle, low] = self.0.to_be_bytes();
        u32::from_be_bytes([0, high, middle, low])
    }

    /// Which user of its slot the connection is: later ones have higher numbers, until they wrap.
    #[must_use]
    pub fn generation(self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}",
            self.loop_index(),
            self.slot(),
            self.generation()
        )
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The name of a group within its hub; cheap to clone.
///
/// Hubs are isolated from each other: the same name in two hubs is two groups.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(Arc<str>);

impl GroupName {
    /// What stands between hub and group; no hub's name contains it, a group's name may.
    const SEPARATOR: &str = "/";

    /// Names the group `name` of the hub `hub`.
    ///
    /// # Panics
    ///
    /// In debug builds, if the hub contains a `/`: then two pairs of names could be one group.
    #[must_use]
    pub fn new(hub: &str, name: &str) -> Self {
        debug_assert!(!hub.contains(Self::SEPARATOR), "a hub's name with a slash");
        Self([hub, Self::SEPARATOR, name].concat().into())
    }

    /// Whether this is the group `name` of the hub `hub`.
    #[must_use]
    pub fn is(&self, hub: &str, name: &str) -> bool {
        let rest = self.0.strip_prefix(hub);
        rest.and_then(|rest| rest.strip_prefix(Self::SEPARATOR)) == Some(name)
    }

    /// Where the name lies in memory, which is the same for all clones: a hint that two names are equal, and no more.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    /// The name without its hub.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0
            .split_once(Self::SEPARATOR)
            .map_or("", |(_, name)| name)
    }
}

impl fmt::Debug for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Who a delivery is for, at the moment when it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// Every member of a group, on every loop.
    Group(GroupName),
    /// One connection, on whichever loop it lives.
    One(SessionId),
    /// One connection, if it is a member of the group.
    Member(SessionId, GroupName),
}

/// A frame on its way: what, for whom, who of them is left out, and what happens to those who are slow.
#[derive(Clone, Debug)]
pub struct Delivery<F> {
    /// The finished frame: nothing yet while an application says who is to get it, a range while the turn is being
    /// written, shared bytes afterwards.
    pub frame: F,
    /// How many messages that is: those that follow each other to the same recipients on the same terms go together, as
    /// frames back to back.
    pub message_count: u32,
    /// Who is to get it.
    pub recipients: Recipients,
    /// Who of the recipients does not get it.
    pub except: Except,
    /// What becomes of it where it does not fit; `None` is [`Policy::Close`].
    pub terms: Option<Arc<Terms>>,
}

impl Delivery<()> {
    /// To `recipients`, all of them, closing those who are too slow.
    #[must_use]
    pub fn to(recipients: Recipients) -> Self {
        Self {
            frame: (),
            message_count: 1,
            recipients,
            except: Except::Nobody,
            terms: None,
        }
    }

    /// The same without `except`.
    #[must_use]
    pub fn leaving_out(self, except: impl Into<Except>) -> Self {
        let except = except.into();
        Self { except, ..self }
    }

    /// The same on `terms`, if there are any.
    #[must_use]
    pub fn on(self, terms: Option<Arc<Terms>>) -> Self {
        Self { terms, ..self }
    }
}

impl<F> Delivery<F> {
    /// The same with the frame that `make` makes of this one.
    #[must_use]
    pub fn map<G>(self, make: impl FnOnce(F) -> G) -> Delivery<G> {
        Delivery {
            frame: make(self.frame),
            message_count: self.message_count,
            recipients: self.recipients,
            except: self.except,
            terms: self.terms,
        }
    }
}

/// Who of the recipients is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Except {
    /// Nobody.
    #[default]
    Nobody,
    /// One: the sender who asked for no echo.
    One(SessionId),
    /// Several.
    Many(Arc<[SessionId]>),
}

impl Except {
    /// Whether `session` is left out.
    #[must_use]
    #[inline]
    pub fn contains(&self, session: SessionId) -> bool {
        match self {
            Self::Nobody => false,
            Self::One(one) => *one == session,
            Self::Many(many) => many.contains(&session),
        }
    }
}

impl From<Option<SessionId>> for Except {
    fn from(session: Option<SessionId>) -> Self {
        session.map_or(Self::Nobody, Self::One)
    }
}

impl FromIterator<SessionId> for Except {
    fn from_iter<I: IntoIterator<Item = SessionId>>(sessions: I) -> Self {
        let many: Arc<[_]> = sessions.into_iter().collect();
        if many.is_empty() {
            Self::Nobody
        } else {
            Self::Many(many)
        }
    }
}

/// What becomes of a message that does not fit into the outbox of a receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The receiver is closed with 1008.
    #[default]
    Close,
    /// This message is dropped: what came first is kept.
    DropNewest,
    /// Older messages of the same group are dropped until it fits: what comes last is kept.
    DropOldest,
    /// While the socket is full, only the latest message of the group waits; for states, where the next one makes up
    /// for those before it.
    Latest,
}

/// On what terms the messages of a group are delivered to receivers that are slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What becomes of a message that does not fit.
    pub policy: Policy,
    /// How a receiver is told that it has lost some; `None` if it would not understand.
    pub notice: Option<Notice>,
    /// Whether it is never compressed: lengths of compressed messages tell something of what is in them.
    pub is_plain: bool,
}

impl Terms {
    /// The same for receivers that would not understand a notice.
    #[must_use]
    pub fn without_notice(&self) -> Arc<Self> {
        Arc::new(Self {
            policy: self.policy,
            notice: None,
            is_plain: self.is_plain,
        })
    }
}

/// A text message that tells a receiver how many messages of a group it has lost: `before`, the number, `after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What precedes the number.
    pub before: Box<str>,
    /// What follows the number.
    pub after: &'static str,
}

/// The messages to one group, as those that wait for a receiver are told from all others.
///
/// A loop gives the number when the group gets its first member there, and never again, until it has counted to 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed(NonZeroU32);

impl Feed {
    /// Messages to a connection and not to a group.
    pub const DIRECT: Self = Self(NonZeroU32::MIN);

    /// The feed of the group that comes next.
    #[must_use]
    pub fn next(self) -> Self {
        // After the highest number comes the one behind that of `DIRECT`.
        let number = self.0.checked_add(1);
        Self(number.unwrap_or(NonZeroU32::MIN.saturating_add(1)))
    }
}

/// How the messages of a recoverable peer are numbered on the wire: `before`, the number in decimal, `after`, then the
/// message without its first `replaced_len` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// What precedes the number.
    pub before: &'static str,
    /// What follows the number.
    pub after: &'static str,
    /// How many bytes of the message as others get it are replaced.
    pub replaced_len: usize,
}

/// The secret that lets a new socket go on with a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecoveryToken(pub [u8; 16]);

impl fmt::Debug for RecoveryToken {
    /// Does not show the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryToken(..)")
    }
}

/// How a delivery went: everyone whom it was meant for is in one of the two counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Recipients in whose outbox the message now is.
    pub recipients: u32,
    /// Recipients that did not get it because their outbox was full. Whoever lost an older message to this one has
    /// this one, so it is not among them; it was a recipient of the older one, and is told by a [`Notice`].
    pub dropped: u32,
}

impl Outcome {
    /// So many who had a message waiting have lost it before it was written.
    pub fn withdraw(&mut self, count: u32) {
        self.recipients = self.recipients.saturating_sub(count);
        self.dropped = self.dropped.saturating_add(count);
    }
}

/// Adds the outcomes of two loops; a count that would not fit stays at its maximum.
impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.recipients = self.recipients.saturating_add(other.recipients);
        self.dropped = self.dropped.saturating_add(other.dropped);
    }
}

/// A part of a list of connections, which is in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The list goes on behind this one; `None`: it begins.
    pub after: Option<SessionId>,
    /// The most connections that are wanted.
    pub len_max: usize,
}

/// One connection of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Which one.
    pub session: SessionId,
    /// Who is connected, if the application knows.
    pub name: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::{any, proptest};

    use super::{Except, Feed, GroupName, Outcome, Recipients, SessionId};

    proptest! {
        #[test]
        fn an_id_gives_back_what_it_was_made_of(
            loop_index in any::<u8>(),
            slot in 0..1_u32 << 24,
            generation in any::<u32>(),
        ) {
            let id = SessionId::new(loop_index, slot, generation).unwrap();
            assert_eq!(id.loop_index(), usize::from(loop_index));
            assert_eq!(id.slot(), slot);
            assert_eq!(id.generation(), generation);
            assert_eq!(SessionId::from_bits(id.to_bits()), id);
        }

        #[test]
        fn any_bits_are_an_id(bits in any::<u64>()) {
            let id = SessionId::from_bits(bits);
            let loop_index = u8::try_from(id.loop_index()).unwrap();
            assert_eq!(SessionId::new(loop_index, id.slot(), id.generation()), Some(id));
        }
    }

    #[test]
    fn the_bits_of_an_id_are_generation_loop_slot() {
        let id = SessionId::new(0xab, 0x12_3456, 0x89ab_cdef).unwrap();
        assert_eq!(id.to_bits(), 0x89ab_cdef_ab12_3456);
    }

    #[test]
    fn a_slot_beyond_24_bits_has_no_id() {
        assert!(SessionId::new(0, 0x00ff_ffff, 0).is_some());
        assert_eq!(SessionId::new(0, 0x0100_0000, 0), None);
        assert_eq!(SessionId::new(0, u32::MAX, 0), None);
    }

    #[test]
    fn two_generations_of_a_slot_are_two_ids() {
        assert_ne!(SessionId::new(1, 2, 3), SessionId::new(1, 2, 4));
    }

    #[test]
    fn an_id_is_shown_as_loop_slot_generation() {
        let id = SessionId::new(1, 22, 333).unwrap();
        assert_eq!(id.to_string(), "1.22.333");
        assert_eq!(format!("{id:?}"), "1.22.333");
    }

    #[test]
    fn the_same_name_in_two_hubs_is_two_groups() {
        let names = [
            GroupName::new("a", "room"),
            GroupName::new("b", "room"),
            GroupName::new("a", "b/room"),
            GroupName::new("", "a/room"),
        ];
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }

    #[test]
    fn a_group_tells_its_name_without_the_hub() {
        for name in ["room", "", "/", "a/b", "@user/ann", "grün"] {
            assert_eq!(GroupName::new("hub", name).name(), name);
            assert_eq!(GroupName::new("", name).name(), name);
            assert!(GroupName::new("hub", name).is("hub", name));
            assert!(!GroupName::new("hub", name).is("hu", name));
            assert!(!GroupName::new("hub", name).is("hub", &format!("{name}x")));
        }
    }

    #[test]
    fn a_clone_of_a_name_is_the_same_group() {
        let name = GroupName::new("hub", "room");
        assert_eq!(Recipients::Group(name.clone()), Recipients::Group(name));
    }

    #[test]
    fn who_is_left_out_is_nobody_one_or_several() {
        let [a, b, c] = [1, 2, 3].map(SessionId::from_bits);
        let nobody: Except = None.into();
        assert_eq!(nobody, [].into_iter().collect());
        assert!(!nobody.contains(a));
        let one: Except = Some(a).into();
        assert!(one.contains(a) && !one.contains(b));
        let two: Except = [a, c].into_iter().collect();
        assert!(two.contains(a) && !two.contains(b) && two.contains(c));
    }

    #[test]
    fn the_numbers_of_feeds_begin_anew_behind_that_of_direct_messages() {
        let first = Feed::DIRECT.next();
        assert_ne!(first, Feed::DIRECT);
        assert_eq!(Feed(std::num::NonZeroU32::MAX).next(), first);
    }

    #[test]
    fn outcomes_add_up_and_stop_at_the_largest_count() {
        let mut sum = Outcome {
            recipients: 1,
            dropped: u32::MAX,
        };
        sum += Outcome {
            recipients: 2,
            dropped: 1,
        };
        assert_eq!(
            sum,
            Outcome {
                recipients: 3,
                dropped: u32::MAX
            }
        );
    }
}
