//! Room for a number of entries, for every cache in its own currency: most count entries, and one counts bytes.
//!
//! A cache that counts bytes gets the budget at which, full of distinct keys, it holds as many entries as the others. What it holds is
//! then read from the store itself, so its index, its slack and whatever else it spends come out of the same number of entries.

use crate::engines::contract::{Config, Engine, KEY_LEN, Session};
use crate::fault::Result;
use crate::record::trial::Budget;
use crate::workloads::keys::{KeySpace, Space};
use crate::workloads::stream::{VALUE_LEN, Values};

/// How near the number of entries has to come.
const TOLERANCE: f64 = 0.01;
/// Halvings of the range of budgets.
const STEPS: u32 = 14;
/// Distinct keys that are set for each entry before the entries are counted: a full cache with nothing left of its start.
const TURNS: usize = 3;
/// Counts whose mean is taken, over as many sets as there are entries: evicting many at a time makes the number swing.
const COUNTS: usize = 64;
/// Least budget that is tried: the least that a store takes.
const LEAST_BYTES: u64 = 1 << 20;
/// Data that entries come to at least, so that budgets above and below can be tried.
const LEAST_DATA: usize = 3 << 19;
/// Shortest values, and the longest that the least budgets allow. Records that have to be longer get it from their keys.
const SHORTEST: usize = 100;
const LONGEST: usize = 1000;
/// Longest keys: a quarter of the segments that small budgets have.
const LONGEST_KEY: usize = 2000;
/// Records are tried at so many eighths of their length, one after the other: where a budget's segments double, what it holds
/// jumps, and no budget fits.
const EIGHTHS: [usize; 6] = [8, 9, 10, 11, 7, 6];
/// Bytes that a record takes beyond key and value, about.
const OVERHEAD: usize = 16;

/// How a cache is opened, and the bytes of the entries it is given.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) config: Config,
    pub(super) key_len: usize,
    pub(super) value_len: usize,
    /// For a cache that counts bytes.
    pub(super) budget: Option<Budget>,
}

/// Bytes of key and value.
type Lengths = (usize, usize);

/// Lengths at which `capacity` entries are enough data for a budget to be found, unless they are too few.
fn lengths(capacity: usize, eighths: usize) -> Lengths {
    let record = LEAST_DATA.div_ceil(capacity.max(1)).max(KEY_LEN + SHORTEST + OVERHEAD);
    let record = record * eighths / 8;
    let value = (record - KEY_LEN - OVERHEAD).min(LONGEST);
    ((record - OVERHEAD - value).min(LONGEST_KEY), value)
}

/// Room for `capacity` entries of any lengths; `None` if there is none because the least budget holds more.
pub(super) fn of_any_lengths<E: Engine>(capacity: usize) -> Result<Option<Room>> {
    first(EIGHTHS.into_iter().map(|eighths| fit::<E>(capacity, 1, lengths(capacity, eighths))))
}

/// Room for `capacity` entries like those of the other workloads, or a little longer or shorter.
pub(super) fn of_usual_lengths<E: Engine>(capacity: usize, threads: usize) -> Result<Option<Room>> {
    let lengths = |eighths| (KEY_LEN, VALUE_LEN * eighths / 8);
    first(EIGHTHS.into_iter().map(|eighths| fit::<E>(capacity, threads, lengths(eighths))))
}

/// The first that is there.
fn first(rooms: impl Iterator<Item = Result<Option<Room>>>) -> Result<Option<Room>> {
    rooms.map(Result::transpose).find_map(|room| room).transpose()
}

/// Room for `capacity` entries with such lengths; `None` if no budget comes near.
fn fit<E: Engine>(
    capacity: usize,
    threads: usize,
    (key_len, value_len): Lengths,
) -> Result<Option<Room>> {
    let config = |budget_bytes| Config {
        home: None,
        budget_bytes,
        capacity,
        evicts: true,
        threads,
        limit_bytes: None,
    };
    if !E::COUNTS_BYTES {
        let (key_len, value_len) = (KEY_LEN, VALUE_LEN);
        return Ok(Some(Room { config: config(0), key_len, value_len, budget: None }));
    }
    let (mut low, mut high) =
        (LEAST_BYTES, LEAST_BYTES + 3 * (capacity * (key_len + value_len + OVERHEAD)) as u64);
    if held::<E>(&config(low), key_len, value_len)? > (1.0 + TOLERANCE) * capacity as f64 {
        return Ok(None);
    }
    for _ in 0..STEPS {
        let budget_bytes = low.midpoint(high);
        let config = config(budget_bytes);
        let entries = held::<E>(&config, key_len, value_len)?;
        if (entries / capacity as f64 - 1.0).abs() <= TOLERANCE {
            let budget = Budget {
                max_bytes: budget_bytes,
                key_bytes: key_len as u64,
                value_bytes: value_len as u64,
                entries,
            };
            return Ok(Some(Room { config, key_len, value_len, budget: Some(budget) }));
        }
        if entries > capacity as f64 { high = budget_bytes } else { low = budget_bytes }
    }
    Ok(None)
}

/// Entries that a cache holds when it is full, on average.
fn held<E: Engine>(config: &Config, key_len: usize, value_len: usize) -> Result<f64> {
    let engine = E::open(config)?;
    let keys = KeySpace::named(Space::Trace { pass: 1 }, 0);
    let values = Values::new(0);
    let mut session = engine.session()?;
    let mut key = vec![0; key_len];
    let sets = (TURNS * config.capacity) as u32;
    let counted_from = sets - config.capacity as u32;
    let every = (config.capacity / COUNTS).max(1) as u32;
    let (mut sum, mut counts) = (0, 0_u32);
    for entry in 0..sets {
        key[..KEY_LEN].copy_from_slice(&keys.key(entry));
        session.set(&key, values.window(entry, value_len))?;
        if entry >= counted_from && entry % every == 0 {
            sum += engine.counts().entries.unwrap_or(0);
            counts += 1;
        }
    }
    Ok(sum as f64 / f64::from(counts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::Nyala;

    #[test]
    fn records_are_longer_where_there_are_few() {
        assert_eq!(lengths(1_000_000, 8), (KEY_LEN, SHORTEST));
        for capacity in [600, 2000, 5000, 50_000] {
            let (key, value) = lengths(capacity, 8);
            assert!(capacity * (key + value + OVERHEAD) >= LEAST_DATA);
            assert!(key >= KEY_LEN && (SHORTEST..=LONGEST).contains(&value));
            assert!(key == KEY_LEN || value == LONGEST);
        }
    }

    #[test]
    fn nyala_is_given_room_for_as_many_entries() {
        // At 505 and 745 the first lengths lead to the 2 MiB where segments double.
        for capacity in [505, 745, 2000, 20_000] {
            let room = of_any_lengths::<Nyala>(capacity).unwrap().unwrap();
            let budget = room.budget.unwrap();
            assert!((budget.entries / capacity as f64 - 1.0).abs() <= TOLERANCE, "{budget:?}");
        }
    }

    #[test]
    fn the_least_budget_may_hold_too_many() {
        assert!(of_any_lengths::<Nyala>(50).unwrap().is_none());
    }
}
