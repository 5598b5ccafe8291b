//! Who gets what, over real sockets: broadcast, direct and group messages through `/ws`, verbatim ones through `/relay`.

mod peer;
mod server_process;

use std::net::SocketAddr;
use std::time::Duration;

use peer::{Frame, Peer, opcode};
use serde_json::{Value, json};
use server_process::ServerProcess;

/// A client of `/ws` that has seen its `connected`.
struct Client {
    peer: Peer,
    connection_id: String,
}

impl Client {
    fn connect(addr: SocketAddr) -> Self {
        let mut peer = Peer::connect(addr, "/ws");
        let connected = peer.next_json();
        assert_eq!(
            (&connected["type"], &connected["event"]),
            (&json!("system"), &json!("connected"))
        );
        let connection_id = connected["connectionId"]
            .as_str()
            .expect("an id")
            .to_owned();
        Self {
            peer,
            connection_id,
        }
    }

    /// Sends a request with an `ackId`, and expects its ack as the next message.
    fn request(&mut self, ack_id: u64, mut request: Value) -> Value {
        request["ackId"] = json!(ack_id);
        self.peer.send_json(&request);
        let ack = self.peer.next_json();
        assert_eq!(
            (&ack["type"], &ack["ackId"]),
            (&json!("ack"), &json!(ack_id)),
            "{ack}"
        );
        ack
    }

    /// The same for a request that must succeed.
    fn succeed(&mut self, ack_id: u64, request: Value) -> Value {
        let ack = self.request(ack_id, request);
        assert_eq!(ack["success"], json!(true), "{ack}");
        ack
    }

    /// The same for one that must fail; the name of the error.
    fn fail(&mut self, ack_id: u64, request: Value) -> String {
        let ack = self.request(ack_id, request);
        assert_eq!(ack["success"], json!(false), "{ack}");
        ack["error"]["name"].as_str().expect("a name").to_owned()
    }

    /// The next message must be this text from this group.
    fn expect(&mut self, group: &str, text: &str) {
        let message = self.peer.next_json();
        let [kind, from, name, data] = ["type", "from", "group", "data"].map(|key| &message[key]);
        assert_eq!(
            (kind, from),
            (&json!("message"), &json!("group")),
            "{message}"
        );
        assert_eq!((name, data), (&json!(group), &json!(text)), "{message}");
        assert_eq!(message["dataType"], json!("text"), "{message}");
    }

    /// Nothing came before the answer to a ping.
    fn expect_nothing(&mut self) {
        self.peer.send_json(&json!({"type": "ping"}));
        assert_eq!(self.peer.next_json(), json!({"type": "pong"}));
    }
}

fn join(group: &str) -> Value {
    json!({"type": "joinGroup", "group": group})
}

fn leave(group: &str) -> Value {
    json!({"type": "leaveGroup", "group": group})
}

/// A text to a group that does not come back to its sender.
fn send(group: &str, text: &str) -> Value {
    json!({"type": "sendToGroup", "group": group, "noEcho": true, "dataType": "text", "data": text})
}

/// A server and three clients.
fn three_clients() -> (ServerProcess, [Client; 3]) {
    let server = ServerProcess::start(&[]);
    let clients = [(); 3].map(|()| Client::connect(server.addr()));
    (server, clients)
}

#[test]
fn ms_06_a_broadcast_reaches_everyone_but_the_sender_who_asked_for_no_echo() {
    let (_server, [mut a, mut b, mut c]) = three_clients();
    let ack = a.succeed(1, send("@all", "good morning"));
    assert_eq!(
        (&ack["recipients"], &ack["dropped"]),
        (&json!(2), &json!(0))
    );
    b.expect("@all", "good morning");
    c.expect("@all", "good morning");
    a.expect_nothing();
}

#[test]
fn ms_06_a_broadcast_comes_back_to_a_sender_who_did_not_ask_for_no_echo() {
    let (_server, [mut a, mut b, _c]) = three_clients();
    a.peer.send_json(
        &json!({"type": "sendToGroup", "group": "@all", "dataType": "text", "data": "all"}),
    );
    a.expect("@all", "all");
    b.expect("@all", "all");
}

