//! The client of hubs against our server, over connections that are cut and servers that restart.

mod server_process;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use server_process::ServerProcess;
use switchboard::client::hub::{
    HubClient, HubConfig, HubError, HubEvent, HubMessage, Payload, Presence, Request, RequestError,
};
use switchboard::proto::CloseCode;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(10);

fn config() -> HubConfig {
    let mut config = HubConfig::default();
    config.retry_wait_first = Duration::from_millis(20);
    config
}

fn connect(addr: SocketAddr, user: &str) -> HubClient {
    HubClient::connect(&format!("ws://{addr}/ws?userId={user}"), config()).unwrap()
}

/// The next event that `choose` wants.
fn next<T>(hub: &mut HubClient, mut choose: impl FnMut(HubEvent) -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        let event = hub.next_event(Some(DEADLINE)).unwrap();
        if let Some(chosen) = choose(event.expect("an event in time")) {
            return chosen;
        }
    }
    panic!("it does not come");
}

fn next_message(hub: &mut HubClient) -> HubMessage {
    next(hub, |event| match event {
        HubEvent::Message(message) => Some(message),
        _ => None,
    })
}

/// Whether the next connection is recovered.
fn next_connected(hub: &mut HubClient) -> bool {
    next(hub, |event| match event {
        HubEvent::Connected { is_recovered, .. } => Some(is_recovered),
        _ => None,
    })
}

fn send(group: &str, payload: Payload) -> Request {
    Request::Send {
        group: group.into(),
        payload,
        no_echo: true,
    }
}

/// A way to a server that can be cut: the ends of every connection through it come out of the receiver.
fn cuttable(to: SocketAddr) -> (SocketAddr, Receiver<[TcpStream; 2]>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (ends_in, ends) = channel();
    thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), TcpStream::connect(to).unwrap());
            for stream in [&near, &far] {
                stream.set_nodelay(true).unwrap();
            }
            for (from, to) in [(&near, &far), (&far, &near)] {
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                thread::spawn(move || pump(from, to));
            }
            if ends_in.send([near, far]).is_err() {
                return;
            }
        }
    });
    (addr, ends)
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..len]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn cut(ends: &Receiver<[TcpStream; 2]>) {
    for end in ends.recv_timeout(DEADLINE).unwrap() {
        let _ = end.shutdown(Shutdown::Both);
    }
}

#[test]
fn three_clients_share_messages_with_everyone_a_room_and_one_of_them() {
    let server = ServerProcess::start(&[]);
    let [mut alice, mut bob, mut carol] =
        ["alice", "bob", "carol"].map(|user| connect(server.addr(), user));
    alice.join("room").unwrap();
    bob.join("room").unwrap();

    let delivered = alice.send_text("room", "to the room").unwrap();
    assert_eq!(
        (delivered.recipients, delivered.dropped),
        (Some(1), Some(0))
    );
    let message = next_message(&mut bob);
    assert_eq!(message.payload, Payload::Text("to the room".into()));
    assert_eq!(message.from_user.as_deref(), Some("alice"));

    alice
        .ask(send("@all", Payload::Json("{\"to\": \"all\"}".into())))
        .unwrap();
    for hub in [&mut bob, &mut carol] {
        assert_eq!(
            next_message(hub).payload,
            Payload::Json("{\"to\": \"all\"}".into())
        );
    }
    carol
        .ask(send("@user/alice", Payload::Binary(vec![0, 255])))
        .unwrap();
    assert_eq!(
        next_message(&mut alice).payload,
        Payload::Binary(vec![0, 255])
    );

    bob.leave("room").unwrap();
    assert_eq!(
        alice.send_text("room", "anybody?").unwrap().recipients,
        Some(0)
    );
}

#[test]
fn a_refused_request_says_why() {
    let server = ServerProcess::start(&[]);
    let mut hub = connect(server.addr(), "alice");
    let refused = hub.send_text("@user/nobody", "hello").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "NotFound: nobody is connected under that address"
    );
    let refused = hub.join("@all/of/them").unwrap_err();
    assert!(refused.to_string().starts_with("Forbidden: "), "{refused}");
    let malformed = hub
        .ask(send("room", Payload::Json("{".into())))
        .unwrap_err();
    assert!(matches!(
        malformed,
        HubError::Request(RequestError::NotJson)
    ));
}

#[test]
fn presence_and_history_are_told() {
    let server = ServerProcess::start(&["--history", "room=5"]);
    let mut alice = connect(server.addr(), "alice");
    alice.join("room").unwrap();
    alice.send_text("room", "earlier").unwrap();
    let mut bob = connect(server.addr(), "bob");
    let join = Request::Join {
        group: "room".into(),
        presence: true,
        history: true,
    };
    bob.ask(join).unwrap();
    let (mut presence, mut history) = (None, None);
    while presence.is_none() || history.is_none() {
        match bob.next_event(Some(DEADLINE)).unwrap().expect("an event") {
            HubEvent::Presence(change) => presence = Some(change),
            HubEvent::Message(message) => history = Some(message),
            _ => {}
        }
    }
    let expected = Presence {
        group: "room".into(),
        is_initial: true,
        has_more: false,
        joined: vec!["alice".into(), "bob".into()],
        left: vec![],
    };
    let mut presence = presence.unwrap();
    presence.joined.sort();
    assert_eq!(presence, expected);
    assert!(history.is_some_and(|message| message.is_history));
}

