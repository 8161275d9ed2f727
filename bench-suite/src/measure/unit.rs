//! A unit is what one fresh process measures: one engine at one size with one number of threads, once.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::closed_loop;
use super::process::{self, MachineTime};
use super::threads::Outcome;
use crate::engines::contract::{Config, Durability, Engine, Home, KEY_LEN};
use crate::engines::words::Words;
use crate::experiments::{self, Task};
use crate::fault::{Fault, Result};
use crate::files::{self, Step};
use crate::record::files::FileCell;
use crate::record::histogram::Buckets;
use crate::record::{Cell, Line, Memory};
use crate::workloads::stream::{Content, TRACE_VALUE_LEN, VALUE_LEN};
use crate::workloads::{self, Frame, Workload, load, trace, warm};

/// Where finished measurements go.
pub(crate) type Emit<'a> = dyn FnMut(Line) -> Result<()> + 'a;

/// The order to a measuring process, handed over as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unit {
    pub(crate) engine: String,
    pub(crate) stage: Stage,
    pub(crate) threads: usize,
    pub(crate) block: u32,
    pub(crate) position: u32,
    pub(crate) seed: u64,
    pub(crate) span_ms: u64,
    /// Operations a thread's stream holds; slow engines need a shorter one.
    pub(crate) stream_len: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    /// Load this many entries, then these workloads with each of these numbers of threads.
    Store { entries: u32, workloads: Vec<Workload>, readers: Vec<usize> },
    /// Replay a trace from a file, or the generated one.
    Replay { trace: Option<PathBuf> },
    /// Part of an experiment.
    Experiment(Task),
    /// A store in files.
    Files { home: Home, step: Step },
}

impl Unit {
    /// The class that is measured.
    pub(crate) fn durability(&self) -> Durability {
        match &self.stage {
            Stage::Files { home, .. } => home.durability,
            _ => Durability::D0,
        }
    }

    /// Whether its process is measured under a limit of memory.
    pub(crate) fn is_limited(&self) -> bool {
        matches!(&self.stage, Stage::Files { step: Step::Beyond(_), .. })
    }

    /// What the values are made of.
    fn content(&self) -> Content {
        match &self.stage {
            Stage::Files { step: Step::Measure { values, .. }, .. } => *values,
            _ => Content::Incompressible,
        }
    }

    pub(crate) fn span(&self) -> Duration {
        Duration::from_millis(self.span_ms)
    }

    /// Twice what will live there, the same for every engine that has a budget: nothing is evicted.
    pub(crate) fn config(&self, entries: usize, entry_bytes: usize) -> Config {
        let live_bytes = (entries * entry_bytes) as u64;
        Config {
            home: None,
            budget_bytes: (2 * live_bytes).max(16 << 20),
            capacity: 2 * entries,
            evicts: false,
            threads: self.threads,
            limit_bytes: None,
        }
    }

    pub(crate) fn frame(&self, entries: u32) -> Frame {
        Frame::new(entries, self.threads, self.span(), self.seed, self.stream_len)
    }

    fn cell(
        &self,
        engine: &str,
        workload: Workload,
        entries: u32,
        outcome: &Outcome,
        sampled: u32,
    ) -> Cell {
        Cell {
            engine: engine.to_owned(),
            workload,
            entries,
            threads: self.threads,
            block: self.block,
            position: self.position,
            ops: outcome.ops,
            seconds: outcome.elapsed.as_secs_f64(),
            cpu_seconds: outcome.cpu_seconds,
            hits: outcome.tally.hits,
            misses: outcome.tally.misses,
            checksum: format!("{:016x}", outcome.tally.checksum),
            sample_every: sampled,
            timer_ns: 0,
            latencies: Buckets::of(&outcome.latencies),
            memory: None,
            steal_percent: 0.0,
            load_average: process::load_average(),
        }
    }
}

/// Collects what surrounds each outcome: whose it is, and what the machine did meanwhile.
pub(crate) struct Clerk<'a, 'b> {
    pub(crate) unit: &'a Unit,
    pub(crate) frame: &'a Frame,
    pub(crate) timer_ns: u64,
    pub(crate) emit: &'a mut Emit<'b>,
}

