//! What a cache promises: it never answers `Full`, never passes its budget, and keeps what is used.
#![forbid(unsafe_code)]

mod common;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use common::{FakeClock, Folder, Random, validate};
use nyala::{Error, Eviction, Options, SetOptions, Store, Tuning};

const MIB: u64 = 1 << 20;

fn cache(max_bytes: u64) -> Store {
    Store::open(Options::memory(max_bytes).eviction(Eviction::Adaptive)).unwrap()
}

/// Frames push others out and are pushed out, in memory and in a file: what is there of a key is its last value.
#[test]
fn frames_in_a_cache() {
    let folder = Folder::new("frames-in-a-cache");
    let in_file = || Options::file(folder.file()).max_bytes(4 * MIB);
    for options in [Options::memory(MIB), in_file()] {
        let cache = Store::open(options.eviction(Eviction::Adaptive)).unwrap();
        let mut random = Random::new(3);
        let mut last = HashMap::new();
        for number in 0..6_000_u32 {
            let pairs: Vec<(u64, Vec<u8>)> = (0..random.between(1, 9))
                .map(|_| {
                    let len = 1 + random.below(200);
                    (random.below(20_000) as u64, number.to_le_bytes().repeat(len))
                })
                .collect();
            let frame: Vec<_> =
                pairs.iter().map(|(key, value)| (key.to_le_bytes(), value)).collect();
            cache.set_many_atomic(&frame).unwrap();
            last.extend(pairs);
        }
        assert!(cache.stats().evicted > 0);
        cache.validate().unwrap();
        let mut there = 0;
        let mut compare = |cache: &Store| {
            for (key, value) in &last {
                let found = cache.get(key.to_le_bytes()).unwrap();
                assert!(found.as_ref().is_none_or(|found| found == value), "key {key}");
                there += usize::from(found.is_some());
            }
        };
        compare(&cache);
        drop(cache);
        if folder.file().exists() {
            compare(&Store::open(in_file().eviction(Eviction::Adaptive)).unwrap());
        }
        assert!(there > 1_000, "{there} of {}", last.len());
    }
}

/// Reads through the cache: a miss is answered with a write. Whether it was a hit.
fn ask(cache: &Store, key: u32, value: &[u8]) -> bool {
    let hit = cache.get(key.to_le_bytes()).unwrap().is_some();
    if !hit {
        cache.set(key.to_le_bytes(), value).unwrap();
    }
    hit
}

#[test]
fn a_cache_never_is_full_and_never_passes_its_budget() {
    for max_bytes in [MIB, 5 * MIB, 40 * MIB] {
        let cache = cache(max_bytes);
        let mut random = Random::new(max_bytes);
        let mut written = 0;
        while written < 4 * max_bytes {
            let value = vec![7; random.below(1000)];
            cache.set(random.word().to_le_bytes(), &value).unwrap();
            written += value.len() as u64;
            assert!(cache.used_bytes() <= max_bytes);
        }
        cache.validate().unwrap();
        let stats = cache.stats();
        assert!(stats.evicted > 0 && stats.bytes_evicted > 0, "{stats:?}");
        assert!(stats.live_bytes * 10 > max_bytes * 6, "the budget is used: {stats:?}");
    }
}

#[test]
fn a_store_does_not_evict() {
    let store = Store::open(Options::memory(MIB)).unwrap();
    let full = (0..1_000_000_u32).find_map(|key| store.set(key.to_le_bytes(), [0; 100]).err());
    assert!(matches!(full, Some(Error::Full { .. })), "{full:?}");
    assert!(store.contains(0_u32.to_le_bytes()).unwrap());
    assert_eq!(store.stats().evicted, 0);
}

