//! Frames that are encoded once and shared by all who are to receive them.

use std::ops::Range;
use std::sync::Arc;
use std::{fmt, mem};

use super::passage::Passage;
use super::{AtHand, Message, OpCode, encode_frame};

/// The frames of one turn, encoded back to back into one buffer that is then shared.
///
/// The life cycle of a turn:
///
/// 1. [`encode`](Self::encode) writes a frame and says where it lies: a [`FrameRange`], valid for
///    this turn only.
/// 2. [`share`](Self::share) ends the buffer and hands it out, immutable, as one [`EncodedFrame`];
///    [`EncodedFrame::slice`] turns each range into frames for one receiver.
/// 3. The buffer comes back by itself: when the last [`EncodedFrame`] over it is dropped, a later
///    `share` finds that out and writing goes on in its memory.
///
/// So there is no allocation per turn as long as receivers keep up. Only a few buffers wait for
/// their return, and none that a large turn has blown up.
///
/// ```
/// use switchboard::proto::{FrameBuffer, OpCode};
///
/// let mut buffer = FrameBuffer::default();
/// let hello = buffer.encode(OpCode::Text, &[b"hello"]);
/// buffer.encode(OpCode::Ping, &[]);
/// let shared = buffer.share();
/// assert_eq!(shared.slice(hello).as_bytes(), b"\x81\x05hello");
/// assert_eq!(shared.as_bytes(), b"\x81\x05hello\x89\x00");
/// ```
#[derive(Default)]
pub struct FrameBuffer {
    /// The frames since the last `share`.
    bytes: Vec<u8>,
    /// Buffers that were shared, oldest first; each can be reused once nobody else holds it.
    pool: Vec<Arc<Vec<u8>>>,
    /// The frames since the last `share` that are not here but in the input.
    passage: Passage,
}

impl FrameBuffer {
    /// Encodes one final, unmasked frame whose payload is all `parts` in a row.
    ///
    /// The payload of a control frame must be at most 125 bytes, that of a text frame UTF-8.
    ///
    /// # Panics
    ///
    /// If the buffer grows over 4 GiB without being shared; limits on messages and turns are far
    /// below.
    #[inline]
    pub fn encode(&mut self, opcode: OpCode, parts: &[&[u8]]) -> FrameRange {
        let start = to_offset(self.bytes.len());
        encode_frame(&mut self.bytes, opcode, parts);
        FrameRange::new(start, to_offset(self.bytes.len()))
    }

    /// Encodes `message` as one final, unmasked frame: where it came, if it is the one at hand.
    ///
    /// Before the input is used for anything else, [`write_passed_headers`](Self::write_passed_headers) has to be called
    /// and the frames have to be shared: ranges in the input are [`slices`](EncodedFrame::slice) of that.
    #[inline]
    pub fn encode_message(
        &mut self,
        message: Message<'_>,
        at_hand: Option<AtHand<'_>>,
    ) -> FrameRange {
        let (opcode, payload) = (message.opcode(), message.payload());
        at_hand
            .filter(|at_hand| at_hand.is(payload))
            .and_then(|at_hand| self.passage.pass(at_hand, opcode))
            .unwrap_or_else(|| self.encode(opcode, &[payload]))
    }

    /// Makes frames of those messages in `input` that are sent on.
    pub fn write_passed_headers(&self, input: &mut [u8]) {
        self.passage.write_headers(input);
    }

    /// Whether frames since the last [`share`](Self::share) are in the input.
    #[inline]
    pub fn has_passed(&self) -> bool {
        !self.passage.is_empty()
    }

    /// Ends this buffer: all that was encoded since the last call is shared and immutable from now
    /// on, and later frames go to another buffer.
    #[must_use]
    pub fn share(&mut self) -> EncodedFrame {
        let end = to_offset(self.bytes.len());
        self.passage.clear();
        let buffer = self.exchange();
        EncodedFrame {
            buffer,
            start: 0,
            end,
        }
    }

