//! Whole frames, written behind what a buffer holds already.

use super::{CloseFrame, FrameHeader, OpCode, Role, apply_mask};

/// Appends one final, unmasked frame as a server sends it; the payload is all `parts` in a row.
///
/// The payload of a control frame must be at most 125 bytes, that of a text frame UTF-8.
#[inline]
pub fn encode_frame(out: &mut Vec<u8>, opcode: OpCode, parts: &[&[u8]]) {
    encode(out, opcode, parts, None);
}

/// Appends one final frame masked with `key` as a client sends it; the payload is all `parts` in a
/// row.
///
/// The payload of a control frame must be at most 125 bytes, that of a text frame UTF-8. The key
/// must be unpredictable and new for each frame (RFC 6455 5.3).
#[expect(
    clippy::indexing_slicing,
    reason = "the payload starts inside what was written"
)]
pub fn encode_masked_frame(out: &mut Vec<u8>, opcode: OpCode, parts: &[&[u8]], key: [u8; 4]) {
    let payload_start = encode(out, opcode, parts, Some(key));
    apply_mask(&mut out[payload_start..], key, 0);
}

/// Appends one final frame whose payload is compressed, masked if there is a key.
#[cfg(feature = "deflate")]
pub(super) fn encode_compressed_frame(
    out: &mut Vec<u8>,
    opcode: OpCode,
    payload: &[u8],
    key: Option<[u8; 4]>,
) {
    let start = out.len();
    match key {
        None => encode_frame(out, opcode, &[payload]),
        Some(key) => encode_masked_frame(out, opcode, &[payload], key),
    }
    if let Some(first) = out.get_mut(start) {
        *first |= COMPRESSED;
    }
}

/// Appends a Close frame as a server sends it; `None` is an empty one.
///
/// A reason of more than 123 bytes is cut at the border of a character.
pub fn encode_close(out: &mut Vec<u8>, close: Option<CloseFrame<'_>>) {
    let Some(close) = close else {
        return encode_frame(out, OpCode::Close, &[]);
    };
    encode_frame(
        out,
        OpCode::Close,
        &[
            &close.code.get().to_be_bytes(),
            close.short_reason().as_bytes(),
        ],
    );
}

/// The length in bytes of the whole frame whose header starts at `bytes[0]`.
///
/// For walking over frames that this module wrote for a client; the payload need not be there.
///
/// # Panics
///
/// If `bytes` does not start with the whole header of an unmasked frame.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "lengths of things in memory; no more is copied than there is and fits"
)]
pub fn frame_len_at(bytes: &[u8]) -> usize {
    // Compressed ones are ours, too, although nobody has to know of that bit who knows headers.
    let mut own = [0; FrameHeader::LEN_MAX];
    let mut header = bytes;
    if let Some(first) = bytes.first().filter(|first| *first & COMPRESSED != 0) {
        let len = bytes.len().min(own.len());
        own[..len].copy_from_slice(&bytes[..len]);
        own[0] = first & !COMPRESSED;
        header = &own[..len];
    }
    let (header, header_len) = FrameHeader::parse(header, Role::Client)
        .ok()
        .flatten()
        .expect("our own frames have valid headers");
    let payload_len = usize::try_from(header.payload_len).expect("our own frames are in memory");
    header_len + payload_len
}

/// RSV1: the bit of the first byte that says that the message is compressed (RFC 7692 6).
pub(super) const COMPRESSED: u8 = 0x40;

