//! No pauses: what any one call moves, counted inside the store.
#![forbid(unsafe_code)]

mod common;

use std::time::Duration;

use common::{FakeClock, Random, validate};
use nyala::{Eviction, Options, SetOptions, Store};

const MIB: u64 = 1 << 20;
/// Entries that one call may move, whatever comes together.
const MOST: u64 = 1_000;

/// Makes calls, and checks after each what it moved.
struct Watched {
    store: Store,
    moved: u64,
    most: u64,
}

impl Watched {
    fn new(store: Store) -> Watched {
        Watched { store, moved: 0, most: 0 }
    }

    #[track_caller]
    fn call(&mut self, call: impl FnOnce(&Store)) {
        call(&self.store);
        let stats = self.store.stats();
        let moved = stats.entries_relaid + stats.records_moved + stats.evicted + stats.expired;
        self.most = self.most.max(moved - self.moved);
        self.moved = moved;
        assert!(self.most <= MOST, "{} entries moved by one call", self.most);
    }
}

#[test]
fn growth_and_deletion_of_everything_go_in_steps() {
    let mut watched = Watched::new(Store::open(Options::memory(256 * MIB)).unwrap());
    for key in 0..300_000_u32 {
        watched.call(|store| store.set(key.to_le_bytes(), [1; 64]).unwrap());
    }
    assert!(watched.most > 300, "a split is seen: {}", watched.most);
    for key in 0..300_000_u32 {
        watched.call(|store| assert!(store.delete(key.to_le_bytes()).unwrap()));
    }
    validate(&watched.store).unwrap();
}

#[test]
fn overwriting_a_full_store_goes_in_steps() {
    let mut watched = Watched::new(Store::open(Options::memory(16 * MIB)).unwrap());
    let mut random = Random::new(3);
    for _ in 0..200_000 {
        let (key, len) = (random.below(60_000), random.between(0, 300));
        watched.call(|store| store.set(key.to_le_bytes(), vec![2; len]).unwrap());
    }
    assert!(watched.store.stats().records_moved > 0);
}

#[test]
fn eviction_beside_a_scan_goes_in_steps() {
    let options = Options::memory(16 * MIB).eviction(Eviction::Adaptive);
    let mut watched = Watched::new(Store::open(options).unwrap());
    let mut random = Random::new(4);
    for key in 0..300_000_u32 {
        let len = random.between(0, 300);
        watched.call(|store| store.set(key.to_le_bytes(), vec![3; len]).unwrap());
        watched.call(|store| drop(store.get((key / 2).to_le_bytes()).unwrap()));
    }
    assert!(watched.store.stats().evicted > 100_000);
}

#[test]
fn what_expires_at_once_goes_in_steps() {
    let clock = FakeClock::new();
    let options = Options::memory(64 * MIB).clock(clock.clone());
    let mut watched = Watched::new(Store::open(options).unwrap());
    let short = SetOptions::new().ttl(Duration::from_secs(5));
    for key in 0..350_000_u32 {
        let set = |store: &Store| drop(store.set_with(key.to_le_bytes(), [4; 64], short).unwrap());
        watched.call(set);
    }
    clock.advance(Duration::from_secs(10));
    for key in 1_000_000..1_350_000_u32 {
        watched.call(|store| store.set(key.to_le_bytes(), [5; 64]).unwrap());
    }
    validate(&watched.store).unwrap();
}

#[test]
fn maintain_passes_its_budget_by_one_step() {
    let store = Store::open(Options::memory(16 * MIB)).unwrap();
    for key in 0..80_000_u32 {
        store.set(key.to_le_bytes(), [6; 100]).unwrap();
    }
    for key in (0..80_000_u32).filter(|key| key % 3 > 0) {
        assert!(store.delete(key.to_le_bytes()).unwrap());
    }
    let mut calls = 0;
    let mut before = store.stats().records_moved;
    while store.maintain(Duration::from_nanos(1)).unwrap().bytes > 0 {
        let moved = store.stats().records_moved;
        assert!(moved - before <= 32, "{} records in a call", moved - before);
        before = moved;
        calls += 1;
        assert!(calls < 100_000, "it comes to an end");
    }
    assert!(before > 20_000, "{before} records moved in {calls} calls");
    validate(&store).unwrap();
}
