//! A process that writes for another one: between marks that its trace shows, or until it is killed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Step;
use crate::engines::contract::{Config, Engine, Home, Session};
use crate::engines::small;
use crate::fault::{Context, Fault, Result};
use crate::measure::blocks::MEASURE;
use crate::measure::unit::{Stage, Unit};
use crate::record::environment::MALLOC_TUNABLE;
use crate::record::files::Killed;
use crate::workloads::stream::{Values, entry_keys};

/// How a writer writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Writing {
    /// So many sets between two marks, with a pause after each.
    Marked { sets: u32, pause_us: u64 },
    /// Sets of entries from `first` on, at most `most` of them; the time of each acknowledgement goes into the file `log`, which
    /// survives the process as whatever was written to a file does.
    Endless { first: u32, most: u32, budget_bytes: u64, log: PathBuf },
}

/// Makes a line in a trace of system calls: nothing else syncs descriptor -1.
fn mark() {
    // SAFETY: a plain system call, which refuses this descriptor.
    let _ = unsafe { libc::fsync(-1) };
}

/// Nanoseconds of a clock that all processes share.
fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a live place for the answer.
    let _ = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

pub(super) fn run<E: Engine>(unit: &Unit, home: &Home, writing: &Writing) -> Result<()> {
    let budget_bytes = match writing {
        Writing::Marked { .. } => small(1).budget_bytes,
        Writing::Endless { budget_bytes, .. } => *budget_bytes,
    };
    let engine = E::open(&Config { home: Some(home.clone()), budget_bytes, ..small(1) })?;
    let (keys, values) = (entry_keys(unit.seed), Values::new(unit.seed));
    let mut session = engine.session()?;
    match writing {
        Writing::Marked { sets, pause_us } => {
            mark();
            for entry in 0..*sets {
                session.set(&keys.key(entry), values.at(entry))?;
                std::thread::sleep(Duration::from_micros(*pause_us));
            }
            mark();
            drop(session);
            engine.close()
        }
        Writing::Endless { first, most, log, .. } => {
            let log = File::create(log).context(|| format!("cannot make {}", log.display()))?;
            for (place, entry) in (0..).zip(*first..*first + *most) {
                session.set(&keys.key(entry), values.at(entry))?;
                log.write_all_at(&now_ns().to_le_bytes(), place * 8)
                    .context(|| "cannot write the log of acknowledgements".to_owned())?;
            }
            // Until the kill, or the end of the process that was to kill it.
            let parent = std::os::unix::process::parent_id();
            while std::os::unix::process::parent_id() == parent {
                std::thread::sleep(Duration::from_millis(100));
            }
            Ok(())
        }
    }
}

/// The command that starts a writer for a unit's engine.
pub(super) fn command(
    unit: &Unit,
    home: &Home,
    writing: Writing,
) -> Result<(PathBuf, [String; 2])> {
    let program =
        std::env::current_exe().context(|| "cannot find this program's own file".to_owned())?;
    let stage = Stage::Files { home: home.clone(), step: Step::Write(writing) };
    let unit = Unit { stage, ..unit.clone() };
    let order = serde_json::to_string(&unit).context(|| "cannot write an order".to_owned())?;
    Ok((program, [MEASURE.to_owned(), order]))
}

/// What a killed writer left: when each of its sets was acknowledged, and when it was killed.
#[derive(Debug)]
pub(super) struct Deceased {
    first: u32,
    acknowledged_ns: Vec<u64>,
    killed_ns: u64,
}

/// When a writer is killed: after so many sets, or so long after it began to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) sets: usize,
    pub(super) after: Duration,
}

/// A writer that has not begun by then never will.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);

/// Starts a writer, and kills it with SIGKILL in the middle of its work.
pub(super) fn kill(
    unit: &Unit,
    home: &Home,
    first: u32,
    budget_bytes: u64,
    fate: Fate,
) -> Result<Deceased> {
    let log = home.folder.with_extension("log");
    // More than will be written before the end comes.
    let most = u32::try_from(4 * fate.sets).unwrap_or(u32::MAX / 2);
    let writing = Writing::Endless { first, most, budget_bytes, log: log.clone() };
    let (program, arguments) = command(unit, home, writing)?;
    let mut child = Command::new(program)
        .args(arguments)
        .env(MALLOC_TUNABLE.0, MALLOC_TUNABLE.1)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context(|| "cannot start a writer".to_owned())?;
    let outcome = await_fate(&mut child, &log, fate);
    let killed_ns = now_ns();
    // It may have ended already, which the outcome tells.
    let _ = child.kill();
    let ended = child.wait_with_output().context(|| "cannot wait for a writer".to_owned())?;
    outcome.map_err(|fault| {
        Fault::new(format!("{fault} {}", String::from_utf8_lossy(&ended.stderr).trim()))
    })?;
    let bytes = std::fs::read(&log).context(|| format!("cannot read {}", log.display()))?;
    std::fs::remove_file(&log).context(|| format!("cannot remove {}", log.display()))?;
    let times = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    Ok(Deceased { first, acknowledged_ns: times.collect(), killed_ns })
}

fn await_fate(child: &mut Child, log: &Path, fate: Fate) -> Result<()> {
    let started = Instant::now();
    let mut begun: Option<Instant> = None;
    loop {
        let sets = log.metadata().map_or(0, |facts| facts.len() / 8);
        if sets > 0 && begun.is_none() {
            begun = Some(Instant::now());
        }
        if sets >= fate.sets as u64 || begun.is_some_and(|begun| begun.elapsed() >= fate.after) {
            return Ok(());
        }
        if child.try_wait().context(|| "cannot wait for a writer".to_owned())?.is_some() {
            return Err(Fault::new("a writer ended by itself:"));
        }
        if begun.is_none() && started.elapsed() > BEGIN_LIMIT {
            return Err(Fault::new("a writer did not begin to write."));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

impl Deceased {
    /// Looks for every acknowledged set.
    pub(super) fn judge<E: Engine>(&self, engine: &E, seed: u64) -> Result<Killed> {
        let (keys, values) = (entry_keys(seed), Values::new(seed));
        let mut session = engine.session()?;
        let mut out = Vec::new();
        let mut killed =
            Killed { acknowledged: self.acknowledged_ns.len() as u64, lost: 0, oldest_lost: 0.0 };
        for (entry, at_ns) in (self.first..).zip(&self.acknowledged_ns) {
            if !session.get(&keys.key(entry), &mut out)? || out != values.at(entry) {
                killed.lost += 1;
                let age = self.killed_ns.saturating_sub(*at_ns) as f64 / 1e9;
                killed.oldest_lost = killed.oldest_lost.max(age);
            }
        }
        Ok(killed)
    }
}
