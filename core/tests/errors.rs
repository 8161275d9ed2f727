//! Every public error: provoked, and its text read for the value and the limit.
#![forbid(unsafe_code)]

mod common;

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nyala::{
    Corruption, Error, ExpireCondition, IoFailure, MAX_MAX_BYTES, MIN_MAX_BYTES, Options,
    SetOptions, Store, Version,
};

use common::{FakeClock, never_full_below, validate};

const MIB: u64 = 1 << 20;
const LONGEST_KEY: usize = 65_535;
const SECOND: Duration = Duration::from_secs(1);

fn open(max_bytes: u64) -> Store {
    Store::open(Options::memory(max_bytes)).expect("open")
}

/// Every word must stand in the text, numbers not as part of longer ones.
#[track_caller]
fn assert_says(error: &Error, words: &[&str]) {
    let text = error.to_string();
    let parts: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').collect();
    for word in words {
        assert!(parts.contains(word), "{word} is not in: {text}");
    }
}

/// The error of every operation that takes a key, given this one.
fn with_key(store: &Store, key: &[u8]) -> Vec<(&'static str, Result<(), Error>)> {
    let version = Version::from_u64(1);
    let always = ExpireCondition::Always;
    let later = SystemTime::now() + SECOND;
    vec![
        ("get", store.get(key).map(drop)),
        ("get_into", store.get_into(key, &mut Vec::new()).map(drop)),
        ("get_with", store.get_with(key, |_, _| ()).map(drop)),
        ("get_versioned", store.get_versioned(key).map(drop)),
        ("get_many", store.get_many(&[b"good", key], |_, _| ())),
        ("pin", store.pin(key).map(drop)),
        ("set", store.set(key, "value")),
        ("set_with", store.set_with(key, "value", SetOptions::new()).map(drop)),
        ("swap", store.swap(key, "value").map(drop)),
        ("take", store.take(key).map(drop)),
        ("delete", store.delete(key).map(drop)),
        ("delete_if", store.delete_if(key, version).map(drop)),
        ("append", store.append(key, "tail").map(drop)),
        ("increment", store.increment(key, 1, None).map(drop)),
        ("contains", store.contains(key).map(drop)),
        ("entry_info", store.entry_info(key).map(drop)),
        ("expire", store.expire(key, SECOND).map(drop)),
        ("expire_with", store.expire_with(key, SECOND, always).map(drop)),
        ("expire_at", store.expire_at(key, later, always).map(drop)),
        ("persist", store.persist(key).map(drop)),
        ("ttl", store.ttl(key).map(drop)),
        ("set_many", store.set_many(&[(key, "value")]).and_then(|mut all| all.remove(0))),
        ("set_many_atomic", store.set_many_atomic(&[(&b"good"[..], "value"), (key, "value")])),
        ("delete_many", store.delete_many(&[b"good", key]).map(drop)),
    ]
}

#[test]
fn empty_keys() {
    let store = open(MIB);
    for (operation, result) in with_key(&store, b"") {
        match result {
            Err(error @ Error::InvalidArgument(_)) => assert_says(&error, &["key", "0", "1"]),
            other => panic!("{operation}: {other:?}"),
        }
    }
    assert!(store.is_empty());
    validate(&store).unwrap();
}

#[test]
fn over_long_keys() {
    for (max_bytes, len) in [(MIB, LONGEST_KEY + 1), (64 * MIB, LONGEST_KEY + 1), (MIB, 1 << 20)] {
        let store = open(max_bytes);
        let max = store.max_key_len();
        assert!((255..=LONGEST_KEY).contains(&max), "max_key_len {max}");
        for (operation, result) in with_key(&store, &vec![b'k'; len]) {
            let expected = Error::KeyTooLarge { len, max };
            assert_eq!(result, Err(expected.clone()), "{operation}");
            assert_says(&expected, &["key", &len.to_string(), &max.to_string()]);
        }
        assert_eq!(
            store.set(vec![b'k'; max + 1], ""),
            Err(Error::KeyTooLarge { len: max + 1, max })
        );
        store.set(vec![b'k'; max], "").expect("the longest key");
        assert_eq!(store.len(), 1);
    }
}

