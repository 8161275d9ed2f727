//! Sets of keys that are not there yet, in a store that is loaded.

use super::stream::{Kind, Op};
use super::{Frame, Workload};
use crate::engines::contract::{Engine, Session};
use crate::fault::Result;
use crate::measure::closed_loop;
use crate::measure::threads::{self, Outcome};

/// The store grows by at most this part of its entries, which its budget has room for. Measured last, since a fast store grows more.
const GROWTH: u32 = 2;

/// Number of the first new entry of `thread`, and how many it sets.
fn share(frame: &Frame, thread: usize) -> (u32, u32) {
    let each = (frame.entries / GROWTH / frame.threads as u32).max(64);
    (frame.entries + thread as u32 * each, each)
}

pub(crate) fn run<E: Engine>(engine: &E, frame: &Frame) -> Result<Outcome> {
    let streams: Vec<Vec<Op>> = frame.streams(|thread| {
        let (first, count) = share(frame, thread);
        (first..first + count)
            .map(|entry| Op { key: frame.keys.key(entry), value: entry, kind: Kind::Set })
            .collect()
    })?;
    let pace = frame.pace(frame.sample_every::<E>(Workload::Insert));
    threads::run(engine, frame.threads, |thread, session, tally| {
        let ops = streams[thread].as_slice();
        let depth = session.depth();
        let mut out = Vec::new();
        let mut at = 0;
        closed_loop::run(pace, || {
            let group = &ops[at..ops.len().min(at + depth)];
            at += group.len();
            if !group.is_empty() {
                session.execute(group, &frame.values, &mut out, tally)?;
            }
            Ok(group.len() as u64)
        })
    })
}
