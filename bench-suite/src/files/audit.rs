//! Whether an engine does what its class promises: its syncs are counted, and it is killed in the middle of its work. What cannot be
//! tried here is a power cut; that a sync ended before the acknowledgement stands for it.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::trace;
use super::writer::{self, Fate, Writing};
use crate::engines::conformance::{Extent, check_files};
use crate::engines::contract::{Config, Durability, Engine, Home};
use crate::engines::small;
use crate::fault::{Context, Fault, Result};
use crate::measure::unit::{Emit, Unit};
use crate::record::Line;
use crate::record::environment::MALLOC_TUNABLE;
use crate::record::files::{Audit, FileStore, Killed, Syncs};

/// How long class D2 may lose, and what a busy machine may add to that.
const INTERVAL: f64 = 1.0;
const SLACK: f64 = 1.0;
/// In class D1 at most one set in so many may be synced: an engine that does more is measured slower than its class asks for.
const SETS_A_SYNC: u64 = 4;

/// More than is written in the time before a kill, so that no store that has a cap is full by then.
const BUDGET_BYTES: u64 = 1 << 29;

/// Opens a store and says how it is set, unaudited.
pub(super) fn describe<E: Engine>(home: &Home, emit: &mut Emit<'_>) -> Result<()> {
    E::available()?;
    let engine = E::open(&Config { home: Some(home.clone()), ..small(1) })?;
    let (durability, info) = (home.durability, engine.info());
    engine.close()?;
    emit(Line::FileStore(FileStore { durability, info, audit: None }))
}

/// Checks and audits an engine in its class, and introduces it if it passes.
pub(super) fn introduce<E: Engine>(unit: &Unit, home: &Home, emit: &mut Emit<'_>) -> Result<()> {
    E::available()?;
    let config = |name: &str| -> Result<Config> {
        let folder = home.folder.join(name);
        std::fs::create_dir(&folder)
            .context(|| format!("cannot make the folder {}", folder.display()))?;
        let home = Some(Home { folder, ..home.clone() });
        Ok(Config { home, budget_bytes: BUDGET_BYTES, ..small(1) })
    };
    let checked = config("checked")?;
    let engine = E::open(&checked)?;
    let info = engine.info();
    drop(engine);
    let durability = home.durability;
    if info.floor {
        return emit(Line::FileStore(FileStore { durability, info, audit: None }));
    }
    let extent = if durability == Durability::D3 { Extent::SYNCED } else { Extent::FULL };
    check_files::<E>(&checked, extent)?;
    let (syncs, unwatched) = match home_of(&config("watched")?).and_then(|home| watch(unit, &home))
    {
        Ok(syncs) => (Some(syncs), None),
        Err(fault) => (None, Some(fault.to_string())),
    };
    let killed = kill::<E>(unit, &config("killed")?)?;
    let audit = Audit { syncs, unwatched, killed };
    verdict(durability, &audit).map_err(|why| {
        Fault::new(format!(
            "{} is refused in class {}, which its audit contradicts: {why}",
            info.title,
            durability.name()
        ))
    })?;
    emit(Line::FileStore(FileStore { durability, info, audit: Some(audit) }))
}

fn home_of(config: &Config) -> Result<Home> {
    config.home.clone().ok_or_else(|| Fault::new("a store in files has a home"))
}

