//! What a reader does with messages that come compressed.

use super::assembly::judge_first;
use super::encode::COMPRESSED;
use super::{
    Deflate, FramePart, Incoming, Inflater, Message, MessageLimits, OpCode, ProtocolError, Text,
};

/// What is in a frame that is whole, and the only one of its compressed message.
#[cold]
pub(super) fn inflate_whole<'a>(
    part: &FramePart<'_>,
    limits: &MessageLimits,
    inflater: &'a mut Inflater,
) -> Result<Incoming<'a>, ProtocolError> {
    judge_first(&part.header, limits.wire_bytes_max(true))?;
    inflate(part.header.opcode, part.payload, limits, inflater)
}

/// The message of this kind whose compressed form this is.
pub(super) fn inflate<'a>(
    opcode: OpCode,
    compressed: &[u8],
    limits: &MessageLimits,
    inflater: &'a mut Inflater,
) -> Result<Incoming<'a>, ProtocolError> {
    message_of(opcode, inflater.inflate(compressed, limits)?)
}

/// The message of this kind that these bytes are.
pub(super) fn message_of(opcode: OpCode, bytes: &[u8]) -> Result<Incoming<'_>, ProtocolError> {
    let message = if opcode == OpCode::Text {
        Message::Text(Text::judge(bytes).ok_or(ProtocolError::InvalidUtf8)?)
    } else {
        Message::Binary(bytes)
    };
    Ok(Incoming::Message(message))
}

/// Looks at the first byte of a frame for the bit that says that a message is compressed, and takes it away, so that
/// nobody else has to know of it; how it is compressed then. Only the first frame of a message has it (RFC 7692 6), and
/// only where that was agreed on.
#[inline]
pub(super) fn take_compressed_bit(
    input: &mut [u8],
    deflate: Option<Deflate>,
) -> Result<Option<Deflate>, ProtocolError> {
    match (input.first_mut(), deflate) {
        (Some(first), Some(_)) if *first & COMPRESSED != 0 => {
            let opcode = OpCode::from_bits(*first & 0x0F);
            if !matches!(opcode, Some(OpCode::Text | OpCode::Binary)) {
                return Err(ProtocolError::ReservedBitSet);
            }
            *first &= !COMPRESSED;
            Ok(deflate)
        }
        _ => Ok(None),
    }
}
