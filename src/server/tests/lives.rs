//! Random lives of several connections: whatever their sockets do and polls say, each ends once, leaves nothing behind,
//! and its peer gets whole frames in order.

use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::ends::BREAKS;
use super::lies::lies_of;
use super::received::Received;
use super::rig::{Rig, Script, get, upgrade};
use super::wire::{Fault, Wire};
use super::{frame, text};
use crate::proto::OpCode;

/// What a peer wants, and how its socket behaves.
#[derive(Clone, Debug)]
struct Life {
    errand: Errand,
    message_count: usize,
    ending: Ending,
    faults: Vec<Fault>,
    room: usize,
}

#[derive(Clone, Copy, Debug)]
enum Errand {
    Echo,
    Room,
    Recoverable,
    Recover,
    /// Behind a request that is answered at once.
    LateRecover,
    LateEcho,
    Later,
    Never,
    Garbage,
}

/// What stands at the end of what a peer sends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Nothing,
    Close,
    Bye,
    Violation,
    HalfMessage,
}

#[derive(Clone, Debug)]
enum Step {
    Connect(Life),
    FailToAccept(i32),
    /// These peers are one of those that are there, by their numbers modulo their count.
    Send(usize, usize),
    End(usize),
    Reset(usize, ErrorKind),
    Room(usize, usize),
    /// A turn with the events of some peers late, and lies about these.
    Turn(u32, Vec<usize>),
    Pass(u64),
    Drain,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        8 => Just(Fault::Nothing),
        6 => (1_usize..60).prop_map(Fault::Short),
        3 => Just(Fault::Interrupted),
        3 => Just(Fault::WouldBlock),
        1 => Just(Fault::Zero),
        1 => prop::sample::select(&BREAKS[..]).prop_map(Fault::Broken),
    ]
}

