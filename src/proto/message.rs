//! Whole messages and control frames out of pieces of frames.

use std::fmt;

use super::assembly::{Assembly, judge_first};
use super::compressed::{inflate, inflate_whole, message_of, take_compressed_bit};
use super::decoder::take_whole_frame;
use super::{
    CloseFrame, Deflate, FrameDecoder, FrameHeader, FramePart, Incoming, Inflater, Message,
    MessageLimits, OpCode, ProtocolError, Role, Text,
};

/// Bytes in, the next whole message or control frame out.
///
/// It judges what a single header cannot show: the order of fragments, the size of a message, its
/// text, and the payload of a Close. A message that one input holds in one frame is borrowed from
/// that input; any other is put together here, on the heap, and that memory is given back by the
/// call that follows its delivery. Hence: call until `None`, and an idle reader owns nothing.
///
/// Transitions, for a frame that is whole; pieces of a frame take the same ones:
///
/// | Message under way | Frame | Message under way then | Gives |
/// |---|---|---|---|
/// | none | text or binary, final | none | the message |
/// | none | text or binary | this one | nothing |
/// | none | continuation | | `UnexpectedContinuation` |
/// | some | continuation, final | none | the message |
/// | some | continuation | the same, longer | nothing |
/// | some | text or binary | | `InterruptedMessage` |
/// | any | close, ping or pong | the same | the control frame |
///
/// Not handled: what a Close means for the frames behind it, and when an unfinished message has
/// taken too long; the session knows.
#[derive(Debug)]
pub struct MessageReader {
    role: Role,
    /// What was agreed on, for whoever lends the inflater.
    deflate: Option<Deflate>,
    /// What has begun and is not finished, or was lent out by the last call; `None` between messages.
    begun: Option<Box<Begun>>,
}

impl MessageReader {
    /// A reader at the start of a stream; `role` is the role of the reader.
    pub const fn new(role: Role) -> Self {
        Self::with_deflate(role, None)
    }

    /// The same for a stream on which messages may be compressed as `deflate` says, if it says anything: then it is
    /// [`MessageReader::next_inflating`] that has to be called.
    pub const fn with_deflate(role: Role, deflate: Option<Deflate>) -> Self {
        Self {
            role,
            deflate,
            begun: None,
        }
    }

    /// What it was made with.
    #[inline]
    pub fn deflate(&self) -> Option<Deflate> {
        self.deflate
    }

