//! What whoever runs the server can see of it: metrics, health, and the log.

mod peer;
mod server_process;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use peer::{Peer, http, opcode};
use server_process::ServerProcess;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// The metrics of a server by their names with labels, after a check of the text format.
fn metrics(server: &ServerProcess) -> BTreeMap<String, f64> {
    let (_, response) = http(server.addr(), &get("/metrics"));
    assert_eq!(response.status, 200);
    let content_type = response.field("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
    parse(std::str::from_utf8(&response.body).unwrap())
}

/// Reads the `OpenMetrics` text format: families of samples, each behind its help and its type, then the end.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut lines = text
        .strip_suffix("# EOF\n")
        .expect("an end")
        .lines()
        .peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line
            .strip_prefix("# HELP ")
            .unwrap()
            .split_once(' ')
            .unwrap();
        assert!(
            !help.is_empty() && name.starts_with("switchboard_"),
            "{line}"
        );
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(name.chars().all(is_name), "{name}");
        let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
        let kind = kind.strip_prefix(name).unwrap().trim();
        if let Some(unit) = lines.next_if(|line| line.starts_with("# UNIT ")) {
            assert!(name.ends_with(unit.rsplit(' ').next().unwrap()), "{unit}");
        }
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => panic!("{line}: {kind}"),
        };
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            let (key, value) = sample.rsplit_once(' ').unwrap();
            let (sample_name, labels) = key.split_once('{').unwrap_or((key, "}"));
            let suffix = sample_name.strip_prefix(name).unwrap();
            assert!(suffixes.contains(&suffix), "{sample}");
            assert!(labels.ends_with('}'), "{sample}");
            let value: f64 = value.parse().unwrap();
            assert!(value >= 0.0, "{sample}");
            assert!(samples.insert(key.into(), value).is_none(), "{key} twice");
        }
        if kind == "histogram" {
            let all = samples[&format!("{name}_bucket{{le=\"+Inf\"}}")];
            assert_eq!(all, samples[&format!("{name}_count")], "{name}");
        }
    }
    samples
}

#[test]
fn ht_09_metrics_are_valid_text_with_fixed_labels() {
    let server = ServerProcess::start(&[]);
    let before = metrics(&server);
    let mut peers: Vec<_> = (0..20)
        .map(|number| Peer::connect(server.addr(), &format!("/relay/marker-{number}")))
        .collect();
    for peer in &mut peers {
        peer.send_text("marker");
        peer.send_frame(0x80 | opcode::PING, b"marker");
        assert_eq!(peer.next_frame().opcode, opcode::PONG);
    }
    for path in ["/marker", "/client/hubs/marker/", "/metrics/marker"] {
        http(server.addr(), &get(path));
    }
    let after = metrics(&server);
    let keys = |samples: &BTreeMap<String, f64>| samples.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&before), keys(&after), "peers add no metrics");
    assert!(!keys(&after).join(" ").contains("marker"));
}

#[test]
fn lg_05_everything_that_happens_is_counted() {
    let server = ServerProcess::start(&["--threads", "1"]);
    let mut sender = Peer::connect(server.addr(), "/relay/room?echo=true");
    let mut receiver = Peer::connect(server.addr(), "/relay/room");
    sender.send_text("hello");
    sender.expect_text("hello");
    receiver.expect_text("hello");
    http(server.addr(), &get("/nowhere"));
    sender.send_close(4321, "");
    assert_eq!(sender.next_frame().close_code(), Some(4321));
    sender.expect_eof();
    drop(sender);
    let samples = metrics(&server);
    let expected = [
        ("connections_accepted_total", 4.0),
        ("connections_open", 2.0),
        ("connections_ended_total{cause=\"peer_lost\"}", 1.0),
        ("connections_ended_total{cause=\"peer_closed\"}", 1.0),
        ("connections_ended_total{cause=\"violation\"}", 0.0),
        ("upgrades_total", 2.0),
        ("http_responses_total{status=\"404\"}", 1.0),
        ("http_responses_total{status=\"200\"}", 0.0),
        ("closes_sent_total{code=\"4xxx\"}", 1.0),
        ("closes_received_total{code=\"4xxx\"}", 1.0),
        ("messages_in_total", 1.0),
        ("fan_out_total", 2.0),
        ("delivered_total", 2.0),
        ("queued", 0.0),
        ("dropped_total{reason=\"overflow\"}", 0.0),
    ];
    for (name, value) in expected {
        assert_eq!(samples[&format!("switchboard_{name}")], value, "{name}");
    }
    for name in [
        "bytes_in_total",
        "bytes_out_total",
        "turn_time_seconds_count",
        "resident_memory_bytes",
    ] {
        assert!(samples[&format!("switchboard_{name}")] > 1.0, "{name}");
    }
}

