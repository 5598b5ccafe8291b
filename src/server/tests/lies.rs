//! Calls that fail for no reason, and events that are not true: neither changes anything.

use std::io::ErrorKind;
use std::iter;
use std::time::Duration;

use mio::Token;

use super::received::Received;
use super::rig::{Rig, upgrade};
use super::wire::{Fault, Wire};
use super::{frame, text};
use crate::proto::OpCode;
use crate::server::tokens::Readiness;

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
