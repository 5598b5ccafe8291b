//! Runs the oracle `session` on what the fuzzer makes up.
#![no_main]

#[path = "../oracles/session.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
