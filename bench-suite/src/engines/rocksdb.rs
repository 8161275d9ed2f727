//! RocksDB from the shared library that the distribution ships: volatile with its log switched off, durable with it.
//!
//! Files that are not meant to last lie in a memory file system where there is one.

use std::ffi::{CString, c_char, c_int, c_uchar};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::contract::{Config, Durability, Engine, GROUP, Group, Info, Key, Session, Tally, named};
use super::every_second::EverySecond;
use super::grouped::Grouped;
use super::rocksdb_api::{Api, Object};
use crate::fault::{Context, Result};
use crate::measure::process;
use crate::report::format;

const MEMTABLE_BYTES: u64 = 64 << 20;
const BLOOM_BITS: f64 = 10.0;
/// Locks for counters: the library's C interface has no read-modify-write.
const COUNTER_LOCKS: usize = 1024;
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
const MEMORY_FILES: &str = "/dev/shm";
const DIRECTORY_PREFIX: &str = "nyala-bench-rocksdb-";

// Values of RocksDB's enumerations.
const NO_COMPRESSION: i32 = 0;
const XXH3: c_char = 4;
const BINARY_SEARCH_AND_HASH: i32 = 1;

#[derive(Debug)]
pub(crate) struct Rocks {
    // Ends before the database is closed.
    syncs: Option<EverySecond>,
    api: Arc<Api>,
    db: Object,
    family: Object,
    reading: Object,
    writing: Object,
    cache: Object,
    place: Place,
    counters: Vec<Mutex<()>>,
}

// SAFETY: RocksDB documents its database, column family and const option objects as safe for concurrent use, and this
// type only ever passes them on; they are destroyed in `drop`, when no session borrows it any more.
unsafe impl Sync for Rocks {}

/// Where the files are and what they are for.
#[derive(Debug, Clone)]
struct Place {
    directory: PathBuf,
    durability: Durability,
    /// In a memory file system.
    in_memory: bool,
    stock: bool,
}

/// A database that another thread syncs.
struct Synced(Object);

// SAFETY: RocksDB documents its database as safe for concurrent use, and the thread ends before it is closed.
unsafe impl Send for Synced {}

impl Synced {
    fn sync(&self, api: &Api) -> Result<()> {
        let mut error = null_mut();
        // SAFETY: the database is open for as long as the thread runs that calls this.
        unsafe { (api.flush_wal)(self.0, 1, &raw mut error) };
        api.check(error, "flush_wal")
    }
}

/// A directory in memory if it has room for several times the data (containers often give 64 MiB there), else an ordinary one.
fn choose_directory(budget_bytes: u64) -> (PathBuf, bool) {
    let name = format!("{DIRECTORY_PREFIX}{}", std::process::id());
    let room = process::free_bytes(Path::new(MEMORY_FILES)).unwrap_or(0);
    if room > 4 * budget_bytes {
        (Path::new(MEMORY_FILES).join(name), true)
    } else {
        (std::env::temp_dir().join(name), false)
    }
}

