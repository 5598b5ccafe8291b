//! What is counted: pieces of the library, and turns of the whole server.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::SocketAddr;

use switchboard::clock::Moment;
use switchboard::delivery::{GroupName, Recipients, SessionId};
use switchboard::outbox::Outbox;
use switchboard::proto::{
    FrameBuffer, Incoming, MessageLimits, MessageReader, OpCode, Role, encode_frame,
    encode_masked_frame,
};
use switchboard::registry::Registry;

use super::entrance::Entrance;
use super::farewell::{CLIENT_FAREWELL, FAREWELL};

/// Something that is done many times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) subject: Subject,
    /// How often it is done in the shorter of two runs.
    pub(crate) count: u64,
    /// How many of what the name says that makes each time.
    pub(crate) operations: u64,
}

/// Drives a server; the number says how often.
pub(crate) type Drive = fn(SocketAddr, u64);

/// What does it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    /// A part of the library.
    Library(fn(u64)),
    /// The server, started with more flags.
    Server {
        flags: &'static [&'static str],
        drive: Drive,
    },
}

/// Messages of a batch, in the cases of the library.
const BATCH_LEN: u64 = 100;
/// Receivers of a fan-out in memory.
const RECEIVER_COUNT: u64 = 1000;
/// Receivers of a fan-out over sockets.
const MEMBER_COUNT: u64 = 50;

/// Turns of the cases in which it is what happens in each of them that is doubled.
const TURN_COUNT: u64 = 300;

/// Everything that has a budget.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "decode, text of 20 bytes",
        subject: Subject::Library(|count| decode(20, count)),
        count: 100,
        operations: BATCH_LEN,
    },
    Case {
        name: "decode, text of 1 KiB",
        subject: Subject::Library(|count| decode(1024, count)),
        count: 100,
        operations: BATCH_LEN,
    },
    Case {
        name: "fan-out in memory, each receiver of a message",
        subject: Subject::Library(|count| fan_out(1, count)),
        count: 20,
        operations: RECEIVER_COUNT,
    },
    Case {
        name: "fan-out in memory, each receiver of 16 messages",
        subject: Subject::Library(|count| fan_out(16, count)),
        count: 10,
        operations: RECEIVER_COUNT,
    },
    server("echo, a turn with a message of 20 bytes", echo, 2000, 1),
    server(
        "echo, each further message of 20 bytes in a turn",
        |addr, count| echo_batches(addr, 20, count),
        16,
        TURN_COUNT,
    ),
    server(
        "echo, each further message of 1 KiB in a turn",
        |addr, count| echo_batches(addr, 1024, count),
        16,
        TURN_COUNT,
    ),
    server(
        "relay, each receiver of a message",
        relay,
        100,
        MEMBER_COUNT,
    ),
    server(
        "relay, each receiver of 16 messages",
        relay_batches,
        100,
        MEMBER_COUNT,
    ),
    server(
        "JSON, each receiver of a message",
        json_fan_out,
        100,
        MEMBER_COUNT,
    ),
    server(
        "JSON, each receiver of 16 messages",
        json_batches,
        100,
        MEMBER_COUNT,
    ),
    server("JSON, a message to one user", json_direct, 1000, 1),
    server("connect, upgrade, close", visit, 200, 1),
];

const fn server(name: &'static str, drive: Drive, count: u64, operations: u64) -> Case {
    Case {
        name,
        subject: Subject::Server { flags: &[], drive },
        count,
        operations,
    }
}

/// Does a case of the library.
pub(crate) fn run(name: &str, count: u64) {
    let case = CASES.iter().find(|case| case.name == name);
    match case.map(|case| case.subject) {
        Some(Subject::Library(work)) => work(count),
        _ => panic!("no case of the library: {name}"),
    }
}

/// Reads batches of masked texts, as one read brings them.
fn decode(len: usize, count: u64) {
    // It masks lower-case letters to other ASCII characters, so text stays text however often it is unmasked in place.
    let key = [1, 2, 4, 8];
    let limits = MessageLimits {
        message_bytes_max: 1 << 20,
        fragments_max: 1 << 17,
    };
    let mut stream = Vec::new();
    for _ in 0..BATCH_LEN {
        encode_masked_frame(&mut stream, OpCode::Text, &[&vec![b'a'; len]], key);
    }
    let mut reader = MessageReader::new(Role::Server);
    let mut message_count = 0;
    for _ in 0..count {
        let mut input = &mut black_box(&mut stream)[..];
        while let Some(Incoming::Message(message)) =
            reader.next(&mut input, &limits).expect("a valid stream")
        {
            message_count += 1;
            black_box(message);
        }
    }
    assert_eq!(message_count, count * BATCH_LEN);
}

/// Queues messages for every member of a group and writes what each is owed.
fn fan_out(message_count: usize, count: u64) {
    let name = GroupName::new("default", "room");
    let mut registry = Registry::default();
    let mut outboxes = Vec::new();
    for slot in 0..u32::try_from(RECEIVER_COUNT).expect("a small number") {
        let id = SessionId::new(0, slot, 1).expect("few enough slots");
        registry.join(id, name.clone());
        outboxes.push(Outbox::default());
    }
    let group = Recipients::Group(name);
    let mut frames = FrameBuffer::default();
    for _ in 0..count {
        let ranges: Vec<_> = (0..message_count)
            .map(|_| frames.encode(OpCode::Text, &[&[b'a'; 64]]))
            .collect();
        let shared = frames.share();
        for range in ranges {
            let frame = shared.slice(range);
            for id in registry.recipients(&group) {
                let pushed = outboxes[id.slot() as usize].push(&frame, 1 << 20);
                pushed.expect("room for it");
            }
        }
        for outbox in &mut outboxes {
            let written = outbox.write_to(&mut io::sink(), 1 << 20, Moment::START);
            written.expect("a sink takes it");
        }
    }
}

