//! One store of a scenario and what it may answer: of each key, what was begun, acknowledged and made durable.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::file::disk::BootId;
use crate::file::fake::{Dice, FakeDisk};
use crate::options::MIN_FILE_BYTES;
use crate::{
    Clock, Durability, Error, Eviction, Options, Pinned, Result, SetOptions, Store, Tuning,
};

pub(super) const RESERVED: u64 = 192 << 10;

/// A clock that the scenario moves.
#[derive(Debug)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A store, and what each key was made to be, in order.
pub(super) struct Run {
    pub(super) disk: Arc<FakeDisk>,
    pub(super) store: Option<Store>,
    level: Durability,
    pub(super) segment_bytes: usize,
    clock: Arc<Hands>,
    keys: HashMap<u32, Key>,
    dice: Dice,
    /// Whether it is a cache, in which a key may be gone at any time.
    pub(super) evicts: bool,
    /// What is pinned, and what it was.
    pins: Vec<(Pinned, Vec<u8>)>,
    /// What each key of a frame became by it.
    frames: Vec<Vec<(u32, Vec<u8>)>>,
    poisoned: bool,
    /// Whether the file was opened again after a sync that failed, in the same run of the system: its memory holds pages
    /// then that it counts as written and that are not on the disk.
    forgotten: bool,
}

#[derive(Default, Clone)]
struct Key {
    /// Values that were begun, behind an absent one, with the time at which they end, 0 for never.
    states: Vec<(Option<Vec<u8>>, u64)>,
    /// The last state that was acknowledged, and the last one that is durable.
    acknowledged: usize,
    durable: usize,
}

impl Run {
    pub(super) fn new(level: Durability, segment_bytes: usize) -> Run {
        Run {
            disk: Arc::new(FakeDisk::new(RESERVED)),
            store: None,
            level,
            segment_bytes,
            clock: Arc::new(Hands(AtomicU64::new(2_000_000))),
            keys: HashMap::new(),
            dice: Dice::new(7),
            evicts: false,
            pins: Vec::new(),
            frames: Vec::new(),
            poisoned: false,
            forgotten: false,
        }
    }

    pub(super) fn options(&self) -> Options {
        let stripes = if self.segment_bytes > 1024 { 1 } else { 2 };
        let tuning = Tuning {
            segment_bytes: self.segment_bytes,
            stripes,
            seed: Some(5),
            ..Tuning::default()
        };
        Options::file("fake")
            .max_bytes(16 * self.segment_bytes as u64)
            .tuning(tuning)
            .durability(self.level)
            .eviction(if self.evicts { Eviction::Adaptive } else { Eviction::None })
            .clock(self.clock.clone())
    }

    pub(super) fn open(&mut self) {
        if self.store.is_none() {
            self.forgotten |= self.disk.failed().1 > 0;
            self.store = Store::open_on(self.disk.clone(), &self.options()).map_err(expected).ok();
            self.poisoned = false;
        }
    }

    pub(super) fn close(&mut self) {
        let before = self.disk.failed();
        if let Some(store) = self.store.take() {
            drop(store);
            if self.disk.failed() == before && !self.poisoned {
                self.all_durable();
            }
        }
    }

    /// The process dies, and another opens the file.
    pub(super) fn die(&mut self) {
        let image = self.disk.process_image(None);
        // What the old store does when it is dropped is done to the old disk.
        self.disk = Arc::new(FakeDisk::with_image(&image, RESERVED));
        self.store = None;
        for key in self.keys.values_mut() {
            key.durable = 0;
        }
    }

    fn all_durable(&mut self) {
        for key in self.keys.values_mut() {
            key.durable = key.acknowledged;
        }
    }

    /// Does something to a key that makes it the given state, or answers an error.
    fn change(
        &mut self,
        number: u32,
        state: Option<Vec<u8>>,
        until: u64,
        change: impl FnOnce(&Store, &str) -> Result<()>,
    ) {
        let Some(store) = &self.store else { return };
        let key = self.keys.entry(number).or_default();
        key.begin(state, until);
        let failed_syncs = self.disk.failed().1;
        let done = change(store, &name(number)).map_err(expected);
        match done {
            Ok(()) => {
                assert!(!self.poisoned, "a change after a failed sync");
                key.acknowledge(self.level);
            }
            Err(error) => assert!(!self.poisoned || error == Error::Poisoned, "{error}"),
        }
        self.poisoned |= self.disk.failed().1 > failed_syncs;
        self.compare(number);
    }

    pub(super) fn set(&mut self, number: u32, len: usize) {
        let value = vec![self.dice.next() as u8; len];
        self.change(number, Some(value.clone()), 0, |store, key| store.set(key, value));
    }