    /// Takes bytes from the front of `input` and returns the next message or control frame; `None`
    /// when `input` is used up. Unmasks in place.
    ///
    /// # Errors
    ///
    /// The first thing that the peer did wrong. Nothing can be read behind an error: what a further
    /// call returns is meaningless.
    #[inline]
    pub fn next<'a, 'input: 'a>(
        &'a mut self,
        input: &mut &'input mut [u8],
        limits: &MessageLimits,
    ) -> Result<Option<Incoming<'a>>, ProtocolError> {
        self.next_inflating(input, limits, None)
    }

    /// The same, where messages may be compressed if there is an inflater to be lent: always the same one, if the peer may
    /// refer to its earlier messages. The message is borrowed from it, and has been paid for by its limit.
    ///
    /// # Errors
    ///
    /// As [`MessageReader::next`].
    // Inlined for the same reason as `FrameDecoder::next_part`.
    #[inline(always)]
    pub fn next_inflating<'a, 'input: 'a>(
        &'a mut self,
        input: &mut &'input mut [u8],
        limits: &MessageLimits,
        inflater: Option<&'a mut Inflater>,
    ) -> Result<Option<Incoming<'a>>, ProtocolError> {
        if self.begun.is_none() {
            let deflate = self.deflate.filter(|_| inflater.is_some());
            let compression = take_compressed_bit(input, deflate)?;
            match take_whole_frame(input, self.role)? {
                Some(part) if part.header.is_final => {
                    return match inflater.filter(|_| compression.is_some()) {
                        Some(inflater) => inflate_whole(&part, limits, inflater).map(Some),
                        None => parse_whole(part, limits).map(Some),
                    };
                }
                None if input.is_empty() => return Ok(None),
                part => self.begin(part, input, limits, compression)?,
            }
        }
        self.go_on(input, limits, inflater)
    }

    /// Whether something has begun and is not finished: a message, between two of its fragments or
    /// inside one, or a frame of any kind, from the first byte of its header on.
    ///
    /// A peer must not stay here for long; but one that sends much may be found here after every
    /// input, each time inside another message.
    #[inline]
    pub fn is_mid_message(&self) -> bool {
        self.begun.as_ref().is_some_and(|begun| {
            let is_lent = matches!(begun.lent, Some(Lent::Message));
            begun.decoder.is_mid_frame() || (begun.assembly.is_some() && !is_lent)
        })
    }

    /// How many bytes must follow `input`, which comes next, so that its last frame is whole; 0 if
    /// that is not known, or not worth knowing.
    ///
    /// Whoever reads from a socket can complete a large message that way and have it borrowed.
    pub fn missing_len(&self, input: &[u8]) -> usize {
        /// A shorter frame is put together faster than the rest of it is read.
        const WORTHWHILE_LEN: u64 = 4096;
        let begun_len = match &self.begun {
            Some(begun) => begun.decoder.missing_len(),
            None => Some(0),
        };
        let Some(mut rest) = begun_len.and_then(|len| input.get(usize::try_from(len).ok()?..))
        else {
            return 0;
        };
        while let Ok(Some((header, header_len))) = FrameHeader::parse(rest, self.role) {
            if header.payload_len < WORTHWHILE_LEN {
                break;
            }
            let Ok(payload_len) = usize::try_from(header.payload_len) else {
                break;
            };
            let Some((_, payload)) = rest.split_at_checked(header_len) else {
                break;
            };
            let Some((_, next)) = payload.split_at_checked(payload_len) else {
                return payload_len.saturating_sub(payload.len());
            };
            rest = next;
        }
        0
    }

    /// Bytes of heap memory that the reader holds; 0 when it is idle.
    pub fn held_len(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| begun.held_len())
    }

    /// Remembers a frame that is a part of a message, or of which `input` has a part.
    #[cold]
    fn begin(
        &mut self,
        part: Option<FramePart<'_>>,
        input: &mut &mut [u8],
        limits: &MessageLimits,
        compression: Option<Deflate>,
    ) -> Result<(), ProtocolError> {
        let mut decoder = FrameDecoder::new(self.role);
        let part = match part {
            None => decoder.next_part(input)?,
            part => part,
        };
        let begun = self.begun.insert(Box::new(Begun {
            decoder,
            compression,
            assembly: None,
            control: None,
            lent: None,
        }));
        match part {
            Some(part) => begun.add(&part, limits),
            None => Ok(()),
        }
    }

    /// Goes on with what has begun, until that or something in between is whole.
    #[cold]
    fn go_on<'a, 'input: 'a>(
        &'a mut self,
        input: &mut &'input mut [u8],
        limits: &MessageLimits,
        inflater: Option<&'a mut Inflater>,
    ) -> Result<Option<Incoming<'a>>, ProtocolError> {
        if self.begun.as_mut().is_some_and(|begun| begun.free_lent()) {
            self.begun = None;
            return self.next_inflating(input, limits, inflater);
        }
        match &mut self.begun {
            Some(begun) => begun.next(input, limits, self.deflate, inflater),
            None => Ok(None),
        }
    }
}

/// What of a stream has begun and is not finished.
#[derive(Debug)]
struct Begun {
    decoder: FrameDecoder,
    /// How the message is compressed that the frame under way begins, if it is.
    compression: Option<Deflate>,
    /// The message under way, or the one that the last call lent out.
    assembly: Option<Assembly>,
    /// The payload of a control frame cut by the end of the input, or the one that the last call
    /// lent out.
    control: Option<Box<ControlPayload>>,
    /// What of the above the last call lent out, and the next call frees.
    lent: Option<Lent>,
}

