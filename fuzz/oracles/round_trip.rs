//! Any messages: what is encoded must be read back as it was, in both directions.
//!
//! The input is a list of messages, each of them:
//!
//! | Byte | Meaning |
//! |---|---|
//! | 0 | low four bits: the kind; high four bits: how often the payload is repeated, as a power of 2 |
//! | 1 | where it is cut into fragments |
//! | 2 to 5 | the masking key |
//! | 6 | how many bytes of payload follow |

use switchboard::proto::{
    CloseCode, CloseFrame, EncodedFrame, FrameBuffer, FrameRange, Incoming, Message, MessageLimits,
    MessageReader, OpCode, Role, encode_close, encode_masked_frame, frame_len_at,
};

/// Checks one input.
///
/// # Panics
///
/// If a message does not come out as it went in.
pub(crate) fn check(data: &[u8]) {
    let sent = parse(data);
    assert_from_client(&sent);
    assert_from_server(&sent);
    assert_closes(&sent);
}

/// No message of an input is longer or in more pieces.
const LIMITS: MessageLimits = MessageLimits {
    message_bytes_max: 1 << 24,
    fragments_max: 2,
};

/// Enough for every form of a length, and little enough to be quick.
const PAYLOAD_LEN_MAX: usize = 70_000;

/// A message to be sent.
#[derive(Debug)]
struct Sent {
    opcode: OpCode,
    payload: Vec<u8>,
    key: [u8; 4],
    /// The length of the first fragment.
    first_len: usize,
}

/// The messages of an input; text is made valid, payloads of control frames are made short.
fn parse(mut data: &[u8]) -> Vec<Sent> {
    let mut messages = Vec::new();
    while let Some((&[kind, cut, a, b, c, d, len], rest)) = data.split_first_chunk() {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(len)));
        data = rest;
        let opcode = match kind % 16 {
            0..=5 => OpCode::Text,
            6..=11 => OpCode::Binary,
            12 | 13 => OpCode::Ping,
            _ => OpCode::Pong,
        };
        let len = (payload.len() << (kind >> 4)).min(PAYLOAD_LEN_MAX);
        let mut payload: Vec<u8> = payload.iter().copied().cycle().take(len).collect();
        if opcode == OpCode::Text {
            payload = String::from_utf8_lossy(&payload).into_owned().into_bytes();
        }
        if opcode.is_control() {
            payload.truncate(125);
        }
        let first_len = payload.len() * usize::from(cut) / 255;
        messages.push(Sent {
            opcode,
            payload,
            key: [a, b, c, d],
            first_len,
        });
    }
    messages
}

/// Whether this is the message that was sent.
fn is_same(incoming: Incoming<'_>, sent: &Sent) -> bool {
    match incoming {
        Incoming::Message(message @ (Message::Text(_) | Message::Binary(_))) => {
            (message.opcode(), message.payload()) == (sent.opcode, &sent.payload[..])
        }
        Incoming::Ping(payload) => (OpCode::Ping, payload) == (sent.opcode, &sent.payload[..]),
        Incoming::Pong(payload) => (OpCode::Pong, payload) == (sent.opcode, &sent.payload[..]),
        Incoming::Close(_) => false,
    }
}

/// Asserts that pieces of `stream` of `piece_len` bytes are read as the messages that were sent.
fn assert_reads(role: Role, stream: &[u8], piece_len: usize, sent: &[Sent]) {
    let mut reader = MessageReader::new(role);
    let mut expected = sent.iter();
    let mut stream = stream.to_vec();
    for mut input in stream.chunks_mut(piece_len.max(1)) {
        while let Some(incoming) = reader
            .next(&mut input, &LIMITS)
            .expect("our own frames are valid")
        {
            let sent = expected.next().expect("no more messages than were sent");
            assert!(is_same(incoming, sent), "{incoming:?} instead of {sent:?}");
        }
    }
    assert!(expected.next().is_none(), "a message is missing");
    assert!(!reader.is_mid_message());
}

/// Client to server: masked, and in two fragments where the cut says so.
fn assert_from_client(sent: &[Sent]) {
    let mut stream = Vec::new();
    for message in sent {
        let start = stream.len();
        let (first, second) = message.payload.split_at(message.first_len);
        if message.opcode.is_control() || second.is_empty() {
            encode_masked_frame(&mut stream, message.opcode, &[first, second], message.key);
            continue;
        }
        encode_masked_frame(&mut stream, message.opcode, &[first], message.key);
        stream[start] &= 0x7F;
        encode_masked_frame(&mut stream, OpCode::Continuation, &[second], message.key);
    }
    for piece_len in [stream.len(), 1000, 65_536, sent.len() + 6] {
        assert_reads(Role::Server, &stream, piece_len, sent);
    }
}

/// Server to client: through the turn buffer, in turns of three messages.
fn assert_from_server(sent: &[Sent]) {
    let mut buffer = FrameBuffer::default();
    let mut held: Vec<EncodedFrame> = Vec::new();
    let mut stream = Vec::new();
    for turn in sent.chunks(3) {
        let ranges: Vec<FrameRange> = turn
            .iter()
            .map(|message| {
                buffer.encode(
                    message.opcode,
                    &[
                        &message.payload[..message.first_len],
                        &message.payload[message.first_len..],
                    ],
                )
            })
            .collect();
        let shared = buffer.share();
        assert!(buffer.is_empty());
        let mut merged = shared.slice(FrameRange::new(0, 0));
        for range in ranges {
            let frame = shared.slice(range);
            assert_eq!(frame_len_at(frame.as_bytes()), frame.len());
            assert!(merged.try_merge(&frame), "neighbours merge");
        }
        assert_eq!(merged.as_bytes(), shared.as_bytes());
        stream.extend_from_slice(shared.as_bytes());
        // Now and then a receiver lags, and its buffer must stay as it is.
        if turn[0].key[0] % 2 == 0 {
            held.clear();
        }
        held.push(shared);
    }
    let held_len: usize = held.iter().map(EncodedFrame::len).sum();
    let held_bytes: Vec<u8> = held
        .iter()
        .flat_map(|frame| frame.as_bytes().to_vec())
        .collect();
    assert_eq!(held_bytes, stream[stream.len() - held_len..]);
    for piece_len in [stream.len(), 1000, sent.len() + 6] {
        assert_reads(Role::Client, &stream, piece_len, sent);
    }
}

/// The text of each message as the reason of a Close.
fn assert_closes(sent: &[Sent]) {
    for message in sent {
        let Ok(reason) = str::from_utf8(&message.payload) else {
            continue;
        };
        let mut stream = Vec::new();
        encode_close(
            &mut stream,
            Some(CloseFrame {
                code: CloseCode::NORMAL,
                reason,
            }),
        );
        let mut input = &mut stream[..];
        let mut reader = MessageReader::new(Role::Client);
        let close = reader
            .next(&mut input, &LIMITS)
            .expect("our own frames are valid");
        let Some(Incoming::Close(Some(close))) = close else {
            panic!("{close:?} instead of a close");
        };
        assert_eq!(close.code, CloseCode::NORMAL);
        assert!(reason.starts_with(close.reason));
        assert!(close.reason.len() == reason.len() || close.reason.len() > 119);
    }
}
