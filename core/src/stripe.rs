//! A stripe: one lock, its part of the index, and the segments that its records are appended to. All writing happens
//! here, under that lock; no operation holds two.

use crate::clock::Moment;
use std::collections::VecDeque;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::geometry::RUN_PAGE_WORDS;
use crate::ghost::Ghosts;
use crate::hash::{Hash, MAX_STRIPES};
use crate::hottest::Hottest;
use crate::index::{Directory, Helpers, Place, Slot};
use crate::log::record::{Header, Packed, Record};
use crate::log::segment::{Account, LEASED_AT_WORD, SEGMENT_HEADER_WORDS};
use crate::log::space::Purpose;
use crate::region::LINE_WORDS;
use crate::removal::{Cause, Departed};
use crate::sync::{
    AtomicU64, Mutex, MutexGuard, Ordering, Padded, fence, full_fence, lock_patiently,
};
use crate::types::Version;

/// In this order: what readers load, then, on other cache lines, what every write stores.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Stripe {
    /// Changes when the directory doubles.
    pub(crate) directory: Directory,
    /// 0 until somebody wants to pin a record of the stripe, then 1 for ever. Stored under the lock.
    pins_expected: AtomicU64,
    pub(crate) counters: Padded<Counters>,
    state: Mutex<StripeState>,
    /// Fed by sampled reads; a reader that finds it busy goes on without.
    pub(crate) hottest: Mutex<Hottest>,
}

/// Written under the stripe's lock, read by anybody.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    entries: AtomicU64,
    live_words: AtomicU64,
    /// Words of leased segments up to the end of their last record.
    used_words: AtomicU64,
    expiring_words: AtomicU64,
    records_moved: AtomicU64,
    words_moved: AtomicU64,
    /// Entries that splits and merges have laid out anew.
    entries_relaid: AtomicU64,
    expired: AtomicU64,
    evicted: AtomicU64,
    words_evicted: AtomicU64,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct StripeState {
    number: usize,
    /// Counts the writes of this stripe; the next version is made of it.
    writes: u64,
    /// Segments that records are appended to, by pool.
    open: [Option<Open>; 2],
    /// Full segments and runs, by pool, in the order in which they were filled.
    pub(crate) sealed: [VecDeque<usize>; 2],
    /// Words that each pool leases.
    leased: [usize; 2],
    /// The sealed segment that is being reclaimed.
    pub(crate) victim: Option<Victim>,
    /// What was evicted last; a cache makes it at its first eviction.
    pub(crate) ghosts: Option<Ghosts>,
    /// Whether a cache has not yet had to evict, so that every entry is let in.
    pub(crate) filling: bool,
    /// Entries that are gone and that the listener has not been told of.
    pub(crate) departed: Vec<Departed>,
}

/// The two kinds of segments of a stripe. In a store that does not evict, admission holds fresh records and main
/// the survivors of reclaim. In a cache new entries go to admission, and those that prove themselves to main.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    Admission,
    Main,
}

impl Pool {
    pub(crate) const ALL: [Pool; 2] = [Pool::Admission, Pool::Main];
}

/// A segment with room at its end.
#[derive(Debug, Clone, Copy)]
struct Open {
    segment: usize,
    /// Word of the log at which the next record begins.
    next: usize,
    end: usize,
}

/// A segment that is being walked; it is no longer in `sealed`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Victim {
    pub(crate) segment: usize,
    /// Word of the log at which the walk goes on.
    pub(crate) next: usize,
    /// Words that were copied so far.
    pub(crate) copied: usize,
    /// Where it was taken from.
    pub(crate) pool: Pool,
    pub(crate) keep: Keep,
}

/// Which live records of a victim are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All: the victim is compacted.
    Live,
    /// Those that were read since they came or were last spared.
    Read,
    /// None: room is needed at once.
    Nothing,
}

/// The budget has no room now; reclaim may make some. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NeedRoom;

/// An entry that was found under the lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located<'a> {
    pub(crate) place: Place,
    pub(crate) slot: Slot,
    pub(crate) record: Record<'a>,
}