    /// What was encoded since the last [`share`](Self::share).
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets what was encoded since the last [`share`](Self::share): it was sent from here.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.passage.clear();
    }

    /// Bytes encoded since the last [`share`](Self::share).
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was encoded since the last [`share`](Self::share).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Moves the bytes behind a pointer that can be shared, and goes on with the memory of a
    /// buffer that has come back, if there is one.
    fn exchange(&mut self) -> Arc<Vec<u8>> {
        let bytes = mem::take(&mut self.bytes);
        let is_kept = bytes.capacity() <= KEPT_CAPACITY_MAX;
        let buffer = match self.take_returned() {
            Some(mut buffer) => {
                let old = Arc::get_mut(&mut buffer).expect("a returned buffer has no other holder");
                self.bytes = mem::replace(old, bytes);
                self.bytes.clear();
                buffer
            }
            None => Arc::new(bytes),
        };
        if is_kept {
            if self.pool.len() == POOL_LEN_MAX {
                // The one that has waited longest for its receivers will hardly be next.
                self.pool.remove(0);
            }
            self.pool.push(Arc::clone(&buffer));
        }
        buffer
    }

    /// A shared buffer that nobody else holds any more; the latest of them, which the caches still know.
    fn take_returned(&mut self) -> Option<Arc<Vec<u8>>> {
        let is_returned = |buffer: &mut Arc<Vec<u8>>| Arc::get_mut(buffer).is_some();
        let index = self.pool.iter_mut().rposition(is_returned)?;
        Some(self.pool.remove(index))
    }
}

impl fmt::Debug for FrameBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameBuffer")
            .field("len", &self.len())
            .field("pool_len", &self.pool.len())
            .finish()
    }
}

/// How many shared buffers wait for their return. While one turn is written to the sockets the
/// next one is encoded; more than that is for receivers that lag a little.
const POOL_LEN_MAX: usize = 4;

/// Buffers with more capacity than this are not kept, in bytes. A turn is shared at 64 KiB, or
/// behind what one read has brought; three messages of 64 KiB make it grow to a little over 256.
const KEPT_CAPACITY_MAX: usize = 320 * 1024;

/// Where finished frames lie until the turn is shared; counted in bytes from the start of that buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRange {
    /// The first byte of the first frame.
    pub start: u32,
    /// The byte behind the last frame.
    pub end: u32,
    /// Which buffer that is.
    pub home: Home,
}

/// The buffer in which a frame lies until the turn is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// The one that the [`FrameBuffer`] writes.
    Turn,
    /// The one in which the message came that is sent on in its place; see [`AtHand`].
    Input,
}

impl FrameRange {
    /// A range of the [`FrameBuffer`] since its last [`share`](FrameBuffer::share).
    pub const fn new(start: u32, end: u32) -> Self {
        let home = Home::Turn;
        Self { start, end, home }
    }

    /// Appends `next` if it lies right behind this range; whether it does.
    #[inline]
    pub fn try_merge(&mut self, next: Self) -> bool {
        let touches = self.end == next.start && self.home == next.home;
        if touches {
            self.end = next.end;
        }
        touches
    }
}

/// Finished frames: a range of an immutable shared buffer, cheap to clone.
#[derive(Clone)]
pub struct EncodedFrame {
    buffer: Arc<Vec<u8>>,
    start: u32,
    end: u32,
}

