//! The compiled part of the Python package: the functions and classes that `python/longclip` calls.
//!
//! Arrays are passed as bytes in the machine's order, f32 or i32, row-major; the Python side gives them shapes. Work that
//! takes time runs without the interpreter's lock. Errors become the exceptions of `longclip/errors.py`, and so does a
//! panic. `longclip/_native.pyi` describes this module for Python's type checkers.

mod classifier;
mod environment;
mod errors;
mod labelling;
mod loaded;
mod model;
mod numbers;
mod picture;
mod run;
mod stream;
mod tokens;

/// The compiled part of `longclip`.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::classifier::Classifier;
    #[pymodule_export]
    use crate::model::Model;
    #[pymodule_export]
    use crate::picture::{Picture, Preprocess};
    #[pymodule_export]
    use crate::tokens::tokenize;

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// A decoder that panics on an image must not print: the image's error says what happened. The hook is that of this
    /// library alone.
    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        std::panic::set_hook(Box::new(longclip::error::note_panic));
        Ok(())
    }
}
