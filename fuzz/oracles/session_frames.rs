//! Sessions of peers that know the protocol: frames that are mostly right, then spoilt in a few places, cut, and mixed
//! with whatever else can happen. What must hold is what [`session`] says.

use arbitrary::{Arbitrary, Unstructured};

use super::session;

/// Turns `data` into what a peer sends and into steps of time, and has the oracle of sessions judge it.
///
/// # Panics
///
/// If a session does something that it must not.
pub(crate) fn check(data: &[u8]) {
    let Ok(peer) = Peer::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let mut sent = Vec::new();
    for item in &peer.items {
        item.write_to(&mut sent);
    }
    for spoilt in peer.spoilt {
        if let Some(byte) = sent.get_mut(usize::from(spoilt.at)) {
            *byte ^= spoilt.with;
        }
    }
    let steps = &peer.steps[..peer.steps.len().min(255)];
    let step_count = steps.len().to_le_bytes()[0];
    session::check(&[&[peer.cut, step_count], steps, GOOD_HANDSHAKE, &sent].concat());
}

/// What the oracle of sessions takes for an opening handshake that is right.
const GOOD_HANDSHAKE: &[u8] = b"\x01";

/// Everything about one peer.
#[derive(Arbitrary, Debug)]
struct Peer {
    cut: u8,
    steps: Vec<u8>,
    items: Vec<Item>,
    spoilt: Vec<Spoilt>,
}

/// A byte of the stream that is not what it was.
#[derive(Arbitrary, Debug)]
struct Spoilt {
    at: u16,
    with: u8,
}

/// Something that a peer sends.
#[derive(Arbitrary, Debug)]
enum Item {
    Text(String, Key),
    Binary(Vec<u8>, Repeat, Key),
    Fragments(IsText, Vec<(Vec<u8>, Between)>, Key),
    Ping(Vec<u8>, Key),
    Pong(Vec<u8>, Key),
    Close(u16, String, Key),
    EmptyClose(Key),
    /// A header of any kind, and a payload that need not be as long as it says.
    Header([u8; 2], Vec<u8>),
}

type Key = [u8; 4];
type IsText = bool;
/// A ping that comes behind a fragment.
type Between = Option<Vec<u8>>;
/// How often a payload is repeated, to go over the limits.
type Repeat = u8;

impl Item {
    fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text, key) => frame(out, 0x81, text.as_bytes(), *key),
            Self::Binary(payload, repeat, key) => {
                frame(out, 0x82, &payload.repeat(usize::from(repeat % 32)), *key);
            }
            Self::Fragments(is_text, pieces, key) => {
                let opcode = if *is_text { 1 } else { 2 };
                for (index, (payload, between)) in pieces.iter().enumerate() {
                    let is_final = index + 1 == pieces.len();
                    let opcode = if index == 0 { opcode } else { 0 };
                    frame(out, if is_final { 0x80 } else { 0 } | opcode, payload, *key);
                    if let Some(payload) = between {
                        frame(out, 0x89, control(payload), *key);
                    }
                }
            }
            Self::Ping(payload, key) => frame(out, 0x89, control(payload), *key),
            Self::Pong(payload, key) => frame(out, 0x8a, control(payload), *key),
            Self::Close(code, reason, key) => {
                let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
                frame(out, 0x88, control(&payload), *key);
            }
            Self::EmptyClose(key) => frame(out, 0x88, &[], *key),
            Self::Header(header, rest) => {
                out.extend_from_slice(header);
                out.extend_from_slice(rest);
            }
        }
    }
}

/// As much of a payload as a control frame takes.
fn control(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(125)]
}

/// Appends a masked frame whose length is in its shortest form.
fn frame(out: &mut Vec<u8>, first: u8, payload: &[u8], key: Key) {
    out.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ ..=125), _) => out.push(0x80 | len),
        (_, Ok(len)) => {
            out.push(0xfe);
            out.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            out.push(0xff);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    let key = key.iter().cycle();
    out.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
}
