//! Reads and overwrites of equal size, Zipf-distributed: YCSB's B (95/5) and A (50/50) with an exact law.

use super::keys::Random;
use super::stream::{Kind, Op};
use super::uniform_get::execute_in_turn;
use super::zipf::Zipf;
use super::{Frame, Workload, stream};
use crate::engines::contract::Engine;
use crate::fault::Result;
use crate::measure::threads::Outcome;

pub(crate) fn run<E: Engine>(
    engine: &E,
    frame: &Frame,
    workload: Workload,
    reads: f64,
) -> Result<Outcome> {
    let streams = frame.streams(|thread| ops(frame, workload, reads, thread))?;
    execute_in_turn(engine, frame, workload, &streams)
}

/// The stream of one thread.
pub(crate) fn ops(frame: &Frame, workload: Workload, reads: f64, thread: usize) -> Vec<Op> {
    let law = Zipf::new(frame.entries, stream::ZIPF_EXPONENT);
    let order = frame.scrambled();
    let mut random = frame.random(workload, thread);
    (0..frame.stream_len).map(|_| draw(frame, &law, order, reads, &mut random)).collect()
}

fn draw(frame: &Frame, law: &Zipf, order: &[u32], reads: f64, random: &mut Random) -> Op {
    let entry = order[law.rank(random) as usize];
    let kind = if random.fraction() < reads { Kind::Get } else { Kind::Set };
    let value = (random.next() >> 32) as u32;
    Op { key: frame.keys.key(entry), value, kind }
}
