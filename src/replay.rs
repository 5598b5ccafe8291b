//! What a recoverable peer was sent and has not acknowledged.
//!
//! The messages of such a peer carry a number, one higher each time, and are kept until the peer says that it has them.
//! When its socket breaks, the session stays for a while; a new socket that knows the token goes on with it, and gets
//! again what was not acknowledged, in order, with the same numbers.
//!
//! A number is different for every receiver, the rest of a message is not. So a numbered frame is made of two ranges:
//! a short beginning for the one receiver, and the shared rest.

use std::collections::VecDeque;
use std::fmt;
use std::hint::black_box;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::delivery::{Numbering, RecoveryToken};
use crate::proto::{CompressedRest, EncodedFrame, FrameHeader, OpCode};

/// The unacknowledged messages of one peer, oldest first.
pub struct Replay {
    numbering: Numbering,
    token: RecoveryToken,
    /// The rests of the messages, without header and number.
    unacknowledged: VecDeque<EncodedFrame>,
    /// The number of the first of them.
    first_number: u64,
    /// Sum of their lengths.
    len: usize,
    budget: ReplayBudget,
    /// Set from the recovery until the peer was sent what it missed: what is pushed meanwhile is kept only.
    is_paused: bool,
}

/// The bytes that all peers of the process have not acknowledged, and how many that may be.
#[derive(Clone, Debug)]
pub struct ReplayBudget {
    used: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// How much may be unacknowledged by one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayLimits {
    /// Bytes of messages, numbers not counted.
    pub bytes_max: usize,
    /// Messages.
    pub messages_max: usize,
}

/// A message was refused: this peer, or all together, have too much unacknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayOverflow;

/// The peer acknowledged a message that it was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownNumber;

impl ReplayBudget {
    /// A budget of `bytes_max` bytes of which nothing is used.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            used: Arc::default(),
            bytes_max,
        }
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, len: usize) -> Result<(), ReplayOverflow> {
        let used = self.used.fetch_add(len, Ordering::Relaxed);
        if used.saturating_add(len) <= self.bytes_max {
            return Ok(());
        }
        self.give_back(len);
        Err(ReplayOverflow)
    }

    fn give_back(&self, len: usize) {
        self.used.fetch_sub(len, Ordering::Relaxed);
    }
}

impl Replay {
    /// Nothing was sent yet; the first message has the number 1.
    #[must_use]
    pub fn new(numbering: Numbering, token: RecoveryToken, budget: ReplayBudget) -> Self {
        Self {
            numbering,
            token,
            unacknowledged: VecDeque::new(),
            first_number: 1,
            len: 0,
            budget,
            is_paused: false,
        }
    }

    /// Keeps a message that is about to be sent, given the part of it behind the number; returns its number.
    ///
    /// # Errors
    ///
    /// [`ReplayOverflow`] if it is not kept because of `limits` or the common budget.
    pub fn push(
        &mut self,
        rest: EncodedFrame,
        limits: ReplayLimits,
    ) -> Result<u64, ReplayOverflow> {
        let len = rest.len();
        if self.len + len > limits.bytes_max || self.unacknowledged.len() >= limits.messages_max {
            return Err(ReplayOverflow);
        }
        self.budget.take(len)?;
        let number = self.next_number();
        self.len += len;
        self.unacknowledged.push_back(rest);
        Ok(number)
    }

    /// Forgets every message up to `number`, that one included; older numbers change nothing.
    ///
    /// # Errors
    ///
    /// [`UnknownNumber`] if no message with that number was sent yet.
    pub fn acknowledge(&mut self, number: u64) -> Result<(), UnknownNumber> {
        if number >= self.next_number() {
            return Err(UnknownNumber);
        }
        while self.first_number <= number {
            let Some(rest) = self.unacknowledged.pop_front() else {
                break;
            };
            self.first_number += 1;
            self.len -= rest.len();
            self.budget.give_back(rest.len());
        }
        if self.unacknowledged.is_empty() {
            // An idle peer keeps no memory of a burst.
            self.unacknowledged = VecDeque::new();
        }
        Ok(())
    }

    /// Writes the beginning of a numbered frame whose rest has `rest_len` bytes; returns where it lies in `out`.
    pub fn write_beginning(&self, number: u64, rest_len: usize, out: &mut Vec<u8>) -> Range<usize> {
        let header = FrameHeader {
            is_final: true,
            opcode: OpCode::Text,
            mask: None,
            payload_len: (self.beginning_len(number) + rest_len) as u64,
        };
        let mut header_bytes = [0; FrameHeader::LEN_MAX];
        let header_len = header.write(&mut header_bytes);
        let start = out.len();
        out.extend_from_slice(&header_bytes[..header_len]);
        self.write_number(number, out);
        start..out.len()
    }

    /// The same for a message whose rest goes compressed.
    pub fn write_compressed_beginning(
        &self,
        number: u64,
        rest: &CompressedRest,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        let start = out.len();
        rest.write_header(OpCode::Text, self.beginning_len(number), out);
        self.write_number(number, out);
        start..out.len()
    }

    /// Stops sending: what is pushed is kept until [`Replay::resume`].
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Goes on sending; yields every unacknowledged message with its number, to be sent now.
    pub fn resume(&mut self) -> impl Iterator<Item = (u64, &EncodedFrame)> {
        self.is_paused = false;
        (self.first_number..).zip(&self.unacknowledged)
    }

    /// Whether a pushed message is kept only.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// How the messages are numbered.
    #[must_use]
    pub fn numbering(&self) -> Numbering {
        self.numbering
    }