/// Removes what interrupted runs left in memory: directories whose process has ended.
fn remove_left_behind() {
    for entry in std::fs::read_dir(MEMORY_FILES).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(DIRECTORY_PREFIX));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // Another run may remove it at the same time.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Rocks {
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one argument covers the whole sequence of calls"
    )]
    fn open_at(api: Api, place: Place, config: &Config) -> Result<Rocks> {
        let path = CString::new(place.directory.as_os_str().as_encoded_bytes())
            .context(|| format!("{} cannot be a path", place.directory.display()))?;
        let volatile = place.durability.is_volatile();
        let size = |bytes: u64| usize::try_from(bytes).context(|| format!("{bytes} bytes"));
        let cache_bytes = size(config.cache_bytes())?;
        let memtable_bytes = size(config.buffer_bytes(MEMTABLE_BYTES))?;
        let mut error = null_mut();
        let mut family = null_mut();
        // SAFETY: every object is created by the library before it is passed on, with the types that its header declares;
        // the filter policy and the table options are handed over as the header says (the former owned by the latter);
        // paths are null-terminated and outlive the calls.
        let (db, reading, writing, cache) = unsafe {
            let cache = (api.cache_create_lru)(cache_bytes);
            let table = (api.block_based_options_create)();
            (api.block_based_options_set_block_cache)(table, cache);
            (api.block_based_options_set_filter_policy)(
                table,
                (api.filterpolicy_create_bloom_full)(BLOOM_BITS),
            );
            (api.block_based_options_set_format_version)(table, 5);
            (api.block_based_options_set_checksum)(table, XXH3);
            (api.block_based_options_set_data_block_index_type)(table, BINARY_SEARCH_AND_HASH);
            (api.block_based_options_set_data_block_hash_ratio)(table, 0.75);
            let options = (api.options_create)();
            (api.options_set_create_if_missing)(options, 1);
            (api.options_set_error_if_exists)(options, c_uchar::from(volatile));
            if !place.stock {
                (api.options_set_compression)(options, NO_COMPRESSION);
                (api.options_set_write_buffer_size)(options, memtable_bytes);
                (api.options_set_max_background_jobs)(options, 2);
                (api.options_set_block_based_table_factory)(options, table);
            }
            let names = [c"default".as_ptr()];
            let family_options = [options];
            let db = (api.open_column_families)(
                options,
                path.as_ptr(),
                1,
                names.as_ptr(),
                family_options.as_ptr(),
                &raw mut family,
                &raw mut error,
            );
            (api.options_destroy)(options);
            (api.block_based_options_destroy)(table);
            let writing = (api.writeoptions_create)();
            (api.writeoptions_disable_WAL)(writing, c_int::from(volatile));
            let synced = place.durability == Durability::D3;
            (api.writeoptions_set_sync)(writing, c_uchar::from(synced));
            (db, (api.readoptions_create)(), writing, cache)
        };
        api.check(error, "open")?;
        let counters = (0..COUNTER_LOCKS).map(|_| Mutex::new(())).collect();
        let api = Arc::new(api);
        let syncs = (place.durability == Durability::D2).then(|| {
            let (api, synced) = (Arc::clone(&api), Synced(db));
            EverySecond::call(move || synced.sync(&api))
        });
        Ok(Rocks { syncs, api, db, family, reading, writing, cache, place, counters })
    }

    fn property(&self, name: &std::ffi::CStr) -> u64 {
        let mut value = 0;
        // SAFETY: the database is open, the name null-terminated, and `value` a live integer of the declared size.
        let outcome = unsafe { (self.api.property_int)(self.db, name.as_ptr(), &raw mut value) };
        if outcome == 0 { value } else { 0 }
    }
}

impl Drop for Rocks {
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one argument covers the whole sequence of calls"
    )]
    fn drop(&mut self) {
        self.syncs = None;
        // SAFETY: each object was created by the library, is destroyed once, in the order that its header asks for, and no
        // session can be left, since sessions borrow `self`.
        unsafe {
            (self.api.column_family_handle_destroy)(self.family);
            (self.api.close)(self.db);
            (self.api.readoptions_destroy)(self.reading);
            (self.api.writeoptions_destroy)(self.writing);
            (self.api.cache_destroy)(self.cache);
        }
        if self.place.durability.is_volatile() {
            // What cannot be removed is left for the system's own cleaning of temporary files.
            let _ = std::fs::remove_dir_all(&self.place.directory);
        }
    }
}

impl Engine for Rocks {
    type Session<'a> = RocksSession<'a>;
    const SAMPLE_EVERY: u32 = 4;

    fn available() -> Result<()> {
        Api::load().map(drop)
    }

    fn open(config: &Config) -> Result<Rocks> {
        let place = match &config.home {
            Some(home) => Place {
                directory: home.folder.join("rocksdb"),
                durability: home.durability,
                in_memory: false,
                stock: home.stock,
            },
            None => {
                remove_left_behind();
                let (directory, in_memory) = choose_directory(config.budget_bytes);
                Place { directory, durability: Durability::D0, in_memory, stock: false }
            }
        };
        Rocks::open_at(Api::load()?, place, config)
    }

