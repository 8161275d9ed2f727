//! A stripe's directory: which page holds which keys, and how pages split and merge.
//!
//! The low `depth` directory bits of a hash index the directory. A page of local depth `t` is named by every word whose
//! low `t` bits are its own. A directory never moves: it has room for its greatest depth from the start, and doubling
//! writes only the upper half, which no reader of the old depth looks at.
//!
//! Everything here but [`Directory::home`] and [`Directory::page`] runs under the stripe's lock.

use super::page::{FULL, Place};
use super::{Index, PAGE_WORDS, Slot};
use crate::hash::Hash;
use crate::log::space::{Regions, Space};
use crate::region::{Region, WORD};
use crate::sync::{AtomicU64, Ordering, fence};

/// Two pages whose entries together fill no more than half of one are merged. Three eighths of a page must come again
/// before it splits, deletes leave pages at worst a quarter full, and a call that splits a page, merges two and walks
/// expired records moves less than 1,000 entries.
const MERGED: usize = PAGE_WORDS / 2;
/// Operating systems commit memory in pages of this size.
const SYSTEM_PAGE: usize = 4096;

/// The directory of one stripe.
#[derive(Debug)]
pub(crate) struct Directory {
    /// First word in the region of directories.
    first: usize,
    depth: AtomicU64,
}

type HashAll<'a> = dyn FnMut(&mut [(Slot, Hash)]) + 'a;

/// What an operation on the index borrows: the budget to take pages from, and a way from a slot to its key's hash.
pub(crate) struct Helpers<'a> {
    pub(crate) space: &'a Space,
    pub(crate) log: &'a Region,
    /// Sets the hash of each entry in the list to that of the key which its slot names.
    pub(crate) hash_all: &'a mut HashAll<'a>,
    /// Entries that were laid out anew.
    pub(crate) moved: usize,
}

impl Helpers<'_> {
    fn regions<'a>(&'a self, index: &'a Index) -> Regions<'a> {
        Regions { log: self.log, index_pages: &index.pages }
    }
}

impl std::fmt::Debug for Helpers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Helpers")
    }
}

impl Directory {
    /// Bytes that a directory commits at a depth.
    pub(crate) fn committed(depth: u32) -> usize {
        (WORD << depth).max(SYSTEM_PAGE)
    }

    /// The directory of stripe `stripe`, naming one page.
    pub(crate) fn new(index: &Index, stripe: usize, page: usize) -> Directory {
        let first = stripe << index.depth_max;
        index.directories.view().store(first, page as u64);
        index.wipe(page, 0);
        Directory { first, depth: AtomicU64::new(0) }
    }

    #[inline]
    pub(crate) fn depth(&self) -> u32 {
        // Pairs with the release store in `double`: the words of the upper half come first.
        self.depth.load(Ordering::Acquire) as u32
    }

    /// The page that holds a key.
    #[inline]
    pub(crate) fn home(&self, index: &Index, hash: Hash) -> usize {
        self.page(index, self.depth(), hash)
    }

    /// The page that holds a key, at a depth that was read before.
    #[inline]
    pub(crate) fn page(&self, index: &Index, depth: u32, hash: Hash) -> usize {
        self.page_at(index, depth, hash.directory(depth))
    }

    /// The page that these directory bits name.
    #[inline]
    pub(crate) fn page_at(&self, index: &Index, depth: u32, bits: u64) -> usize {
        let word = self.first + (bits & ((1 << depth) - 1)) as usize;
        // Pairs with the release stores in `redirect`.
        index.directories.view().word(word).load(Ordering::Acquire) as usize
    }

    /// The local depth of a page: how many directory bits its keys share.
    pub(crate) fn local_depth(&self, index: &Index, page: usize) -> u32 {
        index.info(page).depth()
    }

    /// Every page once, by one of its directory words.
    pub(crate) fn pages(&self, index: &Index) -> impl Iterator<Item = usize> {
        (0..1_usize << self.depth()).filter_map(move |i| {
            let page = index.directories.view().load(self.first + i) as usize;
            (i >> index.info(page).depth() == 0).then_some(page)
        })
    }

