//! `switchboard connect` on a terminal and in pipes.

mod server_process;
mod terminal;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use server_process::{Ended, ServerProcess, spawn_piped, switchboard};
use switchboard::client::hub::{HubClient, HubConfig, HubEvent, HubMessage};
use terminal::Terminal;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::{Message, WebSocket};

const DEADLINE: Duration = Duration::from_secs(20);
const LEFT: &str = "\x1b[D";
const UP: &str = "\x1b[A";
const CTRL_A: &str = "\x01";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// A folder for the state of a user, gone with the test.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let name = format!("switchboard-connect-{name}-{}", std::process::id());
        let home = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&home.0).unwrap();
        home
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `switchboard connect` to the hub of the server, with more flags; it keeps no history.
fn connect(addr: SocketAddr, flags: &[&str]) -> Command {
    let url = format!("ws://{addr}/ws");
    let mut command = switchboard(&["connect", &url, "--no-history"]);
    command.args(flags).env_remove("NO_COLOR");
    command
}

/// Somebody to talk to, who is in the room.
struct Bob(HubClient);

impl Bob {
    fn new(addr: SocketAddr) -> Self {
        let url = format!("ws://{addr}/ws?userId=bob");
        let mut hub = HubClient::connect(&url, HubConfig::default()).unwrap();
        hub.join("room").unwrap();
        Self(hub)
    }

    fn next_message(&mut self) -> HubMessage {
        loop {
            let event = self.0.next_event(Some(DEADLINE)).unwrap();
            if let HubEvent::Message(message) = event.expect("an event in time") {
                return message;
            }
        }
    }

    /// Waits for a message of alice with this text.
    fn expect(&mut self, group: &str, text: &str) {
        let message = self.next_message();
        assert_eq!(message.payload.to_string(), text);
        assert_eq!(message.group.as_deref(), Some(group));
        assert_eq!(message.from_user.as_deref(), Some("alice"));
    }
}

/// An independent server: does with each of its first connections, in order, what a function says.
fn server<const N: usize>(serve: [fn(WebSocket<TcpStream>); N]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        for serve in serve {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            #[expect(clippy::result_large_err, reason = "the crate wants it so")]
            let choose = |request: &Request, mut response: Response| {
                let name = "sec-websocket-protocol";
                if let Some(offer) = request.headers().get(name) {
                    let first = offer.to_str().unwrap().split(',').next().unwrap();
                    response.headers_mut().insert(name, first.parse().unwrap());
                }
                Ok(response)
            };
            serve(tungstenite::accept_hdr(stream, choose).unwrap());
        }
    });
    (addr, thread)
}

/// Says hello as a hub does.
fn greet(socket: &mut WebSocket<TcpStream>, id: &str) {
    let greeting = format!(
        r#"{{"type":"system","event":"connected","userId":null,"connectionId":"{id}","reconnectionToken":"t"}}"#
    );
    socket.send(Message::text(greeting)).unwrap();
}

/// Reads until the other side has closed; the code that it gave.
fn closed_with(socket: &mut WebSocket<TcpStream>) -> Option<u16> {
    loop {
        if let Message::Close(frame) = socket.read().unwrap() {
            // Until the answer is written and the stream has ended.
            while socket.read().is_ok() {}
            return frame.map(|frame| frame.code.into());
        }
    }
}

/// Runs a command with `input` on its standard input.
fn run_with_input(command: Command, input: &[u8]) -> Ended {
    let mut child = spawn_piped(command);
    // A command that has ended reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    output.into()
}

#[test]
fn lines_are_edited_and_sent_and_messages_do_not_destroy_them() {
    let server = ServerProcess::start(&[]);
    let mut bob = Bob::new(server.addr());
    let flags = ["--as", "alice", "--group", "room"];
    let mut terminal = Terminal::start(connect(server.addr(), &flags));
    terminal.await_line("connected to ws://");
    terminal.await_last("room>");
    terminal.press(&format!("elo{LEFT}l{CTRL_A}H\r"));
    bob.expect("room", "Hello");
    terminal.press("half");
    terminal.await_last("room> half");
    bob.0.send_text("room", "news").unwrap();
    let line = terminal.await_line("news");
    assert!(line.ends_with("Z room bob: news"), "{line}");
    terminal.await_last("room> half");
    terminal.press(" done\r");
    bob.expect("room", "half done");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait().code(), Some(0));
    let lines = terminal.lines().join("\n");
    assert!(
        lines.contains("room> Hello\n") && lines.contains("room> half done\n"),
        "{lines}"
    );
}

