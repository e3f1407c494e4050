//! Buffers lent out and put back, for the CPU engine: the same memory serves every layer of every batch.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers that are kept at most. A block has some eight in hand at once; texts of ever greater lengths would leave
/// more behind, each too small for the next.
const MOST_KEPT: usize = 16;

/// Buffers that wait for their next use: fresh memory would cost a page fault every 4 KiB.
pub(super) struct Shelf<T> {
    kept: Mutex<Vec<T>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf {
            kept: Mutex::new(Vec::new()),
        }
    }
}

impl<T> Shelf<T> {
    /// A kept one that fits.
    pub(super) fn take(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(fits)?;
        Some(kept.swap_remove(place))
    }
}

/// Something that is put on a shelf when it is dropped, or that belongs on none.
pub struct Lent<T> {
    value: Option<T>,
    shelf: Option<Arc<Shelf<T>>>,
}

impl<T> Lent<T> {
    pub(super) fn new(value: T, shelf: &Arc<Shelf<T>>) -> Self {
        Lent {
            value: Some(value),
            shelf: Some(Arc::clone(shelf)),
        }
    }

    /// Something from outside, gone when it is dropped: each batch brings its own, so kept ones would only drive out
    /// those that are used again.
    pub(super) fn foreign(value: T) -> Self {
        Lent {
            value: Some(value),
            shelf: None,
        }
    }
}

impl<T> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("only dropping takes the value")
    }
}

impl<T> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("only dropping takes the value")
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        let Some(shelf) = &self.shelf else { return };
        let mut kept = shelf.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.swap_remove(0);
        }
        kept.extend(self.value.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_batch_after_batch_is_not_kept_for_ever() {
        let shelf = Arc::new(Shelf::default());
        (0..1000).for_each(|i| drop(Lent::new(vec![0_f32; i], &shelf)));
        assert_eq!(shelf.kept.lock().unwrap().len(), MOST_KEPT);
    }

    #[test]
    fn what_comes_from_outside_never_drives_out_what_is_used_again() {
        let shelf: Arc<Shelf<Vec<f32>>> = Arc::default();
        drop(Lent::new(vec![0.0; 7], &shelf));
        (0..100).for_each(|_| drop(Lent::foreign(vec![0.0_f32; 3])));
        assert_eq!(shelf.take(|buffer| buffer.len() == 7), Some(vec![0.0; 7]));
    }
}
