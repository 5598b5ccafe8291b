//! Runs the oracle `session_frames` on what the fuzzer makes up.
#![no_main]

#[path = "../oracles/session_frames.rs"]
mod oracle;
#[path = "../oracles/session.rs"]
mod session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
