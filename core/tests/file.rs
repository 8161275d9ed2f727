//! Stores in files: what is there when they are opened again, and what is said of files that cannot be.
#![forbid(unsafe_code)]

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use common::{FakeClock, Folder, Random, validate};
use nyala::{Durability, Error, Options, SetOptions, Store, TimeToLive, Tuning};

const MIB: u64 = 1 << 20;
const LEVELS: [Durability; 3] =
    [Durability::Process, Durability::Interval(Duration::from_millis(5)), Durability::Sync];

/// Frames and single writes in turns, with reclaim all the time, over several openings.
#[test]
fn frames_are_there_again() {
    for level in LEVELS {
        let folder = Folder::new("frames");
        let tuning = Tuning { segment_bytes: 4096, stripes: 4, ..Tuning::default() };
        let options =
            || Options::file(folder.file()).max_bytes(4 << 20).tuning(tuning).durability(level);
        let frames = if level == Durability::Sync { 100 } else { 3000 };
        let mut random = Random::new(5);
        let mut model = HashMap::new();
        for session in 0..3_u32 {
            let store = Store::open(options()).unwrap();
            for _ in 0..frames {
                let key = |random: &mut Random| format!("key {}", random.below(200));
                let pairs: Vec<(String, Vec<u8>)> = (0..random.between(1, 12))
                    .map(|_| {
                        (key(&mut random), vec![random.word().to_le_bytes()[0]; random.below(150)])
                    })
                    .collect();
                store.set_many_atomic(&pairs).unwrap();
                model.extend(pairs);
                let gone = key(&mut random);
                assert_eq!(store.delete(&gone).unwrap(), model.remove(&gone).is_some());
            }
            validate(&store).unwrap();
            drop(store);
            let store = Store::open(options().read_only()).unwrap();
            assert_eq!(store.set_many_atomic(&[("a", "b")]), Err(Error::ReadOnly));
            assert_eq!(store.len(), model.len() as u64, "session {session}");
            for (key, value) in &model {
                assert_eq!(store.get(key).unwrap().as_ref(), Some(value), "{key}");
            }
        }
    }
}

fn value_of(key: u32) -> Vec<u8> {
    vec![key.to_le_bytes()[0]; key as usize % 300]
}

#[test]
fn entries_are_there_again() {
    for level in LEVELS {
        let folder = Folder::new("again");
        let options = || Options::file(folder.file()).durability(level);
        let number = if level == Durability::Sync { 300 } else { 20_000_u32 };
        {
            let store = Store::open(options()).unwrap();
            for key in 0..number {
                store.set(key.to_le_bytes(), value_of(key)).unwrap();
            }
            for key in (0..number).step_by(3) {
                assert!(store.delete(key.to_le_bytes()).unwrap());
            }
            for key in (1..number).step_by(3) {
                store.set(key.to_le_bytes(), "new").unwrap();
            }
            assert_eq!(store.increment("visits", 41, None).unwrap(), 41);
            assert_eq!(store.increment("visits", 1, None).unwrap(), 42);
            validate(&store).unwrap();
        }
        for _ in 0..2 {
            let store = Store::open(options()).unwrap();
            validate(&store).unwrap();
            for key in 0..number {
                let expected = match key % 3 {
                    0 => None,
                    1 => Some(b"new".to_vec()),
                    _ => Some(value_of(key)),
                };
                assert_eq!(store.get(key.to_le_bytes()).unwrap(), expected, "{key}");
            }
            assert_eq!(store.get("visits").unwrap().as_deref(), Some(&b"42"[..]));
        }
    }
}

