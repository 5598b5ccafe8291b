//! A generator of load: thousands of clients on one thread, floods at a given rate, and what is measured of them.
//!
//! It shares nothing with the server but `mio`; frames are made and read by its own few lines.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod broadcaster;
mod churn;
mod client;
mod crowd;
mod figures;
mod flood;

pub(crate) use broadcaster::{Broadcaster, Member, Outcome};
pub(crate) use churn::churn;
pub(crate) use client::Happening;
pub(crate) use crowd::Crowd;
pub(crate) use figures::{Latencies, Metrics, median};
pub(crate) use flood::{Flood, flood, step_back};

use std::env;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long anything may take that is not measured, before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Keeps the tests of a file apart: two loads at a time measure each other.
pub(crate) fn machine_alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number from the environment, for the long form of a test; `short` if it is not set.
pub(crate) fn setting(name: &str, short: u64) -> u64 {
    env::var(name).map_or(short, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// Repeats `step` until it says that it is done; fails after [`PATIENCE`] with the words of `what`.
pub(crate) fn until(what: &str, mut step: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !step() {
        assert!(Instant::now() < deadline, "never: {what}");
    }
}
