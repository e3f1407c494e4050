//! Panics that become errors: foreign decoders panic on hostile bytes, and our own bugs should cost one image, not a run.
//!
//! The standard library prints a panic before anyone can catch it. A program that has its own hook ([`note_panic`]) says
//! nothing, and the place is in the [`Bug`].

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use super::Error;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a panic said, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a bug in this program or in a library: {0}")]
pub struct Bug(String);

impl Bug {
    /// What the panic said, without the words around it.
    pub fn said(&self) -> &str {
        &self.0
    }
}

impl From<Bug> for Error {
    fn from(bug: Bug) -> Self {
        Error::System {
            doing: "continue".into(),
            source: std::io::Error::other(bug),
        }
    }
}

/// Calls `work`; a panic in it is an error. Nothing that `work` has changed may be used after one.
///
/// # Errors
/// What the panic said.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Bug> {
    DEPTH.set(DEPTH.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        Bug(match PLACE.take() {
            Some(place) => format!("{line} ({place})"),
            None => line.to_owned(),
        })
    })
}

/// Whether a panic on this thread would be caught and become an error.
pub fn is_caught() -> bool {
    DEPTH.get() > 0
}

/// A panic hook that prints nothing: it keeps the place of the panic for the [`Bug`].
pub fn note_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| {
        let file = place.file().rsplit(['/', '\\']).next().unwrap_or_default();
        format!("{file}:{}", place.line())
    });
    PLACE.set(place);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_what_it_said() {
        assert_eq!(caught(|| 7), Ok(7));
        assert!(!is_caught());
        let bug = caught(|| {
            assert!(is_caught());
            panic!("on purpose\nin two lines");
        });
        let bug = bug.map(|(): ()| ()).unwrap_err();
        assert!(bug.said().starts_with("on purpose") && !bug.said().contains('\n'));
        assert!(!is_caught());
        assert_eq!(Error::from(bug).kind(), crate::ErrorKind::System);
    }
}
