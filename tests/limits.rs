//! Every limit at its value, and one past it. The flags of `serve --help` are the list: one that is neither probed here
//! nor said to be tested elsewhere fails the last test.

mod peer;
mod server_process;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peer::{Peer, masked_frame, opcode, upgrade_request};
use serde_json::json;
use server_process::{ServerProcess, run, switchboard};

/// What a peer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// What it asked for.
    Fine,
    /// A Close frame with this code.
    Close(u16),
    /// A response with this status.
    Status(u16),
    /// An answer that names an error, on a connection that stays.
    Refused,
    /// The end of the connection.
    End,
}

use Outcome::{Close, End, Fine, Refused, Status};

/// A limit that a peer can run into with a number of something.
struct Limit {
    flag: &'static str,
    value: usize,
    /// Uses so much of it.
    probe: fn(&ServerProcess, usize) -> Outcome,
    at_value: Outcome,
    one_past: Outcome,
}

const LIMITS: &[Limit] = &[
    Limit {
        flag: "max-message",
        value: 1000,
        probe: send_message,
        at_value: Fine,
        one_past: Close(1009),
    },
    Limit {
        flag: "max-fragments",
        value: 5,
        probe: send_fragments,
        at_value: Fine,
        one_past: Close(1008),
    },
    Limit {
        flag: "max-head",
        value: 9000,
        probe: send_head,
        at_value: Status(200),
        one_past: Status(431),
    },
    Limit {
        flag: "max-target",
        value: 500,
        probe: send_target,
        at_value: Status(404),
        one_past: Status(414),
    },
    Limit {
        flag: "max-fields",
        value: 20,
        probe: send_fields,
        at_value: Status(200),
        one_past: Status(431),
    },
    Limit {
        flag: "max-body",
        value: 300,
        probe: send_body,
        at_value: Status(405),
        one_past: Status(413),
    },
    Limit {
        flag: "max-http-requests",
        value: 3,
        probe: send_requests,
        at_value: Fine,
        one_past: End,
    },
    Limit {
        flag: "max-groups",
        value: 4,
        probe: join_groups,
        at_value: Fine,
        one_past: Refused,
    },
    Limit {
        flag: "max-group-name",
        value: 16,
        probe: join_group,
        at_value: Fine,
        one_past: Refused,
    },
    Limit {
        flag: "max-connections",
        value: 3,
        probe: connect,
        at_value: Status(101),
        one_past: Status(503),
    },
];

