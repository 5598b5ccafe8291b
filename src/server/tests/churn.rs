//! Connections that come and go for a long time, in every way: nothing grows.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use super::rig::{Rig, upgrade};
use super::{frame, text};
use crate::config::Config;
use crate::proto::OpCode;

/// Connections that are open at a time.
const CROWD: usize = 64;

/// Lets `count` connections come, join, speak and go.
fn churn(rig: &mut Rig, count: usize) {
    let paths = ["/echo", "/room", "/room", "/recoverable"];
    for crowd in 0..count / CROWD {
        let peers: Vec<_> = (0..CROWD)
            .map(|number| rig.connect_healthy(&upgrade(paths[(number + crowd) % paths.len()])))
            .collect();
        rig.settle();
        rig.wires[peers[crowd % CROWD]]
            .borrow_mut()
            .send(&text("*0:0"));
        rig.settle();
        for (number, &peer) in peers.iter().enumerate() {
            let mut wire = rig.wires[peer].borrow_mut();
            match (number + crowd / 7) % 5 {
                0 => wire.reset(ErrorKind::ConnectionReset),
                1 => wire.end(),
                2 => wire.send(b"\x81\x01?"),
                3 => wire.send(&text("bye")),
                _ => wire.send(&frame(OpCode::Close, &[])),
            }
            if number % 2 == 0 {
                wire.end();
            }
        }
        rig.settle();
        // Longer than anybody may linger; sessions that wait for another socket pile up over ten rounds.
        rig.now = rig.now + Duration::from_secs(6);
        rig.settle();
        rig.forget_the_gone();
    }
}

/// How much memory everything that belongs to connections has reserved, in connections.
fn reserved(rig: &Rig) -> usize {
    let capacities = rig.loops.iter().map(|it| it.connections.capacity());
    capacities.sum()
}

#[test]
fn rs_06_churn_leaves_slots_timers_and_groups_at_the_baseline() {
    let mut rig = Rig::new(Config::default());
    churn(&mut rig, 30 * CROWD);
    let baseline = reserved(&rig);
    churn(&mut rig, 150 * CROWD);
    assert_eq!(reserved(&rig), baseline);
    rig.pass_until_empty(Duration::from_secs(40));
    rig.assert_clean();
}

#[test]
#[ignore = "needs a process of its own and two minutes: cargo test --lib rs_06_a_million -- --ignored"]
fn rs_06_a_million_connects_leave_memory_at_the_baseline() {
    let mut rig = Rig::new(Config::default());
    churn(&mut rig, 100_000);
    let baseline = resident_kib();
    churn(&mut rig, 900_000);
    let grown = resident_kib().saturating_sub(baseline);
    println!("{baseline} KiB after 100,000 connects, {grown} more after 1,000,000");
    assert!(grown < 1024, "{grown} KiB more than {baseline}");
    rig.pass_until_empty(Duration::from_secs(40));
    rig.assert_clean();
}

/// Resident memory of this process.
fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.unwrap().parse().unwrap()
}
