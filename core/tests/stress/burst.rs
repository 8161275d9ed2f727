//! One store, some threads, some seconds, and the checks at the end.

use std::ops::RangeInclusive;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nyala::{Eviction, Options, Store, Tuning};

use super::holds::HeldPin;
use super::ledger::Ledger;
use super::shared;
use super::time::Time;
use super::value::LEAST_LEN;
use super::worker::{ACTIONS, Worker};
use super::writes::BATCH;
use crate::common::{Check, Random, charge, ensure, validate};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Burst {
    pub(crate) name: &'static str,
    pub(crate) max_bytes: u64,
    /// 0 lets the store choose, here and below.
    pub(crate) stripes: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) hash_drop: u64,
    /// Hundredths of `max_bytes` that all keys' entries together would be charged.
    pub(crate) filled: u64,
    /// Keys of each thread at most.
    pub(crate) most_keys: usize,
    pub(crate) eviction: Eviction,
    /// Longest value; with long ones a second is too short for many overwrites.
    pub(crate) longest: usize,
    pub(crate) clears: bool,
    /// Whether the cap changes.
    pub(crate) resizes: bool,
    pub(crate) fake_clock: bool,
    pub(crate) threads: usize,
    pub(crate) seed: u64,
}

/// The cap may be set to so many times what it was at opening, and to such a part of it.
pub(crate) const RESIZE: u64 = 4;
/// How long a thread may take to notice that it should stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was done and found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    /// In the order of `ACTIONS`.
    pub(crate) actions: [u64; ACTIONS.len()],
    pub(crate) clears: u64,
    /// Caps set, and refused.
    pub(crate) resized: [u64; 2],
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) scanned: u64,
    pub(crate) scans: u64,
    pub(crate) full: u64,
    pub(crate) busy: u64,
    pub(crate) moved_bytes: u64,
    pub(crate) evicted: u64,
}

impl Totals {
    pub(crate) fn operations(&self) -> u64 {
        self.actions.iter().sum::<u64>() + self.clears
    }

    pub(crate) fn add(&mut self, other: &Totals) {
        for (mine, others) in self.actions.iter_mut().zip(other.actions) {
            *mine += others;
        }
        self.clears += other.clears;
        self.hits += other.hits;
        self.misses += other.misses;
        self.scanned += other.scanned;
        self.scans += other.scans;
        self.full += other.full;
        self.busy += other.busy;
        self.moved_bytes += other.moved_bytes;
        self.evicted += other.evicted;
        for (mine, others) in self.resized.iter_mut().zip(other.resized) {
            *mine += others;
        }
    }

    /// Every count with its name.
    pub(crate) fn named(&self) -> Vec<(&'static str, u64)> {
        let actions = ACTIONS.iter().zip(self.actions).map(|((_, name, _), count)| (*name, count));
        actions
            .chain([
                ("clear", self.clears),
                ("caps set", self.resized[0]),
                ("caps refused", self.resized[1]),
                ("values read", self.hits),
                ("misses", self.misses),
                ("entries scanned", self.scanned),
                ("scans finished", self.scans),
                ("answered Full", self.full),
                ("answered Busy", self.busy),
                ("bytes moved by reclaim", self.moved_bytes),
                ("entries evicted", self.evicted),
            ])
            .collect()
    }
}

/// Lengths of values: most small, some up to the limit, its edges more often than their share.
pub(crate) fn pick_len(random: &mut Random, limit: usize) -> usize {
    match random.below(100) {
        0..60 => random.between(LEAST_LEN, 80),
        60..85 => random.between(LEAST_LEN, 300),
        85..97 => random.between(LEAST_LEN, limit / 2),
        97..99 => random.between(LEAST_LEN, limit),
        _ => limit - random.below(9),
    }
}

impl Burst {
    pub(crate) fn value_limit(&self, store: &Store) -> usize {
        store.max_value_len().min(self.longest)
    }

    pub(crate) fn evicts(&self) -> bool {
        self.eviction != Eviction::None
    }

    /// The caps that the store may have.
    pub(crate) fn caps(&self) -> RangeInclusive<u64> {
        let by = if self.resizes { RESIZE } else { 1 };
        self.max_bytes / by..=self.max_bytes * by
    }

    fn options(&self) -> Options {
        Options::memory(self.max_bytes).eviction(self.eviction).tuning(Tuning {
            stripes: self.stripes,
            segment_bytes: self.segment_bytes,
            hash_drop: self.hash_drop,
            seed: Some(self.seed),
        })
    }

    fn keys_per_thread(&self, value_limit: usize) -> usize {
        const SAMPLES: u64 = 4096;
        let mut random = Random::new(1);
        let sum: u64 = (0..SAMPLES).map(|_| charge(8, pick_len(&mut random, value_limit))).sum();
        let keys = self.max_bytes * self.filled / 100 * SAMPLES / sum / self.threads as u64;
        usize::try_from(keys).expect("fewer keys than bytes").clamp(16, self.most_keys)
    }