    /// A free slot for a key that is not in the index, or `None` if its page is full.
    #[inline]
    pub(crate) fn free_place(&self, index: &Index, hash: Hash) -> Option<Place> {
        index.free_place(self.home(index, hash), hash)
    }

    /// A free slot for a key that is not in the index, or `None` if that takes a page which the budget does not have.
    ///
    /// ```text
    /// if the page is not full: a slot near the home bucket
    /// else if it can be split: split it, look again
    /// else a slot anywhere in the page or its overflow pages; else a new overflow page
    /// ```
    pub(crate) fn prepare(
        &self,
        index: &Index,
        hash: Hash,
        helpers: &mut Helpers<'_>,
    ) -> Option<Place> {
        loop {
            if let Some(place) = self.free_place(index, hash) {
                return Some(place);
            }
            let page = self.home(index, hash);
            if self.split(index, page, hash, helpers) {
                continue;
            }
            if let Some(place) = index.free_place_anywhere(page, hash) {
                return Some(place);
            }
            let overflow = helpers.space.take_page(helpers.regions(index))?;
            index.extend_chain(page, overflow);
        }
    }

    /// Sees to it that these keys, none of which is in the index, find free slots without another page: what a page has
    /// beyond its entries is enough for its keys. `false` if that takes a page which the budget does not have.
    pub(crate) fn make_room(
        &self,
        index: &Index,
        hashes: &mut [Hash],
        helpers: &mut Helpers<'_>,
    ) -> bool {
        let mut groups = vec![hashes];
        while let Some(group) = groups.pop() {
            group.sort_unstable_by_key(|hash| self.home(index, *hash));
            for of_page in group.chunk_by_mut(|a, b| self.home(index, *a) == self.home(index, *b)) {
                let page = self.home(index, of_page[0]);
                let entries = index.count(page);
                if entries > 0
                    && entries + of_page.len() > FULL
                    && self.split(index, page, of_page[0], helpers)
                {
                    groups.push(of_page);
                    continue;
                }
                let mut slots = index.chain(page).count() * PAGE_WORDS;
                while slots < entries + of_page.len() {
                    let Some(overflow) = helpers.space.take_page(helpers.regions(index)) else {
                        return false;
                    };
                    index.extend_chain(page, overflow);
                    slots += PAGE_WORDS;
                }
            }
        }
        true
    }

    /// A free slot for a key for which [`Directory::make_room`] made room.
    pub(crate) fn place_made(&self, index: &Index, hash: Hash) -> Option<Place> {
        let page = self.home(index, hash);
        index.free_place(page, hash).or_else(|| index.free_place_anywhere(page, hash))
    }

    /// Splits a page into two by the next bit of the hash. Answers whether it did: not if no bit that the directory can
    /// use separates the keys, nor if the budget has no room.
    fn split(&self, index: &Index, page: usize, hash: Hash, helpers: &mut Helpers<'_>) -> bool {
        let info = index.info(page);
        let agrees = |other: Hash| other.agrees(hash, index.depth_max);
        if info.inseparable() {
            let one = entries_with_hashes(index, page, 1, helpers);
            if one.iter().all(|(_, other)| agrees(*other)) {
                return false;
            }
        }
        let Some(upper) = helpers.space.take_page(helpers.regions(index)) else { return false };
        let local = info.depth();
        let mut separable = index.is_separable(page, hash);
        if !separable {
            let entries = entries_with_hashes(index, page, usize::MAX, helpers);
            separable = entries.iter().any(|(_, other)| !agrees(*other));
        }
        if !separable {
            index.set_info(page, info.with_inseparable());
        }
        if !separable || local == self.depth() && !self.double(index, helpers) {
            helpers.space.give_back_page(upper);
            return false;
        }
        let entries = entries_to_split(index, page, hash.directory(local), helpers);
        // The page may have been named by the same words before: a reader that still has it from then finds another
        // version.
        begin_move(index, upper, local + 1);
        let mut spare = begin_move(index, page, local + 1);
        helpers.moved += entries.len();
        for (slot, hash) in entries {
            let to = if hash.goes_up(local) { upper } else { page };
            place_again(index, to, slot, &mut spare);
        }
        self.redirect(index, hash.directory(local) | 1 << local, local + 1, upper);
        end_move(index, upper);
        end_move(index, page);
        spare.into_iter().for_each(|page| helpers.space.give_back_page(page));
        true
    }

