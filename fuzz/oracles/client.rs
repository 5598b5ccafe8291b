//! A server of any kind, from its answer to the opening handshake to its last frame: the client makes the same of it for
//! every cut, and what it sends itself is what a server may read.

use switchboard::client::{Conversation, Event};
use switchboard::http::{Opening, OpeningAnswer, OpeningError, SocketUrl};
use switchboard::proto::{
    CloseCode, Incoming, MessageLimits, MessageReader, OpCode, ProtocolError, Role,
};

/// The nonce of the example in RFC 6455 1.3.
const NONCE: [u8; 16] = *b"the sample nonce";
/// What `\x01` at the beginning of the bytes stands for.
const GOOD_ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// Small limits, so that short inputs reach them.
const LIMITS: MessageLimits = MessageLimits {
    message_bytes_max: 200,
    fragments_max: 4,
};

/// Has a client read `data`: a byte that says how it is cut, one that says after how many events the client closes, and
/// what the server sends.
///
/// # Panics
///
/// If a cut changes what comes of it, or if the client does what a client must not.
pub(crate) fn check(data: &[u8]) {
    let Some((&[step, patience], bytes)) = data.split_first_chunk() else {
        return;
    };
    let bytes = match bytes {
        [1, frames @ ..] => [GOOD_ANSWER, frames].concat(),
        _ => bytes.to_vec(),
    };
    let Some(head_len) = judge(&bytes, 1 + usize::from(step)) else {
        return;
    };
    let frames = &bytes[head_len..];
    let whole = converse(frames, frames.len().max(1), patience);
    for step in [1, 1 + usize::from(step)] {
        let cut = converse(frames, step, patience);
        assert_eq!(whole, cut, "a cut changes what is heard");
    }
    check_sent(&whole);
}

/// Judges the answer to the opening handshake whole and cut every `step` bytes; how long its head is if it opens.
fn judge(bytes: &[u8], step: usize) -> Option<usize> {
    let opening = Opening::new(NONCE, &["chat", "json.v1"]);
    let whole = opening.judge(bytes);
    let url = SocketUrl::parse("ws://localhost/").expect("a URL");
    let request = opening.encode(&url, &[]).expect("nothing is wrong with it");
    assert!(request.ends_with(b"\r\n\r\n"));
    // The limit on heads is about what has arrived so far; beyond it the words for what is wrong depend on the cut.
    if bytes.len() < 16 << 10 {
        for end in (0..bytes.len()).step_by(step) {
            let judged = opening.judge(&bytes[..end]);
            assert!(
                judged == Ok(OpeningAnswer::Incomplete) || judged == whole,
                "{end}: {judged:?} becomes {whole:?}"
            );
        }
    }
    match whole {
        Ok(OpeningAnswer::Open {
            head_len,
            subprotocol,
            ..
        }) => {
            check_open(&bytes[..head_len], subprotocol.as_deref());
            Some(head_len)
        }
        Ok(OpeningAnswer::Refused {
            head_len,
            status,
            body,
            ..
        }) => {
            assert!(status != 101 && !(100..200).contains(&status));
            let beginning = body.beginning(&bytes[head_len..], 100);
            assert!(beginning.content.len() <= 100.min(bytes.len() - head_len));
            None
        }
        Ok(OpeningAnswer::Incomplete) => None,
        Err(error) => {
            assert!(!error.to_string().contains('\n'));
            if error == OpeningError::HeadTooLong {
                assert!(bytes.len() > 200, "a hundred fields take some room");
            }
            None
        }
    }
}

/// What every answer that opens a WebSocket has somewhere.
fn check_open(head: &[u8], subprotocol: Option<&str>) {
    let head = String::from_utf8_lossy(head);
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(head.to_ascii_lowercase().contains("websocket"));
    assert!(head.contains("HTTP/1.1 101"));
    if let Some(name) = subprotocol {
        assert!(matches!(name, "chat" | "json.v1") && head.contains(name));
    }
}

