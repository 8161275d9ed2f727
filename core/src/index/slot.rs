//! A slot: the word of the index that says where an entry's record is.

use crate::hash::Hash;

pub(super) const TAG_SHIFT: u32 = 48;
pub(super) const USED_SHIFT: u32 = 47;
const NOTE_SHIFT: u32 = ADDRESS_BITS;
const ADDRESS_BITS: u32 = 45;
/// Bits of an address that lie below the byte with the note.
pub(super) const NARROW_ADDRESS_BITS: u32 = ADDRESS_BITS / u8::BITS * u8::BITS;

/// A word of the index: `tag:16 | 1 | note:2 | address:45`; empty if the tag is 0, which no key has. The address counts words
/// of the log. In a cache the note is the frequency: how often the entry was read since it came or was last spared. In a store
/// it says how the hash goes on behind the directory bits that the keys of the page share, so that a page can be split without
/// a look at its records: one bit, below a one that ends it; 0 or 1 if that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u64);

impl Slot {
    pub(crate) const EMPTY: Slot = Slot(0);

    /// Highest frequency: a slot that has it is not written to by reads any more.
    pub(crate) const FREQUENCY_MAX: u64 = 3;

    const NOTE_MAX: u64 = 3;
    /// The end of a note that holds a bit.
    const NOTE_END: u64 = 2;

    pub(crate) fn new(tag: u64, address: usize) -> Slot {
        debug_assert!(tag != 0 && address != 0 && (address as u64) < 1 << ADDRESS_BITS);
        Slot(tag << TAG_SHIFT | 1 << USED_SHIFT | address as u64)
    }

    /// The slot of the same key when its record lies here.
    pub(crate) fn at(self, address: usize) -> Slot {
        Slot::new(self.tag(), address).with_note(self.note())
    }

    /// Whether there is no entry. A read that was counted too late may have left something else.
    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.tag() == 0
    }

    pub(crate) fn note(self) -> u64 {
        self.0 >> NOTE_SHIFT & Self::NOTE_MAX
    }

    /// The same slot with another note.
    pub(crate) fn with_note(self, note: u64) -> Slot {
        debug_assert!(note <= Self::NOTE_MAX);
        Slot(self.0 & !(Self::NOTE_MAX << NOTE_SHIFT) | note << NOTE_SHIFT)
    }

    /// The note of a cache.
    pub(crate) fn frequency(self) -> u64 {
        self.note()
    }

    /// The same slot with another frequency.
    pub(crate) fn with_frequency(self, frequency: u64) -> Slot {
        debug_assert!(frequency <= Self::FREQUENCY_MAX);
        self.with_note(frequency)
    }

    /// The same slot, in a store, with what its key's hash says of the next splits of a page of this local depth.
    pub(crate) fn with_foresight(self, hash: Hash, depth: u32) -> Slot {
        self.with_note(Self::NOTE_END | (hash.bits_from(depth) % Self::NOTE_END))
    }

    /// What a slot of a store, in a page whose keys share the low `depth` directory bits `shared`, tells of its key's hash, and
    /// how many directory bits that is.
    pub(crate) fn hash_so_far(self, shared: u64, depth: u32) -> (Hash, u32) {
        let known = self.note().checked_ilog2().unwrap_or(0);
        let ahead = self.note() & ((1 << known) - 1);
        (Hash::of_slot(self.tag(), shared | ahead << depth), depth + known)
    }

    /// The slot of a store as it goes into a page that is one deeper.
    pub(crate) fn deeper(self) -> Slot {
        self.with_note(self.note() >> 1)
    }

    /// The slot of a store as it goes into a page that is one shallower; `upper` is the bit that its page's keys shared.
    pub(crate) fn shallower(self, upper: bool) -> Slot {
        match self.note() {
            0 => self,
            note => {
                let note = note << 1 | u64::from(upper);
                let fits = note <= Self::NOTE_MAX;
                self.with_note(if fits { note } else { Self::NOTE_END | (note % Self::NOTE_END) })
            }
        }
    }

    /// Whether both name the same record.
    pub(crate) fn names_same(self, other: Slot) -> bool {
        self.with_note(0) == other.with_note(0)
    }

    pub(crate) fn tag(self) -> u64 {
        self.0 >> TAG_SHIFT
    }

    /// Whether the slot is used and has this tag: one comparison for both.
    #[inline]
    pub(crate) fn has_tag(self, tag: u64) -> bool {
        self.0 >> USED_SHIFT == tag << 1 | 1
    }

    /// Word of the log at which the record starts.
    #[inline]
    pub(crate) fn address(self) -> usize {
        (self.0 & ((1 << ADDRESS_BITS) - 1)) as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::hash::KeyHasher;

    #[test]
    fn a_slot_foresees_a_split() {
        let hasher = KeyHasher::new(Some(5), 0, 1);
        for n in 0..1_000_u32 {
            let hash = hasher.hash(&n.to_le_bytes());
            for slot_depth in [0, 1, 7, 30] {
                let slot = Slot::new(hash.tag(), 5).with_foresight(hash, slot_depth);
                for (slot, depth) in [(slot, slot_depth), (slot.deeper(), slot_depth + 1)] {
                    let known = slot_depth + 1;
                    let (told, bits) = slot.hash_so_far(hash.directory(depth), depth);
                    assert_eq!(bits, known);
                    assert!(told.agrees(hash, known) && told.tag() == hash.tag());
                }
            }
        }
    }

    #[test]
    fn a_merge_takes_a_split_back() {
        let hasher = KeyHasher::new(Some(5), 0, 1);
        for n in 0..1_000_u32 {
            let hash = hasher.hash(&n.to_le_bytes());
            let slot = Slot::new(hash.tag(), 5).with_foresight(hash, 3);
            assert_eq!(slot.deeper().shallower(hash.goes_up(3)), slot);
            let merged = slot.shallower(hash.goes_up(2));
            assert_eq!(merged, Slot::new(hash.tag(), 5).with_foresight(hash, 2));
        }
        let unknown = Slot::new(7, 5);
        assert_eq!((unknown.shallower(true), unknown.deeper()), (unknown, unknown));
    }
}
