//! The same streams of frames for our reader and for two independent ones: whatever they make of them differently has a
//! row in [`DIFFERENCES`] that says why, or the test fails.
//!
//! A stream is made up from its number (`tests/differential/streams.rs`), so a failure names all that is needed to see
//! it again. Limits and the pieces in which the stream arrives vary with the number, too.

#[path = "differential/case.rs"]
mod case;
#[path = "differential/decoders.rs"]
mod decoders;
#[path = "differential/streams.rs"]
mod streams;

use std::collections::BTreeMap;
use std::ops::Range;

use case::Case;
use decoders::Decoder::{TokioWebsockets, Tungstenite};
use decoders::{Arriving, Decoder, End, Event, Outcome, our_session, ours};
use streams::Random;
use switchboard::proto::ProtocolError as Fault;
use switchboard::proto::{Incoming, MessageLimits, MessageReader, Role};

/// One way in which another reader differs from ours.
struct Difference {
    of: Decoder,
    /// What it does.
    name: &'static str,
    /// Why ours does not.
    why: &'static str,
    /// Whether this is all that is different.
    covers: fn(&Case<'_>) -> bool,
    /// A stream that shows it, under [`EXAMPLE_LIMITS`].
    example: &'static [u8],
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        of: Tungstenite,
        name: "reads lengths in any form",
        why: "RFC 6455 5.2: the minimal number of bytes must be used",
        covers: |case| {
            is_one_of(
                case.fault,
                &[Fault::LengthNotMinimal, Fault::ControlFrameTooLong],
            ) && case.is_explained_with_a_minimal_length()
        },
        example: b"\x82\xfe\0\x01\0\0\0\0a",
    },
    Difference {
        of: Tungstenite,
        name: "does not count fragments",
        why: "RFC 6455 10.4: a limit that it does not have",
        covers: |case| {
            case.fault == Some(Fault::TooManyFragments)
                && case.is_explained_without_a_limit_of_fragments()
        },
        example: b"\x02\x80\0\0\0\0\0\x80\0\0\0\0\0\x80\0\0\0\0\0\x80\0\0\0\0",
    },
    Difference {
        of: Tungstenite,
        name: "takes a Close with a code that must not be sent",
        why: "RFC 6455 7.4: it answers with 1002 as we do, but does not call it a fault",
        covers: |case| case.fault == Some(Fault::InvalidCloseCode) && case.they_add_a_close(),
        example: b"\x88\x82\0\0\0\0\x03\xed",
    },
    Difference {
        of: Tungstenite,
        name: "takes 1014 for a code that must not be sent",
        why: "it was registered with IANA after the RFC",
        covers: |case| case.they_replace_close_code(1014),
        example: b"\x88\x82\0\0\0\0\x03\xf6",
    },
    Difference {
        of: Tungstenite,
        name: "judges the reason of a Close before its code",
        why: "both are wrong",
        covers: |case| {
            case.fault == Some(Fault::InvalidCloseCode) && case.they_fail_there_with(1007)
        },
        example: b"\x88\x83\0\0\0\0\x03\xed\xff",
    },
    Difference {
        of: Tungstenite,
        name: "judges the size of a frame before the rest of its header",
        why: "both are wrong",
        covers: |case| case.announces_too_much() && case.they_fail_there_with(1009),
        example: b"\xc2\xfe\x01\0\0\0\0\0",
    },
    Difference {
        of: Tungstenite,
        name: "judges a frame when all of it is there",
        why: "RFC 6455 8.1 and 10.4 let us fail at the first byte that is wrong",
        covers: |case| case.they_fail_when_the_frame_is_whole(),
        example: b"\x81\x82\0\0\0\0\xff",
    },
    Difference {
        of: TokioWebsockets,
        name: "does not count fragments",
        why: "RFC 6455 10.4: a limit that it does not have",
        covers: |case| {
            case.fault == Some(Fault::TooManyFragments)
                && case.is_explained_without_a_limit_of_fragments()
        },
        example: b"\x02\x80\0\0\0\0\0\x80\0\0\0\0\0\x80\0\0\0\0\0\x80\0\0\0\0",
    },
    Difference {
        of: TokioWebsockets,
        name: "takes the top bit of a length for a part of it",
        why: "RFC 6455 5.2: it must be 0; the number is over the limit in any case",
        covers: |case| {
            case.fault == Some(Fault::LengthTopBitSet) && case.they_fail_there_with(1009)
        },
        example: b"\x82\xff\x80\0\0\0\0\0\0\x01\0\0\0\0",
    },
    Difference {
        of: TokioWebsockets,
        name: "judges a frame by what is there of its header",
        why: "we wait for the rest of it, or for the one byte of a Close, and then say the same",
        covers: |case| case.we_fail_like_them_when_the_frame_is_whole(),
        example: b"\x88\x81\0\0\0\0",
    },
    Difference {
        of: TokioWebsockets,
        name: "takes a text that ends inside a character if its last frame is empty",
        why: "RFC 6455 8.1: it is no UTF-8",
        covers: |case| {
            case.fault == Some(Fault::InvalidUtf8) && case.they_add_a_text_at_an_empty_frame()
        },
        example: b"\x01\x81\0\0\0\0\xc3\x80\x80\0\0\0\0",
    },
    Difference {
        of: TokioWebsockets,
        name: "adds up a message after its text is judged",
        why: "both are wrong",
        covers: |case| case.fault == Some(Fault::MessageTooBig) && case.they_fail_there_with(1007),
        example: b"\x01\x85\0\0\0\0aaaaa\x80\x85\0\0\0\0\xff",
    },
    Difference {
        of: TokioWebsockets,
        name: "judges two bytes of a header at once, and the size of a message when a frame is whole",
        why: "RFC 6455 10.4 lets us fail at the first byte that is wrong",
        covers: |case| case.they_fail_when_the_frame_is_whole(),
        example: b"\xc1",
    },
];

