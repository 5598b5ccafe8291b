//! How much of each feed waits in a queue, and how much of it was lost.

use std::sync::Arc;

use crate::delivery::{Feed, Terms};
use crate::proto::{EncodedFrame, OpCode, encode_frame};

/// Feeds of one queue that may be dropped from; the frames of further ones are not dropped, they overflow.
///
/// Looking one up is a walk, and a peer has at most this many by default: its groups, and three addresses.
const BACKLOGS_MAX: usize = 256;

/// What waits of one feed.
#[derive(Debug)]
pub(super) struct Backlog {
    feed: Feed,
    /// The terms of the latest frame; `None` while none has come since the queue was made out of a single range.
    terms: Option<Arc<Terms>>,
    /// Bytes of the frames that are not begun.
    pub(super) waiting_len: usize,
    /// Number of a segment; all segments before it are without frames of this feed that are not begun.
    pub(super) first: i64,
    /// Messages that were lost behind all that wait, and of which the peer was not told.
    pub(super) lost_count: u32,
}

impl Backlog {
    /// The feed.
    pub(super) fn feed(&self) -> Feed {
        self.feed
    }

    /// Bytes that can be dropped in favour of others, so that the peer can be told.
    pub(super) fn spare_len(&self) -> usize {
        self.terms.as_ref().map_or(0, |_| self.waiting_len)
    }

    /// One message as it is counted for the peer: not at all if it cannot be told.
    pub(super) fn loss(&self) -> u32 {
        let notice = self.terms.as_ref().and_then(|it| it.notice.as_ref());
        u32::from(notice.is_some())
    }

    /// Tells the peer that `lost_count` messages of the feed are lost.
    fn notice(&self, lost_count: u32) -> Option<EncodedFrame> {
        let notice = self.terms.as_ref()?.notice.as_ref()?;
        let number = lost_count.to_string();
        let parts = [&*notice.before, &number, notice.after].map(str::as_bytes);
        let mut frame = Vec::new();
        encode_frame(&mut frame, OpCode::Text, &parts);
        Some(EncodedFrame::from_vec(frame))
    }
}

/// The feeds of which something waits, or was lost without the peer being told.
#[derive(Debug, Default)]
pub(super) struct Backlogs(Vec<Backlog>);

impl Backlogs {
    /// The place of `feed`, which stays the same until another feed is entered; `None` if there are too many.
    pub(super) fn enter(&mut self, feed: Feed, terms: Option<&Arc<Terms>>) -> Option<usize> {
        let index = match self.find(feed) {
            Some(index) => index,
            None => self.add(feed)?,
        };
        if let Some(terms) = terms {
            self.0[index].terms = Some(Arc::clone(terms));
        }
        Some(index)
    }

    /// A frame of `feed` begins to go out; it cannot be dropped any more.
    pub(super) fn on_begun(&mut self, feed: Feed, frame_len: usize) {
        if let Some(index) = self.find(feed) {
            self.0[index].waiting_len -= frame_len;
        }
    }

    /// Everything that waited went out.
    pub(super) fn on_emptied(&mut self) {
        for backlog in &mut self.0 {
            backlog.waiting_len = 0;
        }
    }

    /// Segments from this number on may have other numbers now, though none from before it is behind it.
    pub(super) fn on_renumbered(&mut self, from: i64) {
        for backlog in &mut self.0 {
            backlog.first = backlog.first.min(from);
        }
    }

    /// Forgets everything, the losses too.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Tells the peer about a loss of `lost_count` in front of what waits of `feed`.
    pub(super) fn notice(&self, feed: Feed, lost_count: u32) -> Option<EncodedFrame> {
        self.0[self.find(feed)?].notice(lost_count)
    }

    /// Tells the peer about one of the losses behind all that waits; `None` if there is none left to tell.
    pub(super) fn take_notice(&mut self) -> Option<EncodedFrame> {
        let backlog = self.0.iter_mut().find(|it| it.lost_count > 0)?;
        let lost_count = std::mem::take(&mut backlog.lost_count);
        backlog.notice(lost_count)
    }

    /// All bytes that can be dropped in favour of a frame that cannot.
    pub(super) fn spare_len(&self) -> usize {
        self.0.iter().map(Backlog::spare_len).sum()
    }

    /// Where the most bytes can be dropped.
    pub(super) fn largest(&self) -> Option<usize> {
        (0..self.0.len()).max_by_key(|&index| self.0[index].spare_len())
    }

    /// The place of `feed`, if it was entered.
    pub(super) fn find(&self, feed: Feed) -> Option<usize> {
        self.0.iter().position(|it| it.feed == feed)
    }

    /// Adds a feed, in place of one that has nothing to say if it must be.
    fn add(&mut self, feed: Feed) -> Option<usize> {
        let backlog = Backlog {
            feed,
            terms: None,
            waiting_len: 0,
            first: 0,
            lost_count: 0,
        };
        if self.0.len() < BACKLOGS_MAX {
            self.0.push(backlog);
            return Some(self.0.len() - 1);
        }
        let is_idle = |it: &Backlog| it.waiting_len == 0 && it.lost_count == 0;
        let index = self.0.iter().position(is_idle)?;
        self.0[index] = backlog;
        Some(index)
    }
}

impl std::ops::Index<usize> for Backlogs {
    type Output = Backlog;

    fn index(&self, index: usize) -> &Backlog {
        &self.0[index]
    }
}

impl std::ops::IndexMut<usize> for Backlogs {
    fn index_mut(&mut self, index: usize) -> &mut Backlog {
        &mut self.0[index]
    }
}
