//! Deliveries that are written at once: with one write for each receiver, and whole whatever the sockets do.

use std::collections::VecDeque;

use super::rig::{Rig, upgrade};
use super::wire::{Fault, Wire};
use super::{answer, text};
use crate::config::Config;

/// A rig with four members of a room, two on each loop, and the number of bytes that each has got to get there.
fn room() -> (Rig, Vec<usize>) {
    let mut rig = Rig::new(Config::default());
    for _ in 0..4 {
        rig.connect_healthy(&upgrade("/room"));
    }
    rig.settle();
    let lens = rig
        .wires
        .iter()
        .map(|wire| wire.borrow().taken.len())
        .collect();
    (rig, lens)
}

/// Sends three messages at once as the first member; what everybody is to get.
fn send_three(rig: &Rig) -> Vec<u8> {
    send_three_as(rig, 0)
}

/// The same as another member.
fn send_three_as(rig: &Rig, sender: usize) -> Vec<u8> {
    let messages = ["one", "two", "three"];
    let sent = messages.map(text).concat();
    rig.wires[sender].borrow_mut().send(&sent);
    messages.map(answer).concat()
}

/// Nobody is left, and every message is accounted for.
fn end(mut rig: Rig) {
    for wire in &rig.wires {
        wire.borrow_mut().end();
    }
    rig.settle();
    rig.assert_clean();
}

#[test]
fn messages_of_one_turn_reach_each_member_with_one_write() {
    const CALLS: usize = 100;
    // One sender, and two on the same loop.
    for senders in [&[0][..], &[0, 2]] {
        let (mut rig, lens) = room();
        for wire in &rig.wires {
            wire.borrow_mut().faults = vec![Fault::Nothing; CALLS].into();
        }
        let sent = senders.iter().map(|&sender| send_three_as(&rig, sender));
        let expected: Vec<_> = sent.collect();
        rig.settle();
        for (number, wire) in rig.wires.iter().enumerate() {
            let mut wire = wire.borrow_mut();
            let calls = CALLS - std::mem::take(&mut wire.faults).len();
            assert_eq!(
                wire.taken[lens[number]..],
                expected.concat(),
                "member {number}"
            );
            // A sender is read from before, and once more in case that the socket was not drained.
            let calls_max = if senders.contains(&number) { 3 } else { 1 };
            assert!(
                calls <= calls_max,
                "{calls} calls of {number} for {senders:?}"
            );
        }
        end(rig);
    }
}

#[test]
fn a_socket_that_takes_a_part_gets_the_rest_in_order() {
    let expected_len = ["one", "two", "three"].map(answer).concat().len();
    for room_len in 0..=expected_len {
        let (mut rig, lens) = room();
        for wire in &rig.wires[1..] {
            wire.borrow_mut().room = room_len;
        }
        let expected = send_three(&rig);
        rig.settle();
        let again = send_three(&rig);
        rig.settle();
        for (wire, len) in rig.wires.iter().zip(&lens).skip(1) {
            assert_eq!(wire.borrow().taken[*len..], expected[..room_len]);
        }
        for wire in &rig.wires {
            wire.borrow_mut().make_room(usize::MAX);
        }
        rig.settle();
        for (wire, len) in rig.wires.iter().zip(&lens) {
            assert_eq!(
                wire.borrow().taken[*len..],
                [&expected[..], &again].concat()
            );
        }
        end(rig);
    }
}

#[test]
fn whatever_the_first_write_says_the_others_get_everything() {
    for fault in Fault::OF_A_WRITE {
        let (mut rig, lens) = room();
        for number in [1, 2] {
            rig.wires[number].borrow_mut().faults = VecDeque::from([fault]);
        }
        let expected = send_three(&rig);
        rig.settle();
        for (number, wire) in rig.wires.iter().enumerate() {
            let wire = wire.borrow();
            let is_out =
                matches!(fault, Fault::Zero | Fault::Broken(_)) && [1, 2].contains(&number);
            assert_eq!(wire.is_dropped, is_out, "{fault:?}: {number}");
            let expected = if is_out { &[] } else { &expected[..] };
            assert_eq!(wire.taken[lens[number]..], *expected, "{fault:?}: {number}");
        }
        end(rig);
    }
}

#[test]
fn lg_02_what_each_peer_was_sent_is_counted_whether_written_at_once_or_later() {
    let (mut rig, _) = room();
    let late = rig.connect(Wire {
        incoming: upgrade("/room").into(),
        room: 150,
        ..Wire::default()
    });
    rig.settle();
    for _ in 0..2 {
        send_three(&rig);
        rig.settle();
    }
    rig.wires[late].borrow_mut().make_room(usize::MAX);
    rig.settle();
    for event_loop in &rig.loops {
        for connection in event_loop.connections.values() {
            let number = usize::from(connection.link.address().port());
            let tally = connection.tally();
            let taken = rig.wires[number].borrow().taken.len() as u64;
            assert_eq!(
                (tally.messages_out, tally.bytes_out, tally.dropped),
                (6, taken, 0)
            );
        }
    }
    let taken_lens = rig
        .wires
        .iter()
        .map(|wire| wire.borrow().taken.len() as u64);
    let bytes_out = rig.shared.metrics.sum(|counters| counters.bytes_out.get());
    assert_eq!(bytes_out, taken_lens.sum::<u64>());
    end(rig);
}
