//! Messages out of compressed data.

use std::{fmt, mem};

use flate2::{Decompress, FlushDecompress, Status};

use crate::proto::{MessageLimits, ProtocolError};

/// Makes messages of what came compressed; one serves many connections, one message after the other.
///
/// It works in steps, and after each of them judges what came of it: no message becomes longer than its limit by more
/// than a byte, and none that says too little for its length keeps it busy.
pub struct Inflater {
    stream: Decompress,
    /// The message, or as much of it as there is.
    message: Vec<u8>,
    /// The last bytes of the messages before, if the peer may refer to them.
    history: Option<Vec<u8>>,
    /// Compressed bytes of the last message that were taken.
    taken_len: usize,
    /// Whether the last of them ended a block that says to be the last.
    has_ended: bool,
    /// Calls of the decompressor for the last message.
    step_count: usize,
}

impl Inflater {
    /// For peers that keep their context from message to message, or for those that do not.
    pub(super) fn new(keeps_context: bool) -> Self {
        Self {
            stream: Decompress::new(false),
            message: Vec::new(),
            history: keeps_context.then(Vec::new),
            taken_len: 0,
            has_ended: false,
            step_count: 0,
        }
    }

    /// The whole message whose compressed form this is (RFC 7692 7.2.2).
    ///
    /// # Errors
    ///
    /// [`MessageTooBig`](ProtocolError::MessageTooBig), [`CorruptCompression`](ProtocolError::CorruptCompression) and
    /// [`WastefulCompression`](ProtocolError::WastefulCompression); nothing can be inflated for that peer any more.
    pub(in crate::proto) fn inflate(
        &mut self,
        compressed: &[u8],
        limits: &MessageLimits,
    ) -> Result<&[u8], ProtocolError> {
        self.begin()?;
        self.go_on(compressed, limits)?;
        self.finish(limits)
    }

    /// Begins another message.
    ///
    /// # Errors
    ///
    /// As [`Inflater::inflate`]; so do the other steps.
    pub(in crate::proto) fn begin(&mut self) -> Result<(), ProtocolError> {
        self.release();
        self.message.clear();
        self.step_count = 0;
        self.taken_len = 0;
        self.has_ended = false;
        self.restart()
    }

