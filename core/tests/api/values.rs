//! Reading, writing, conditions, versions, batches and counters.

use std::time::UNIX_EPOCH;

use nyala::{Condition, ExpireCondition, Options, SetOptions, Store, Version};

use crate::common::{FAKE_EPOCH_MS, validate};
use crate::{MIB, assert_value, ms, open, open_with_clock, version_of};

#[test]
fn every_get_shows_the_same() {
    let store = open();
    store.set("key", "value").unwrap();
    let version = version_of(&store, "key");
    assert_value(&store, "key", "value");
    assert_eq!(store.get_versioned("key").unwrap(), Some((b"value".to_vec(), version)));

    let mut out = b"longer than the value".to_vec();
    assert!(store.get_into("key", &mut out).unwrap());
    assert_eq!(out, b"value");
    assert!(!store.get_into("other", &mut out).unwrap());
    assert_eq!(out, b"");

    let len = store.get_with("key", |value, seen| (value.len(), seen)).unwrap();
    assert_eq!(len, Some((5, version)));
    assert_eq!(store.get_with("other", |_, _| ()).unwrap(), None);
    assert!(store.contains("key").unwrap() && !store.contains("other").unwrap());
    assert_eq!(store.get_versioned("other").unwrap(), None);
    assert_eq!(store.entry_info("other").unwrap(), None);
    assert_eq!(store.ttl("other").unwrap(), None);
    assert!(store.pin("other").unwrap().is_none());
}

#[test]
fn get_many_answers_in_order_and_may_use_the_store() {
    let store = open();
    for i in 0..100 {
        store.set(format!("key {i}"), i.to_string()).unwrap();
    }
    let keys: Vec<String> = (0..150).map(|i| format!("key {}", i * 7 % 120)).collect();
    let mut answers = Vec::new();
    store
        .get_many(&keys, |i, value| {
            assert_eq!(store.get(&keys[i]).unwrap().as_deref(), value);
            store.increment("calls", 1, None).unwrap();
            answers.push((i, value.map(<[u8]>::to_vec)));
        })
        .unwrap();
    let expected: Vec<_> = (0..150)
        .map(|i| (i, Some(i * 7 % 120).filter(|n| *n < 100)))
        .map(|(i, number)| (i, number.map(|n| n.to_string().into_bytes())))
        .collect();
    assert_eq!(answers, expected);
    assert_value(&store, "calls", "150");
    store.get_many::<&str>(&[], |_, _| panic!("nothing was asked for")).unwrap();
}

#[test]
fn an_empty_value_is_a_value() {
    let store = open();
    store.set("key", "").unwrap();
    assert_value(&store, "key", "");
    assert!(store.contains("key").unwrap());
    assert_eq!(store.entry_info("key").unwrap().unwrap().value_len, 0);
    assert!(store.pin("key").unwrap().unwrap().is_empty());
    assert_eq!(store.append("key", "").unwrap(), 0);
    assert_eq!(store.append("fresh", "").unwrap(), 0);
    assert_value(&store, "fresh", "");
    let empty = SetOptions::new().if_value(b"");
    assert!(store.set_with("key", "full", empty).unwrap().stored);
    assert!(!store.set_with("other", "full", empty).unwrap().stored);
    assert_eq!(store.swap("key", "").unwrap().as_deref(), Some(&b"full"[..]));
    assert_eq!(store.take("key").unwrap().as_deref(), Some(&b""[..]));
}

#[test]
fn keys_are_bytes_of_any_kind_and_length() {
    let store = Store::open(Options::memory(64 * MIB)).unwrap();
    assert_eq!(store.max_key_len(), 65_535);
    let mut keys: Vec<Vec<u8>> = vec![b"\0".to_vec(), b"\0\0".to_vec(), vec![0xff; 3]];
    keys.extend([1, 7, 8, 9, 255, 256, 4096, 65_534, 65_535].map(|len| vec![b'k'; len]));
    for (i, key) in keys.iter().enumerate() {
        store.set(key, i.to_string()).unwrap();
    }
    for (i, key) in keys.iter().enumerate() {
        assert_eq!(store.get(key).unwrap(), Some(i.to_string().into_bytes()), "{}", key.len());
    }
    let longest = vec![b'v'; store.max_value_len()];
    store.set(&keys[keys.len() - 1], &longest).unwrap();
    assert!(*store.pin(&keys[keys.len() - 1]).unwrap().unwrap() == *longest);
    assert_eq!(store.len(), keys.len() as u64);
    assert_eq!(store.scan("k").unwrap().count(), 9);
    for key in &keys {
        assert!(store.delete(key).unwrap());
    }
    assert!(store.is_empty());
    validate(&store).unwrap();
}

