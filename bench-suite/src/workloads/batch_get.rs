//! Gets in batches of 32 uniformly drawn keys; operations are counted in keys, latencies in batches.

use super::{Frame, Workload, stream};
use crate::engines::contract::{Engine, Key, Session};
use crate::fault::Result;
use crate::measure::closed_loop;
use crate::measure::threads::{self, Outcome};

/// Keys a call.
const BATCH: usize = 32;

pub(crate) fn run<E: Engine>(engine: &E, frame: &Frame) -> Result<Outcome> {
    let streams: Vec<Vec<Key>> = frame.streams(|thread| {
        let mut random = frame.random(Workload::BatchGet, thread);
        stream::uniform(frame.entries, frame.stream_len, &mut random)
            .map(|entry| frame.keys.key(entry))
            .collect()
    })?;
    let pace = frame.pace(frame.sample_every::<E>(Workload::BatchGet));
    threads::run(engine, frame.threads, |thread, session, tally| {
        let keys = streams[thread].as_slice();
        let mut out = Vec::new();
        let mut at = 0;
        closed_loop::run(pace, || {
            if at + BATCH > keys.len() {
                at = 0;
            }
            session.get_many(&keys[at..at + BATCH], &mut out, tally)?;
            at += BATCH;
            Ok(BATCH as u64)
        })
    })
}
