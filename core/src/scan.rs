//! Scans: every entry once, page by page, in the order of hashes.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Result;
use crate::index::Slot;
use crate::log::record::Record;
use crate::reader::Entry;
use crate::sync::{Ordering, fence};

/// A key and its value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// A key, its value, and when it expires in milliseconds since the epoch, 0 for never.
pub(crate) type Expiring = (Vec<u8>, Vec<u8>, u64);

/// Rounds in which a page is read without a lock.
const ROUNDS: usize = 8;

/// Walks over the entries of a store whose keys begin with a prefix.
///
/// Weakly consistent: an entry that is there throughout comes exactly once; one that comes or goes meanwhile may or may
/// not. It holds no lock between calls and blocks no writer. It may outlive the store's handle.
pub struct Cursor {
    engine: Arc<Engine>,
    prefix: Vec<u8>,
    /// Where the page behind the buffered one begins; `None` behind the last.
    next_page: Option<u64>,
    /// Keys of the buffered page that are still to come, last first.
    pending: Vec<(u64, Range<usize>)>,
    keys: Vec<u8>,
}

impl Cursor {
    pub(crate) fn new(engine: Arc<Engine>, prefix: &[u8], position: u64) -> Result<Cursor> {
        engine.birthplace.check()?;
        let (prefix, keys) = (prefix.to_vec(), Vec::new());
        Ok(Cursor { engine, prefix, next_page: Some(position), pending: Vec::new(), keys })
    }

    /// Where another cursor of the same store goes on, by [`Store::scan_from`](crate::Store::scan_from); `None` at the
    /// end. Positions mean nothing to another store.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.pending.last().map(|(position, _)| *position).or(self.next_page)
    }

    /// The budgeted step: answers at most `budget` entries, and looks at about as many, one page (about 450) at the
    /// least. An empty answer means that none of those matched; `None`, that the scan is at its end.
    ///
    /// # Errors
    /// [`Error::Forked`](crate::Error::Forked) in a child process.
    pub fn next_batch(&mut self, budget: usize) -> Result<Option<Vec<KeyValue>>> {
        let mut batch = Vec::new();
        let mut looked = 0;
        while batch.len() < budget.max(1) {
            if let Some((key, value, _)) = self.next_pending()? {
                batch.push((key, value));
                continue;
            }
            match self.next_page {
                Some(position) if looked < budget.max(1) => looked += self.load_page(position)?,
                Some(_) => break,
                None if batch.is_empty() => return Ok(None),
                None => break,
            }
        }
        Ok(Some(batch))
    }

    /// The next entry, with its expiry; `None` at the end.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Expiring>> {
        loop {
            if let Some(entry) = self.next_pending()? {
                return Ok(Some(entry));
            }
            let Some(position) = self.next_page else { return Ok(None) };
            self.load_page(position)?;
        }
    }

    /// The next buffered entry that still exists, with its expiry.
    fn next_pending(&mut self) -> Result<Option<Expiring>> {
        self.engine.birthplace.check()?;
        let moment = self.engine.moment();
        while let Some((_, range)) = self.pending.pop() {
            let key = &self.keys[range];
            let mut value = Vec::new();
            let hash = self.engine.hasher.hash(key);
            let found = self.engine.read(hash, key, &moment, |entry: Entry<'_>| {
                entry.value.copy_to_vec(&mut value);
                entry.expiry
            })?;
            if let Some(expiry) = found {
                return Ok(Some((key.to_vec(), value, expiry)));
            }
        }
        Ok(None)
    }

    /// Buffers the matching keys of the page at `position` that lie at or behind it; answers how many entries it holds.
    fn load_page(&mut self, position: u64) -> Result<usize> {
        for _ in 0..ROUNDS {
            if let Some(looked) = self.try_page(position) {
                return Ok(looked);
            }
        }
        let engine = Arc::clone(&self.engine);
        let (stripe, bits) = engine.hasher.scan_page(position);
        let moment = engine.moment();
        let writer = engine.lock_stripe(stripe, &moment)?;
        let directory = &engine.stripes[stripe].directory;
        writer.wake_page(directory.page_at(&engine.index, directory.depth(), bits))?;
        // Under the lock nothing changes, so that the first try succeeds.
        Ok(self.try_page(position).unwrap_or(0))
    }

    fn try_page(&mut self, position: u64) -> Option<usize> {
        let engine = Arc::clone(&self.engine);
        let (stripe, bits) = engine.hasher.scan_page(position);
        let directory = &engine.stripes[stripe].directory;
        let depth = directory.depth();
        let page = directory.page_at(&engine.index, depth, bits);
        let version = engine.index.version(page).load(Ordering::Acquire);
        let local = directory.local_depth(&engine.index, page);
        if version % 2 == 1 || local > depth {
            return None;
        }
        self.pending.clear();
        self.keys.clear();
        let mut looked = 0;
        for (place, slot) in engine.index.entries(page) {
            looked += 1;
            self.buffer_key(place.word, slot, position)?;
        }
        // Pairs with the release fence in `begin_move`, as at the end of a reader's miss.
        fence(Ordering::Acquire);
        let still = directory.depth() == depth
            && directory.page_at(&engine.index, depth, bits) == page
            && engine.index.version(page).load(Ordering::Relaxed) == version;
        if !still {
            return None;
        }
        self.pending.sort_unstable_by_key(|(position, _)| std::cmp::Reverse(*position));
        self.next_page = engine.hasher.scan_next_page(position, local);
        Some(looked)
    }

    /// Buffers the key that a slot names, as it is or as it has become meanwhile; `None` if that cannot be read now.
    fn buffer_key(&mut self, word: usize, mut slot: Slot, position: u64) -> Option<()> {
        for _ in 0..ROUNDS {
            let old = self.keys.len();
            if self.engine.copy_key_of(word, slot, &mut self.keys) {
                let key = &self.keys[old..];
                let at = self.engine.hasher.scan_position(self.engine.hasher.hash(key));
                if at >= position && key.starts_with(&self.prefix) {
                    self.pending.push((at, old..self.keys.len()));
                } else {
                    self.keys.truncate(old);
                }
                return Some(());
            }
            self.keys.truncate(old);
            slot = self.engine.index.slot(word);
            if slot.is_empty() {
                return Some(());
            }
        }
        None
    }
}

impl Iterator for Cursor {
    type Item = Result<KeyValue>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_entry() {
            Ok(entry) => entry.map(|(key, value, _)| Ok((key, value))),
            Err(error) => {
                self.next_page = None;
                Some(Err(error))
            }
        }
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Appends the key of the record that a slot names; `false` if the slot has changed, or the record while it was
    /// read. The same validation as in `Engine::look`, but for the version: an overwrite in place keeps the key.
    fn copy_key_of(&self, word: usize, slot: Slot, out: &mut Vec<u8>) -> bool {
        let generation = self.segments.generation();
        let now = Slot(self.index.pages.view().word(word).load(Ordering::Acquire));
        if !now.names_same(slot) {
            return false;
        }
        let record = Record::at(self.log.view(), slot.address());
        record.copy_key(out);
        fence(Ordering::Acquire);
        self.segments.generation() == generation
    }
}
