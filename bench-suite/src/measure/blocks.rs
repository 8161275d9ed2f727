//! A run: every engine introduced and checked, then blocks of units, each unit in a fresh process.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::cage::{Cage, OutOfMemory};
use super::child;
use super::process::{self, MachineTime};
use super::progress::{Progress, describe};
use super::unit::{Stage, Unit};
use crate::cells;
use crate::engines::Listed;
use crate::engines::contract::{Durability, Home, Info, KEY_LEN};
use crate::experiments::Inputs;
use crate::fault::{Context, Fault, Result};
use crate::files::beyond::Excess;
use crate::files::scratch::Scratch;
use crate::files::{Step, disk};
use crate::profile::{Profile, estimate_seconds};
use crate::record::environment::Environment;
use crate::record::file::{Begun, Record, Writer};
use crate::record::{self, Block, End, Line, Resume, Run, Skip, Trace};
use crate::report::format;
use crate::workloads::stream::{TRACE_VALUE_LEN, VALUE_LEN};
use crate::workloads::trace;

/// Hidden subcommands of measuring processes.
pub(crate) const INTRODUCE: &str = "__introduce";
pub(crate) const MEASURE: &str = "__measure";

/// Data that memory cannot hold is loaded at the pace of the disk, which may be many times slower than expected.
const LOADING_LIMIT: Duration = Duration::from_secs(300);

/// What the person asked for.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) profile: &'static Profile,
    pub(crate) engines: Vec<&'static Listed>,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) inputs: Inputs,
    pub(crate) seed: u64,
    /// Texts in the names of the cells that were chosen; none: all.
    pub(crate) cells: Vec<String>,
    /// Whether to go on behind what an interrupted run has measured.
    pub(crate) resumes: bool,
    /// As it is repeated in the report, and as this program was given it, the seed added.
    pub(crate) command: String,
    pub(crate) arguments: Vec<String>,
}

/// Measures everything and writes it to `file` as it comes, behind the blocks that are in it already if the order resumes.
pub(crate) fn run(order: &Order, program: &Path, file: &Path) -> Result<()> {
    let started = Instant::now();
    let limits = limits(order, program)?;
    // Until the end of the run, which removes it.
    let scratch = Scratch::below(&order.inputs.folder, "stores")?;
    let begun = match order.resumes && file.exists() {
        true => begun(order, file)?,
        false => None,
    };
    let (mut writer, present, failed, blocks, seconds) = match begun {
        Some(begun) => {
            let mut writer = Writer::behind(file, begun.bytes)?;
            let (block, load_average) = (begun.blocks, process::load_average());
            eprintln!(
                "Goes on behind block {block} of {} in {}",
                order.profile.blocks,
                file.display()
            );
            writer.line(&Line::Resume(Resume { block, started: now(), load_average }))?;
            let (present, failed) = (still_present(order, &begun.record), failed(&begun.record));
            (writer, present, failed, begun.blocks, begun.seconds)
        }
        None => {
            let mut writer = Writer::create(file)?;
            writer.line(&Line::Run(Box::new(first_line(order)?)))?;
            writer.line(&Line::Place(disk::place(scratch.path())?))?;
            let mut present = introduce(order, program, &mut writer)?;
            present.extend(introduce_files(order, &scratch, program, &mut writer)?);
            (writer, present, Vec::new(), 0, 0.0)
        }
    };
    if present.is_empty() {
        return Err(Fault::new("none of the engines that were asked for is here"));
    }
    let plan = Plan { order, present: &present, limits, scratch: &scratch, program };
    plan.measure(blocks, failed, &mut writer)?;
    writer.line(&Line::End(End { seconds: seconds + started.elapsed().as_secs_f64() }))
}

