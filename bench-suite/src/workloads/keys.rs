//! From entry numbers to keys: the same for every engine, every block and every run with the same seed.

use crate::engines::contract::{KEY_LEN, Key};

/// The finaliser of SplitMix64: a bijection of 64-bit words, so that different numbers never make the same key.
#[inline]
pub(crate) fn mix(number: u64) -> u64 {
    let mut word = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Keys of one run of a workload; entries with neighbouring numbers have unrelated keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeySpace {
    salt: u64,
}

impl KeySpace {
    /// Spaces with different names never share a key: the name is in bits that no entry number reaches.
    pub(crate) fn named(name: Space, seed: u64) -> KeySpace {
        let (name, pass) = match name {
            Space::Entries => (1_u64, 0_u32),
            Space::Counters => (2, 0),
            Space::Trace { pass } => (3, pass),
        };
        KeySpace { salt: (name << 60) ^ (u64::from(pass) << 32) ^ (mix(seed) & 0x0fff) << 48 }
    }

    #[inline]
    pub(crate) fn key(self, entry: u32) -> Key {
        let number = self.salt ^ u64::from(entry);
        let mut key = [0; KEY_LEN];
        key[..8].copy_from_slice(&mix(number).to_le_bytes());
        key[8..].copy_from_slice(&mix(!number).to_le_bytes());
        key
    }
}

/// What a key belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Space {
    Entries,
    Counters,
    /// Each pass over a trace starts cold, in a space of its own.
    Trace {
        pass: u32,
    },
}

/// Maps a random word to a number below `limit` (multiply and shift; the bias is below 2^-32 for the limits used here).
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the product's high word is below `limit`, which indexes memory"
)]
pub(crate) fn below(word: u64, limit: u64) -> usize {
    ((u128::from(word) * u128::from(limit)) >> 64) as usize
}

/// A small generator for streams: SplitMix64, which needs no dependency and passes the usual test batteries.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// Streams for different purposes or threads take different `lane`s of one seed.
    pub(crate) fn new(seed: u64, lane: u64) -> Random {
        Random { state: mix(seed ^ mix(lane)) }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        let word = mix(self.state);
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        word
    }

    /// Uniform in `[0, 1)`, with 53 random bits.
    #[inline]
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    #[inline]
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        below(self.next(), limit as u64)
    }

    /// Fisher and Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_distinct_across_spaces() {
        let spaces =
            [Space::Entries, Space::Counters, Space::Trace { pass: 0 }, Space::Trace { pass: 1 }];
        let mut seen = HashSet::new();
        for space in spaces {
            let keys = KeySpace::named(space, 7);
            for entry in 0..10_000 {
                assert!(seen.insert(keys.key(entry)), "{space:?} repeats the key of entry {entry}");
            }
        }
    }

    #[test]
    fn same_seed_gives_the_same_numbers() {
        let draw = |seed, lane| {
            let mut random = Random::new(seed, lane);
            (0..100).map(|_| random.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn below_stays_below_and_covers_evenly() {
        let mut random = Random::new(3, 0);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[random.below(7)] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..1000).collect();
        Random::new(5, 0).shuffle(&mut items);
        assert_ne!(items, (0..1000).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..1000).collect::<Vec<_>>());
    }
}
