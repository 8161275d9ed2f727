//! One hash a key, and which of its bits mean what.
//!
//! ```text
//! 63            48 47    42 41    34 33                              0
//! |      tag      |        | stripe |           directory            |
//! ```
//! The low bits of the tag are the bucket, so that a slot tells where its entry belongs, with ten left by which the keys of
//! one bucket differ. The directory takes its bits from the low end: a directory that doubles keeps its lower half.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

use crate::index::BUCKETS_PER_PAGE;

/// Most stripes that the hash can name.
pub(crate) const MAX_STRIPES: usize = 1 << STRIPE_BITS;
/// Deepest directory that the hash can index.
pub(crate) const MAX_DEPTH: u32 = 34;

const STRIPE_BITS: u32 = 8;
const STRIPE_SHIFT: u32 = MAX_DEPTH;
const TAG_SHIFT: u32 = 48;

/// Hashes keys under a secret seed of the store, so that nobody can choose keys that collide.
#[derive(Clone)]
pub(crate) struct KeyHasher {
    state: SeedableRandomState,
    /// All ones, but for tests that want collisions.
    keep: u64,
    stripe_bits: u32,
    /// The stripe is what is left of a hash shifted right by this, masked.
    stripe_shift: u32,
    stripe_mask: usize,
}

impl KeyHasher {
    pub(crate) fn new(seed: Option<u64>, drop: u64, stripes: usize) -> Self {
        debug_assert!(stripes.is_power_of_two() && stripes <= MAX_STRIPES);
        let state = match seed {
            Some(seed) => SeedableRandomState::with_seed(seed, SharedSeed::global_fixed()),
            // std draws its keys from the operating system once a thread and counts on from there.
            None => SeedableRandomState::with_seed(
                RandomState::new().build_hasher().finish(),
                SharedSeed::global_random(),
            ),
        };
        let stripe_bits = stripes.trailing_zeros();
        KeyHasher {
            state,
            keep: !drop,
            stripe_bits,
            // The upper bits of the field, so that `scan_position` can use the rest.
            stripe_shift: STRIPE_SHIFT + STRIPE_BITS - stripe_bits,
            stripe_mask: stripes - 1,
        }
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> Hash {
        let mut hasher = self.state.build_hasher();
        hasher.write(key);
        Hash::new(hasher.finish() & self.keep)
    }

    #[inline]
    pub(crate) fn stripe(&self, hash: Hash) -> usize {
        (hash.0 >> self.stripe_shift) as usize & self.stripe_mask
    }

    /// Where a key stands in a scan.
    pub(crate) fn scan_position(&self, hash: Hash) -> u64 {
        let directory = (hash.0 & ((1 << MAX_DEPTH) - 1)).reverse_bits() >> (64 - MAX_DEPTH);
        let below = 64 - self.stripe_bits - MAX_DEPTH;
        // What neither the stripe nor the directory uses only separates keys of one page.
        let rest = (hash.0 >> STRIPE_SHIFT) & ((1 << below) - 1);
        let stripe = (self.stripe(hash) as u64).checked_shl(64 - self.stripe_bits).unwrap_or(0);
        stripe | directory << below | rest
    }

    /// The stripe and the directory bits at which a scan goes on.
    pub(crate) fn scan_page(&self, position: u64) -> (usize, u64) {
        let stripe = position.checked_shr(64 - self.stripe_bits).unwrap_or(0) as usize;
        let below = 64 - self.stripe_bits - MAX_DEPTH;
        let directory = (position >> below) & ((1 << MAX_DEPTH) - 1);
        (stripe, directory.reverse_bits() >> (64 - MAX_DEPTH))
    }

    /// First position behind the page of local depth `depth` that holds `position`; `None` behind the last page.
    pub(crate) fn scan_next_page(&self, position: u64, depth: u32) -> Option<u64> {
        match 64 - self.stripe_bits - depth {
            64 => None,
            width => ((position >> width) + 1).checked_mul(1 << width),
        }
    }
}

impl std::fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The seed stays secret.
        f.debug_struct("KeyHasher").field("stripe_bits", &self.stripe_bits).finish_non_exhaustive()
    }
}

/// The hash of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) u64);

impl Hash {
    /// No key has the tag 0, which is that of an empty slot.
    #[inline]
    fn new(bits: u64) -> Hash {
        if bits >> TAG_SHIFT == 0 {
            // A branch that is never mispredicted costs less than a sum on the way to the first cache miss.
            std::hint::cold_path();
            return Hash(bits | 1 << TAG_SHIFT);
        }
        Hash(bits)
    }

    /// What a slot tells of its key's hash: the tag, and some bits of the directory.
    pub(crate) fn of_slot(tag: u64, directory: u64) -> Hash {
        Hash(tag << TAG_SHIFT | directory)
    }

    #[inline]
    pub(crate) fn tag(self) -> u64 {
        self.0 >> TAG_SHIFT
    }

    /// The bucket at which the probe of a page begins.
    #[inline]
    pub(crate) fn bucket(self) -> usize {
        self.tag() as usize % BUCKETS_PER_PAGE
    }

    /// Index into a directory of the given depth.
    #[inline]
    pub(crate) fn directory(self, depth: u32) -> u64 {
        self.0 & ((1 << depth) - 1)
    }

    /// The bits that a directory of the given depth does not look at, and what lies behind them.
    #[inline]
    pub(crate) fn bits_from(self, depth: u32) -> u64 {
        self.0 >> depth
    }

    /// Whether two keys agree in the lowest directory bits.
    pub(crate) fn agrees(self, other: Hash, depth: u32) -> bool {
        self.directory(depth) == other.directory(depth)
    }

    /// Whether a split of a page of local depth `depth` moves the key to the new page.
    #[inline]
    pub(crate) fn goes_up(self, depth: u32) -> bool {
        self.0 >> depth & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scan_positions_order_pages_and_come_back() {
        for stripes in [1, 4, 256] {
            let hasher = KeyHasher::new(Some(7), 0, stripes);
            for n in 0..10_000_u32 {
                let hash = hasher.hash(&n.to_le_bytes());
                let position = hasher.scan_position(hash);
                let (stripe, directory) = hasher.scan_page(position);
                assert_eq!(stripe, hasher.stripe(hash));
                assert_eq!(directory, hash.directory(MAX_DEPTH));
                let next = hasher.scan_next_page(position, 3);
                assert!(next.is_none_or(|next| next > position));
            }
        }
    }

    #[test]
    fn the_last_page_has_no_next() {
        let hasher = KeyHasher::new(Some(7), 0, 1);
        assert_eq!(hasher.scan_next_page(u64::MAX, 0), None);
        assert_eq!(hasher.scan_next_page(u64::MAX, 5), None);
        assert_eq!(hasher.scan_next_page(0, 1), Some(1 << 63));
    }

    #[test]
    fn dropped_bits_collide() {
        let hasher = KeyHasher::new(Some(7), u64::MAX, 16);
        assert_eq!(hasher.hash(b"a"), hasher.hash(b"b"));
    }
}
