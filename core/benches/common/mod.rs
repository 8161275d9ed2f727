//! Keys, values and stores for the benchmarks.
#![allow(dead_code, reason = "no benchmark needs all of it")]

use nyala::{Options, Store};

pub(crate) type Key = [u8; 16];

pub(crate) const VALUE: [u8; 64] = [7; 64];

/// Number of entries: that of the environment variable `ENTRIES`, or 100,000.
pub(crate) fn entries() -> usize {
    match std::env::var("ENTRIES") {
        Ok(number) => number.parse().expect("ENTRIES is a number"),
        Err(_) => 100_000,
    }
}

pub(crate) fn key(number: usize) -> Key {
    named(b'v', number)
}

pub(crate) fn counter_key(number: usize) -> Key {
    named(b'c', number)
}

fn named(kind: u8, number: usize) -> Key {
    let mut key = [kind; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

/// An empty store with twice the room that so many entries need.
pub(crate) fn store(entries: usize) -> Store {
    const BYTES_PER_ENTRY: u64 = 128;
    let max_bytes = 2 * BYTES_PER_ENTRY * entries as u64 + (16 << 20);
    Store::open(Options::memory(max_bytes)).expect("a store")
}

/// A small generator (SplitMix64), so that every map is asked for the same keys.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let scaled = (u128::from(self.next()) * bound as u128) >> 64;
        usize::try_from(scaled).expect("less than the bound")
    }
}
