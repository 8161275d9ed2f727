//! Lifetimes, and the clock they go by.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use nyala::{Clock, ExpireCondition, Options, SetOptions, Store, TimeToLive};

use crate::common::FAKE_EPOCH_MS;
use crate::{FOREVER, MIB, assert_value, ms, open, open_with_clock, remaining, version_of};

#[test]
fn a_lifetime_ends_at_its_millisecond() {
    let (store, clock) = open_with_clock();
    let set = |ttl| store.set_with("key", "value", SetOptions::new().ttl(ttl)).unwrap();
    assert!(set(ms(100)).stored);
    assert_eq!(store.ttl("key").unwrap(), remaining(100));
    clock.advance(ms(99));
    assert_eq!(store.ttl("key").unwrap(), remaining(1));
    assert_value(&store, "key", "value");
    clock.advance(ms(1));
    assert_eq!(store.get("key").unwrap(), None);
    assert_eq!(store.get_versioned("key").unwrap(), None);
    assert_eq!(store.entry_info("key").unwrap(), None);
    assert_eq!(store.ttl("key").unwrap(), None);
    assert!(!store.contains("key").unwrap());
    assert!(store.pin("key").unwrap().is_none());
    assert_eq!(store.scan("").unwrap().count(), 0);
    store.get_many(&["key"], |_, value| assert_eq!(value, None)).unwrap();

    // Rounded up: never shorter than what was asked for.
    set(Duration::from_nanos(1));
    assert_eq!(store.ttl("key").unwrap(), remaining(1));
    set(Duration::from_micros(1_001));
    assert_eq!(store.ttl("key").unwrap(), remaining(2));
    // Longer than any clock runs.
    set(Duration::MAX);
    clock.advance(Duration::from_secs(100 * 365 * 86_400));
    assert_value(&store, "key", "value");
}

#[test]
fn an_expired_entry_is_absent_to_every_write() {
    let (store, clock) = open_with_clock();
    let expired = {
        let store = store.clone();
        move || {
            store.set_with("key", "7", SetOptions::new().ttl(ms(5))).unwrap();
            let version = version_of(&store, "key");
            clock.advance(ms(5));
            version
        }
    };
    let version = expired();
    let refuse = [
        SetOptions::new().if_present(),
        SetOptions::new().if_version(version),
        SetOptions::new().if_value(b"7"),
    ];
    for options in refuse {
        let outcome = store.set_with("key", "8", options.return_previous()).unwrap();
        assert!(!outcome.stored && outcome.version.is_none() && outcome.previous.is_none());
    }
    assert!(!store.expire("key", ms(5)).unwrap());
    assert!(!store.persist("key").unwrap());
    assert!(!store.delete_if("key", version).unwrap());
    assert!(!store.delete("key").unwrap());
    expired();
    assert_eq!(store.take("key").unwrap(), None);
    expired();
    assert_eq!(store.swap("key", "8").unwrap(), None);
    expired();
    assert!(store.set_with("key", "8", SetOptions::new().if_absent()).unwrap().stored);
    assert_eq!(store.ttl("key").unwrap(), FOREVER);
    expired();
    assert_eq!(store.append("key", "8").unwrap(), 1);
    assert_eq!(store.ttl("key").unwrap(), FOREVER, "the old lifetime is over");
    expired();
    assert_eq!(store.increment("key", 1, Some(ms(50))).unwrap(), 1);
    assert_eq!(store.ttl("key").unwrap(), remaining(50));
    expired();
    let keep = SetOptions::new().keep_ttl();
    assert!(store.set_with("key", "9", keep).unwrap().stored);
    assert_eq!(store.ttl("key").unwrap(), FOREVER, "there was none to keep");
    assert_eq!(store.len(), 1);
}

#[test]
fn what_ends_a_lifetime_and_what_keeps_it() {
    let (store, _clock) = open_with_clock();
    let start = || {
        store.set_with("key", "1", SetOptions::new().ttl(ms(500))).unwrap();
    };
    start();
    store.set("key", "2").unwrap();
    assert_eq!(store.ttl("key").unwrap(), FOREVER, "set ends it");
    start();
    store.swap("key", "2").unwrap();
    assert_eq!(store.ttl("key").unwrap(), FOREVER, "swap ends it");
    start();
    store.set_many(&[("key", "2")]).unwrap();
    assert_eq!(store.ttl("key").unwrap(), FOREVER, "set_many ends it");
    start();
    store.set_with("key", "2", SetOptions::new().keep_ttl()).unwrap();
    assert_eq!(store.ttl("key").unwrap(), remaining(500), "keep_ttl keeps it");
    assert_eq!(store.append("key", "3").unwrap(), 2);
    assert_eq!(store.ttl("key").unwrap(), remaining(500), "append keeps it");
    assert_eq!(store.increment("key", 1, Some(ms(9))).unwrap(), 24);
    assert_eq!(store.ttl("key").unwrap(), remaining(500), "increment keeps it");
    assert!(!store.set_with("key", "4", SetOptions::new().if_absent()).unwrap().stored);
    assert_eq!(store.ttl("key").unwrap(), remaining(500), "a set that is refused keeps it");
    assert!(store.persist("key").unwrap() && !store.persist("key").unwrap());
    assert_eq!(store.ttl("key").unwrap(), FOREVER, "persist ends it");
    assert_eq!(store.increment("fresh", 1, Some(ms(9))).unwrap(), 1);
    assert_eq!(store.ttl("fresh").unwrap(), remaining(9));
}

