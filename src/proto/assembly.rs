//! A data message that does not arrive in one piece.

use std::fmt;

use super::{
    Deflate, FrameHeader, Inflater, Message, MessageLimits, OpCode, ProtocolError, Utf8Validator,
};

/// The message under way, while it comes in fragments or in a frame cut by the end of the input.
///
/// Its memory is what arrived, at most doubled for growth and never above the limit of a message;
/// fragments leave no trace but a count.
pub(super) struct Assembly {
    payload: Payload,
    /// Payload bytes that the headers so far announced.
    announced_len: u64,
    /// Frames so far, empty ones and the one under way included.
    frame_count: u32,
    /// The kind of message whose compressed form this is, and how it is compressed; `None` if it is not.
    compressed: Option<(OpCode, Deflate)>,
}

/// What arrived so far.
enum Payload {
    /// Whole characters; `utf8` keeps the one that is not whole yet.
    Text { text: String, utf8: Utf8Validator },
    /// Any bytes.
    Binary(Vec<u8>),
    /// A message of which so much came compressed that it is inflated as it comes.
    Inflating(Box<Inflater>),
}

/// Bytes of a compressed message that are held as they came: less than what inflating them needs.
const HELD_COMPRESSED_MAX: usize = 16 << 10;

impl Assembly {
    /// Begins a message with its first header.
    ///
    /// # Errors
    ///
    /// [`UnexpectedContinuation`](ProtocolError::UnexpectedContinuation) and
    /// [`MessageTooBig`](ProtocolError::MessageTooBig).
    pub(super) fn begin(
        header: &FrameHeader,
        limits: &MessageLimits,
        deflate: Option<Deflate>,
    ) -> Result<Self, ProtocolError> {
        judge_first(header, limits.wire_bytes_max(deflate.is_some()))?;
        let payload = if header.opcode == OpCode::Text && deflate.is_none() {
            Payload::Text {
                text: String::new(),
                utf8: Utf8Validator::default(),
            }
        } else {
            Payload::Binary(Vec::new())
        };
        Ok(Self {
            payload,
            announced_len: header.payload_len,
            frame_count: 1,
            compressed: deflate.map(|deflate| (header.opcode, deflate)),
        })
    }

    /// Takes the header of a further frame.
    ///
    /// # Errors
    ///
    /// [`InterruptedMessage`](ProtocolError::InterruptedMessage),
    /// [`TooManyFragments`](ProtocolError::TooManyFragments) and
    /// [`MessageTooBig`](ProtocolError::MessageTooBig).
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the count is below its limit"
    )]
    pub(super) fn continue_with(
        &mut self,
        header: &FrameHeader,
        limits: &MessageLimits,
    ) -> Result<(), ProtocolError> {
        if header.opcode != OpCode::Continuation {
            return Err(ProtocolError::InterruptedMessage);
        }
        if self.frame_count >= limits.fragments_max {
            return Err(ProtocolError::TooManyFragments);
        }
        self.frame_count += 1;
        self.announced_len = self
            .announced_len
            .checked_add(header.payload_len)
            .filter(|len| *len <= limits.wire_bytes_max(self.compressed.is_some()))
            .ok_or(ProtocolError::MessageTooBig)?;
        Ok(())
    }

    /// Appends payload bytes of the frame whose header was taken last.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`](ProtocolError::InvalidUtf8) at the first bad byte of a text;
    /// [`MessageTooBig`](ProtocolError::MessageTooBig) if there is no memory for the message.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of things in memory"
    )]
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        header: &FrameHeader,
        limits: &MessageLimits,
    ) -> Result<(), ProtocolError> {
        // With the last frame the final length is known, and growing further would be waste.
        let bound = if header.is_final {
            self.announced_len
        } else {
            limits.wire_bytes_max(self.compressed.is_some())
        };
        self.inflate_if_long(bytes.len(), limits)?;
        match &mut self.payload {
            Payload::Inflating(inflater) => inflater.go_on(bytes, limits)?,
            Payload::Text { text, utf8 } => {
                let (completed, rest) = utf8.check(bytes)?;
                let additional = completed.map_or(0, char::len_utf8) + rest.len();
                let additional = growth(text.len(), text.capacity(), additional, bound);
                text.try_reserve_exact(additional)
                    .map_err(|_| ProtocolError::MessageTooBig)?;
                text.extend(completed);
                text.push_str(rest);
            }
            Payload::Binary(binary) => {
                let additional = growth(binary.len(), binary.capacity(), bytes.len(), bound);
                binary
                    .try_reserve_exact(additional)
                    .map_err(|_| ProtocolError::MessageTooBig)?;
                binary.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// Inflates what is held of a compressed message from the moment on at which that and what follows is long: what the
    /// message becomes is judged as it comes, and only that has to be held. A message that refers to earlier ones waits
    /// for whoever knows them.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of things in memory"
    )]
    fn inflate_if_long(
        &mut self,
        next_len: usize,
        limits: &MessageLimits,
    ) -> Result<(), ProtocolError> {
        if let Some((_, deflate)) = self.compressed
            && let Payload::Binary(held) = &self.payload
            && held.len() + next_len > HELD_COMPRESSED_MAX
            && let Some(mut inflater) = deflate.inflater_of_one()
        {
            inflater.begin()?;
            inflater.go_on(held, limits)?;
            self.payload = Payload::Inflating(Box::new(inflater));
        }
        Ok(())
    }

    /// Judges the end of the message: a text must not end inside a character, compressed data not inside a block.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`](ProtocolError::InvalidUtf8), and what inflating shows.
    pub(super) fn finish(&mut self, limits: &MessageLimits) -> Result<(), ProtocolError> {
        match &mut self.payload {
            Payload::Text { utf8, .. } if !utf8.is_complete() => Err(ProtocolError::InvalidUtf8),
            Payload::Text { .. } | Payload::Binary(_) => Ok(()),
            Payload::Inflating(inflater) => inflater.finish(limits).map(drop),
        }
    }

    /// The bytes of a compressed message that was inflated as it came.
    pub(super) fn inflated(&self) -> Option<&[u8]> {
        match &self.payload {
            Payload::Inflating(inflater) => Some(inflater.message()),
            Payload::Text { .. } | Payload::Binary(_) => None,
        }
    }

    /// The kind of message whose compressed form this is; `None` if it is not compressed.
    pub(super) fn compressed(&self) -> Option<OpCode> {
        self.compressed.map(|(opcode, _)| opcode)
    }

    /// The message, once it is finished; of a compressed one the compressed form.
    pub(super) fn message(&self) -> Message<'_> {
        match &self.payload {
            Payload::Text { text, .. } => Message::Text(text.as_str().into()),
            Payload::Binary(bytes) => Message::Binary(bytes),
            Payload::Inflating(inflater) => Message::Binary(inflater.message()),
        }
    }

    /// Bytes of heap memory that it holds.
    pub(super) fn held_len(&self) -> usize {
        match &self.payload {
            Payload::Text { text, .. } => text.capacity(),
            Payload::Binary(bytes) => bytes.capacity(),
            Payload::Inflating(inflater) => inflater.held_len(),
        }
    }
}

