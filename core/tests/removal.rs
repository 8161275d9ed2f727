//! What a listener is told, and what is counted for whoever watches a store.
#![forbid(unsafe_code)]

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use common::{FakeClock, validate};
use nyala::{Cause, Eviction, Options, SetOptions, Store};

const MIB: u64 = 1 << 20;

type Told = Arc<Mutex<Vec<(Vec<u8>, Vec<u8>, Cause)>>>;

fn listening(options: Options) -> (Store, Told) {
    let told = Told::default();
    let listener = Arc::clone(&told);
    let options = options.on_removal(move |removal| {
        let told = (removal.key.to_vec(), removal.value.to_vec(), removal.cause);
        listener.lock().unwrap().push(told);
    });
    (Store::open(options).unwrap(), told)
}

#[test]
fn each_cause_is_named() {
    let clock = FakeClock::new();
    let (store, told) = listening(Options::memory(MIB).clock(clock.clone()));
    let told = || std::mem::take(&mut *told.lock().unwrap());
    let entry = |key: &str, value: &str, cause| (key.into(), value.into(), cause);

    store.set("a", "1").unwrap();
    store.set("a", "2").unwrap();
    store.increment("n", 5, None).unwrap();
    assert_eq!(told(), [], "overwriting is no removal");
    assert!(store.delete("a").unwrap());
    assert!(!store.delete("a").unwrap());
    assert_eq!(store.take("n").unwrap().as_deref(), Some(&b"5"[..]));
    assert_eq!(told(), [entry("a", "2", Cause::Removed), entry("n", "5", Cause::Removed)]);

    let short = SetOptions::new().ttl(Duration::from_millis(10));
    store.set_with("t", "soon", short).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.get("t").unwrap(), None);
    assert_eq!(told(), [], "a read removes nothing");
    assert!(!store.delete("t").unwrap());
    assert_eq!(told(), [entry("t", "soon", Cause::Expired)]);

    let large = "x".repeat(200_000);
    store.set("large", &large).unwrap();
    assert!(store.delete("large").unwrap());
    assert_eq!(told(), [entry("large", &large, Cause::Removed)]);
    store.set("a", "1").unwrap();
    store.clear().unwrap();
    assert_eq!(told(), [], "clear tells nothing");
}

#[test]
fn every_eviction_is_told_once() {
    let (cache, told) = listening(Options::memory(MIB).eviction(Eviction::Adaptive));
    for key in 0..30_000_u32 {
        cache.set(key.to_le_bytes(), key.to_le_bytes().repeat(20)).unwrap();
        cache.get((key / 2).to_le_bytes()).unwrap();
    }
    let mut seen = HashMap::new();
    for (key, value, cause) in told.lock().unwrap().drain(..) {
        assert_eq!((value, cause), (key.repeat(20), Cause::Evicted));
        assert_eq!(seen.insert(key, ()), None);
    }
    assert_eq!(seen.len() as u64, cache.stats().evicted);
    assert_eq!(seen.len() as u64 + cache.len(), 30_000);
    assert!(seen.keys().all(|key| !cache.contains(key).unwrap()));
    validate(&cache).unwrap();
}

#[test]
fn a_listener_may_use_the_store() {
    let back: Arc<OnceLock<Store>> = Arc::default();
    let handle = Arc::clone(&back);
    let options = Options::memory(MIB).eviction(Eviction::Adaptive).on_removal(move |removal| {
        let store = handle.get().unwrap();
        assert_eq!(store.get(removal.key).unwrap(), None, "the entry is gone");
        store.increment("removals", 1, None).unwrap();
    });
    let cache = back.get_or_init(|| Store::open(options).unwrap());
    for key in 0..20_000_u32 {
        cache.set(key.to_le_bytes(), [0; 100]).unwrap();
        cache.get("removals").unwrap();
    }
    let counted: u64 =
        String::from_utf8(cache.get("removals").unwrap().unwrap()).unwrap().parse().unwrap();
    assert_eq!(counted, cache.stats().evicted);
}

#[test]
fn hits_and_misses_are_counted_in_a_cache_and_where_asked_for() {
    let cache = Options::memory(MIB).eviction(Eviction::Adaptive);
    for (options, counts) in [
        (Options::memory(MIB), false),
        (Options::memory(MIB).count_reads(true), true),
        (cache.clone(), true),
        (cache.count_reads(false), false),
    ] {
        let store = Store::open(options).unwrap();
        store.set("here", "1").unwrap();
        store.get("here").unwrap();
        store.get("there").unwrap();
        store.pin("here").unwrap();
        assert!(!store.contains("there").unwrap());
        store.get_many(&["here", "there", "nowhere"], |_, _| {}).unwrap();
        let stats = store.stats();
        assert_eq!((stats.hits, stats.misses), if counts { (3, 4) } else { (0, 0) });
    }
}

#[test]
fn the_longest_values_are_named() {
    let clock = FakeClock::new();
    let store = Store::open(Options::memory(4 * MIB).clock(clock.clone())).unwrap();
    assert_eq!(store.largest(3).unwrap(), []);
    for len in 0..2_000_u32 {
        store.set(len.to_le_bytes(), vec![1; len as usize]).unwrap();
    }
    let brief = SetOptions::new().ttl(Duration::from_millis(10));
    store.set_with("brief", vec![1; 100_000], brief).unwrap();
    store.set("run", vec![1; 50_000]).unwrap();
    let named = |len: u32| (len.to_le_bytes().to_vec(), u64::from(len));
    assert_eq!(store.largest(0).unwrap(), []);
    assert_eq!(store.largest(1).unwrap(), [(b"brief".to_vec(), 100_000)]);
    clock.advance(Duration::from_millis(20));
    let longest = [(b"run".to_vec(), 50_000), named(1_999), named(1_998)];
    assert_eq!(store.largest(3).unwrap(), longest);
    assert_eq!(store.largest(usize::MAX).unwrap().len(), 2_001);
}

#[test]
fn the_hottest_keys_are_named() {
    let store = Store::open(Options::memory(64 * MIB).count_reads(true)).unwrap();
    for key in 0..1000_u32 {
        store.set(key.to_le_bytes(), [1; 10]).unwrap();
    }
    for turn in 0..400_000_u32 {
        // Half of all reads are of two keys.
        let key = match turn % 4 {
            0 => 7,
            1 => 42,
            _ => turn / 4 % 1000,
        };
        store.get(key.to_le_bytes()).unwrap();
    }
    let hottest = store.hottest(2).unwrap();
    let mut keys: Vec<_> = hottest.iter().map(|(key, _)| key.clone()).collect();
    keys.sort();
    assert_eq!(keys, [7_u32, 42].map(|key| key.to_le_bytes().to_vec()), "{hottest:?}");
    assert_eq!(store.hottest(1).unwrap().len(), 1);
    store.delete(7_u32.to_le_bytes()).unwrap();
    assert!(store.hottest(100).unwrap().iter().all(|(key, _)| *key != 7_u32.to_le_bytes()));
}

#[test]
fn the_age_of_the_oldest_is_told() {
    let clock = FakeClock::new();
    let store = Store::open(Options::memory(MIB).clock(clock.clone())).unwrap();
    assert_eq!(store.stats().oldest_ms, 0);
    store.set("key", "value").unwrap();
    clock.advance(Duration::from_secs(90));
    assert_eq!(store.stats().oldest_ms, 90_000);
}