impl Begun {
    /// Takes bytes from the front of `input` up to the end of a message or control frame.
    fn next<'a, 'input: 'a>(
        &'a mut self,
        input: &mut &'input mut [u8],
        limits: &MessageLimits,
        deflate: Option<Deflate>,
        inflater: Option<&'a mut Inflater>,
    ) -> Result<Option<Incoming<'a>>, ProtocolError> {
        loop {
            if inflater.is_some() && !self.decoder.is_mid_frame() {
                self.compression = take_compressed_bit(input, deflate)?;
            }
            let Some(part) = self.decoder.next_part(input)? else {
                return Ok(None);
            };
            let is_whole = part.begins_frame && part.ends_frame;
            let is_alone = part.header.is_final && self.assembly.is_none();
            if is_whole && (is_alone || part.header.opcode.is_control()) {
                return match inflater.filter(|_| self.compression.is_some()) {
                    Some(inflater) => inflate_whole(&part, limits, inflater).map(Some),
                    None => parse_whole(part, limits).map(Some),
                };
            }
            self.add(&part, limits)?;
            if let Some(lent) = self.lent {
                return self.lend(lent, limits, inflater).map(Some);
            }
        }
    }

    /// Adds a piece of a frame to what it belongs to; if that is whole now, it is lent out.
    fn add(&mut self, part: &FramePart<'_>, limits: &MessageLimits) -> Result<(), ProtocolError> {
        if part.header.opcode.is_control() {
            self.collect_control(part);
            Ok(())
        } else {
            self.assemble(part, limits)
        }
    }

    /// What is whole.
    fn lend<'a>(
        &'a self,
        lent: Lent,
        limits: &MessageLimits,
        inflater: Option<&'a mut Inflater>,
    ) -> Result<Incoming<'a>, ProtocolError> {
        match (lent, &self.assembly, &self.control) {
            (Lent::Message, Some(assembly), _) => {
                match (assembly.compressed(), assembly.inflated(), inflater) {
                    (Some(opcode), Some(bytes), _) => message_of(opcode, bytes),
                    (Some(opcode), None, Some(inflater)) => {
                        inflate(opcode, assembly.message().payload(), limits, inflater)
                    }
                    _ => Ok(Incoming::Message(assembly.message())),
                }
            }
            (Lent::Control(opcode), _, Some(control)) => parse_control(opcode, control.bytes()),
            _ => unreachable!("only what is there is lent"),
        }
    }

    /// Gives back the memory of what was delivered; returns whether nothing is under way then.
    fn free_lent(&mut self) -> bool {
        match self.lent.take() {
            Some(Lent::Message) => self.assembly = None,
            Some(Lent::Control(_)) => self.control = None,
            None => {}
        }
        self.assembly.is_none() && !self.decoder.is_mid_frame()
    }

    /// Adds a piece to the message under way, or begins one with it.
    fn assemble(
        &mut self,
        part: &FramePart<'_>,
        limits: &MessageLimits,
    ) -> Result<(), ProtocolError> {
        let header = &part.header;
        let assembly = match &mut self.assembly {
            None => {
                let assembly = Assembly::begin(header, limits, self.compression)?;
                self.assembly.insert(assembly)
            }
            Some(assembly) => {
                if part.begins_frame {
                    assembly.continue_with(header, limits)?;
                }
                assembly
            }
        };
        assembly.push(part.payload, header, limits)?;
        if part.ends_frame && header.is_final {
            assembly.finish(limits)?;
            self.lent = Some(Lent::Message);
        }
        Ok(())
    }

    /// Adds a piece to the control frame under way.
    fn collect_control(&mut self, part: &FramePart<'_>) {
        self.control
            .get_or_insert_with(|| Box::new(ControlPayload::EMPTY))
            .push(part.payload);
        if part.ends_frame {
            self.lent = Some(Lent::Control(part.header.opcode));
        }
    }

    /// Bytes of heap memory, this struct included.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of things in memory"
    )]
    fn held_len(&self) -> usize {
        let message_len = self.assembly.as_ref().map_or(0, Assembly::held_len);
        let control_len = self
            .control
            .as_ref()
            .map_or(0, |_| size_of::<ControlPayload>());
        size_of::<Self>() + message_len + control_len
    }
}

/// What the caller borrowed from a [`MessageReader`].
#[derive(Clone, Copy, Debug)]
enum Lent {
    /// The assembled message.
    Message,
    /// The payload of a control frame of this kind.
    Control(OpCode),
}

/// What is in a frame that is whole, and if it carries data the only one of its message.
#[inline]
fn parse_whole<'a>(
    part: FramePart<'a>,
    limits: &MessageLimits,
) -> Result<Incoming<'a>, ProtocolError> {
    let FramePart {
        header,
        payload,
        is_ascii,
        ..
    } = part;
    if header.opcode.is_control() {
        return parse_control(header.opcode, payload);
    }
    judge_first(&header, limits.message_bytes_max)?;
    let message = if header.opcode == OpCode::Text {
        let text = if is_ascii {
            Some(Text::of_ascii(payload))
        } else {
            Text::judge(payload)
        };
        Message::Text(text.ok_or(ProtocolError::InvalidUtf8)?)
    } else {
        Message::Binary(payload)
    };
    Ok(Incoming::Message(message))
}

/// The control frame with this payload.
fn parse_control(opcode: OpCode, payload: &[u8]) -> Result<Incoming<'_>, ProtocolError> {
    match opcode {
        OpCode::Ping => Ok(Incoming::Ping(payload)),
        OpCode::Pong => Ok(Incoming::Pong(payload)),
        OpCode::Close => CloseFrame::parse(payload).map(Incoming::Close),
        OpCode::Continuation | OpCode::Text | OpCode::Binary => {
            unreachable!("only control frames come here")
        }
    }
}

/// The payload of a control frame that arrives in pieces; the decoder has judged its length.
struct ControlPayload {
    bytes: [u8; 125],
    len: usize,
}

impl ControlPayload {
    /// Nothing has arrived.
    const EMPTY: Self = Self {
        bytes: [0; 125],
        len: 0,
    };

    /// Appends the next bytes.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "the header has shown that at most 125 bytes come"
    )]
    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    /// What has arrived.
    #[expect(
        clippy::indexing_slicing,
        reason = "the header has shown that at most 125 bytes come"
    )]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Shows the payload by its length.
