//! A stripe: one lock, its part of the index, and the segments that its records are appended to. All writing happens
//! here, under that lock; no operation holds two.

use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::hash::{Hash, MAX_STRIPES};
use crate::index::{Directory, Helpers, Place, Slot};
use crate::log::record::{Header, Record};
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::log::space::Purpose;
use crate::region::LINE_WORDS;
use crate::sync::{
    AtomicU64, Mutex, MutexGuard, Ordering, Padded, fence, full_fence, lock_patiently,
};
use crate::types::Version;

#[derive(Debug)]
pub(crate) struct Stripe {
    /// What readers load; it changes when the directory doubles.
    pub(crate) directory: Padded<Directory>,
    pub(crate) counters: Counters,
    state: Mutex<StripeState>,
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
    expired: AtomicU64,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct StripeState {
    number: usize,
    /// Counts the writes of this stripe; the next version is made of it.
    writes: u64,
    /// Segments that records are appended to, by purpose: fresh ones, survivors of reclaim.
    open: [Option<Open>; 2],
    /// Full segments, in the order in which they were filled.
    pub(crate) sealed: Vec<usize>,
    /// The sealed segment that is being reclaimed.
    pub(crate) victim: Option<Victim>,
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
}

/// The budget has no room now; reclaim may make some. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NeedRoom;

/// An entry that was found under the lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located<'a> {
    pub(crate) place: Place,
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
            directory: Padded(directory),
            counters: Counters::default(),
            state: Mutex::new(StripeState {
                number,
                writes: 0,
                open: [None; 2],
                sealed: Vec::new(),
                victim: None,
            }),
        }
    }
}

