//! Which bursts there are, and a run of them.

use std::fmt;
use std::time::{Duration, Instant};

use nyala::Eviction;

use super::burst::{Burst, Totals};

const MIB: u64 = 1 << 20;

const SMALL: Burst = Burst {
    name: "1 MiB, one stripe, small segments",
    max_bytes: MIB,
    stripes: 1,
    segment_bytes: 4096,
    hash_drop: 0,
    filled: 105,
    most_keys: 5_000,
    eviction: Eviction::None,
    longest: 64 << 10,
    clears: false,
    resizes: false,
    fake_clock: true,
    threads: 1,
    seed: 0,
};

const DEFAULT: Burst = Burst { max_bytes: 4 * MIB, stripes: 0, segment_bytes: 0, ..SMALL };

/// Each comes with each number of threads.
pub(crate) const STORES: [Burst; 13] = [
    SMALL,
    Burst { name: "64 MiB", max_bytes: 64 * MIB, stripes: 0, segment_bytes: 0, ..SMALL },
    Burst { name: "2 MiB, four stripes", max_bytes: 2 * MIB, stripes: 4, filled: 120, ..SMALL },
    Burst { name: "few hot keys", most_keys: 16, ..SMALL },
    Burst { name: "4 MiB, real clock", fake_clock: false, ..DEFAULT },
    Burst { name: "4 MiB, cleared", max_bytes: 4 * MIB, stripes: 2, clears: true, ..SMALL },
    Burst { name: "all keys collide", stripes: 2, hash_drop: u64::MAX, most_keys: 100, ..SMALL },
    Burst {
        name: "most keys collide",
        max_bytes: 2 * MIB,
        stripes: 2,
        hash_drop: 0xfffc_fffc_fffc_fffc,
        most_keys: 400,
        ..SMALL
    },
    Burst { name: "1 MiB, default, overfull", stripes: 0, segment_bytes: 0, filled: 150, ..SMALL },
    Burst { name: "1 MiB cache", filled: 200, eviction: Eviction::Adaptive, ..SMALL },
    Burst { name: "4 MiB, resized", filled: 70, resizes: true, ..DEFAULT },
    Burst {
        name: "4 MiB cache, resized",
        filled: 200,
        resizes: true,
        eviction: Eviction::Adaptive,
        ..DEFAULT
    },
    Burst {
        name: "16 MiB cache, long values",
        max_bytes: 16 * MIB,
        longest: 4 << 20,
        filled: 200,
        eviction: Eviction::Adaptive,
        ..DEFAULT
    },
];

const THREADS: [usize; 4] = [4, 2, 8, 1];
const _: () =
    assert!(STORES.len() % 2 == 1, "so that each store comes with each number of threads");

/// What to run; without a number of threads or a store, each takes its turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) threads: Option<usize>,
    /// A number below that of `STORES`.
    pub(crate) store: Option<usize>,
}

/// A burst that went wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) burst: Burst,
    pub(crate) what: String,
}

impl Plan {
    /// Bursts without end. The first has the plan's seed, and each has one more than the one before.
    fn bursts(self) -> impl Iterator<Item = Burst> {
        (0_usize..).map(move |number| Burst {
            threads: self.threads.unwrap_or(THREADS[number % THREADS.len()]),
            seed: self.seed.wrapping_add(number as u64),
            ..STORES[self.store.unwrap_or(number) % STORES.len()]
        })
    }

    /// Runs bursts of equal length for `length` in all, and tells of each what it did.
    pub(crate) fn run(
        self,
        length: Duration,
        each: Duration,
        mut done: impl FnMut(&Burst, &Totals),
    ) -> Result<Totals, Failure> {
        let begun = Instant::now();
        let mut totals = Totals::default();
        for burst in self.bursts() {
            let left = length.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            let outcome = burst.run(each.min(left));
            let found = outcome.map_err(|what| Failure { burst, what })?;
            done(&burst, &found);
            totals.add(&found);
        }
        Ok(totals)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Burst { name, threads, seed, .. } = self.burst;
        let store = STORES.iter().position(|store| store.name == name).unwrap_or_default();
        write!(
            f,
            "{}\nin: {name}, {threads} threads, seed {seed}\nagain, for longer: \
             cargo run --release -p nyala --example torture -- \
             stress --seconds 60 --threads {threads} --store {store} --seed {seed}",
            self.what
        )
    }
}
