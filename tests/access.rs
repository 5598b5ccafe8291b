//! Who is let in, by name of the server, address and number of attempts, over real sockets.

mod peer;
mod server_process;
mod token;

use std::net::SocketAddr;
use std::time::Instant;

use peer::response::Response;
use peer::{DEADLINE, Peer, http, upgrade_request};
use serde_json::json;
use server_process::ServerProcess;
use token::{KEY, hub_path, mint_with, now, token_for};

/// The answer to the request for a WebSocket at `path`, with more fields.
fn knock(addr: SocketAddr, path: &str, fields: &str) -> Response {
    let mut peer = Peer::open(addr);
    peer.send_raw(upgrade_request(addr, path, fields).as_bytes());
    peer.next_head()
}

/// A server with an access key and these flags too.
fn guarded(flags: &[&str]) -> ServerProcess {
    ServerProcess::start(&[&["--access-key", KEY], flags].concat())
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// A token of somebody who does not have the key.
fn guess() -> String {
    let claims = json!({"aud": "http://localhost/echo", "exp": now() + 60});
    mint_with("what the key might be", &claims)
}

#[test]
fn ac_02_only_listed_hosts_are_served() {
    let server = ServerProcess::start(&["--allow-host", "chat.example,localhost"]);
    let get = |path: &str, host: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        http(server.addr(), &request).1.status
    };
    for host in ["chat.example", "chat.example:8080", "LOCALHOST"] {
        assert_eq!(get("/", host), 200, "{host}");
    }
    for host in ["evil.example", "chat.example.evil", "127.0.0.1"] {
        assert_eq!(get("/", host), 403, "{host}");
        assert_eq!(get("/ws", host), 403, "{host}");
        assert_eq!(get("/api/hubs/chat/:send", host), 403, "{host}");
        // A probe knows the address only.
        assert_eq!(get("/healthz", host), 200, "{host}");
    }
    assert_eq!(knock(server.addr(), "/echo", "").status, 403);
}

#[test]
fn ac_09_whoever_fails_too_often_to_log_in_has_to_wait() {
    let mut server = guarded(&["--max-failed-log-ins", "3", "--threads", "2"]);
    let addr = server.addr();
    let good = bearer(&token_for(addr, "/echo", &json!({})));
    let bad = bearer(&guess());
    assert_eq!(knock(addr, "/echo", &good).status, 101);
    for _ in 0..3 {
        // Who shows nothing has not guessed.
        assert_eq!(knock(addr, "/echo", "").status, 401);
        assert_eq!(knock(addr, "/echo", &bad).status, 401);
    }
    // Not even the right one is looked at, on whatever loop, and services are judged alike.
    for fields in [&good, &bad, &good] {
        let response = knock(addr, "/echo", fields);
        assert_eq!(response.status, 429);
        assert!(response.field("retry-after").is_some());
    }
    let request = format!("POST /api/hubs/chat/:send HTTP/1.1\r\nHost: {addr}\r\n{bad}\r\n");
    assert_eq!(http(addr, &request).1.status, 429);
    server.signal("TERM");
    server.wait();
    let log = server.log();
    assert_eq!(log.matches("failed to log in").count(), 3, "{log}");
    assert!(!log.contains(&guess()[..40]), "{log}");
}

#[test]
fn ac_09_clients_behind_a_trusted_proxy_fail_each_for_itself() {
    let flags = ["--max-failed-log-ins", "1"];
    let trusting = guarded(&[&flags[..], &["--trusted-proxy", "127.0.0.0/8"]].concat());
    let bad = bearer(&guess());
    let attempt = |server: &ServerProcess, client: &str| {
        let fields = format!("{bad}X-Forwarded-For: {client}\r\n");
        knock(server.addr(), "/echo", &fields).status
    };
    assert_eq!(attempt(&trusting, "198.51.100.1"), 401);
    assert_eq!(attempt(&trusting, "198.51.100.1"), 429);
    assert_eq!(attempt(&trusting, "198.51.100.2"), 401);
    // What the client itself wrote does not make it another.
    assert_eq!(attempt(&trusting, "203.0.113.1, 198.51.100.1"), 429);
    // Without trust nobody can say to be somebody else.
    let doubting = guarded(&flags);
    assert_eq!(attempt(&doubting, "198.51.100.1"), 401);
    assert_eq!(attempt(&doubting, "198.51.100.2"), 429);
}

