//! The layers of the design and the rules of style that a machine can check, read off the sources.

#[path = "architecture/manifest.rs"]
mod manifest;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use source::Source;

/// Each layer and what of ours it may import; a layer stands below those that it imports.
const LAYERS: &[(&str, &str)] = &[
    ("proto", ""),
    // The opening handshake agrees on what the frames behind it may be.
    ("http", "proto"),
    ("delivery", ""),
    ("clock", ""),
    ("tls", ""),
    ("replay", "proto delivery"),
    ("config", "proto http replay"),
    ("registry", "delivery"),
    ("outbox", "proto delivery clock"),
    ("session", "proto http outbox clock config tls"),
    ("metrics", "proto session"),
    ("handler", "proto http delivery clock metrics"),
    (
        "endpoints",
        "proto http delivery clock config metrics handler",
    ),
    ("client", "proto http tls"),
    ("backplane", "proto delivery config"),
    (
        "server",
        "proto http delivery clock config registry outbox replay tls session metrics handler backplane",
    ),
    // Part of the binary, which sees the library from outside.
    ("commands", ""),
    ("log_queue", ""),
];

/// Where the world outside is touched.
const WITH_THE_WORLD: &[&str] = &["src/server/", "src/client/", "src/backplane/"];

/// Where time passes: there, and in the commands, which hear signals and say when something came.
const WITH_TIME: &[&str] = &[
    "src/server/",
    "src/client/",
    "src/backplane/",
    "src/commands/",
];

/// Where threads are started besides: somebody has to wait for standard error, and that must be no loop (LG-04).
const WITH_THREADS: &[&str] = &[
    "src/server/",
    "src/client/",
    "src/backplane/",
    "src/commands/",
    "src/log_queue.rs",
];

/// Turns rows `rule: words => places` into modules of two tests: the sources keep the rule, and the rule can fail.
macro_rules! confine {
    ($($rule:ident: $words:expr => $places:expr;)*) => {$(
        mod $rule {
            use super::*;

            #[test]
            fn holds() {
                assert_everywhere(|source| rules::named_outside(source, $words, $places));
            }

            #[test]
            fn can_fail() {
                rules::assert_confines($words, $places);
            }
        }
    )*};
}

confine! {
    mio_is_named_where_sockets_are: &["mio"] => &["src/server/", "src/client/"];
    signals_are_events_of_a_loop: &["signal_hook_mio"] => &["src/server/"];
    heads_and_accept_keys_are_computed_below_http_only: &["httparse", "sha1"] => &["src/http/"];
    base64_is_for_accept_keys_tokens_and_binary_payloads:
        &["base64"] => &["src/http/", "src/endpoints/signed_token.rs", "src/endpoints/pubsub/payload.rs",
          "src/client/hub/wire.rs"];
    messages_are_compressed_in_one_place: &["flate2"] => &["src/proto/deflate/"];
    signatures_are_checked_in_one_place: &["hmac", "sha2"] => &["src/endpoints/signed_token.rs"];
    encryption_is_done_in_one_place: &["rustls", "rustls_pki_types", "rustls_native_certs"] => &["src/tls/"];
    the_text_of_metrics_is_made_in_one_place:
        &["prometheus_client"] => &["src/endpoints/metrics/"];
    the_logger_is_chosen_in_the_binary_only: &["simple_logger"] => &["src/log_queue.rs"];
    sockets_are_opened_with_the_world_only:
        &["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "UnixListener", "ToSocketAddrs"] => WITH_THE_WORLD;
    threads_are_started_with_the_world_only:
        &["thread::spawn", "thread::scope", "thread::Builder", "thread::sleep", "thread::park", "thread::{",
          "JoinHandle"] => WITH_THREADS;
    the_clock_is_read_with_the_world_only:
        &["Instant::now", "SystemTime::now", ".elapsed("] => WITH_TIME;
    locks_exist_in_the_mailbox_only: &["Mutex", "RwLock", "Condvar"] => &["src/server/mailbox.rs"];
    // Whoever needs a compressed form that another loop is making waits no longer than to make it itself.
    loops_wait_for_each_other_in_one_place_only:
        &["OnceLock", "LazyLock", "Barrier", "Once"] => &["src/server/compression.rs"];
    mutable_statics_exist_nowhere: &["static mut", "thread_local"] => &[];
    nothing_is_async: &["async", "await"] => &[];
}

#[test]
fn imports_point_down_the_layers() {
    assert_everywhere(rules::imports_against_layers);
}

#[test]
fn the_server_names_no_path_of_an_endpoint() {
    assert_everywhere(rules::paths_named_by_server);
}

#[test]
fn unsafe_code_is_forbidden_in_both_crates() {
    assert_everywhere(rules::unsafe_not_forbidden);
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    assert_everywhere(rules::without_first_line);
}

#[test]
fn no_file_is_longer_than_350_lines_of_code() {
    assert_everywhere(rules::too_long);
}

#[test]
fn no_function_is_longer_than_70_lines() {
    assert_everywhere(rules::too_long_functions);
}

#[test]
fn no_module_is_a_drawer_for_everything() {
    assert_everywhere(rules::drawers);
}

#[test]
fn nothing_is_left_to_be_done() {
    assert_everywhere(rules::unfinished);
}

#[test]
fn ignored_tests_say_why() {
    assert_everywhere(rules::ignored_without_reason);
}

#[test]
fn sleeping_tests_say_why() {
    assert_everywhere(rules::sleeps_without_reason);
}

#[test]
fn rs_10_every_dependency_has_a_reason_and_a_checksum() {
    let findings = manifest::unjustified_dependencies(include_str!("../Cargo.toml"));
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
    let unpinned = manifest::unpinned_packages(include_str!("../Cargo.lock"));
    assert!(unpinned.is_empty(), "{}", unpinned.concat());
}

#[test]
fn rs_10_ci_looks_for_advisories() {
    let commands = include_str!("../.ci/run");
    assert!(commands.contains("cargo deny") && commands.contains("check advisories"));
}

#[test]
fn rs_07_what_peers_send_cannot_panic_by_accident() {
    for root in [
        include_str!("../src/proto/mod.rs"),
        include_str!("../src/http/mod.rs"),
    ] {
        let (_, denied) = root.split_once("    not(test),\n    deny(").expect("lints");
        let (denied, _) = denied.split_once("    )\n)]").expect("lints");
        for lint in [
            "unwrap_used",
            "panic",
            "indexing_slicing",
            "string_slice",
            "arithmetic_side_effects",
        ] {
            assert!(denied.contains(&format!("clippy::{lint}")), "{lint}");
        }
    }
    assert_everywhere(rules::exempt_without_reason);
    let manifest = include_str!("../Cargo.toml");
    assert!(manifest::has_setting(
        manifest,
        "[profile.release]",
        "overflow-checks = true"
    ));
    assert!(!manifest.contains("overflow-checks = false"));
}

/// Runs a rule over all sources of the package and fails with everything that it finds.
fn assert_everywhere(rule: impl Fn(&Source) -> Vec<String>) {
    let directories = [
        "src",
        "tests",
        "benches",
        "fuzz/oracles",
        "fuzz/fuzz_targets",
    ];
    let sources = Source::read_all(&directories);
    assert!(!sources.is_empty(), "no source was found");
    let findings: Vec<_> = sources.iter().flat_map(rule).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}
