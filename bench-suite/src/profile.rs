//! Profiles: how much is measured, and so how long it takes. Everything else is the same in all of them.

use std::path::Path;

use crate::engines::contract::{Durability, Home};
use crate::engines::{Class, Listed};
use crate::experiments::{Experiment, Form, Inputs, Task};
use crate::files::Step;
use crate::measure::unit::{Stage, Unit};
use crate::workloads::Workload;
use crate::workloads::keys::Random;

/// Threads that every stage is measured with.
const THREADS: [usize; 2] = [1, 2];
/// Workloads after the load at the size that all engines share.
const COMMON: [Workload; 5] =
    [Workload::Get, Workload::BatchGet, Workload::Zipf95, Workload::Zipf50, Workload::Counters];
/// Workloads after the load at the size that only the engines in memory get.
const LARGE: [Workload; 4] =
    [Workload::Get, Workload::BatchGet, Workload::Zipf95, Workload::Zipf50];

/// One of the profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) blocks: u32,
    /// `None`: only experiments.
    stores: Option<Stores>,
    /// `None`: no experiments.
    form: Option<Form>,
    /// `None`: no stores in files.
    pub(crate) files: Option<Files>,
}

/// Sizes of the comparison of stores in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) classes: &'static [Durability],
    entries: u32,
    /// Threads of the classes that wait for no sync. In class D3 they share syncs, and more of them share more.
    threads: &'static [usize],
    synced_threads: &'static [usize],
    /// Milliseconds of a timed cell, and of one in which every write waits for a sync.
    span_ms: u64,
    synced_span_ms: u64,
    stream_len: usize,
}

/// Workloads after the load of a store in files; counters are left to memory.
const IN_FILES: [Workload; 6] = [
    Workload::Get,
    Workload::BatchGet,
    Workload::Overwrite,
    Workload::Zipf95,
    Workload::Zipf50,
    Workload::Insert,
];

/// Sizes of the comparison of stores that hold everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stores {
    /// Entries for every engine.
    entries: u32,
    /// Entries for the in-process engines in memory, in addition.
    large_entries: Option<u32>,
    /// Milliseconds of a timed cell.
    span_ms: u64,
    /// Milliseconds at most of a replay, which is shorter where the trace is.
    replay_ms: u64,
    /// Operations in a thread's stream.
    stream_len: usize,
}

/// Experiments in seconds.
const SHORT: Form = Form {
    longest_trace: 80_000,
    cached_keys: 200_000,
    growth_entries: 200_000,
    room_bytes: 16 << 20,
    memory_entries: [40_000, 50_000, 63_000, 80_000],
    span_ms: 40,
    hot_span_ms: 8,
    stream_len: 1 << 18,
};

/// Experiments in minutes.
const LONG: Form = Form {
    longest_trace: usize::MAX,
    cached_keys: 1_000_000,
    growth_entries: 2_000_000,
    room_bytes: 256 << 20,
    memory_entries: [4_000_000, 5_000_000, 6_300_000, 8_000_000],
    span_ms: 1000,
    hot_span_ms: 300,
    stream_len: 1 << 22,
};

/// What `run` offers.
pub(crate) const ALL: [Profile; 3] = [
    Profile {
        name: "tiny",
        about: "a minute, 5 k entries: shows that everything works, says nothing about speed",
        blocks: 3,
        stores: Some(Stores {
            entries: 5_000,
            large_entries: None,
            span_ms: 4,
            replay_ms: 4,
            stream_len: 1 << 12,
        }),
        form: Some(Form {
            longest_trace: 10_000,
            cached_keys: 200_000,
            growth_entries: 5_000,
            room_bytes: 4 << 20,
            memory_entries: [4_000, 5_000, 6_300, 8_000],
            span_ms: 4,
            hot_span_ms: 2,
            stream_len: 1 << 14,
        }),
        files: Some(Files {
            classes: &[Durability::D1, Durability::D3],
            entries: 2_000,
            threads: &[1],
            synced_threads: &[1],
            span_ms: 4,
            synced_span_ms: 4,
            stream_len: 1 << 12,
        }),
    },
    Profile {
        name: "smoke",
        about: "under 3 minutes, 100 k entries",
        blocks: 3,
        stores: Some(Stores {
            entries: 100_000,
            large_entries: None,
            span_ms: 60,
            replay_ms: 100,
            stream_len: 1 << 18,
        }),
        form: Some(SHORT),
        files: Some(Files {
            classes: &[Durability::D1],
            entries: 50_000,
            threads: &[1],
            synced_threads: &[1],
            span_ms: 40,
            synced_span_ms: 100,
            stream_len: 1 << 16,
        }),
    },
    Profile {
        name: "quick",
        about: "about 6 minutes, 1 M entries, and 5 M for the engines in memory; 100 k in files",
        blocks: 3,
        stores: Some(Stores {
            entries: 1_000_000,
            large_entries: Some(5_000_000),
            span_ms: 175,
            replay_ms: 250,
            stream_len: 3 << 18,
        }),
        form: None,
        files: Some(Files {
            classes: &[Durability::D1],
            entries: 100_000,
            threads: &[1],
            synced_threads: &[1],
            span_ms: 100,
            synced_span_ms: 200,
            stream_len: 1 << 18,
        }),
    },
];

