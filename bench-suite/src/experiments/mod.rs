//! Experiments on what caches and full stores do, one file each. Unlike a workload, an experiment opens its stores itself, under the
//! condition that it is about.

mod eviction;
mod growth;
mod hit_ratio;
mod hot_key;
pub(crate) mod latency;
mod overwrite;
mod room;
mod slope;
mod value_size;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::engines::contract::{Durability, Engine, Home};
use crate::fault::Result;
use crate::measure::process::{self, MachineTime};
use crate::measure::unit::{Emit, Unit};
use crate::record::Line;
use crate::record::trial::{Finding, Sizes, Trial};

/// The experiments, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Experiment {
    HitRatio,
    Eviction,
    Growth,
    HotKey,
    Overwrite,
    Memory,
    Latency,
    ValueSize,
}

/// How full the budget is when a store is overwritten, in per cent.
const FILLS: [u32; 3] = [50, 75, 90];
/// At which of these the stores without a budget take part, once.
const FILL_OF_PEERS: u32 = 75;

impl Experiment {
    pub(crate) const ALL: [Experiment; 8] = [
        Experiment::HitRatio,
        Experiment::Eviction,
        Experiment::Growth,
        Experiment::HotKey,
        Experiment::Overwrite,
        Experiment::Memory,
        Experiment::Latency,
        Experiment::ValueSize,
    ];

    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Experiment::HitRatio => "hit-ratio",
            Experiment::Eviction => "eviction",
            Experiment::Growth => "growth",
            Experiment::HotKey => "hot-key",
            Experiment::Overwrite => "overwrite",
            Experiment::Memory => "memory",
            Experiment::Latency => "latency",
            Experiment::ValueSize => "value-size",
        }
    }

    pub(crate) fn find(name: &str) -> Option<Experiment> {
        Experiment::ALL.into_iter().find(|experiment| experiment.name() == name)
    }

    /// Names of the engines that take part.
    pub(crate) fn engines(self) -> &'static [&'static str] {
        match self {
            Experiment::HitRatio => &["nyala", "quick_cache", "moka", "lru", "s3fifo"],
            Experiment::Eviction => &["nyala", "quick_cache", "moka", "lru"],
            Experiment::Growth => &["nyala", "hashbrown", "dashmap", "papaya", "moka"],
            Experiment::Overwrite => &["nyala", "hashbrown", "dashmap", "papaya", "scc"],
            Experiment::Latency => &["nyala", "hashbrown", "dashmap", "papaya", "noop"],
            Experiment::ValueSize => {
                &["nyala", "hashbrown", "dashmap", "papaya", "quick_cache", "moka"]
            }
            Experiment::HotKey | Experiment::Memory => {
                &["nyala", "hashbrown", "dashmap", "papaya", "scc", "quick_cache", "moka"]
            }
        }
    }

    /// What is measured in every block, with how many threads.
    pub(crate) fn tasks(self, form: &Form, inputs: &Inputs) -> Vec<(Task, usize)> {
        match self {
            Experiment::HitRatio => {
                let task =
                    Task::HitRatio { traces: inputs.traces.clone(), longest: form.longest_trace };
                vec![(task, 1)]
            }
            Experiment::Eviction => {
                [1, 2].map(|threads| (Task::Eviction { keys: form.cached_keys }, threads)).into()
            }
            Experiment::Growth => {
                let entries = inputs.growth_entries.unwrap_or(form.growth_entries);
                vec![(Task::Growth { entries }, 1)]
            }
            Experiment::HotKey => vec![(Task::HotKey, 1)],
            Experiment::Overwrite => [Sizes::Equal, Sizes::Mixed]
                .into_iter()
                .flat_map(|sizes| FILLS.map(|fill_percent| (fill_percent, sizes)))
                .map(|(fill_percent, sizes)| {
                    (Task::Overwrite { room_bytes: form.room_bytes, fill_percent, sizes }, 1)
                })
                .collect(),
            Experiment::Memory => {
                form.memory_entries.map(|entries| (Task::Memory { entries }, 1)).into()
            }
            Experiment::Latency => vec![(Task::Latency { entries: form.latency_entries }, 1)],
            Experiment::ValueSize => value_size::SIZES
                .map(|value_bytes| {
                    (Task::ValueSize { total_bytes: form.sized_bytes, value_bytes }, 1)
                })
                .into(),
        }
    }
}

