//! The opening handshake over real sockets: what is refused and how, and where HTTP ends and frames begin.

mod peer;
mod server_process;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use peer::{DEADLINE, Peer, http, masked_frame, opcode, upgrade_request};
use server_process::ServerProcess;

/// A correct upgrade request to `/echo` with one text in it replaced by another.
fn altered(addr: SocketAddr, text: &str, replacement: &str) -> String {
    let request = upgrade_request(addr, "/echo", "");
    assert!(request.contains(text), "{text}");
    request.replacen(text, replacement, 1)
}

#[test]
fn hs_10_the_answer_is_the_one_of_the_rfc_without_body() {
    let server = ServerProcess::start(&[]);
    let mut peer = Peer::open(server.addr());
    peer.send_raw(upgrade_request(server.addr(), "/echo", "").as_bytes());
    let response = peer.expect_upgrade();
    assert_eq!(response.field("content-length"), None);
    assert_eq!(response.field("transfer-encoding"), None);
    assert_eq!(response.field("sec-websocket-protocol"), None);
    assert_eq!(response.field("sec-websocket-extensions"), None);
    peer.expect_echo();
}

#[test]
fn hs_18_each_defect_has_its_status() {
    let server = ServerProcess::start(&[]);
    let addr = server.addr();
    let host = format!("Host: {addr}\r\n");
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    for (text, replacement, status) in [
        ("GET", "POST", 405),
        ("GET", "get", 405),
        ("HTTP/1.1", "HTTP/1.0", 426),
        ("HTTP/1.1", "HTTP/2.0", 505),
        ("/echo", "/nowhere", 404),
        ("/echo ", "/echo#part ", 400),
        (&host, "", 400),
        (&host, "Host: a\r\nHost: b\r\n", 400),
        (&host, "Host: a b\r\n", 400),
        ("Upgrade: websocket", "Upgrade: websocketx", 426),
        ("Connection: Upgrade", "Connection: keep-alive", 426),
        (version, "", 400),
        (version, "Sec-WebSocket-Version: 12\r\n", 426),
        (version, "Sec-WebSocket-Version: 013\r\n", 400),
        (key, "", 400),
        (key, &format!("{key}Sec-WebSocket-Extensions: a;\r\n"), 400),
        (key, "Sec-WebSocket-Key: c2hvcnQ=\r\n", 400),
        (key, &format!("{key}{key}"), 400),
        (key, &format!("{key}Content-Length: 1\r\n"), 400),
        (key, &format!("{key}Transfer-Encoding: chunked\r\n"), 400),
        (key, &format!("{key} folded: line\r\n"), 400),
        ("Upgrade:", "Upgrade :", 400),
        ("\r\nUpgrade", "\nUpgrade", 400),
        (key, &format!("{key}Origin: https://evil.example\r\n"), 403),
    ] {
        let (mut peer, response) = http(addr, &altered(addr, text, replacement));
        assert_eq!(response.status, status, "{replacement:?}: {response:?}");
        let must_have: &[_] = match status {
            405 => &["allow"],
            426 => &["upgrade", "connection", "sec-websocket-version"],
            _ => &[],
        };
        for name in must_have {
            assert!(response.field(name).is_some(), "{status} without {name}");
        }
        assert!(response.body.len() < 200, "a long body");
        assert!(
            !String::from_utf8(response.body).unwrap().contains("evil"),
            "input comes back"
        );
        peer.expect_eof();
    }
}

#[test]
fn hs_04_hs_05_lists_and_letter_case_make_no_difference() {
    let server = ServerProcess::start(&[]);
    for (text, replacement) in [
        ("Upgrade: websocket", "uPGRADE: h2c, WebSocket"),
        ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
        ("Connection: Upgrade", "connection: keep-alive, upgrade"),
        ("Host: ", "host:"),
        ("GET", "\r\nGET"),
    ] {
        let mut peer = Peer::open(server.addr());
        peer.send_raw(altered(server.addr(), text, replacement).as_bytes());
        peer.expect_upgrade();
        peer.expect_echo();
    }
}

#[test]
fn ac_01_pages_of_our_own_origin_and_of_those_allowed_may_connect() {
    let server = ServerProcess::start(&["--allow-origin", "https://good.example"]);
    let addr = server.addr();
    for origin in [
        format!("http://{addr}"),
        "https://good.example".into(),
        "HTTPS://good.example:443".into(),
    ] {
        Peer::connect_with(addr, "/echo", &format!("Origin: {origin}\r\n")).expect_echo();
    }
    for origin in [
        "https://good.example.evil.test",
        "http://good.example",
        "https://good.example:8443",
        "null",
    ] {
        let request = upgrade_request(addr, "/echo", &format!("Origin: {origin}\r\n"));
        assert_eq!(http(addr, &request).1.status, 403, "{origin}");
    }
}