impl Clerk<'_, '_> {
    /// Returns how many of the operations wrote.
    pub(crate) fn write<E: Engine>(
        &mut self,
        engine: &E,
        workload: Workload,
        memory: Option<Memory>,
        measure: impl FnOnce() -> Result<Outcome>,
    ) -> Result<u64> {
        let before = MachineTime::now();
        let outcome = measure()?;
        let steal_percent = MachineTime::now().steal_percent_since(before);
        let sampled = self.frame.sample_every::<E>(workload);
        let name = engine.info().name;
        let entries = if workload == Workload::CacheAside { 0 } else { self.frame.entries };
        let mut cell = self.unit.cell(&name, workload, entries, &outcome, sampled);
        cell.timer_ns = self.timer_ns;
        cell.steal_percent = steal_percent;
        if let Some(memory) = memory {
            cell.memory = Some(Memory { after_bytes: engine.memory_bytes()?, ..memory });
        }
        // Whatever was no read.
        let writes = outcome.ops - (outcome.tally.hits + outcome.tally.misses).min(outcome.ops);
        let durability = self.unit.durability();
        (self.emit)(if durability.is_volatile() {
            Line::Cell(cell)
        } else {
            Line::FileCell(FileCell { durability, values: self.unit.content(), cell })
        })?;
        Ok(writes)
    }
}

/// Measures a unit of an engine that lives in this process.
pub(crate) fn measure<E: Engine>(unit: &Unit, emit: &mut Emit<'_>) -> Result<()> {
    let timer_ns = closed_loop::timer_ns();
    match &unit.stage {
        Stage::Store { entries, workloads, readers } => {
            let frame = unit.frame(*entries);
            let streams = load::streams(&frame)?;
            let most = readers.iter().copied().max().unwrap_or(0).max(unit.threads);
            let config =
                Config { threads: most, ..unit.config(*entries as usize, KEY_LEN + VALUE_LEN) };
            fetch_memory(3 * u64::from(*entries) * (KEY_LEN + VALUE_LEN) as u64)?;
            let before_bytes = process::resident_bytes()?;
            let engine = E::open(&config)?;
            let mut clerk = Clerk { unit, frame: &frame, timer_ns, emit };
            let memory = Memory { before_bytes, after_bytes: 0 };
            clerk.write(&engine, Workload::Load, Some(memory), || {
                load::run(&engine, &frame, &streams)
            })?;
            drop(streams);
            engine.settle()?;
            warm::run(&engine, &frame)?;
            for threads in readers {
                let unit = Unit { threads: *threads, ..unit.clone() };
                let frame = unit.frame(*entries);
                let mut clerk = Clerk { unit: &unit, frame: &frame, timer_ns, emit };
                for workload in workloads {
                    clerk.write(&engine, *workload, None, || {
                        workloads::run(*workload, &engine, &frame)
                    })?;
                }
            }
            if E::ENDS_WITH_PROCESS {
                std::mem::forget(engine);
            }
            Ok(())
        }
        Stage::Replay { trace } => {
            let passes = passes(unit, trace.as_ref(), unit.seed)?;
            let engine = E::open(&unit.config(passes.entries, KEY_LEN + TRACE_VALUE_LEN))?;
            let frame = unit.frame(0);
            let mut clerk = Clerk { unit, frame: &frame, timer_ns, emit };
            clerk.write(&engine, Workload::CacheAside, None, || {
                workloads::replay(&engine, &passes, &frame.values, unit.span())
            })?;
            Ok(())
        }
        Stage::Experiment(task) => experiments::measure::<E>(task, unit, emit),
        Stage::Files { home, step } => files::run::<E>(unit, home, step, emit),
    }
}

/// Touches and frees as much memory as the hungriest engine will need. A virtual machine may have lent its free memory to
/// its host, and touching it then takes many times as long: whichever engine came first would pay for it.
pub(crate) fn fetch_memory(bytes: u64) -> Result<()> {
    const WORDS_OF_A_PAGE: usize = 512;
    let bytes = usize::try_from(bytes).map_err(|_| Fault::new(format!("{bytes} bytes")))?;
    let memory = Words::zeroed(bytes / 8)?;
    for word in memory.get().iter().step_by(WORDS_OF_A_PAGE) {
        word.store(1, std::sync::atomic::Ordering::Relaxed);
    }
    Ok(())
}

pub(super) fn passes(
    unit: &Unit,
    file: Option<&PathBuf>,
    key_seed: u64,
) -> Result<workloads::Passes> {
    let requests = match file {
        Some(path) => trace::read(path)?,
        None => trace::generate(unit.seed),
    };
    Ok(workloads::passes(&requests, unit.threads, key_seed))
}
