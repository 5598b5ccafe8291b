//! Sessions that outlive their sockets, over real sockets and several loops, with a small application of their own.

mod in_process;
mod peer;

use std::time::Duration;

use in_process::{InProcess, answer};
use peer::{Frame, Peer, opcode};
use proptest::prelude::*;
use switchboard::config::Config;
use switchboard::delivery::{Delivery, GroupName, Numbering, Recipients, RecoveryToken, SessionId};
use switchboard::handler::{Answer, Arrival, Handler, Outgoing, Recover, Upgrade};
use switchboard::http::Request;
use switchboard::proto::{CloseCode, Message, OpCode};

/// Says its session id first; sends every message to everyone, numbered as `<N>` in place of the first byte.
///
/// `ack N` acknowledges, `bye` has the server close.
#[derive(Clone)]
struct Room;

const TOKEN: RecoveryToken = RecoveryToken([9; 16]);
const NUMBERING: Numbering = Numbering {
    before: "<",
    after: ">",
    replaced_len: 1,
};

fn everyone() -> GroupName {
    GroupName::new("test", "all")
}

impl Handler for Room {
    type Peer = ();
    type Note = ();

    fn on_request(
        &mut self,
        request: &Request<'_>,
        arrival: Arrival,
        _out: &mut Outgoing<'_>,
    ) -> Answer<()> {
        let upgrade = match answer(request) {
            Answer::Upgrade(upgrade) => upgrade,
            other => return other,
        };
        let value = |name| {
            request
                .query_value(name)
                .and_then(|value| value.parse().ok())
        };
        match value("session") {
            None => Answer::Upgrade(Upgrade {
                recovery: (request.path() == "/recoverable").then_some((NUMBERING, TOKEN)),
                ..upgrade
            }),
            Some(bits) => Answer::Recover(Recover {
                handshake: upgrade.handshake,
                session: SessionId::from_bits(bits),
                token: RecoveryToken(
                    [value("token").map_or(0, |token| token.to_be_bytes()[7]); 16],
                ),
                client: arrival.client,
                refusal: (CloseCode::POLICY_VIOLATION, "NotFound"),
            }),
        }
    }

    fn on_open(&mut self, _peer: &mut (), out: &mut Outgoing<'_>) {
        out.join(everyone());
        let id = out.session().to_bits().to_string();
        out.reply(OpCode::Text, &[id.as_bytes()]);
    }

    fn on_recovered(&mut self, _peer: &mut (), out: &mut Outgoing<'_>) {
        out.reply(OpCode::Text, &[b"recovered"]);
        out.replay();
    }

    fn on_message(&mut self, _peer: &mut (), message: Message<'_>, out: &mut Outgoing<'_>) {
        let Message::Text(text) = message else { return };
        let text = text.as_str();
        if let Some(number) = text.strip_prefix("ack ") {
            out.acknowledge(number.parse().unwrap());
        } else if text == "bye" {
            out.close(CloseCode::NORMAL, "bye");
        } else {
            let parts: [&[u8]; 2] = [b"*", text.as_bytes()];
            let everyone = Delivery::to(Recipients::Group(everyone()));
            out.deliver(everyone, OpCode::Text, &parts, None);
        }
    }
}

/// A server with the room that runs until it is dropped.
struct Running(InProcess);

impl Running {
    fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self(InProcess::start(&Room, |config| {
            config.loop_count = 3;
            change(config);
        }))
    }

    fn start() -> Self {
        Self::with(|_| {})
    }

    /// A recoverable client, and its session.
    fn client(&self) -> (Peer, String) {
        let mut peer = Peer::connect(self.0.addr(), "/recoverable");
        let session = text(&peer.next_message());
        (peer, session)
    }

    /// A client that says things to everyone.
    fn speaker(&self) -> Peer {
        let mut peer = Peer::connect(self.0.addr(), "/plain");
        peer.next_message();
        peer
    }

    fn recover(&self, session: &str, token: u8) -> Peer {
        Peer::connect(
            self.0.addr(),
            &format!("/recoverable?session={session}&token={token}"),
        )
    }
}

fn text(frame: &Frame) -> String {
    String::from_utf8(frame.payload.clone()).unwrap()
}