impl StripeState {
    /// All segments of the stripe.
    pub(crate) fn segments(&self) -> impl Iterator<Item = usize> {
        let open = self.open.iter().flatten().map(|open| open.segment);
        let victim = self.victim.iter().map(|victim| victim.segment);
        open.chain(victim).chain(self.sealed.iter().copied())
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
        record.key_is(key).then(|| Located { place: Place::of_entry(head, word), record })
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
            if is(&record) { Break(Located { place, record }) } else { Continue(()) }
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
        let start = self.reserve(header.extent(), Purpose::Fresh).ok_or(NeedRoom)?;
        let version = self.next_version();
        let record = Record::with_header(self.engine.log.view(), start, header);
        record.write(version.get(), entry.expiry, entry.key, entry.value);
        self.publish(found, place, hash, record, moment);
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
            let start = self.reserve(header.extent(), Purpose::Fresh).ok_or(NeedRoom)?;
            let copy = found.record.copy_to(self.engine.log.view(), start, header);
            copy.set_expiry(expiry);
            self.publish(Some(found), found.place, hash, copy, moment);
        }
        Ok(())
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, found: Located<'a>, hash: Hash) {
        self.sub_live(&found.record);
        self.engine.index.remove(found.place, hash);
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
        self.remove(found, hash);
        add(&self.stripe.counters.expired, 1);
    }

    /// Moves a live record to the survivors.
    pub(crate) fn relocate(
        &mut self,
        found: Located<'a>,
        hash: Hash,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        let header = found.record.compact_header(found.record.expiry() != 0);
        let start = self.reserve(header.extent(), Purpose::Survivors).ok_or(NeedRoom)?;
        let copy = found.record.copy_to(self.engine.log.view(), start, header);
        self.publish(Some(found), found.place, hash, copy, moment);
        add(&self.stripe.counters.records_moved, 1);
        add(&self.stripe.counters.words_moved, header.extent() as u64);
        Ok(())
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
        account.close();
        let reusable = engine.segments.retire(segment);
        engine.space.give_back(segment, reusable, &engine.log);
    }

    /// Forgets all entries and gives all segments back.
    pub(crate) fn clear(&mut self) {
        let engine = self.engine;
        self.stripe.directory.clear(&engine.index, &engine.space);
        let segments: Vec<usize> = self.state.segments().collect();
        self.state.open = [None; 2];
        self.state.sealed.clear();
        self.state.victim = None;
        for segment in segments {
            let account = engine.segments.account(segment);
            account.sub_live(account.live_words());
            self.free(segment);
        }
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
        let engine = self.engine;
        let segment = engine.geometry.segment_of(record.start);
        let version_word = record.version_word();
        let old_version = version_word.load(Ordering::Relaxed);
        version_word.store(old_version + 1, Ordering::Relaxed);
        // Pairs with the fence in `Segments::pin`: either the pinning reader sees the odd version and lets go, or its
        // pin is seen here. It also orders the odd version before the bytes, for readers that copy.
        full_fence();
        if !engine.segments.unpinned(segment) {
            version_word.store(old_version, Ordering::Release);
            return None;
        }
        let version = self.next_version();
        let new = Record { header, ..*record };
        new.overwrite(version.get(), entry.expiry, entry.key, entry.value);
        if header != record.header {
            self.sub_live(record);
            self.add_live(&new);
        }
        if entry.expiry != 0 {
            self.note_expiry(&new, moment);
        }
        Some(version)
    }

    /// Lets the index name a new record, and accounts for it and the one it replaces.
    #[inline]
    fn publish(
        &mut self,
        old: Option<Located<'a>>,
        place: Place,
        hash: Hash,
        record: Record<'a>,
        moment: &Moment<'_>,
    ) {
        let slot = Slot::new(hash.tag(), record.start);
        match old {
            Some(old) => {
                self.sub_live(&old.record);
                self.engine.index.publish(place.word, slot);
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
    fn reserve(&mut self, words: usize, purpose: Purpose) -> Option<usize> {
        if self.state.open[purpose as usize].is_none_or(|open| open.next + words > open.end) {
            if let Some(full) = self.state.open[purpose as usize].take() {
                self.state.sealed.push(full.segment);
            }
            self.state.open[purpose as usize] = Some(self.lease(purpose)?);
        }
        let open = self.state.open[purpose as usize].as_mut()?;
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

    fn lease(&self, purpose: Purpose) -> Option<Open> {
        let engine = self.engine;
        if purpose == Purpose::Fresh && engine.over_limit(0) {
            return None;
        }
        let (segment, lease) =
            engine.space.lease(purpose, &engine.segments, &engine.index.pages)?;
        // Pairs with the acquire fence at the end of a reader's look: a reader that sees any word written from here on
        // sees the generation that ended before.
        fence(Ordering::Release);
        let first = segment << engine.geometry.segment_shift;
        engine.log.view().store(first, lease);
        engine.log.view().store(first + 1, self.state.number as u64);
        engine.segments.account(segment).open();
        add(&self.stripe.counters.used_words, SEGMENT_HEADER_WORDS as u64);
        let end = first + engine.geometry.segment_words();
        Some(Open { segment, next: first + SEGMENT_HEADER_WORDS, end })
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
            Helpers { space: &engine.space, log: &engine.log, hash_all: &mut hash_all };
        run(&engine.index, &mut helpers)
    }

    /// Versions of one stripe count up; the stripe's number makes them unique in the store. The low bit stays clear.
    fn next_version(&mut self) -> Version {
        self.state.writes += 1;
        Version((self.state.writes * MAX_STRIPES as u64 + self.state.number as u64) << 1)
    }

    #[inline]
    fn add_live(&self, record: &Record<'_>) {
        let words = record.header.words();
        self.account(record).add_live(words);
        add(&self.stripe.counters.live_words, words as u64);
    }

    #[inline]
    fn sub_live(&self, record: &Record<'_>) {
        let words = record.header.words();
        self.account(record).sub_live(words);
        sub(&self.stripe.counters.live_words, words as u64);
    }

    #[inline]
    fn note_expiry(&self, record: &Record<'_>, moment: &Moment<'_>) {
        let expiry = record.expiry();
        if expiry != 0 {
            let words = record.header.words();
            self.account(record).note_expiry(words, expiry, moment.now_ms());
            add(&self.stripe.counters.expiring_words, words as u64);
        }
    }

    #[inline]
    fn account(&self, record: &Record<'_>) -> &'a crate::log::segment::Account {
        let engine = self.engine;
        engine.segments.account(engine.geometry.segment_of(record.start))
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
                    record.header.words();
            }
        }
        let mut total = 0;
        for segment in self.state.segments() {
            let counted = engine.segments.account(segment).live_words();
            let expected = live.remove(&segment).unwrap_or(0);
            if counted != expected {
                return Err(format!("I6: segment {segment} counts {counted} of {expected} words"));
            }
            total += counted;
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

    pub(crate) fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }
}

/// Only the holder of the lock writes a counter, so that no read-modify-write is needed.
fn add(counter: &AtomicU64, change: u64) {
    counter.store(counter.load(Ordering::Relaxed) + change, Ordering::Relaxed);
}

fn sub(counter: &AtomicU64, change: u64) {
    counter.store(counter.load(Ordering::Relaxed) - change, Ordering::Relaxed);
}
