//! How a store is opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::removal::{Listening, Removal};

/// Least `max_bytes`: one stripe with its open segments, and as much again to reclaim from.
pub const MIN_MAX_BYTES: u64 = 1 << 20;

/// Greatest `max_bytes`, 4 TiB: log and index each reserve as much address space, of which a process has 128 TiB.
pub const MAX_MAX_BYTES: u64 = 1 << 42;

/// Least `max_bytes` of a store in a file: sixteen segments that take the longest key.
pub const MIN_FILE_BYTES: u64 = 4 << 20;

/// `max_bytes` of a store in a file that nobody set: 256 GiB.
pub const DEFAULT_FILE_BYTES: u64 = 256 << 30;

/// What a store is opened with.
///
/// ```
/// use nyala::{Options, Store};
/// let store = Store::open(Options::memory(64 << 20))?;
/// # Ok::<(), nyala::Error>(())
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) max_bytes: u64,
    /// Where the store lives; `None` in memory.
    pub(crate) path: Option<PathBuf>,
    pub(crate) durability: Durability,
    pub(crate) access: Access,
    pub(crate) eviction: Eviction,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) listening: Listening,
    pub(crate) count_reads: Option<bool>,
    pub(crate) tuning: Tuning,
}

/// What happens when the budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Eviction {
    /// Nothing is lost: a write that needs room answers [`Error::Full`].
    #[default]
    None,
    /// A cache: what is read least makes room for what is new. Reads count how often an entry is used, in two bits of
    /// the index that are written until they are saturated; nothing else of a read changes.
    Adaptive,
}

/// What an acknowledged write of a store in a file survives. A store in memory has none of it.
///
/// What [`Store::set_many_atomic`](crate::Store::set_many_atomic) writes is there as a whole or not at all after anything that the
/// level promises something about: the death of the process at each level, a power cut at `Interval` and `Sync`. After a power cut
/// at `Process` a part of it may be found, where space was used again since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Every acknowledged write survives the death of the process (kill -9, abort, out-of-memory kill) while the operating
    /// system runs on. After a power cut the store opens, perhaps with old state or empty, never with a wrong value. No
    /// system call per write.
    #[default]
    Process,
    /// As `Process`, and a power cut loses at most this long plus one sync. Starts a thread, `nyala-sync`, for as long as
    /// the store is open.
    Interval(Duration),
    /// Acknowledged means that a sync which started after the write was complete has finished. Concurrent writers share
    /// one, for which they may wait for each other: one and a half times as long as a sync takes, and 10 ms, at most.
    Sync,
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    /// It is recovered in memory; the file stays as it is.
    Read,
    /// The same, and every record is checked.
    Verify,
    /// The same, and what is damaged is left out.
    Salvage,
}

/// Geometry that tests change to reach rare states soon; everybody else leaves it alone.
#[derive(Debug, Clone, Copy, Default)]
#[doc(hidden)]
pub struct Tuning {
    /// Number of stripes, a power of two; 0 lets the store choose.
    pub stripes: usize,
    /// Bytes of a segment, a power of two; 0 lets the store choose.
    pub segment_bytes: usize,
    /// Bits of the key's hash that are dropped (set to 0), so that keys collide.
    pub hash_drop: u64,
    /// Fixed seed of the hash; `None` draws one.
    pub seed: Option<u64>,
}

impl Options {
    /// A store in memory that never holds more than `max_bytes` bytes: keys, values, index, metadata and slack together.
    /// It does not evict unless it is told to: when it is full, writes that need room answer [`Error::Full`].
    #[must_use]
    pub fn memory(max_bytes: u64) -> Options {
        Options {
            max_bytes,
            path: None,
            durability: Durability::default(),
            access: Access::Write,
            eviction: Eviction::None,
            clock: None,
            listening: Listening::default(),
            count_reads: None,
            tuning: Tuning::default(),
        }
    }

