//! Stores the frequency of a slot, which readers do without a lock.

use super::slot::NARROW_ADDRESS_BITS;
use super::{Index, Slot};
use crate::sync::{AtomicU64, Ordering};

impl Index {
    /// Stores the frequency of `counted` into a slot that was loaded as `slot`, without a change of anything else.
    ///
    /// By a plain store of the byte that holds it where that holds nothing else, as it does up to 8 TiB of addresses: a locked
    /// instruction waits for all that came before, the misses of this get included, and lets none of the next one's begin. If
    /// the slot is another entry's by now, that one gets the count; if it is empty, it stays empty.
    #[inline(always)]
    pub(super) fn store_frequency(&self, word: &AtomicU64, slot: Slot, counted: Slot) {
        let byte = (counted.0 >> NARROW_ADDRESS_BITS) as u8;
        if !(self.narrow && store_byte(word, byte)) {
            swap_frequency(word, slot, counted);
        }
    }
}

/// Stores the byte of a slot that holds the frequency; whether this machine can.
#[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
#[inline(always)]
fn store_byte(word: &AtomicU64, byte: u8) -> bool {
    // SAFETY: stores one byte within `word`, which x86-64 does atomically beside loads and stores of the whole word: these see
    // the byte as it was before or after, and all others as they are stored by whoever holds the lock.
    unsafe {
        std::arch::asm!(
            "mov byte ptr [{word} + {offset}], {byte}",
            word = in(reg) word.as_ptr(),
            offset = const NARROW_ADDRESS_BITS / u8::BITS,
            byte = in(reg_byte) byte,
            options(nostack, preserves_flags),
        );
    }
    true
}

#[cfg(not(all(target_arch = "x86_64", not(any(loom, nyala_tsan)))))]
#[inline(always)]
fn store_byte(_: &AtomicU64, _: u8) -> bool {
    false
}

/// One try: a lost count is only a lost count, and an addition that cannot fail could carry into what is not the frequency.
#[inline]
fn swap_frequency(word: &AtomicU64, slot: Slot, counted: Slot) {
    // Relaxed: it publishes nothing new. As a read-modify-write it stays in the release sequence of the store that
    // published the slot, so that whoever loads it sees the record.
    let _ = word.compare_exchange(slot.0, counted.0, Ordering::Relaxed, Ordering::Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::geometry::Geometry;
    use crate::options::Options;

    /// An address that does not reach into the byte with the frequency, and one that fills its part of it.
    const ADDRESSES: [usize; 2] = [0x12_3456_789a, (1 << 45) - 1];

    #[test]
    fn only_the_frequency_changes() {
        let mut index =
            Index::new(&Geometry::new(&Options::memory(1 << 20)).unwrap(), true).unwrap();
        for (narrow, address) in [true, false].into_iter().zip(ADDRESSES) {
            index.narrow = narrow;
            let slot = Slot::new(0xabcd, address);
            index.publish(3, slot);
            for frequency in 1..=Slot::FREQUENCY_MAX {
                index.count_read(3, index.slot(3));
                assert_eq!(index.slot(3), slot.with_frequency(frequency));
            }
            index.count_read(3, index.slot(3));
            assert_eq!(index.slot(3), slot.with_frequency(Slot::FREQUENCY_MAX));
            assert!(index.slot(2).is_empty() && index.slot(4).is_empty());
        }
    }

    #[test]
    fn an_emptied_slot_stays_empty() {
        let mut index =
            Index::new(&Geometry::new(&Options::memory(1 << 20)).unwrap(), true).unwrap();
        for narrow in [true, false] {
            index.narrow = narrow;
            index.publish(3, Slot::EMPTY);
            index.count_read(3, Slot::new(0xabcd, ADDRESSES[0]));
            assert!(index.slot(3).is_empty());
        }
    }
}