    fn info(&self) -> Info {
        let build = if self.api.file.starts_with("/usr/lib") {
            "Debian build, assertions on"
        } else {
            "its build is unknown"
        };
        let log = match self.place.durability {
            Durability::D0 => {
                let place = if self.place.in_memory {
                    "a memory file system"
                } else {
                    "the temporary folder, on disk"
                };
                format!("write-ahead log off; files in {place}")
            }
            Durability::D1 => "write-ahead log on, sync = false".to_owned(),
            Durability::D2 => {
                "write-ahead log on, sync = false; FlushWAL(sync) every second".to_owned()
            }
            Durability::D3 => "write-ahead log on, sync = true; its own group commit".to_owned(),
        };
        Info {
            name: named("rocksdb", self.place.stock),
            title: if self.place.stock {
                format!("RocksDB {}, stock", self.api.version())
            } else {
                format!("RocksDB {}", self.api.version())
            },
            version: self.api.version(),
            note: Some(build.to_owned()),
            build: Some(format!("shared library {}", self.api.file.display())),
            group: Group::InProcess,
            floor: false,
            settings: if self.place.stock {
                vec![
                    format!(
                        "{log}; everything else as shipped: 8 MB cache, no filter, Snappy where it was compiled in"
                    ),
                    format!(
                        "reads by get_pinned, batches by batched_multi_get; flushed before reads are timed; load by write batches of {GROUP}"
                    ),
                ]
            } else {
                vec![
                format!("{log}; no compression"),
                format!("block cache = the budget, bloom filter of {BLOOM_BITS} bits, memtable of {} MiB", MEMTABLE_BYTES >> 20),
                "table format 5, xxh3 checksums, hash index in data blocks, 2 background jobs".to_owned(),
                "reads by get_pinned, batches by batched_multi_get; flushed and compacted before reads are timed".to_owned(),
                format!("counters: get and put under one of {COUNTER_LOCKS} locks (the C interface has no read-modify-write)"),
                if self.place.durability.is_volatile() {
                    "its bytes an entry count the process and, where they lie in memory, its files".to_owned()
                } else {
                    format!("load by write batches of {GROUP}")
                },
            ]
            },
        }
    }

    fn under_limit(config: &Config) -> String {
        let [cache, memtable] =
            [config.cache_bytes(), config.buffer_bytes(MEMTABLE_BYTES)].map(format::bytes);
        format!("block cache {cache}, memtables of {memtable}")
    }

    fn session(&self) -> Result<RocksSession<'_>> {
        Ok(RocksSession { rocks: self, group: Grouped::default() })
    }

    fn settle(&self) -> Result<()> {
        let mut error = null_mut();
        // SAFETY: no arguments; the object is destroyed below.
        let options = unsafe { (self.api.flushoptions_create)() };
        // SAFETY: database and options are live objects of the library.
        unsafe { (self.api.flush)(self.db, options, &raw mut error) };
        // SAFETY: created above, not used again.
        unsafe { (self.api.flushoptions_destroy)(options) };
        self.api.check(error, "flush")?;
        let started = Instant::now();
        let busy = [
            c"rocksdb.num-running-flushes",
            c"rocksdb.num-running-compactions",
            c"rocksdb.compaction-pending",
            c"rocksdb.mem-table-flush-pending",
        ];
        while busy.iter().any(|name| self.property(name) > 0) && started.elapsed() < SETTLE_LIMIT {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn memory_bytes(&self) -> Result<u64> {
        let files =
            if self.place.in_memory { process::bytes_below(&self.place.directory) } else { 0 };
        Ok(process::resident_bytes()? + files)
    }
}

#[derive(Debug)]
pub(crate) struct RocksSession<'a> {
    rocks: &'a Rocks,
    group: Grouped,
}

impl RocksSession<'_> {
    /// Writes the collected pairs as one batch.
    fn flush(&mut self) -> Result<()> {
        let Rocks { api, db, writing, .. } = self.rocks;
        // SAFETY: no arguments; the object is destroyed below.
        let batch = unsafe { (api.writebatch_create)() };
        for (key, value) in self.group.pairs() {
            let (key_start, value_start) = (key.as_ptr().cast(), value.as_ptr().cast());
            // SAFETY: a live object; key and value are copied during the call.
            unsafe { (api.writebatch_put)(batch, key_start, key.len(), value_start, value.len()) };
        }
        let mut error = null_mut();
        // SAFETY: live objects of the library.
        unsafe { (api.write)(*db, *writing, batch, &raw mut error) };
        // SAFETY: created above, not used again.
        unsafe { (api.writebatch_destroy)(batch) };
        self.group.clear();
        api.check(error, "write")
    }

    /// Copies the pinned value and unpins it; a null pin is a miss.
    fn copy_pinned(&self, pinned: Object, out: &mut Vec<u8>) -> bool {
        if pinned.is_null() {
            return false;
        }
        let api = &self.rocks.api;
        let mut length = 0;
        // SAFETY: `pinned` is a live slice of the library.
        let start = unsafe { (api.pinnableslice_value)(pinned, &raw mut length) };
        out.clear();
        if !start.is_null() {
            // SAFETY: the library keeps `length` bytes there until the slice is destroyed.
            out.extend_from_slice(unsafe {
                std::slice::from_raw_parts(start.cast::<u8>(), length)
            });
        }
        // SAFETY: not used again.
        unsafe { (api.pinnableslice_destroy)(pinned) };
        true
    }
}