/// A locked stripe.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) stripe: &'a Stripe,
    pub(crate) state: MutexGuard<'a, StripeState>,
    /// Words of fresh records since the lock was taken: what the operation pays for.
    pub(crate) appended: usize,
}

impl Stripe {
    pub(crate) fn new(number: usize, directory: Directory) -> Stripe {
        Stripe {
            directory,
            pins_expected: AtomicU64::new(0),
            counters: Padded::default(),
            state: Mutex::new(StripeState {
                number,
                writes: 0,
                open: [None; 2],
                sealed: Default::default(),
                leased: [0; 2],
                victim: None,
                ghosts: None,
                filling: true,
                departed: Vec::new(),
            }),
            hottest: Mutex::default(),
        }
    }
}

impl StripeState {
    /// All segments of the stripe.
    pub(crate) fn segments(&self) -> impl Iterator<Item = usize> {
        let open = self.open.iter().flatten().map(|open| open.segment);
        let victim = self.victim.iter().map(|victim| victim.segment);
        open.chain(victim).chain(self.sealed.iter().flatten().copied())
    }

    /// Words that a pool leases, the open segment included.
    pub(crate) fn leased(&self, pool: Pool) -> usize {
        self.leased[pool as usize]
    }
}

impl Engine {
    /// Locks the stripe of a key. What the operation will look at first is asked for meanwhile.
    #[inline(always)]
    pub(crate) fn lock(&self, hash: Hash, moment: &Moment<'_>) -> Result<Writer<'_>> {
        moment.settle();
        let stripe = self.stripe(hash);
        let page = stripe.directory.home(&self.index, hash);
        self.index.prefetch_bucket(page, hash);
        self.index.prefetch_row(page);
        self.writer(stripe)
    }

    /// To be called before a record of the key's stripe is pinned: from now on overwrites in place look for pins.
    pub(crate) fn expect_pins(&self, hash: Hash, moment: &Moment<'_>) -> Result<()> {
        let expected = &self.stripe(hash).pins_expected;
        // Pairs with the release store below: an overwrite that did not look for pins happens before this load, since it
        // held the lock before the store did.
        if expected.load(Ordering::Acquire) == 0 {
            let _locked = self.lock(hash, moment)?;
            expected.store(1, Ordering::Release);
        }
        Ok(())
    }

    pub(crate) fn lock_stripe(&self, number: usize, moment: &Moment<'_>) -> Result<Writer<'_>> {
        moment.settle();
        self.writer(&self.stripes[number])
    }

    /// Locks a stripe; the injected clock was asked before.
    #[inline(always)]
    fn writer<'a>(&'a self, stripe: &'a Stripe) -> Result<Writer<'a>> {
        let state = lock_patiently(&stripe.state).ok_or(Error::Corrupt {
            what: "a panic left this stripe half changed; open a new store",
            offset: 0,
        })?;
        Ok(Writer { engine: self, stripe, state, appended: 0 })
    }
}

impl<'a> Writer<'a> {
    /// The entry of a key if it is the first with its tag in the home bucket, as nearly all are.
    #[inline(always)]
    pub(crate) fn locate_at_home(&self, hash: Hash, key: &[u8]) -> Option<Located<'a>> {
        let engine = self.engine;
        let head = self.stripe.directory.home(&engine.index, hash);
        let (word, slot) = engine.index.first_in_bucket(head, hash)?;
        let record = Record::at(engine.log.view(), slot.address());
        record.key_is(key).then(|| Located { place: Place::of_entry(head, word), slot, record })
    }

    /// The entry of a key, expired or not.
    #[inline(always)]
    pub(crate) fn locate(&self, hash: Hash, key: &[u8]) -> Option<Located<'a>> {
        match self.locate_at_home(hash, key) {
            Some(found) => Some(found),
            None => self.find_record(hash, |record| record.key_is(key)),
        }
    }

