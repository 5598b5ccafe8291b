//! What has to hold for any message of a client of the JSON protocol, whatever it says.
//!
//! - Nothing panics, and what is written is at most a constant factor longer than what was read.
//! - The same message to the same kind of client has the same effect.
//! - A message that ends the connection does nothing else, and the reason quotes nothing.
//! - What is kept for others, and what they are told of the client, is JSON too.
//! - What is sent to anybody is JSON; a forwarded message has the `data` of the original, byte by byte, and its `group`.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::value::RawValue;
use switchboard::clock::Moment;
use switchboard::config::Config;
use switchboard::delivery::SessionId;
use switchboard::endpoints::{EndpointSettings, Endpoints, Note, Peer};
use switchboard::handler::{Answer, Arrival, Entrance, Handler, Outgoing, What, Wish};
use switchboard::http::{RequestReader, Scheme};
use switchboard::proto::{EncodedFrame, FrameBuffer, FrameHeader, FrameRange, Message, Role};

/// Sends `data` as one text message to `/ws` and judges what comes of it.
///
/// # Panics
/// If one of the rules above does not hold.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut settings = EndpointSettings::default();
    settings.history.rules = ["**=2", "@all=2"]
        .map(|rule| rule.parse().expect("a rule"))
        .into();
    let mut endpoints = Endpoints::new(settings);
    let effects = effects(&mut endpoints, text);
    assert_eq!(
        effects,
        self::effects(&mut endpoints, text),
        "the second time is another"
    );

    for effect in &effects {
        match effect {
            Effect::Close(reason) => {
                assert_eq!(effects.len(), 1, "{effects:?}");
                assert!((1..=123).contains(&reason.len()));
            }
            Effect::Reply(message) => _ = fields(message),
            Effect::Delivery(message) => judge_delivery(text, message),
            Effect::Membership | Effect::Note => {}
        }
        assert!(
            effect.len() <= 6 * text.len() + 256,
            "{} bytes of {}",
            effect.len(),
            text.len()
        );
    }
}

/// What a message has led to.
#[derive(Debug, PartialEq)]
enum Effect {
    Reply(String),
    Delivery(String),
    Membership,
    Note,
    Close(String),
}

impl Effect {
    fn len(&self) -> usize {
        match self {
            Self::Reply(text) | Self::Delivery(text) | Self::Close(text) => text.len(),
            Self::Membership | Self::Note => 0,
        }
    }
}

/// Everything that `text` leads to if a new client sends it.
fn effects(endpoints: &mut Endpoints, text: &str) -> Vec<Effect> {
    let mut peer = open(endpoints);
    let (mut frames, mut wishes) = (FrameBuffer::default(), Vec::new());
    let mut out = Outgoing::new(SessionId::from_bits(1), &mut frames, &mut wishes);
    endpoints.on_message(&mut peer, Message::Text(text.into()), &mut out);
    let shared = frames.share();
    let mut notes = Vec::new();
    let effects = wishes
        .into_iter()
        .map(|Wish { what, .. }| match what {
            What::Reply(range, _) => Effect::Reply(payload(&shared, range)),
            What::Deliver { delivery, .. } => Effect::Delivery(payload(&shared, delivery.frame)),
            What::Join(_) | What::Leave(_) => Effect::Membership,
            What::Command { .. } | What::List { .. } | What::Respond(_) => {
                panic!("clients of a hub ask for nothing of the kind")
            }
            What::Acknowledge(_) | What::Replay => panic!("the client is not recoverable"),
            What::Note { note, .. } => {
                notes.push(note);
                Effect::Note
            }
            What::Close(code, reason) => {
                assert_eq!(code.get(), 1007);
                Effect::Close(reason.into_owned())
            }
        })
        .collect();
    notes
        .into_iter()
        .for_each(|note| judge_note(endpoints, note));
    effects
}

/// What a note leads to where it arrives.
fn judge_note(endpoints: &mut Endpoints, note: Note) {
    let (mut frames, mut wishes) = (FrameBuffer::default(), Vec::new());
    let mut out = Outgoing::new(SessionId::from_bits(0), &mut frames, &mut wishes);
    endpoints.on_note(note, &mut out);
    endpoints.on_turn_end(&mut out);
    let shared = frames.share();
    for Wish { what, .. } in wishes {
        let What::Deliver { delivery, .. } = what else {
            panic!("{what:?}")
        };
        let message = payload(&shared, delivery.frame);
        let fields = fields(&message);
        match fields.get("history") {
            Some(mark) => assert_eq!(
                (mark.get(), &message[message.len() - 5..]),
                ("true", "true}")
            ),
            None => assert_eq!(string(fields["event"]), "presence"),
        }
    }
}

/// A new client of `/ws`, whose name has to be escaped.
fn open(endpoints: &mut Endpoints) -> Peer {
    let mut input = b"GET /ws?userId=a%22%5C HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    let mut reader = RequestReader::default();
    let request = reader.next(&mut input.as_mut_slice(), &Config::default().http);
    let request = request
        .expect("the request is valid")
        .expect("the request is complete");
    let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let arrival = Arrival {
        remote,
        entrance: Entrance::Public,
        scheme: Scheme::Http,
        client: remote.ip().into(),
        moment: Moment::START,
        is_overloaded: false,
        unix_seconds: 0,
    };
    let (mut frames, mut wishes) = (FrameBuffer::default(), Vec::new());
    let mut out = Outgoing::new(SessionId::from_bits(1), &mut frames, &mut wishes);
    match endpoints.on_request(&request, arrival, &mut out) {
        Answer::Upgrade(upgrade) => upgrade.peer,
        answer => panic!("not upgraded: {answer:?}"),
    }
}

/// The payload of the only frame in `range`.
fn payload(shared: &EncodedFrame, range: FrameRange) -> String {
    let frame = shared.slice(range);
    let bytes = frame.as_bytes();
    let (header, header_len) = FrameHeader::parse(bytes, Role::Client)
        .expect("our own frame")
        .expect("a whole frame");
    assert_eq!(
        bytes.len() as u64,
        header_len as u64 + header.payload_len,
        "more than one frame"
    );
    String::from_utf8(bytes[header_len..].to_vec()).expect("a text frame")
}

/// A forwarded message against the original.
fn judge_delivery(original: &str, forwarded: &str) {
    let (original, forwarded) = (fields(original), fields(forwarded));
    assert_eq!(forwarded["data"].get(), original["data"].get());
    assert_eq!(string(forwarded["group"]), string(original["group"]));
    assert_eq!(string(forwarded["fromUserId"]), "a\"\\");
    let data_type = match original.get("dataType").map(|json| json.get()) {
        None | Some("null") => "json".to_owned(),
        Some(json) => string_of(json).to_ascii_lowercase(),
    };
    assert_eq!(string(forwarded["dataType"]), data_type);
}

/// The fields of a message, each as its JSON text.
fn fields(message: &str) -> HashMap<String, &RawValue> {
    serde_json::from_str(message).expect("a JSON object")
}

fn string(json: &RawValue) -> String {
    string_of(json.get())
}

fn string_of(json: &str) -> String {
    serde_json::from_str(json).expect("a JSON string")
}
