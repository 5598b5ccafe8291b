//! `switchboard bench` as a child process: against our own server, an independent one, and servers that misbehave.

mod server_process;
mod terminal;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use server_process::{Ended, ServerProcess, run, signal, switchboard, with_limit};
use terminal::Terminal;
use tungstenite::Message;

/// What a misbehaving server does with a message that came: what it sends instead.
type Trick = fn(number: usize, message: Message) -> Vec<Message>;

/// The figures of a load, and its exit code and standard error.
fn bench(url: &str, arguments: &[&str]) -> (Value, Option<i32>, String) {
    let Ended {
        code,
        stdout,
        stderr,
    } = run(switchboard(
        &[&["bench", url, "--json"], arguments].concat(),
    ));
    let figures = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    (figures, code, stderr)
}

/// The figures of a load in which nothing went wrong.
fn clean(url: &str, arguments: &[&str]) -> Value {
    let (figures, code, stderr) = bench(url, arguments);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{figures}");
    for kind in ["lost", "unexpected", "ended"] {
        assert_eq!(figures["errors"][kind], 0, "{figures}");
    }
    figures
}

fn count(figures: &Value, name: &str) -> u64 {
    figures[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name}: {figures}"))
}

/// An independent server on its own thread, that answers every message as `trick` says; it ends with the process.
fn foreign(trick: Trick) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream, trick));
        }
    });
    addr
}

fn answer(stream: TcpStream, trick: Trick) {
    let Ok(mut socket) = tungstenite::accept(stream) else {
        return;
    };
    for number in 0.. {
        let Ok(message) = socket.read() else {
            return;
        };
        if !message.is_text() && !message.is_binary() {
            continue;
        }
        for answer in trick(number, message) {
            if socket.send(answer).is_err() {
                return;
            }
        }
    }
}

#[test]
fn every_echo_comes_back_and_is_counted() {
    let server = ServerProcess::start(&[]);
    let ours = format!("ws://{}/echo", server.addr());
    let theirs = format!("ws://{}/", foreign(|_, message| vec![message]));
    for url in [&ours, &theirs] {
        for more in [
            &[][..],
            &["--size", "0"],
            &["--size", "7", "--in-flight", "5"],
            &["--size", "70000", "--binary", "--in-flight", "3"],
        ] {
            let figures = clean(
                url,
                &[&["--clients", "4", "--duration", "100ms"], more].concat(),
            );
            let received = count(&figures, "received");
            assert!(
                received >= 4 && received == count(&figures, "sent"),
                "{figures}"
            );
            let size = count(&figures, "size_bytes");
            assert_eq!(count(&figures, "bytes_in"), received * size, "{figures}");
            let latency = &figures["latency_us"];
            let at = |name: &str| latency[name].as_f64().unwrap();
            assert!(
                0.0 < at("p50") && at("p50") <= at("p99") && at("p99") <= at("max"),
                "{figures}"
            );
        }
    }
}

#[test]
fn a_rate_is_kept() {
    let server = ServerProcess::start(&[]);
    let url = format!("ws://{}/echo", server.addr());
    let figures = clean(
        &url,
        &["--rate", "400", "--duration", "500ms", "--clients", "3"],
    );
    // All that were due, sent or not; a busy machine may not get to the last ones.
    let sent = count(&figures, "sent");
    assert_eq!(sent + count(&figures, "behind"), 200, "{figures}");
    assert!(
        sent > 100 && count(&figures, "received") == sent,
        "{figures}"
    );
}

#[test]
fn every_receiver_of_a_fan_out_gets_every_message() {
    let server = ServerProcess::start(&["--threads", "2"]);
    for (path, more) in [
        ("/relay/a", &["--in-flight", "4"][..]),
        ("/relay/b", &["--rate", "100"]),
        ("/relay/c?echo=true", &[]),
    ] {
        let url = format!("ws://{}{path}", server.addr());
        let flags = [
            "--mode",
            "fan-out",
            "--clients",
            "11",
            "--duration",
            "200ms",
        ];
        let figures = clean(&url, &[&flags, more].concat());
        let sent = count(&figures, "sent");
        assert!(
            sent > 0 && count(&figures, "received") == 10 * sent,
            "{figures}"
        );
    }
}

