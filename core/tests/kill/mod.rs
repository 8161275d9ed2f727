//! Processes that are killed while they write to a store in a file, and what must be there afterwards.
//!
//! ```text
//! parent   starts a child; reads what it tells; kills it; opens the file; compares; starts the next
//! child    opens the file; before each operation tells what it begins, after it what it was answered
//! ```
//! A pipe keeps what a dead process has told, in its order. Of each key the parent knows every state that it may be in:
//! the last acknowledged one, and those of operations that had begun and were not followed by one that was acknowledged.

pub(crate) mod child;
pub(crate) mod history;
pub(crate) mod parent;
pub(crate) mod story;

use std::time::Duration;

use nyala::{Durability, Options, Tuning};

/// A store that children write to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    segment_bytes: usize,
    stripes: usize,
    max_bytes: u64,
    /// Keys of each thread.
    pub(crate) keys: u32,
    /// Longest value.
    pub(crate) value_max: usize,
}

pub(crate) const SHAPES: [Shape; 4] = [
    Shape {
        name: "segments of 1 KiB",
        segment_bytes: 1 << 10,
        stripes: 2,
        max_bytes: 256 << 10,
        keys: 100,
        value_max: 2000,
    },
    Shape {
        name: "segments of 4 KiB",
        segment_bytes: 4 << 10,
        stripes: 4,
        max_bytes: 1 << 20,
        keys: 200,
        value_max: 6000,
    },
    // So full that reclaim walks all the time, and that some writes are refused.
    Shape {
        name: "full",
        segment_bytes: 2 << 10,
        stripes: 1,
        max_bytes: 96 << 10,
        keys: 120,
        value_max: 400,
    },
    Shape {
        name: "default geometry",
        segment_bytes: 0,
        stripes: 0,
        max_bytes: 64 << 20,
        keys: 500,
        value_max: 8000,
    },
];

pub(crate) const LEVELS: [(&str, Durability); 3] = [
    ("process", Durability::Process),
    ("interval", Durability::Interval(Duration::from_millis(2))),
    ("sync", Durability::Sync),
];

pub(crate) const MAX_THREADS: u32 = 3;

/// How the first argument of a child reads.
pub(crate) const CHILD: &str = "kill-child";

pub(crate) fn options(path: &str, shape: usize, level: usize) -> Options {
    let Shape { segment_bytes, stripes, max_bytes, .. } = SHAPES[shape];
    let tuning = Tuning { segment_bytes, stripes, ..Tuning::default() };
    Options::file(path).max_bytes(max_bytes).tuning(tuning).durability(LEVELS[level].1)
}

/// Long enough that nobody lives to see its end, and short enough that it has passed when the parent looks.
pub(crate) const LONG: Duration = Duration::from_secs(100_000);
pub(crate) const SHORT: Duration = Duration::from_millis(1);

/// Keys end with the thread that writes them: in one key's story only `clear` comes from elsewhere.
pub(crate) fn key_name(key: u32) -> String {
    format!("key {key}")
}

/// Every eighth key is a counter.
pub(crate) fn is_counter(key: u32) -> bool {
    (key / MAX_THREADS).is_multiple_of(8)
}