    /// The entry of a key's hash whose record satisfies a condition.
    #[inline(never)]
    pub(crate) fn find_record(
        &self,
        hash: Hash,
        mut is: impl FnMut(&Record<'a>) -> bool,
    ) -> Option<Located<'a>> {
        use std::ops::ControlFlow::{Break, Continue};
        let engine = self.engine;
        let head = self.stripe.directory.home(&engine.index, hash);
        engine.index.probe(head, hash, |word, slot| {
            let record = Record::at(engine.log.view(), slot.address());
            let place = Place::of_entry(head, word);
            if is(&record) { Break(Located { place, slot, record }) } else { Continue(()) }
        })
    }

    /// Writes a value: over the record that is there if it fits, else to the end of the log.
    #[inline(always)]
    pub(crate) fn store(
        &mut self,
        found: Option<Located<'a>>,
        hash: Hash,
        entry: NewEntry<'_>,
        moment: &Moment<'_>,
    ) -> std::result::Result<Version, NeedRoom> {
        if let Some(found) = &found
            && let Some(version) = self.overwrite(found, &entry, moment)
        {
            return Ok(version);
        }
        self.append(found, hash, entry, moment)
    }

    /// Writes a value of a key that is not at home: it lies elsewhere, or nowhere.
    #[inline(never)]
    pub(crate) fn store_elsewhere(
        &mut self,
        hash: Hash,
        entry: NewEntry<'_>,
        moment: &Moment<'_>,
    ) -> std::result::Result<Version, NeedRoom> {
        let found = self.find_record(hash, |record| record.key_is(entry.key));
        self.store(found, hash, entry, moment)
    }

    /// Writes a record to the end of the log.
    #[inline(never)]
    fn append(
        &mut self,
        found: Option<Located<'a>>,
        hash: Hash,
        entry: NewEntry<'_>,
        moment: &Moment<'_>,
    ) -> std::result::Result<Version, NeedRoom> {
        let expires = entry.expiry != 0;
        let bare = Header::new(entry.key.len(), entry.value.len(), expires);
        let header = match entry.least_len > entry.value.len() {
            true => bare.with_room_for(entry.least_len),
            false => bare,
        };
        let place = match &found {
            Some(found) => found.place,
            None => self.prepare(hash).ok_or(NeedRoom)?,
        };
        let pool = match &found {
            Some(found) => self.pool_of(&found.record),
            None => self.pool_for(hash),
        };
        let start = self.reserve(header.extent(), pool, Purpose::Fresh, moment).ok_or(NeedRoom)?;
        let version = self.next_version();
        let record = Record::with_header(self.engine.log.view(), start, header);
        record.write(version.get(), entry.expiry, entry.key, entry.value);
        let frequency = found.map_or(0, |found| match self.engine.evicts {
            true => (found.slot.frequency() + 1).min(Slot::FREQUENCY_MAX),
            false => 0,
        });
        if found.is_none()
            && let Some(ghosts) = &mut self.state.ghosts
        {
            ghosts.remove(hash);
        }
        self.publish(found, place, hash, record, frequency, moment);
        Ok(version)
    }

    /// Gives an entry another expiry, 0 for none. The version stays.
    pub(crate) fn set_expiry(
        &mut self,
        found: Located<'a>,
        hash: Hash,
        expiry: u64,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        if found.record.header.has_expiry_word() {
            found.record.set_expiry(expiry);
            self.note_expiry(&found.record, moment);
        } else if expiry != 0 {
            let header = found.record.compact_header(true);
            let pool = self.pool_of(&found.record);
            let start =
                self.reserve(header.extent(), pool, Purpose::Fresh, moment).ok_or(NeedRoom)?;
            let copy = found.record.copy_to(self.engine.log.view(), start, header);
            copy.set_expiry(expiry);
            self.publish(Some(found), found.place, hash, copy, found.slot.frequency(), moment);
        }
        Ok(())
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, found: Located<'a>, hash: Hash, cause: Cause) {
        self.note_departure(&found.record, cause);
        self.engine.index.remove(found.place, hash);
        self.let_die(&found.record);
        sub(&self.stripe.counters.entries, 1);
        let stripe = self.stripe;
        self.with_helpers(|index, helpers| stripe.directory.merge(index, hash, helpers));
    }

