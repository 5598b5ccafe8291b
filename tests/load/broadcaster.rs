//! Senders to a group of the JSON protocol, who are told what became of each message.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::peer::Peer;

/// For how many receivers a message was queued, and for how many it was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) recipients: u64,
    pub(crate) dropped: u64,
}

/// A client of `/ws` that sends to one group, of which it is no member.
#[derive(Debug)]
pub(crate) struct Broadcaster {
    peer: Peer,
    group: &'static str,
    /// What the last message was called.
    number: u64,
    /// Of all messages.
    pub(crate) total: Outcome,
}

impl Broadcaster {
    /// Connects.
    pub(crate) fn connect(addr: SocketAddr, group: &'static str) -> Self {
        let mut peer = Peer::connect(addr, "/ws");
        assert_eq!(peer.next_json()["event"], "connected");
        Self {
            peer,
            group,
            number: 0,
            total: Outcome::default(),
        }
    }

    /// Sends `[number, text]` and waits for the acknowledgement.
    pub(crate) fn send(&mut self, text: &str) -> Outcome {
        self.number += 1;
        self.peer.send_json(&json!({
            "type": "sendToGroup", "group": self.group, "ackId": self.number, "data": [self.number, text]
        }));
        let ack = self.peer.next_json();
        let is_mine = ack["ackId"] == self.number && ack["success"] == true;
        assert!(is_mine, "{ack}");
        let count = |name: &str| ack[name].as_u64().expect("a count");
        let outcome = Outcome {
            recipients: count("recipients"),
            dropped: count("dropped"),
        };
        self.total.recipients += outcome.recipients;
        self.total.dropped += outcome.dropped;
        outcome
    }

    /// Messages sent so far.
    pub(crate) fn count(&self) -> u64 {
        self.number
    }
}

/// A member of such a group that looks whether any message is missing.
#[derive(Debug)]
pub(crate) struct Member {
    peer: Peer,
    /// The message that is expected next.
    next: u64,
    /// Messages that came.
    pub(crate) received: u64,
    /// Messages that it was told it would not get.
    pub(crate) dropped: u64,
    /// Messages that came at another place than theirs.
    pub(crate) violations: u64,
}

impl Member {
    /// Connects and joins.
    pub(crate) fn connect(addr: SocketAddr, group: &str) -> Self {
        let mut peer = Peer::connect(addr, "/ws");
        assert_eq!(peer.next_json()["event"], "connected");
        peer.send_json(&json!({"type": "joinGroup", "group": group, "ackId": 1}));
        assert_eq!(peer.next_json()["success"], true);
        Self {
            peer,
            next: 1,
            received: 0,
            dropped: 0,
            violations: 0,
        }
    }

    /// Reads until the first `count` messages of the group have come or are told as dropped.
    pub(crate) fn read_up_to(&mut self, count: u64) {
        while self.next <= count {
            let message = self.peer.next_json();
            if message["event"] == "gap" {
                let dropped = message["dropped"].as_u64().expect("a count");
                self.dropped += dropped;
                self.next += dropped;
            } else {
                self.take(&message);
            }
        }
    }

    fn take(&mut self, message: &Value) {
        let number = message["data"][0].as_u64().expect("a number");
        self.received += 1;
        self.violations += u64::from(number != self.next);
        self.next = number + 1;
    }
}
