//! Profiles: how much is measured, and so how long it takes. Everything else is the same in all of them.

use std::path::Path;

use crate::engines::contract::{Durability, Home};
use crate::engines::{Class, Listed};
use crate::experiments::{Experiment, Form, Inputs, Task};
use crate::files::Step;
use crate::measure::unit::{Stage, Unit};
use crate::workloads::Workload;
use crate::workloads::keys::Random;

/// Threads of a replay.
const THREADS: [usize; 2] = [1, 2];
/// Workloads after the load.
const COMMON: [Workload; 5] =
    [Workload::Get, Workload::BatchGet, Workload::Zipf95, Workload::Zipf50, Workload::Counters];
/// The same where there are millions of entries.
const LARGE: [Workload; 3] = [Workload::Get, Workload::BatchGet, Workload::Zipf95];
/// Reads and writes at their shortest.
const FEW: [Workload; 2] = [Workload::Get, Workload::Zipf50];
const READS: [Workload; 2] = [Workload::Get, Workload::BatchGet];

/// One of the profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) blocks: u32,
    /// Whether a run goes on behind the whole blocks of one that was interrupted.
    pub(crate) resumes: bool,
    /// `None`: only experiments.
    stores: Option<Stores>,
    /// `None`: no experiments.
    form: Option<Form>,
    /// Which of them.
    experiments: &'static [Experiment],
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
    workloads: &'static [Workload],
    stream_len: usize,
}

/// Workloads after the load of a store in files; counters are left to memory.
const IN_FILES: &[Workload] = &[
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
    sizes: &'static [Size],
    /// Whether a trace is replayed.
    replays: bool,
    /// Milliseconds of a timed cell.
    span_ms: u64,
    /// Milliseconds at most of a replay, which is shorter where the trace is.
    replay_ms: u64,
    /// Operations in a thread's stream.
    stream_len: usize,
}

/// A number of entries, and what is measured with so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    entries: u32,
    /// Threads that load a store, each number in a process of its own.
    threads: &'static [usize],
    /// Those of storage engines and servers, whose loads take long.
    slow_threads: &'static [usize],
    /// Threads of the workloads, where one loaded store is asked by several numbers of them; empty: as many as loaded it.
    readers: &'static [usize],
    workloads: &'static [Workload],
    /// Engines whose loads would take too long.
    without: &'static [&'static str],
}

