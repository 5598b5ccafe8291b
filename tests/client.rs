//! The client of the library against our own server, an independent one, and servers that misbehave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use switchboard::client::{ClientConfig, ClientError, Event, WebSocket};
use switchboard::http::OpeningError;
use switchboard::proto::{CloseCode, ProtocolError};

mod server_process;

use server_process::ServerProcess;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(10);

/// The key of RFC 6455 1.3 is not what the client sends, so the accept value has to be computed: by an independent crate.
fn accept_value(request: &str) -> String {
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .expect("a key");
    tungstenite::handshake::derive_accept_key(key.as_bytes())
}

/// A server that accepts one connection and does what `serve` says with it.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        // No deadline: a signal would interrupt a read that has one. A client that fails takes its socket along.
        serve(stream);
    });
    (addr, thread)
}

/// Reads a request head.
fn read_request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Accepts a WebSocket, with `frames` right behind the answer.
fn accept(stream: &mut TcpStream, fields: &str, frames: &[u8]) {
    let accept = accept_value(&read_request(stream));
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
    );
    stream
        .write_all(&[head.as_bytes(), frames].concat())
        .unwrap();
}

fn dial(addr: SocketAddr, config: &ClientConfig) -> Result<WebSocket, ClientError> {
    WebSocket::dial(&format!("ws://{addr}/echo"), config)
}

fn next(socket: &mut WebSocket) -> Event {
    socket
        .next_event(Some(DEADLINE))
        .unwrap()
        .expect("an event in time")
}

fn closed_with(socket: &mut WebSocket) -> Option<u16> {
    match next(socket) {
        Event::Closed(ending) => ending.code.map(CloseCode::get),
        event => panic!("{event:?}"),
    }
}

/// The settings of an impatient client.
fn impatient() -> ClientConfig {
    let mut config = ClientConfig::default();
    config.dial_timeout = Duration::from_millis(100);
    config.ping_interval = Duration::from_millis(50);
    config.ping_timeout = Duration::from_millis(50);
    config.write_timeout = Duration::from_millis(100);
    config.close_timeout = Duration::from_millis(100);
    config
}

#[test]
fn messages_of_every_size_come_back_from_our_server() {
    let server = ServerProcess::start(&[]);
    let mut socket = dial(server.addr(), &ClientConfig::default()).unwrap();
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        socket.send_text(&"x".repeat(len)).unwrap();
        assert_eq!(next(&mut socket), Event::Text("x".repeat(len)));
        socket.send_binary(&vec![7; len]).unwrap();
        assert_eq!(next(&mut socket), Event::Binary(vec![7; len]));
    }
    socket.ping(b"there?").unwrap();
    assert_eq!(next(&mut socket), Event::Pong(b"there?".to_vec()));
    assert!(matches!(
        socket.ping(&[0; 126]),
        Err(ClientError::PingTooLong)
    ));
    socket.close(CloseCode::NORMAL, "bye");
    assert_eq!(closed_with(&mut socket), Some(1000));
    assert_eq!(socket.next_event(None).unwrap(), None);
    assert!(matches!(socket.send_text("late"), Err(ClientError::Closed)));
}

#[test]
fn much_can_be_sent_before_anything_is_taken() {
    let server = ServerProcess::start(&[]);
    let mut socket = dial(server.addr(), &ClientConfig::default()).unwrap();
    // More than the buffers of the kernel hold in both directions: whoever only writes here waits for ever.
    for number in 0_u32..200 {
        socket
            .send_binary(&[number.to_be_bytes()[3]; 65_536])
            .unwrap();
    }
    for number in 0_u32..200 {
        let Event::Binary(echo) = next(&mut socket) else {
            panic!("an echo")
        };
        assert_eq!((echo.len(), echo[0]), (65_536, number.to_be_bytes()[3]));
    }
}

#[test]
fn another_thread_sends_and_closes_while_this_one_waits() {
    let server = ServerProcess::start(&[]);
    let mut socket = dial(server.addr(), &ClientConfig::default()).unwrap();
    let sender = socket.sender();
    let thread = thread::spawn(move || {
        sender.send_text("one").unwrap();
        sender.send_binary(*b"two").unwrap();
        sender.close(CloseCode::NORMAL, "").unwrap();
        sender
    });
    assert_eq!(next(&mut socket), Event::Text("one".into()));
    assert_eq!(next(&mut socket), Event::Binary(b"two".to_vec()));
    assert_eq!(closed_with(&mut socket), Some(1000));
    drop(socket);
    let sender = thread.join().unwrap();
    assert!(matches!(sender.send_text("late"), Err(ClientError::Closed)));
}

