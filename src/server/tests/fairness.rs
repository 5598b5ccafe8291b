//! Who is served first while somebody sends a lot.

use super::received::Received;
use super::rig::{Rig, upgrade};
use super::text;
use crate::config::Config;

/// What each of those who flood sends.
const FLOOD_LEN: usize = 640 << 10;

/// Bytes that the loops have read so far.
fn read_len(rig: &Rig) -> u64 {
    let loops = rig.shared.metrics.loops().iter();
    loops.map(|counters| counters.bytes_in.get()).sum()
}

/// A server with so many who flood it on a loop, and two on the same loop of whom nothing has come yet.
fn flooded(flood_count: usize, message_len: usize) -> (Rig, Vec<usize>, [usize; 2]) {
    let mut rig = Rig::new(Config::default());
    let mut connect_here = || {
        let peer = rig.connect_healthy(&upgrade("/echo"));
        // The other loop gets the next one.
        rig.connect_healthy(&upgrade("/echo"));
        peer
    };
    let honest = [connect_here(), connect_here()];
    let flooders: Vec<_> = (0..flood_count).map(|_| connect_here()).collect();
    rig.settle();
    let flood = text(&"-".repeat(message_len)).repeat(FLOOD_LEN / message_len);
    for &flooder in &flooders {
        rig.wires[flooder].borrow_mut().send(&flood);
    }
    (rig, flooders, honest)
}

#[test]
fn sc_04_beside_floods_everybody_else_is_served_in_every_turn() {
    for (flood_count, message_len) in [(1, 64 << 10), (1, 20), (5, 64 << 10), (5, 1000)] {
        let (mut rig, _, honest) = flooded(flood_count, message_len);
        // The flood is known from its first turn on.
        rig.wires[honest[0]].borrow_mut().send(&text("0"));
        rig.turn(0, &[]);
        rig.turn(0, &[]);
        for turn in 1..7 {
            let before = read_len(&rig);
            for peer in honest {
                rig.wires[peer].borrow_mut().send(&text(&turn.to_string()));
            }
            rig.turn(0, &[]);
            for peer in honest {
                let received = Received::parse(&rig.taken(peer));
                let last = received.messages().last().map(str::to_owned);
                assert_eq!(last, Some(turn.to_string()), "turn {turn}");
            }
            let read_len = read_len(&rig) - before;
            assert!(
                (16 << 10..81 << 10).contains(&read_len),
                "{read_len} bytes of {flood_count} floods in turn {turn}"
            );
        }
    }
}

#[test]
fn sc_04_many_floods_take_turns() {
    let (mut rig, flooders, honest) = flooded(7, 64 << 10);
    let left = |rig: &Rig| -> Vec<usize> {
        let left = flooders
            .iter()
            .map(|&it| rig.wires[it].borrow().incoming.len());
        left.collect()
    };
    for _ in 0..20 {
        rig.wires[honest[0]].borrow_mut().send(&text("here"));
        rig.turn(0, &[]);
    }
    let left = left(&rig);
    let (most, least) = (left.iter().max().unwrap(), left.iter().min().unwrap());
    assert!(most - least <= 140 << 10, "{left:?}");
    assert!(*least > 0, "{left:?}");
}

#[test]
fn sc_04_a_flood_alone_is_read_in_whole_budgets() {
    let (mut rig, ..) = flooded(1, 64 << 10);
    rig.turn(0, &[]);
    for _ in 0..2 {
        let before = read_len(&rig);
        rig.turn(0, &[]);
        assert!(read_len(&rig) - before >= 128 << 10);
    }
}
