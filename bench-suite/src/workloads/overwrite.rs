//! Sets of uniformly drawn entries, every one of which is there, to values of equal size.

use super::stream::{Kind, Op};
use super::uniform_get::execute_in_turn;
use super::{Frame, Workload, stream};
use crate::engines::contract::Engine;
use crate::fault::Result;
use crate::measure::threads::Outcome;

pub(crate) fn run<E: Engine>(engine: &E, frame: &Frame) -> Result<Outcome> {
    let streams: Vec<Vec<Op>> = frame.streams(|thread| {
        let mut random = frame.random(Workload::Overwrite, thread);
        let mut values = random.clone();
        stream::uniform(frame.entries, frame.stream_len, &mut random)
            .map(|entry| {
                let value = (values.next() >> 32) as u32;
                Op { key: frame.keys.key(entry), value, kind: Kind::Set }
            })
            .collect()
    })?;
    execute_in_turn(engine, frame, Workload::Overwrite, &streams)
}
