//! Stores in files: what is there when they are opened again, and what is said of files that cannot be.
#![forbid(unsafe_code)]

mod common;

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use common::{FakeClock, Folder, Random, validate};
use nyala::{Durability, Error, Eviction, Options, SetOptions, Store, TimeToLive, Tuning};

const MIB: u64 = 1 << 20;
const LEVELS: [Durability; 3] =
    [Durability::Process, Durability::Interval(Duration::from_millis(5)), Durability::Sync];

/// A frame takes no value that would get a run, and may replace some that have one.
#[test]
fn frames_replace_large_values_and_take_none() {
    for level in LEVELS {
        let folder = Folder::new("frames-and-large");
        let tuning = Tuning { segment_bytes: 4096, stripes: 4, ..Tuning::default() };
        let options =
            || Options::file(folder.file()).max_bytes(1 << 20).tuning(tuning).durability(level);
        let keys = ["key 1", "key 2", "key 3"];
        for session in 0..3 {
            let store = Store::open(options()).unwrap();
            let max = store.max_frame_value_len();
            assert_eq!(max as u64, store.stats().segment_bytes / 2);
            for round in 0..20 {
                for key in keys {
                    store.set(key, vec![round; 20_000]).unwrap();
                }
                let long = vec![1; max + 1];
                let refused = store.set_many_atomic(&[("fresh", &b"1"[..]), ("key 1", &long)]);
                assert_eq!(refused, Err(Error::ValueTooLarge { len: max + 1, max }));
                assert_eq!(store.get("fresh").unwrap(), None);
                assert_eq!(store.get("key 1").unwrap(), Some(vec![round; 20_000]));
                store.set_many_atomic(&keys.map(|key| (key, vec![round; 500]))).unwrap();
                store.set_many_atomic(&[("longest", vec![round; max])]).unwrap();
            }
            validate(&store).unwrap();
            drop(store);
            let store = Store::open(options()).unwrap();
            assert_eq!((store.len(), store.stats().runs), (4, 0), "session {session}");
            for key in keys {
                assert_eq!(store.get(key).unwrap(), Some(vec![19; 500]));
            }
            assert_eq!(store.get("longest").unwrap(), Some(vec![19; max]));
        }
    }
}

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

/// What overwrites leave dead is reclaimed as it comes to be, however much room the budget has: the file takes at most 1.6
/// times what lives in it, and reclaim copies less than what is written.
#[test]
fn overwriting_keeps_a_file_near_what_lives_in_it() {
    let half_full = (64 * MIB, 300_000_u32, 16);
    // Many stripes that fill their segments at the same time are over it by some, which only a small store notices.
    let [small, large] = [(256 << 30, 300_000, 18), (256 << 30, 900_000, 16)];
    for (max_bytes, entries, tenths) in [half_full, small, large] {
        let folder = Folder::new("overwriting");
        let store = Store::open(Options::file(folder.file()).max_bytes(max_bytes)).unwrap();
        for key in 0..entries {
            store.set(key.to_le_bytes(), [1; 84]).unwrap();
        }
        let live = store.stats().live_bytes;
        let mut random = Random::new(11);
        for round in 0..20 {
            for _ in 0..entries / 4 {
                let key = u32::try_from(random.below(entries as usize)).unwrap();
                store.set(key.to_le_bytes(), [2; 84]).unwrap();
            }
            let taken = std::fs::metadata(folder.file()).unwrap().blocks() * 512;
            let most = live * tenths / 10;
            assert!(taken <= most, "{taken} bytes for {live} live ones in round {round}");
        }
        let stats = store.stats();
        assert_eq!(stats.live_bytes, live);
        let written = 5 * live;
        assert!(stats.bytes_moved < written, "{} copied of {written}", stats.bytes_moved);
        validate(&store).unwrap();
    }
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
        assert!(matches!(error, Error::Corrupt(_)) && error.to_string().contains(what), "{error}");
        assert_eq!(std::fs::read(folder.file()).unwrap(), bytes, "nothing is lost");
    }
    assert!(matches!(Store::open(Options::file(&folder.0)), Err(Error::InvalidArgument(_))));
    let level = Options::memory(MIB).durability(Durability::Sync);
    assert!(matches!(Store::open(level), Err(Error::InvalidArgument(_))));
}

