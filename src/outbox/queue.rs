//! The long form of an outbox: several ranges, a frame that was cut by a full socket, control frames in between.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use super::Flushed;
use super::backlog::Backlogs;
use super::control::ControlLane;
use super::policy::number_of;
use super::segment::Segment;
use crate::clock::Moment;
use crate::delivery::Feed;
use crate::proto::{EncodedFrame, frame_len_at};

/// Own copies are appended to one buffer up to this size, then another is begun.
const OWN_BUFFER_BYTES_MAX: usize = 64 << 10;
/// Ranges of one vectored write; beyond that, more slices save nothing.
const SLICE_COUNT_MAX: usize = 32;

/// Everything owed to a peer that is more than one unbegun range.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) control: ControlLane,
    /// Data frames; the first range begins with `begun_len` bytes that belong to a begun one.
    pub(super) data: VecDeque<Segment>,
    /// Sum of the lengths of `data`.
    pub(super) data_len: usize,
    /// Bytes at the front of `data` that nothing may interrupt: a begun frame's rest, or HTTP.
    pub(super) begun_len: usize,
    /// How many ranges at the front were already judged by [`Queue::keep_own_copies`].
    pub(super) kept_count: usize,
    pub(super) stalled_since: Option<Moment>,
    /// Since when more waits than a peer should let wait.
    pub(super) over_since: Option<Moment>,
    /// The number of the first range; those behind it count on. Ranges keep their numbers when others come and go.
    pub(super) first_number: i64,
    /// How many ranges are gone and have left their places empty; the first one never is.
    pub(super) empty_places: usize,
    /// What waits of the feeds.
    pub(super) backlogs: Backlogs,
    /// Data frames that were dropped in favour of others since [`Queue::take_displaced_count`].
    pub(super) displaced_count: u32,
    /// Messages that were written to their end since [`Queue::take_written_count`], while others still wait.
    written_count: u32,
    /// How many of those that are to be written next are no messages: a response, or the notice of a loss.
    other_count: u32,
}

impl Queue {
    /// Queues whole frames that must not be dropped behind all others.
    pub(super) fn push(&mut self, frame: EncodedFrame) {
        self.push_in(None, frame);
    }

    /// Queues whole frames of a feed behind all others.
    pub(super) fn push_in(&mut self, feed: Option<Feed>, frame: EncodedFrame) {
        let lost_count = feed.map_or(0, |feed| self.enter(feed, frame.len()));
        self.data_len += frame.len();
        let last = self.data.back_mut();
        if lost_count > 0 || !last.is_some_and(|last| last.try_merge(&frame, feed)) {
            self.data.push_back(Segment::new(frame, feed, lost_count));
        }
    }

    /// Counts `len` bytes more of a feed; returns how many messages of it were lost just before.
    fn enter(&mut self, feed: Feed, len: usize) -> u32 {
        let last = self.first_number + number_of(self.data.len()) - 1;
        let Some(index) = self.backlogs.enter(feed, None) else {
            return 0;
        };
        let backlog = &mut self.backlogs[index];
        if backlog.waiting_len == 0 {
            // It may become a part of the last range.
            backlog.first = last;
        }
        backlog.waiting_len += len;
        std::mem::take(&mut backlog.lost_count)
    }

    /// Queues bytes that are not frames. All that is queued before is of that kind too, or begun.
    pub(super) fn push_response(&mut self, response: EncodedFrame) {
        self.other_count += u32::from(!self.is_mid_frame());
        self.push(response);
        self.begun_len = self.data_len;
    }

    /// Drops every data frame that is not begun, and the waiting control frames; returns the number of data frames.
    /// Losses from before are not told any more.
    pub(super) fn drop_unbegun(&mut self) -> usize {
        self.control.drop_unbegun();
        self.backlogs.clear();
        let mut dropped = 0;
        let mut next_frame = self.begun_len;
        for range in &self.data {
            while next_frame < range.len() {
                next_frame += frame_len_at(&range.as_bytes()[next_frame..]);
                dropped += 1;
            }
            next_frame -= range.len();
        }
        self.truncate(self.begun_len);
        if !self.is_mid_frame() {
            self.other_count = 0;
        }
        dropped
    }