    /// Merges two of the stripe's pages, the first that can be from the directory word `from` on; answers where to go on.
    pub(crate) fn shrink_index(&self, from: u64) -> Option<u64> {
        let stripe = self.stripe;
        self.with_helpers(|index, helpers| stripe.directory.shrink(index, from, helpers))
    }

    /// Removes an entry whose expiry was noticed.
    pub(crate) fn remove_expired(&mut self, found: Located<'a>, hash: Hash) {
        self.remove(found, hash, Cause::Expired);
        add(&self.stripe.counters.expired, 1);
    }

    /// Counts an entry that is about to be removed as evicted.
    pub(crate) fn count_eviction(&self, found: &Located<'a>) {
        add(&self.stripe.counters.evicted, 1);
        add(&self.stripe.counters.words_evicted, found.record.header.words() as u64);
    }

    /// Moves a live record to the survivors, in the main pool.
    pub(crate) fn relocate(
        &mut self,
        found: Located<'a>,
        hash: Hash,
        frequency: u64,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        let header = found.record.compact_header(found.record.expiry() != 0);
        let start = self
            .reserve(header.extent(), Pool::Main, Purpose::Survivors, moment)
            .ok_or(NeedRoom)?;
        let copy = found.record.copy_to(self.engine.log.view(), start, header);
        self.publish(Some(found), found.place, hash, copy, frequency, moment);
        add(&self.stripe.counters.records_moved, 1);
        add(&self.stripe.counters.words_moved, header.extent() as u64);
        Ok(())
    }

    /// Spares an entry in a run, which is never copied: it goes to the end of the main pool as it is.
    pub(crate) fn spare_run(&mut self, found: Located<'a>, frequency: u64, victim: &Victim) {
        let pages = self.engine.geometry.run_pages_of(found.record.header.extent());
        let words = pages.unwrap_or(0) * RUN_PAGE_WORDS;
        self.state.sealed[victim.pool as usize].retain(|run| *run != victim.segment);
        self.state.leased[victim.pool as usize] -= words;
        self.state.leased[Pool::Main as usize] += words;
        self.state.sealed[Pool::Main as usize].push_back(victim.segment);
        self.engine.index.publish(found.place.word, found.slot.with_frequency(frequency));
    }

    /// Gives a segment back whose records no slot names any more.
    pub(crate) fn free(&mut self, segment: usize) {
        let engine = self.engine;
        debug_assert_eq!(
            engine.segments.account(segment).live_words(),
            0,
            "I6: nothing lives here"
        );
        let account = engine.segments.account(segment);
        sub(&self.stripe.counters.used_words, account.used_words() as u64);
        self.state.leased[account.pool() as usize] -= engine.geometry.segment_words();
        account.close();
        let reusable = engine.segments.retire(segment);
        engine.space.give_back(segment, reusable, &engine.log);
    }

    /// Gives a run back whose record no slot names any more.
    fn free_run(&mut self, run: usize, words: usize) {
        let engine = self.engine;
        for pool in Pool::ALL {
            let sealed = &mut self.state.sealed[pool as usize];
            if let Some(index) = sealed.iter().position(|number| *number == run) {
                sealed.remove(index);
                self.state.leased[pool as usize] -= words;
            }
        }
        sub(&self.stripe.counters.used_words, words as u64);
        let reusable = engine.segments.retire(run);
        engine.space.give_back_run(run, reusable, &engine.log);
    }

