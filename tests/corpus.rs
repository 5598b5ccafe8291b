//! Replays the corpus of each fuzz target through the target's own oracle.
//!
//! An oracle is a file `fuzz/oracles/<target>.rs` with one function, `check(data: &[u8])`, that
//! panics if the library is wrong. Two programs include it: the fuzz target of the same name, and
//! this test. To add a target:
//!
//! 1. write the oracle, with the layout of its input in its documentation;
//! 2. add `fuzz/fuzz_targets/<target>.rs`, five lines, and a `[[bin]]` in `fuzz/Cargo.toml`;
//! 3. add seeds to `fuzz/seed.sh` and run it; it writes `fuzz/corpus/<target>/*.seed`;
//! 4. add the module and a test below.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run <target>` fuzzes on the stable toolchain (or `cargo +nightly
//! fuzz run <target>`). What the fuzzer adds to the corpus has no `.seed` at its end and is not
//! under version control. A crash becomes a seed with a name that says what it showed.
//!
//! The files `found-*.seed` are a selection of what runs of some minutes with the address sanitizer kept after
//! `cargo fuzz cmin`: each reaches something that the others do not.

use std::fs;
use std::path::Path;

#[path = "../fuzz/oracles/client.rs"]
mod client;
#[path = "../fuzz/oracles/decoder.rs"]
mod decoder;
#[path = "../fuzz/oracles/http.rs"]
mod http;
#[cfg(feature = "deflate")]
#[path = "../fuzz/oracles/inflate.rs"]
mod inflate;
#[path = "../fuzz/oracles/json.rs"]
mod json;
#[path = "../fuzz/oracles/json_envelopes.rs"]
mod json_envelopes;
#[cfg(feature = "deflate")]
#[path = "../fuzz/oracles/offers.rs"]
mod offers;
#[path = "../fuzz/oracles/registry.rs"]
mod registry;
#[path = "../fuzz/oracles/round_trip.rs"]
mod round_trip;
#[path = "../fuzz/oracles/session.rs"]
mod session;
#[path = "../fuzz/oracles/session_frames.rs"]
mod session_frames;

#[test]
fn the_corpus_of_client_replays() {
    replay("client", client::check);
}

#[test]
fn the_corpus_of_decoder_replays() {
    replay("decoder", decoder::check);
}

#[test]
fn the_corpus_of_http_replays() {
    replay("http", http::check);
}

#[cfg(feature = "deflate")]
#[test]
fn the_corpus_of_inflate_replays() {
    replay("inflate", inflate::check);
}

#[test]
fn the_corpus_of_json_replays() {
    replay("json", json::check);
}

#[test]
fn the_corpus_of_json_envelopes_replays() {
    replay("json_envelopes", json_envelopes::check);
}

#[cfg(feature = "deflate")]
#[test]
fn the_corpus_of_offers_replays() {
    replay("offers", offers::check);
}

#[test]
fn the_corpus_of_registry_replays() {
    replay("registry", registry::check);
}

#[test]
fn the_corpus_of_round_trip_replays() {
    replay("round_trip", round_trip::check);
}

#[test]
fn the_corpus_of_session_replays() {
    replay("session", session::check);
}

#[test]
fn the_corpus_of_session_frames_replays() {
    replay("session_frames", session_frames::check);
}

/// Runs `check` on every file of a target's corpus; a failure names the file.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut file_count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is part of the source") {
        let path = entry.expect("the corpus can be listed").path();
        let data = fs::read(&path).expect("the corpus can be read");
        let outcome = std::panic::catch_unwind(|| check(&data));
        assert!(outcome.is_ok(), "{}", path.display());
        file_count += 1;
    }
    assert!(file_count > 0, "{} is empty", folder.display());
}