#[test]
fn ht_08_services_have_a_rate_of_their_own_that_strangers_cannot_use_up() {
    let server = guarded(&["--rest-rate", "3", "--max-failed-log-ins", "off"]);
    let addr = server.addr();
    let target = "/api/hubs/chat/users/ann";
    let ask = |token: &str| {
        let fields = bearer(token);
        let mut peer = Peer::open(addr);
        let request = format!("HEAD {target} HTTP/1.1\r\nHost: {addr}\r\n{fields}\r\n");
        peer.send_raw(request.as_bytes());
        peer.next_head()
    };
    for _ in 0..10 {
        assert_eq!(ask(&guess()).status, 401);
    }
    let token = token_for(addr, target, &json!({}));
    let answers: Vec<_> = (0..20).map(|_| ask(&token)).collect();
    assert!(answers[..3].iter().all(|answer| answer.status == 404));
    let refused = answers.iter().find(|answer| answer.status == 429);
    let refused = refused.expect("twenty at once are more than three a second");
    assert!(refused.field("retry-after").is_some());
    // Whoever is connected does not notice.
    let good = bearer(&token_for(addr, "/echo", &json!({})));
    Peer::connect_with(addr, "/echo", &good).expect_echo();
}

#[test]
fn lt_07_an_address_has_as_many_connections_as_it_may() {
    let server = ServerProcess::start(&["--max-connections-per-address", "2", "--threads", "2"]);
    let mut first = Peer::connect(server.addr(), "/echo");
    let mut second = Peer::connect(server.addr(), "/echo");
    // Refused before it has said anything, whatever it says about itself.
    for fields in ["", "X-Forwarded-For: 198.51.100.1\r\n"] {
        let refused = knock(server.addr(), "/echo", fields);
        assert_eq!(refused.status, 503);
        assert!(refused.field("retry-after").is_some());
    }
    second.expect_echo();
    drop(second);
    Peer::connect_eventually(server.addr(), "/echo").expect_echo();
    first.expect_echo();
}

#[test]
fn lt_07_clients_behind_a_trusted_proxy_count_each_for_itself() {
    let flags = [
        "--max-connections-per-address",
        "1",
        "--trusted-proxy",
        "127.0.0.1",
    ];
    let server = ServerProcess::start(&[&flags[..], &["--threads", "2"]].concat());
    let addr = server.addr();
    let from = |client: &str| format!("X-Forwarded-For: {client}\r\n");
    let (ann, ben) = (from("198.51.100.1"), from("2001:db8::1"));
    // What does not become a WebSocket takes no place, and gives back what it took.
    for _ in 0..3 {
        assert_eq!(knock(addr, "/nothing", &ann).status, 404);
        let request = format!("GET / HTTP/1.1\r\nHost: {addr}\r\n{ann}\r\n");
        assert_eq!(http(addr, &request).1.status, 200);
    }
    let mut open = Peer::connect_with(addr, "/echo", &ann);
    let _other = Peer::connect_with(addr, "/echo", &ben);
    for fields in [&ann, &ben, &from("2001:db8::2")] {
        let refused = knock(addr, "/echo", fields);
        assert_eq!(refused.status, 429);
        assert!(refused.field("retry-after").is_some());
    }
    open.expect_echo();
    open.send_close(1000, "");
    open.expect_close(1000);
    open.expect_eof();
    drop(open);
    // The server learns of the end at about the same time as we do.
    let deadline = Instant::now() + DEADLINE;
    while knock(addr, "/echo", &ann).status != 101 {
        assert!(Instant::now() < deadline, "the place is not given back");
    }
}

#[test]
fn ht_08_services_are_turned_away_before_anybody_is_given_up_on() {
    let flags = [
        "--max-outbox",
        "8MiB",
        "--buffer-budget",
        "8MiB",
        "--write-timeout",
        "60s",
    ];
    let server = guarded(&flags);
    let addr = server.addr();
    let mut slow = Peer::connect(addr, &hub_path(addr, "chat", "ann"));
    let target = "/api/hubs/chat/users/ann/:send";
    let token = token_for(addr, target, &json!({}));
    let body = vec![b'x'; 256 << 10];
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {addr}\r\n{}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        bearer(&token),
        body.len()
    );
    let request = [head.as_bytes(), &body].concat();
    let mut service = Peer::open(addr);
    // The kernel takes some megabytes before anything waits with us.
    let sent = (0..100).take_while(|_| {
        service.send_raw(&request);
        let response = service.next_response();
        assert!(matches!(response.status, 202 | 503), "{response:?}");
        response.status == 202
    });
    let sent_count = sent.count();
    assert!((24..100).contains(&sent_count), "{sent_count} were taken");
    // What was taken arrives, on a connection that was not given up; and then there is room again.
    for _ in 0..sent_count {
        slow.next_message();
    }
    service.send_raw(&request);
    assert_eq!(service.next_response().status, 202);
}
