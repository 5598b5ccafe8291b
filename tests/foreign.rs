//! The client against servers that others have made: the npm package `ws` and the Python package `websockets`.
//!
//! `tests/foreign/cases.json` has what they send past their own rules, and what a client has to make of it; they judge it
//! themselves. The packages are installed below `target/foreign-test/` when they are missing there.

#[cfg(feature = "tls")]
#[path = "tls/authority.rs"]
mod authority;
mod installed;
mod server_process;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[cfg(feature = "tls")]
use server_process::ServerProcess;
use server_process::{Ended, run_while_open, switchboard};
use switchboard::client::{ClientConfig, ClientError, Ending, Event, WebSocket};
use switchboard::proto::CloseCode;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(20);
/// The servers, and the lists of what they need.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign");

#[test]
#[ignore = "needs node and npm, and the registry of npm the first time"]
fn the_client_talks_to_the_ws_package_of_npm() {
    let scripts = Path::new(SCRIPTS);
    let folder = installed::npm_packages(scripts);
    let mut node = Command::new("node");
    node.arg(scripts.join("server.mjs")).arg(folder);
    visit(&ForeignServer::start(node));
}

#[test]
#[ignore = "needs python3 with venv and pip, and the registry of PyPI the first time"]
fn the_client_talks_to_the_websockets_package_of_python() {
    let scripts = Path::new(SCRIPTS);
    let mut python = Command::new(installed::python_with_packages(scripts));
    python.arg(scripts.join("server.py"));
    visit(&ForeignServer::start(python));
}

#[cfg(feature = "tls")]
#[test]
#[ignore = "needs node and npm, and the registry of npm the first time"]
fn the_ws_package_of_npm_talks_to_the_server_encrypted() {
    let authority = authority::Authority::new("foreign_ws");
    let flags = authority.flags();
    let server = ServerProcess::start(&flags.each_ref().map(String::as_str));
    let scripts = Path::new(SCRIPTS);
    let mut node = Command::new("node");
    node.env("NODE_EXTRA_CA_CERTS", authority.path("ca.pem"))
        .arg(scripts.join("encrypted.mjs"))
        .arg(installed::npm_packages(scripts))
        .arg(format!("wss://{}/echo", server.addr()));
    installed::run_to_end(&mut node);
}

#[cfg(feature = "tls")]
#[test]
#[ignore = "needs python3 with venv and pip, and the registry of PyPI the first time"]
fn the_websockets_package_of_python_talks_to_the_server_encrypted() {
    let authority = authority::Authority::new("foreign_websockets");
    let flags = authority.flags();
    let server = ServerProcess::start(&flags.each_ref().map(String::as_str));
    let scripts = Path::new(SCRIPTS);
    let mut python = Command::new(installed::python_with_packages(scripts));
    python
        .arg(scripts.join("encrypted.py"))
        .arg(format!("wss://{}/echo", server.addr()))
        .arg(authority.path("ca.pem"));
    installed::run_to_end(&mut python);
}

/// A server of another make; it is stopped when this is dropped.
struct ForeignServer {
    child: Child,
    port: u16,
}

impl ForeignServer {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let port = line.trim().parse();
        let server = Self {
            child,
            port: port.as_ref().copied().unwrap_or_default(),
        };
        assert!(port.is_ok(), "its port, not {line:?}");
        server
    }

    fn url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}/{path}", self.port)
    }

    fn dial(&self, path: &str) -> WebSocket {
        WebSocket::dial(&self.url(path), &ClientConfig::default()).unwrap()
    }

    /// The only message of a path.
    fn ask(&self, path: &str) -> String {
        match next(&mut self.dial(path)) {
            Event::Text(text) => text,
            event => panic!("{path}: {event:?}"),
        }
    }
}

impl Drop for ForeignServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next(socket: &mut WebSocket) -> Event {
    socket
        .next_event(Some(DEADLINE))
        .unwrap()
        .expect("an event in time")
}

fn closed(code: u16, reason: &str) -> Event {
    Event::Closed(Ending {
        code: CloseCode::from_wire(code),
        reason: reason.into(),
    })
}