/// One client gets back what it sends, one message at a time.
fn echo(addr: SocketAddr, count: u64) {
    let mut client = Entrance::connect(addr);
    client.upgrade("/echo");
    for _ in 0..count {
        client.send("abcdefghijklmnopqrst");
        client.expect("abcdefghijklmnopqrst");
    }
}

/// One client gets back what it sends, so many messages of this length at a time.
fn echo_batches(addr: SocketAddr, len: usize, count: u64) {
    let mut client = Entrance::connect(addr);
    client.upgrade("/echo");
    let mut socket = client.into_socket();
    socket.set_nonblocking(false).expect("blocking");
    let payload = vec![b'a'; len];
    let mut batch = Vec::new();
    let mut expected = Vec::new();
    for _ in 0..count {
        encode_masked_frame(&mut batch, OpCode::Text, &[&payload], [1, 2, 3, 4]);
        encode_frame(&mut expected, OpCode::Text, &[&payload]);
    }
    let mut received = vec![0; expected.len()];
    for _ in 0..TURN_COUNT {
        socket.write_all(&batch).expect("write");
        socket.read_exact(&mut received).expect("all of them");
        assert_eq!(received, expected);
    }
}

fn enter_relay(addr: SocketAddr) -> Entrance {
    let mut client = Entrance::connect(addr);
    client.upgrade("/relay/room");
    client
}

fn relay(addr: SocketAddr, count: u64) {
    pass_on(|_| enter_relay(addr), "a message", count);
}

/// Like [`relay`], with 16 messages at a time, which one write brings.
fn relay_batches(addr: SocketAddr, count: u64) {
    pass_on_batches(|_| enter_relay(addr), "a message", "a message", count);
}

const JSON_SENT: &str =
    r#"{"type":"sendToGroup","group":"room","noEcho":true,"dataType":"text","data":"a message"}"#;
const JSON_RECEIVED: &str =
    r#"{"type":"message","from":"group","group":"room","dataType":"text","data":"a message"}"#;

fn enter_json(addr: SocketAddr) -> Entrance {
    let mut client = Entrance::connect(addr);
    client.upgrade("/ws");
    client.expect("connected");
    client.send(r#"{"type":"joinGroup","group":"room","ackId":1}"#);
    client.expect("success");
    client
}

fn json_fan_out(addr: SocketAddr, count: u64) {
    pass_on(|_| enter_json(addr), JSON_SENT, count);
}

/// Like [`json_fan_out`], with 16 messages at a time.
fn json_batches(addr: SocketAddr, count: u64) {
    pass_on_batches(|_| enter_json(addr), JSON_SENT, JSON_RECEIVED, count);
}

/// One client sends, one message at a time, what all others are to receive.
fn pass_on(enter: impl Fn(u64) -> Entrance, message: &str, count: u64) {
    let mut sender = enter(0);
    let mut members: Vec<_> = (0..MEMBER_COUNT).map(enter).collect();
    for _ in 0..count {
        sender.send(message);
        for member in &mut members {
            member.expect("a message");
        }
    }
}

/// One client sends, 16 messages at a time, what all others are to receive.
fn pass_on_batches(enter: impl Fn(u64) -> Entrance, sent: &str, received: &str, count: u64) {
    let (mut batch, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..16 {
        encode_masked_frame(&mut batch, OpCode::Text, &[sent.as_bytes()], [1, 2, 3, 4]);
        encode_frame(&mut expected, OpCode::Text, &[received.as_bytes()]);
    }
    let enter = |index| {
        let socket = enter(index).into_socket();
        socket.set_nonblocking(false).expect("blocking");
        socket
    };
    let mut sender = enter(0);
    let mut members: Vec<_> = (0..MEMBER_COUNT).map(enter).collect();
    let mut arrived = vec![0; expected.len()];
    for _ in 0..count {
        sender.write_all(&batch).expect("write");
        for member in &mut members {
            member.read_exact(&mut arrived).expect("all of them");
            assert_eq!(arrived, expected);
        }
    }
}

fn json_direct(addr: SocketAddr, count: u64) {
    let [mut alice, mut bob] = ["alice", "bob"].map(|user| {
        let mut client = Entrance::connect(addr);
        client.upgrade(&format!("/ws?userId={user}"));
        client.expect("connected");
        client
    });
    for _ in 0..count {
        alice.send(
            r#"{"type":"sendToGroup","group":"@user/bob","dataType":"text","data":"a message"}"#,
        );
        bob.expect("a message");
    }
}

fn visit(addr: SocketAddr, count: u64) {
    for _ in 0..count {
        let mut client = Entrance::connect(addr);
        client.upgrade("/echo");
        let mut socket = client.into_socket();
        socket.set_nonblocking(false).expect("blocking");
        socket.write_all(&CLIENT_FAREWELL).expect("write");
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).expect("the end");
        assert_eq!(rest, FAREWELL);
    }
}
