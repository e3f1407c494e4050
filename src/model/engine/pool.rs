//! Buffers that return to a pool when dropped, so that the CPU engine uses the same memory for every layer and batch.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// How many buffers are kept. A block uses about eight at once. Without a limit, texts of growing length would
/// fill the pool with buffers that are too small for the next ones.
const KEPT_MAX: usize = 16;

/// Unused buffers. Reusing them avoids a page fault for every 4 KiB of fresh memory.
pub(super) struct Pool<T> {
    kept: Mutex<Vec<T>>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool {
            kept: Mutex::new(Vec::new()),
        }
    }
}

impl<T> Pool<T> {
    /// Takes a kept buffer that `fits` accepts.
    pub(super) fn take(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(fits)?;
        Some(kept.swap_remove(found))
    }
}

/// A value that returns to its pool when it is dropped, if it has one.
pub struct Pooled<T> {
    value: Option<T>,
    pool: Option<Arc<Pool<T>>>,
}

impl<T> Pooled<T> {
    pub(super) fn new(value: T, pool: &Arc<Pool<T>>) -> Self {
        Pooled {
            value: Some(value),
            pool: Some(Arc::clone(pool)),
        }
    }

    /// A value that is freed when it is dropped. Each batch brings its own input, so keeping such values would only
    /// push out those that are used again.
    pub(super) fn unpooled(value: T) -> Self {
        Pooled {
            value: Some(value),
            pool: None,
        }
    }
}

impl<T> Deref for Pooled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("only dropping takes the value")
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("only dropping takes the value")
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        let Some(pool) = &self.pool else { return };
        let mut kept = pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.swap_remove(0);
        }
        kept.extend(self.value.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_limited_number_of_buffers() {
        let pool = Arc::new(Pool::default());
        (0..1000).for_each(|i| drop(Pooled::new(vec![0_f32; i], &pool)));
        assert_eq!(pool.kept.lock().unwrap().len(), KEPT_MAX);
    }

    #[test]
    fn unpooled_values_do_not_push_out_pooled_ones() {
        let pool: Arc<Pool<Vec<f32>>> = Arc::default();
        drop(Pooled::new(vec![0.0; 7], &pool));
        (0..100).for_each(|_| drop(Pooled::unpooled(vec![0.0_f32; 3])));
        assert_eq!(pool.take(|buffer| buffer.len() == 7), Some(vec![0.0; 7]));
    }
}
