//! The wish that a run should end: set once, from a signal's handler or from anywhere, seen by all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is shared by its clones.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the run to end: what is being prepared is finished, nothing more is begun.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether someone has asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
