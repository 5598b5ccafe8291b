//! Random joins, leaves, sends, drops and recoveries of reliable clients against a model that is a few lists.

mod peer;
mod server_process;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use peer::Peer;
use proptest::prelude::*;
use serde_json::{Value, json};
use server_process::ServerProcess;

const CLIENT_COUNT: usize = 4;
const GROUPS: [&str; 2] = ["red", "blue"];

#[derive(Clone, Debug)]
enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    /// To a group, or to everyone.
    Send(usize, Option<usize>),
    /// The connection of a client ends without a word.
    Drop(usize),
    /// A client comes back, whether or not its connection has ended.
    Recover(usize),
    /// A client says what it has.
    Acknowledge(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let client = || 0..CLIENT_COUNT;
    let group = || 0..GROUPS.len();
    prop_oneof![
        3 => (client(), group()).prop_map(|(client, group)| Step::Join(client, group)),
        1 => (client(), group()).prop_map(|(client, group)| Step::Leave(client, group)),
        6 => (client(), proptest::option::weighted(0.8, group())).prop_map(|(client, group)| Step::Send(client, group)),
        2 => client().prop_map(Step::Drop),
        2 => client().prop_map(Step::Recover),
        1 => client().prop_map(Step::Acknowledge),
    ]
}

/// A reliable client as stock ones are: it forgets what it has already, and comes back under its old name.
struct Client {
    peer: Option<Peer>,
    path: String,
    /// The highest number that it got.
    last_number: u64,
    /// What it got, in order.
    had: Vec<Value>,
    next_ack_id: u64,
}

impl Client {
    fn connect(server: &ServerProcess, hub: &str) -> Self {
        let mut client = Self {
            peer: None,
            path: format!("/client/hubs/{hub}?x=1"),
            last_number: 0,
            had: Vec::new(),
            next_ack_id: 0,
        };
        client.open(server);
        client
    }

    fn open(&mut self, server: &ServerProcess) {
        let fields = "Sec-WebSocket-Protocol: json.reliable.webpubsub.azure.v1\r\n";
        let mut peer = Peer::connect_with(server.addr(), &self.path, fields);
        let connected = peer.next_json();
        if !self.path.contains("awps") {
            let [id, token] = ["connectionId", "reconnectionToken"]
                .map(|field| connected[field].as_str().unwrap());
            self.path += &format!("&awps_connection_id={id}&awps_reconnection_token={token}");
        }
        self.peer = Some(peer);
    }

    /// Asks for something and waits until it is done; false if there is no connection to ask over.
    fn ask(&mut self, mut request: Value) -> bool {
        let Some(peer) = &mut self.peer else {
            return false;
        };
        self.next_ack_id += 1;
        request["ackId"] = json!(self.next_ack_id);
        peer.send_json(&request);
        self.read_until(|message| message["type"] == "ack");
        true
    }

    /// Reads up to a message of that kind, keeping what comes on the way.
    fn read_until(&mut self, is_last: impl Fn(&Value) -> bool) {
        let peer = self.peer.as_mut().expect("a connection to read from");
        loop {
            let message = peer.next_json();
            if let Some(number) = message["sequenceId"].as_u64() {
                assert!(number <= self.last_number + 1, "a gap before {message}");
                if number == self.last_number + 1 {
                    self.last_number = number;
                    self.had.push(message["data"].clone());
                }
            }
            if is_last(&message) {
                return;
            }
        }
    }
}

/// Names hubs, so that cases which share a server do not meet.
static CASE_COUNT: AtomicUsize = AtomicUsize::new(0);

fn run(server: &ServerProcess, steps: &[Step]) {
    let hub = format!("case{}", CASE_COUNT.fetch_add(1, Ordering::Relaxed));
    let mut clients: Vec<Client> = (0..CLIENT_COUNT)
        .map(|_| Client::connect(server, &hub))
        .collect();
    let mut members = [const { BTreeSet::new() }; GROUPS.len()];
    let mut expected: Vec<Vec<Value>> = vec![Vec::new(); CLIENT_COUNT];
    let mut sent_count = 0;
    for step in steps {
        match *step {
            Step::Join(client, group) => {
                if clients[client].ask(json!({"type": "joinGroup", "group": GROUPS[group]})) {
                    members[group].insert(client);
                }
            }
            Step::Leave(client, group) => {
                if clients[client].ask(json!({"type": "leaveGroup", "group": GROUPS[group]})) {
                    members[group].remove(&client);
                }
            }
            Step::Send(client, group) => {
                let name = group.map_or("@all", |group| GROUPS[group]);
                let data = json!([client, sent_count]);
                if clients[client].ask(json!({"type": "sendToGroup", "group": name, "data": data}))
                {
                    sent_count += 1;
                    let receivers = group.map_or_else(
                        || (0..CLIENT_COUNT).collect(),
                        |group| members[group].clone(),
                    );
                    receivers
                        .into_iter()
                        .for_each(|receiver: usize| expected[receiver].push(data.clone()));
                }
            }
            Step::Drop(client) => clients[client].peer = None,
            Step::Recover(client) => clients[client].open(server),
            Step::Acknowledge(client) => {
                let client = &mut clients[client];
                if let Some(peer) = &mut client.peer {
                    peer.send_json(
                        &json!({"type": "sequenceAck", "sequenceId": client.last_number}),
                    );
                }
            }
        }
    }
    for client in &mut clients {
        client.open(server);
    }
    // What comes last proves that nothing is left to come.
    assert!(clients[0].ask(json!({"type": "sendToGroup", "group": "@all", "data": "the end"})));
    for (client, mut expected) in clients.iter_mut().zip(expected) {
        expected.push(json!("the end"));
        if client.had.last() != expected.last() {
            client.read_until(|message| message["data"] == "the end");
        }
        assert_eq!(client.had, expected);
    }
}

#[test]
fn ms_11_every_receiver_sees_each_message_once_and_in_order_through_drops_and_recoveries() {
    let server = ServerProcess::start(&["--threads", "3"]);
    let config = ProptestConfig {
        cases: 60,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in proptest::collection::vec(any_step(), 1..60))| run(&server, &steps));
}
