//! permessage-deflate over real sockets (RFC 7692): what is agreed on, what comes compressed, and what peers do wrong.
#![cfg(feature = "deflate")]

mod peer;
mod server_process;

use std::io::Write;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use peer::{Frame, Peer, http, masked_frame, opcode};
use serde_json::{Value, json};
use server_process::{Ended, ServerProcess, spawn_piped, switchboard};
use switchboard::client::hub::{HubClient, HubConfig, HubEvent, Payload};
use switchboard::client::{ClientConfig, Event, WebSocket};

/// What most clients offer.
const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// What is answered to that.
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// The first byte of a compressed text in one frame.
const TEXT: u8 = opcode::FIN | opcode::COMPRESSED | opcode::TEXT;

fn compressing(flags: &[&str]) -> ServerProcess {
    ServerProcess::start(&[&["--compression"], flags].concat())
}

fn connect(server: &ServerProcess, path: &str) -> Peer {
    let (peer, answer) = Peer::connect_compressed(server.addr(), path, OFFER);
    assert_eq!(answer.as_deref(), Some(ANSWER));
    peer
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1000);
    Compress::new(Compression::new(6), false)
        .compress_vec(bytes, &mut out, FlushCompress::Sync)
        .unwrap();
    out.truncate(out.len() - TAIL.len());
    out
}

/// What a frame of the server says, compressed or not.
fn message(frame: &Frame) -> String {
    if !frame.is_compressed {
        return frame.text().into();
    }
    let data = [&frame.payload[..], &TAIL].concat();
    let mut out = Vec::with_capacity(1 << 20);
    Decompress::new(false)
        .decompress_vec(&data, &mut out, FlushDecompress::Sync)
        .expect("compressed data");
    String::from_utf8(out).expect("UTF-8")
}

/// A text in which there is something to save.
fn long_text() -> String {
    "{\"type\":\"message\",\"from\":\"group\",\"data\":{\"number\":1}}".repeat(20)
}

/// The value of a metric.
fn metric(server: &ServerProcess, name: &str) -> u64 {
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (_, response) = http(server.addr(), request);
    let text = String::from_utf8(response.body).unwrap();
    let name = format!("switchboard_{name}_total ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.expect(&name).parse().unwrap()
}

#[test]
fn ex_01_nothing_is_agreed_on_unless_the_server_was_told_to_compress() {
    let server = ServerProcess::start(&[]);
    let (mut peer, answer) = Peer::connect_compressed(server.addr(), "/echo", OFFER);
    assert_eq!(answer, None);
    peer.expect_echo();
    peer.send_frame(TEXT, &compressed(b"Hello"));
    peer.expect_close(1002);
    peer.expect_eof();
}

#[test]
fn ex_01_a_malformed_offer_is_refused_and_an_unknown_one_is_not() {
    let server = compressing(&[]);
    for (offer, status) in [
        ("permessage-deflate;", 400),
        ("permessage-deflate; server_max_window_bits=\"", 400),
        ("permessage-deflate, permessage-deflate; =", 400),
    ] {
        let field = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        let mut peer = Peer::open(server.addr());
        let request = peer::upgrade_request(server.addr(), "/echo", &field);
        peer.send_raw(request.as_bytes());
        assert_eq!(peer.next_response().status, status, "{offer}");
    }
    let (mut peer, answer) = Peer::connect_compressed(server.addr(), "/echo", "x-unknown; a=b");
    assert_eq!(answer, None);
    peer.expect_echo();
}

#[test]
fn ex_02_a_client_without_a_usable_offer_is_served_plain() {
    let server = compressing(&[]);
    for offer in [
        "permessage-deflate; unknown_parameter",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    ] {
        let (mut peer, answer) = Peer::connect_compressed(server.addr(), "/echo", offer);
        assert_eq!(answer, None, "{offer}");
        peer.send_text(&long_text());
        peer.expect_text(&long_text());
    }
}

#[test]
fn ex_09_what_comes_compressed_goes_back_compressed() {
    let server = compressing(&[]);
    let mut peer = connect(&server, "/echo");
    let text = long_text();
    for _ in 0..3 {
        peer.send_frame(TEXT, &compressed(text.as_bytes()));
        let frame = peer.next_message();
        assert!(frame.is_compressed && frame.payload.len() < text.len() / 2);
        assert_eq!(message(&frame), text);
    }
    // In fragments, with a ping inside.
    let data = compressed(text.as_bytes());
    peer.send_frame(opcode::COMPRESSED | opcode::TEXT, &data[..10]);
    peer.send_frame(opcode::FIN | opcode::PING, b"?");
    peer.send_frame(opcode::CONTINUATION, b"");
    peer.send_frame(opcode::FIN | opcode::CONTINUATION, &data[10..]);
    assert_eq!(peer.next_frame().opcode, opcode::PONG);
    assert_eq!(message(&peer.next_message()), text);
    // Short and empty ones come back plain, and plain ones may be sent.
    for text in ["Hello", ""] {
        peer.send_frame(TEXT, &compressed(text.as_bytes()));
        peer.expect_text(text);
        peer.send_text(text);
        peer.expect_text(text);
    }
    peer.send_text(&text);
    assert_eq!(message(&peer.next_message()), text);
}

#[test]
fn ex_04_every_window_is_agreed_on_and_kept_to() {
    let server = compressing(&[]);
    // The middle is as long as the window less what the compressor cannot use of it, so that only larger ones see the
    // beginning again.
    let middle: String = (0..20_000)
        .map(|n: u32| char::from(b'a' + (n.pow(2) % 23) as u8))
        .collect();
    for bits in 8..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let (mut peer, answer) = Peer::connect_compressed(server.addr(), "/echo", &offer);
        let expected = format!("{ANSWER}; server_max_window_bits={bits}");
        assert_eq!(answer, Some(expected));
        let text = format!("{middle}{middle}");
        peer.send_text(&text);
        let frame = peer.next_message();
        assert!(frame.is_compressed);
        // An inflater with the smallest window that the library has, and no output buffer to look back into.
        let mut inflater = Decompress::new_with_window_bits(false, bits.max(9));
        let data = [&frame.payload[..], &TAIL].concat();
        let mut out = Vec::new();
        let mut chunk = Vec::with_capacity(100);
        while inflater.total_in() < data.len() as u64 {
            let at = usize::try_from(inflater.total_in()).unwrap();
            chunk.clear();
            inflater
                .decompress_vec(&data[at..], &mut chunk, FlushDecompress::None)
                .expect("nothing refers beyond the window");
            out.extend_from_slice(&chunk);
        }
        assert!(out == text.as_bytes(), "{bits}");
    }
}