    /// Sets keys that no other frame has, as one.
    pub(super) fn set_frame(&mut self, numbers: Range<u32>, len: usize) {
        let Some(store) = &self.store else { return };
        let value = vec![self.dice.next() as u8; len];
        let keys: Vec<u32> = numbers.collect();
        for number in &keys {
            self.keys.entry(*number).or_default().begin(Some(value.clone()), 0);
        }
        self.frames.push(keys.iter().map(|number| (*number, value.clone())).collect());
        let pairs: Vec<_> = keys.iter().map(|number| (name(*number), value.clone())).collect();
        let failed_syncs = self.disk.failed().1;
        match store.set_many_atomic(&pairs).map_err(expected) {
            Ok(()) => {
                assert!(!self.poisoned, "a change after a failed sync");
                for number in &keys {
                    self.keys.entry(*number).or_default().acknowledge(self.level);
                }
            }
            Err(error) => assert!(!self.poisoned || error == Error::Poisoned, "{error}"),
        }
        self.poisoned |= self.disk.failed().1 > failed_syncs;
        self.check_frames(&store.clone());
        keys.into_iter().for_each(|number| self.compare(number));
    }

    /// Each frame is there whole or not at all.
    fn check_frames(&self, store: &Store) {
        for frame in &self.frames {
            let is_there = |(number, value): &&(u32, Vec<u8>)| {
                store.get(name(*number)).unwrap().as_ref() == Some(value)
            };
            let there = frame.iter().filter(is_there).count();
            assert!(there == 0 || there == frame.len(), "{there} of {} keys", frame.len());
        }
    }

    pub(super) fn set_brief(&mut self, number: u32, len: usize, ttl: u64) {
        let value = vec![self.dice.next() as u8; len];
        let until = self.clock.now_ms() + ttl;
        let options = SetOptions::new().ttl(Duration::from_millis(ttl));
        self.change(number, Some(value.clone()), until, |store, key| {
            store.set_with(key, value, options).map(|_| ())
        });
    }

    pub(super) fn delete(&mut self, number: u32) {
        self.change(number, None, 0, |store, key| {
            let deleted = store.delete(key).map(|_| ());
            assert!(!matches!(deleted, Err(Error::Full { .. })), "a delete is never refused");
            deleted
        });
    }

    pub(super) fn increment(&mut self, number: u32) {
        // From what is there: an increment that answered an error may have been done.
        let Some(store) = &self.store else { return };
        let now = store.get(name(number)).unwrap();
        let now: i64 = now.map_or(0, |text| String::from_utf8(text).unwrap().parse().unwrap());
        let sum = (now + 1).to_string().into_bytes();
        self.change(number, Some(sum), 0, |store, key| store.increment(key, 1, None).map(|_| ()));
    }

    /// Makes a value longer, from what is there: an append that answered an error may have been done.
    pub(super) fn append(&mut self, number: u32, len: usize) {
        let Some(store) = &self.store else { return };
        let tail = vec![self.dice.next() as u8; len];
        let mut whole = store.get(name(number)).unwrap().unwrap_or_default();
        whole.extend_from_slice(&tail);
        self.change(number, Some(whole), 0, |store, key| store.append(key, tail).map(|_| ()));
    }

    /// Gives what is there, if it is, another lifetime.
    pub(super) fn expire(&mut self, number: u32, ttl: u64) {
        let Some(store) = &self.store else { return };
        let value = store.get(name(number)).unwrap();
        if value.is_some() {
            let until = self.clock.now_ms() + ttl;
            self.change(number, value, until, |store, key| {
                store.expire(key, Duration::from_millis(ttl)).map(|_| ())
            });
        }
    }

