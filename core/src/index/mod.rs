//! The index: for each key one 64-bit slot that says where its record is.
//!
//! A stripe's directory names pages; a page is 64 buckets; a bucket is one cache line of eight slots. The index holds
//! no key and no pointer. Beside each page lies a row of the page table: its version, its count, and for each bucket
//! how many entries probed past it.

mod asleep;
mod directory;
#[cfg(all(test, not(loom)))]
mod format;
mod frequency;
mod page;
mod slot;
mod tags;

use crate::error::Result;
use crate::geometry::Geometry;
use crate::hash::Hash;
use crate::region::Region;
use crate::sync::{AtomicU64, Ordering, store_beside_swaps};

pub(crate) use asleep::Outline;
pub(crate) use directory::{Directory, Helpers};
pub(crate) use page::Place;
use slot::NARROW_ADDRESS_BITS;
pub(crate) use slot::Slot;
use tags::Comparer;

/// Slots of a bucket: one cache line.
pub(crate) const SLOTS_PER_BUCKET: usize = if cfg!(loom) { 2 } else { 8 };
/// Buckets of a page. The models use small ones, so that few operations reach a split.
pub(crate) const BUCKETS_PER_PAGE: usize = if cfg!(loom) { 2 } else { 64 };
/// Words of a page.
pub(crate) const PAGE_WORDS: usize = SLOTS_PER_BUCKET * BUCKETS_PER_PAGE;
/// Words of a page's row in the page table: one cache line.
pub(crate) const PAGE_TABLE_WORDS: usize = 8;

/// Pages, their table and the directories of all stripes.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) pages: Region,
    table: Region,
    directories: Region,
    depth_max: u32,
    /// Whether no address reaches into the byte with the note.
    narrow: bool,
    /// Whether notes are frequencies.
    evicts: bool,
    comparer: Comparer,
}

/// Bytes of index an entry, above which the index is worth shrinking when room is short: pages half full.
pub(crate) const SPARSE_BYTES_PER_ENTRY: usize = 2 * 8;

impl Index {
    pub(crate) fn new(geometry: &Geometry, evicts: bool) -> Result<Index> {
        let words = geometry.pages * PAGE_WORDS;
        let huge_words = if geometry.index_piece > 1 { words } else { 0 };
        Ok(Index {
            pages: Region::anonymous(words, 0, huge_words)?,
            table: Region::anonymous(geometry.pages * PAGE_TABLE_WORDS, 0, 0)?,
            directories: Region::anonymous(geometry.stripes << geometry.depth_max, 0, 0)?,
            depth_max: geometry.depth_max,
            narrow: geometry.log_words() as u64 <= 1 << NARROW_ADDRESS_BITS,
            evicts,
            comparer: Comparer::new(),
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

    /// A slot for an entry that goes to this page.
    #[inline]
    pub(crate) fn new_slot(&self, head: usize, hash: Hash, address: usize) -> Slot {
        self.foresee(Slot::new(hash.tag(), address), hash, self.info(head).depth())
    }

    /// The slot as it goes into a page of this local depth; in a cache as it is.
    #[inline]
    fn foresee(&self, slot: Slot, hash: Hash, depth: u32) -> Slot {
        if self.evicts { slot } else { slot.with_foresight(hash, depth) }
    }

    /// What a slot in a page whose keys share the low `depth` directory bits `shared` tells of its key's hash, and how many
    /// directory bits that is.
    fn hash_so_far(&self, slot: Slot, shared: u64, depth: u32) -> (Hash, u32) {
        if self.evicts {
            return (Hash::of_slot(slot.tag(), shared), depth);
        }
        slot.hash_so_far(shared, depth)
    }

    /// Whether the slots of a page tell that a bit which the directory could use separates a key from one of the page's.
    fn is_separable(&self, page: usize, hash: Hash) -> bool {
        let local = self.info(page).depth();
        self.entries(page).any(|(_, slot)| {
            let (other, known) = self.hash_so_far(slot, hash.directory(local), local);
            !hash.agrees(other, known.min(self.depth_max))
        })
    }

    /// Publishes a slot. Release: whoever sees it sees the record that was written before.
    #[inline]
    pub(crate) fn publish(&self, word: usize, slot: Slot) {
        store_beside_swaps(self.pages.view().word(word), slot.0);
    }

    /// Counts a read of the entry whose slot was loaded from here, unless its frequency is as high as it gets: the slots of
    /// hot entries stay unwritten, in every core's cache. Counts may be lost, and fall to whoever has the slot by then.
    #[inline(always)]
    pub(crate) fn count_read(&self, word: usize, slot: Slot) {
        let frequency = slot.frequency();
        if frequency < Slot::FREQUENCY_MAX {
            let counted = slot.with_frequency(frequency + 1);
            self.store_frequency(self.pages.view().word(word), slot, counted);
        }
    }

    /// The first slot with the hash's tag in its home bucket, with its word.
    #[inline]
    pub(crate) fn first_in_bucket(&self, page: usize, hash: Hash) -> Option<(usize, Slot)> {
        let first = page * PAGE_WORDS + hash.bucket() * SLOTS_PER_BUCKET;
        let slots = self.pages.view().line::<SLOTS_PER_BUCKET>(first);
        let i = self.comparer.equal_tags(slots, hash.tag()).next()?;
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
