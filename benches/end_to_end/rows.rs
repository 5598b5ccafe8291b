//! What is measured: the rows of the table, their goals, and who takes part.

use super::contender::Contender;
use super::crowd::{Flow, Scene};
use super::entrance::Entrance;
use super::raw::RawWork;
use super::template::{Piece, Template, numbered};

/// A row of the table: one kind of work, done by several servers.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// The least that switchboard is to reach, divided by the yardstick.
    pub(crate) goal: f64,
    /// The first is the yardstick, the second is what the goal is about.
    pub(crate) entries: Vec<Entry>,
}

/// A server and what it has to do.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) contender: Contender,
    pub(crate) work: Work,
}

/// What a server has to do.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Pass messages on.
    Messages(Box<Scene>),
    /// Let clients in and out, at this path.
    Visits(&'static str),
}

/// The memory of clients that are silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleRow {
    pub(crate) name: &'static str,
    /// The most bytes that switchboard is to use for each.
    pub(crate) goal: u64,
    pub(crate) enter: fn(&mut Entrance, usize),
    pub(crate) contenders: &'static [Contender],
}

use Contender::{Bun, FastWebSockets, Raw, Switchboard, TokioTungstenite};

/// All rows but those of memory.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (clients, len, in_flight, goal) in [
        (50, 20, 1, 0.97),
        (500, 20, 1, 0.97),
        (50, 20, 16, 0.97),
        (500, 20, 16, 0.97),
        (50, 1024, 16, 0.93),
        (50, 65_536, 1, 0.95),
        (50, 65_536, 16, 0.90),
    ] {
        rows.push(echo(clients, len, in_flight, goal));
    }
    for (len, in_flight, goal) in [(64, 1, 0.97), (64, 16, 0.97), (1024, 16, 0.92)] {
        rows.push(fan_out(len, in_flight, goal));
    }
    rows.push(visits());
    for in_flight in [1, 16] {
        rows.push(json_fan_out(in_flight));
    }
    for in_flight in [1, 16] {
        rows.push(json_direct(in_flight));
    }
    rows.extend(two_loops());
    #[cfg(feature = "tls")]
    rows.extend(encrypted());
    rows
}

/// The rows of memory.
pub(crate) const IDLE_ROWS: [IdleRow; 3] = [
    IdleRow {
        name: "`/echo`",
        goal: 200,
        enter: enter_echo,
        contenders: &[Switchboard(1), Bun, FastWebSockets, TokioTungstenite],
    },
    IdleRow {
        name: "`/relay`, member of a group",
        goal: 400,
        enter: enter_relay,
        contenders: &[Switchboard(1), Bun],
    },
    IdleRow {
        name: "`/ws`, member of a group",
        goal: 600,
        enter: enter_json_group,
        contenders: &[Switchboard(1)],
    },
];

/// Receivers of a fan-out.
const RECEIVER_COUNT: usize = 1000;
/// Clients where the issue does not name their number.
const CLIENT_COUNT: usize = 50;

fn echo(clients: usize, len: usize, in_flight: usize, goal: f64) -> Row {
    let scene = |enter| plain(Flow::Echo, clients, len, in_flight, enter);
    let peers = [Bun, FastWebSockets, TokioTungstenite];
    Row {
        name: format!("echo {} × {in_flight}, {clients} clients", size(len)),
        goal,
        entries: [(Raw(RawWork::Echo), raw(scene(enter_raw)))]
            .into_iter()
            .chain([(Switchboard(1), scene(enter_echo))])
            .chain(peers.map(|peer| (peer, scene(enter_echo))))
            .map(messages)
            .collect(),
    }
}

fn fan_out(len: usize, in_flight: usize, goal: f64) -> Row {
    let scene = |enter| plain(Flow::FanOut, RECEIVER_COUNT + 1, len, in_flight, enter);
    Row {
        name: format!(
            "fan-out {} × {in_flight}, {RECEIVER_COUNT} receivers",
            size(len)
        ),
        goal,
        entries: [
            (Raw(RawWork::FanOut), raw(scene(enter_raw))),
            (Switchboard(1), scene(enter_relay)),
            (Bun, scene(enter_relay)),
        ]
        .map(messages)
        .into(),
    }
}

fn visits() -> Row {
    let contenders = [
        Raw(RawWork::Visit),
        Switchboard(1),
        Bun,
        FastWebSockets,
        TokioTungstenite,
    ];
    let entries = contenders.map(|contender| Entry {
        contender,
        work: Work::Visits("/echo"),
    });
    Row {
        name: "connect, upgrade, close".into(),
        goal: 0.95,
        entries: entries.into(),
    }
}

