//! What a Python store holds while it is open.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::vec::IntoIter;

use nyala::Cursor;
use pyo3::prelude::*;

use crate::read::LARGE;
use crate::scan::State;

/// An open store and what belongs to it.
pub(crate) struct Open {
    store: nyala::Store,
    /// Whether it is kept in a file, so that a change may wait for the disk.
    in_file: bool,
    popping: Mutex<Popping>,
    scans: Mutex<Scans>,
}

/// The states of scans, whose cursors go with the store: they would keep its file locked and its memory in use.
#[derive(Default)]
struct Scans {
    states: Vec<Weak<Mutex<State>>>,
    /// States at which those of scans that are gone are looked for.
    crowded: usize,
}

/// Where `popitem` finds its next candidates. Starting over each time would look at the same emptied places again.
#[derive(Default)]
struct Popping {
    cursor: Option<Cursor>,
    found: IntoIter<(Vec<u8>, Vec<u8>)>,
}

impl std::ops::Deref for Open {
    type Target = nyala::Store;

    #[inline]
    fn deref(&self) -> &nyala::Store {
        &self.store
    }
}

impl Open {
    pub(crate) fn new(store: nyala::Store, in_file: bool) -> Self {
        Open { store, in_file, popping: Mutex::default(), scans: Mutex::default() }
    }

    #[inline]
    pub(crate) fn store(&self) -> &nyala::Store {
        &self.store
    }

    /// Whether the store can be used, for what the core answers without a result.
    pub(crate) fn check(&self) -> nyala::Result<()> {
        self.store.check()
    }

    /// Changes the store, detached if `len` bytes are many or it may wait for a file.
    #[inline]
    pub(crate) fn change<T: Send>(
        &self,
        py: Python<'_>,
        len: usize,
        change: impl FnOnce(&nyala::Store) -> T + Send,
    ) -> T {
        if len >= LARGE || self.in_file {
            return py.detach(|| change(&self.store));
        }
        change(&self.store)
    }

    /// Ends what goes with the store, then closes it.
    pub(crate) fn close(self) -> nyala::Result<()> {
        let Open { store, popping, scans, .. } = self;
        drop((popping, scans));
        store.close()
    }

    /// Removes an entry and answers its value, detached as for a change of its length.
    #[inline]
    pub(crate) fn take(&self, py: Python<'_>, key: &[u8]) -> nyala::Result<Option<Vec<u8>>> {
        let len = self.len_of(key)?;
        self.change(py, len, |store| store.take(key))
    }

    /// Length of the value that a change will copy: about, since others change it too. 0 in a file, which is changed
    /// detached anyway.
    #[inline]
    pub(crate) fn len_of(&self, key: &[u8]) -> nyala::Result<usize> {
        if self.in_file {
            return Ok(0);
        }
        Ok(self.store.uncounted().entry_info(key)?.map_or(0, |info| info.value_len))
    }

    /// Takes note of a scan that begins, to end it with the store.
    pub(crate) fn begin_scan(&self, state: &Arc<Mutex<State>>) {
        let mut scans = self.scans.lock().unwrap_or_else(PoisonError::into_inner);
        if scans.states.len() >= scans.crowded {
            scans.states.retain(|state| state.strong_count() > 0);
            scans.crowded = 2 * scans.states.len() + 8;
        }
        scans.states.push(Arc::downgrade(state));
    }

    /// A key that was there; `None` once a whole scan has found none.
    pub(crate) fn candidate(&self) -> nyala::Result<Option<Vec<u8>>> {
        // The lock is held over no Python code.
        let mut popping = self.popping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut whole = false;
        loop {
            if let Some((key, _)) = popping.found.next() {
                return Ok(Some(key));
            }
            let cursor = match &mut popping.cursor {
                Some(cursor) => cursor,
                None if whole => return Ok(None),
                none => {
                    whole = true;
                    none.insert(self.store.scan(b"")?)
                }
            };
            match cursor.next_batch(1)? {
                Some(found) => popping.found = found.into_iter(),
                None => popping.cursor = None,
            }
        }
    }
}

impl Drop for Scans {
    fn drop(&mut self) {
        for state in self.states.drain(..).filter_map(|state| state.upgrade()) {
            // Whoever steps is inside the store: nobody holds the lock.
            state.lock().unwrap_or_else(PoisonError::into_inner).end();
        }
    }
}
