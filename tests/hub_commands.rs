//! The commands that talk to a hub, as scripts use them: output, exit codes, pipes, signals.

mod server_process;
mod token;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use server_process::{Ended, ServerProcess, run, signal, switchboard};

/// A command against the server at `addr`.
fn command(addr: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = switchboard(arguments);
    command.args(["--url", &format!("ws://{addr}/ws")]);
    command
}

/// Runs it; its exit code and what it wrote.
fn ended(addr: SocketAddr, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Ended {
        code,
        stdout,
        stderr,
    } = run(command(addr, arguments));
    (code, stdout, stderr)
}

/// A running `switchboard tail`.
struct Tail {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Tail {
    /// Follows, and waits until the server counts it as a member.
    fn start(addr: SocketAddr, arguments: &[&str]) -> Self {
        let arguments = [&["tail"], arguments].concat();
        let mut child = command(addr, &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let tail = Self { child, lines };
        let deadline = SystemTime::now() + Duration::from_secs(10);
        while SystemTime::now() < deadline {
            let probe = ["send", "--group", "room", "probe"];
            if ended(addr, &probe).1 == "delivered to 1\n" {
                return tail;
            }
        }
        panic!("it does not join");
    }

    /// The next line that is no probe.
    fn next_line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it goes on");
            if !line.contains("probe") {
                return line;
            }
        }
    }

    fn interrupt(mut self) -> Option<i32> {
        signal(&self.child, "INT");
        self.child.wait().unwrap().code()
    }
}

#[test]
fn what_is_sent_is_followed() {
    let server = ServerProcess::start(&[]);
    let addr = server.addr();
    let mut tail = Tail::start(addr, &["--as", "bob", "room"]);
    for (arguments, shown) in [
        (
            &["send", "--as", "alice", "--group", "room", "hello room"][..],
            "room alice: hello room",
        ),
        (
            &["send", "--as", "alice", "--user", "bob", "hello bob"],
            "@user/bob alice: hello bob",
        ),
        (
            &["send", "--all", "--json", "{\"a\": [1, null]}"],
            "@all -: {\"a\": [1, null]}",
        ),
        (
            &["send", "--group", "room", "esc\u{1b}[31mape\nd"],
            "room -: esc\\u{1b}[31mape\\nd",
        ),
    ] {
        let (code, stdout, stderr) = ended(addr, arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert_eq!(stdout, "delivered to 1\n", "{arguments:?}");
        let line = tail.next_line();
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{line}");
        assert_eq!(rest.trim_end(), shown);
    }
    assert_eq!(tail.interrupt(), Some(0));
}

#[test]
fn json_lines_have_every_kind_of_payload_and_stop_at_the_count() {
    let server = ServerProcess::start(&[]);
    let addr = server.addr();
    let mut tail = Tail::start(addr, &["--json", "room"]);
    let directory =
        std::env::temp_dir().join(format!("switchboard-hub-commands-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("bytes");
    std::fs::write(&file, [1, 2, 255]).unwrap();
    for (arguments, data_type, data) in [
        (
            &["send", "--group", "room", "a\"b"][..],
            "text",
            Value::from("a\"b"),
        ),
        (
            &["send", "--group", "room", "--json", "[1]"],
            "json",
            serde_json::json!([1]),
        ),
        (
            &["send", "--group", "room", "--file", file.to_str().unwrap()],
            "binary",
            Value::from("AQL/"),
        ),
    ] {
        assert_eq!(ended(addr, arguments).0, Some(0));
        let line: Value = serde_json::from_str(&tail.next_line()).unwrap();
        assert_eq!(
            (&line["dataType"], &line["data"]),
            (&Value::from(data_type), &data)
        );
        assert_eq!(
            (&line["group"], &line["from"]),
            (&Value::from("room"), &Value::Null)
        );
    }
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(tail.interrupt(), Some(0));

    let mut tail = Tail::start(addr, &["--count", "3", "room"]);
    for _ in 0..3 {
        assert_eq!(ended(addr, &["send", "--group", "room", "x"]).0, Some(0));
    }
    assert_eq!(tail.child.wait().unwrap().code(), Some(0));
}

#[test]
fn standard_input_is_sent_without_its_last_line_end() {
    let server = ServerProcess::start(&[]);
    let mut tail = Tail::start(server.addr(), &["room"]);
    let mut child = command(server.addr(), &["send", "--group", "room"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"piped in\n")
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(tail.next_line().ends_with("room -: piped in\n"));
    assert_eq!(tail.interrupt(), Some(0));
}

#[test]
fn what_cannot_be_delivered_or_sent_is_one_line_and_an_exit_code() {
    let server = ServerProcess::start(&[]);
    let addr = server.addr();
    for (arguments, code, line) in [
        (
            &["send", "--user", "nobody", "x"][..],
            1,
            "NotFound: nobody is connected under that address",
        ),
        (
            &["send", "--group", " ", "x"],
            1,
            "closed by the server: 1007 group missing or blank",
        ),
        (
            &["send", "--all", "--json", "{"],
            2,
            "the message is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            &["send", "--all", "--file", "/nowhere"],
            2,
            "the file /nowhere: No such file or directory (os error 2)",
        ),
        (
            &["tail", "@all/x"],
            1,
            "cannot follow \"@all/x\": Forbidden: group names beginning with @ are reserved",
        ),
    ] {
        let (actual, stdout, stderr) = ended(addr, arguments);
        assert_eq!(
            (actual, stdout.as_str()),
            (Some(code), ""),
            "{arguments:?}: {stderr}"
        );
        assert_eq!(stderr, format!("switchboard: {line}\n"), "{arguments:?}");
    }
}

#[test]
fn a_server_that_is_not_there_or_no_hub_is_one_line() {
    let server = ServerProcess::start(&["--access-key", token::KEY]);
    let addr = server.addr();
    for (url, code, begin) in [
        (
            "127.0.0.1:1".into(),
            2,
            "the address \"127.0.0.1:1\": a URL begins with ws:// or wss://",
        ),
        (
            "ws://127.0.0.1:1".into(),
            1,
            "cannot connect to 127.0.0.1:1: Connection refused",
        ),
        (
            format!("ws://{addr}/nowhere"),
            1,
            "the server refuses with status 404",
        ),
        (
            format!("ws://{addr}/ws?access_token=planted"),
            1,
            "the server refuses with status 401",
        ),
    ] {
        let Ended {
            code: actual,
            stderr,
            ..
        } = run(switchboard_with_url(&url));
        assert_eq!(actual, Some(code), "{url}: {stderr}");
        assert!(
            stderr.starts_with(&format!("switchboard: {begin}")),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(!stderr.contains("planted"), "{stderr}");
    }
}

fn switchboard_with_url(url: &str) -> Command {
    switchboard(&["send", "--all", "x", "--url", url])
}
