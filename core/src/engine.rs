//! Everything that the handles of one store share.

use crate::clock::{ClockSource, Moment};
use crate::error::{Error, Result};
use crate::fork::Birthplace;
use crate::geometry::Geometry;
use crate::hash::{Hash, KeyHasher};
use crate::index::{Directory, Index};
use crate::log::segment::Segments;
use crate::log::space::Space;
use crate::options::{Eviction, Options};
use crate::reclaim::Pacer;
use crate::region::Region;
use crate::stats::Stats;
use crate::stripe::Stripe;
use crate::sync::Padded;

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) geometry: Geometry,
    /// Whether this is a cache: entries are evicted when the budget is spent.
    pub(crate) evicts: bool,
    pub(crate) hasher: KeyHasher,
    pub(crate) log: Region,
    pub(crate) index: Index,
    pub(crate) segments: Segments,
    pub(crate) space: Space,
    pub(crate) stripes: Box<[Padded<Stripe>]>,
    pub(crate) pacer: Pacer,
    pub(crate) clock: ClockSource,
    pub(crate) birthplace: Birthplace,
}

impl Engine {
    pub(crate) fn open(options: &Options) -> Result<Engine> {
        options.check()?;
        Engine::build(Geometry::new(options)?, options)
    }

    /// Opens a store of any geometry; the models use ones that no budget leads to.
    pub(crate) fn build(geometry: Geometry, options: &Options) -> Result<Engine> {
        let log = Region::anonymous(
            geometry.segments << geometry.segment_shift,
            geometry.segment_words(),
            geometry.segments_in_pieces << geometry.segment_shift,
        )?;
        let index = Index::new(&geometry)?;
        let stripe_bytes = size_of::<Padded<Stripe>>() + Directory::committed(0);
        let space = Space::new(&geometry, size_of::<Engine>() + geometry.stripes * stripe_bytes);
        let stripes = (0..geometry.stripes)
            .map(|number| {
                let page = space.take_page(&log).ok_or_else(|| {
                    Error::InvalidArgument(format!(
                        "max_bytes = {} bytes is too small for {} stripes",
                        geometry.max_bytes, geometry.stripes
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
            evicts: options.eviction != Eviction::None,
            geometry,
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

    pub(crate) fn moment(&self) -> Moment<'_> {
        self.clock.moment()
    }

    /// Words of the log that live records need, and words that hold records at all.
    pub(crate) fn live_and_used(&self) -> (usize, usize) {
        self.stripes.iter().fold((0, 0), |(live, used), stripe| {
            (live + stripe.counters.live_words(), used + stripe.counters.used_words())
        })
    }

    pub(crate) fn stats(&self) -> Stats {
        let spending = self.space.spending();
        let live_bytes = 8 * self.live_and_used().0 as u64;
        let segment_bytes = self.geometry.segment_bytes() as u64;
        let sum = |count: fn(&Stripe) -> u64| self.stripes.iter().map(|s| count(s)).sum::<u64>();
        Stats {
            entries: sum(|stripe| stripe.counters.entries() as u64),
            max_bytes: self.geometry.max_bytes,
            used_bytes: spending.committed as u64,
            live_bytes,
            dead_bytes: (spending.leased as u64 * segment_bytes).saturating_sub(live_bytes),
            index_bytes: spending.index as u64,
            segment_bytes,
            segments_leased: spending.leased as u64,
            segments_free: spending.free as u64,
            segments_limbo: spending.limbo as u64,
            segments_pinned: self.segments.pinned(),
            stripes: self.stripes.len() as u64,
            index_pages: spending.pages as u64,
            records_moved: sum(|stripe| stripe.counters.records_moved()),
            bytes_moved: 8 * sum(|stripe| stripe.counters.words_moved()),
            expired: sum(|stripe| stripe.counters.expired()),
            evicted: sum(|stripe| stripe.counters.evicted()),
            bytes_evicted: 8 * sum(|stripe| stripe.counters.words_evicted()),
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
