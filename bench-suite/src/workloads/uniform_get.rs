//! Single gets of uniformly drawn keys, every one of which is there.

use super::stream::{Kind, Op};
use super::{Frame, Workload, stream};
use crate::engines::contract::{Engine, Session};
use crate::fault::Result;
use crate::measure::closed_loop;
use crate::measure::threads::{self, Outcome};

pub(crate) fn run<E: Engine>(engine: &E, frame: &Frame) -> Result<Outcome> {
    let streams: Vec<Vec<Op>> = frame.streams(|thread| {
        let mut random = frame.random(Workload::Get, thread);
        stream::uniform(frame.entries, frame.stream_len, &mut random)
            .map(|entry| Op { key: frame.keys.key(entry), value: 0, kind: Kind::Get })
            .collect()
    })?;
    execute_in_turn(engine, frame, Workload::Get, &streams)
}

/// Executes each thread's stream over and over until the time is up.
pub(super) fn execute_in_turn<E: Engine>(
    engine: &E,
    frame: &Frame,
    workload: Workload,
    streams: &[Vec<Op>],
) -> Result<Outcome> {
    let pace = frame.pace(frame.sample_every::<E>(workload));
    threads::run(engine, frame.threads, |thread, session, tally| {
        let ops = streams[thread].as_slice();
        let depth = session.depth();
        let mut out = Vec::new();
        let mut at = 0;
        closed_loop::run(pace, || {
            if at + depth > ops.len() {
                at = 0;
            }
            let group = &ops[at..at + depth];
            at += depth;
            session.execute(group, &frame.values, &mut out, tally)?;
            Ok(depth as u64)
        })
    })
}
