//! The index: for each key one 64-bit slot that says where its record is.
//!
//! A stripe's directory names pages; a page is 64 buckets; a bucket is one cache line of eight slots. The index holds
//! no key and no pointer. Beside each page lies a row of the page table: its version, its count, and for each bucket
//! how many entries probed past it.

mod asleep;
mod directory;
#[cfg(all(test, not(loom)))]
mod format;
mod page;
mod tags;

use crate::error::Result;
use crate::geometry::Geometry;
use crate::hash::Hash;
use crate::region::Region;
use crate::sync::{AtomicU64, Ordering, store_beside_swaps};

pub(crate) use asleep::Outline;
pub(crate) use directory::{Directory, Helpers};
pub(crate) use page::Place;
use tags::equal_tags;

/// Slots of a bucket: one cache line.
pub(crate) const SLOTS_PER_BUCKET: usize = if cfg!(loom) { 2 } else { 8 };
/// Buckets of a page. The models use small ones, so that few operations reach a split.
pub(crate) const BUCKETS_PER_PAGE: usize = if cfg!(loom) { 2 } else { 64 };
/// Words of a page.
pub(crate) const PAGE_WORDS: usize = SLOTS_PER_BUCKET * BUCKETS_PER_PAGE;
/// Words of a page's row in the page table: one cache line.
pub(crate) const PAGE_TABLE_WORDS: usize = 8;

const TAG_SHIFT: u32 = 48;
const USED_SHIFT: u32 = 47;
const FREQUENCY_SHIFT: u32 = ADDRESS_BITS;
const ADDRESS_BITS: u32 = 45;

/// A word of the index: `tag:16 | 1 | frequency:2 | address:45`, or 0 if it is empty. The address counts words of the
/// log; the frequency, which only a cache uses, how often the entry was read since it came or was last spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u64);

impl Slot {
    pub(crate) const EMPTY: Slot = Slot(0);

    /// Highest frequency: a slot that has it is not written to by reads any more.
    pub(crate) const FREQUENCY_MAX: u64 = 3;

    pub(crate) fn new(tag: u64, address: usize) -> Slot {
        debug_assert!(address != 0 && (address as u64) < 1 << ADDRESS_BITS);
        Slot(tag << TAG_SHIFT | 1 << USED_SHIFT | address as u64)
    }

    pub(crate) fn frequency(self) -> u64 {
        self.0 >> FREQUENCY_SHIFT & Self::FREQUENCY_MAX
    }

    /// The same slot with another frequency.
    pub(crate) fn with_frequency(self, frequency: u64) -> Slot {
        debug_assert!(frequency <= Self::FREQUENCY_MAX);
        Slot(self.0 & !(Self::FREQUENCY_MAX << FREQUENCY_SHIFT) | frequency << FREQUENCY_SHIFT)
    }

    /// Whether both name the same record.
    pub(crate) fn names_same(self, other: Slot) -> bool {
        self.with_frequency(0) == other.with_frequency(0)
    }

    pub(crate) fn tag(self) -> u64 {
        self.0 >> TAG_SHIFT
    }

    /// Whether the slot is used and has this tag: one comparison for both.
    #[inline]
    pub(crate) fn has_tag(self, tag: u64) -> bool {
        self.0 >> USED_SHIFT == tag << 1 | 1
    }

    /// Word of the log at which the record starts.
    #[inline]
    pub(crate) fn address(self) -> usize {
        (self.0 & ((1 << ADDRESS_BITS) - 1)) as usize
    }
}

/// Pages, their table and the directories of all stripes.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) pages: Region,
    table: Region,
    directories: Region,
    depth_max: u32,
}

/// Bytes of index an entry, above which the index is worth shrinking when room is short: pages half full.
pub(crate) const SPARSE_BYTES_PER_ENTRY: usize = 2 * 8;

impl Index {
    pub(crate) fn new(geometry: &Geometry) -> Result<Index> {
        let words = geometry.pages * PAGE_WORDS;
        let huge_words = if geometry.index_piece > 1 { words } else { 0 };
        Ok(Index {
            pages: Region::anonymous(words, 0, huge_words)?,
            table: Region::anonymous(geometry.pages * PAGE_TABLE_WORDS, 0, 0)?,
            directories: Region::anonymous(geometry.stripes << geometry.depth_max, 0, 0)?,
            depth_max: geometry.depth_max,
        })
    }

    /// Version of a page: odd while its slots move.
    #[inline]
    pub(crate) fn version(&self, page: usize) -> &AtomicU64 {
        self.table.view().word(page * PAGE_TABLE_WORDS)
    }

    /// The slot at a word of the page region.
    #[inline]
    pub(crate) fn slot(&self, word: usize) -> Slot {
        Slot(self.pages.view().load(word))
    }

    /// Publishes a slot. Release: whoever sees it sees the record that was written before.
    #[inline]
    pub(crate) fn publish(&self, word: usize, slot: Slot) {
        store_beside_swaps(self.pages.view().word(word), slot.0);
    }

    /// Counts a read of the entry whose slot was loaded from here, unless its frequency is as high as it gets: the slots of
    /// hot entries stay unwritten, in every core's cache. One try: a lost count is only a lost count, and an addition that
    /// cannot fail would make a slot out of one that was emptied meanwhile.
    #[inline]
    pub(crate) fn count_read(&self, word: usize, slot: Slot) {
        let frequency = slot.frequency();
        if frequency < Slot::FREQUENCY_MAX {
            let counted = slot.with_frequency(frequency + 1);
            // Relaxed: it publishes nothing new. As a read-modify-write it stays in the release sequence of the store that
            // published the slot, so that whoever loads it sees the record.
            let _ = self.pages.view().word(word).compare_exchange(
                slot.0,
                counted.0,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// The first slot with the hash's tag in its home bucket, with its word.
    #[inline]
    pub(crate) fn first_in_bucket(&self, page: usize, hash: Hash) -> Option<(usize, Slot)> {
        let first = page * PAGE_WORDS + hash.bucket() * SLOTS_PER_BUCKET;
        let slots = self.pages.view().line::<SLOTS_PER_BUCKET>(first);
        // Any slot if none matches; the slot itself decides.
        let i = equal_tags(slots, hash.tag()).trailing_zeros() as usize % SLOTS_PER_BUCKET;
        // Pairs with the release store in `publish`.
        let slot = Slot(slots[i].load(Ordering::Acquire));
        slot.has_tag(hash.tag()).then_some((first + i, slot))
    }

    /// Asks for the home bucket, which a lookup reads first.
    #[inline]
    pub(crate) fn prefetch_bucket(&self, page: usize, hash: Hash) {
        self.pages.view().prefetch(page * PAGE_WORDS + hash.bucket() * SLOTS_PER_BUCKET);
    }

    /// Asks for the row of the page table, which is read if the entry is not in its home bucket.
    #[inline]
    pub(crate) fn prefetch_row(&self, page: usize) {
        self.table.view().prefetch(page * PAGE_TABLE_WORDS);
    }
}