impl EncodedFrame {
    /// Frames in a buffer of their own; `bytes` must be whole frames.
    ///
    /// # Panics
    ///
    /// If `bytes` is 4 GiB or more.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self {
            start: 0,
            end: to_offset(bytes.len()),
            buffer: Arc::new(bytes),
        }
    }

    /// The frames at `range` of this value, which must be what [`FrameBuffer::share`] returned for
    /// the turn in which the range was made.
    ///
    /// # Panics
    ///
    /// If the range is not within this value.
    #[inline]
    #[must_use]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "asserted first: the range is inside the frame"
    )]
    pub fn slice(&self, range: FrameRange) -> Self {
        let FrameRange { start, end, .. } = range;
        assert!(
            start <= end && end <= self.end - self.start,
            "the range is of another turn"
        );
        Self {
            buffer: Arc::clone(&self.buffer),
            start: self.start + start,
            end: self.start + end,
        }
    }

    /// The bytes `range` of this value, counted from its start.
    ///
    /// # Panics
    ///
    /// If the range is not within this value.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        self.slice(FrameRange::new(
            to_offset(range.start),
            to_offset(range.end),
        ))
    }

    /// Whether somebody else holds the buffer too.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.buffer) > 1
    }

    /// The whole buffer, if nobody else holds it any more.
    ///
    /// # Errors
    ///
    /// This value, if somebody does.
    pub fn try_into_vec(self) -> Result<Vec<u8>, Self> {
        let Self { buffer, start, end } = self;
        Arc::try_unwrap(buffer).map_err(|buffer| Self { buffer, start, end })
    }

    /// Appends `next` if it lies right behind this value in the same buffer; whether it does.
    #[inline]
    pub fn try_merge(&mut self, next: &Self) -> bool {
        let touches = self.end == next.start && Arc::ptr_eq(&self.buffer, &next.buffer);
        if touches {
            self.end = next.end;
        }
        touches
    }

    /// Drops the first `count` bytes, which were written.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "asserted first: the count is within the length"
    )]
    pub fn advance(&mut self, count: usize) {
        assert!(
            count <= self.len(),
            "cannot write more bytes than there are"
        );
        self.start += to_offset(count);
    }

    /// Keeps the first `len` bytes and drops the rest, which must be whole frames.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "asserted first: the length only shrinks"
    )]
    pub fn truncate(&mut self, len: usize) {
        assert!(len <= self.len(), "cannot keep more bytes than there are");
        self.end = self.start + to_offset(len);
    }

    /// Appends a copy of `next` to this buffer, if it is not shared, this value reaches to its end,
    /// and it stays at or below `bytes_max`; whether that was so.
    ///
    /// For a receiver that lags: a copy of its own bytes pins less than the turns they came in.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of things in memory"
    )]
    pub fn try_append_copy(&mut self, next: &Self, bytes_max: usize) -> bool {
        let end = self.end as usize;
        match Arc::get_mut(&mut self.buffer) {
            Some(own) if own.len() == end && end + next.len() <= bytes_max => {
                own.extend_from_slice(next.as_bytes());
                self.end = to_offset(own.len());
                true
            }
            _ => false,
        }
    }

    /// The bytes.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the bounds are inside the buffer")]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.bounds()]
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.bounds().len()
    }

    /// Whether no byte is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes of memory that this value keeps alive: the whole buffer, whatever the range.
    #[inline]
    pub fn pinned_len(&self) -> usize {
        self.buffer.capacity()
    }

    /// The range within the buffer.
    #[inline]
    fn bounds(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl fmt::Debug for EncodedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedFrame")
            .field("len", &self.len())
            .finish()
    }
}