/// Every engine in memory, on 1 and 2 threads.
const fn everybody(entries: u32) -> Size {
    Size {
        entries,
        threads: &[1, 2],
        slow_threads: &[1, 2],
        readers: &[],
        workloads: &COMMON,
        without: &[],
    }
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
pub(crate) const ALL: [Profile; 5] = [
    Profile {
        name: "tiny",
        about: "a minute, 5 k entries: shows that everything works, says nothing about speed",
        blocks: 3,
        resumes: false,
        stores: Some(Stores {
            sizes: &[everybody(5_000)],
            replays: true,
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
        experiments: &Experiment::ALL,
        files: Some(Files {
            classes: &[Durability::D1, Durability::D3],
            entries: 2_000,
            threads: &[1],
            synced_threads: &[1],
            span_ms: 4,
            synced_span_ms: 4,
            workloads: IN_FILES,
            stream_len: 1 << 12,
        }),
    },
    Profile {
        name: "smoke",
        about: "under 3 minutes, 100 k entries",
        blocks: 3,
        resumes: false,
        stores: Some(Stores {
            sizes: &[everybody(100_000)],
            replays: true,
            span_ms: 60,
            replay_ms: 100,
            stream_len: 1 << 18,
        }),
        form: Some(SHORT),
        experiments: &Experiment::ALL,
        files: Some(Files {
            classes: &[Durability::D1],
            entries: 50_000,
            threads: &[1],
            synced_threads: &[1],
            span_ms: 40,
            synced_span_ms: 100,
            workloads: IN_FILES,
            stream_len: 1 << 16,
        }),
    },
    Profile {
        name: "quick",
        about: "about 5 minutes, 1 M entries, and 5 M for the engines in memory; 100 k in files",
        blocks: 3,
        resumes: false,
        stores: Some(Stores {
            sizes: &[
                // Loads are most of its time, so each engine has one.
                Size {
                    threads: &[1],
                    slow_threads: &[1],
                    readers: &[1, 2],
                    ..everybody(1_000_000)
                },
                Size {
                    entries: 5_000_000,
                    threads: &[2],
                    slow_threads: &[],
                    readers: &[1, 2],
                    workloads: &LARGE,
                    without: &["moka"],
                },
            ],
            replays: false,
            span_ms: 100,
            replay_ms: 100,
            stream_len: 1 << 19,
        }),
        form: None,
        experiments: &[],
        files: Some(Files {
            classes: &[Durability::D1],
            entries: 100_000,
            threads: &[1],
            synced_threads: &[1],
            span_ms: 100,
            synced_span_ms: 200,
            workloads: IN_FILES,
            stream_len: 1 << 18,
        }),
    },
    Profile {
        name: "standard",
        about: "about 30 minutes, 10 blocks: a list of cells that covers all classes, made to be repeated",
        blocks: 10,
        resumes: false,
        stores: Some(Stores {
            sizes: &[
                Size {
                    entries: 100_000,
                    threads: &[1],
                    slow_threads: &[1],
                    readers: &[],
                    workloads: &FEW,
                    without: &[],
                },
                Size {
                    entries: 1_000_000,
                    threads: &[1, 2],
                    slow_threads: &[],
                    readers: &[],
                    workloads: &FEW,
                    without: &[],
                },
                Size {
                    entries: 5_000_000,
                    threads: &[2],
                    slow_threads: &[],
                    readers: &[1, 2],
                    workloads: &READS,
                    without: &[],
                },
            ],
            replays: false,
            span_ms: 200,
            replay_ms: 200,
            stream_len: 1 << 19,
        }),
        form: Some(SHORT),
        experiments: &[Experiment::HitRatio, Experiment::Eviction, Experiment::Growth],
        files: Some(Files {
            classes: &Durability::OF_FILES,
            entries: 100_000,
            threads: &[1],
            synced_threads: &[1, 16],
            span_ms: 150,
            synced_span_ms: 400,
            workloads: &[Workload::Get, Workload::Overwrite],
            stream_len: 1 << 18,
        }),
    },
    Profile {
        name: "full",
        about: "hours, 10 blocks: everything; goes on where an interrupted run of it stopped",
        blocks: 10,
        resumes: true,
        stores: Some(Stores {
            sizes: &[everybody(100_000), everybody(1_000_000), everybody(5_000_000)],
            replays: true,
            span_ms: 300,
            replay_ms: 500,
            stream_len: 3 << 18,
        }),
        form: Some(LONG),
        experiments: &Experiment::ALL,
        files: Some(Files {
            classes: &Durability::OF_FILES,
            entries: 1_000_000,
            threads: &[1, 2],
            synced_threads: &[1, 16],
            span_ms: 300,
            synced_span_ms: 1000,
            workloads: IN_FILES,
            stream_len: 3 << 18,
        }),
    },
];

/// What `cache` offers: the experiments alone.
pub(crate) const CACHE: [Profile; 2] = [
    Profile {
        name: "cache-smoke",
        about: "seconds an experiment: shows that everything works",
        blocks: 3,
        resumes: false,
        stores: None,
        form: Some(SHORT),
        experiments: &Experiment::ALL,
        files: None,
    },
    Profile {
        name: "cache-full",
        about: "minutes an experiment; growth to 2 M entries, memory at 4 to 8 M",
        blocks: 3,
        resumes: false,
        stores: None,
        form: Some(LONG),
        experiments: &Experiment::ALL,
        files: None,
    },
];

/// What `files` offers: the stores in files alone.
pub(crate) const FILES: [Profile; 2] = [
    Profile {
        name: "files-smoke",
        about: "3 minutes, all classes at 50 k entries: shows that everything works",
        blocks: 3,
        resumes: false,
        stores: None,
        form: None,
        experiments: &[],
        files: Some(Files {
            classes: &Durability::OF_FILES,
            entries: 50_000,
            threads: &[1],
            synced_threads: &[1, 16],
            span_ms: 40,
            synced_span_ms: 100,
            workloads: IN_FILES,
            stream_len: 1 << 16,
        }),
    },
    Profile {
        name: "files-full",
        about: "25 minutes, 1 M entries; a class alone in 8",
        blocks: 3,
        resumes: false,
        stores: None,
        form: None,
        experiments: &[],
        files: Some(Files {
            classes: &Durability::OF_FILES,
            entries: 1_000_000,
            threads: &[1, 2],
            synced_threads: &[1, 16],
            span_ms: 300,
            synced_span_ms: 1000,
            workloads: IN_FILES,
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
            let step = Step::Measure { entries, workloads: self.workloads.to_vec() };
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
        let round = |stage, threads, span_ms| Round {
            stage,
            threads,
            span_ms,
            stream_len: self.stream_len,
        };
        let stores = self.sizes.iter().flat_map(|size| {
            size.threads.iter().map(move |threads| {
                let readers =
                    if size.readers.is_empty() { vec![*threads] } else { size.readers.to_vec() };
                let workloads = size.workloads.to_vec();
                let stage = Stage::Store { entries: size.entries, workloads, readers };
                round(stage, *threads, self.span_ms)
            })
        });
        let replays = THREADS.map(|threads| {
            let stage = Stage::Replay { trace: trace.map(Path::to_owned) };
            round(stage, threads, self.replay_ms)
        });
        stores.chain(replays.into_iter().filter(|_| self.replays)).collect()
    }

    fn includes(&self, listed: &Listed, entries: u32, threads: usize) -> bool {
        let smallest = self.sizes.iter().map(|size| size.entries).min();
        let sizes = self.sizes.iter().filter(|size| size.entries == entries);
        sizes.filter(|size| !size.without.contains(&listed.name)).any(|size| match listed.class {
            Class::Policy | Class::Files => false,
            Class::Slow => size.slow_threads.contains(&threads),
            // It does not depend on the size.
            Class::Harness => smallest == Some(entries),
            Class::Memory | Class::Cache | Class::Hardware => true,
        })
    }
}

/// The rounds of the experiments in a block.
fn experiment_rounds(
    form: &Form,
    experiments: &[Experiment],
    inputs: &Inputs,
    block: u32,
) -> Vec<Round> {
    let round = |(task, threads): (Task, usize)| {
        let span_ms = if task == Task::HotKey { form.hot_span_ms } else { form.span_ms };
        Round { stage: Stage::Experiment(task), threads, span_ms, stream_len: form.stream_len }
    };
    inputs
        .experiments
        .iter()
        .filter(|experiment| experiments.contains(experiment))
        .flat_map(|experiment| experiment.tasks(form, inputs))
        .filter(|(task, _)| block == 0 || !task.once())
        .map(round)
        .collect()
}

impl Profile {
    /// Whether an engine takes part in a round.
    fn includes(&self, listed: &Listed, round: &Round) -> bool {
        match (&round.stage, listed.class) {
            (Stage::Experiment(task), _) => task.includes(listed.name),
            (Stage::Files { home, .. }, _) => listed.in_files.contains(&home.durability),
            (Stage::Store { entries, .. }, _) => {
                self.stores.is_some_and(|stores| stores.includes(listed, *entries, round.threads))
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
        let taken = |experiment: &Experiment| {
            self.experiments.contains(experiment) && experiment.engines().contains(&listed.name)
        };
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
            rounds.extend(experiment_rounds(form, self.experiments, inputs, block));
        }
        if let Some(files) = &self.files {
            rounds.extend(files.rounds(inputs));
        }
        let mut units = Vec::new();
        for round in rounds {
            let mut order: Vec<_> =
                engines.iter().filter(|listed| self.includes(listed, &round)).copied().collect();
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
    let mut stage = round.stage.clone();
    if let (Stage::Store { readers, .. }, Class::Slow) = (&mut stage, listed.class) {
        // SQLite opens another database for two threads, and a server is asked by as many connections as loaded it.
        *readers = vec![round.threads];
    }
    Unit {
        engine: listed.name.to_owned(),
        stage,
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
    /// For each entry: memory that is touched first, the load's stream, warming, and the end of the process.
    const AROUND_NS: f64 = 450.0;
    /// What a second thread makes of a load.
    const SHARED: f64 = 0.65;
    const PREPARATION_NS: f64 = 60.0;
    const SYNC: f64 = 0.003;
    let listed = crate::engines::find(&unit.engine);
    let load_ns = listed.map_or(0.0, |listed| f64::from(listed.load_ns));
    let span = unit.span_ms as f64 / 1000.0;
    let streams = unit.stream_len as f64 * PREPARATION_NS / 1e9;
    // Redis is asked in two depths of pipeline.
    let passes = if unit.engine == "redis" { 2.0 } else { 1.0 };
    match &unit.stage {
        Stage::Store { entries, workloads, readers } => {
            let load_ns =
                if unit.threads > 1 && load_ns < 2500.0 { SHARED * load_ns } else { load_ns };
            let load = f64::from(*entries) * (load_ns + AROUND_NS) / 1e9;
            let cells = (workloads.len() * readers.len()) as f64;
            PROCESS + load + cells * passes * (span + streams)
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
                    .block(&everybody(), None, &Inputs::everything(), 1, block)
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
                    .block(&everybody(), None, &Inputs::everything(), 1, block)
                    .into_iter()
                    .map(|unit| unit.engine)
                    .collect::<Vec<_>>()
            };
            assert_ne!(order(0), order(1));
            assert_eq!(order(0), order(0));
        }
    }

    #[test]
    fn slow_engines_are_not_loaded_with_millions_twice() {
        let quick = ALL[2];
        let units = quick.block(&everybody(), None, &Inputs::everything(), 1, 0);
        for unit in &units {
            let slow = ["redis", "sqlite", "rocksdb"].contains(&unit.engine.as_str());
            match unit.stage {
                Stage::Store { entries: 5_000_000, .. } => assert!(!slow, "{}", unit.engine),
                Stage::Store { .. } if slow => assert_eq!(unit.threads, 1, "{}", unit.engine),
                _ => {}
            }
        }
        for engine in ["redis", "moka", "quick_cache"] {
            assert!(units.iter().any(|unit| unit.engine == engine), "{engine}");
        }
    }

    #[test]
    fn estimates_keep_the_promises() {
        for (name, limit) in [
            ("tiny", 90.0),
            ("smoke", 180.0),
            ("quick", 310.0),
            ("standard", 1800.0),
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
                .flat_map(|block| {
                    profile.block(&everybody(), None, &Inputs::everything(), 1, block)
                })
                .map(|unit| estimate_seconds(&unit))
                .sum();
            assert!(seconds < limit, "{name}: {seconds:.0} s");
        }
    }
}