#[test]
fn lifetimes_go_on() {
    let folder = Folder::new("lifetimes");
    let clock = FakeClock::new();
    let open = || Store::open(Options::file(folder.file()).clock(clock.clone())).unwrap();
    let brief = SetOptions::new().ttl(Duration::from_secs(10));
    {
        let store = open();
        store.set_with("brief", "1", brief).unwrap();
        store.set_with("persisted", "2", brief).unwrap();
        assert!(store.persist("persisted").unwrap());
        store.set("later", "3").unwrap();
        let version = store.get_versioned("later").unwrap().unwrap().1;
        assert!(store.expire("later", Duration::from_secs(20)).unwrap());
        assert_eq!(store.get_versioned("later").unwrap().unwrap().1, version);
    }
    clock.advance(Duration::from_secs(5));
    let store = open();
    assert_eq!(store.len(), 3);
    clock.advance(Duration::from_secs(6));
    assert_eq!(store.get("brief").unwrap(), None);
    assert_eq!(store.get("persisted").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(store.get("later").unwrap().as_deref(), Some(&b"3"[..]));
    clock.advance(Duration::from_secs(10));
    assert_eq!(store.get("later").unwrap(), None);
}

#[test]
fn versions_are_never_used_twice() {
    let folder = Folder::new("versions");
    let mut last = None;
    for _ in 0..4 {
        let store = Store::open(Options::file(folder.file())).unwrap();
        store.set("key", "value").unwrap();
        let version = store.get_versioned("key").unwrap().map(|(_, version)| version);
        assert!(version > last);
        last = version;
        store.clear().unwrap();
    }
}

#[test]
fn cleared_entries_stay_away() {
    let folder = Folder::new("clear");
    let open = || Store::open(Options::file(folder.file())).unwrap();
    {
        let store = open();
        for key in 0..10_000_u32 {
            store.set(key.to_le_bytes(), [0; 100]).unwrap();
        }
        store.clear().unwrap();
        assert!(store.is_empty());
        store.set("after", "1").unwrap();
        validate(&store).unwrap();
    }
    let store = open();
    assert_eq!((store.len(), store.get("after").unwrap().as_deref()), (1, Some(&b"1"[..])));
    validate(&store).unwrap();
}

/// Reclaim many times over, in small segments, with every kind of change, and opened again and again.
#[test]
fn churn_is_remembered() {
    for level in LEVELS {
        let folder = Folder::new("churn");
        let tuning = Tuning { segment_bytes: 4096, stripes: 2, ..Tuning::default() };
        let options =
            || Options::file(folder.file()).max_bytes(MIB).tuning(tuning).durability(level);
        let mut random = Random::new(7);
        let mut model: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        for _ in 0..5 {
            let store = Store::open(options()).unwrap();
            validate(&store).unwrap();
            assert_eq!(store.len(), model.len() as u64);
            for _ in 0..if level == Durability::Sync { 400 } else { 20_000 } {
                let key = format!("key {}", random.below(1_000)).into_bytes();
                if random.below(4) == 0 {
                    let was = store.delete(&key).unwrap();
                    assert_eq!(was, model.remove(&key).is_some());
                } else {
                    let value = vec![u8::try_from(random.below(256)).unwrap(); random.below(400)];
                    store.set(&key, &value).unwrap();
                    model.insert(key, value);
                }
            }
            for (key, value) in &model {
                assert_eq!(store.get(key).unwrap().as_ref(), Some(value));
            }
            validate(&store).unwrap();
        }
        let store = Store::open(options()).unwrap();
        assert!(level == Durability::Sync || store.stats().max_bytes == MIB);
        for (key, value) in &model {
            assert_eq!(store.get(key).unwrap().as_ref(), Some(value));
        }
    }
}

#[test]
fn a_full_file_refuses_and_forgets_nothing() {
    let folder = Folder::new("full");
    let open = || Store::open(Options::file(folder.file()).max_bytes(8 * MIB)).unwrap();
    let mut kept = 0_u32;
    {
        let store = open();
        let full = loop {
            match store.set(kept.to_le_bytes(), [7; 1000]) {
                Ok(()) => kept += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, Error::Full { .. }), "{full:?}");
        assert!(kept > 5_000, "{kept}");
        assert!(std::fs::metadata(folder.file()).unwrap().len() <= 9 * MIB);
        for key in (0..kept).step_by(2) {
            assert!(store.delete(key.to_le_bytes()).unwrap());
        }
        for key in (0..kept).step_by(4) {
            store.set(key.to_le_bytes(), [8; 1000]).unwrap();
        }
        validate(&store).unwrap();
    }
    let store = open();
    for key in 0..kept {
        let expected = match key % 4 {
            0 => Some(vec![8; 1000]),
            2 => None,
            _ => Some(vec![7; 1000]),
        };
        assert_eq!(store.get(key.to_le_bytes()).unwrap(), expected);
    }
}

/// The file is cut to what it needs when it is closed, and is then shorter than it was at the close before.
#[test]
fn a_file_that_became_shorter_is_opened_again() {
    let folder = Folder::new("shorter");
    let tuning = Tuning { segment_bytes: 4096, stripes: 2, ..Tuning::default() };
    let open = || Store::open(Options::file(folder.file()).max_bytes(MIB).tuning(tuning)).unwrap();
    let len = || std::fs::metadata(folder.file()).unwrap().len();
    {
        let store = open();
        for key in 0..500_u32 {
            store.set(key.to_le_bytes(), [1; 1000]).unwrap();
        }
    }
    let long = len();
    open().clear().unwrap();
    // What is written now goes to the lowest free segments.
    for _ in 0..5 {
        let store = open();
        for key in 0..3000_u32 {
            store.set((key % 10).to_le_bytes(), [2; 500]).unwrap();
        }
        validate(&store).unwrap();
    }
    assert!(len() < long / 2, "{} of {long} bytes", len());
    open().set("key", "value").unwrap();
    assert_eq!(open().get("key").unwrap().as_deref(), Some(&b"value"[..]));
}

/// Each session begins a segment, because nothing is appended to one that was recovered.
#[test]
fn short_sessions_leave_no_space_behind() {
    let folder = Folder::new("sessions");
    let open = || Store::open(Options::file(folder.file()).max_bytes(64 * MIB)).unwrap();
    for session in 0..200_u32 {
        open().set(format!("key {}", session % 10), "value").unwrap();
    }
    let store = open();
    assert!(store.stats().segments_leased < 30, "{:?}", store.stats());
    store.maintain(Duration::from_secs(10)).unwrap();
    assert!(store.stats().segments_leased <= 2 * 10, "{:?}", store.stats());
    validate(&store).unwrap();
    assert_eq!(store.len(), 10);
}

#[test]
fn one_store_at_a_time() {
    let folder = Folder::new("locked");
    let store = Store::open(Options::file(folder.file())).unwrap();
    assert!(matches!(Store::open(Options::file(folder.file())), Err(Error::Locked { .. })));
    drop(store);
    Store::open(Options::file(folder.file())).unwrap();
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = Folder::new("refused");
    for (bytes, what) in [
        (vec![7; 20_000], "no file of Nyala"),
        (b"hello".to_vec(), "shorter than its two main headers"),
    ] {
        std::fs::write(folder.file(), &bytes).unwrap();
        let error = Store::open(Options::file(folder.file())).unwrap_err();
        assert!(
            matches!(error, Error::Corrupt { .. }) && error.to_string().contains(what),
            "{error}"
        );
        assert_eq!(std::fs::read(folder.file()).unwrap(), bytes, "nothing is lost");
    }
    assert!(matches!(Store::open(Options::file(&folder.0)), Err(Error::InvalidArgument(_))));
    let level = Options::memory(MIB).durability(Durability::Sync);
    assert!(matches!(Store::open(level), Err(Error::InvalidArgument(_))));
}

fn filled(path: &Path) -> Store {
    let store = Store::open(Options::file(path)).unwrap();
    for key in 0..5_000_u32 {
        store.set(key.to_le_bytes(), value_of(key)).unwrap();
    }
    let hour = SetOptions::new().ttl(Duration::from_secs(3600));
    store.set_with("brief", "1", hour).unwrap();
    store
}

fn holds_all(store: &Store) {
    assert_eq!(store.len(), 5_001);
    for key in 0..5_000_u32 {
        assert_eq!(store.get(key.to_le_bytes()).unwrap(), Some(value_of(key)));
    }
    assert!(matches!(store.ttl("brief").unwrap(), Some(TimeToLive::Remaining(_))));
    validate(store).unwrap();
}

#[test]
fn readers_share_a_file_and_change_nothing() {
    let folder = Folder::new("readers");
    drop(filled(&folder.file()));
    let bytes = std::fs::read(folder.file()).unwrap();
    {
        let read = || Store::open(Options::file(folder.file()).read_only()).unwrap();
        let stores = [read(), read()];
        for store in &stores {
            holds_all(store);
            assert_eq!(store.set("key", "value"), Err(Error::ReadOnly));
            assert_eq!(store.delete("brief"), Err(Error::ReadOnly));
            assert_eq!(store.increment("n", 1, None), Err(Error::ReadOnly));
            assert_eq!((store.clear(), store.sync()), (Err(Error::ReadOnly), Err(Error::ReadOnly)));
            assert_eq!(store.maintain(Duration::from_secs(1)), Err(Error::ReadOnly));
        }
        assert!(matches!(Store::open(Options::file(folder.file())), Err(Error::Locked { .. })));
    }
    assert_eq!(std::fs::read(folder.file()).unwrap(), bytes);
    let missing = Store::open(Options::file(folder.0.join("missing")).read_only());
    assert!(matches!(missing, Err(Error::Io(_))));
}

#[test]
fn a_backup_is_a_store() {
    let folder = Folder::new("backup");
    let store = filled(&folder.file());
    let copy = folder.0.join("copy.nyala");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..20_000_u32 {
                store.set(format!("more {round}"), [0; 50]).unwrap();
            }
        });
        let report = store.backup(&copy).unwrap();
        assert!(report.entries >= 5_001 && report.file_bytes > report.live_bytes, "{report:?}");
        writer.join().unwrap();
    });
    assert!(matches!(store.backup(&copy), Err(Error::Io(_))), "what is there stays");
    assert_eq!(folder.names(), ["copy.nyala", "store.nyala"]);
    let copy = Store::open(Options::file(&copy)).unwrap();
    for key in 0..5_000_u32 {
        assert_eq!(copy.get(key.to_le_bytes()).unwrap(), Some(value_of(key)));
    }
    assert!(matches!(copy.ttl("brief").unwrap(), Some(TimeToLive::Remaining(_))));
    let memory = Store::open(Options::memory(MIB)).unwrap();
    memory.set("key", "value").unwrap();
    assert_eq!(memory.backup(folder.0.join("memory.nyala")).unwrap().entries, 1);
}

