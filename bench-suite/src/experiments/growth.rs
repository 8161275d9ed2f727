//! Growth stalls: every set timed while a store grows from nothing. Each block has keys of its own, so that a stall which comes after
//! as many sets in every block is the structure's doing, and not the machine's.

use std::time::Instant;

use super::Notebook;
use crate::engines::contract::{Engine, KEY_LEN, Session};
use crate::fault::{Fault, Result};
use crate::measure::closed_loop::empty_histogram;
use crate::measure::unit::{Unit, fetch_memory};
use crate::record::histogram::Buckets;
use crate::record::trial::{Finding, Growth, Stall};
use crate::workloads::load;
use crate::workloads::stream::VALUE_LEN;

/// The longest sets that are recorded one by one.
const STALLS: usize = 64;

pub(super) fn measure<E: Engine>(
    unit: &Unit,
    entries: u32,
    notebook: &mut Notebook<'_, '_>,
) -> Result<()> {
    let seeded = Unit { seed: unit.seed.wrapping_add(u64::from(unit.block)), ..unit.clone() };
    let frame = seeded.frame(entries);
    let ops = load::streams(&frame)?.pop().ok_or_else(|| Fault::new("no stream"))?;
    fetch_memory(3 * u64::from(entries) * (KEY_LEN + VALUE_LEN) as u64)?;
    // Ones, not zeros: written now, so that the timed part meets no untouched page of it.
    let mut times = vec![1_u32; ops.len()];
    let engine = E::open(&seeded.config(entries as usize, KEY_LEN + VALUE_LEN))?;
    let mut session = engine.session()?;
    let started = Instant::now();
    let mut before = started;
    for (op, time) in ops.iter().zip(&mut times) {
        session.set(&op.key, frame.values.at(op.value))?;
        // One reading a set: it ends this one and begins the next.
        let now = Instant::now();
        *time = u32::try_from((now - before).as_nanos()).unwrap_or(u32::MAX);
        before = now;
    }
    let seconds = (before - started).as_secs_f64();
    drop(session);
    let mut histogram = empty_histogram()?;
    for time in &times {
        histogram.saturating_record(u64::from(*time));
    }
    notebook.write(Finding::Growth(Growth {
        entries,
        seconds,
        latencies: Buckets::of(&histogram),
        stalls: longest(&times),
    }))?;
    if E::ENDS_WITH_PROCESS {
        std::mem::forget(engine);
    }
    Ok(())
}

fn longest(times: &[u32]) -> Vec<Stall> {
    let mut stalls: Vec<Stall> = (0..).zip(times).map(|(at, ns)| Stall { at, ns: *ns }).collect();
    let key = |stall: &Stall| std::cmp::Reverse(stall.ns);
    if stalls.len() > STALLS {
        stalls.select_nth_unstable_by_key(STALLS, key);
        stalls.truncate(STALLS);
    }
    stalls.sort_by_key(key);
    stalls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_come_first() {
        let mut times: Vec<u32> = (0..1000).collect();
        times[17] = 9999;
        let stalls = longest(&times);
        assert_eq!(stalls.len(), STALLS);
        assert_eq!((stalls[0].at, stalls[0].ns), (17, 9999));
        assert_eq!(stalls[1].ns, 999);
        assert_eq!(longest(&[5, 7]).len(), 2);
    }
}