    /// Forgets all entries and gives all segments back.
    pub(crate) fn clear(&mut self) {
        let engine = self.engine;
        self.stripe.directory.clear(&engine.index, &engine.space);
        let segments: Vec<usize> = self.state.segments().collect();
        self.state.open = [None; 2];
        self.state.sealed.iter_mut().for_each(VecDeque::clear);
        self.state.victim = None;
        self.state.filling = true;
        for segment in segments {
            if engine.geometry.is_run(segment) {
                let first = engine.geometry.first_word(segment) + SEGMENT_HEADER_WORDS;
                let record = Record::at(engine.log.view(), first);
                self.free_run(segment, engine.geometry.occupied(record.header.extent()));
            } else {
                let account = engine.segments.account(segment);
                account.sub_live(account.live_words());
                self.free(segment);
            }
        }
        self.state.leased = [0; 2];
        self.stripe.counters.entries.store(0, Ordering::Relaxed);
        self.stripe.counters.live_words.store(0, Ordering::Relaxed);
        self.stripe.counters.expiring_words.store(0, Ordering::Relaxed);
    }

    /// Overwrites a record in place if the new value fits and nobody pins the segment.
    #[inline(always)]
    pub(crate) fn overwrite(
        &mut self,
        found: &Located<'a>,
        entry: &NewEntry<'_>,
        moment: &Moment<'_>,
    ) -> Option<Version> {
        let record = &found.record;
        if entry.expiry != 0 && !record.header.has_expiry_word() {
            return None;
        }
        let header = record.header.overwritten(entry.value.len())?;
        self.begin_overwrite(record)?;
        let version = self.next_version();
        let new = Record { header, ..*record };
        new.overwrite(version.get(), entry.expiry, entry.key, entry.value);
        if header != record.header && self.account(record).is_some() {
            self.sub_live(record);
            self.add_live(&new);
        }
        if entry.expiry != 0 {
            self.note_expiry(&new, moment);
        }
        if self.engine.evicts {
            self.engine.index.count_read(found.place.word, found.slot);
        }
        Some(version)
    }

    /// Overwrites a value in place with a word of the same length, if nobody pins the segment. The expiry stays.
    #[inline(always)]
    pub(crate) fn overwrite_word(
        &mut self,
        found: &Located<'a>,
        value: Packed<'a>,
        word: u64,
    ) -> Option<Version> {
        self.begin_overwrite(&found.record)?;
        let version = self.next_version();
        found.record.overwrite_word(version.get(), value, word);
        if self.engine.evicts {
            self.engine.index.count_read(found.place.word, found.slot);
        }
        Some(version)
    }

    /// Makes the version of a record odd before its bytes are; `None`, and nothing is changed, if somebody pins it.
    #[inline(always)]
    fn begin_overwrite(&self, record: &Record<'a>) -> Option<()> {
        let version_word = record.version_word();
        let version = version_word.load(Ordering::Relaxed);
        version_word.store(version + 1, Ordering::Relaxed);
        if self.stripe.pins_expected.load(Ordering::Relaxed) == 0 {
            // Pairs with the acquire fence at the end of a reader's look: a reader that sees any word written from here
            // on sees the odd version, or a later one.
            fence(Ordering::Release);
            return Some(());
        }
        // Orders them as the other fence does. Pairs also with the fence in `Segments::pin`: either the pinning reader
        // sees the odd version and lets go, or its pin is seen here.
        full_fence();
        let unpinned = self.engine.segments.unpinned(self.engine.geometry.segment_of(record.start));
        if !unpinned {
            version_word.store(version, Ordering::Release);
        }
        unpinned.then_some(())
    }

    /// Lets the index name a new record, and accounts for it and the one it replaces.
    #[inline]
    fn publish(
        &mut self,
        old: Option<Located<'a>>,
        place: Place,
        hash: Hash,
        record: Record<'a>,
        frequency: u64,
        moment: &Moment<'_>,
    ) {
        let slot = Slot::new(hash.tag(), record.start).with_frequency(frequency);
        match old {
            Some(old) => {
                self.engine.index.publish(place.word, slot);
                self.let_die(&old.record);
            }
            None => {
                self.engine.index.insert(place, hash, slot);
                add(&self.stripe.counters.entries, 1);
            }
        }
        self.add_live(&record);
        self.note_expiry(&record, moment);
    }

