//! Large messages to somebody who does not read them: more than the kernel has room for.
#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::peer::Peer;
use crate::server_process::ServerProcess;

/// Bytes of a MiB.
pub(crate) const MIB: usize = 1 << 20;
/// Bytes of one message.
pub(crate) const MESSAGE_LEN: usize = 64 << 10;

/// Flags with which it is not time that ends anybody, however long the machine takes.
pub(crate) const UNHURRIED: [&str; 6] = [
    "--write-timeout",
    "60s",
    "--close-timeout",
    "60s",
    "--drain",
    "61s",
];

/// A message that says which one it is.
pub(crate) fn numbered(number: usize) -> Vec<u8> {
    let mut payload = vec![0x5a; MESSAGE_LEN];
    payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
    payload
}

/// Somebody who does not read, and somebody who sends to him alone.
pub(crate) struct Pair {
    pub(crate) slow: Peer,
    sender: Peer,
    /// Messages that were sent.
    pub(crate) sent_count: usize,
}

impl Pair {
    /// Both are members of a relayed group.
    pub(crate) fn new(server: &ServerProcess, group: usize) -> Self {
        let path = format!("/relay/{group}");
        Self {
            slow: Peer::connect(server.addr(), &path),
            sender: Peer::connect(server.addr(), &format!("{path}?echo=true")),
            sent_count: 0,
        }
    }

    /// Sends so much; the sender's own copies prove that the server has dealt with it.
    pub(crate) fn send(&mut self, len: usize) {
        for _ in 0..len / MESSAGE_LEN {
            let message = numbered(self.sent_count);
            self.sender.send_binary(&message);
            self.sender.expect_binary(&message);
            self.sent_count += 1;
        }
    }

    /// The one who did not read reads on: everything that was sent comes, in order.
    pub(crate) fn expect_all(&mut self) {
        self.expect_from(0);
    }

    /// The same from a message on.
    pub(crate) fn expect_from(&mut self, first: usize) {
        for number in first..self.sent_count {
            self.slow.expect_binary(&numbered(number));
        }
    }
}
