//! The header of a frame.

use super::{OpCode, ProtocolError};

/// Which side reads: it decides about masks (RFC 6455 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads what clients send: every frame must be masked.
    Server,
    /// Reads what servers send: no frame may be masked.
    Client,
}

/// The header of one frame (RFC 6455 5.2).
///
/// | Bytes | Bits | Meaning |
/// |---|---|---|
/// | first | 7 | FIN |
/// | | 6 to 4 | RSV1 to RSV3, zero as long as there is no extension |
/// | | 3 to 0 | opcode |
/// | second | 7 | whether a masking key follows |
/// | | 6 to 0 | payload length; 126: in the next 2 bytes; 127: in the next 8 bytes |
/// | 0, 2 or 8 | | payload length, most significant byte first |
/// | 0 or 4 | | masking key |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// FIN: whether this frame is the last of its message.
    pub is_final: bool,
    /// What the frame carries.
    pub opcode: OpCode,
    /// The masking key, if the frame is masked.
    pub mask: Option<[u8; 4]>,
    /// Payload length in bytes, below 2^63; for a control frame at most 125.
    pub payload_len: u64,
}

impl FrameHeader {
    /// The longest header in bytes.
    pub const LEN_MAX: usize = 14;

    /// Parses the header at the start of `input`: the header and its length in bytes, or `None` if
    /// bytes are missing. `role` is the role of the reader.
    ///
    /// # Errors
    ///
    /// Every rule about a single header is judged here, and as soon as the byte that breaks it is
    /// there, however much of the header is still missing: reserved bits and opcodes, fragmented
    /// control frames by the first byte; masks and long control frames by the second; the top bit
    /// of a length by the third; a length that is too long a form by its last.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "positions inside the header, which is there"
    )]
    pub fn parse(input: &[u8], role: Role) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = input.first() else {
            return Ok(None);
        };
        let is_final = first & FIN != 0;
        let opcode = parse_opcode(first)?;

        let Some(&second) = input.get(1) else {
            return Ok(None);
        };
        let is_masked = second & MASK != 0;
        let short_len = second & !MASK;
        judge_mask(is_masked, role)?;
        if opcode.is_control() && short_len > CONTROL_LEN_MAX {
            return Err(ProtocolError::ControlFrameTooLong);
        }

        let Some((payload_len, len)) = parse_payload_len(short_len, &input[2..])? else {
            return Ok(None);
        };
        let mut header = Self {
            is_final,
            opcode,
            mask: None,
            payload_len,
        };
        if !is_masked {
            return Ok(Some((header, len)));
        }
        let Some(&key) = input[len..].first_chunk() else {
            return Ok(None);
        };
        header.mask = Some(key);
        Ok(Some((header, len + key.len())))
    }

    /// Writes the header with its length in the shortest form; returns how many bytes of `out` it
    /// takes.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "the longest header fits"
    )]
    pub fn write(&self, out: &mut [u8; Self::LEN_MAX]) -> usize {
        let fin = if self.is_final { FIN } else { 0 };
        let mask = if self.mask.is_some() { MASK } else { 0 };
        out[0] = fin | self.opcode as u8;
        let len = if let Ok(short @ ..LEN_16_BITS) = u8::try_from(self.payload_len) {
            out[1] = mask | short;
            2
        } else if let Ok(len) = u16::try_from(self.payload_len) {
            out[1] = mask | LEN_16_BITS;
            out[2..4].copy_from_slice(&len.to_be_bytes());
            4
        } else {
            out[1] = mask | LEN_64_BITS;
            out[2..10].copy_from_slice(&self.payload_len.to_be_bytes());
            10
        };
        let Some(key) = self.mask else { return len };
        out[len..len + key.len()].copy_from_slice(&key);
        len + key.len()
    }
}

/// Bit of the first byte: the frame is the last of its message.
const FIN: u8 = 0x80;
/// Bits of the first byte that belong to extensions.
const RESERVED: u8 = 0x70;
/// Bit of the second byte: a masking key follows the length.
const MASK: u8 = 0x80;
/// Stands for a length in the next two bytes.
const LEN_16_BITS: u8 = 126;
/// Stands for a length in the next eight bytes.
const LEN_64_BITS: u8 = 127;
/// The longest payload of a control frame in bytes (RFC 6455 5.5); also the longest short form.
const CONTROL_LEN_MAX: u8 = 125;

