//! A run: every engine introduced and checked, then blocks of units, each unit in a fresh process.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::child;
use super::progress::{Progress, describe};
use super::unit::{Stage, Unit};
use crate::engines::Listed;
use crate::engines::contract::{Durability, Home, Info, KEY_LEN};
use crate::experiments::Inputs;
use crate::fault::{Context, Fault, Result};
use crate::files::scratch::Scratch;
use crate::files::{Step, disk};
use crate::profile::{Profile, estimate_seconds};
use crate::record::environment::Environment;
use crate::record::file::Writer;
use crate::record::{End, Line, Run, SCHEMA, Skip, Trace};
use crate::report::format;
use crate::workloads::stream::{TRACE_VALUE_LEN, VALUE_LEN};
use crate::workloads::trace;

/// Hidden subcommands of measuring processes.
pub(crate) const INTRODUCE: &str = "__introduce";
pub(crate) const MEASURE: &str = "__measure";

/// What the person asked for.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) profile: &'static Profile,
    pub(crate) engines: Vec<&'static Listed>,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) inputs: Inputs,
    pub(crate) seed: u64,
    /// As it is repeated in the report.
    pub(crate) command: String,
}

/// Measures everything and writes it to `file` as it comes.
pub(crate) fn run(order: &Order, program: &Path, file: &Path) -> Result<()> {
    let started = Instant::now();
    let facts = trace_facts(order)?;
    let mut writer = Writer::create(file)?;
    writer.line(&Line::Run(Run {
        schema: SCHEMA,
        command: order.command.clone(),
        profile: order.profile.name.to_owned(),
        blocks: order.profile.blocks,
        seed: order.seed,
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        key_bytes: KEY_LEN as u64,
        value_bytes: VALUE_LEN as u64,
        trace: facts,
        environment: Environment::look(),
    }))?;
    let mut present = introduce(order, program, &mut writer)?;
    // Until the end of the run, which removes it.
    let scratch = match order.profile.files {
        Some(_) => Some(Scratch::below(&order.inputs.folder, "stores")?),
        None => None,
    };
    if let Some(scratch) = &scratch {
        writer.line(&Line::Place(disk::place(scratch.path())?))?;
        present.extend(introduce_files(order, scratch, program, &mut writer)?);
    }
    if present.is_empty() {
        return Err(Fault::new("none of the engines that were asked for is here"));
    }
    measure(order, &present, scratch.as_ref(), program, &mut writer)?;
    writer.line(&Line::End(End { seconds: started.elapsed().as_secs_f64() }))
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
        let home = Home { durability, folder: folder.clone() };
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
                writer.line(&Line::Skip(Skip { engine, durability, reason }))?;
            }
        }
    }
    Ok(present)
}

fn remove(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).context(|| format!("cannot remove {}", folder.display()))
}

fn measure(
    order: &Order,
    present: &[Present],
    scratch: Option<&Scratch>,
    program: &Path,
    writer: &mut Writer,
) -> Result<()> {
    let profile = order.profile;
    let trace = order.trace.as_deref();
    let units: Vec<Unit> = (0..profile.blocks)
        .flat_map(|block| profile.block(&order.engines, trace, &order.inputs, order.seed, block))
        .filter(|unit| {
            present.iter().any(|(listed, durability)| {
                listed.name == unit.engine && *durability == unit.durability()
            })
        })
        .collect();
    let seconds: f64 = units.iter().map(estimate_seconds).sum();
    eprintln!(
        "Profile {}: {} blocks, {} engines, {} measuring processes, about {} on the reference machine.",
        profile.name,
        profile.blocks,
        order.engines.len(),
        units.len(),
        format::duration(Duration::from_secs_f64(seconds))
    );
    let mut progress = Progress::new(&units, profile.blocks);
    let mut failed: Vec<(&str, Durability)> = Vec::new();
    for unit in &units {
        // An engine that failed once has no full set of pairs, and would take the others' time.
        let row = (unit.engine.as_str(), unit.durability());
        if failed.contains(&row) {
            progress.finish(unit);
            continue;
        }
        progress.start(unit);
        let outcome = match (&unit.stage, scratch) {
            (Stage::Files { home, step }, Some(scratch)) => {
                let folder = scratch.folder("measured")?;
                let home = Home { folder: folder.clone(), ..home.clone() };
                let stage = Stage::Files { home, step: step.clone() };
                let unit = Unit { stage, ..unit.clone() };
                let outcome = child::run(program, MEASURE, &unit, |line: Line| writer.line(&line));
                remove(&folder)?;
                outcome
            }
            _ => child::run(program, MEASURE, unit, |line: Line| writer.line(&line)),
        };
        if let Err(fault) = outcome {
            progress.say(&format!(
                "{} is left out from here on: {}: {fault}",
                unit.engine,
                describe(unit)
            ));
            let reason = format!("failed in block {}, {}: {fault}", unit.block + 1, describe(unit));
            let (engine, durability) = (unit.engine.clone(), unit.durability());
            writer.line(&Line::Skip(Skip { engine, durability, reason }))?;
            failed.push(row);
        }
        progress.finish(unit);
    }
    progress.end();
    Ok(())
}