#[test]
fn ex_06_the_bit_in_a_wrong_place_fails_the_connection() {
    let server = compressing(&[]);
    let hello = compressed(b"Hello");
    for frames in [
        masked_frame(opcode::FIN | opcode::COMPRESSED | opcode::PING, b""),
        masked_frame(opcode::FIN | opcode::COMPRESSED | opcode::CLOSE, b""),
        masked_frame(opcode::FIN | opcode::COMPRESSED, &hello),
        [
            masked_frame(opcode::COMPRESSED | opcode::TEXT, &hello),
            masked_frame(opcode::FIN | opcode::COMPRESSED, b""),
        ]
        .concat(),
        masked_frame(TEXT | 0x20, &hello),
    ] {
        let mut peer = connect(&server, "/echo");
        peer.send_raw(&frames);
        peer.expect_close(1002);
        peer.expect_eof();
    }
}

#[test]
fn ex_07_the_limit_holds_for_what_is_inside_before_and_behind_the_border() {
    let server = compressing(&["--max-message", "10000"]);
    for first in [opcode::TEXT, opcode::BINARY] {
        let [fitting, too_long] = [10_000, 10_001].map(|len| compressed(&vec![b'a'; len]));
        let mut peer = connect(&server, "/echo");
        peer.send_frame(first | opcode::FIN | opcode::COMPRESSED, &fitting);
        assert_eq!(message(&peer.next_message()).len(), 10_000);
        peer.send_frame(first | opcode::COMPRESSED, &fitting[..5]);
        peer.send_frame(opcode::FIN, &fitting[5..]);
        assert_eq!(message(&peer.next_message()).len(), 10_000);
        peer.send_frame(first | opcode::FIN | opcode::COMPRESSED, &too_long);
        peer.expect_close(1009);
        peer.expect_eof();
        let mut peer = connect(&server, "/echo");
        peer.send_frame(first | opcode::COMPRESSED, &too_long[..5]);
        peer.send_frame(opcode::FIN, &too_long[5..]);
        peer.expect_close(1009);
        peer.expect_eof();
    }
}

