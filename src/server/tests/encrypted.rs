//! Encrypted connections over sockets that fail: whatever happens below, what is said inside comes whole or not at all.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{KeyPair, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::ServerName;

use super::ends::BREAKS;
use super::received::Received;
use super::rig::{Rig, get, upgrade};
use super::text;
use super::wire::{Fault, Wire};
use crate::config::Config;
use crate::tls::Acceptor;

/// Both ends of what a server is trusted by.
struct Identity {
    certificate: rcgen::CertifiedKey<KeyPair>,
}

impl Identity {
    fn new() -> Self {
        let certificate = generate_simple_self_signed(["localhost".into()]).unwrap();
        Self { certificate }
    }

    /// A server that is this one.
    fn rig(&self, config: Option<Config>) -> Rig {
        let mut rig = config.map_or_else(Rig::small, Rig::new);
        let chain = self.certificate.cert.pem();
        let key = self.certificate.signing_key.serialize_pem();
        let acceptor = Acceptor::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        rig.loops[0].listener.as_mut().unwrap().encrypt(acceptor);
        rig
    }

    fn connection(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        connection.set_buffer_limit(None);
        connection
    }

    /// A client of the rig, with a socket like this one.
    fn client(&self, rig: &mut Rig, wire: Wire) -> Client {
        Client {
            number: rig.connect(wire),
            connection: self.connection(rustls::ALL_VERSIONS),
            taken_len: 0,
            received: Vec::new(),
        }
    }

    /// A client with a WebSocket at `path`, and a socket that takes everything.
    fn visitor(&self, rig: &mut Rig, path: &str) -> Client {
        let mut client = self.client(rig, open_wire());
        client.say(&upgrade(path));
        client.talk(rig);
        client
    }
}

/// A client that knows no faults.
struct Client {
    number: usize,
    connection: ClientConnection,
    taken_len: usize,
    received: Vec<u8>,
}

impl Client {
    fn say(&mut self, bytes: &[u8]) {
        self.connection.writer().write_all(bytes).unwrap();
    }

    /// What is ready to be sent.
    fn take_unsent(&mut self) -> Vec<u8> {
        unsent_of(&mut self.connection)
    }

    /// Sends and receives until nothing is left to be said.
    fn talk(&mut self, rig: &mut Rig) {
        loop {
            let unsent = self.take_unsent();
            let is_silent = unsent.is_empty();
            rig.wires[self.number].borrow_mut().send(&unsent);
            rig.settle();
            if !self.hear(rig) && is_silent && !self.connection.wants_write() {
                return;
            }
        }
    }

    /// Makes sense of what has come; whether anything has.
    fn hear(&mut self, rig: &Rig) -> bool {
        let taken = rig.taken(self.number);
        let mut input = &taken[self.taken_len..];
        let has_come = !input.is_empty();
        self.taken_len = taken.len();
        while !input.is_empty() {
            self.connection.read_tls(&mut input).unwrap();
            self.connection.process_new_packets().unwrap();
            // It fails if there is nothing, which is as good.
            let _ = self.connection.reader().read_to_end(&mut self.received);
        }
        has_come
    }

    /// Whether the server has announced its end.
    fn has_end(&mut self) -> bool {
        matches!(self.connection.reader().read(&mut [0]), Ok(0))
    }
}

fn unsent_of(connection: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).unwrap();
    }
    bytes
}

fn open_wire() -> Wire {
    Wire {
        room: usize::MAX,
        ..Wire::default()
    }
}

/// A frame of a client with a payload of any length.
fn long_text(len: usize) -> Vec<u8> {
    text(&"x".repeat(len))
}

#[test]
fn ac_11_encrypted_bytes_may_come_and_go_in_pieces_of_any_size() {
    let identity = Identity::new();
    for step in [1, 2, 5, 17, 100, 1000, 20_000] {
        for config in [None, Some(Config::default())] {
            let mut rig = identity.rig(config);
            let mut faults = vec![Fault::Short(step); 8];
            faults[1..3].copy_from_slice(&[Fault::WouldBlock, Fault::Interrupted]);
            let faults = faults.into_iter().cycle();
            let mut client = identity.client(
                &mut rig,
                Wire {
                    faults: faults.take(20_000).collect(),
                    ..open_wire()
                },
            );
            client.say(&[upgrade("/echo"), text("one"), long_text(900)].concat());
            client.talk(&mut rig);
            client.say(&text("three"));
            client.say(&text("four"));
            client.say(&text("bye"));
            client.talk(&mut rig);
            let received = Received::parse(&client.received);
            let lens: Vec<_> = received.messages().map(str::len).collect();
            assert_eq!(lens, [3, 900, 5, 4], "in pieces of {step}");
            assert_eq!(received.close_codes(), [1000]);
            client.say(&super::frame(crate::proto::OpCode::Close, &[3, 232]));
            client.connection.send_close_notify();
            client.talk(&mut rig);
            rig.wires[client.number].borrow_mut().end();
            rig.pass_until_empty(Duration::from_secs(10));
            client.hear(&rig);
            assert!(client.has_end(), "close_notify");
            rig.assert_clean();
        }
    }
}

