//! Profiles: how much is measured, and so how long it takes. Everything else is the same in all of them.

mod list;

use std::path::{Path, PathBuf};

use crate::engines::contract::{Durability, Home};
use crate::engines::{Class, Listed, way};
use crate::experiments::{Experiment, Form, Inputs, Task};
use crate::files::Step;
use crate::files::beyond::{self, Excess};
use crate::measure::unit::{Stage, Unit};
use crate::workloads::Workload;
use crate::workloads::keys::Random;
use crate::workloads::stream::Content;
pub(crate) use list::{ALL, BEYOND, CACHE, FILES};

/// Threads of a replay.
const THREADS: [usize; 2] = [1, 2];
/// Profiles that ask servers in every way, not only over TCP by one connection a thread.
const EVERY_WAY: [&str; 3] = ["tiny", "standard", "full"];

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
    /// `None`: nothing larger than memory.
    pub(crate) beyond: Option<Beyond>,
}

/// Sizes of the comparison of stores whose data is larger than memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beyond {
    classes: &'static [Durability],
    /// What a process may take, pages of files included, and how many entries of about a kilobyte it has to hold.
    limit_bytes: u64,
    entries: u32,
    /// Milliseconds of a timed cell.
    span_ms: u64,
    /// It is measured in so many of the blocks, the first ones: loads take long.
    blocks: u32,
}

impl Beyond {
    /// What a process may take.
    pub(crate) fn limit_bytes(&self, inputs: &Inputs) -> u64 {
        inputs.limit_bytes.unwrap_or(self.limit_bytes)
    }

    fn rounds(&self, inputs: &Inputs, block: u32) -> Vec<Round> {
        let entries = inputs.file_entries.unwrap_or(self.entries);
        let classes = self.classes.iter().filter(|class| inputs.classes.contains(class));
        let round = |durability: &Durability| {
            let home =
                Home { durability: *durability, folder: inputs.folder.clone(), stock: false };
            let limit_bytes = self.limit_bytes(inputs);
            let excess = Excess { entries, limit_bytes, door: PathBuf::new() };
            let stage = Stage::Files { home, step: Step::Beyond(excess) };
            Round { stage, threads: 1, span_ms: self.span_ms, stream_len: 0 }
        };
        if block < self.blocks { classes.map(round).collect() } else { Vec::new() }
    }

    /// Whether an engine takes part in a class.
    fn includes(&self, listed: &Listed, class: Durability) -> bool {
        self.classes.contains(&class)
            && listed.in_files.contains(&class)
            && beyond::ENGINES.contains(&listed.name)
    }
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
    /// Milliseconds at each rate of an open loop in class D1; 0: it is left out.
    latency_span_ms: u64,
    /// Whether class D1 is measured with values that compress, too.
    compressible: bool,
    stream_len: usize,
}

/// Workloads after the load of values that compress.
const COMPRESSED: [Workload; 2] = [Workload::Get, Workload::Overwrite];

