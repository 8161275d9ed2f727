//! One operation at a time, on one thread, by criterion.
//!
//! `cargo bench -p nyala --bench operations`, with `ENTRIES=5000000` and a filter such as `-- get` for a store that the
//! caches do not hold.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion's macros make functions of their own")]

#[path = "common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{Key, Random, VALUE, counter_key, entries, key};
use criterion::{Criterion, criterion_group, criterion_main};
use nyala::{Options, Store, Tuning};

const BATCH: usize = 32;

/// A store with all entries, and what draws keys from it.
struct Subject {
    store: Store,
    entries: usize,
    random: Random,
}

impl Subject {
    fn new() -> Subject {
        let entries = entries();
        let store = common::store(entries);
        for number in 0..entries {
            store.set(key(number), VALUE).expect("room for all entries");
        }
        Subject { store, entries, random: Random::new(1) }
    }

    fn key(&mut self) -> Key {
        key(self.random.below(self.entries))
    }
}

/// Measures an operation. Criterion calls its closure for each sample; the subject is made the first time, so that an
/// operation which is filtered out costs nothing.
fn measure<S, T>(
    name: &str,
    criterion: &mut Criterion,
    new: impl Fn() -> S,
    mut operation: impl FnMut(&mut S) -> T,
) {
    let mut subject = None;
    criterion.bench_function(name, |bencher| {
        let subject = subject.get_or_insert_with(&new);
        bencher.iter(|| operation(subject));
    });
}

fn get(criterion: &mut Criterion) {
    let mut value = Vec::new();
    measure("get", criterion, Subject::new, |subject| {
        let key = subject.key();
        let found = subject.store.get_into(key, &mut value).expect("a get");
        black_box((found, &value));
    });
}

fn get_many(criterion: &mut Criterion) {
    measure("get_many of 32", criterion, Subject::new, |subject| {
        let keys: [Key; BATCH] = std::array::from_fn(|_| subject.key());
        subject.store.get_many(&keys, |_, value| _ = black_box(value)).expect("a batch");
    });
}

/// New keys in a store that has all entries already; it is filled again when it has grown by a quarter.
fn set_new(criterion: &mut Criterion) {
    criterion.bench_function("set, new key", |bencher| {
        bencher.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            let mut left = times;
            while left > 0 {
                let Subject { store, entries, .. } = Subject::new();
                let now = left.min(entries.div_ceil(4) as u64);
                let start = Instant::now();
                for (number, _) in (entries..).zip(0..now) {
                    store.set(key(number), VALUE).expect("room for a new entry");
                }
                spent += start.elapsed();
                left -= now;
            }
            spent
        });
    });
}

fn set_in_place(criterion: &mut Criterion) {
    measure("set, in place", criterion, Subject::new, |subject| {
        let key = subject.key();
        subject.store.set(key, VALUE).expect("a set");
    });
}

fn increment(criterion: &mut Criterion) {
    measure("increment", criterion, Subject::new, |subject| {
        let number = subject.random.below(subject.entries.div_ceil(10));
        subject.store.increment(counter_key(number), 1, None).expect("a counter")
    });
}

fn delete_and_set(criterion: &mut Criterion) {
    measure("delete, then set", criterion, Subject::new, |subject| {
        let key = subject.key();
        assert!(subject.store.delete(key).expect("a delete"));
        subject.store.set(key, VALUE).expect("a set");
    });
}

/// A store in which every set moves the value: a long one does not fit where the short one was, and a short one would
/// waste most of the long one's place.
struct Alternating {
    store: Store,
    long: Vec<bool>,
    random: Random,
}

impl Alternating {
    const LENGTHS: [usize; 2] = [64, 200];
    /// What an entry counts for when we say how full the store is: the key, a value of mean length, and 32 bytes.
    const ENTRY_BYTES: u64 = 16 + 132 + 32;

    fn new(percent_full: u64) -> Alternating {
        let entries = entries();
        let max_bytes = entries as u64 * Self::ENTRY_BYTES * 100 / percent_full;
        let store = Store::open(Options::memory(max_bytes)).expect("a store");
        let long = (0..entries).map(|number| number % 2 == 1).collect();
        let mut alternating = Alternating { store, long, random: Random::new(1) };
        (0..entries).for_each(|number| alternating.set(number));
        // Until as much is dead as will ever be.
        (0..4 * entries).for_each(|_| alternating.set_any());
        alternating
    }

    fn set(&mut self, number: usize) {
        let long = &mut self.long[number];
        *long = !*long;
        let value = &[7; Self::LENGTHS[1]][..Self::LENGTHS[usize::from(*long)]];
        self.store.set(key(number), value).expect("room for all entries");
    }

    fn set_any(&mut self) {
        let number = self.random.below(self.long.len());
        self.set(number);
    }
}

fn set_append(criterion: &mut Criterion) {
    let new = || Alternating::new(50);
    measure("set, appended, 50 % full", criterion, new, Alternating::set_any);
}

/// The same where little is free: most of the time goes into copying what is live.
fn reclaim(criterion: &mut Criterion) {
    let new = || Alternating::new(75);
    measure("set, appended, 75 % full", criterion, new, Alternating::set_any);
}

/// Only the sets that split a page: what the unluckiest of some hundred new keys takes.
fn split(criterion: &mut Criterion) {
    const PAGES: u64 = 64;
    let tuning = Tuning { stripes: 1, seed: Some(1), ..Tuning::default() };
    criterion.bench_function("set, page split", |bencher| {
        bencher.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            let mut left = times;
            while left > 0 {
                let store = Store::open(Options::memory(64 << 20).tuning(tuning)).expect("a store");
                let mut pages = store.stats().index_pages;
                for number in 0.. {
                    let start = Instant::now();
                    store.set(key(number), VALUE).expect("room for a new entry");
                    let took = start.elapsed();
                    let grown = store.stats().index_pages;
                    if grown > pages {
                        spent += took;
                        left -= 1;
                    }
                    if left == 0 || grown == PAGES {
                        break;
                    }
                    pages = grown;
                }
            }
            spent
        });
    });
}

criterion_group! {
    name = usual;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30);
    targets = get, get_many, set_in_place, increment, delete_and_set, set_append, reclaim
}
criterion_group! {
    name = growing;
    // What is not measured takes several times as long.
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(250))
        .sample_size(20);
    targets = set_new, split
}
criterion_main!(usual, growing);