/// Which test knows what becomes of a flag that cannot be probed by a number of something.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "listen",
        "ac_10_other_machines_are_served_only_if_somebody_says_so",
    ),
    (
        "metrics-listen",
        "ac_10_metrics_may_have_an_address_of_their_own_and_it_serves_nothing_else",
    ),
    #[cfg(feature = "tls")]
    (
        "tls-cert",
        "ac_11_a_certificate_that_cannot_be_used_is_said_in_one_line",
    ),
    #[cfg(feature = "tls")]
    (
        "tls-key",
        "ac_11_a_certificate_that_cannot_be_used_is_said_in_one_line",
    ),
    (
        "threads",
        "lt_02_contradictions_and_zeros_are_refused_in_one_line",
    ),
    (
        "anonymous",
        "ac_10_other_machines_are_served_only_if_somebody_says_so",
    ),
    (
        "access-key",
        "ac_06_with_an_access_key_every_websocket_path_needs_a_token",
    ),
    (
        "access-key-file",
        "ac_10_a_key_may_come_from_a_file_or_the_environment_and_opens_other_addresses",
    ),
    ("public-url", "a_public_url_is_another_name_of_the_server"),
    (
        "enforce-expiry",
        "ac_08_the_end_of_the_token_is_the_end_of_the_connection_if_that_is_wished",
    ),
    (
        "max-failed-log-ins",
        "ac_09_whoever_fails_too_often_to_log_in_has_to_wait",
    ),
    (
        "allow-origin",
        "ac_01_pages_of_our_own_origin_and_of_those_allowed_may_connect",
    ),
    ("allow-host", "ac_02_only_listed_hosts_are_served"),
    ("trusted-proxy", "lt_07_only_trusted_proxies_are_believed"),
    (
        "rest-rate",
        "ht_08_a_second_s_worth_may_come_at_once_and_then_one_at_a_time",
    ),
    (
        "policy",
        "sc_03_drop_oldest_delivers_the_last_messages_and_tells_of_those_before",
    ),
    ("no-echo", "switches_can_be_set_in_the_environment"),
    ("uncompressed", "ex_10_groups_that_are_excepted_go_plain"),
    (
        "compression",
        "ex_01_nothing_is_agreed_on_unless_the_server_was_told_to_compress",
    ),
    ("log-level", "lg_04_a_full_disk_below_the_log_ends_no_loop"),
    ("history", "a_ring_keeps_the_last_messages_that_fit"),
    ("history-bytes", "a_ring_keeps_the_last_messages_that_fit"),
    ("history-groups", "a_ring_keeps_the_last_messages_that_fit"),
    // The kernel takes an unknown part of what waits, so these are exact in memory and near on the wire.
    (
        "max-outbox",
        "sc_01_a_frame_over_the_limit_is_refused_and_counted_in_bytes",
    ),
    (
        "soft-outbox",
        "sc_02_an_outbox_knows_since_when_too_much_waits",
    ),
    (
        "soft-outbox-timeout",
        "sc_02_over_the_soft_limit_for_its_time_a_receiver_is_evicted",
    ),
    (
        "buffer-budget",
        "sc_06_over_the_budget_of_all_outboxes_the_largest_is_evicted",
    ),
    (
        "max-replay",
        "ms_11_the_queue_is_bounded_in_bytes_in_messages_and_together_with_all_others",
    ),
    (
        "max-replay-messages",
        "ms_11_the_queue_is_bounded_in_bytes_in_messages_and_together_with_all_others",
    ),
    (
        "replay-budget",
        "ms_11_the_queue_is_bounded_in_bytes_in_messages_and_together_with_all_others",
    ),
    (
        "descriptor-reserve",
        "rs_01_the_limit_of_connections_follows_from_the_descriptors",
    ),
    (
        "max-connections-per-address",
        "lt_07_an_address_has_as_many_connections_as_it_may",
    ),
    // What may come in a second.
    (
        "control-frame-rate",
        "lt_06_what_may_come_is_what_does_not_close_and_one_more_does",
    ),
    (
        "message-rate",
        "lt_06_what_may_come_is_what_does_not_close_and_one_more_does",
    ),
    (
        "byte-rate",
        "lt_06_who_sends_too_many_bytes_is_read_from_later",
    ),
    // Times.
    (
        "handshake-timeout",
        "hs_16_a_head_that_is_not_complete_at_the_deadline_gets_a_408",
    ),
    (
        "http-idle-timeout",
        "an_idle_connection_is_closed_between_two_requests",
    ),
    (
        "message-timeout",
        "ms_04_a_message_that_is_not_finished_in_time_is_refused",
    ),
    (
        "recovery-timeout",
        "ms_11_a_session_is_kept_for_the_recovery_time_and_not_longer",
    ),
    (
        "write-timeout",
        "sc_08_a_receiver_that_takes_nothing_for_the_write_timeout_is_cut",
    ),
    (
        "ping-interval",
        "lt_03_a_silent_peer_is_pinged_and_dropped_35_seconds_after_its_last_sign_of_life",
    ),
    (
        "ping-timeout",
        "lt_03_a_silent_peer_is_pinged_and_dropped_35_seconds_after_its_last_sign_of_life",
    ),
    (
        "close-timeout",
        "cl_03_a_peer_that_stays_silent_instead_of_closing_is_dropped_at_the_timeout",
    ),
    (
        "linger-timeout",
        "rs_03_peers_that_were_refused_hold_neither_places_nor_descriptors",
    ),
    (
        "drain",
        "sd_03_peers_that_never_answer_hold_the_server_up_to_the_end_of_the_drain_at_most",
    ),
    // How much one turn does: nobody can see it from outside.
    (
        "read-budget",
        "lt_09_a_small_budget_serves_as_many_as_a_large_one",
    ),
    ("write-budget", "lt_09_a_flush_stops_at_its_budget"),
    (
        "accept-budget",
        "lt_09_a_small_budget_serves_as_many_as_a_large_one",
    ),
    (
        "letter-budget",
        "lt_09_a_small_budget_serves_as_many_as_a_large_one",
    ),
];

