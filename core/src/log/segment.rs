//! Segments: the append-only pieces of the log, and what is known of each.

use std::collections::HashMap;

use crate::geometry::Geometry;
use crate::region::{WORD, Zeroable, zeroed};
use crate::stripe::Pool;
use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, Padded, full_fence};

/// Words at the start of a segment that describe it: lease number, stripe, time; the rest is for files. No record has
/// address 0 for this reason, so that 0 can mean an empty slot.
pub(crate) const SEGMENT_HEADER_WORDS: usize = 8;

/// Word of the header that says when the lease began, in milliseconds since the epoch.
pub(crate) const LEASED_AT_WORD: usize = 2;

/// Lifetimes are counted in classes, so that reclaim knows where the expired records are without reading them.
const EXPIRY_CLASSES: usize = 4;
/// Numbers that say what lifetimes the records of a segment have.
pub(crate) const LIFETIME_NUMBERS: usize = 3 * EXPIRY_CLASSES;
/// Longest lifetime of each class but the last, in milliseconds: a minute, an hour, a day.
const CLASS_LIMIT_MS: [u64; EXPIRY_CLASSES - 1] = [60_000, 3_600_000, 86_400_000];

/// Bytes of this table for each segment, and of the lists that it is in.
pub(crate) const BYTES_PER_SEGMENT: usize = 3 * WORD + size_of::<Account>();

/// What is known of all segments. The generation and the pins are what readers touch and lie apart from each other and
/// from the accounts, which change with every write.
#[derive(Debug)]
pub(crate) struct Segments {
    /// How many segments have been freed. One count for all: a get reads it before it knows which segment it will meet,
    /// and so waits for nothing; that another segment is freed during a get costs that get one more round.
    generation: Padded<AtomicU64>,
    pins: Box<[AtomicU64]>,
    /// Pins of runs, which are few and large enough to bear a lock.
    run_pins: Mutex<HashMap<usize, u64>>,
    /// Segments whose pins are not zero; a run counts for as many as it is long.
    pinned: AtomicU64,
    accounts: Box<[Account]>,
    /// In a file, the lease of the run that begins in a segment, or of the last one that did; 0 for a segment of a window.
    runs: Box<[AtomicU64]>,
}

/// Bytes in a segment. Written under the lock of the stripe that owns the segment, read by anybody as an estimate.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Words that live records need, without their slack.
    live_words: AtomicU32,
    /// Words from the start that hold the header and records; 0 while the segment is free.
    used_words: AtomicU32,
    /// The pool of the lease.
    pool: AtomicU32,
    expiry: [ExpiryClass; EXPIRY_CLASSES],
}

/// Records with a lifetime of one class. An upper bound: records that are overwritten or removed are not taken off.
#[derive(Debug, Default)]
struct ExpiryClass {
    words: AtomicU32,
    /// When the first and the last of them expire, in seconds since the epoch, rounded up.
    first_s: AtomicU32,
    last_s: AtomicU32,
}

/// How to read the expiry classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Classes of which all have expired: what reclaim gives back for sure.
    All,
    /// Classes of which some have expired: what a write looks through before it answers `Full`.
    Some,
}

impl Segments {
    pub(crate) fn new(geometry: &Geometry) -> Self {
        Segments {
            generation: Padded(AtomicU64::new(0)),
            pins: zeroed(geometry.segments),
            run_pins: Mutex::default(),
            pinned: AtomicU64::new(0),
            accounts: zeroed(geometry.segments),
            runs: zeroed(if geometry.in_file { geometry.segments } else { 0 }),
        }
    }

