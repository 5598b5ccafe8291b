//! Messages that are sent on from where they came.

use std::fmt;

use super::frame_buffer::{FrameRange, Home};
use super::{FrameHeader, OpCode};

/// A message that lies whole in the input that brought it, and is long enough that a frame had better be made of it there
/// than be copied.
#[derive(Clone, Copy)]
pub struct AtHand<'a> {
    payload: &'a [u8],
    /// Where the payload begins in the input.
    start: usize,
}

/// From this length on a payload is not copied. What is sent of one input is then in several pieces, and a vectored write
/// of a few pieces costs as much as a copy of about as many bytes.
const PASSED_LEN_MIN: usize = 8 * 1024;

impl<'a> AtHand<'a> {
    /// The message with this payload, if that ends where `rest` begins, which ends the input of so many bytes.
    #[inline]
    pub fn find(payload: &'a [u8], rest: &[u8], input_len: usize) -> Option<Self> {
        if payload.len() < PASSED_LEN_MIN
            || !std::ptr::eq(payload.as_ptr_range().end, rest.as_ptr())
        {
            return None;
        }
        // Another buffer may end where the input begins, and then the payload is too long.
        let start = input_len
            .checked_sub(rest.len())?
            .checked_sub(payload.len())?;
        Some(Self { payload, start })
    }

    /// Whether `payload` is the one of this message.
    pub fn is(&self, payload: &[u8]) -> bool {
        std::ptr::eq(self.payload, payload)
    }
}

/// Shows the payload by its length.
impl fmt::Debug for AtHand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AtHand({} bytes)", self.payload.len())
    }
}

/// The frames that are to be made of messages of one input, in place.
///
/// The frame of a client has a masking key that the frame of a server has not. So there is room for a new header in front
/// of the payload, which is unmasked already.
#[derive(Debug, Default)]
pub(super) struct Passage {
    frames: Vec<(FrameRange, FrameHeader)>,
}

impl Passage {
    /// Has a frame made of a message; `None` if there is no room for its header, because the one that came was cut by the
    /// beginning of the input.
    pub(super) fn pass(&mut self, at_hand: AtHand<'_>, opcode: OpCode) -> Option<FrameRange> {
        let header = FrameHeader {
            is_final: true,
            opcode,
            mask: None,
            payload_len: at_hand.payload.len() as u64,
        };
        let header_len = header.write(&mut [0; FrameHeader::LEN_MAX]);
        let range = FrameRange {
            start: u32::try_from(at_hand.start.checked_sub(header_len)?).ok()?,
            end: u32::try_from(at_hand.start.checked_add(at_hand.payload.len())?).ok()?,
            home: Home::Input,
        };
        self.frames.push((range, header));
        Some(range)
    }

    /// Makes the frames. Nothing in front of their payloads is needed any more.
    pub(super) fn write_headers(&self, input: &mut [u8]) {
        for (range, header) in &self.frames {
            let mut bytes = [0; FrameHeader::LEN_MAX];
            let header_len = header.write(&mut bytes);
            let place = input.get_mut(range.start as usize..);
            if let Some(place) = place.and_then(|it| it.get_mut(..header_len))
                && let Some(bytes) = bytes.get(..header_len)
            {
                place.copy_from_slice(bytes);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{
        EncodedFrame, FrameBuffer, Incoming, Message, MessageLimits, MessageReader, Role,
        encode_frame, encode_masked_frame,
    };

    /// Reads `input` to its end and has every message passed that can be; what each became.
    fn pass_all(input: &mut [u8], begun: &mut [u8]) -> Vec<EncodedFrame> {
        let limits = MessageLimits {
            message_bytes_max: 1 << 20,
            fragments_max: 10,
        };
        let mut reader = MessageReader::new(Role::Server);
        assert_eq!(reader.next(&mut &mut begun[..], &limits), Ok(None));
        let mut frames = FrameBuffer::default();
        let mut ranges = Vec::new();
        let mut rest = &mut input[..];
        let len = rest.len();
        while let Some(incoming) = reader.next(&mut rest, &limits).unwrap() {
            let Incoming::Message(message) = incoming else {
                panic!("only messages were sent")
            };
            let at_hand = AtHand::find(message.payload(), rest, len);
            ranges.push(frames.encode_message(message, at_hand));
        }
        frames.write_passed_headers(input);
        let input = EncodedFrame::from_vec(input.to_vec());
        let turn = frames.share();
        let homes = |range: &FrameRange| match range.home {
            Home::Turn => turn.slice(*range),
            Home::Input => input.slice(*range),
        };
        ranges.iter().map(homes).collect()
    }

    #[test]
    fn ms_03_long_messages_are_sent_on_as_they_came_and_where_they_came() {
        let text = "é".repeat(PASSED_LEN_MIN);
        let messages = [
            Message::Binary(&[7; PASSED_LEN_MIN]),
            Message::Binary(&[8; PASSED_LEN_MIN - 1]),
            Message::Text("short".into()),
            Message::Text(text.as_str().into()),
            Message::Binary(&[9; 70_000]),
        ];
        let (mut input, mut expected) = (Vec::new(), Vec::new());
        for message in messages {
            let payload = &[message.payload()][..];
            encode_masked_frame(&mut input, message.opcode(), payload, [1, 2, 3, 4]);
            let mut frame = Vec::new();
            encode_frame(&mut frame, message.opcode(), payload);
            expected.push(frame);
        }
        let passed = pass_all(&mut input, &mut []);
        let passed_bytes: Vec<&[u8]> = passed.iter().map(EncodedFrame::as_bytes).collect();
        assert_eq!(passed_bytes, expected);
        let mut beginning = passed[0].clone();
        assert!(
            !beginning.try_merge(&passed[1]),
            "the first is in the input"
        );
        assert!(passed[0].pinned_len() > 100_000);
        assert!(passed[1].pinned_len() < 100_000, "short ones are copied");
    }

    #[test]
    fn a_message_is_copied_if_its_header_was_cut_wherever_that_was() {
        let mut stream = Vec::new();
        encode_masked_frame(&mut stream, OpCode::Binary, &[&[7; 70_000]], [1, 2, 3, 4]);
        let mut expected = Vec::new();
        encode_frame(&mut expected, OpCode::Binary, &[&[7; 70_000]]);
        for cut in 0..30 {
            let (mut begun, mut input) = (stream[..cut].to_vec(), stream[cut..].to_vec());
            let passed = pass_all(&mut input, &mut begun);
            assert_eq!(passed.len(), 1);
            assert_eq!(passed[0].as_bytes(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_at_hand_is_shown_by_its_length() {
        let payload = [7; PASSED_LEN_MIN];
        let at_hand = AtHand::find(&payload, &payload[PASSED_LEN_MIN..], 9000).unwrap();
        assert_eq!(format!("{at_hand:?}"), "AtHand(8192 bytes)");
        assert!(at_hand.is(&payload) && !at_hand.is(&payload[1..]));
        assert!(AtHand::find(&payload, &payload[PASSED_LEN_MIN..], 8191).is_none());
        assert!(AtHand::find(&payload, &payload[1..], 9000).is_none());
    }
}
