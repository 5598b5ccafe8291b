//! The buffer that every connection of a loop is read into.

use crate::proto::EncodedFrame;

/// How many bytes it has: room for two budgets, so that a frame that the first one cuts can be completed.
const LEN: usize = 256 << 10;

/// How many buffers that were shared are waited for. Once a peer has not taken at once what it was sent, there are two.
const SHARED_COUNT_MAX: usize = 2;

/// A buffer to read into, from which can be sent what was read: another one takes its place for as long.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    /// Empty before the first read, and after it was shared.
    bytes: Vec<u8>,
    /// Buffers that were shared; whoever is the last to hold one can use it again.
    shared: Vec<EncodedFrame>,
}

impl ReadBuffer {
    /// The bytes to read into, whatever they are.
    #[inline]
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = self.take_returned().unwrap_or_else(|| vec![0; LEN]);
        }
        &mut self.bytes
    }

    /// What was read last, to be sent from: it stays as it is for as long as anybody has it.
    pub(super) fn share(&mut self) -> EncodedFrame {
        let frames = EncodedFrame::from_vec(std::mem::take(&mut self.bytes));
        if self.shared.len() == SHARED_COUNT_MAX {
            // The one that has waited longest for its receivers will hardly be next.
            self.shared.remove(0);
        }
        self.shared.push(frames.clone());
        frames
    }

    /// A buffer that nobody else has any more; the latest of them, which the caches still know.
    #[cold]
    fn take_returned(&mut self) -> Option<Vec<u8>> {
        let index = self.shared.iter().rposition(|frames| !frames.is_shared())?;
        self.shared.remove(index).try_into_vec().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shared_is_never_read_into_again_while_anybody_has_it() {
        let mut buffer = ReadBuffer::default();
        let mut held = Vec::new();
        for byte in 0..10 {
            buffer.bytes().fill(byte);
            held.push(buffer.share());
        }
        for (byte, frames) in (0..10).zip(&held) {
            assert_eq!(frames.as_bytes(), [byte; LEN]);
        }
        assert!(buffer.shared.len() <= SHARED_COUNT_MAX);
    }

    #[test]
    fn memory_is_used_again_once_it_was_sent() {
        let mut buffer = ReadBuffer::default();
        let first = buffer.bytes().as_ptr();
        for _ in 0..10 {
            drop(buffer.share());
            assert_eq!(buffer.bytes().as_ptr(), first);
            assert_eq!(buffer.bytes().len(), LEN);
        }
        let held = buffer.share();
        assert_ne!(buffer.bytes().as_ptr(), first);
        drop(held);
        let _second = buffer.share();
        assert_eq!(buffer.bytes().as_ptr(), first);
    }
}
