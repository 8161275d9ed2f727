//! What an experiment on caches and full stores found.

use serde::{Deserialize, Serialize};

use super::histogram::Buckets;
use crate::engines::contract::Durability;
use crate::workloads::Workload;

/// One engine in one experiment, under one condition, in one block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) engine: String,
    pub(crate) block: u32,
    /// Place in the block's random order.
    pub(crate) position: u32,
    pub(crate) steal_percent: f64,
    pub(crate) load_average: f64,
    #[serde(flatten)]
    pub(crate) finding: Finding,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "experiment", rename_all = "kebab-case")]
pub(crate) enum Finding {
    HitRatio(HitRatio),
    Eviction(Eviction),
    Growth(Growth),
    HotKey(HotKey),
    Overwrite(Overwrite),
    Memory(MemoryAt),
    Latency(Latency),
    BeyondMemory(Beyond),
    ValueSize(ValueSize),
}

/// Operations and the time they took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Speed {
    pub(crate) ops: u64,
    pub(crate) seconds: f64,
}

impl Speed {
    pub(crate) fn ops_a_second(self) -> f64 {
        if self.seconds > 0.0 { self.ops as f64 / self.seconds } else { 0.0 }
    }
}

/// What a cache that counts bytes was given instead of a number of entries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Budget {
    pub(crate) max_bytes: u64,
    pub(crate) key_bytes: u64,
    pub(crate) value_bytes: u64,
    /// Entries that it held when it was full of distinct keys, on average.
    pub(crate) entries: f64,
}

/// A trace replayed through a cache that holds `capacity` entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HitRatio {
    pub(crate) trace: String,
    pub(crate) requests: u64,
    pub(crate) distinct_keys: u64,
    pub(crate) capacity: u64,
    pub(crate) hits: u64,
    /// Entries that the cache held at the end, by its own count.
    pub(crate) held: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<Budget>,
}

impl HitRatio {
    pub(crate) fn percent(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { 100.0 * self.hits as f64 / self.requests as f64 }
    }
}

/// Reads of Zipf-distributed keys, each miss followed by a set, in a cache with room for a part of the keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Eviction {
    pub(crate) keys: u32,
    pub(crate) capacity: u64,
    pub(crate) threads: usize,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) held: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<Budget>,
    #[serde(flatten)]
    pub(crate) speed: Speed,
}

/// Every set from empty to full, timed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Growth {
    pub(crate) entries: u32,
    pub(crate) seconds: f64,
    /// Nanoseconds of a set.
    pub(crate) latencies: Buckets,
    /// The longest sets, longest first.
    pub(crate) stalls: Vec<Stall>,
}

/// A set that took long: after how many others, and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stall {
    pub(crate) at: u32,
    pub(crate) ns: u32,
}

/// Every thread on one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HotKey {
    pub(crate) action: Action,
    pub(crate) threads: usize,
    #[serde(flatten)]
    pub(crate) speed: Speed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    Read,
    Increment,
}

/// Overwrites of uniformly drawn entries of a store that is full to a share of its budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Overwrite {
    /// Per cent of the budget that live records and their index take; `None` for a store without a budget.
    pub(crate) fill_percent: Option<u32>,
    /// What it came to: less where the store refused more before.
    pub(crate) reached_percent: Option<f64>,
    pub(crate) sizes: Sizes,
    pub(crate) entries: u32,
    /// Key and value bytes that were written.
    pub(crate) bytes_written: u64,
    /// Bytes that the store copied meanwhile to make room, where it says so.
    pub(crate) bytes_moved: Option<u64>,
    /// Writes that the store refused for want of room.
    pub(crate) refused: u64,
    #[serde(flatten)]
    pub(crate) speed: Speed,
}

/// Lengths of values that overwrite each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sizes {
    Equal,
    Mixed,
}

/// Memory that a number of entries took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemoryAt {
    pub(crate) entries: u32,
    pub(crate) grown_bytes: u64,
}

/// An open loop on one thread at a part of the rate of a closed one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) durability: Durability,
    pub(crate) entries: u32,
    /// Of the closed loop's rate.
    pub(crate) percent: u32,
    pub(crate) closed_ops_a_second: f64,
    pub(crate) offered_ops_a_second: f64,
    /// Fewer than the schedule holds if the store could not keep up.
    pub(crate) ops: u64,
    pub(crate) seconds: f64,
    pub(crate) timer_ns: u64,
    /// Nanoseconds from the intended moment to the end.
    pub(crate) latencies: Buckets,
}

/// A store in files with more data than its process may take of memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beyond {
    pub(crate) durability: Durability,
    pub(crate) workload: Workload,
    /// What the process might take, pages of files included.
    pub(crate) limit_bytes: u64,
    pub(crate) entries: u32,
    pub(crate) value_bytes: u64,
    pub(crate) threads: usize,
    /// Bytes that came from the device meanwhile, where the kernel tells.
    pub(crate) read_bytes: Option<u64>,
    /// Bytes of pages that became dirty meanwhile.
    pub(crate) written_bytes: u64,
    /// Blocks of all files at the end, in bytes.
    pub(crate) disk_bytes: u64,
    /// Caches and buffers under this limit.
    pub(crate) settings: String,
    pub(crate) timer_ns: u64,
    /// Nanoseconds of a call.
    pub(crate) latencies: Buckets,
    #[serde(flatten)]
    pub(crate) speed: Speed,
}

/// What is done to uniformly drawn entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    Get,
    /// To another value of equal size.
    Set,
}

impl Access {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Access::Get => "get",
            Access::Set => "set",
        }
    }
}

/// One thread in a store of values of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ValueSize {
    pub(crate) access: Access,
    pub(crate) value_bytes: u32,
    pub(crate) entries: u32,
    /// Sum of every word that reads returned.
    pub(crate) checksum: String,
    #[serde(flatten)]
    pub(crate) speed: Speed,
}
