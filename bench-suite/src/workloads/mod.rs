//! One file a workload. Each prepares its streams before the clock starts.

mod batch_get;
mod cache_aside;
mod counters;
mod insert;
pub(crate) mod keys;
pub(crate) mod load;
mod overwrite;
pub(crate) mod stream;
pub(crate) mod trace;
mod uniform_get;
pub(crate) mod warm;
pub(crate) mod zipf;
mod zipf_mix;

use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engines::contract::Engine;
use crate::fault::{Fault, Result};
use crate::measure::closed_loop::Pace;
use crate::measure::threads::Outcome;
use keys::KeySpace;
use stream::Values;

pub(crate) use cache_aside::{Passes, passes, replay};
pub(crate) use zipf_mix::ops as mixed_ops;

/// What is measured. The order is that of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    Load,
    Get,
    BatchGet,
    Zipf95,
    Zipf50,
    Counters,
    CacheAside,
    Insert,
    Overwrite,
}

impl Workload {
    pub(crate) const ALL: [Workload; 9] = [
        Workload::Load,
        Workload::Insert,
        Workload::Overwrite,
        Workload::Get,
        Workload::BatchGet,
        Workload::Zipf95,
        Workload::Zipf50,
        Workload::Counters,
        Workload::CacheAside,
    ];

    /// Column heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Workload::Load => "load",
            Workload::Get => "get",
            Workload::BatchGet => "batch of 32",
            Workload::Zipf95 => "95/5 Zipf",
            Workload::Zipf50 => "50/50 Zipf",
            Workload::Counters => "counters",
            Workload::CacheAside => "cache-aside",
            Workload::Insert => "insert",
            Workload::Overwrite => "overwrite",
        }
    }

    /// One sentence for the reader of a chart.
    pub(crate) fn explained(self) -> &'static str {
        match self {
            Workload::Load => {
                "Inserts every entry into an empty store that was told nothing about how many will come."
            }
            Workload::Get => {
                "Reads keys drawn uniformly from all entries, one at a time; each value is copied into the caller's buffer."
            }
            Workload::BatchGet => {
                "Reads 32 uniformly drawn keys a call, counted in keys; engines without such a call loop over get."
            }
            Workload::Zipf95 => {
                "95 % reads and 5 % overwrites of equal size; keys by an exact Zipf law of exponent 0.99, hot keys scattered."
            }
            Workload::Zipf50 => {
                "Half reads, half overwrites of equal size; keys by an exact Zipf law of exponent 0.99, hot keys scattered."
            }
            Workload::Counters => {
                "Adds one to a counter and returns the sum; a tenth as many counters as entries, by the same Zipf law."
            }
            Workload::CacheAside => {
                "Replays a trace of requests: a get, and on a miss a set of 100 bytes, from an empty store that evicts nothing."
            }
            Workload::Insert => "Sets new keys in a loaded store, one an operation.",
            Workload::Overwrite => {
                "Sets uniformly drawn entries to other values of equal size, one an operation."
            }
        }
    }
}

/// What all workloads of a unit share.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) entries: u32,
    pub(crate) threads: usize,
    pub(crate) span: Duration,
    pub(crate) seed: u64,
    /// Operations a thread's stream holds before it starts again.
    pub(crate) stream_len: usize,
    pub(crate) keys: KeySpace,
    pub(crate) values: Values,
    /// Every call is timed: it syncs, beside which the clock costs nothing.
    pub(crate) slow: bool,
    /// Which entry has which rank, drawn when it is first asked for.
    order: OnceLock<Vec<u32>>,
}

impl Frame {
    pub(crate) fn new(
        entries: u32,
        threads: usize,
        span: Duration,
        seed: u64,
        stream_len: usize,
    ) -> Frame {
        Frame {
            entries,
            threads,
            span,
            seed,
            stream_len,
            keys: stream::entry_keys(seed),
            values: Values::new(seed),
            slow: false,
            order: OnceLock::new(),
        }
    }

    pub(crate) fn sample_every<E: Engine>(&self, workload: Workload) -> u32 {
        if self.slow { 1 } else { sample_every::<E>(workload) }
    }

    fn scrambled(&self) -> &[u32] {
        self.order.get_or_init(|| zipf::scrambled(self.entries, self.seed))
    }

    fn pace(&self, sample_every: u32) -> Pace {
        Pace { span: Some(self.span), sample_every }
    }

    /// One stream a thread, made by as many threads as will execute them.
    fn streams<T: Send>(&self, make: impl Fn(usize) -> Vec<T> + Sync) -> Result<Vec<Vec<T>>> {
        std::thread::scope(|scope| {
            let make = &make;
            let making: Vec<_> =
                (0..self.threads).map(|thread| scope.spawn(move || make(thread))).collect();
            making
                .into_iter()
                .map(|stream| stream.join().map_err(|_| Fault::new("a stream could not be made")))
                .collect()
        })
    }

    /// Random numbers of one thread in one workload, the same in every block and for every engine.
    fn random(&self, workload: Workload, thread: usize) -> keys::Random {
        keys::Random::new(self.seed, ((workload as u64 + 1) << 32) | thread as u64)
    }
}

/// Runs a workload other than the load and the replay, which need an empty store.
pub(crate) fn run<E: Engine>(workload: Workload, engine: &E, frame: &Frame) -> Result<Outcome> {
    match workload {
        Workload::Get => uniform_get::run(engine, frame),
        Workload::BatchGet => batch_get::run(engine, frame),
        Workload::Zipf95 => zipf_mix::run(engine, frame, workload, 0.95),
        Workload::Zipf50 => zipf_mix::run(engine, frame, workload, 0.5),
        Workload::Counters => counters::run(engine, frame),
        Workload::Insert => insert::run(engine, frame),
        Workload::Overwrite => overwrite::run(engine, frame),
        Workload::Load => load::run(engine, frame, &load::streams(frame)?),
        Workload::CacheAside => Err(Fault::new("a replay is measured in a unit of its own")),
    }
}

/// One call in how many is timed: a call that carries many operations bears the clock more easily than a single one.
fn sample_every<E: Engine>(workload: Workload) -> u32 {
    match workload {
        Workload::BatchGet => E::SAMPLE_EVERY.div_ceil(8),
        _ => E::SAMPLE_EVERY,
    }
}
