//! One engine in one class: loaded, asked, written to, closed, opened, killed and opened again.

use std::time::{Duration, Instant};

use super::disk;
use super::writer::{self, Fate};
use crate::engines::contract::{Config, Durability, Engine, Home, KEY_LEN, Session};
use crate::fault::{Fault, Result};
use crate::measure::closed_loop;
use crate::measure::process;
use crate::measure::unit::{Clerk, Emit, Unit};
use crate::record::Line;
use crate::record::files::FileFacts;
use crate::workloads::stream::{Content, VALUE_LEN, Values, first_value};
use crate::workloads::{self, Frame, Workload, load, warm};

/// The part of the entries that is set before the kill whose recovery is timed.
const SET_BEFORE_KILL: u32 = 10;
/// And the longest that these sets may take, of which those that sync come to hundreds a second.
const LONGEST: Duration = Duration::from_millis(300);

pub(super) fn run<E: Engine>(
    unit: &Unit,
    home: &Home,
    entries: u32,
    workloads: &[Workload],
    content: Content,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let mut frame = unit.frame(entries);
    frame.values = Values::of(content, unit.seed);
    frame.slow = home.durability == Durability::D3;
    let config =
        Config { home: Some(home.clone()), ..unit.config(entries as usize, KEY_LEN + VALUE_LEN) };
    let streams = load::streams(&frame)?;
    let own_memory = process::anonymous_bytes_of(std::process::id())?;
    let engine = E::open(&config)?;
    let timer_ns = closed_loop::timer_ns();
    let mut clerk = Clerk { unit, frame: &frame, timer_ns, emit };
    if engine.info().floor {
        for workload in [Workload::Insert, Workload::Overwrite] {
            clerk.write(&engine, workload, None, || workloads::run(workload, &engine, &frame))?;
        }
        return Ok(());
    }
    // A server's memory is the store's from its start.
    let inside = engine.writer() == std::process::id();
    let memory_before = if inside { own_memory } else { 0 };
    let written_before = disk::dirtied_bytes(engine.writer())?;
    let mut sets =
        clerk.write(&engine, Workload::Load, None, || load::run(&engine, &frame, &streams))?;
    engine.settle()?;
    let loaded_bytes = disk::allocated(&home.folder);
    let memory_bytes = process::anonymous_bytes_of(engine.writer())?.saturating_sub(memory_before);
    // They were there before the store was opened, and count as nobody's memory.
    drop(streams);
    warm::run(&engine, &frame)?;
    for workload in workloads {
        sets +=
            clerk.write(&engine, *workload, None, || workloads::run(*workload, &engine, &frame))?;
    }
    let written_bytes = disk::dirtied_bytes(engine.writer())?.saturating_sub(written_before);
    let ended_bytes = disk::allocated(&home.folder);
    engine.close()?;
    if unit.threads > 1 {
        return Ok(());
    }
    let (engine, open_clean) = open::<E>(&config, &frame)?;
    let name = engine.info().name;
    engine.close()?;
    let fate = Fate { sets: (entries / SET_BEFORE_KILL).max(1) as usize, after: LONGEST };
    // Behind whatever the insertions took.
    let first = 2 * entries + 1000;
    let deceased = writer::kill(unit, home, first, config.budget_bytes, fate)?;
    let (engine, open_killed) = open::<E>(&config, &frame)?;
    let killed = deceased.judge(&engine, unit.seed)?;
    if killed.lost > 0 && home.durability != Durability::D2 {
        return Err(Fault::new(format!(
            "{} of {} acknowledged sets were gone after a kill",
            killed.lost, killed.acknowledged
        )));
    }
    engine.close()?;
    emit(Line::FileFacts(FileFacts {
        engine: name,
        durability: home.durability,
        values: content,
        block: unit.block,
        entries,
        loaded_bytes,
        ended_bytes,
        memory_bytes,
        written_bytes,
        set_bytes: sets * (KEY_LEN + VALUE_LEN) as u64,
        open_clean,
        open_killed,
        killed,
    }))
}

/// Opens a store and reads one entry; both, and the seconds it took.
fn open<E: Engine>(config: &Config, frame: &Frame) -> Result<(E, f64)> {
    let mut out = Vec::new();
    let before = Instant::now();
    let engine = E::open(config)?;
    let found = engine.session()?.get(&frame.keys.key(0), &mut out)?;
    let seconds = before.elapsed().as_secs_f64();
    if !found || out.len() != frame.values.at(first_value(0)).len() {
        return Err(Fault::new("an entry is missing after the store was opened again"));
    }
    Ok((engine, seconds))
}
