//! What servers may and must not send, byte by byte and cut anywhere; and what a server makes of what the client sends.

use proptest::prelude::*;

use super::*;

const LIMITS: MessageLimits = MessageLimits {
    message_bytes_max: 1000,
    fragments_max: 4,
};

/// Everything that comes of `bytes`, cut before each of `cuts`, and the error if there is one.
fn hear(bytes: &[u8], cuts: &[usize]) -> (Conversation, Vec<Event>, Option<ProtocolError>) {
    let mut conversation = Conversation::new(LIMITS);
    let mut events = Vec::new();
    let mut bounds = cuts.to_vec();
    bounds.extend([0, bytes.len()]);
    bounds.sort_unstable();
    for piece in bounds.windows(2) {
        let mut piece = bytes[piece[0]..piece[1]].to_vec();
        let mut input = &mut piece[..];
        loop {
            match conversation.next_event(&mut input) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (conversation, events, Some(error)),
            }
        }
    }
    (conversation, events, None)
}

/// The same whole, byte by byte, and cut at every place, which must all give the same.
fn hear_however(bytes: &[u8]) -> (Conversation, Vec<Event>, Option<ProtocolError>) {
    let every_place: Vec<usize> = (0..bytes.len()).collect();
    let (whole, events, error) = hear(bytes, &[]);
    for cuts in every_place
        .iter()
        .map(std::slice::from_ref)
        .chain([&every_place[..]])
    {
        let (cut, cut_events, cut_error) = hear(bytes, cuts);
        assert_eq!(
            (&cut_events, cut_error),
            (&events, error),
            "cut at {cuts:?}"
        );
        assert_eq!(answers(&cut), answers(&whole), "cut at {cuts:?}");
    }
    (whole, events, error)
}

/// What a server makes of the frames that wait to be written.
fn answers(conversation: &Conversation) -> Vec<(OpCode, Vec<u8>)> {
    understood(conversation.unsent())
}

/// What a server makes of `bytes`.
fn understood(bytes: &[u8]) -> Vec<(OpCode, Vec<u8>)> {
    let mut bytes = bytes.to_vec();
    let mut input = &mut bytes[..];
    let mut reader = MessageReader::new(Role::Server);
    let limits = MessageLimits {
        message_bytes_max: u64::MAX,
        fragments_max: 1,
    };
    let mut answers = Vec::new();
    while let Some(incoming) = reader.next(&mut input, &limits).unwrap() {
        answers.push(match incoming {
            Incoming::Message(message) => (message.opcode(), message.payload().to_vec()),
            Incoming::Ping(payload) => (OpCode::Ping, payload.to_vec()),
            Incoming::Pong(payload) => (OpCode::Pong, payload.to_vec()),
            Incoming::Close(None) => (OpCode::Close, Vec::new()),
            Incoming::Close(Some(close)) => {
                let code = close.code.get().to_be_bytes();
                (OpCode::Close, [&code, close.reason.as_bytes()].concat())
            }
        });
    }
    assert!(!reader.is_mid_message());
    answers
}

fn closed(code: u16, reason: &str) -> Event {
    Event::Closed(Ending {
        code: CloseCode::from_wire(code),
        reason: reason.into(),
    })
}

#[test]
fn what_a_server_may_send_is_understood_however_it_is_cut() {
    let long = [&b"\x82\x7e\x01\x00"[..], &[7; 256]].concat();
    for (bytes, expected) in [
        (&b"\x81\x05Hello"[..], vec![Event::Text("Hello".into())]),
        (b"\x01\x03Hel\x80\x02lo", vec![Event::Text("Hello".into())]),
        (
            b"\x01\x02\xc3\xa4\x89\x00\x80\x00",
            vec![Event::Text("ä".into())],
        ),
        (
            b"\x82\x00\x81\x00",
            vec![Event::Binary(vec![]), Event::Text(String::new())],
        ),
        (&long, vec![Event::Binary(vec![7; 256])]),
        (b"\x8a\x02hi", vec![Event::Pong(b"hi".to_vec())]),
        (b"\x88\x00", vec![Event::Closed(Ending::default())]),
        (b"\x88\x05\x03\xe9bye", vec![closed(1001, "bye")]),
        (b"\x88\x02\x03\xe8\x81\x01x", vec![closed(1000, "")]),
    ] {
        let (_, events, error) = hear_however(bytes);
        assert_eq!((events, error), (expected, None), "{bytes:02x?}");
    }
}

