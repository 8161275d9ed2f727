//! Compares the tags of a bucket with one tag.
//!
//! Which slots are being written meanwhile does not matter, nor how a load of several is cut: tags change only when entries
//! come and go, and whoever finds a match loads that slot anew.

use super::SLOTS_PER_BUCKET;
use crate::sync::AtomicU64;

/// Bits of a match for each slot: its four quarters, of which the tag is the upper one.
const QUARTERS: u32 = 4;
#[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
const UPPER_QUARTERS: u32 = 0x8888_8888;

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

/// How tags are compared on this processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparer {
    /// Whether there are comparisons of 256 bits that answer a bit mask (AVX-512).
    #[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
    masks: bool,
}

impl Comparer {
    pub(super) fn new() -> Comparer {
        Comparer {
            #[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
            masks: is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl"),
        }
    }

    /// All ways that this processor knows.
    #[cfg(all(test, not(loom)))]
    fn all() -> Vec<Comparer> {
        vec![
            #[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
            Comparer { masks: false },
            Comparer::new(),
        ]
    }

    /// Which slots have a tag, at the moment at which each is loaded. The tag of a slot is its upper quarter; that of an
    /// empty slot is 0.
    ///
    /// Without a branch for each slot: where the match lies is random, and each wrong guess costs as much as the whole
    /// bucket. In few instructions, so that the processor overlaps the next get's cache misses with this one's.
    #[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
    #[inline(always)]
    pub(super) fn equal_tags(self, slots: &[AtomicU64; SLOTS_PER_BUCKET], tag: u64) -> Matches {
        let quarters = if self.masks {
            // SAFETY: the processor was asked.
            unsafe { equal_with_masks(slots, tag) }
        } else {
            equal_with_bytes(slots, tag)
        };
        Matches(quarters & UPPER_QUARTERS)
    }

    /// Which slots have a tag, one at a time.
    #[cfg(not(all(target_arch = "x86_64", not(any(loom, nyala_tsan)))))]
    #[inline]
    pub(super) fn equal_tags(self, slots: &[AtomicU64; SLOTS_PER_BUCKET], tag: u64) -> Matches {
        Matches(slots.iter().rev().fold(0, |mask, slot| {
            let slot = slot.load(crate::sync::Ordering::Relaxed);
            let upper = u32::from(slot >> super::slot::TAG_SHIFT == tag) << (QUARTERS - 1);
            mask << QUARTERS | upper
        }))
    }
}

/// Which quarters of the slots are the tag, a bit each: four slots at once.
///
/// # Safety
/// The processor has AVX-512 VL and BW. Registers from 16 on, which leave those of other code as they are.
#[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
#[inline(always)]
unsafe fn equal_with_masks(slots: &[AtomicU64; SLOTS_PER_BUCKET], tag: u64) -> u32 {
    let quarters: u32;
    // SAFETY: reads the 64 bytes of `slots` and writes only the registers that it names.
    unsafe {
        std::arch::asm!(
            "vpbroadcastw ymm16, {tag:e}",
            "vpcmpeqw k1, ymm16, ymmword ptr [{slots}]",
            "vpcmpeqw k2, ymm16, ymmword ptr [{slots} + 32]",
            "kunpckwd k1, k2, k1",
            "kmovd {quarters:e}, k1",
            slots = in(reg) slots.as_ptr(),
            tag = in(reg) tag,
            quarters = out(reg) quarters,
            out("xmm16") _,
            out("k1") _,
            out("k2") _,
            options(nostack, preserves_flags, readonly),
        );
    }
    quarters
}

/// The same on every x86-64 processor: two slots at once, whose quarters are packed into bytes, which have a mask.
#[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
#[inline(always)]
fn equal_with_bytes(slots: &[AtomicU64; SLOTS_PER_BUCKET], tag: u64) -> u32 {
    let (low, high): (u32, u32);
    // SAFETY: reads the 64 bytes of `slots`, which is aligned as a bucket is, and writes only the registers that it names.
    unsafe {
        std::arch::asm!(
            "movd {a}, {tag:e}",
            "pshuflw {a}, {a}, 0",
            "punpcklqdq {a}, {a}",
            "movdqa {b}, {a}",
            "movdqa {c}, {a}",
            "movdqa {d}, {a}",
            "pcmpeqw {a}, xmmword ptr [{slots}]",
            "pcmpeqw {b}, xmmword ptr [{slots} + 16]",
            "pcmpeqw {c}, xmmword ptr [{slots} + 32]",
            "pcmpeqw {d}, xmmword ptr [{slots} + 48]",
            "packsswb {a}, {b}",
            "packsswb {c}, {d}",
            "pmovmskb {low:e}, {a}",
            "pmovmskb {high:e}, {c}",
            slots = in(reg) slots.as_ptr(),
            tag = in(reg) tag,
            low = lateout(reg) low,
            high = lateout(reg) high,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack, preserves_flags, readonly),
        );
    }
    low | high << 16
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::slot::TAG_SHIFT;
    use super::*;

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
