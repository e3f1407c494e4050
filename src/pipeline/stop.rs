//! A request to end a run. Any thread or signal handler can make it, and all threads see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that its clones share.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the run to end. Items being prepared are finished; no new ones are started.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a stop has been requested.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
