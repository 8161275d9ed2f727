//! What an engine must offer to be measured: the same few operations, the same bytes in and out.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Result};
use crate::workloads::stream::{Kind, Op, Values};

/// Bytes of a key.
pub(crate) const KEY_LEN: usize = 16;
/// Writes of a load that share a transaction or batch.
pub(crate) const GROUP: usize = 1000;
/// A key as the streams hold it; engines see a slice.
pub(crate) type Key = [u8; KEY_LEN];

/// What an acknowledged write survives. Rows of different classes never share a table.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(crate) enum Durability {
    /// Nothing: it ends with the process.
    #[default]
    D0,
    /// The death of the process, kill -9 included, while the operating system runs on.
    D1,
    /// A power cut, but for what was acknowledged in the last second.
    D2,
    /// A power cut.
    D3,
}

impl Durability {
    /// Classes of stores in files.
    pub(crate) const OF_FILES: [Durability; 3] = [Durability::D1, Durability::D2, Durability::D3];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Durability::D0 => "D0",
            Durability::D1 => "D1",
            Durability::D2 => "D2",
            Durability::D3 => "D3",
        }
    }

    /// What the class promises of an acknowledged write.
    pub(crate) fn promise(self) -> &'static str {
        match self {
            Durability::D0 => "nothing survives the process",
            Durability::D1 => "survives the death of the process",
            Durability::D2 => "survives a power cut unless it came in the last second",
            Durability::D3 => "survives a power cut",
        }
    }

    /// By its name.
    pub(crate) fn find(name: &str) -> Option<Durability> {
        Durability::OF_FILES.into_iter().find(|class| class.name() == name)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(crate) fn is_volatile(&self) -> bool {
        *self == Durability::D0
    }
}

/// Where a store in files lives, and what it promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Home {
    pub(crate) durability: Durability,
    /// An existing folder for this store alone.
    pub(crate) folder: PathBuf,
    /// As the library is by itself, but for what the class asks for; else as somebody who knows it would set it.
    pub(crate) stock: bool,
}

/// A row's name: with the same library, untouched, beside it.
pub(crate) fn named(name: &str, stock: bool) -> String {
    if stock { format!("{name}-stock") } else { name.to_owned() }
}

/// What an engine is opened with.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// `None`: the store is volatile.
    pub(crate) home: Option<Home>,
    /// Memory the engine may use, where it can be told so.
    pub(crate) budget_bytes: u64,
    /// Entries the engine may hold, where it counts these instead.
    pub(crate) capacity: usize,
    /// Whether it makes room for more by dropping entries, where it can be told so: a cache, and no store.
    pub(crate) evicts: bool,
    /// Threads that will each hold a session.
    pub(crate) threads: usize,
    /// Memory that the whole process may take, where that is limited: pages of files count, too.
    pub(crate) limit_bytes: Option<u64>,
}

impl Config {
    /// What an engine gives its cache: the budget, and of a limited memory a quarter, since the rest caches pages of its files.
    /// Some of them take as much again for what they write and sort.
    pub(crate) fn cache_bytes(&self) -> u64 {
        self.limit_bytes.map_or(self.budget_bytes, |limit| self.budget_bytes.min(limit / 4))
    }

    /// What an engine gives each of its write buffers: `usual`, and of a limited memory a 32nd at most.
    pub(crate) fn buffer_bytes(&self, usual: u64) -> u64 {
        self.limit_bytes.map_or(usual, |limit| usual.min(limit / 32))
    }
}

/// What a store can say about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) entries: Option<u64>,
    /// Part of its budget that live records and their index take.
    pub(crate) live_share: Option<f64>,
    /// Bytes that it has copied so far to make room.
    pub(crate) bytes_moved: Option<u64>,
}

/// In which comparison a row stands: a socket in between makes another experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Group {
    /// Called as a function in the measured process.
    InProcess,
    /// Reached over a socket of this machine, in a process of its own.
    Socket,
}

/// How an engine introduces itself in the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Info {
    /// Short name, as in `--engines` and in the cells.
    pub(crate) name: String,
    /// Name in tables and charts.
    pub(crate) title: String,
    pub(crate) version: String,
    /// What a reader must know before comparing: printed with every table that has the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// How it was compiled, where that was not with this program and its flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) build: Option<String>,
    pub(crate) group: Group,
    /// A floor is no store: it shows what the harness or the hardware costs by itself.
    pub(crate) floor: bool,
    /// Every setting that is not the library's default, and the defaults that matter.
    pub(crate) settings: Vec<String>,
}

/// Counts what reads brought, so that no work can be optimised away and no engine can win by losing keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) checksum: u64,
}

