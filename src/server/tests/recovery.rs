//! Sessions that go on with another socket.

use std::io::ErrorKind;
use std::time::Duration;

use super::received::Received;
use super::rig::{Rig, get, upgrade};
use super::text;
use super::wire::Wire;
use crate::config::Config;
#[cfg(feature = "deflate")]
use crate::proto::{Deflate, Deflater, OpCode, WindowBits};

#[test]
fn ht_05_a_recovery_pipelined_behind_an_unwritten_response_does_not_take_its_socket() {
    for room in [0, 10, usize::MAX] {
        // Both requests are in one read, so that the first one is not answered when the second one is judged.
        let mut rig = Rig::new(Config::default());
        rig.connect_healthy(&upgrade("/recoverable"));
        rig.settle();
        let request = upgrade(&rig.recovery_path());
        let peer = rig.connect(Wire {
            incoming: [get("/"), request].concat().into(),
            room,
            ..Wire::default()
        });
        rig.settle();
        rig.wires[peer].borrow_mut().make_room(10_000);
        rig.settle();
        let received = Received::parse(&rig.taken(peer));
        assert_eq!(
            (&received.statuses[..], received.rest_len),
            (&[200, 503][..], 0)
        );
        rig.pass_until_empty(Duration::from_secs(80));
        rig.assert_clean();
    }
}

#[test]
fn ms_11_a_recovered_session_goes_on_with_the_new_socket() {
    let mut rig = Rig::small();
    let first = rig.connect_healthy(&upgrade("/recoverable"));
    rig.settle();
    rig.wires[first]
        .borrow_mut()
        .reset(ErrorKind::ConnectionReset);
    rig.settle();
    let sender = rig.connect_healthy(&upgrade("/room"));
    rig.settle();
    rig.wires[sender].borrow_mut().send(&text("*missed"));
    rig.settle();
    let path = format!("/recover?session={}", rig.opened(0));
    let second = rig.connect_healthy(&upgrade(&path));
    rig.settle();
    let received = Received::parse(&rig.taken(second));
    assert!(received.messages().eq(["<1>missed"]), "{received:?}");
    rig.pass_until_empty(Duration::from_secs(80));
    rig.assert_clean();
}

#[test]
fn ms_11_of_two_sockets_that_recover_a_session_at_once_neither_gets_a_message_twice() {
    let mut rig = Rig::new(Config::default());
    let first = rig.connect_healthy(&upgrade("/recoverable"));
    rig.settle();
    rig.wires[first]
        .borrow_mut()
        .reset(ErrorKind::ConnectionReset);
    let sender = rig.connect_healthy(&upgrade("/room"));
    rig.settle();
    rig.wires[sender].borrow_mut().send(&text("*missed"));
    rig.settle();
    // They take turns on the loops, so that both ways to the session are gone twice.
    let path = format!("/recover?session={}", rig.opened(0));
    let sockets: Vec<_> = (0..4)
        .map(|_| rig.connect_healthy(&upgrade(&path)))
        .collect();
    rig.settle();
    for &socket in &sockets {
        let received = Received::parse(&rig.taken(socket));
        assert_eq!(received.statuses, [101]);
        assert!(received.messages().count() <= 1, "{received:?}");
    }
    let live = |&&socket: &&usize| !rig.wires[socket].borrow().is_dropped;
    let last = *sockets.iter().find(live).expect("the session goes on");
    let received = Received::parse(&rig.taken(last));
    assert!(received.messages().eq(["<1>missed"]), "{received:?}");
    rig.pass_until_empty(Duration::from_secs(80));
    rig.assert_clean();
}

#[test]
#[cfg(feature = "deflate")]
fn ms_11_what_is_left_of_a_compressed_stream_does_not_reach_the_next_socket() {
    let mut rig = Rig::new(Config {
        read_budget_bytes: 400,
        ..Config::default()
    });
    let offering = |path: &str| {
        let offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        let request = upgrade(path);
        [request.strip_suffix(b"\r\n").unwrap(), offer].concat()
    };
    let first = rig.connect_healthy(&offering("/recoverable"));
    rig.settle();
    // All of them come in one read, and each says more than what is to be dealt with in a turn. The last one is cut.
    let message = compressed("a".repeat(500).as_bytes());
    let messages = message.repeat(10);
    assert!(messages.len() < 400);
    rig.wires[first]
        .borrow_mut()
        .send(&messages[..messages.len() - 3]);
    rig.turn(0, &[]);
    let path = format!("/recover?session={}", rig.opened(0));
    let second = rig.connect_healthy(&offering(&path));
    rig.settle();
    assert!(rig.wires[first].borrow().is_dropped);
    rig.wires[second].borrow_mut().send(&text("*fine"));
    rig.settle();
    let received = Received::parse(&rig.taken(second));
    let last = received.messages().last().expect("a message");
    assert!(
        last.ends_with(">fine"),
        "{last}, {:?}",
        received.close_codes()
    );
    rig.pass_until_empty(Duration::from_secs(80));
    rig.assert_clean();
}

/// A text message of a client in one compressed frame.
#[cfg(feature = "deflate")]
fn compressed(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let deflate = Deflate {
        own_window: WindowBits::MAX,
        peer_keeps_context: false,
    };
    let mut deflater = Deflater::default();
    assert!(deflater.deflate(deflate, OpCode::Text, payload, Some([1, 2, 3, 4]), &mut out));
    out
}
