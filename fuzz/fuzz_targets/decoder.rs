//! Runs the oracle `decoder` on what the fuzzer makes up.
#![no_main]

#[path = "../oracles/decoder.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