    /// Writes until nothing is owed, `io` would block, or about `budget` bytes have gone.
    pub(super) fn write_to(
        &mut self,
        io: &mut impl io::Write,
        budget: usize,
        now: Moment,
    ) -> io::Result<Flushed> {
        let mut left = budget;
        loop {
            self.tell_loss();
            if self.is_empty() {
                return Ok(Flushed::Everything);
            }
            if left == 0 {
                self.keep_own_copies();
                return Ok(Flushed::UntilBudget);
            }
            let mut slices = [IoSlice::new(&[]); SLICE_COUNT_MAX];
            let count = self.gather(&mut slices, left);
            let written = match &slices[..count] {
                // The plain call is the cheaper one.
                [slice] => write_once(io, |io| io.write(slice))?,
                slices => write_once(io, |io| io.write_vectored(slices))?,
            };
            let Some(written) = written else {
                return Ok(self.on_blocked(now));
            };
            self.stalled_since = None;
            self.consume(written);
            left = left.saturating_sub(written);
        }
    }

    /// Takes note that the socket is full, and keeps no more memory than that is worth.
    pub(super) fn on_blocked(&mut self, now: Moment) -> Flushed {
        self.stalled_since.get_or_insert(now);
        self.keep_own_copies();
        Flushed::UntilBlocked
    }

    /// Takes note that `written` bytes went out, in the order of [`Queue::gather`].
    pub(super) fn consume(&mut self, written: usize) {
        let begun = written.min(self.begun_len);
        self.advance(begun);
        self.begun_len -= begun;
        let has_ended_frame = begun > 0 && !self.is_mid_frame();
        let mut left = self.control.consume(written - begun);
        if left == self.data_len {
            self.data.clear();
            self.data_len = 0;
            self.kept_count = 0;
            self.empty_places = 0;
            self.backlogs.on_emptied();
            return;
        }
        if has_ended_frame {
            self.on_frame_written();
        }
        while left > 0 {
            let first = self
                .data
                .front()
                .expect("more was written than control frames");
            let frame_len = frame_len_at(first.as_bytes());
            if let Some(feed) = first.feed {
                self.backlogs.on_begun(feed, frame_len);
            }
            let taken = left.min(frame_len);
            self.advance(taken);
            self.begun_len = frame_len - taken;
            left -= taken;
            if !self.is_mid_frame() {
                self.on_frame_written();
            }
        }
    }

    /// Takes note that the last byte of a frame went out, and that others wait behind it.
    fn on_frame_written(&mut self) {
        if self.other_count > 0 {
            self.other_count -= 1;
        } else {
            self.written_count += 1;
        }
    }

    /// Queues the notice of a loss in front of all others.
    pub(super) fn push_notice_front(&mut self, notice: EncodedFrame) {
        self.data_len += notice.len();
        self.other_count += 1;
        self.push_front(Segment::new(notice, None, 0));
    }

    /// Copies ranges that pin much more memory than they are long, so that a slow peer costs what it is owed.
    ///
    /// A turn's buffer is shared by everyone it went to. A peer that stays blocked would keep all of it for its own
    /// few bytes, and once for every turn.
    pub(super) fn keep_own_copies(&mut self) {
        let fresh: Vec<Segment> = self.data.drain(self.kept_count..).collect();
        for mut segment in fresh {
            if segment.is_gone() {
                self.empty_places -= 1;
            } else if !segment.pins_too_much() {
                self.data.push_back(segment);
            } else if !self
                .data
                .back_mut()
                .is_some_and(|last| last.try_append_copy(&segment, OWN_BUFFER_BYTES_MAX))
            {
                segment.make_own_copy();
                self.data.push_back(segment);
            }
        }
        self.backlogs
            .on_renumbered(self.first_number + number_of(self.kept_count) - 1);
        self.kept_count = self.data.len();
    }

    /// Queues a segment in front of all others.
    pub(super) fn push_front(&mut self, segment: Segment) {
        self.data.push_front(segment);
        self.first_number -= 1;
        if self.kept_count > 0 {
            self.kept_count += 1;
        }
    }

