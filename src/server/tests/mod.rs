//! The whole server above its sockets, on made-up time: lives of connections over sockets that fail, polls that lie, and
//! a clock that jumps. The loops are the real ones, from accept to the end; only the poll is played.

mod churn;
mod drain;
#[cfg(feature = "tls")]
mod encrypted;
mod fairness;
mod fan_out;
mod lives;
mod received;
mod rig;
mod room;
mod wire;

use std::io::ErrorKind;
use std::iter;
use std::time::Duration;

use mio::Token;

use self::received::Received;
use self::rig::{Rig, get, upgrade};
use self::wire::{Fault, Wire};
use super::tokens::Readiness;
use crate::config::Config;
use crate::proto::{OpCode, encode_masked_frame};

/// All that a broken socket may say, at any call.
const BREAKS: [ErrorKind; 5] = [
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
    ErrorKind::NotConnected,
    ErrorKind::TimedOut,
];

/// A frame of a client.
fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_masked_frame(&mut frame, opcode, &[payload], [1, 2, 3, 4]);
    frame
}

fn text(payload: &str) -> Vec<u8> {
    frame(OpCode::Text, payload.as_bytes())
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

#[test]
fn cl_08_a_reset_in_any_state_releases_everything_at_once() {
    for (state, bytes) in states() {
        for kind in BREAKS {
            let mut rig = Rig::small();
            let peer = rig.connect_healthy(&bytes);
            rig.settle();
            let taken = rig.taken(peer);
            rig.wires[peer].borrow_mut().reset(kind);
            rig.turn(0, &[]);
            rig.turn(0, &[]);
            assert_eq!(rig.taken(peer), taken, "{state}: something was written");
            match state {
                "recoverable" => {
                    // Its session waits for another socket, and holds none for that.
                    assert!(rig.wires[peer].borrow().is_dropped);
                    rig.pass_until_empty(Duration::from_secs(31));
                }
                // Nothing is read before the answer, not even the end.
                "waiting for an answer" => rig.pass_until_empty(Duration::from_secs(11)),
                _ => {}
            }
            rig.assert_clean();
        }
    }
}

#[test]
fn cl_08_the_end_of_the_stream_in_any_state_releases_everything_at_once() {
    for (state, bytes) in states() {
        let mut rig = Rig::small();
        let peer = rig.connect_healthy(&bytes);
        rig.settle();
        let taken = rig.taken(peer);
        rig.wires[peer].borrow_mut().end();
        rig.settle();
        assert_eq!(rig.taken(peer), taken, "{state}: something was written");
        match state {
            "recoverable" => rig.pass_until_empty(Duration::from_secs(31)),
            "waiting for an answer" => rig.pass_until_empty(Duration::from_secs(11)),
            _ => {}
        }
        rig.assert_clean();
    }
}

#[test]
fn cl_10_errors_of_sockets_are_ordinary_ends_at_every_call() {
    for (state, bytes) in states() {
        let bytes = [&bytes[..], &text("more"), &frame(OpCode::Close, &[])].concat();
        for kind in BREAKS {
            // More calls than such a life has.
            for good_calls in 0..12 {
                let mut rig = Rig::small();
                let mut faults = vec![Fault::Nothing; good_calls];
                faults.push(Fault::Broken(kind));
                let healthy = rig.connect_healthy(&upgrade("/room"));
                let peer = rig.connect(Wire {
                    faults: faults.into(),
                    room: usize::MAX,
                    ..Wire::default()
                });
                rig.settle();
                for piece in bytes.chunks(bytes.len().div_ceil(3)) {
                    rig.wires[peer].borrow_mut().send(piece);
                    rig.settle();
                }
                assert!(!rig.wires[healthy].borrow().is_dropped, "{state}: {kind}");
                rig.wires[healthy].borrow_mut().end();
                rig.pass_until_empty(Duration::from_secs(60));
                rig.assert_clean();
            }
        }
    }
}

#[test]
fn rs_04_calls_that_are_interrupted_short_or_in_vain_change_nothing() {
    let messages: Vec<_> = (0..5).map(|count| count.to_string()).collect();
    for fault in [Fault::Interrupted, Fault::WouldBlock, Fault::Short(1)] {
        // More calls than such a life has, each of them in its turn, and all of them.
        for faulty in (0..25).map(|call| call..call + 1).chain(iter::once(0..25)) {
            let mut rig = Rig::small();
            let is_faulty = |call| faulty.contains(&call);
            let faults = (0..25).map(|call| {
                if is_faulty(call) {
                    fault
                } else {
                    Fault::Nothing
                }
            });
            let peer = rig.connect(Wire {
                faults: faults.collect(),
                room: usize::MAX,
                ..Wire::default()
            });
            rig.settle();
            rig.wires[peer].borrow_mut().send(&upgrade("/echo"));
            for message in &messages {
                rig.wires[peer].borrow_mut().send(&text(message));
                rig.settle();
            }
            rig.wires[peer]
                .borrow_mut()
                .send(&frame(OpCode::Close, &[]));
            rig.settle();
            let received = Received::parse(&rig.taken(peer));
            assert!(
                received.messages().eq(&messages),
                "{fault:?} {faulty:?} {received:?}"
            );
            assert_eq!((received.close_codes(), received.rest_len), (vec![0], 0));
            assert!(rig.wires[peer].borrow().is_finished);
            rig.pass_until_empty(Duration::from_secs(3));
            rig.assert_clean();
        }
    }
}

#[test]
fn cl_09_a_silent_peer_in_any_state_is_gone_in_time() {
    for (state, bytes) in states() {
        for room in [0, 3, 200, usize::MAX] {
            let mut rig = Rig::small();
            let peer = rig.connect(Wire {
                incoming: bytes.iter().copied().collect(),
                room,
                ..Wire::default()
            });
            rig.settle();
            // A ping after 25 s at most, 10 s for the answer, 5 s for ours to be taken; 30 s for a session to be recovered.
            let most = if state == "recoverable" { 70 } else { 40 };
            rig.pass_until_empty(Duration::from_secs(most));
            let wire = rig.wires[peer].borrow();
            assert!(wire.is_dropped, "{state} with room for {room}");
            drop(wire);
            rig.assert_clean();
        }
    }
}

#[test]
fn lt_05_a_jump_of_the_clock_ends_nobody_who_speaks_and_everybody_else_in_time() {
    for (state, bytes) in states() {
        let mut rig = Rig::small();
        rig.connect_healthy(&bytes);
        let lively = rig.connect_healthy(&upgrade("/echo"));
        rig.settle();
        rig.now = rig.now + Duration::from_secs(24 * 60 * 60);
        rig.settle();
        assert!(!rig.wires[lively].borrow().is_dropped, "{state}");
        rig.wires[lively].borrow_mut().send(&text("alive"));
        rig.settle();
        assert!(Received::parse(&rig.taken(lively)).messages().eq(["alive"]));
        rig.pass_until_empty(Duration::from_secs(80));
        rig.assert_clean();
    }
}

#[test]
fn rs_04_events_of_sockets_that_are_gone_touch_nobody_in_their_slots() {
    let mut rig = Rig::small();
    let mut stale = Vec::new();
    for round in 0..20 {
        let peers = [(); 4].map(|()| rig.connect_healthy(&upgrade("/echo")));
        rig.settle();
        for peer in peers {
            rig.wires[peer].borrow_mut().send(&text("here"));
        }
        // In front of the true events, behind them, and in the batch in which half of the peers go.
        rig.turn(!0, &stale);
        for peer in &peers[..2] {
            rig.wires[*peer]
                .borrow_mut()
                .reset(ErrorKind::ConnectionReset);
        }
        let lies = rig.known_tokens.iter().flat_map(|&token| lies_of(token));
        stale = lies.collect();
        rig.turn(0, &stale);
        rig.turn(0, &stale);
        rig.settle();
        for &peer in &peers[2..] {
            let received = Received::parse(&rig.taken(peer));
            assert!(received.messages().eq(["here"]), "round {round}");
            rig.wires[peer]
                .borrow_mut()
                .send(&frame(OpCode::Close, &[]));
            rig.wires[peer].borrow_mut().end();
        }
        rig.settle();
        rig.assert_pairs(0);
    }
    let slots = rig.loops.iter().map(|it| it.connections.capacity());
    assert!(slots.sum::<usize>() < 20, "slots were not used again");
    rig.assert_clean();
}

/// Everything that a poll could say of a token.
pub(super) fn lies_of(token: Token) -> [Readiness; 3] {
    [(true, false), (false, true), (true, true)].map(|(is_readable, is_writable)| Readiness {
        token,
        is_readable,
        is_writable,
        has_ended: false,
    })
}

#[test]
fn ht_05_a_recovery_pipelined_behind_an_unwritten_response_does_not_take_its_socket() {
    for room in [0, 10, usize::MAX] {
        let mut rig = Rig::small();
        rig.connect_healthy(&upgrade("/recoverable"));
        rig.settle();
        let request = upgrade(&rig.recovery_path());
        let peer = rig.connect(Wire {
            incoming: [get("/"), request].concat().into(),
            room,
            ..Wire::default()
        });
        rig.settle();
        rig.wires[peer].borrow_mut().make_room(10_000);
        rig.settle();
        let received = Received::parse(&rig.taken(peer));
        assert_eq!(
            (&received.statuses[..], received.rest_len),
            (&[200, 503][..], 0)
        );
        rig.pass_until_empty(Duration::from_secs(80));
        rig.assert_clean();
    }
}

#[test]
fn ms_11_a_recovered_session_goes_on_with_the_new_socket() {
    let mut rig = Rig::small();
    let first = rig.connect_healthy(&upgrade("/recoverable"));
    rig.settle();
    rig.wires[first]
        .borrow_mut()
        .reset(ErrorKind::ConnectionReset);
    rig.settle();
    let sender = rig.connect_healthy(&upgrade("/room"));
    rig.settle();
    rig.wires[sender].borrow_mut().send(&text("*missed"));
    rig.settle();
    let path = format!("/recover?session={}", rig.opened(0));
    let second = rig.connect_healthy(&upgrade(&path));
    rig.settle();
    let received = Received::parse(&rig.taken(second));
    assert!(received.messages().eq(["<1>missed"]), "{received:?}");
    rig.pass_until_empty(Duration::from_secs(80));
    rig.assert_clean();
}

#[test]
fn hs_10_no_frame_is_written_before_the_last_byte_of_the_101() {
    let mut rig = Rig::small();
    let slow = rig.connect(Wire {
        incoming: upgrade("/room").into(),
        ..Wire::default()
    });
    let sender = rig.connect_healthy(&upgrade("/room"));
    rig.settle();
    rig.wires[sender]
        .borrow_mut()
        .send(&[text("one"), text("two")].concat());
    rig.settle();
    assert!(rig.taken(slow).is_empty());
    let mut taken = Vec::new();
    while taken != rig.taken(slow) || taken.is_empty() {
        taken = rig.taken(slow);
        rig.wires[slow].borrow_mut().make_room(1);
        rig.settle();
        let received = Received::parse(&rig.taken(slow));
        assert!(received.frames.is_empty() || received.statuses == [101]);
    }
    let received = Received::parse(&taken);
    assert!(received.messages().eq(["one", "two"]), "{received:?}");
    rig.pass_until_empty(Duration::from_secs(80));
    rig.assert_clean();
}

#[test]
fn sc_07_room_in_the_socket_alone_has_a_peer_read_again() {
    let mut rig = Rig::new(Config {
        outbox_soft_bytes: 200,
        read_budget_bytes: 100,
        ..Config::default()
    });
    let peer = rig.connect(Wire {
        incoming: upgrade("/echo").into(),
        room: 200,
        ..Wire::default()
    });
    rig.settle();
    let messages: Vec<_> = (100..300).map(|count| count.to_string()).collect();
    let frames: Vec<_> = messages.iter().flat_map(|it| text(it)).collect();
    rig.wires[peer].borrow_mut().send(&frames);
    rig.settle();
    assert!(!rig.wires[peer].borrow().incoming.is_empty());
    // Two more frames for each turn, and never an event that says that there is something to read.
    while Received::parse(&rig.taken(peer)).messages().count() < messages.len() {
        let before = rig.taken(peer).len();
        rig.wires[peer].borrow_mut().is_readable = false;
        rig.wires[peer].borrow_mut().make_room(10);
        for _ in 0..5 {
            rig.wires[peer].borrow_mut().is_readable = false;
            rig.turn(0, &[]);
        }
        assert!(rig.taken(peer).len() > before, "it is stuck");
    }
    assert!(Received::parse(&rig.taken(peer)).messages().eq(&messages));
    rig.pass_until_empty(Duration::from_secs(80));
    rig.assert_clean();
}
