//! Everything that the handles of one store share.

use std::sync::Arc;

use crate::clock::{ClockSource, Moment};
use crate::counters::{Counter, Counters};
use crate::error::{Error, Result};
use crate::file::interval::Interval;
use crate::file::log::FileLog;
use crate::file::progress::Meter;
use crate::fork::Birthplace;
use crate::geometry::Geometry;
use crate::hash::{Hash, KeyHasher};
use crate::index::{Directory, Index};
use crate::log::segment::Segments;
use crate::log::space::{Regions, Space};
use crate::options::{Eviction, Options};
use crate::reclaim::Pacer;
use crate::region::Region;
use crate::removal::Listening;
use crate::stats::Stats;
use crate::stripe::Stripe;
use crate::sync::Padded;
use crate::tally::Tally;

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) geometry: Geometry,
    /// Whether this is a cache: entries are evicted when the budget is spent.
    pub(crate) evicts: bool,
    pub(crate) hasher: KeyHasher,
    pub(crate) log: Region,
    /// The file that the log is, if it is one.
    pub(crate) file: Option<Arc<FileLog>>,
    /// What syncs the file now and then, if its durability asks for that.
    pub(crate) interval: Option<Interval>,
    pub(crate) index: Index,
    pub(crate) segments: Segments,
    pub(crate) space: Space,
    pub(crate) stripes: Box<[Padded<Stripe>]>,
    pub(crate) pacer: Pacer,
    pub(crate) clock: ClockSource,
    pub(crate) birthplace: Birthplace,
    pub(crate) listening: Listening,
    /// Hits and misses, if they are counted.
    pub(crate) tally: Option<Tally>,
    /// Whether a hit leaves a trace: in a cache, or where reads are counted.
    pub(crate) watches: bool,
}

impl Engine {
    pub(crate) fn open(options: &Options, meter: &Meter) -> Result<Engine> {
        options.check()?;
        match &options.path {
            Some(path) => Engine::open_file(path, options, meter),
            None => Engine::build(Geometry::new(options)?, options),
        }
    }

    /// Opens a store of any geometry; the models use ones that no budget leads to.
    pub(crate) fn build(geometry: Geometry, options: &Options) -> Result<Engine> {
        let log = Region::anonymous(
            geometry.log_words(),
            geometry.record_words_max(),
            geometry.segments_in_pieces << geometry.segment_shift,
        )?;
        Engine::assemble(geometry, options, log)
    }

    /// A store without entries whose records will lie in these words.
    pub(crate) fn assemble(geometry: Geometry, options: &Options, log: Region) -> Result<Engine> {
        let evicts = options.eviction != Eviction::None;
        let index = Index::new(&geometry, evicts)?;
        let stripe_bytes = size_of::<Padded<Stripe>>() + Directory::committed(0);
        let counts_reads = options.count_reads.unwrap_or(evicts);
        let tally_bytes = if counts_reads { Tally::bytes() } else { 0 };
        let fixed = size_of::<Engine>() + geometry.stripes * stripe_bytes + tally_bytes;
        let space = Space::new(&geometry, fixed);
        let regions = Regions { log: &log, index_pages: &index.pages };
        let stripes = (0..geometry.stripes)
            .map(|number| {
                let page = space.take_page(regions).ok_or_else(|| {
                    Error::InvalidArgument(format!(
                        "max_bytes = {} bytes is too small for {} stripes",
                        geometry.opened_bytes, geometry.stripes
                    ))
                })?;
                Ok(Padded(Stripe::new(number, Directory::new(&index, number, page))))
            })
            .collect::<Result<_>>()?;
        let tuning = options.tuning;
        Ok(Engine {
            hasher: KeyHasher::new(tuning.seed, tuning.hash_drop, geometry.stripes),
            segments: Segments::new(&geometry),
            pacer: Pacer::default(),
            clock: ClockSource::new(options.clock.clone()),
            birthplace: Birthplace::here(),
            listening: options.listening.clone(),
            tally: counts_reads.then(Tally::new),
            watches: evicts || counts_reads,
            evicts,
            geometry,
            file: None,
            interval: None,
            log,
            index,
            space,
            stripes,
        })
    }

    /// What every operation on a key begins with.
    #[inline]
    pub(crate) fn admit_key(&self, key: &[u8]) -> Result<Hash> {
        self.birthplace.check()?;
        self.admit_key_len(key)?;
        Ok(self.hasher.hash(key))
    }

