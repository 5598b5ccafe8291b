//! Descriptors: how many connections there can be, what those beyond the limit get, and what happens when none is left.

mod peer;
mod server_process;

use std::time::{Duration, Instant};

use peer::{Peer, http, upgrade_request};
use server_process::{ServerProcess, run, with_descriptors};

/// What a server with one loop and one address needs for itself: streams, listener, poll, waker, signals.
const OWN_COUNT: usize = 8;

#[test]
fn rs_01_the_limit_of_connections_follows_from_the_descriptors() {
    for (limit, flags, granted) in [
        (100, vec![], 100 - OWN_COUNT - 64),
        (200, vec![], 200 - OWN_COUNT - 64),
        (
            200,
            vec!["--descriptor-reserve", "20"],
            200 - OWN_COUNT - 20,
        ),
        (200, vec!["--max-connections", "50"], 50),
    ] {
        let flags = [&["--threads", "1"], &flags[..]].concat();
        let server = ServerProcess::start_with_descriptors(limit, &flags);
        // The tests may have been started with more of them, which every child inherits.
        assert!(server.descriptor_count() >= OWN_COUNT);
        let line = server.logged("descriptors: limit");
        assert!(line.contains(&format!("limit {limit},")), "{line}");
        assert!(
            line.contains(&format!("limit of connections {granted},")),
            "{line}"
        );
        let _held: Vec<_> = (0..granted)
            .map(|_| Peer::connect(server.addr(), "/echo"))
            .collect();
        assert_eq!(Peer::open(server.addr()).next_response().status, 503);
    }
}

#[test]
fn rs_01_the_soft_limit_is_raised_to_the_hard_one() {
    let preparation = "ulimit -S -n 20; ulimit -H -n 300";
    let server = ServerProcess::start_command(with_descriptors(preparation, &["--threads", "1"]));
    let line = server.logged("descriptors: limit");
    assert!(line.contains("limit 300,"), "{line}");
}

#[test]
fn rs_01_without_a_descriptor_for_connections_the_server_does_not_start() {
    let limit = OWN_COUNT + 64;
    let start = |limit| with_descriptors(&format!("ulimit -n {limit}"), &["--threads", "1"]);
    let ended = run(start(limit));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&(limit + 1).to_string()),
        "{}",
        ended.stderr
    );
    let server = ServerProcess::start_command(start(limit + 1));
    Peer::connect(server.addr(), "/echo").expect_echo();
}

#[test]
fn rs_03_beyond_the_limit_of_connections_a_peer_gets_a_503_before_it_says_anything() {
    let server = ServerProcess::start(&["--max-connections", "2"]);
    let held = [(); 2].map(|()| Peer::connect(server.addr(), "/echo"));
    for request in ["", &upgrade_request(server.addr(), "/echo", "")] {
        let mut refused = Peer::open(server.addr());
        refused.send_raw(request.as_bytes());
        let response = refused.next_response();
        assert_eq!(response.status, 503);
        assert!(
            response.field("retry-after").is_some() && response.closes(),
            "{response:?}"
        );
        // At once, and in good order: not when the time for a handshake is over, and not by a reset.
        refused.expect_eof();
    }
    let [mut stays, mut leaves] = held;
    leaves.send_close(1000, "");
    leaves.expect_close(1000);
    leaves.expect_eof();
    drop(leaves);
    Peer::connect_eventually(server.addr(), "/echo").expect_echo();
    stays.expect_echo();
}

#[test]
fn rs_03_peers_that_were_refused_hold_neither_places_nor_descriptors() {
    let flags = [
        "--max-connections",
        "1",
        "--descriptor-reserve",
        "8",
        "--linger-timeout",
        "300ms",
    ];
    let server = ServerProcess::start_with_descriptors(100, &flags);
    let idle_count = server.descriptor_count();
    let mut held = Peer::connect(server.addr(), "/echo");
    // They say nothing and stay, ten times as many as there are descriptors in reserve.
    let mut refused: Vec<_> = (0..80).map(|_| Peer::open(server.addr())).collect();
    for peer in &mut refused {
        assert_eq!(peer.next_response().status, 503);
        peer.expect_eof();
    }
    assert!(server.descriptor_count() <= idle_count + 1 + 4);
    held.expect_echo();
    let deadline = Instant::now() + peer::DEADLINE;
    while server.descriptor_count() > idle_count + 1 {
        assert!(Instant::now() < deadline, "refused peers linger");
        assert!(held.is_silent_for(Duration::from_millis(10)));
    }
    drop(held);
    Peer::connect_eventually(server.addr(), "/echo").expect_echo();
    server.logged("limit of connections is reached");
    let warnings = server
        .log()
        .matches("limit of connections is reached")
        .count();
    assert_eq!(warnings, 1, "{}", server.log());
}

/// A server that believes to have more descriptors than it has, because it inherits six that it does not know of.
fn starved() -> (ServerProcess, usize) {
    let inherit: Vec<_> = (4..10)
        .map(|number| format!("exec {number}</dev/null"))
        .collect();
    let preparation = format!("ulimit -n 64; {}", inherit.join("; "));
    let flags = ["--threads", "1", "--descriptor-reserve", "1"];
    let server = ServerProcess::start_command(with_descriptors(&preparation, &flags));
    // Whoever is served proves that the start is over, in which descriptors come and go.
    let mut first = Peer::connect(server.addr(), "/echo");
    first.expect_echo();
    let room = server.unused_descriptors_below(64) + 1;
    first.send_close(1000, "");
    first.expect_close(1000);
    first.expect_eof();
    drop(first);
    let deadline = Instant::now() + peer::DEADLINE;
    while server.unused_descriptors_below(64) < room {
        assert!(Instant::now() < deadline, "it does not leave");
    }
    assert!(room < 64 - OWN_COUNT - 1, "{room} connections fit in");
    (server, room)
}

#[test]
fn rs_02_out_of_descriptors_the_server_stays_calm_and_recovers() {
    let (server, room) = starved();
    let mut inside: Vec<_> = (0..room)
        .map(|_| Peer::connect(server.addr(), "/echo"))
        .collect();
    let mut waiting: Vec<_> = (0..20).map(|_| Peer::open(server.addr())).collect();
    let request = upgrade_request(server.addr(), "/echo", "");
    for peer in &mut waiting {
        peer.send_raw(request.as_bytes());
    }
    // A second in which nothing happens must cost next to no time: the accept that fails is not repeated in a circle.
    inside[0].expect_echo();
    let ticks = server.cpu_ticks();
    assert!(waiting[0].is_silent_for(Duration::from_secs(1)));
    let used = server.cpu_ticks() - ticks;
    assert!(used < 5, "{used} ticks in an idle second");
    inside[0].expect_echo();
    // Whoever waited longest is served when one leaves, although nobody new knocks.
    for mut peer in waiting {
        let mut leaves = inside.pop().unwrap();
        leaves.send_close(1000, "");
        leaves.expect_close(1000);
        leaves.expect_eof();
        drop(leaves);
        let relief = Instant::now();
        peer.expect_upgrade();
        let waited = relief.elapsed();
        assert!(waited < Duration::from_secs(1), "{waited:?}");
        inside.insert(0, peer);
    }
    server.logged("not accepting");
    let warnings = server.log().matches("not accepting for the moment").count();
    assert_eq!(warnings, 1, "{}", server.log());
    inside[0].expect_echo();
    drop(inside);
    let (_, metrics) = http(server.addr(), "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    let metrics = String::from_utf8(metrics.body).unwrap();
    let name = "switchboard_accept_errors_total{about=\"resources\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(name));
    assert!(count.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
}
