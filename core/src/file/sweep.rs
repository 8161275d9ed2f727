//! Every effect fails once, and for good, at every place where it is called: what is answered then, and what is there
//! when the file is opened again, after the death of the process and after a power cut.
//!
//! The reduced form leaves out some of the later places and the larger segments; all of them with `NYALA_SWEEP=full`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::disk::BootId;
use super::fake::{Dice, Effect, Failure, FakeDisk};
use crate::{Clock, Durability, Error, Options, Result, SetOptions, Store, Tuning};

const RESERVED: u64 = 192 << 10;
const EFFECTS: [Effect; 6] = [
    Effect::Len,
    Effect::Allocate,
    Effect::Populate,
    Effect::Punch,
    Effect::Truncate,
    Effect::Sync,
];
/// So long that the thread of level `interval` never wakes: the scenarios end intervals themselves.
const HOUR: Duration = Duration::from_secs(3600);
const KEYS: u32 = 24;
/// More than a file has room for, of an eighth of a segment each.
const FILLING: u32 = 110;

/// A clock that the scenario moves.
#[derive(Debug)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A store, and what each key was made to be, in order.
struct Run {
    disk: Arc<FakeDisk>,
    store: Option<Store>,
    level: Durability,
    segment_bytes: usize,
    clock: Arc<Hands>,
    keys: HashMap<u32, Key>,
    dice: Dice,
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
    fn new(level: Durability, segment_bytes: usize) -> Run {
        Run {
            disk: Arc::new(FakeDisk::new(RESERVED)),
            store: None,
            level,
            segment_bytes,
            clock: Arc::new(Hands(AtomicU64::new(2_000_000))),
            keys: HashMap::new(),
            dice: Dice::new(7),
            frames: Vec::new(),
            poisoned: false,
            forgotten: false,
        }
    }

    fn options(&self) -> Options {
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
            .clock(self.clock.clone())
    }

    fn open(&mut self) {
        if self.store.is_none() {
            self.forgotten |= self.disk.failed().1 > 0;
            self.store = Store::open_on(self.disk.clone(), &self.options()).map_err(expected).ok();
            self.poisoned = false;
        }
    }

    fn close(&mut self) {
        let before = self.disk.failed();
        if let Some(store) = self.store.take() {
            drop(store);
            if self.disk.failed() == before && !self.poisoned {
                self.all_durable();
            }
        }
    }

