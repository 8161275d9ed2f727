//! A page: 64 buckets of eight slots, and its row of the page table.
//!
//! An entry lies in the first bucket with room from its home bucket on, cyclically. Each bucket counts the entries that
//! probed past it, so that a lookup stops at the first bucket that nobody passed. A page whose keys cannot be told
//! apart by the directory goes on in an overflow page, with the same home buckets.
//!
//! ```text
//! row of the page table
//! word 0      version
//! word 1      entries:16 | local depth:8 | inseparable:1 | 0:7 | overflow page + 1:32
//! words 2-5   for each bucket, 4 bits: entries that probed past it; 15 stays until the page is laid out anew
//! ```

use std::ops::ControlFlow;

use super::tags::Matches;
use super::{BUCKETS_PER_PAGE, Index, PAGE_TABLE_WORDS, PAGE_WORDS, SLOTS_PER_BUCKET, Slot};
use crate::hash::Hash;
use crate::sync::Ordering;

/// Buckets that an insertion probes before the page counts as full.
const PROBES: usize = 8;
/// Entries from which on a page counts as full: seven eighths. Fuller pages save little memory and probe further.
pub(super) const FULL: usize = PAGE_WORDS * 7 / 8;

const INFO_WORD: usize = 1;
const SPILL_WORD: usize = 2;
const SPILL_BITS: u32 = 4;
const SPILL_MAX: u64 = (1 << SPILL_BITS) - 1;
const BUCKETS_PER_SPILL_WORD: usize = 64 / SPILL_BITS as usize;

/// A free slot for an entry, or the slot of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// First page of the chain, which the directory names.
    pub(crate) head: usize,
    /// Word of the page region.
    pub(crate) word: usize,
}

impl Place {
    /// The place of an entry that a probe found.
    pub(crate) fn of_entry(head: usize, word: usize) -> Place {
        Place { head, word }
    }
}

/// Word 1 of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Info(u64);

impl Info {
    pub(super) fn new(depth: u32) -> Info {
        Info(u64::from(depth) << 16)
    }

    pub(super) fn entries(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    /// Number of directory bits that all keys of the page share.
    pub(super) fn depth(self) -> u32 {
        (self.0 >> 16 & 0xff) as u32
    }

    /// Whether the keys were found to agree in every bit that the directory could use.
    pub(super) fn inseparable(self) -> bool {
        self.0 >> 24 & 1 == 1
    }

    pub(super) fn overflow(self) -> Option<usize> {
        ((self.0 >> 32) as usize).checked_sub(1)
    }

    pub(super) fn with_entries(self, entries: usize) -> Info {
        Info(self.0 & !0xffff | entries as u64)
    }

    pub(super) fn with_inseparable(self) -> Info {
        Info(self.0 | 1 << 24)
    }

    pub(super) fn with_overflow(self, page: usize) -> Info {
        Info(self.0 & 0xffff_ffff | (page as u64 + 1) << 32)
    }
}

impl Index {
    /// Shows `visit` every slot with the hash's tag that its key could be in, until it breaks.
    #[inline]
    pub(crate) fn probe<R>(
        &self,
        head: usize,
        hash: Hash,
        mut visit: impl FnMut(usize, Slot) -> ControlFlow<R>,
    ) -> Option<R> {
        let tag = hash.tag();
        let mut page = head;
        loop {
            let mut bucket = hash.bucket();
            loop {
                let first = page * PAGE_WORDS + bucket * SLOTS_PER_BUCKET;
                for i in self.matches(first, tag) {
                    let word = first + i;
                    // Pairs with the release store in `publish`.
                    let slot = Slot(self.pages.view().word(word).load(Ordering::Acquire));
                    if slot.has_tag(tag)
                        && let ControlFlow::Break(found) = visit(word, slot)
                    {
                        return Some(found);
                    }
                }
                if self.spilled(page, bucket) == 0 {
                    return None;
                }
                bucket = (bucket + 1) % BUCKETS_PER_PAGE;
                if bucket == hash.bucket() {
                    break;
                }
            }
            page = self.info(page).overflow()?;
        }
    }

