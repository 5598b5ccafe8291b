//! Answers that are written at once: with one write for each read, and whole whatever the sockets do.

use std::collections::VecDeque;

use super::rig::{Rig, upgrade};
use super::wire::Fault;
use super::{answer, text};
use crate::config::Config;

const MESSAGES: [&str; 3] = ["one", "two", "three"];

/// A rig with one who gets back what it sends, and the number of bytes that it has got to get there.
fn echo() -> (Rig, usize) {
    let mut rig = Rig::new(Config::default());
    rig.connect_healthy(&upgrade("/echo"));
    rig.settle();
    let len = rig.taken(0).len();
    (rig, len)
}

/// Sends three messages at once; what is to come back.
fn send_three(rig: &Rig) -> Vec<u8> {
    rig.wires[0].borrow_mut().send(&MESSAGES.map(text).concat());
    MESSAGES.map(answer).concat()
}

/// Nobody is left, and every message is accounted for.
fn end(mut rig: Rig) {
    rig.wires[0].borrow_mut().end();
    rig.settle();
    rig.assert_clean();
}

#[test]
fn messages_of_one_read_are_answered_with_one_write() {
    const CALLS: usize = 100;
    let (mut rig, len) = echo();
    rig.wires[0].borrow_mut().faults = vec![Fault::Nothing; CALLS].into();
    let expected = send_three(&rig);
    rig.turn(0, &[]);
    let mut wire = rig.wires[0].borrow_mut();
    assert_eq!(wire.taken[len..], expected);
    assert_eq!(CALLS - std::mem::take(&mut wire.faults).len(), 2);
    drop(wire);
    end(rig);
}

#[test]
fn a_socket_that_takes_a_part_of_an_answer_gets_the_rest_in_order() {
    let expected_len = MESSAGES.map(answer).concat().len();
    for room_len in 0..=expected_len {
        let (mut rig, len) = echo();
        rig.wires[0].borrow_mut().room = room_len;
        let expected = send_three(&rig);
        rig.settle();
        let again = send_three(&rig);
        rig.settle();
        assert_eq!(rig.taken(0)[len..], expected[..room_len]);
        rig.wires[0].borrow_mut().make_room(usize::MAX);
        rig.settle();
        assert_eq!(rig.taken(0)[len..], [&expected[..], &again].concat());
        end(rig);
    }
}

#[test]
fn an_answer_is_whole_whatever_the_first_write_says() {
    for fault in Fault::OF_A_WRITE {
        let (mut rig, len) = echo();
        rig.wires[0].borrow_mut().faults = VecDeque::from([Fault::Nothing, fault]);
        let expected = send_three(&rig);
        rig.settle();
        let is_out = matches!(fault, Fault::Zero | Fault::Broken(_));
        assert_eq!(rig.wires[0].borrow().is_dropped, is_out, "{fault:?}");
        let expected = if is_out { &[] } else { &expected[..] };
        assert_eq!(rig.taken(0)[len..], *expected, "{fault:?}");
        end(rig);
    }
}

#[test]
fn an_answer_is_not_written_before_what_comes_first() {
    let (mut rig, len) = echo();
    // The end that the last message asks for comes behind the answers.
    let sent = [&MESSAGES.map(text).concat()[..], &text("bye")].concat();
    rig.wires[0].borrow_mut().send(&sent);
    rig.settle();
    let close = [&[0x88, 5, 3, 232][..], b"bye"].concat();
    let expected = [&MESSAGES.map(answer).concat()[..], &close].concat();
    assert_eq!(rig.taken(0)[len..], expected);
    end(rig);
}

#[test]
fn lg_02_what_was_answered_is_counted_whether_written_at_once_or_later() {
    let (mut rig, len) = echo();
    for room_len in [usize::MAX, 5, 0] {
        rig.wires[0].borrow_mut().room = room_len;
        send_three(&rig);
        rig.settle();
        rig.wires[0].borrow_mut().make_room(usize::MAX);
        rig.settle();
    }
    let connections = rig.loops.iter().flat_map(|it| it.connections.values());
    let tallies: Vec<_> = connections.map(|connection| connection.tally()).collect();
    assert_eq!(tallies.len(), 1);
    let taken_len = rig.taken(0).len();
    assert_eq!(taken_len, len + 3 * MESSAGES.map(answer).concat().len());
    let tally = tallies[0];
    assert_eq!((tally.messages_in, tally.messages_out), (9, 9));
    assert_eq!((tally.bytes_out, tally.dropped), (taken_len as u64, 0));
    let balance = rig.shared.metrics.balance();
    assert!(balance.holds() && balance.delivered == 9, "{balance}");
    end(rig);
}