    /// Words at the end of an open segment, for a record that is written before the lock is released.
    #[inline]
    fn reserve(
        &mut self,
        words: usize,
        pool: Pool,
        purpose: Purpose,
        moment: &Moment<'_>,
    ) -> Option<usize> {
        if let Some(pages) = self.engine.geometry.run_pages_of(words) {
            return self.lease_run(pages, pool, moment);
        }
        if self.state.open[pool as usize].is_none_or(|open| open.next + words > open.end) {
            if let Some(full) = self.state.open[pool as usize].take() {
                self.state.sealed[pool as usize].push_back(full.segment);
            }
            self.state.open[pool as usize] = Some(self.lease(pool, purpose, moment)?);
        }
        let open = self.state.open[pool as usize].as_mut()?;
        let start = open.next;
        open.next += words;
        // The lines of the next small record, so that they are here when it is written: stores to memory that is not in
        // the cache would keep the lock from being released. Large ones the processor fetches ahead by itself.
        self.engine.log.view().prefetch(open.next + LINE_WORDS);
        self.engine.log.view().prefetch(open.next + 2 * LINE_WORDS);
        self.engine.segments.account(open.segment).add_used(words);
        add(&self.stripe.counters.used_words, words as u64);
        if purpose == Purpose::Fresh {
            self.appended += words;
        }
        Some(start)
    }

    /// A run of its own for a large record. It is not copied by reclaim, so that only fresh records come here.
    #[cold]
    fn lease_run(&mut self, pages: usize, pool: Pool, moment: &Moment<'_>) -> Option<usize> {
        let engine = self.engine;
        let words = pages * RUN_PAGE_WORDS;
        if !engine.evicts && engine.over_limit(words) {
            return None;
        }
        let (run, lease) = engine.space.lease_run(pages, &engine.segments, &engine.log)?;
        // As in `lease`.
        fence(Ordering::Release);
        let start = self.begin_lease(run, lease, moment);
        self.state.sealed[pool as usize].push_back(run);
        self.state.leased[pool as usize] += words;
        add(&self.stripe.counters.used_words, words as u64);
        self.appended += words;
        Some(start)
    }

    /// Writes the header of a segment or run; answers where its first record begins.
    fn begin_lease(&self, segment: usize, lease: u64, moment: &Moment<'_>) -> usize {
        let first = self.engine.geometry.first_word(segment);
        self.engine.log.view().store(first, lease);
        self.engine.log.view().store(first + 1, self.state.number as u64);
        self.engine.log.view().store(first + LEASED_AT_WORD, moment.now_ms());
        first + SEGMENT_HEADER_WORDS
    }

    /// When the oldest segment of the stripe was leased, in milliseconds since the epoch.
    pub(crate) fn oldest_lease_ms(&self) -> Option<u64> {
        let oldest = self.state.sealed.iter().filter_map(VecDeque::front).copied();
        let open = self.state.open.iter().flatten().map(|open| open.segment);
        let first_word = |segment| self.engine.geometry.first_word(segment);
        let leased_at = |segment| self.engine.log.view().load(first_word(segment) + LEASED_AT_WORD);
        oldest.chain(open).map(leased_at).min()
    }

    fn lease(&mut self, pool: Pool, purpose: Purpose, moment: &Moment<'_>) -> Option<Open> {
        let engine = self.engine;
        if purpose == Purpose::Fresh && !engine.evicts {
            if engine.over_limit(0) {
                return None;
            }
            engine.press_if_expiring();
        }
        let (segment, lease) = engine.space.lease(purpose, &engine.segments, engine.regions())?;
        // Pairs with the acquire fence at the end of a reader's look: a reader that sees any word written from here on
        // sees the generation that ended before.
        fence(Ordering::Release);
        let next = self.begin_lease(segment, lease, moment);
        engine.segments.account(segment).open(pool);
        self.state.leased[pool as usize] += engine.geometry.segment_words();
        add(&self.stripe.counters.used_words, SEGMENT_HEADER_WORDS as u64);
        Some(Open { segment, next, end: engine.geometry.first_word(segment + 1) })
    }

