//! Encrypted connections to the binary, by independent clients and over certificates that the tests make (AC-11).
#![cfg(feature = "tls")]

#[path = "tls/authority.rs"]
mod authority;
mod server_process;

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;

use authority::{Authority, TlsStream, ask, connect, open, read_to_end};
use rustls::HandshakeKind::{Full, Resumed};
use rustls::version::{TLS12, TLS13};
use server_process::{ServerProcess, run, switchboard};
use tungstenite::{Message, WebSocket};

/// A server with a certificate of `authority`.
fn start(authority: &Authority, more: &[&str]) -> ServerProcess {
    let flags = authority.flags();
    let flags: Vec<_> = flags
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    ServerProcess::start(&flags)
}

/// The line on standard error of a server that does not start.
fn refused(flags: &[&str]) -> String {
    let command = [&["serve", "--listen", "127.0.0.1:0"], flags].concat();
    let ended = run(switchboard(&command));
    assert_eq!(
        (ended.code, ended.stderr.lines().count()),
        (Some(2), 1),
        "{ended:?}"
    );
    ended.stderr
}

fn web_socket(stream: TlsStream, path: &str) -> WebSocket<TlsStream> {
    let (socket, response) = tungstenite::client(format!("wss://localhost{path}"), stream).unwrap();
    assert_eq!(response.status(), 101);
    socket
}

#[test]
fn ac_11_both_versions_serve_pages_and_websockets_and_older_ones_are_not_spoken() {
    let authority = Authority::new("versions");
    let server = start(&authority, &[]);
    for version in [&TLS12, &TLS13] {
        let config = authority.client_config(&[version]);
        let mut stream = connect(server.addr(), &config).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(ask(&mut stream).starts_with("HTTP/1.1 200 "));
        let stream = connect(server.addr(), &config).unwrap();
        let mut socket = web_socket(stream, "/echo");
        for len in [0, 1, 125, 20_000, 1 << 20] {
            let message = Message::binary(vec![b'x'; len]);
            socket.send(message.clone()).unwrap();
            assert_eq!(socket.read().unwrap(), message);
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    }
    // The hello of TLS 1.1, with one cipher suite of its time and no extensions.
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 47, 1, 0]);
    let mut stream = open(server.addr());
    stream.write_all(&hello).unwrap();
    let answer = read_to_end(&mut stream);
    assert!(
        matches!(answer[..], [21, 3, _, 0, 2, 2, _]),
        "a fatal alert and the end: {answer:?}"
    );
}

#[test]
fn ac_11_the_wrong_protocol_on_either_port_ends_cleanly() {
    let authority = Authority::new("wrong_protocol");
    let encrypted = start(&authority, &[]);
    let answer = ask(&mut open(encrypted.addr()));
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"),
        "{answer}"
    );
    let plain = ServerProcess::start(&[]);
    let error = connect(plain.addr(), &authority.client_config(rustls::ALL_VERSIONS)).unwrap_err();
    assert!(error.to_string().contains("corrupt message"), "{error}");
    let mut stream = open(plain.addr());
    stream
        .write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let answer = String::from_utf8(read_to_end(&mut stream)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[test]
fn ac_11_a_certificate_that_cannot_be_used_is_said_in_one_line() {
    let authority = Authority::new("unusable");
    let [certificate, key] = authority.sign("server", &Authority::params());
    let [_, other_key] = authority.sign("other", &Authority::params());
    let empty = authority.path("empty.pem");
    fs::write(&empty, "nothing\n").unwrap();
    let garbled = authority.path("garbled.pem");
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(&garbled, text).unwrap();
    let missing = authority.path("missing.pem");
    for (certificate, key, expected) in [
        (&missing, &key, "missing.pem: No such file"),
        (&certificate, &missing, "missing.pem: No such file"),
        (&empty, &key, "empty.pem: there is no certificate"),
        (&garbled, &key, "garbled.pem: the certificate is malformed"),
        (&certificate, &empty, "empty.pem: there is no private key"),
        (
            &certificate,
            &certificate,
            "server.pem: there is no private key",
        ),
        (
            &certificate,
            &other_key,
            "other.key: the key does not belong to the certificate",
        ),
    ] {
        let line = refused(&["--tls-cert", certificate, "--tls-key", key]);
        assert!(line.contains(expected), "{line}");
    }
    let line = refused(&["--tls-cert", &certificate]);
    assert!(line.contains("--tls-key"), "{line}");
}

#[test]
fn ac_11_sighup_brings_a_new_certificate_and_drops_nobody() {
    let authority = Authority::new("reload");
    let server = start(&authority, &[]);
    let certificate_of = |stream: &TlsStream| stream.conn.peer_certificates().unwrap()[0].to_vec();
    let first = authority.connect(server.addr());
    let old = certificate_of(&first);
    let mut first = web_socket(first, "/echo");
    let mut echoes = || {
        first.send(Message::text("still here")).unwrap();
        assert_eq!(first.read().unwrap(), Message::text("still here"));
    };
    authority.sign("server", &Authority::params());
    server.signal("HUP");
    server.logged("new connections get the certificate");
    let new = certificate_of(&authority.connect(server.addr()));
    assert_ne!(new, old);
    echoes();
    // Half of a file, as somebody sees it who looks while it is written.
    let path = authority.path("server.key");
    let key = fs::read_to_string(&path).unwrap();
    fs::write(&path, &key[..key.len() / 2]).unwrap();
    server.signal("HUP");
    server.logged("the old certificate stays");
    assert_eq!(certificate_of(&authority.connect(server.addr())), new);
    echoes();
}

#[test]
fn ac_11_who_comes_back_resumes_and_behind_a_reload_begins_anew() {
    let authority = Authority::new("resumption");
    for version in [&TLS12, &TLS13] {
        let server = start(&authority, &["--threads", "2"]);
        let config = authority.client_config(&[version]);
        let visit = || {
            let mut stream = connect(server.addr(), &config).unwrap();
            assert!(ask(&mut stream).starts_with("HTTP/1.1 200 "));
            stream.conn.handshake_kind().unwrap()
        };
        assert_eq!([visit(), visit(), visit()], [Full, Resumed, Resumed]);
        server.signal("HUP");
        server.logged("new connections get the certificate");
        // Whoever replaces a key that others have got to know wants nobody to go on with it.
        assert_eq!([visit(), visit()], [Full, Resumed]);
    }
}

#[test]
fn ac_11_the_end_is_announced_and_one_without_announcement_is_an_end_all_the_same() {
    let authority = Authority::new("close_notify");
    let server = start(&authority, &[]);
    // `read_to_end` of rustls fails if the end was not announced.
    let mut stream = authority.connect(server.addr());
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_to_end(&mut Vec::new()).expect("close_notify");
    // The peer announces the end of its side, and still gets the answer.
    let mut stream = authority.connect(server.addr());
    stream.write_all(request.as_bytes()).unwrap();
    stream.conn.send_close_notify();
    stream.conn.complete_io(&mut stream.sock).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("close_notify");
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    // So does one that announces it before it has said anything, and is let go at once.
    let mut stream = authority.connect(server.addr());
    stream.conn.send_close_notify();
    stream.conn.complete_io(&mut stream.sock).unwrap();
    stream.read_to_end(&mut Vec::new()).expect("close_notify");
    // And one that ends without a word.
    let mut stream = authority.connect(server.addr());
    stream.sock.shutdown(Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).expect("close_notify");
}