#[test]
fn ms_06_a_direct_message_reaches_its_target_alone() {
    let (_server, [mut a, mut b, mut c]) = three_clients();
    let target = format!("@conn/{}", b.connection_id);
    let ack = a.succeed(1, send(&target, "psst"));
    assert_eq!(ack["recipients"], json!(1));
    b.expect(&target, "psst");
    a.expect_nothing();
    c.expect_nothing();
}

#[test]
fn ms_06_a_group_message_reaches_the_members_of_the_group() {
    let (_server, [mut a, mut b, mut c]) = three_clients();
    b.succeed(1, join("room"));
    c.succeed(1, join("another room"));
    let ack = a.succeed(1, send("room", "hello"));
    assert_eq!(ack["recipients"], json!(1));
    b.expect("room", "hello");
    c.expect_nothing();
    a.expect_nothing();
}

#[test]
fn ms_07_after_a_leave_nothing_more_of_the_group_arrives() {
    let (_server, [mut a, mut b, mut c]) = three_clients();
    b.succeed(1, join("room"));
    c.succeed(1, join("room"));
    b.succeed(2, leave("room"));
    assert_eq!(a.succeed(1, send("room", "hello"))["recipients"], json!(1));
    c.expect("room", "hello");
    b.expect_nothing();
}

#[test]
fn ms_07_after_a_close_a_connection_is_in_no_group_and_no_count() {
    let (_server, [mut a, mut b, mut c]) = three_clients();
    b.succeed(1, join("room"));
    c.succeed(1, join("room"));
    b.peer.send_close(1000, "");
    b.peer.expect_close(1000);
    b.peer.expect_eof();
    assert_eq!(a.succeed(1, send("room", "hello"))["recipients"], json!(1));
    c.expect("room", "hello");
}

#[test]
fn ms_08_a_direct_message_to_nobody_is_an_error_for_its_sender() {
    let (_server, [mut a, mut b, _c]) = three_clients();
    assert_eq!(a.fail(1, send("@user/nobody", "hello")), "NotFound");
    assert_eq!(a.fail(2, send("@conn/nobody", "hello")), "NotFound");
    let target = format!("@conn/{}", b.connection_id);
    b.peer.send_close(1000, "");
    b.peer.expect_close(1000);
    b.peer.expect_eof();
    assert_eq!(a.fail(3, send(&target, "hello")), "NotFound");
}

#[test]
fn a_connection_can_neither_join_nor_leave_everyone() {
    let (_server, [mut a, ..]) = three_clients();
    assert_eq!(a.fail(1, join("@all")), "Forbidden");
    assert_eq!(a.fail(2, leave("@all")), "Forbidden");
}

#[test]
fn an_ack_id_that_succeeded_is_not_executed_again() {
    let (_server, [mut a, mut b, _c]) = three_clients();
    a.succeed(7, send("@all", "once"));
    assert_eq!(a.fail(7, send("@all", "twice")), "Duplicate");
    b.expect("@all", "once");
    b.expect_nothing();
}

#[test]
fn ms_05_messages_of_one_sender_arrive_in_the_order_sent() {
    let (_server, [mut a, mut b, mut c]) = three_clients();
    for number in 0..500 {
        a.peer.send_json(&send("@all", &number.to_string()));
    }
    for number in 0..500 {
        b.expect("@all", &number.to_string());
        c.expect("@all", &number.to_string());
    }
}

#[test]
fn json_data_is_forwarded_verbatim() {
    let (_server, [mut a, mut b, _c]) = three_clients();
    let data = r#"{ "number":1.50e3,"big":123456789012345678901234567890, "text":"\u00e9\/", "list":[ ] }"#;
    a.peer.send_text(&format!(
        r#"{{"type":"sendToGroup","group":"@all","noEcho":true,"data":{data}}}"#
    ));
    let message = b.peer.next_message();
    assert!(message.text().contains(data), "{}", message.text());
}