#[test]
fn ex_08_corrupt_data_and_bad_text_deliver_nothing() {
    let server = compressing(&[]);
    for payload in [
        b"\xff\xff\xff".to_vec(),
        compressed(long_text().as_bytes())[..20].to_vec(),
        [&compressed(b"Hello")[..], b"\xff"].concat(),
        compressed(b"caf\xC3"),
    ] {
        let mut member = connect(&server, "/relay/room?echo=true");
        let mut peer = connect(&server, "/relay/room");
        peer.send_frame(TEXT, &payload);
        peer.expect_close(1007);
        peer.expect_eof();
        member.send_text("only this");
        member.expect_text("only this");
    }
    let mut peer = connect(&server, "/echo");
    peer.send_frame(TEXT, &b"\x00\x00\x00\xff\xff".repeat(10_000));
    peer.expect_close(1008);
    peer.expect_eof();
}

#[test]
fn ex_10_a_broadcast_is_compressed_once_for_all_who_have_agreed_on_the_same() {
    // On many loops, which share what one of them has compressed.
    for thread_count in ["1", "2", "3"] {
        assert_compressed_once(thread_count);
    }
}

/// Has one member of a group speak to others, who have agreed on two windows or on nothing.
fn assert_compressed_once(thread_count: &str) {
    const ROUNDS: u64 = 20;
    let server = compressing(&["--threads", thread_count]);
    let mut plain: Vec<_> = (0..3)
        .map(|_| Peer::connect(server.addr(), "/relay/room?echo=true"))
        .collect();
    let mut alike: Vec<_> = (0..6)
        .map(|_| connect(&server, "/relay/room?echo=true"))
        .collect();
    let offer = "permessage-deflate; server_max_window_bits=10";
    let mut others: Vec<_> = (0..2)
        .map(|_| Peer::connect_compressed(server.addr(), "/relay/room?echo=true", offer).0)
        .collect();
    let text = long_text();
    // The first who speaks may do so before the others are members: each of them has heard itself.
    for peer in plain.iter_mut().chain(&mut alike).chain(&mut others) {
        peer.send_text("here");
        while message(&peer.next_message()) != "here" {}
    }
    let before = metric(&server, "compressions");
    for _ in 0..ROUNDS {
        alike[0].send_text(&text);
        for peer in &mut plain {
            let frame = next_but_greetings(peer);
            assert!(!frame.is_compressed);
            assert_eq!(frame.text(), text);
        }
        for peer in alike.iter_mut().chain(&mut others) {
            let frame = next_but_greetings(peer);
            assert!(frame.is_compressed);
            assert_eq!(message(&frame), text);
        }
    }
    assert_eq!(metric(&server, "compressions") - before, 2 * ROUNDS);
    let lens = ROUNDS * text.len() as u64;
    assert_eq!(metric(&server, "compressed_bytes_before"), 2 * lens);
    assert!(metric(&server, "compressed_bytes_after") < lens);
}

#[test]
fn ex_10_groups_that_are_excepted_go_plain() {
    let server = compressing(&["--uncompressed", "secret.**"]);
    for (group, is_compressed) in [("secret.a", false), ("other", true)] {
        let mut peer = connect(&server, &format!("/relay/{group}?echo=true"));
        peer.send_text(&long_text());
        let frame = peer.next_message();
        assert_eq!(frame.is_compressed, is_compressed, "{group}");
        assert_eq!(message(&frame), long_text());
    }
}

#[test]
fn ex_10_what_was_said_in_an_excepted_group_stays_plain_for_those_who_come_late() {
    let server = compressing(&["--uncompressed", "secret.**", "--history", "**=10"]);
    let text = long_text().replace('"', "'");
    for (group, is_compressed) in [("secret.a", false), ("other", true)] {
        let mut first = connect(&server, "/ws");
        first.send_text(&format!("{{\"type\":\"joinGroup\",\"group\":\"{group}\"}}"));
        first.send_text(&format!(
            "{{\"type\":\"sendToGroup\",\"group\":\"{group}\",\"dataType\":\"text\",\"data\":\"{text}\"}}"
        ));
        assert_eq!(next_with(&mut first, &text).is_compressed, is_compressed);
        let mut late = connect(&server, "/ws");
        late.send_text(&format!(
            "{{\"type\":\"joinGroup\",\"group\":\"{group}\",\"history\":true}}"
        ));
        let frame = next_with(&mut late, "\"history\":true");
        assert!(message(&frame).contains(&text));
        assert_eq!(frame.is_compressed, is_compressed, "{group}");
    }
}

