//! Load: from empty to full, nothing presized.

use super::stream::{self, Op};
use super::{Frame, Workload};
use crate::engines::contract::{Engine, Session};
use crate::fault::{Fault, Result};
use crate::measure::closed_loop::{self, Pace};
use crate::measure::threads::{self, Outcome};

/// Keys that are read back after the load, outside the timed part.
const CHECKED: usize = 1000;

/// One stream a thread. Made before the store is opened, so that its memory does not count as the store's.
pub(crate) fn streams(frame: &Frame) -> Result<Vec<Vec<Op>>> {
    frame.streams(|thread| stream::load(frame.keys, frame.entries, thread, frame.threads))
}

/// Sets every entry once and then compares some of them, byte for byte.
pub(crate) fn run<E: Engine>(engine: &E, frame: &Frame, streams: &[Vec<Op>]) -> Result<Outcome> {
    let pace = Pace { span: None, sample_every: frame.sample_every::<E>(Workload::Load) };
    let outcome = threads::run(engine, frame.threads, |thread, session, tally| {
        let ops = streams[thread].as_slice();
        let depth = session.depth();
        let mut out = Vec::new();
        let mut at = 0;
        session.loading(true)?;
        closed_loop::run(pace, || {
            let group = &ops[at..ops.len().min(at + depth)];
            at += group.len();
            if group.is_empty() {
                // What is still collected belongs to the load's time.
                session.loading(false)?;
            } else {
                session.execute(group, &frame.values, &mut out, tally)?;
            }
            Ok(group.len() as u64)
        })
    })?;
    if !engine.info().floor {
        compare(engine, frame)?;
    }
    Ok(outcome)
}

fn compare<E: Engine>(engine: &E, frame: &Frame) -> Result<()> {
    let mut session = engine.session()?;
    let mut random = frame.random(Workload::Load, 0);
    let mut out = Vec::new();
    for entry in stream::uniform(frame.entries, CHECKED, &mut random) {
        if !session.get(&frame.keys.key(entry), &mut out)?
            || out != frame.values.at(stream::first_value(entry))
        {
            return Err(Fault::new(format!(
                "after the load, entry {entry} of {} is missing or has other bytes",
                frame.entries
            )));
        }
    }
    Ok(())
}