#[test]
fn lt_01_every_limit_holds_at_its_value_and_not_one_past_it() {
    for limit in LIMITS {
        let value = limit.value.to_string();
        let flag = format!("--{}", limit.flag);
        let outcome_of = |count| {
            let server = ServerProcess::start(&[&flag, &value]);
            (limit.probe)(&server, count)
        };
        assert_eq!(outcome_of(limit.value), limit.at_value, "{flag} {value}");
        assert_eq!(
            outcome_of(limit.value + 1),
            limit.one_past,
            "{flag} {value}, one past it"
        );
    }
}

#[test]
fn lt_01_every_flag_is_probed_or_tested_elsewhere() {
    let help = run(switchboard(&["serve", "--help"])).stdout;
    let words = help.split_whitespace().zip(help.split_whitespace().skip(1));
    let mut flags: Vec<_> = words
        .filter(|(_, next)| next.starts_with('<') || next.starts_with("["))
        .filter_map(|(word, _)| word.strip_prefix("--"))
        .collect();
    // Those that take no value.
    let switches = ["anonymous", "compression", "enforce-expiry", "no-echo"];
    flags.extend(
        switches
            .into_iter()
            .filter(|it| help.contains(&format!(" --{it}\n"))),
    );
    assert!(flags.len() > 40, "{flags:?}");
    let sources = sources();
    for flag in &flags {
        let is_probed = LIMITS.iter().any(|limit| limit.flag == *flag);
        let elsewhere = ELSEWHERE.iter().find(|(name, _)| name == flag);
        assert!(is_probed || elsewhere.is_some(), "--{flag} is not tested");
        assert!(
            !(is_probed && elsewhere.is_some()),
            "--{flag} is tested here"
        );
    }
    for (_, test) in ELSEWHERE {
        assert!(
            sources.contains(&format!("fn {test}(")),
            "there is no test {test}"
        );
    }
}

#[test]
fn lt_08_before_log_in_a_peer_can_only_send_a_head() {
    // The token comes with the handshake. Whoever has not shown it has sent a head, within its limits of size and time,
    // and nothing else: no frame is looked at, no group exists for it.
    let key = "0123456789abcdef0123456789abcdef";
    let server = ServerProcess::start(&["--access-key", key, "--handshake-timeout", "1s"]);
    let mut stranger = Peer::open(server.addr());
    stranger.send_raw(upgrade_request(server.addr(), "/ws", "").as_bytes());
    stranger.try_send_raw(&masked_frame(opcode::FIN | opcode::TEXT, &[b' '; 1000]));
    assert_eq!(stranger.next_response().status, 401);
    stranger.expect_end();
    let mut long_winded = Peer::open(server.addr());
    let field = format!("X: {}\r\n", "x".repeat(17 << 10));
    long_winded.send_raw(upgrade_request(server.addr(), "/ws", &field).as_bytes());
    assert_eq!(long_winded.next_response().status, 431);
    // What keeps other connections alive does not keep this one: each empty line is a sign of life.
    let mut lingering = Peer::open(server.addr());
    while lingering.is_silent_for(Duration::from_millis(50)) {
        lingering.try_send_raw(b"\r\n");
    }
    lingering.expect_end();
}

#[test]
fn lt_09_a_small_budget_serves_as_many_as_a_large_one() {
    let budgets = [
        "--read-budget",
        "1",
        "--write-budget",
        "1",
        "--accept-budget",
        "1",
        "--letter-budget",
        "1",
        "--threads",
        "2",
    ];
    let server = ServerProcess::start(&budgets);
    let mut peers: Vec<_> = (0..8).map(|_| Peer::open(server.addr())).collect();
    for peer in &mut peers {
        peer.send_raw(upgrade_request(server.addr(), "/relay/one", "").as_bytes());
    }
    for peer in &mut peers {
        peer.expect_upgrade();
    }
    let message = vec![7; 3000];
    let [sender, receivers @ ..] = &mut peers[..] else {
        panic!("nobody")
    };
    for _ in 0..3 {
        sender.send_binary(&message);
    }
    for receiver in receivers {
        for _ in 0..3 {
            receiver.expect_binary(&message);
        }
    }
}