/// A client of the reliable subprotocol that offers to compress, and how it may come back.
fn connect_reliable(server: &ServerProcess, path: &str) -> (Peer, String) {
    let offer = format!("{OFFER}\r\nSec-WebSocket-Protocol: json.reliable.webpubsub.azure.v1");
    let (mut peer, answer) = Peer::connect_compressed(server.addr(), path, &offer);
    assert_eq!(answer.as_deref(), Some(ANSWER));
    let connected = peer.next_json();
    let [id, token] =
        ["connectionId", "reconnectionToken"].map(|field| connected[field].as_str().unwrap());
    let back = format!("{path}?awps_connection_id={id}&awps_reconnection_token={token}");
    (peer, back)
}

fn join(peer: &mut Peer, group: &str, ack_id: u64) {
    peer.send_json(&json!({"type": "joinGroup", "group": group, "ackId": ack_id}));
    assert_eq!(peer.next_json()["success"], true);
}

fn to_group(group: &str, data: &str) -> Value {
    json!({"type": "sendToGroup", "group": group, "dataType": "text", "data": data})
}

fn send_to(peer: &mut Peer, group: &str, data: &str) {
    peer.send_json(&to_group(group, data));
}

/// The number of a message, what it says, and whether it was compressed.
fn numbered(frame: &Frame) -> (u64, String, bool) {
    let value: Value = serde_json::from_str(&message(frame)).unwrap();
    (
        value["sequenceId"].as_u64().unwrap(),
        value["data"].as_str().unwrap().into(),
        frame.is_compressed,
    )
}

#[test]
fn ex_10_messages_with_numbers_are_compressed_once_but_for_the_numbers() {
    const ROUNDS: u64 = 12;
    for thread_count in ["1", "2"] {
        let server = compressing(&["--threads", thread_count]);
        let mut clients: Vec<_> = (0..5).map(|_| connect_reliable(&server, "/ws").0).collect();
        for peer in &mut clients {
            join(peer, "room", 1);
        }
        // Somebody who was sent more, so that the numbers differ.
        send_to(&mut clients[0], "room", "short");
        for peer in &mut clients {
            assert_eq!(numbered(&peer.next_message()), (1, "short".into(), false));
        }
        let mut late = connect_reliable(&server, "/ws").0;
        join(&mut late, "room", 1);
        let before = metric(&server, "compressions");
        let mut number = 2;
        for round in 0..ROUNDS {
            let texts = [0, 1, 2].map(|index| format!("{round}.{index} {}", long_text()));
            // In one read, so that they travel together.
            let frames = texts.each_ref().map(|text| {
                let message = to_group("room", text).to_string();
                masked_frame(opcode::FIN | opcode::TEXT, message.as_bytes())
            });
            late.send_raw(&frames.concat());
            for text in texts {
                for peer in &mut clients {
                    let frame = peer.next_message();
                    assert_eq!(numbered(&frame), (number, text.clone(), true));
                    assert!(frame.payload.len() < text.len() / 2);
                    assert!(message(&frame).starts_with("{\"sequenceId\":"));
                }
                assert_eq!(numbered(&late.next_message()), (number - 1, text, true));
                number += 1;
            }
        }
        assert_eq!(metric(&server, "compressions") - before, 3 * ROUNDS);
    }
}

#[test]
fn ex_10_reliable_clients_and_others_share_each_kind_of_message() {
    let server = compressing(&["--threads", "2", "--uncompressed", "secret"]);
    let mut reliable: Vec<_> = (0..4).map(|_| connect_reliable(&server, "/ws").0).collect();
    let mut others: Vec<_> = (0..4).map(|_| connect(&server, "/ws")).collect();
    for peer in &mut others {
        assert_eq!(peer.next_json()["event"], "connected");
    }
    for peer in reliable.iter_mut().chain(&mut others) {
        join(peer, "room", 1);
        join(peer, "secret", 2);
    }
    let before = metric(&server, "compressions");
    let text = long_text();
    for (number, group, is_compressed) in [(1, "room", true), (2, "secret", false)] {
        send_to(&mut others[0], group, &text);
        for peer in &mut reliable {
            let expected = (number, text.clone(), is_compressed);
            assert_eq!(numbered(&peer.next_message()), expected);
        }
        for peer in &mut others {
            let frame = peer.next_message();
            assert_eq!(frame.is_compressed, is_compressed);
            assert!(!message(&frame).contains("sequenceId"));
        }
    }
    assert_eq!(metric(&server, "compressions") - before, 2);
}