fn json_fan_out(in_flight: usize) -> Row {
    let plain = plain(Flow::FanOut, RECEIVER_COUNT + 1, 64, in_flight, enter_relay);
    let json = Scene {
        sent: Template::from_client(&json(
            [Piece::Text(
                r#"{"type":"sendToGroup","group":"room","noEcho":true,"dataType":"text","data":""#,
            )],
            [Piece::Text(r#""}"#)],
        )),
        expected: Template::from_server(&json(
            [Piece::Text(
                r#"{"type":"message","from":"group","group":"room","dataType":"text","data":""#,
            )],
            [Piece::Text(r#""}"#)],
        )),
        enter: enter_json_group,
        ..plain
    };
    Row {
        name: format!("JSON fan-out 64 B × {in_flight}, {RECEIVER_COUNT} receivers ÷ `/relay`"),
        goal: 0.95,
        entries: [(Switchboard(1), plain), (Switchboard(1), json)]
            .map(messages)
            .into(),
    }
}

fn json_direct(in_flight: usize) -> Row {
    let plain = plain(Flow::Echo, CLIENT_COUNT, 64, in_flight, enter_echo);
    let json = Scene {
        flow: Flow::Pairs,
        sent: Template::from_client(&json(
            [
                Piece::Text(r#"{"type":"sendToGroup","group":"@user/"#),
                Piece::Receiver,
                Piece::Text(r#"","dataType":"text","data":""#),
            ],
            [Piece::Text(r#""}"#)],
        )),
        expected: Template::from_server(&json(
            [
                Piece::Text(r#"{"type":"message","from":"group","group":"@user/"#),
                Piece::Receiver,
                Piece::Text(r#"","dataType":"text","data":""#),
            ],
            [
                Piece::Text(r#"","fromUserId":""#),
                Piece::Sender,
                Piece::Text(r#""}"#),
            ],
        )),
        enter: enter_json_user,
        ..plain
    };
    Row {
        name: format!("JSON direct 64 B × {in_flight}, {CLIENT_COUNT} clients ÷ `/echo`"),
        goal: 0.80,
        entries: [(Switchboard(1), plain), (Switchboard(1), json)]
            .map(messages)
            .into(),
    }
}

fn two_loops() -> [Row; 2] {
    let echo = plain(Flow::Echo, 500, 20, 16, enter_echo);
    let fan_out = plain(Flow::FanOut, RECEIVER_COUNT + 1, 64, 16, enter_relay);
    [
        ("echo 20 B × 16, 500 clients", echo),
        ("fan-out 64 B × 16, 1000 receivers", fan_out),
    ]
    .map(|(name, scene)| Row {
        name: format!("two loops ÷ one: {name}"),
        goal: 1.0 / 1.1,
        entries: [(Switchboard(1), scene.clone()), (Switchboard(2), scene)]
            .map(messages)
            .into(),
    })
}

#[cfg(feature = "tls")]
fn encrypted() -> [Row; 5] {
    let echo = |len, in_flight| plain(Flow::Echo, CLIENT_COUNT, len, in_flight, enter_echo);
    let fan_out = |len| plain(Flow::FanOut, RECEIVER_COUNT + 1, len, 16, enter_relay);
    [
        ("echo 20 B × 1, 50 clients", 0.6, echo(20, 1)),
        ("echo 20 B × 16, 50 clients", 0.6, echo(20, 16)),
        ("echo 64 KiB × 1, 50 clients", 0.3, echo(65_536, 1)),
        ("fan-out 64 B × 16, 1000 receivers", 0.5, fan_out(64)),
        ("fan-out 1 KiB × 16, 1000 receivers", 0.3, fan_out(1024)),
    ]
    .map(|(name, goal, scene)| Row {
        name: format!("encrypted ÷ plain: {name}"),
        goal,
        entries: [
            (Switchboard(1), scene.clone()),
            (Contender::Encrypted(1), scene),
        ]
        .map(messages)
        .into(),
    })
}

fn messages((contender, scene): (Contender, Scene)) -> Entry {
    Entry {
        contender,
        work: Work::Messages(Box::new(scene)),
    }
}

/// Messages without an envelope.
fn plain(
    flow: Flow,
    client_count: usize,
    len: usize,
    in_flight: usize,
    enter: fn(&mut Entrance, usize),
) -> Scene {
    Scene {
        flow,
        client_count,
        in_flight,
        sent: Template::from_client(&numbered(len)),
        expected: Template::from_server(&numbered(len)),
        enter,
    }
}

/// The same for the yardstick, from which the bytes come back as they were sent.
fn raw(scene: Scene) -> Scene {
    Scene {
        expected: scene.sent.clone(),
        ..scene
    }
}

/// A payload of 64 bytes in an envelope.
fn json<const N: usize, const M: usize>(head: [Piece; N], tail: [Piece; M]) -> Vec<Piece> {
    head.into_iter().chain(numbered(64)).chain(tail).collect()
}

fn size(len: usize) -> String {
    match len {
        1024.. => format!("{} KiB", len / 1024),
        _ => format!("{len} B"),
    }
}

fn enter_raw(_: &mut Entrance, _: usize) {}

fn enter_echo(entrance: &mut Entrance, _: usize) {
    entrance.upgrade("/echo");
}

fn enter_relay(entrance: &mut Entrance, _: usize) {
    entrance.upgrade("/relay/room");
}

fn enter_json_group(entrance: &mut Entrance, _: usize) {
    entrance.upgrade("/ws");
    entrance.expect("connected");
    entrance.send(r#"{"type":"joinGroup","group":"room","ackId":1}"#);
    entrance.expect(r#""success":true"#);
}

fn enter_json_user(entrance: &mut Entrance, client: usize) {
    entrance.upgrade(&format!("/ws?userId={client:05}"));
    entrance.expect("connected");
}
