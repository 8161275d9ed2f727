//! Opening and closing a store in a file.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file::disk::Disk;
use crate::file::header::{self, MainHeader};
use crate::file::interval::Interval;
use crate::file::log::FileLog;
use crate::file::progress::Meter;
use crate::file::real::{Mode, RealDisk};
use crate::geometry::{Geometry, MAX_FILE_SEGMENTS};
use crate::hash::KeyHasher;
use crate::log::record::RECORD_WORDS_MAX;
use crate::options::{Access, Durability, Options, Tuning};
use crate::region::{Region, WORD};
use crate::storage::Storage;
use crate::sync::AtomicU64;

/// What is hashed under a file's seed, to notice a library that hashes differently.
const PROOF: &[u8] = b"Nyala";

/// Bytes of the map beside the segments: headers, journal, and what a reader may touch behind the last segment; and as many
/// as the longest value has, so that no run of words leaves the map.
const BESIDE_SEGMENTS: u64 = (8 << 20) + (1 << 30);

/// The words of the segments, in the map of a disk.
#[derive(Debug)]
struct FileStorage {
    disk: Arc<dyn Disk>,
    first_segment: u64,
}

impl Storage for FileStorage {
    fn base(&self) -> *const AtomicU64 {
        // In bounds: the log was checked to fit what is reserved.
        self.disk.base().wrapping_add(self.first_segment as usize / WORD)
    }

    fn decommit(&self, first: usize, words: usize) {
        // A filesystem that cannot only keeps the space until the file is closed.
        let _ = self.disk.punch(self.first_segment + (first * WORD) as u64, (words * WORD) as u64);
    }
}

/// Bytes to reserve for the map of a store with these options, in a file of `len` bytes.
fn map_bytes(options: &Options, len: u64) -> u64 {
    let max_bytes = match options.access {
        Access::Write => options.max_bytes,
        Access::Read | Access::Verify | Access::Salvage => options.max_bytes.max(len),
    };
    let map_bytes = max_bytes.checked_next_power_of_two().and_then(|bytes| bytes.checked_mul(2));
    map_bytes.map_or(u64::MAX, |bytes| bytes.saturating_add(BESIDE_SEGMENTS))
}

/// The cap at which a file is opened: what was asked for, but a reader takes the file as it is.
fn max_bytes(options: &Options, found: &MainHeader, len: u64) -> u64 {
    match options.access {
        Access::Write => options.max_bytes,
        Access::Read | Access::Verify | Access::Salvage => {
            let most = MAX_FILE_SEGMENTS as u64 * found.segment_bytes;
            options.max_bytes.min(most).max(found.segments_in(len) * found.segment_bytes)
        }
    }
}

impl Engine {
    /// Opens the store in the file at `path`.
    pub(crate) fn open_file(path: &Path, options: &Options, meter: &Meter) -> Result<Engine> {
        let mode = match options.access {
            Access::Write => Mode::ReadWrite,
            Access::Read | Access::Verify | Access::Salvage => Mode::ReadOnly,
        };
        let disk = RealDisk::open(path, |len| map_bytes(options, len), mode)?;
        Engine::open_on(Arc::new(disk), options, meter)
    }

    /// Opens the store in a file, or makes a new one in an empty file.
    pub(crate) fn open_on(disk: Arc<dyn Disk>, options: &Options, meter: &Meter) -> Result<Engine> {
        let opened = Engine::try_open_on(Arc::clone(&disk), options, meter);
        opened.map_err(|error| match error {
            Error::InvalidArgument(what) => {
                Error::InvalidArgument(format!("{what}: file {}", disk.path().display()))
            }
            error => error.in_file(disk.path()),
        })
    }

    fn try_open_on(disk: Arc<dyn Disk>, options: &Options, meter: &Meter) -> Result<Engine> {
        let opened = match header::read(&*disk)? {
            Some(opened) => opened,
            None if options.access != Access::Write => {
                return Err(Error::corrupt("the file is empty: it holds no store yet", 0));
            }
            None => header::create(&*disk, &new_header(&*disk, options)?)?,
        };
        let found = opened.header;
        let options = Options {
            max_bytes: max_bytes(options, &found, disk.len()?),
            tuning: Tuning {
                stripes: found.stripes as usize,
                segment_bytes: found.segment_bytes as usize,
                seed: Some(found.seed),
                hash_drop: options.tuning.hash_drop,
            },
            ..options.clone()
        };
        let geometry = Geometry::new(&options)?;
        if proof(&options, geometry.stripes) != found.seed_proof {
            return Err(Error::Unsupported(format!(
                "file {} was written by a library that hashes keys differently",
                disk.path().display()
            )));
        }
        let words = geometry.log_words();
        let needed = found.first_segment() + ((words + geometry.record_words_max()) * WORD) as u64;
        if needed > disk.reserved() {
            return Err(Error::InvalidArgument(format!(
                "max_bytes = {} bytes needs {needed} bytes of address space, more than the {} bytes of the map",
                options.max_bytes,
                disk.reserved()
            )));
        }
        // A file may hold longer values than are written to it now, if it was opened with a greater `max_bytes` before.
        let behind = disk.reserved() - found.first_segment() - (words * WORD) as u64;
        let run_max = (behind as usize / WORD).min(RECORD_WORDS_MAX);
        let storage = FileStorage { disk: Arc::clone(&disk), first_segment: found.first_segment() };
        let log = Region::of_storage(Box::new(storage), words, run_max);
        let file = FileLog::new(disk, opened, options.durability, options.access)?;
        let mut engine = Engine::assemble(geometry, &options, log)?;
        engine.clock.not_before(found.latest_ms);
        engine.recover(&file, meter)?;
        file.disk().expect_single_reads();
        let file = Arc::new(file);
        if let Durability::Interval(interval) = options.durability
            && options.access == Access::Write
        {
            engine.interval = Some(Interval::start(&file, interval)?);
        }
        engine.file = Some(file);
        Ok(engine)
    }

