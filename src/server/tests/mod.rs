//! The whole server above its sockets, on made-up time: lives of connections over sockets that fail, polls that lie, and
//! a clock that jumps. The loops are the real ones, from accept to the end; only the poll is played.

mod balance;
mod churn;
mod drain;
#[cfg(feature = "tls")]
mod encrypted;
mod ends;
mod fairness;
mod fan_out;
mod full_sockets;
mod lies;
mod lives;
mod received;
mod recovery;
mod replies;
mod rig;
mod room;
mod wire;

use self::rig::{get, upgrade};
use crate::proto::{OpCode, encode_masked_frame};

/// A frame of a client.
fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_masked_frame(&mut frame, opcode, &[payload], [1, 2, 3, 4]);
    frame
}

fn text(payload: &str) -> Vec<u8> {
    frame(OpCode::Text, payload.as_bytes())
}

/// What the server sends for [`text`].
fn answer(payload: &str) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    [&[0x81, len][..], payload.as_bytes()].concat()
}

/// What brings a fresh connection into each state that a peer can be in.
fn states() -> [(&'static str, Vec<u8>); 11] {
    let joined = |parts: &[&[u8]]| parts.concat();
    [
        ("connected", Vec::new()),
        ("half a head", get("/")[..9].to_vec()),
        (
            "half a body",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf".to_vec(),
        ),
        ("answered", get("/")),
        ("waiting for an answer", get("/never")),
        ("refused", b"GET / HTTP/1.0\r\n\r\n".to_vec()),
        ("open", upgrade("/room")),
        ("recoverable", upgrade("/recoverable")),
        (
            "half a message",
            joined(&[&upgrade("/echo"), &text("whole"), &text("half")[..7]]),
        ),
        ("closing", joined(&[&upgrade("/echo"), &text("bye")])),
        (
            "closed by the peer",
            joined(&[&upgrade("/echo"), &frame(OpCode::Close, &[])]),
        ),
    ]
}