#[test]
fn connections_are_opened_and_closed_again_and_again() {
    let mut server = ServerProcess::start(&[]);
    let url = format!("ws://{}/ws", server.addr());
    let flags = ["--mode", "connect", "--clients", "3", "--duration", "200ms"];
    let all = clean(&url, &flags);
    let opened = count(&all, "received");
    assert!(opened > 3 && opened == count(&all, "sent"), "{all}");
    let few = clean(&url, &[&flags[..], &["--rate", "50"]].concat());
    assert_eq!(count(&few, "received") + count(&few, "behind"), 10, "{few}");
    server.signal("TERM");
    server.wait();
    // The server has seen as many, and each of them with its Close frame.
    let ended = server.log().matches("cause=peer_closed").count() as u64;
    let suppressed = server.log().contains("suppressed");
    assert!(
        suppressed || ended == opened + count(&few, "received"),
        "{}",
        server.log()
    );
}

#[test]
fn what_comes_back_altered_late_or_not_at_all_is_counted() {
    let altered = foreign(|number, message| match number {
        3 => vec![Message::text(
            message
                .into_text()
                .unwrap()
                .replace('a', "b")
                .replacen('A', "B", 1),
        )],
        _ => vec![message],
    });
    let dropped = foreign(|number, message| match number {
        3 => vec![],
        _ => vec![message],
    });
    let doubled = foreign(|number, message| match number {
        3 => vec![message.clone(), message],
        _ => vec![message],
    });
    let greeted = foreign(|number, message| match number {
        3 => vec![Message::text("hello"), message],
        _ => vec![message],
    });
    for (addr, lost, unexpected) in [
        (altered, 1, 1),
        (dropped, 1, 0),
        (doubled, 0, 1),
        (greeted, 0, 1),
    ] {
        // More in flight than the one that is missing, so that the next one tells.
        let flags = ["--clients", "1", "--in-flight", "2", "--duration", "100ms"];
        let (figures, code, stderr) = bench(&format!("ws://{addr}/"), &flags);
        assert_eq!(code, Some(1), "{figures}");
        assert_eq!(figures["errors"]["lost"], lost, "{figures}");
        assert_eq!(figures["errors"]["unexpected"], unexpected, "{figures}");
        assert_eq!(
            count(&figures, "sent") - count(&figures, "received"),
            lost,
            "{figures}"
        );
        assert!(stderr.contains("went wrong, first: "), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn a_server_that_goes_is_one_line_and_the_figures() {
    let closes = foreign(|number, message| match number {
        2 => vec![Message::Close(None)],
        _ => vec![message],
    });
    let (figures, code, stderr) = bench(
        &format!("ws://{closes}/"),
        &["--clients", "2", "--duration", "20s"],
    );
    assert_eq!(
        (code, &figures["errors"]["ended"]),
        (Some(1), &Value::from(2)),
        "{figures}"
    );
    assert_eq!(count(&figures, "received"), 4, "{figures}");
    assert!(figures["seconds"].as_f64().unwrap() < 10.0, "{figures}");
    assert!(stderr.contains("closed by the server"), "{stderr}");
}

#[test]
fn a_stall_shows_in_all_messages_that_were_due_meanwhile() {
    let stalls = foreign(|number, message| {
        if number == 10 {
            // The stall itself is what is looked for.
            thread::sleep(Duration::from_millis(400));
        }
        vec![message]
    });
    let flags = ["--clients", "1", "--rate", "100", "--duration", "600ms"];
    let figures = clean(&format!("ws://{stalls}/"), &flags);
    // One of sixty had to wait for the server, and forty that were due meanwhile waited behind it, evenly from 400 ms down.
    let p50 = figures["latency_us"]["p50"].as_f64().unwrap();
    assert!(p50 > 50_000.0, "{figures}");
}

#[test]
fn a_message_that_the_socket_does_not_take_in_time_is_late_from_when_it_was_due() {
    let stalls = foreign(|number, message| {
        if number == 1 {
            // The stall itself is what is looked for.
            thread::sleep(Duration::from_secs(1));
        }
        vec![message]
    });
    // More than sockets and queues hold: most of it is sent after the stall, and is back within moments.
    let flags = [
        "--clients",
        "1",
        "--size",
        "2MiB",
        "--rate",
        "50",
        "--duration",
        "1500ms",
    ];
    let figures = clean(&format!("ws://{stalls}/"), &flags);
    let p50 = figures["latency_us"]["p50"].as_f64().unwrap();
    // Half of those that were due meanwhile, and they are two thirds of all, waited for more than half of it.
    assert!(p50 > 150_000.0, "{figures}");
}

#[test]
fn the_table_has_counts_rates_and_percentiles() {
    let server = ServerProcess::start(&[]);
    let url = format!("ws://{}/echo?access_token=planted", server.addr());
    let flags = [
        "bench",
        &url,
        "--duration",
        "100ms",
        "--clients",
        "2",
        "--size",
        "1KiB",
    ];
    let Ended {
        code,
        stdout,
        stderr,
    } = run(switchboard(&flags));
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let words = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let begin = format!(
        "echo at ws://{}/echo: 2 clients, 1 in flight, 1,024 bytes, 0.1 s",
        server.addr()
    );
    assert!(words.starts_with(&begin), "{stdout}");
    for part in [
        "count per second MB per second sent ",
        " received ",
        " errors 0 ",
        "latency mean p50 p90 p99 p99.9 p99.99 max",
    ] {
        assert!(words.contains(part), "{part}: {stdout}");
    }
    assert!(!stdout.contains("planted"), "{stdout}");
}

#[test]
fn what_cannot_be_loaded_is_one_line() {
    let server = ServerProcess::start(&[]);
    let addr = server.addr();
    let echo = format!("ws://{addr}/echo");
    for (arguments, code, says) in [
        (
            &["ws://127.0.0.1:1/"][..],
            1,
            "cannot connect to 127.0.0.1:1: Connection refused",
        ),
        (
            &[&format!("ws://{addr}/nowhere")],
            1,
            "the server refuses with status 404",
        ),
        (
            &[&format!("ws://{addr}/nowhere"), "--mode", "connect"],
            1,
            "the server refuses with status 404",
        ),
        (&["ws://192.0.2.1/"], 2, "--i-own-this-server"),
        (&["127.0.0.1:1"], 2, "a URL begins with ws://"),
        (&[&echo, "--clients", "0"], 2, "too few clients"),
        (
            &[&echo, "--mode", "fan-out", "--clients", "1"],
            2,
            "for a fan-out two",
        ),
        (&[&echo, "--rate", "0"], 2, "a rate is between"),
        (
            &[&echo, "--rate", "1", "--in-flight", "2"],
            2,
            "cannot be used with",
        ),
        (&[&echo, "--in-flight", "0"], 2, "nothing is ever sent"),
        (&[&echo, "--size", "17MiB"], 2, "at most 16 MiB"),
        (&[&echo, "--mode", "eco"], 2, "'echo'"),
    ] {
        let Ended {
            code: actual,
            stdout,
            stderr,
        } = run(switchboard(&[&["bench"], arguments].concat()));
        assert_eq!(
            (actual, stdout.as_str()),
            (Some(code), ""),
            "{arguments:?}: {stderr}"
        );
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    let Ended { code, stderr, .. } = run(with_limit("ulimit -n 40", &["bench", &echo]));
    assert_eq!(code, Some(1));
    assert_eq!(
        stderr,
        "switchboard: too few descriptors: 50 clients need 66, and the limit is 40 (ulimit -n)\n"
    );
}

#[test]
fn ctrl_c_ends_early_with_the_figures() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (first, came) = channel();
    thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        while let Ok(message) = socket.read() {
            let _ = first.send(());
            if message.is_text() && socket.send(message).is_err() {
                return;
            }
        }
    });
    let child = switchboard(&[
        "bench",
        &format!("ws://{addr}/"),
        "--clients",
        "1",
        "--duration",
        "1h",
    ])
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    came.recv_timeout(Duration::from_secs(10)).unwrap();
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(
        stdout.contains("received") && stdout.contains("p99.99"),
        "{stdout}"
    );
}

#[test]
fn a_terminal_shows_the_rate_of_the_moment_and_then_the_figures_alone() {
    let server = ServerProcess::start(&[]);
    let url = format!("ws://{}/echo", server.addr());
    let flags = ["bench", &url, "--clients", "2", "--duration", "1h"];
    let mut terminal = Terminal::start(switchboard(&flags));
    let line = terminal.await_line(" a second");
    assert!(!line.contains("errors"), "{line}");
    terminal.signal("INT");
    assert_eq!(terminal.wait().code(), Some(0));
    let lines = terminal.lines();
    let first = lines.iter().find(|line| !line.is_empty());
    assert!(
        first.is_some_and(|line| line.starts_with("echo at ")),
        "{lines:#?}"
    );
    assert!(
        lines.iter().any(|line| line.starts_with("latency")),
        "{lines:#?}"
    );
}
