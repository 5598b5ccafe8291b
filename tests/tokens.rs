//! Access keys, tokens and hubs over real sockets: who is let in, what the roles allow, and who meets whom.

mod peer;
mod server_process;
mod token;

use std::fs;

use peer::{Peer, opcode, upgrade_request};
use serde_json::{Value, json};
use server_process::{ServerProcess, switchboard};
use token::{KEY, hub_path, mint, mint_with, now, token_for};

const JSON: &str = "Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n";

fn guarded(flags: &[&str]) -> ServerProcess {
    ServerProcess::start(&[&["--access-key", KEY], flags].concat())
}

/// A client of the JSON protocol that has seen `connected`; its connection id.
fn connect(server: &ServerProcess, path: &str) -> (Peer, String) {
    let mut peer = Peer::connect_with(server.addr(), path, JSON);
    let connected = peer.next_json();
    assert_eq!(connected["event"], "connected", "{connected}");
    (peer, connected["connectionId"].as_str().unwrap().to_owned())
}

/// Asks for something and returns the acknowledgement.
fn ask(peer: &mut Peer, request: &Value) -> Value {
    peer.send_json(request);
    let ack = peer.next_json();
    assert_eq!(ack["type"], "ack", "{ack}");
    ack
}

fn status(server: &ServerProcess, path: &str) -> u16 {
    let mut peer = Peer::open(server.addr());
    peer.send_raw(upgrade_request(server.addr(), path, "").as_bytes());
    peer.next_head().status
}

#[test]
fn ac_06_a_bad_or_missing_token_is_401_before_the_upgrade() {
    let server = guarded(&[]);
    let addr = server.addr();
    let path = "/client/hubs/chat";
    let aud = format!("http://{addr}{path}");
    let bad = [
        String::new(),
        "x".into(),
        mint_with("another key", &json!({"aud": aud, "exp": now() + 60})),
        mint(&json!({"aud": aud, "exp": now() - 301})),
        mint(&json!({"aud": aud, "exp": now() + 60, "nbf": now() + 400})),
        mint(&json!({"aud": format!("http://{addr}/nowhere"), "exp": now() + 60})),
        mint(&json!({"aud": format!("http://elsewhere{path}"), "exp": now() + 60})),
    ];
    for token in bad {
        for path in [path, "/ws", "/echo", "/relay/room"] {
            let mut peer = Peer::open(addr);
            let target = format!("{path}?access_token={token}");
            peer.send_raw(upgrade_request(addr, &target, "").as_bytes());
            let response = peer.next_response();
            assert_eq!(response.status, 401, "{path}");
            assert_eq!(response.field("www-authenticate"), Some("Bearer"));
            peer.expect_eof();
        }
    }
    let token = token_for(addr, path, &json!({}));
    let header = format!("Authorization: Bearer {token}\r\n");
    Peer::connect_with(addr, path, &header);
    Peer::connect_with(addr, "/echo", &header).expect_echo();
    assert_eq!(status(&server, "/ws"), 401);
}

#[test]
fn ac_05_ac_10_neither_tokens_nor_keys_are_ever_logged() {
    let mut server = guarded(&["--log-level", "trace", "--enforce-expiry"]);
    let good = hub_path(server.addr(), "chat", "ann");
    drop(connect(&server, &good));
    let marker = "planted-token";
    assert_eq!(status(&server, &format!("/ws?access_token={marker}")), 401);
    assert_eq!(
        status(&server, &format!("/ws?access_token={marker}&%zz=\u{1}")),
        400
    );
    server.signal("TERM");
    server.wait();
    let log = server.log();
    let (_, token) = good.split_once('=').unwrap();
    for secret in [token, &token[token.len() - 20..], marker, KEY] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(log.contains("settings"), "{log}");
}

#[test]
fn ac_07_roles_gate_joining_and_sending_by_group() {
    let server = guarded(&[]);
    let path = "/client/hubs/chat";
    let claims = json!({
        "sub": "ann",
        "role": ["webpubsub.joinLeaveGroups.team.*", "webpubsub.sendToGroup.team.a"],
        "webpubsub.group": "lobby",
    });
    let token = token_for(server.addr(), path, &claims);
    let (mut ann, _) = connect(&server, &format!("{path}?access_token={token}"));
    let (mut ben, _) = connect(&server, &hub_path(server.addr(), "chat", "ben"));
    for (number, (kind, group, is_allowed)) in [
        ("joinGroup", "team.a", true),
        ("joinGroup", "team.a.b", false),
        ("joinGroup", "lobby", false),
        ("leaveGroup", "lobby", false),
        ("sendToGroup", "team.b", false),
        ("sendToGroup", "@all", false),
        ("sendToGroup", "@user/ben", false),
    ]
    .into_iter()
    .enumerate()
    {
        let ack = ask(
            &mut ann,
            &json!({"type": kind, "group": group, "data": 1, "ackId": number}),
        );
        assert_eq!(ack["success"], is_allowed, "{kind} {group}");
        if !is_allowed {
            assert_eq!(ack["error"]["name"], "Forbidden");
        }
    }
    for group in ["lobby", "team.a"] {
        let ack = ask(
            &mut ben,
            &json!({"type": "sendToGroup", "group": group, "data": group, "ackId": group.len()}),
        );
        assert_eq!(ack["recipients"], 1);
        assert_eq!(ann.next_json()["data"], group);
    }
}