#[test]
fn lifetimes_change_under_conditions() {
    use ExpireCondition::{Always, IfAny, IfLater, IfNone, IfSooner};
    let (store, _clock) = open_with_clock();
    let change = |condition, ttl| store.expire_with("key", ms(ttl), condition).unwrap();
    for condition in [Always, IfNone, IfAny, IfLater, IfSooner] {
        assert!(!change(condition, 10), "{condition:?}: no entry");
    }
    store.set("key", "value").unwrap();
    // No lifetime is the latest.
    assert!(!change(IfAny, 100) && !change(IfLater, 100));
    assert_eq!(store.ttl("key").unwrap(), FOREVER);
    assert!(change(IfSooner, 100));
    assert!(!change(IfNone, 50) && !change(IfSooner, 100) && !change(IfLater, 100));
    assert_eq!(store.ttl("key").unwrap(), remaining(100));
    assert!(change(IfLater, 101) && change(IfSooner, 99) && change(IfAny, 70));
    assert_eq!(store.ttl("key").unwrap(), remaining(70));
    assert!(store.persist("key").unwrap() && change(IfNone, 40) && change(Always, 90));
    assert_eq!(store.ttl("key").unwrap(), remaining(90));
    assert_value(&store, "key", "value");
}

#[test]
fn an_absolute_end() {
    use ExpireCondition::{Always, IfLater, IfNone, IfSooner};
    let (store, clock) = open_with_clock();
    let now = UNIX_EPOCH + ms(FAKE_EPOCH_MS);
    store.set("key", "value").unwrap();
    assert!(store.expire_at("key", now + ms(30), Always).unwrap());
    assert_eq!(store.ttl("key").unwrap(), remaining(30));
    assert!(!store.expire_at("key", now + ms(20), IfLater).unwrap());
    assert!(!store.expire_at("key", now, IfNone).unwrap(), "a refused change removes nothing");
    assert!(store.expire_at("key", now + Duration::from_micros(20_500), IfSooner).unwrap());
    assert_eq!(store.ttl("key").unwrap(), remaining(21));
    clock.advance(ms(20));
    assert!(store.contains("key").unwrap());
    clock.advance(ms(1));
    assert!(!store.contains("key").unwrap());
    assert!(!store.expire_at("key", now + ms(100), Always).unwrap());
    // Times that have passed.
    for at in [now, now - ms(1), UNIX_EPOCH, UNIX_EPOCH - ms(5)] {
        store.set("key", "value").unwrap();
        assert!(store.expire_at("key", at, Always).unwrap());
        assert_eq!(store.get("key").unwrap(), None);
    }
}

#[test]
fn time_goes_by_without_an_injected_clock() {
    let store = open();
    store.set_with("key", "value", SetOptions::new().ttl(ms(40))).unwrap();
    let TimeToLive::Remaining(left) = store.ttl("key").unwrap().unwrap() else {
        panic!("it has a lifetime")
    };
    assert!(left <= ms(40), "{left:?}");
    let day = std::time::SystemTime::now() + Duration::from_secs(86_400);
    store.set("tomorrow", "value").unwrap();
    assert!(store.expire_at("tomorrow", day, ExpireCondition::Always).unwrap());
    std::thread::sleep(ms(60));
    assert_eq!(store.get("key").unwrap(), None);
    let Some(TimeToLive::Remaining(left)) = store.ttl("tomorrow").unwrap() else {
        panic!("it has a lifetime")
    };
    assert!((86_390_000..=86_401_000).contains(&left.as_millis()), "{left:?}");
}

/// A clock that looks into the store whose clock it is.
struct CuriousClock {
    store: OnceLock<Store>,
    now_ms: u64,
}

thread_local! {
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

impl Clock for CuriousClock {
    fn now_ms(&self) -> u64 {
        if let Some(store) = self.store.get().filter(|_| !ASKED.replace(true)) {
            for i in 0..64 {
                store.increment(format!("asked {i}"), 1, None).unwrap();
            }
            store.get("key").unwrap();
            ASKED.set(false);
        }
        self.now_ms
    }
}

/// No lock is held while the clock is asked, or it would hang here.
#[test]
fn a_clock_may_use_the_store() {
    let clock = Arc::new(CuriousClock { store: OnceLock::new(), now_ms: FAKE_EPOCH_MS });
    let store = Store::open(Options::memory(MIB).clock(clock.clone())).unwrap();
    assert!(clock.store.set(store.clone()).is_ok());
    let lasting = SetOptions::new().ttl(ms(50));
    for round in 0..20 {
        let key = format!("key {round}");
        store.set_with(&key, "1", lasting).unwrap();
        store.set_with(&key, "1", lasting.if_present()).unwrap();
        store.increment(&key, 1, Some(ms(5))).unwrap();
        store.append(&key, "3").unwrap();
        store.get(&key).unwrap();
        store.expire(&key, ms(70)).unwrap();
        assert_eq!(store.ttl(&key).unwrap(), remaining(70));
        store.scan("key").unwrap().for_each(|item| assert!(item.is_ok()));
        store.maintain(ms(1)).unwrap();
        assert_eq!(store.take(&key).unwrap().as_deref(), Some(&b"23"[..]));
    }
    store.clear().unwrap();
}
