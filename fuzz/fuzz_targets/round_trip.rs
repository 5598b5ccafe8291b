//! Runs the oracle `round_trip` on what the fuzzer makes up.
#![no_main]

#[path = "../oracles/round_trip.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
