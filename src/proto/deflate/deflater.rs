//! Compressed frames out of finished ones.

use std::fmt;

use flate2::{Compress, Compression, FlushCompress};

use super::{CompressedRest, Deflate};
use crate::proto::encode::encode_compressed_frame;
use crate::proto::{EncodedFrame, FrameHeader, OpCode, Role, frame_len_at};

/// Compresses what is to be sent; one serves all connections of a loop.
///
/// Each size of window has a compressor of its own, which is made when it is first needed: about 400 KiB for the largest.
#[derive(Default)]
pub struct Deflater {
    /// By [`Deflater::class_of`].
    compressors: [Option<Compress>; Self::CLASS_COUNT],
    /// The payload that was compressed last.
    payload: Vec<u8>,
    tally: DeflateTally,
}

/// What a [`Deflater`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateTally {
    /// Messages that were compressed, those included that did not become shorter.
    pub message_count: u64,
    /// Bytes of those messages.
    pub bytes_before: u64,
    /// What was sent in their place.
    pub bytes_after: u64,
}

impl Deflater {
    /// Messages below this many bytes go as they are: compressing them costs more than it saves (EX-10).
    pub const WORTHWHILE_LEN: usize = 256;

    /// How many classes of receivers there are.
    pub const CLASS_COUNT: usize = 7;

    /// Which receivers get the same: those whose class is equal.
    #[must_use]
    pub fn class_of(deflate: Deflate) -> usize {
        usize::from(deflate.own_window.get().saturating_sub(SMALLEST_BITS))
    }

    /// The same unmasked frames for receivers that have agreed on `deflate`, compressed where that is worth while; `None`
    /// if it is nowhere.
    pub fn deflate_frames(
        &mut self,
        deflate: Deflate,
        frames: &EncodedFrame,
    ) -> Option<EncodedFrame> {
        if frames.len() < Self::WORTHWHILE_LEN {
            return None;
        }
        let mut out = Vec::new();
        let mut is_worthwhile = false;
        let mut rest = frames.as_bytes();
        while !rest.is_empty() {
            let (frame, next) = rest.split_at(frame_len_at(rest));
            rest = next;
            let (header, header_len) = FrameHeader::parse(frame, Role::Client).ok().flatten()?;
            let payload = frame.get(header_len..)?;
            if self.deflate(deflate, header.opcode, payload, None, &mut out) {
                is_worthwhile = true;
            } else {
                out.extend_from_slice(frame);
            }
        }
        is_worthwhile.then(|| EncodedFrame::from_vec(out))
    }

    /// Appends one final frame with this payload in its compressed form, masked if there is a key; whether that was worth
    /// while. If not, nothing is appended.
    pub fn deflate(
        &mut self,
        deflate: Deflate,
        opcode: OpCode,
        payload: &[u8],
        key: Option<[u8; 4]>,
        out: &mut Vec<u8>,
    ) -> bool {
        if payload.len() < Self::WORTHWHILE_LEN {
            return false;
        }
        let is_worthwhile = self.compress(deflate, payload);
        let sent_len = if is_worthwhile {
            encode_compressed_frame(out, opcode, &self.payload, key);
            self.payload.len()
        } else {
            payload.len()
        };
        self.tally.add(payload.len(), sent_len);
        self.shrink();
        is_worthwhile
    }

    /// What comes behind the beginning of a text message that is different for every receiver, compressed; `None` if that
    /// is not worth while.
    pub fn deflate_rest(&mut self, deflate: Deflate, rest: &[u8]) -> Option<CompressedRest> {
        if rest.len() < Self::WORTHWHILE_LEN {
            return None;
        }
        let is_shorter = self.compress(deflate, rest);
        let sent_len = self
            .payload
            .len()
            .saturating_add(CompressedRest::STORED_HEADER_LEN);
        let compressed =
            (is_shorter && sent_len < rest.len()).then(|| CompressedRest::new(&self.payload));
        let sent_len = if compressed.is_some() {
            sent_len
        } else {
            rest.len()
        };
        self.tally.add(rest.len(), sent_len);
        self.shrink();
        compressed
    }

    /// What has been done so far.
    #[must_use]
    pub fn tally(&self) -> DeflateTally {
        self.tally
    }

