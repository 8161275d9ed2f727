//! Streams of operations, generated before the clock starts and the same for every engine.

use serde::{Deserialize, Serialize};

use super::keys::{KeySpace, Random, Space};
use crate::engines::contract::Key;

/// Bytes of a value, except in the replay of a trace.
pub(crate) const VALUE_LEN: usize = 64;
/// Bytes of a value in the replay of a trace.
pub(crate) const TRACE_VALUE_LEN: usize = 100;

/// Longest value where nothing else is asked for.
const LONGEST: usize = 1024;

/// Values are windows of this much random data: incompressible, and small enough to stay in a core's second-level cache
/// instead of competing with the stores for the memory bus.
const POOL_BYTES: usize = 1 << 19;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Set,
    Increment,
}

/// One operation, ready to be executed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Op {
    pub(crate) key: Key,
    /// Which value a set stores.
    pub(crate) value: u32,
    pub(crate) kind: Kind,
}

/// What values are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    #[default]
    Incompressible,
    /// Every other eight bytes are the same everywhere, so that compression halves them.
    Compressible,
}

impl Content {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(crate) fn is_incompressible(&self) -> bool {
        *self == Content::Incompressible
    }
}

/// The values that sets store.
#[derive(Debug)]
pub(crate) struct Values {
    pool: Vec<u8>,
}

impl Values {
    pub(crate) fn new(seed: u64) -> Values {
        Values::of(Content::Incompressible, seed)
    }

    pub(crate) fn of(content: Content, seed: u64) -> Values {
        Values::pool(content, LONGEST, seed)
    }

    /// Incompressible ones of up to so many bytes, or 1,024.
    pub(crate) fn reaching(length: usize, seed: u64) -> Values {
        Values::pool(Content::Incompressible, length.max(LONGEST), seed)
    }

    fn pool(content: Content, longest: usize, seed: u64) -> Values {
        let mut random = Random::new(seed, 0x0076_616c);
        let words = (POOL_BYTES + longest).div_ceil(8);
        let word = |number: usize| match content {
            Content::Compressible if number % 2 == 1 => *b"the same",
            _ => random.next().to_le_bytes(),
        };
        Values { pool: (0..words).flat_map(word).collect() }
    }

    /// The 64-byte value with this number.
    #[inline]
    pub(crate) fn at(&self, number: u32) -> &[u8] {
        self.window(number, VALUE_LEN)
    }

    /// The value with this number and length, which is at most 1,024 or what was asked for.
    #[inline]
    pub(crate) fn window(&self, number: u32, length: usize) -> &[u8] {
        let start = (number as usize * 8) % POOL_BYTES;
        &self.pool[start..start + length]
    }

    /// A value of the trace's length.
    pub(crate) fn of_trace(&self) -> &[u8] {
        &self.pool[..TRACE_VALUE_LEN]
    }
}

/// The first value of an entry.
#[inline]
pub(crate) fn first_value(entry: u32) -> u32 {
    entry.wrapping_mul(0x9e37_79b1)
}

/// Sets of every entry that thread `thread` of `threads` loads, in an order unrelated to the keys' bytes.
pub(crate) fn load(keys: KeySpace, entries: u32, thread: usize, threads: usize) -> Vec<Op> {
    (0..entries)
        .skip(thread)
        .step_by(threads)
        .map(|entry| Op { key: keys.key(entry), value: first_value(entry), kind: Kind::Set })
        .collect()
}

/// Uniformly drawn entries.
pub(crate) fn uniform(
    entries: u32,
    length: usize,
    random: &mut Random,
) -> impl Iterator<Item = u32> {
    (0..length).map(move |_| u32::try_from(random.below(entries as usize)).unwrap_or(0))
}

/// The exponent that YCSB made customary.
pub(crate) const ZIPF_EXPONENT: f64 = 0.99;

/// The space that loads fill and reads search.
pub(crate) fn entry_keys(seed: u64) -> KeySpace {
    KeySpace::named(Space::Entries, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_the_load_without_overlap() {
        let keys = entry_keys(1);
        let mut all: Vec<Key> =
            (0..3).flat_map(|thread| load(keys, 1000, thread, 3)).map(|op| op.key).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1000);
    }

    #[test]
    fn compressible_values_halve_and_the_others_do_not() {
        use std::io::Write;
        for (content, expected) in
            [(Content::Incompressible, 0.95..1.05), (Content::Compressible, 0.45..0.62)]
        {
            let values = Values::of(content, 1);
            let all: Vec<u8> =
                (0..1000).flat_map(|number| values.at(number * 977).to_vec()).collect();
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&all).unwrap();
            let share = encoder.finish().unwrap().len() as f64 / all.len() as f64;
            assert!(expected.contains(&share), "{content:?}: {share}");
        }
    }

    #[test]
    fn every_value_has_its_length() {
        let values = Values::new(1);
        for number in [0, 1, 12345, u32::MAX] {
            assert_eq!(values.at(number).len(), VALUE_LEN);
            assert_eq!(values.window(number, LONGEST).len(), LONGEST);
        }
        assert_eq!(values.of_trace().len(), TRACE_VALUE_LEN);
    }
}