    /// Whether the home bucket says that there is no entry with the hash's tag, so that a probe would find none.
    #[inline]
    pub(crate) fn rules_out(&self, head: usize, hash: Hash) -> bool {
        let first = head * PAGE_WORDS + hash.bucket() * SLOTS_PER_BUCKET;
        self.spilled(head, hash.bucket()) == 0 && self.matches(first, hash.tag()).next().is_none()
    }

    /// Which slots of a bucket have a tag.
    #[inline]
    pub(super) fn matches(&self, first: usize, tag: u64) -> Matches {
        self.comparer.equal_tags(self.pages.view().line(first), tag)
    }

    #[inline]
    pub(super) fn info(&self, page: usize) -> Info {
        // Acquire: pairs with the release store in `set_info`, so that a page that is linked reads as it was prepared.
        Info(self.table.view().word(page * PAGE_TABLE_WORDS + INFO_WORD).load(Ordering::Acquire))
    }

    pub(super) fn set_info(&self, page: usize, info: Info) {
        self.table
            .view()
            .word(page * PAGE_TABLE_WORDS + INFO_WORD)
            .store(info.0, Ordering::Release);
    }

    /// Number of entries, 15 meaning 15 or more, that probed past a bucket.
    #[inline]
    fn spilled(&self, page: usize, bucket: usize) -> u64 {
        let (word, shift) = spill_field(page, bucket);
        self.table.view().load(word) >> shift & SPILL_MAX
    }

    fn add_spilled(&self, page: usize, bucket: usize, change: i64) {
        let (word, shift) = spill_field(page, bucket);
        if self.spilled(page, bucket) != SPILL_MAX {
            // Only the holder of the stripe's lock writes; the field neither borrows nor carries.
            self.table
                .view()
                .store(word, self.table.view().load(word).wrapping_add_signed(change << shift));
        }
    }

    /// A free slot for a key, in the pages that may be filled without a split; under the stripe's lock.
    pub(super) fn free_place(&self, head: usize, hash: Hash) -> Option<Place> {
        if self.info(head).entries() >= FULL {
            return None;
        }
        self.free_in_page(head, hash, PROBES).map(|word| Place { head, word })
    }

    /// A free slot for a key anywhere in the chain.
    pub(super) fn free_place_anywhere(&self, head: usize, hash: Hash) -> Option<Place> {
        self.chain(head)
            .find_map(|page| self.free_in_page(page, hash, BUCKETS_PER_PAGE))
            .map(|word| Place { head, word })
    }

    fn free_in_page(&self, page: usize, hash: Hash, probes: usize) -> Option<usize> {
        (0..probes.min(BUCKETS_PER_PAGE)).find_map(|step| {
            let bucket = (hash.bucket() + step) % BUCKETS_PER_PAGE;
            let first = page * PAGE_WORDS + bucket * SLOTS_PER_BUCKET;
            // Empty slots have tag 0, and no others.
            self.matches(first, 0).next().map(|i| first + i)
        })
    }

    /// Puts an entry into a free slot; under the stripe's lock.
    pub(crate) fn insert(&self, place: Place, hash: Hash, slot: Slot) {
        self.count_passes(place, hash, 1);
        let page = place.word / PAGE_WORDS;
        let info = self.info(page);
        self.set_info(page, info.with_entries(info.entries() + 1));
        self.publish(place.word, slot);
    }

    /// Empties a slot; under the stripe's lock.
    pub(crate) fn remove(&self, place: Place, hash: Hash) {
        self.publish(place.word, Slot::EMPTY);
        let page = place.word / PAGE_WORDS;
        let info = self.info(page);
        self.set_info(page, info.with_entries(info.entries() - 1));
        self.count_passes(place, hash, -1);
    }

    /// Counts an entry in every bucket that a lookup passes on its way.
    fn count_passes(&self, place: Place, hash: Hash, change: i64) {
        let last = place.word / PAGE_WORDS;
        for page in self.chain(place.head).take_while(|page| *page != last) {
            for bucket in 0..BUCKETS_PER_PAGE {
                self.add_spilled(page, bucket, change);
            }
        }
        let end = place.word % PAGE_WORDS / SLOTS_PER_BUCKET;
        let mut bucket = hash.bucket();
        while bucket != end {
            self.add_spilled(last, bucket, change);
            bucket = (bucket + 1) % BUCKETS_PER_PAGE;
        }
    }

