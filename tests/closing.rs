//! How connections end, over real sockets: closed by the peer, by the server, by silence, by the end of a stream.

mod peer;
mod server_process;

use std::time::Instant;

use peer::{DEADLINE, Peer, masked_frame, opcode, upgrade_request};
use server_process::ServerProcess;

#[test]
fn cl_01_a_close_comes_back_with_its_code_and_ends_the_stream() {
    let server = ServerProcess::start(&[]);
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ] {
        let mut peer = Peer::connect(server.addr(), "/echo");
        peer.send_close(code, "over");
        peer.expect_close(code);
        peer.expect_eof();
    }
}

#[test]
fn cl_01_an_empty_close_is_answered_by_an_empty_one() {
    let server = ServerProcess::start(&[]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_frame(opcode::FIN | opcode::CLOSE, b"");
    peer.expect_close(None);
    peer.expect_eof();
}

#[test]
fn cl_01_what_follows_a_close_is_not_answered() {
    let server = ServerProcess::start(&[]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    let mut bytes = masked_frame(opcode::FIN | opcode::TEXT, b"before");
    bytes.extend(masked_frame(
        opcode::FIN | opcode::CLOSE,
        &1000_u16.to_be_bytes(),
    ));
    bytes.extend(masked_frame(opcode::FIN | opcode::TEXT, b"after"));
    bytes.extend(masked_frame(
        opcode::FIN | opcode::CLOSE,
        &1001_u16.to_be_bytes(),
    ));
    peer.send_raw(&bytes);
    peer.expect_text("before");
    peer.expect_close(1000);
    peer.expect_eof();
}

#[test]
fn cl_02_a_close_that_breaks_the_rules_fails_the_connection() {
    let server = ServerProcess::start(&[]);
    let long = [&[0x03, 0xe8][..], &[b'x'; 124]].concat();
    for (payload, code) in [
        (&[0x03][..], 1002),
        (&[0, 0], 1002),
        (&999_u16.to_be_bytes(), 1002),
        (&1004_u16.to_be_bytes(), 1002),
        (&1005_u16.to_be_bytes(), 1002),
        (&1006_u16.to_be_bytes(), 1002),
        (&1015_u16.to_be_bytes(), 1002),
        (&1016_u16.to_be_bytes(), 1002),
        (&2999_u16.to_be_bytes(), 1002),
        (&5000_u16.to_be_bytes(), 1002),
        (&[0x03, 0xe8, 0xff], 1007),
        (&long, 1002),
    ] {
        let mut peer = Peer::connect(server.addr(), "/echo");
        peer.send_frame(opcode::FIN | opcode::CLOSE, payload);
        peer.expect_close(code);
        peer.expect_eof();
    }
}

#[test]
fn cl_04_after_a_violation_nothing_more_is_processed() {
    let server = ServerProcess::start(&[]);
    let unmasked = [0x81, 1, b'x'];
    let rsv = masked_frame(0xc1, b"x");
    let reserved_opcode = masked_frame(0x83, b"x");
    let not_minimal = [0x81, 0x80 | 126, 0, 1, 0, 0, 0, 0, b'x'];
    let split_ping = masked_frame(opcode::PING, b"x");
    let nothing_to_continue = masked_frame(opcode::FIN | opcode::CONTINUATION, b"x");
    for violation in [
        &unmasked[..],
        &rsv,
        &reserved_opcode,
        &not_minimal,
        &split_ping,
        &nothing_to_continue,
    ] {
        let mut peer = Peer::connect(server.addr(), "/echo");
        let text = masked_frame(opcode::FIN | opcode::TEXT, b"after");
        let close = masked_frame(opcode::FIN | opcode::CLOSE, &1000_u16.to_be_bytes());
        peer.send_raw(&[violation, &text, &close].concat());
        peer.expect_close(1002);
        peer.expect_eof();
    }
}

#[test]
fn cl_05_a_peer_whose_input_stays_unread_still_gets_the_close() {
    let server = ServerProcess::start(&[]);
    for _ in 0..10 {
        let mut peer = Peer::connect(server.addr(), "/echo");
        let mut bytes = vec![0x81, 1, b'x'];
        bytes.resize(300_000, 0);
        peer.send_raw(&bytes);
        peer.expect_close(1002);
        peer.expect_eof();
    }
}

#[test]
fn cl_05_the_server_ends_the_stream_although_the_peer_keeps_its_own_open() {
    let server = ServerProcess::start(&["--linger-timeout", "200ms"]);
    let idle_count = server.descriptor_count();
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_close(1000, "");
    peer.expect_close(1000);
    peer.expect_eof();
    until("the descriptor is free", || {
        server.descriptor_count() == idle_count
    });
}

#[test]
fn cl_03_a_peer_that_floods_instead_of_closing_is_dropped_at_the_timeout() {
    let flags = [
        "--drain",
        "3s",
        "--close-timeout",
        "300ms",
        "--linger-timeout",
        "100ms",
    ];
    let mut server = ServerProcess::start(&flags);
    let mut peer = Peer::connect(server.addr(), "/echo");
    server.signal("TERM");
    peer.expect_close(1001);
    let flood = masked_frame(opcode::FIN | opcode::BINARY, &[7; 10_000]);
    let begun = Instant::now();
    while peer.try_send_raw(&flood) {
        assert!(
            begun.elapsed() < DEADLINE,
            "the server listens to a peer that does not close"
        );
    }
    // None of it was echoed.
    drop(peer);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn cl_03_a_peer_that_stays_silent_instead_of_closing_is_dropped_at_the_timeout() {
    let flags = [
        "--drain",
        "3s",
        "--close-timeout",
        "200ms",
        "--linger-timeout",
        "100ms",
    ];
    let mut server = ServerProcess::start(&flags);
    let mut peer = Peer::connect(server.addr(), "/echo");
    server.signal("TERM");
    peer.expect_close(1001);
    peer.expect_eof();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn cl_08_the_end_of_a_stream_without_close_releases_everything_at_every_state() {
    let server = ServerProcess::start(&[]);
    let idle_count = server.descriptor_count();
    let addr = server.addr();
    let request = upgrade_request(addr, "/relay/one", "").into_bytes();
    let mut silent = Peer::open(addr);
    silent.finish();
    silent.expect_eof();
    let mut half_a_head = Peer::open(addr);
    half_a_head.send_raw(&request[..20]);
    half_a_head.finish();
    // It may be told what is wrong with its request before it is dropped.
    half_a_head.expect_end();

    let fragment = masked_frame(opcode::TEXT, b"begun");
    let text = masked_frame(opcode::FIN | opcode::TEXT, b"whole");
    let between_two_messages = &text[..];
    let within_a_header = &text[..1];
    let within_a_payload = &text[..8];
    let within_a_message = &fragment[..];
    for sent in [
        &[][..],
        within_a_header,
        within_a_payload,
        within_a_message,
        between_two_messages,
    ] {
        let mut peer = Peer::connect(addr, "/relay/one");
        peer.send_raw(sent);
        peer.finish();
        // No Close is written to somebody who has gone without one.
        peer.expect_eof();
    }
    let mut closed = Peer::connect(addr, "/relay/one");
    closed.send_frame(opcode::FIN | opcode::CLOSE, b"");
    closed.finish();
    // Its Close may be answered or not: a peer that is half closed is gone.
    closed.expect_end();
    until("all descriptors are free", || {
        server.descriptor_count() == idle_count
    });
}

#[test]
fn cl_08_the_end_of_a_stream_is_seen_that_comes_with_the_last_bytes() {
    let server = ServerProcess::start(&["--threads", "1"]);
    let text = masked_frame(opcode::FIN | opcode::TEXT, b"the last words");
    // Often enough that bytes and end are one event for some of them, whatever the server does in between.
    for _ in 0..200 {
        let mut peer = Peer::connect(server.addr(), "/relay/one");
        peer.send_raw(&text);
        peer.finish();
        peer.expect_eof();
    }
}

#[test]
fn cl_08_a_reset_releases_everything() {
    let server = ServerProcess::start(&[]);
    let idle_count = server.descriptor_count();
    for _ in 0..20 {
        let mut peer = Peer::connect(server.addr(), "/relay/one?echo=true");
        peer.send_text("comes back and is not read, which makes the end a reset");
    }
    until("all descriptors are free", || {
        server.descriptor_count() == idle_count
    });
    // Nobody is left in the group: a sender who would be heard is not.
    let mut alone = Peer::connect(server.addr(), "/relay/one");
    alone.send_text("anybody there?");
    alone.send_frame(opcode::FIN | opcode::PING, b"");
    assert_eq!(alone.next_frame().opcode, opcode::PONG);
}

#[test]
fn ms_04_a_message_that_is_not_finished_in_time_is_refused() {
    let server = ServerProcess::start(&["--message-timeout", "200ms"]);
    let whole_frame = masked_frame(opcode::TEXT, b"to be continued");
    let half_a_frame = &masked_frame(opcode::FIN | opcode::TEXT, b"to be continued")[..10];
    for begun in [&whole_frame[..], half_a_frame] {
        let mut peer = Peer::connect(server.addr(), "/echo");
        peer.send_raw(begun);
        peer.expect_close(1008);
        peer.expect_eof();
    }
}

#[test]
fn lt_03_a_peer_that_answers_no_ping_is_dropped() {
    let server = ServerProcess::start(&["--ping-interval", "200ms", "--ping-timeout", "100ms"]);
    let mut peer = Peer::connect(server.addr(), "/relay/one");
    assert_eq!(peer.next_frame().opcode, opcode::PING);
    // The first ping comes at any time within the interval; at its end there may be another one.
    let frame = match peer.next_frame() {
        frame if frame.opcode == opcode::PING => peer.next_frame(),
        frame => frame,
    };
    assert_eq!(
        (frame.opcode, frame.close_code()),
        (opcode::CLOSE, Some(1001))
    );
}

#[test]
fn lt_03_what_we_send_is_no_sign_of_life() {
    let server = ServerProcess::start(&["--ping-interval", "200ms", "--ping-timeout", "100ms"]);
    let mut deaf = Peer::connect(server.addr(), "/relay/one");
    let mut sender = Peer::connect(server.addr(), "/relay/one");
    let mut number = 0;
    loop {
        sender.send_text(&format!("{number}"));
        number += 1;
        let frame = deaf.next_frame();
        if frame.opcode == opcode::CLOSE {
            assert_eq!(frame.close_code(), Some(1001));
            return;
        }
    }
}

#[test]
fn lt_03_a_peer_that_answers_its_pings_stays() {
    let server = ServerProcess::start(&["--ping-interval", "100ms", "--ping-timeout", "90ms"]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    for _ in 0..6 {
        let ping = peer.next_frame();
        assert_eq!(ping.opcode, opcode::PING);
        peer.send_frame(opcode::FIN | opcode::PONG, &ping.payload);
    }
    peer.expect_echo();
}

/// Tries until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}