/// Shows the payload by its length.
impl fmt::Debug for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly")
            .field("message", &self.message())
            .field("announced_len", &self.announced_len)
            .field("frame_count", &self.frame_count)
            .finish()
    }
}

/// Judges the first header of a message by what a single header cannot show.
///
/// # Errors
///
/// [`UnexpectedContinuation`](ProtocolError::UnexpectedContinuation) and
/// [`MessageTooBig`](ProtocolError::MessageTooBig).
#[inline]
pub(super) fn judge_first(header: &FrameHeader, bytes_max: u64) -> Result<(), ProtocolError> {
    if header.opcode == OpCode::Continuation {
        return Err(ProtocolError::UnexpectedContinuation);
    }
    if header.payload_len > bytes_max {
        return Err(ProtocolError::MessageTooBig);
    }
    Ok(())
}

/// How many bytes to reserve so that `additional` more fit: twice the capacity, so that many small
/// fragments are not copied over and over, but not beyond `bound`, the length of the message.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "lengths of things in memory, the larger less the smaller"
)]
fn growth(len: usize, capacity: usize, additional: usize, bound: u64) -> usize {
    let needed = len + additional;
    if needed <= capacity {
        return additional;
    }
    let bound = usize::try_from(bound).unwrap_or(usize::MAX);
    needed.max(capacity.saturating_mul(2).min(bound)) - len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs_08_memory_doubles_up_to_the_bound_and_not_beyond() {
        assert_eq!(growth(0, 0, 10, 100), 10);
        assert_eq!(growth(10, 10, 1, 100), 10);
        assert_eq!(growth(60, 60, 1, 100), 40);
        assert_eq!(growth(60, 100, 40, 100), 40);
        assert_eq!(growth(5, 8, 3, 100), 3);
        assert_eq!(growth(10, 10, 1, u64::MAX), 10);
    }

    #[test]
    fn fr_06_sums_that_overflow_are_too_big() {
        let limits = MessageLimits {
            message_bytes_max: u64::MAX,
            fragments_max: 10,
        };
        let mut header = FrameHeader {
            is_final: false,
            opcode: OpCode::Binary,
            mask: None,
            payload_len: (1 << 63) - 1,
        };
        let mut assembly = Assembly::begin(&header, &limits, None).unwrap();
        header.opcode = OpCode::Continuation;
        assert_eq!(assembly.continue_with(&header, &limits), Ok(()));
        assert_eq!(assembly.announced_len, u64::MAX - 1);
        header.payload_len = 1;
        assert_eq!(assembly.continue_with(&header, &limits), Ok(()));
        assert_eq!(
            assembly.continue_with(&header, &limits),
            Err(ProtocolError::MessageTooBig)
        );
    }
}
