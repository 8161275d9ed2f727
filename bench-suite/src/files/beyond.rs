//! A store with about four times as much data as its process may take of memory, pages of files included: what it costs that most of
//! the data is not there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::disk;
use crate::engines::contract::{Config, Engine, Home, KEY_LEN, Session};
use crate::experiments;
use crate::fault::{Fault, Result};
use crate::measure::cage;
use crate::measure::closed_loop::{self, Pace};
use crate::measure::threads::{self, Outcome};
use crate::measure::unit::{Emit, Unit};
use crate::record::histogram::Buckets;
use crate::record::trial::{Beyond, Finding, Speed};
use crate::workloads::Workload;
use crate::workloads::keys::{KeySpace, Random};
use crate::workloads::stream::{Values, ZIPF_EXPONENT, entry_keys, first_value};
use crate::workloads::zipf::{Zipf, scrambled};

/// Bytes of a value: so many that the memory leaves room for an index of all entries.
pub(crate) const VALUE_LEN: usize = 1024;
/// What is measured, in this order.
pub(crate) const WORKLOADS: [Workload; 3] = [Workload::Get, Workload::Zipf95, Workload::Overwrite];
/// Engines in files that take part, each in the classes that it has: as somebody who knows them sets them. A server's memory is another
/// process's.
pub(crate) const ENGINES: [&str; 6] = ["nyala", "sqlite", "rocksdb", "lmdb", "redb", "fjall"];
/// Entries that are compared, byte for byte, after the load.
const CHECKED: usize = 200;
/// Files are synced during the load after each such part of the limit: what engines write in the background then keeps up with what they
/// are given, and in a small memory the kernel finds pages that it may take without waiting for the disk.
const LOADED_A_SYNC: u64 = 16;
/// Before each timed workload the same goes on untimed for this part of its time, so that the caches hold what it asks for.
const WARMING: u32 = 2;
/// Lanes of random numbers: the check, and the workloads from here on.
const LANE: u64 = 0x6265_796f << 32;

/// What is larger than what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Excess {
    pub(crate) entries: u32,
    pub(crate) limit_bytes: u64,
    /// Where the process goes into its control group; named when that has been made.
    pub(crate) door: PathBuf,
}

/// One operation.
struct Draw {
    entry: u32,
    value: u32,
    writes: bool,
}

/// Where the operations of a workload come from. They are drawn on the way, since a stream that is short enough to be kept would ask
/// for the same part of the data again and again, and find it in memory.
struct Source {
    entries: u32,
    workload: Workload,
    law: Zipf,
    /// Which entry has which rank.
    order: Vec<u32>,
}

impl Source {
    fn draw(&self, random: &mut Random) -> Draw {
        let entry = match self.workload {
            Workload::Zipf95 => self.order[self.law.rank(random) as usize],
            _ => u32::try_from(random.below(self.entries as usize)).unwrap_or(0),
        };
        let writes = match self.workload {
            Workload::Zipf95 => random.fraction() >= 0.95,
            workload => workload == Workload::Overwrite,
        };
        Draw { entry, value: (random.next() >> 32) as u32, writes }
    }
}

/// What all workloads share.
struct Dataset {
    entries: u32,
    seed: u64,
    keys: KeySpace,
    values: Values,
}