#[test]
fn a_server_that_shuts_down_says_so() {
    let mut server = ServerProcess::start(&["--drain", "2s"]);
    let mut socket = dial(server.addr(), &ClientConfig::default()).unwrap();
    server.signal("TERM");
    assert_eq!(closed_with(&mut socket), Some(1001));
    assert!(server.wait().success());
}

#[test]
fn an_independent_server_understands_the_client() {
    let (addr, thread) = server(|stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        loop {
            match socket.read() {
                Ok(message) if message.is_close() => {}
                Ok(message) if message.is_ping() || message.is_pong() => {}
                Ok(message) => socket.send(message).unwrap(),
                Err(tungstenite::Error::ConnectionClosed) => return,
                Err(error) => panic!("{error}"),
            }
        }
    });
    let mut socket = dial(addr, &ClientConfig::default()).unwrap();
    socket.send_text("grüße").unwrap();
    socket.send_binary(&[0; 70_000]).unwrap();
    socket.ping(b"p").unwrap();
    assert_eq!(next(&mut socket), Event::Text("grüße".into()));
    assert_eq!(next(&mut socket), Event::Binary(vec![0; 70_000]));
    assert_eq!(next(&mut socket), Event::Pong(b"p".to_vec()));
    socket.close(CloseCode::NORMAL, "done");
    assert_eq!(closed_with(&mut socket), Some(1000));
    thread.join().unwrap();
}

#[test]
fn frames_right_behind_the_answer_are_not_lost() {
    let (addr, thread) =
        server(|mut stream| accept(&mut stream, "", b"\x81\x05early\x88\x02\x03\xe8"));
    let mut socket = dial(addr, &ClientConfig::default()).unwrap();
    assert_eq!(next(&mut socket), Event::Text("early".into()));
    assert_eq!(closed_with(&mut socket), Some(1000));
    thread.join().unwrap();
}

#[test]
fn a_refusal_shows_its_status_and_its_reason() {
    let server = ServerProcess::start(&[]);
    let refused = WebSocket::dial(
        &format!("ws://{}/nowhere", server.addr()),
        &ClientConfig::default(),
    );
    let error = refused.unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused { status: 404, body, .. } if !body.is_empty()),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .starts_with("the server refuses with status 404: ")
    );
}

#[test]
fn subprotocols_and_fields_are_sent_and_the_choice_is_checked() {
    for (answer, is_right) in [("b", true), ("c", false)] {
        let (addr, thread) = server(move |mut stream| {
            let field = format!("Sec-WebSocket-Protocol: {answer}\r\n");
            accept(&mut stream, &field, b"");
        });
        let mut config = ClientConfig::default();
        config.subprotocols = vec!["a".into(), "b".into()];
        config.fields = vec![("Origin".into(), "http://example.com".into())];
        match dial(addr, &config) {
            Ok(socket) => assert!(is_right && socket.subprotocol() == Some("b")),
            Err(ClientError::Opening(OpeningError::UnofferedSubprotocol)) => assert!(!is_right),
            Err(error) => panic!("{error}"),
        }
        thread.join().unwrap();
    }
}

#[test]
fn a_server_that_breaks_the_protocol_hears_so_and_the_error_is_told_once() {
    let (addr, thread) = server(|mut stream| {
        accept(&mut stream, "", b"\x81\x01x\x81\x80\0\0\0\0");
        let mut close = [0; 8];
        stream.read_exact(&mut close).unwrap();
        assert_eq!(close[0], 0x88);
        let code = [close[6] ^ close[2], close[7] ^ close[3]];
        assert_eq!(u16::from_be_bytes(code), 1002);
    });
    let mut socket = dial(addr, &ClientConfig::default()).unwrap();
    assert_eq!(next(&mut socket), Event::Text("x".into()));
    let error = socket.next_event(Some(DEADLINE)).unwrap_err();
    assert!(matches!(
        error,
        ClientError::Protocol(ProtocolError::MaskedFrame)
    ));
    assert_eq!(socket.next_event(None).unwrap(), None);
    thread.join().unwrap();
}

