//! How the server ends: everyone is told, nobody can hold it up, the exit code is 0.

mod peer;
mod server_process;

use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use peer::{DEADLINE, Peer, opcode, upgrade_request};
use serde_json::{Value, json};
use server_process::ServerProcess;

#[test]
fn sd_02_on_sigterm_every_peer_gets_1001_and_the_exit_code_is_0() {
    let mut server = ServerProcess::start(&["--threads", "2", "--drain", "5s"]);
    let mut peers: Vec<_> = (0..50)
        .map(|_| Peer::connect(server.addr(), "/ws"))
        .collect();
    for peer in &mut peers {
        assert_eq!(peer.next_json()["event"], "connected");
    }
    server.signal("TERM");
    for mut peer in peers {
        assert_eq!(peer.drain_to_close(), Some(1001));
        peer.send_close(1001, "");
        peer.expect_eof();
    }
    assert_eq!(server.wait_at_most(Duration::from_secs(6)).code(), Some(0));
}

#[test]
fn sd_02_a_peer_is_served_until_its_own_close_is_due() {
    let mut server = ServerProcess::start(&["--threads", "2", "--drain", "10s"]);
    // A hundred in a second: the last one is told a second after the first.
    let mut peers: Vec<_> = (0..100)
        .map(|_| Peer::connect(server.addr(), "/relay/one"))
        .collect();
    let [before_last, last] = peers.split_off(98).try_into().expect("two");
    let mut late = [before_last, last];
    server.signal("TERM");
    assert_eq!(peers[0].drain_to_close(), Some(1001));
    // The two are on different loops.
    late[0].send_text("still here");
    late[1].expect_text("still here");
    for peer in late.iter_mut().chain(&mut peers[1..]) {
        assert_eq!(peer.drain_to_close(), Some(1001));
    }
    for peer in late.iter_mut().chain(&mut peers) {
        peer.send_close(1001, "");
        peer.expect_eof();
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn sd_01_on_sigterm_the_port_is_closed_and_handshakes_in_progress_get_a_503() {
    let mut server = ServerProcess::start(&["--drain", "5s", "--close-timeout", "2s"]);
    let addr = server.addr();
    let mut idle = Peer::open(addr);
    idle.send_raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(idle.next_response().status, 200);
    let request = upgrade_request(addr, "/echo", "");
    let mut in_progress = Peer::open(addr);
    in_progress.send_raw(&request.as_bytes()[..30]);
    // Its answer proves that the half-sent request before it has been read too.
    let mut open = Peer::connect(addr, "/echo");
    open.expect_echo();
    server.signal("TERM");
    assert_eq!(open.drain_to_close(), Some(1001));
    assert!(TcpStream::connect(addr).is_err(), "the port is still open");
    idle.expect_eof();
    in_progress.try_send_raw(&request.as_bytes()[30..]);
    let response = in_progress.next_response();
    assert_eq!(response.status, 503);
    assert!(
        response.field("retry-after").is_some() && response.closes(),
        "{response:?}"
    );
    open.send_close(1001, "");
    open.expect_eof();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn sd_03_peers_that_never_answer_hold_the_server_up_to_the_end_of_the_drain_at_most() {
    let flags = [
        "--drain",
        "700ms",
        "--close-timeout",
        "1h",
        "--linger-timeout",
        "1h",
    ];
    let mut server = ServerProcess::start(&[&flags[..], &["--write-timeout", "1h"]].concat());
    let mut silent: Vec<_> = (0..10)
        .map(|_| Peer::connect(server.addr(), "/relay/one"))
        .collect();
    // One of them does not even read: its kernel's buffers are full.
    let mut sender = Peer::connect(server.addr(), "/relay/one");
    for _ in 0..100 {
        sender.send_binary(&[7; 100_000]);
    }
    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait_at_most(Duration::from_secs(5)).code(), Some(0));
    assert!(
        begun.elapsed() >= Duration::from_millis(300),
        "nobody was waited for"
    );
    silent[0].expect_end();
}

#[test]
fn sd_03_a_second_signal_ends_the_server_at_once() {
    let flags = [
        "--drain",
        "1h",
        "--close-timeout",
        "1h",
        "--linger-timeout",
        "1h",
    ];
    let mut server = ServerProcess::start(&flags);
    let mut silent = Peer::connect(server.addr(), "/echo");
    server.signal("TERM");
    assert_eq!(silent.drain_to_close(), Some(1001));
    server.signal("INT");
    let status = server.wait_at_most(Duration::from_secs(2));
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(server.log().contains("second signal"), "{}", server.log());
}

#[test]
fn sd_04_what_was_acknowledged_before_the_signal_is_delivered() {
    let mut server = ServerProcess::start(&["--threads", "2", "--drain", "5s"]);
    let mut receiver = Peer::connect(server.addr(), "/ws");
    receiver.next_json();
    let mut sender = Peer::connect(server.addr(), "/ws");
    sender.next_json();
    let data = "x".repeat(10_000);
    for number in 0..100 {
        sender.send_json(&serde_json::json!({
            "type": "sendToGroup", "group": "@all", "noEcho": true, "ackId": number, "data": data,
        }));
        assert_eq!(sender.next_json()["recipients"], 1);
    }
    server.signal("TERM");
    for _ in 0..100 {
        assert_eq!(receiver.next_json()["data"], *data);
    }
    // A notice that the server goes may come before the close.
    assert_eq!(receiver.drain_to_close(), Some(1001));
    receiver.send_close(1001, "");
    assert_eq!(sender.drain_to_close(), Some(1001));
    sender.send_close(1001, "");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn sd_01_an_open_message_does_not_keep_a_peer() {
    let mut server = ServerProcess::start(&["--drain", "5s", "--close-timeout", "500ms"]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_frame(opcode::TEXT, b"begun and");
    peer.send_frame(opcode::FIN | opcode::PING, b"");
    assert_eq!(peer.next_frame().opcode, opcode::PONG);
    server.signal("INT");
    peer.expect_close(1001);
    // What is begun may be finished, and is dropped.
    peer.send_frame(opcode::FIN | opcode::CONTINUATION, b" never finished");
    peer.send_close(1001, "");
    peer.expect_eof();
    assert_eq!(server.wait_at_most(DEADLINE).code(), Some(0));
}

#[test]
fn sd_04_under_load_nothing_acknowledged_is_lost_to_peers_that_read() {
    const SENDERS: usize = 3;
    let mut server = ServerProcess::start(&["--threads", "2", "--drain", "5s"]);
    let mut receivers: Vec<_> = (0..6)
        .map(|_| Peer::connect(server.addr(), "/ws"))
        .collect();
    for peer in &mut receivers {
        assert_eq!(peer.next_json()["event"], "connected");
        peer.send_json(&json!({"type": "joinGroup", "group": "load", "ackId": 1}));
        assert_eq!(peer.next_json()["success"], true);
    }
    let acknowledged = [(); SENDERS].map(|()| AtomicU64::new(0));
    let before_signal = thread::scope(|scope| {
        let receivers: Vec<_> = receivers
            .iter_mut()
            .map(|peer| scope.spawn(|| counts_until_close(peer)))
            .collect();
        for (sender, acknowledged) in acknowledged.iter().enumerate() {
            let peer = Peer::connect(server.addr(), "/ws");
            scope.spawn(move || send_until_close(peer, sender, acknowledged));
        }
        let counts = || {
            acknowledged
                .each_ref()
                .map(|count| count.load(Ordering::Acquire))
        };
        let deadline = Instant::now() + DEADLINE;
        while counts().iter().any(|&count| count < 200) {
            assert!(Instant::now() < deadline, "{:?}", counts());
            thread::yield_now();
        }
        let before_signal = counts();
        server.signal("TERM");
        for receiver in receivers {
            let received: [u64; SENDERS] = receiver.join().unwrap();
            for (received, acknowledged) in received.iter().zip(&before_signal) {
                assert!(received >= acknowledged, "{received} of {acknowledged}");
            }
        }
        before_signal
    });
    assert_eq!(server.wait().code(), Some(0), "{before_signal:?}");
}

/// Sends numbered messages, several at a time, and counts how many are acknowledged, until the server closes.
fn send_until_close(mut peer: Peer, sender: usize, acknowledged: &AtomicU64) {
    let mut next = 0;
    loop {
        for _ in 0..10 {
            next += 1;
            peer.send_json(&json!({
                "type": "sendToGroup", "group": "load", "ackId": next, "dataType": "json", "data": [sender, next],
            }));
        }
        // Some acks of the last round may still be on their way, so it does not go in step with the server.
        while acknowledged.load(Ordering::Relaxed) + 5 < next {
            let frame = peer.next_frame();
            if frame.opcode == opcode::CLOSE {
                assert_eq!(frame.close_code(), Some(1001));
                peer.send_close(1001, "");
                return;
            }
            if frame.opcode != opcode::TEXT {
                continue;
            }
            let message: Value = serde_json::from_slice(&frame.payload).unwrap();
            if message["type"] == "ack" {
                assert_eq!(message["success"], true, "{message}");
                acknowledged.store(message["ackId"].as_u64().unwrap(), Ordering::Release);
            }
        }
    }
}

/// Counts the messages of each sender until the server closes; none may be missing in between.
fn counts_until_close<const SENDERS: usize>(peer: &mut Peer) -> [u64; SENDERS] {
    let mut counts = [0; SENDERS];
    loop {
        let frame = peer.next_frame();
        if frame.opcode == opcode::CLOSE {
            assert_eq!(frame.close_code(), Some(1001));
            peer.send_close(1001, "");
            return counts;
        }
        if frame.opcode != opcode::TEXT {
            continue;
        }
        let message: Value = serde_json::from_slice(&frame.payload).unwrap();
        let Some(data) = message["data"].as_array() else {
            continue;
        };
        let [sender, number] = [0, 1].map(|index| data[index].as_u64().unwrap());
        let count = &mut counts[usize::try_from(sender).unwrap()];
        assert_eq!(number, *count + 1, "sender {sender}");
        *count = number;
    }
}
