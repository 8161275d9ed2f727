//! What each operation does, one statement at a time.
#![forbid(unsafe_code)]

mod common;
#[path = "api/holds.rs"]
mod holds;
#[path = "api/lifetimes.rs"]
mod lifetimes;
#[path = "api/values.rs"]
mod values;

use std::sync::Arc;
use std::time::Duration;

use nyala::{Cursor, Options, Pinned, SetOptions, Store, TimeToLive, Version};

use common::{EXPIRY_LAG_MS, FakeClock, validate};

const MIB: u64 = 1 << 20;

fn open() -> Store {
    Store::open(Options::memory(MIB)).expect("open")
}

fn open_with_clock() -> (Store, Arc<FakeClock>) {
    let clock = FakeClock::new();
    (Store::open(Options::memory(MIB).clock(clock.clone())).expect("open"), clock)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn remaining(milliseconds: u64) -> Option<TimeToLive> {
    Some(TimeToLive::Remaining(ms(milliseconds)))
}

const FOREVER: Option<TimeToLive> = Some(TimeToLive::Forever);

#[track_caller]
fn assert_value(store: &Store, key: &str, expected: &str) {
    let value = store.get(key).unwrap();
    assert_eq!(value.as_deref(), Some(expected.as_bytes()), "{key}");
}

fn version_of(store: &Store, key: &str) -> Version {
    store.entry_info(key).unwrap().expect("it is there").version
}

#[test]
fn handles_may_be_sent_and_shared() {
    fn send_and_sync<T: Send + Sync + 'static>() {}
    fn send<T: Send + 'static>() {}
    send_and_sync::<Store>();
    send_and_sync::<Options>();
    send_and_sync::<Pinned>();
    send::<Cursor>();
}

#[test]
fn clones_are_one_store() {
    let store = open();
    let clone = store.clone();
    store.set("key", "value").unwrap();
    assert_value(&clone, "key", "value");
    drop(store);
    clone.set("key", "other").unwrap();
    assert_value(&clone, "key", "other");
}

#[test]
fn stores_are_apart() {
    let (a, b) = (open(), open());
    a.set("key", "a").unwrap();
    assert_eq!(b.get("key").unwrap(), None);
}

#[test]
fn clear_removes_everything_and_the_store_goes_on() {
    let (store, _clock) = open_with_clock();
    for round in 0..5 {
        for i in 0..1_000 {
            store.set(format!("key {i}"), vec![round; 300]).unwrap();
        }
        assert_eq!(store.len(), 1_000);
        store.clear().unwrap();
        assert!(store.is_empty());
        assert_eq!(store.scan("").unwrap().count(), 0);
        assert_eq!(store.get("key 5").unwrap(), None);
        validate(&store).unwrap();
    }
    store.clear().unwrap();
}

#[test]
fn maintain_comes_to_an_end() {
    let (store, clock) = open_with_clock();
    let lasting = SetOptions::new().ttl(ms(5));
    for i in 0..1_000 {
        store.set_with(format!("key {i}"), vec![1; 300], lasting).unwrap();
    }
    clock.advance(ms(5 + EXPIRY_LAG_MS));
    let done = (0..10_000).any(|_| store.maintain(ms(1)).unwrap().bytes == 0);
    assert!(done, "maintain always finds more to do");
    // Some may stay where new entries are being written.
    assert!(store.len() < 100, "expired entries are noticed: {} left", store.len());
    validate(&store).unwrap();
}

#[test]
fn numbers_add_up() {
    let store = open();
    let empty = store.stats();
    assert_eq!((empty.entries, empty.live_bytes, empty.max_bytes), (0, 0, MIB));
    for i in 0..1_000 {
        store.set(format!("key {i:04}"), vec![1; 192]).unwrap();
    }
    let stats = store.stats();
    assert_eq!((stats.entries, store.len()), (1_000, 1_000));
    assert_eq!(stats.used_bytes, store.used_bytes());
    assert!(stats.live_bytes >= 200 * 1_000, "{stats:?}");
    let leased = stats.segments_leased * stats.segment_bytes;
    assert!(stats.live_bytes + stats.dead_bytes <= leased, "{stats:?}");
    assert!(leased + stats.index_bytes <= stats.used_bytes, "{stats:?}");
    assert!(stats.used_bytes <= stats.max_bytes, "{stats:?}");
    assert!(stats.stripes > 0 && stats.index_pages > 0, "{stats:?}");
    let pin = store.pin("key 0001").unwrap().unwrap();
    assert_eq!(store.stats().segments_pinned, 1);
    drop(pin);
    assert_eq!(store.stats().segments_pinned, 0);
}