/// Makes both main headers those of another major version, with sums that are right.
fn make_foreign(bytes: &mut [u8]) {
    for copy in [0, 4096] {
        let sector = &mut bytes[copy..][..512];
        sector[8] += 1;
        let sum = crc32c::crc32c(&sector[..504]);
        sector[504..508].copy_from_slice(&sum.to_le_bytes());
        sector[508..].copy_from_slice(&(!sum).to_le_bytes());
    }
}

#[test]
fn errors_of_opening_name_the_file() {
    let folder = Folder::new("named");
    let path = folder.file();
    let names = |error: &Error| {
        assert_eq!(error.path(), Some(&*path), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    };
    let large = || Options::file(&path).max_bytes(32 * MIB);
    {
        let store = Store::open(large()).unwrap();
        (0..10_000_u32).for_each(|key| store.set(key.to_le_bytes(), [7; 1000]).unwrap());
        let error = Store::open(large()).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        names(&error);
    }
    let bytes = std::fs::read(&path).unwrap();
    for max_bytes in [4 * MIB, 8 * MIB] {
        let error = Store::open(Options::file(&path).max_bytes(max_bytes)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::InvalidArgument(_)), "{text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        assert!(text.contains(&format!("max_bytes = {max_bytes} bytes")), "{text}");
    }
    let mut foreign = bytes.clone();
    make_foreign(&mut foreign);
    let mut other_page = bytes.clone();
    other_page[4096 + 25] ^= 1;
    let mut flipped = bytes.clone();
    // In the header of the first segment and in its trailer.
    flipped.iter_mut().skip(8192).step_by(512).for_each(|byte| *byte ^= 1);
    for (bytes, what) in [
        (foreign, "version 2: this library reads and writes version 1"),
        (vec![7; 20_000], "corrupt at byte 0: this is no file of Nyala"),
        (
            b"hello".to_vec(),
            "corrupt at byte 5: the file is shorter than its two main headers of 8192 bytes: 5",
        ),
        (bytes[..bytes.len() / 2].to_vec(), "corrupt at byte "),
        (flipped, "corrupt at byte "),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        for error in [
            Store::open(large()).unwrap_err(),
            Store::open(large().read_only()).unwrap_err(),
            nyala::verify(&path).unwrap_err(),
        ] {
            assert!(error.to_string().contains(what), "{error}");
            names(&error);
        }
    }
    std::fs::write(&path, b"").unwrap();
    names(&nyala::verify(&path).unwrap_err());
    std::fs::remove_file(&path).unwrap();
    names(&nyala::verify(&path).unwrap_err());
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
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
    // It is opened by its index, and finds the damage where it is asked for what lies there.
    let store = Store::open(Options::file(folder.file()).read_only()).unwrap();
    let mut errors = 0;
    for key in 0..5_000_u32 {
        match store.get(key.to_le_bytes()) {
            Ok(found) => assert_eq!(found, Some(value_of(key))),
            Err(error) => {
                assert!(matches!(error, Error::Corrupt(_)), "{error}");
                assert_eq!(error.path(), Some(&*folder.file()));
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

/// A value of so many bytes that says in every word which one it is.
fn large(number: u64, len: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(len).collect()
}

/// Values of 64 MiB and less, with every kind of operation, and opened again after each round.
#[test]
fn large_values_come_and_go() {
    const LARGE: usize = 64 << 20;
    for level in [Durability::Process, Durability::Sync] {
        let folder = Folder::new("large");
        let clock = FakeClock::new();
        let options = || {
            let options = Options::file(folder.file()).max_bytes(320 * MIB).clock(clock.clone());
            options.durability(level)
        };
        let reopen = |store: Store| {
            drop(store);
            let store = Store::open(options()).unwrap();
            validate(&store).unwrap();
            store
        };
        let store = Store::open(options()).unwrap();
        assert_eq!(store.max_value_len(), 80 << 20);
        let error = store.set("too large", large(0, (80 << 20) + 1)).unwrap_err();
        assert_eq!(error, Error::ValueTooLarge { len: (80 << 20) + 1, max: 80 << 20 });
        store.set("a", large(1, LARGE)).unwrap();
        store.set("small", "1").unwrap();
        let store = reopen(store);
        assert_eq!(store.get("a").unwrap(), Some(large(1, LARGE)));
        assert_eq!(store.stats().runs, 1);
        assert!(store.stats().run_bytes >= LARGE as u64);
        // Pinned, overwritten by another large one, by a small one, and grown back beyond the limit by appending.
        let pin = store.pin("a").unwrap().unwrap();
        store.set("a", large(2, LARGE)).unwrap();
        store.set("a", "small").unwrap();
        assert!(*pin == large(1, LARGE));
        drop(pin);
        store.append("a", large(3, 1 << 20)).unwrap();
        let grown = [b"small".to_vec(), large(3, 1 << 20)].concat();
        let store = reopen(store);
        assert_eq!(store.get("a").unwrap(), Some(grown));
        // Lifetimes: the value is written again, and goes when its time has come.
        assert!(store.expire("a", Duration::from_secs(10)).unwrap());
        assert!(store.expire("a", Duration::from_secs(20)).unwrap());
        clock.advance(Duration::from_secs(15));
        let store = reopen(store);
        assert_eq!(store.get("a").unwrap().map(|value| value.len()), Some((1 << 20) + 5));
        clock.advance(Duration::from_secs(15));
        assert_eq!(store.get("a").unwrap(), None);
        let store = reopen(store);
        assert_eq!(store.get("a").unwrap(), None);
        // Full changes nothing, and what is deleted gives room at once.
        let mut kept = 0;
        let full = loop {
            match store.set(format!("many {kept}"), large(kept, 40 << 20)) {
                Ok(()) => kept += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, Error::Full { .. }), "{full}");
        assert!(kept >= 6, "{kept} values of 40 MiB in 320 MiB");
        assert!(store.used_bytes() <= 320 * MIB);
        for number in 0..kept {
            assert_eq!(store.get(format!("many {number}")).unwrap(), Some(large(number, 40 << 20)));
            assert!(store.delete(format!("many {number}")).unwrap());
            store.set("again", large(number, 40 << 20)).unwrap();
        }
        validate(&store).unwrap();
        let scanned: HashMap<_, _> = store.scan("").unwrap().map(Result::unwrap).collect();
        assert_eq!(scanned.len(), 2);
        assert_eq!(scanned[&b"again"[..]], large(kept - 1, 40 << 20));
        let copy = folder.0.join("copy.nyala");
        assert_eq!(store.backup(&copy).unwrap().entries, 2);
        let copy = Store::open(Options::file(&copy).read_only()).unwrap();
        assert_eq!(copy.get("again").unwrap(), store.get("again").unwrap());
        store.clear().unwrap();
        let store = reopen(store);
        assert!(store.is_empty());
        drop(store);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let space = std::fs::metadata(folder.file()).unwrap().blocks() * 512;
            assert!(space <= 8 * MIB, "{space} bytes of space for nothing");
        }
        assert_eq!(nyala::verify(folder.file()).unwrap().entries, 0);
    }
}

/// Runs of every length in small segments, with reclaim, evictions and lifetimes, and opened again and again.
#[test]
fn large_values_churn() {
    for (level, eviction) in LEVELS
        .into_iter()
        .flat_map(|level| [Eviction::None, Eviction::Adaptive].map(|eviction| (level, eviction)))
    {
        let folder = Folder::new("large-churn");
        let tuning = Tuning { segment_bytes: 4096, stripes: 2, ..Tuning::default() };
        let options = || {
            let options = Options::file(folder.file()).max_bytes(MIB).tuning(tuning);
            options.durability(level).eviction(eviction)
        };
        let mut random = Random::new(11);
        let mut model: HashMap<usize, (u64, usize)> = HashMap::new();
        let (mut written, mut number) = (0, 0);
        for _ in 0..4 {
            let store = Store::open(options()).unwrap();
            validate(&store).unwrap();
            for _ in 0..if level == Durability::Sync { 300 } else { 1500 } {
                let key = random.below(40);
                let name = key.to_le_bytes();
                number += 1;
                let len = match random.below(3) {
                    0 => random.between(2000, 30_000),
                    _ => random.below(500),
                };
                match random.below(12) {
                    0 | 1 => {
                        store.delete(name).unwrap();
                        model.remove(&key);
                    }
                    2 => drop(store.expire(name, Duration::from_secs(1000))),
                    3 => drop(store.persist(name)),
                    _ => match store.set(name, large(number, len)) {
                        Ok(()) => {
                            model.insert(key, (number, len));
                            written += 1;
                        }
                        Err(Error::Full { .. }) if eviction == Eviction::None => {}
                        Err(error) => panic!("{error}, {level:?}, {eviction:?}"),
                    },
                }
                let found = store.get(name).unwrap();
                let expected = model.get(&key).map(|(number, len)| large(*number, *len));
                assert!(found == expected || found.is_none() && eviction != Eviction::None);
                assert!(store.used_bytes() <= MIB);
            }
            validate(&store).unwrap();
            drop(store);
            let store = Store::open(options()).unwrap();
            validate(&store).unwrap();
            for (key, (number, len)) in &model {
                let found = store.get(key.to_le_bytes()).unwrap();
                let evicted = found.is_none() && eviction != Eviction::None;
                assert!(evicted || found == Some(large(*number, *len)), "{level:?}");
            }
        }
        assert!(written > 500, "{written} written, {level:?}, {eviction:?}");
    }
}

/// Readers that copy large values while these are overwritten by others, by small ones in the same segments, and removed.
#[test]
fn large_values_are_read_whole_while_they_change() {
    let folder = Folder::new("large-readers");
    let tuning = Tuning { segment_bytes: 4096, stripes: 2, ..Tuning::default() };
    let store = Store::open(Options::file(folder.file()).max_bytes(MIB).tuning(tuning)).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let whole = |value: &[u8], key: u8| {
        let (words, rest) = value.as_chunks::<8>();
        let Some(first) = words.first() else { return rest.is_empty() };
        first[7] == key && words.iter().all(|word| word == first) && *rest == first[..rest.len()]
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut hits = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    for key in 0..6 {
                        if let Some(value) = store.get([key]).unwrap() {
                            assert!(whole(&value, key), "a torn value");
                            hits += 1;
                        }
                        if let Some(pin) = store.pin([key]).ok().flatten() {
                            assert!(whole(&pin, key), "a torn value under a pin");
                        }
                    }
                }
                assert!(hits > 100, "{hits} hits");
            });
        }
        let mut random = Random::new(3);
        let started = std::time::Instant::now();
        let mut number = 0_u64;
        while started.elapsed() < Duration::from_secs(2) {
            let key = u8::try_from(random.below(6)).unwrap();
            number += 1;
            let len = match random.below(3) {
                0 => random.between(2049, 60_000),
                1 => random.between(8, 2048),
                _ => 0,
            };
            match store.set([key], large(u64::from(key) << 56 | number, len)) {
                Ok(()) | Err(Error::Full { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            if random.one_in(10) {
                store.delete([key]).unwrap();
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    validate(&store).unwrap();
}
