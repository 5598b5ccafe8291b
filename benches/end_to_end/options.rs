//! The command line of the bench.

use std::time::Duration;

use clap::Parser;

use super::raw::RawWork;

/// Compares servers end to end, and checks every byte that they send.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Options {
    /// Check that everything works, in a few seconds, and measure nothing
    #[arg(long)]
    pub(crate) test: bool,

    /// Compare with other servers too: uWebSockets if bun is there, and those that are built from benches/peers
    #[arg(long)]
    pub(crate) peers: bool,

    /// Only rows whose name contains this, repeatable
    #[arg(long, value_name = "TEXT")]
    pub(crate) row: Vec<String>,

    /// How often each server is measured; the table has the medians
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// How long each time
    #[arg(long, value_name = "MS", default_value_t = 600)]
    milliseconds: u64,

    /// A flag more for switchboard, repeatable: --with=--read-budget=64KiB
    #[arg(long, value_name = "FLAG")]
    pub(crate) with: Vec<String>,

    /// Where to draw the ratios
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<String>,

    /// Be the yardstick
    #[arg(long, value_name = "WORK", hide = true)]
    pub(crate) serve_raw: Option<RawWork>,

    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Whether a row is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.row.is_empty() || self.row.iter().any(|text| name.contains(text))
    }

    /// How often each server is measured.
    pub(crate) fn round_count(&self) -> u32 {
        if self.test { 1 } else { self.rounds }
    }

    /// How long each time.
    pub(crate) fn span(&self) -> Duration {
        Duration::from_millis(if self.test { 20 } else { self.milliseconds })
    }

    /// How long before that, so that buffers have their size and code is in the caches.
    pub(crate) fn warm_up(&self) -> Duration {
        self.span() / 5
    }
}