#[test]
fn ms_11_what_was_compressed_is_sent_again_under_its_number() {
    let server = compressing(&["--threads", "2"]);
    let (mut alice, back) = connect_reliable(&server, "/ws");
    join(&mut alice, "room", 1);
    let text = |number: u64| format!("{number} {}", long_text());
    for number in 1..=3 {
        send_to(&mut alice, "room", &text(number));
        assert_eq!(
            numbered(&alice.next_message()),
            (number, text(number), true)
        );
    }
    alice.send_json(&json!({"type": "sequenceAck", "sequenceId": 1}));
    drop(alice);
    let mut bob = connect(&server, "/ws");
    assert_eq!(bob.next_json()["event"], "connected");
    bob.send_json(&json!({"type": "sendToGroup", "group": "room", "dataType": "text", "data": text(4), "ackId": 1}));
    assert_eq!(bob.next_json()["recipients"], 1, "it is kept");
    let offer = format!("{OFFER}\r\nSec-WebSocket-Protocol: json.reliable.webpubsub.azure.v1");
    let (mut alice, _) = Peer::connect_compressed(server.addr(), &back, &offer);
    assert_eq!(alice.next_json()["event"], "connected");
    for number in 2..=4 {
        // What is sent again goes as it is.
        assert_eq!(
            numbered(&alice.next_message()),
            (number, text(number), false)
        );
    }
    send_to(&mut alice, "room", &text(5));
    assert_eq!(numbered(&alice.next_message()), (5, text(5), true));
}

#[test]
fn our_own_client_of_hubs_takes_compressed_messages_with_numbers() {
    let server = compressing(&["--threads", "2"]);
    let url = format!("ws://{}/ws", server.addr());
    let mut config = HubConfig::default();
    config.client.offers_compression = true;
    let [mut alice, mut bob] = [0, 1].map(|_| HubClient::connect(&url, config.clone()).unwrap());
    bob.join("room").unwrap();
    let text = "all the same ".repeat(3000);
    let before = ["bytes_in", "compressions"].map(|name| metric(&server, name));
    for _ in 0..3 {
        alice.send_text("room", &text).unwrap();
        let message = loop {
            match bob.next_event(Some(peer::DEADLINE)).unwrap() {
                Some(HubEvent::Message(message)) => break message,
                Some(_) => {}
                None => panic!("nothing comes"),
            }
        };
        assert_eq!(message.payload, Payload::Text(text.clone()));
    }
    let after = ["bytes_in", "compressions"].map(|name| metric(&server, name));
    assert!(after[0] - before[0] < text.len() as u64);
    assert_eq!(after[1] - before[1], 3);
}

/// The next message that says this somewhere.
fn next_with(peer: &mut Peer, text: &str) -> Frame {
    loop {
        let frame = peer.next_message();
        if message(&frame).contains(text) {
            return frame;
        }
    }
}

#[test]
fn ex_07_many_bombs_in_one_read_are_echoed_one_turn_after_the_other() {
    let server = compressing(&["--max-outbox", "64MiB", "--soft-outbox", "64MiB"]);
    let mut peer = connect(&server, "/echo");
    let text = "a".repeat(1 << 20);
    let bomb = masked_frame(TEXT, &compressed(text.as_bytes()));
    assert!(bomb.len() < 1200);
    let mut bytes = bomb.repeat(40);
    bytes.extend(masked_frame(opcode::FIN | opcode::TEXT, b"and then this"));
    peer.send_raw(&bytes);
    for _ in 0..40 {
        assert!(message(&peer.next_message()) == text);
    }
    peer.expect_text("and then this");
}

#[test]
fn our_own_client_compresses_with_our_server_and_without_it() {
    let mut config = ClientConfig::default();
    config.offers_compression = true;
    for flags in [&["--compression"][..], &[]] {
        let server = ServerProcess::start(flags);
        let url = format!("ws://{}/echo", server.addr());
        let mut socket = WebSocket::dial(&url, &config).unwrap();
        for text in [long_text(), "short".into(), "x".repeat(300_000)] {
            socket.send_text(&text).unwrap();
            let event = socket.next_event(Some(peer::DEADLINE)).unwrap();
            assert_eq!(event, Some(Event::Text(text)));
        }
        let bytes_in = metric(&server, "bytes_in");
        assert_eq!(bytes_in < 100_000, !flags.is_empty(), "{bytes_in}");
    }
}

