//! What a peer can do wrong, and the status code that it is told.

use std::error::Error;
use std::fmt;

use super::CloseCode;

/// What the peer did that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// RSV1, RSV2 or RSV3 is set although no extension gave it a meaning there (RFC 6455 5.2).
    ReservedBitSet,
    /// The opcode is one of 3 to 7 or 11 to 15 (RFC 6455 5.2).
    ReservedOpCode,
    /// A Close, Ping or Pong lacks the FIN bit (RFC 6455 5.5).
    FragmentedControlFrame,
    /// A Close, Ping or Pong announces more than 125 bytes (RFC 6455 5.5).
    ControlFrameTooLong,
    /// A client sent a frame without a mask (RFC 6455 5.1).
    UnmaskedFrame,
    /// A server sent a frame with a mask (RFC 6455 5.1).
    MaskedFrame,
    /// The payload length is written in more bytes than it needs (RFC 6455 5.2).
    LengthNotMinimal,
    /// The most significant bit of a 64-bit payload length is set (RFC 6455 5.2).
    LengthTopBitSet,
    /// A continuation came although no message is under way (RFC 6455 5.4).
    UnexpectedContinuation,
    /// A new message began before the last fragment of the one under way (RFC 6455 5.4).
    InterruptedMessage,
    /// The message is, or announces to become, longer than our limit (RFC 6455 10.4).
    MessageTooBig,
    /// The message has more frames than our limit (RFC 6455 10.4).
    TooManyFragments,
    /// The data of a compressed message is not what a compressor makes (RFC 7692 7.2.2).
    CorruptCompression,
    /// A compressed message has far more data than it takes to say so little, as if to keep us busy (RFC 6455 10.4).
    WastefulCompression,
    /// A text message or the reason of a Close is not UTF-8 (RFC 6455 8.1).
    InvalidUtf8,
    /// The payload of a Close is one byte, half a status code (RFC 6455 5.5.1).
    TruncatedCloseCode,
    /// The status code of a Close must not appear on the wire (RFC 6455 7.4).
    InvalidCloseCode,
}

impl ProtocolError {
    /// The status code that tells the peer about it (RFC 6455 7.4.1).
    ///
    /// A message in too many fragments is answered with 1008, not 1009: it may well be short, and
    /// its sender, told that it is too big, would look for the fault in the wrong place.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBitSet
            | Self::ReservedOpCode
            | Self::FragmentedControlFrame
            | Self::ControlFrameTooLong
            | Self::UnmaskedFrame
            | Self::MaskedFrame
            | Self::LengthNotMinimal
            | Self::LengthTopBitSet
            | Self::UnexpectedContinuation
            | Self::InterruptedMessage
            | Self::TruncatedCloseCode
            | Self::InvalidCloseCode => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 | Self::CorruptCompression => CloseCode::INVALID_PAYLOAD,
            Self::TooManyFragments | Self::WastefulCompression => CloseCode::POLICY_VIOLATION,
            Self::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBitSet => "a reserved bit is set",
            Self::ReservedOpCode => "the opcode is reserved",
            Self::FragmentedControlFrame => "a control frame is fragmented",
            Self::ControlFrameTooLong => "a control frame is longer than 125 bytes",
            Self::UnmaskedFrame => "a frame from a client is not masked",
            Self::MaskedFrame => "a frame from a server is masked",
            Self::LengthNotMinimal => "a payload length is not in its shortest form",
            Self::LengthTopBitSet => "a payload length has its top bit set",
            Self::UnexpectedContinuation => "a continuation without a message to continue",
            Self::InterruptedMessage => "a new message inside an unfinished one",
            Self::MessageTooBig => "a message is too big",
            Self::TooManyFragments => "a message has too many fragments",
            Self::CorruptCompression => "a compressed message is corrupt",
            Self::WastefulCompression => "a compressed message says too little for its length",
            Self::InvalidUtf8 => "text is not valid utf-8",
            Self::TruncatedCloseCode => "a close frame has half a status code",
            Self::InvalidCloseCode => "a close frame has a status code that must not be sent",
        })
    }
}

impl Error for ProtocolError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_lower_case_without_a_full_stop() {
        for error in [
            ProtocolError::UnmaskedFrame,
            ProtocolError::MessageTooBig,
            ProtocolError::InvalidUtf8,
            ProtocolError::InvalidCloseCode,
        ] {
            let text = error.to_string();
            assert_eq!(text, text.to_lowercase());
            assert!(!text.ends_with('.'));
        }
    }

    #[test]
    fn an_error_is_one_byte() {
        assert_eq!(size_of::<ProtocolError>(), 1);
        assert_eq!(size_of::<Option<ProtocolError>>(), 1);
    }
}
