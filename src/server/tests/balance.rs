//! What is counted of messages whose receivers take them piece by piece, or do not take them any more (LG-06).

use std::io::ErrorKind;
use std::time::Duration;

use super::rig::{Rig, upgrade};
use super::wire::Wire;
use super::{frame, text};
use crate::config::Config;
use crate::metrics::Balance;
use crate::proto::OpCode;

/// Bytes of one message of these tests as it is sent, and how many of them there are.
const FRAME_LEN: usize = 22;
const COUNT: usize = 10;

/// A peer that has said this and takes so many bytes behind the response to its handshake.
fn peer_with_room(rig: &mut Rig, path: &str, room: usize) -> usize {
    let peer = rig.connect_healthy(&upgrade(path));
    rig.settle();
    rig.wires[peer].borrow_mut().room = room;
    peer
}

/// A member of a room that takes so many bytes of ten messages, which another one has sent.
fn half_sent(room: usize) -> (Rig, usize) {
    let mut rig = Rig::new(Config::default());
    let peer = peer_with_room(&mut rig, "/room", room);
    let sender = rig.connect_healthy(&upgrade("/room"));
    rig.settle();
    let messages = text(&"-".repeat(FRAME_LEN - 2)).repeat(COUNT);
    rig.wires[sender].borrow_mut().send(&messages);
    rig.settle();
    rig.wires[sender]
        .borrow_mut()
        .send(&frame(OpCode::Close, &[]));
    rig.wires[sender].borrow_mut().end();
    rig.settle();
    (rig, peer)
}

fn balance(rig: &Rig) -> Balance {
    let balance = rig.shared.metrics.balance();
    assert!(balance.holds(), "{balance}");
    assert_eq!(balance.fan_out, 2 * COUNT as u64);
    balance
}

#[test]
fn lg_06_a_message_is_delivered_when_its_last_byte_is_written_and_queued_until_then() {
    for room in 0..COUNT * FRAME_LEN {
        let (mut rig, peer) = half_sent(room);
        let whole = (room / FRAME_LEN) as u64;
        let counted = balance(&rig);
        // The other ten are those of the sender.
        assert_eq!(counted.delivered - COUNT as u64, whole, "{room} bytes");
        assert_eq!((counted.queued, counted.dropped), (COUNT as u64 - whole, 0));
        rig.wires[peer].borrow_mut().make_room(FRAME_LEN);
        rig.settle();
        assert_eq!(balance(&rig).delivered - COUNT as u64, whole + 1);
        rig.wires[peer]
            .borrow_mut()
            .reset(ErrorKind::ConnectionReset);
        rig.settle();
        let counted = balance(&rig);
        assert_eq!(counted.delivered - COUNT as u64, whole + 1);
        assert_eq!(counted.dropped, COUNT as u64 - whole - 1);
        rig.assert_clean();
    }
}

#[test]
fn lg_06_what_is_given_up_for_a_close_frame_is_lost_whether_or_not_that_gets_out() {
    for gets_out in [true, false] {
        // Three are whole, and the fourth is begun.
        let (mut rig, peer) = half_sent(3 * FRAME_LEN + 1);
        // It takes nothing for ten seconds, and is given up on.
        rig.now = rig.now + Duration::from_secs(11);
        rig.settle();
        assert_eq!(balance(&rig).delivered - COUNT as u64, 3);
        if gets_out {
            rig.wires[peer].borrow_mut().make_room(usize::MAX);
            rig.settle();
        }
        rig.pass_until_empty(Duration::from_secs(40));
        let counted = balance(&rig);
        let whole = if gets_out { 4 } else { 3 };
        assert_eq!(counted.delivered - COUNT as u64, whole);
        assert_eq!(counted.dropped, COUNT as u64 - whole);
        rig.assert_clean();
    }
}

#[test]
fn lg_06_a_response_is_no_message() {
    let mut rig = Rig::new(Config::default());
    let slow = rig.connect(Wire {
        incoming: upgrade("/room").into(),
        ..Wire::default()
    });
    let sender = rig.connect_healthy(&upgrade("/room"));
    rig.settle();
    rig.wires[sender].borrow_mut().send(&text("one").repeat(3));
    rig.settle();
    let delivered = |rig: &Rig| rig.shared.metrics.balance().delivered - 3;
    // The response, then five bytes for each of the three.
    let response_len = rig.taken(sender).len() - 15;
    for taken in 1..response_len + 15 {
        rig.wires[slow].borrow_mut().make_room(1);
        rig.settle();
        let whole = taken.saturating_sub(response_len) / 5;
        assert_eq!(delivered(&rig), whole as u64, "{taken} bytes");
    }
    rig.wires[slow].borrow_mut().end();
    rig.wires[sender].borrow_mut().end();
    rig.pass_until_empty(Duration::from_secs(40));
    rig.assert_clean();
}
