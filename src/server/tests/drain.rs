//! What a drain and the end of a loop do to those who are there.

use std::io::ErrorKind;
use std::time::Duration;

use super::received::Received;
use super::rig::{Rig, get, upgrade};
use super::{frame, states};
use crate::proto::OpCode;

#[test]
fn sd_03_at_the_end_of_a_loop_everybody_is_cut_off() {
    for is_drained in [false, true] {
        for (_, bytes) in states() {
            let mut rig = Rig::small();
            let peers = [(); 3].map(|()| rig.connect_healthy(&bytes));
            rig.settle();
            if is_drained {
                rig.drain();
                rig.settle();
            }
            rig.end();
            for peer in peers {
                let wire = rig.wires[peer].borrow();
                assert!(wire.is_dropped && wire.token.is_none(), "{wire:?}");
            }
            rig.assert_pairs(0);
        }
    }
}

#[test]
fn sd_02_a_drain_closes_every_peer_and_ends_both_loops_together() {
    let mut rig = Rig::small();
    let peers: Vec<_> = (0..300)
        .map(|_| rig.connect_healthy(&upgrade("/room")))
        .collect();
    let idle = rig.connect_healthy(&get("/"));
    let recoverable = rig.connect_healthy(&upgrade("/recoverable"));
    rig.settle();
    rig.wires[recoverable]
        .borrow_mut()
        .reset(ErrorKind::TimedOut);
    rig.settle();
    rig.drain();
    let begun = rig.now;
    let mut closed_after = Vec::new();
    rig.settle();
    assert!(rig.wires[idle].borrow().is_dropped, "it was idle");
    while closed_after.len() < peers.len() {
        assert!(!rig.loops.iter().any(|it| it.is_over()));
        assert!(
            rig.now - begun < Duration::from_secs(4),
            "3 s for 300 peers"
        );
        rig.now = rig.now + Duration::from_millis(10);
        rig.settle();
        for &peer in &peers {
            let mut wire = rig.wires[peer].borrow_mut();
            if !wire.is_ended && Received::parse(&wire.taken).close_codes() == [1001] {
                wire.send(&frame(OpCode::Close, &1001_u16.to_be_bytes()));
                wire.end();
                closed_after.push(rig.now - begun);
            }
        }
    }
    rig.settle();
    for second in 0..3 {
        let is_in_second = |after: &&Duration| after.as_secs() == second;
        let count = closed_after.iter().filter(is_in_second).count();
        assert!((70..=130).contains(&count), "{count} in second {second}");
    }
    assert!(rig.loops.iter().all(|it| it.is_over()));
    rig.assert_clean();
}

#[test]
fn sd_04_a_loop_without_peers_serves_the_others_until_they_are_gone() {
    let mut rig = Rig::small();
    let [on_first, on_second] = [(); 2].map(|()| rig.connect_healthy(&upgrade("/room")));
    rig.settle();
    assert!(rig.loops.iter().all(|it| it.connections.len() == 1));
    rig.drain();
    rig.turn(0, &[]);
    rig.wires[on_second].borrow_mut().end();
    rig.settle();
    assert!(rig.loops[1].connections.is_empty());
    assert!(!rig.loops.iter().any(|it| it.is_over()));
    rig.wires[on_first].borrow_mut().end();
    rig.settle();
    assert!(rig.loops.iter().all(|it| it.is_over()));
    rig.assert_clean();
}