/// Counts the syncs of some sets, one after the other on one thread, long enough for a class that syncs every second.
fn watch(unit: &Unit, home: &Home) -> Result<Syncs> {
    let (sets, pause_us) = match home.durability {
        Durability::D2 => (600, 5000),
        Durability::D3 => (60, 0),
        _ => (500, 0),
    };
    let report = home.folder.with_extension("trace");
    let (program, arguments) = writer::command(unit, home, Writing::Marked { sets, pause_us })?;
    let output = Command::new("strace")
        .args(["-f", "-qq", "-ttt", "-s", "0", "--seccomp-bpf", "-e", "signal=none"])
        .args(["-e", &format!("trace={}", trace::TRACED), "-o"])
        .arg(&report)
        .arg(program)
        .args(arguments)
        .env(MALLOC_TUNABLE.0, MALLOC_TUNABLE.1)
        .stdin(Stdio::null())
        .output()
        .map_err(|_| Fault::new("strace is not installed; `apt-get install strace` brings it"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(Fault::new(format!("strace could not watch it: {}", words.trim())));
    }
    let text =
        std::fs::read_to_string(&report).context(|| format!("cannot read {}", report.display()))?;
    trace::syncs(&text, u64::from(sets))
}

/// Kills a process that writes, and looks for what it acknowledged.
fn kill<E: Engine>(unit: &Unit, config: &Config) -> Result<Killed> {
    let home = home_of(config)?;
    let fate = match home.durability {
        // Longer than the interval, so that something is past it.
        Durability::D2 => Fate { sets: 1 << 22, after: Duration::from_millis(2300) },
        _ => Fate { sets: 1 << 16, after: Duration::from_millis(400) },
    };
    let deceased = writer::kill(unit, &home, 0, config.budget_bytes, fate)?;
    let engine = E::open(config)?;
    let killed = deceased.judge(&engine, unit.seed)?;
    engine.close()?;
    Ok(killed)
}

/// What contradicts the class, in words.
pub(crate) fn verdict(durability: Durability, audit: &Audit) -> std::result::Result<(), String> {
    let Killed { acknowledged, lost, oldest_lost } = &audit.killed;
    if *acknowledged == 0 {
        return Err("it acknowledged nothing before it was killed".to_owned());
    }
    let too_old = match durability {
        Durability::D2 => *oldest_lost > INTERVAL + SLACK,
        _ => *lost > 0,
    };
    if too_old {
        return Err(format!(
            "after SIGKILL {lost} of {acknowledged} acknowledged sets were gone, the oldest {oldest_lost:.2} s old"
        ));
    }
    let Some(syncs) = &audit.syncs else {
        return Ok(());
    };
    let (sets, durable, gap) = (syncs.sets, syncs.durable(), syncs.longest_gap);
    match durability {
        Durability::D3 if durable < sets => {
            Err(format!("{durable} syncs for {sets} sets that were acknowledged one by one"))
        }
        Durability::D2 if gap > INTERVAL + SLACK => {
            Err(format!("{gap:.2} s went by without a sync while it wrote"))
        }
        Durability::D1 | Durability::D2 if durable * SETS_A_SYNC > sets => {
            Err(format!("{durable} syncs for {sets} sets are more than the class asks for"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(durable: u64, longest_gap: f64, lost: u64, oldest_lost: f64) -> Audit {
        let calls = [("fdatasync".to_owned(), durable), ("sync_file_range".to_owned(), 999)].into();
        let syncs = Syncs { sets: 100, seconds: 2.5, calls, longest_gap };
        let killed = Killed { acknowledged: 1000, lost, oldest_lost };
        Audit { syncs: Some(syncs), unwatched: None, killed }
    }

    #[test]
    fn each_class_has_its_own_contradictions() {
        use Durability::{D1, D2, D3};
        let cases = [
            (D1, audit(0, 2.5, 0, 0.0), true),
            (D1, audit(0, 2.5, 1, 0.0001), false),
            (D1, audit(100, 0.1, 0, 0.0), false),
            (D2, audit(2, 1.1, 0, 0.0), true),
            (D2, audit(2, 1.1, 500, 0.9), true),
            (D2, audit(2, 1.1, 500, 2.1), false),
            (D2, audit(0, 2.5, 0, 0.0), false),
            (D3, audit(100, 0.1, 0, 0.0), true),
            (D3, audit(99, 0.1, 0, 0.0), false),
            (D3, audit(100, 0.1, 1, 0.0), false),
        ];
        for (durability, audit, passes) in cases {
            assert_eq!(verdict(durability, &audit).is_ok(), passes, "{durability:?} {audit:?}");
        }
    }

    #[test]
    fn who_was_not_watched_is_judged_by_the_kill_alone() {
        let unwatched = |lost| Audit { syncs: None, ..audit(0, 0.0, lost, 0.0) };
        assert!(verdict(Durability::D3, &unwatched(0)).is_ok());
        assert!(verdict(Durability::D3, &unwatched(3)).is_err());
        let mut silent = unwatched(0);
        silent.killed.acknowledged = 0;
        assert!(verdict(Durability::D1, &silent).is_err());
    }
}