    /// Sets keys one by one, which share a sync.
    pub(super) fn set_batch(&mut self, numbers: Range<u32>, len: usize) {
        let Some(store) = &self.store else { return };
        let value = vec![self.dice.next() as u8; len];
        let pairs: Vec<_> = numbers.clone().map(|number| (name(number), value.clone())).collect();
        for number in numbers.clone() {
            self.keys.entry(number).or_default().begin(Some(value.clone()), 0);
        }
        let failed_syncs = self.disk.failed().1;
        let outcomes = match store.set_many(&pairs).map_err(expected) {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Err(error); pairs.len()],
        };
        for (number, outcome) in numbers.clone().zip(outcomes) {
            match outcome.map_err(expected) {
                Ok(()) => {
                    assert!(!self.poisoned, "a change after a failed sync");
                    self.keys.entry(number).or_default().acknowledge(self.level);
                }
                Err(error) => assert!(!self.poisoned || error == Error::Poisoned, "{error}"),
            }
        }
        self.poisoned |= self.disk.failed().1 > failed_syncs;
        numbers.for_each(|number| self.compare(number));
    }

    /// Holds a value where it is, unless as much is pinned as may be.
    pub(super) fn pin(&mut self, number: u32) {
        let Some(store) = &self.store else { return };
        match store.pin(name(number)) {
            Ok(Some(pinned)) => {
                let value = pinned.to_vec();
                self.pins.push((pinned, value));
            }
            Ok(None) | Err(Error::Busy { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Lets go what is pinned, which must have stayed what it was.
    pub(super) fn unpin(&mut self) {
        for (pinned, value) in self.pins.drain(..) {
            assert_eq!(*pinned, value);
        }
    }

    /// Copies the store to a file of the system, which is not told to fail, and looks at the copy.
    pub(super) fn backup(&self) {
        let Some(store) = &self.store else { return };
        let path = copy_path();
        if store.backup(&path).map_err(expected).is_ok() {
            let options = Options::file(&path).max_bytes(MIN_FILE_BYTES).clock(self.clock.clone());
            let copy = Store::open(options.read_only()).unwrap();
            for (number, key) in &self.keys {
                key.check(*number, &copy, key.acknowledged, self.clock.now_ms(), self.evicts);
            }
            self.check_frames(&copy);
            std::fs::remove_file(&path).unwrap();
        }
        assert!(!path.exists());
    }

    pub(super) fn clear(&mut self) {
        let Some(store) = &self.store else { return };
        for key in self.keys.values_mut() {
            key.begin(None, 0);
        }
        let failed_syncs = self.disk.failed().1;
        if store.clear().map_err(expected).is_ok() {
            for key in self.keys.values_mut() {
                key.acknowledged = key.states.len() - 1;
            }
            if self.level == Durability::Sync {
                self.all_durable();
            }
        }
        self.poisoned |= self.disk.failed().1 > failed_syncs;
    }

    pub(super) fn end_interval(&mut self) {
        let Some(store) = &self.store else { return };
        match store.file().end_interval().map_err(expected) {
            // Nothing is appended to a poisoned store, so that there is nothing to sync.
            Ok(()) if self.poisoned => {}
            Ok(()) => self.all_durable(),
            Err(_) => self.poisoned = true,
        }
    }

    pub(super) fn sync(&mut self) {
        let Some(store) = &self.store else { return };
        match store.sync().map_err(expected) {
            Ok(()) => {
                assert!(!self.poisoned, "a sync succeeded after one that failed");
                self.all_durable();
            }
            Err(_) => self.poisoned = true,
        }
    }

    pub(super) fn wait(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// What an open store answers: what was acknowledged, or what was begun and answered an error.
    pub(super) fn compare(&self, number: u32) {
        if let (Some(store), Some(key)) = (&self.store, self.keys.get(&number)) {
            key.check(number, store, key.acknowledged, self.clock.now_ms(), self.evicts);
        }
    }

    /// The end: the process dies, or the power is cut, and the file is opened on a disk that works.
    pub(super) fn check_images(&self) {
        let images =
            [(self.disk.process_image(None), BootId(1)), (self.disk.durable_image(), BootId(2))];
        for (image, boot) in images {
            let disk = Arc::new(FakeDisk::with_image(&image, RESERVED));
            disk.set_boot(boot);
            let store = match Store::open_on(disk, &self.options()) {
                Ok(store) => store,
                Err(Error::Corrupt(_)) if boot == BootId(2) && self.forgotten => continue,
                Err(error) => panic!("{boot:?}: {error}"),
            };
            store.validate().unwrap();
            for (number, key) in &self.keys {
                let least = match (boot, self.level) {
                    (BootId(1), _) => key.acknowledged,
                    // Old state, but none that never was.
                    (_, Durability::Process) => 0,
                    _ if self.forgotten => 0,
                    _ => key.durable,
                };
                key.check(*number, &store, least, self.clock.now_ms(), self.evicts);
            }
            let promised = boot == BootId(1) || self.level != Durability::Process;
            if promised && !self.forgotten {
                self.check_frames(&store);
            }
        }
    }
}

impl Key {
    fn begin(&mut self, state: Option<Vec<u8>>, until: u64) {
        if self.states.is_empty() {
            self.states.push((None, 0));
        }
        self.states.push((state, until));
    }

    fn acknowledge(&mut self, level: Durability) {
        self.acknowledged = self.states.len() - 1;
        if level == Durability::Sync {
            self.durable = self.acknowledged;
        }
    }

    fn check(&self, number: u32, store: &Store, least: usize, now_ms: u64, evicts: bool) {
        let found = store.get(name(number)).unwrap();
        let is_it = |(state, until): &(Option<Vec<u8>>, u64)| match until {
            0 => *state == found,
            until if *until <= now_ms => found.is_none(),
            _ => *state == found,
        };
        assert!(
            self.states[least..].iter().any(is_it) || evicts && found.is_none(),
            "{} is {found:?}, should be one of {:?}",
            name(number),
            &self.states[least..]
        );
    }
}

fn name(number: u32) -> String {
    format!("key {number}")
}

/// Errors that a disk which fails may lead to.
pub(super) fn expected(error: Error) -> Error {
    let typed = matches!(error, Error::Io(_) | Error::Poisoned | Error::Full { .. });
    assert!(typed, "{error:?}");
    error
}

/// Where a copy may be made that nobody else makes.
fn copy_path() -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("nyala-sweep-{}-{number}", std::process::id()))
}
