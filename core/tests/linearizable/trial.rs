//! One store, four threads, some histories.

use std::collections::HashMap;
use std::thread;

use nyala::{Eviction, Options, Store, Tuning};

use super::checker::check;
use super::history::{Event, Ticks};
use super::player::{Gate, KEYS, LONGEST, Player};
use crate::common::{Check, Random, ensure, validate};

pub(crate) const THREADS: usize = 4;

/// Values of noise keys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lens {
    /// As small as values get: many entries, pages that split.
    Tiny,
    /// As long as those get that share segments, which fill soon.
    Large,
    /// From half of the longest up: where segments are small, they have pages of their own.
    Long,
}

impl Lens {
    /// Least and greatest length in this store.
    pub(crate) fn lens(self, store: &Store) -> (usize, usize) {
        let shared = usize::try_from(store.stats().segment_bytes / 8).expect("fits");
        match self {
            Lens::Tiny => (0, 8),
            Lens::Large => (shared / 2, shared),
            Lens::Long => (LONGEST / 2, LONGEST),
        }
    }
}

/// Other keys that are written between the calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    /// 0: none.
    pub(crate) keys: usize,
    pub(crate) values: Lens,
    /// Of a hundred noises, how many remove a key.
    pub(crate) deletes: usize,
    /// Whether a quarter of the keys now and then comes or goes at once: pages split and merge, a cache turns over.
    pub(crate) swings: bool,
}

/// One way to open a store, and what else happens in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    max_bytes: u64,
    /// 0 lets the store choose, here and below.
    stripes: usize,
    segment_bytes: usize,
    hash_drop: u64,
    eviction: Eviction,
    pub(crate) noise: Noise,
}

const MIB: u64 = 1 << 20;

const SMALL: Shape = Shape {
    name: "1 MiB, one stripe, reclaim",
    max_bytes: MIB,
    stripes: 1,
    segment_bytes: 4096,
    hash_drop: 0,
    eviction: Eviction::None,
    // Three quarters of the store, with 32 bytes for each entry beside its value.
    noise: Noise { keys: 1900, values: Lens::Large, deletes: 0, swings: false },
};

/// The same with segments that the store chooses: fewer, longer values.
const DEFAULT: Shape = Shape {
    name: "1 MiB, default, reclaim",
    stripes: 0,
    segment_bytes: 0,
    noise: Noise { keys: 1000, ..SMALL.noise },
    ..SMALL
};

/// More noise than there is room for.
const CACHE: Shape = Shape {
    name: "1 MiB cache, one stripe",
    eviction: Eviction::Adaptive,
    noise: Noise { keys: 4000, swings: true, ..SMALL.noise },
    ..SMALL
};

/// The hash keeps two of each sixteen bits.
const MOST_BITS: u64 = 0xfffc_fffc_fffc_fffc;

pub(crate) const SHAPES: [Shape; 12] = [
    SMALL,
    DEFAULT,
    Shape {
        name: "64 MiB, quiet",
        max_bytes: 64 * MIB,
        noise: Noise { keys: 0, ..SMALL.noise },
        ..DEFAULT
    },
    Shape {
        name: "1 MiB, overfull",
        noise: Noise { keys: 3000, deletes: 10, ..SMALL.noise },
        ..SMALL
    },
    Shape {
        name: "1 MiB, pages split and merge",
        noise: Noise { keys: 14_000, values: Lens::Tiny, deletes: 20, swings: true },
        ..SMALL
    },
    Shape { name: "all keys collide", stripes: 2, hash_drop: u64::MAX, ..DEFAULT },
    Shape { name: "most keys collide", stripes: 2, hash_drop: MOST_BITS, ..DEFAULT },
    Shape {
        name: "1 MiB, long values",
        noise: Noise { keys: 80, values: Lens::Long, deletes: 10, swings: false },
        ..SMALL
    },
    CACHE,
    Shape {
        name: "1 MiB cache, long values",
        noise: Noise { keys: 300, values: Lens::Long, deletes: 0, swings: false },
        ..CACHE
    },
    Shape { name: "1 MiB cache, default", stripes: 0, segment_bytes: 0, ..CACHE },
    Shape { name: "1 MiB cache, most collide", stripes: 2, hash_drop: MOST_BITS, ..CACHE },
];