impl fmt::Debug for ControlPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlPayload({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::{CloseCode, encode_frame, encode_masked_frame};

    const LIMITS: MessageLimits = MessageLimits {
        message_bytes_max: 1 << 20,
        fragments_max: 1 << 17,
    };

    /// An [`Incoming`] that outlives the call that gave it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Event {
        Text(String),
        Binary(Vec<u8>),
        Ping(Vec<u8>),
        Pong(Vec<u8>),
        Close(Option<(u16, String)>),
    }

    impl From<Incoming<'_>> for Event {
        fn from(incoming: Incoming<'_>) -> Self {
            match incoming {
                Incoming::Message(Message::Text(text)) => Self::Text(text.as_str().to_owned()),
                Incoming::Message(Message::Binary(bytes)) => Self::Binary(bytes.to_vec()),
                Incoming::Ping(payload) => Self::Ping(payload.to_vec()),
                Incoming::Pong(payload) => Self::Pong(payload.to_vec()),
                Incoming::Close(close) => {
                    Self::Close(close.map(|close| (close.code.get(), close.reason.to_owned())))
                }
            }
        }
    }

    #[test]
    fn what_a_large_frame_lacks_is_known_wherever_the_input_is_cut() {
        let mut stream = Vec::new();
        for len in [5000, 70_000, 4096] {
            encode_masked_frame(&mut stream, OpCode::Binary, &[&vec![7; len]], [1, 2, 3, 4]);
        }
        // Where each frame begins and how long its header is.
        let frames = [(0, 8), (5008, 14), (75_022, 8), (stream.len(), 0)];
        for cut in [9, 5007, 5008, 5017, 5022, 60_000, 75_021, 75_022, 75_030] {
            for begun_len in [0, 8, 20, 5007, 5008, 5022, 6000] {
                let begun_len = begun_len.min(cut);
                let mut reader = MessageReader::new(Role::Server);
                let mut begun = stream[..begun_len].to_vec();
                let mut input = &mut begun[..];
                while reader.next(&mut input, &LIMITS).unwrap().is_some() {}
                let missing = reader.missing_len(&stream[begun_len..cut]);
                let index = frames.iter().rposition(|&(start, _)| start <= cut).unwrap();
                let (start, header_len) = frames[index];
                // A frame of which the reader has a part is not borrowed any more, and without its header it tells nothing.
                let is_telling = begun_len <= start && cut - start >= header_len;
                let expected = if is_telling {
                    frames[index + 1].0 - cut
                } else {
                    0
                };
                assert_eq!(missing, expected, "cut at {cut}, {begun_len} read before");
            }
        }
    }

    #[test]
    fn what_a_small_frame_lacks_is_not_worth_knowing() {
        let mut stream = Vec::new();
        encode_masked_frame(&mut stream, OpCode::Binary, &[&[7; 4095]], [1, 2, 3, 4]);
        let reader = MessageReader::new(Role::Server);
        assert_eq!(reader.missing_len(&stream[..4000]), 0);
        assert_eq!(reader.missing_len(&[]), 0);
        assert_eq!(reader.missing_len(&[0xff; 20]), 0, "not a frame");
    }

    type Events = (Vec<Event>, Option<ProtocolError>);

    /// Reads inputs that follow each other: all events and the first error.
    fn read<'a>(
        role: Role,
        limits: &MessageLimits,
        inputs: impl IntoIterator<Item = &'a [u8]>,
    ) -> Events {
        let mut reader = MessageReader::new(role);
        let mut events = Vec::new();
        for input in inputs {
            let mut bytes = input.to_vec();
            let mut input = &mut bytes[..];
            loop {
                match reader.next(&mut input, limits) {
                    Ok(Some(incoming)) => events.push(incoming.into()),
                    Ok(None) => break,
                    Err(error) => return (events, Some(error)),
                }
            }
            assert!(input.is_empty());
            assert!(
                reader.is_mid_message() || reader.held_len() == 0,
                "idle, but holds memory"
            );
        }
        (events, None)
    }

    /// Asserts the outcome of a stream read whole, byte by byte and split at every position.
    fn assert_reads(role: Role, limits: &MessageLimits, bytes: &[u8], expected: &Events) {
        assert_eq!(read(role, limits, [bytes]), *expected, "{bytes:02x?} whole");
        assert_eq!(
            read(role, limits, bytes.chunks(1)),
            *expected,
            "{bytes:02x?} byte by byte"
        );
        for cut in 0..=bytes.len() {
            let (front, back) = bytes.split_at(cut);
            let events = read(role, limits, [front, back]);
            assert_eq!(events, *expected, "{bytes:02x?} split at {cut}");
        }
    }

    /// One row of a conformance table; streams of a server, which need no masks.
    struct Row {
        /// What the row shows, with the section of RFC 6455.
        name: &'static str,
        bytes: &'static [u8],
        events: Vec<Event>,
        /// The error and the status code that the peer is told.
        error: Option<(ProtocolError, CloseCode)>,
    }

    fn assert_rows(limits: &MessageLimits, rows: Vec<Row>) {
        for row in rows {
            let error = row.error.map(|(error, _)| error);
            let code = error.map(ProtocolError::close_code);
            assert_eq!(code, row.error.map(|(_, code)| code), "{}", row.name);
            assert_reads(Role::Client, limits, row.bytes, &(row.events, error));
        }
    }

    fn text(text: &str) -> Event {
        Event::Text(text.to_owned())
    }

    fn binary(bytes: &[u8]) -> Event {
        Event::Binary(bytes.to_vec())
    }

    /// Appends a frame of any kind; masked with `key` for a server to read.
    fn push_frame(
        out: &mut Vec<u8>,
        is_final: bool,
        opcode: OpCode,
        payload: &[u8],
        key: Option<[u8; 4]>,
    ) {
        let start = out.len();
        match key {
            Some(key) => encode_masked_frame(out, opcode, &[payload], key),
            None => encode_frame(out, opcode, &[payload]),
        }
        if !is_final {
            out[start] &= 0x7F;
        }
    }

    #[test]
    fn fr_09_and_fr_10_fragments_follow_their_order() {
        use ProtocolError::{InterruptedMessage, UnexpectedContinuation};
        let wrong = CloseCode::PROTOCOL_ERROR;
        #[rustfmt::skip]
        let rows = vec![
            Row { name: "5.4 one frame", bytes: b"\x81\x02ab", events: vec![text("ab")], error: None },
            Row { name: "5.4 two fragments", bytes: b"\x01\x01a\x80\x01b", events: vec![text("ab")], error: None },
            Row { name: "5.4 three fragments", bytes: b"\x02\x01a\x00\x01b\x80\x01c", events: vec![binary(b"abc")], error: None },
            Row { name: "5.4 nothing but the begin", bytes: b"\x01\x01a", events: vec![], error: None },
            Row { name: "5.4 two messages", bytes: b"\x01\x01a\x80\x01b\x82\x01c", events: vec![text("ab"), binary(b"c")], error: None },
            Row { name: "5.4 continuation first", bytes: b"\x80\x01a", events: vec![], error: Some((UnexpectedContinuation, wrong)) },
            Row { name: "5.4 continuation that is not final", bytes: b"\x00\x01a", events: vec![], error: Some((UnexpectedContinuation, wrong)) },
            Row { name: "5.4 continuation after the end", bytes: b"\x01\x00\x80\x01a\x80\x00", events: vec![text("a")], error: Some((UnexpectedContinuation, wrong)) },
            Row { name: "5.4 text inside a message", bytes: b"\x01\x01a\x81\x01b", events: vec![], error: Some((InterruptedMessage, wrong)) },
            Row { name: "5.4 binary inside a message", bytes: b"\x02\x01a\x02\x01b", events: vec![], error: Some((InterruptedMessage, wrong)) },
            Row { name: "5.5 ping between fragments", bytes: b"\x01\x01a\x89\x01p\x80\x01b", events: vec![Event::Ping(b"p".into()), text("ab")], error: None },
            Row { name: "5.5 pong between fragments", bytes: b"\x01\x01a\x8A\x01p\x80\x01b", events: vec![Event::Pong(b"p".into()), text("ab")], error: None },
            Row { name: "5.5 close between fragments", bytes: b"\x01\x01a\x88\x00", events: vec![Event::Close(None)], error: None },
        ];
        assert_rows(&LIMITS, rows);
    }

    #[test]
    fn fr_15_empty_frames_and_messages_are_delivered() {
        #[rustfmt::skip]
        let rows = vec![
            Row { name: "5.2 empty text", bytes: b"\x81\x00", events: vec![text("")], error: None },
            Row { name: "5.2 empty binary", bytes: b"\x82\x00", events: vec![binary(b"")], error: None },
            Row { name: "5.2 empty fragments", bytes: b"\x01\x00\x00\x00\x80\x00", events: vec![text("")], error: None },
            Row { name: "5.2 empty fragment in the middle", bytes: b"\x01\x01a\x00\x00\x80\x01b", events: vec![text("ab")], error: None },
            Row { name: "5.2 empty ping", bytes: b"\x89\x00", events: vec![Event::Ping(vec![])], error: None },
        ];
        assert_rows(&LIMITS, rows);
    }

    #[test]
    fn ms_01_and_ms_02_text_fails_at_its_first_bad_byte() {
        let wrong = Some((ProtocolError::InvalidUtf8, CloseCode::INVALID_PAYLOAD));
        #[rustfmt::skip]
        let rows = vec![
            Row { name: "8.1 whole", bytes: b"\x81\x04\xF0\x9F\x98\x80", events: vec![text("😀")], error: None },
            Row { name: "8.1 cut by a fragment", bytes: b"\x01\x01\xC3\x80\x01\xA9", events: vec![text("é")], error: None },
            Row { name: "8.1 cut twice, with a ping", bytes: b"\x01\x01\xE2\x00\x01\x82\x89\x00\x80\x01\xAC", events: vec![Event::Ping(vec![]), text("€")], error: None },
            Row { name: "8.1 binary may be anything", bytes: b"\x82\x02\xC3\xFF", events: vec![binary(b"\xC3\xFF")], error: None },
            Row { name: "8.1 cut at the end", bytes: b"\x81\x01\xC3", events: vec![], error: wrong },
            Row { name: "8.1 cut at the end of the last fragment", bytes: b"\x01\x01a\x80\x01\xC3", events: vec![], error: wrong },
            Row { name: "8.1 surrogate", bytes: b"\x81\x03\xED\xA0\x80", events: vec![], error: wrong },
            Row { name: "8.1 overlong", bytes: b"\x81\x02\xC0\xAF", events: vec![], error: wrong },
            Row { name: "8.1 too large", bytes: b"\x81\x04\xF4\x90\x80\x80", events: vec![], error: wrong },
            Row { name: "8.1 bad byte in an unfinished frame", bytes: b"\x81\x7Da\xFF", events: vec![], error: wrong },
            Row { name: "8.1 bad byte in an unfinished message", bytes: b"\x01\x02\xF4\x90", events: vec![], error: wrong },
            Row { name: "8.1 bad byte across fragments", bytes: b"\x01\x01\xED\x00\x7D\xA0", events: vec![], error: wrong },
        ];
        assert_rows(&LIMITS, rows);
    }

    #[test]
    fn cl_02_closes_are_judged() {
        let close = |code, reason: &str| vec![Event::Close(Some((code, reason.to_owned())))];
        let wrong = CloseCode::PROTOCOL_ERROR;
        #[rustfmt::skip]
        let rows = vec![
            Row { name: "5.5.1 empty", bytes: b"\x88\x00", events: vec![Event::Close(None)], error: None },
            Row { name: "5.5.1 code", bytes: b"\x88\x02\x03\xE8", events: close(1000, ""), error: None },
            Row { name: "5.5.1 code and reason", bytes: b"\x88\x04\x0F\xA0\xC3\xA9", events: close(4000, "é"), error: None },
            Row { name: "5.5.1 half a code", bytes: b"\x88\x01\x03", events: vec![], error: Some((ProtocolError::TruncatedCloseCode, wrong)) },
            Row { name: "7.4.1 code 1005", bytes: b"\x88\x02\x03\xED", events: vec![], error: Some((ProtocolError::InvalidCloseCode, wrong)) },
            Row { name: "7.4.2 code 999", bytes: b"\x88\x02\x03\xE7", events: vec![], error: Some((ProtocolError::InvalidCloseCode, wrong)) },
            Row { name: "8.1 reason", bytes: b"\x88\x03\x03\xE8\xFF", events: vec![], error: Some((ProtocolError::InvalidUtf8, CloseCode::INVALID_PAYLOAD)) },
        ];
        assert_rows(&LIMITS, rows);
    }

    #[test]
    fn fr_07_and_ms_04_sizes_and_counts_are_judged_by_the_header() {
        let limits = MessageLimits {
            message_bytes_max: 4,
            fragments_max: 3,
        };
        let too_big = Some((ProtocolError::MessageTooBig, CloseCode::MESSAGE_TOO_BIG));
        let too_many = Some((ProtocolError::TooManyFragments, CloseCode::POLICY_VIOLATION));
        #[rustfmt::skip]
        let rows = vec![
            Row { name: "10.4 at the limit", bytes: b"\x82\x04abcd", events: vec![binary(b"abcd")], error: None },
            Row { name: "10.4 one more, announced", bytes: b"\x82\x05", events: vec![], error: too_big },
            Row { name: "10.4 2^40 announced", bytes: b"\x82\x7F\0\0\x01\0\0\0\0\0", events: vec![], error: too_big },
            Row { name: "10.4 2^63 - 1 announced", bytes: b"\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", events: vec![], error: too_big },
            Row { name: "10.4 sum at the limit", bytes: b"\x01\x02ab\x80\x02cd", events: vec![text("abcd")], error: None },
            Row { name: "10.4 sum over it, announced", bytes: b"\x01\x02ab\x80\x03", events: vec![], error: too_big },
            Row { name: "10.4 sum that overflows, announced", bytes: b"\x01\x02ab\x00\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", events: vec![], error: too_big },
            Row { name: "10.4 control frames are no part of the sum", bytes: b"\x89\x05hello", events: vec![Event::Ping(b"hello".into())], error: None },
            Row { name: "10.4 as many fragments as allowed", bytes: b"\x01\x00\x00\x00\x80\x00", events: vec![text("")], error: None },
            Row { name: "10.4 one more, empty", bytes: b"\x01\x00\x00\x00\x00\x00\x80\x00", events: vec![], error: too_many },
            Row { name: "10.4 the count begins anew", bytes: b"\x01\x00\x80\x00\x01\x00\x00\x00\x80\x00", events: vec![text(""), text("")], error: None },
        ];
        assert_rows(&limits, rows);
    }

    #[test]
    fn fr_07_memory_grows_with_what_arrives_not_with_what_is_announced() {
        let limits = MessageLimits {
            message_bytes_max: 1 << 40,
            fragments_max: 1,
        };
        let mut reader = MessageReader::new(Role::Client);
        let mut header = *b"\x82\x7F\x00\x00\x00\xFF\x00\x00\x00\x00";
        assert_eq!(reader.next(&mut &mut header[..], &limits), Ok(None));
        assert_eq!(reader.held_len(), size_of::<Begun>());
        for received in 1..=5000 {
            assert_eq!(reader.next(&mut &mut [b'a'; 1][..], &limits), Ok(None));
            assert!(reader.held_len() < size_of::<Begun>() + 8 + 2 * received);
        }
    }

    #[test]
    fn ms_04_131_000_fragments_hold_their_payload_and_a_constant() {
        let mut reader = MessageReader::new(Role::Client);
        assert_eq!(
            reader.next(&mut &mut b"\x02\x00".to_owned()[..], &LIMITS),
            Ok(None)
        );
        for received in 1..=131_000 {
            assert_eq!(
                reader.next(&mut &mut b"\x00\x01a".to_owned()[..], &LIMITS),
                Ok(None)
            );
            assert!(reader.held_len() < size_of::<Begun>() + 8 + 2 * received);
        }
        let mut last = *b"\x80\x00";
        let mut input = &mut last[..];
        let message = reader.next(&mut input, &LIMITS).unwrap();
        let Some(Incoming::Message(Message::Binary(bytes))) = message else {
            panic!("{message:?}")
        };
        assert_eq!(bytes, vec![b'a'; 131_000]);
    }

    #[test]
    fn memory_is_given_back_by_the_call_behind_the_delivery() {
        let mut reader = MessageReader::new(Role::Client);
        let mut first = *b"\x82\x03a";
        assert_eq!(reader.next(&mut &mut first[..], &LIMITS), Ok(None));
        assert!(reader.is_mid_message());

        let mut second = *b"bc\x89\x01";
        let mut input = &mut second[..];
        let message = Incoming::Message(Message::Binary(b"abc"));
        assert_eq!(reader.next(&mut input, &LIMITS), Ok(Some(message)));
        assert_eq!(reader.next(&mut input, &LIMITS), Ok(None));
        assert!(reader.is_mid_message());

        let mut third = *b"p";
        let mut input = &mut third[..];
        assert_eq!(
            reader.next(&mut input, &LIMITS),
            Ok(Some(Incoming::Ping(b"p")))
        );
        assert!(!reader.is_mid_message() && reader.held_len() > 0);
        assert_eq!(reader.next(&mut &mut [][..], &LIMITS), Ok(None));
        assert_eq!(reader.held_len(), 0);
    }

    #[test]
    fn a_message_stays_under_way_while_a_cut_ping_is_lent() {
        let mut reader = MessageReader::new(Role::Client);
        assert_eq!(
            reader.next(&mut &mut b"\x01\x01a\x89\x01".to_owned()[..], &LIMITS),
            Ok(None)
        );
        let mut rest = *b"p";
        let mut input = &mut rest[..];
        assert_eq!(
            reader.next(&mut input, &LIMITS),
            Ok(Some(Incoming::Ping(b"p")))
        );
        assert!(reader.is_mid_message());
    }

    #[test]
    fn a_message_in_one_input_is_borrowed_from_it() {
        let mut reader = MessageReader::new(Role::Server);
        let mut bytes = Vec::new();
        encode_masked_frame(&mut bytes, OpCode::Text, &[b"borrowed"], [1, 2, 3, 4]);
        let mut input = &mut bytes[..];
        assert!(reader.next(&mut input, &LIMITS).unwrap().is_some());
        assert_eq!(reader.held_len(), 0);
        assert_eq!(&bytes[6..], b"borrowed");
    }

    #[test]
    fn debug_output_shows_no_payload() {
        let mut reader = MessageReader::new(Role::Client);
        let mut bytes =
            *b"\x81\x06secret\x89\x06secret\x88\x08\x03\xE8secret\x01\x06secret\x89\x07secret";
        let mut input = &mut bytes[..];
        let mut shown = String::new();
        while let Some(incoming) = reader.next(&mut input, &LIMITS).unwrap() {
            shown += &format!("{incoming:?} ");
        }
        shown += &format!("{reader:?}");
        assert!(shown.contains("6 bytes"));
        assert!(
            !shown.contains("secret") && !shown.contains("115, 101"),
            "{shown}"
        );
    }

    #[test]
    fn an_idle_reader_is_16_bytes_and_owns_no_heap() {
        assert_eq!(size_of::<MessageReader>(), 16);
        assert!(size_of::<Begun>() <= 136, "{}", size_of::<Begun>());
        assert_eq!(MessageReader::new(Role::Server).held_len(), 0);
        assert!(size_of::<Incoming<'_>>() <= 32);
    }

    /// A frame to be sent, for properties.
    #[derive(Clone, Debug)]
    struct Sent {
        is_final: bool,
        opcode: OpCode,
        payload: Vec<u8>,
    }

    /// What whole frames mean: the rules of order and of text as plainly as they can be said.
    fn model(frames: &[Sent]) -> Events {
        let mut events = Vec::new();
        let mut open: Option<(OpCode, Vec<u8>)> = None;
        for frame in frames {
            let payload = frame.payload.clone();
            match (frame.opcode, &mut open) {
                (OpCode::Ping, _) => events.push(Event::Ping(payload)),
                (OpCode::Pong, _) => events.push(Event::Pong(payload)),
                (OpCode::Close, _) => events.push(Event::Close(None)),
                (OpCode::Continuation, None) => {
                    return (events, Some(ProtocolError::UnexpectedContinuation));
                }
                (OpCode::Continuation, Some((_, message))) => message.extend(payload),
                (_, Some(_)) => return (events, Some(ProtocolError::InterruptedMessage)),
                (opcode, None) => open = Some((opcode, payload)),
            }
            if let Some((OpCode::Text, message)) = &open {
                let error = str::from_utf8(message).err();
                let is_cut = error.is_some_and(|error| error.error_len().is_none());
                if error.is_some() && (frame.is_final || !is_cut) && !frame.opcode.is_control() {
                    return (events, Some(ProtocolError::InvalidUtf8));
                }
            }
            if frame.is_final && !frame.opcode.is_control() {
                events.extend(open.take().map(|(opcode, message)| match opcode {
                    OpCode::Text => Event::Text(String::from_utf8(message).unwrap()),
                    _ => Event::Binary(message),
                }));
            }
        }
        (events, None)
    }

    fn sent() -> impl Strategy<Value = Sent> {
        let payload = prop_oneof![
            4 => "[a-zé€😀]{0,8}".prop_map(String::into_bytes),
            1 => prop::collection::vec(prop::sample::select(b"a\xC3\xA9\xE2\x82\xFF"), 0..4),
        ];
        let opcode = prop::sample::select(&[
            OpCode::Continuation,
            OpCode::Continuation,
            OpCode::Text,
            OpCode::Binary,
            OpCode::Ping,
            OpCode::Pong,
            OpCode::Close,
        ]);
        (any::<bool>(), opcode, payload).prop_map(|(is_final, opcode, payload)| Sent {
            is_final: is_final || opcode.is_control(),
            opcode,
            payload: if opcode == OpCode::Close {
                Vec::new()
            } else {
                payload
            },
        })
    }

    proptest! {
        #[test]
        fn fr_10_order_and_text_agree_with_the_model_for_any_split(
            frames in prop::collection::vec(sent(), 0..8),
            key: Option<[u8; 4]>,
            chunk_len in 1_usize..20,
        ) {
            let mut bytes = Vec::new();
            for frame in &frames {
                push_frame(&mut bytes, frame.is_final, frame.opcode, &frame.payload, key);
            }
            let role = if key.is_some() { Role::Server } else { Role::Client };
            let expected = model(&frames);
            prop_assert_eq!(&read(role, &LIMITS, [&bytes[..]]), &expected);
            prop_assert_eq!(&read(role, &LIMITS, bytes.chunks(chunk_len)), &expected);
        }

        #[test]
        fn any_split_of_any_bytes_gives_the_same_events(
            bytes in prop::collection::vec(
                prop_oneof![3 => 0_u8..8, 3 => 0x80_u8..0x90, 1 => any::<u8>()], 0..60),
            chunk_len in 1_usize..12,
            role in prop::sample::select(&[Role::Server, Role::Client]),
        ) {
            let limits = MessageLimits { message_bytes_max: 20, fragments_max: 3 };
            let whole = read(role, &limits, [&bytes[..]]);
            prop_assert_eq!(&read(role, &limits, bytes.chunks(chunk_len)), &whole);
            prop_assert_eq!(&read(role, &limits, bytes.chunks(1)), &whole);
        }

        #[test]
        fn ms_03_encode_then_read_is_identity(
            payload in prop::collection::vec(any::<u8>(), 0..70_000),
            key: [u8; 4],
            chunk_len in 1_usize..70_000,
        ) {
            let mut bytes = Vec::new();
            encode_masked_frame(&mut bytes, OpCode::Binary, &[&payload], key);
            let events = read(Role::Server, &LIMITS, bytes.chunks(chunk_len));
            prop_assert_eq!(events, (vec![Event::Binary(payload)], None));
        }
    }
}