/// Judges the first byte of a header and returns its opcode.
#[inline]
fn parse_opcode(first: u8) -> Result<OpCode, ProtocolError> {
    if first & RESERVED != 0 {
        return Err(ProtocolError::ReservedBitSet);
    }
    let Some(opcode) = OpCode::from_bits(first & 0x0F) else {
        return Err(ProtocolError::ReservedOpCode);
    };
    if opcode.is_control() && first & FIN == 0 {
        return Err(ProtocolError::FragmentedControlFrame);
    }
    Ok(opcode)
}

/// Judges whether a frame that reaches `role` may have, or lack, a mask (RFC 6455 5.1).
#[inline]
fn judge_mask(is_masked: bool, role: Role) -> Result<(), ProtocolError> {
    match (role, is_masked) {
        (Role::Server, false) => Err(ProtocolError::UnmaskedFrame),
        (Role::Client, true) => Err(ProtocolError::MaskedFrame),
        (Role::Server, true) | (Role::Client, false) => Ok(()),
    }
}

/// The payload length and the length of the header up to here; `rest` begins at the third byte.
#[inline]
fn parse_payload_len(short_len: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, ProtocolError> {
    let (payload_len, header_len, longest_shorter_form) = match short_len {
        LEN_16_BITS => {
            let Some(bytes) = rest.first_chunk() else {
                return Ok(None);
            };
            let payload_len = u64::from(u16::from_be_bytes(*bytes));
            (payload_len, 4, u64::from(CONTROL_LEN_MAX))
        }
        LEN_64_BITS => {
            if rest.first().is_some_and(|byte| byte & 0x80 != 0) {
                return Err(ProtocolError::LengthTopBitSet);
            }
            let Some(bytes) = rest.first_chunk() else {
                return Ok(None);
            };
            (u64::from_be_bytes(*bytes), 10, u64::from(u16::MAX))
        }
        short_len => return Ok(Some((u64::from(short_len), 2))),
    };
    if payload_len <= longest_shorter_form {
        return Err(ProtocolError::LengthNotMinimal);
    }
    Ok(Some((payload_len, header_len)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is expected of a header: it and its length, `None` for an incomplete one, or an error.
    type Parsed = Result<Option<(FrameHeader, usize)>, ProtocolError>;

    /// One row of a conformance table.
    struct Row {
        /// What the row shows, with the section of RFC 6455.
        name: &'static str,
        role: Role,
        bytes: &'static [u8],
        expected: Parsed,
    }

    /// A header that is there, without a mask.
    const fn plain(is_final: bool, opcode: OpCode, payload_len: u64, len: usize) -> Parsed {
        let header = FrameHeader {
            is_final,
            opcode,
            mask: None,
            payload_len,
        };
        Ok(Some((header, len)))
    }

    /// A final binary header that is there, with the mask 1, 2, 3, 4.
    const fn masked(payload_len: u64, len: usize) -> Parsed {
        let header = FrameHeader {
            is_final: true,
            opcode: OpCode::Binary,
            mask: Some([1, 2, 3, 4]),
            payload_len,
        };
        Ok(Some((header, len)))
    }

    /// Asserts each row, and that no prefix of its bytes tells anything else: a header is there
    /// with its last byte, and an error stays the same from the first byte that shows it.
    fn assert_rows(rows: &[Row]) {
        for row in rows {
            let parse = |bytes| FrameHeader::parse(bytes, row.role);
            assert_eq!(parse(row.bytes), row.expected, "{}", row.name);
            for end in 0..row.bytes.len() {
                let parsed = parse(&row.bytes[..end]);
                assert!(
                    parsed == Ok(None) || parsed == row.expected,
                    "{}: {parsed:?} after {end} bytes",
                    row.name
                );
            }
        }
    }

    #[test]
    fn fr_04_lengths_are_read_on_both_sides_of_every_border() {
        use OpCode::{Binary, Continuation, Ping, Text};
        use Role::{Client, Server};
        #[rustfmt::skip]
        let rows = [
            Row { name: "5.2 empty input", role: Server, bytes: b"", expected: Ok(None) },
            Row { name: "5.2 length 0", role: Client, bytes: b"\x81\x00", expected: plain(true, Text, 0, 2) },
            Row { name: "5.2 first fragment", role: Client, bytes: b"\x01\x03", expected: plain(false, Text, 3, 2) },
            Row { name: "5.2 last fragment", role: Client, bytes: b"\x80\x02", expected: plain(true, Continuation, 2, 2) },
            Row { name: "5.2 middle fragment", role: Client, bytes: b"\x00\x02", expected: plain(false, Continuation, 2, 2) },
            Row { name: "5.2 length 125", role: Client, bytes: b"\x82\x7D", expected: plain(true, Binary, 125, 2) },
            Row { name: "5.2 length 126", role: Client, bytes: b"\x82\x7E\x00\x7E", expected: plain(true, Binary, 126, 4) },
            Row { name: "5.7 length 256", role: Client, bytes: b"\x82\x7E\x01\x00", expected: plain(true, Binary, 256, 4) },
            Row { name: "5.2 length 65535", role: Client, bytes: b"\x82\x7E\xFF\xFF", expected: plain(true, Binary, 65_535, 4) },
            Row { name: "5.7 length 65536", role: Client, bytes: b"\x82\x7F\0\0\0\0\0\x01\0\0", expected: plain(true, Binary, 65_536, 10) },
            Row { name: "5.2 longest length", role: Client, bytes: b"\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", expected: plain(true, Binary, (1 << 63) - 1, 10) },
            Row { name: "5.5 longest ping", role: Client, bytes: b"\x89\x7D", expected: plain(true, Ping, 125, 2) },
            Row { name: "5.2 masked, length 0", role: Server, bytes: b"\x82\x80\x01\x02\x03\x04", expected: masked(0, 6) },
            Row { name: "5.2 masked, length 126", role: Server, bytes: b"\x82\xFE\x00\x7E\x01\x02\x03\x04", expected: masked(126, 8) },
            Row { name: "5.2 masked, length 65536", role: Server, bytes: b"\x82\xFF\0\0\0\0\0\x01\0\0\x01\x02\x03\x04", expected: masked(65_536, 14) },
            Row { name: "5.2 key cut", role: Server, bytes: b"\x82\x80\x01\x02\x03", expected: Ok(None) },
            Row { name: "5.2 length cut", role: Server, bytes: b"\x82\xFF\0\0\0\0\0\x01\0", expected: Ok(None) },
        ];
        assert_rows(&rows);
    }

    #[test]
    fn fr_04_lengths_in_too_long_a_form_are_refused() {
        #[rustfmt::skip]
        let rows = [
            Row { name: "5.2 125 in 16 bits", role: Role::Client, bytes: b"\x82\x7E\x00\x7D", expected: Err(ProtocolError::LengthNotMinimal) },
            Row { name: "5.2 0 in 16 bits", role: Role::Server, bytes: b"\x82\xFE\x00\x00", expected: Err(ProtocolError::LengthNotMinimal) },
            Row { name: "5.2 65535 in 64 bits", role: Role::Client, bytes: b"\x82\x7F\0\0\0\0\0\0\xFF\xFF", expected: Err(ProtocolError::LengthNotMinimal) },
            Row { name: "5.2 1 in 64 bits", role: Role::Server, bytes: b"\x82\xFF\0\0\0\0\0\0\0\x01", expected: Err(ProtocolError::LengthNotMinimal) },
        ];
        assert_rows(&rows);
    }

    #[test]
    fn fr_05_top_bit_of_a_64_bit_length_is_refused() {
        for role in [Role::Server, Role::Client] {
            let second = if role == Role::Server { 0xFF } else { 0x7F };
            for third in [0x80, 0xFF] {
                let parsed = FrameHeader::parse(&[0x82, second, third], role);
                assert_eq!(parsed, Err(ProtocolError::LengthTopBitSet));
            }
            assert_eq!(FrameHeader::parse(&[0x82, second, 0x7F], role), Ok(None));
        }
    }

    /// What both roles say to the first byte of a header alone.
    fn parse_first(first: u8) -> Result<(), ProtocolError> {
        let parsed = FrameHeader::parse(&[first], Role::Server);
        assert_eq!(FrameHeader::parse(&[first], Role::Client), parsed);
        assert!(parsed == Ok(None) || parsed.is_err());
        parsed.map(|_| ())
    }

    /// What a role says to the first two bytes of a header.
    fn parse_two(first: u8, second: u8, role: Role) -> Result<(), ProtocolError> {
        FrameHeader::parse(&[first, second], role).map(|_| ())
    }

    /// All first bytes that are right.
    const FIRST_BYTES: [u8; 9] = [0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A];

    #[test]
    fn fr_02_any_reserved_bit_fails_at_the_first_byte() {
        for first in (0..=u8::MAX).filter(|first| first & 0x70 != 0) {
            assert_eq!(
                parse_first(first),
                Err(ProtocolError::ReservedBitSet),
                "{first:#04x}"
            );
        }
    }

    #[test]
    fn fr_03_any_reserved_opcode_fails_at_the_first_byte() {
        for opcode in (0x3..=0x7).chain(0xB..=0xF) {
            assert_eq!(parse_first(opcode), Err(ProtocolError::ReservedOpCode));
            assert_eq!(
                parse_first(0x80 | opcode),
                Err(ProtocolError::ReservedOpCode)
            );
        }
    }

    #[test]
    fn fr_08_control_frames_without_fin_fail_at_the_first_byte() {
        for opcode in 0x8..=0xA {
            assert_eq!(
                parse_first(opcode),
                Err(ProtocolError::FragmentedControlFrame)
            );
        }
        for first in FIRST_BYTES {
            assert_eq!(parse_first(first), Ok(()));
        }
    }

    #[test]
    fn fr_08_long_control_frames_fail_at_the_second_byte() {
        for first in FIRST_BYTES {
            for short_len in 0..=127 {
                let expected = if first >= 0x88 && short_len > 125 {
                    Err(ProtocolError::ControlFrameTooLong)
                } else {
                    Ok(())
                };
                assert_eq!(parse_two(first, short_len | 0x80, Role::Server), expected);
                assert_eq!(parse_two(first, short_len, Role::Client), expected);
            }
        }
    }

    #[test]
    fn fr_01_the_wrong_side_of_the_mask_bit_fails_at_the_second_byte() {
        for first in FIRST_BYTES {
            for short_len in 0..=127 {
                let unmasked = parse_two(first, short_len, Role::Server);
                assert_eq!(unmasked, Err(ProtocolError::UnmaskedFrame));
                let masked = parse_two(first, short_len | 0x80, Role::Client);
                assert_eq!(masked, Err(ProtocolError::MaskedFrame));
            }
        }
    }

    #[test]
    fn a_header_is_16_bytes() {
        assert_eq!(size_of::<FrameHeader>(), 16);
    }

    proptest! {
        #[test]
        fn fr_14_what_is_written_is_read_back_in_its_shortest_form(
            is_final: bool,
            opcode in prop::sample::select(&[
                OpCode::Continuation, OpCode::Text, OpCode::Binary,
                OpCode::Close, OpCode::Ping, OpCode::Pong,
            ]),
            mask: Option<[u8; 4]>,
            payload_len in 0_u64..1 << 63,
            shift in 0_u32..64,
        ) {
            let is_control = opcode.is_control();
            let payload_len = payload_len >> shift;
            let header = FrameHeader {
                is_final: is_final || is_control,
                opcode,
                mask,
                payload_len: if is_control { payload_len % 126 } else { payload_len },
            };
            let role = if mask.is_some() { Role::Server } else { Role::Client };
            let mut bytes = [0xFF; FrameHeader::LEN_MAX];
            let len = header.write(&mut bytes);
            prop_assert_eq!(FrameHeader::parse(&bytes[..len], role), Ok(Some((header, len))));
            for end in 0..len {
                prop_assert_eq!(FrameHeader::parse(&bytes[..end], role), Ok(None));
            }
        }
    }
}