    /// Merges the page of a removed key with its buddy when both are half empty.
    pub(crate) fn merge(&self, index: &Index, hash: Hash, helpers: &mut Helpers<'_>) {
        let entries = index.info(self.home(index, hash)).entries();
        // Looked at now and then, so that deleting everything costs one look in eight.
        if entries <= MERGED / 2 && entries.is_multiple_of(PAGE_WORDS.div_ceil(64)) {
            self.merge_with_buddy(index, hash.directory(self.depth()), MERGED, helpers);
        }
    }

    /// Merges what can be merged, however full it becomes, from the directory word `from` on: at most one pair. Answers
    /// where to go on.
    pub(crate) fn shrink(
        &self,
        index: &Index,
        from: u64,
        helpers: &mut Helpers<'_>,
    ) -> Option<u64> {
        let end = 1 << self.depth();
        (from..end).find(|bits| self.merge_with_buddy(index, *bits, FULL, helpers))
    }

    /// Merges the page that these directory bits name with the one that it was split from or that was split from it, if
    /// their entries are no more than `most`.
    fn merge_with_buddy(
        &self,
        index: &Index,
        bits: u64,
        most: usize,
        helpers: &mut Helpers<'_>,
    ) -> bool {
        let page = self.page_at(index, self.depth(), bits);
        let depth = index.info(page).depth();
        if depth == 0 {
            return false;
        }
        let buddy = self.page_at(index, depth, bits ^ 1 << (depth - 1));
        if index.is_asleep(page) || index.is_asleep(buddy) {
            // Nobody knows the hashes of its keys.
            return false;
        }
        if index.info(buddy).depth() != depth || index.count(page) + index.count(buddy) > most {
            return false;
        }
        let upper = bits >> (depth - 1) & 1 == 1;
        let (keep, drop) = if upper { (buddy, page) } else { (page, buddy) };
        let entries = entries_to_merge(index, keep, drop);
        helpers.moved += entries.len();
        let mut spare = begin_move(index, keep, depth - 1);
        spare.extend(begin_move(index, drop, 0));
        for slot in entries {
            place_again(index, keep, slot, &mut spare);
        }
        self.redirect(index, bits & ((1 << (depth - 1)) - 1), depth - 1, keep);
        end_move(index, drop);
        end_move(index, keep);
        spare.push(drop);
        spare.into_iter().for_each(|page| helpers.space.give_back_page(page));
        true
    }

    /// Makes the directory name one empty page, as it was new, and gives the others back.
    pub(crate) fn clear(&self, index: &Index, space: &Space) {
        let pages: Vec<usize> = self.pages(index).collect();
        let keep = pages[0];
        let mut spare = Vec::new();
        for page in &pages {
            spare.extend(begin_move(index, *page, 0));
        }
        self.redirect(index, 0, 0, keep);
        for page in &pages {
            end_move(index, *page);
        }
        spare.extend(pages.into_iter().filter(|page| *page != keep));
        spare.into_iter().for_each(|page| space.give_back_page(page));
    }

    /// Doubles the directory; whether it may grow and the budget had room.
    fn double(&self, index: &Index, helpers: &mut Helpers<'_>) -> bool {
        let depth = self.depth();
        if depth == index.depth_max {
            return false;
        }
        let more = Self::committed(depth + 1) - Self::committed(depth);
        if more > 0 && !helpers.space.commit_table(more, helpers.log) {
            return false;
        }
        let half = 1 << depth;
        for i in 0..half {
            let page = index.directories.view().load(self.first + i);
            index.directories.view().store(self.first + half + i, page);
        }
        // Pairs with the acquire load in `depth`.
        self.depth.store(u64::from(depth) + 1, Ordering::Release);
        true
    }

