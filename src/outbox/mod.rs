//! What one peer still has to be sent.
//!
//! An outbox holds ranges of shared buffers, never copies of what is about to go out anyway. It has three shapes:
//! nothing is owed; one range or one response is owed, which is how nearly every flush finds it; or there is more to say
//! about the order, and a queue is made for as long as that lasts. An idle connection therefore costs the size of the enum.
//!
//! What leaves it, in this order:
//!
//! 1. the rest of a frame that was begun (RFC 6455 5.4: a frame is never interrupted), or of an HTTP response,
//! 2. control frames: the latest pongs and a ping, which never wait behind data (5.5),
//! 3. data frames in the order of pushing, the Close frame last.
//!
//! What happens when it is full is written in [`Policy`], which each message brings along:
//! either its receiver is too slow to be kept, or messages of the same group are dropped and the receiver is told how
//! many are missing at that place.

mod backlog;
mod control;
mod policy;
mod queue;
mod segment;

use std::io;
use std::sync::Arc;

use self::policy::fits;
use self::queue::Queue;
use crate::clock::Moment;
use crate::delivery::{Feed, Policy, Terms};
use crate::proto::{CloseFrame, EncodedFrame, encode_close};

/// The bytes owed to one peer, in order, bounded; writes itself to any [`io::Write`].
#[derive(Debug, Default)]
pub struct Outbox {
    owed: Owed,
}

#[derive(Debug, Default)]
enum Owed {
    #[default]
    Nothing,
    /// Whole data frames only, none of them begun, all of one feed or of none.
    Frames(EncodedFrame, Option<Feed>),
    /// An HTTP response of which nothing has gone out.
    Response(EncodedFrame),
    Queue(Box<Queue>),
}

const _: () = assert!(
    size_of::<Outbox>() == 24,
    "every connection has one, and most are idle"
);

/// A frame was refused: with it the outbox would be over its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// What became of a frame that may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// It waits to be written; others may have been dropped for it.
    Queued,
    /// It was dropped, and the peer will be told.
    Dropped,
}

/// How far a flush came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing is owed any more.
    Everything,
    /// The socket takes no more; it will say when it does.
    UntilBlocked,
    /// The byte budget is used up; the socket would have taken more.
    UntilBudget,
}

impl Outbox {
    /// Queues finished data frames behind all that is queued; frames that may be dropped make room for them.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if more than `bytes_max` would be queued; then nothing was. An empty outbox takes any frame, so
    /// that a limit below the size of a message does not make a peer unreachable.
    #[inline]
    pub fn push(&mut self, frame: &EncodedFrame, bytes_max: usize) -> Result<(), Overflow> {
        let is_pushed = match &mut self.owed {
            Owed::Nothing => {
                self.owed = Owed::Frames(frame.clone(), None);
                true
            }
            Owed::Frames(last, None) => {
                fits(last.len(), frame.len(), bytes_max) && last.try_merge(frame)
            }
            _ => false,
        };
        if is_pushed {
            Ok(())
        } else {
            self.push_apart(frame, bytes_max)
        }
    }

    /// Queues a frame that lies in two buffers, without a limit: what a recoverable peer is owed is limited elsewhere.
    pub fn push_numbered(&mut self, beginning: EncodedFrame, rest: EncodedFrame) {
        let queue = self.queue();
        queue.push(beginning);
        queue.push(rest);
    }

    /// Queues one finished data frame of `feed` on these terms.
    ///
    /// It never drops what has begun, nor anything of another feed. Frames that are dropped for this one are told by
    /// [`Outbox::take_displaced_count`], and the peer learns of every loss by a notice at its place, which comes in
    /// addition to `bytes_max`.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if the terms say that the peer is to be closed, or if something waits of so many feeds that one more
    /// would not be worth the memory.
    #[inline]
    pub fn push_of(
        &mut self,
        feed: Feed,
        terms: &Arc<Terms>,
        frame: &EncodedFrame,
        bytes_max: usize,
    ) -> Result<Pushed, Overflow> {
        if terms.policy == Policy::Close {
            return self.push(frame, bytes_max).map(|()| Pushed::Queued);
        }
        let is_long = !matches!(self.owed, Owed::Nothing | Owed::Frames(..));
        if is_long || !fits(self.data_len(), frame.len(), bytes_max) {
            return self.queue().push_of(feed, terms, frame.clone(), bytes_max);
        }
        self.append(frame, Some(feed));
        Ok(Pushed::Queued)
    }

