//! Compares the tags of a bucket with one tag.

use super::SLOTS_PER_BUCKET;
use crate::sync::AtomicU64;

/// Which slots have a tag, a bit each, at the moment at which each is loaded. The tag of a slot is its upper quarter; that
/// of an empty slot is 0.
#[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
#[inline(always)]
pub(super) fn equal_tags(slots: &[AtomicU64; SLOTS_PER_BUCKET], tag: u64) -> u32 {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { with_sse2(slots, tag) }
}

/// Packs the eight tags into one register and compares them at once: half the instructions of the loop below, and a
/// get short enough that the processor overlaps the next one's cache misses with this one's.
#[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
#[inline]
#[target_feature(enable = "sse2")]
fn with_sse2(slots: &[AtomicU64; SLOTS_PER_BUCKET], tag: u64) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi16, _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32, _mm_set1_epi16,
        _mm_setzero_si128, _mm_srai_epi32,
    };
    // The upper halves of four slots, shifted so that their tags are small signed numbers, which packing keeps.
    let [low, high] = upper_halves(slots);
    let tags = _mm_packs_epi32(_mm_srai_epi32::<16>(low), _mm_srai_epi32::<16>(high));
    let equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((tag as u16).cast_signed()));
    _mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())).cast_unsigned()
}

/// The upper 32 bits of slots 0 to 3 and 4 to 7.
///
/// Eight loads of a word each, relaxed, as `AtomicU64::load` makes them, but straight into the halves of vector
/// registers, which the compiler does with no atomic.
#[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
#[inline(always)]
fn upper_halves(slots: &[AtomicU64; SLOTS_PER_BUCKET]) -> [std::arch::x86_64::__m128i; 2] {
    let (low, high);
    // SAFETY: reads the eight words of `slots`, each by one aligned load of 64 bits, which x86-64 makes atomic; writes
    // only the registers that it names.
    unsafe {
        std::arch::asm!(
            "movq {low}, qword ptr [{slots}]",
            "movhps {low}, qword ptr [{slots} + 8]",
            "movq {next}, qword ptr [{slots} + 16]",
            "movhps {next}, qword ptr [{slots} + 24]",
            "shufps {low}, {next}, 0xdd",
            "movq {high}, qword ptr [{slots} + 32]",
            "movhps {high}, qword ptr [{slots} + 40]",
            "movq {next}, qword ptr [{slots} + 48]",
            "movhps {next}, qword ptr [{slots} + 56]",
            "shufps {high}, {next}, 0xdd",
            slots = in(reg) slots.as_ptr(),
            low = out(xmm_reg) low,
            high = out(xmm_reg) high,
            next = out(xmm_reg) _,
            options(nostack, preserves_flags, readonly),
        );
    }
    [low, high]
}

/// The same, one slot at a time, without a branch for each: where the match lies is random, and each wrong guess costs
/// as much as the whole bucket.
#[cfg(not(all(target_arch = "x86_64", not(any(loom, nyala_tsan)))))]
#[inline]
pub(super) fn equal_tags(slots: &[AtomicU64; SLOTS_PER_BUCKET], tag: u64) -> u32 {
    slots.iter().rev().fold(0, |mask, slot| {
        let slot = slot.load(crate::sync::Ordering::Relaxed);
        mask + mask + u32::from(slot >> super::slot::TAG_SHIFT == tag)
    })
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
                    AtomicU64::new(Slot::new(tag, i + 1).0)
                });
                assert_eq!(equal_tags(&slots, tag), u32::from(wanted), "tag {tag:#x}");
            }
        }
    }
}
