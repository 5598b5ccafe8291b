//! Whether a peer sends more in a second than it may.
//!
//! For each limit there is a level: what came raises it, and it sinks by the limit every second. A level of up to one
//! second's worth is a burst; above it the peer is *ahead*, and nothing is read from it until the level is down again.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Moment;
use crate::config::RateLimits;

/// What came from a peer in one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// Control frames, but no pongs that a ping of ours asked for.
    pub control_frame_count: u32,
    /// Messages.
    pub message_count: u32,
    /// Bytes of everything.
    pub byte_count: usize,
}

/// What a peer sends too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Control frames.
    ControlFrames,
    /// Messages.
    Messages,
    /// Bytes.
    Bytes,
}

/// How fast a peer has been sending; exists only for those that sent something that is limited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// In thousandths, so that a limit per second is one per millisecond: control frames, messages, bytes.
    levels: [u64; 3],
    /// When the levels were these.
    at: Moment,
    /// Since when the peer is ahead with at most a second in between, and until when nothing is read from it; `None`
    /// before the first time.
    ahead: Option<(Moment, Moment)>,
}

impl Excess {
    /// All of them, in the order of [`Rates::levels`].
    const ALL: [Self; 3] = [Self::ControlFrames, Self::Messages, Self::Bytes];

    /// What the peer is told.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::ControlFrames => "too many control frames",
            Self::Messages => "too many messages",
            Self::Bytes => "too many bytes",
        }
    }

    fn limit(self, limits: &RateLimits) -> Option<NonZeroU32> {
        match self {
            Self::ControlFrames => limits.control_frames_per_second_max,
            Self::Messages => limits.messages_per_second_max,
            Self::Bytes => limits.bytes_per_second_max,
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl Intake {
    /// Whether any of it is limited.
    #[must_use]
    #[inline]
    pub fn is_limited(&self, limits: &RateLimits) -> bool {
        self.control_frame_count > 0 && limits.control_frames_per_second_max.is_some()
            || limits.messages_per_second_max.is_some()
            || limits.bytes_per_second_max.is_some()
    }
}

impl Rates {
    /// Counts what came until `now`; returns until when nothing is to be read from the peer, if it is ahead.
    ///
    /// # Errors
    ///
    /// What the peer has sent too much of for too long, or far too much of at once.
    pub fn charge(
        &mut self,
        intake: Intake,
        now: Moment,
        limits: &RateLimits,
    ) -> Result<Option<Moment>, Excess> {
        self.sink_to(now, limits);
        let Intake {
            control_frame_count,
            message_count,
            byte_count,
        } = intake;
        let counts = [
            u64::from(control_frame_count),
            u64::from(message_count),
            byte_count as u64,
        ];
        let mut wait_millis = 0;
        let mut most = Excess::ControlFrames;
        for ((kind, level), count) in Excess::ALL.into_iter().zip(&mut self.levels).zip(counts) {
            let Some(limit) = kind.limit(limits) else {
                continue;
            };
            let limit = u64::from(limit.get());
            *level = level.saturating_add(count.saturating_mul(1000));
            // A level of a thousand times the limit is one second's worth.
            let ahead_millis = level.saturating_sub(limit * 1000).div_ceil(limit);
            if ahead_millis > PATIENCE_MILLIS && kind != Excess::Bytes {
                return Err(kind);
            }
            if ahead_millis > wait_millis {
                (wait_millis, most) = (ahead_millis, kind);
            }
        }
        if wait_millis == 0 {
            return Ok(None);
        }
        let until = now + Duration::from_millis(wait_millis);
        let since = match self.ahead {
            Some((since, until)) if now <= until + RELIEF => since,
            _ => now,
        };
        self.ahead = Some((since, until));
        if now - since >= Duration::from_millis(PATIENCE_MILLIS) {
            return Err(most);
        }
        Ok(Some(until))
    }

    /// How many messages may come at `now` before the peer is closed.
    #[must_use]
    pub fn message_allowance(&self, now: Moment, limits: &RateLimits) -> u32 {
        let Some(limit) = limits.messages_per_second_max else {
            return u32::MAX;
        };
        let limit = u64::from(limit.get());
        let [_, level, _] = self.levels;
        let level = level.saturating_sub(limit.saturating_mul(self.millis_until(now)));
        let left = (limit * (1000 + PATIENCE_MILLIS)).saturating_sub(level) / 1000;
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Whether nothing is left to remember: the peer might as well have sent nothing so far.
    #[must_use]
    pub fn is_forgotten(&self, now: Moment, limits: &RateLimits) -> bool {
        let mut sunk = *self;
        sunk.sink_to(now, limits);
        sunk.levels == [0; 3] && self.ahead.is_none_or(|(_, until)| now > until + RELIEF)
    }

    /// Lowers the levels by what the time until `now` allows.
    fn sink_to(&mut self, now: Moment, limits: &RateLimits) {
        let elapsed_millis = self.millis_until(now);
        for (kind, level) in Excess::ALL.into_iter().zip(&mut self.levels) {
            let limit = kind
                .limit(limits)
                .map_or(u64::MAX, |limit| limit.get().into());
            *level = level.saturating_sub(limit.saturating_mul(elapsed_millis));
        }
        self.at = now;
    }

    fn millis_until(&self, now: Moment) -> u64 {
        now.as_millis().saturating_sub(self.at.as_millis())
    }
}

const PATIENCE_MILLIS: u64 = RateLimits::PATIENCE_SECONDS as u64 * 1000;

/// A peer that kept within its rates for that long is no longer *ahead on end*.
const RELIEF: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ten control frames, five messages and a thousand bytes a second.
    fn limits() -> RateLimits {
        RateLimits {
            control_frames_per_second_max: NonZeroU32::new(10),
            messages_per_second_max: NonZeroU32::new(5),
            bytes_per_second_max: NonZeroU32::new(1000),
        }
    }

    fn millis(count: u64) -> Moment {
        Moment::START + Duration::from_millis(count)
    }

    fn messages(message_count: u32) -> Intake {
        Intake {
            message_count,
            ..Intake::default()
        }
    }

    fn control_frames(control_frame_count: u32) -> Intake {
        Intake {
            control_frame_count,
            ..Intake::default()
        }
    }

    fn bytes(byte_count: usize) -> Intake {
        Intake {
            byte_count,
            ..Intake::default()
        }
    }

    #[test]
    fn lt_06_a_second_s_worth_is_a_burst_and_one_more_is_waited_for() {
        let intakes: [fn(u32) -> Intake; 3] = [control_frames, messages, |count| {
            bytes(count as usize * 100)
        }];
        for (intake, limit) in intakes.into_iter().zip([10, 5, 10]) {
            let mut rates = Rates::default();
            assert_eq!(rates.charge(intake(limit), millis(0), &limits()), Ok(None));
            let one_more = millis(1000 / u64::from(limit));
            assert_eq!(
                rates.charge(intake(1), millis(0), &limits()),
                Ok(Some(one_more))
            );
            let second = Moment::START + Duration::from_secs(1);
            assert_eq!(rates.charge(intake(1), second, &limits()), Ok(None));
        }
    }

    #[test]
    fn lt_06_ten_seconds_ahead_at_once_is_too_much_but_for_bytes() {
        let at_once = |intake| Rates::default().charge(intake, millis(0), &limits());
        let wait = Ok(Some(millis(10_000)));
        assert_eq!(at_once(control_frames(110)), wait);
        assert_eq!(at_once(control_frames(111)), Err(Excess::ControlFrames));
        assert_eq!(at_once(messages(55)), wait);
        assert_eq!(at_once(messages(56)), Err(Excess::Messages));
        assert_eq!(at_once(bytes(65_536)), Ok(Some(millis(64_536))));
    }

    #[test]
    fn lt_06_what_may_come_is_what_does_not_close_and_one_more_does() {
        let mut rates = Rates::default();
        for (at, left) in [(0, 55), (0, 54), (1000, 55), (1100, 54), (1100, 53)] {
            let now = millis(at);
            assert_eq!(rates.message_allowance(now, &limits()), left);
            let mut copy = rates;
            assert!(copy.charge(messages(left), now, &limits()).is_ok());
            let mut copy = rates;
            assert!(copy.charge(messages(left + 1), now, &limits()).is_err());
            rates.charge(messages(1), now, &limits()).unwrap();
        }
        assert_eq!(
            rates.message_allowance(millis(2000), &RateLimits::OFF),
            u32::MAX
        );
    }

    /// A peer that sends as fast as it is read, and as much as `intake` each time; until when, and why it was closed.
    fn flood(intake: Intake) -> (Moment, Excess) {
        let (mut rates, mut now) = (Rates::default(), millis(0));
        loop {
            match rates.charge(intake, now, &limits()) {
                Ok(until) => now = until.unwrap_or(now),
                Err(excess) => return (now, excess),
            }
        }
    }

    #[test]
    fn lt_06_a_peer_that_is_ahead_for_ten_seconds_on_end_is_closed() {
        for (intake, excess) in [
            (control_frames(3), Excess::ControlFrames),
            (messages(1), Excess::Messages),
            (bytes(700), Excess::Bytes),
            (bytes(65_536), Excess::Bytes),
        ] {
            let (end, found) = flood(intake);
            assert_eq!(found, excess);
            assert!(end >= millis(10_000) && end < millis(76_000), "{end:?}");
        }
    }

    #[test]
    fn lt_06_bursts_with_a_rest_between_them_go_on_for_ever() {
        let (mut rates, mut now) = (Rates::default(), millis(0));
        for _ in 0..100 {
            let until = rates
                .charge(bytes(65_536), now, &limits())
                .unwrap()
                .unwrap();
            now = until + RELIEF + Duration::from_millis(1);
        }
        rates.charge(bytes(1), now, &limits()).unwrap();
        assert!(!rates.is_forgotten(now, &limits()));
        assert!(rates.is_forgotten(now + Duration::from_millis(1), &limits()));
    }

    #[test]
    fn lt_06_what_is_not_limited_is_not_counted() {
        let flood = Intake {
            control_frame_count: u32::MAX,
            message_count: u32::MAX,
            byte_count: usize::MAX,
        };
        assert!(!flood.is_limited(&RateLimits::OFF));
        let mut rates = Rates::default();
        assert_eq!(rates.charge(flood, millis(0), &RateLimits::OFF), Ok(None));
        assert!(rates.is_forgotten(millis(0), &limits()));
        assert!(!messages(9).is_limited(&RateLimits::default()));
        assert!(control_frames(1).is_limited(&RateLimits::default()));
    }

    proptest! {
        /// Whoever keeps to its rates is never waited for; over any time nobody gets more in than burst and rate allow.
        #[test]
        fn lt_06_nobody_gets_more_in_than_a_burst_and_the_rate(steps in proptest::collection::vec((0_u64..3000, 1_u32..20), 1..60)) {
            let (mut rates, mut now, mut taken) = (Rates::default(), 0, 0_u64);
            for (pause, count) in steps {
                now += pause;
                let before = taken;
                match rates.charge(messages(count), millis(now), &limits()) {
                    Ok(until) => {
                        taken += u64::from(count);
                        // What is ahead is waited for.
                        prop_assert_eq!(until.is_some(), rates.levels[1] > 5000);
                        now = until.map_or(now, Moment::as_millis);
                        prop_assert!(taken * 1000 <= now * 5 + 5000, "{} of {}", taken, now);
                    }
                    Err(_) => {
                        prop_assert_eq!(taken, before);
                        return Ok(());
                    }
                }
            }
        }
    }
}