#[test]
fn what_a_server_must_not_send_is_answered_with_its_close_code_and_nothing_behind_it_counts() {
    let too_long = [&b"\x82\x7e\x03\xe9"[..], &[0; 1001]].concat();
    for (bytes, error, code) in [
        (
            &b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..],
            ProtocolError::MaskedFrame,
            1002,
        ),
        (b"\xc1\x00", ProtocolError::ReservedBitSet, 1002),
        (b"\x83\x00", ProtocolError::ReservedOpCode, 1002),
        (b"\x8b\x00", ProtocolError::ReservedOpCode, 1002),
        (b"\x09\x00", ProtocolError::FragmentedControlFrame, 1002),
        (
            b"\x89\x7e\x00\x7e",
            ProtocolError::ControlFrameTooLong,
            1002,
        ),
        (b"\x82\x7e\x00\x7d", ProtocolError::LengthNotMinimal, 1002),
        (
            b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
            ProtocolError::LengthTopBitSet,
            1002,
        ),
        (b"\x80\x00", ProtocolError::UnexpectedContinuation, 1002),
        (b"\x01\x00\x81\x00", ProtocolError::InterruptedMessage, 1002),
        (b"\x81\x01\xff", ProtocolError::InvalidUtf8, 1007),
        (&too_long, ProtocolError::MessageTooBig, 1009),
        (
            b"\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00",
            ProtocolError::MessageTooBig,
            1009,
        ),
        (
            b"\x01\x00\x00\x00\x00\x00\x00\x00\x80\x00",
            ProtocolError::TooManyFragments,
            1008,
        ),
        (b"\x88\x01\x03", ProtocolError::TruncatedCloseCode, 1002),
        (b"\x88\x02\x03\xed", ProtocolError::InvalidCloseCode, 1002),
        (b"\x88\x03\x03\xe8\xff", ProtocolError::InvalidUtf8, 1007),
    ] {
        let (mut conversation, events, found) = hear_however(bytes);
        assert_eq!((events, found), (vec![], Some(error)), "{bytes:02x?}");
        let answered = answers(&conversation);
        let [(OpCode::Close, payload)] = &answered[..] else {
            panic!("{bytes:02x?}: {answered:?}")
        };
        assert_eq!(payload[..2], u16::to_be_bytes(code), "{bytes:02x?}");
        let mut later = *b"\x81\x01x";
        assert_eq!(conversation.next_event(&mut &mut later[..]), Ok(None));
        conversation.send(OpCode::Text, b"x");
        assert_eq!(
            answers(&conversation).len(),
            1,
            "nothing follows a Close frame"
        );
    }
}