    /// Queues finished data frames of one feed, or of none that can be dropped, if that is the same whether they come
    /// together or one by one, because none has to make room; whether it did.
    #[inline]
    pub fn try_push_all(
        &mut self,
        frames: &EncodedFrame,
        feed: Option<Feed>,
        bytes_max: usize,
    ) -> bool {
        let is_simple = matches!(self.owed, Owed::Nothing | Owed::Frames(..))
            && self.data_len().saturating_add(frames.len()) <= bytes_max;
        if is_simple {
            self.append(frames, feed);
        }
        is_simple
    }

    /// Writes data frames, of one feed or of none, to `io` from where they lie, and queues what it does not take; how many
    /// bytes it took. Nothing may be owed before.
    ///
    /// # Errors
    ///
    /// Those of [`Outbox::write_to`]; everything is queued then.
    #[inline]
    pub fn write_through(
        &mut self,
        frames: &EncodedFrame,
        feed: Option<Feed>,
        io: &mut impl io::Write,
    ) -> io::Result<usize> {
        let written = self.write_unshared(frames.as_bytes(), io);
        let count = *written.as_ref().unwrap_or(&0);
        if count < frames.len() {
            self.push_rest(frames, feed, count);
        }
        written
    }

    /// Writes data frames that nobody shares yet to `io`; how many bytes it took. The rest has to be queued by
    /// [`Outbox::push_rest`] before anything else. Nothing may be owed before.
    ///
    /// # Errors
    ///
    /// Those of [`Outbox::write_to`].
    #[inline]
    pub fn write_unshared(&self, frames: &[u8], io: &mut impl io::Write) -> io::Result<usize> {
        debug_assert!(self.is_empty(), "what was owed comes first");
        let written = queue::write_once(io, |io| io.write(frames))?;
        Ok(written.unwrap_or(0))
    }

    /// Queues data frames, of one feed or of none, of which `written` bytes have gone out.
    #[cold]
    pub fn push_rest(&mut self, frames: &EncodedFrame, feed: Option<Feed>, written: usize) {
        self.append(frames, feed);
        if written > 0 {
            self.queue().consume(written);
        }
    }

    /// Drops queued frames that may be dropped until `len` bytes are free or none is left; how many bytes are. The peer is
    /// told.
    pub fn drop_spare(&mut self, len: usize) -> usize {
        match &mut self.owed {
            Owed::Queue(queue) => queue.drop_spare(len),
            Owed::Nothing | Owed::Frames(..) | Owed::Response(_) => 0,
        }
    }

    /// How many queued frames were dropped in favour of others since the last call.
    pub fn take_displaced_count(&mut self) -> u32 {
        match &mut self.owed {
            Owed::Queue(queue) => queue.take_displaced_count(),
            _ => 0,
        }
    }

    /// How many messages were written to their end since the last call, if others still wait behind them: once nothing is
    /// owed, all were.
    pub fn take_written_count(&mut self) -> u32 {
        match &mut self.owed {
            Owed::Queue(queue) => queue.take_written_count(),
            _ => 0,
        }
    }

    /// Queues an HTTP response, which comes before all frames and is not limited: there is one at a time.
    pub fn push_response(&mut self, response: Vec<u8>) {
        let response = EncodedFrame::from_vec(response);
        match &mut self.owed {
            Owed::Nothing => self.owed = Owed::Response(response),
            _ => self.queue().push_response(response),
        }
    }