/// Runs a command against the server to its end, with `input` in a pipe.
fn run_command(arguments: &[&str], input: &str) -> Ended {
    let mut child = spawn_piped(switchboard(arguments));
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(input.as_bytes()).unwrap();
    drop(pipe);
    child.wait_with_output().unwrap().into()
}

#[test]
fn the_commands_compress_if_they_are_told_to_and_the_server_agrees() {
    let text = long_text().replace('"', "'").repeat(20);
    for (server_flags, flags) in [
        (&["--compression"][..], &["--compression"][..]),
        (&["--compression"], &[]),
        (&[], &["--compression"]),
    ] {
        let is_agreed = !server_flags.is_empty() && !flags.is_empty();
        let server = ServerProcess::start(server_flags);
        let [hub, echo] = ["ws", "echo"].map(|path| format!("ws://{}/{path}", server.addr()));
        for arguments in [
            &["send", "--url", &hub, "--all"][..],
            &["connect", &hub],
            &["connect", "--raw", &echo],
        ] {
            let before = ["bytes_in", "compressions"].map(|name| metric(&server, name));
            let ended = run_command(&[arguments, flags].concat(), &text);
            assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
            let after = ["bytes_in", "compressions"].map(|name| metric(&server, name));
            let is_short = after[0] - before[0] < text.len() as u64 / 4;
            assert_eq!(is_short, is_agreed, "{arguments:?} {flags:?}");
            if arguments.contains(&"--raw") {
                assert_eq!(ended.stdout, format!("{text}\n"));
                let compression_count = after[1] - before[1];
                assert_eq!(compression_count, u64::from(is_agreed), "{flags:?}");
            }
        }
    }
}

#[test]
fn a_load_is_compressed_both_ways() {
    let server = compressing(&[]);
    for (path, mode) in [("echo", "echo"), ("relay/room", "fan-out")] {
        let url = format!("ws://{}/{path}", server.addr());
        let load = [
            "bench",
            &url,
            "--mode",
            mode,
            "--clients",
            "3",
            "--size",
            "4KiB",
            "--duration",
            "200ms",
            "--json",
        ];
        for (flags, is_compressed) in [(&["--compression"][..], true), (&[], false)] {
            let before = ["bytes_in", "compressions"].map(|name| metric(&server, name));
            let ended = run_command(&[&load[..], flags].concat(), "");
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let figures: Value = serde_json::from_str(&ended.stdout).unwrap();
            let sent = figures["sent"].as_u64().unwrap();
            let after = ["bytes_in", "compressions"].map(|name| metric(&server, name));
            let compression_count = after[1] - before[1];
            assert_eq!(
                compression_count,
                if is_compressed { sent } else { 0 },
                "{mode}"
            );
            assert_eq!(after[0] - before[0] < sent * 1024, is_compressed, "{mode}");
        }
    }
}

#[test]
fn a_follower_gets_compressed_what_it_asks_for() {
    let server = compressing(&["--history", "**=10"]);
    let url = format!("ws://{}/ws", server.addr());
    let text = "all the same ".repeat(3000);
    let sent = run_command(
        &["send", "--url", &url, "--group", "room", "--compression"],
        &text,
    );
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let follow = [
        "tail",
        "--url",
        &url,
        "--history",
        "--count",
        "1",
        "--json",
        "room",
    ];
    for (flags, is_compressed) in [(&["--compression"][..], true), (&[], false)] {
        let before = ["bytes_out", "compressions"].map(|name| metric(&server, name));
        let ended = run_command(&[&follow, flags].concat(), "");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let line: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(line["data"], text);
        let after = ["bytes_out", "compressions"].map(|name| metric(&server, name));
        assert_eq!(after[0] - before[0] < text.len() as u64, is_compressed);
        assert_eq!(after[1] - before[1], u64::from(is_compressed));
    }
}

/// The next message that is not one of those with which the peers have greeted each other.
fn next_but_greetings(peer: &mut Peer) -> Frame {
    loop {
        let frame = peer.next_message();
        if frame.payload != b"here" {
            return frame;
        }
    }
}