#[test]
fn what_is_read_survives_a_scan() {
    let cache = cache(MIB);
    let value = [1; 100];
    let popular = 0..1_000_u32;
    for _ in 0..3 {
        for key in popular.clone() {
            ask(&cache, key, &value);
        }
    }
    let mut hits = 0;
    for key in 10_000..110_000_u32 {
        cache.set(key.to_le_bytes(), value).unwrap();
        hits += u32::from(ask(&cache, key % 1_000, &value));
    }
    assert!(hits > 99_000, "{hits} of 100000 reads hit beside a scan");
}

#[test]
fn a_loop_longer_than_the_cache_hits() {
    let cache = cache(MIB);
    let value = [1; 100];
    let keys = 2 * {
        let fill = self::cache(MIB);
        for key in 0..20_000 {
            ask(&fill, key, &value);
        }
        u32::try_from(fill.len()).unwrap()
    };
    let mut hits = 0;
    for turn in 0..20 * keys {
        hits += u32::from(ask(&cache, turn % keys, &value));
    }
    // Half of the loop fits; the exact least recently used policy never hits.
    assert!(hits > 20 * keys * 2 / 5, "{hits} of {} requests hit", 20 * keys);
}

#[test]
fn what_has_expired_goes_first() {
    let clock = FakeClock::new();
    let options = Options::memory(MIB).eviction(Eviction::Adaptive).clock(clock.clone());
    let cache = Store::open(options).unwrap();
    let short = SetOptions::new().ttl(Duration::from_secs(1));
    // Half of what fits, and then as much that expires.
    let half = 3_000_u32;
    for key in 0..half {
        cache.set(key.to_le_bytes(), [1; 100]).unwrap();
    }
    for key in half..2 * half {
        cache.set_with(key.to_le_bytes(), [1; 100], short).unwrap();
    }
    clock.advance(Duration::from_secs(2));
    for key in 2 * half..5 * half / 2 {
        cache.set(key.to_le_bytes(), [1; 100]).unwrap();
    }
    assert_eq!(cache.stats().evicted, 0, "{:?}", cache.stats());
    assert!((0..half).all(|key| cache.contains(key.to_le_bytes()).unwrap()));
}

/// However small the share of a cache that newcomers get.
#[test]
fn a_large_value_is_there_after_it_was_set() {
    let cache = cache(MIB);
    for key in 0..5_000_u32 {
        cache.set(key.to_le_bytes(), [3; 1000]).unwrap();
    }
    for round in 0..200_u32 {
        let key = format!("large {round}");
        cache.set(&key, vec![4; 40_000]).unwrap();
        assert!(cache.contains(&key).unwrap(), "round {round}");
    }
    validate(&cache).unwrap();
}

#[test]
fn writes_to_popular_entries_find_room() {
    let cache = cache(MIB);
    let mut len = 10;
    // Everything is read as often as the frequency can count, and every write needs new room.
    for round in 0..400 {
        for key in 0..5_000_u32 {
            if round % 4 == 0 {
                cache.set(key.to_le_bytes(), vec![2; len % 300]).unwrap();
            }
            cache.get(key.to_le_bytes()).unwrap();
            len += 7;
        }
    }
    cache.validate().unwrap();
}

/// A victim that is pinned is not free when its entries have been copied: a few of them are all that is kept for copies.
#[test]
fn pins_do_not_make_a_cache_full() {
    let tuning = Tuning { stripes: 1, segment_bytes: 4096, ..Tuning::default() };
    let options = Options::memory(MIB).eviction(Eviction::Adaptive).tuning(tuning);
    let cache = Store::open(options).unwrap();
    let mut pins = VecDeque::new();
    for key in 0..100_000_u32 {
        cache.set(key.to_le_bytes(), [1; 100]).unwrap();
        // Everything is popular, so that it is copied.
        for _ in 0..3 {
            cache.get(key.to_le_bytes()).unwrap();
        }
        if key % 100 == 0 {
            pins.push_back(cache.pin(key.to_le_bytes()).unwrap());
            if pins.len() == 8 {
                pins.pop_front();
            }
        }
    }
    validate(&cache).unwrap();
}