/// Has `speaker` say `words`, and waits until all of it was delivered to itself, so to everyone on its loop.
fn say(speaker: &mut Peer, words: &[&str]) {
    for word in words {
        speaker.send_text(word);
    }
    for word in words {
        speaker.expect_text(&format!("*{word}"));
    }
}

#[test]
fn ms_11_what_was_sent_meanwhile_comes_once_and_in_order_on_whichever_loop_the_socket_lands() {
    let server = Running::start();
    let mut speaker = server.speaker();
    let (mut peer, session) = server.client();
    say(&mut speaker, &["a", "b"]);
    peer.expect_text("<1>a");
    peer.expect_text("<2>b");
    peer.send_text("ack 1");
    // Three loops take connections in turn, so four recoveries land on each of them.
    let mut next = 3;
    for round in 0..4 {
        drop(peer);
        let word = format!("while away {round}");
        say(&mut speaker, &[&word]);
        peer = server.recover(&session, 9);
        peer.expect_text("recovered");
        if round == 0 {
            peer.expect_text("<2>b");
        }
        peer.expect_text(&format!("<{next}>{word}"));
        say(&mut speaker, &["live"]);
        peer.expect_text(&format!("<{}>live", next + 1));
        peer.send_text(&format!("ack {}", next + 1));
        next += 2;
    }
}

#[test]
fn ms_11_a_half_open_twin_is_replaced_and_silenced() {
    let server = Running::start();
    let mut speaker = server.speaker();
    let (mut old, session) = server.client();
    let mut new = server.recover(&session, 9);
    new.expect_text("recovered");
    say(&mut speaker, &["only to the new one"]);
    new.expect_text("<1>only to the new one");
    old.expect_end();
}

#[test]
fn ms_11_what_cannot_be_recovered_is_said_so_with_1008_and_nothing_before_it() {
    let server = Running::start();
    let (peer, session) = server.client();
    let (_stays, plain) = {
        let mut plain = Peer::connect(server.0.addr(), "/plain");
        let id = text(&plain.next_message());
        (plain, id)
    };
    for (session, token) in [
        (&*session, 8),
        (&plain, 9),
        ("0", 9),
        ("18446744073709551615", 9),
    ] {
        let mut refused = server.recover(session, token);
        assert_eq!(refused.expect_close(1008), "NotFound", "{session} {token}");
        refused.send_close(1008, "");
        refused.expect_eof();
    }
    drop(peer);
    let mut recovered = server.recover(&session, 9);
    recovered.expect_text("recovered");
}

#[test]
fn ms_11_a_closed_session_is_not_recovered() {
    let server = Running::start();
    for by_peer in [true, false] {
        let (mut peer, session) = server.client();
        if by_peer {
            peer.send_close(1000, "");
            peer.expect_close(1000);
        } else {
            peer.send_text("bye");
            peer.expect_close(1000);
            peer.send_close(1000, "");
        }
        peer.expect_eof();
        server.recover(&session, 9).expect_close(1008);
    }
}

#[test]
fn ms_11_a_session_is_kept_for_the_recovery_time_and_not_longer() {
    let server = Running::with(|config| config.recovery_timeout = Duration::from_millis(100));
    let (peer, session) = server.client();
    drop(peer);
    // The end is a condition to wait for: each attempt is refused from some moment on, and none keeps the session.
    let give_up = std::time::Instant::now() + Duration::from_secs(10);
    let mut attempt = server.recover(&session, 9);
    while text_or_close(&mut attempt).is_some() {
        assert!(std::time::Instant::now() < give_up, "the session stays");
        drop(attempt);
        // The time has to pass without a socket.
        std::thread::sleep(Duration::from_millis(150));
        attempt = server.recover(&session, 9);
    }
}

fn text_or_close(peer: &mut Peer) -> Option<String> {
    let frame = peer.next_frame();
    (frame.opcode == opcode::TEXT).then(|| text(&frame))
}

#[test]
fn ms_11_too_much_unacknowledged_ends_the_session_with_1008() {
    let server = Running::with(|config| config.replay.bytes_max = 1000);
    let mut speaker = server.speaker();
    let (mut peer, session) = server.client();
    let word = "x".repeat(300);
    for _ in 0..3 {
        say(&mut speaker, &[&word]);
        peer.next_message();
    }
    say(&mut speaker, &[&word]);
    assert_eq!(peer.drain_to_close(), Some(1008));
    peer.send_close(1008, "");
    server.recover(&session, 9).expect_close(1008);
}

