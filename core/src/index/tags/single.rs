//! One tag at a time, on any processor, and where a checker watches each load.

use super::{Matches, QUARTERS, SLOTS_PER_BUCKET};
use crate::index::slot::TAG_SHIFT;
use crate::sync::{AtomicU64, Ordering};

/// How tags are compared on this processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparer;

impl Comparer {
    pub(crate) fn new() -> Comparer {
        Comparer
    }

    /// All ways that this processor knows.
    #[cfg(all(test, not(loom)))]
    pub(super) fn all() -> Vec<Comparer> {
        vec![Comparer]
    }

    /// Which slots have a tag, at the moment at which each is loaded.
    #[inline]
    pub(crate) fn equal_tags(self, slots: &[AtomicU64; SLOTS_PER_BUCKET], tag: u64) -> Matches {
        Matches(slots.iter().rev().fold(0, |mask, slot| {
            let is_equal = slot.load(Ordering::Relaxed) >> TAG_SHIFT == tag;
            mask << QUARTERS | u32::from(is_equal) << (QUARTERS - 1)
        }))
    }
}
