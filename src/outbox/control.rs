//! The lane of the control frames: a few pongs, one ping, whatever the peer does.

use crate::proto::{OpCode, encode_frame, frame_len_at};

/// Bytes of waiting pongs: a burst of 16 pings with the longest payload gets all its answers.
const PONG_BYTES_MAX: usize = 16 * 127;

/// Control frames that wait to go out between two data frames; bounded by construction.
#[derive(Debug, Default)]
pub(super) struct ControlLane {
    /// What is left of a frame that was written in part.
    begun: Vec<u8>,
    /// Whole pong frames, oldest first.
    pongs: Vec<u8>,
    /// A whole ping frame, empty if none waits.
    ping: Vec<u8>,
}

impl ControlLane {
    /// Lets a pong wait behind the others; in place of them if they are too many.
    ///
    /// Only the latest ping needs its answer (RFC 6455 5.5.3), so a peer that sends pings and does not read loses
    /// nothing that it could count on.
    pub(super) fn push_pong(&mut self, payload: &[u8]) {
        encode_frame(&mut self.pongs, OpCode::Pong, &[payload]);
        if self.pongs.len() > PONG_BYTES_MAX {
            self.pongs.clear();
            encode_frame(&mut self.pongs, OpCode::Pong, &[payload]);
        }
    }

    /// Lets an empty ping wait, if none does.
    pub(super) fn set_ping(&mut self) {
        self.ping.clear();
        encode_frame(&mut self.ping, OpCode::Ping, &[]);
    }

    /// What is to be written, in order; an empty slice has nothing to say.
    pub(super) fn slices(&self) -> [&[u8]; 3] {
        [&self.begun, &self.pongs, &self.ping]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slices().iter().all(|slice| slice.is_empty())
    }

    /// Whether a frame was written in part, so that nothing else may come before its rest.
    pub(super) fn is_mid_frame(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Takes note that up to `written` bytes of the lane went out; returns how many were not of this lane.
    pub(super) fn consume(&mut self, written: usize) -> usize {
        let of_begun = written.min(self.begun.len());
        self.begun.drain(..of_begun);
        let mut left = written - of_begun;
        for frames in [&mut self.pongs, &mut self.ping] {
            while left > 0 && !frames.is_empty() {
                let frame_len = frame_len_at(frames);
                let taken = left.min(frame_len);
                self.begun.extend_from_slice(&frames[taken..frame_len]);
                frames.drain(..frame_len);
                left -= taken;
            }
        }
        left
    }

    /// Drops what has not begun: after the Close frame nothing may follow.
    pub(super) fn drop_unbegun(&mut self) {
        self.pongs.clear();
        self.ping.clear();
    }
}