/// Sizes of all experiments: how long they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Traces from files with more requests are left out; the generated one is cut.
    pub(crate) longest_trace: usize,
    /// Keys that are asked for where a tenth of them has room.
    pub(crate) cached_keys: u32,
    pub(crate) growth_entries: u32,
    /// The budget of stores that are overwritten.
    pub(crate) room_bytes: u64,
    pub(crate) memory_entries: [u32; 4],
    /// Entries of a store whose latencies are measured, and milliseconds at each rate.
    pub(crate) latency_entries: u32,
    pub(crate) latency_span_ms: u64,
    /// Bytes of all keys and values where their size varies, and milliseconds of a timed cell.
    pub(crate) sized_bytes: u64,
    pub(crate) sized_span_ms: u64,
    /// Milliseconds of a timed cell.
    pub(crate) span_ms: u64,
    /// Milliseconds of a timed cell of the hot key, of which one process has ten.
    pub(crate) hot_span_ms: u64,
    /// Operations in a thread's stream.
    pub(crate) stream_len: usize,
}

/// What the command line adds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    pub(crate) experiments: Vec<Experiment>,
    /// The folder of traces; without one, a trace is generated.
    pub(crate) traces: Option<PathBuf>,
    pub(crate) growth_entries: Option<u32>,
    /// Durability classes of stores in files.
    pub(crate) classes: Vec<Durability>,
    pub(crate) file_entries: Option<u32>,
    /// What a process may take of memory where its data is larger.
    pub(crate) limit_bytes: Option<u64>,
    /// The folder in which stores in files get theirs.
    pub(crate) folder: PathBuf,
}

impl Inputs {
    /// Of every experiment and class.
    pub(crate) fn everything() -> Inputs {
        Inputs {
            experiments: Experiment::ALL.to_vec(),
            classes: Durability::OF_FILES.to_vec(),
            ..Inputs::default()
        }
    }
}

/// What one process measures of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Task {
    HitRatio { traces: Option<PathBuf>, longest: usize },
    Eviction { keys: u32 },
    Growth { entries: u32 },
    HotKey,
    Overwrite { room_bytes: u64, fill_percent: u32, sizes: Sizes },
    Memory { entries: u32 },
    Latency { entries: u32 },
    ValueSize { total_bytes: u64, value_bytes: u32 },
}

impl Task {
    pub(crate) fn experiment(&self) -> Experiment {
        match self {
            Task::HitRatio { .. } => Experiment::HitRatio,
            Task::Eviction { .. } => Experiment::Eviction,
            Task::Growth { .. } => Experiment::Growth,
            Task::HotKey => Experiment::HotKey,
            Task::Overwrite { .. } => Experiment::Overwrite,
            Task::Memory { .. } => Experiment::Memory,
            Task::Latency { .. } => Experiment::Latency,
            Task::ValueSize { .. } => Experiment::ValueSize,
        }
    }

    pub(crate) fn includes(&self, engine: &str) -> bool {
        let budgeted = engine == "nyala";
        self.experiment().engines().contains(&engine)
            && match self {
                Task::Overwrite { fill_percent, .. } => budgeted || *fill_percent == FILL_OF_PEERS,
                _ => true,
            }
    }

    /// Whether the first block says it all: sizes hardly vary from run to run.
    pub(crate) fn once(&self) -> bool {
        matches!(self, Task::Memory { .. })
    }

    /// In words, for the person who waits.
    pub(crate) fn describe(&self) -> String {
        let name = self.experiment().name();
        match self {
            Task::Growth { entries } | Task::Memory { entries } | Task::Latency { entries } => {
                format!("{name}, {}", crate::report::format::entries(*entries))
            }
            Task::Overwrite { fill_percent, sizes: Sizes::Equal, .. } => {
                format!("{name}, {fill_percent} % full, equal sizes")
            }
            Task::Overwrite { fill_percent, sizes: Sizes::Mixed, .. } => {
                format!("{name}, {fill_percent} % full, mixed sizes")
            }
            Task::ValueSize { value_bytes, .. } => {
                format!("{name}, {}", crate::report::format::value_size(*value_bytes))
            }
            Task::HitRatio { .. } | Task::Eviction { .. } | Task::HotKey => name.to_owned(),
        }
    }