#[test]
fn ac_11_what_was_decrypted_beyond_a_budget_needs_no_further_event() {
    let identity = Identity::new();
    // A budget of a hundred bytes, and a hundred messages that come at once, each in a record of its own.
    let mut rig = identity.rig(None);
    let mut client = identity.visitor(&mut rig, "/echo");
    for number in 0..100 {
        client.say(&text(&number.to_string()));
    }
    client.talk(&mut rig);
    let received = Received::parse(&client.received);
    assert!(
        received
            .messages()
            .eq((0..100).map(|number| number.to_string()))
    );
}

#[test]
fn ac_11_an_end_right_behind_a_message_needs_no_further_event() {
    let identity = Identity::new();
    let mut rig = identity.rig(Some(Config::default()));
    let mut client = identity.visitor(&mut rig, "/echo");
    client.say(&text("last words"));
    client.connection.send_close_notify();
    let both = client.take_unsent();
    rig.wires[client.number].borrow_mut().send(&both);
    rig.settle();
    assert!(rig.wires[client.number].borrow().is_dropped);
    rig.assert_clean();
}

#[test]
fn ac_11_a_handshake_may_break_anywhere_and_leaves_nothing_behind() {
    let identity = Identity::new();
    let mut hello = unsent_of(&mut identity.connection(rustls::ALL_VERSIONS));
    hello.extend([20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 5, 1, 2, 3, 4, 5]);
    for len in (0..hello.len()).step_by(7).chain([hello.len()]) {
        for end in 0..=BREAKS.len() {
            let mut rig = identity.rig(None);
            let number = rig.connect_healthy(&hello[..len]);
            rig.settle();
            match BREAKS.get(end) {
                Some(kind) => rig.wires[number].borrow_mut().reset(*kind),
                None => rig.wires[number].borrow_mut().end(),
            }
            rig.settle();
            rig.pass_until_empty(Duration::from_secs(10));
            rig.assert_clean();
        }
    }
}

#[test]
fn ac_11_a_slow_handshake_is_over_at_the_deadline() {
    let identity = Identity::new();
    let mut rig = identity.rig(None);
    let timeout = rig.shared.config.handshake_timeout;
    let mut slow = identity.client(&mut rig, open_wire());
    // Another one never says a word.
    rig.connect_healthy(&[]);
    let hello = slow.take_unsent();
    let mut bytes = hello.chunks(1);
    let begun = rig.now;
    while rig.wires.iter().any(|wire| !wire.borrow().is_dropped) {
        let mut wire = rig.wires[slow.number].borrow_mut();
        wire.send(bytes.next().unwrap_or_default());
        drop(wire);
        rig.settle();
        rig.now = rig.now + Duration::from_millis(100);
        assert!(rig.now - begun < timeout * 2, "somebody stays");
    }
    assert!(rig.now - begun >= timeout);
    rig.assert_clean();
}

#[test]
fn ac_11_a_hello_may_come_in_many_records_but_not_in_a_long_one() {
    let identity = Identity::new();
    let mut rig = identity.rig(Some(Config::default()));
    let mut client = identity.client(&mut rig, open_wire());
    let hello = client.take_unsent();
    let records: Vec<u8> = hello[5..]
        .chunks(3)
        .flat_map(|chunk| [&[22, 3, 1, 0, u8::try_from(chunk.len()).unwrap()], chunk].concat())
        .collect();
    rig.wires[client.number].borrow_mut().send(&records);
    rig.settle();
    client.hear(&rig);
    client.say(&get("/"));
    client.talk(&mut rig);
    assert_eq!(Received::parse(&client.received).statuses, [200]);
    // A hello of 60,000 bytes, as far as it says: nobody waits for all of it.
    let number = rig.connect_healthy(&[22, 3, 1, 0, 4, 1, 0, 234, 96]);
    let record = [&[22, 3, 1, 3, 232][..], &[0; 1000]].concat();
    for _ in 0..20 {
        rig.wires[number].borrow_mut().send(&record);
        rig.settle();
    }
    assert!(rig.wires[number].borrow().is_finished);
    rig.wires[number].borrow_mut().end();
    rig.settle();
    assert!(rig.wires[number].borrow().is_dropped);
}

#[test]
fn ac_11_a_receiver_that_takes_little_gets_everything_and_one_that_takes_nothing_is_cut() {
    let identity = Identity::new();
    let mut rig = identity.rig(Some(Config::default()));
    let mut client = identity.visitor(&mut rig, "/echo");
    rig.wires[client.number].borrow_mut().room = 0;
    let expected: Vec<_> = (0..30).map(|number| 10_000 + number).collect();
    for len in &expected {
        client.say(&long_text(*len));
    }
    client.talk(&mut rig);
    let held = rig.shared.loads.total();
    assert!(
        held >= 300_000,
        "what waits is counted, encrypted or not: {held}"
    );
    for _ in 0..1000 {
        rig.wires[client.number].borrow_mut().make_room(997);
        client.talk(&mut rig);
    }
    let received = Received::parse(&client.received);
    let lens: Vec<_> = received.messages().map(str::len).collect();
    assert_eq!(lens, expected);
    rig.wires[client.number].borrow_mut().room = 0;
    client.say(&long_text(1000));
    client.talk(&mut rig);
    rig.pass_until_empty(Duration::from_secs(60));
    rig.assert_clean();
}

