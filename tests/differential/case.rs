//! What can be asked about a stream that two readers read differently.

use std::fmt;

use switchboard::proto::{MessageLimits, ProtocolError};

use super::decoders::{Arriving, Decoder, End, Event, Outcome, ours};
use super::explain;

/// A stream that another reader reads differently.
pub(crate) struct Case<'a> {
    pub(crate) arriving: Arriving<'a>,
    pub(crate) limits: MessageLimits,
    pub(crate) decoder: Decoder,
    pub(crate) ours: Outcome,
    /// What ended it for us.
    pub(crate) fault: Option<ProtocolError>,
    pub(crate) theirs: Outcome,
}

impl Case<'_> {
    /// Whether they read the same and then fail with `code`, which is not ours.
    pub(crate) fn they_fail_there_with(&self, code: u16) -> bool {
        self.theirs.events == self.ours.events && self.theirs.end == End::Failed(code)
    }

    /// Whether they read a Close behind what we read.
    pub(crate) fn they_add_a_close(&self) -> bool {
        matches!(
            self.theirs.events.split_last(),
            Some((Event::Close(Some(_)), before)) if before == self.ours.events
        )
    }

    /// Whether they read a broken text where we fail, at a frame without payload.
    pub(crate) fn they_add_a_text_at_an_empty_frame(&self) -> bool {
        let frame = self.faulty_frame_of(self.arriving.stream);
        let more = self.theirs.events.strip_prefix(&self.ours.events[..]);
        let is_broken = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        frame.payload_len == Some(0)
            && matches!(more, Some([Event::Text(text), ..]) if is_broken(text))
    }

    /// Whether we read the same but for the code of a Close, which is `code` for us.
    pub(crate) fn they_replace_close_code(&self, code: u16) -> bool {
        match (
            self.ours.events.split_last(),
            self.theirs.events.split_last(),
        ) {
            (
                Some((Event::Close(Some((our_code, _))), our_rest)),
                Some((Event::Close(_), their_rest)),
            ) => *our_code == code && our_rest == their_rest,
            _ => false,
        }
    }

    /// Whether they wait for more where we fail, and fail as we do when they get the rest of the frame; or find the
    /// frame too large, or the text wrong whose size we refuse.
    pub(crate) fn they_fail_when_the_frame_is_whole(&self) -> bool {
        if self.theirs.end != End::Open || self.theirs.events != self.ours.events {
            return false;
        }
        let stream = self.completed();
        let theirs = self.decoder.read(self.arriving_with(&stream), &self.limits);
        let is_explained = match theirs.end {
            End::Failed(1009) => self.faulty_frame_of(&stream).is_larger_than(&self.limits),
            End::Failed(1007) => self.fault == Some(ProtocolError::MessageTooBig),
            _ => false,
        };
        theirs.events == self.ours.events && (theirs.end == self.ours.end || is_explained)
    }

    /// Whether we wait for more where they fail, and fail as they do when we get the rest of the frame.
    pub(crate) fn we_fail_like_them_when_the_frame_is_whole(&self) -> bool {
        let (ours, _) = ours(self.arriving_with(&self.completed()), &self.limits);
        self.ours.end == End::Open && ours == self.theirs
    }

    /// Whether the frame that ends the stream for us is larger than a message may be.
    pub(crate) fn announces_too_much(&self) -> bool {
        self.faulty_frame_of(self.arriving.stream)
            .is_larger_than(&self.limits)
    }

    /// Whether all is explained once we have no limit of fragments either.
    pub(crate) fn is_explained_without_a_limit_of_fragments(&self) -> bool {
        let limits = MessageLimits {
            fragments_max: u32::MAX,
            ..self.limits
        };
        explain(self.decoder, self.arriving, &limits).is_ok()
    }

    /// Whether all is explained, and the same for them, once the frame that we refuse has its length in the shortest
    /// form.
    pub(crate) fn is_explained_with_a_minimal_length(&self) -> bool {
        let stream = self.arriving.stream;
        let frame = self.faulty_frame_of(stream);
        let Some(len) = frame.payload_len else {
            return false;
        };
        let digits = len.to_be_bytes();
        let (short, digits) = match len {
            ..=125 => (digits[7], &[][..]),
            126..=0xffff => (126, &digits[6..]),
            _ => return false,
        };
        let second = stream[frame.start + 1] & 0x80 | short;
        let short = [
            &stream[..=frame.start],
            &[second],
            digits,
            &stream[frame.len_end..],
        ]
        .concat();
        let arriving = self.arriving_with(&short);
        short.len() < stream.len()
            && self.decoder.read(arriving, &self.limits) == self.theirs
            && explain(self.decoder, arriving, &self.limits).is_ok()
    }

    fn arriving_with<'b>(&self, stream: &'b [u8]) -> Arriving<'b> {
        Arriving {
            stream,
            ..self.arriving
        }
    }

    /// The stream up to the end of the frame that we refuse, or of the last, with zeros for what did not arrive; of a
    /// frame that is too large the header is enough.
    fn completed(&self) -> Vec<u8> {
        let frame = self.faulty_frame_of(self.arriving.stream);
        let mut stream = self.arriving.stream.to_vec();
        while Frame::at(&stream, frame.start).payload_len.is_none() {
            let len_end = Frame::at(&stream, frame.start).len_end;
            stream.push(match stream.len() {
                len if len == frame.start + 1 => EMPTY_AND_MASKED,
                // The length must not become one that needs fewer bytes.
                len if len < len_end => 0xff,
                _ => 0,
            });
        }
        let frame = Frame::at(&stream, frame.start);
        let end = frame.end().filter(|&end| end < 1 << 21);
        let len = end.unwrap_or(frame.header_end).max(stream.len());
        stream.resize(len, 0);
        stream
    }

    /// The frame of a stream in which we fail, or the last one.
    fn faulty_frame_of(&self, stream: &[u8]) -> Frame {
        let mut frame = Frame::at(stream, 0);
        while let Some(end) = frame.end().filter(|&end| end < stream.len()) {
            let (before, _) = ours(self.arriving_with(&stream[..end]), &self.limits);
            if before.end != End::Open {
                break;
            }
            frame = Frame::at(stream, end);
        }
        frame
    }
}