    /// Makes the directory of a stripe without entries as deep as it is going to be. Nobody else uses it yet.
    pub(super) fn deepen(&self, depth: u32) {
        self.depth.store(depth.into(), Ordering::Relaxed);
    }

    /// Lets every word with these low bits name a page.
    pub(super) fn redirect(&self, index: &Index, bits: u64, depth: u32, page: usize) {
        for i in (bits as usize..1 << self.depth()).step_by(1 << depth) {
            // Pairs with the acquire load in `page`: whoever sees the new page sees its slots.
            index.directories.view().word(self.first + i).store(page as u64, Ordering::Release);
        }
    }

    /// Checks that every page is named by exactly the words that it should be.
    pub(crate) fn validate(
        &self,
        index: &Index,
        hash_of: &mut dyn FnMut(Slot) -> Hash,
    ) -> Result<usize, String> {
        let mut entries = 0;
        for i in 0..1_usize << self.depth() {
            let page = index.directories.view().load(self.first + i) as usize;
            let local = index.info(page).depth();
            if local > self.depth() {
                return Err(format!("I4: page {page} is deeper than its directory"));
            }
            let own = i & ((1 << local) - 1);
            if index.directories.view().load(self.first + own) as usize != page {
                return Err(format!("I4: directory words {i} and {own} name different pages"));
            }
            if own != i {
                continue;
            }
            if index.version(page).load(Ordering::Relaxed) % 2 == 1 {
                return Err(format!("I4: page {page} is being moved"));
            }
            index.validate_chain(page, hash_of)?;
            for (_, slot) in index.entries(page) {
                let hash = hash_of(slot);
                if hash.directory(local) as usize != own {
                    return Err(format!("I4: a key of page {page} belongs elsewhere"));
                }
                let (told, known) = index.hash_so_far(slot, own as u64, local);
                if !told.agrees(hash, known) {
                    return Err(format!("I3: a slot of page {page} foresees another key"));
                }
            }
            entries += index.count(page);
        }
        Ok(entries)
    }
}

/// The first `most` entries of a page, each with its key's hash.
fn entries_with_hashes(
    index: &Index,
    page: usize,
    most: usize,
    helpers: &mut Helpers<'_>,
) -> Vec<(Slot, Hash)> {
    let slots = index.entries(page).take(most);
    let mut entries: Vec<_> = slots.map(|(_, slot)| (slot, Hash(0))).collect();
    (helpers.hash_all)(&mut entries);
    entries
}

/// The entries of a page whose keys share the directory bits `shared`, as they go into pages that are one deeper. Of each hash
/// only what decides where: as the slot tells it, or, where that does not reach so far, as its key does.
fn entries_to_split(
    index: &Index,
    page: usize,
    shared: u64,
    helpers: &mut Helpers<'_>,
) -> Vec<(Slot, Hash)> {
    let local = index.info(page).depth();
    let mut entries = Vec::with_capacity(index.count(page));
    let mut unknown = Vec::new();
    for (_, slot) in index.entries(page) {
        match index.hash_so_far(slot, shared, local) {
            (hash, known) if known > local => entries.push((slot.deeper(), hash)),
            _ => unknown.push((slot, Hash(0))),
        }
    }
    (helpers.hash_all)(&mut unknown);
    let foreseen = |(slot, hash): (Slot, Hash)| (index.foresee(slot, hash, local + 1), hash);
    entries.extend(unknown.into_iter().map(foreseen));
    entries
}

