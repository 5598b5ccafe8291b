//! What the commands that connect say when they cannot: one line on standard error, an exit code, and never a backtrace.

#[cfg(feature = "tls")]
#[path = "tls/authority.rs"]
mod authority;
mod server_process;
mod token;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use server_process::{Ended, ServerProcess, run, run_while_open, switchboard};

/// Every command that opens a WebSocket, as it is typed with the address of a server.
const SOCKET_COMMANDS: [&[&str]; 5] = [
    &["connect", "URL", "--group", "room"],
    &["connect", "--raw", "URL"],
    &["send", "--all", "x", "--url", "URL"],
    &["tail", "room", "--url", "URL"],
    &["who", "--url", "URL"],
];
/// Every command that asks over HTTP.
const HTTP_COMMANDS: [&[&str]; 1] = [&["kick", "--user", "x", "--url", "URL"]];

/// A command of those above with that address and a time.
fn command(arguments: &[&str], url: &str, timeout: &str) -> Command {
    let arguments = arguments
        .iter()
        .map(|&argument| if argument == "URL" { url } else { argument });
    let mut command = switchboard(&arguments.collect::<Vec<_>>());
    command
        .args(["--timeout", timeout])
        .env("RUST_BACKTRACE", "1");
    command
}

/// A server that does the same with every connection, as long as the test runs.
fn server(serve: impl Fn(&mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            serve(&mut stream);
        }
    });
    addr
}