    /// Seals what is open and says that the store was closed.
    fn close_file(&self, file: &FileLog) -> Result<()> {
        file.admit()?;
        // Also those whose copies wait for a sync: of a stripe, the file keeps all segments from one on.
        if let Err(refused) = self.reuse_retired(true) {
            // Whatever it lacked space for: what was written is made durable.
            file.sync()?;
            return Err(refused);
        }
        let moment = self.moment();
        let mut end = 0;
        for number in 0..self.stripes.len() {
            let mut stripe = self.lock_stripe(number, &moment)?;
            end = end.max(stripe.state.segments().map(|segment| segment + 1).max().unwrap_or(0));
            let runs = stripe.state.runs.iter();
            let behind = runs.map(|(run, of)| run + (of.words >> self.geometry.segment_shift));
            end = end.max(behind.max().unwrap_or(0));
            stripe.close_window(file)?;
        }
        file.end_writing(end, |census| self.store_checkpoint(file, end, census))
    }
}

impl Engine {
    /// Closes the file, if there is one, once.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if self.birthplace.check().is_err() {
            // The file is the parent's to close, and the thread was not copied.
            std::mem::forget(self.interval.take());
            return Ok(());
        }
        if let Some(interval) = self.interval.take() {
            interval.stop();
        }
        let Some(file) = self.file.clone() else { return Ok(()) };
        let closed = if file.access() == Access::Write { self.close_file(&file) } else { Ok(()) };
        self.file = None;
        closed
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // What fails here leaves a file that is recovered when it is next opened.
        let _ = self.finish();
    }
}

fn new_header(disk: &dyn Disk, options: &Options) -> Result<MainHeader> {
    let geometry = Geometry::new(options)?;
    let seed = match options.tuning.seed {
        Some(seed) => seed,
        None => RandomState::new().build_hasher().finish(),
    };
    let options =
        Options { tuning: Tuning { seed: Some(seed), ..options.tuning }, ..options.clone() };
    Ok(MainHeader {
        segment_bytes: geometry.segment_bytes() as u64,
        stripes: geometry.stripes as u64,
        seed,
        seed_proof: proof(&options, geometry.stripes),
        boot: disk.boot_id(),
        clean: true,
        unordered: false,
        versions: 0,
        leases: 0,
        durable_lease: 0,
        durable_len: header::HEADERS_BYTES,
        latest_ms: disk.now_ms(),
        checkpoint: 0,
        census: 0,
    })
}

fn proof(options: &Options, stripes: usize) -> u64 {
    KeyHasher::new(options.tuning.seed, 0, stripes).hash(PROOF).0
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::file::fake::{Effect, Failure, FakeDisk};
    use crate::store::Store;

    #[test]
    fn what_fails_in_closing_is_told() {
        let disk = Arc::new(FakeDisk::new(256 << 10));
        let tuning = Tuning { segment_bytes: 4096, stripes: 1, ..Tuning::default() };
        let options = Options::file("store").max_bytes(64 << 10).tuning(tuning);
        let open = || Store::open_on(disk.clone(), &options).unwrap();
        let store = open();
        store.set("key", "1").unwrap();
        assert_eq!(store.close(), Ok(()));

        let store = open();
        store.set("key", "2").unwrap();
        disk.fail_nth(Effect::Sync, 1, Failure::Once);
        assert!(matches!(store.close(), Err(Error::Io(_))));

        // The first of two handles does not close it, but syncs.
        let first = open();
        let second = first.clone();
        assert_eq!(second.get("key").unwrap().as_deref(), Some(&b"2"[..]));
        disk.fail_nth(Effect::Sync, 1, Failure::Once);
        assert!(matches!(first.close(), Err(Error::Io(_))));
        assert_eq!(second.close(), Err(Error::Poisoned));
        let store = open();
        let pinned = store.pin("key").unwrap().unwrap();
        assert_eq!(store.close(), Ok(()));
        assert_eq!(&*pinned, b"2");
    }
}
