//! Cache-aside over a trace: get, and on a miss set. The store starts empty and evicts nothing, so every engine gives the
//! same answers, and what is compared is speed. Hit ratios under a budget are another experiment.

use super::keys::{KeySpace, Space};
use super::stream::Values;
use super::{Workload, sample_every, trace};
use crate::engines::contract::{Engine, Key, Session};
use crate::fault::Result;
use crate::measure::closed_loop::{self, Pace};
use crate::measure::threads::{self, Outcome};
use std::time::Duration;

/// Requests that are prepared at most, in as many whole passes as fit: a short trace alone would be over in milliseconds.
const REQUESTS: usize = 2_000_000;

/// The passes over a trace, as each thread will see them.
#[derive(Debug)]
pub(crate) struct Passes {
    streams: Vec<Vec<Key>>,
    /// Entries after the last pass.
    pub(crate) entries: usize,
}

/// Each pass starts cold, in a key space of its own. Threads take requests in turn, so that they share the misses as
/// servers behind one load balancer do.
pub(crate) fn passes(requests: &[u32], threads: usize, seed: u64) -> Passes {
    let count = u32::try_from(REQUESTS / requests.len().max(1)).unwrap_or(1).max(1);
    let streams = (0..threads)
        .map(|thread| {
            (0..count)
                .flat_map(|pass| {
                    let keys = KeySpace::named(Space::Trace { pass }, seed);
                    requests.iter().skip(thread).step_by(threads).map(move |entry| keys.key(*entry))
                })
                .collect()
        })
        .collect();
    Passes { streams, entries: trace::distinct(requests) * count as usize }
}

/// Replays until the passes end or the time is up, whichever comes first.
pub(crate) fn replay<E: Engine>(
    engine: &E,
    passes: &Passes,
    values: &Values,
    span: Duration,
) -> Result<Outcome> {
    let pace = Pace { span: Some(span), sample_every: sample_every::<E>(Workload::CacheAside) };
    threads::run(engine, passes.streams.len(), |thread, session, tally| {
        let keys = passes.streams[thread].as_slice();
        let depth = session.depth();
        let mut out = Vec::new();
        let mut at = 0;
        closed_loop::run(pace, || {
            let group = &keys[at..keys.len().min(at + depth)];
            at += group.len();
            if !group.is_empty() {
                session.read_through(group, values.of_trace(), &mut out, tally)?;
            }
            Ok(group.len() as u64)
        })
    })
}
