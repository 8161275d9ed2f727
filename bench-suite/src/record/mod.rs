//! What a run leaves behind: one JSON object a line, enough to make every table and picture again without running anything.

pub(crate) mod environment;
pub(crate) mod file;
pub(crate) mod files;
pub(crate) mod histogram;
pub(crate) mod schema;
pub(crate) mod trial;

use serde::{Deserialize, Serialize};

use crate::engines::contract::{Durability, Info};
use crate::workloads::Workload;
use environment::Environment;
use files::{FileCell, FileFacts, FileStore, Place};
use histogram::Buckets;
use trial::Trial;

/// Grows with every change that a reader of older files would notice; in every line, and in `record.schema.json`.
pub(crate) const SCHEMA: u32 = 3;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Line {
    /// First: what was run, where.
    Run(Box<Run>),
    /// A run that was interrupted goes on.
    Resume(Resume),
    /// A row of the comparison, which passed its conformance check.
    Engine(Info),
    /// An engine that was left out, and why.
    Skip(Skip),
    /// One measurement of a workload.
    Cell(Cell),
    /// One measurement of an experiment.
    Trial(Trial),
    /// The disk that stores in files were measured on.
    Place(Place),
    /// A row of the comparison in files, which passed its conformance check and its audit.
    FileStore(FileStore),
    /// One measurement of a workload in files.
    FileCell(FileCell),
    /// What a store in files took of the disk, and how long it took to open.
    FileFacts(FileFacts),
    /// Everything of a block has been measured.
    Block(Block),
    /// Last: the run came to its end.
    End(End),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The command that measures this again.
    pub(crate) command: String,
    /// The program's own arguments, the seed among them.
    pub(crate) arguments: Vec<String>,
    pub(crate) profile: String,
    pub(crate) blocks: u32,
    pub(crate) seed: u64,
    /// Seconds since 1970, UTC.
    pub(crate) started: u64,
    /// Bytes of key and value, except in the replay.
    pub(crate) key_bytes: u64,
    pub(crate) value_bytes: u64,
    pub(crate) trace: Trace,
    pub(crate) environment: Environment,
}

/// The trace that the cache-aside replay used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) requests: u64,
    pub(crate) distinct_keys: u64,
    pub(crate) value_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Skip {
    pub(crate) engine: String,
    #[serde(default, skip_serializing_if = "Durability::is_volatile")]
    pub(crate) durability: Durability,
    /// Only from this: everything else goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) experiment: Option<String>,
    pub(crate) reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Resume {
    /// The first block after it.
    pub(crate) block: u32,
    pub(crate) started: u64,
    pub(crate) load_average: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) block: u32,
    pub(crate) seconds: f64,
    /// What the hypervisor took of the machine's processor time meanwhile.
    pub(crate) steal_percent: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    /// Of all parts of the run.
    pub(crate) seconds: f64,
}

/// One engine, one workload, one size, one number of threads, one block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) engine: String,
    pub(crate) workload: Workload,
    /// Entries of the store; 0 in a replay, which has as many as its trace.
    pub(crate) entries: u32,
    pub(crate) threads: usize,
    pub(crate) block: u32,
    /// Place in the block's random order.
    pub(crate) position: u32,
    pub(crate) ops: u64,
    pub(crate) seconds: f64,
    /// Of every process that took part, server included.
    pub(crate) cpu_seconds: f64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    /// Sum of every word that reads returned.
    pub(crate) checksum: String,
    /// One call in so many was timed.
    pub(crate) sample_every: u32,
    /// What reading the clock twice cost, in nanoseconds; part of every latency.
    pub(crate) timer_ns: u64,
    /// Nanoseconds of a call: an operation, a batch, a pipeline.
    pub(crate) latencies: Buckets,
    /// Only where a load was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
    pub(crate) steal_percent: f64,
    pub(crate) load_average: f64,
}

/// Memory before the store was opened and after it was loaded, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) before_bytes: u64,
    pub(crate) after_bytes: u64,
}

impl Cell {
    pub(crate) fn ops_a_second(&self) -> f64 {
        if self.seconds > 0.0 { self.ops as f64 / self.seconds } else { 0.0 }
    }

    /// `None` where the time is too short for the kernel's clock ticks.
    pub(crate) fn ops_a_cpu_second(&self) -> Option<f64> {
        (self.cpu_seconds > 0.0).then(|| self.ops as f64 / self.cpu_seconds)
    }

    /// Growth of memory for each entry, in bytes.
    pub(crate) fn bytes_an_entry(&self) -> Option<f64> {
        let memory = self.memory?;
        (self.entries > 0).then(|| {
            memory.after_bytes.saturating_sub(memory.before_bytes) as f64 / f64::from(self.entries)
        })
    }
}