/// Engines in files whose latencies are measured.
const PACED: [&str; 4] = ["nyala", "sqlite", "rocksdb", "lmdb"];

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
            let home = Home { durability, folder: inputs.folder.clone(), stock: false };
            let (workloads, values) = (self.workloads.to_vec(), Content::Incompressible);
            let step = Step::Measure { entries, workloads, values };
            let span_ms = if synced { self.synced_span_ms } else { self.span_ms };
            let stage = Stage::Files { home, step };
            Round { stage, threads, span_ms, stream_len: self.stream_len }
        };
        let measured = classes.flat_map(|class| {
            let threads = if *class == Durability::D3 { self.synced_threads } else { self.threads };
            threads.iter().map(move |threads| round(*class, *threads))
        });
        let durability = Durability::D1;
        let asked = self.classes.contains(&durability) && inputs.classes.contains(&durability);
        let paced = (asked && self.latency_span_ms > 0).then(|| {
            let home = Home { durability, folder: inputs.folder.clone(), stock: false };
            let stage = Stage::Files { home, step: Step::Latency { entries } };
            let (span_ms, stream_len) = (self.latency_span_ms, self.stream_len);
            Round { stage, threads: 1, span_ms, stream_len }
        });
        let compressed = (asked && self.compressible).then(|| {
            let home = Home { durability, folder: inputs.folder.clone(), stock: false };
            let (workloads, values) = (COMPRESSED.to_vec(), Content::Compressible);
            let stage = Stage::Files { home, step: Step::Measure { entries, workloads, values } };
            Round { stage, threads: 1, span_ms: self.span_ms, stream_len: self.stream_len }
        });
        measured.chain(paced).chain(compressed).collect()
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
            Class::Sockets => smallest == Some(entries) && threads == 1,
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
        let span_ms = match task {
            Task::HotKey => form.hot_span_ms,
            Task::Latency { .. } => form.latency_span_ms,
            Task::ValueSize { .. } => form.sized_span_ms,
            _ => form.span_ms,
        };
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
            (_, Class::Sockets) if !self.asks_in(listed) => false,
            (Stage::Experiment(task), _) => task.includes(listed.name),
            (Stage::Files { step: Step::Latency { .. }, .. }, _) => PACED.contains(&listed.name),
            (Stage::Files { home, step: Step::Beyond(_) }, _) => {
                self.beyond.is_some_and(|beyond| beyond.includes(listed, home.durability))
            }
            (Stage::Files { home, .. }, _) => listed.in_files.contains(&home.durability),
            (Stage::Store { entries, .. }, _) => {
                self.stores.is_some_and(|stores| stores.includes(listed, *entries, round.threads))
            }
            (Stage::Replay { .. }, class) => {
                matches!(class, Class::Memory | Class::Cache | Class::Slow)
            }
        }
    }

    /// Whether servers are asked in the ways that an engine of the list stands for.
    fn asks_in(&self, listed: &Listed) -> bool {
        listed.class != Class::Sockets || EVERY_WAY.contains(&self.name)
    }

    /// Whether an engine takes part at all.
    pub(crate) fn needs(&self, listed: &Listed, inputs: &Inputs) -> bool {
        self.volatile(listed, inputs) || !self.in_files_of(listed, inputs).is_empty()
    }

    /// Engines and classes of stores in files.
    pub(crate) fn in_files(
        &self,
        engines: &[&'static Listed],
        inputs: &Inputs,
    ) -> Vec<(&'static Listed, Durability)> {
        let mut found: Vec<(&'static Listed, Durability)> = engines
            .iter()
            .flat_map(|listed| {
                self.in_files_of(listed, inputs).into_iter().map(|class| (*listed, class))
            })
            .collect();
        // Class by class, and within one in the order of the list.
        found.sort_by_key(|(_, class)| *class);
        found
    }

    /// Classes in files in which an engine takes part.
    fn in_files_of(&self, listed: &Listed, inputs: &Inputs) -> Vec<Durability> {
        let there = |class: &Durability| {
            let whole = self.files.is_some_and(|files| files.classes.contains(class));
            let beyond = self.beyond.is_some_and(|beyond| beyond.includes(listed, *class));
            inputs.classes.contains(class) && (whole && listed.in_files.contains(class) || beyond)
        };
        Durability::OF_FILES.into_iter().filter(there).collect()
    }

    /// Whether an engine takes part in what is no comparison of files.
    pub(crate) fn volatile(&self, listed: &Listed, inputs: &Inputs) -> bool {
        let stores = self.stores.is_some()
            && !matches!(listed.class, Class::Policy | Class::Files)
            && self.asks_in(listed);
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
        if let Some(beyond) = &self.beyond {
            rounds.extend(beyond.rounds(inputs, block));
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
    match &mut stage {
        // SQLite opens another database for two threads, and a server is asked by as many connections as loaded it.
        Stage::Store { readers, .. } if matches!(listed.class, Class::Slow | Class::Sockets) => {
            *readers = vec![round.threads];
        }
        Stage::Files { home, .. } => home.stock = listed.is_stock(),
        _ => {}
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
        stream_len: if matches!(listed.class, Class::Slow | Class::Sockets) {
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
    /// What the disk takes for an entry of a kilobyte.
    const BEYOND_NS: f64 = 4000.0;
    let listed = crate::engines::find(&unit.engine);
    let load_ns = listed.map_or(0.0, |listed| f64::from(listed.load_ns));
    let span = unit.span_ms as f64 / 1000.0;
    let streams = unit.stream_len as f64 * PREPARATION_NS / 1e9;
    // Servers are asked in many ways: two servers, and PING beside all workloads.
    let passes = match unit.engine.as_str() {
        "redis" | "nyala-resp" => way::FEW.len() as f64,
        "sockets" => 2.5 * way::MORE.len() as f64,
        _ => 1.0,
    };
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
        Stage::Files { home, step: Step::Measure { entries, workloads, .. } } => {
            // Loaded, and read twice when it is opened again; a load of class D3 syncs a thousand entries at a time.
            let load = f64::from(*entries) * (2.0 * load_ns + 500.0) / 1e9;
            let synced = f64::from(*entries) / 1000.0 * SYNC;
            let load = if home.durability == Durability::D3 { load + synced } else { load };
            0.6 + load + workloads.len() as f64 * (span + streams)
        }
        Stage::Files { step: Step::Latency { entries }, .. } => {
            PROCESS + f64::from(*entries) * (load_ns + 500.0) / 1e9 + 6.0 * span + 2.0 * streams
        }
        Stage::Files { home, step: Step::Beyond(excess) } => {
            // Written twice at least, a log and then its pages, and synced; each workload is warmed for half its time.
            let load = f64::from(excess.entries) * (3.0 * load_ns + BEYOND_NS) / 1e9;
            let synced = f64::from(excess.entries) / 1000.0 * SYNC;
            let load = if home.durability == Durability::D3 { load + synced } else { load };
            0.3 + load + 1.5 * beyond::WORKLOADS.len() as f64 * span
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
        for profile in ALL.iter().chain(&CACHE).chain(&FILES).chain(&BEYOND) {
            // The first block has what is measured once, in addition.
            let repeated = |unit: &Unit| match &unit.stage {
                Stage::Experiment(task) => !task.once(),
                _ => !unit.is_limited(),
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
            let slow = ["redis", "nyala-resp", "sockets", "sqlite", "rocksdb"]
                .contains(&unit.engine.as_str());
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
    fn every_way_is_asked_where_it_should_be() {
        for profile in &ALL {
            let units = profile.block(&everybody(), None, &Inputs::everything(), 1, 0);
            let found = units.iter().filter(|unit| unit.engine == "sockets").count();
            assert_eq!(found, usize::from(EVERY_WAY.contains(&profile.name)), "{}", profile.name);
        }
    }

    #[test]
    fn estimates_keep_the_promises() {
        for (name, limit) in [
            ("tiny", 120.0),
            ("smoke", 180.0),
            ("quick", 310.0),
            ("standard", 1800.0),
            ("cache-smoke", 70.0),
            ("cache-full", 1000.0),
            ("files-smoke", 180.0),
            ("files-full", 2200.0),
            ("beyond-smoke", 300.0),
            ("beyond-full", 2000.0),
        ] {
            let profile = ALL
                .iter()
                .chain(&CACHE)
                .chain(&FILES)
                .chain(&BEYOND)
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
