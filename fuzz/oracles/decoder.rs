//! Any bytes as a stream of frames: the reader must give the same for every split, within bounded
//! memory, and agree with a naive twin and with an independent implementation.
//!
//! | Input byte | Meaning |
//! |---|---|
//! | 0 | bit 0: role of the reader; bits 1 and 2: which limits |
//! | 1 | how the stream is cut |
//! | 2 and on | the stream |

use std::io::{self, Read, Write};

use switchboard::proto::{
    CloseFrame, Incoming, Message, MessageLimits, MessageReader, OpCode, ProtocolError, Role,
};
use tungstenite::protocol::{Role as TheirRole, WebSocket, WebSocketConfig};
use tungstenite::{
    Error as TheirError, Message as TheirMessage, error::ProtocolError as TheirFault,
};

/// Checks one input.
///
/// # Panics
///
/// If the reader is wrong.
pub(crate) fn check(data: &[u8]) {
    let Some((&[settings, cuts], stream)) = data.split_first_chunk() else {
        return;
    };
    let role = if settings & 1 == 0 {
        Role::Server
    } else {
        Role::Client
    };
    let limits = LIMITS[usize::from(settings >> 1) % LIMITS.len()];

    let expected = twin(stream, role, &limits);
    assert_eq!(read(role, &limits, [stream]), expected, "whole");
    assert_eq!(
        read(role, &limits, stream.chunks(1)),
        expected,
        "byte by byte"
    );
    assert_eq!(read(role, &limits, cut(stream, cuts)), expected, "cut");
    assert_agrees_with_tungstenite(stream, role, &limits, &expected);
}

/// Small limits let short inputs go over them.
const LIMITS: [MessageLimits; 4] = [
    MessageLimits {
        message_bytes_max: 1 << 20,
        fragments_max: 1 << 17,
    },
    MessageLimits {
        message_bytes_max: 16,
        fragments_max: 3,
    },
    MessageLimits {
        message_bytes_max: 200,
        fragments_max: 2,
    },
    MessageLimits {
        message_bytes_max: 0,
        fragments_max: 0,
    },
];

/// An [`Incoming`] that outlives the call that gave it.
#[derive(Debug, PartialEq, Eq)]
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
            Incoming::Close(close) => Self::close(close),
        }
    }
}

impl Event {
    fn close(close: Option<CloseFrame<'_>>) -> Self {
        Self::Close(close.map(|close| (close.code.get(), close.reason.to_owned())))
    }
}

/// What a stream gives, and the fault that ends it, if any.
type Outcome = (Vec<Event>, Option<ProtocolError>);

/// The limit of a message in bytes.
fn message_len_max(limits: &MessageLimits) -> usize {
    usize::try_from(limits.message_bytes_max).expect("the limits above are small")
}