#[test]
fn ms_10_broken_envelopes_close_with_the_codes_of_the_protocol() {
    let server = ServerProcess::start(&[]);
    let deep = "[".repeat(10_000);
    for text in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"type":"unheard of"}"#,
        r#"{"type":"joinGroup"}"#,
        &deep,
    ] {
        let mut client = Client::connect(server.addr());
        client.peer.send_text(text);
        client.peer.expect_close(1007);
        client.peer.send_close(1007, "");
        client.peer.expect_eof();
    }
    let mut client = Client::connect(server.addr());
    client.peer.send_binary(b"{}");
    client.peer.expect_close(1003);
}

#[test]
fn the_json_subprotocol_is_accepted_by_its_name() {
    let server = ServerProcess::start(&[]);
    let mut peer = Peer::open(server.addr());
    let field = "Sec-WebSocket-Protocol: unknown, json.webpubsub.azure.v1\r\n";
    peer.send_raw(peer::upgrade_request(server.addr(), "/ws", field).as_bytes());
    let response = peer.expect_upgrade();
    assert_eq!(
        response.field("sec-websocket-protocol"),
        Some("json.webpubsub.azure.v1")
    );
    assert_eq!(peer.next_json()["event"], json!("connected"));
}

#[test]
fn ms_03_relay_forwards_verbatim_to_every_other_member_of_its_group() {
    let server = ServerProcess::start(&[]);
    let [mut a, mut b, mut c] = [(); 3].map(|()| Peer::connect(server.addr(), "/relay/one"));
    let mut stranger = Peer::connect(server.addr(), "/relay/two");
    let binary: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    // A message in three frames arrives in one.
    a.send_frame(opcode::BINARY, &binary[..1]);
    a.send_frame(opcode::CONTINUATION, &[]);
    a.send_frame(opcode::FIN | opcode::CONTINUATION, &binary[1..]);
    a.send_text("gr\u{fc}\u{df} \u{1f980}");
    a.send_text("");
    for receiver in [&mut b, &mut c] {
        receiver.expect_binary(&binary);
        receiver.expect_text("gr\u{fc}\u{df} \u{1f980}");
        receiver.expect_text("");
    }
    for silent in [&mut a, &mut stranger] {
        assert!(silent.is_silent_for(Duration::from_millis(20)));
    }
}

#[test]
fn relay_with_echo_sends_to_the_sender_as_well() {
    let server = ServerProcess::start(&[]);
    let mut a = Peer::connect(server.addr(), "/relay/one?echo=true");
    let mut b = Peer::connect(server.addr(), "/relay/one");
    a.send_binary(b"\x00\xff");
    a.expect_binary(b"\x00\xff");
    b.expect_binary(b"\x00\xff");
    b.send_binary(b"back");
    a.expect_binary(b"back");
    assert!(b.is_silent_for(Duration::from_millis(20)));
}

#[test]
fn echo_returns_every_message_as_it_was() {
    let server = ServerProcess::start(&[]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20] {
        let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
        peer.send_binary(&payload);
        peer.expect_binary(&payload);
    }
    peer.send_frame(opcode::FIN | opcode::PING, b"in between");
    let pong = Frame {
        is_final: true,
        is_compressed: false,
        opcode: opcode::PONG,
        payload: b"in between".to_vec(),
    };
    assert_eq!(peer.next_frame(), pong);
}

#[test]
fn ms_09_receivers_that_close_within_a_broadcast_cost_the_others_nothing() {
    let server = ServerProcess::start(&[]);
    let mut sender = Peer::connect(server.addr(), "/relay/one");
    let mut leaving: Vec<_> = (0..20)
        .map(|_| Peer::connect(server.addr(), "/relay/one"))
        .collect();
    let mut staying: Vec<_> = (0..20)
        .map(|_| Peer::connect(server.addr(), "/relay/one"))
        .collect();
    for number in 0..20 {
        sender.send_text(&format!("{number}"));
        // Ends with unread messages, which makes it a reset.
        drop(leaving.pop());
    }
    for number in 0..20 {
        for receiver in &mut staying {
            receiver.expect_text(&format!("{number}"));
        }
    }
}
