//! Runs the oracle `inflate` on what the fuzzer makes up.
#![no_main]

#[path = "../oracles/inflate.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
