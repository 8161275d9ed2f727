//! Whole files: verified, copied and saved, as far as somebody wants that.
#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Folder, validate};
use nyala::{Error, Options, SetOptions, Store, Tuning};

const MIB: u64 = 1 << 20;

/// A file of small segments that is as full as it can be is copied to one that opens with the same options.
#[test]
fn a_backup_opens_with_the_same_options() {
    let folder = Folder::new("geometry");
    let options = |name: &str| Options::file(folder.0.join(name)).max_bytes(4 * MIB);
    let store = Store::open(options("store")).unwrap();
    let mut entries = 0_u32;
    let error = loop {
        match store.set(entries.to_le_bytes(), [7; 1000]) {
            Ok(()) => entries += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }) && entries > 1_000, "{entries}: {error}");
    let report = store.backup(folder.0.join("copy")).unwrap();
    assert_eq!(report.entries, u64::from(entries));
    let copy = Store::open(options("copy")).unwrap();
    assert_eq!(copy.stats().segment_bytes, store.stats().segment_bytes);
    assert_eq!(copy.stats().stripes, store.stats().stripes);
    assert_eq!(copy.get(1_u32.to_le_bytes()).unwrap(), Some(vec![7; 1000]));
    assert_eq!(folder.names(), ["copy", "store"]);
}

/// What a process that was killed left of its copy goes with the next one to the same place.
#[test]
fn a_backup_removes_what_dead_processes_left() {
    let folder = Folder::new("left-behind");
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let (dead, alive) = (child.id(), std::process::id());
    let stay = [
        format!("copy.partial-{alive}-99"),
        "copy.partial-1-0".into(),
        format!("copy.partial-{dead}"),
        format!("copy.partial-{dead}-x"),
        format!("copy.partial-{dead}-1"),
        format!("other.partial-{dead}-0"),
    ];
    for name in stay.iter().chain(&[format!("copy.partial-{dead}-0")]) {
        std::fs::write(folder.0.join(name), "").unwrap();
    }
    std::fs::create_dir(folder.0.join(format!("copy.partial-{dead}-2"))).unwrap();
    // As by a process that has no number here.
    let held = std::fs::File::open(folder.0.join(&stay[4])).unwrap();
    held.lock().unwrap();
    let store = Store::open(Options::memory(MIB)).unwrap();
    store.set("key", "value").unwrap();
    store.backup(folder.0.join("copy")).unwrap();
    let mut names: Vec<String> = stay.into_iter().collect();
    names.extend(["copy".into(), format!("copy.partial-{dead}-2")]);
    names.sort();
    assert_eq!(folder.names(), names);
}

/// What frames leave in a file beside entries is counted by nobody: not when it is verified, copied or saved.
#[test]
fn frames_are_verified_copied_and_saved() {
    let folder = Folder::new("frames-copied");
    let path = |name: &str| folder.0.join(name);
    let tuning = Tuning { segment_bytes: 4096, stripes: 4, ..Tuning::default() };
    let options = |name: &str| Options::file(path(name)).max_bytes(MIB).tuning(tuning);
    let store = Store::open(options("store")).unwrap();
    let mut model = BTreeMap::new();
    for number in 0..5_000_u32 {
        // With enough of them for reclaim, and a key that comes twice.
        let keys = [number % 97, 100 + number % 61, 200 + number % 7, number % 97];
        let pairs: Vec<_> =
            keys.iter().zip(0_u8..).map(|(key, i)| (format!("{key}"), vec![i; 100])).collect();
        store.set_many_atomic(&pairs).unwrap();
        model.extend(pairs.into_iter().map(|(key, value)| (key.into_bytes(), value)));
    }
    let holds = |store: &Store| {
        let found: BTreeMap<_, _> = store.scan("").unwrap().map(|entry| entry.unwrap()).collect();
        assert!(found == model);
        validate(store).unwrap();
    };
    holds(&store);
    let entries = model.len() as u64;
    assert_eq!(store.backup(path("copy")).unwrap().entries, entries);
    drop(store);
    assert_eq!(nyala::verify(path("store")).unwrap().entries, entries);
    assert_eq!(nyala::salvage(path("store"), path("saved")).unwrap().entries, entries);
    for name in ["store", "copy", "saved"] {
        holds(&Store::open(options(name)).unwrap());
        holds(&Store::open(options(name).read_only()).unwrap());
    }
}

#[test]
fn names_that_no_copy_can_have_are_refused() {
    let folder = Folder::new("names");
    let store = Store::open(Options::file(folder.file())).unwrap();
    let missing = folder.0.join("missing/copy");
    for (path, text) in [
        (folder.file(), "cannot create"),
        (folder.0.clone(), "cannot create"),
        (missing, "No such file"),
        (folder.file().join("copy"), "Not a directory"),
        ("".into(), "is empty"),
        ("a\0b".into(), "NUL"),
    ] {
        let error = store.backup(&path).unwrap_err();
        assert!(error.to_string().contains(text), "{path:?}: {error}");
        assert!(matches!(error, Error::Io(_) | Error::InvalidArgument(_)), "{path:?}: {error:?}");
    }
    drop(store);
    assert!(matches!(nyala::salvage(folder.file(), folder.file()), Err(Error::Io(_))));
    assert_eq!(folder.names(), ["store.nyala"]);
}