/// A position in a buffer; 32 bits keep an [`EncodedFrame`] at two words.
#[inline]
fn to_offset(position: usize) -> u32 {
    u32::try_from(position).expect("limits keep buffers below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer after one turn with one frame, and that turn.
    fn one_turn() -> (FrameBuffer, EncodedFrame) {
        let mut buffer = FrameBuffer::default();
        buffer.encode(OpCode::Text, &[b"first"]);
        let shared = buffer.share();
        (buffer, shared)
    }

    #[test]
    fn ranges_of_a_turn_are_slices_of_what_it_shares() {
        let mut buffer = FrameBuffer::default();
        assert!(buffer.is_empty());
        let first = buffer.encode(OpCode::Text, &[b"a", b"b"]);
        let second = buffer.encode(OpCode::Binary, &[&[7; 200]]);
        assert_eq!((first, buffer.len()), (FrameRange::new(0, 4), 4 + 204));
        let shared = buffer.share();
        assert!(buffer.is_empty());
        assert_eq!(shared.slice(first).as_bytes(), b"\x81\x02ab");
        assert_eq!(
            shared.slice(second).as_bytes()[..5],
            *b"\x82\x7E\x00\xC8\x07"
        );
        assert_eq!(shared.len(), 208);

        let third = buffer.encode(OpCode::Text, &[b"c"]);
        assert_eq!(third, FrameRange::new(0, 3));
        assert_eq!(buffer.share().slice(third).as_bytes(), b"\x81\x01c");
        assert_eq!(shared.slice(first).as_bytes(), b"\x81\x02ab");
    }

    #[test]
    #[should_panic(expected = "another turn")]
    fn a_range_beyond_the_turn_is_refused() {
        let (_, shared) = one_turn();
        let _ = shared.slice(FrameRange::new(0, 8));
    }

    #[test]
    fn frames_merge_if_they_touch_in_the_same_buffer() {
        let mut buffer = FrameBuffer::default();
        let ranges: Vec<FrameRange> = [b"a", b"b", b"c"]
            .iter()
            .map(|part| buffer.encode(OpCode::Text, &[*part]))
            .collect();
        let shared = buffer.share();
        let [first, second, third] = [0, 1, 2].map(|index| shared.slice(ranges[index]));
        let mut merged = first.clone();
        assert!(!merged.try_merge(&third), "there is a gap");
        assert!(merged.try_merge(&second));
        assert!(!merged.try_merge(&second), "it is in already");
        assert!(merged.try_merge(&third));
        assert_eq!(merged.as_bytes(), shared.as_bytes());

        let mut other = EncodedFrame::from_vec(first.as_bytes().to_vec());
        assert!(
            !other.try_merge(&second),
            "another buffer with touching numbers"
        );
    }

    #[test]
    fn written_bytes_are_dropped_from_the_front() {
        let (_, mut shared) = one_turn();
        shared.advance(3);
        assert_eq!(shared.as_bytes(), b"irst");
        shared.advance(4);
        assert!(shared.is_empty());
        assert_eq!(shared.as_bytes(), b"");
    }

    #[test]
    fn pinned_is_the_whole_buffer() {
        let mut bytes = Vec::with_capacity(1000);
        bytes.extend_from_slice(b"\x81\x00");
        let frame = EncodedFrame::from_vec(bytes);
        assert!(frame.pinned_len() >= 1000);
        let range = FrameRange::new(0, 0);
        assert!(frame.slice(range).pinned_len() >= 1000);
    }

    #[test]
    fn memory_goes_to_and_fro_while_receivers_keep_up() {
        let mut buffer = FrameBuffer::default();
        let mut pointers = Vec::new();
        for _ in 0..20 {
            buffer.encode(OpCode::Binary, &[&[0; 1000]]);
            let shared = buffer.share();
            pointers.push((Arc::as_ptr(&shared.buffer), shared.as_bytes().as_ptr()));
        }
        pointers.drain(..2);
        pointers.sort_unstable();
        pointers.dedup();
        assert!(
            pointers.len() <= 2,
            "new memory in the steady state: {pointers:?}"
        );
        assert_eq!(buffer.pool.len(), 1);
    }

    #[test]
    fn a_held_buffer_is_never_written_again() {
        let mut buffer = FrameBuffer::default();
        let mut held = Vec::new();
        for turn in 0_u8..20 {
            buffer.encode(OpCode::Binary, &[&[turn; 10]]);
            held.push(buffer.share());
            assert!(buffer.pool.len() <= POOL_LEN_MAX);
        }
        for (turn, shared) in (0_u8..).zip(&held) {
            assert_eq!(shared.as_bytes()[2..], [turn; 10]);
        }
        held.clear();
        buffer.encode(OpCode::Binary, &[b"next"]);
        let shared = buffer.share();
        assert_eq!(shared.as_bytes(), b"\x82\x04next");
        assert_eq!(buffer.pool.len(), POOL_LEN_MAX);
    }

    #[test]
    fn a_buffer_that_grew_large_is_not_kept() {
        let mut buffer = FrameBuffer::default();
        buffer.encode(OpCode::Binary, &[&vec![0; KEPT_CAPACITY_MAX]]);
        let large = buffer.share();
        assert_eq!(Arc::strong_count(&large.buffer), 1);
        drop(large);
        buffer.encode(OpCode::Binary, &[b"small"]);
        assert!(buffer.share().pinned_len() < 100);
    }

    #[test]
    fn debug_output_shows_lengths_only() {
        let (buffer, frames) = one_turn();
        let text = format!("{buffer:?} {frames:?} {:?}", frames.part(0..0));
        assert!(text.contains("EncodedFrame { len: 0 }"), "{text}");
        assert!(!text.contains('['), "{text}");
    }

    #[test]
    fn an_encoded_frame_is_two_words() {
        assert_eq!(size_of::<EncodedFrame>(), 16);
    }

    #[test]
    fn sc_09_a_copy_is_appended_only_to_a_buffer_that_nobody_shares() {
        let next = EncodedFrame::from_vec(b"\x82\x01b".to_vec());
        let mut own = EncodedFrame::from_vec(b"\x82\x01a".to_vec());
        assert!(!own.try_append_copy(&next, 5), "one byte too many");
        assert!(own.try_append_copy(&next, 6));
        assert_eq!(own.as_bytes(), b"\x82\x01a\x82\x01b");

        let shared = own.clone();
        assert!(!own.try_append_copy(&next, 100));
        drop(shared);
        own.truncate(3);
        assert_eq!(own.as_bytes(), b"\x82\x01a");
        assert!(
            !own.try_append_copy(&next, 100),
            "something lies behind the end"
        );
    }
}
