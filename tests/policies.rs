//! Receivers that stop reading for a while, in groups that drop messages for them: who loses what, and who is told.

mod bulk;
mod peer;
mod server_process;

use bulk::UNHURRIED;
use peer::{Peer, opcode};
use serde_json::{Value, json};
use server_process::ServerProcess;

/// Messages of 64 KiB: more than the kernel's buffers and an outbox hold together.
const MESSAGES: u64 = 320;

/// Acknowledgements of messages to a receiver that reads and one that does not.
#[derive(Debug, Default)]
struct Acks {
    recipients: u64,
    dropped: u64,
}

/// What the receiver that did not read got in the end.
#[derive(Debug, Default)]
struct Received {
    messages: u64,
    notices: u64,
    lost: u64,
    /// Whether the last message came right behind a notice.
    is_last_behind_notice: bool,
}

/// A server with small outboxes whose groups have these policies.
fn server(policies: &str) -> ServerProcess {
    let outbox = [
        "--max-message",
        "128KiB",
        "--max-outbox",
        "512KiB",
        "--soft-outbox",
        "512KiB",
    ];
    let flags = [
        &outbox[..],
        &UNHURRIED,
        &["--threads", "1", "--policy", policies],
    ];
    ServerProcess::start(&flags.concat())
}

/// A client of the JSON protocol that is in the group `feed`.
fn member(server: &ServerProcess) -> Peer {
    let mut peer = Peer::connect(server.addr(), "/ws");
    assert_eq!(peer.next_json()["event"], "connected");
    peer.send_json(&json!({"type": "joinGroup", "group": "feed", "ackId": 1}));
    assert_eq!(peer.next_json()["success"], true);
    peer
}

/// Sends message `number` to the group and returns its acknowledgement.
fn send(sender: &mut Peer, number: u64) -> Value {
    let data = json!([number, "-".repeat(64 << 10)]);
    sender
        .send_json(&json!({"type": "sendToGroup", "group": "feed", "data": data, "ackId": number}));
    let ack = sender.next_json();
    assert_eq!(
        (&ack["ackId"], &ack["success"]),
        (&json!(number), &json!(true))
    );
    ack
}

/// Sends all messages, of which `honest` gets every one at once.
fn send_all(sender: &mut Peer, honest: &mut Peer) -> Acks {
    let mut acks = Acks::default();
    for number in 0..MESSAGES {
        let ack = send(sender, number);
        acks.recipients += ack["recipients"].as_u64().unwrap();
        acks.dropped += ack["dropped"].as_u64().unwrap();
        assert_eq!(
            honest.next_json()["data"][0],
            number,
            "others are not disturbed"
        );
    }
    acks
}

/// Reads on until every message has come or is told as lost; none may be missing or out of order.
fn receive_all(slow: &mut Peer) -> Received {
    let mut received = Received::default();
    let mut next = 0;
    while next < MESSAGES {
        let message = slow.next_json();
        if message["event"] == "gap" {
            assert_eq!(
                (&message["type"], &message["group"]),
                (&json!("system"), &json!("feed"))
            );
            received.notices += 1;
            received.lost += message["dropped"].as_u64().unwrap();
            next += message["dropped"].as_u64().unwrap();
            received.is_last_behind_notice = true;
        } else {
            assert_eq!(message["data"][0], next, "{received:?}");
            received.is_last_behind_notice &= next == MESSAGES - 1;
            received.messages += 1;
            next += 1;
        }
    }
    assert_eq!(next, MESSAGES);
    received
}

