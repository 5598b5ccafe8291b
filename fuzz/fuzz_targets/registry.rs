//! Runs the oracle `registry` on what the fuzzer makes up.
#![no_main]

#[path = "../oracles/registry.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
