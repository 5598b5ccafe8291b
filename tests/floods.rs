//! Peers that send too much of something: they get a close code, and the memory of the server stays flat.

mod peer;
mod server_process;

use std::time::Duration;

use peer::{Peer, masked_frame, opcode};
use server_process::ServerProcess;

/// What memory may vary by for no reason of ours, in KiB.
const NOISE_KIB: u64 = 2 << 10;

#[test]
fn fr_07_a_header_that_announces_2_to_the_40_bytes_is_enough_to_be_refused() {
    let server = ServerProcess::start(&[]);
    // Whatever the first connection allocates for good is there before.
    Peer::connect(server.addr(), "/echo").expect_echo();
    let before = server.peak_rss_kib();
    for opcode in [opcode::TEXT, opcode::BINARY] {
        let mut peer = Peer::connect(server.addr(), "/echo");
        let mut header = vec![opcode::FIN | opcode, 0x80 | 127];
        header.extend((1_u64 << 40).to_be_bytes());
        header.extend([1, 2, 3, 4]);
        peer.send_raw(&header);
        peer.expect_close(1009);
        peer.expect_eof();
    }
    let grown = server.peak_rss_kib().saturating_sub(before);
    assert!(grown < NOISE_KIB, "{grown} KiB more");
}

#[test]
fn fr_06_the_sum_of_the_fragments_counts() {
    let server = ServerProcess::start(&["--max-message", "1000"]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_frame(opcode::BINARY, &[1; 600]);
    peer.send_frame(opcode::FIN | opcode::CONTINUATION, &[2; 400]);
    peer.expect_binary(&[vec![1; 600], vec![2; 400]].concat());
    peer.send_frame(opcode::BINARY, &[1; 600]);
    peer.send_frame(opcode::CONTINUATION, &[2; 401]);
    peer.expect_close(1009);
    peer.expect_eof();
}

#[test]
fn fr_15_ms_04_a_million_empty_fragments_are_too_many() {
    let server = ServerProcess::start(&[]);
    Peer::connect(server.addr(), "/echo").expect_echo();
    let before = server.peak_rss_kib();
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_frame(opcode::TEXT, b"");
    let thousand = masked_frame(opcode::CONTINUATION, b"").repeat(1000);
    for _ in 0..1000 {
        if !peer.try_send_raw(&thousand) {
            break;
        }
    }
    let code = peer.drain_to_close();
    assert!(matches!(code, Some(1008 | 1009)), "{code:?}");
    let grown = server.peak_rss_kib().saturating_sub(before);
    assert!(grown < NOISE_KIB, "{grown} KiB more");
}

#[test]
fn ms_04_the_number_of_fragments_is_limited_exactly() {
    let server = ServerProcess::start(&["--max-fragments", "3"]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_frame(opcode::TEXT, b"one");
    peer.send_frame(opcode::CONTINUATION, b"");
    // A control frame in between is no fragment.
    peer.send_frame(opcode::FIN | opcode::PING, b"");
    peer.send_frame(opcode::FIN | opcode::CONTINUATION, b"two");
    assert_eq!(peer.next_frame().opcode, opcode::PONG);
    peer.expect_text("onetwo");
    peer.send_frame(opcode::TEXT, b"one");
    for _ in 0..3 {
        peer.send_frame(opcode::CONTINUATION, b"");
    }
    let code = peer.drain_to_close();
    assert!(matches!(code, Some(1008 | 1009)), "{code:?}");
    peer.expect_eof();
}

#[test]
fn fr_12_pongs_that_nobody_reads_take_no_memory() {
    let flags = ["--write-timeout", "60s", "--control-frame-rate", "off"];
    let server = ServerProcess::start(&flags);
    Peer::connect(server.addr(), "/echo").expect_echo();
    let before = server.peak_rss_kib();
    let mut peer = Peer::connect(server.addr(), "/echo");
    let payload = |number: u32| [&number.to_be_bytes()[..], &[0x70; 96]].concat();
    for first in (0..200_000).step_by(1000) {
        let pings = (first..first + 1000)
            .flat_map(|it| masked_frame(opcode::FIN | opcode::PING, &payload(it)));
        peer.send_raw(&pings.collect::<Vec<_>>());
    }
    let grown = server.peak_rss_kib().saturating_sub(before);
    assert!(grown < NOISE_KIB, "{grown} KiB more");
    // The latest ping has its pong, and the pongs that were left out are the older ones.
    let mut last = None;
    while last < Some(199_999) {
        let frame = peer.next_frame();
        assert_eq!(frame.opcode, opcode::PONG);
        let number = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
        assert_eq!(frame.payload, payload(number));
        assert!(Some(number) > last, "{number} after {last:?}");
        last = Some(number);
    }
}

#[test]
fn fr_13_pongs_that_nobody_asked_for_are_not_answered() {
    let server = ServerProcess::start(&["--control-frame-rate", "off"]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_raw(&masked_frame(opcode::FIN | opcode::PONG, b"unasked").repeat(10_000));
    peer.expect_echo();
}

#[test]
fn ms_04_memory_for_a_message_grows_with_what_has_come_and_goes_with_it() {
    let server = ServerProcess::start(&["--max-message", "8MiB", "--max-outbox", "16MiB"]);
    Peer::connect(server.addr(), "/echo").expect_echo();
    let before = server.rss_kib();
    // Twenty peers announce 8 MiB and send 1 KiB of it.
    let mut peers: Vec<_> = (0..20)
        .map(|_| Peer::connect(server.addr(), "/echo"))
        .collect();
    for peer in &mut peers {
        let mut begun = vec![opcode::FIN | opcode::BINARY, 0x80 | 127];
        begun.extend((8_u64 << 20).to_be_bytes());
        begun.resize(14 + 1024, 0);
        peer.send_raw(&begun);
        assert!(peer.is_silent_for(Duration::from_millis(5)));
    }
    let grown = server.rss_kib().saturating_sub(before);
    assert!(grown < NOISE_KIB, "{grown} KiB more");
}
