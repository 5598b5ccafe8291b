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
const SLOT_COUNT: usize = 1024;
const WORD_BITS: usize = u64::BITS as usize;

/// A number of ticks since the start of the clock: names the slot that a timer was put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

impl Tick {
    /// Later than every tick that can be armed: the mark of a connection without a timer.
    pub(super) const NEVER: Self = Self(u64::MAX);

    /// The first tick at which `deadline` has passed.
    pub(super) fn at(deadline: Moment) -> Self {
        Self(deadline.as_millis().div_ceil(TICK_MILLIS))
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
}

impl Timers {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            slots: vec![Vec::new(); SLOT_COUNT].into_boxed_slice(),
            occupied: [0; SLOT_COUNT / WORD_BITS],
            next_tick: now.as_millis() / TICK_MILLIS,
        }
    }

    /// Has `session` come up at `tick`, or sooner if that is too far ahead or already past; returns when it will.
    pub(super) fn arm(&mut self, session: SessionId, tick: Tick) -> Tick {
        let tick = tick
            .0
            .clamp(self.next_tick, self.next_tick + SLOT_COUNT as u64 - 1);
        let slot = slot_of(tick);
        self.slots[slot].push(session);
        self.occupied[slot / WORD_BITS] |= 1 << (slot % WORD_BITS);
        Tick(tick)
    }

    /// Moves everyone whose tick has come to the end of `due`, with the tick it was armed for.
    pub(super) fn take_due(&mut self, now: Moment, due: &mut Vec<(Tick, SessionId)>) {
        let end = now.as_millis() / TICK_MILLIS + 1;
        while let Some(tick) = self.next_occupied()
            && tick < end
        {
            let slot = slot_of(tick);
            self.occupied[slot / WORD_BITS] &= !(1 << (slot % WORD_BITS));
            // The slot gives its memory back: a burst of connections must not leave a large wheel behind.
            due.extend(
                std::mem::take(&mut self.slots[slot])
                    .into_iter()
                    .map(|id| (Tick(tick), id)),
            );
            self.next_tick = tick;
        }
        self.next_tick = self.next_tick.max(end);
    }

    /// How long to wait for the next timer, rounded up; `None` if none is armed.
    pub(super) fn wait(&self, now: Moment) -> Option<Duration> {
        let due = self.next_occupied()? * TICK_MILLIS;
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

    fn millis(count: u64) -> Moment {
        Moment::START + Duration::from_millis(count)
    }

    #[test]
    fn a_timer_fires_at_its_tick_and_not_before() {
        let mut timers = Timers::new(Moment::START);
        timers.arm(id(1), Tick::at(millis(100)));
        assert_eq!(timers.wait(Moment::START), Some(Duration::from_millis(128)));
        assert_eq!(due_ids(&mut timers, millis(127)), []);
        assert_eq!(due_ids(&mut timers, millis(128)), [id(1)]);
        assert_eq!(timers.wait(millis(128)), None);
    }

    #[test]
    fn a_deadline_beyond_the_wheel_comes_up_early() {
        let mut timers = Timers::new(Moment::START);
        let armed = timers.arm(id(1), Tick::at(Moment::NEVER));
        assert_eq!(armed, Tick(SLOT_COUNT as u64 - 1));
        let fires = SLOT_COUNT as u64 * TICK_MILLIS;
        assert_eq!(due_ids(&mut timers, millis(fires - TICK_MILLIS)), [id(1)]);
    }

    #[test]
    fn a_deadline_in_the_past_fires_at_once() {
        let mut timers = Timers::new(millis(5000));
        timers.arm(id(1), Tick::at(millis(10)));
        assert_eq!(timers.wait(millis(5000)), Some(Duration::ZERO));
        assert_eq!(due_ids(&mut timers, millis(5000)), [id(1)]);
    }

    #[test]
    fn lt_05_a_long_jump_of_the_clock_fires_everything_once() {
        let mut timers = Timers::new(Moment::START);
        for number in 1..=2000 {
            timers.arm(id(number), Tick::at(millis(u64::from(number) * 15)));
        }
        assert_eq!(due_ids(&mut timers, millis(10_000_000)).len(), 2000);
        timers.arm(id(1), Tick::at(millis(10_000_100)));
        assert_eq!(due_ids(&mut timers, millis(10_000_200)), [id(1)]);
    }

    proptest! {
        /// A sorted list does the same as the wheel.
        #[test]
        fn the_wheel_agrees_with_a_sorted_list(steps in proptest::collection::vec((0_u64..40_000, 0_u64..3_000), 1..60)) {
            let mut timers = Timers::new(Moment::START);
            let mut naive: Vec<(u64, u32)> = Vec::new();
            let mut now = 0;
            for (number, (ahead, pause)) in steps.into_iter().enumerate() {
                let number = u32::try_from(number).unwrap() + 1;
                let Tick(armed) = timers.arm(id(number), Tick::at(millis(now + ahead)));
                naive.push((armed * TICK_MILLIS, number));
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