/// Everything that a client does, at one server.
fn visit(server: &ForeignServer) {
    messages_come_back(server);
    what_the_server_does_is_understood(server);
    refusals_and_subprotocols(server);
    cases(server);
    the_command_talks_to_it(server);
}

/// `switchboard connect --raw`, with lines in a pipe.
fn the_command_talks_to_it(server: &ForeignServer) {
    let mut child = switchboard(&["connect", "--raw", &server.url("echo")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for line in ["hello\n", "grüße\n", "\n"] {
        input.write_all(line.as_bytes()).unwrap();
        let mut echo = String::new();
        output.read_line(&mut echo).unwrap();
        assert_eq!(echo, line);
    }
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let closing = switchboard(&["connect", "--raw", &server.url("close/1008")]);
    let refused = switchboard(&["connect", "--raw", &server.url("refuse")]);
    for (command, says) in [(closing, "1008"), (refused, "status 403: not today")] {
        let Ended { code, stderr, .. } = run_while_open(command);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains(says) && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
}

fn messages_come_back(server: &ForeignServer) {
    let mut socket = server.dial("echo");
    for text in ["", "grüße \u{10ffff}"] {
        socket.send_text(text).unwrap();
        assert_eq!(next(&mut socket), Event::Text(text.into()));
    }
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
        socket.send_binary(&bytes).unwrap();
        assert_eq!(next(&mut socket), Event::Binary(bytes), "{len}");
    }
    socket.ping(b"there?").unwrap();
    assert_eq!(next(&mut socket), Event::Pong(b"there?".to_vec()));
    socket.close(CloseCode::from_wire(4001).unwrap(), "bye");
    let Event::Closed(ending) = next(&mut socket) else {
        panic!("an end")
    };
    assert_eq!(ending.code.map(CloseCode::get), Some(4001));
    let deadline = Instant::now() + DEADLINE;
    while server.ask("last-close") != "4001 bye" {
        assert!(Instant::now() < deadline, "{}", server.ask("last-close"));
    }
}

fn what_the_server_does_is_understood(server: &ForeignServer) {
    assert_eq!(server.ask("fragments"), "fragmented");
    assert_eq!(server.ask("ping"), "pong there?");
    for code in [1000, 1001, 1008, 1011, 3000, 4999] {
        let mut socket = server.dial(&format!("close/{code}"));
        assert_eq!(next(&mut socket), closed(code, "the server says"));
        assert_eq!(socket.next_event(None).unwrap(), None);
    }
    let mut socket = server.dial("gone");
    assert_eq!(next(&mut socket), Event::Text("last".into()));
    assert!(matches!(
        socket.next_event(Some(DEADLINE)),
        Err(ClientError::Lost)
    ));
}

fn refusals_and_subprotocols(server: &ForeignServer) {
    let config = ClientConfig::default();
    let refused = WebSocket::dial(&server.url("refuse"), &config).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the server refuses with status 403: not today"
    );
    let mut config = config;
    config.subprotocols = vec!["a".into(), "b".into()];
    let socket = WebSocket::dial(&server.url("echo"), &config).unwrap();
    assert_eq!(socket.subprotocol(), Some("b"));
}

/// Echoes whatever comes in each case until it is over, and asks what the server thinks of that.
fn cases(server: &ForeignServer) {
    let count: usize = server.ask("count").parse().unwrap();
    assert!(count > 30);
    for number in 0..count {
        let mut socket = server.dial(&format!("case/{number}"));
        loop {
            // An error is an end, too: the server knows whether it is the right one.
            let sent = match socket.next_event(Some(DEADLINE)) {
                Ok(Some(Event::Text(text))) => socket.send_text(&text),
                Ok(Some(Event::Binary(bytes))) => socket.send_binary(&bytes),
                Ok(Some(Event::Pong(_))) => Ok(()),
                _ => break,
            };
            sent.unwrap();
        }
    }
    let deadline = Instant::now() + DEADLINE;
    loop {
        let results = server.ask("results");
        let is_complete = results.lines().count() > 1 || results == format!("{count} passed");
        assert!(is_complete || Instant::now() < deadline, "{results}");
        if is_complete {
            assert_eq!(results, format!("{count} passed"));
            return;
        }
    }
}
