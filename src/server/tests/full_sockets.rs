//! Sockets that take little, and later more.

use std::time::Duration;

use super::received::Received;
use super::rig::{Rig, upgrade};
use super::text;
use super::wire::Wire;
use crate::config::Config;

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