    /// Answers a ping with the same bytes (RFC 6455 5.5.2); if too many answers wait, in place of them (5.5.3).
    pub fn push_pong(&mut self, payload: &[u8]) {
        self.queue().control.push_pong(payload);
    }

    /// Asks the peer for a sign of life; one question is enough until it has gone out.
    pub fn push_ping(&mut self) {
        self.queue().control.set_ping();
    }

    /// Queues the last frame, behind all data. `None` is a Close frame without a code.
    pub fn push_close(&mut self, close: Option<CloseFrame<'_>>) {
        let mut frame = Vec::new();
        encode_close(&mut frame, close);
        let frame = EncodedFrame::from_vec(frame);
        if let Owed::Queue(queue) = &mut self.owed {
            queue.tell_last_losses();
        }
        self.append(&frame, None);
    }

    /// Gives up on the data: frames that have not begun are dropped, a begun one is finished, then comes the Close frame.
    ///
    /// Returns how many data frames were dropped.
    pub fn abandon_then(&mut self, close: Option<CloseFrame<'_>>) -> usize {
        let dropped = if self.is_empty() {
            0
        } else {
            self.queue().drop_unbegun()
        };
        self.push_close(close);
        dropped
    }

    /// Drops everything: the connection is gone. Returns how many data frames were not sent whole.
    pub fn clear(&mut self) -> usize {
        let dropped = match &mut self.owed {
            Owed::Nothing => 0,
            _ => {
                let queue = self.queue();
                queue.drop_unbegun() + usize::from(queue.is_mid_frame())
            }
        };
        self.owed = Owed::Nothing;
        dropped
    }

    /// Writes what is owed, at most about `budget` bytes, until `io` would block.
    ///
    /// # Errors
    ///
    /// What `io` says, other than `WouldBlock` and `Interrupted`; `WriteZero` if it takes nothing. The connection
    /// cannot go on then.
    pub fn write_to(
        &mut self,
        io: &mut impl io::Write,
        budget: usize,
        now: Moment,
    ) -> io::Result<Flushed> {
        let written = match &self.owed {
            Owed::Nothing => return Ok(Flushed::Everything),
            Owed::Frames(frames, _) | Owed::Response(frames) => {
                match queue::write_once(io, |io| io.write(frames.as_bytes()))? {
                    Some(written) if written == frames.len() => {
                        self.owed = Owed::Nothing;
                        return Ok(Flushed::Everything);
                    }
                    written => written,
                }
            }
            Owed::Queue(_) => Some(0),
        };
        let queue = self.queue();
        let flushed = match written {
            None => queue.on_blocked(now),
            Some(written) => {
                queue.consume(written);
                queue.write_to(io, budget.saturating_sub(written), now)?
            }
        };
        if flushed == Flushed::Everything {
            self.owed = Owed::Nothing;
        }
        Ok(flushed)
    }

    /// Makes room in memory when a flush is not worth trying: the socket is known to be full.
    ///
    /// What was pushed since the last flush may be small ranges of large buffers; see [`Outbox::pinned_len`].
    pub fn keep_blocked(&mut self) {
        if let Owed::Queue(queue) = &mut self.owed {
            queue.keep_own_copies();
        }
    }

