//! Changing `max_bytes` of an open store.
#![forbid(unsafe_code)]

mod common;

use common::{Random, validate};
use nyala::{Error, Eviction, Options, Store};

const MIB: u64 = 1 << 20;

#[test]
fn a_cache_shrinks_and_grows() {
    let cache = Store::open(Options::memory(16 * MIB).eviction(Eviction::Adaptive)).unwrap();
    let mut random = Random::new(1);
    let mut most = 0;
    for max_bytes in [16, 4, 64, 5, 33, 4, 16].map(|mib| mib * MIB) {
        cache.set_max_bytes(max_bytes).unwrap();
        assert_eq!(cache.max_bytes(), max_bytes);
        assert!(cache.used_bytes() <= max_bytes);
        validate(&cache).unwrap();
        for _ in 0..300_000 {
            let cut = if random.one_in(100) { 20_000 } else { 300 };
            let len = random.below(cut);
            cache.set(random.below(1_000_000).to_le_bytes(), vec![1; len]).unwrap();
        }
        assert!(cache.used_bytes() <= max_bytes);
        assert!(cache.used_bytes() > max_bytes / 2, "{:?}", cache.stats());
        validate(&cache).unwrap();
        most = most.max(cache.len());
    }
    assert!(most > 2 * cache.len(), "a larger cap holds more: {most} against {}", cache.len());
}

#[test]
fn a_store_refuses_a_cap_that_its_entries_do_not_fit() {
    let store = Store::open(Options::memory(16 * MIB)).unwrap();
    for key in 0..60_000_u32 {
        store.set(key.to_le_bytes(), [7; 100]).unwrap();
    }
    assert!(matches!(store.set_max_bytes(4 * MIB), Err(Error::Full { .. })));
    assert_eq!((store.max_bytes(), store.len()), (16 * MIB, 60_000));
    for key in 20_000..60_000_u32 {
        assert!(store.delete(key.to_le_bytes()).unwrap());
    }
    store.set_max_bytes(4 * MIB).unwrap();
    assert!(store.used_bytes() <= 4 * MIB);
    for key in 0..20_000_u32 {
        assert_eq!(store.get(key.to_le_bytes()).unwrap(), Some(vec![7; 100]));
    }
    validate(&store).unwrap();
    store.set_max_bytes(64 * MIB).unwrap();
    for key in 0..300_000_u32 {
        store.set(key.to_le_bytes(), [8; 100]).unwrap();
    }
    validate(&store).unwrap();
}

#[test]
fn limits_are_named() {
    let store = Store::open(Options::memory(16 * MIB)).unwrap();
    for max_bytes in [0, 4 * MIB - 1, 64 * MIB + 1, u64::MAX] {
        let error = store.set_max_bytes(max_bytes).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");
        for number in [max_bytes, 4 * MIB, 64 * MIB] {
            assert!(error.to_string().contains(&number.to_string()), "{error}");
        }
    }
    assert_eq!(store.max_bytes(), 16 * MIB);
}