fn life() -> impl Strategy<Value = Life> {
    use Errand::{Echo, Garbage, LateEcho, LateRecover, Later, Never, Recover, Recoverable, Room};
    let errands = [
        Echo,
        Room,
        Recoverable,
        Recover,
        LateRecover,
        LateEcho,
        Later,
        Never,
        Garbage,
    ];
    use Ending::{Bye, Close, HalfMessage, Nothing, Violation};
    let endings = [Nothing, Nothing, Close, Bye, Violation, HalfMessage];
    let room = prop_oneof![Just(0), 1_usize..400, Just(usize::MAX)];
    (
        prop::sample::select(errands.to_vec()),
        0_usize..6,
        prop::sample::select(endings.to_vec()),
        vec(fault(), 0..25),
        room,
    )
        .prop_map(|(errand, message_count, ending, faults, room)| Life {
            errand,
            message_count,
            ending,
            faults,
            room,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let peer = || 0_usize..100;
    prop_oneof![
        4 => life().prop_map(Step::Connect),
        1 => prop::sample::select(&[4, 24, 23, 103, 110][..]).prop_map(Step::FailToAccept),
        12 => (peer(), 1_usize..300).prop_map(|(peer, len)| Step::Send(peer, len)),
        1 => peer().prop_map(Step::End),
        1 => (peer(), prop::sample::select(&BREAKS[..])).prop_map(|(peer, kind)| Step::Reset(peer, kind)),
        4 => (peer(), 1_usize..300).prop_map(|(peer, len)| Step::Room(peer, len)),
        12 => (any::<u32>(), vec(peer(), 0..4)).prop_map(|(late, lies)| Step::Turn(late, lies)),
        2 => prop_oneof![1_u64..3000, 1_u64..40_000, Just(100_000_000)].prop_map(Step::Pass),
        1 => prop::bool::weighted(0.1).prop_map(|drains| if drains { Step::Drain } else { Step::Pass(1) }),
    ]
}

/// Everything that a peer sends in its life; its messages are `*NUMBER:COUNT`.
fn script(life: &Life, number: usize, recovery_path: &str) -> Script {
    let mut bytes = match life.errand {
        Errand::Echo => upgrade("/echo"),
        Errand::Room => upgrade("/room"),
        Errand::Recoverable => upgrade("/recoverable"),
        Errand::Recover => upgrade(recovery_path),
        Errand::LateRecover => [get("/"), upgrade(recovery_path)].concat(),
        Errand::LateEcho => [get("/"), get("/later"), upgrade("/echo")].concat(),
        Errand::Later => [get("/later"), get("/later"), get("/")].concat(),
        Errand::Never => [get("/never"), upgrade("/room")].concat(),
        Errand::Garbage => b"HELO there\r\n\r\n".to_vec(),
    };
    for count in 0..life.message_count {
        bytes.extend(text(&format!("*{number}:{count}")));
        if count % 3 == 1 {
            bytes.extend(frame(OpCode::Ping, b"?"));
        }
    }
    bytes.extend(match life.ending {
        Ending::Nothing => Vec::new(),
        Ending::Close => frame(OpCode::Close, &1000_u16.to_be_bytes()),
        Ending::Bye => text("bye"),
        Ending::Violation => b"\x81\x01?".to_vec(),
        Ending::HalfMessage => text("half")[..8].to_vec(),
    });
    bytes.into()
}

/// The peers of a rig, with what they are still going to send.
struct Peers {
    rig: Rig,
    lives: Vec<Life>,
    scripts: Vec<Script>,
}

impl Peers {
    fn new() -> Self {
        Self {
            rig: Rig::small(),
            lives: Vec::new(),
            scripts: Vec::new(),
        }
    }

    fn take(&mut self, step: Step) {
        let count = self.lives.len();
        match step {
            Step::Connect(life) => self.connect(life),
            Step::FailToAccept(code) => {
                self.rig.fail_to_accept(Error::from_raw_os_error(code));
            }
            Step::Turn(late, lies) => {
                let tokens = &self.rig.known_tokens;
                let lies = lies
                    .iter()
                    .filter_map(|it| tokens.get(it % tokens.len().max(1)));
                let lies: Vec<_> = lies.flat_map(|&token| lies_of(token)).collect();
                self.rig.turn(late, &lies);
            }
            Step::Pass(millis) => self.rig.now = self.rig.now + Duration::from_millis(millis),
            Step::Drain => self.rig.drain(),
            _ if count == 0 => {}
            Step::Send(peer, len) => self.send(peer % count, len),
            Step::End(peer) => self.rig.wires[peer % count].borrow_mut().end(),
            Step::Reset(peer, kind) => self.rig.wires[peer % count].borrow_mut().reset(kind),
            Step::Room(peer, len) => self.rig.wires[peer % count].borrow_mut().make_room(len),
        }
    }

    fn connect(&mut self, life: Life) {
        let path = self.rig.recovery_path();
        self.scripts.push(script(&life, self.lives.len(), &path));
        self.rig.connect(Wire {
            room: life.room,
            faults: life.faults.iter().copied().collect(),
            ..Wire::default()
        });
        self.lives.push(life);
    }

    fn send(&mut self, peer: usize, len: usize) {
        let script = &mut self.scripts[peer];
        let bytes: Vec<_> = script.drain(..len.min(script.len())).collect();
        self.rig.wires[peer].borrow_mut().send(&bytes);
    }

    /// All peers say what they have to say, and get all the room and as many turns as that takes.
    fn finish(&mut self) {
        for peer in 0..self.lives.len() {
            self.send(peer, usize::MAX);
            let mut wire = self.rig.wires[peer].borrow_mut();
            wire.faults.clear();
            wire.make_room(usize::MAX);
        }
        self.rig.settle();
    }

    /// What each peer got makes sense, and those who are well have got all that they are owed.
    fn assert_received(&self) {
        for (number, life) in self.lives.iter().enumerate() {
            let received = Received::parse(&self.rig.taken(number));
            let wire = self.rig.wires[number].borrow();
            assert_in_order(&received);
            let close_at = received.frames.iter().position(|(opcode, _)| *opcode == 8);
            assert!(
                close_at.is_none_or(|at| at + 1 == received.frames.len()),
                "{received:?}"
            );
            if wire.is_finished {
                assert_eq!(received.rest_len, 0, "{received:?}");
                let was_open = received.statuses.last() == Some(&101);
                assert_eq!(close_at.is_some(), was_open, "{life:?} {received:?}");
            }
            let is_echo = matches!(life.errand, Errand::Echo | Errand::LateEcho);
            let is_open = received.statuses.last() == Some(&101) && !wire.is_dropped;
            if is_echo && is_open && close_at.is_none() {
                let own = format!("*{number}:");
                let echoes = received
                    .messages()
                    .filter(|message| message.starts_with(&own));
                assert_eq!(echoes.count(), life.message_count, "{life:?} {received:?}");
            }
        }
    }
}

/// The messages of each sender come in order and once, and so do the numbers of a recoverable session.
fn assert_in_order(received: &Received) {
    let mut last = HashMap::new();
    for message in received.messages() {
        let (number, message) = match message.strip_prefix('<') {
            Some(rest) => rest.split_once('>').expect("a number"),
            None => ("", message),
        };
        let Some((sender, count)) = message.trim_start_matches('*').split_once(':') else {
            panic!("{message:?} was never sent");
        };
        let count: i64 = count.parse().unwrap();
        let before = last.insert(sender.to_owned(), count);
        assert!(before.is_none_or(|before| before < count), "{received:?}");
        if let Ok(number) = number.parse::<i64>() {
            let before = last.insert("its number".to_owned(), number);
            assert!(
                before.is_none_or(|before| before + 1 == number),
                "{received:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn hs_19_cl_09_every_life_ends_once_and_leaves_nothing_behind(steps in vec(step(), 0..80)) {
        let mut peers = Peers::new();
        for step in steps {
            peers.take(step);
        }
        peers.finish();
        peers.assert_received();
        // From here on they are silent, but for what sockets do by themselves.
        peers.rig.pass_until_empty(Duration::from_secs(120));
        peers.assert_received();
        peers.rig.assert_clean();
    }

    #[test]
    fn rs_04_a_loop_that_ends_in_the_middle_of_everything_releases_everybody(steps in vec(step(), 0..60)) {
        let mut peers = Peers::new();
        for step in steps {
            peers.take(step);
        }
        peers.rig.turn(0, &[]);
        peers.rig.end();
        peers.rig.assert_pairs(0);
        peers.rig.assert_balance();
    }
}

/// How many random lives to try: `FAULT_CASES` of them for a long run.
fn cases() -> u32 {
    let asked_for = std::env::var("FAULT_CASES").ok();
    asked_for
        .and_then(|count| count.parse().ok())
        .unwrap_or(100)
}