    /// A store in a file, which is created if it is not there, and whose entries are there again when it is opened again.
    /// One process has it open at a time. The cap is [`DEFAULT_FILE_BYTES`] unless [`Options::max_bytes`] says otherwise; the file grows as it
    /// is used. The index lives in memory.
    ///
    /// ```
    /// use nyala::{Options, Store};
    /// # let folder = std::env::temp_dir().join(format!("nyala-options-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("sessions.nyala");
    /// let store = Store::open(Options::file(&path))?;
    /// store.set("user:1", "Ada")?;
    /// drop(store);
    /// let store = Store::open(Options::file(&path))?;
    /// assert_eq!(store.get("user:1")?, Some(b"Ada".to_vec()));
    /// # drop(store);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Options {
        Options { path: Some(path.into()), ..Options::memory(DEFAULT_FILE_BYTES) }
    }

    /// Bytes that the store never passes: in memory those of keys, values, index, metadata and slack, in a file those of the file.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: u64) -> Options {
        self.max_bytes = max_bytes;
        self
    }

    /// What an acknowledged write to a file survives; without it, the death of the process.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Options {
        self.durability = durability;
        self
    }

    /// Opens a file only to read it: beside other readers, while nobody has it open for writing. What it holds is read into the
    /// index, however large it is; the file stays as it is. Every change answers [`Error::ReadOnly`].
    #[must_use]
    pub fn read_only(mut self) -> Options {
        self.access = Access::Read;
        self
    }

    /// Whether entries are evicted when the budget is spent: the choice between a store and a cache.
    ///
    /// ```
    /// use nyala::{Eviction, Options, Store};
    /// let cache = Store::open(Options::memory(1 << 20).eviction(Eviction::Adaptive))?;
    /// for n in 0..100_000_u32 {
    ///     cache.set(n.to_le_bytes(), [0; 100])?; // never Full
    /// }
    /// assert!(cache.len() < 10_000 && cache.used_bytes() <= 1 << 20);
    /// # Ok::<(), nyala::Error>(())
    /// ```
    #[must_use]
    pub fn eviction(mut self, eviction: Eviction) -> Options {
        self.eviction = eviction;
        self
    }

    /// Take the time for expiry from here instead of the system.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Options {
        self.clock = Some(clock);
        self
    }

    /// Call `listener` for each entry that is gone because it was evicted, expired or removed, but not for one that was
    /// overwritten, nor for those that `clear` forgets.
    ///
    /// It is called with no lock held, by a thread whose call used the store, after the entry is gone and in no order; it
    /// may use the store, but should not put back what was evicted, which evicts in turn. Key and value are copied for it,
    /// outside the budget. An expired entry that is overwritten before anybody notices counts as overwritten.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use nyala::{Cause, Eviction, Options, Store};
    /// let evicted = Arc::new(AtomicU64::new(0));
    /// let count = Arc::clone(&evicted);
    /// let options = Options::memory(1 << 20).eviction(Eviction::Adaptive).on_removal(move |removal| {
    ///     if removal.cause == Cause::Evicted {
    ///         count.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// });
    /// let cache = Store::open(options)?;
    /// for n in 0..20_000_u32 {
    ///     cache.set(n.to_le_bytes(), [0; 100])?;
    /// }
    /// assert_eq!(evicted.load(Ordering::Relaxed) + cache.len(), 20_000);
    /// # Ok::<(), nyala::Error>(())
    /// ```
    #[must_use]
    pub fn on_removal(mut self, listener: impl Fn(Removal<'_>) + Send + Sync + 'static) -> Options {
        self.listening = Listening(Some(Arc::new(listener)));
        self
    }

    /// Whether hits and misses are counted, and the keys that are read most; by default in a cache and not in a store.
    /// Costs about a nanosecond a read, and 9 KiB.
    ///
    /// A read is a call that answers a value or tells of an entry: of `get` in all its forms, `pin`, `contains`, `entry_info`, `ttl`,
    /// `swap`, `take` and `set_with` with `return_previous` each counts once, of `get_many` each key. Those that only change
    /// something, and scans, count nothing. Redis counts `keyspace_hits` so.
    #[must_use]
    pub fn count_reads(mut self, count: bool) -> Options {
        self.count_reads = Some(count);
        self
    }

    /// For tests of the store itself.
    #[doc(hidden)]
    #[must_use]
    pub fn tuning(mut self, tuning: Tuning) -> Options {
        self.tuning = tuning;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let max_bytes = self.max_bytes;
        let least = match self.path {
            // Tests make small ones.
            Some(_) if self.tuning.segment_bytes != 0 => 0,
            Some(_) => MIN_FILE_BYTES,
            None => MIN_MAX_BYTES,
        };
        if !(least..=MAX_MAX_BYTES).contains(&max_bytes) {
            return Err(Error::InvalidArgument(format!(
                "max_bytes = {max_bytes} bytes lies outside {least} to {MAX_MAX_BYTES} bytes"
            )));
        }
        if self.path.is_none() && self.access != Access::Write {
            return Err(Error::InvalidArgument(
                "read_only asks for a file: a store in memory begins without entries".into(),
            ));
        }
        match self.durability {
            Durability::Process => Ok(()),
            other if self.path.is_none() => Err(Error::InvalidArgument(format!(
                "durability = {other:?} asks for a file: a store in memory ends with its process"
            ))),
            Durability::Interval(interval) if interval.is_zero() => Err(Error::InvalidArgument(
                "durability interval of 0 ms is none: the least is 1 ms; Durability::Sync waits for each write".into(),
            )),
            _ => Ok(()),
        }?;
        Ok(())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("max_bytes", &self.max_bytes)
            .field("path", &self.path)
            .field("durability", &self.durability)
            .field("eviction", &self.eviction)
            .field("clock", &self.clock.as_ref().map(|_| "injected"))
            .field("on_removal", &self.listening)
            .field("count_reads", &self.count_reads)
            .field("tuning", &self.tuning)
            .finish()
    }
}
