//! `switchboard connect` on a terminal and in pipes.

mod server_process;
mod terminal;

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use server_process::{Ended, ServerProcess, switchboard};
use switchboard::client::hub::{HubClient, HubConfig, HubEvent, HubMessage};
use terminal::Terminal;

const DEADLINE: Duration = Duration::from_secs(20);
const LEFT: &str = "\x1b[D";
const CTRL_A: &str = "\x01";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

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

/// Runs a command with `input` on its standard input.
fn run_with_input(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
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