/// The whole play with one policy: a receiver stops reading, reads on, and then keeps up again.
fn play(policy: &str) -> (Acks, Received) {
    let server = server(&format!("feed={policy}"));
    let mut slow = member(&server);
    let mut honest = member(&server);
    let mut sender = Peer::connect(server.addr(), "/ws");
    assert_eq!(sender.next_json()["event"], "connected");
    let acks = send_all(&mut sender, &mut honest);
    assert_eq!(acks.recipients + acks.dropped, 2 * MESSAGES);
    let received = receive_all(&mut slow);
    assert_eq!(received.messages + received.lost, MESSAGES);
    assert!(received.lost > 0, "it was not slow");
    let ack = send(&mut sender, MESSAGES);
    assert_eq!(
        (&ack["recipients"], &ack["dropped"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(slow.next_json()["data"][0], MESSAGES);
    (acks, received)
}

#[test]
fn sc_03_drop_newest_tells_the_sender_and_then_the_receiver_what_was_lost() {
    let (acks, received) = play("drop-newest");
    assert_eq!(acks.dropped, received.lost);
}

#[test]
fn sc_03_drop_oldest_delivers_the_last_messages_and_tells_of_those_before() {
    let (acks, received) = play("drop-oldest");
    assert_eq!(acks.dropped, 0, "each was queued when it came");
    // 512 KiB hold seven of them.
    assert!(
        received.messages > 7 && !received.is_last_behind_notice,
        "{received:?}"
    );
}

#[test]
fn sc_03_latest_delivers_the_last_message_behind_the_notice() {
    let (acks, received) = play("latest");
    assert_eq!(acks.dropped, 0, "each was queued when it came");
    assert!(received.is_last_behind_notice, "{received:?}");
}

#[test]
fn sc_02_close_is_the_policy_of_all_groups_that_no_rule_names() {
    let server = server("feeds=latest,other*=drop-oldest,@*=drop-newest");
    let mut slow = member(&server);
    let mut honest = member(&server);
    let mut sender = Peer::connect(server.addr(), "/ws");
    assert_eq!(sender.next_json()["event"], "connected");
    let acks = send_all(&mut sender, &mut honest);
    assert_eq!(acks.dropped, 1, "then it was there no more");
    assert_eq!(slow.drain_to_close(), Some(1008));
}

#[test]
fn sc_03_a_receiver_in_a_group_that_fills_its_outbox_still_gets_everything_else() {
    let server = server("feed=drop-newest");
    let mut slow = member(&server);
    let mut honest = member(&server);
    let mut sender = Peer::connect(server.addr(), "/ws");
    assert_eq!(sender.next_json()["event"], "connected");
    send_all(&mut sender, &mut honest);
    // The outbox is full, and neither answers nor messages of other groups may be dropped.
    slow.send_json(&json!({"type": "sendToGroup", "group": "@all", "data": "hello", "ackId": 2}));
    assert_eq!(honest.next_json()["data"], "hello");
    let mut next = 0;
    let mut others = Vec::new();
    while others.len() < 2 || next < MESSAGES {
        let message = slow.next_json();
        if message["group"] == "@all" || message["type"] == "ack" {
            others.push(message);
        } else if message["event"] == "gap" {
            next += message["dropped"].as_u64().unwrap();
        } else {
            assert_eq!(message["data"][0], next);
            next += 1;
        }
    }
    assert_eq!(next, MESSAGES);
    assert_eq!(others[0]["data"], "hello");
    assert_eq!(others[1]["recipients"], 3);
}

#[test]
fn sc_03_relayed_groups_drop_too_and_the_log_counts() {
    for policy in ["drop-newest", "drop-oldest", "latest"] {
        let mut server = server(&format!("f*d={policy}"));
        let mut slow = Peer::connect(server.addr(), "/relay/feed");
        let mut honest = Peer::connect(server.addr(), "/relay/feed");
        let mut sender = Peer::connect(server.addr(), "/relay/feed");
        let mut payload = vec![0; 64 << 10];
        for number in 0..MESSAGES {
            payload[..8].copy_from_slice(&number.to_be_bytes());
            sender.send_binary(&payload);
            honest.expect_binary(&payload);
        }
        let mut numbers = Vec::new();
        server.signal("TERM");
        loop {
            let frame = slow.next_frame();
            if frame.opcode != opcode::BINARY {
                assert_eq!(frame.close_code(), Some(1001), "there are no notices");
                break;
            }
            numbers.push(u64::from_be_bytes(frame.payload[..8].try_into().unwrap()));
        }
        assert!(numbers.is_sorted() && numbers.len() < 320, "{numbers:?}");
        let has_last = numbers.last() == Some(&(MESSAGES - 1));
        assert_eq!(has_last, policy != "drop-newest", "{policy}");
        drop((slow, honest, sender));
        server.wait();
        let delivered = MESSAGES + numbers.len() as u64;
        let dropped = 2 * MESSAGES - delivered;
        let line = format!(" delivered={delivered} dropped={dropped} ");
        assert!(server.log().contains(&line), "{policy}: {line}");
    }
}