#[test]
fn hubs_are_isolated_and_their_names_have_no_case() {
    let server = guarded(&["--threads", "2"]);
    let addr = server.addr();
    let (mut ann, _) = connect(&server, &hub_path(addr, "chat", "ann"));
    let (mut other, other_id) = connect(&server, &hub_path(addr, "news", "ann"));
    let in_query = hub_path(addr, "CHAT", "ben").replace("hubs/CHAT?", "?hub=Chat&");
    let (mut ben, _) = connect(&server, &in_query);
    for (peer, ack_id) in [(&mut ann, 1), (&mut other, 1), (&mut ben, 1)] {
        ask(
            peer,
            &json!({"type": "joinGroup", "group": "room", "ackId": ack_id}),
        );
    }
    for (ack_id, group) in [(2, "room"), (3, "@all"), (4, "@user/ann")] {
        ben.send_json(&json!({"type": "sendToGroup", "group": group, "noEcho": true, "data": ack_id, "ackId": ack_id}));
        assert_eq!(ben.next_json()["recipients"], 1);
        assert_eq!(ann.next_json()["data"], ack_id);
    }
    let direct =
        json!({"type": "sendToGroup", "group": format!("@conn/{other_id}"), "data": 1, "ackId": 5});
    assert_eq!(ask(&mut ben, &direct)["error"]["name"], "NotFound");
    // Nothing came before the pong.
    other.send_json(&json!({"type": "ping"}));
    assert_eq!(other.next_json(), json!({"type": "pong"}));
}

#[test]
fn a_mixed_group_gets_each_message_in_each_ones_way() {
    let server = ServerProcess::start(&["--threads", "2"]);
    let path = "/client/hubs/chat";
    let (mut json, _) = connect(&server, path);
    ask(
        &mut json,
        &json!({"type": "joinGroup", "group": "room", "ackId": 1}),
    );
    let mut plain = Peer::connect(
        server.addr(),
        &format!("{path}?webpubsub_mode=sendToGroup&group=room"),
    );
    plain.send_text("hi \"there\"");
    let message = json.next_json();
    assert_eq!(
        (&message["dataType"], &message["data"]),
        (&json!("text"), &json!("hi \"there\""))
    );
    plain.send_binary(&[1, 2, 255]);
    let message = json.next_json();
    assert_eq!(
        (&message["dataType"], &message["data"]),
        (&json!("binary"), &json!("AQL/"))
    );

    let send = |ack_id, kind, data: Value| json!({"type": "sendToGroup", "group": "@all", "noEcho": true, "dataType": kind, "data": data, "ackId": ack_id});
    for (ack_id, kind, data) in [
        (2, "text", json!("hö\n")),
        (3, "json", json!({"a": [1]})),
        (4, "binary", json!("AQL/")),
    ] {
        assert_eq!(ask(&mut json, &send(ack_id, kind, data))["recipients"], 1);
    }
    plain.expect_text("hö\n");
    plain.expect_text("{\"a\":[1]}");
    plain.expect_binary(&[1, 2, 255]);
    plain.send_close(1000, "");
    assert_eq!(plain.next_frame().opcode, opcode::CLOSE);
    plain.expect_eof();
    assert_eq!(ask(&mut json, &send(5, "text", json!("")))["recipients"], 0);
}

#[test]
fn ac_08_a_live_connection_is_closed_with_1008_when_its_token_ends() {
    let server = guarded(&["--enforce-expiry"]);
    let path = "/client/hubs/chat";
    let short = token_for(server.addr(), path, &json!({"exp": now() + 2}));
    let (mut long, _) = connect(&server, &hub_path(server.addr(), "chat", "ann"));
    let (mut peer, _) = connect(&server, &format!("{path}?access_token={short}"));
    assert_eq!(peer.expect_close(1008), "token expired");
    peer.send_close(1008, "");
    peer.expect_eof();
    long.send_json(&json!({"type": "ping"}));
    assert_eq!(long.next_json(), json!({"type": "pong"}));
}

#[test]
fn a_public_url_is_another_name_of_the_server() {
    let server = guarded(&["--public-url", "https://chat.example"]);
    let token =
        |site: &str| mint(&json!({"aud": format!("{site}/client/hubs/chat"), "exp": now() + 60}));
    for (site, expected) in [
        ("https://chat.example", 101),
        ("https://chat.example:8443", 401),
    ] {
        let path = format!("/client/hubs/chat?access_token={}", token(site));
        assert_eq!(status(&server, &path), expected, "{site}");
    }
}

#[test]
fn ac_10_a_key_may_come_from_a_file_or_the_environment_and_opens_other_addresses() {
    let folder = std::env::temp_dir().join(format!("switchboard-key-{}", std::process::id()));
    fs::write(&folder, format!("\n  {KEY}\n\n")).unwrap();
    let file = folder.to_str().unwrap();
    let from_file = switchboard(&["serve", "--listen", "0.0.0.0:0", "--access-key-file", file]);
    let mut from_environment = switchboard(&["serve", "--listen", "0.0.0.0:0"]);
    from_environment.env("SWITCHBOARD_ACCESS_KEY", KEY);
    for command in [from_file, from_environment] {
        let server = ServerProcess::start_command(command);
        let addr = ([127, 0, 0, 1], server.addr().port()).into();
        let token = token_for(addr, "/echo", &json!({}));
        Peer::connect(addr, &format!("/echo?access_token={token}")).expect_echo();
        let mut stranger = Peer::open(addr);
        stranger.send_raw(upgrade_request(addr, "/echo", "").as_bytes());
        assert_eq!(stranger.next_head().status, 401);
    }
    fs::write(&folder, " \n").unwrap();
    let empty = server_process::run(switchboard(&["serve", "--access-key-file", file]));
    fs::remove_file(&folder).unwrap();
    let missing = server_process::run(switchboard(&["serve", "--access-key-file", file]));
    for ended in [empty, missing] {
        assert_eq!(ended.code, Some(2));
        assert!(
            ended.stderr.contains("the access key file"),
            "{}",
            ended.stderr
        );
    }
}
