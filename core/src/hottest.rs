//! Which keys are read most: a few counters a stripe, fed with one read in [`SAMPLED`].
//!
//! The sketch is that of Space-Saving (Metwally, Agrawal, El Abbadi, 2005): a key that has a counter counts on; one that
//! has none takes over the lowest counter and counts on from there. Keys are known by their hashes, so that the sketch
//! has a fixed size, and are looked up when somebody asks. Counters are halved now and then: what was hot an hour ago is
//! not hot now.

use crate::hash::Hash;

/// One read in so many is looked at.
pub(crate) const SAMPLED: u64 = 64;
/// Counters of a stripe.
const COUNTERS: usize = 16;
/// Samples of a stripe after which its counters are halved.
const MEMORY: u32 = 4096;

/// The counters of one stripe.
#[derive(Debug, Default)]
pub(crate) struct Hottest {
    counters: [(u64, u32); COUNTERS],
    samples: u32,
}

impl Hottest {
    /// Counts a sampled read.
    pub(crate) fn count(&mut self, hash: Hash) {
        self.samples += 1;
        if self.samples == MEMORY {
            self.samples = 0;
            self.counters.iter_mut().for_each(|(_, count)| *count /= 2);
        }
        let known = self.counters.iter_mut().find(|(other, count)| *other == hash.0 && *count > 0);
        let counter = match known {
            Some(counter) => Some(counter),
            None => self.counters.iter_mut().min_by_key(|(_, count)| *count),
        };
        if let Some(counter) = counter {
            *counter = (hash.0, counter.1 + 1);
        }
    }

    /// The hashes that have counters, and about how often their keys were read of late.
    pub(crate) fn reads(&self) -> impl Iterator<Item = (Hash, u64)> {
        let used = self.counters.iter().filter(|(_, count)| *count > 0);
        used.map(|(hash, count)| (Hash(*hash), u64::from(*count) * SAMPLED))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_popular_stay_among_the_many() {
        let mut sketch = Hottest::default();
        for n in 0..50_000_u64 {
            // One in five is one of two keys; nobody else comes twice.
            sketch.count(Hash(if n % 5 == 0 { n / 5 % 2 } else { 1000 + n }));
        }
        let mut reads: Vec<_> = sketch.reads().map(|(hash, reads)| (reads, hash.0)).collect();
        reads.sort_unstable();
        let top: Vec<_> = reads.iter().rev().take(2).map(|(_, hash)| *hash).collect();
        assert!((0..2).all(|popular| top.contains(&popular)), "{reads:?}");
    }
}