#[test]
fn ctrl_c_ctrl_d_quit_and_signals_close_with_1000() {
    for end in [CTRL_C, CTRL_D, "/quit\r", "TERM", "INT"] {
        let server = ServerProcess::start(&[]);
        let mut terminal = Terminal::start(connect(server.addr(), &[]));
        terminal.await_last("everyone>");
        assert!(terminal.is_raw());
        if end.chars().all(char::is_alphabetic) {
            terminal.press("something half typed");
            terminal.await_last("everyone> something half typed");
            terminal.signal(end);
        } else {
            terminal.press(end);
        }
        assert_eq!(terminal.wait().code(), Some(0), "{end:?}");
        let line = server.logged("end id=");
        assert!(line.contains("cause=peer_closed"), "{line}");
        assert!(line.contains(" received=1000 "), "{line}");
    }
}

#[test]
fn what_is_piped_in_is_sent_and_answered_before_the_end() {
    let server = ServerProcess::start(&[]);
    let mut bob = Bob::new(server.addr());
    let command = connect(server.addr(), &["--as", "alice", "--group", "room"]);
    let Ended {
        code,
        stdout,
        stderr,
    } = run_with_input(command, b"hi\n\n/to bob you\nlast");
    assert_eq!((code, &*stdout, &*stderr), (Some(0), "", ""));
    bob.expect("room", "hi");
    bob.expect("@user/bob", "you");
    bob.expect("room", "last");
}

#[test]
fn commands_choose_whom_lines_are_for_and_say_who_is_there() {
    let server = ServerProcess::start(&[]);
    let mut bob = Bob::new(server.addr());
    let mut terminal = Terminal::start(connect(server.addr(), &["--user", "alice"]));
    terminal.await_last("everyone>");
    terminal.press("to all\r");
    bob.expect("@all", "to all");
    terminal.press("/to bob you\r/to bob\r");
    bob.expect("@user/bob", "you");
    terminal.await_last("@bob>");
    terminal.press("/join room\r");
    terminal.await_line("* joined room");
    terminal.await_last("room>");
    terminal.press("here\r/who\r");
    bob.expect("room", "here");
    terminal.await_line("* in room: alice, bob");
    terminal.press("/leave\r");
    terminal.await_line("* left room");
    terminal.await_last("everyone>");
    terminal.press("/who\r/jion\r/help\r/to nobody x\r");
    terminal.await_line("* here: alice, bob");
    terminal.await_line("* there is no command /jion: /help lists them");
    terminal.await_line("/leave [GROUP]");
    terminal.await_line("* not sent to @user/nobody: \"x\": NotFound");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait().code(), Some(0));
}

#[test]
fn colours_are_for_terminals_whose_user_wants_them() {
    let server = ServerProcess::start(&[]);
    let mut bob = Bob::new(server.addr());
    for (variable, is_coloured) in [("", true), ("1", false)] {
        let mut command = connect(server.addr(), &["--group", "room"]);
        command.env("NO_COLOR", variable);
        let mut terminal = Terminal::start(command);
        terminal.await_last("room>");
        bob.0.send_text("room", "news").unwrap();
        terminal.await_line("room bob: news");
        let colours = [
            "\x1b[36mroom\x1b[0m \x1b[1;32mbob\x1b[0m: news",
            "\x1b[33m* connected to ",
        ];
        let written = terminal.written();
        for colour in colours {
            assert_eq!(written.contains(colour), is_coloured, "{written:?}");
        }
        terminal.press(CTRL_C);
        assert_eq!(terminal.wait().code(), Some(0));
    }
}

#[test]
fn what_peers_send_commands_no_terminal() {
    let server = ServerProcess::start(&[]);
    let mut bob = Bob::new(server.addr());
    let mut terminal = Terminal::start(connect(server.addr(), &["--group", "room"]));
    terminal.await_last("room>");
    bob.0
        .send_text(
            "room",
            "\u{1b}]0;title\u{7}\r\n12:00:00Z room eve: \u{9b}2J\u{202e}x",
        )
        .unwrap();
    let line = terminal.await_line("title");
    assert!(
        line.ends_with(
            "room bob: \\u{1b}]0;title\\u{7}\\r\\n12:00:00Z room eve: \\u{9b}2J\\u{202e}x"
        ),
        "{line}"
    );
    terminal.await_last("room>");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait().code(), Some(0));
}