/// Readers take a file as it is; whoever writes says how large it may become.
#[test]
fn readers_need_not_know_how_large_a_file_is() {
    let folder = Folder::new("larger");
    let store = Store::open(Options::file(folder.file()).max_bytes(64 * MIB)).unwrap();
    for key in 0..300_u32 {
        store.set(key.to_le_bytes(), vec![7; 100_000]).unwrap();
    }
    drop(store);
    let small = Options::file(folder.file()).max_bytes(8 * MIB);
    let error = Store::open(small.clone()).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(_)), "{error}");
    let store = Store::open(small.read_only()).unwrap();
    assert_eq!((store.len(), nyala::verify(folder.file()).unwrap().entries), (300, 300));
    assert!(store.max_bytes() > 30 * MIB);
    let report = store.backup(folder.0.join("copy")).unwrap();
    assert_eq!((report.entries, report.file_bytes > 30 * MIB), (300, true));
}

/// A clock that can be closed: whoever asks it then waits until it is opened, and a while longer, in which the answer of
/// whoever opened it arrives.
#[derive(Default)]
struct Gate(AtomicBool);

impl Gate {
    fn close(&self) {
        self.0.store(true, Relaxed);
    }

    /// Goes on at the first call, opens and cancels at the second.
    fn cancel_at(&self, call: usize) -> ControlFlow<()> {
        if call < 2 {
            return ControlFlow::Continue(());
        }
        self.0.store(false, Relaxed);
        ControlFlow::Break(())
    }
}

impl nyala::Clock for Gate {
    fn now_ms(&self) -> u64 {
        if self.0.load(Relaxed) {
            while self.0.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(since_epoch.as_millis()).unwrap()
    }
}

#[test]
fn what_takes_long_is_told_and_can_be_cancelled() {
    let folder = Folder::new("progress");
    let gate = Arc::new(Gate::default());
    let store = Store::open(Options::file(folder.file()).clock(gate.clone())).unwrap();
    for key in 0..10_000_u32 {
        let hour = SetOptions::new().ttl(Duration::from_secs(3600));
        store.set_with(key.to_le_bytes(), [7; 100], hour).unwrap();
    }
    let copy = folder.0.join("copy");
    // It is cancelled at the first entry, whose lifetime it asks the clock for.
    gate.close();
    let mut told = Vec::new();
    let cancelled = store.backup_with(&copy, |progress| {
        told.push(progress);
        gate.cancel_at(told.len())
    });
    assert_eq!(cancelled, Err(Error::Cancelled));
    assert!(told[0].done == 0 && told[0].total == 0 && told[1].total > 1_000_000, "{told:?}");
    assert_eq!(folder.names(), ["store.nyala"]);
    let go_on = |_| ControlFlow::Continue(());
    assert_eq!(store.backup_with(&copy, go_on).unwrap().entries, 10_000);
    validate(&store).unwrap();
    drop(store);

    let stop = |_| ControlFlow::Break(());
    let options = || Options::file(folder.file());
    let saved = folder.0.join("saved");
    assert_eq!(Store::open_with(options(), stop).unwrap_err(), Error::Cancelled);
    assert_eq!(nyala::verify_with(folder.file(), stop), Err(Error::Cancelled));
    assert_eq!(nyala::salvage_with(folder.file(), &saved, stop), Err(Error::Cancelled));
    assert_eq!(nyala::verify_with(folder.file(), go_on).unwrap().entries, 10_000);
    assert_eq!(nyala::salvage_with(folder.file(), &saved, go_on).unwrap().entries, 10_000);
    assert_eq!(Store::open_with(options(), go_on).unwrap().len(), 10_000);
    assert_eq!(folder.names(), ["copy", "saved", "store.nyala"]);
}

/// An opening that is cancelled is what a death of the process during it would be.
#[test]
fn a_cancelled_opening_leaves_the_file_as_it_was() {
    let folder = Folder::new("cancelled");
    let store = Store::open(Options::file(folder.file())).unwrap();
    for key in 0..1_000_u32 {
        store.set(key.to_le_bytes(), [7; 100]).unwrap();
    }
    // As a process that died would leave it: one that was closed is opened at once.
    let left = folder.0.join("left");
    std::fs::copy(folder.file(), &left).unwrap();
    drop(store);
    let gate = Arc::new(Gate::default());
    gate.close();
    let mut told = 0;
    let cancelled = Store::open_with(Options::file(&left).clock(gate.clone()), |_| {
        told += 1;
        gate.cancel_at(told)
    });
    assert_eq!(cancelled.unwrap_err(), Error::Cancelled);
    let store = Store::open(Options::file(&left)).unwrap();
    assert_eq!((store.len(), validate(&store)), (1_000, Ok(())));
}
