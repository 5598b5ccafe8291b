//! How much of something one peer may send in a second.

use std::num::NonZeroU32;

/// What an open WebSocket may send in a second, on average (LT-06); `None` is no limit.
///
/// A peer that is ahead of a rate by more than one second is not read from until it is not. One that is ahead of it for
/// [`RateLimits::PATIENCE_SECONDS`] on end is closed with 1008, and so is one that is ahead by as many seconds at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Pings, pongs that nobody asked for, and Close frames. Default: 100.
    pub control_frames_per_second_max: Option<NonZeroU32>,
    /// Messages, whatever they ask for: to join a group is a message. Default: no limit.
    pub messages_per_second_max: Option<NonZeroU32>,
    /// Bytes of everything that comes. Nobody is closed for being ahead of this one at once, since a whole buffer is read
    /// at a time. Default: no limit.
    pub bytes_per_second_max: Option<NonZeroU32>,
}

impl RateLimits {
    /// How many seconds a peer may be ahead of a rate.
    pub const PATIENCE_SECONDS: u32 = 10;

    /// No limit at all.
    pub const OFF: Self = Self {
        control_frames_per_second_max: None,
        messages_per_second_max: None,
        bytes_per_second_max: None,
    };
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            control_frames_per_second_max: NonZeroU32::new(100),
            ..Self::OFF
        }
    }
}
