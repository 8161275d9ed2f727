//! One operation is one hit or miss at most.
#![forbid(unsafe_code)]

use std::time::Duration;

use nyala::{Options, SetOptions, Store, Version};

/// Hits and misses that an operation adds, on a key that is there and on one that is not.
fn counted(operation: impl Fn(&Store, &str)) -> [(u64, u64); 2] {
    ["there", "missing"].map(|key| {
        let store = Store::open(Options::memory(4 << 20).count_reads(true)).unwrap();
        store.set("there", "1").unwrap();
        operation(&store, key);
        let stats = store.stats();
        (stats.hits, stats.misses)
    })
}

type Operation = fn(&Store, &str);

fn done<T>(result: nyala::Result<T>) {
    assert!(result.is_ok());
}

#[test]
fn reads_count_once() {
    const READS: [(&str, Operation); 11] = [
        ("get", |store, key| done(store.get(key))),
        ("get_into", |store, key| done(store.get_into(key, &mut Vec::new()))),
        ("get_with", |store, key| done(store.get_with(key, |_, _| ()))),
        ("get_versioned", |store, key| done(store.get_versioned(key))),
        ("get_many", |store, key| done(store.get_many(&[key], |_, _| ()))),
        ("pin", |store, key| done(store.pin(key))),
        ("contains", |store, key| done(store.contains(key))),
        ("entry_info", |store, key| done(store.entry_info(key))),
        ("ttl", |store, key| done(store.ttl(key))),
        ("take", |store, key| done(store.take(key))),
        ("swap", |store, key| done(store.swap(key, "2"))),
    ];
    for (name, read) in READS {
        assert_eq!(counted(read), [(1, 0), (0, 1)], "{name}");
    }
}

#[test]
fn what_only_changes_something_counts_nothing() {
    const HOUR: Duration = Duration::from_secs(3600);
    const CHANGES: [(&str, Operation); 12] = [
        ("set", |store, key| done(store.set(key, "2"))),
        ("set_with", |store, key| {
            done(store.set_with(key, "2", SetOptions::new().if_absent()));
        }),
        ("set_many", |store, key| done(store.set_many(&[(key, "2")]))),
        ("append", |store, key| done(store.append(key, "2"))),
        ("increment", |store, key| done(store.increment(key, 1, None))),
        ("expire", |store, key| done(store.expire(key, HOUR))),
        ("persist", |store, key| done(store.persist(key))),
        ("delete", |store, key| done(store.delete(key))),
        ("delete_if", |store, key| done(store.delete_if(key, Version::from_u64(9)))),
        ("delete_many", |store, key| done(store.delete_many(&[key]))),
        ("scan", |store, _| assert_eq!(store.scan("").unwrap().count(), 1)),
        ("uncounted", |store, key| {
            let uncounted = store.uncounted();
            assert_eq!(uncounted.entry_info(key).unwrap().is_some(), key == "there");
            assert_eq!(uncounted.pin(key).unwrap().is_some(), key == "there");
            assert_eq!(uncounted.get_versioned(key).unwrap().is_some(), key == "there");
        }),
    ];
    for (name, change) in CHANGES {
        assert_eq!(counted(change), [(0, 0); 2], "{name}");
    }
}