    /// Number of segments that have been freed.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        // Pairs with the release addition in `retire`: whoever sees the new generation sees the slots without the
        // segment.
        self.generation.load(Ordering::Acquire)
    }

    /// Ends a generation: the caller has replaced every slot that named the segment. Answers whether the segment may
    /// be reused now; if not, it is in limbo until its pins drop.
    pub(crate) fn retire(&self, segment: usize) -> bool {
        self.generation.fetch_add(1, Ordering::Release);
        // Pairs with the fence in `pin`: either the pinning reader sees the new generation and lets go, or its pin is
        // seen here.
        full_fence();
        self.unpinned(segment)
    }

    /// Whether nobody pins the segment.
    pub(crate) fn unpinned(&self, segment: usize) -> bool {
        match self.pins.get(segment) {
            // Pairs with the release decrement in `unpin`: what the pinning reader read happens before the reuse.
            Some(pins) => pins.load(Ordering::Acquire) == 0,
            None => !self.lock_run_pins().contains_key(&segment),
        }
    }

    /// Claims the segment or run, which is as long as `len` segments; the caller then validates what it read and unpins
    /// if it was too late. Answers the number of pinned segments if these would pass `max` beside others.
    pub(crate) fn pin(&self, segment: usize, len: u64, max: u64) -> Result<(), u64> {
        let first = match self.pins.get(segment) {
            Some(pins) => pins.fetch_add(1, Ordering::Relaxed) == 0,
            None => {
                let mut pins = self.lock_run_pins();
                let pins = pins.entry(segment).or_insert(0);
                *pins += 1;
                *pins == 1
            }
        };
        if first {
            let pinned = self.pinned.fetch_add(len, Ordering::Relaxed);
            // One that is larger than the cap may be held alone.
            if pinned > 0 && pinned + len > max {
                self.unpin(segment, len);
                return Err(pinned);
            }
        }
        // Pairs with the fences in `retire` and in `Writer::begin_overwrite`.
        full_fence();
        Ok(())
    }

    pub(crate) fn unpin(&self, segment: usize, len: u64) {
        let last = match self.pins.get(segment) {
            Some(pins) => pins.fetch_sub(1, Ordering::Release) == 1,
            None => {
                let mut pins = self.lock_run_pins();
                let left = pins.get(&segment).map_or(0, |pins| pins - 1);
                match left {
                    0 => drop(pins.remove(&segment)),
                    left => drop(pins.insert(segment, left)),
                }
                left == 0
            }
        };
        if last {
            self.pinned.fetch_sub(len, Ordering::Relaxed);
        }
    }

    fn lock_run_pins(&self) -> MutexGuard<'_, HashMap<usize, u64>> {
        // Nothing panics under it.
        self.run_pins.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn pinned(&self) -> u64 {
        self.pinned.load(Ordering::Relaxed)
    }

    /// The lease of the run in a file that begins in this segment; 0 if none does.
    pub(crate) fn run_lease(&self, segment: usize) -> u64 {
        // Pairs with the release store in `set_run_lease`: whoever sees a lease sees the slots without those before it.
        self.runs.get(segment).map_or(0, |lease| lease.load(Ordering::Acquire))
    }

    /// Notes which run begins in a segment of a file, 0 for none, before any slot names its record.
    pub(crate) fn set_run_lease(&self, segment: usize, lease: u64) {
        if let Some(run) = self.runs.get(segment) {
            run.store(lease, Ordering::Release);
        }
    }

    pub(crate) fn account(&self, segment: usize) -> &Account {
        &self.accounts[segment]
    }
}

// SAFETY: it consists of numbers, for which zero bytes are 0, their default.
unsafe impl Zeroable for Account {}

impl Account {
    /// A lease begins: the header is all there is.
    pub(crate) fn open(&self, pool: Pool) {
        set(&self.pool, pool as usize);
        set(&self.live_words, 0);
        set(&self.used_words, SEGMENT_HEADER_WORDS);
        for class in &self.expiry {
            set(&class.words, 0);
            class.first_s.store(u32::MAX, Ordering::Relaxed);
            class.last_s.store(0, Ordering::Relaxed);
        }
    }