/// What came of a stream of frames.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    events: Vec<Event>,
    error: Option<ProtocolError>,
    /// What the client has sent, unmasked: opcode and payload.
    sent: Vec<(OpCode, Vec<u8>)>,
    is_over: bool,
}

/// Has a client read `frames` in pieces of `step` bytes; it answers each event, and closes after so many.
fn converse(frames: &[u8], step: usize, events_max: u8) -> Heard {
    let mut conversation = Conversation::new(LIMITS);
    let mut heard = Heard::default();
    'pieces: for piece in frames.chunks(step) {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        loop {
            match conversation.next_event(&mut input) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    assert_eq!(matches!(event, Event::Closed(_)), conversation.is_over());
                    heard.events.push(event);
                    if heard.events.len() > usize::from(events_max) {
                        conversation.close(CloseCode::NORMAL, "enough");
                    } else {
                        conversation.send(OpCode::Text, b"heard");
                    }
                }
                Err(error) => {
                    heard.error = Some(error);
                    break 'pieces;
                }
            }
        }
        assert!(input.is_empty(), "all of the input is taken");
    }
    heard.is_over = conversation.is_over();
    let mut late = *b"\x81\x01x";
    if heard.is_over {
        assert_eq!(conversation.next_event(&mut &mut late[..]), Ok(None));
    }
    heard.sent = understood(conversation.unsent());
    heard
}

/// What a server makes of what the client sends: an error is the client's fault.
fn understood(bytes: &[u8]) -> Vec<(OpCode, Vec<u8>)> {
    let mut bytes = bytes.to_vec();
    let mut input = &mut bytes[..];
    let mut reader = MessageReader::new(Role::Server);
    let mut frames = Vec::new();
    while let Some(incoming) = reader.next(&mut input, &LIMITS).expect("clean frames") {
        frames.push(match incoming {
            Incoming::Message(message) => (message.opcode(), message.payload().to_vec()),
            Incoming::Ping(payload) => (OpCode::Ping, payload.to_vec()),
            Incoming::Pong(payload) => (OpCode::Pong, payload.to_vec()),
            Incoming::Close(None) => (OpCode::Close, Vec::new()),
            Incoming::Close(Some(close)) => {
                (OpCode::Close, close.code.get().to_be_bytes().to_vec())
            }
        });
    }
    assert!(!reader.is_mid_message() && input.is_empty(), "whole frames");
    frames
}

/// The client sends one Close frame at most, as the last thing, and says with it what it thinks of the server.
fn check_sent(heard: &Heard) {
    let closes = heard.sent.iter().filter(|frame| frame.0 == OpCode::Close);
    let close_count = closes.count();
    assert!(close_count <= 1);
    let last = heard.sent.last().filter(|frame| frame.0 == OpCode::Close);
    assert_eq!(last.is_some(), close_count == 1, "nothing follows it");
    assert!(!heard.is_over || close_count == 1);
    let Some((_, payload)) = last else {
        return;
    };
    let code = payload.first_chunk().copied().map(u16::from_be_bytes);
    let has_closed_first = code == Some(1000);
    match (&heard.error, heard.events.last()) {
        (Some(error), _) => {
            assert!(has_closed_first || code == Some(error.close_code().get()));
        }
        (None, Some(Event::Closed(ending))) => {
            assert!(has_closed_first || code == ending.code.map(CloseCode::get));
        }
        (None, _) => assert!(has_closed_first),
    }
    let received: usize = heard.events.iter().map(len).sum();
    assert!(received <= heard.events.len() * 200);
}

/// Bytes of the payload of an event.
fn len(event: &Event) -> usize {
    match event {
        Event::Text(text) => text.len(),
        Event::Binary(bytes) | Event::Pong(bytes) => bytes.len(),
        _ => 0,
    }
}
