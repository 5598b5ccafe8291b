//! Runs the oracle `json_envelopes` on what the fuzzer makes up.
#![no_main]

#[path = "../oracles/json_envelopes.rs"]
mod oracle;
#[path = "../oracles/json.rs"]
mod json;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
