//! Delivery between event loops: nothing lost, nothing twice, the order of each sender kept, acks that count right.

mod peer;
mod server_process;

use peer::Peer;
use serde_json::json;
use server_process::ServerProcess;

/// A sender's number and a message's number, as a payload.
fn numbered(sender: u8, number: u32) -> [u8; 5] {
    let [a, b, c, d] = number.to_be_bytes();
    [sender, a, b, c, d]
}

#[test]
fn ms_05_the_order_of_each_sender_is_kept_across_loops() {
    const SENDERS: u8 = 4;
    const RECEIVERS: usize = 8;
    const MESSAGES: u32 = 2000;
    let server = ServerProcess::start(&["--threads", "4"]);
    // More receivers than loops, so that each loop has some and sends to all the others.
    let mut receivers: Vec<_> = (0..RECEIVERS)
        .map(|_| Peer::connect(server.addr(), "/relay/all"))
        .collect();
    let mut senders: Vec<_> = (0..SENDERS)
        .map(|_| Peer::connect(server.addr(), "/relay/all"))
        .collect();
    std::thread::scope(|scope| {
        for (sender, peer) in (0..).zip(&mut senders) {
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    peer.send_binary(&numbered(sender, number));
                }
            });
        }
        for peer in &mut receivers {
            scope.spawn(move || {
                let mut next = [0; SENDERS as usize];
                for _ in 0..u32::from(SENDERS) * MESSAGES {
                    let payload = peer.next_message().payload;
                    let sender = payload[0];
                    let number = &mut next[usize::from(sender)];
                    assert_eq!(payload, numbered(sender, *number), "sender {sender}");
                    *number += 1;
                }
                assert_eq!(next, [MESSAGES; SENDERS as usize]);
            });
        }
    });
    // The senders are members too and got what the three others sent.
    for (own, peer) in (0..).zip(&mut senders) {
        let mut next = [0; SENDERS as usize];
        for _ in 0..u32::from(SENDERS - 1) * MESSAGES {
            let payload = peer.next_message().payload;
            assert_ne!(payload[0], own, "a sender hears itself");
            let number = &mut next[usize::from(payload[0])];
            assert_eq!(payload, numbered(payload[0], *number));
            *number += 1;
        }
    }
}

#[test]
fn ms_06_an_ack_counts_the_recipients_of_all_loops() {
    let server = ServerProcess::start(&["--threads", "4"]);
    let mut clients: Vec<_> = (0..12)
        .map(|_| Peer::connect(server.addr(), "/ws"))
        .collect();
    let mut ids = Vec::new();
    for client in &mut clients {
        ids.push(
            client.next_json()["connectionId"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    for client in clients.iter_mut().step_by(3) {
        client.send_json(&json!({"type": "joinGroup", "group": "thirds", "ackId": 1}));
        assert_eq!(client.next_json()["success"], json!(true));
    }
    for sender in 0..12_usize {
        let mut targets = vec![("@all".to_owned(), (0..12).collect::<Vec<_>>())];
        targets.push(("thirds".to_owned(), (0..12).step_by(3).collect()));
        targets.extend(
            ids.iter()
                .enumerate()
                .map(|(to, id)| (format!("@conn/{id}"), vec![to])),
        );
        for (round, (group, receivers)) in (100..).zip(targets) {
            let receivers: Vec<_> = receivers.into_iter().filter(|&it| it != sender).collect();
            if receivers.is_empty() {
                continue;
            }
            let data = format!("{sender} to {group}");
            clients[sender].send_json(&json!({
                "type": "sendToGroup", "group": group, "ackId": round, "noEcho": true,
                "dataType": "text", "data": data,
            }));
            let ack = clients[sender].next_json();
            assert_eq!(
                (&ack["ackId"], &ack["success"]),
                (&json!(round), &json!(true)),
                "{ack}"
            );
            assert_eq!(
                (&ack["recipients"], &ack["dropped"]),
                (&json!(receivers.len()), &json!(0))
            );
            for receiver in receivers {
                assert_eq!(clients[receiver].next_json()["data"], json!(data));
            }
        }
    }
}

#[test]
fn ms_08_a_direct_message_to_nobody_is_noticed_across_loops() {
    let server = ServerProcess::start(&["--threads", "4"]);
    let mut clients: Vec<_> = (0..8)
        .map(|_| Peer::connect(server.addr(), "/ws"))
        .collect();
    let ids: Vec<_> = clients
        .iter_mut()
        .map(|it| it.next_json()["connectionId"].clone())
        .collect();
    let mut gone = clients.pop().unwrap();
    gone.send_close(1000, "");
    gone.expect_close(1000);
    gone.expect_eof();
    let group = format!("@conn/{}", ids[7].as_str().unwrap());
    for client in &mut clients {
        client.send_json(&json!({"type": "sendToGroup", "group": group, "ackId": 1, "data": 1}));
        let ack = client.next_json();
        assert_eq!(
            (&ack["success"], &ack["error"]["name"]),
            (&json!(false), &json!("NotFound")),
            "{ack}"
        );
    }
}