#[test]
fn damage_is_found_and_what_is_whole_is_saved() {
    let folder = Folder::new("damage");
    drop(filled(&folder.file()));
    assert_eq!(nyala::verify(folder.file()).unwrap().entries, 5_001);
    let mut bytes = std::fs::read(folder.file()).unwrap();
    let record = bytes.windows(200).position(|window| window == [7; 200]).unwrap();
    bytes[record + 100] ^= 1;
    std::fs::write(folder.file(), &bytes).unwrap();
    let error = nyala::verify(folder.file()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    // It is opened by its index, and finds the damage where it is asked for what lies there.
    let store = Store::open(Options::file(folder.file()).read_only()).unwrap();
    let mut errors = 0;
    for key in 0..5_000_u32 {
        match store.get(key.to_le_bytes()) {
            Ok(found) => assert_eq!(found, Some(value_of(key))),
            Err(error) => {
                assert!(matches!(error, Error::Corrupt { .. }), "{error}");
                errors += 1;
            }
        }
    }
    assert!((1..1_000).contains(&errors), "{errors} errors");
    drop(store);
    let saved = folder.0.join("saved.nyala");
    let report = nyala::salvage(folder.file(), &saved).unwrap();
    assert_eq!(report.entries, 5_000);
    let saved = Store::open(Options::file(&saved)).unwrap();
    let lost = (0..5_000_u32).filter(|key| saved.get(key.to_le_bytes()).unwrap().is_none());
    assert_eq!(lost.count(), 1);
    assert_eq!(std::fs::read(folder.file()).unwrap(), bytes, "the damaged file stays as it is");
}
