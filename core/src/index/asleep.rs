//! Pages that sleep: their entries are known, but nobody has looked yet whether the records are what was written.
//!
//! A sleeping page lists its slots from its first word on, in any order and without the bit that says that they are used: a
//! reader that takes one for a slot finds no tag that matches. The version of a sleeping chain's first page is odd, so that
//! no miss is believed either, and every reader ends up under the stripe's lock. There the page is woken: checked, and laid
//! out as a split lays pages out.

use super::directory::{begin_move, end_move, place_again};
use super::page::Info;
use super::slot::USED_SHIFT;
use super::{Directory, Index, PAGE_WORDS, Slot};
use crate::hash::Hash;
use crate::log::space::Space;
use crate::sync::{AtomicU64, Ordering};

impl Slot {
    /// The slot as a sleeping page lists it.
    pub(crate) fn asleep(self) -> Slot {
        Slot(self.0 & !(1 << USED_SHIFT))
    }

    fn awake(self) -> Slot {
        Slot(self.0 | 1 << USED_SHIFT)
    }
}

/// A page without its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) entries: usize,
    /// Directory bits that all keys share, of the first page of a chain.
    pub(crate) depth: u32,
    pub(crate) inseparable: bool,
    /// The overflow page behind it.
    pub(crate) overflow: Option<usize>,
}

impl Index {
    /// Whether a page, the first of its chain, sleeps; under the stripe's lock, while nothing is being moved.
    #[inline]
    pub(crate) fn is_asleep(&self, head: usize) -> bool {
        self.version(head).load(Ordering::Relaxed) % 2 == 1
    }

    pub(crate) fn outline(&self, page: usize) -> Outline {
        let info = self.info(page);
        Outline {
            entries: info.entries(),
            depth: info.depth(),
            inseparable: info.inseparable(),
            overflow: info.overflow(),
        }
    }

    /// Words of the page region that nobody reads yet.
    pub(crate) fn page_words(&self, page: usize, count: usize) -> &[AtomicU64] {
        self.pages.view().run(page * PAGE_WORDS, count)
    }

    /// Makes a page whose slots are listed in it one that sleeps, the first of its chain or one behind. Nobody else uses the
    /// index yet.
    pub(crate) fn lay_to_sleep(&self, page: usize, outline: Outline, is_head: bool) {
        let mut info = Info::new(outline.depth).with_entries(outline.entries);
        if outline.inseparable {
            info = info.with_inseparable();
        }
        if let Some(overflow) = outline.overflow {
            info = info.with_overflow(overflow);
        }
        self.set_info(page, info);
        if is_head {
            self.version(page).store(1, Ordering::Relaxed);
        }
    }

    /// The slots of a page as a sleeping page lists them, whether it sleeps or not.
    pub(crate) fn slots_asleep(&self, page: usize) -> impl Iterator<Item = Slot> {
        let words = page * PAGE_WORDS..(page + 1) * PAGE_WORDS;
        words.map(|word| self.slot(word).asleep()).filter(|slot| !slot.is_empty())
    }
}

impl Directory {
    /// Every chain by its first page, with the lowest directory bits that name it.
    pub(crate) fn heads(&self, index: &Index) -> impl Iterator<Item = (u64, usize)> {
        (0..1_u64 << self.depth()).filter_map(move |bits| {
            let page = self.page_at(index, self.depth(), bits);
            (bits >> index.info(page).depth() == 0).then_some((bits, page))
        })
    }

    /// The page that the directory of a stripe without entries names.
    pub(crate) fn only_page(&self, index: &Index) -> usize {
        self.page_at(index, 0, 0)
    }

    /// Names these pages instead of its only one. Nobody else uses the index yet.
    pub(crate) fn adopt(&self, index: &Index, names: impl ExactSizeIterator<Item = usize>) {
        self.deepen(names.len().trailing_zeros());
        for (bits, page) in names.enumerate() {
            self.redirect(index, bits as u64, self.depth(), page);
        }
    }

    /// Lays the slots of a sleeping chain out where readers find them; under the stripe's lock.
    pub(crate) fn wake(
        &self,
        index: &Index,
        head: usize,
        entries: impl IntoIterator<Item = (Slot, Hash)>,
        space: &Space,
    ) {
        let outline = index.outline(head);
        let mut spare = begin_move(index, head, outline.depth);
        if outline.inseparable {
            index.set_info(head, index.info(head).with_inseparable());
        }
        for (slot, hash) in entries {
            // What was noted may be of another kind of store.
            let slot = index.foresee(slot.awake(), hash, outline.depth);
            place_again(index, head, slot, &mut spare);
        }
        end_move(index, head);
        spare.into_iter().for_each(|page| space.give_back_page(page));
    }
}