#[test]
fn what_was_typed_is_remembered_unless_it_is_not_to_be() {
    let server = ServerProcess::start(&[]);
    let mut bob = Bob::new(server.addr());
    let home = Home::new("history");
    let url = format!("ws://{}/ws?access_token=planted", server.addr());
    let start = |flags: &[&str]| {
        let mut command = switchboard(&["connect", &url, "--as", "alice", "--group", "room"]);
        command.args(flags).env("XDG_STATE_HOME", &home.0);
        let mut terminal = Terminal::start(command);
        terminal.await_last("room>");
        terminal
    };
    for keys in ["first\r second\r", &format!("{UP}\r")] {
        let mut terminal = start(&[]);
        terminal.press(keys);
        bob.expect("room", "first");
        if keys.contains("second") {
            bob.expect("room", " second");
        }
        terminal.press(CTRL_D);
        assert_eq!(terminal.wait().code(), Some(0));
    }
    let file = home.0.join("switchboard/connect_history");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&file), mode(&home.0.join("switchboard"))),
        (0o600, 0o700)
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "#V2\nfirst\n");

    let mut terminal = start(&["--no-history"]);
    terminal.press(&format!("{UP}third\r"));
    bob.expect("room", "third");
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait().code(), Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap(), "#V2\nfirst\n");
}

#[test]
fn a_hub_that_goes_away_and_comes_back_leaves_a_visible_gap() {
    let mut first = ServerProcess::start(&[]);
    let addr = first.addr();
    let mut terminal = Terminal::start(connect(addr, &["--as", "alice", "--group", "room"]));
    terminal.await_last("room>");
    terminal.press("half");
    terminal.await_last("room> half");
    first.signal("KILL");
    first.wait();
    terminal.await_line("* connection lost, trying again … (the connection is lost)");
    terminal.await_last("room> half");
    let flags = ["serve", "--listen", &addr.to_string()];
    let second = ServerProcess::start_command(switchboard(&flags));
    terminal.await_line("* connected again; what was said meanwhile is missing here");
    let mut bob = Bob::new(second.addr());
    terminal.press(" done\r");
    bob.expect("room", "half done");
    bob.0.send_text("room", "still here").unwrap();
    terminal.await_line("room bob: still here");
    let lost = terminal.lines();
    let lost = lost.iter().filter(|line| line.contains("lost")).count();
    assert_eq!(lost, 1, "{:?}", terminal.lines());
    terminal.press(CTRL_D);
    assert_eq!(terminal.wait().code(), Some(0));
}

#[test]
fn what_is_uncertain_is_said_and_fails_a_script() {
    let (addr, hub) = server([
        |mut socket| {
            greet(&mut socket, "one");
            assert!(socket.read().unwrap().to_text().unwrap().contains("hello"));
        },
        |mut socket| {
            greet(&mut socket, "two");
            assert_eq!(closed_with(&mut socket), Some(1000));
        },
    ]);
    let mut child = connect(addr, &[])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"hello\n").unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for expected in [
        "connection lost, trying again … (the connection is lost)",
        "connected again; what was said meanwhile is missing here",
        "perhaps not sent to @all: \"hello\": the connection was lost before the answer came",
    ] {
        let line = lines.next().unwrap().unwrap();
        assert_eq!(line, format!("switchboard: {expected}"));
    }
    drop(input);
    let last = lines.next().unwrap().unwrap();
    assert_eq!(last, "switchboard: not everything was sent to everybody");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    hub.join().unwrap();
}

#[test]
fn raw_lines_are_messages_and_the_end_closes_with_1000() {
    let (addr, peer) = server([|mut socket| {
        for line in ["/one", "", "two"] {
            assert_eq!(socket.read().unwrap(), Message::text(line));
        }
        socket.send(Message::text("a\u{1b}[1m\nb")).unwrap();
        socket.send(Message::binary(vec![1, 255])).unwrap();
        assert_eq!(closed_with(&mut socket), Some(1000));
    }]);
    let command = switchboard(&["connect", "--raw", &format!("ws://{addr}/")]);
    let Ended {
        code,
        stdout,
        stderr,
    } = run_with_input(command, b"/one\n\ntwo\r\n");
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert_eq!(stdout, "a\u{1b}[1m\nb\nbinary, 2 bytes: 01 ff\n");
    peer.join().unwrap();
}