pub(super) fn run<E: Engine>(
    unit: &Unit,
    home: &Home,
    excess: &Excess,
    emit: &mut Emit<'_>,
) -> Result<()> {
    cage::enter(&excess.door)?;
    let Excess { entries, limit_bytes, .. } = *excess;
    let config = Config {
        home: Some(home.clone()),
        limit_bytes: Some(limit_bytes),
        ..unit.config(entries as usize, KEY_LEN + VALUE_LEN)
    };
    let seed = unit.seed;
    let dataset = Dataset { entries, seed, keys: entry_keys(seed), values: Values::new(seed) };
    let engine = E::open(&config)?;
    load(&engine, &dataset, home, limit_bytes)?;
    engine.settle()?;
    // What the load left to be written is not to be written during what is measured.
    disk::sync(&home.folder)?;
    check(&engine, &dataset)?;
    let process = engine.writer();
    let timer_ns = closed_loop::timer_ns();
    let mut notebook = experiments::Notebook::new(unit, emit);
    for workload in WORKLOADS {
        let order =
            if workload == Workload::Zipf95 { scrambled(entries, seed) } else { Vec::new() };
        let law = Zipf::new(entries, ZIPF_EXPONENT);
        let source = Source { entries, workload, law, order };
        ask(&engine, &dataset, &source, unit, true)?;
        let (read, dirtied) = (disk::read_bytes(process), disk::dirtied_bytes(process)?);
        let outcome = ask(&engine, &dataset, &source, unit, false)?;
        let read_bytes = disk::read_bytes(process).zip(read).map(|(after, before)| after - before);
        let written_bytes = disk::dirtied_bytes(process)?.saturating_sub(dirtied);
        if outcome.tally.misses > 0 {
            let misses = outcome.tally.misses;
            return Err(Fault::new(format!("{misses} reads of entries that are there found none")));
        }
        notebook.write(Finding::BeyondMemory(Beyond {
            durability: home.durability,
            workload,
            limit_bytes,
            entries,
            value_bytes: VALUE_LEN as u64,
            threads: unit.threads,
            read_bytes,
            written_bytes,
            disk_bytes: disk::allocated(&home.folder),
            settings: E::under_limit(&config),
            timer_ns,
            latencies: Buckets::of(&outcome.latencies),
            speed: Speed { ops: outcome.ops, seconds: outcome.elapsed.as_secs_f64() },
        }))?;
    }
    engine.close()
}

/// Sets every entry in the order of the keys, which trees like best: the load is not what is measured here.
fn load<E: Engine>(engine: &E, dataset: &Dataset, home: &Home, limit_bytes: u64) -> Result<()> {
    let Dataset { entries, keys, values, .. } = dataset;
    let mut order: Vec<u32> = (0..*entries).collect();
    order.sort_unstable_by_key(|entry| keys.key(*entry));
    let mut session = engine.session()?;
    session.loading(true)?;
    let part = (limit_bytes / LOADED_A_SYNC) as usize / (KEY_LEN + VALUE_LEN);
    for part in order.chunks(part.max(1)) {
        for entry in part {
            session.set(&keys.key(*entry), values.window(first_value(*entry), VALUE_LEN))?;
        }
        disk::sync(&home.folder)?;
    }
    session.loading(false)
}

fn check<E: Engine>(engine: &E, dataset: &Dataset) -> Result<()> {
    let mut random = Random::new(dataset.seed, LANE);
    let (mut session, mut out) = (engine.session()?, Vec::new());
    for _ in 0..CHECKED {
        let entry = u32::try_from(random.below(dataset.entries as usize)).unwrap_or(0);
        let expected = dataset.values.window(first_value(entry), VALUE_LEN);
        if !session.get(&dataset.keys.key(entry), &mut out)? || out != expected {
            let entries = dataset.entries;
            return Err(Fault::new(format!(
                "after the load, entry {entry} of {entries} is missing or has other bytes"
            )));
        }
    }
    Ok(())
}

fn ask<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    source: &Source,
    unit: &Unit,
    warming: bool,
) -> Result<Outcome> {
    let span = if warming { unit.span() / WARMING } else { unit.span() };
    // Beside a call that waits for a disk the clock costs little, and p99 needs ten thousand of them.
    let pace = Pace { span: Some(span), sample_every: 1 };
    let purpose = 2 * (source.workload as u64 + 1) + u64::from(warming);
    threads::run(engine, unit.threads, |thread, session, tally| {
        let mut random = Random::new(dataset.seed, LANE | purpose << 16 | thread as u64);
        let mut out = Vec::new();
        closed_loop::run(pace, || {
            let Draw { entry, value, writes } = source.draw(&mut random);
            let key = dataset.keys.key(entry);
            if writes {
                session.set(&key, dataset.values.window(value, VALUE_LEN))?;
            } else if session.get(&key, &mut out)? {
                tally.hit(&out);
            } else {
                tally.miss();
            }
            Ok(1)
        })
    })
}
