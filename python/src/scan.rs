//! Iteration.

use std::sync::{Arc, Mutex, PoisonError};
use std::vec::IntoIter;

use nyala::Cursor;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyTuple;

use crate::errors::OrRaise;
use crate::open::Open;
use crate::read::new_bytes;
use crate::store::Store;

/// Entries that a step looks at while attached: tens of microseconds.
const STEP: usize = 256;
/// Bytes of values that a step should gather at most.
const GATHERED: usize = 1 << 20;
/// Entries that a step looks at while detached, after one that found nothing: a millisecond or so until the next look
/// for Ctrl-C.
const LONG_STEP: usize = 16 << 10;

type Entry = (Vec<u8>, Vec<u8>);

/// What a scan gives for each entry.
#[derive(Clone, Copy)]
pub(crate) enum Gives {
    Keys,
    Items,
}

pub(crate) struct State {
    /// `None` once the store is closed.
    cursor: Option<Cursor>,
    /// What the last step found and has not been given yet.
    found: IntoIter<Entry>,
    /// Where the last step began.
    began_at: Option<u64>,
    /// Bytes of a value, by what the last step found. Before the first one they may be as long as they like.
    value_len: usize,
    ended: bool,
}

impl State {
    fn step(&mut self, budget: usize) -> nyala::Result<()> {
        let Some(cursor) = &mut self.cursor else {
            self.ended = true;
            return Ok(());
        };
        self.began_at = Cursor::position(cursor);
        match cursor.next_batch(budget)? {
            Some(found) => {
                if !found.is_empty() {
                    let bytes = found.iter().map(|(_, value)| value.len()).sum::<usize>();
                    self.value_len = bytes / found.len();
                }
                self.found = found.into_iter();
            }
            None => self.ended = true,
        }
        Ok(())
    }

    /// Lets go of the store, which is being closed.
    pub(crate) fn end(&mut self) {
        self.cursor = None;
        self.found = IntoIter::default();
    }

    /// Entries of the next step after one that found some.
    fn usual_step(&self) -> usize {
        (GATHERED / self.value_len.max(1)).clamp(1, STEP)
    }
}

/// An iterator over the entries of a store; what `Store.scan` answers.
///
/// What is there throughout comes once; what comes or goes meanwhile may or may not come. Writers never wait for it.
/// Several threads may share it. Closing the store ends it with ClosedError.
#[pyclass(frozen, module = "nyala")]
pub(crate) struct Scan {
    store: Py<Store>,
    gives: Gives,
    state: Arc<Mutex<State>>,
}

impl Scan {
    /// A scan of the store that `open` is.
    pub(crate) fn new(store: Py<Store>, open: &Open, cursor: Cursor, gives: Gives) -> Self {
        let state = State {
            began_at: cursor.position(),
            cursor: Some(cursor),
            found: Vec::new().into_iter(),
            value_len: GATHERED,
            ended: false,
        };
        let state = Arc::new(Mutex::new(state));
        open.begin_scan(&state);
        Scan { store, gives, state }
    }

    /// Runs `work` on the state. The lock is held over no Python code; another thread may hold it over a detached step,
    /// so that waiting for it detaches too.
    fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&mut State) -> R) -> R {
        let mut guard = self.state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        work(&mut guard)
    }

    fn next_entry(&self, py: Python<'_>) -> PyResult<Option<Entry>> {
        let mut found_none = false;
        loop {
            // Every time round: handlers of signals may have closed the store.
            let inside = self.store.get().enter(py)?;
            inside.check().or_raise()?;
            let stepped = self.with(py, |state| {
                if let Some(entry) = state.found.next() {
                    return Ok(Some(Some(entry)));
                }
                if state.ended {
                    return Ok(Some(None));
                }
                let budget = state.usual_step();
                if found_none {
                    py.detach(|| state.step(LONG_STEP))?;
                } else if budget * state.value_len > GATHERED / 4 {
                    py.detach(|| state.step(budget))?;
                } else {
                    state.step(budget)?;
                }
                Ok(state.found.next().map(Some))
            });
            drop(inside);
            if let Some(entry) = stepped.or_raise()? {
                return Ok(entry);
            }
            py.check_signals()?;
            found_none = true;
        }
    }
}

#[pymethods]
impl Scan {
    /// Where another scan with the same prefix, of this store, can go on; None at the end. What has been given since
    /// the position last changed comes again; nothing is left out.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        let inside = self.store.get().enter(py)?;
        inside.check().or_raise()?;
        Ok(self.with(py, |state| {
            if state.ended {
                None
            } else if state.found.len() > 0 {
                state.began_at
            } else {
                state.cursor.as_ref().and_then(Cursor::position)
            }
        }))
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((key, value)) = self.next_entry(py)? else {
            return Ok(None);
        };
        Ok(Some(match self.gives {
            Gives::Keys => new_bytes(py, &key)?.into_any(),
            Gives::Items => {
                PyTuple::new(py, [new_bytes(py, &key)?, new_bytes(py, &value)?])?.into_any()
            }
        }))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.store)
    }
}
