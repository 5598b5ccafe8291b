//! Receivers that do not read: they cost bounded memory, nobody else's time, and in the end their own connection.

mod bulk;
mod peer;
mod server_process;

use std::time::{Duration, Instant};

use bulk::{MESSAGE_LEN, MIB, Pair, UNHURRIED, numbered};
use peer::{DEADLINE, Peer, opcode};
use server_process::ServerProcess;

#[test]
fn sc_02_sc_04_stuck_receivers_are_evicted_and_delay_nobody() {
    const MESSAGES: usize = 50 * MIB / MESSAGE_LEN;
    let server = ServerProcess::start(&UNHURRIED);
    let mut stuck: Vec<_> = (0..5)
        .map(|_| Peer::connect(server.addr(), "/relay/one"))
        .collect();
    let mut honest: Vec<_> = (0..3)
        .map(|_| Peer::connect(server.addr(), "/relay/one"))
        .collect();
    let mut sender = Peer::connect(server.addr(), "/relay/one");
    let numbers: Vec<_> = (0..MESSAGES).collect();
    // 1 MiB at a time, which an honest receiver's outbox has room for.
    for batch in numbers.chunks(16) {
        for &number in batch {
            sender.send_binary(&numbered(number));
        }
        for peer in &mut honest {
            for &number in batch {
                peer.expect_binary(&numbered(number));
            }
        }
    }
    let peak = server.peak_rss_kib();
    assert!(peak < 64 << 10, "{peak} KiB");
    // What was begun before is finished, in order, then comes the Close.
    for peer in &mut stuck {
        let mut count = 0;
        let code = loop {
            let frame = peer.next_frame();
            if frame.opcode == opcode::CLOSE {
                break frame.close_code();
            }
            assert!(
                frame.payload == numbered(count),
                "message {count} is another one"
            );
            count += 1;
        };
        assert_eq!(code, Some(1008));
        assert!(count < MESSAGES, "it was not slow");
    }
}

#[test]
fn sc_05_a_pong_goes_ahead_of_what_waits() {
    // Above its soft limit its pings would not be read.
    let outbox = ["--max-outbox", "64MiB", "--soft-outbox", "64MiB"];
    let server = ServerProcess::start(&[&outbox[..], &["--write-timeout", "60s"]].concat());
    let mut pair = Pair::new(&server, 1);
    pair.send(24 * MIB);
    pair.slow.send_frame(opcode::FIN | opcode::PING, b"now");
    let mut before_pong = 0;
    loop {
        let frame = pair.slow.next_frame();
        if frame.opcode == opcode::PONG {
            break;
        }
        before_pong += 1;
    }
    pair.expect_from(before_pong);
    assert!(before_pong < pair.sent_count, "the pong came last");
}

#[test]
fn sc_08_a_receiver_that_takes_nothing_for_the_write_timeout_is_cut() {
    let flags = [
        "--max-outbox",
        "64MiB",
        "--write-timeout",
        "300ms",
        "--close-timeout",
        "300ms",
    ];
    let server = ServerProcess::start(&flags);
    let idle_count = server.descriptor_count();
    let mut stuck = Peer::connect(server.addr(), "/relay/one");
    let mut sender = Peer::connect(server.addr(), "/relay/one");
    for number in 0..24 * MIB / MESSAGE_LEN {
        sender.send_binary(&numbered(number));
    }
    // Only the sender's descriptor is left.
    let deadline = Instant::now() + DEADLINE;
    while server.descriptor_count() > idle_count + 1 {
        assert!(
            Instant::now() < deadline,
            "the stuck receiver is still there"
        );
        assert!(sender.is_silent_for(Duration::from_millis(10)));
    }
    stuck.expect_end();
}

#[test]
fn sc_09_a_second_burst_uses_the_memory_of_the_first() {
    let server = ServerProcess::start(&["--max-outbox", "64MiB", "--write-timeout", "60s"]);
    let mut pair = Pair::new(&server, 1);
    let mut burst = || {
        pair.sent_count = 0;
        pair.send(16 * MIB);
        pair.expect_all();
        server.peak_rss_kib()
    };
    let first = burst();
    burst();
    let grown = burst().saturating_sub(first);
    // Not the resident memory after the burst: what was freed is the allocator's to keep.
    assert!(grown < 4 << 10, "{grown} KiB more than the first time");
}
