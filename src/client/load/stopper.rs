//! Ending a load before its time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;

/// Ends a load early, from any thread; it still reports.
#[derive(Clone)]
pub struct LoadStopper {
    is_stopped: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl LoadStopper {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            is_stopped: Arc::default(),
            waker: Arc::new(waker),
        }
    }

    /// Has the load end now.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        // If the load is gone already, there is nothing to wake.
        let _ = self.waker.wake();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }
}

impl fmt::Debug for LoadStopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadStopper")
            .field("is_stopped", &self.is_stopped())
            .finish_non_exhaustive()
    }
}
