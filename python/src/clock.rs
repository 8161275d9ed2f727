//! A clock that Python injects.
//!
//! It is asked once for each operation, before the store is entered, and what it answered is what the store sees. So no
//! Python code ever runs inside the store, and a clock that raises fails the operation before anything has happened.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

use crate::args;

/// The latest answer, in milliseconds since the epoch. Answers never go back: threads that ask at the same time may
/// store theirs in another order.
#[derive(Default)]
struct Latest(AtomicU64);

impl nyala::Clock for Latest {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) struct InjectedClock {
    callable: Py<PyAny>,
    latest: Arc<Latest>,
}

thread_local! {
    /// Address of the clock that this thread is asking, or 0.
    static ASKING: Cell<usize> = const { Cell::new(0) };
}

impl InjectedClock {
    pub(crate) fn new(callable: Py<PyAny>) -> Self {
        InjectedClock { callable, latest: Arc::default() }
    }

    pub(crate) fn source(&self) -> Arc<dyn nyala::Clock> {
        self.latest.clone()
    }

    pub(crate) fn callable(&self) -> &Py<PyAny> {
        &self.callable
    }

    /// Asks the clock. While it is being asked, what it does itself with its store happens at the latest time known:
    /// asking again would never end.
    pub(crate) fn ask(&self, py: Python<'_>) -> PyResult<()> {
        let this = Arc::as_ptr(&self.latest).addr();
        let before = ASKING.replace(this);
        if before == this {
            return Ok(());
        }
        let answer = self.callable.call0(py).and_then(|answer| args::clock_ms(answer.bind(py)));
        ASKING.set(before);
        self.latest.0.fetch_max(answer?, Ordering::Relaxed);
        Ok(())
    }
}