    /// A free slot for a key that is not there.
    #[inline]
    fn prepare(&self, hash: Hash) -> Option<Place> {
        let stripe = self.stripe;
        let place = stripe.directory.free_place(&self.engine.index, hash);
        place.or_else(|| self.prepare_by_growing(hash))
    }

    #[cold]
    fn prepare_by_growing(&self, hash: Hash) -> Option<Place> {
        let stripe = self.stripe;
        self.with_helpers(|index, helpers| stripe.directory.prepare(index, hash, helpers))
    }

    fn with_helpers<T>(&self, run: impl FnOnce(&crate::index::Index, &mut Helpers<'_>) -> T) -> T {
        let engine = self.engine;
        let mut hash_all = |entries: &mut [(Slot, Hash)]| engine.hash_slots(entries);
        let mut helpers =
            Helpers { space: &engine.space, log: &engine.log, hash_all: &mut hash_all, moved: 0 };
        let answer = run(&engine.index, &mut helpers);
        if helpers.moved > 0 {
            add(&self.stripe.counters.entries_relaid, helpers.moved as u64);
        }
        answer
    }

    /// Versions of one stripe count up; the stripe's number makes them unique in the store. The low bit stays clear.
    fn next_version(&mut self) -> Version {
        self.state.writes += 1;
        Version((self.state.writes * MAX_STRIPES as u64 + self.state.number as u64) << 1)
    }

    /// The record is dead: no slot names it any more. A run goes back with its record.
    fn let_die(&mut self, record: &Record<'_>) {
        self.sub_live(record);
        let run = self.engine.geometry.segment_of(record.start);
        if self.engine.geometry.is_run(run) {
            self.free_run(run, self.engine.geometry.occupied(record.header.extent()));
        }
    }

    /// The pool that a record lies in.
    fn pool_of(&self, record: &Record<'_>) -> Pool {
        let segment = self.engine.geometry.segment_of(record.start);
        if !self.engine.geometry.is_run(segment) {
            return self.engine.segments.account(segment).pool();
        }
        match self.state.sealed[Pool::Main as usize].contains(&segment) {
            true => Pool::Main,
            false => Pool::Admission,
        }
    }

    #[inline]
    fn add_live(&self, record: &Record<'_>) {
        let words = match self.account(record) {
            Some(account) => {
                account.add_live(record.header.words());
                record.header.words()
            }
            None => self.engine.geometry.occupied(record.header.extent()),
        };
        add(&self.stripe.counters.live_words, words as u64);
    }

    #[inline]
    fn sub_live(&self, record: &Record<'_>) {
        let words = match self.account(record) {
            Some(account) => {
                account.sub_live(record.header.words());
                record.header.words()
            }
            None => self.engine.geometry.occupied(record.header.extent()),
        };
        sub(&self.stripe.counters.live_words, words as u64);
    }

    #[inline]
    fn note_expiry(&self, record: &Record<'_>, moment: &Moment<'_>) {
        let expiry = record.expiry();
        if expiry != 0 {
            let words = record.header.words();
            if let Some(account) = self.account(record) {
                account.note_expiry(words, expiry, moment.now_ms());
            }
            add(&self.stripe.counters.expiring_words, words as u64);
        }
    }

    /// The account of the segment that a record lies in; a run has none, since its record is all it holds.
    #[inline]
    fn account(&self, record: &Record<'_>) -> Option<&'a Account> {
        let engine = self.engine;
        let segment = engine.geometry.segment_of(record.start);
        (!engine.geometry.is_run(segment)).then(|| engine.segments.account(segment))
    }

    /// Checks the stripe against the invariants of ARCHITECTURE.md; answers the number of its entries.
    pub(crate) fn validate(&self) -> std::result::Result<usize, String> {
        let engine = self.engine;
        let mut key = Vec::new();
        let mut hash_of = |slot: Slot| {
            key.clear();
            Record::at(engine.log.view(), slot.address()).copy_key(&mut key);
            engine.hasher.hash(&key)
        };
        let entries = self.stripe.directory.validate(&engine.index, &mut hash_of)?;
        if entries != self.stripe.counters.entries() {
            return Err(format!("I3: {} entries are counted", self.stripe.counters.entries()));
        }
        let mut live = std::collections::HashMap::new();
        for page in self.stripe.directory.pages(&engine.index) {
            for (_, slot) in engine.index.entries(page) {
                let record = Record::at(engine.log.view(), slot.address());
                if !record.header.is_value() || record.version() % 2 == 1 {
                    return Err(format!("I6: slot names no record at word {}", slot.address()));
                }
                *live.entry(engine.geometry.segment_of(slot.address())).or_insert(0) +=
                    match self.account(&record) {
                        Some(_) => record.header.words(),
                        None => engine.geometry.occupied(record.header.extent()),
                    };
            }
        }
        let mut total = 0;
        let mut leased = 0;
        for segment in self.state.segments() {
            let expected = live.remove(&segment).unwrap_or(0);
            if engine.geometry.is_run(segment) {
                if expected == 0 {
                    return Err(format!("I6: run {segment} holds no live record"));
                }
                leased += expected;
                total += expected;
                continue;
            }
            leased += engine.geometry.segment_words();
            let counted = engine.segments.account(segment).live_words();
            if counted != expected {
                return Err(format!("I6: segment {segment} counts {counted} of {expected} words"));
            }
            total += counted;
        }
        if self.state.leased.iter().sum::<usize>() != leased {
            return Err(format!("I6: {leased} words are leased, not {:?}", self.state.leased));
        }
        if !live.is_empty() || total != self.stripe.counters.live_words() {
            return Err("I6: live records lie in segments that the stripe does not own".into());
        }
        Ok(entries)
    }
}

/// What is to be written.
#[derive(Clone, Copy)]
pub(crate) struct NewEntry<'v> {
    pub(crate) key: &'v [u8],
    pub(crate) value: &'v [u8],
    /// Milliseconds since the epoch; 0 for none.
    pub(crate) expiry: u64,
    /// Length of value for which a new record gets room at least.
    pub(crate) least_len: usize,
}

impl Engine {
    /// Replaces each slot's hash by that of its key; all keys are asked for before the first is read.
    fn hash_slots(&self, entries: &mut [(Slot, Hash)]) {
        const AHEAD: usize = 16;
        let mut key = Vec::new();
        for i in 0..entries.len() {
            if let Some((ahead, _)) = entries.get(i + AHEAD) {
                self.log.view().prefetch(ahead.address());
            }
            let (slot, hash) = &mut entries[i];
            key.clear();
            Record::at(self.log.view(), slot.address()).copy_key(&mut key);
            *hash = self.hasher.hash(&key);
        }
    }
}

impl Counters {
    pub(crate) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn live_words(&self) -> usize {
        self.live_words.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn used_words(&self) -> usize {
        self.used_words.load(Ordering::Relaxed) as usize
    }

    /// Words of records that were given a lifetime since this was last set; an upper bound.
    pub(crate) fn expiring_words(&self) -> usize {
        self.expiring_words.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn set_expiring_words(&self, words: usize) {
        self.expiring_words.store(words as u64, Ordering::Relaxed);
    }

    pub(crate) fn records_moved(&self) -> u64 {
        self.records_moved.load(Ordering::Relaxed)
    }

    pub(crate) fn words_moved(&self) -> u64 {
        self.words_moved.load(Ordering::Relaxed)
    }

    pub(crate) fn entries_relaid(&self) -> u64 {
        self.entries_relaid.load(Ordering::Relaxed)
    }

    pub(crate) fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    pub(crate) fn words_evicted(&self) -> u64 {
        self.words_evicted.load(Ordering::Relaxed)
    }
}

/// Only the holder of the lock writes a counter, so that no read-modify-write is needed.
fn add(counter: &AtomicU64, change: u64) {
    counter.store(counter.load(Ordering::Relaxed) + change, Ordering::Relaxed);
}

fn sub(counter: &AtomicU64, change: u64) {
    counter.store(counter.load(Ordering::Relaxed) - change, Ordering::Relaxed);
}
