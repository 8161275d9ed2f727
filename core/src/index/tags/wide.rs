//! Several tags at once, by the instructions of x86-64.

use super::{Matches, SLOTS_PER_BUCKET};
use crate::sync::AtomicU64;

/// Of a match's bits those of tags, which are the upper quarters of slots.
const UPPER_QUARTERS: u32 = 0x8888_8888;

/// How tags are compared on this processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparer {
    /// Whether there are comparisons of 256 bits that answer a bit mask (AVX-512).
    masks: bool,
}

impl Comparer {
    pub(crate) fn new() -> Comparer {
        let masks = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl");
        Comparer { masks }
    }

    /// All ways that this processor knows.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Comparer> {
        vec![Comparer { masks: false }, Comparer::new()]
    }

    /// Which slots have a tag, at the moment at which each is loaded. The tag of a slot is its upper quarter; that of an
    /// empty slot is 0.
    ///
    /// Without a branch for each slot: where the match lies is random, and each wrong guess costs as much as the whole
    /// bucket. In few instructions, so that the processor overlaps the next get's cache misses with this one's.
    #[inline(always)]
    pub(crate) fn equal_tags(self, slots: &[AtomicU64; SLOTS_PER_BUCKET], tag: u64) -> Matches {
        let quarters = if self.masks {
            // SAFETY: the processor was asked.
            unsafe { equal_with_masks(slots, tag) }
        } else {
            equal_with_bytes(slots, tag)
        };
        Matches(quarters & UPPER_QUARTERS)
    }
}

/// Which quarters of the slots are the tag, a bit each: four slots at once.
///
/// # Safety
/// The processor has AVX-512 VL and BW. Registers from 16 on, which leave those of other code as they are.
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
