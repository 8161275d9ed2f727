//! What a Python store holds while it is open.

use std::sync::{Mutex, PoisonError};
use std::vec::IntoIter;

use nyala::Cursor;

/// An open store and what belongs to it.
pub(crate) struct Open {
    store: nyala::Store,
    popping: Mutex<Popping>,
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
    pub(crate) fn new(store: nyala::Store) -> Self {
        Open { store, popping: Mutex::default() }
    }

    #[inline]
    pub(crate) fn store(&self) -> &nyala::Store {
        &self.store
    }

    /// Whether the store can be used, for what the core answers without a result.
    pub(crate) fn check(&self) -> nyala::Result<()> {
        self.store.check()
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
