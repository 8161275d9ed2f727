//! Hit ratios on traces, every entry counted as one: capacity is a number of entries. One thread, so that a policy is judged and not
//! its races. A cache that cannot be made to hold so few entries leaves the row out.

use std::path::Path;

use super::Notebook;
use super::room::{self, Room};
use crate::engines::contract::{Engine, KEY_LEN, Session};
use crate::fault::{Context, Fault, Result};
use crate::measure::unit::Unit;
use crate::record::trial::{Finding, HitRatio};
use crate::workloads::keys::{KeySpace, Space};
use crate::workloads::stream::Values;
use crate::workloads::trace;

/// Requests after which put-off work is done: a replay without pauses would leave some engines no time for it.
const SETTLED_EVERY: usize = 64;
/// How the files of traces end.
const ENDING: &str = ".u32.gz";
/// Least capacity that is tried.
const LEAST: usize = 50;
/// Shares of the keys that have room, in per cent; the larger ones for traces of few keys.
const SHARES: [usize; 3] = [1, 10, 25];
const LARGER_SHARES: [usize; 2] = [50, 75];
const FEW_KEYS: usize = 5000;

/// A trace by name.
struct Named {
    name: String,
    requests: Vec<u32>,
}

pub(super) fn measure<E: Engine>(
    unit: &Unit,
    traces: Option<&Path>,
    longest: usize,
    notebook: &mut Notebook<'_, '_>,
) -> Result<()> {
    for named in read(traces, longest, unit.seed)? {
        let distinct = trace::distinct(&named.requests);
        for capacity in capacities(distinct) {
            let Some(room) = room::of_any_lengths::<E>(capacity)? else {
                continue;
            };
            let engine = E::open(&room.config)?;
            let hits = replay(&engine, &room, &named.requests, unit.seed)?;
            engine.settle()?;
            notebook.write(Finding::HitRatio(HitRatio {
                trace: named.name.clone(),
                requests: named.requests.len() as u64,
                distinct_keys: distinct as u64,
                capacity: capacity as u64,
                hits,
                held: engine.counts().entries,
                budget: room.budget,
            }))?;
        }
    }
    Ok(())
}

/// Every trace of the folder that is short enough, by name; a generated one if there is no folder.
fn read(folder: Option<&Path>, longest: usize, seed: u64) -> Result<Vec<Named>> {
    let Some(folder) = folder else {
        let mut requests = trace::generate(seed);
        requests.truncate(longest);
        return Ok(vec![Named { name: "generated".to_owned(), requests }]);
    };
    let shown = folder.display();
    let listed = std::fs::read_dir(folder).context(|| format!("cannot read {shown}"))?;
    let mut names: Vec<String> = listed
        .flatten()
        .filter_map(|file| file.file_name().into_string().ok())
        .filter(|name| name.ends_with(ENDING))
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(Fault::new(format!("{shown} holds no traces, files that end in {ENDING}")));
    }
    let mut traces = Vec::new();
    for name in names {
        let requests = trace::read(&folder.join(&name))?;
        if requests.len() <= longest {
            traces.push(Named { name: name.trim_end_matches(ENDING).to_owned(), requests });
        }
    }
    Ok(traces)
}

fn capacities(distinct: usize) -> Vec<usize> {
    let larger = if distinct < FEW_KEYS { &LARGER_SHARES[..] } else { &[] };
    let shares = SHARES.iter().chain(larger);
    let mut capacities: Vec<usize> =
        shares.map(|share| (distinct * share / 100).max(LEAST)).collect();
    capacities.dedup();
    capacities
}

/// Reads every requested key and stores it when it was missing; how often it was there.
fn replay<E: Engine>(engine: &E, room: &Room, requests: &[u32], seed: u64) -> Result<u64> {
    let keys = KeySpace::named(Space::Trace { pass: 0 }, seed);
    let values = Values::new(seed);
    let mut session = engine.session()?;
    let mut out = Vec::new();
    let mut hits = 0;
    let mut key = vec![0; room.key_len];
    for group in requests.chunks(SETTLED_EVERY) {
        for entry in group {
            key[..KEY_LEN].copy_from_slice(&keys.key(*entry));
            if session.get(&key, &mut out)? {
                hits += 1;
            } else {
                session.set(&key, values.window(*entry, room.value_len))?;
            }
        }
        engine.settle()?;
    }
    Ok(hits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_are_shares_of_the_keys() {
        assert_eq!(capacities(20_484), [204, 2048, 5121]);
        assert_eq!(capacities(1011), [50, 101, 252, 505, 758]);
        assert_eq!(capacities(100), [50, 75]);
    }

    #[test]
    fn without_a_folder_a_trace_is_generated() {
        let traces = read(None, 1000, 1).unwrap();
        assert_eq!((traces.len(), traces[0].requests.len()), (1, 1000));
    }

    #[test]
    fn a_folder_without_traces_is_a_fault() {
        let empty = std::env::temp_dir().join(format!("nyala-bench-empty-{}", std::process::id()));
        std::fs::create_dir_all(&empty).unwrap();
        assert!(read(Some(&empty), 1000, 1).is_err());
        std::fs::remove_dir_all(empty).unwrap();
    }
}
