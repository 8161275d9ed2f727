//! A cache at work: reads of Zipf-distributed keys, each miss followed by a set, with room for a tenth of the keys.

use super::{Notebook, room};
use crate::engines::contract::{Engine, Key, Session};
use crate::fault::{Fault, Result};
use crate::measure::closed_loop::{self, Pace};
use crate::measure::threads;
use crate::measure::unit::Unit;
use crate::record::trial::{Eviction, Finding, Speed};
use crate::workloads::keys::Random;
use crate::workloads::stream::{Values, ZIPF_EXPONENT, entry_keys};
use crate::workloads::zipf::{Zipf, scrambled};

/// One key in so many has room.
const KEYS_A_PLACE: u32 = 10;
/// Lane of the streams' random numbers.
const LANE: u64 = 0x6576_6963 << 32;

pub(super) fn measure<E: Engine>(
    unit: &Unit,
    keys: u32,
    notebook: &mut Notebook<'_, '_>,
) -> Result<()> {
    let streams: Vec<Vec<Key>> = (0..unit.threads).map(|thread| draw(unit, keys, thread)).collect();
    let values = Values::new(unit.seed);
    let capacity = keys.div_ceil(KEYS_A_PLACE) as usize;
    let room = room::of_usual_lengths::<E>(capacity, unit.threads)?
        .ok_or_else(|| Fault::new(format!("no budget holds {capacity} entries")))?;
    let engine = E::open(&room.config)?;
    let value = values.window(0, room.value_len);
    let run = |pace: Pace, wrap: bool| {
        threads::run(&engine, unit.threads, |thread, session, tally| {
            let keys = streams[thread].as_slice();
            let mut out = Vec::new();
            let mut at = 0;
            closed_loop::run(pace, || {
                if at == keys.len() {
                    if !wrap {
                        return Ok(0);
                    }
                    at = 0;
                }
                session.read_through(&keys[at..=at], value, &mut out, tally)?;
                at += 1;
                Ok(1)
            })
        })
    };
    // Until the cache is full and its policy has settled.
    run(Pace { span: None, sample_every: E::SAMPLE_EVERY }, false)?;
    let outcome = run(Pace { span: Some(unit.span()), sample_every: E::SAMPLE_EVERY }, true)?;
    engine.settle()?;
    notebook.write(Finding::Eviction(Eviction {
        keys,
        capacity: capacity as u64,
        threads: unit.threads,
        hits: outcome.tally.hits,
        misses: outcome.tally.misses,
        held: engine.counts().entries,
        budget: room.budget,
        speed: Speed { ops: outcome.ops, seconds: outcome.elapsed.as_secs_f64() },
    }))
}

fn draw(unit: &Unit, keys: u32, thread: usize) -> Vec<Key> {
    let law = Zipf::new(keys, ZIPF_EXPONENT);
    let order = scrambled(keys, unit.seed);
    let space = entry_keys(unit.seed);
    let mut random = Random::new(unit.seed, LANE | thread as u64);
    (0..unit.stream_len).map(|_| space.key(order[law.rank(&mut random) as usize])).collect()
}