/// A server that reads a request and then says `answer`.
fn answering(answer: &'static str) -> SocketAddr {
    server(move |stream| {
        read_head(stream);
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// A server that opens a WebSocket with the subprotocol, sends `frames` and is gone.
fn opening(frames: &'static [u8]) -> SocketAddr {
    server(move |stream| {
        let request = read_head(stream);
        let key = request
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
            .unwrap();
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let _ = stream.write_all(&[head.as_bytes(), frames].concat());
    })
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|len| len > 0) {
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Runs every command against `url`; each must end with that code and one line that begins so.
fn assert_all_fail(url: &str, code: i32, begins: &str) {
    for arguments in HTTP_COMMANDS {
        let mut command = command(arguments, url, "300ms");
        command.env("SWITCHBOARD_ACCESS_KEY", token::KEY);
        assert_fails(command, code, begins);
    }
    assert_sockets_fail(url, code, begins);
}

fn assert_sockets_fail(url: &str, code: i32, begins: &str) {
    for arguments in SOCKET_COMMANDS {
        assert_fails(command(arguments, url, "300ms"), code, begins);
    }
}

fn assert_fails(command: Command, code: i32, begins: &str) {
    let shown = format!("{command:?}");
    let Ended {
        code: actual,
        stdout,
        stderr,
    } = run(command);
    assert_eq!((actual, &*stdout), (Some(code), ""), "{shown}: {stderr}");
    let line = stderr.strip_prefix("switchboard: ").unwrap_or_default();
    assert!(line.starts_with(begins), "{shown}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{shown}: {stderr}");
    assert!(!stderr.contains("planted"), "{shown}: {stderr}");
}

#[test]
fn an_address_that_is_none_is_a_mistake_in_the_command_line() {
    for (url, why) in [
        ("127.0.0.1:1", "a URL begins with ws:// or wss://"),
        ("ftp://127.0.0.1", "the scheme is none of"),
        ("ws://", "host or port is missing"),
        ("ws://127.0.0.1:65536/", "host or port is missing"),
        ("ws://user:planted@127.0.0.1/", "a user name in the URL"),
        (
            "ws://127.0.0.1/#planted",
            "the URL of a WebSocket has no fragment",
        ),
        (
            "ws://127.0.0.1/a b?token=planted",
            "path or query has characters",
        ),
    ] {
        for arguments in SOCKET_COMMANDS.into_iter().chain(HTTP_COMMANDS) {
            let Ended { code, stderr, .. } = run(command(arguments, url, "300ms"));
            assert_eq!(code, Some(2), "{url}: {stderr}");
            assert!(stderr.contains(why), "{url}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{url}: {stderr}");
            assert!(!stderr.contains("planted"), "{url}: {stderr}");
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_one_line() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    assert_all_fail(
        &format!("ws://{closed}/ws?token=planted"),
        1,
        &format!("cannot connect to {closed}: Connection refused"),
    );
    // Longer than a label may be, so that no network is asked.
    let name = "a".repeat(64);
    assert_all_fail(
        &format!("ws://{name}/ws?token=planted"),
        1,
        &format!("cannot find {name}: "),
    );
}

#[test]
fn a_server_that_does_not_open_a_websocket_is_one_line_with_its_reason() {
    for (answer, begins) in [
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\nnot\r\nwith this token",
            "the server refuses with status 403: not with this token\n",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /log-in?planted\r\nContent-Length: 0\r\n\r\n",
            "the server refuses with status 302 and points to /log-in\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>It works</title>",
            "the server refuses with status 200: <title>It works</title>\n",
        ),
        (
            "SSH-2.0-OpenSSH_9\r\n",
            "the server does not speak HTTP/1.1\n",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: AAAA\r\n\r\n",
            "the server's answer does not belong to our request\n",
        ),
        ("", "the connection is lost\n"),
    ] {
        assert_sockets_fail(&format!("ws://{}/ws?planted", answering(answer)), 1, begins);
    }
    let server = ServerProcess::start(&["--access-key", token::KEY]);
    assert_sockets_fail(
        &format!("ws://{}/ws?access_token=planted", server.addr()),
        1,
        "the server refuses with status 401",
    );
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_the_time_that_was_asked_for() {
    let silent = server(|stream| _ = stream.read_to_end(&mut Vec::new()));
    assert_all_fail(
        &format!("ws://{silent}/ws?planted"),
        1,
        "the server does not answer in time\n",
    );
}

#[test]
fn encryption_where_there_is_none_is_one_line() {
    let plain = answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert_all_fail(&format!("wss://{plain}/ws?planted"), 1, "");
}

#[cfg(feature = "tls")]
#[test]
fn ac_11_a_certificate_that_is_not_trusted_is_one_line_of_every_command() {
    use authority::Authority;
    let (ours, strangers) = (
        Authority::new("errors_ours"),
        Authority::new("errors_theirs"),
    );
    let [certificate, key] = strangers.sign("server", &Authority::params());
    let server = ServerProcess::start(&["--tls-cert", &certificate, "--tls-key", &key]);
    let url = format!("wss://{}/ws?planted", server.addr());
    for arguments in SOCKET_COMMANDS.into_iter().chain(HTTP_COMMANDS) {
        let mut command = command(arguments, &url, "10s");
        command
            .args(["--ca", &ours.path("ca.pem")])
            .env("SWITCHBOARD_ACCESS_KEY", token::KEY);
        let line =
            "the server cannot be trusted: the certificate is signed by nobody who is trusted\n";
        assert_fails(command, 1, line);
    }
}

#[test]
fn a_server_that_is_gone_in_the_middle_is_one_line() {
    for frames in [
        &b""[..],
        b"\x81\x7e",
        b"\x88\x02\x03\xe9",
        b"\x81\x02{}",
        b"\xff\xff",
    ] {
        let url = format!("ws://{}/ws?planted", opening(frames));
        for arguments in SOCKET_COMMANDS {
            // Without anything to say that one closes at once, and the server may well be gone then.
            if !arguments.contains(&"--raw") {
                assert_fails(command(arguments, &url, "300ms"), 1, "");
            }
        }
    }
}

#[test]
fn no_time_is_too_long_for_the_clock() {
    let addr = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let url = format!("ws://{addr}/ws");
    for arguments in SOCKET_COMMANDS {
        let command = command(arguments, &url, "500000000000years");
        assert_fails(command, 1, "the server refuses with status 404");
    }
}

#[test]
fn a_server_that_is_gone_while_somebody_listens_is_one_line() {
    let addr = opening(b"\x81\x04last");
    let url = format!("ws://{addr}/ws?planted");
    let Ended {
        code,
        stdout,
        stderr,
    } = run_while_open(switchboard(&["connect", "--raw", &url]));
    assert_eq!(
        (code, &*stdout, &*stderr),
        (Some(1), "last\n", "switchboard: the connection is lost\n")
    );
}
