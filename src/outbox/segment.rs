//! A piece of what waits in a queue: frames of one kind in a row.

use crate::delivery::Feed;
use crate::proto::{EncodedFrame, frame_len_at};

/// A range that pins more than this many times its own length is copied when its peer blocks.
const PINNED_RATIO_MAX: usize = 4;

/// Whole frames in a row that may be dropped on the same terms, or may not be dropped at all.
#[derive(Debug)]
pub(super) struct Segment {
    /// `None` once all of them were dropped: the place stays, so that those behind it keep theirs.
    frames: Option<EncodedFrame>,
    /// What they belong to, if they may be dropped.
    pub(super) feed: Option<Feed>,
    /// Messages of the feed that were lost right before the first frame, and of which the peer was not told.
    pub(super) lost_count: u32,
}

impl Segment {
    /// These frames, behind a loss of `lost_count` messages of the same feed.
    pub(super) fn new(frames: EncodedFrame, feed: Option<Feed>, lost_count: u32) -> Self {
        Self {
            frames: Some(frames),
            feed,
            lost_count,
        }
    }

    /// Appends `next` if it belongs and lies right behind; whether it does.
    pub(super) fn try_merge(&mut self, next: &EncodedFrame, feed: Option<Feed>) -> bool {
        self.feed == feed && self.frames.as_mut().is_some_and(|it| it.try_merge(next))
    }

    /// Appends a copy of `next`, if it belongs behind and the buffer here has room up to `bytes_max`; whether it has.
    pub(super) fn try_append_copy(&mut self, next: &Self, bytes_max: usize) -> bool {
        let (Some(frames), Some(next_frames)) = (&mut self.frames, &next.frames) else {
            return false;
        };
        self.feed == next.feed
            && next.lost_count == 0
            && frames.try_append_copy(next_frames, bytes_max)
    }

    /// Whether so much more memory is kept alive than is owed that a copy is cheaper.
    pub(super) fn pins_too_much(&self) -> bool {
        self.pinned_len() > PINNED_RATIO_MAX * self.len()
    }

    /// Lets go of memory shared with others.
    pub(super) fn make_own_copy(&mut self) {
        if let Some(frames) = &mut self.frames {
            *frames = EncodedFrame::from_vec(frames.as_bytes().to_vec());
        }
    }

    /// Drops the first `count` bytes, which were written.
    pub(super) fn advance(&mut self, count: usize) {
        if let Some(frames) = &mut self.frames {
            frames.advance(count);
        }
    }

    /// Keeps the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        if let Some(frames) = &mut self.frames {
            frames.truncate(len);
        }
    }

    /// Takes the first `len` bytes out, as a segment of their own.
    pub(super) fn split_to(&mut self, len: usize) -> Self {
        let mut first = self.frames.clone();
        if let Some(first) = &mut first {
            first.truncate(len);
        }
        self.advance(len);
        Self {
            frames: first,
            feed: self.feed,
            lost_count: std::mem::take(&mut self.lost_count),
        }
    }

    /// Drops the first frame; returns its length. If it was the only one, the segment is [gone](Self::is_gone).
    pub(super) fn drop_first(&mut self) -> usize {
        let frame_len = frame_len_at(self.as_bytes());
        if frame_len == self.len() {
            self.frames = None;
            return frame_len;
        }
        self.advance(frame_len);
        if self.pins_too_much() {
            self.make_own_copy();
        }
        frame_len
    }

    /// Whether all frames were dropped.
    pub(super) fn is_gone(&self) -> bool {
        self.frames.is_none()
    }

    /// The bytes that are left.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.frames.as_ref().map_or(&[], EncodedFrame::as_bytes)
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.frames.as_ref().map_or(0, EncodedFrame::len)
    }

    /// Bytes of memory that are kept alive.
    pub(super) fn pinned_len(&self) -> usize {
        self.frames.as_ref().map_or(0, EncodedFrame::pinned_len)
    }
}
