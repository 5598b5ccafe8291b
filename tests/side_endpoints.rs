//! Ordinary HTTP over real sockets: methods, keep-alive, pipelining, limits of a connection.

mod peer;
mod server_process;

use peer::{Peer, http};
use server_process::ServerProcess;

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[test]
fn ht_10_health_is_good_while_the_server_runs() {
    let server = ServerProcess::start(&[]);
    let (_, response) = http(server.addr(), &request("GET", "/healthz"));
    assert_eq!(response.status, 200);
}

#[test]
fn ht_05_head_is_get_without_a_body() {
    let server = ServerProcess::start(&[]);
    let (_, get) = http(server.addr(), &request("GET", "/healthz"));
    let mut peer = Peer::open(server.addr());
    peer.send_raw(request("HEAD", "/healthz").as_bytes());
    let head = peer.next_head();
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, get.field("content-length"))
    );
    // The next answer begins where a body would have been.
    peer.send_raw(request("GET", "/healthz").as_bytes());
    assert_eq!(peer.next_response().body, get.body);
}

#[test]
fn ht_05_a_wrong_method_is_405_and_an_unknown_path_404() {
    let server = ServerProcess::start(&[]);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request =
            format!("{method} /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        let (_, response) = http(server.addr(), &request);
        assert_eq!(response.status, 405, "{method}");
        assert!(
            response
                .field("allow")
                .is_some_and(|allow| allow.contains("GET")),
            "{response:?}"
        );
    }
    for path in [
        "/nowhere",
        "/healthz/",
        "/../healthz",
        "/%2e%2e/etc/passwd",
        "//healthz",
    ] {
        assert_eq!(
            http(server.addr(), &request("GET", path)).1.status,
            404,
            "{path}"
        );
    }
}

#[test]
fn ht_05_a_connection_serves_one_request_after_the_other() {
    let server = ServerProcess::start(&[]);
    let mut peer = Peer::open(server.addr());
    for _ in 0..10 {
        peer.send_raw(request("GET", "/healthz").as_bytes());
        let response = peer.next_response();
        assert_eq!(response.status, 200);
        assert!(!response.closes());
    }
}

#[test]
fn ht_05_pipelined_requests_are_answered_in_order() {
    let server = ServerProcess::start(&[]);
    let mut peer = Peer::open(server.addr());
    let last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let burst = [
        request("GET", "/healthz"),
        request("HEAD", "/healthz"),
        request("GET", "/"),
    ];
    peer.send_raw((burst.concat() + last + &request("GET", "/healthz")).as_bytes());
    assert!(!peer.next_response().closes());
    assert!(!peer.next_head().closes());
    assert!(!peer.next_response().closes());
    assert!(peer.next_response().closes());
    // What stands behind the last request is not answered.
    peer.expect_eof();
}

#[test]
fn ht_05_the_connection_ends_after_http_1_0_and_after_connection_close() {
    let server = ServerProcess::start(&[]);
    for request in [
        "GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n",
        "GET /healthz HTTP/1.0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        let (mut peer, response) = http(server.addr(), request);
        assert_eq!(response.status, 200, "{request}");
        peer.expect_eof();
    }
}

#[test]
fn ht_05_the_last_request_of_a_connection_closes_it() {
    let server = ServerProcess::start(&["--max-http-requests", "3"]);
    let mut peer = Peer::open(server.addr());
    peer.send_raw(request("GET", "/healthz").repeat(4).as_bytes());
    for closes in [false, false, true] {
        assert_eq!(peer.next_response().closes(), closes);
    }
    peer.expect_eof();
}

#[test]
fn ht_01_ht_02_ht_03_bodies_of_doubtful_length_are_refused() {
    let server = ServerProcess::start(&["--max-body", "100"]);
    for (fields, statuses) in [
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            &[400][..],
        ),
        ("Content-Length: +1\r\n", &[400]),
        ("Content-Length: \r\n", &[400]),
        ("Content-Length: 1\r\nContent-Length: 2\r\n", &[400]),
        ("Content-Length: 99999999999999999999\r\n", &[400, 413]),
        ("Content-Length: 101\r\n", &[413]),
        ("Transfer-Encoding: chunked\r\n", &[411, 501]),
        ("Transfer-Encoding: gzip\r\n", &[501, 400]),
    ] {
        let request = format!("POST /healthz HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let (mut peer, response) = http(server.addr(), &request);
        assert!(
            statuses.contains(&response.status),
            "{fields}: {response:?}"
        );
        peer.expect_eof();
    }
}

#[test]
fn an_idle_connection_is_closed_between_two_requests() {
    let server = ServerProcess::start(&["--http-idle-timeout", "200ms"]);
    let (mut peer, response) = http(server.addr(), &request("GET", "/healthz"));
    assert_eq!(response.status, 200);
    peer.expect_eof();
}
