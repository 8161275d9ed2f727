//! Nyala is an embeddable key-value store and cache: a lock-striped hash table over byte keys and values, at memory
//! speed, under a hard cap. Full, a store refuses what needs room, and a cache evicts: [`Eviction`]. It lives in memory, or
//! in one crash-safe file: [`Options::file`], [`Durability`].
//!
//! It is for sessions, caching beside a slower store, counters and rate limits with expiry, feature flags, locks. It is
//! not for SQL, joins, or search by value.
//!
//! ```
//! use std::time::Duration;
//! use nyala::{Options, SetOptions, Store};
//!
//! let store = Store::open(Options::memory(64 << 20))?;
//! store.set("greeting", "hello")?;
//! assert_eq!(store.get("greeting")?.as_deref(), Some(&b"hello"[..]));
//! store.set_with("session:7", "Ada", SetOptions::new().ttl(Duration::from_secs(1800)))?;
//! store.increment("visits", 1, None)?;
//! store.get_many(&["greeting", "visits"], |index, value| println!("{index}: {value:?}"))?;
//! # Ok::<(), nyala::Error>(())
//! ```
//!
//! # Consistency
//! Operations on one key are linearizable; there is no order between keys. Reads take no lock and write no shared
//! memory, but for the two bits in which a cache counts how often an entry is read, up to three. There are no hidden
//! threads, save one that [`Durability::Interval`] starts and one while progress is told ([`Store::open_with`]): writers pay for reclaim in small steps, [`Store::maintain`] does
//! it in advance.
//!
//! # Where things are
//! [`Store`] is the handle, [`Options`] opens it, [`Error`] says what went wrong. Inside, `reader` is the way of a get,
//! `update` and `stripe` are the way of a set, `index` and `log` hold the data, `reclaim` frees space, `evict` says what
//! a cache lets go, `file` keeps the log in a file; ARCHITECTURE.md tells how they fit.

// Where a 64-bit word of the store becomes an index, or a count a narrower field, its width is bounded by construction.
#![allow(
    clippy::cast_possible_truncation,
    reason = "usize has 64 bits here, and the layouts bound their fields"
)]
// The models of the reader protocol drive the engine below the public handle.
#![cfg_attr(loom, allow(dead_code, unused_imports, reason = "the models use a part of the crate"))]

const _: () = assert!(usize::BITS == 64, "the store reserves more address space than 32 bits have");

mod clock;
mod counters;
mod decimal;
mod engine;
mod error;
mod evict;
mod file;
mod fork;
#[cfg(all(test, not(loom)))]
mod format;
mod frame;
mod geometry;
mod ghost;
mod growth;
mod hash;
mod hottest;
mod index;
mod largest;
mod leases;
mod log;
#[cfg(all(loom, test))]
mod models;
mod options;
mod overwrite;
mod pin;
mod reader;
mod reclaim;
mod region;
mod removal;
mod resize;
mod scan;
mod stats;
mod storage;
mod store;
mod stripe;
mod sync;
mod tally;
mod types;
mod uncounted;
mod update;

pub use clock::Clock;
pub use error::{Corruption, Error, IoFailure, Result};
pub use file::copy::{FileReport, salvage, salvage_with, verify, verify_with};
pub use file::progress::Progress;
#[doc(hidden)]
pub use options::Tuning;
pub use options::{
    DEFAULT_FILE_BYTES, Durability, Eviction, MAX_MAX_BYTES, MIN_FILE_BYTES, MIN_MAX_BYTES, Options,
};
pub use pin::Pinned;
pub use reader::Value;
pub use removal::{Cause, Removal};
pub use scan::{Cursor, KeyValue};
pub use stats::Stats;
pub use store::Store;
pub use types::{
    Condition, EntryInfo, ExpireCondition, SetOptions, SetOutcome, TimeToLive, Version, WorkLeft,
};
#[doc(hidden)]
pub use uncounted::Uncounted;

/// The examples of README.md, to be compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
