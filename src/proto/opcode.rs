//! What a frame carries.

/// What a frame carries (RFC 6455 5.2, 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// The next fragment of the message that is under way (RFC 6455 5.4).
    Continuation = 0x0,
    /// A text message or its first fragment (RFC 6455 5.6).
    Text = 0x1,
    /// A binary message or its first fragment (RFC 6455 5.6).
    Binary = 0x2,
    /// The closing handshake (RFC 6455 5.5.1).
    Close = 0x8,
    /// A question whether the peer is there (RFC 6455 5.5.2).
    Ping = 0x9,
    /// The answer to a ping, or an unasked sign of life (RFC 6455 5.5.3).
    Pong = 0xA,
}

impl OpCode {
    /// Reads the four bits of an opcode; `None` for a reserved one, 3 to 7 and 11 to 15, and for a
    /// number of more than four bits.
    #[inline]
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether this is a control frame: short, never fragmented, allowed between the fragments of a
    /// message (RFC 6455 5.5).
    #[inline]
    pub fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_an_opcode_or_reserved() {
        let known = [0x0, 0x1, 0x2, 0x8, 0x9, 0xA];
        for bits in 0..=u8::MAX {
            let opcode = OpCode::from_bits(bits);
            assert_eq!(
                opcode.map(|opcode| opcode as u8),
                known.contains(&bits).then_some(bits)
            );
        }
    }

    #[test]
    fn close_ping_and_pong_are_the_control_frames() {
        for opcode in [OpCode::Close, OpCode::Ping, OpCode::Pong] {
            assert!(opcode.is_control());
        }
        for opcode in [OpCode::Continuation, OpCode::Text, OpCode::Binary] {
            assert!(!opcode.is_control());
        }
    }
}