#[test]
fn hs_14_each_limit_of_a_head_is_kept_at_its_value_and_broken_beyond() {
    let flags = [
        "--max-head",
        "1000",
        "--max-target",
        "100",
        "--max-fields",
        "10",
    ];
    let server = ServerProcess::start(&flags);
    let addr = server.addr();
    let status = |request: String| http(addr, &request).1.status;

    let target = |len: usize| {
        let target = format!("/nowhere?{}", "x".repeat(len - 9));
        status(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    };
    assert_eq!((target(100), target(101)), (404, 414));

    let fields = |count: usize| {
        let more: String = (1..count)
            .map(|number| format!("X-{number}: y\r\n"))
            .collect();
        status(format!(
            "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n{more}\r\n"
        ))
    };
    assert_eq!((fields(10), fields(11), fields(200)), (404, 431, 431));

    let head = |len: usize| {
        let request = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX: \r\n\r\n";
        status(request.replace("X: ", &format!("X: {}", "y".repeat(len - request.len()))))
    };
    assert_eq!((head(1000), head(1001), head(5000)), (404, 431, 431));
}

#[test]
fn hs_17_bytes_behind_the_head_are_frames_wherever_the_segments_end() {
    let server = ServerProcess::start(&[]);
    let mut bytes = upgrade_request(server.addr(), "/echo", "").into_bytes();
    let head_len = bytes.len();
    bytes.extend(masked_frame(opcode::FIN | opcode::TEXT, b"first"));
    bytes.extend(masked_frame(opcode::FIN | opcode::TEXT, b"second"));
    for split in (0..head_len - 4)
        .step_by(16)
        .chain(head_len - 4..=bytes.len())
    {
        let mut peer = Peer::open(server.addr());
        peer.send_raw(&bytes[..split]);
        peer.send_raw(&bytes[split..]);
        peer.expect_upgrade();
        peer.expect_text("first");
        peer.expect_text("second");
    }
}

#[test]
fn hs_15_a_head_may_come_byte_by_byte() {
    let server = ServerProcess::start(&[]);
    let mut peer = Peer::open(server.addr());
    for byte in upgrade_request(server.addr(), "/echo", "").bytes() {
        peer.send_raw(&[byte]);
    }
    peer.expect_upgrade();
    peer.expect_echo();
}

#[test]
fn hs_18_a_refused_upgrade_followed_by_a_second_request_gets_one_answer() {
    let server = ServerProcess::start(&[]);
    let addr = server.addr();
    let second = upgrade_request(addr, "/echo", "");
    for first in [
        altered(addr, "Version: 13", "Version: 12"),
        altered(addr, "Key: dGhl", "Key: dG"),
    ] {
        let (mut peer, response) = http(addr, &format!("{first}{second}"));
        assert!(response.closes(), "{response:?}");
        peer.expect_eof();
    }
}

#[test]
fn hs_16_a_head_that_is_not_complete_at_the_deadline_gets_a_408() {
    let server = ServerProcess::start(&["--handshake-timeout", "300ms"]);
    let mut peer = Peer::open(server.addr());
    let begun = Instant::now();
    let mut request = upgrade_request(server.addr(), "/echo", "")
        .into_bytes()
        .into_iter();
    // Waiting for an answer is what spaces the bytes; they do not extend the deadline.
    while peer.is_silent_for(Duration::from_millis(10)) {
        assert!(begun.elapsed() < DEADLINE, "no answer");
        if let Some(byte) = request.next() {
            peer.try_send_raw(&[byte]);
        }
        assert!(request.len() > 0, "the head was complete");
    }
    let response = peer.next_response();
    assert_eq!(response.status, 408);
    assert!(response.closes(), "{response:?}");
    assert!(
        begun.elapsed() >= Duration::from_millis(300),
        "before the deadline"
    );
}

#[test]
fn hs_16_a_connection_without_a_byte_is_closed_without_one() {
    let server = ServerProcess::start(&["--handshake-timeout", "200ms"]);
    let mut peer = Peer::open(server.addr());
    peer.expect_eof();
}

#[test]
fn hs_16_half_a_head_keeps_nobody_else_waiting() {
    let server = ServerProcess::start(&[]);
    let request = upgrade_request(server.addr(), "/echo", "");
    let half_sent: Vec<_> = (0..300)
        .map(|number| {
            let mut peer = Peer::open(server.addr());
            peer.send_raw(&request.as_bytes()[..number % request.len()]);
            peer
        })
        .collect();
    for _ in 0..10 {
        Peer::connect(server.addr(), "/echo").expect_echo();
    }
    // And those that go on are served as well.
    for (number, mut peer) in half_sent.into_iter().enumerate().step_by(30) {
        peer.send_raw(&request.as_bytes()[number % request.len()..]);
        peer.expect_upgrade();
        peer.expect_echo();
    }
}

#[test]
fn hs_20_an_endpoint_that_is_off_does_not_exist() {
    let server = ServerProcess::start(&["--no-echo"]);
    let request = upgrade_request(server.addr(), "/echo", "");
    assert_eq!(http(server.addr(), &request).1.status, 404);
    Peer::connect(server.addr(), "/relay/one");
}