/// What `cache` offers: the experiments alone.
pub(crate) const CACHE: [Profile; 2] = [
    Profile {
        name: "cache-smoke",
        about: "seconds an experiment: shows that everything works",
        blocks: 3,
        stores: None,
        form: Some(SHORT),
        files: None,
    },
    Profile {
        name: "cache-full",
        about: "minutes an experiment; growth to 2 M entries, memory at 4 to 8 M",
        blocks: 3,
        stores: None,
        form: Some(LONG),
        files: None,
    },
];

/// What `files` offers: the stores in files alone.
pub(crate) const FILES: [Profile; 2] = [
    Profile {
        name: "files-smoke",
        about: "3 minutes, all classes at 50 k entries: shows that everything works",
        blocks: 3,
        stores: None,
        form: None,
        files: Some(Files {
            classes: &Durability::OF_FILES,
            entries: 50_000,
            threads: &[1],
            synced_threads: &[1, 16],
            span_ms: 40,
            synced_span_ms: 100,
            stream_len: 1 << 16,
        }),
    },
    Profile {
        name: "files-full",
        about: "25 minutes, 1 M entries; a class alone in 8",
        blocks: 3,
        stores: None,
        form: None,
        files: Some(Files {
            classes: &Durability::OF_FILES,
            entries: 1_000_000,
            threads: &[1, 2],
            synced_threads: &[1, 16],
            span_ms: 300,
            synced_span_ms: 1000,
            stream_len: 3 << 18,
        }),
    },
];

/// What is measured next to each other within a block: every engine at one stage and number of threads.
#[derive(Debug, Clone)]
struct Round {
    stage: Stage,
    threads: usize,
    span_ms: u64,
    stream_len: usize,
}

impl Files {
    /// One round a class and number of threads. The folder is the order's business.
    fn rounds(&self, inputs: &Inputs) -> Vec<Round> {
        let entries = inputs.file_entries.unwrap_or(self.entries);
        let classes = self.classes.iter().filter(|class| inputs.classes.contains(class));
        let round = |durability: Durability, threads: usize| {
            let synced = durability == Durability::D3;
            let home = Home { durability, folder: inputs.folder.clone() };
            let step = Step::Measure { entries, workloads: IN_FILES.to_vec() };
            let span_ms = if synced { self.synced_span_ms } else { self.span_ms };
            let stage = Stage::Files { home, step };
            Round { stage, threads, span_ms, stream_len: self.stream_len }
        };
        classes
            .flat_map(|class| {
                let threads =
                    if *class == Durability::D3 { self.synced_threads } else { self.threads };
                threads.iter().map(move |threads| round(*class, *threads))
            })
            .collect()
    }
}

impl Stores {
    fn rounds(&self, trace: Option<&Path>) -> Vec<Round> {
        let stages = [
            Some(Stage::Store { entries: self.entries, workloads: COMMON.to_vec() }),
            self.large_entries.map(|entries| Stage::Store { entries, workloads: LARGE.to_vec() }),
            Some(Stage::Replay { trace: trace.map(Path::to_owned) }),
        ];
        let round = |stage: Stage, threads| {
            let replay = matches!(stage, Stage::Replay { .. });
            let span_ms = if replay { self.replay_ms } else { self.span_ms };
            Round { stage, threads, span_ms, stream_len: self.stream_len }
        };
        let stages = stages.into_iter().flatten();
        stages.flat_map(|stage| THREADS.map(|threads| round(stage.clone(), threads))).collect()
    }
}

