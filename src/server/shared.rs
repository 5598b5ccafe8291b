//! What the loops of one server share, besides their mailboxes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

use super::connection::Now;
use super::load::Loads;
use super::places::Places;
use crate::clock::Moment;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::replay::ReplayBudget;

/// What the loops of one server share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) clock: Instant,
    pub(super) config: Arc<Config>,
    pub(super) open_count: Arc<AtomicUsize>,
    pub(super) is_draining: Arc<AtomicBool>,
    pub(super) compresses: Arc<AtomicBool>,
    pub(super) places: Option<Places>,
    pub(super) metrics: Metrics,
    pub(super) replay_budget: ReplayBudget,
    pub(super) loads: Loads,
}

impl Shared {
    /// What the connections of the loop `index` have to know of this moment.
    pub(super) fn now(&self, index: u8) -> Now {
        Now {
            moment: Moment::after_start(self.clock.elapsed()),
            config: Arc::clone(&self.config),
            counters: Arc::clone(&self.metrics.loops()[usize::from(index)]),
            is_draining: Arc::clone(&self.is_draining),
            compresses: Arc::clone(&self.compresses),
            loads: self.loads.clone(),
            places: self.places.clone(),
            replay_budget: self.replay_budget.clone(),
        }
    }
}