    /// A lease ends.
    pub(crate) fn close(&self) {
        set(&self.live_words, 0);
        set(&self.used_words, 0);
    }

    pub(crate) fn pool(&self) -> Pool {
        Pool::ALL[self.pool.load(Ordering::Relaxed) as usize]
    }

    pub(crate) fn live_words(&self) -> usize {
        self.live_words.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn used_words(&self) -> usize {
        self.used_words.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn add_used(&self, words: usize) {
        set(&self.used_words, self.used_words() + words);
    }

    pub(crate) fn sub_used(&self, words: usize) {
        set(&self.used_words, self.used_words() - words);
    }

    pub(crate) fn add_live(&self, words: usize) {
        set(&self.live_words, self.live_words() + words);
    }

    pub(crate) fn sub_live(&self, words: usize) {
        // What a hostile file says may be less.
        set(&self.live_words, self.live_words().saturating_sub(words));
    }

    /// Notes a record of `words` words that expires at `expiry_ms`.
    pub(crate) fn note_expiry(&self, words: usize, expiry_ms: u64, now_ms: u64) {
        let lifetime = expiry_ms.saturating_sub(now_ms);
        let class = CLASS_LIMIT_MS.iter().filter(|limit| lifetime > **limit).count();
        let class = &self.expiry[class];
        set(&class.words, class.words.load(Ordering::Relaxed) as usize + words);
        let expiry_s = u32::try_from(expiry_ms.div_ceil(1000)).unwrap_or(u32::MAX);
        class.first_s.store(class.first_s.load(Ordering::Relaxed).min(expiry_s), Ordering::Relaxed);
        class.last_s.store(class.last_s.load(Ordering::Relaxed).max(expiry_s), Ordering::Relaxed);
    }

    /// Words of live records in classes that have expired.
    pub(crate) fn expired_words(&self, now_ms: u64, expired: Expired) -> usize {
        let now_s = now_ms / 1000;
        let over = |class: &&ExpiryClass| {
            let second = match expired {
                Expired::All => class.last_s.load(Ordering::Relaxed),
                Expired::Some => class.first_s.load(Ordering::Relaxed),
            };
            // The last second that a class can name stands for all later ones.
            second < u32::MAX && u64::from(second) <= now_s
        };
        let words = |class: &ExpiryClass| class.words.load(Ordering::Relaxed) as usize;
        self.expiry.iter().filter(over).map(words).sum::<usize>().min(self.live_words())
    }

    /// What is noted of lifetimes.
    pub(crate) fn lifetimes(&self) -> [u32; LIFETIME_NUMBERS] {
        let numbers = |class: &ExpiryClass| {
            [&class.words, &class.first_s, &class.last_s]
                .map(|number| number.load(Ordering::Relaxed))
        };
        let mut lifetimes = [0; LIFETIME_NUMBERS];
        for (to, class) in lifetimes.chunks_mut(3).zip(&self.expiry) {
            to.copy_from_slice(&numbers(class));
        }
        lifetimes
    }

    /// Notes lifetimes as they were noted before; answers the words of records that have one.
    pub(crate) fn set_lifetimes(&self, lifetimes: &[u32; LIFETIME_NUMBERS]) -> usize {
        for (from, class) in lifetimes.chunks(3).zip(&self.expiry) {
            class.words.store(from[0], Ordering::Relaxed);
            class.first_s.store(from[1], Ordering::Relaxed);
            class.last_s.store(from[2], Ordering::Relaxed);
        }
        self.expiry.iter().map(|class| class.words.load(Ordering::Relaxed) as usize).sum()
    }

    /// Whether any record here was given a lifetime.
    pub(crate) fn may_expire(&self) -> bool {
        self.expiry.iter().any(|class| class.words.load(Ordering::Relaxed) != 0)
    }
}

fn set(counter: &AtomicU32, value: usize) {
    counter.store(u32::try_from(value).unwrap_or(u32::MAX), Ordering::Relaxed);
}