/// The entries of two pages of equal depth, as they go into one that is shallower.
fn entries_to_merge(index: &Index, lower: usize, upper: usize) -> Vec<Slot> {
    let of = |page, is_upper| {
        index.entries(page).map(move |(_, slot)| match index.evicts {
            true => slot,
            false => slot.shallower(is_upper),
        })
    };
    of(lower, false).chain(of(upper, true)).collect()
}

/// Makes the page's version odd and the page with its chain empty; returns the chain's overflow pages.
pub(super) fn begin_move(index: &Index, page: usize, depth: u32) -> Vec<usize> {
    let version = index.version(page);
    // That of a page that sleeps is odd already, and stays so.
    version.store((version.load(Ordering::Relaxed) + 1) | 1, Ordering::Relaxed);
    // Pairs with the acquire fence at the end of a reader's miss: a reader that saw any of the stores below sees
    // the odd version, or a later one.
    fence(Ordering::Release);
    let chain: Vec<usize> = index.chain(page).collect();
    for page in &chain {
        index.wipe(*page, depth);
    }
    chain[1..].to_vec()
}

/// Puts an entry into a page that is being laid out anew, with overflow pages from `spare` where it is full.
pub(super) fn place_again(index: &Index, head: usize, slot: Slot, spare: &mut Vec<usize>) {
    // All that a page looks at.
    let hash = Hash::of_slot(slot.tag(), 0);
    let place = loop {
        if let Some(place) = index.free_place_anywhere(head, hash) {
            break place;
        }
        // The entries came from this many pages or fewer, see `split`.
        let Some(page) = spare.pop() else {
            unreachable!("entries need no more pages than before")
        };
        index.extend_chain(head, page);
    };
    index.insert(place, hash, slot);
}

/// Makes the page's version even again. Release: pairs with a reader's first load of the version.
pub(super) fn end_move(index: &Index, page: usize) {
    let version = index.version(page);
    version.store(version.load(Ordering::Relaxed) + 1, Ordering::Release);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::ops::ControlFlow;

    use crate::engine::Engine;
    use crate::file::progress::Meter;
    use crate::hash::Hash;
    use crate::options::{Options, Tuning};
    use crate::sync::Ordering;
    use crate::update::{Change, NewValue};

    fn set(engine: &Engine, key: u32) {
        let change = Change::Store(NewValue::Bytes(b"v"), 0);
        engine.update(&key.to_le_bytes(), |_, _| Ok((change, ()))).unwrap();
    }

    fn remove(engine: &Engine, key: u32) {
        engine.update(&key.to_le_bytes(), |_, _| Ok((Change::Remove, ()))).unwrap();
    }

    /// The steps of a reader that misses, by hand, so that the writer can do much between two of them.
    #[test]
    fn a_page_that_comes_back_hides_no_key() {
        let tuning = Tuning { seed: Some(1), ..Tuning::default() };
        let engine =
            Engine::open(&Options::memory(1 << 20).tuning(tuning), &Meter::default()).unwrap();
        let directory = &engine.stripes[0].directory;
        let hash_of = |key: u32| -> Hash { engine.hasher.hash(&key.to_le_bytes()) };
        let first_split = (0..).find(|key| {
            set(&engine, *key);
            directory.depth() == 1
        });
        let keys = 0..=first_split.unwrap();
        let stays = keys.clone().find(|key| hash_of(*key).directory(1) == 1).unwrap();
        let page_of = |key| directory.home(&engine.index, hash_of(key));

        let page = page_of(stays);
        keys.filter(|key| *key != stays).for_each(|key| remove(&engine, key));
        assert_ne!(page_of(stays), page, "the pages did not merge");
        let version = engine.index.version(page).load(Ordering::Acquire);
        let probed = engine.index.probe(page, hash_of(stays), |_, _| ControlFlow::Break(()));
        assert!(version.is_multiple_of(2) && probed.is_none());
        for key in 1_000_000.. {
            set(&engine, key);
            if page_of(stays) == page {
                break;
            }
        }
        assert_ne!(engine.index.version(page).load(Ordering::Relaxed), version, "a false miss");
    }
}
