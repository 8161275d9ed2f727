//! Values from a word to a quarter of a megabyte: reads and overwrites of equal size, of as many bytes together at each size.

use super::Notebook;
use crate::engines::contract::{Config, Engine, KEY_LEN, Key, Session, Tally};
use crate::fault::{Fault, Result};
use crate::measure::closed_loop::{self, Pace};
use crate::measure::unit::{Unit, fetch_memory};
use crate::record::trial::{Access, Finding, Speed, ValueSize};
use crate::workloads::keys::Random;
use crate::workloads::stream::{Values, entry_keys, first_value};

/// Bytes of a value.
pub(super) const SIZES: [u32; 6] = [8, 64, 512, 4 << 10, 32 << 10, 256 << 10];
/// What an entry may take beyond key and value, in budgets: many times a small value.
const OVERHEAD: usize = 64;
/// Least room of caches that count entries: what they share out among their parts is too little for some of them before.
const LEAST_CAPACITY: usize = 4096;
/// Lane of random numbers.
const LANE: u64 = 0x7661_6c73 << 32;

/// An operation, drawn before the clock starts.
struct Draw {
    key: Key,
    value: u32,
}

/// So many entries have so many bytes of keys and values together.
pub(super) fn entries(total_bytes: u64, value_bytes: u32) -> u32 {
    let each = KEY_LEN as u64 + u64::from(value_bytes);
    u32::try_from(total_bytes / each).unwrap_or(u32::MAX).max(1)
}

pub(super) fn measure<E: Engine>(
    unit: &Unit,
    total_bytes: u64,
    value_bytes: u32,
    notebook: &mut Notebook<'_, '_>,
) -> Result<()> {
    let (entries, length) = (entries(total_bytes, value_bytes), value_bytes as usize);
    let (keys, values) = (entry_keys(unit.seed), Values::reaching(length, unit.seed));
    let mut random = Random::new(unit.seed, LANE);
    let draws: Vec<Draw> = (0..unit.stream_len)
        .map(|_| {
            let entry = u32::try_from(random.below(entries as usize)).unwrap_or(0);
            Draw { key: keys.key(entry), value: (random.next() >> 32) as u32 }
        })
        .collect();
    fetch_memory(2 * total_bytes)?;
    let usual = unit.config(entries as usize, KEY_LEN + length + OVERHEAD);
    let config = Config { capacity: usual.capacity.max(LEAST_CAPACITY), ..usual };
    let engine = E::open(&config)?;
    let mut session = engine.session()?;
    for entry in 0..entries {
        session.set(&keys.key(entry), values.window(first_value(entry), length))?;
    }
    engine.settle()?;
    let mut out = Vec::new();
    if !session.get(&keys.key(0), &mut out)? || out != values.window(first_value(0), length) {
        return Err(Fault::new(format!("a value of {length} bytes is missing or has other bytes")));
    }
    let pace = Pace { span: Some(unit.span()), sample_every: E::SAMPLE_EVERY };
    for access in [Access::Get, Access::Set] {
        let (mut turns, mut tally) = (draws.iter().cycle(), Tally::default());
        let timed = closed_loop::run(pace, || {
            let Some(draw) = turns.next() else { return Ok(0) };
            match access {
                Access::Set => session.set(&draw.key, values.window(draw.value, length))?,
                Access::Get if session.get(&draw.key, &mut out)? => tally.hit(&out),
                Access::Get => tally.miss(),
            }
            Ok(1)
        })?;
        if tally.misses > 0 {
            let misses = tally.misses;
            return Err(Fault::new(format!("{misses} reads of entries that are there found none")));
        }
        let speed = Speed { ops: timed.ops, seconds: timed.elapsed.as_secs_f64() };
        let found = ValueSize {
            access,
            value_bytes,
            entries,
            checksum: format!("{:016x}", tally.checksum),
            speed,
        };
        notebook.write(Finding::ValueSize(found))?;
    }
    drop(session);
    if E::ENDS_WITH_PROCESS {
        std::mem::forget(engine);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_as_many_bytes() {
        let total = 64 << 20;
        for size in SIZES {
            let bytes = u64::from(entries(total, size)) * (KEY_LEN as u64 + u64::from(size));
            assert!(bytes <= total && bytes > total - total / 100, "{size}: {bytes}");
        }
        assert_eq!(entries(1000, 256 << 10), 1);
    }
}
