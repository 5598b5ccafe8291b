//! Every way in which a connection can end, in every state that it can be in: all of it is given back.

use std::io::ErrorKind;
use std::time::Duration;

use super::received::Received;
use super::rig::{Rig, upgrade};
use super::wire::{Fault, Wire};
use super::{frame, states, text};
use crate::proto::OpCode;

/// All that a broken socket may say, at any call.
pub(super) const BREAKS: [ErrorKind; 5] = [
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
    ErrorKind::NotConnected,
    ErrorKind::TimedOut,
];

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