impl Tally {
    /// Adds a value that a read has copied into the caller's buffer: one addition for each eight bytes.
    #[inline]
    pub(crate) fn hit(&mut self, value: &[u8]) {
        self.hits += 1;
        let (words, rest) = value.as_chunks::<8>();
        let mut sum = self.checksum;
        for word in words {
            sum = sum.wrapping_add(u64::from_le_bytes(*word));
        }
        for byte in rest {
            sum = sum.wrapping_add(u64::from(*byte));
        }
        self.checksum = sum;
    }

    #[inline]
    pub(crate) fn miss(&mut self) {
        self.misses += 1;
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.checksum = self.checksum.wrapping_add(other.checksum);
    }
}

/// A store under measurement.
pub(crate) trait Engine: Sync + Sized {
    /// One thread's way into the store.
    type Session<'a>: Session
    where
        Self: 'a;

    /// One call in so many is timed: the clock costs tens of nanoseconds, which only slow operations bear at each call.
    const SAMPLE_EVERY: u32;

    /// Whether a measuring process may end with the store as it is: the system takes memory back in milliseconds, where
    /// the store's destructor would visit millions of boxes. Not for one that has files or processes to remove.
    const ENDS_WITH_PROCESS: bool = false;

    /// Whether its room is a number of bytes, and not of entries.
    const COUNTS_BYTES: bool = false;

    /// Fails with a line that says how to install what is missing.
    fn available() -> Result<()> {
        Ok(())
    }

    fn open(config: &Config) -> Result<Self>;

    fn info(&self) -> Info;

    /// How it is set beside what `info` says where its process's memory is limited, in words.
    fn under_limit(_config: &Config) -> String {
        "nothing set".to_owned()
    }

    fn session(&self) -> Result<Self::Session<'_>>;

    /// Waits until work that the engine put off during the load is done, so that later cells do not pay for it.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Memory that the engine holds now, in bytes: resident memory of its process, and files that lie in memory.
    fn memory_bytes(&self) -> Result<u64> {
        crate::measure::process::resident_bytes()
    }

    fn counts(&self) -> Counts {
        Counts::default()
    }

    /// Ends a store in files cleanly, so that opening it again can be measured.
    fn close(self) -> Result<()> {
        drop(self);
        Ok(())
    }

    /// The process that writes the store's files.
    fn writer(&self) -> u32 {
        std::process::id()
    }

    /// Processor time that another process has spent for the engine, in seconds.
    fn server_cpu_seconds(&self) -> Result<f64> {
        Ok(0.0)
    }
}

/// The operations. Each returns when the work is done and acknowledged.
pub(crate) trait Session {
    /// Replaces `out` by the value; whether there was one.
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool>;

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Removes a key that is there. Only stores in files are asked for it.
    fn delete(&mut self, _key: &[u8]) -> Result<()> {
        Err(Fault::new("deletes are measured in files only"))
    }

    /// Adds one, from zero if the key is new, and returns the sum.
    fn increment(&mut self, key: &[u8]) -> Result<i64>;

    /// Reads many keys; engines without a call for it loop.
    #[inline]
    fn get_many(&mut self, keys: &[Key], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
        for key in keys {
            if self.get(key, out)? {
                tally.hit(out);
            } else {
                tally.miss();
            }
        }
        Ok(())
    }

    /// Operations that travel together: the pipeline of a server, 1 for a call.
    #[inline]
    fn depth(&self) -> usize {
        1
    }

    /// Executes at most `depth` operations.
    #[inline]
    fn execute(
        &mut self,
        ops: &[Op],
        values: &Values,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<()> {
        for op in ops {
            match op.kind {
                Kind::Get => {
                    if self.get(&op.key, out)? {
                        tally.hit(out);
                    } else {
                        tally.miss();
                    }
                }
                Kind::Set => self.set(&op.key, values.at(op.value))?,
                Kind::Increment => {
                    let sum = self.increment(&op.key)?;
                    tally.hit(&sum.to_le_bytes());
                }
            }
        }
        Ok(())
    }

    /// Reads at most `depth` keys and stores `value` under those that were missing, as a cache in front of a database does.
    #[inline]
    fn read_through(
        &mut self,
        keys: &[Key],
        value: &[u8],
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<()> {
        for key in keys {
            if self.get(key, out)? {
                tally.hit(out);
            } else {
                tally.miss();
                self.set(key, value)?;
            }
        }
        Ok(())
    }

    /// Around the load: an engine with transactions or batches groups its writes in between, [`GROUP`] at a time.
    fn loading(&mut self, _on: bool) -> Result<()> {
        Ok(())
    }
}