    /// Whether `token` is the one of this session. Takes the same time for every wrong one.
    #[must_use]
    pub fn is_token(&self, token: &RecoveryToken) -> bool {
        let pairs = self.token.0.iter().zip(&token.0);
        pairs.fold(0, |difference, (own, given)| {
            black_box(difference | (own ^ given))
        }) == 0
    }

    /// The length of a number with what stands around it.
    fn beginning_len(&self, number: u64) -> usize {
        let Numbering { before, after, .. } = self.numbering;
        let digit_count = number.checked_ilog10().unwrap_or(0) as usize + 1;
        before.len() + digit_count + after.len()
    }

    fn write_number(&self, number: u64, out: &mut Vec<u8>) {
        let Numbering { before, after, .. } = self.numbering;
        write!(out, "{before}{number}{after}").expect("a vector takes everything");
    }

    fn next_number(&self) -> u64 {
        self.first_number + self.unacknowledged.len() as u64
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.budget.give_back(self.len);
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("first_number", &self.first_number)
            .field("unacknowledged_count", &self.unacknowledged.len())
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::frame_len_at;

    const NUMBERING: Numbering = Numbering {
        before: "{\"n\":",
        after: ",",
        replaced_len: 1,
    };
    const LIMITS: ReplayLimits = ReplayLimits {
        bytes_max: 1000,
        messages_max: 50,
    };

    fn replay(budget: &ReplayBudget) -> Replay {
        Replay::new(NUMBERING, RecoveryToken([7; 16]), budget.clone())
    }

    fn rest(len: usize) -> EncodedFrame {
        EncodedFrame::from_vec(vec![b'x'; len])
    }

    #[test]
    fn numbers_count_from_one_and_acknowledgements_are_cumulative() {
        let budget = ReplayBudget::new(10_000);
        let mut replay = replay(&budget);
        for number in 1..=5 {
            assert_eq!(replay.push(rest(10), LIMITS), Ok(number));
        }
        assert_eq!(budget.used(), 50);
        assert_eq!(replay.acknowledge(3), Ok(()));
        assert_eq!(
            replay.acknowledge(1),
            Ok(()),
            "an older one changes nothing"
        );
        assert_eq!(budget.used(), 20);
        let numbers: Vec<u64> = replay.resume().map(|(number, _)| number).collect();
        assert_eq!(numbers, [4, 5]);
        assert_eq!(replay.acknowledge(6), Err(UnknownNumber));
        assert_eq!(replay.acknowledge(5), Ok(()));
        assert_eq!(replay.push(rest(1), LIMITS), Ok(6));
    }

    #[test]
    fn ms_11_the_queue_is_bounded_in_bytes_in_messages_and_together_with_all_others() {
        let budget = ReplayBudget::new(1500);
        let mut first = replay(&budget);
        assert_eq!(first.push(rest(1000), LIMITS), Ok(1));
        assert_eq!(first.push(rest(1), LIMITS), Err(ReplayOverflow));
        let mut second = replay(&budget);
        assert_eq!(second.push(rest(500), LIMITS), Ok(1));
        assert_eq!(
            second.push(rest(1), LIMITS),
            Err(ReplayOverflow),
            "the common budget"
        );
        drop(first);
        assert_eq!(budget.used(), 500);
        for _ in 0..49 {
            second.push(rest(0), LIMITS).unwrap();
        }
        assert_eq!(second.push(rest(0), LIMITS), Err(ReplayOverflow));
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_beginning_and_its_rest_are_one_frame() {
        let replay = replay(&ReplayBudget::new(0));
        for (number, rest_len) in [
            (1, 5),
            (9, 5),
            (10, 5),
            (u64::MAX, 70_000),
            (12, 118),
            (12, 117),
        ] {
            let mut out = b"before".to_vec();
            let range = replay.write_beginning(number, rest_len, &mut out);
            let frame = [&out[range], &vec![b'x'; rest_len]].concat();
            assert_eq!(frame_len_at(&frame), frame.len());
            let text = String::from_utf8_lossy(&frame).into_owned();
            assert!(text.contains(&format!("{{\"n\":{number},x")), "{number}");
        }
    }

    #[test]
    fn only_the_right_token_is_the_token() {
        let replay = replay(&ReplayBudget::new(0));
        assert!(replay.is_token(&RecoveryToken([7; 16])));
        for wrong in 0..16 {
            let mut token = [7; 16];
            token[wrong] ^= 1;
            assert!(!replay.is_token(&RecoveryToken(token)));
        }
    }

    proptest! {
        /// A plain list does the same.
        #[test]
        fn ms_11_what_is_kept_is_what_was_pushed_and_not_acknowledged(steps in proptest::collection::vec((any::<bool>(), 0_usize..60), 1..100)) {
            let budget = ReplayBudget::new(700);
            let mut replay = replay(&budget);
            let (mut model, mut next): (Vec<(u64, usize)>, u64) = (Vec::new(), 1);
            for (is_push, value) in steps {
                if is_push {
                    let fits = model.iter().map(|(_, len)| len).sum::<usize>() + value <= 700 && model.len() < 50;
                    prop_assert_eq!(replay.push(rest(value), LIMITS), if fits { Ok(next) } else { Err(ReplayOverflow) });
                    if fits {
                        model.push((next, value));
                        next += 1;
                    }
                } else {
                    let number = value as u64;
                    prop_assert_eq!(replay.acknowledge(number).is_ok(), number < next);
                    if number < next {
                        model.retain(|(kept, _)| *kept > number);
                    }
                }
                prop_assert_eq!(budget.used(), model.iter().map(|(_, len)| len).sum::<usize>());
            }
            let kept: Vec<_> = replay.resume().map(|(number, rest)| (number, rest.len())).collect();
            prop_assert_eq!(kept, model);
        }
    }
}