    /// The pages of a chain, in the order of probing.
    pub(crate) fn chain(&self, head: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(head), |page| self.info(*page).overflow())
    }

    /// Puts an empty page behind the last one of a chain.
    pub(super) fn extend_chain(&self, head: usize, page: usize) {
        self.set_info(page, Info::new(0));
        if let Some(last) = self.chain(head).last() {
            self.set_info(last, self.info(last).with_overflow(page));
        }
    }

    /// All slots of a chain that hold entries, each with its place.
    pub(crate) fn entries(&self, head: usize) -> impl Iterator<Item = (Place, Slot)> {
        self.chain(head)
            .flat_map(|page| page * PAGE_WORDS..(page + 1) * PAGE_WORDS)
            .map(move |word| (Place { head, word }, self.slot(word)))
            .filter(|(_, slot)| !slot.is_empty())
    }

    /// Makes a page empty and its row that of a page of this depth.
    pub(super) fn wipe(&self, page: usize, depth: u32) {
        for word in page * PAGE_WORDS..(page + 1) * PAGE_WORDS {
            // Release, as every store that a reader may see while the version is odd.
            self.publish(word, Slot::EMPTY);
        }
        for i in 0..BUCKETS_PER_PAGE.div_ceil(BUCKETS_PER_SPILL_WORD) {
            self.table.view().store(page * PAGE_TABLE_WORDS + SPILL_WORD + i, 0);
        }
        self.set_info(page, Info::new(depth));
    }

    /// Number of entries of a chain.
    pub(super) fn count(&self, head: usize) -> usize {
        self.chain(head).map(|page| self.info(page).entries()).sum()
    }

    /// Checks that counts, passes and tags of a chain are what its slots say.
    pub(super) fn validate_chain(
        &self,
        head: usize,
        hash_of: &mut dyn FnMut(Slot) -> Hash,
    ) -> Result<(), String> {
        let mut passes = vec![[0_u64; BUCKETS_PER_PAGE]; self.chain(head).count()];
        let chain: Vec<usize> = self.chain(head).collect();
        for (index, page) in chain.iter().enumerate() {
            let words = page * PAGE_WORDS..(page + 1) * PAGE_WORDS;
            let slots: Vec<_> = words.map(|word| (word, self.slot(word))).collect();
            let entries = slots.iter().filter(|(_, slot)| !slot.is_empty()).count();
            if entries != self.info(*page).entries() {
                return Err(format!("I3: page {page} holds {entries} entries"));
            }
            for (word, slot) in slots.into_iter().filter(|(_, slot)| !slot.is_empty()) {
                let hash = hash_of(slot);
                if hash.tag() != slot.tag() {
                    return Err(format!("I3: the tag at word {word} is not its key's"));
                }
                for full in &mut passes[..index] {
                    full.iter_mut().for_each(|count| *count += 1);
                }
                let end = word % PAGE_WORDS / SLOTS_PER_BUCKET;
                let mut bucket = hash.bucket();
                while bucket != end {
                    passes[index][bucket] += 1;
                    bucket = (bucket + 1) % BUCKETS_PER_PAGE;
                }
            }
        }
        for (index, page) in chain.iter().enumerate() {
            for (bucket, expected) in passes[index].iter().enumerate() {
                let counted = self.spilled(*page, bucket);
                if counted != *expected && counted != SPILL_MAX {
                    return Err(format!(
                        "I3: {expected} entries passed bucket {bucket} of page {page}, not {counted}"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn spill_field(page: usize, bucket: usize) -> (usize, u32) {
    let word = page * PAGE_TABLE_WORDS + SPILL_WORD + bucket / BUCKETS_PER_SPILL_WORD;
    (word, SPILL_BITS * (bucket % BUCKETS_PER_SPILL_WORD) as u32)
}