#[test]
fn ms_11_a_cut_connection_goes_on_without_a_gap_and_without_a_repeat() {
    let server = ServerProcess::start(&[]);
    let (addr, ends) = cuttable(server.addr());
    let mut hub = connect(addr, "alice");
    assert!(!next_connected(&mut hub));
    hub.join("room").unwrap();
    let mut sender = connect(server.addr(), "bob");
    let mut expected = 0..;
    for round in 0..3 {
        for number in round * 10..round * 10 + 5 {
            sender.send_text("room", &format!("{number}")).unwrap();
        }
        cut(&ends);
        for number in round * 10 + 5..round * 10 + 10 {
            sender.send_text("room", &format!("{number}")).unwrap();
        }
        let mut connected_count = 0;
        for _ in 0..10 {
            let text = next(&mut hub, |event| match event {
                HubEvent::Message(message) => Some(message.payload.to_string()),
                HubEvent::Connected { is_recovered, .. } => {
                    assert!(is_recovered);
                    connected_count += 1;
                    None
                }
                _ => None,
            });
            assert_eq!(
                Some(text),
                expected.next().map(|number: u32| number.to_string())
            );
        }
        assert_eq!(connected_count, 1);
    }
    assert!(hub.send_text("room", "still there").is_ok());
}

#[test]
fn what_is_asked_while_the_connection_is_lost_is_done_when_it_is_back() {
    let server = ServerProcess::start(&[]);
    let (addr, ends) = cuttable(server.addr());
    let mut hub = connect(addr, "alice");
    let mut bob = connect(server.addr(), "bob");
    cut(&ends);
    next(&mut hub, |event| {
        matches!(event, HubEvent::Lost(..)).then_some(())
    });
    assert_eq!(
        hub.send_text("@user/bob", "after all").unwrap().recipients,
        Some(1)
    );
    assert_eq!(
        next_message(&mut bob).payload,
        Payload::Text("after all".into())
    );
}

#[test]
fn a_restarted_server_is_joined_again_and_the_gap_is_visible() {
    let mut server = ServerProcess::start(&["--drain", "1s"]);
    let addr = server.addr();
    let mut hub = connect(addr, "alice");
    next_connected(&mut hub);
    hub.join("room").unwrap();
    server.signal("TERM");
    assert!(server.wait().success());
    let lost = next(&mut hub, |event| match event {
        HubEvent::Lost(reason, _) => Some(reason),
        _ => None,
    });
    assert!(lost.contains("1001"), "{lost}");
    let _server = ServerProcess::start(&["--listen", &addr.to_string()]);
    assert!(
        !next_connected(&mut hub),
        "the new server knows nothing of the old one"
    );
    let rejoined = next(&mut hub, |event| match event {
        HubEvent::Done(answer) => Some(answer),
        _ => None,
    });
    assert!(rejoined.outcome.is_ok());
    let mut bob = connect(addr, "bob");
    assert_eq!(
        bob.send_text("room", "you are back").unwrap().recipients,
        Some(1)
    );
    assert_eq!(
        next_message(&mut hub).payload,
        Payload::Text("you are back".into())
    );
}

#[test]
fn a_server_that_stays_away_is_given_up() {
    let server = ServerProcess::start(&[]);
    let mut config = config();
    config.give_up_after = Duration::from_millis(200);
    let mut hub = HubClient::connect(&format!("ws://{}/ws", server.addr()), config).unwrap();
    let begun = Instant::now();
    drop(server);
    let error = loop {
        match hub.next_event(Some(DEADLINE)) {
            Ok(event) => assert!(event.is_some()),
            Err(error) => break error,
        }
    };
    assert!(
        error.to_string().starts_with("cannot connect to "),
        "{error}"
    );
    assert!(begun.elapsed() < DEADLINE);
    assert_eq!(hub.next_event(None).unwrap(), None);
    assert!(matches!(hub.send_text("room", "x"), Err(HubError::Closed)));
}

#[test]
fn another_thread_asks_and_closes() {
    let server = ServerProcess::start(&[]);
    let mut hub = connect(server.addr(), "alice");
    let sender = hub.sender();
    let thread = thread::spawn(move || {
        sender
            .submit(send("@all", Payload::Text("x".into())))
            .unwrap();
        sender
            .submit(send("room", Payload::Json("{".into())))
            .unwrap();
        sender.close(CloseCode::NORMAL, "").unwrap();
    });
    let mut answers = Vec::new();
    let code = next(&mut hub, |event| match event {
        HubEvent::Done(answer) => {
            answers.push(answer.outcome.is_ok());
            None
        }
        HubEvent::Closed(ending) => Some(ending.code),
        _ => None,
    });
    assert_eq!(code, Some(CloseCode::NORMAL));
    answers.sort_unstable();
    assert_eq!(answers, [false, true]);
    thread.join().unwrap();
}

#[test]
fn who_does_not_speak_the_protocol_is_no_hub() {
    let server = ServerProcess::start(&[]);
    let mut config = config();
    config.client.dial_timeout = Duration::from_millis(200);
    let refused = HubClient::connect(&format!("ws://{}/echo", server.addr()), config);
    assert!(matches!(refused, Err(HubError::NotAHub)));
}
