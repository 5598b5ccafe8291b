//! Frames as the test client sees and makes them (RFC 6455 5.2).

/// What a frame carries (RFC 6455 11.8), as the low bits of its first byte.
pub(crate) mod opcode {
    /// The next frame of a message.
    pub(crate) const CONTINUATION: u8 = 0;
    /// A text message, or the first frame of one.
    pub(crate) const TEXT: u8 = 1;
    /// A binary message, or the first frame of one.
    pub(crate) const BINARY: u8 = 2;
    /// The end of the conversation.
    pub(crate) const CLOSE: u8 = 8;
    /// A question for a sign of life.
    pub(crate) const PING: u8 = 9;
    /// The answer to a ping.
    pub(crate) const PONG: u8 = 10;
    /// Not an opcode but the bit above it: the last frame of its message.
    pub(crate) const FIN: u8 = 0x80;
    /// RSV1: the message that begins here is compressed (RFC 7692 6).
    pub(crate) const COMPRESSED: u8 = 0x40;
}

/// A frame from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Whether it is the last one of its message.
    pub(crate) is_final: bool,
    /// Whether the message that it begins is compressed.
    pub(crate) is_compressed: bool,
    /// What it carries.
    pub(crate) opcode: u8,
    /// Its bytes; frames of a server are not masked.
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The payload as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("UTF-8")
    }

    /// The code of a Close frame, if it has one.
    pub(crate) fn close_code(&self) -> Option<u16> {
        assert_eq!(self.opcode, opcode::CLOSE);
        let code = self.payload.get(..2)?;
        Some(u16::from_be_bytes(code.try_into().unwrap()))
    }
}

/// The bytes of one frame from a client, with the masking key of RFC 6455 5.7.
pub(crate) fn masked_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}