/// A frame of a server with a length in its shortest form.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ ..=125 => bytes.extend(u8::try_from(len)),
        len => {
            bytes.push(126);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

#[test]
fn both_sides_of_every_boundary_are_told_apart() {
    use ProtocolError as E;
    let bytes = |len| vec![7; len];
    let cut_text = [frame(0x01, "ä€".as_bytes()), frame(0x80, b"\xf0\x9f\x98")].concat();
    let wrong_text = [frame(0x01, b"\xf0\x9f"), frame(0x80, b"\x28\x80")].concat();
    for (name, bytes, expected) in [
        ("a message at the limit", frame(0x82, &bytes(1000)), None),
        (
            "one over it",
            frame(0x82, &bytes(1001)),
            Some(E::MessageTooBig),
        ),
        (
            "fragments at the limit",
            [frame(0x02, &bytes(999)), frame(0x80, b"x")].concat(),
            None,
        ),
        (
            "fragments one over it",
            [frame(0x02, &bytes(999)), frame(0x80, b"xy")].concat(),
            Some(E::MessageTooBig),
        ),
        (
            "as many fragments as may be",
            [frame(0x02, b""), frame(0, b"").repeat(2), frame(0x80, b"")].concat(),
            None,
        ),
        (
            "one more",
            [frame(0x02, b""), frame(0, b"").repeat(4)].concat(),
            Some(E::TooManyFragments),
        ),
        ("a long ping", frame(0x89, &bytes(125)), None),
        (
            "one too long",
            frame(0x89, &bytes(126)),
            Some(E::ControlFrameTooLong),
        ),
        (
            "a long reason",
            frame(0x88, &[&b"\x03\xe8"[..], &[b'x'; 123]].concat()),
            None,
        ),
        (
            "one too long",
            frame(0x88, &[&b"\x03\xe8"[..], &[b'x'; 124]].concat()),
            Some(E::ControlFrameTooLong),
        ),
        ("126 in 16 bits", frame(0x82, &bytes(126)), None),
        (
            "65,535 in 64 bits",
            b"\x82\x7f\0\0\0\0\0\0\xff\xff".to_vec(),
            Some(E::LengthNotMinimal),
        ),
        (
            "a text to the last character",
            frame(0x81, "\u{10ffff}".as_bytes()),
            None,
        ),
        (
            "one beyond it",
            frame(0x81, b"\xf4\x90\x80\x80"),
            Some(E::InvalidUtf8),
        ),
        (
            "the last before the surrogates",
            frame(0x81, b"\xed\x9f\xbf"),
            None,
        ),
        (
            "the first of them",
            frame(0x81, b"\xed\xa0\x80"),
            Some(E::InvalidUtf8),
        ),
        (
            "a character in more bytes than it needs",
            frame(0x81, b"\xc0\xaf"),
            Some(E::InvalidUtf8),
        ),
        (
            "a text that ends inside a character",
            cut_text,
            Some(E::InvalidUtf8),
        ),
        (
            "a character that goes wrong in the next fragment",
            wrong_text,
            Some(E::InvalidUtf8),
        ),
        ("no UTF-8, but binary", frame(0x82, b"\xff\xfe"), None),
    ] {
        assert_eq!(hear_however(&bytes).2, expected, "{name}");
    }
}

#[test]
fn every_first_byte_and_every_close_code_is_judged_as_the_rfc_says() {
    for first in 0..=u8::MAX {
        let is_known = matches!(first, 0x01 | 0x02 | 0x81 | 0x82 | 0x88 | 0x89 | 0x8a);
        let (.., error) = hear(&[first, 0], &[]);
        assert_eq!(error.is_none(), is_known, "{first:#x}");
        let (.., error) = hear(&[first, 0x80], &[]);
        assert!(error.is_some(), "{first:#x} masked");
    }
    for code in 0..=u16::MAX {
        let may_be_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let (conversation, events, error) = hear(&frame(0x88, &code.to_be_bytes()), &[]);
        if may_be_sent {
            assert_eq!((events, error), (vec![closed(code, "")], None), "{code}");
        } else {
            let refused = (vec![], Some(ProtocolError::InvalidCloseCode));
            assert_eq!((events, error), refused, "{code}");
        }
        let answer = if may_be_sent { code } else { 1002 };
        let [(OpCode::Close, payload)] = &answers(&conversation)[..] else {
            panic!("{code}: one Close frame")
        };
        assert_eq!(payload[..2], answer.to_be_bytes(), "{code}");
    }
}

#[test]
fn a_ping_is_answered_with_its_payload_until_we_close() {
    let (mut conversation, ..) = hear_however(b"\x89\x02hi\x89\x00");
    let pongs = [(OpCode::Pong, b"hi".to_vec()), (OpCode::Pong, vec![])];
    assert_eq!(answers(&conversation), pongs);
    conversation.close(CloseCode::NORMAL, "");
    assert_eq!(
        conversation.next_event(&mut &mut b"\x89\x00".to_vec()[..]),
        Ok(None)
    );
    assert_eq!(answers(&conversation).len(), 3);
}

#[test]
fn the_first_close_frame_is_answered_once_with_its_code() {
    for (frame, answer) in [
        (&b"\x88\x00"[..], &b""[..]),
        (b"\x88\x05\x0f\xa0bye", b"\x0f\xa0"),
    ] {
        let (conversation, ..) = hear_however(frame);
        assert_eq!(answers(&conversation), [(OpCode::Close, answer.to_vec())]);
        assert!(conversation.is_over());
    }
}

#[test]
fn whoever_closes_first_sends_no_second_close_frame_and_still_hears_what_was_on_its_way() {
    let mut conversation = Conversation::new(LIMITS);
    conversation.close(CloseCode::NORMAL, "bye");
    conversation.close(CloseCode::GOING_AWAY, "");
    conversation.send(OpCode::Text, b"late");
    let mut bytes = *b"\x81\x01x\x88\x02\x03\xe8";
    let mut input = &mut bytes[..];
    let heard = [(); 3].map(|()| conversation.next_event(&mut input).unwrap());
    assert_eq!(
        heard,
        [Some(Event::Text("x".into())), Some(closed(1000, "")), None]
    );
    let close = (OpCode::Close, b"\x03\xe8bye".to_vec());
    assert_eq!(answers(&conversation), [close]);
}

#[test]
fn a_reason_that_is_too_long_is_cut_at_a_character() {
    let mut conversation = Conversation::new(LIMITS);
    conversation.close(CloseCode::NORMAL, &"ä".repeat(100));
    let [(OpCode::Close, payload)] = &answers(&conversation)[..] else {
        panic!("one Close frame")
    };
    assert_eq!(payload.len(), 2 + 122);
}

#[test]
fn an_ending_is_shown_on_one_line() {
    for (ending, text) in [
        (Ending::default(), "no code"),
        (
            Ending {
                code: CloseCode::from_wire(1001),
                reason: String::new(),
            },
            "1001",
        ),
        (
            Ending {
                code: CloseCode::from_wire(1001),
                reason: "a\nb".into(),
            },
            "1001 a\\nb",
        ),
    ] {
        assert_eq!(ending.to_string(), text);
    }
}

proptest! {
    /// A server reads what a client sends, however the socket takes it.
    #[test]
    fn messages_arrive_as_they_were_sent(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20), step in 1_usize..400) {
        let mut conversation = Conversation::new(LIMITS);
        let mut taken = Vec::new();
        for payload in &payloads {
            conversation.send(OpCode::Binary, payload);
            let len = step.min(conversation.unsent().len());
            taken.extend_from_slice(&conversation.unsent()[..len]);
            conversation.on_written(len);
        }
        taken.extend_from_slice(conversation.unsent());
        let expected: Vec<_> = payloads.into_iter().map(|payload| (OpCode::Binary, payload)).collect();
        prop_assert_eq!(understood(&taken), expected);
    }

    /// Whatever a server sends, cut anywhere, gives the same events, and never a panic.
    #[test]
    fn any_bytes_give_the_same_events_for_every_cut(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0_u8..6, 0x80_u8..0x8b], 0..80), cut in 0_usize..80) {
        let (whole, events, error) = hear(&bytes, &[]);
        let (parts, cut_events, cut_error) = hear(&bytes, &[cut.min(bytes.len())]);
        prop_assert_eq!((events, error), (cut_events, cut_error));
        prop_assert_eq!(answers(&whole), answers(&parts));
    }
}

/// The examples of RFC 7692 7.2.3.2: a server that keeps its context says the same a second time in five bytes.
#[cfg(feature = "deflate")]
#[test]
fn ex_05_a_server_may_keep_its_context_if_it_did_not_say_otherwise() {
    use crate::proto::{Deflate, WindowBits};
    for peer_keeps_context in [true, false] {
        let deflate = Deflate {
            own_window: WindowBits::MAX,
            peer_keeps_context,
        };
        let mut conversation = Conversation::new(LIMITS).with_deflate(Some(deflate));
        let mut bytes = *b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00";
        let mut input = &mut bytes[..];
        let hello = Ok(Some(Event::Text("Hello".into())));
        assert_eq!(conversation.next_event(&mut input), hello);
        let second = conversation.next_event(&mut input);
        if peer_keeps_context {
            assert_eq!(second, hello);
        } else {
            assert_eq!(second, Err(ProtocolError::CorruptCompression));
        }
    }
}