    /// Removes empty places in front, so that the first range has the frames that come first.
    pub(super) fn drop_empty_front(&mut self) {
        while self.data.front().is_some_and(Segment::is_gone) {
            self.drop_front();
            self.empty_places -= 1;
        }
    }

    /// How many frames were dropped in favour of others since the last call.
    pub(super) fn take_displaced_count(&mut self) -> u32 {
        std::mem::take(&mut self.displaced_count)
    }

    /// How many messages were written to their end since the last call, as long as others wait.
    pub(super) fn take_written_count(&mut self) -> u32 {
        std::mem::take(&mut self.written_count)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.data_len == 0 && self.control.is_empty()
    }

    pub(super) fn is_mid_frame(&self) -> bool {
        self.begun_len > 0
    }

    pub(super) fn data_len(&self) -> usize {
        self.data_len
    }

    /// Bytes of data that no message can push aside.
    pub(super) fn firm_len(&self) -> usize {
        self.data_len - self.backlogs.spare_len()
    }

    pub(super) fn pinned_len(&self) -> usize {
        self.data.iter().map(Segment::pinned_len).sum()
    }

    pub(super) fn stalled_since(&self) -> Option<Moment> {
        self.stalled_since
    }

    /// Fills `slices` with what is to be written next, about `budget` bytes; returns how many slices are used.
    fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICE_COUNT_MAX], budget: usize) -> usize {
        debug_assert!(
            !(self.is_mid_frame() && self.control.is_mid_frame()),
            "two begun frames"
        );
        let begun = self.data_slices(0, self.begun_len);
        let rest = self.data_slices(self.begun_len, self.data_len);
        let ordered = begun
            .chain(self.control.slices())
            .chain(rest)
            .filter(|slice| !slice.is_empty());
        let mut gathered = 0;
        let mut count = 0;
        for (slot, slice) in slices.iter_mut().zip(ordered) {
            if gathered >= budget {
                break;
            }
            let slice = &slice[..slice.len().min(budget - gathered)];
            gathered += slice.len();
            *slot = IoSlice::new(slice);
            count += 1;
        }
        count
    }

    /// The bytes `from..to` of the data as slices, up to the next loss of which the peer has to be told first.
    fn data_slices(&self, from: usize, to: usize) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.data.iter().map_while(move |range| {
            let bytes = range.as_bytes();
            let (first, end) = (
                from.saturating_sub(begin),
                (to.saturating_sub(begin)).min(bytes.len()),
            );
            let is_past = begin >= to || range.lost_count > 0;
            begin += bytes.len();
            (!is_past).then(|| bytes.get(first..end).unwrap_or_default())
        })
    }

    /// Removes `count` bytes from the front of the data.
    fn advance(&mut self, count: usize) {
        self.data_len -= count;
        let mut left = count;
        while left > 0 {
            let first = self
                .data
                .front_mut()
                .expect("data_len is the sum of the ranges");
            let taken = left.min(first.len());
            first.advance(taken);
            left -= taken;
            if first.len() == 0 {
                self.drop_front();
                self.drop_empty_front();
            }
        }
    }

    /// Removes the first range.
    fn drop_front(&mut self) {
        self.data.pop_front();
        self.first_number += 1;
        self.kept_count = self.kept_count.saturating_sub(1);
    }

    /// Removes everything behind the first `len` bytes of the data.
    fn truncate(&mut self, len: usize) {
        let mut excess = self.data_len - len;
        self.data_len = len;
        while excess > 0 {
            let last = self
                .data
                .back_mut()
                .expect("data_len is the sum of the ranges");
            let taken = excess.min(last.len());
            last.truncate(last.len() - taken);
            excess -= taken;
            if last.len() == 0 {
                self.empty_places -= usize::from(last.is_gone());
                self.data.pop_back();
            }
        }
        self.kept_count = self.kept_count.min(self.data.len());
    }
}

/// One write that is retried when interrupted; `None` if it would block.
// Inlined because each receiver of a fan-out would pay 20 instructions for a call.
#[inline(always)]
pub(super) fn write_once<W: io::Write>(
    io: &mut W,
    mut write: impl FnMut(&mut W) -> io::Result<usize>,
) -> io::Result<Option<usize>> {
    loop {
        match write(io) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => return Ok(Some(written)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}