impl Session for RocksSession<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let Rocks { api, db, reading, .. } = self.rocks;
        let mut error = null_mut();
        // SAFETY: live objects; the key is read during the call only.
        let pinned = unsafe {
            (api.get_pinned)(*db, *reading, key.as_ptr().cast(), key.len(), &raw mut error)
        };
        api.check(error, "get")?;
        Ok(self.copy_pinned(pinned, out))
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.group.collects() {
            return if self.group.push(key, value) { self.flush() } else { Ok(()) };
        }
        let Rocks { api, db, writing, .. } = self.rocks;
        let mut error = null_mut();
        let (key_start, value_start) = (key.as_ptr().cast(), value.as_ptr().cast());
        // SAFETY: live objects; key and value are read during the call only.
        unsafe {
            (api.put)(*db, *writing, key_start, key.len(), value_start, value.len(), &raw mut error)
        };
        api.check(error, "put")
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        let Rocks { api, db, writing, .. } = self.rocks;
        let mut error = null_mut();
        // SAFETY: live objects; the key is read during the call only.
        unsafe { (api.delete)(*db, *writing, key.as_ptr().cast(), key.len(), &raw mut error) };
        api.check(error, "delete")
    }

    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let place = key
            .iter()
            .fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        let _turn = self.rocks.counters[place % COUNTER_LOCKS].lock();
        let mut held = Vec::with_capacity(8);
        let sum = if self.get(key, &mut held)? { super::integers::sum_of(&held)? } else { 1 };
        self.set(key, &sum.to_le_bytes())?;
        Ok(sum)
    }

    fn get_many(&mut self, keys: &[Key], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
        const AT_ONCE: usize = 32;
        let Rocks { api, db, family, reading, .. } = self.rocks;
        for keys in keys.chunks(AT_ONCE) {
            let mut starts = [std::ptr::null::<c_char>(); AT_ONCE];
            let mut lengths = [0_usize; AT_ONCE];
            let mut values: [Object; AT_ONCE] = [null_mut(); AT_ONCE];
            let mut errors: [*mut c_char; AT_ONCE] = [null_mut(); AT_ONCE];
            for ((start, length), key) in starts.iter_mut().zip(&mut lengths).zip(keys) {
                *start = key.as_ptr().cast();
                *length = key.len();
            }
            let (start, length) = (starts.as_ptr(), lengths.as_ptr());
            let (value, error) = (values.as_mut_ptr(), errors.as_mut_ptr());
            // SAFETY: live objects; the four arrays hold at least as many elements as there are keys.
            unsafe {
                (api.batched_multi_get_cf)(
                    *db,
                    *reading,
                    *family,
                    keys.len(),
                    start,
                    length,
                    value,
                    error,
                    false,
                )
            };
            let mut outcome = Ok(());
            for (pinned, error) in values.iter().zip(errors).take(keys.len()) {
                if self.copy_pinned(*pinned, out) {
                    tally.hit(out);
                } else {
                    tally.miss();
                }
                outcome = outcome.and(api.check(error, "multi_get"));
            }
            outcome?;
        }
        Ok(())
    }

    fn loading(&mut self, on: bool) -> Result<()> {
        // Volatile, with the log off, a load is so many sets.
        self.group.collect(on && !self.rocks.place.durability.is_volatile());
        if self.group.is_empty() { Ok(()) } else { self.flush() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_room_is_not_chosen() {
        let (directory, in_memory) = choose_directory(u64::MAX / 8);
        assert!(!in_memory);
        assert!(directory.starts_with(std::env::temp_dir()));
    }
}