#[test]
fn a_server_that_goes_without_a_word_is_lost() {
    let (addr, thread) = server(|mut stream| accept(&mut stream, "", b"\x81\x04last"));
    let mut socket = dial(addr, &ClientConfig::default()).unwrap();
    assert_eq!(next(&mut socket), Event::Text("last".into()));
    assert!(matches!(socket.next_event(None), Err(ClientError::Lost)));
    assert_eq!(socket.next_event(None).unwrap(), None);
    thread.join().unwrap();
}

#[test]
fn nobody_waits_for_a_server_for_ever() {
    // One that does not answer the handshake,
    let (addr, thread) = server(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert!(matches!(
        dial(addr, &impatient()),
        Err(ClientError::DialTimeout)
    ));
    thread.join().unwrap();

    // one that says nothing and does not answer pings,
    let (addr, thread) = server(|mut stream| {
        accept(&mut stream, "", b"");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let begun = Instant::now();
    let mut socket = dial(addr, &impatient()).unwrap();
    assert!(matches!(socket.next_event(None), Err(ClientError::Silent)));
    assert!(begun.elapsed() >= Duration::from_millis(100));
    drop(socket);
    thread.join().unwrap();

    // one that does not answer our Close frame,
    let (addr, thread) = server(|mut stream| {
        accept(&mut stream, "", b"");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut socket = dial(addr, &impatient()).unwrap();
    socket.close(CloseCode::NORMAL, "");
    assert!(matches!(socket.next_event(None), Err(ClientError::Silent)));
    drop(socket);
    thread.join().unwrap();

    // and one that takes nothing.
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let (addr, thread) = server(move |mut stream| {
        accept(&mut stream, "", b"");
        let _ = is_done.recv_timeout(DEADLINE);
    });
    let mut config = impatient();
    config.ping_interval = DEADLINE;
    let mut socket = dial(addr, &config).unwrap();
    while socket.send_binary(&[0; 1 << 20]).is_ok() {}
    let error = socket.next_event(None).unwrap_err();
    assert!(matches!(error, ClientError::Stalled), "{error}");
    drop(done);
    thread.join().unwrap();
}

#[test]
fn a_url_that_cannot_be_used_is_said_before_anything_is_sent() {
    let config = ClientConfig::default();
    for (url, text) in [
        ("127.0.0.1:1", "a URL begins with ws:// or wss://"),
        (
            "ws://127.0.0.1:1/",
            "cannot connect to 127.0.0.1:1: Connection refused (os error 111)",
        ),
    ] {
        assert_eq!(WebSocket::dial(url, &config).unwrap_err().to_string(), text);
    }
    let mut smuggling = config;
    smuggling.fields = vec![("X".into(), "a\r\nb".into())];
    assert!(matches!(
        WebSocket::dial("ws://127.0.0.1:1/", &smuggling),
        Err(ClientError::Field(_))
    ));
}

#[test]
fn a_refusal_is_told_at_once_however_its_body_ends() {
    for (answer, text) in [
        (
            "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n5\r\n here\r\n0\r\n\r\n",
            "the server refuses with status 403: not here",
        ),
        (
            "HTTP/1.1 301 Moved\r\nLocation: https://a/b?secret\r\nContent-Length: 0\r\n\r\n",
            "the server refuses with status 301 and points to https://a/b",
        ),
        (
            "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 1000000\r\n\r\nlater",
            "the server refuses with status 429: later",
        ),
        ("SSH-2.0-OpenSSH\r\n", "the server does not speak HTTP/1.1"),
    ] {
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let (addr, thread) = server(move |mut stream| {
            read_request(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
            // It keeps the connection open, as servers do that hope for another request.
            let _ = is_done.recv_timeout(DEADLINE);
        });
        let begun = Instant::now();
        let error = dial(addr, &ClientConfig::default()).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert!(begun.elapsed() < Duration::from_secs(5), "{answer}");
        drop(done);
        thread.join().unwrap();
    }
}

#[test]
fn a_ping_is_answered_while_nothing_else_happens() {
    let (addr, thread) = server(|mut stream| {
        accept(&mut stream, "", b"");
        for _ in 0..3 {
            stream.write_all(b"\x89\x01p").unwrap();
            let mut pong = [0; 7];
            stream.read_exact(&mut pong).unwrap();
            assert_eq!((pong[0], pong[6] ^ pong[2]), (0x8a, b'p'));
        }
        stream.write_all(b"\x88\x02\x03\xe8").unwrap();
    });
    let mut socket = dial(addr, &ClientConfig::default()).unwrap();
    assert_eq!(closed_with(&mut socket), Some(1000));
    thread.join().unwrap();
}

#[test]
fn interim_answers_come_before_the_one_that_counts() {
    let (addr, thread) = server(|mut stream| {
        stream
            .write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            .unwrap();
        accept(&mut stream, "", b"\x88\x02\x03\xe8");
    });
    let mut socket = dial(addr, &ClientConfig::default()).unwrap();
    assert_eq!(closed_with(&mut socket), Some(1000));
    thread.join().unwrap();
}

#[test]
fn an_application_that_was_away_still_hears_what_came_meanwhile() {
    let (go, gone) = std::sync::mpsc::channel();
    let (answered, is_answered) = std::sync::mpsc::channel();
    let (addr, thread) = server(move |mut stream| {
        accept(&mut stream, "", b"");
        // The ping of a client that has heard nothing for long, and the answer that it will not look at for long.
        let mut ping = [0; 6];
        stream.read_exact(&mut ping).unwrap();
        gone.recv_timeout(DEADLINE).unwrap();
        stream.write_all(b"\x8a\x00\x81\x01x").unwrap();
        answered.send(()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut socket = dial(addr, &impatient()).unwrap();
    for timeout in [impatient().ping_interval, Duration::ZERO] {
        assert_eq!(socket.next_event(Some(timeout)).unwrap(), None);
    }
    go.send(()).unwrap();
    is_answered.recv_timeout(DEADLINE).unwrap();
    // Nothing can be waited for here but the time in which the server would count as lost.
    thread::sleep(impatient().ping_timeout * 2);
    assert_eq!(next(&mut socket), Event::Pong(Vec::new()));
    assert_eq!(next(&mut socket), Event::Text("x".into()));
    drop(socket);
    thread.join().unwrap();
}

#[test]
fn a_server_that_never_stops_talking_takes_neither_the_memory_nor_the_time_of_the_client() {
    // Messages without payload, which cost the server next to nothing.
    let (addr, thread) = server(|mut stream| {
        accept(&mut stream, "", b"");
        let frames = b"\x81\x00".repeat(32_768);
        while stream.write_all(&frames).is_ok() {}
    });
    let mut socket = dial(addr, &ClientConfig::default()).unwrap();
    for _ in 0..100_000 {
        assert_eq!(next(&mut socket), Event::Text(String::new()));
    }
    drop(socket);
    thread.join().unwrap();

    // Pings, which are no events at all: the time that was asked for is kept all the same.
    let (addr, thread) = server(|mut stream| {
        accept(&mut stream, "", b"");
        let frames = b"\x89\x00".repeat(32_768);
        let mut reader = stream.try_clone().unwrap();
        let drain =
            thread::spawn(move || while reader.read(&mut [0; 65_536]).is_ok_and(|len| len > 0) {});
        while stream.write_all(&frames).is_ok() {}
        drain.join().unwrap();
    });
    let mut socket = dial(addr, &ClientConfig::default()).unwrap();
    let begun = Instant::now();
    let event = socket.next_event(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(event, None);
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(socket);
    thread.join().unwrap();
}

#[test]
fn endless_patience_is_no_overflow() {
    let (addr, thread) = server(|mut stream| accept(&mut stream, "", b"\x88\x02\x03\xe8"));
    let mut config = ClientConfig::default();
    config.dial_timeout = Duration::MAX;
    config.ping_interval = Duration::MAX;
    config.close_timeout = Duration::MAX;
    let mut socket = dial(addr, &config).unwrap();
    assert!(matches!(
        socket.next_event(Some(Duration::MAX)).unwrap(),
        Some(Event::Closed(_))
    ));
    thread.join().unwrap();
}
