//! What is recorded of stores in files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Cell;
use crate::engines::contract::{Durability, Info};
use crate::workloads::stream::Content;

/// Where the files were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Its type and its mount options, as the kernel names them.
    pub(crate) file_system: String,
    pub(crate) device: String,
    /// What a page written into a preallocated file and its fdatasync took, in nanoseconds: median, and nine in ten.
    pub(crate) fdatasync_ns: u64,
    pub(crate) fdatasync_p90_ns: u64,
    pub(crate) samples: u64,
}

/// An engine in one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileStore {
    pub(crate) durability: Durability,
    #[serde(flatten)]
    pub(crate) info: Info,
    /// `None` for a floor, which stores nothing.
    pub(crate) audit: Option<Audit>,
}

/// What an engine was seen to do for its class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Audit {
    /// `None` where system calls cannot be watched; then `unwatched` says why.
    pub(crate) syncs: Option<Syncs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unwatched: Option<String>,
    pub(crate) killed: Killed,
}

/// System calls of a run of single sets on one thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Syncs {
    pub(crate) sets: u64,
    pub(crate) seconds: f64,
    /// Calls that ended well, by name; a write to a file opened with O_DSYNC or O_SYNC counts as `dsync-write`.
    pub(crate) calls: BTreeMap<String, u64>,
    /// Longest time in which none of them ended, in seconds.
    pub(crate) longest_gap: f64,
}

impl Syncs {
    /// Those after which data is on the device. sync_file_range stores no lengths, and is not among them.
    pub(crate) fn durable(&self) -> u64 {
        let durable = self.calls.iter().filter(|(name, _)| *name != "sync_file_range");
        durable.map(|(_, count)| count).sum()
    }
}

/// A run that was ended by SIGKILL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Killed {
    /// Sets that were acknowledged before.
    pub(crate) acknowledged: u64,
    /// Those of them that were not there, or not as they were set, when it was opened again.
    pub(crate) lost: u64,
    /// How long before the kill the oldest of these was acknowledged, in seconds.
    pub(crate) oldest_lost: f64,
}

/// A measurement of a workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileCell {
    pub(crate) durability: Durability,
    #[serde(default, skip_serializing_if = "Content::is_incompressible")]
    pub(crate) values: Content,
    #[serde(flatten)]
    pub(crate) cell: Cell,
}

/// One engine in one class in one block, one thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileFacts {
    pub(crate) engine: String,
    pub(crate) durability: Durability,
    #[serde(default, skip_serializing_if = "Content::is_incompressible")]
    pub(crate) values: Content,
    pub(crate) block: u32,
    pub(crate) entries: u32,
    /// Blocks of its files, in bytes, after the load and after all workloads.
    pub(crate) loaded_bytes: u64,
    pub(crate) ended_bytes: u64,
    /// Growth of anonymous memory from before opening to after the load.
    pub(crate) memory_bytes: u64,
    /// Bytes of pages that its process made dirty from opening to the end of all workloads.
    pub(crate) written_bytes: u64,
    /// Bytes of keys and values that were set meanwhile.
    pub(crate) set_bytes: u64,
    /// From the call that opens it to the first value read, in seconds: after a clean close.
    pub(crate) open_clean: f64,
    /// And after SIGKILL, with `killed.acknowledged` sets since the clean close.
    pub(crate) open_killed: f64,
    pub(crate) killed: Killed,
}