/// A bad item does not keep the good ones of `set_many` from being stored.
#[test]
fn bad_items_of_set_many() {
    let store = open(MIB);
    let long = vec![1; store.max_value_len() + 1];
    let pairs: [(&str, &[u8]); 4] = [("a", b"1"), ("", b"2"), ("b", &long), ("c", b"3")];
    let outcomes = store.set_many(&pairs).expect("set_many");
    assert_eq!(outcomes.len(), 4);
    assert_eq!(outcomes[0], Ok(()));
    assert!(matches!(outcomes[1], Err(Error::InvalidArgument(_))), "{:?}", outcomes[1]);
    assert!(matches!(outcomes[2], Err(Error::ValueTooLarge { .. })), "{:?}", outcomes[2]);
    assert_eq!(outcomes[3], Ok(()));
    assert_eq!(store.len(), 2);
}

#[test]
fn over_long_values() {
    for max_bytes in [MIB, 64 * MIB] {
        let store = open(max_bytes);
        let max = store.max_value_len();
        assert!(max_bytes < 64 * MIB || max >= 64 << 10, "max_value_len {max} of {max_bytes}");
        for len in [max + 1, 2 * max, max + (1 << 24)] {
            let long = vec![7; len];
            let expected = Error::ValueTooLarge { len, max };
            let kept = SetOptions::new().keep_ttl();
            let pairs = [("key", &long)];
            assert_eq!(store.set("key", &long), Err(expected.clone()));
            assert_eq!(store.set_with("key", &long, kept).map(drop), Err(expected.clone()));
            assert_eq!(store.swap("key", &long), Err(expected.clone()));
            assert_eq!(store.append("key", &long), Err(expected.clone()));
            assert_eq!(store.set_many(&pairs).unwrap(), [Err(expected.clone())]);
            assert_says(&expected, &["value", &len.to_string(), &max.to_string()]);
            assert!(store.is_empty());
        }
        store.set("key", vec![7; max]).expect("the longest value");
        // What counts is the length that the value would have.
        let expected = Error::ValueTooLarge { len: max + 3, max };
        assert_eq!(store.append("key", "abc"), Err(expected));
        assert_eq!(store.get("key").unwrap().unwrap(), vec![7; max]);
        validate(&store).unwrap();
    }
}

#[test]
fn max_bytes_outside_its_range() {
    let (least, most) = (MIN_MAX_BYTES.to_string(), MAX_MAX_BYTES.to_string());
    for max_bytes in [0, 1, 1 << 10, MIB - 1, MAX_MAX_BYTES + 1, u64::MAX] {
        let error = Store::open(Options::memory(max_bytes)).expect_err("outside the range");
        assert!(matches!(error, Error::InvalidArgument(_)), "{max_bytes}: {error:?}");
        assert_says(&error, &["max_bytes", &max_bytes.to_string(), &least, &most]);
    }
    assert_eq!(open(MIN_MAX_BYTES).max_bytes(), MIN_MAX_BYTES);
}

