//! A stripe: one lock, its part of the index, and the segments that its records are appended to (`leases.rs`). All
//! writing happens here, under that lock; only a frame holds several (`frame.rs`).

use std::collections::{BTreeMap, VecDeque};

use crate::clock::Moment;
use crate::counters::Counters;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file::large::Run;
use crate::file::log::LeaseHistory;
use crate::file::wake::Unread;
use crate::file::window::Shares;
use crate::ghost::Ghosts;
use crate::hash::{Hash, MAX_STRIPES};
use crate::hottest::Hottest;
use crate::index::{Directory, Place, Slot};
use crate::log::record::{Header, Record};
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::log::space::Purpose;
use crate::removal::{Cause, Departed};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, Padded, lock_patiently};
use crate::types::Version;

/// In this order: what readers load, then, on other cache lines, what every write stores.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Stripe {
    /// Changes when the directory doubles.
    pub(crate) directory: Directory,
    /// 0 until somebody wants to pin a record of the stripe, then 1 for ever. Stored under the lock.
    pub(crate) pins_expected: AtomicU64,
    pub(crate) counters: Padded<Counters>,
    state: Mutex<StripeState>,
    /// Fed by sampled reads; a reader that finds it busy goes on without.
    pub(crate) hottest: Mutex<Hottest>,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct StripeState {
    pub(crate) number: usize,
    /// Counts the writes of this stripe; the next version is made of it.
    pub(crate) writes: u64,
    /// Segments that records are appended to, by pool.
    pub(crate) open: [Option<Open>; 2],
    /// Full segments and runs, by pool, in the order in which they were filled.
    pub(crate) sealed: [VecDeque<usize>; 2],
    /// Words that each pool leases.
    pub(crate) leased: [usize; 2],
    /// What the file says of its leases.
    pub(crate) leases: LeaseHistory,
    /// Segments that were not read when the file was opened, in the order of their numbers.
    pub(crate) unread: Vec<Unread>,
    /// The runs of a file that hold live values, by their first segment.
    pub(crate) runs: BTreeMap<usize, Run>,
    /// While a frame is written, the runs of a file whose links it hides, and their words.
    pub(crate) held_runs: Option<Vec<(usize, usize)>>,
    /// The shares of frames in a file that may not be durable.
    pub(crate) shares: Shares,
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
pub(crate) struct Open {
    pub(crate) segment: usize,
    /// Word of the log at which the next record begins.
    pub(crate) next: usize,
    pub(crate) end: usize,
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
    /// Words of a file's runs that were let go since the lock was taken.
    pub(crate) let_go: usize,
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
                leases: LeaseHistory::default(),
                unread: Vec::new(),
                runs: BTreeMap::new(),
                held_runs: None,
                shares: Shares::default(),
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

    /// The segment that was leased first; in a file, where only that is reclaimed.
    pub(crate) fn oldest_segment(&self) -> Option<usize> {
        let victim = self.victim.map(|victim| victim.segment);
        let sealed = self.sealed[Pool::Admission as usize].front().copied();
        let open = self.open[Pool::Admission as usize].map(|open| open.segment);
        victim.or(sealed).or(open)
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
        let Some(state) = lock_patiently(&stripe.state) else { return Err(half_changed()) };
        Ok(Writer { engine: self, stripe, state, appended: 0, let_go: 0 })
    }
}

/// Made only where it is needed: an error has to be dropped.
#[cold]
fn half_changed() -> Error {
    Error::corrupt("a panic left this stripe half changed; open a new store", 0)
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
    pub(crate) fn locate(&self, hash: Hash, key: &[u8]) -> Result<Option<Located<'a>>> {
        match self.locate_at_home(hash, key) {
            Some(found) => Ok(Some(found)),
            None => {
                self.wake(hash)?;
                Ok(self.find_record(hash, |record| record.key_is(key)))
            }
        }
    }

    /// The entry of a key's hash whose record satisfies a condition. Its page is awake.
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

    /// The entry of a key's hash whose record begins there. No record is looked at but that one: of a dead one, which reclaim
    /// asks for as well, the index alone tells that no slot names it.
    pub(crate) fn find_at(&self, hash: Hash, start: usize) -> Option<Located<'a>> {
        use std::ops::ControlFlow::{Break, Continue};
        let engine = self.engine;
        let head = self.stripe.directory.home(&engine.index, hash);
        let (word, slot) = engine.index.probe(head, hash, |word, slot| {
            if slot.address() == start { Break((word, slot)) } else { Continue(()) }
        })?;
        let record = Record::at(engine.log.view(), start);
        Some(Located { place: Place::of_entry(head, word), slot, record })
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

    /// Writes a value of a key that is not at home: it lies elsewhere, or nowhere. Its page is awake.
    #[inline(never)]
    pub(crate) fn store_elsewhere(
        &mut self,
        hash: Hash,
        entry: NewEntry<'_>,
        moment: &Moment<'_>,
    ) -> std::result::Result<Version, NeedRoom> {
        let head = self.stripe.directory.home(&self.engine.index, hash);
        let found = match self.engine.index.rules_out(head, hash) {
            true => None,
            false => self.find_record(hash, |record| record.key_is(entry.key)),
        };
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
        let header = self.header_of(&entry);
        let place = match &found {
            Some(found) => found.place,
            None => self.prepare(hash).ok_or(NeedRoom)?,
        };
        if let Some(segments) = self.engine.geometry.run_segments_of(header) {
            let room = self.lease_large(entry.key.len(), segments, moment).ok_or(NeedRoom)?;
            let version = self.next_version();
            let record = Record::with_header(self.engine.log.view(), room.start, header);
            record.write(version.get(), entry.expiry, entry.key, entry.value);
            let slot = self.slot_of(found.as_ref(), place, hash, &record);
            self.publish_large(found, place, hash, (record, room), slot, moment);
            return Ok(version);
        }
        let pool = self.pool_to_append(found.as_ref(), hash, header);
        let start = self.reserve(header.extent(), pool, Purpose::Fresh, moment).ok_or(NeedRoom)?;
        Ok(self.write_at(start, header, (found, place), hash, entry, moment))
    }

    /// The header of a new record.
    #[inline(always)]
    pub(crate) fn header_of(&self, entry: &NewEntry<'_>) -> Header {
        let bare = Header::new(entry.key.len(), entry.value.len(), entry.expiry != 0);
        match self.engine.geometry.in_file {
            true => bare.with_check(),
            false if entry.least_len > entry.value.len() => bare.with_room_for(entry.least_len),
            false => bare,
        }
    }

    /// The pool that a new record goes to: that of the one which it replaces.
    #[inline(always)]
    pub(crate) fn pool_to_append(
        &self,
        found: Option<&Located<'a>>,
        hash: Hash,
        header: Header,
    ) -> Pool {
        match found {
            Some(found) => self.pool_of(&found.record),
            None => self.pool_for(hash, header.extent()),
        }
    }

    /// Writes a record to words that were reserved for it and lets the index name it: in the place of the one that was
    /// found, or in a free one.
    #[inline(always)]
    pub(crate) fn write_at(
        &mut self,
        start: usize,
        header: Header,
        (found, place): (Option<Located<'a>>, Place),
        hash: Hash,
        entry: NewEntry<'_>,
        moment: &Moment<'_>,
    ) -> Version {
        let version = self.next_version();
        let record = Record::with_header(self.engine.log.view(), start, header);
        record.write(version.get(), entry.expiry, entry.key, entry.value);
        self.seal_in_file(&record);
        let slot = self.slot_of(found.as_ref(), place, hash, &record);
        self.publish(found, place, hash, record, slot, moment);
        version
    }

    /// The slot for a new record of an entry, or of one that was found: an overwrite counts as a read.
    #[inline(always)]
    fn slot_of(
        &mut self,
        found: Option<&Located<'a>>,
        place: Place,
        hash: Hash,
        record: &Record<'a>,
    ) -> Slot {
        let Some(found) = found else {
            if let Some(ghosts) = &mut self.state.ghosts {
                ghosts.remove(hash);
            }
            return self.engine.index.new_slot(place.head, hash, record.start);
        };
        let read = self.engine.evicts && found.slot.frequency() < Slot::FREQUENCY_MAX;
        let note = found.slot.note() + u64::from(read);
        found.slot.at(record.start).with_note(note)
    }

    /// Gives an entry another expiry, 0 for none. The version stays.
    pub(crate) fn set_expiry(
        &mut self,
        found: Located<'a>,
        hash: Hash,
        expiry: u64,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        let in_file = self.engine.geometry.in_file;
        if found.record.header.has_expiry_word() && !in_file {
            found.record.set_expiry(expiry);
            self.note_expiry(&found.record, moment);
        } else if expiry != found.record.expiry() {
            let header = found.record.compact_header(expiry != 0);
            if let Some(segments) = self.engine.geometry.run_segments_of(header) {
                let room = self.lease_large(header.key_len(), segments, moment).ok_or(NeedRoom)?;
                let copy = found.record.copy_to(self.engine.log.view(), room.start, header);
                if expiry != 0 {
                    copy.set_expiry(expiry);
                }
                let slot = found.slot.at(copy.start);
                self.publish_large(Some(found), found.place, hash, (copy, room), slot, moment);
                return Ok(());
            }
            let pool = self.pool_of(&found.record);
            let start =
                self.reserve(header.extent(), pool, Purpose::Fresh, moment).ok_or(NeedRoom)?;
            let copy = found.record.copy_to(self.engine.log.view(), start, header);
            if expiry != 0 {
                copy.set_expiry(expiry);
            }
            self.seal_in_file(&copy);
            let slot = found.slot.at(copy.start);
            self.publish(Some(found), found.place, hash, copy, slot, moment);
        }
        Ok(())
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, found: Located<'a>, hash: Hash, cause: Cause) {
        self.note_departure(&found.record, cause);
        self.forget(found, hash);
    }

    /// Removes an entry of which nobody is told.
    pub(crate) fn forget(&mut self, found: Located<'a>, hash: Hash) {
        self.engine.index.remove(found.place, hash);
        self.let_die(&found.record);
        self.stripe.counters.entries.sub(1);
        let stripe = self.stripe;
        self.with_helpers(|index, helpers| stripe.directory.merge(index, hash, helpers));
    }

    /// Removes an entry whose expiry was noticed.
    pub(crate) fn remove_expired(&mut self, found: Located<'a>, hash: Hash) {
        self.remove(found, hash, Cause::Expired);
        self.stripe.counters.expired.add(1);
    }

    /// Counts an entry that is about to be removed as evicted.
    pub(crate) fn count_eviction(&self, found: &Located<'a>) {
        self.stripe.counters.evicted.add(1);
        self.stripe.counters.words_evicted.add(found.record.header.words());
    }

    /// Moves a live record to the survivors, in the main pool.
    pub(crate) fn relocate(
        &mut self,
        found: Located<'a>,
        hash: Hash,
        note: u64,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        let header = found.record.compact_header(found.record.expiry() != 0);
        let start = self
            .reserve(header.extent(), self.survivors(), Purpose::Survivors, moment)
            .ok_or(NeedRoom)?;
        let copy = found.record.copy_to(self.engine.log.view(), start, header);
        self.seal_in_file(&copy);
        let slot = found.slot.at(copy.start).with_note(note);
        self.publish(Some(found), found.place, hash, copy, slot, moment);
        self.stripe.counters.records_moved.add(1);
        self.stripe.counters.words_moved.add(header.extent());
        Ok(())
    }

    /// Forgets all entries and gives all segments back.
    pub(crate) fn clear(&mut self) {
        self.forget_all();
        let engine = self.engine;
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
                self.free(segment);
            }
        }
        self.state.leased = [0; 2];
    }

    /// Forgets all entries; their records are dead.
    pub(crate) fn forget_all(&mut self) {
        let engine = self.engine;
        self.stripe.directory.clear(&engine.index, &engine.space);
        for segment in self.state.segments() {
            if !engine.geometry.is_run(segment) {
                let account = engine.segments.account(segment);
                account.sub_live(account.live_words());
            }
        }
        self.let_all_runs_go();
        self.stripe.counters.entries.set(0);
        self.stripe.counters.live_words.set(0);
        self.stripe.counters.expiring_words.set(0);
    }

    /// Lets a slot of the index name a new record, and accounts for it and the one it replaces.
    #[inline]
    pub(crate) fn publish(
        &mut self,
        old: Option<Located<'a>>,
        place: Place,
        hash: Hash,
        record: Record<'a>,
        slot: Slot,
        moment: &Moment<'_>,
    ) {
        match old {
            Some(old) => {
                self.engine.index.publish(place.word, slot);
                self.let_die(&old.record);
            }
            None => {
                self.engine.index.insert(place, hash, slot);
                self.stripe.counters.entries.add(1);
            }
        }
        self.add_live(&record);
        self.note_expiry(&record, moment);
    }

    /// Versions of one stripe count up; the stripe's number makes them unique in the store. The low bit stays clear.
    pub(crate) fn next_version(&mut self) -> Version {
        self.state.writes += 1;
        Version((self.state.writes * MAX_STRIPES as u64 + self.state.number as u64) << 1)
    }

    /// Checks the stripe against the invariants of ARCHITECTURE.md; answers the number of its entries.
    pub(crate) fn validate(&self) -> std::result::Result<usize, String> {
        let engine = self.engine;
        self.wake_all().map_err(|error| error.to_string())?;
        let mut key = Vec::new();
        let mut hash_of = |slot: Slot| {
            key.clear();
            Record::at(engine.log.view(), slot.address()).copy_key(&mut key);
            engine.hasher.hash(&key)
        };
        let entries = self.stripe.directory.validate(&engine.index, &mut hash_of)?;
        if entries != self.stripe.counters.entries.get() {
            return Err(format!("I3: {} entries are counted", self.stripe.counters.entries.get()));
        }
        let mut live = std::collections::HashMap::new();
        for page in self.stripe.directory.pages(&engine.index) {
            for (_, slot) in engine.index.entries(page) {
                let record = Record::at(engine.log.view(), slot.address());
                if !record.header.is_value() || record.version() % 2 == 1 {
                    return Err(format!("I6: slot names no record at word {}", slot.address()));
                }
                *live.entry(engine.geometry.segment_of(slot.address())).or_insert(0) +=
                    self.live_words_of(&record);
            }
        }
        let mut total = 0;
        let mut leased = 0;
        for (run, Run { words, link, link_words, .. }) in &self.state.runs {
            let expected = live.remove(run).unwrap_or(0);
            if expected != *words {
                return Err(format!("I6: run {run} holds {expected} of {words} live words"));
            }
            total += words;
            *live.entry(engine.geometry.segment_of(*link)).or_insert(0) += link_words;
        }
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
        if !live.is_empty() || total != self.stripe.counters.live_words.get() {
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
