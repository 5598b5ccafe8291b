//! The deadlines of all connections of one loop.
//!
//! A wheel of slots, one for each tick of the next half minute. To arm a timer is to append an id to a slot, whatever
//! the number of connections; to move a deadline to a later time costs nothing at all, because a timer that fires
//! too early is looked at and armed again. So messages, which move deadlines all the time, do no timer work.

use std::time::Duration;

use crate::clock::Moment;
use crate::delivery::SessionId;

/// How exact a deadline is.
const TICK_MILLIS: u64 = 32;
/// How many ticks ahead a timer can be armed; a later deadline is looked at again on the way.
const TICKS_AHEAD_MAX: u64 = SLOT_COUNT as u64 - 2;
/// More than can be armed ahead by one, because one tick is put off; divides the number of ticks that are told apart.
const SLOT_COUNT: usize = 1024;
const WORD_BITS: usize = u64::BITS as usize;

/// The low bits of a number of ticks since the start of the clock: names the slot that a timer was put into.
///
/// Timers are armed for the next half minute only, so that it does not matter that this wraps after four years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick(u32);

impl Tick {
    /// Later than every tick that can be armed: the mark of a connection without a timer.
    pub(super) const NEVER: Self = Self(u32::MAX);

    /// Whether this tick, which can be armed, comes sooner than another, which is armed or never comes.
    pub(super) fn is_before(self, other: Self) -> bool {
        other == Self::NEVER || self.0.wrapping_sub(other.0).cast_signed() < 0
    }

    /// The tick of that number; the one that would be called [`Tick::NEVER`] is put off to the next.
    fn numbered(number: u64) -> Self {
        Self(u32::try_from(number % (1 << u32::BITS)).map_or(0, |low| low % u32::MAX))
    }

    fn slot(self) -> usize {
        self.0 as usize % SLOT_COUNT
    }
}

/// Ids of connections by the tick at which they have to be looked at.
#[derive(Debug)]
pub(super) struct Timers {
    slots: Box<[Vec<SessionId>]>,
    /// A bit for each slot that is not empty.
    occupied: [u64; SLOT_COUNT / WORD_BITS],
    /// The first tick that has not been taken yet.
    next_tick: u64,
    /// The first tick whose slot is not empty, so that turns in which nothing is due need not look for it.
    next_armed: Option<u64>,
}

impl Timers {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            slots: vec![Vec::new(); SLOT_COUNT].into_boxed_slice(),
            occupied: [0; SLOT_COUNT / WORD_BITS],
            next_tick: now.as_millis() / TICK_MILLIS,
            next_armed: None,
        }
    }

    /// The first tick at which `deadline` has passed; an earlier one if that is too far ahead, the next if it is past.
    pub(super) fn tick_at(&self, deadline: Moment) -> Tick {
        let number = deadline.as_millis().div_ceil(TICK_MILLIS);
        let last = self.next_tick + TICKS_AHEAD_MAX;
        Tick::numbered(number.clamp(self.next_tick, last))
    }

    /// Has `session` come up at `tick`, which must be a result of [`Timers::tick_at`] that has not passed.
    pub(super) fn arm(&mut self, session: SessionId, tick: Tick) {
        let slot = tick.slot();
        self.slots[slot].push(session);
        self.occupied[slot / WORD_BITS] |= 1 << (slot % WORD_BITS);
        let ahead = (slot + SLOT_COUNT - slot_of(self.next_tick)) % SLOT_COUNT;
        let number = self.next_tick + ahead as u64;
        self.next_armed = Some(self.next_armed.map_or(number, |next| next.min(number)));
    }

    /// Moves everyone whose tick has come to the end of `due`, with the tick it was armed for.
    pub(super) fn take_due(&mut self, now: Moment, due: &mut Vec<(Tick, SessionId)>) {
        let end = now.as_millis() / TICK_MILLIS + 1;
        while let Some(tick) = self.next_armed
            && tick < end
        {
            let slot = slot_of(tick);
            self.occupied[slot / WORD_BITS] &= !(1 << (slot % WORD_BITS));
            // The slot gives its memory back: a burst of connections must not leave a large wheel behind.
            due.extend(
                std::mem::take(&mut self.slots[slot])
                    .into_iter()
                    .map(|id| (Tick::numbered(tick), id)),
            );
            self.next_tick = tick;
            self.next_armed = self.next_occupied();
        }
        self.next_tick = self.next_tick.max(end);
    }

    /// How long to wait for the next timer, rounded up; `None` if none is armed.
    pub(super) fn wait(&self, now: Moment) -> Option<Duration> {
        let due = self.next_armed? * TICK_MILLIS;
        Some(Duration::from_millis(due.saturating_sub(now.as_millis())))
    }

    /// The first tick whose slot is not empty.
    fn next_occupied(&self) -> Option<u64> {
        let first = slot_of(self.next_tick);
        let (first_word, first_bit) = (first / WORD_BITS, first % WORD_BITS);
        let word_count = self.occupied.len();
        (0..=word_count).find_map(|step| {
            let word = self.occupied[(first_word + step) % word_count];
            let in_question = match step {
                0 => word & (u64::MAX << first_bit),
                // The slots before the first one are those of the latest ticks.
                _ if step == word_count => word & !(u64::MAX << first_bit),
                _ => word,
            };
            (in_question != 0).then(|| {
                let ahead = step * WORD_BITS + in_question.trailing_zeros() as usize - first_bit;
                self.next_tick + ahead as u64
            })
        })
    }
}

