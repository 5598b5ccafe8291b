//! What compressed receivers get in place of a frame: made once for all whose windows are equal.

use super::connection::Connection;
use super::socket::Socket;
use crate::delivery::Terms;
use crate::metrics::Counters;
use crate::proto::{Deflate, Deflater, EncodedFrame, frame_len_at};

/// What one loop compresses with.
#[derive(Debug, Default)]
pub(super) struct Compression {
    /// Made when the first message is compressed.
    deflater: Option<Box<Deflater>>,
}

impl Compression {
    /// The same frames for a receiver that has agreed on `deflate`; `None` if they go to it as they are.
    pub(super) fn compress(
        &mut self,
        deflate: Deflate,
        frames: &EncodedFrame,
        counters: &Counters,
    ) -> Option<EncodedFrame> {
        let deflater = self.deflater.get_or_insert_default();
        let compressed = deflater.deflate_frames(deflate, frames);
        #[cfg(feature = "deflate")]
        {
            let tally = deflater.tally();
            counters.compressions.set(tally.message_count);
            counters.compressed_bytes_before.set(tally.bytes_before);
            counters.compressed_bytes_after.set(tally.bytes_after);
        }
        #[cfg(not(feature = "deflate"))]
        let _ = counters;
        compressed
    }
}

/// A frame on its way to many, with the compressed forms of it that were needed so far.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// The frame as it is.
    pub(super) plain: EncodedFrame,
    /// By class of receivers; `None` is one that is not worth while. No memory is needed as long as there is none.
    compressed: Vec<(usize, Option<EncodedFrame>)>,
}

impl Parcel {
    pub(super) fn new(plain: EncodedFrame) -> Self {
        Self {
            plain,
            compressed: Vec::new(),
        }
    }

    /// Whether any receiver could get it compressed: whoever has many receivers need not ask for each if not.
    #[inline]
    pub(super) fn may_be_compressed(&self, terms: Option<&Terms>) -> bool {
        self.plain.len() > Deflater::WORTHWHILE_LEN && terms.is_none_or(|terms| !terms.is_plain)
    }

    /// Takes the first of several messages out.
    pub(super) fn split_first(&mut self) -> Self {
        let split = |frames: &mut EncodedFrame| {
            let frame_len = frame_len_at(frames.as_bytes());
            let first = frames.part(0..frame_len);
            frames.advance(frame_len);
            first
        };
        Self {
            plain: split(&mut self.plain),
            compressed: self
                .compressed
                .iter_mut()
                .map(|(class, frames)| (*class, frames.as_mut().map(split)))
                .collect(),
        }
    }

    /// What a receiver gets that has agreed on `deflate`, if it has.
    pub(super) fn for_receiver(
        &mut self,
        deflate: Option<Deflate>,
        compression: &mut Compression,
        counters: &Counters,
    ) -> &EncodedFrame {
        let Some(deflate) = deflate else {
            return &self.plain;
        };
        let class = Deflater::class_of(deflate);
        let found = self.compressed.iter().position(|(it, _)| *it == class);
        let index = found.unwrap_or_else(|| {
            let frame = compression.compress(deflate, &self.plain, counters);
            self.compressed.push((class, frame));
            self.compressed.len() - 1
        });
        self.compressed[index].1.as_ref().unwrap_or(&self.plain)
    }
}

impl<P, S: Socket> Connection<P, S> {
    /// How messages of and for the peer may be compressed, if that was agreed on.
    #[inline]
    pub(super) fn deflate(&self) -> Option<Deflate> {
        self.session.deflate()
    }
}