/// The second byte of a frame without payload.
const EMPTY_AND_MASKED: u8 = 0x80;

/// Where a frame is in a stream.
struct Frame {
    start: usize,
    /// Where its length ends, if it is there.
    len_end: usize,
    header_end: usize,
    /// None if it is not all there.
    payload_len: Option<u64>,
}

impl Frame {
    /// The frame that starts at `start`, of which nothing but its length matters.
    fn at(stream: &[u8], start: usize) -> Self {
        let second = stream.get(start + 1).copied().unwrap_or(EMPTY_AND_MASKED);
        let len_end = start + 2 + [0, 2, 8][usize::from(second % 128).saturating_sub(125)];
        let header_end = len_end + if second >= 0x80 { 4 } else { 0 };
        let digits = stream.get(start + 2..len_end).unwrap_or_default();
        let len = match second % 128 {
            len @ ..=125 => len.into(),
            _ => digits
                .iter()
                .fold(0, |len, &digit| len << 8 | u64::from(digit)),
        };
        Self {
            start,
            len_end,
            header_end,
            payload_len: (stream.len() >= len_end).then_some(len),
        }
    }

    fn is_larger_than(&self, limits: &MessageLimits) -> bool {
        self.payload_len
            .is_some_and(|len| len > limits.message_bytes_max)
    }

    /// Where it ends, if that can be said.
    fn end(&self) -> Option<usize> {
        self.header_end
            .checked_add(usize::try_from(self.payload_len?).ok()?)
    }
}

impl fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = self.arriving.stream;
        write!(
            f,
            "{:?} reads {:?}\nwe find {:?} and read {:?}\nin {} bytes, {} at a time: {:x?}",
            self.decoder,
            self.theirs,
            self.fault,
            self.ours,
            stream.len(),
            self.arriving.piece_len,
            &stream[..stream.len().min(200)]
        )
    }
}