#[test]
fn ac_10_metrics_are_not_for_whom_a_proxy_forwards() {
    let server = ServerProcess::start(&[]);
    for field in [
        "Forwarded: for=1.2.3.4",
        "X-Forwarded-For: 1.2.3.4",
        "Via: 1.1 proxy",
    ] {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
        assert_eq!(http(server.addr(), &request).1.status, 404, "{field}");
    }
}

#[test]
fn ht_10_a_server_that_drains_lives_but_is_not_ready() {
    let mut server = ServerProcess::start(&["--drain", "5s", "--close-timeout", "2s"]);
    let paths = ["/healthz", "/readyz", "/metrics"];
    for path in paths {
        assert_eq!(http(server.addr(), &get(path)).1.status, 200, "{path}");
    }
    let mut probes = paths.map(|path| {
        let mut probe = Peer::open(server.addr());
        probe.send_raw(&get(path).as_bytes()[..10]);
        probe
    });
    // Its answer proves that the half-sent requests before it have been read too.
    let mut open = Peer::connect(server.addr(), "/echo");
    open.expect_echo();
    server.signal("TERM");
    assert_eq!(open.drain_to_close(), Some(1001));
    for ((probe, path), status) in probes.iter_mut().zip(paths).zip([200, 503, 200]) {
        probe.send_raw(&get(path).as_bytes()[10..]);
        assert_eq!(probe.next_response().status, status, "{path}");
    }
    drop((open, probes));
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn lg_05_the_time_from_a_ping_to_its_pong_is_counted() {
    let pings = ["--ping-interval", "200ms", "--ping-timeout", "150ms"];
    let server = ServerProcess::start(&pings);
    let mut peer = Peer::connect(server.addr(), "/echo");
    let ping = peer.next_frame();
    assert_eq!(ping.opcode, opcode::PING);
    assert_eq!(metrics(&server)["switchboard_ping_time_seconds_count"], 0.0);
    peer.send_frame(0x80 | opcode::PONG, b"unasked");
    // A second pong answers nothing, and the echo shows that both have been seen.
    peer.send_frame(0x80 | opcode::PONG, b"");
    peer.expect_echo();
    let samples = metrics(&server);
    assert_eq!(samples["switchboard_ping_time_seconds_count"], 1.0);
    assert!(samples["switchboard_ping_time_seconds_sum"] < 0.15);
}

#[test]
fn lg_05_what_is_held_for_peers_is_shown() {
    let server = ServerProcess::start(&[]);
    assert_eq!(metrics(&server)["switchboard_held_bytes"], 0.0);
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_raw(&peer::masked_frame(0x01, &[b'x'; 1000]));
    let deadline = std::time::Instant::now() + peer::DEADLINE;
    while metrics(&server)["switchboard_held_bytes"] < 1000.0 {
        assert!(std::time::Instant::now() < deadline, "nothing is held");
    }
}

#[test]
fn lg_02_each_ended_websocket_leaves_one_line_with_its_cause_and_counts() {
    let mut server = ServerProcess::start(&["--threads", "1"]);
    let mut peer = Peer::connect(server.addr(), "/echo");
    for _ in 0..3 {
        peer.send_text("four");
        peer.expect_text("four");
    }
    peer.send_close(4321, "bye");
    peer.expect_close(4321);
    peer.expect_eof();
    drop(peer);
    let mut faulty = Peer::connect(server.addr(), "/echo");
    faulty.send_frame(0x83, b"");
    faulty.expect_close(1002);
    drop(faulty);
    http(server.addr(), &get("/nowhere"));
    server.signal("TERM");
    server.wait();
    let log = server.log();
    let ends: Vec<_> = log
        .lines()
        .filter(|line| line.contains(" end id="))
        .collect();
    let [first, second] = ends[..] else {
        panic!("{log}")
    };
    for field in [
        " peer=127.0.0.1:",
        " seconds=0.",
        " cause=peer_closed sent=4321 received=4321 bytes_in=41 bytes_out=",
        " messages_in=3 messages_out=3 dropped=0",
    ] {
        assert!(first.contains(field), "{field}: {first}");
    }
    assert!(second.contains(" cause=violation fault=\""), "{second}");
    assert!(second.contains(" sent=1002 received=none "), "{second}");
}

#[test]
fn lg_01_what_peers_say_appears_in_no_log_no_answer_and_no_metric() {
    let mut server = ServerProcess::start(&[
        "--log-level",
        "trace",
        "--access-key",
        "0123456789abcdef0123456789abcdef",
    ]);
    let fields = [
        "Authorization: Bearer planted",
        "Cookie: planted=planted",
        "Sec-WebSocket-Protocol: planted",
        "Origin: http://planted\u{1b}[2J",
        "X-Planted: planted",
        "Sec-WebSocket-Key: planted",
        "Host: planted:planted",
    ];
    for path in [
        "/ws?access_token=planted",
        "/relay/planted",
        "/api/hubs/planted/:send",
        "/planted",
    ] {
        for field in fields {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{field}\r\n\r\n"
            );
            let (_, response) = http(server.addr(), &request);
            assert!(response.status >= 400, "{path} {field}");
            let body = String::from_utf8_lossy(&response.body).to_lowercase();
            assert!(!body.contains("planted"), "{path} {field}: {body}");
        }
    }
    let (_, response) = http(server.addr(), &get("/metrics"));
    assert!(!String::from_utf8_lossy(&response.body).contains("planted"));
    server.signal("TERM");
    server.wait();
    let log = server.log();
    assert!(!log.to_lowercase().contains("planted"), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
}

/// A server whose log nobody reads; it does not outlive its test.
struct Unread(Child);

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn lg_04_a_log_that_nobody_reads_holds_up_nobody_and_what_is_lost_is_said() {
    // Each leaves three lines. A pipe holds some hundreds of them, and four thousand more may wait.
    const STRANGERS: usize = 2_500;
    let flags = "--access-key a --max-failed-log-ins off --log-level trace".split(' ');
    let child = server_process::switchboard(&["serve", "--listen", "127.0.0.1:0"])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Unread(child);
    let mut line = String::new();
    let mut stdout = BufReader::new(server.0.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let addr = line
        .trim()
        .strip_prefix("listening on http://")
        .unwrap()
        .parse()
        .unwrap();
    let guess =
        "HEAD /api/hubs/chat/users/ann HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n";
    let knock = || {
        let mut stranger = Peer::open(addr);
        stranger.send_raw(guess.as_bytes());
        assert_eq!(stranger.next_head().status, 401);
    };
    (0..STRANGERS).for_each(|_| knock());
    let lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok).take(STRANGERS);
    assert!(lines.any(|line| line.contains(" lines of the log were lost")));
    // And now nobody can read it any more.
    drop(lines);
    knock();
}

#[test]
fn ac_10_metrics_may_have_an_address_of_their_own_and_it_serves_nothing_else() {
    let flags = ["--metrics-listen", "127.0.0.1:0", "--allow-host", "public"];
    let mut server = ServerProcess::start(&[&flags[..], &["--threads", "2"]].concat());
    let line = server.next_line();
    let metrics = line
        .strip_prefix("metrics on http://")
        .and_then(|rest| rest.strip_suffix("/metrics"))
        .and_then(|addr| addr.parse().ok())
        .unwrap_or_else(|| panic!("{line}"));
    let status = |addr, path: &str| {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
            if addr == metrics { "other" } else { "public" }
        );
        http(addr, &head).1.status
    };
    // An odd number of requests, twice: each comes to both loops.
    for _ in 0..2 {
        for (path, expected) in [
            ("/metrics", 200),
            ("/healthz", 200),
            ("/readyz", 200),
            ("/", 404),
            ("/api/health", 404),
            ("/echo", 404),
            ("/api/hubs/chat/:send", 404),
        ] {
            assert_eq!(status(metrics, path), expected, "{path}");
        }
    }
    let public = "GET /metrics HTTP/1.1\r\nHost: public\r\n\r\n";
    for (path, expected) in [("/healthz", 200), ("/", 200), ("/echo", 426)] {
        assert_eq!(http(server.addr(), public).1.status, 404);
        assert_eq!(status(server.addr(), path), expected, "{path}");
    }
}
