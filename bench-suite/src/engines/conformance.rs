//! What every store must do before its speed means anything. A row of an engine that fails here is refused.

use super::contract::{Config, Engine, Key, Session, Tally};
use crate::fault::{Fault, Result};
use crate::workloads::keys::{KeySpace, Random, Space};
use crate::workloads::stream::{Kind, Op, VALUE_LEN, Values};

/// How much of everything is done: less where each write waits for a sync.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    entries: u32,
    counters: u32,
    pipelined: u32,
}

impl Extent {
    pub(crate) const FULL: Extent = Extent { entries: 2000, counters: 50, pipelined: 100 };
    pub(crate) const SYNCED: Extent = Extent { entries: 60, counters: 2, pipelined: 10 };
}

/// Any fixed seed will do, as long as failures can be repeated.
const SEED: u64 = 0x00c0_ffee;

/// Stores, reads, overwrites, misses, counts, batches and pipelines, and compares every byte. Each `turn` uses keys of its
/// own, so that one server can be checked in several ways.
pub(crate) fn check<E: Engine>(engine: &E, turn: u64, extent: Extent) -> Result<()> {
    let name = engine.info().name;
    let mut session = engine.session()?;
    run(&mut session, SEED + turn, extent).map_err(|fault| refused(&name, &fault))
}

/// The same of a session whose operations travel over several connections and come in any order: none depends on another here.
/// That each connection does as it should is for `check` to say.
pub(crate) fn check_crowd<E: Engine>(engine: &E, turn: u64, extent: Extent) -> Result<()> {
    let name = engine.info().name;
    let mut session = engine.session()?;
    crowd(&mut session, SEED + turn, extent).map_err(|fault| refused(&name, &fault))
}

fn crowd(session: &mut impl Session, seed: u64, extent: Extent) -> Result<()> {
    let (keys, values) = (KeySpace::named(Space::Entries, seed), Values::new(seed));
    let mut out = Vec::new();
    for kind in [Kind::Set, Kind::Get] {
        let ops: Vec<Op> = (0..extent.entries)
            .map(|entry| Op { key: keys.key(entry), value: entry, kind })
            .collect();
        let (mut tally, mut expected) = (Tally::default(), Tally::default());
        for group in ops.chunks(session.depth()) {
            session.execute(group, &values, &mut out, &mut tally)?;
        }
        if kind == Kind::Get {
            (0..extent.entries).for_each(|entry| expected.hit(values.at(entry)));
        }
        expect(
            "reads over several connections return other bytes than were stored",
            tally == expected,
        )?;
    }
    Ok(())
}

fn refused(name: &str, fault: &Fault) -> Fault {
    Fault::new(format!(
        "{name} fails the conformance check, so its numbers would mean nothing: {fault}"
    ))
}

/// The same of a store in files, and that it forgets what is deleted and finds everything else when it is opened again.
pub(crate) fn check_files<E: Engine>(config: &Config, extent: Extent) -> Result<()> {
    let engine = E::open(config)?;
    check(&engine, 0, extent)?;
    let name = engine.info().name;
    let keys = KeySpace::named(Space::Entries, SEED);
    delete(&mut engine.session()?, keys, extent).map_err(|fault| refused(&name, &fault))?;
    engine.close()?;
    let engine = E::open(config)?;
    left(&mut engine.session()?, keys, extent).map_err(|fault| {
        refused(&name, &Fault::new(format!("opened again after a clean close, {fault}")))
    })?;
    engine.close()
}

/// One entry in so many is deleted.
const DELETED: usize = 4;

fn delete(session: &mut impl Session, keys: KeySpace, extent: Extent) -> Result<()> {
    for entry in (0..extent.entries).step_by(DELETED) {
        session.delete(&keys.key(entry))?;
    }
    left(session, keys, extent)
}

fn left(session: &mut impl Session, keys: KeySpace, extent: Extent) -> Result<()> {
    let mut out = Vec::new();
    for entry in 0..extent.entries {
        let found = session.get(&keys.key(entry), &mut out)?;
        let deleted = (entry as usize).is_multiple_of(DELETED);
        expect("a deleted key is there or another one is missing", found != deleted)?;
        expect("a read returns other bytes", deleted || out == replacement(entry))?;
    }
    Ok(())
}

fn run(session: &mut impl Session, seed: u64, extent: Extent) -> Result<()> {
    let keys = KeySpace::named(Space::Entries, seed);
    let values = Values::new(seed);
    load(session, keys, &values, extent)?;
    read_back(session, keys, &values, extent)?;
    overwrite(session, keys, extent)?;
    batch(session, keys, extent)?;
    count(session, KeySpace::named(Space::Counters, seed), extent)?;
    pipeline(session, KeySpace::named(Space::Trace { pass: 1 }, seed), &values, extent)?;
    read_through(session, KeySpace::named(Space::Trace { pass: 2 }, seed), extent)
}

