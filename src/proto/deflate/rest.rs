//! Messages whose beginning is different for every receiver, compressed but for that.

use crate::proto::encode::COMPRESSED;
use crate::proto::{EncodedFrame, FrameHeader, OpCode};

/// What is the same for all receivers of a message, compressed once, to go behind a beginning that is not.
///
/// Compressed data is a row of blocks, and one of them may be stored as it is (RFC 1951 3.2.4). The beginning is such a
/// block of its own; what is here refers to nothing before it. Both together are the message:
///
/// | Bytes | What |
/// |---|---|
/// | 2 to 10 | header of the frame, with RSV1 |
/// | 5 | header of a stored block: not the last one, length, its complement |
/// | any | the beginning |
/// | any | the rest, compressed |
#[derive(Clone, Debug)]
pub struct CompressedRest(EncodedFrame);

impl CompressedRest {
    /// What a beginning costs besides its own length, in bytes.
    pub(super) const STORED_HEADER_LEN: usize = 5;

    /// For data that ends as every message does, without the tail.
    pub(super) fn new(compressed: &[u8]) -> Self {
        Self(EncodedFrame::from_vec(compressed.to_vec()))
    }

    /// Appends what precedes a beginning of `beginning_len` bytes, which has to follow, and behind it the rest.
    ///
    /// # Panics
    ///
    /// If the beginning is longer than a block can be: 65,535 bytes.
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "lengths of things in memory; the header fits what is made for it"
    )]
    pub fn write_header(&self, opcode: OpCode, beginning_len: usize, out: &mut Vec<u8>) {
        let block_len = u16::try_from(beginning_len).expect("a beginning is short");
        let header = FrameHeader {
            is_final: true,
            opcode,
            mask: None,
            payload_len: (Self::STORED_HEADER_LEN + beginning_len + self.0.len()) as u64,
        };
        let mut bytes = [0; FrameHeader::LEN_MAX];
        let header_len = header.write(&mut bytes);
        bytes[0] |= COMPRESSED;
        out.extend_from_slice(&bytes[..header_len]);
        out.push(0);
        out.extend_from_slice(&block_len.to_le_bytes());
        out.extend_from_slice(&(!block_len).to_le_bytes());
    }

    /// The compressed bytes, the same for everyone.
    #[must_use]
    pub fn bytes(&self) -> &EncodedFrame {
        &self.0
    }
}
