//! Compares the tags of a bucket with one tag.
//!
//! Which slots are being written meanwhile does not matter, nor how a load of several is cut: tags change only when entries
//! come and go, and whoever finds a match loads that slot anew.

#[cfg_attr(all(target_arch = "x86_64", not(any(loom, nyala_tsan))), path = "tags/wide.rs")]
#[cfg_attr(not(all(target_arch = "x86_64", not(any(loom, nyala_tsan)))), path = "tags/single.rs")]
mod comparer;

use super::SLOTS_PER_BUCKET;
pub(super) use comparer::Comparer;

/// Bits of a match for each slot: its four quarters, of which the tag is the upper one.
const QUARTERS: u32 = 4;

/// The slots of a bucket that have a tag: bit `4 i + 3` is that of slot `i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matches(u32);

impl Matches {
    /// The first of them; any slot if there is none.
    #[inline]
    pub(super) fn first(self) -> usize {
        (self.0.trailing_zeros() / QUARTERS) as usize % SLOTS_PER_BUCKET
    }
}

impl Iterator for Matches {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let first = (self.0 != 0).then(|| self.first());
        self.0 &= self.0.wrapping_sub(1);
        first
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::slot::TAG_SHIFT;
    use super::*;
    use crate::sync::AtomicU64;

    /// A bucket is a cache line.
    #[repr(align(64))]
    struct Bucket([AtomicU64; SLOTS_PER_BUCKET]);

    #[test]
    fn equal_tags_are_found_wherever_they_are() {
        for comparer in Comparer::all() {
            for tag in [0, 1, 0x7fff, 0x8000, 0xffff] {
                for wanted in 0..=u8::MAX {
                    let bucket = Bucket(std::array::from_fn(|i| {
                        let tag = if wanted >> i & 1 == 1 { tag } else { tag ^ 0x4001 };
                        AtomicU64::new(tag << TAG_SHIFT | tag)
                    }));
                    let found = comparer.equal_tags(&bucket.0, tag);
                    let found: Vec<usize> = found.collect();
                    let wanted = (0..SLOTS_PER_BUCKET).filter(|i| wanted >> i & 1 == 1);
                    assert!(wanted.eq(found.iter().copied()), "tag {tag:#x}: {found:?}");
                }
            }
        }
    }
}