/// Reserves address space and opens, or says what was refused and why.
#[test]
fn a_tebibyte() {
    match Store::open(Options::memory(1 << 40)) {
        Ok(store) => {
            store.set("key", "value").expect("set");
            assert_eq!(store.get("key"), Ok(Some(b"value".to_vec())));
            assert_eq!(store.max_bytes(), 1 << 40);
            assert!(store.used_bytes() < 1 << 30, "committed {} bytes", store.used_bytes());
        }
        Err(error @ Error::NoMemory { .. }) => {
            let Error::NoMemory { bytes, reason } = &error else { unreachable!() };
            assert!(*bytes > 0 && !reason.is_empty(), "{error:?}");
            assert_says(&error, &[&bytes.to_string()]);
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn lifetimes_of_nothing() {
    let store = open(MIB);
    store.set("key", "old").unwrap();
    let zero = Duration::ZERO;
    let none = SetOptions::new().ttl(zero);
    let results = [
        ("set_with", store.set_with("key", "new", none).map(drop)),
        ("expire", store.expire("key", zero).map(drop)),
        ("expire_with", store.expire_with("key", zero, ExpireCondition::IfAny).map(drop)),
        ("expire, no entry", store.expire("other", zero).map(drop)),
        ("increment", store.increment("number", 1, Some(zero)).map(drop)),
        ("increment, present", store.increment("key", 1, Some(zero)).map(drop)),
    ];
    for (operation, result) in results {
        match result {
            Err(error @ Error::InvalidArgument(_)) => {
                assert!(error.to_string().contains("ttl"), "{operation}: {error}");
                assert_says(&error, &["0", "1"]);
            }
            other => panic!("{operation}: {other:?}"),
        }
    }
    assert_eq!(store.get("key"), Ok(Some(b"old".to_vec())));
    assert_eq!(store.len(), 1);
}

#[test]
fn a_lifetime_that_is_new_and_kept() {
    let store = open(MIB);
    let both = SetOptions::new().ttl(SECOND).keep_ttl();
    let error = store.set_with("key", "value", both).expect_err("ttl and keep_ttl");
    assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");
    assert_says(&error, &["ttl", "keep_ttl"]);
    assert!(store.is_empty());
}

#[test]
fn values_that_are_no_numbers() {
    let store = open(MIB);
    let texts = [
        "",
        "-",
        "+1",
        "01",
        "-01",
        "00",
        "-0",
        " 1",
        "1 ",
        "1\n",
        "1\0",
        "1.0",
        "1e3",
        "0x1",
        "1_000",
        "\u{661}",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "100000000000000000000",
        "000000000000000000001",
    ];
    for text in texts {
        store.set("key", text).unwrap();
        let before = store.get_versioned("key").unwrap();
        let expected = Error::NotANumber { len: text.len() };
        assert_eq!(store.increment("key", 1, None), Err(expected.clone()), "{text:?}");
        assert_says(&expected, &["value", &text.len().to_string(), "20"]);
        assert_eq!(store.get_versioned("key").unwrap(), before);
    }
    for value in [&[0xff; 8][..], &[b'9'; 1000]] {
        store.set("key", value).unwrap();
        let expected = Error::NotANumber { len: value.len() };
        assert_eq!(store.increment("key", 0, None), Err(expected));
    }
}

#[test]
fn sums_that_overflow() {
    let store = open(MIB);
    for (value, delta) in [
        (i64::MAX, 1),
        (i64::MAX, i64::MAX),
        (1, i64::MAX),
        (i64::MIN, -1),
        (i64::MIN, i64::MIN),
        (-1, i64::MIN),
    ] {
        store.set("key", value.to_string()).unwrap();
        let before = store.get_versioned("key").unwrap();
        let expected = Error::Overflow { value, delta };
        assert_eq!(store.increment("key", delta, None), Err(expected.clone()));
        let range = [i64::MIN.to_string(), i64::MAX.to_string()];
        assert_says(&expected, &[&value.to_string(), &delta.to_string(), &range[0], &range[1]]);
        assert_eq!(store.get_versioned("key").unwrap(), before);
    }
}

#[test]
fn too_many_pins() {
    let store = open(MIB);
    let value = vec![5; store.max_value_len().min(1024)];
    let keys: Vec<String> = (0..600).map(|i| format!("key {i}")).collect();
    for key in &keys {
        store.set(key, &value).unwrap();
    }
    let mut pins = Vec::new();
    let error = loop {
        match store.pin(keys.get(pins.len()).expect("pins have a cap")) {
            Ok(pin) => pins.push(pin.expect("it is there")),
            Err(error) => break error,
        }
    };
    let Error::Busy { pinned, max } = error else { panic!("{error:?}") };
    assert!(pinned >= max && max > 0, "{pinned} of {max}");
    assert_says(&error, &["pins", &pinned.to_string(), &max.to_string()]);

    // Pins at their cap block nobody.
    let other = vec![6; value.len()];
    for _ in 0..4 {
        for key in &keys {
            store.set(key, &other).unwrap();
        }
    }
    assert!(pins.iter().all(|pin| **pin == *value), "pinned bytes changed");
    assert!(store.used_bytes() <= store.max_bytes());
    validate(&store).unwrap();

    pins.clear();
    let pin = store.pin(&keys[599]).expect("pins are free again").expect("it is there");
    assert_eq!(*pin, *other);
}

/// Everything that can be seen of a store.
fn picture(store: &Store) -> Vec<(Vec<u8>, Vec<u8>, u64)> {
    let mut entries: Vec<_> = store
        .scan("")
        .unwrap()
        .map(|item| item.unwrap())
        .map(|(key, value)| {
            let version = store.entry_info(&key).unwrap().expect("just scanned").version.get();
            (key, value, version)
        })
        .collect();
    entries.sort();
    entries
}

#[test]
fn full_changes_nothing() {
    let store = Store::open(Options::memory(MIB).clock(FakeClock::new())).unwrap();
    let value = vec![3; 500];
    let mut number = 0;
    let error = loop {
        number += 1;
        if let Err(error) = store.set(format!("key {number}"), &value) {
            break error;
        }
        assert!(number < 10_000, "never full");
    };
    let Error::Full { live_bytes, max_bytes, path: None } = error else { panic!("{error:?}") };
    assert_eq!(max_bytes, MIB);
    assert!(live_bytes > never_full_below(MIB) && live_bytes <= MIB, "{live_bytes} live bytes");
    assert_says(&error, &["max_bytes", &live_bytes.to_string(), &MIB.to_string()]);

    let before = picture(&store);
    assert_eq!(before.len() as u64, number - 1);
    let long = vec![4; store.max_value_len()];
    let ttl = SetOptions::new().ttl(SECOND).return_previous();
    let pairs = [("key 1", &long), ("fresh", &long)];
    let mut refused = vec![
        ("set, new key", store.set("fresh", &long)),
        ("set, longer", store.set("key 1", &long)),
        ("set_with", store.set_with("key 1", &long, ttl).map(drop)),
        ("swap", store.swap("key 1", &long).map(drop)),
        ("append, new key", store.append("fresh", &long).map(drop)),
    ];
    for outcome in store.set_many(&pairs).unwrap() {
        refused.push(("set_many", outcome));
    }
    for (operation, result) in refused {
        assert!(matches!(result, Err(Error::Full { .. })), "{operation}: {result:?}");
    }
    assert!(picture(&store) == before, "Full changed something");
    assert_eq!(store.len(), number - 1);
    validate(&store).unwrap();

    // What needs no room works on.
    let absent = SetOptions::new().if_absent();
    assert!(!store.set_with("key 1", &long, absent).unwrap().stored);
    assert_eq!(store.ttl("key 1").unwrap(), Some(nyala::TimeToLive::Forever));
    for i in 1..number {
        let key = format!("key {i}");
        let there = match i % 3 {
            0 => store.delete(&key).unwrap(),
            1 => store.take(&key).unwrap().as_deref() == Some(&value),
            _ => {
                let version = store.entry_info(&key).unwrap().expect("it is there").version;
                store.delete_if(&key, version).unwrap()
            }
        };
        assert!(there, "{key}");
    }
    assert!(store.is_empty());
    store.set("fresh", &long).expect("room again");
    validate(&store).unwrap();
}

/// Of the frame that is refused some values would fit, and one key is there already.
#[test]
fn a_frame_that_is_refused_changes_nothing() {
    let store = open(MIB);
    let third = vec![4; store.max_frame_bytes() / 3 - 80];
    store.set("known", b"1").unwrap();
    let mut frames = 0;
    let (before, error) = loop {
        let before = picture(&store);
        let keys = [format!("fresh {frames}"), "known".into(), format!("other {frames}")];
        let frame = keys.map(|key| (key, &third));
        match store.set_many_atomic(&frame) {
            Ok(()) => frames += 1,
            Err(error) => break (before, error),
        }
        assert!(frames < 1_000, "never full");
    };
    assert!(matches!(error, Error::Full { max_bytes: MIB, .. }), "{error:?}");
    assert_eq!(before.len(), 1 + 2 * frames);
    assert!(picture(&store) == before, "Full changed something");
    validate(&store).unwrap();
    assert!(store.delete("known").unwrap());
}

/// The limit counts the same in every store, however keys fall to stripes.
#[test]
fn over_large_frames() {
    for store in [open(MIB), open(64 * MIB)] {
        let max = store.max_frame_bytes();
        assert_eq!(max as u64, store.stats().segment_bytes - 192);
        let pair = |number: usize| (format!("key {number:04}"), vec![7; 56]);
        let fitting: Vec<_> = (0..max / 128).map(pair).collect();
        store.set_many_atomic(&fitting).expect("as much as a frame takes");
        let before = picture(&store);
        assert_eq!(before.len(), fitting.len());
        let mut more: Vec<_> = fitting.iter().map(|(key, _)| (key.clone(), vec![8; 56])).collect();
        more.push(pair(9000));
        let expected = Error::FrameTooLarge { bytes: 128 * more.len(), max };
        assert_eq!(store.set_many_atomic(&more), Err(expected.clone()));
        assert_says(&expected, &["frame", &(128 * more.len()).to_string(), &max.to_string()]);
        assert!(picture(&store) == before, "a frame that is refused changed something");
        let long = vec![1; store.max_value_len() + 1];
        let bad: [(&str, &[u8]); 2] = [("a", b"1"), ("b", &long)];
        assert_eq!(
            store.set_many_atomic(&bad),
            Err(Error::ValueTooLarge { len: long.len(), max: store.max_value_len() })
        );
        assert!(picture(&store) == before, "a frame that is refused changed something");
        store.set_many_atomic::<&str, &str>(&[]).expect("nothing to do");
        validate(&store).unwrap();
    }
}

/// What cannot be provoked from outside still has a text that helps.
#[test]
fn texts_of_the_others() {
    let mut corruption =
        Corruption { what: "checksum does not match", found: None, offset: 4096, path: None };
    assert_says(&Error::Corrupt(Box::new(corruption.clone())), &["checksum", "4096"]);
    (corruption.found, corruption.path) = (Some(17), Some("/data/store".into()));
    let corrupt = Error::Corrupt(Box::new(corruption));
    assert_says(&corrupt, &["checksum", "4096", "17", "data", "store"]);
    assert_eq!(corrupt.path(), Some(Path::new("/data/store")));
    let path = Some(Box::new("/data/store".into()));
    let full = Error::Full { live_bytes: 70, max_bytes: 80, path: path.clone() };
    assert_says(&full, &["data", "store", "70", "max_bytes", "80", "full"]);
    assert_says(&Error::Version { found: 7, supported: 1, path }, &["data", "store", "7", "1"]);
    let no_memory = Error::NoMemory { bytes: 123, reason: "Cannot allocate memory".to_owned() };
    assert_says(&no_memory, &["123", "Cannot", "allocate"]);
    assert_says(&Error::Forked, &["fork", "open"]);
    let path: Box<Path> = Path::new("/data/store").into();
    let locked = Error::Locked { path: path.clone(), holder: Some(1234) };
    assert_says(&locked, &["data", "store", "locked", "1234"]);
    assert_says(&Error::Locked { path, holder: None }, &["data", "store", "locked", "another"]);
    let failure = IoFailure {
        op: "sync",
        path: "/data/store".into(),
        kind: ErrorKind::Other,
        code: Some(5),
        reason: "Input/output error (os error 5)".to_owned(),
    };
    assert_says(&Error::Io(Box::new(failure)), &["sync", "data", "store", "5"]);
    assert_says(&Error::Version { found: 7, supported: 1, path: None }, &["version", "7", "1"]);
    assert_says(&Error::Poisoned, &["poisoned", "open"]);
    assert_says(&Error::ReadOnly, &["reading"]);
    assert_says(&Error::Unsupported("hole punching".to_owned()), &["unsupported", "hole"]);
}

/// Keys and values never appear in what is printed.
#[test]
fn nothing_printed_shows_a_value() {
    let store = open(MIB);
    store.set("key", "secret").unwrap();
    let options = SetOptions::new().if_value(b"secret").return_previous();
    let shown = format!("{options:?} {:?}", store.set_with("key", "secret", options).unwrap());
    let error = store.increment("key", 1, None).unwrap_err();
    let shown = format!("{shown} {store:?} {error:?} {error}");
    // As text, or as a list of bytes.
    assert!(!shown.contains("secret") && !shown.contains("115, 101, 99"), "{shown}");
}
