//! Masked frames that wait to be written.

use super::mask_keys::MaskKeys;
use crate::proto::{Deflate, Deflater, OpCode, encode_masked_frame};

/// Most bytes of memory that stay for the next frames when everything is written, and of such as are written.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// While more bytes than this wait to be written, only the newest of several pings in a row is answered, which is enough
/// (RFC 6455 5.5.3): a server that sends pings and reads nothing costs no memory.
const PONGS_BYTES_MAX: usize = 64 << 10;

/// Frames one behind the other, of which the first bytes are gone.
#[derive(Debug)]
pub(super) struct FrameQueue {
    keys: MaskKeys,
    bytes: Vec<u8>,
    /// How many of them are gone.
    written: usize,
    /// Where the last frame begins, if it is a pong.
    last_pong: Option<usize>,
}

impl FrameQueue {
    pub(super) fn new() -> Self {
        Self {
            keys: MaskKeys::new(),
            bytes: Vec::new(),
            written: 0,
            last_pong: None,
        }
    }

    /// Queues a frame whose payload is made of `parts`.
    pub(super) fn push(&mut self, opcode: OpCode, parts: &[&[u8]]) {
        encode_masked_frame(&mut self.bytes, opcode, parts, self.keys.next_key());
        self.last_pong = None;
    }

    /// Queues a message in its compressed form, if that is worth while; whether it is.
    pub(super) fn push_compressed(
        &mut self,
        deflater: &mut Deflater,
        deflate: Deflate,
        opcode: OpCode,
        payload: &[u8],
    ) -> bool {
        let key = Some(self.keys.next_key());
        let is_pushed = deflater.deflate(deflate, opcode, payload, key, &mut self.bytes);
        if is_pushed {
            self.last_pong = None;
        }
        is_pushed
    }

    /// Queues the answer to a ping, perhaps instead of the answer to the one before.
    pub(super) fn push_pong(&mut self, payload: &[u8]) {
        if let Some(begin) = self.last_pong
            && self.unsent().len() > PONGS_BYTES_MAX
            && begin >= self.written
        {
            self.bytes.truncate(begin);
        }
        let begin = self.bytes.len();
        self.push(OpCode::Pong, &[payload]);
        self.last_pong = Some(begin);
    }

    /// The first `len` unsent bytes were written.
    pub(super) fn on_written(&mut self, len: usize) {
        self.written += len;
        // Half and half: no byte is moved more often than once for each that is written.
        let is_mostly_gone = self.written > KEPT_BYTES_MAX && self.written > self.bytes.len() / 2;
        if self.written == self.bytes.len() || is_mostly_gone {
            self.bytes.drain(..self.written);
            self.last_pong = self.last_pong.and_then(|at| at.checked_sub(self.written));
            self.written = 0;
        }
        if self.bytes.is_empty() {
            // An idle client keeps no memory of a burst.
            self.bytes.shrink_to(KEPT_BYTES_MAX);
        }
    }

    /// Bytes that wait to be written.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.written..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_never_empty_does_not_grow() {
        let mut queue = FrameQueue::new();
        queue.push(OpCode::Binary, &[&[0; 1000]]);
        for _ in 0..10_000 {
            queue.push(OpCode::Binary, &[&[0; 1000]]);
            queue.on_written(1000 + 8);
            assert_eq!(queue.unsent().len(), 1000 + 8);
        }
        assert!(queue.bytes.capacity() <= 4 * KEPT_BYTES_MAX);
        queue.push(OpCode::Binary, &[&vec![0; 1 << 20]]);
        queue.on_written(queue.unsent().len());
        assert!(queue.bytes.capacity() <= KEPT_BYTES_MAX);
    }

    #[test]
    fn pongs_that_nobody_reads_take_each_others_place() {
        let mut queue = FrameQueue::new();
        for _ in 0..100_000 {
            queue.push_pong(b"hello");
        }
        let len = queue.unsent().len();
        assert!(len <= PONGS_BYTES_MAX + 11, "{len}");
        // One that has begun to be written stays whole.
        queue.on_written(len - 1);
        queue.push(OpCode::Text, &[&vec![0; PONGS_BYTES_MAX]]);
        queue.push_pong(b"a");
        queue.push_pong(b"newest");
        assert_eq!(
            queue.unsent().len(),
            1 + PONGS_BYTES_MAX
                + 8
                + 6
                + "newest".len()
                + if PONGS_BYTES_MAX > 65_535 { 6 } else { 0 }
        );
    }
}