/// The rounds of the experiments in a block.
fn experiment_rounds(form: &Form, inputs: &Inputs, block: u32) -> Vec<Round> {
    let round = |(task, threads): (Task, usize)| {
        let span_ms = if task == Task::HotKey { form.hot_span_ms } else { form.span_ms };
        Round { stage: Stage::Experiment(task), threads, span_ms, stream_len: form.stream_len }
    };
    inputs
        .experiments
        .iter()
        .flat_map(|experiment| experiment.tasks(form, inputs))
        .filter(|(task, _)| block == 0 || !task.once())
        .map(round)
        .collect()
}

impl Profile {
    /// Whether an engine takes part in a round.
    fn includes(&self, listed: &Listed, stage: &Stage) -> bool {
        match (stage, listed.class) {
            (Stage::Experiment(task), _) => task.includes(listed.name),
            (Stage::Files { home, .. }, _) => listed.in_files.contains(&home.durability),
            (_, Class::Policy | Class::Files) => false,
            (Stage::Store { .. }, Class::Memory | Class::Hardware) => true,
            (Stage::Store { entries, .. }, Class::Cache | Class::Slow | Class::Harness) => {
                self.stores.is_some_and(|stores| *entries == stores.entries)
            }
            (Stage::Replay { .. }, class) => {
                matches!(class, Class::Memory | Class::Cache | Class::Slow)
            }
        }
    }

    /// Whether an engine takes part at all.
    pub(crate) fn needs(&self, listed: &Listed, inputs: &Inputs) -> bool {
        self.volatile(listed, inputs) || self.files.is_some() && !listed.in_files.is_empty()
    }

