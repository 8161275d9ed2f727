//! Pins and scans: what callers hold on to.

use nyala::{Options, SetOptions, Store};

use crate::common::validate;
use crate::{MIB, assert_value, ms, open, open_with_clock, version_of};

#[test]
fn a_pin_keeps_its_bytes_whatever_happens() {
    let store = open();
    let value = vec![9; store.max_value_len().min(600)];
    store.set("key", &value).unwrap();
    let version = version_of(&store, "key");
    let pin = store.pin("key").unwrap().unwrap();
    let unchanged = || assert!(*pin == *value && pin.version() == version);
    unchanged();
    store.set("key", vec![8; value.len()]).unwrap();
    unchanged();
    store.append("key", "more").unwrap();
    store.set("key", "short").unwrap();
    unchanged();
    assert_value(&store, "key", "short");
    store.delete("key").unwrap();
    unchanged();
    for i in 0..20_000 {
        store.set(format!("other {}", i % 200), vec![7; value.len()]).unwrap();
    }
    unchanged();
    assert!(store.used_bytes() <= store.max_bytes());
    store.clear().unwrap();
    unchanged();
    store.set("key", "again").unwrap();
    while store.maintain(ms(10)).unwrap().bytes > 0 {}
    unchanged();
    validate(&store).unwrap();
    drop(store);
    unchanged();
    std::thread::spawn(move || assert_eq!(pin[0], 9)).join().unwrap();
}

#[test]
fn an_expired_entry_stays_pinned() {
    let (store, clock) = open_with_clock();
    store.set_with("key", "value", SetOptions::new().ttl(ms(5))).unwrap();
    let pin = store.pin("key").unwrap().unwrap();
    clock.advance(ms(5));
    assert_eq!(store.get("key").unwrap(), None);
    store.maintain(ms(10)).unwrap();
    assert_eq!(*pin, *b"value");
}

#[test]
fn a_scan_yields_every_entry_of_its_prefix_once() {
    let store = Store::open(Options::memory(4 * MIB)).unwrap();
    for i in 0..5_000 {
        let letter = if i % 3 == 0 { "a" } else { "b" };
        store.set(format!("{letter}/{i}"), i.to_string()).unwrap();
    }
    let all = |prefix: &str| {
        let mut keys: Vec<_> = store.scan(prefix).unwrap().map(|item| item.unwrap()).collect();
        keys.sort();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count, "something came twice");
        keys
    };
    assert_eq!(all("").len(), 5_000);
    assert_eq!(all("a/").len(), 1_667);
    assert_eq!(all("b/").len(), 3_333);
    assert_eq!(all("a/42").len(), 1 + all("a/42").iter().filter(|(k, _)| k.len() > 4).count());
    assert_eq!(all("none"), []);
    assert_eq!(all(&"long".repeat(30_000)), []);
    for (key, value) in all("a/") {
        assert_eq!(key[2..], value);
    }
}

#[test]
fn a_scan_goes_on_in_another_cursor() {
    let store = Store::open(Options::memory(4 * MIB)).unwrap();
    for i in 0..5_000 {
        store.set(format!("key {i}"), i.to_string()).unwrap();
    }
    for step in [1, 7, 450, 2_000, 10_000] {
        let mut keys = Vec::new();
        let mut position = store.scan("key").unwrap().position();
        while let Some(at) = position {
            let mut cursor = store.scan_from("key", at).unwrap();
            keys.extend(cursor.by_ref().take(step).map(|item| item.unwrap().0));
            position = cursor.position();
            assert!(keys.len() <= 5_000, "steps of {step}: it does not end");
        }
        check_all(keys, step);

        let mut keys = Vec::new();
        let mut cursor = store.scan("key").unwrap();
        while let Some(batch) = cursor.next_batch(step).unwrap() {
            keys.extend(batch.into_iter().map(|(key, _)| key));
            assert!(keys.len() <= 5_000, "steps of {step}: it does not end");
            match cursor.position() {
                Some(at) => cursor = store.scan_from("key", at).unwrap(),
                None => break,
            }
        }
        check_all(keys, step);
    }
}

#[track_caller]
fn check_all(mut keys: Vec<Vec<u8>>, step: usize) {
    assert_eq!(keys.len(), 5_000, "steps of {step}");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 5_000, "steps of {step}");
}

#[test]
fn a_scan_ends_while_the_store_grows() {
    let store = Store::open(Options::memory(4 * MIB)).unwrap();
    for i in 0..1_000 {
        store.set(format!("there {i}"), "value").unwrap();
    }
    let mut seen = 0;
    let mut fresh = 0;
    for item in store.scan("").unwrap() {
        let (key, _) = item.unwrap();
        seen += usize::from(key.starts_with(b"there"));
        for _ in 0..3 {
            fresh += 1;
            store.set(format!("fresh {fresh}"), "value").unwrap();
        }
        assert!(fresh < 100_000, "it does not end");
    }
    assert_eq!(seen, 1_000);
}

#[test]
fn a_cursor_outlives_its_handle() {
    let store = open();
    store.set("key", "value").unwrap();
    let mut cursor = store.scan("").unwrap();
    drop(store);
    assert_eq!(cursor.next().unwrap().unwrap(), (b"key".to_vec(), b"value".to_vec()));
    assert!(cursor.next().is_none());
    assert_eq!(cursor.position(), None);
}
