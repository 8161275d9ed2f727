//! Counters: add one and return the sum, as a rate limiter does.

use super::keys::{KeySpace, Space};
use super::stream::{Kind, Op};
use super::uniform_get::execute_in_turn;
use super::zipf::{Zipf, scrambled};
use super::{Frame, Workload, stream};
use crate::engines::contract::{Engine, Session, Tally};
use crate::fault::Result;
use crate::measure::threads::Outcome;

/// One counter for so many entries.
const ENTRIES_A_COUNTER: u32 = 10;

pub(crate) fn run<E: Engine>(engine: &E, frame: &Frame) -> Result<Outcome> {
    let counters = frame.entries.div_ceil(ENTRIES_A_COUNTER);
    let keys = KeySpace::named(Space::Counters, frame.seed);
    let op = |counter| Op { key: keys.key(counter), value: 0, kind: Kind::Increment };
    create(engine, frame, &(0..counters).map(op).collect::<Vec<_>>())?;
    let law = Zipf::new(counters, stream::ZIPF_EXPONENT);
    let order = scrambled(counters, frame.seed);
    let streams: Vec<Vec<Op>> = frame.streams(|thread| {
        let mut random = frame.random(Workload::Counters, thread);
        (0..frame.stream_len).map(|_| op(order[law.rank(&mut random) as usize])).collect()
    })?;
    execute_in_turn(engine, frame, Workload::Counters, &streams)
}

/// Counts every counter once before the clock starts: creation is the load's business.
fn create<E: Engine>(engine: &E, frame: &Frame, ops: &[Op]) -> Result<()> {
    let mut session = engine.session()?;
    let mut out = Vec::new();
    let mut tally = Tally::default();
    let depth = session.depth();
    session.loading(true)?;
    for group in ops.chunks(depth) {
        session.execute(group, &frame.values, &mut out, &mut tally)?;
    }
    session.loading(false)
}
