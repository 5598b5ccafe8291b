//! The commands of whoever has the access key: who gets in with a token, who is there, and who is shown the door.

mod peer;
mod server_process;
mod token;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use peer::{Peer, upgrade_request};
use serde_json::{Value, json};
use server_process::{Ended, ServerProcess, run, signal, switchboard};
use token::KEY;

const JSON: &str = "Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n";

/// A file with the access key, gone with this.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str, key: &str) -> Self {
        let path = std::env::temp_dir().join(format!("switchboard-{name}-{}", std::process::id()));
        fs::write(&path, key).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn guarded() -> ServerProcess {
    ServerProcess::start(&["--access-key", KEY])
}

/// A command with the access key in its environment.
fn with_key(arguments: &[&str]) -> Command {
    let mut command = switchboard(arguments);
    command.env("SWITCHBOARD_ACCESS_KEY", KEY);
    command
}

fn hub(addr: SocketAddr) -> String {
    format!("ws://{addr}/ws")
}

/// The line that a command prints which has nothing to complain of.
fn line(command: Command) -> String {
    let Ended {
        code,
        stdout,
        stderr,
    } = run(command);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    stdout.strip_suffix('\n').expect("a line").to_owned()
}

/// What a command complains of that fails with this code and says nothing else.
fn complaint(command: Command, code: i32) -> String {
    let Ended {
        code: actual,
        stdout,
        stderr,
    } = run(command);
    assert_eq!((actual, stdout.as_str()), (Some(code), ""), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
        .strip_prefix("switchboard: ")
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Path and query of a URL of this server.
fn target(addr: SocketAddr, url: &str) -> &str {
    url.strip_prefix(&format!("ws://{addr}"))
        .unwrap_or_else(|| panic!("{url}"))
}

fn status(addr: SocketAddr, target: &str) -> u16 {
    let mut peer = Peer::open(addr);
    peer.send_raw(upgrade_request(addr, target, "").as_bytes());
    peer.next_head().status
}

/// A member of the hub that has been greeted.
fn member(addr: SocketAddr, target: &str) -> (Peer, Value) {
    let mut peer = Peer::connect_with(addr, target, JSON);
    let greeting = peer.next_json();
    assert_eq!(greeting["event"], "connected", "{greeting}");
    (peer, greeting)
}

fn join(peer: &mut Peer, group: &str) {
    peer.send_json(&json!({"type": "joinGroup", "group": group, "ackId": 1}));
    assert_eq!(
        peer.next_json(),
        json!({"type": "ack", "ackId": 1, "success": true})
    );
}

#[test]
fn ac_07_a_minted_url_lets_in_with_its_name_its_groups_and_its_roles() {
    let server = guarded();
    let addr = server.addr();
    let key = KeyFile::new("mint", KEY);
    let arguments = [
        "token",
        "--access-key-file",
        key.path(),
        &hub(addr),
        "--user",
        "alice",
        "--role",
        "webpubsub.sendToGroup.room",
        "--role",
        "webpubsub.sendToGroup.@user/alice",
        "--group",
        "room",
        "--group",
        "lobby",
        "--expires",
        "1h",
    ];
    let url = line(switchboard(&arguments));
    let (mut alice, greeting) = member(addr, target(addr, &url));
    assert_eq!(greeting["userId"], "alice");
    for (ack_id, (group, is_allowed)) in (1..).zip([
        ("room", true),
        ("@user/alice", true),
        ("lobby", false),
        ("@all", false),
    ]) {
        alice.send_json(
            &json!({"type": "sendToGroup", "group": group, "dataType": "text", "data": "x",
            "noEcho": true, "ackId": ack_id}),
        );
        let ack = alice.next_json();
        let is_refused = ack["error"]["name"] == "Forbidden";
        assert_eq!(is_refused, !is_allowed, "{ack}");
    }
    // From outside: she is in the groups that her token names.
    let (mut bob, _) = member(addr, &token::hub_path(addr, "default", "bob"));
    for group in ["room", "lobby"] {
        bob.send_json(
            &json!({"type": "sendToGroup", "group": group, "dataType": "text", "data": "hi"}),
        );
        assert_eq!(alice.next_json()["group"], group);
    }
}

#[test]
fn ac_06_a_token_is_for_one_hub_and_for_its_time() {
    let server = guarded();
    let addr = server.addr();
    let bare = |arguments: &[&str]| {
        line(with_key(
            &[&["token", "--bare", "--url", &hub(addr)], arguments].concat(),
        ))
    };
    let at = |path: &str, token: &str| status(addr, &format!("{path}?access_token={token}"));
    let chat = bare(&["chat"]);
    assert_eq!(at("/client/hubs/chat", &chat), 101);
    assert_eq!(at("/client/hubs/other", &chat), 401);
    assert_eq!(at("/ws", &chat), 401);
    assert_eq!(at("/ws", &bare(&[])), 101);
    assert_eq!(at("/ws", &bare(&[&format!("http://{addr}/ws")])), 101);
    assert_eq!(
        at(
            "/relay/room",
            &bare(&[
                &format!("ws://{addr}/relay/room"),
                "--role",
                "webpubsub.sendToGroup",
                "--role",
                "webpubsub.joinLeaveGroup"
            ])
        ),
        101
    );
    let url = line(with_key(&[
        "token",
        "chat",
        "--url",
        &format!("wss://{addr}/ws?x=y"),
    ]));
    assert!(
        url.starts_with(&format!("wss://{addr}/client/hubs/chat?access_token=")),
        "{url}"
    );
    let url = line(with_key(&["token", &format!("ws://{addr}/ws?x=y")]));
    assert!(
        target(addr, &url).starts_with("/ws?x=y&access_token="),
        "{url}"
    );
    assert_eq!(status(addr, target(addr, &url)), 101);
    // Another key is another server's.
    let mut stranger = switchboard(&["token", "--bare", &hub(addr)]);
    stranger.env(
        "SWITCHBOARD_ACCESS_KEY",
        "another key, which has more than 32 bytes",
    );
    assert_eq!(at("/ws", &line(stranger)), 401);
}

#[test]
fn what_makes_no_token_is_one_line() {
    let empty = KeyFile::new("empty", " \n");
    for (arguments, says) in [
        (
            &["--role", "webpubsub.sendToGruop.room"][..],
            "did you mean 'webpubsub.sendToGroup.room'?",
        ),
        (
            &["--role", "webpubsub.joinLeaveGroup.*"],
            "did you mean 'webpubsub.joinLeaveGroups.*'?",
        ),
        (&["--role", "admin"], "no such role; there are "),
        (&["--user", ""], "the name of a user has 1 to 128 bytes"),
        (&["--group", "@all"], "the name of a group is not blank"),
        (&["--expires", "0s"], "a token ends after it begins"),
        (&["--expires", "soon"], "not a duration"),
        (&["a b"], "the hub \"a b\": a name is a letter and up to"),
        (&["ftp://a"], "the scheme is none of ws, wss"),
        (
            &["--access-key-file", "/nowhere"],
            "the access key file /nowhere: No such file",
        ),
        (
            &["--access-key-file", empty.path()],
            "the access key is empty",
        ),
    ] {
        let text = complaint(with_key(&[&["token"], arguments].concat()), 2);
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
    let text = complaint(switchboard(&["token"]), 2);
    assert!(
        text.contains("--access-key-file") && text.contains("SWITCHBOARD_ACCESS_KEY"),
        "{text}"
    );
}

#[test]
fn ac_10_a_key_on_the_command_line_is_warned_of_and_not_repeated() {
    let Ended {
        code,
        stdout,
        stderr,
    } = run(switchboard(&["token", "--access-key", KEY]));
    assert_eq!((code, stdout.lines().count()), (Some(0), 1));
    assert!(
        stderr.contains("--access-key-file") && stderr.lines().count() == 1,
        "{stderr}"
    );
    assert!(!stderr.contains(KEY) && !stdout.contains(KEY), "{stderr}");
    let server = guarded();
    server.logged("can read the access key on the command line");
    let mut quiet = switchboard(&["serve", "--listen", "127.0.0.1:0"]);
    quiet.env("SWITCHBOARD_ACCESS_KEY", KEY);
    let mut quiet = ServerProcess::start_command(quiet);
    quiet.signal("TERM");
    quiet.wait();
    assert!(!quiet.log().contains("command line"), "{}", quiet.log());
}

#[test]
fn who_lists_everyone_or_a_group_by_name() {
    let server = ServerProcess::start(&["--threads", "2"]);
    let addr = server.addr();
    let who = |arguments: &[&str]| {
        let Ended {
            code,
            stdout,
            stderr,
        } = run(switchboard(
            &[&["who", "--url", &hub(addr)], arguments].concat(),
        ));
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        stdout
    };
    assert_eq!(who(&[]), "");
    let mut members: Vec<_> = ["eve", "bob", "bob", "al%1Bice"]
        .map(|user| if user.contains('%') { "alice" } else { user })
        .map(|user| member(addr, &format!("/ws?userId={user}")).0)
        .into();
    let _nameless = member(addr, "/ws");
    join(&mut members[1], "room");
    assert_eq!(who(&[]), "alice\nbob\neve\n");
    assert_eq!(who(&["room"]), "bob\n");
    assert_eq!(who(&["nowhere"]), "");
    let text = who(&["--json", "room"]);
    let user: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(
        (&user["user"], &user["is"]),
        (&json!("bob"), &json!("there"))
    );
    assert!(
        humantime::parse_rfc3339(user["time"].as_str().unwrap()).is_ok(),
        "{user}"
    );
    let refused = complaint(switchboard(&["who", "--url", &hub(addr), "@user/bob"]), 1);
    assert!(
        refused.starts_with("cannot look into \"@user/bob\": Forbidden"),
        "{refused}"
    );
}

#[test]
fn who_lists_more_users_than_one_event_holds() {
    let server = ServerProcess::start(&[]);
    let addr = server.addr();
    let members: Vec<_> = (0..1001)
        .map(|number| member(addr, &format!("/ws?userId=user{number:04}")))
        .collect();
    let listed = line(switchboard(&["who", "--url", &hub(addr)]));
    let expected: Vec<_> = (0..members.len())
        .map(|number| format!("user{number:04}"))
        .collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn who_needs_a_right_where_tokens_are_needed_and_makes_it_with_the_key() {
    let server = guarded();
    let addr = server.addr();
    let _bob = member(addr, &token::hub_path(addr, "default", "bob"));
    let who = ["who", "--url", &hub(addr)];
    assert!(complaint(switchboard(&who), 1).contains("status 401"));
    assert_eq!(line(with_key(&who)), "bob");
    let token = line(with_key(&["token", "--bare", &hub(addr)]));
    let mut without_role = switchboard(&who);
    without_role.env("SWITCHBOARD_TOKEN", token);
    assert!(complaint(without_role, 1).contains("Forbidden"));
}

/// A running `switchboard who --follow`.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn start(addr: SocketAddr, arguments: &[&str]) -> Self {
        let mut child = switchboard(&["who", "--follow", "--url", &hub(addr)])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn next_line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it goes on");
        line
    }

    fn interrupt(mut self) -> Option<i32> {
        signal(&self.child, "INT");
        self.child.wait().unwrap().code()
    }
}

#[test]
fn who_follows_whoever_comes_and_goes() {
    let server = ServerProcess::start(&["--threads", "2"]);
    let addr = server.addr();
    let bob = member(addr, "/ws?userId=bob").0;
    let mut plain = Following::start(addr, &[]);
    let mut shown = || {
        let line = plain.next_line();
        line.split_once(' ').unwrap().1.to_owned()
    };
    assert_eq!(shown(), "= bob\n");
    let mut json = Following::start(addr, &["--json"]);
    let mut told = || {
        let line: Value = serde_json::from_str(&json.next_line()).unwrap();
        (
            line["user"].as_str().unwrap().to_owned(),
            line["is"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(told(), ("bob".into(), "there".into()));
    let eve = member(addr, "/ws?userId=eve").0;
    assert_eq!(shown(), "+ eve\n");
    assert_eq!(told(), ("eve".into(), "joined".into()));
    drop(bob);
    assert_eq!(shown(), "- bob\n");
    assert_eq!(told(), ("bob".into(), "left".into()));
    assert_eq!(plain.interrupt(), Some(0));
    assert_eq!(json.interrupt(), Some(0));
    drop(eve);
}

#[test]
fn kick_closes_whom_it_names_and_says_how_many() {
    let server = guarded();
    let addr = server.addr();
    let enter = |user: &str| {
        let (mut peer, greeting) = member(addr, &token::hub_path(addr, "default", user));
        join(&mut peer, "room");
        (peer, greeting["connectionId"].as_str().unwrap().to_owned())
    };
    let kick = |arguments: &[&str]| {
        line(with_key(
            &[&["kick", "--url", &hub(addr)], arguments].concat(),
        ))
    };
    let (mut mallory, _) = enter("mal/lory ü");
    let (mut other, _) = enter("mal/lory ü");
    let (mut eve, id) = enter("eve");
    let (mut bob, _) = enter("bob");
    assert_eq!(
        kick(&["--user", "mal/lory ü", "--reason", "be nice & quiet"]),
        "closed 2 connections"
    );
    for peer in [&mut mallory, &mut other] {
        let farewell = peer.next_json();
        assert_eq!(farewell["event"], "disconnected");
        assert_eq!(farewell["message"], "be nice & quiet");
    }
    assert_eq!(kick(&["--connection", &id]), "closed 1 connection");
    assert_eq!(eve.next_json()["event"], "disconnected");
    assert_eq!(kick(&["--group", "room"]), "closed 1 connection");
    assert_eq!(bob.next_json()["event"], "disconnected");
    let (mut last, _) = enter("last");
    assert_eq!(kick(&["--all"]), "closed 1 connection");
    assert_eq!(last.next_json()["event"], "disconnected");
    for nobody in [
        &["--user", "eve"][..],
        &["--connection", &id],
        &["--group", "room"],
        &["--all"],
    ] {
        let command = with_key(&[&["kick", "--url", &hub(addr)], nobody].concat());
        assert_eq!(complaint(command, 1), "nobody is there", "{nobody:?}");
    }
}

#[test]
fn kick_is_for_the_hub_that_the_url_names() {
    let server = guarded();
    let addr = server.addr();
    let (mut here, _) = member(addr, &token::hub_path(addr, "chat", "ann"));
    let kick = |url: &str| with_key(&["kick", "--all", "--url", url]);
    assert_eq!(complaint(kick(&hub(addr)), 1), "nobody is there");
    assert_eq!(
        line(kick(&format!("ws://{addr}/client/hubs/chat"))),
        "closed 1 connection"
    );
    assert_eq!(here.next_json()["event"], "disconnected");
}

#[test]
fn what_kicks_nobody_is_one_line() {
    let server = guarded();
    let addr = server.addr();
    let url = hub(addr);
    let mut stranger = switchboard(&["kick", "--all", "--url", &url]);
    stranger.env(
        "SWITCHBOARD_ACCESS_KEY",
        "another key, which has more than 32 bytes",
    );
    assert!(complaint(stranger, 1).starts_with("the server refuses with status 401"));
    for (arguments, code, says) in [
        (
            &["--all", "--url", "ws://127.0.0.1:1/ws"][..],
            1,
            "cannot connect to 127.0.0.1:1",
        ),
        (
            &["--all", "--url", &format!("ws://{addr}/echo")],
            2,
            "/echo is no hub",
        ),
        (
            &["--all", "--url", &format!("ws://{addr}/client/hubs/1")],
            1,
            "the server refuses with status 404",
        ),
        (
            &["--group", "@all", "--url", &url],
            1,
            "the server refuses with status 400: BadRequest",
        ),
        (&["--url", &url], 2, "required"),
        (
            &["--all", "--user", "x", "--url", &url],
            2,
            "cannot be used with",
        ),
    ] {
        let text = complaint(with_key(&[&["kick"], arguments].concat()), code);
        assert!(text.contains(says), "{arguments:?}: {text}");
    }
}