/// Values with pages of their own: every operation that small ones have.
#[test]
fn large_values_are_values() {
    let store = Store::open(Options::memory(64 * MIB)).unwrap();
    let value =
        |len, seed: u8| -> Vec<u8> { (0..=250_u8).cycle().map(|n| n ^ seed).take(len).collect() };
    for len in [22_000, 64 << 10, 1 << 20, 16 << 20] {
        let (first, second) = (value(len, 1), value(len - 1, 2));
        store.set("large", &first).unwrap();
        assert!(store.stats().runs >= 1, "{:?}", store.stats());
        assert!(store.get("large").unwrap().unwrap() == first);
        let pinned = store.pin("large").unwrap().unwrap();
        assert!(store.swap("large", &second).unwrap().unwrap() == first);
        assert!(*pinned == *first, "a pin keeps its bytes");
        drop(pinned);
        assert!(store.expire("large", std::time::Duration::from_secs(9)).unwrap());
        assert!(store.persist("large").unwrap());
        assert_eq!(store.append("large", "x").unwrap(), len);
        assert_eq!(store.entry_info("large").unwrap().unwrap().value_len, len);
        store.get_many(&["large"], |_, found| assert_eq!(found.unwrap().len(), len)).unwrap();
        assert_eq!(store.scan("lar").unwrap().next().unwrap().unwrap().1.len(), len);
        assert_eq!(store.take("large").unwrap().unwrap().len(), len);
        assert_eq!((store.len(), store.stats().runs), (0, 0));
        validate(&store).unwrap();
    }
    store.set("large", value(1 << 20, 3)).unwrap();
    store.clear().unwrap();
    assert_eq!((store.get("large").unwrap(), store.stats().run_bytes), (None, 0));
    validate(&store).unwrap();
}

#[test]
fn set_overwrites_whatever_the_length() {
    let store = open();
    for len in [0_usize, 1, 7, 8, 9, 500, 100, 500, 24, 1000, 0, 64] {
        let value = vec![len.to_le_bytes()[0]; len];
        store.set("key", &value).unwrap();
        assert_eq!(store.get("key").unwrap(), Some(value));
        assert_eq!(store.len(), 1);
    }
}

type Write = Box<dyn Fn(&Store)>;

#[test]
fn versions_are_new_with_every_write_of_the_value_and_nothing_else() {
    let (store, clock) = open_with_clock();
    let mut seen = Vec::new();
    let mut writes: Vec<Write> = vec![
        Box::new(|s| s.set("key", "1").unwrap()),
        Box::new(|s| s.set("key", "1").unwrap()),
        Box::new(|s| assert!(s.swap("key", "2").unwrap().is_some())),
        Box::new(|s| assert_eq!(s.append("key", "3").unwrap(), 2)),
        Box::new(|s| assert_eq!(s.increment("key", 1, None).unwrap(), 24)),
        Box::new(|s| assert_eq!(s.increment("key", 0, None).unwrap(), 24)),
        Box::new(|s| assert!(s.set_with("key", "5", SetOptions::new()).unwrap().stored)),
        Box::new(|s| s.set_many(&[("key", "6")]).unwrap().remove(0).unwrap()),
    ];
    // Neither a removal nor clearing brings an old one back.
    writes.push(Box::new(|s| {
        assert!(s.delete("key").unwrap());
        s.set("key", "7").unwrap();
    }));
    writes.push(Box::new(|s| {
        s.clear().unwrap();
        s.set("key", "8").unwrap();
    }));
    for write in &writes {
        write(&store);
        let version = version_of(&store, "key");
        assert!(seen.last().is_none_or(|last| version > *last), "{version} after {seen:?}");
        seen.push(version);

        let far = UNIX_EPOCH + ms(FAKE_EPOCH_MS + 1_000_000);
        assert!(store.expire("key", ms(1_000)).unwrap());
        assert!(store.expire_at("key", far, ExpireCondition::Always).unwrap());
        assert!(store.persist("key").unwrap());
        assert!(!store.delete_if("key", Version::from_u64(u64::MAX)).unwrap());
        assert!(!store.set_with("key", "no", SetOptions::new().if_absent()).unwrap().stored);
        store.maintain(ms(1)).unwrap();
        clock.advance(ms(1));
        assert_eq!(version_of(&store, "key"), version, "only the lifetime changed");
    }
    let number = seen[0].get();
    assert_eq!(Version::from_u64(number), seen[0]);
    assert_eq!(seen[0].to_string(), number.to_string());
    assert_ne!(number, 0);
}