    /// Inflates the next bytes of the message.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of things in memory"
    )]
    pub(in crate::proto) fn go_on(
        &mut self,
        compressed: &[u8],
        limits: &MessageLimits,
    ) -> Result<(), ProtocolError> {
        let mut rest = compressed;
        while !rest.is_empty() {
            if mem::take(&mut self.has_ended) {
                // What follows begins anew, for so did its compressor.
                self.stream.reset(false);
            }
            let len_before = rest.len();
            let status = self.step(&mut rest, longest_len(limits))?;
            self.taken_len += len_before - rest.len();
            self.has_ended = status == Status::StreamEnd;
            // At fixed places, so that it does not matter in which pieces the data comes.
            if self.taken_len.is_multiple_of(STEP_BYTES) {
                self.judge_waste()?;
            }
        }
        Ok(())
    }

    /// Ends the message; all of it.
    pub(in crate::proto) fn finish(
        &mut self,
        limits: &MessageLimits,
    ) -> Result<&[u8], ProtocolError> {
        self.judge_waste()?;
        if !self.has_ended {
            self.inflate_tail(longest_len(limits))?;
        }
        self.remember();
        Ok(&self.message)
    }

    /// What there is of the message.
    pub(in crate::proto) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Bytes of heap memory that it holds while a message is under way.
    pub(in crate::proto) fn held_len(&self) -> usize {
        self.message.len().saturating_add(STATE_BYTES)
    }

    /// Gives back what only a large message needs, once nobody looks at it any more.
    pub fn release(&mut self) {
        if self.message.capacity() > KEPT_BYTES_MAX {
            self.message = Vec::new();
        }
    }

    /// How many steps the last message took: what it has cost.
    #[must_use]
    pub fn step_count(&self) -> usize {
        self.step_count
    }

    /// Begins with nothing but what the peer may refer to.
    fn restart(&mut self) -> Result<(), ProtocolError> {
        self.stream.reset(false);
        if let Some(history) = self.history.as_ref().filter(|history| !history.is_empty()) {
            self.stream
                .set_dictionary(history)
                .map_err(|_| ProtocolError::CorruptCompression)?;
        }
        Ok(())
    }

    /// Gives up a message that says too little for what has come of it.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of things in memory"
    )]
    fn judge_waste(&self) -> Result<(), ProtocolError> {
        if self.taken_len > FREE_BYTES + self.message.len().saturating_mul(WASTE_MAX) {
            return Err(ProtocolError::WastefulCompression);
        }
        Ok(())
    }

    /// Inflates what every sender leaves out, and a last block that is empty: only at the border of two blocks does the
    /// stream end with it, so a message that was cut somewhere else shows here.
    fn inflate_tail(&mut self, bytes_max: usize) -> Result<(), ProtocolError> {
        const TAIL: [u8; 9] = [0x00, 0x00, 0xFF, 0xFF, 0x01, 0x00, 0x00, 0xFF, 0xFF];
        let mut rest = &TAIL[..];
        loop {
            match self.step(&mut rest, bytes_max)? {
                Status::StreamEnd if rest.is_empty() => return Ok(()),
                Status::StreamEnd => return Err(ProtocolError::CorruptCompression),
                Status::Ok | Status::BufError => {}
            }
        }
    }

    /// Inflates a part of `rest`, which it is shortened by.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "lengths of things in memory; no more is taken than is there"
    )]
    fn step(&mut self, rest: &mut &[u8], bytes_max: usize) -> Result<Status, ProtocolError> {
        self.make_room(bytes_max)?;
        self.step_count += 1;
        let (taken_before, len_before) = (self.stream.total_in(), self.message.len());
        let step_len = STEP_BYTES - self.taken_len % STEP_BYTES;
        let input = &rest[..rest.len().min(step_len)];
        let status = self
            .stream
            .decompress_vec(input, &mut self.message, FlushDecompress::None)
            .map_err(|_| ProtocolError::CorruptCompression)?;
        let taken_len = usize::try_from(self.stream.total_in() - taken_before)
            .unwrap_or(usize::MAX)
            .min(rest.len());
        *rest = &rest[taken_len..];
        if self.message.len() > bytes_max {
            return Err(ProtocolError::MessageTooBig);
        }
        let has_moved = taken_len > 0 || self.message.len() > len_before;
        if !has_moved && status != Status::StreamEnd {
            return Err(ProtocolError::CorruptCompression);
        }
        Ok(status)
    }

    /// Sees to it that there is room for at least another byte: first for a message of usual size, which is kept, then
    /// for the longest one that may come and the byte that would be too much.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the message is not longer than its limit"
    )]
    fn make_room(&mut self, bytes_max: usize) -> Result<(), ProtocolError> {
        let len = self.message.len();
        if len < self.message.capacity() {
            return Ok(());
        }
        let longest_len = bytes_max.saturating_add(1);
        let wanted_len = if len < USUAL_BYTES {
            longest_len.min(USUAL_BYTES)
        } else {
            longest_len
        };
        self.message
            .try_reserve_exact(wanted_len - len)
            .map_err(|_| ProtocolError::MessageTooBig)
    }

    /// Keeps what the next message may refer to.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "lengths of things in memory"
    )]
    fn remember(&mut self) {
        let Some(history) = &mut self.history else {
            return;
        };
        let new = &self.message[self.message.len().saturating_sub(WINDOW_BYTES)..];
        let forgotten_len = (history.len() + new.len()).saturating_sub(WINDOW_BYTES);
        history.drain(..forgotten_len);
        history.extend_from_slice(new);
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("step_count", &self.step_count)
            .finish_non_exhaustive()
    }
}

/// How long a message may become, in bytes.
fn longest_len(limits: &MessageLimits) -> usize {
    usize::try_from(limits.message_bytes_max).unwrap_or(usize::MAX)
}

/// What the decompressor itself needs, its window included, in bytes.
const STATE_BYTES: usize = 48 << 10;

/// How far back compressed data can refer.
const WINDOW_BYTES: usize = 32 << 10;

/// Bytes given to the decompressor in one step: as many as can be wasted before it is noticed.
const STEP_BYTES: usize = 4 << 10;

/// Room for a message that costs no large piece of memory.
const USUAL_BYTES: usize = 16 << 10;

/// A message with more room than this is given back.
const KEPT_BYTES_MAX: usize = USUAL_BYTES;

/// Compressed bytes of a message that need not make anything of themselves.
const FREE_BYTES: usize = 4 << 10;

/// How many compressed bytes more there may be for each byte of the message: a sender that flushes after each byte needs
/// six or seven.
const WASTE_MAX: usize = 8;