#[test]
fn ac_11_what_waits_encrypted_and_is_not_taken_is_timed_like_what_waits_in_an_outbox() {
    let identity = Identity::new();
    for path in ["/echo", "/room"] {
        let config = Config {
            // So that nothing else ends anybody.
            ping_interval: Duration::from_secs(3600),
            ..Config::default()
        };
        let timeout = config.write_timeout;
        let farewell = config.close_timeout + config.linger_timeout;
        let mut rig = identity.rig(Some(config));
        let [mut slow, mut steady, mut speaker] = [0; 3].map(|_| identity.visitor(&mut rig, path));
        rig.wires[slow.number].borrow_mut().room = 0;
        rig.wires[steady.number].borrow_mut().room = 0;
        // All of it is encrypted at once, so that no outbox holds any of it.
        speaker.say(&long_text(50_000));
        speaker.talk(&mut rig);
        if path == "/echo" {
            slow.say(&long_text(50_000));
            slow.talk(&mut rig);
            steady.say(&long_text(50_000));
            steady.talk(&mut rig);
        }
        let begun = rig.now;
        let step = timeout / 5;
        while rig.now < begun + timeout * 3 {
            let is_there = !rig.wires[slow.number].borrow().is_dropped;
            let age = rig.now - begun;
            assert!(is_there || age >= timeout, "gone after {age:?}");
            assert!(!is_there || age <= timeout + farewell + step, "never cut");
            rig.now = rig.now + step;
            // With nothing to read that could have brought the rest along.
            rig.wires[steady.number].borrow_mut().make_room(1000);
            rig.settle();
        }
        rig.wires[steady.number].borrow_mut().make_room(usize::MAX);
        rig.settle();
        steady.hear(&rig);
        let received = Received::parse(&steady.received);
        let lens: Vec<_> = received.messages().map(str::len).collect();
        assert_eq!(lens, [50_000], "whoever takes a little stays");
        for client in [steady, speaker] {
            rig.wires[client.number].borrow_mut().end();
        }
        rig.settle();
        rig.assert_clean();
    }
}

#[test]
fn ac_11_a_delivery_is_written_at_once_and_whole_whatever_the_socket_takes() {
    let identity = Identity::new();
    for room in [0, 1, 20, 60, usize::MAX] {
        let mut rig = identity.rig(Some(Config::default()));
        let mut members = [0; 4].map(|_| identity.visitor(&mut rig, "/room"));
        for member in &members[1..] {
            rig.wires[member.number].borrow_mut().room = room;
        }
        for message in ["one", "two"] {
            members[0].say(&text(message));
            members[0].talk(&mut rig);
        }
        for member in &mut members[1..] {
            rig.wires[member.number].borrow_mut().make_room(usize::MAX);
            rig.settle();
            member.hear(&rig);
            let received = Received::parse(&member.received);
            assert_eq!(received.messages().collect::<Vec<_>>(), ["one", "two"]);
            rig.wires[member.number].borrow_mut().end();
        }
        rig.wires[members[0].number].borrow_mut().end();
        rig.settle();
        rig.assert_clean();
    }
}

#[test]
fn ac_11_an_end_that_does_not_get_out_at_once_does_so_when_there_is_room() {
    let identity = Identity::new();
    let mut rig = identity.rig(Some(Config::default()));
    let mut client = identity.visitor(&mut rig, "/echo");
    rig.wires[client.number].borrow_mut().room = 0;
    client.say(&text("bye"));
    client.say(&super::frame(crate::proto::OpCode::Close, &[3, 232]));
    client.talk(&mut rig);
    for _ in 0..1000 {
        rig.wires[client.number].borrow_mut().make_room(1);
        rig.settle();
    }
    assert!(rig.wires[client.number].borrow().is_finished);
    client.hear(&rig);
    let received = Received::parse(&client.received);
    assert_eq!(received.close_codes(), [1000]);
    assert!(client.has_end(), "close_notify");
    rig.wires[client.number].borrow_mut().end();
    rig.settle();
    rig.assert_clean();
}

#[test]
fn ac_11_plain_http_and_damaged_records_end_cleanly() {
    let identity = Identity::new();
    let mut rig = identity.rig(None);
    let plain = rig.connect_healthy(&get("/"));
    rig.settle();
    assert_eq!(Received::parse(&rig.taken(plain)).statuses, [400]);
    assert!(rig.wires[plain].borrow().is_finished);
    rig.wires[plain].borrow_mut().end();
    // A record that was changed on the way ends an open WebSocket as a lost one.
    let mut client = identity.visitor(&mut rig, "/room");
    client.say(&text("hello"));
    let mut record = client.take_unsent();
    *record.last_mut().unwrap() ^= 1;
    rig.wires[client.number].borrow_mut().send(&record);
    rig.settle();
    rig.pass_until_empty(Duration::from_secs(10));
    rig.assert_clean();
}