#[test]
fn conditions() {
    let store = open();
    let set = |condition: Condition<'_>| {
        store.set_with("key", "new", SetOptions::new().condition(condition)).unwrap()
    };
    let never = Version::from_u64(u64::MAX);

    // No entry.
    for condition in [
        Condition::IfPresent,
        Condition::IfVersion(never),
        Condition::IfValue(b""),
        Condition::IfValue(b"new"),
    ] {
        let outcome = set(condition);
        assert!(!outcome.stored && outcome.version.is_none(), "{condition:?}: {outcome:?}");
    }
    let outcome = set(Condition::IfAbsent);
    assert!(outcome.stored);
    let first = outcome.version.expect("stored");
    assert_eq!(version_of(&store, "key"), first);

    // An entry, which refused sets leave alone and whose version they tell.
    for condition in [Condition::IfAbsent, Condition::IfVersion(never), Condition::IfValue(b"old")]
    {
        let outcome = set(condition);
        assert!(!outcome.stored, "{condition:?}");
        assert_eq!(outcome.version, Some(first), "{condition:?}");
    }
    assert_eq!(version_of(&store, "key"), first);
    for condition in [Condition::IfPresent, Condition::IfValue(b"new"), Condition::Always] {
        assert!(set(condition).stored, "{condition:?}");
    }
    assert!(!set(Condition::IfVersion(first)).stored, "it has been overwritten");
    assert!(set(Condition::IfVersion(version_of(&store, "key"))).stored);
}

#[test]
fn the_previous_value_is_answered_if_asked_for() {
    let store = open();
    let ask = SetOptions::new().return_previous();
    assert_eq!(store.set_with("key", "1", ask).unwrap().previous, None);
    assert_eq!(store.set_with("key", "2", ask).unwrap().previous.as_deref(), Some(&b"1"[..]));
    assert_eq!(store.set_with("key", "3", SetOptions::new()).unwrap().previous, None);
    let refused = store.set_with("key", "4", ask.if_absent()).unwrap();
    assert!(!refused.stored);
    assert_eq!(refused.previous.as_deref(), Some(&b"3"[..]), "asked for, though not stored");
    assert_eq!(store.swap("key", "5").unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(store.swap("fresh", "1").unwrap(), None);
}

#[test]
fn removals() {
    let store = open();
    let fill = || {
        store.set("key", "value").unwrap();
        version_of(&store, "key")
    };
    fill();
    assert!(store.delete("key").unwrap() && !store.delete("key").unwrap());
    fill();
    assert_eq!(store.take("key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(store.take("key").unwrap(), None);
    let old = fill();
    let new = fill();
    assert!(!store.delete_if("key", old).unwrap() && store.contains("key").unwrap());
    assert!(store.delete_if("key", new).unwrap() && !store.delete_if("key", new).unwrap());
    fill();
    assert_eq!(store.delete_many(&["key", "other", "key"]).unwrap(), [true, false, false]);
    assert_eq!(store.delete_many::<&str>(&[]).unwrap(), [false; 0]);
    assert_eq!(store.get("key").unwrap(), None);
    assert!(store.is_empty());
}

#[test]
fn set_many_applies_duplicates_in_order() {
    let store = open();
    let pairs: Vec<(String, String)> =
        (0..100).map(|i| (format!("key {}", i % 10), i.to_string())).collect();
    let outcomes = store.set_many(&pairs).unwrap();
    assert_eq!(outcomes, vec![Ok(()); 100]);
    for i in 0..10 {
        assert_value(&store, &format!("key {i}"), &(90 + i).to_string());
    }
    assert_eq!(store.len(), 10);
    assert!(store.set_many::<&str, &str>(&[]).unwrap().is_empty());
}

#[test]
fn set_many_atomic_applies_duplicates_in_order() {
    let store = open();
    store.set_with("key 3", "old", SetOptions::new().ttl(ms(1000))).unwrap();
    let pairs: Vec<(String, String)> =
        (0..40).map(|i| (format!("key {}", i % 10), i.to_string())).collect();
    for _ in 0..3 {
        store.set_many_atomic(&pairs).unwrap();
        for i in 0..10 {
            assert_value(&store, &format!("key {i}"), &(30 + i).to_string());
        }
        assert_eq!(store.len(), 10);
    }
    assert_eq!(store.ttl("key 3").unwrap(), Some(nyala::TimeToLive::Forever));
}

/// Of frames that write the same keys, in any order, one is there in the end.
#[test]
fn frames_do_not_mix() {
    let store = open();
    for round in 0..200 {
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let store = &store;
                scope.spawn(move || {
                    let mut keys: Vec<u32> = (0..20).collect();
                    keys.rotate_left(7 * thread);
                    let value = format!("{round} {thread}");
                    let pairs: Vec<_> =
                        keys.iter().map(|key| (key.to_le_bytes(), &value)).collect();
                    store.set_many_atomic(&pairs).unwrap();
                });
            }
        });
        let first = store.get(0_u32.to_le_bytes()).unwrap();
        for key in 1..20_u32 {
            assert_eq!(store.get(key.to_le_bytes()).unwrap(), first, "round {round}, key {key}");
        }
    }
}