    /// Engines and classes of stores in files.
    pub(crate) fn in_files(
        &self,
        engines: &[&'static Listed],
        inputs: &Inputs,
    ) -> Vec<(&'static Listed, Durability)> {
        let classes = self.files.map_or(&[][..], |files| files.classes).iter();
        let classes: Vec<Durability> =
            classes.filter(|class| inputs.classes.contains(class)).copied().collect();
        classes
            .into_iter()
            .flat_map(|class| {
                let there = move |listed: &&&'static Listed| listed.in_files.contains(&class);
                engines.iter().filter(there).map(move |listed| (*listed, class))
            })
            .collect()
    }

    /// Whether an engine takes part in what is no comparison of files.
    pub(crate) fn volatile(&self, listed: &Listed, inputs: &Inputs) -> bool {
        let stores = self.stores.is_some() && !matches!(listed.class, Class::Policy | Class::Files);
        let taken = |experiment: &Experiment| experiment.engines().contains(&listed.name);
        stores || self.form.is_some() && inputs.experiments.iter().any(taken)
    }

    /// All units of one block. Within a round the engines come in random order, one soon after the other, so that drift of
    /// the machine hits all of them alike.
    pub(crate) fn block(
        &self,
        engines: &[&'static Listed],
        trace: Option<&Path>,
        inputs: &Inputs,
        seed: u64,
        block: u32,
    ) -> Vec<Unit> {
        let mut random = Random::new(seed, 0x0062_6c6f_636b ^ (u64::from(block) << 48));
        let mut rounds = self.stores.map_or_else(Vec::new, |stores| stores.rounds(trace));
        if let Some(form) = &self.form {
            rounds.extend(experiment_rounds(form, inputs, block));
        }
        if let Some(files) = &self.files {
            rounds.extend(files.rounds(inputs));
        }
        let mut units = Vec::new();
        for round in rounds {
            let mut order: Vec<_> = engines
                .iter()
                .filter(|listed| self.includes(listed, &round.stage))
                .copied()
                .collect();
            random.shuffle(&mut order);
            units.extend(
                (0..)
                    .zip(order)
                    .map(|(position, listed)| unit(listed, &round, seed, block, position)),
            );
        }
        units
    }
}

fn unit(listed: &Listed, round: &Round, seed: u64, block: u32, position: u32) -> Unit {
    Unit {
        engine: listed.name.to_owned(),
        stage: round.stage.clone(),
        threads: round.threads,
        block,
        position,
        seed,
        span_ms: round.span_ms,
        // Prefixes of the same stream: a slow engine would not come to the rest of it.
        stream_len: if listed.class == Class::Slow {
            round.stream_len / 4
        } else {
            round.stream_len
        },
    }
}

/// Seconds that a unit will take, from what its parts took on the reference machine.
pub(crate) fn estimate_seconds(unit: &Unit) -> f64 {
    const PROCESS: f64 = 0.05;
    const PREPARATION_NS: f64 = 60.0;
    const SYNC: f64 = 0.003;
    let listed = crate::engines::find(&unit.engine);
    let load_ns = listed.map_or(0.0, |listed| f64::from(listed.load_ns));
    let span = unit.span_ms as f64 / 1000.0;
    let streams = unit.stream_len as f64 * PREPARATION_NS / 1e9;
    // Redis is asked in two depths of pipeline.
    let passes = if unit.engine == "redis" { 2.0 } else { 1.0 };
    match &unit.stage {
        Stage::Store { entries, workloads } => {
            let load = f64::from(*entries) * (load_ns + 20.0) / 1e9;
            PROCESS + load + workloads.len() as f64 * passes * (span + streams)
        }
        Stage::Replay { .. } => PROCESS + passes * span + 0.15,
        Stage::Experiment(task) => PROCESS + task.estimate_seconds(unit, load_ns),
        Stage::Files { home, step: Step::Measure { entries, workloads } } => {
            // Loaded, and read twice when it is opened again; a load of class D3 syncs a thousand entries at a time.
            let load = f64::from(*entries) * (2.0 * load_ns + 500.0) / 1e9;
            let synced = f64::from(*entries) / 1000.0 * SYNC;
            let load = if home.durability == Durability::D3 { load + synced } else { load };
            0.6 + load + workloads.len() as f64 * (span + streams)
        }
        Stage::Files { .. } => 3.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_experiments() -> Inputs {
        Inputs {
            experiments: Experiment::ALL.to_vec(),
            classes: Durability::OF_FILES.to_vec(),
            ..Inputs::default()
        }
    }

    fn everybody() -> Vec<&'static Listed> {
        crate::engines::ALL.iter().collect()
    }

    #[test]
    fn every_block_has_the_same_units_in_another_order() {
        for profile in ALL.iter().chain(&CACHE).chain(&FILES) {
            // The first block has what is measured once, in addition.
            let repeated = |unit: &Unit| match &unit.stage {
                Stage::Experiment(task) => !task.once(),
                _ => true,
            };
            let sorted = |block| {
                let mut units: Vec<String> = profile
                    .block(&everybody(), None, &all_experiments(), 1, block)
                    .iter()
                    .filter(|unit| repeated(unit))
                    .map(|unit| format!("{} {:?} {}", unit.engine, unit.stage, unit.threads))
                    .collect();
                units.sort();
                units
            };
            assert_eq!(sorted(0), sorted(1));
            let order = |block| {
                profile
                    .block(&everybody(), None, &all_experiments(), 1, block)
                    .into_iter()
                    .map(|unit| unit.engine)
                    .collect::<Vec<_>>()
            };
            assert_ne!(order(0), order(1));
            assert_eq!(order(0), order(0));
        }
    }

    #[test]
    fn slow_engines_stay_at_the_common_size() {
        let quick = ALL[2];
        let units = quick.block(&everybody(), None, &all_experiments(), 1, 0);
        for unit in &units {
            if let Stage::Store { entries: 5_000_000, .. } = unit.stage {
                assert!(
                    !["redis", "sqlite", "rocksdb", "moka"].contains(&unit.engine.as_str()),
                    "{}",
                    unit.engine
                );
            }
        }
        assert!(units.iter().any(|unit| unit.engine == "redis"));
    }

    #[test]
    fn estimates_keep_the_promises() {
        for (name, limit) in [
            ("tiny", 75.0),
            ("smoke", 180.0),
            ("quick", 390.0),
            ("cache-smoke", 40.0),
            ("cache-full", 900.0),
            ("files-smoke", 150.0),
            ("files-full", 1800.0),
        ] {
            let profile = ALL
                .iter()
                .chain(&CACHE)
                .chain(&FILES)
                .find(|profile| profile.name == name)
                .unwrap();
            let seconds: f64 = (0..profile.blocks)
                .flat_map(|block| profile.block(&everybody(), None, &all_experiments(), 1, block))
                .map(|unit| estimate_seconds(&unit))
                .sum();
            assert!(seconds < limit, "{name}: {seconds:.0} s");
        }
    }
}