#[test]
fn raw_servers_end_the_conversation_in_one_line_and_leave_the_terminal_alone() {
    type Serve = fn(WebSocket<TcpStream>);
    let cases: [(Serve, i32, &str); 3] = [
        (drop, 1, "switchboard: the connection is lost"),
        (
            |mut socket| {
                socket.close(None).unwrap();
                while socket.read().is_ok() {}
            },
            1,
            "switchboard: closed by the server: no code",
        ),
        (
            |mut socket| {
                let frame = tungstenite::protocol::CloseFrame {
                    code: 1000.into(),
                    reason: "done".into(),
                };
                socket.close(Some(frame)).unwrap();
                while socket.read().is_ok() {}
            },
            0,
            "closed by the server: 1000 done",
        ),
    ];
    for (serve, code, line) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let peer = thread::spawn(move || {
            let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
            assert_eq!(socket.read().unwrap(), Message::text("go"));
            socket
                .send(Message::text("last \u{1b}words\nof it"))
                .unwrap();
            serve(socket);
        });
        let url = format!("ws://{addr}/");
        let command = switchboard(&["connect", "--raw", &url, "--no-history"]);
        let mut terminal = Terminal::start(command);
        terminal.await_last(">");
        terminal.press("go\rhalf typed");
        assert_eq!(terminal.wait().code(), Some(code), "{line}");
        peer.join().unwrap();
        let lines = terminal.lines();
        assert!(
            lines.last().unwrap().ends_with(line) || code == 0,
            "{lines:?}"
        );
        for shown in ["last \\u{1b}words", "of it", line] {
            let count = lines.iter().filter(|seen| seen.contains(shown)).count();
            assert_eq!(count, 1, "{shown}: {lines:?}");
        }
    }
}

#[test]
fn what_cannot_be_done_is_one_line_and_an_exit_code() {
    let hub = ServerProcess::start(&[]);
    let addr = hub.addr();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    for (url, flags, code, begin) in [
        (
            "localhost",
            &[][..],
            2,
            "the address \"localhost\": a URL begins with ws:// or wss://",
        ),
        (
            &*format!("ws://{}", closed.unwrap()),
            &[],
            1,
            "cannot connect to 127.0.0.1:",
        ),
        (
            &*format!("ws://{addr}/nowhere?access_token=planted"),
            &["--raw"],
            1,
            "the server refuses with status 404: ",
        ),
        (
            &*format!("ws://{addr}/echo"),
            &[],
            1,
            "the server does not speak the JSON protocol here; try --raw",
        ),
        (
            &*format!("ws://{addr}/ws"),
            &["--group", "@all/x"],
            1,
            "cannot join \"@all/x\": Forbidden: ",
        ),
        (&*format!("ws://{addr}/ws"), &["--header", "x"], 2, ""),
        (
            &*format!("ws://{addr}/ws"),
            &["--raw", "--group", "x"],
            2,
            "",
        ),
        (
            &*format!("ws://{addr}/echo"),
            &["--raw", "--header", "Host : x"],
            2,
            "the header field \"Host\"",
        ),
    ] {
        let mut command = switchboard(&["connect", url]);
        command.args(flags);
        let ended = run_with_input(command, b"x\n");
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(code), ""),
            "{url} {flags:?} {}",
            ended.stderr
        );
        assert!(
            ended.stderr.starts_with(&format!("switchboard: {begin}")),
            "{}",
            ended.stderr
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(!ended.stderr.contains("planted"), "{}", ended.stderr);
    }
}

#[test]
fn pipes_fail_with_what_does_not_arrive_and_with_what_is_no_text() {
    let server = ServerProcess::start(&[]);
    let mut bob = Bob::new(server.addr());
    for (input, code, lines) in [
        (
            &b"/to nobody x\nok\n"[..],
            1,
            &[
                "not sent to @user/nobody: \"x\": NotFound: ",
                "not everything was sent",
            ][..],
        ),
        (
            b"ok\n/jion\n",
            1,
            &["there is no command /jion", "not everything was sent"],
        ),
        (
            b"ok\n\xff\nnever\n",
            2,
            &["standard input: a line is not UTF-8"],
        ),
        (b"ok\n/quit\nnever\n", 0, &[]),
    ] {
        let command = connect(server.addr(), &["--as", "alice", "--group", "room"]);
        let ended = run_with_input(command, input);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        bob.expect("room", "ok");
        let said: Vec<_> = ended.stderr.lines().collect();
        assert_eq!(said.len(), lines.len(), "{said:?}");
        for (said, line) in said.iter().zip(lines) {
            assert!(said.starts_with(&format!("switchboard: {line}")), "{said}");
        }
    }
}

#[test]
fn many_lines_arrive_in_order_and_nobody_has_to_read_the_answers() {
    let server = ServerProcess::start(&[]);
    let mut bob = Bob::new(server.addr());
    let input: String = (0..1000).map(|number| format!("{number}\n")).collect();
    let command = connect(server.addr(), &["--as", "alice", "--group", "room"]);
    let talk = thread::spawn(move || run_with_input(command, input.as_bytes()));
    for number in 0..1000 {
        bob.expect("room", &number.to_string());
    }
    assert_eq!(talk.join().unwrap().code, Some(0));
}
