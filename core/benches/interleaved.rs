//! Nyala beside hashbrown behind locks and papaya, a few thousand operations of each in turn in one process.
//!
//! What else the machine does meets all of them alike, so that the ratios of a round mean something where its times do
//! not. A tight loop: nothing but the next operation keeps the processor from waiting for this one's cache misses.
//!
//! `ENTRIES=5000000 cargo bench -p nyala --bench interleaved`; without `ENTRIES`, 100,000 entries.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program that reports on its terminal")]

#[path = "common/mod.rs"]
mod common;

use std::hash::BuildHasher;
use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{Key, Random, VALUE, counter_key, entries, key};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::RwLock;

/// Operations of one map before it is the next one's turn.
const TURN: usize = 20_000;
const ROUNDS: usize = 101;
/// A tenth as many counters as entries.
const ENTRIES_PER_COUNTER: usize = 10;

/// What every map can do.
trait Map {
    fn get(&self, key: &Key, out: &mut Vec<u8>) -> bool;
    fn set(&self, key: &Key, value: &[u8]);
    /// Adds one.
    fn increment(&self, key: &Key);
}

impl Map for nyala::Store {
    fn get(&self, key: &Key, out: &mut Vec<u8>) -> bool {
        self.get_into(key, out).expect("a store that works")
    }

    fn set(&self, key: &Key, value: &[u8]) {
        nyala::Store::set(self, key, value).expect("room for all entries");
    }

    fn increment(&self, key: &Key) {
        nyala::Store::increment(self, key, 1, None).expect("a counter");
    }
}

/// Adds one to a counter of eight bytes: the maps are spared the decimal text that Nyala's counters are.
fn add_one(counter: &mut [u8]) {
    let number = u64::from_le_bytes(counter.try_into().expect("eight bytes"));
    counter.copy_from_slice(&(number + 1).to_le_bytes());
}

type Pair = (Box<[u8]>, Box<[u8]>);

/// Two cache lines a stripe, so that neighbours' locks do not share one.
#[repr(align(128))]
struct Stripe(RwLock<HashTable<Pair>>);

/// hashbrown behind 1,024 locks, hashed once an operation; a value of the same length is copied into the box it has.
struct Locked {
    hasher: foldhash::fast::RandomState,
    stripes: Vec<Stripe>,
}

impl Locked {
    fn new() -> Locked {
        let stripes = (0..1024).map(|_| Stripe(RwLock::new(HashTable::new()))).collect();
        Locked { hasher: foldhash::fast::RandomState::default(), stripes }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        use std::hash::Hasher;
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    fn stripe(&self, hash: u64) -> &RwLock<HashTable<Pair>> {
        // The table takes its position from the low bits and its tags from the highest seven.
        &self.stripes[(hash >> 40) as usize % 1024].0
    }

    fn change(&self, key: &Key, new: &[u8], change: impl FnOnce(&mut Box<[u8]>)) {
        let hash = self.hash(key);
        let mut table = self.stripe(hash).write();
        match table.entry(hash, |(held, _)| **held == *key, |(held, _)| self.hash(held)) {
            Entry::Occupied(mut entry) => change(&mut entry.get_mut().1),
            Entry::Vacant(entry) => {
                entry.insert((key.as_slice().into(), new.into()));
            }
        }
    }
}

impl Map for Locked {
    fn get(&self, key: &Key, out: &mut Vec<u8>) -> bool {
        let hash = self.hash(key);
        let table = self.stripe(hash).read();
        let found = table.find(hash, |(held, _)| **held == *key);
        out.clear();
        out.extend_from_slice(found.map_or(&[], |(_, value)| value));
        found.is_some()
    }

    fn set(&self, key: &Key, value: &[u8]) {
        self.change(key, value, |held| match held.len() == value.len() {
            true => held.copy_from_slice(value),
            false => *held = value.into(),
        });
    }

