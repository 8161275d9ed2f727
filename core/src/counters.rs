//! What a stripe counts: written under its lock, read by anybody.

use crate::sync::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) entries: Counter,
    pub(crate) live_words: Counter,
    /// Words of leased segments up to the end of their last record.
    pub(crate) used_words: Counter,
    /// Words of segments that were sealed less than half full, behind their last record: recovery leaves such.
    pub(crate) slack_words: Counter,
    /// Words of records that were given a lifetime since this was last set; an upper bound.
    pub(crate) expiring_words: Counter,
    pub(crate) records_moved: Counter,
    pub(crate) words_moved: Counter,
    /// Entries that splits and merges have laid out anew.
    pub(crate) entries_relaid: Counter,
    pub(crate) expired: Counter,
    pub(crate) evicted: Counter,
    pub(crate) words_evicted: Counter,
}

/// A number that only the holder of the stripe's lock changes, so that no read-modify-write is needed.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed) as usize
    }

    #[inline]
    pub(crate) fn set(&self, count: usize) {
        self.0.store(count as u64, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn add(&self, change: usize) {
        self.set(self.get() + change);
    }

    #[inline]
    pub(crate) fn sub(&self, change: usize) {
        // What a hostile file says of its segments may be less than what dies in them.
        self.set(self.get().saturating_sub(change));
    }
}
