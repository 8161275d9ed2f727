//! The profiles themselves.

use super::{Beyond, Files, Profile, Size, Stores};
use crate::engines::contract::Durability;
use crate::experiments::{Experiment, Form};
use crate::workloads::Workload;

/// Workloads after the load.
const COMMON: [Workload; 5] =
    [Workload::Get, Workload::BatchGet, Workload::Zipf95, Workload::Zipf50, Workload::Counters];
/// The same where there are millions of entries.
const LARGE: [Workload; 3] = [Workload::Get, Workload::BatchGet, Workload::Zipf95];
/// Reads and writes at their shortest.
const FEW: [Workload; 2] = [Workload::Get, Workload::Zipf50];
const READS: [Workload; 2] = [Workload::Get, Workload::BatchGet];

/// Workloads after the load of a store in files; counters are left to memory.
const IN_FILES: &[Workload] = &[
    Workload::Get,
    Workload::BatchGet,
    Workload::Overwrite,
    Workload::Zipf95,
    Workload::Zipf50,
    Workload::Insert,
];

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
    latency_entries: 100_000,
    latency_span_ms: 100,
    sized_bytes: 4 << 20,
    sized_span_ms: 10,
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
    latency_entries: 1_000_000,
    latency_span_ms: 1000,
    sized_bytes: 64 << 20,
    sized_span_ms: 500,
    span_ms: 1000,
    hot_span_ms: 300,
    stream_len: 1 << 22,
};

/// A gigabyte in a quarter of it.
const LARGE_DATA: Beyond = Beyond {
    classes: &Durability::OF_FILES,
    limit_bytes: 256 << 20,
    entries: 1_000_000,
    span_ms: 5000,
    blocks: 3,
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
            latency_entries: 5_000,
            latency_span_ms: 20,
            sized_bytes: 1 << 20,
            sized_span_ms: 4,
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
            latency_span_ms: 10,
            compressible: true,
            stream_len: 1 << 12,
        }),
        beyond: Some(Beyond {
            classes: &[Durability::D1],
            limit_bytes: 32 << 20,
            entries: 100_000,
            span_ms: 30,
            blocks: 1,
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
            latency_span_ms: 0,
            compressible: false,
            stream_len: 1 << 16,
        }),
        beyond: None,
    },
    Profile {
        name: "quick",
        about: "6 to 7 minutes, 1 M entries, and 5 M for the engines in memory; 100 k in files",
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
            latency_span_ms: 0,
            compressible: false,
            stream_len: 1 << 18,
        }),
        beyond: None,
    },
    Profile {
        name: "standard",
        about: "27 minutes, 10 blocks: a list of cells that covers all classes, made to be repeated",
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
                    threads: &[2],
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
        experiments: &[
            Experiment::HitRatio,
            Experiment::Eviction,
            Experiment::Growth,
            Experiment::Latency,
        ],
        files: Some(Files {
            classes: &Durability::OF_FILES,
            entries: 100_000,
            threads: &[1],
            synced_threads: &[1, 16],
            span_ms: 150,
            synced_span_ms: 400,
            workloads: &[Workload::Get, Workload::Overwrite],
            latency_span_ms: 150,
            compressible: false,
            stream_len: 1 << 18,
        }),
        beyond: None,
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
            latency_span_ms: 1000,
            compressible: true,
            stream_len: 3 << 18,
        }),
        beyond: Some(Beyond { classes: &[Durability::D1], ..LARGE_DATA }),
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
        beyond: None,
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
        beyond: None,
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
            latency_span_ms: 50,
            compressible: true,
            stream_len: 1 << 16,
        }),
        beyond: None,
    },
    Profile {
        name: "files-full",
        about: "about 35 minutes, 1 M entries; a class alone in 8 to 15",
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
            latency_span_ms: 1000,
            compressible: true,
            stream_len: 3 << 18,
        }),
        beyond: None,
    },
];

/// What `beyond-memory` offers: stores in files whose data is four times their memory, alone.
pub(crate) const BEYOND: [Profile; 2] = [
    Profile {
        name: "beyond-smoke",
        about: "a minute a class, 260 MB of data in 64 MiB: shows that everything works",
        blocks: 3,
        resumes: false,
        stores: None,
        form: None,
        experiments: &[],
        files: None,
        beyond: Some(Beyond {
            limit_bytes: 64 << 20,
            entries: 250_000,
            span_ms: 400,
            ..LARGE_DATA
        }),
    },
    Profile {
        name: "beyond-full",
        about: "ten minutes a class, 1.04 GB of data in 256 MiB",
        blocks: 3,
        resumes: false,
        stores: None,
        form: None,
        experiments: &[],
        files: None,
        beyond: Some(LARGE_DATA),
    },
];
