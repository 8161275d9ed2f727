//! A callable that is told which entries are gone.
//!
//! The core calls it in the midst of the operation that removed the entry, or of another thread's, with no lock held.
//! That thread may be detached from the interpreter then, and attaches for the call. What the callable raises has nobody
//! to go to, as in a finalizer: the operation goes on, and the interpreter reports it.

use std::sync::Arc;

use nyala::{Cause, Removal};
use pyo3::intern;
use pyo3::prelude::*;

use crate::read::new_bytes;

/// The callable. Only its store owns it, so that the garbage collector sees all there is: what the core has is weak,
/// because pins let the core's store live longer than Python's.
pub(crate) struct Listener(Arc<Py<PyAny>>);

impl Listener {
    pub(crate) fn new(callable: Py<PyAny>) -> Self {
        Listener(Arc::new(callable))
    }

    pub(crate) fn callable(&self) -> &Py<PyAny> {
        &self.0
    }

    /// What the core calls.
    pub(crate) fn hear(&self) -> impl Fn(Removal<'_>) + Send + Sync + 'static {
        let callable = Arc::downgrade(&self.0);
        move |removal| {
            // While the interpreter ends there is nobody to tell.
            let _ = Python::try_attach(|py| {
                let Some(callable) = callable.upgrade() else { return };
                let callable = callable.bind(py);
                if let Err(error) = tell(callable, &removal) {
                    error.write_unraisable(py, Some(callable));
                }
            });
        }
    }
}

fn tell(callable: &Bound<'_, PyAny>, removal: &Removal<'_>) -> PyResult<()> {
    let py = callable.py();
    let cause = match removal.cause {
        Cause::Evicted => intern!(py, "evicted"),
        Cause::Expired => intern!(py, "expired"),
        // `Cause` is non-exhaustive: whatever this face has no name for, the entry is gone.
        _ => intern!(py, "removed"),
    };
    callable.call1((new_bytes(py, removal.key)?, new_bytes(py, removal.value)?, cause))?;
    Ok(())
}