    /// Runs it for about this long; the error says what was wrong.
    pub(crate) fn run(&self, length: Duration) -> Result<Totals, String> {
        let time = Time::new(self.fake_clock);
        let store = Store::open(time.apply(self.options())).map_err(|error| error.to_string())?;
        let value_limit = self.value_limit(&store);
        let in_flight = (self.threads - 1) * BATCH;
        let ledger = Ledger::new(
            self.keys_per_thread(value_limit),
            self,
            store.stats().segment_bytes,
            in_flight as u64 * charge(100, value_limit),
        );
        ledger.grow(shared::charge_bound(self.threads));
        let mut workers: Vec<Worker<'_>> = (0..self.threads)
            .map(|thread| Worker::new(store.clone(), &ledger, &time, thread, self))
            .collect();
        self.run_threads(&mut workers, length)?;
        check_at_the_end(&store, &ledger, &time, &mut workers, value_limit)?;

        let mut totals = Totals::default();
        for worker in &workers {
            totals.add(&worker.totals);
        }
        totals.moved_bytes += store.stats().bytes_moved;
        totals.evicted += store.stats().evicted;
        // Pins outlive every handle.
        let pins: Vec<HeldPin> =
            workers.iter_mut().flat_map(|worker| worker.pins.drain(..)).collect();
        drop(workers);
        drop(store);
        pins.iter().try_for_each(HeldPin::check)?;
        Ok(totals)
    }

    fn run_threads(&self, workers: &mut [Worker<'_>], length: Duration) -> Check {
        let (ready, stop) = (Barrier::new(self.threads), AtomicBool::new(false));
        let (ready, stop) = (&ready, &stop);
        thread::scope(|scope| {
            let running: Vec<_> = workers
                .iter_mut()
                .map(|worker| scope.spawn(move || worker.run(ready, stop)))
                .collect();
            let begun = Instant::now();
            while begun.elapsed() < length && !stop.load(Ordering::Relaxed) {
                // A thread that panicked cannot say so.
                if running.iter().any(thread::ScopedJoinHandle::is_finished) {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
            stop.store(true, Ordering::Relaxed);
            let asked = Instant::now();
            while !running.iter().all(thread::ScopedJoinHandle::is_finished) {
                if asked.elapsed() > PATIENCE {
                    eprintln!("threads hang for {} s: {self:?}", PATIENCE.as_secs());
                    std::process::abort();
                }
                thread::sleep(Duration::from_millis(1));
            }
            let mut outcome = Ok(());
            for (thread, handle) in running.into_iter().enumerate() {
                let ended = handle.join().unwrap_or_else(|_| Err("it panicked".to_owned()));
                if let Err(what) = ended {
                    outcome = outcome.and(Err(format!("thread {thread}: {what}")));
                }
            }
            outcome
        })
    }
}

/// Nobody works any more: everything must be exactly what its owner knows.
fn check_at_the_end(
    store: &Store,
    ledger: &Ledger,
    time: &Time,
    workers: &mut [Worker<'_>],
    value_limit: usize,
) -> Check {
    validate(store)?;
    let tallies: Vec<_> = workers.iter().map(|worker| worker.tally.clone()).collect();
    shared::check_sums(store, ledger, &tallies).map_err(|what| format!("at the end: {what}"))?;
    for fake_hour in [false, true] {
        if fake_hour {
            time.advance(Duration::from_secs(3600));
        }
        for worker in &mut *workers {
            for place in 0..worker.owned.len() {
                worker.check_own(place).map_err(|what| format!("at the end: {what}"))?;
            }
        }
    }
    let mut entries = 0;
    for item in store.scan("").map_err(|error| error.to_string())? {
        let (key, _) = item.map_err(|error| error.to_string())?;
        entries += 1;
        match ledger.find(&key) {
            Some(id) => {
                let worker = &workers[id / ledger.per_thread()];
                let present = worker.owned[id % ledger.per_thread()].present;
                ensure!(present.is_some(), "scan yields a key whose owner removed it");
            }
            None => workers[0].check_shared_name(&key)?,
        }
    }
    let len = store.len();
    let most = entries + ledger.len() as u64;
    ensure!((entries..=most).contains(&len), "len {len} of {entries} entries");
    check_emptied(store, ledger, value_limit)?;
    workers.iter().try_for_each(Worker::check_pins)
}

/// What was removed is gone, and its room can be used again.
fn check_emptied(store: &Store, ledger: &Ledger, value_limit: usize) -> Check {
    let keys: Vec<&[u8]> = (0..ledger.len()).map(|id| ledger.key(id)).collect();
    store.delete_many(&keys).map_err(|error| error.to_string())?;
    for item in store.scan("").map_err(|error| error.to_string())? {
        let (key, _) = item.map_err(|error| error.to_string())?;
        ensure!(ledger.find(&key).is_none(), "scan yields a key after delete_many");
    }
    validate(store)?;
    let value = vec![1; value_limit];
    // Pins may hold some of the room.
    for (number, id) in (0..ledger.len()).enumerate() {
        if (number + 2) * (value.len() + 200) > usize::try_from(store.max_bytes() / 2).unwrap_or(0)
        {
            break;
        }
        store.set(ledger.key(id), &value).map_err(|error| format!("refilling: {error}"))?;
    }
    let used = store.used_bytes();
    ensure!(used <= store.max_bytes(), "used_bytes {used} of {}", store.max_bytes());
    validate(store)
}