/// What was done and found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) histories: u64,
    pub(crate) calls: u64,
    /// Calls that overlapped another thread's call on the same key.
    pub(crate) contended: u64,
    pub(crate) full: u64,
    pub(crate) moved_bytes: u64,
    pub(crate) evicted: u64,
    /// Keys whose history only an eviction explains.
    pub(crate) lost: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Totals) {
        self.histories += other.histories;
        self.calls += other.calls;
        self.contended += other.contended;
        self.full += other.full;
        self.moved_bytes += other.moved_bytes;
        self.evicted += other.evicted;
        self.lost += other.lost;
    }
}

impl Shape {
    pub(crate) fn noise_key(&self, number: usize) -> String {
        format!("noise {number}")
    }

    fn open(&self, seed: u64) -> Result<Store, String> {
        let tuning = Tuning {
            stripes: self.stripes,
            segment_bytes: self.segment_bytes,
            hash_drop: self.hash_drop,
            seed: Some(seed),
        };
        let options = Options::memory(self.max_bytes).eviction(self.eviction).tuning(tuning);
        let store = Store::open(options).map_err(|error| error.to_string())?;

        let (least, most) = self.noise.values.lens(&store);
        let value = vec![b'-'; usize::midpoint(least, most)];
        for number in 0..self.noise.keys {
            // Full here as well, where there is more noise than room.
            let _ = store.set(self.noise_key(number), &value);
        }
        Ok(store)
    }

    /// Records histories and checks them. The seed chooses the calls, the machine their order.
    pub(crate) fn run(&self, seed: u64, histories: usize) -> Result<Totals, String> {
        let (ticks, gate) = (Ticks::default(), Gate::default());
        let store = self.open(seed)?;
        let mut players: Vec<Player<'_>> =
            (0..THREADS).map(|thread| Player::new(&store, &ticks, self, thread, seed)).collect();
        thread::scope(|scope| {
            let gate = &gate;
            let running: Vec<_> = players
                .iter_mut()
                .map(|player| {
                    scope.spawn(move || {
                        let outcome = player.run(gate, histories, THREADS, seed);
                        if outcome.is_err() {
                            gate.break_down();
                        }
                        outcome
                    })
                })
                .collect();
            running.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned()))
            })
        })?;
        validate(&store)?;
        let stats = store.stats();
        let mut totals =
            Totals { moved_bytes: stats.bytes_moved, evicted: stats.evicted, ..Totals::default() };
        for round in 0..histories {
            let taken = players.iter_mut().map(|player| std::mem::take(&mut player.events[round]));
            let found = self.check(taken).map_err(|what| format!("history {round}: {what}"))?;
            totals.add(&found);
        }
        Ok(totals)
    }

    /// Checks what all threads did in one history.
    fn check(&self, threads: impl Iterator<Item = [Vec<Event>; KEYS]>) -> Result<Totals, String> {
        let mut keys: [Vec<Event>; KEYS] = Default::default();
        for thread in threads {
            for (key, events) in keys.iter_mut().zip(thread) {
                key.extend(events);
            }
        }
        check_versions(&keys)?;
        let evicts = self.eviction != Eviction::None;
        let mut totals = Totals { histories: 1, ..Totals::default() };
        for (number, events) in keys.iter().enumerate() {
            if let Err(what) = check(events, false) {
                ensure!(evicts, "key {number}: {what}");
                check(events, true).map_err(|what| format!("key {number}: {what}"))?;
                totals.lost += 1;
            }
            totals.calls += events.len() as u64;
            totals.contended += contended(events);
            totals.full += events.iter().filter(|event| event.is_full()).count() as u64;
        }
        ensure!(!evicts || totals.full == 0, "a cache answers Full");
        Ok(totals)
    }
}

/// No version belongs to two keys.
fn check_versions(keys: &[Vec<Event>; KEYS]) -> Check {
    let mut owners = HashMap::new();
    for (number, events) in keys.iter().enumerate() {
        for version in events.iter().filter_map(Event::told_version) {
            let owner = *owners.entry(version).or_insert(number);
            ensure!(owner == number, "version {version} was told of key {owner} and key {number}");
        }
    }
    Ok(())
}

fn contended(events: &[Event]) -> u64 {
    let overlapped = |event: &&Event| {
        events.iter().any(|other| other.thread != event.thread && other.overlaps(event))
    };
    events.iter().filter(overlapped).count() as u64
}