    /// The process dies, and another opens the file.
    fn die(&mut self) {
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
                key.acknowledged = key.states.len() - 1;
                if self.level == Durability::Sync {
                    key.durable = key.acknowledged;
                }
            }
            Err(error) => assert!(!self.poisoned || error == Error::Poisoned, "{error}"),
        }
        self.poisoned |= self.disk.failed().1 > failed_syncs;
        self.compare(number);
    }

    fn set(&mut self, number: u32, len: usize) {
        let value = vec![self.dice.next() as u8; len];
        self.change(number, Some(value.clone()), 0, |store, key| store.set(key, value));
    }

    /// Sets keys that no other frame has, as one.
    fn set_frame(&mut self, numbers: std::ops::Range<u32>, len: usize) {
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
                    let key = self.keys.entry(*number).or_default();
                    key.acknowledged = key.states.len() - 1;
                    if self.level == Durability::Sync {
                        key.durable = key.acknowledged;
                    }
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

    fn set_brief(&mut self, number: u32, len: usize, ttl: u64) {
        let value = vec![self.dice.next() as u8; len];
        let until = self.clock.now_ms() + ttl;
        let options = SetOptions::new().ttl(Duration::from_millis(ttl));
        self.change(number, Some(value.clone()), until, |store, key| {
            store.set_with(key, value, options).map(|_| ())
        });
    }

    fn delete(&mut self, number: u32) {
        self.change(number, None, 0, |store, key| {
            let deleted = store.delete(key).map(|_| ());
            assert!(!matches!(deleted, Err(Error::Full { .. })), "a delete is never refused");
            deleted
        });
    }

    fn increment(&mut self, number: u32) {
        // From what is there: an increment that answered an error may have been done.
        let Some(store) = &self.store else { return };
        let now = store.get(name(number)).unwrap();
        let now: i64 = now.map_or(0, |text| String::from_utf8(text).unwrap().parse().unwrap());
        let sum = (now + 1).to_string().into_bytes();
        self.change(number, Some(sum), 0, |store, key| store.increment(key, 1, None).map(|_| ()));
    }

    fn clear(&mut self) {
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

    fn end_interval(&mut self) {
        let Some(store) = &self.store else { return };
        match store.file().end_interval().map_err(expected) {
            // Nothing is appended to a poisoned store, so that there is nothing to sync.
            Ok(()) if self.poisoned => {}
            Ok(()) => self.all_durable(),
            Err(_) => self.poisoned = true,
        }
    }

    fn sync(&mut self) {
        let Some(store) = &self.store else { return };
        match store.sync().map_err(expected) {
            Ok(()) => {
                assert!(!self.poisoned, "a sync succeeded after one that failed");
                self.all_durable();
            }
            Err(_) => self.poisoned = true,
        }
    }

    fn wait(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// What an open store answers: what was acknowledged, or what was begun and answered an error.
    fn compare(&self, number: u32) {
        if let (Some(store), Some(key)) = (&self.store, self.keys.get(&number)) {
            key.check(number, store, key.acknowledged, self.clock.now_ms());
        }
    }

    /// The end: the process dies, or the power is cut, and the file is opened on a disk that works.
    fn check_images(&self) {
        let images =
            [(self.disk.process_image(None), BootId(1)), (self.disk.durable_image(), BootId(2))];
        for (image, boot) in images {
            let disk = Arc::new(FakeDisk::with_image(&image, RESERVED));
            disk.set_boot(boot);
            let store = match Store::open_on(disk, &self.options()) {
                Ok(store) => store,
                Err(Error::Corrupt { .. }) if boot == BootId(2) && self.forgotten => continue,
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
                key.check(*number, &store, least, self.clock.now_ms());
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

    fn check(&self, number: u32, store: &Store, least: usize, now_ms: u64) {
        let found = store.get(name(number)).unwrap();
        let is_it = |(state, until): &(Option<Vec<u8>>, u64)| match until {
            0 => *state == found,
            until if *until <= now_ms => found.is_none(),
            _ => *state == found,
        };
        assert!(
            self.states[least..].iter().any(is_it),
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
fn expected(error: Error) -> Error {
    let typed = matches!(error, Error::Io(_) | Error::Poisoned | Error::Full { .. });
    assert!(typed, "{error:?}");
    error
}

/// What is done while everything works, and what is done while something fails.
type Scenario = (&'static str, fn(&mut Run), fn(&mut Run));

fn nothing(_: &mut Run) {}

fn fill(run: &mut Run) {
    run.open();
    for key in 0..KEYS {
        run.set(key, 20 + key as usize);
    }
    run.sync();
}

fn churn(run: &mut Run) {
    for turn in 0..120 {
        run.set(turn * 7 % KEYS, 30 + turn as usize % 60);
    }
}

/// Values in runs of one segment to three, over small ones, each other and nothing.
fn large_values(run: &mut Run) {
    for turn in 0..14 {
        run.set(turn * 3 % 4, (turn as usize % 5 + 2) * run.segment_bytes / 2 - 40);
        if turn % 4 == 3 {
            run.delete(turn % 3);
            run.set(turn % 3, 20);
        }
    }
    run.sync();
    run.set(1, 2 * run.segment_bytes);
}

fn until_full(run: &mut Run) {
    run.open();
    for key in 0..FILLING {
        run.set(100 + key, run.segment_bytes / 8);
    }
}

const SCENARIOS: [Scenario; 27] = [
    ("create", nothing, |run| {
        run.open();
        run.set(1, 10);
    }),
    (
        "open what was closed",
        |run| {
            fill(run);
            run.close();
        },
        |run| {
            run.open();
            run.set(1, 10);
        },
    ),
    (
        "open what was killed",
        |run| {
            fill(run);
            churn(run);
            run.die();
        },
        |run| {
            run.open();
            run.set(1, 10);
        },
    ),
    (
        "open what was killed while it was opened",
        |run| {
            fill(run);
            run.die();
            run.open();
            run.die();
        },
        |run| {
            run.open();
            run.delete(1);
        },
    ),
    ("append", |run| run.open(), |run| (0..6).for_each(|key| run.set(key, 40))),
    ("seal and lease", |run| run.open(), |run| (0..30).for_each(|key| run.set(key, 100))),
    ("reclaim", fill, churn),
    ("reclaim for good", fill, |run| (0..3).for_each(|_| churn(run))),
    ("delete", fill, |run| (0..KEYS).for_each(|key| run.delete(key))),
    ("delete and write again", fill, |run| {
        for key in 0..KEYS {
            run.delete(key);
            run.set(key, 50);
        }
    }),
    ("clear", fill, |run| {
        run.clear();
        run.set(3, 30);
    }),
    (
        "clear in the midst of reclaim",
        |run| {
            fill(run);
            churn(run);
        },
        |run| {
            run.clear();
            churn(run);
            run.clear();
        },
    ),
    ("sync", fill, |run| {
        for key in 0..KEYS {
            run.set(key, 25);
            run.sync();
        }
    }),
    ("close", fill, |run| {
        run.set(1, 30);
        run.close();
    }),
    ("close and open, again and again", fill, |run| {
        for key in 0..4 {
            run.close();
            run.open();
            run.set(key, 33);
        }
        run.close();
    }),
    ("growth", nothing, until_full),
    ("delete what filled the file", until_full, |run| {
        for key in 0..FILLING {
            run.delete(100 + key);
        }
        fill(run);
    }),
    ("frames", fill, |run| {
        for turn in 0..30 {
            run.set_frame(200 + 3 * turn..203 + 3 * turn, 8 + turn as usize % 20);
        }
        churn(run);
    }),
    (
        "frames that were killed, and more of them",
        |run| {
            fill(run);
            (0..8).for_each(|turn| run.set_frame(200 + 3 * turn..203 + 3 * turn, 20));
            run.die();
        },
        |run| {
            run.open();
            (8..16).for_each(|turn| run.set_frame(200 + 3 * turn..203 + 3 * turn, 20));
            churn(run);
        },
    ),
    ("increments", fill, |run| (0..80).for_each(|turn| run.increment(50 + turn % 3))),
    ("lifetimes", fill, |run| {
        for turn in 0..100 {
            run.set_brief(turn % KEYS, 40, 5);
            run.wait(1);
        }
        churn(run);
    }),
    ("ends of intervals", fill, |run| {
        for turn in 0..60 {
            run.set(turn % KEYS, 45);
            if turn % 7 == 0 {
                run.end_interval();
            }
        }
    }),
    ("large values", fill, large_values),
    (
        "large values of another life",
        |run| {
            fill(run);
            large_values(run);
            run.die();
        },
        |run| {
            run.open();
            large_values(run);
            run.close();
            run.open();
        },
    ),
    ("large values that end", fill, |run| {
        for turn in 0..12 {
            run.set_brief(turn % 2, 3 * run.segment_bytes / 4, 2);
            run.wait(1);
            run.end_interval();
        }
        run.clear();
        large_values(run);
    }),
    ("maintain", churn_once, |run| {
        if let Some(store) = &run.store {
            let _ = store.maintain(HOUR).map_err(expected);
        }
        churn(run);
    }),
    ("shrink", until_full, |run| {
        run.clear();
        fill(run);
        churn(run);
        run.close();
        run.open();
        run.close();
        run.open();
    }),
];

fn churn_once(run: &mut Run) {
    fill(run);
    churn(run);
}

fn is_full() -> bool {
    std::env::var("NYALA_SWEEP").is_ok_and(|form| form == "full")
}

/// Runs one scenario with one failure after the other; answers how many.
fn sweep(scenario: &Scenario, level: Durability, segment_bytes: usize) -> u64 {
    let (what, before, after) = scenario;
    let full = is_full();
    let mut failures = 0;
    for effect in EFFECTS {
        for failure in [Failure::Once, Failure::ForGood] {
            let mut n = 0;
            loop {
                n += if full || n < 4 { 1 } else { n };
                let place =
                    format!("{what}, {level:?}, {segment_bytes}: {effect:?} {n} {failure:?}");
                let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let mut run = Run::new(level, segment_bytes);
                    before(&mut run);
                    run.disk.fail_nth(effect, n, failure);
                    after(&mut run);
                    run.check_images();
                    run.disk.failed().0 > 0
                }));
                match noticed {
                    Ok(true) => failures += 1,
                    // The scenario does not call it so often.
                    Ok(false) => break,
                    Err(panic) => {
                        eprintln!("{place}");
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }
    failures
}

fn sweep_all(level: Durability) {
    let mut failures = 0;
    let sizes: &[usize] = if is_full() { &[512, 4096] } else { &[512] };
    for segment_bytes in sizes {
        for scenario in &SCENARIOS {
            failures += sweep(scenario, level, *segment_bytes);
        }
    }
    eprintln!("{level:?}: {failures} failures in {} scenarios", SCENARIOS.len());
}

#[test]
fn every_failure_at_level_process() {
    sweep_all(Durability::Process);
}

#[test]
fn every_failure_at_level_interval() {
    sweep_all(Durability::Interval(HOUR));
}

#[test]
fn every_failure_at_level_sync() {
    sweep_all(Durability::Sync);
}

/// Several writers share a sync that fails: none of them is told that its write is durable.
#[test]
fn a_failed_sync_fails_all_who_share_it() {
    for n in 1..20 {
        let run = Run::new(Durability::Sync, 4096);
        let store = Store::open_on(run.disk.clone(), &run.options()).unwrap();
        run.disk.fail_nth(Effect::Sync, n, Failure::Once);
        let acknowledged: Vec<String> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|thread| {
                    let store = &store;
                    scope.spawn(move || {
                        let keys = (0..10).map(|key| format!("{thread} {key}"));
                        keys.take_while(|key| store.set(key, key).map_err(expected).is_ok())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        assert_eq!(store.set("one", "more"), Err(Error::Poisoned));
        let disk = Arc::new(FakeDisk::with_image(&run.disk.durable_image(), RESERVED));
        disk.set_boot(BootId(2));
        let again = Store::open_on(disk, &run.options()).unwrap();
        for key in acknowledged {
            assert_eq!(again.get(&key).unwrap().as_deref(), Some(key.as_bytes()));
        }
    }
}