    /// Whether nothing is owed.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self.owed, Owed::Nothing)
    }

    /// Bytes of data owed, control frames not counted.
    #[must_use]
    #[inline]
    pub fn data_len(&self) -> usize {
        match &self.owed {
            Owed::Nothing => 0,
            Owed::Frames(frames, _) | Owed::Response(frames) => frames.len(),
            Owed::Queue(queue) => queue.data_len(),
        }
    }

    /// Bytes of memory that the owed ranges keep alive: at most four times the bytes owed once a flush has blocked.
    #[must_use]
    pub fn pinned_len(&self) -> usize {
        match &self.owed {
            Owed::Nothing => 0,
            Owed::Frames(frames, _) | Owed::Response(frames) => frames.pinned_len(),
            Owed::Queue(queue) => queue.pinned_len(),
        }
    }

    /// Since when the peer has taken nothing although something is owed; `None` if the socket was not full.
    #[must_use]
    pub fn stalled_since(&self) -> Option<Moment> {
        match &self.owed {
            Owed::Queue(queue) => queue.stalled_since(),
            _ => None,
        }
    }

    /// Whether more than `soft_bytes_max` wait that no message can push aside: whoever lets so much wait should not be
    /// given more to do, and not for long (SC-02, SC-07).
    #[must_use]
    #[inline]
    pub fn is_over(&self, soft_bytes_max: usize) -> bool {
        self.data_len() > soft_bytes_max
            && match &self.owed {
                Owed::Queue(queue) => queue.firm_len() > soft_bytes_max,
                _ => true,
            }
    }

    /// Takes note, after a flush, of whether the peer [is over](Outbox::is_over) the limit, so that the outbox knows
    /// since when.
    #[inline]
    pub fn watch(&mut self, soft_bytes_max: usize, now: Moment) {
        let is_over = self.is_over(soft_bytes_max);
        if let Owed::Queue(queue) = &mut self.owed {
            if is_over {
                queue.over_since.get_or_insert(now);
            } else {
                queue.over_since = None;
            }
        }
    }

    /// Since when the flushes have found too much waiting; `None` if the last one did not.
    #[must_use]
    pub fn over_since(&self) -> Option<Moment> {
        match &self.owed {
            Owed::Queue(queue) => queue.over_since,
            _ => None,
        }
    }

    /// The rare case of [`Outbox::push`]: something is owed, and the frames do not lie right behind that, or do not fit.
    #[cold]
    fn push_apart(&mut self, frame: &EncodedFrame, bytes_max: usize) -> Result<(), Overflow> {
        if !fits(self.data_len(), frame.len(), bytes_max) {
            match &mut self.owed {
                Owed::Queue(queue) => queue.make_room(frame.len(), bytes_max)?,
                _ => return Err(Overflow),
            }
        }
        self.append(frame, None);
        Ok(())
    }

    /// Queues frames for which there is room.
    #[inline]
    fn append(&mut self, frames: &EncodedFrame, feed: Option<Feed>) {
        match &mut self.owed {
            Owed::Nothing => self.owed = Owed::Frames(frames.clone(), feed),
            Owed::Frames(last, last_feed) => {
                if *last_feed != feed || !last.try_merge(frames) {
                    self.queue().push_in(feed, frames.clone());
                }
            }
            Owed::Response(_) => self.queue().push_in(feed, frames.clone()),
            Owed::Queue(queue) => queue.push_in(feed, frames.clone()),
        }
    }

    fn queue(&mut self) -> &mut Queue {
        if !matches!(self.owed, Owed::Queue(_)) {
            let mut queue = Box::<Queue>::default();
            match std::mem::take(&mut self.owed) {
                Owed::Frames(frames, feed) => queue.push_in(feed, frames),
                Owed::Response(response) => queue.push_response(response),
                Owed::Nothing | Owed::Queue(_) => {}
            }
            self.owed = Owed::Queue(queue);
        }
        match &mut self.owed {
            Owed::Queue(queue) => queue,
            _ => unreachable!("it was made a queue above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Write};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::proto::{CloseCode, FrameBuffer, OpCode, frame_len_at};

    pub(super) const UNLIMITED: usize = usize::MAX;

    /// A socket that takes `room` bytes, at most `step` at once.
    #[derive(Default)]
    pub(super) struct Socket {
        pub(super) taken: Vec<u8>,
        pub(super) room: usize,
        pub(super) step: usize,
    }

    impl Socket {
        pub(super) fn new(room: usize, step: usize) -> Self {
            Self {
                taken: Vec::new(),
                room,
                step,
            }
        }
    }

    impl Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let offered: usize = slices.iter().map(|slice| slice.len()).sum();
            let count = offered.min(self.step).min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
            self.taken.extend(bytes.take(count));
            self.room -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn frame(payload: &[u8]) -> EncodedFrame {
        let mut buffer = FrameBuffer::default();
        let range = buffer.encode(OpCode::Binary, &[payload]);
        buffer.share().slice(range)
    }

    /// The payloads of the frames in `bytes` by opcode bits; what is left over at the end is an error.
    pub(super) fn frames_in(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (frame, rest) = bytes.split_at(frame_len_at(bytes));
            let header_len = if frame[1] < 126 { 2 } else { 4 };
            frames.push((frame[0] & 0x0f, frame[header_len..].to_vec()));
            bytes = rest;
        }
        frames
    }

    fn opcodes_in(bytes: &[u8]) -> Vec<u8> {
        frames_in(bytes)
            .into_iter()
            .map(|(opcode, _)| opcode)
            .collect()
    }

    pub(super) fn flush(outbox: &mut Outbox, socket: &mut Socket) -> Flushed {
        outbox.write_to(socket, UNLIMITED, Moment::START).unwrap()
    }

    #[test]
    fn sc_02_an_outbox_knows_since_when_too_much_waits() {
        let mut outbox = Outbox::default();
        let second = |count| Moment::START + Duration::from_secs(count);
        outbox.push(&frame(&[0; 98]), UNLIMITED).unwrap();
        assert!(outbox.is_over(99) && !outbox.is_over(100));
        let mut socket = Socket::new(2, 1);
        assert_eq!(flush(&mut outbox, &mut socket), Flushed::UntilBlocked);
        outbox.watch(98, second(1));
        assert_eq!(outbox.over_since(), None, "98 wait, which is not too much");
        outbox.watch(97, second(2));
        outbox.watch(97, second(3));
        assert_eq!(outbox.over_since(), Some(second(2)));
        socket.room = 1;
        assert_eq!(flush(&mut outbox, &mut socket), Flushed::UntilBlocked);
        outbox.watch(97, second(4));
        assert_eq!(outbox.over_since(), None, "it has caught up");
        outbox.push(&frame(&[0; 98]), UNLIMITED).unwrap();
        outbox.watch(97, second(5));
        assert_eq!(outbox.over_since(), Some(second(5)), "the time begins anew");
    }

    #[test]
    fn sixteen_messages_of_a_turn_are_one_plain_write() {
        let mut buffer = FrameBuffer::default();
        let ranges: Vec<_> = (0..16_u8)
            .map(|number| buffer.encode(OpCode::Text, &[&[b'a' + number]]))
            .collect();
        let shared = buffer.share();
        let mut outbox = Outbox::default();
        for range in ranges {
            outbox.push(&shared.slice(range), UNLIMITED).unwrap();
        }
        assert!(
            matches!(outbox.owed, Owed::Frames(..)),
            "the ranges touch, so they are one"
        );
        let mut socket = Socket::new(UNLIMITED, UNLIMITED);
        assert_eq!(flush(&mut outbox, &mut socket), Flushed::Everything);
        assert_eq!(socket.taken, shared.as_bytes());
        assert!(outbox.is_empty());
    }

    #[test]
    fn sc_01_a_frame_over_the_limit_is_refused_and_counted_in_bytes() {
        let mut outbox = Outbox::default();
        outbox.push(&frame(&[0; 98]), 200).unwrap();
        outbox.push(&frame(&[0; 98]), 200).unwrap();
        assert_eq!(outbox.data_len(), 200);
        assert_eq!(outbox.push(&frame(&[]), 200), Err(Overflow));
        assert_eq!(outbox.data_len(), 200);
        let mut empty = Outbox::default();
        assert_eq!(
            empty.push(&frame(&[0; 98]), 10),
            Ok(()),
            "an empty outbox takes any frame"
        );
    }

    #[test]
    fn sc_05_a_pong_follows_the_frame_in_flight_and_precedes_queued_data() {
        let mut outbox = Outbox::default();
        outbox.push(&frame(b"first"), UNLIMITED).unwrap();
        outbox.push(&frame(b"second"), UNLIMITED).unwrap();
        let mut socket = Socket::new(3, UNLIMITED);
        assert_eq!(flush(&mut outbox, &mut socket), Flushed::UntilBlocked);
        outbox.push_pong(b"a");
        outbox.push_pong(b"b");
        outbox.push_ping();
        outbox.push_ping();
        socket.room = UNLIMITED;
        assert_eq!(flush(&mut outbox, &mut socket), Flushed::Everything);
        let expected: [(u8, &[u8]); 5] = [
            (2, b"first"),
            (10, b"a"),
            (10, b"b"),
            (9, b""),
            (2, b"second"),
        ];
        assert_eq!(
            frames_in(&socket.taken),
            expected.map(|(opcode, payload)| (opcode, payload.to_vec()))
        );
    }

    #[test]
    fn fr_12_of_too_many_waiting_pongs_the_latest_is_kept() {
        let mut outbox = Outbox::default();
        for number in 0..200_000_u32 {
            outbox.push_pong(&number.to_be_bytes());
        }
        let mut socket = Socket::new(UNLIMITED, UNLIMITED);
        flush(&mut outbox, &mut socket);
        assert!(socket.taken.len() <= 16 * 127);
        let last = frames_in(&socket.taken).pop();
        assert_eq!(last, Some((10, 199_999_u32.to_be_bytes().to_vec())));
    }

    #[test]
    fn fr_14_a_begun_control_frame_is_finished_before_its_replacement() {
        let mut outbox = Outbox::default();
        outbox.push_pong(b"begun");
        let mut socket = Socket::new(4, UNLIMITED);
        flush(&mut outbox, &mut socket);
        outbox.push_pong(b"next");
        outbox.push(&frame(b"data"), UNLIMITED).unwrap();
        socket.room = UNLIMITED;
        flush(&mut outbox, &mut socket);
        let expected: [(u8, &[u8]); 3] = [(10, b"begun"), (10, b"next"), (2, b"data")];
        assert_eq!(
            frames_in(&socket.taken),
            expected.map(|(opcode, payload)| (opcode, payload.to_vec()))
        );
    }

    #[test]
    fn cl_06_giving_up_finishes_the_begun_frame_and_drops_the_others() {
        for room in 0..30 {
            let mut outbox = Outbox::default();
            for payload in [b"one", b"two", b"six"] {
                outbox.push(&frame(payload), UNLIMITED).unwrap();
            }
            outbox.push_ping();
            let mut socket = Socket::new(room, UNLIMITED);
            flush(&mut outbox, &mut socket);
            let dropped = outbox.abandon_then(Some(CloseFrame {
                code: CloseCode::POLICY_VIOLATION,
                reason: "",
            }));
            socket.room = UNLIMITED;
            flush(&mut outbox, &mut socket);
            let opcodes = opcodes_in(&socket.taken);
            assert_eq!(opcodes.last(), Some(&8), "room {room}");
            let sent = opcodes.iter().filter(|&&opcode| opcode == 2).count();
            assert_eq!(sent + dropped, 3, "room {room}");
        }
    }

    #[test]
    fn clearing_counts_what_was_not_sent_whole() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.clear(), 0);
        outbox.push(&frame(b"one"), UNLIMITED).unwrap();
        outbox.push(&frame(b"two"), UNLIMITED).unwrap();
        flush(&mut outbox, &mut Socket::new(1, UNLIMITED));
        assert_eq!(outbox.clear(), 2);
        assert!(outbox.is_empty());
    }

    #[test]
    fn hs_10_frames_wait_for_the_last_byte_of_the_response() {
        let mut outbox = Outbox::default();
        outbox.push_response(b"HTTP/1.1 101 ...".to_vec());
        outbox.push(&frame(b"hello"), UNLIMITED).unwrap();
        let mut socket = Socket::new(5, UNLIMITED);
        flush(&mut outbox, &mut socket);
        outbox.push_pong(b"");
        socket.room = UNLIMITED;
        flush(&mut outbox, &mut socket);
        let frames = socket.taken.strip_prefix(b"HTTP/1.1 101 ...").unwrap();
        assert_eq!(opcodes_in(frames), [10, 2]);
    }

    #[test]
    fn sc_09_a_blocked_peer_does_not_pin_what_is_not_its_own() {
        let mut outbox = Outbox::default();
        let mut socket = Socket::new(0, 1);
        for turn in 0..500 {
            let mut buffer = FrameBuffer::default();
            buffer.encode(OpCode::Binary, &[&[0; 60_000]]);
            let mine = buffer.encode(OpCode::Binary, &[b"for one"]);
            outbox.push(&buffer.share().slice(mine), UNLIMITED).unwrap();
            if turn % 2 == 0 {
                outbox.keep_blocked();
            } else {
                assert_eq!(flush(&mut outbox, &mut socket), Flushed::UntilBlocked);
            }
        }
        assert_eq!(outbox.data_len(), 500 * 9);
        assert!(
            outbox.pinned_len() <= 4 * outbox.data_len(),
            "{} bytes pinned",
            outbox.pinned_len()
        );
    }

    #[test]
    fn sc_09_a_backlog_drained_by_single_bytes_costs_its_length() {
        let mut outbox = Outbox::default();
        for number in 0..16_u8 {
            outbox.push(&frame(&[number; 4_000]), UNLIMITED).unwrap();
        }
        let mut socket = Socket::new(UNLIMITED, 1);
        assert_eq!(flush(&mut outbox, &mut socket), Flushed::Everything);
        assert_eq!(frames_in(&socket.taken).len(), 16);
    }

    #[test]
    fn sc_08_a_stall_lasts_from_the_first_refusal_to_the_next_byte_taken() {
        let at = |seconds| Moment::START + Duration::from_secs(seconds);
        let mut outbox = Outbox::default();
        outbox.push(&frame(b"data"), UNLIMITED).unwrap();
        let mut socket = Socket::new(0, UNLIMITED);
        outbox.write_to(&mut socket, UNLIMITED, at(3)).unwrap();
        outbox.write_to(&mut socket, UNLIMITED, at(5)).unwrap();
        assert_eq!(outbox.stalled_since(), Some(at(3)));
        socket.room = 1;
        outbox.write_to(&mut socket, UNLIMITED, at(7)).unwrap();
        assert_eq!(outbox.stalled_since(), Some(at(7)));
    }

    #[test]
    fn lt_09_a_flush_stops_at_its_budget() {
        let mut outbox = Outbox::default();
        outbox.push(&frame(&[0; 1000]), UNLIMITED).unwrap();
        outbox.push_ping();
        let mut socket = Socket::new(UNLIMITED, UNLIMITED);
        assert_eq!(
            outbox.write_to(&mut socket, 100, Moment::START).unwrap(),
            Flushed::UntilBudget
        );
        assert_eq!(socket.taken.len(), 100);
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Data frames of these payload lengths, encoded in one turn.
        Turn(Vec<usize>),
        Pong(Vec<u8>),
        Ping,
        /// The socket has room for so many bytes, so many at once.
        Write {
            room: usize,
            step: usize,
            budget: usize,
        },
        KeepBlocked,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => proptest::collection::vec(0_usize..400, 1..6).prop_map(Step::Turn),
            1 => proptest::collection::vec(any::<u8>(), 0..126).prop_map(Step::Pong),
            1 => Just(Step::Ping),
            4 => (0_usize..900, 1_usize..300, 1_usize..600)
                .prop_map(|(room, step, budget)| Step::Write { room, step, budget }),
            1 => Just(Step::KeepBlocked),
        ]
    }

    proptest! {
        /// Frames that are pushed or written together become what they become one by one.
        #[test]
        fn frames_together_are_the_same_as_one_by_one(
            lens in proptest::collection::vec(0_usize..10, 1..6),
            before_len in proptest::option::of(0_usize..10),
            room in 0_usize..40,
            bytes_max in 0_usize..60,
            has_feed: bool,
        ) {
            let feed = has_feed.then_some(Feed::DIRECT);
            let terms = Arc::new(Terms { policy: Policy::DropNewest, notice: None, is_plain: false });
            let mut buffer = FrameBuffer::default();
            let ranges: Vec<_> = lens.iter().map(|&len| buffer.encode(OpCode::Binary, &[&vec![7; len]])).collect();
            let shared = buffer.share();
            let [mut together, mut singly] = [(); 2].map(|()| Outbox::default());
            let [mut fast, mut slow] = [(); 2].map(|()| Socket::new(room, UNLIMITED));
            for outbox in [&mut together, &mut singly] {
                if let Some(len) = before_len {
                    outbox.push(&frame(&vec![8; len]), UNLIMITED).unwrap();
                }
            }
            let is_together = if together.is_empty() && shared.len() <= bytes_max {
                together.write_through(&shared, feed, &mut fast).unwrap();
                true
            } else {
                together.try_push_all(&shared, feed, bytes_max)
            };
            if is_together {
                for range in ranges {
                    let frame = shared.slice(range);
                    match has_feed {
                        true => prop_assert_eq!(singly.push_of(Feed::DIRECT, &terms, &frame, bytes_max), Ok(Pushed::Queued)),
                        false => prop_assert_eq!(singly.push(&frame, bytes_max), Ok(())),
                    }
                }
                flush(&mut singly, &mut slow);
                flush(&mut together, &mut fast);
                prop_assert_eq!(&fast.taken, &slow.taken);
                prop_assert_eq!(together.data_len(), singly.data_len());
                prop_assert_eq!(together.stalled_since(), singly.stalled_since());
                prop_assert_eq!(together.clear(), singly.clear());
            } else {
                prop_assert_eq!(together.data_len(), singly.data_len());
            }
        }

        /// Whatever is written when, the peer gets whole frames, and the data frames are those pushed, in order.
        #[test]
        fn fr_14_frames_are_never_cut_or_reordered(steps in proptest::collection::vec(any_step(), 1..60), last_step in 1_usize..50) {
            let mut outbox = Outbox::default();
            let mut socket = Socket::default();
            let mut expected = Vec::new();
            let mut next_byte = 0_u8;
            for step in steps {
                match step {
                    Step::Turn(lens) => {
                        let mut buffer = FrameBuffer::default();
                        let payloads: Vec<Vec<u8>> = lens.iter().zip(0_u8..).map(|(&len, at)| vec![next_byte.wrapping_add(at); len]).collect();
                        next_byte = next_byte.wrapping_add(6);
                        let ranges: Vec<_> = payloads.iter().map(|payload| buffer.encode(OpCode::Binary, &[payload])).collect();
                        let shared = buffer.share();
                        for range in ranges {
                            outbox.push(&shared.slice(range), UNLIMITED).unwrap();
                        }
                        expected.extend(payloads);
                    }
                    Step::Pong(payload) => outbox.push_pong(&payload),
                    Step::Ping => outbox.push_ping(),
                    Step::Write { room, step, budget } => {
                        (socket.room, socket.step) = (room, step);
                        let before = socket.taken.len();
                        let flushed = outbox.write_to(&mut socket, budget, Moment::START).unwrap();
                        prop_assert_eq!(flushed == Flushed::Everything, outbox.is_empty());
                        prop_assert!(socket.taken.len() - before <= room);
                    }
                    Step::KeepBlocked => outbox.keep_blocked(),
                }
            }
            (socket.room, socket.step) = (UNLIMITED, last_step);
            prop_assert_eq!(outbox.write_to(&mut socket, UNLIMITED, Moment::START).unwrap(), Flushed::Everything);
            let data: Vec<Vec<u8>> = frames_in(&socket.taken).into_iter().filter(|(opcode, _)| *opcode == 2).map(|(_, payload)| payload).collect();
            prop_assert_eq!(data, expected);
        }
    }
}
