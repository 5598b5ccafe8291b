//! What waits for a peer too long, or for all peers together: who takes nothing is not listened to, and the largest go first.

mod bulk;
mod peer;
mod server_process;

use std::thread;
use std::time::Duration;

use bulk::{MESSAGE_LEN, MIB, Pair, UNHURRIED, numbered};
use peer::{Peer, masked_frame, opcode};
use server_process::ServerProcess;

const MESSAGES_PER_MIB: usize = MIB / MESSAGE_LEN;

#[test]
fn sc_02_over_the_soft_limit_for_its_time_a_receiver_is_evicted() {
    let flags = [
        "--max-outbox",
        "64MiB",
        "--soft-outbox",
        "1MiB",
        "--soft-outbox-timeout",
        "500ms",
    ];
    let server = ServerProcess::start(&[flags, UNHURRIED].concat());
    let mut under = Pair::new(&server, 1);
    let mut over = Pair::new(&server, 2);
    under.send(MIB / 2);
    over.send(24 * MIB);
    under.expect_all();
    // It takes some all the time, so it does not stall; it only has too much waiting for too long.
    let mut taken_count = 0;
    let code = loop {
        let frame = over.slow.next_frame();
        if frame.opcode == opcode::CLOSE {
            break frame.close_code();
        }
        taken_count += 1;
        assert!(under.slow.is_silent_for(Duration::from_millis(10)));
    };
    assert_eq!(code, Some(1008));
    assert!(taken_count < over.sent_count, "it got everything");
    drop(over);
    server.logged("cause=backlogged");
    under.slow.send_close(1000, "");
    under.slow.expect_close(1000);
}

#[test]
fn sc_02_who_catches_up_in_time_is_not_evicted() {
    let flags = [
        "--max-outbox",
        "64MiB",
        "--soft-outbox-timeout",
        "5s",
        "--write-timeout",
        "60s",
    ];
    let server = ServerProcess::start(&flags);
    let mut pair = Pair::new(&server, 1);
    for _ in 0..3 {
        pair.send(12 * MIB);
        pair.expect_all();
        pair.sent_count = 0;
    }
    assert!(!server.log().contains("slow consumer"));
}

#[test]
fn sc_07_who_does_not_read_is_not_read_and_misses_nothing() {
    const COUNT: usize = 32 * MESSAGES_PER_MIB;
    let server = ServerProcess::start(&["--write-timeout", "60s", "--soft-outbox-timeout", "60s"]);
    Peer::connect(server.addr(), "/echo").expect_echo();
    let before = server.peak_rss_kib();
    let mut peer = Peer::connect(server.addr(), "/echo");
    let mut writer = peer.second_handle();
    let sending = thread::spawn(move || {
        for number in 0..COUNT {
            writer.send_binary(&numbered(number));
        }
    });
    // Nothing is read until the sender cannot go on: both kernels' buffers are full, and the server does not listen.
    peer.wait_until_unread_stays(Duration::from_millis(300));
    assert!(!sending.is_finished(), "the server took everything");
    for number in 0..COUNT {
        peer.expect_binary(&numbered(number));
    }
    sending.join().unwrap();
    let grown = server.peak_rss_kib().saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB more");
}

#[test]
fn sc_07_responses_that_nobody_reads_are_not_piled_up() {
    const COUNT: usize = 4000;
    let flags = ["--http-idle-timeout", "60s", "--max-http-requests", "10000"];
    let server = ServerProcess::start(&flags);
    let (_, page) = peer::http(server.addr(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(page.body.len() * COUNT > 24 * MIB, "{}", page.body.len());
    let before = server.peak_rss_kib();
    let mut peer = Peer::open(server.addr());
    peer.send_raw(
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
            .repeat(COUNT)
            .as_bytes(),
    );
    peer.wait_until_unread_stays(Duration::from_millis(100));
    for number in 0..COUNT {
        let response = peer.next_response();
        assert_eq!(response.status, 200, "response {number}");
        assert!(response.body == page.body);
    }
    let grown = server.peak_rss_kib().saturating_sub(before);
    assert!(grown < 6 << 10, "{grown} KiB more");
}

#[test]
fn sc_06_over_the_budget_of_all_outboxes_the_largest_is_evicted() {
    let flags = [
        "--threads",
        "2",
        "--max-outbox",
        "48MiB",
        "--soft-outbox",
        "48MiB",
        "--buffer-budget",
        "48MiB",
    ];
    let server = ServerProcess::start(&[&flags[..], &UNHURRIED].concat());
    // What the kernel takes comes on top, at most eight or so for each.
    let mut largest = Pair::new(&server, 0);
    largest.send(28 * MIB);
    let mut others: Vec<_> = (1..4).map(|group| Pair::new(&server, group)).collect();
    for pair in &mut others {
        pair.send(18 * MIB);
    }
    assert_eq!(largest.slow.drain_to_close(), Some(1008));
    for pair in &mut others {
        pair.expect_all();
    }
    server.logged("cause=overload");
    assert_eq!(server.log().matches("cause=overload").count(), 1);
}

#[test]
fn sc_06_what_may_be_dropped_goes_before_anybody_is_evicted() {
    let server = ServerProcess::start(&[
        "--threads",
        "1",
        "--max-outbox",
        "24MiB",
        "--soft-outbox",
        "24MiB",
        "--buffer-budget",
        "24MiB",
        "--policy",
        "1=drop-oldest",
        "--write-timeout",
        "60s",
    ]);
    // What the kernel takes comes on top, at most eight or so for each.
    let mut sparing = Pair::new(&server, 1);
    let mut others: Vec<_> = (2..4).map(|group| Pair::new(&server, group)).collect();
    sparing.send(30 * MIB);
    for pair in &mut others {
        pair.send(14 * MIB);
    }
    for pair in &mut others {
        pair.expect_all();
    }
    let last = numbered(sparing.sent_count - 1);
    let mut taken_count = 1;
    while sparing.slow.next_frame().payload != last {
        taken_count += 1;
    }
    assert!(taken_count < sparing.sent_count, "nothing was dropped");
    assert!(!server.log().contains("cause=overload"));
}

#[test]
fn ms_04_unfinished_messages_count_in_the_budget_of_all() {
    let flags = ["--max-outbox", "2MiB", "--buffer-budget", "2MiB"];
    let server = ServerProcess::start(&flags);
    let message = masked_frame(opcode::FIN | opcode::BINARY, &numbered(0).repeat(8));
    let (begun, rest) = message.split_at(message.len() - 1);
    let mut peers: Vec<_> = (0..8)
        .map(|_| {
            let mut peer = Peer::connect(server.addr(), "/echo");
            peer.send_raw(begun);
            peer
        })
        .collect();
    let line = server.logged("cause=overload");
    assert!(!line.contains("bytes_in=0"), "{line}");
    let mut echoed_count = 0;
    for peer in &mut peers {
        peer.try_send_raw(rest);
        match peer.next_frame() {
            frame if frame.opcode == opcode::CLOSE => assert_eq!(frame.close_code(), Some(1008)),
            frame => {
                assert_eq!(frame.payload.len(), 8 * MESSAGE_LEN);
                echoed_count += 1;
            }
        }
    }
    assert!(
        (1..=4).contains(&echoed_count),
        "{echoed_count} of 8 could finish"
    );
}