/// Appends the header and the payload, which is not masked yet; where the payload starts.
#[inline]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "lengths of things in memory"
)]
fn encode(out: &mut Vec<u8>, opcode: OpCode, parts: &[&[u8]], mask: Option<[u8; 4]>) -> usize {
    let payload_len: usize = parts.iter().map(|part| part.len()).sum();
    debug_assert!(
        !opcode.is_control() || payload_len <= 125,
        "control frames are short"
    );
    let header = FrameHeader {
        is_final: true,
        opcode,
        mask,
        payload_len: payload_len as u64,
    };
    let mut header_bytes = [0; FrameHeader::LEN_MAX];
    let header_len = header.write(&mut header_bytes);
    out.reserve(header_bytes.len() + payload_len);
    let payload_start = out.len() + header_len;
    // To copy as many bytes each time and to take the excess back is cheaper than to call for a few.
    out.extend_from_slice(&header_bytes);
    out.truncate(payload_start);
    for part in parts {
        out.extend_from_slice(part);
    }
    payload_start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::CloseCode;

    fn encoded(opcode: OpCode, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_frame(&mut out, opcode, parts);
        out
    }

    #[test]
    fn fr_14_the_examples_of_rfc_6455_5_7_are_encoded() {
        assert_eq!(encoded(OpCode::Text, &[b"Hello"]), b"\x81\x05Hello");
        assert_eq!(
            encoded(OpCode::Text, &[b"Hel", b"", b"lo"]),
            b"\x81\x05Hello"
        );
        assert_eq!(encoded(OpCode::Ping, &[b"Hello"]), b"\x89\x05Hello");
        assert_eq!(
            encoded(OpCode::Binary, &[&[0; 256]])[..4],
            *b"\x82\x7E\x01\x00"
        );
        let long = encoded(OpCode::Binary, &[&[0; 65_536]]);
        assert_eq!(long[..10], *b"\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00");
        assert_eq!(long.len(), 10 + 65_536);

        let mut masked = Vec::new();
        let key = [0x37, 0xfa, 0x21, 0x3d];
        encode_masked_frame(&mut masked, OpCode::Text, &[b"Hel", b"lo"], key);
        assert_eq!(masked, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }

    #[test]
    fn fr_14_lengths_are_in_their_shortest_form_on_both_sides_of_every_border() {
        for (payload_len, header_len) in [
            (0, 2),
            (125, 2),
            (126, 4),
            (65_535, 4),
            (65_536, 10),
            (65_537, 10),
        ] {
            let frame = encoded(OpCode::Binary, &[&vec![0; payload_len]]);
            assert_eq!(frame.len(), header_len + payload_len);
            assert_eq!(frame_len_at(&frame), frame.len());
            assert_eq!(frame_len_at(&frame[..header_len]), frame.len());
        }
    }

    #[test]
    fn frames_are_appended_to_what_is_there() {
        let mut out = b"before".to_vec();
        encode_frame(&mut out, OpCode::Text, &[b"a"]);
        encode_masked_frame(&mut out, OpCode::Text, &[b"b"], [1, 0, 0, 0]);
        assert_eq!(out, b"before\x81\x01a\x81\x81\x01\x00\x00\x00c");
    }

    #[test]
    fn a_close_is_empty_or_has_code_and_reason() {
        let mut out = Vec::new();
        encode_close(&mut out, None);
        assert_eq!(out, b"\x88\x00");
        out.clear();
        let close = CloseFrame {
            code: CloseCode::GOING_AWAY,
            reason: "bye",
        };
        encode_close(&mut out, Some(close));
        assert_eq!(out, b"\x88\x05\x03\xE9bye");
    }

    proptest! {
        #[test]
        fn cl_07_a_reason_is_cut_at_a_character_border(reason in "[a-zé€😀]{0,130}") {
            let mut out = Vec::new();
            let close = CloseFrame { code: CloseCode::NORMAL, reason: &reason };
            encode_close(&mut out, Some(close));
            prop_assert!(out.len() <= 2 + 125);
            prop_assert_eq!(out.len(), frame_len_at(&out));
            let sent = CloseFrame::parse(&out[2..]).unwrap().unwrap();
            prop_assert!(reason.starts_with(sent.reason));
            // Not shorter than need be: no character has more than four bytes.
            prop_assert!(sent.reason.len() == reason.len() || sent.reason.len() >= 120);
        }
    }
}
