//! How far a load is, as a line on a terminal.

use std::cell::Cell;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use switchboard::client::load::{LoadConfig, LoadProgress};

use super::outcome::grouped;

/// A line that is drawn again and again on standard error, if that is a terminal.
pub(super) struct Bar {
    line: ProgressBar,
    client_count: usize,
    /// What was shown last: since when, and how much had come.
    shown: Cell<(Duration, u64)>,
}

impl Bar {
    pub(super) fn new(config: &LoadConfig) -> Self {
        let millis = u64::try_from(config.duration.as_millis()).unwrap_or(u64::MAX);
        let style = ProgressStyle::with_template("{bar:30} {msg}")
            .expect("a template that was tried")
            .progress_chars("=> ");
        Self {
            line: ProgressBar::new(millis).with_style(style),
            client_count: config.client_count,
            shown: Cell::default(),
        }
    }

    /// Draws how far it is, and at what rate just now.
    pub(super) fn show(&self, progress: &LoadProgress) {
        let (since, known) = self.shown.replace((progress.elapsed, progress.received));
        let span = progress.elapsed.saturating_sub(since);
        if span.is_zero() {
            let (open, all) = (progress.open_count, self.client_count);
            self.line.set_message(format!("{open} of {all} connected"));
            return;
        }
        let came = u128::from(progress.received.saturating_sub(known));
        let rate = came * 1_000_000_000 / span.as_nanos();
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        let errors = match progress.error_count {
            0 => String::new(),
            count => format!(", {} errors", grouped(count)),
        };
        let millis = u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX);
        self.line.set_position(millis);
        self.line.set_message(format!(
            "{:.0} s, {} a second{errors}",
            progress.elapsed.as_secs_f64(),
            grouped(rate)
        ));
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        self.line.finish_and_clear();
    }
}