    fn increment(&self, key: &Key) {
        self.change(key, &1_u64.to_le_bytes(), |held| add_one(held));
    }
}

type Papaya = papaya::HashMap<Box<[u8]>, Box<[u8]>, foldhash::fast::RandomState>;

impl Map for Papaya {
    fn get(&self, key: &Key, out: &mut Vec<u8>) -> bool {
        let map = self.pin();
        let found = map.get(key.as_slice());
        out.clear();
        out.extend_from_slice(found.map_or(&[], |value| value));
        found.is_some()
    }

    fn set(&self, key: &Key, value: &[u8]) {
        self.pin().insert(key.as_slice().into(), value.into());
    }

    fn increment(&self, key: &Key) {
        let one = 1_u64.to_le_bytes();
        self.pin().update_or_insert(
            key.as_slice().into(),
            |held| {
                let mut sum = held.clone();
                add_one(&mut sum);
                sum
            },
            one.into(),
        );
    }
}

#[derive(Clone, Copy)]
enum Work {
    Get,
    Overwrite,
    Increment,
    /// 95 gets, 5 overwrites.
    Mixed,
}

const WORK: [(Work, &str); 4] = [
    (Work::Get, "get"),
    (Work::Overwrite, "overwrite"),
    (Work::Increment, "increment"),
    (Work::Mixed, "95/5"),
];

fn turn(map: &impl Map, work: Work, numbers: &[usize]) -> Duration {
    let mut out = Vec::with_capacity(VALUE.len());
    let start = Instant::now();
    for (i, number) in numbers.iter().enumerate() {
        match work {
            Work::Get => assert!(map.get(&key(*number), &mut out)),
            Work::Overwrite => map.set(&key(*number), &VALUE),
            Work::Increment => map.increment(&counter_key(number / ENTRIES_PER_COUNTER)),
            Work::Mixed if i % 20 == 0 => map.set(&key(*number), &VALUE),
            Work::Mixed => assert!(map.get(&key(*number), &mut out)),
        }
        black_box(&out);
    }
    start.elapsed()
}

fn fill(map: &impl Map, entries: usize) {
    (0..entries).for_each(|number| map.set(&key(number), &VALUE));
    let counters = entries.div_ceil(ENTRIES_PER_COUNTER);
    (0..counters).for_each(|number| map.increment(&counter_key(number)));
}

/// First quartile, median, third quartile.
fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| sorted[quarter * (sorted.len() - 1) / 4])
}

fn main() {
    let entries = entries();
    let nyala = common::store(entries);
    let locked = Locked::new();
    let papaya = Papaya::with_hasher(foldhash::fast::RandomState::default());
    fill(&nyala, entries);
    fill(&locked, entries);
    fill(&papaya, entries);
    println!(
        "{entries} entries of 16 + 64 bytes, {TURN} operations of each map in turn, {ROUNDS} rounds, uniform keys, 1 thread"
    );
    println!("medians: ns an operation; how many times as fast Nyala is in a round (quartiles)");
    let mut random = Random::new(1);
    for (work, name) in WORK {
        let mut times = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            let numbers: Vec<usize> = (0..TURN).map(|_| random.below(entries)).collect();
            let mut round_times = [Duration::ZERO; 3];
            for i in 0..3 {
                // Everybody begins as often as the others.
                let who = (round + i) % 3;
                round_times[who] = match who {
                    0 => turn(&nyala, work, &numbers),
                    1 => turn(&locked, work, &numbers),
                    _ => turn(&papaya, work, &numbers),
                };
            }
            times.push(round_times.map(|time| time.as_nanos() as f64 / TURN as f64));
        }
        let [ours, locked, papaya] =
            [0, 1, 2].map(|who| quartiles(times.iter().map(|round| round[who]))[1]);
        println!(
            "{name:<10} Nyala {ours:6.1}   hashbrown + locks {locked:6.1}   papaya {papaya:6.1}"
        );
        for (who, peer) in [(1, "hashbrown + locks"), (2, "papaya")] {
            let [low, median, high] = quartiles(times.iter().map(|round| round[who] / round[0]));
            println!("           {median:.2} ({low:.2} to {high:.2}) of {peer}");
        }
    }
}