/// The stream in pieces of 1 to 16 bytes that `seed` chooses.
fn cut(stream: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = stream;
    let mut state = u32::from(seed);
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let len = (state >> 28) as usize + 1;
        let (piece, behind) = rest.split_at(len.min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What our reader makes of the pieces of a stream, watching its memory.
fn read<'a>(
    role: Role,
    limits: &MessageLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut reader = MessageReader::new(role);
    let mut events = Vec::new();
    let mut received_len = 0;
    for piece in pieces {
        received_len += piece.len();
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        loop {
            match reader.next(&mut input, limits) {
                Ok(Some(incoming)) => events.push(incoming.into()),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
        assert!(input.is_empty(), "input is left over");
        let held_len_max = (2 * received_len).min(message_len_max(limits)) + 300;
        assert!(reader.held_len() <= held_len_max, "holds too much");
        assert!(
            reader.is_mid_message() || reader.held_len() == 0,
            "idle, but holds memory"
        );
    }
    (events, None)
}

/// The rules of RFC 6455 written down a second time, for a stream that is all there, without a
/// thought for speed.
fn twin(stream: &[u8], role: Role, limits: &MessageLimits) -> Outcome {
    let mut twin = Twin {
        stream,
        events: Vec::new(),
        open: None,
    };
    let error = loop {
        match twin.next_frame(role, limits) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
    };
    (twin.events, error)
}

/// The state of the naive twin.
struct Twin<'a> {
    /// What is still to be read.
    stream: &'a [u8],
    events: Vec<Event>,
    /// The unfinished message: opcode, payload, frames and announced bytes.
    open: Option<(u8, Vec<u8>, u32, u128)>,
}

impl Twin<'_> {
    /// Reads a frame; false if the stream ends before it does.
    fn next_frame(&mut self, role: Role, limits: &MessageLimits) -> Result<bool, ProtocolError> {
        let byte = |index: usize| self.stream.get(index).copied();
        let Some(first) = byte(0) else {
            return Ok(false);
        };
        let (is_final, opcode) = (first >= 0x80, first % 16);
        if first & 0b0111_0000 > 0 {
            return Err(ProtocolError::ReservedBitSet);
        }
        if !matches!(opcode, 0..=2 | 8..=10) {
            return Err(ProtocolError::ReservedOpCode);
        }
        if opcode >= 8 && !is_final {
            return Err(ProtocolError::FragmentedControlFrame);
        }
        let Some(second) = byte(1) else {
            return Ok(false);
        };
        match role {
            Role::Server if second < 0x80 => return Err(ProtocolError::UnmaskedFrame),
            Role::Client if second >= 0x80 => return Err(ProtocolError::MaskedFrame),
            Role::Server | Role::Client => {}
        }
        let (len_start, len_len) = match second % 128 {
            126.. if opcode >= 8 => return Err(ProtocolError::ControlFrameTooLong),
            126 => (2, 2),
            127 => (2, 8),
            _ => (1, 1),
        };
        if len_len == 8 && byte(2).is_some_and(|byte| byte >= 0x80) {
            return Err(ProtocolError::LengthTopBitSet);
        }
        let mut payload_len = 0_u128;
        for index in len_start..len_start + len_len {
            let Some(byte) = byte(index) else {
                return Ok(false);
            };
            let digit = if len_len == 1 { byte % 128 } else { byte };
            payload_len = payload_len * 256 + u128::from(digit);
        }
        if (len_len == 2 && payload_len < 126) || (len_len == 8 && payload_len < 65_536) {
            return Err(ProtocolError::LengthNotMinimal);
        }
        let mut start = len_start + len_len;
        let mut key = [0; 4];
        if role == Role::Server {
            for octet in &mut key {
                let Some(byte) = byte(start) else {
                    return Ok(false);
                };
                *octet = byte;
                start += 1;
            }
        }
        let arrived = self.stream[start..].iter().enumerate();
        let payload: Vec<u8> = arrived
            .map(|(index, octet)| octet ^ key[index % 4])
            .take(usize::try_from(payload_len).unwrap_or(usize::MAX))
            .collect();
        let is_whole = payload.len() as u128 == payload_len;
        self.stream = &self.stream[start + payload.len()..];
        if opcode < 8 {
            self.data(is_final, opcode, payload_len, &payload, limits)?;
        } else if is_whole {
            self.control(opcode, payload)?;
        }
        Ok(is_whole)
    }

    /// Takes a data frame, of which only `payload` has arrived.
    fn data(
        &mut self,
        is_final: bool,
        opcode: u8,
        payload_len: u128,
        payload: &[u8],
        limits: &MessageLimits,
    ) -> Result<(), ProtocolError> {
        let (opcode, mut message, frame_count, sum) = match (opcode, self.open.take()) {
            (0, None) => return Err(ProtocolError::UnexpectedContinuation),
            (0, Some((_, _, frame_count, _))) if frame_count >= limits.fragments_max => {
                return Err(ProtocolError::TooManyFragments);
            }
            (0, Some(open)) => open,
            (_, Some(_)) => return Err(ProtocolError::InterruptedMessage),
            (opcode, None) => (opcode, Vec::new(), 0, 0),
        };
        let sum = sum + payload_len;
        if sum > u128::from(limits.message_bytes_max) {
            return Err(ProtocolError::MessageTooBig);
        }
        message.extend_from_slice(payload);
        // As the limits hold, the sum is the length of the message as soon as all has arrived.
        let is_done = is_final && message.len() as u128 == sum;
        if opcode == OpCode::Text as u8
            && let Err(error) = str::from_utf8(&message)
            && (is_done || error.error_len().is_some())
        {
            return Err(ProtocolError::InvalidUtf8);
        }
        if !is_done {
            self.open = Some((opcode, message, frame_count + 1, sum));
        } else if opcode == OpCode::Text as u8 {
            self.events
                .extend(String::from_utf8(message).ok().map(Event::Text));
        } else {
            self.events.push(Event::Binary(message));
        }
        Ok(())
    }

    /// Takes a whole control frame.
    fn control(&mut self, opcode: u8, payload: Vec<u8>) -> Result<(), ProtocolError> {
        self.events.push(match opcode {
            9 => Event::Ping(payload),
            10 => Event::Pong(payload),
            _ => Event::close(CloseFrame::parse(&payload)?),
        });
        Ok(())
    }
}

/// Compares with tungstenite up to the first Close, behind which it reads nothing.
///
/// Intended differences:
///
/// * We fail a frame as soon as a byte of it is wrong, tungstenite when all of it is there. So it
///   may see no fault where we see one, but must give the same messages before it.
/// * Tungstenite replaces status code 1014, which was registered late, as if it were invalid.
/// * Tungstenite takes lengths that are not in their shortest form (which makes a control frame one
///   that is too long for us), any number of fragments, and invalid status codes in a Close (which
///   it replaces). So it may give more messages than we do where we fail for one of these.
fn assert_agrees_with_tungstenite(
    stream: &[u8],
    role: Role,
    limits: &MessageLimits,
    (ours, our_error): &Outcome,
) {
    let (theirs, their_error) = read_with_tungstenite(stream, role, limits);
    if let Some(end) = ours
        .iter()
        .position(|event| matches!(event, Event::Close(_)))
    {
        let is_unknown_to_them = matches!(ours[end], Event::Close(Some((1014, _))));
        let compared_len = if is_unknown_to_them { end } else { end + 1 };
        assert_eq!(theirs.len(), end + 1);
        assert_eq!(theirs[..compared_len], ours[..compared_len]);
        return;
    }
    match our_error {
        None => {
            assert_eq!(theirs, *ours);
            let is_end = matches!(
                their_error,
                None | Some(TheirError::Protocol(
                    TheirFault::ResetWithoutClosingHandshake
                ))
            );
            assert!(is_end, "only they fail: {their_error:?}");
        }
        Some(
            ProtocolError::LengthNotMinimal
            | ProtocolError::ControlFrameTooLong
            | ProtocolError::TooManyFragments
            | ProtocolError::InvalidCloseCode,
        ) => assert_eq!(theirs[..ours.len()], *ours),
        Some(_) => assert_eq!(theirs, *ours),
    }
}

/// What tungstenite makes of a stream, up to the first Close or fault; its end is one, too.
fn read_with_tungstenite(
    stream: &[u8],
    role: Role,
    limits: &MessageLimits,
) -> (Vec<Event>, Option<TheirError>) {
    let role = match role {
        Role::Server => TheirRole::Server,
        Role::Client => TheirRole::Client,
    };
    let message_len_max = message_len_max(limits);
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(message_len_max))
        // It counts control frames, too.
        .max_frame_size(Some(message_len_max.max(125)));
    let mut socket = WebSocket::from_raw_socket(OneWay(stream), role, Some(config));
    let mut events = Vec::new();
    loop {
        events.push(match socket.read() {
            Ok(TheirMessage::Text(text)) => Event::Text(text.as_str().to_owned()),
            Ok(TheirMessage::Binary(bytes)) => Event::Binary(bytes.to_vec()),
            Ok(TheirMessage::Ping(payload)) => Event::Ping(payload.to_vec()),
            Ok(TheirMessage::Pong(payload)) => Event::Pong(payload.to_vec()),
            Ok(TheirMessage::Frame(_)) => unreachable!("frames are only sent, never read"),
            Ok(TheirMessage::Close(close)) => {
                let close =
                    close.map(|close| (close.code.into(), close.reason.as_str().to_owned()));
                events.push(Event::Close(close));
                return (events, None);
            }
            Err(error) => return (events, Some(error)),
        });
    }
}

/// A stream to read from; what is written is lost.
struct OneWay<'a>(&'a [u8]);

impl Read for OneWay<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for OneWay<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