/// Readers see whole values, none older than one that they have seen, and of one frame at most a part.
#[test]
fn readers_see_a_part_of_one_frame_at_most() {
    const FRAMES: u32 = 2_000;
    let store = open();
    let keys: Vec<[u8; 4]> = (0..40_u32).map(u32::to_le_bytes).collect();
    // Also such as change their lengths, and so lie elsewhere each time.
    let value = |number: u32| number.to_le_bytes().repeat(1 + number as usize % 7);
    let frame = |number| keys.iter().map(|key| (key, value(number))).collect::<Vec<_>>();
    store.set_many_atomic(&frame(0)).unwrap();
    std::thread::scope(|scope| {
        let (store, keys) = (&store, &keys);
        let reader = move || {
            let mut before = 0;
            while before < FRAMES {
                for key in keys {
                    let found = store.get(key).unwrap().unwrap();
                    let number = u32::from_le_bytes(*found.first_chunk().unwrap());
                    assert_eq!(found, value(number), "a torn value");
                    // The frame that was seen last is the only one that may be under way.
                    assert!(number + 1 >= before, "{number} after {before}");
                    before = before.max(number);
                }
            }
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for number in 1..=FRAMES {
            store.set_many_atomic(&frame(number)).unwrap();
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    for key in &keys {
        assert_eq!(store.get(key).unwrap(), Some(value(FRAMES)));
    }
    validate(&store).unwrap();
}

/// What expires, has expired or is pinned when a frame comes is replaced by a value that stays.
#[test]
fn frames_end_lifetimes() {
    let (store, clock) = open_with_clock();
    for (key, ttl) in [("brief", 10), ("long", 1_000_000)] {
        store.set_with(key, "old", SetOptions::new().ttl(ms(ttl))).unwrap();
    }
    store.set("pinned", "old").unwrap();
    clock.advance(ms(20));
    let pinned = store.pin("pinned").unwrap().unwrap();
    let keys = ["brief", "long", "pinned", "fresh"];
    store.set_many_atomic(&keys.map(|key| (key, "new"))).unwrap();
    clock.advance(ms(2_000_000));
    for key in keys {
        assert_value(&store, key, "new");
        assert_eq!(store.ttl(key).unwrap(), Some(nyala::TimeToLive::Forever));
    }
    assert_eq!(&*pinned, b"old");
    drop(pinned);
    validate(&store).unwrap();
}

#[test]
fn append_creates_and_extends() {
    let store = open();
    let mut expected = Vec::new();
    for i in 0..60 {
        let tail = vec![i; usize::from(i % 17)];
        expected.extend_from_slice(&tail);
        assert_eq!(store.append("key", &tail).unwrap(), expected.len());
        assert_eq!(store.get("key").unwrap().as_ref(), Some(&expected));
    }
}

#[test]
fn counters_are_decimal_text() {
    let store = open();
    assert_eq!(store.increment("n", 5, None).unwrap(), 5);
    assert_value(&store, "n", "5");
    assert_eq!(store.increment("n", -15, None).unwrap(), -10);
    assert_value(&store, "n", "-10");
    assert_eq!(store.increment("n", 10, None).unwrap(), 0);
    assert_value(&store, "n", "0");
    store.set("n", i64::MAX.to_string()).unwrap();
    assert_eq!(store.increment("n", 0, None).unwrap(), i64::MAX);
    assert_eq!(store.increment("n", i64::MIN, None).unwrap(), -1);
    store.set("n", i64::MIN.to_string()).unwrap();
    assert_eq!(store.increment("n", 1, None).unwrap(), i64::MIN + 1);
    assert_value(&store, "n", "-9223372036854775807");
    assert_eq!(store.increment("least", i64::MIN, None).unwrap(), i64::MIN);
    assert_value(&store, "least", "-9223372036854775808");
    assert_eq!(store.append("n", "0").unwrap(), 21, "it is a value like any other");
}

#[test]
fn readers_in_place_may_use_the_store() {
    let store = open();
    store.set("key", "value").unwrap();
    let len = store.get_with("key", |value, _| {
        let mut copy = vec![0; value.len()];
        value.copy_to_slice(&mut copy);
        store.set("other", &copy).unwrap();
        value.len()
    });
    assert_eq!(len.unwrap(), Some(5));
    assert_value(&store, "other", "value");
}