    /// Compresses `payload` into our own (RFC 7692 7.2.1); whether it became shorter.
    fn compress(&mut self, deflate: Deflate, payload: &[u8]) -> bool {
        let Some(slot) = self.compressors.get_mut(Self::class_of(deflate)) else {
            return false;
        };
        let bits = deflate.own_window.get().max(SMALLEST_BITS);
        let compressor =
            slot.get_or_insert_with(|| Compress::new_with_window_bits(LEVEL, false, bits));
        compressor.reset();
        self.payload.clear();
        self.payload.reserve_exact(room_for(payload.len()));
        let compressed = compressor.compress_vec(payload, &mut self.payload, FlushCompress::Sync);
        let is_whole = compressed.is_ok()
            && compressor.total_in() == payload.len() as u64
            && self.payload.len() < self.payload.capacity()
            && self.payload.ends_with(&TAIL);
        if !is_whole {
            *slot = None;
            return false;
        }
        self.payload
            .truncate(self.payload.len().saturating_sub(TAIL.len()));
        self.payload.len() < payload.len()
    }

    /// Gives back what only a large message needs.
    fn shrink(&mut self) {
        if self.payload.capacity() > KEPT_BYTES_MAX {
            self.payload = Vec::new();
        }
    }
}

/// More than the compressor needs for so many bytes, whatever they are. It must come to its end even if that is not worth
/// while: zlib-rs 0.6.8 panics when it is used again after it was stopped in the middle of its output.
fn room_for(payload_len: usize) -> usize {
    const SLACK: usize = 1024;
    payload_len
        .saturating_add(payload_len / 4)
        .saturating_add(SLACK)
}

impl DeflateTally {
    fn add(&mut self, before_len: usize, after_len: usize) {
        self.message_count = self.message_count.wrapping_add(1);
        self.bytes_before = self.bytes_before.wrapping_add(before_len as u64);
        self.bytes_after = self.bytes_after.wrapping_add(after_len as u64);
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

/// The smallest window that the compressor has. It refers to nothing farther back than its size less 262 bytes, so that
/// with this one it keeps to a window of 256 bytes, too: a test looks at all distances.
const SMALLEST_BITS: u8 = 9;

/// What every message ends with after a flush, and what is left out (RFC 7692 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// How hard to try. Of 1 KiB of JSON, level 1 leaves 562 bytes in 4.8 µs, level 2 451 in 11 µs, level 6 441 in 14 µs; of
/// 64 KiB 24 in 134 µs, 18 in 226 µs, 15 in 1.1 ms. The second level is worth it, as what it saves is saved for each
/// receiver; the others are not.
const LEVEL: Compression = Compression::new(2);

/// More memory than this is given back after a message.
const KEPT_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::WindowBits;

    /// Compresses with every size of window; afterwards the compressor must be there still, because it came to its end, and
    /// must not have needed nearly all the room.
    fn assert_roomy(deflater: &mut Deflater, payload: &[u8]) {
        for bits in ["8", "9", "12", "15"] {
            let deflate = Deflate {
                own_window: WindowBits::parse(bits).unwrap(),
                peer_keeps_context: false,
            };
            deflater.compress(deflate, payload);
            let is_whole = deflater.compressors[Deflater::class_of(deflate)].is_some();
            assert!(is_whole, "{} bytes, {bits} bits", payload.len());
            let most_len = payload.len() + payload.len() / 8 + 64;
            assert!(deflater.payload.len() <= most_len, "{bits} bits");
            assert!(most_len < room_for(payload.len()));
        }
    }

    /// Bytes from 144 on, which take nine bits each if the compressor knows no better, in no order.
    fn dearest(len: usize) -> Vec<u8> {
        let mut noise = 1_u64;
        let mut next = || {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            144 + (noise % 112) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn a_compressor_is_never_stopped_in_the_middle_of_its_output() {
        let mut deflater = Deflater::default();
        for len in (0..3000).step_by(7).chain([65_535, 65_536, 300_001]) {
            assert_roomy(&mut deflater, &dearest(len));
        }
        // The same compressors go on to do what they are for.
        assert_roomy(&mut deflater, &[b'a'; 1000]);
        assert!(deflater.payload.len() < 100);
    }

    proptest! {
        #[test]
        fn there_is_room_for_whatever_is_compressed(
            parts in prop::collection::vec((any::<u8>(), 0_usize..300, 0_usize..300), 0..20),
        ) {
            let noise = dearest(600);
            let payload: Vec<u8> = parts.iter().flat_map(|&(byte, begin, len)| {
                [&noise[begin..begin + len], &vec![byte; len / 2]].concat()
            }).collect();
            assert_roomy(&mut Deflater::default(), &payload);
        }
    }
}