fn send_message(server: &ServerProcess, len: usize) -> Outcome {
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_binary(&vec![7; len]);
    echoed(&mut peer, len)
}

fn send_fragments(server: &ServerProcess, count: usize) -> Outcome {
    let mut peer = Peer::connect(server.addr(), "/echo");
    peer.send_frame(opcode::BINARY, b"7");
    for _ in 2..count {
        peer.send_frame(opcode::CONTINUATION, b"7");
    }
    peer.send_frame(opcode::FIN | opcode::CONTINUATION, b"7");
    echoed(&mut peer, count)
}

fn echoed(peer: &mut Peer, len: usize) -> Outcome {
    let frame = peer.next_frame();
    if frame.opcode == opcode::CLOSE {
        return Close(frame.close_code().unwrap());
    }
    assert_eq!(frame.payload.len(), len);
    Fine
}

fn send_head(server: &ServerProcess, len: usize) -> Outcome {
    let head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ";
    let padding = "x".repeat(len - head.len() - 4);
    status_of(server, &format!("{head}{padding}\r\n\r\n"))
}

fn send_target(server: &ServerProcess, len: usize) -> Outcome {
    let path = "x".repeat(len - 1);
    status_of(
        server,
        &format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    )
}

fn send_fields(server: &ServerProcess, count: usize) -> Outcome {
    let fields = "X: x\r\n".repeat(count - 1);
    status_of(
        server,
        &format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"),
    )
}

fn send_body(server: &ServerProcess, len: usize) -> Outcome {
    let body = "x".repeat(len);
    let head =
        format!("POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n");
    status_of(server, &(head + &body))
}

fn status_of(server: &ServerProcess, request: &str) -> Outcome {
    let mut peer = Peer::open(server.addr());
    peer.try_send_raw(request.as_bytes());
    Status(peer.next_response().status)
}

fn send_requests(server: &ServerProcess, count: usize) -> Outcome {
    let mut peer = Peer::open(server.addr());
    for number in 1..=count {
        peer.try_send_raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let response = peer.next_response();
        assert_eq!(response.status, 200);
        if response.closes() && number < count {
            peer.expect_end();
            return End;
        }
    }
    Fine
}

fn join_groups(server: &ServerProcess, count: usize) -> Outcome {
    let mut peer = Peer::connect(server.addr(), "/ws");
    assert_eq!(peer.next_json()["event"], "connected");
    let outcomes = (0..count).map(|number| join(&mut peer, &number.to_string(), number + 1));
    outcomes.last().unwrap()
}

fn join_group(server: &ServerProcess, name_len: usize) -> Outcome {
    let mut peer = Peer::connect(server.addr(), "/ws");
    assert_eq!(peer.next_json()["event"], "connected");
    join(&mut peer, &"x".repeat(name_len), 1)
}

fn join(peer: &mut Peer, group: &str, ack_id: usize) -> Outcome {
    peer.send_json(&json!({"type": "joinGroup", "group": group, "ackId": ack_id}));
    match peer.next_json()["success"].as_bool() {
        Some(true) => Fine,
        _ => Refused,
    }
}

fn connect(server: &ServerProcess, count: usize) -> Outcome {
    let mut peers: Vec<_> = (0..count).map(|_| Peer::open(server.addr())).collect();
    for peer in &mut peers {
        peer.try_send_raw(upgrade_request(server.addr(), "/echo", "").as_bytes());
    }
    let statuses = peers.iter_mut().map(|peer| peer.next_head().status);
    Status(statuses.max().unwrap())
}

/// Everything in which tests are.
fn sources() -> String {
    let mut files = Vec::new();
    for directory in ["src", "tests"] {
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(directory),
            &mut files,
        );
    }
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts.collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}
