//! How the server ends: everyone is told, nobody can hold it up, the exit code is 0.

mod peer;
mod server_process;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use peer::{DEADLINE, Peer, opcode, upgrade_request};
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
