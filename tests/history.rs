//! What late joiners are told, over real sockets and across loops.

mod peer;
mod server_process;

use peer::Peer;
use serde_json::{Value, json};
use server_process::ServerProcess;

/// Opens `/ws` and reads the first message.
fn open(server: &ServerProcess) -> Peer {
    let mut peer = Peer::connect(server.addr(), "/ws?userId=ann");
    assert_eq!(peer.next_json()["event"], json!("connected"));
    peer
}

fn send(peer: &mut Peer, group: &str, data: u32) {
    peer.send_json(&json!({"type": "sendToGroup", "group": group, "ackId": data, "data": data}));
    loop {
        let message = peer.next_json();
        if message["type"] == "ack" {
            assert_eq!(message["success"], json!(true), "{message}");
            return;
        }
    }
}

/// Joins with the wish for what was said.
fn join(peer: &mut Peer, group: &str) {
    let is_all = group == "@all";
    peer.send_json(
        &json!({"type": "joinGroup", "group": group, "presence": is_all, "history": true}),
    );
}

/// The data of the next message that is not about presence, which has to be marked or not.
fn next_data(peer: &mut Peer, is_marked: bool) -> Value {
    loop {
        let frame = peer.next_message();
        let message: Value = serde_json::from_str(frame.text()).unwrap();
        if message["type"] == "message" {
            assert_eq!(frame.text().ends_with(r#","history":true}"#), is_marked);
            return message["data"].clone();
        }
    }
}

#[test]
fn late_joiners_on_every_loop_get_the_last_messages_and_then_the_live_ones() {
    let flags = ["--threads", "4", "--history", "chat.*=3,@all=2"];
    let server = ServerProcess::start(&flags);
    let mut sender = open(&server);
    for group in ["chat.a", "chat.b", "@all"] {
        for data in 1..=5 {
            send(&mut sender, group, 10 * data);
            // Ids of acknowledgements are used once.
            sender = open(&server);
        }
    }
    for _ in 0..5 {
        let mut late = open(&server);
        for (group, kept) in [
            ("chat.a", &[30, 40, 50][..]),
            ("chat.b", &[30, 40, 50]),
            ("@all", &[40, 50]),
        ] {
            join(&mut late, group);
            for data in kept {
                assert_eq!(next_data(&mut late, true), json!(data), "{group}");
            }
        }
        let mut other = open(&server);
        send(&mut other, "elsewhere", 1);
        late.send_json(
            &json!({"type": "sendToGroup", "group": "chat.a", "data": "live", "ackId": 9}),
        );
        assert_eq!(next_data(&mut late, false), json!("live"));
        late.next_json();
        // Back to what the next one expects.
        for data in [30, 40, 50] {
            send(&mut other, "chat.a", data);
        }
    }
}

#[test]
fn bytes_are_bounded_and_what_is_replayed_has_no_gaps() {
    let server = ServerProcess::start(&["--history", "**=100", "--history-bytes", "1KiB"]);
    let mut sender = open(&server);
    let mut say = |data: &str| {
        sender.send_json(
            &json!({"type": "sendToGroup", "group": "room", "data": data, "noEcho": true}),
        );
        sender.send_json(&json!({"type": "ping"}));
        assert_eq!(sender.next_json()["type"], json!("pong"));
    };
    for number in 0..50 {
        say(&format!("message {number}"));
    }
    let mut late = open(&server);
    join(&mut late, "room");
    let mut heard = vec![next_data(&mut late, true)];
    while heard.last() != Some(&json!("message 49")) {
        heard.push(next_data(&mut late, true));
    }
    assert!((5..12).contains(&heard.len()), "{}", heard.len());
    let first = 50 - heard.len();
    let expected: Vec<_> = (first..50)
        .map(|number| json!(format!("message {number}")))
        .collect();
    assert_eq!(heard, expected);
    say(&"x".repeat(2000));
    let mut later = open(&server);
    join(&mut later, "room");
    say("after");
    assert_eq!(
        next_data(&mut later, false),
        json!("after"),
        "too long, so nothing is kept"
    );
}

#[test]
fn nobody_misses_a_message_that_is_sent_while_joining() {
    const MESSAGES: u32 = 400;
    let server = ServerProcess::start(&[
        "--threads",
        "4",
        "--history",
        "room=10000",
        "--history-bytes",
        "4MiB",
    ]);
    let mut senders: Vec<_> = (0..3).map(|_| open(&server)).collect();
    let joiners: Vec<_> = (0..24).map(|_| open(&server)).collect();
    std::thread::scope(|scope| {
        for (sender, peer) in (0_u32..).zip(&mut senders) {
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    peer.send_json(
                        &json!({"type": "sendToGroup", "group": "room", "data": [sender, number]}),
                    );
                }
            });
        }
        for mut peer in joiners {
            scope.spawn(move || {
                peer.send_json(&json!({"type": "joinGroup", "group": "room", "history": true}));
                let mut is_missing = vec![true; (3 * MESSAGES) as usize];
                let mut missing_count = is_missing.len();
                while missing_count > 0 {
                    let data = peer.next_json()["data"].clone();
                    let [sender, number] = [0, 1].map(|at| data[at].as_u64().unwrap());
                    let index = usize::try_from(sender * u64::from(MESSAGES) + number).unwrap();
                    missing_count -= usize::from(std::mem::take(&mut is_missing[index]));
                }
            });
        }
    });
}
