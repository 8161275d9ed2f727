//! Ghosts: fingerprints of the keys that were evicted last, so that one that is asked for again soon is known.
//!
//! A set-associative table of cache lines: a fingerprint lives in the line that its hash names, and a newer one takes the
//! place of the oldest. Its age is counted in evictions, so that the table remembers as many as it was made for, however
//! unevenly they fall on the lines.

use crate::hash::Hash;

/// Fingerprints of a line: 64 bytes.
const LINE: usize = 16;
/// Places for each fingerprint that is to be remembered, as a fraction: lines fill unevenly.
const ROOM: (usize, usize) = (5, 4);
/// Ages are stored in this many steps for the length of the memory, so that the counter, which has 16 bits, comes round
/// long after a line's fingerprints were replaced.
const STEPS: u64 = 1 << 10;
const STAMP_BITS: u32 = 16;

/// What is remembered of one evicted key: `fingerprint:16 | stamp:16`.
type Entry = u32;

/// The evicted keys of one stripe. Used under its lock.
#[derive(Debug)]
pub(crate) struct Ghosts {
    lines: Box<[[Entry; LINE]]>,
    /// Evictions that are remembered.
    len: usize,
    evictions: u64,
}

impl Ghosts {
    /// Bytes of a table that remembers `len` evictions.
    pub(crate) fn bytes(len: usize) -> usize {
        lines(len) * size_of::<[Entry; LINE]>()
    }

    pub(crate) fn new(len: usize) -> Ghosts {
        // Nothing is remembered yet: what the table holds at first is older than it remembers.
        let evictions = 2 * len as u64;
        Ghosts { lines: vec![[0; LINE]; lines(len)].into_boxed_slice(), len, evictions }
    }

    /// Evictions that are remembered.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Remembers an evicted key.
    pub(crate) fn insert(&mut self, hash: Hash) {
        self.evictions += 1;
        let stamp = self.stamp();
        let line = self.line_of(hash);
        let line = &mut self.lines[line];
        let known = line.iter().position(|entry| fingerprint_of(*entry) == hash.tag());
        let place = known.or_else(|| (0..LINE).max_by_key(|i| age(line[*i], stamp)));
        if let Some(place) = place {
            line[place] = (hash.tag() as u32) << STAMP_BITS | u32::from(stamp);
        }
    }

    /// Whether a key was evicted a short while ago. One in a few thousand that was not is taken for one.
    pub(crate) fn contains(&self, hash: Hash) -> bool {
        let oldest = (self.len as u64 / self.evictions_per_step()) as u16;
        let stamp = self.stamp();
        self.lines[self.line_of(hash)]
            .iter()
            .any(|entry| fingerprint_of(*entry) == hash.tag() && age(*entry, stamp) <= oldest)
    }

    /// Forgets a key that has come back.
    pub(crate) fn remove(&mut self, hash: Hash) {
        let line = self.line_of(hash);
        for entry in &mut self.lines[line] {
            if fingerprint_of(*entry) == hash.tag() {
                *entry = 0;
            }
        }
    }

    fn evictions_per_step(&self) -> u64 {
        (self.len as u64).div_ceil(STEPS).max(1)
    }

    fn stamp(&self) -> u16 {
        (self.evictions / self.evictions_per_step()) as u16
    }

    fn line_of(&self, hash: Hash) -> usize {
        // The directory's bits, which the tag shares none of, scaled to the number of lines.
        (((hash.0 & u64::from(u32::MAX)) * self.lines.len() as u64) >> 32) as usize
    }
}

fn lines(len: usize) -> usize {
    (len * ROOM.0).div_ceil(ROOM.1 * LINE).max(1)
}

fn fingerprint_of(entry: Entry) -> u64 {
    u64::from(entry >> STAMP_BITS)
}

/// Steps since an entry was made.
fn age(entry: Entry, stamp: u16) -> u16 {
    stamp.wrapping_sub(entry as u16)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::hash::KeyHasher;

    fn hashes(from: u32, to: u32) -> impl Iterator<Item = Hash> {
        let hasher = KeyHasher::new(Some(3), 0, 1);
        (from..to).map(move |n| hasher.hash(&n.to_le_bytes()))
    }

    #[test]
    fn remembers_the_last_evictions_and_forgets_older_ones() {
        for len in [10, 1_000, 100_000] {
            let mut ghosts = Ghosts::new(len);
            assert_eq!(hashes(0, len as u32).filter(|hash| ghosts.contains(*hash)).count(), 0);
            let evicted = 40 * len as u32;
            hashes(0, evicted).for_each(|hash| ghosts.insert(hash));
            let known = |from, to| hashes(from, to).filter(|hash| ghosts.contains(*hash)).count();
            let young = known(evicted - len as u32, evicted);
            assert!(young * 100 >= len * 85, "{young} of {len} are known");
            let old = known(0, evicted - 2 * len as u32);
            assert!(
                old <= 1 + evicted as usize / 1000,
                "{old} of {evicted} are known for too long"
            );
        }
    }

    #[test]
    fn a_key_that_came_back_is_forgotten() {
        let mut ghosts = Ghosts::new(100);
        let hash = hashes(0, 1).next().unwrap();
        ghosts.insert(hash);
        assert!(ghosts.contains(hash));
        ghosts.remove(hash);
        assert!(!ghosts.contains(hash));
    }

    #[test]
    fn the_age_outlives_its_counter() {
        let mut ghosts = Ghosts::new(16);
        let mut old = hashes(0, 1);
        let old = old.next().unwrap();
        ghosts.insert(old);
        for hash in hashes(1, 200_000) {
            ghosts.insert(hash);
        }
        assert!(!ghosts.contains(old));
    }
}