#[test]
fn an_acknowledgement_of_what_was_not_sent_closes_with_1007() {
    let server = Running::start();
    let (mut peer, _) = server.client();
    peer.send_text("ack 1");
    peer.expect_close(1007);
}

#[test]
fn ms_11_two_thousand_messages_in_a_burst_are_neither_lost_nor_doubled() {
    let server = Running::start();
    let mut speaker = server.speaker();
    let (mut peer, session) = server.client();
    let words: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    say(&mut speaker, &words[..1500]);
    for (number, word) in (1..=700).zip(&words) {
        peer.expect_text(&format!("<{number}>{word}"));
    }
    drop(peer);
    say(&mut speaker, &words[1500..]);
    let mut peer = server.recover(&session, 9);
    peer.expect_text("recovered");
    for (number, word) in (1..).zip(&words) {
        peer.expect_text(&format!("<{number}>{word}"));
    }
    peer.send_text("ack 2000");
    peer.send_text("last");
    peer.expect_text("<2001>last");
}

#[test]
fn ms_11_recoveries_in_the_middle_of_a_stream_lose_and_double_nothing() {
    const MESSAGES: usize = 20_000;
    // One loop, so that recoveries and deliveries happen in the same turns.
    let server = Running::with(|config| config.loop_count = 1);
    let mut speaker = server.speaker();
    let (mut peer, session) = server.client();
    let mut had = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..MESSAGES).for_each(|number| speaker.send_text(&number.to_string())));
        while had.len() < MESSAGES {
            let target = (had.len() + 97).min(MESSAGES);
            read_all(&mut peer, target, &mut had);
            peer.send_text(&format!("ack {}", had.len()));
            drop(peer);
            peer = server.recover(&session, 9);
            peer.expect_text("recovered");
        }
    });
    assert!(
        had.iter()
            .enumerate()
            .all(|(number, word)| *word == number.to_string())
    );
}

#[derive(Clone, Debug)]
enum Step {
    Say(usize),
    Drop,
    Recover,
    Acknowledge,
    Read,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..20).prop_map(Step::Say),
        1 => Just(Step::Drop),
        2 => Just(Step::Recover),
        1 => Just(Step::Acknowledge),
        2 => Just(Step::Read),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A list of everything that was said is the model: after any drops and recoveries, the client has all of it once.
    #[test]
    fn ms_11_random_drops_and_recoveries_lose_and_double_nothing(steps in proptest::collection::vec(any_step(), 1..25)) {
        let server = Running::start();
        let mut speaker = server.speaker();
        let (first, session) = server.client();
        let mut peer = Some(first);
        let mut said = Vec::new();
        let mut had: Vec<String> = Vec::new();
        for step in steps.into_iter().chain([Step::Recover]) {
            match step {
                // Nobody waits for it, so that what follows happens while it is under way.
                Step::Say(count) => for _ in 0..count {
                    let word = said.len().to_string();
                    speaker.send_text(&word);
                    said.push(word);
                },
                Step::Drop => peer = None,
                Step::Recover => {
                    let mut new = server.recover(&session, 9);
                    new.expect_text("recovered");
                    peer = Some(new);
                }
                Step::Acknowledge => if let Some(peer) = &mut peer && !had.is_empty() {
                    peer.send_text(&format!("ack {}", had.len()));
                },
                Step::Read => if let Some(peer) = &mut peer {
                    read_all(peer, said.len(), &mut had);
                },
            }
        }
        let mut peer = peer.expect("the last step recovers");
        read_all(&mut peer, said.len(), &mut had);
        prop_assert_eq!(had, said);
    }
}

/// Reads until the client has the message with the number `last`; forgets what it has already, as clients do.
fn read_all(peer: &mut Peer, last: usize, had: &mut Vec<String>) {
    while had.len() < last {
        let message = text(&peer.next_message());
        let (number, word) = message.trim_start_matches('<').split_once('>').unwrap();
        let number: usize = number.parse().unwrap();
        assert!(number <= had.len() + 1, "a gap before {number}");
        if number == had.len() + 1 {
            had.push(word.to_owned());
        }
    }
}
