//! Peers that send more in a second than they may: they are read from later, and sent away if they do not stop.

mod peer;
mod server_process;

use std::time::{Duration, Instant};

use peer::{Frame, Peer, masked_frame, opcode};
use serde_json::json;
use server_process::ServerProcess;

/// A burst of a second and ten seconds more: what may come at once of something of which ten a second may.
const AT_ONCE: usize = 110;

fn ping() -> Vec<u8> {
    masked_frame(opcode::FIN | opcode::PING, b"")
}

fn text() -> Vec<u8> {
    masked_frame(opcode::FIN | opcode::TEXT, b"x")
}

/// Everything up to the Close frame, which has to say `code` and `reason`.
fn expect_close_in_the_end(peer: &mut Peer, code: u16, reason: &str) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        let frame = peer.next_frame();
        if frame.opcode == opcode::CLOSE {
            let expected = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
            assert_eq!(frame.payload, expected);
            return frames;
        }
        frames.push(frame);
    }
}

#[test]
fn lt_06_a_flood_of_control_frames_is_closed() {
    let server = ServerProcess::start(&["--control-frame-rate", "10"]);
    for opcode in [opcode::PING, opcode::PONG] {
        let frame = masked_frame(opcode::FIN | opcode, b"");
        let mut peer = Peer::connect(server.addr(), "/echo");
        peer.send_raw(&frame.repeat(AT_ONCE + 1));
        expect_close_in_the_end(&mut peer, 1008, "too many control frames");
        peer.expect_eof();
    }
    let mut idle = Peer::connect(server.addr(), "/echo");
    idle.expect_echo();
}

#[test]
fn lt_06_control_frames_are_limited_unless_somebody_decides_otherwise() {
    for (flags, is_limited) in [(&[][..], true), (&["--control-frame-rate", "off"], false)] {
        let server = ServerProcess::start(flags);
        let mut peer = Peer::connect(server.addr(), "/echo");
        // More than eleven hundred in one read.
        peer.send_raw(&ping().repeat(2000));
        peer.send_raw(&text());
        if is_limited {
            expect_close_in_the_end(&mut peer, 1008, "too many control frames");
        } else {
            while peer.next_frame().opcode == opcode::PONG {}
            peer.expect_echo();
        }
    }
}

#[test]
fn lt_06_who_is_ahead_is_read_from_later() {
    let server = ServerProcess::start(&["--control-frame-rate", "10"]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    let begun = Instant::now();
    // Half a second more than a burst.
    peer.send_raw(&ping().repeat(15));
    for _ in 0..15 {
        assert_eq!(peer.next_frame().opcode, opcode::PONG);
    }
    assert!(begun.elapsed() < Duration::from_millis(400), "the burst");
    peer.expect_echo();
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(480), "{elapsed:?}");
}

#[test]
fn lt_06_somebody_who_is_held_back_can_be_sent_away_and_goes() {
    let mut server = ServerProcess::start(&["--control-frame-rate", "10"]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    // Ten seconds: long beyond the drain.
    peer.send_raw(&ping().repeat(AT_ONCE));
    for _ in 0..AT_ONCE {
        assert_eq!(peer.next_frame().opcode, opcode::PONG);
    }
    // It waits to be read, and no event will tell of it again.
    peer.send_close(1000, "");
    server.signal("TERM");
    peer.expect_close(1001);
    peer.expect_eof();
    drop(peer);
    // Sooner than the close timeout, after which everybody is gone anyway.
    assert!(server.wait_at_most(Duration::from_secs(4)).success());
}

#[test]
fn lt_06_a_flood_of_messages_is_cut_where_it_is_too_much() {
    let server = ServerProcess::start(&["--message-rate", "10"]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_raw(&text().repeat(2 * AT_ONCE));
    let echoes = expect_close_in_the_end(&mut peer, 1008, "too many messages");
    assert_eq!(echoes.len(), AT_ONCE);
    peer.expect_eof();
}

#[test]
fn lt_06_a_flood_of_group_operations_is_a_flood_of_messages() {
    let server = ServerProcess::start(&["--message-rate", "10"]);
    let mut peer = Peer::connect(server.addr(), "/ws");
    let join = json!({"type": "joinGroup", "group": "a"}).to_string();
    let leave = json!({"type": "leaveGroup", "group": "a"}).to_string();
    let both = [join, leave].map(|it| masked_frame(opcode::FIN | opcode::TEXT, it.as_bytes()));
    peer.send_raw(&both.concat().repeat(AT_ONCE));
    expect_close_in_the_end(&mut peer, 1008, "too many messages");
}

#[test]
fn lt_06_who_sends_too_many_bytes_is_read_from_later() {
    let server = ServerProcess::start(&["--byte-rate", "64KiB"]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    let begun = Instant::now();
    let message = vec![7; 96 << 10];
    peer.send_binary(&message);
    peer.expect_binary(&message);
    peer.expect_echo();
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(480), "{elapsed:?}");
}
