//! The reliable subprotocol as its stock clients use it, over real sockets.

mod peer;
mod server_process;

use peer::{Peer, upgrade_request};
use serde_json::{Value, json};
use server_process::ServerProcess;

const RELIABLE: &str = "Sec-WebSocket-Protocol: json.reliable.webpubsub.azure.v1\r\n";

/// A reliable client that has said nothing yet, and how it may come back.
fn connect(server: &ServerProcess, path: &str) -> (Peer, String) {
    let mut peer = Peer::connect_with(server.addr(), path, RELIABLE);
    let connected = peer.next_json();
    let back = recovery(path, &connected);
    (peer, back)
}

/// The path with which the client that got `connected` comes back.
fn recovery(path: &str, connected: &Value) -> String {
    assert_eq!(connected["event"], "connected", "{connected}");
    let [connection, token] =
        ["connectionId", "reconnectionToken"].map(|field| connected[field].as_str().unwrap());
    format!("{path}&awps_connection_id={connection}&awps_reconnection_token={token}")
}

fn recover(server: &ServerProcess, back: &str) -> Peer {
    Peer::connect_with(server.addr(), back, RELIABLE)
}

fn send(peer: &mut Peer, group: &str, data: &str) {
    peer.send_json(
        &json!({"type": "sendToGroup", "group": group, "dataType": "text", "data": data}),
    );
}

#[test]
fn ms_11_the_transcript_of_a_cut_and_a_recovery() {
    let server = ServerProcess::start(&["--threads", "2"]);
    let path = "/client/hubs/chat?userId=alice";
    let (mut alice, back) = connect(&server, path);
    alice.send_json(&json!({"type": "joinGroup", "group": "room1", "ackId": 1}));
    assert_eq!(
        alice.next_json(),
        json!({"type": "ack", "ackId": 1, "success": true})
    );
    send(&mut alice, "room1", "one");
    alice.expect_text(
        r#"{"sequenceId":1,"type":"message","from":"group","group":"room1","dataType":"text","data":"one","fromUserId":"alice"}"#,
    );
    alice.send_json(&json!({"type": "sequenceAck", "sequenceId": 1}));
    send(&mut alice, "room1", "two");
    assert_eq!(alice.next_json()["sequenceId"], 2);
    drop(alice);

    let mut bob = Peer::connect_with(
        server.addr(),
        "/client/hubs/chat?userId=bob",
        "Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n",
    );
    assert!(
        bob.next_json()["reconnectionToken"].is_null(),
        "only reliable clients come back"
    );
    bob.send_json(&json!({"type": "sendToGroup", "group": "@user/alice", "dataType": "json", "data": {"a": 1}, "ackId": 5}));
    let ack = bob.next_json();
    assert_eq!(
        ack,
        json!({"type": "ack", "ackId": 5, "success": true, "recipients": 1, "dropped": 0})
    );

    let mut alice = recover(&server, &back);
    let connected = alice.next_json();
    assert_eq!(connected["userId"], "alice");
    assert_eq!(recovery(path, &connected), back, "the same connection");
    assert_eq!(alice.next_json()["data"], "two");
    alice.expect_text(
        r#"{"sequenceId":3,"type":"message","from":"group","group":"@user/alice","dataType":"json","data":{"a":1},"fromUserId":"bob"}"#,
    );
    send(&mut alice, "room1", "still a member");
    assert_eq!(alice.next_json()["sequenceId"], 4);
}

#[test]
fn ms_11_what_is_not_recoverable_is_closed_with_1008_before_it_is_connected() {
    let server = ServerProcess::start(&[]);
    let (mut peer, back) = connect(&server, "/client/hubs/chat?userId=alice");
    let other_hub = back.replace("/chat", "/other");
    let other_token = format!("{}0", &back[..back.len() - 1]);
    let other_token = if other_token == back {
        format!("{}1", &back[..back.len() - 1])
    } else {
        other_token
    };
    let nobody = "/client/hubs/chat?awps_connection_id=x&awps_reconnection_token=y";
    for refused in [&*other_hub, &*other_token, nobody] {
        let mut peer = recover(&server, refused);
        assert_eq!(peer.expect_close(1008), "NotFound");
    }
    peer.send_close(1000, "");
    peer.expect_close(1000);
    recover(&server, &back).expect_close(1008);
}

#[test]
fn ac_09_a_wrong_reconnection_token_is_a_failed_log_in_and_a_session_that_is_gone_is_none() {
    let flags = ["--max-failed-log-ins", "2", "--threads", "2"];
    let mut server = ServerProcess::start(&flags);
    let (mut gone, back_to_nobody) = connect(&server, "/client/hubs/chat?userId=bob");
    gone.send_close(1000, "");
    gone.expect_close(1000);
    let (_alice, back) = connect(&server, "/client/hubs/chat?userId=alice");
    // Those who come too late, after a restart perhaps, are many, and have guessed nothing.
    let of_another_process = back.replace("connection_id=", "connection_id=0");
    for _ in 0..3 {
        for path in [&back_to_nobody, &of_another_process] {
            recover(&server, path).expect_close(1008);
        }
    }
    let (front, token) = back.rsplit_once('=').unwrap();
    let other = if token.starts_with('0') { '1' } else { '0' };
    for guess in [format!("{other}{}", &token[1..]), "x".to_owned()] {
        recover(&server, &format!("{front}={guess}")).expect_close(1008);
    }
    // Not even the right one is looked at; the client may try again when time has paid off what it owes.
    let mut peer = Peer::open(server.addr());
    peer.send_raw(upgrade_request(server.addr(), &back, RELIABLE).as_bytes());
    let response = peer.next_head();
    assert_eq!(response.status, 429);
    assert!(response.field("retry-after").is_some());
    server.signal("TERM");
    server.signal("INT");
    server.wait();
    let log = server.log();
    assert_eq!(log.matches("failed to log in").count(), 2, "{log}");
    assert!(!log.contains(token), "{log}");
}

#[test]
fn acknowledgements_are_for_reliable_clients_and_for_what_they_were_sent() {
    let server = ServerProcess::start(&[]);
    let (mut peer, _) = connect(&server, "/ws?x=1");
    peer.send_json(&json!({"type": "sequenceAck", "sequenceId": 1}));
    peer.expect_close(1007);
    let mut plain = Peer::connect(server.addr(), "/ws");
    plain.next_json();
    plain.send_json(&json!({"type": "sequenceAck", "sequenceId": 0}));
    plain.expect_close(1007);
}