fn slot_of(tick: u64) -> usize {
    // The remainder is below SLOT_COUNT.
    usize::try_from(tick % SLOT_COUNT as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u32) -> SessionId {
        SessionId::new(0, number, 1).unwrap()
    }

    fn due_ids(timers: &mut Timers, now: Moment) -> Vec<SessionId> {
        let mut due = Vec::new();
        timers.take_due(now, &mut due);
        due.into_iter().map(|(_, id)| id).collect()
    }

    fn arm(timers: &mut Timers, id: SessionId, deadline: Moment) {
        let tick = timers.tick_at(deadline);
        timers.arm(id, tick);
    }

    fn millis(count: u64) -> Moment {
        Moment::START + Duration::from_millis(count)
    }

    #[test]
    fn a_timer_fires_at_its_tick_and_not_before() {
        let mut timers = Timers::new(Moment::START);
        arm(&mut timers, id(1), millis(100));
        assert_eq!(timers.wait(Moment::START), Some(Duration::from_millis(128)));
        assert_eq!(due_ids(&mut timers, millis(127)), []);
        assert_eq!(due_ids(&mut timers, millis(128)), [id(1)]);
        assert_eq!(timers.wait(millis(128)), None);
    }

    #[test]
    fn a_deadline_beyond_the_wheel_comes_up_early() {
        let mut timers = Timers::new(Moment::START);
        arm(&mut timers, id(1), Moment::NEVER);
        let fires = millis(TICKS_AHEAD_MAX * TICK_MILLIS);
        assert_eq!(timers.wait(Moment::START), Some(fires - Moment::START));
        assert_eq!(due_ids(&mut timers, fires), [id(1)]);
    }

    #[test]
    fn a_deadline_in_the_past_fires_at_once() {
        let mut timers = Timers::new(millis(5000));
        arm(&mut timers, id(1), millis(10));
        assert_eq!(timers.wait(millis(5000)), Some(Duration::ZERO));
        assert_eq!(due_ids(&mut timers, millis(5000)), [id(1)]);
    }

    #[test]
    fn ticks_are_compared_across_the_wrap() {
        let end = 1 << u32::BITS;
        let ticks = [end - 3, end - 2, end, end + 1].map(Tick::numbered);
        assert!(ticks.is_sorted_by(|tick, next| tick.is_before(*next) && !next.is_before(*tick)));
        assert!(ticks.iter().all(|tick| tick.is_before(Tick::NEVER)));
        assert_eq!(Tick::numbered(end - 1), Tick::numbered(end));
    }

    #[test]
    fn lt_05_a_long_jump_of_the_clock_fires_everything_once() {
        let mut timers = Timers::new(Moment::START);
        for number in 1..=2000 {
            arm(&mut timers, id(number), millis(u64::from(number) * 15));
        }
        assert_eq!(due_ids(&mut timers, millis(10_000_000)).len(), 2000);
        arm(&mut timers, id(1), millis(10_000_100));
        assert_eq!(due_ids(&mut timers, millis(10_000_200)), [id(1)]);
    }

    proptest! {
        /// A sorted list does the same as the wheel, also where numbers of ticks wrap.
        #[test]
        fn the_wheel_agrees_with_a_sorted_list(
            steps in proptest::collection::vec((0_u64..40_000, 0_u64..3_000), 1..60),
            ticks_to_wrap in 0_u64..2_000,
        ) {
            let mut now = ((1 << u32::BITS) - ticks_to_wrap) * TICK_MILLIS;
            let mut timers = Timers::new(millis(now));
            let mut naive: Vec<(u64, u32)> = Vec::new();
            for (number, (ahead, pause)) in steps.into_iter().enumerate() {
                let number = u32::try_from(number).unwrap() + 1;
                let next_tick = timers.next_tick;
                let armed = (now + ahead).div_ceil(TICK_MILLIS).clamp(next_tick, next_tick + TICKS_AHEAD_MAX);
                let is_put_off = armed + 1 == 1 << u32::BITS;
                naive.push(((armed + u64::from(is_put_off)) * TICK_MILLIS, number));
                arm(&mut timers, id(number), millis(now + ahead));
                let next = naive.iter().map(|(at, _)| at.saturating_sub(now)).min().map(Duration::from_millis);
                prop_assert_eq!(timers.wait(millis(now)), next);
                now += pause;
                let mut due: Vec<_> = due_ids(&mut timers, millis(now)).iter().map(|id| id.slot()).collect();
                due.sort_unstable();
                let mut expected: Vec<_> = naive.iter().filter(|(at, _)| *at <= now).map(|(_, number)| *number).collect();
                expected.sort_unstable();
                naive.retain(|(at, _)| *at > now);
                prop_assert_eq!(due, expected);
            }
        }
    }
}