    /// Seconds that a unit takes on the reference machine, its process apart; `set_ns` is what an engine takes for a set.
    pub(crate) fn estimate_seconds(&self, unit: &Unit, set_ns: f64) -> f64 {
        /// Requests of the traces that this crate was developed with, over all capacities.
        const REQUESTS: f64 = 6.5e6;
        let span = unit.span_ms as f64 / 1e3;
        let stream = unit.stream_len as f64 * unit.threads as f64;
        match self {
            Task::HitRatio { longest, .. } => {
                REQUESTS.min(*longest as f64 * 5.0) * set_ns / 1e9 + 0.1
            }
            Task::Eviction { .. } => stream * (60.0 + set_ns) / 1e9 + span,
            Task::Growth { entries } => f64::from(*entries) * (set_ns + 60.0) / 1e9,
            Task::Memory { entries } => f64::from(*entries) * (set_ns + 40.0) / 1e9,
            Task::Latency { entries } => {
                f64::from(*entries) * (set_ns + 60.0) / 1e9 + 6.0 * span + stream * 120.0 / 1e9
            }
            Task::ValueSize { total_bytes, value_bytes } => {
                // A nanosecond a byte: fetched, copied and given back.
                let entries = f64::from(value_size::entries(*total_bytes, *value_bytes));
                (entries * (set_ns + 60.0) + *total_bytes as f64 + stream * 60.0) / 1e9 + 2.0 * span
            }
            Task::HotKey => 2.0 * hot_key::THREADS.len() as f64 * (span + 0.002),
            Task::Overwrite { room_bytes, fill_percent, sizes } => {
                let entries = *room_bytes as f64 * f64::from(*fill_percent)
                    / 100.0
                    / overwrite::entry_bytes(*sizes) as f64;
                (stream * 60.0 + entries * 3.0 * set_ns) / 1e9 + span
            }
        }
    }
}

/// Adds to each finding whose it is and what the machine did meanwhile.
pub(crate) struct Notebook<'a, 'b> {
    unit: &'a Unit,
    since: MachineTime,
    emit: &'a mut Emit<'b>,
}

impl<'a, 'b> Notebook<'a, 'b> {
    pub(crate) fn new(unit: &'a Unit, emit: &'a mut Emit<'b>) -> Notebook<'a, 'b> {
        Notebook { unit, since: MachineTime::now(), emit }
    }

    pub(crate) fn write(&mut self, finding: Finding) -> Result<()> {
        let now = MachineTime::now();
        let steal_percent = now.steal_percent_since(self.since);
        self.since = now;
        (self.emit)(Line::Trial(Trial {
            engine: self.unit.engine.clone(),
            block: self.unit.block,
            position: self.unit.position,
            steal_percent,
            load_average: process::load_average(),
            finding,
        }))
    }
}

/// Measures the latencies of a store in files.
pub(crate) fn measure_latency<E: Engine>(
    unit: &Unit,
    home: &Home,
    entries: u32,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let mut notebook = Notebook::new(unit, emit);
    latency::measure::<E>(unit, Some(home), entries, |found| {
        notebook.write(Finding::Latency(found))
    })
}

/// Measures a task of an engine that lives in this process.
pub(crate) fn measure<E: Engine>(task: &Task, unit: &Unit, emit: &mut Emit<'_>) -> Result<()> {
    let mut notebook = Notebook::new(unit, emit);
    match task {
        Task::HitRatio { traces, longest } => {
            hit_ratio::measure::<E>(unit, traces.as_deref(), *longest, &mut notebook)
        }
        Task::Eviction { keys } => eviction::measure::<E>(unit, *keys, &mut notebook),
        Task::Growth { entries } => growth::measure::<E>(unit, *entries, &mut notebook),
        Task::HotKey => hot_key::measure::<E>(unit, &mut notebook),
        Task::Overwrite { room_bytes, fill_percent, sizes } => {
            let condition = overwrite::Condition {
                room_bytes: *room_bytes,
                fill_percent: *fill_percent,
                sizes: *sizes,
            };
            overwrite::measure::<E>(unit, condition, &mut notebook)
        }
        Task::Memory { entries } => slope::measure::<E>(unit, *entries, &mut notebook),
        Task::ValueSize { total_bytes, value_bytes } => {
            value_size::measure::<E>(unit, *total_bytes, *value_bytes, &mut notebook)
        }
        Task::Latency { entries } => latency::measure::<E>(unit, None, *entries, |found| {
            notebook.write(Finding::Latency(found))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_of_an_experiment_is_in_the_list() {
        for experiment in Experiment::ALL {
            assert_eq!(Experiment::find(experiment.name()), Some(experiment));
            for engine in experiment.engines() {
                assert!(crate::engines::find(engine).is_some(), "{engine}");
            }
        }
    }

    #[test]
    fn stores_without_a_budget_are_overwritten_once_a_block() {
        let fills = |engine| {
            FILLS
                .into_iter()
                .filter(|fill_percent| {
                    let sizes = Sizes::Equal;
                    Task::Overwrite { room_bytes: 1, fill_percent: *fill_percent, sizes }
                        .includes(engine)
                })
                .count()
        };
        assert_eq!((fills("nyala"), fills("papaya"), fills("moka")), (3, 1, 0));
    }
}
