//! Compares the tags of a bucket with one tag.

use super::SLOTS_PER_BUCKET;

/// Which slots have a tag, a bit each. The tag of a slot is its upper quarter; empty slots have tag 0.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline]
pub(super) fn equal_tags(slots: [u64; SLOTS_PER_BUCKET], tag: u64) -> u32 {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { with_sse2(slots, tag) }
}

/// Packs the eight tags into one register and compares them at once: half the instructions of the loop below, and a
/// get short enough that the processor overlaps the next one's cache misses with this one's.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline]
#[target_feature(enable = "sse2")]
fn with_sse2(slots: [u64; SLOTS_PER_BUCKET], tag: u64) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi16, _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32, _mm_set_epi64x,
        _mm_set1_epi16, _mm_setzero_si128, _mm_shuffle_epi32, _mm_srai_epi32, _mm_unpacklo_epi64,
    };
    const UPPER_HALVES: i32 = 0b11_01_11_01;
    let pair = |i: usize| {
        let words = _mm_set_epi64x(slots[i + 1].cast_signed(), slots[i].cast_signed());
        _mm_shuffle_epi32::<UPPER_HALVES>(words)
    };
    // The upper halves of four slots, shifted so that their tags are small signed numbers, which packing keeps.
    let four = |i: usize| _mm_srai_epi32::<16>(_mm_unpacklo_epi64(pair(i), pair(i + 2)));
    let tags = _mm_packs_epi32(four(0), four(4));
    let equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((tag as u16).cast_signed()));
    _mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())).cast_unsigned()
}

/// The same, one slot at a time, without a branch for each: where the match lies is random, and each wrong guess costs
/// as much as the whole bucket.
#[cfg(not(all(target_arch = "x86_64", not(loom))))]
#[inline]
pub(super) fn equal_tags(slots: [u64; SLOTS_PER_BUCKET], tag: u64) -> u32 {
    slots
        .iter()
        .rev()
        .fold(0, |mask, slot| mask + mask + u32::from(slot >> super::TAG_SHIFT == tag))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::Slot;
    use super::*;

    #[test]
    fn equal_tags_are_found_wherever_they_are() {
        for tag in [0, 1, 0x7fff, 0x8000, 0xffff] {
            for wanted in 0..=u8::MAX {
                let slots = std::array::from_fn(|i| {
                    let tag = if wanted >> i & 1 == 1 { tag } else { tag ^ 0x8001 };
                    Slot::new(tag, i + 1).0
                });
                assert_eq!(equal_tags(slots, tag), u32::from(wanted), "tag {tag:#x}");
            }
        }
    }
}