/// Whether memory can be limited here, if anything of the order asks for that. Where it cannot, that is not measured, and the rest is.
fn limits(order: &Order, program: &Path) -> Result<bool> {
    let Order { profile, engines, trace, inputs, seed, .. } = order;
    let Some(beyond) = &profile.beyond else { return Ok(true) };
    let units = profile.block(engines, trace.as_deref(), inputs, *seed, 0);
    let mut units = units.iter().filter(|unit| cells::unit_chosen(unit, &order.cells));
    if !units.any(Unit::is_limited) {
        return Ok(true);
    }
    match Cage::new(program, beyond.limit_bytes(inputs)) {
        Ok(_) => Ok(true),
        Err(fault) => {
            let why = format!(
                "Larger than memory: not measured, since memory cannot be limited here: {fault}"
            );
            if units.all(Unit::is_limited) {
                return Err(Fault::new(why));
            }
            eprintln!("{why}");
            Ok(false)
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn first_line(order: &Order) -> Result<Run> {
    Ok(Run {
        command: order.command.clone(),
        arguments: order.arguments.clone(),
        profile: order.profile.name.to_owned(),
        blocks: order.profile.blocks,
        seed: order.seed,
        started: now(),
        key_bytes: KEY_LEN as u64,
        value_bytes: VALUE_LEN as u64,
        trace: trace_facts(order)?,
        environment: Environment::look(),
    })
}

/// What an interrupted run of the same order left; a fault where the file holds anything else, which is not to be overwritten.
fn begun(order: &Order, file: &Path) -> Result<Option<Begun>> {
    let Some(begun) = record::file::begun(file)? else { return Ok(None) };
    let (run, here) = (&begun.record.run, Environment::look());
    let there = &run.environment;
    let other = [
        ("command", run.arguments.join(" "), order.arguments.join(" ")),
        ("revision", there.git_revision.clone(), here.git_revision),
        ("compiler", there.rustc.clone(), here.rustc),
        ("processor", there.cpu.clone(), here.cpu),
    ];
    let refused = |why| Fault::new(format!("{} {why}; give another --out", file.display()));
    if let Some((what, theirs, ours)) = other.iter().find(|(_, theirs, ours)| theirs != ours) {
        return Err(refused(format!("was begun with another {what}: {theirs} there, {ours} here")));
    }
    if begun.record.seconds.is_some() {
        return Err(refused("is complete".to_owned()));
    }
    Ok(Some(begun))
}

/// Whoever was introduced, and has not failed in a block that is whole.
fn still_present(order: &Order, record: &Record) -> Vec<Present> {
    let (profile, inputs) = (order.profile, &order.inputs);
    let volatile = order.engines.iter().filter(|listed| profile.volatile(listed, inputs));
    volatile
        .map(|listed| (*listed, Durability::D0))
        .chain(profile.in_files(&order.engines, inputs))
        .filter(|(listed, class)| {
            !record
                .skipped
                .iter()
                .filter(|skip| skip.experiment.is_none())
                .any(|skip| skip.engine == listed.name && skip.durability == *class)
        })
        .collect()
}

/// Who failed in a part alone.
fn failed(record: &Record) -> Vec<Row> {
    let skipped = record.skipped.iter().filter(|skip| skip.experiment.is_some());
    skipped.map(|skip| (skip.engine.clone(), skip.durability, true)).collect()
}

fn trace_facts(order: &Order) -> Result<Trace> {
    let (name, requests) = match &order.trace {
        Some(path) => (
            path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            trace::read(path)?,
        ),
        None => (
            "generated: Zipf 0.9 over a moving window of 40,000 keys".to_owned(),
            trace::generate(order.seed),
        ),
    };
    Ok(Trace {
        name,
        requests: requests.len() as u64,
        distinct_keys: trace::distinct(&requests) as u64,
        value_bytes: TRACE_VALUE_LEN as u64,
    })
}

/// An engine in a class.
type Present = (&'static Listed, Durability);
/// What goes on or is left out together: an engine in a class, and whether under a limit of memory.
type Row = (String, Durability, bool);
/// The name of what is measured so.
const BEYOND_MEMORY: &str = "beyond-memory";

/// Holds every engine to its contract, in a process of its own; who is missing or fails is left out with one line.
fn introduce(order: &Order, program: &Path, writer: &mut Writer) -> Result<Vec<Present>> {
    let mut present = Vec::new();
    for listed in
        order.engines.iter().filter(|listed| order.profile.volatile(listed, &order.inputs))
    {
        let mut infos: Vec<Info> = Vec::new();
        let outcome = child::run(program, INTRODUCE, &listed.name, |info| {
            infos.push(info);
            Ok(())
        });
        match outcome {
            Ok(()) => {
                present.push((*listed, Durability::D0));
                for info in infos {
                    writer.line(&Line::Engine(info))?;
                }
            }
            Err(fault) => {
                eprintln!("{} is left out: {fault}", listed.name);
                writer.line(&Line::Skip(Skip {
                    engine: listed.name.to_owned(),
                    durability: Durability::D0,
                    experiment: None,
                    reason: fault.to_string(),
                }))?;
            }
        }
    }
    Ok(present)
}

/// Holds every engine to its contract and to its class in files.
fn introduce_files(
    order: &Order,
    scratch: &Scratch,
    program: &Path,
    writer: &mut Writer,
) -> Result<Vec<Present>> {
    let mut present = Vec::new();
    for (listed, durability) in order.profile.in_files(&order.engines, &order.inputs) {
        let folder = scratch.folder("introduced")?;
        let home = Home { durability, folder: folder.clone(), stock: listed.is_stock() };
        let unit = Unit {
            engine: listed.name.to_owned(),
            stage: Stage::Files { home, step: Step::Introduce },
            threads: 1,
            block: 0,
            position: 0,
            seed: order.seed,
            span_ms: 0,
            stream_len: 0,
        };
        eprintln!("Class {}: checking and auditing {}", durability.name(), listed.name);
        let outcome = child::run(program, MEASURE, &unit, |line: Line| writer.line(&line));
        remove(&folder)?;
        match outcome {
            Ok(()) => present.push((listed, durability)),
            Err(fault) => {
                eprintln!("{} is left out in class {}: {fault}", listed.name, durability.name());
                let (engine, reason) = (listed.name.to_owned(), fault.to_string());
                let experiment = None;
                writer.line(&Line::Skip(Skip { engine, durability, experiment, reason }))?;
            }
        }
    }
    Ok(present)
}

fn remove(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).context(|| format!("cannot remove {}", folder.display()))
}

/// What is measured, and how.
struct Plan<'a> {
    order: &'a Order,
    present: &'a [Present],
    /// Whether memory can be limited.
    limits: bool,
    scratch: &'a Scratch,
    program: &'a Path,
}

impl Plan<'_> {
    fn units(&self, block: u32) -> Vec<Unit> {
        let Order { profile, engines, trace, inputs, seed, .. } = self.order;
        let mut units = profile.block(engines, trace.as_deref(), inputs, *seed, block);
        units.retain(|unit| cells::unit_chosen(unit, &self.order.cells));
        units.retain(|unit| self.limits || !unit.is_limited());
        units.retain(|unit| {
            self.present.iter().any(|(listed, durability)| {
                listed.name == unit.engine && *durability == unit.durability()
            })
        });
        units
    }

    /// Measures the blocks from `first` on, but for who has failed before.
    fn measure(&self, first: u32, mut failed: Vec<Row>, writer: &mut Writer) -> Result<()> {
        let profile = self.order.profile;
        let blocks: Vec<(u32, Vec<Unit>)> =
            (first..profile.blocks).map(|block| (block, self.units(block))).collect();
        let units: Vec<&Unit> = blocks.iter().flat_map(|(_, units)| units).collect();
        if units.is_empty() {
            return Err(Fault::new(
                "--cells: no cell of this profile and these engines has such a name",
            ));
        }
        let seconds: f64 = units.iter().map(|unit| estimate_seconds(unit)).sum();
        eprintln!(
            "Profile {}: {} blocks, {} engines, {} measuring processes, about {} on the reference machine.",
            profile.name,
            blocks.len(),
            self.order.engines.len(),
            units.len(),
            format::duration(Duration::from_secs_f64(seconds))
        );
        let mut progress = Progress::new(&units, profile.blocks);
        for (block, units) in &blocks {
            let (started, machine) = (Instant::now(), MachineTime::now());
            for unit in units {
                // An engine that failed once has no full set of pairs, and would take the others' time.
                let row = (unit.engine.clone(), unit.durability(), unit.is_limited());
                if !failed.contains(&row) {
                    progress.start(unit);
                    if let Err(fault) = self.unit(unit, writer) {
                        let what = describe(unit);
                        progress.say(&format!(
                            "{} is left out from here on: {what}: {fault}",
                            unit.engine
                        ));
                        let reason = format!("failed in block {}, {what}: {fault}", block + 1);
                        let (engine, durability, limited) = row.clone();
                        let experiment = limited.then(|| BEYOND_MEMORY.to_owned());
                        writer.line(&Line::Skip(Skip {
                            engine,
                            durability,
                            experiment,
                            reason,
                        }))?;
                        failed.push(row);
                    }
                }
                progress.finish(unit);
            }
            writer.line(&Line::Block(Block {
                block: *block,
                seconds: started.elapsed().as_secs_f64(),
                steal_percent: MachineTime::now().steal_percent_since(machine),
            }))?;
        }
        progress.end();
        Ok(())
    }

    fn unit(&self, unit: &Unit, writer: &mut Writer) -> Result<()> {
        let mut write = |line: Line| writer.line(&line);
        let Stage::Files { home, step } = &unit.stage else {
            return child::run(self.program, MEASURE, unit, write);
        };
        let folder = self.scratch.folder("measured")?;
        let home = Home { folder: folder.clone(), ..home.clone() };
        let placed = |step| Unit { stage: Stage::Files { home, step }, ..unit.clone() };
        let outcome = match step {
            Step::Beyond(excess) => self.limited(&unit.engine, excess, placed, &mut write),
            step => child::run(self.program, MEASURE, &placed(step.clone()), &mut write),
        };
        remove(&folder)?;
        outcome
    }

    /// Measures a unit in a control group of its own.
    fn limited(
        &self,
        engine: &str,
        excess: &Excess,
        placed: impl FnOnce(Step) -> Unit,
        write: impl FnMut(Line) -> Result<()>,
    ) -> Result<()> {
        let limit_bytes = excess.limit_bytes;
        let cage = Cage::new(self.program, limit_bytes)?;
        let unit = placed(Step::Beyond(Excess { door: cage.door(), ..excess.clone() }));
        let limit = 2 * Duration::from_secs_f64(estimate_seconds(&unit)) + LOADING_LIMIT;
        // Without huge pages, which would fill a small memory with what nobody asked for.
        child::run_for(limit, &[], self.program, MEASURE, &unit, write).map_err(|fault| {
            let engine = engine.to_owned();
            if cage.has_killed() { OutOfMemory { engine, limit_bytes }.into() } else { fault }
        })
    }
}