#[test]
fn whatever_others_read_differently_is_explained() {
    compare(0..3_000);
}

#[test]
#[ignore = "needs a minute: cargo test --release --test differential -- --ignored --nocapture"]
fn whatever_others_read_differently_is_explained_in_a_million_streams() {
    let seen = compare(0..1_000_000);
    for row in DIFFERENCES {
        let count = seen.get(&(row.of, row.name)).copied().unwrap_or_default();
        println!("{count:>7} {:?} {}: {}", row.of, row.name, row.why);
        assert!(count > 0, "a row that nothing needs");
    }
}

#[test]
fn each_difference_shows_in_its_example() {
    for row in DIFFERENCES {
        let arriving = Arriving {
            stream: row.example,
            piece_len: usize::MAX,
        };
        let explained = explain(row.of, arriving, &EXAMPLE_LIMITS);
        assert_eq!(explained, Ok(Some(row.name)), "{:?}: {}", row.of, row.why);
    }
}

const EXAMPLE_LIMITS: MessageLimits = MessageLimits {
    message_bytes_max: 8,
    fragments_max: 3,
};

/// No control frame is over a limit of messages: other readers have one limit for both.
const LIMITS: [MessageLimits; 3] = [
    MessageLimits {
        message_bytes_max: 1 << 20,
        fragments_max: 1 << 17,
    },
    MessageLimits {
        message_bytes_max: 128,
        fragments_max: 1 << 17,
    },
    MessageLimits {
        message_bytes_max: 1 << 20,
        fragments_max: 3,
    },
];

/// Compares all readers on the streams with these numbers; how often each row of the table was seen.
fn compare(numbers: Range<u64>) -> BTreeMap<(Decoder, &'static str), u64> {
    let mut seen = BTreeMap::new();
    for number in numbers {
        let random = &mut Random::new(number);
        let stream = streams::stream(random);
        let limits = &LIMITS[random.below(LIMITS.len())];
        let arriving = Arriving {
            stream: &stream,
            piece_len: [1, 2, 3, 7, 64, usize::MAX][random.below(6)],
        };
        assert_session_agrees(arriving, limits);
        for decoder in [Tungstenite, TokioWebsockets] {
            match explain(decoder, arriving, limits) {
                Ok(None) => {}
                Ok(Some(name)) => *seen.entry((decoder, name)).or_default() += 1,
                Err(case) => panic!("stream {number}, {limits:?}: {case}"),
            }
        }
    }
    seen
}

/// The name of the difference between another reader and ours on a stream; none if they agree.
fn explain(
    decoder: Decoder,
    arriving: Arriving<'_>,
    limits: &MessageLimits,
) -> Result<Option<&'static str>, String> {
    let (ours, fault) = ours(arriving, limits);
    let theirs = decoder.read(arriving, limits);
    if theirs == ours {
        return Ok(None);
    }
    let case = Case {
        arriving,
        limits: *limits,
        decoder,
        ours,
        fault,
        theirs,
    };
    let mut rows = DIFFERENCES.iter().filter(|row| row.of == decoder);
    match rows.find(|row| (row.covers)(&case)) {
        Some(row) => Ok(Some(row.name)),
        None => Err(format!("{case:#?}")),
    }
}

fn is_one_of(fault: Option<Fault>, faults: &[Fault]) -> bool {
    fault.is_some_and(|fault| faults.contains(&fault))
}

/// The session has to tell the messages that the reader reads, and to answer the end with its status code.
fn assert_session_agrees(arriving: Arriving<'_>, limits: &MessageLimits) {
    let (Outcome { events, end }, _) = ours(arriving, limits);
    let (told, mut sent) = our_session(arriving, limits);
    let is_message = |event: &&Event| matches!(event, Event::Text(_) | Event::Binary(_));
    assert!(events.iter().filter(is_message).eq(&told), "{told:?}");
    let mut sent = &mut sent[..];
    let mut reader = MessageReader::new(Role::Client);
    let mut answer = None;
    while let Some(frame) = reader.next(&mut sent, limits).expect("good frames") {
        if let Incoming::Close(close) = frame {
            answer = Some(close.map(|close| close.code.get()));
        }
    }
    let expected = match (end, events.last()) {
        (End::Closed, Some(Event::Close(close))) => Some(close.as_ref().map(|(code, _)| *code)),
        (End::Failed(code), _) => Some(Some(code)),
        _ => None,
    };
    assert_eq!(answer, expected);
}