fn expect(what: &str, found: bool) -> Result<()> {
    if found { Ok(()) } else { Err(Fault::new(what)) }
}

fn load(session: &mut impl Session, keys: KeySpace, values: &Values, extent: Extent) -> Result<()> {
    session.loading(true)?;
    for entry in 0..extent.entries {
        session.set(&keys.key(entry), values.at(entry))?;
    }
    session.loading(false)
}

fn read_back(
    session: &mut impl Session,
    keys: KeySpace,
    values: &Values,
    extent: Extent,
) -> Result<()> {
    let mut out = vec![0xff; 300];
    for entry in 0..extent.entries {
        expect("a stored key is missing", session.get(&keys.key(entry), &mut out)?)?;
        expect("a read returns other bytes than were stored", out == values.at(entry))?;
        expect(
            "a read finds a key that was never stored",
            !session.get(&keys.key(entry + extent.entries), &mut out)?,
        )?;
    }
    Ok(())
}

/// The third value of a key, which `batch` expects to find.
fn replacement(entry: u32) -> [u8; VALUE_LEN] {
    let mut value = [0xa5; VALUE_LEN];
    value[..4].copy_from_slice(&entry.to_le_bytes());
    value
}

fn overwrite(session: &mut impl Session, keys: KeySpace, extent: Extent) -> Result<()> {
    let mut out = Vec::new();
    for entry in 0..extent.entries {
        let key = keys.key(entry);
        // Shorter, longer, then of the first size again: in-place and moving overwrites both.
        for value in [&[1_u8; 9][..], &[2; 200], &replacement(entry)] {
            session.set(&key, value)?;
            expect("an overwritten key is missing", session.get(&key, &mut out)?)?;
            expect("a read after an overwrite returns other bytes", out == value)?;
        }
    }
    Ok(())
}

fn batch(session: &mut impl Session, keys: KeySpace, extent: Extent) -> Result<()> {
    let mut random = Random::new(SEED, 1);
    let mut out = Vec::new();
    for size in [1, 31, 32, 33, 100] {
        // One key in four was never stored.
        let entries: Vec<u32> = (0..size)
            .map(|_| u32::try_from(random.below(extent.entries as usize)).unwrap_or(0))
            .map(|entry| if entry % 4 == 0 { entry + extent.entries } else { entry })
            .collect();
        let batch: Vec<Key> = entries.iter().map(|entry| keys.key(*entry)).collect();
        let mut expected = Tally::default();
        for entry in &entries {
            if *entry < extent.entries {
                expected.hit(&replacement(*entry));
            } else {
                expected.miss();
            }
        }
        let mut tally = Tally::default();
        session.get_many(&batch, &mut out, &mut tally)?;
        expect("a batch finds other values than single reads", tally == expected)?;
    }
    Ok(())
}

fn count(session: &mut impl Session, keys: KeySpace, extent: Extent) -> Result<()> {
    for sum in 1..=12 {
        for entry in 0..extent.counters {
            expect("a counter's sum is wrong", session.increment(&keys.key(entry))? == sum)?;
        }
    }
    Ok(())
}

fn pipeline(
    session: &mut impl Session,
    keys: KeySpace,
    values: &Values,
    extent: Extent,
) -> Result<()> {
    let mut out = Vec::new();
    let mut tally = Tally::default();
    let op = |entry: u32, kind| Op { key: keys.key(entry), value: entry, kind };
    let mut expected = Tally::default();
    let mut ops = Vec::new();
    for entry in 0..extent.pipelined {
        // Within one pipeline an operation sees the ones before it.
        ops.extend([
            op(entry, Kind::Get),
            op(entry, Kind::Set),
            op(entry, Kind::Get),
            op(1000, Kind::Increment),
        ]);
        expected.miss();
        expected.hit(values.at(entry));
        expected.hit(&(i64::from(entry) + 1).to_le_bytes());
    }
    for group in ops.chunks(session.depth()) {
        session.execute(group, values, &mut out, &mut tally)?;
    }
    expect("pipelined operations give other answers than single ones", tally == expected)
}

fn read_through(session: &mut impl Session, keys: KeySpace, extent: Extent) -> Result<()> {
    let mut out = Vec::new();
    let value = [7_u8; 100];
    let all: Vec<Key> = (0..2 * extent.pipelined).map(|entry| keys.key(entry)).collect();
    for round in 0..2 {
        let mut tally = Tally::default();
        for group in all.chunks(session.depth()) {
            session.read_through(group, &value, &mut out, &mut tally)?;
        }
        let hits = if round == 0 { 0 } else { all.len() as u64 };
        expect(
            "reading through does not fill the cache",
            tally.hits == hits && tally.misses == all.len() as u64 - hits,
        )?;
    }
    Ok(())
}
