//! Steady overwrites of a store that is nearly full: what making room costs. Stores without a budget overwrite as many entries.

use super::Notebook;
use crate::engines::contract::{Config, Engine, KEY_LEN, Key, Session};
use crate::fault::Result;
use crate::measure::closed_loop::{self, Pace};
use crate::measure::unit::Unit;
use crate::record::trial::{Finding, Overwrite, Sizes, Speed};
use crate::workloads::keys::{KeySpace, Random};
use crate::workloads::stream::{self, VALUE_LEN, Values, entry_keys};

/// Mixed values have these powers of two as their lengths, equally often.
const SHORTEST: usize = 16;
const DOUBLINGS: usize = 7;
/// Bytes that an entry takes beyond key and value, for the number of entries of stores that have no budget.
const OVERHEAD: usize = 20;
/// Sets between two looks at how full the store is.
const SETS_A_LOOK: u32 = 256;
/// Lanes of random numbers: lengths while filling, overwrites.
const FILLING: u64 = 0x6669_6c6c;
const WRITING: u64 = 0x7772_6974;

/// The condition under which a store is overwritten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition {
    pub(super) room_bytes: u64,
    pub(super) fill_percent: u32,
    pub(super) sizes: Sizes,
}

/// An overwrite, drawn before the clock starts.
#[derive(Clone, Copy)]
struct Write {
    key: Key,
    value: u32,
    length: usize,
}

pub(super) fn measure<E: Engine>(
    unit: &Unit,
    condition: Condition,
    notebook: &mut Notebook<'_, '_>,
) -> Result<()> {
    let Condition { room_bytes, fill_percent, sizes } = condition;
    let share = u64::from(fill_percent);
    let expected = room_bytes * share / 100 / entry_bytes(sizes) as u64;
    let engine = E::open(&Config {
        home: None,
        budget_bytes: room_bytes,
        capacity: 2 * expected as usize,
        evicts: false,
        threads: 1,
        limit_bytes: None,
    })?;
    let values = Values::new(unit.seed);
    let keys = entry_keys(unit.seed);
    let entries = fill(&engine, condition, expected as u32, keys, &values, unit.seed)?;
    let live_share = engine.counts().live_share;
    let writes = draw(unit, entries, sizes, keys);
    let mut session = engine.session()?;
    let mut turns = writes.iter().cycle();
    // Once around, so that what is timed is the steady state. A refusal shows below.
    for write in turns.by_ref().take(entries as usize) {
        let _ = session.set(&write.key, values.window(write.value, write.length));
    }
    let moved_before = engine.counts().bytes_moved;
    let (mut bytes_written, mut refused) = (0, 0);
    let pace = Pace { span: Some(unit.span()), sample_every: E::SAMPLE_EVERY };
    let timed = closed_loop::run(pace, || {
        let Some(write) = turns.next() else { return Ok(0) };
        match session.set(&write.key, values.window(write.value, write.length)) {
            Ok(()) => bytes_written += (KEY_LEN + write.length) as u64,
            Err(_) => refused += 1,
        }
        Ok(1)
    })?;
    let moved = engine.counts().bytes_moved.zip(moved_before);
    notebook.write(Finding::Overwrite(Overwrite {
        fill_percent: live_share.map(|_| fill_percent),
        reached_percent: live_share.map(|share| 100.0 * share),
        sizes,
        entries,
        bytes_written,
        bytes_moved: moved.map(|(after, before)| after - before),
        refused,
        speed: Speed { ops: timed.ops, seconds: timed.elapsed.as_secs_f64() },
    }))
}

/// Bytes of an entry in a store that has to keep them in a budget, on average.
pub(super) fn entry_bytes(sizes: Sizes) -> usize {
    let value = match sizes {
        Sizes::Equal => VALUE_LEN,
        Sizes::Mixed => SHORTEST * ((1 << DOUBLINGS) - 1) / DOUBLINGS,
    };
    KEY_LEN + value + OVERHEAD
}

fn length(sizes: Sizes, random: &mut Random) -> usize {
    match sizes {
        Sizes::Equal => VALUE_LEN,
        Sizes::Mixed => SHORTEST << random.below(DOUBLINGS),
    }
}

/// Sets new entries until the store's live data has its share of the budget, or refuses more; how many there are then. A store
/// without a budget gets as many as `expected`.
fn fill<E: Engine>(
    engine: &E,
    condition: Condition,
    expected: u32,
    keys: KeySpace,
    values: &Values,
    seed: u64,
) -> Result<u32> {
    let wanted = f64::from(condition.fill_percent) / 100.0;
    let mut random = Random::new(seed, FILLING);
    let mut session = engine.session()?;
    let mut entries = 0;
    loop {
        if entries % SETS_A_LOOK == 0 {
            match engine.counts().live_share {
                Some(share) if share >= wanted => return Ok(entries),
                None if entries >= expected => return Ok(entries),
                _ => {}
            }
        }
        let value =
            values.window(stream::first_value(entries), length(condition.sizes, &mut random));
        if session.set(&keys.key(entries), value).is_err() {
            return Ok(entries);
        }
        entries += 1;
    }
}

fn draw(unit: &Unit, entries: u32, sizes: Sizes, keys: KeySpace) -> Vec<Write> {
    let mut random = Random::new(unit.seed, WRITING);
    (0..unit.stream_len)
        .map(|_| Write {
            key: keys.key(u32::try_from(random.below(entries as usize)).unwrap_or(0)),
            value: (random.next() >> 32) as u32,
            length: length(sizes, &mut random),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_lengths_have_the_mean_that_is_assumed() {
        let mut random = Random::new(1, 0);
        let draws = 70_000;
        let sum: usize = (0..draws).map(|_| length(Sizes::Mixed, &mut random)).sum();
        let mean = sum as f64 / f64::from(draws);
        let assumed = (entry_bytes(Sizes::Mixed) - KEY_LEN - OVERHEAD) as f64;
        assert!((mean / assumed - 1.0).abs() < 0.02, "{mean} against {assumed}");
    }
}