    #[inline]
    pub(crate) fn admit_key_len(&self, key: &[u8]) -> Result<()> {
        let max = self.geometry.max_key_len;
        if key.is_empty() || key.len() > max { Err(bad_key(key.len(), max)) } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn admit_value_len(&self, len: usize) -> Result<()> {
        let max = self.geometry.max_value_len;
        if len > max { Err(Error::ValueTooLarge { len, max }) } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn stripe(&self, hash: Hash) -> &Stripe {
        &self.stripes[self.hasher.stripe(hash)]
    }

    /// Milliseconds since the oldest leased segment was leased; 0 if there is none.
    fn oldest_ms(&self) -> u64 {
        let moment = self.moment();
        let stripes = (0..self.stripes.len()).filter_map(|n| self.lock_stripe(n, &moment).ok());
        let oldest = stripes.filter_map(|stripe| stripe.oldest_lease_ms()).min();
        oldest.map_or(0, |oldest| moment.now_ms().saturating_sub(oldest))
    }

    /// Counts a read, if reads are counted.
    #[inline]
    pub(crate) fn count_outcome(&self, key: &[u8], hit: bool) {
        if let Some(tally) = &self.tally
            && tally.count(hit)
        {
            self.sample(key);
        }
    }

    #[cold]
    fn sample(&self, key: &[u8]) {
        // Anew: to keep the hash for it would cost every read a register.
        let hash = self.hasher.hash(key);
        if let Ok(mut hottest) = self.stripe(hash).hottest.try_lock() {
            hottest.count(hash);
        }
    }

    /// The keys that were read most of late, with about how often, most first.
    pub(crate) fn hottest(&self, most: usize, moment: &Moment<'_>) -> Result<Vec<(Vec<u8>, u64)>> {
        let mut reads: Vec<(Hash, u64)> = Vec::new();
        for stripe in &self.stripes {
            let hottest = stripe.hottest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            reads.extend(hottest.reads());
        }
        reads.sort_unstable_by_key(|(_, reads)| std::cmp::Reverse(*reads));
        let mut keys = Vec::new();
        for (hash, reads) in reads {
            if keys.len() == most {
                break;
            }
            // Entries that are gone have no key to show.
            keys.extend(self.key_of(hash, moment)?.map(|key| (key, reads)));
        }
        Ok(keys)
    }

    /// The key of an entry with this hash, if there is one.
    fn key_of(&self, hash: Hash, moment: &Moment<'_>) -> Result<Option<Vec<u8>>> {
        let writer = self.lock(hash, moment)?;
        let mut key = Vec::new();
        writer.wake(hash)?;
        let found = writer.find_record(hash, |record| {
            key.clear();
            record.copy_key(&mut key);
            self.hasher.hash(&key) == hash
        });
        Ok(found.map(|_| key))
    }

    /// Where the budget gives memory back.
    pub(crate) fn regions(&self) -> Regions<'_> {
        Regions { log: &self.log, index_pages: &self.index.pages }
    }

    pub(crate) fn moment(&self) -> Moment<'_> {
        self.clock.moment()
    }

    /// Words of the log that live records need, and words that hold records at all.
    pub(crate) fn live_and_used(&self) -> (usize, usize) {
        self.stripes.iter().fold((0, 0), |(live, used), stripe| {
            (live + stripe.counters.live_words.get(), used + stripe.counters.used_words.get())
        })
    }

    pub(crate) fn stats(&self) -> Stats {
        let spending = self.space.spending();
        let (live, used) = self.live_and_used();
        let (live_bytes, used_bytes) = (8 * live as u64, 8 * used as u64);
        let segment_bytes = self.geometry.segment_bytes() as u64;
        let leased_bytes = spending.leased as u64 * segment_bytes + spending.run_bytes as u64;
        let entries = |stripe: &Padded<Stripe>| stripe.counters.entries.get() as u64;
        let sum = |counter: fn(&Counters) -> &Counter| {
            self.stripes.iter().map(|stripe| counter(&stripe.counters).get() as u64).sum::<u64>()
        };
        Stats {
            entries: sum(|counters| &counters.entries),
            max_bytes: self.space.max_bytes(),
            used_bytes: spending.committed as u64,
            live_bytes,
            dead_bytes: used_bytes.saturating_sub(live_bytes),
            slack_bytes: leased_bytes.saturating_sub(used_bytes),
            index_bytes: spending.index as u64,
            segment_bytes,
            segments_leased: spending.leased as u64,
            segments_free: spending.free as u64,
            runs: spending.runs as u64,
            run_bytes: spending.run_bytes as u64,
            segments_limbo: spending.limbo as u64,
            segments_pinned: self.segments.pinned(),
            stripes: self.stripes.len() as u64,
            fewest_in_stripe: self.stripes.iter().map(entries).min().unwrap_or(0),
            most_in_stripe: self.stripes.iter().map(entries).max().unwrap_or(0),
            oldest_ms: self.oldest_ms(),
            hits: self.tally.as_ref().map_or(0, Tally::hits),
            misses: self.tally.as_ref().map_or(0, Tally::misses),
            index_pages: spending.pages as u64,
            entries_relaid: sum(|counters| &counters.entries_relaid),
            records_moved: sum(|counters| &counters.records_moved),
            bytes_moved: 8 * sum(|counters| &counters.words_moved),
            expired: sum(|counters| &counters.expired),
            evicted: sum(|counters| &counters.evicted),
            bytes_evicted: 8 * sum(|counters| &counters.words_evicted),
        }
    }
}

#[cold]
fn bad_key(len: usize, max: usize) -> Error {
    if len == 0 {
        Error::InvalidArgument("key of 0 bytes is empty: the least length is 1 byte".into())
    } else {
        Error::KeyTooLarge { len, max }
    }
}
