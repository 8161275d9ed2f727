//! Reads without a lock: the reader protocol.
//!
//! A reader copies first and asks afterwards whether what it copied was whole. ARCHITECTURE.md argues why what passes
//! is right; the comments here name each load's partner.

use std::ops::ControlFlow;

use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::Result;
use crate::hash::Hash;
use crate::index::Slot;
use crate::log::record::{Packed, Record};
use crate::region::LINE_WORDS;
use crate::sync::{Ordering, fence};
use crate::types::Version;

/// Rounds without a lock before a reader takes the stripe's lock for once.
const ROUNDS: usize = if cfg!(loom) { 1 } else { 8 };
/// Lines of a record that a batch asks for. A third made it slower, though many a small record reaches into one.
const PREFETCHED_LINES: usize = 2;
/// Values of which the length is checked before they are copied: a header that was overwritten or reused meanwhile may
/// promise a gigabyte.
const LARGE_BYTES: usize = if cfg!(loom) { 64 } else { 4 << 10 };
/// Keys of a batch of reads from the question for a cache line to the look at it. Six are too few for the misses of a large
/// store, eight for the caches of a small one; sixteen are no better.
const AHEAD: usize = 12;
/// Keys of a batch of reads that are under way at once, at least.
const RING: usize = (2 * AHEAD + 1).next_power_of_two();
/// Keys of a batch of writes whose cache misses overlap.
const GROUP: usize = 32;

/// The bytes of a value as a read sees them.
#[derive(Clone, Copy)]
pub struct Value<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    /// In the log: what is copied may be thrown away.
    Log(Packed<'a>),
    /// A copy that was made under the lock.
    Copy(&'a [u8]),
}

impl Value<'_> {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Log(packed) => packed.len(),
            Source::Copy(bytes) => bytes.len(),
        }
    }

    /// Whether the value has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the value into a slice of its length.
    ///
    /// # Panics
    /// If the slice is of another length.
    #[inline]
    pub fn copy_to_slice(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.len(), "the slice must be as long as the value");
        match self.0 {
            Source::Log(packed) => packed.copy_to(out),
            Source::Copy(bytes) => out.copy_from_slice(bytes),
        }
    }

    /// Replaces what a vector holds by the value.
    #[inline(always)]
    pub fn copy_to_vec(&self, out: &mut Vec<u8>) {
        match self.0 {
            Source::Log(packed) => packed.copy_to_vec(out),
            Source::Copy(bytes) => {
                out.clear();
                out.extend_from_slice(bytes);
            }
        }
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({} bytes)", self.len())
    }
}

/// What a reader is shown of the entry that it looked for.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) value: Value<'a>,
    pub(crate) version: Version,
    /// Milliseconds since the epoch; 0 if the entry does not expire.
    pub(crate) expiry: u64,
    /// Segment and first byte of the value, for a pin; `None` if the value is a copy.
    pub(crate) place: Option<(usize, usize)>,
}

/// What a reader does with the entry that it looked for; any closure will do.
pub(crate) trait Visit<T> {
    /// Runs again if what it was shown turns out to have changed meanwhile.
    fn visit(&mut self, entry: Entry<'_>) -> T;
}

impl<T, F: FnMut(Entry<'_>) -> T> Visit<T> for F {
    #[inline]
    fn visit(&mut self, entry: Entry<'_>) -> T {
        self(entry)
    }
}

/// Replaces what a vector holds by the value. No closure, because the compiler must be told to inline it.
pub(crate) struct CopyTo<'a>(pub(crate) &'a mut Vec<u8>);

impl Visit<()> for CopyTo<'_> {
    #[inline(always)]
    fn visit(&mut self, entry: Entry<'_>) {
        entry.value.copy_to_vec(self.0);
    }
}

/// What one look without a lock saw.
enum Glance<T> {
    Hit(T),
    Miss,
    /// Something changed meanwhile.
    Again,
}

impl Engine {
    /// Shows `read` the entry of a key and answers what it answers, or `None` if there is no entry. `read` runs with no
    /// lock held, and again if what it was shown turns out to have changed meanwhile.
    #[inline]
    pub(crate) fn read<T>(
        &self,
        hash: Hash,
        key: &[u8],
        moment: &Moment<'_>,
        mut read: impl Visit<T>,
    ) -> Result<Option<T>> {
        match self.glimpse(hash, key, false, &mut read) {
            Some(answer) => Ok(Some(answer)),
            None => self.read_anywhere(hash, key, moment, false, read),
        }
    }

    /// The usual read: the entry lies in its home bucket, it has not expired and nobody disturbs. `None` says only that it was
    /// not the usual one. A hit needs no look at the page's version: a slot that still names a whole record of the key is
    /// right wherever it was found. Short, without a call, and with one way out for all that is unusual, so that the
    /// processor overlaps the cache misses of one get with those of the next. `counted` says whether a hit is to be counted as a
    /// read.
    #[inline(always)]
    pub(crate) fn glimpse<T>(
        &self,
        hash: Hash,
        key: &[u8],
        counted: bool,
        read: &mut impl Visit<T>,
    ) -> Option<T> {
        let generation = self.segments.generation();
        let page = self.stripe(hash).directory.home(&self.index, hash);
        let (word, slot) = self.index.first_in_bucket(page, hash)?;
        self.confirm(generation, word, slot, key, read, counted, |expiry| {
            expired(expiry, &self.moment())
        })
    }

    /// The rest of the usual read, from the slot on: as `look` does, but `None` whatever is the matter.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "inlined, so that they stay in registers")]
    fn confirm<T>(
        &self,
        generation: u64,
        word: usize,
        slot: Slot,
        key: &[u8],
        read: &mut impl Visit<T>,
        counted: bool,
        has_passed: impl Fn(u64) -> bool,
    ) -> Option<T> {
        let (version, record) = Record::with_version(self.log.view(), slot.address());
        if version % 2 == 1 {
            return None;
        }
        let value = record.value_of(key)?;
        let expiry = record.expiry();
        if value.len() > LARGE_BYTES || expiry != 0 && has_passed(expiry) {
            return None;
        }
        let seen = read.visit(self.entry(&record, value, version, expiry));
        fence_look();
        if self.segments.generation() != generation || record.version() != version {
            return None;
        }
        if self.watches {
            self.count_hit(word, slot, key, counted);
        }
        Some(seen)
    }

    /// Any read: by the whole protocol, in the end under the lock; `counted` as a read or not.
    #[inline(never)]
    pub(crate) fn read_anywhere<T>(
        &self,
        hash: Hash,
        key: &[u8],
        moment: &Moment<'_>,
        counted: bool,
        mut read: impl Visit<T>,
    ) -> Result<Option<T>> {
        let glance = (0..ROUNDS)
            .map(|_| self.glance(hash, key, moment, &mut read))
            .find(|glance| !matches!(glance, Glance::Again));
        let found = match glance {
            Some(Glance::Hit(answer)) => Some(answer),
            Some(Glance::Miss) => None,
            _ => self.read_locked(hash, key, moment, read)?,
        };
        if counted {
            self.count_outcome(key, found.is_some());
        }
        Ok(found)
    }

    /// Where a read ends up that writers disturbed again and again.
    #[cold]
    #[inline(never)]
    fn read_locked<T>(
        &self,
        hash: Hash,
        key: &[u8],
        moment: &Moment<'_>,
        mut read: impl Visit<T>,
    ) -> Result<Option<T>> {
        let writer = self.lock(hash, moment)?;
        let Some(found) = writer.locate(hash, key)? else { return Ok(None) };
        let (version, expiry) = (found.record.version(), found.record.expiry());
        if expired(expiry, moment) {
            return Ok(None);
        }
        let mut copy = Vec::new();
        found.record.copy_value(&mut copy);
        drop(writer);
        let value = Value(Source::Copy(&copy));
        Ok(Some(read.visit(Entry { value, version: Version(version), expiry, place: None })))
    }

    /// ```text
    /// depth, directory word, page version; odd: again
    /// for each slot of the probe with the tag: look at its record
    /// none: a miss, if depth, directory word and page version are still the same
    /// ```
    fn glance<T>(
        &self,
        hash: Hash,
        key: &[u8],
        moment: &Moment<'_>,
        read: &mut impl Visit<T>,
    ) -> Glance<T> {
        let generation = self.segments.generation();
        let directory = &self.stripe(hash).directory;
        let depth = directory.depth();
        let page = directory.page(&self.index, depth, hash);
        // Pairs with the release store in `end_move`.
        let version = self.index.version(page).load(Ordering::Acquire);
        if version % 2 == 1 {
            return Glance::Again;
        }
        let found = self.index.probe(page, hash, |word, slot| {
            let look = self.look(generation, word, slot, key, moment, read);
            self.count_read(&look, word, slot);
            ControlFlow::Break(match look {
                Look::OtherKey => return ControlFlow::Continue(()),
                Look::Entry(Some(answer)) => Glance::Hit(answer),
                Look::Entry(None) => Glance::Miss,
                Look::Again => Glance::Again,
            })
        });
        if let Some(glance) = found {
            return glance;
        }
        // Pairs with the release fence in `begin_move`: had any slot been seen in motion, the version differs.
        fence(Ordering::Acquire);
        let still = directory.depth() == depth
            && directory.page(&self.index, depth, hash) == page
            && self.index.version(page).load(Ordering::Relaxed) == version;
        if still { Glance::Miss } else { Glance::Again }
    }

    /// Looks at the record that the slot at `word` names, and validates what it saw, whatever it was. The generation was
    /// read before the slot: a segment's slots are replaced before its generation ends, so the slot names its segment in a
    /// generation at least as new.
    #[inline(always)]
    fn look<T>(
        &self,
        generation: u64,
        word: usize,
        slot: Slot,
        key: &[u8],
        moment: &Moment<'_>,
        read: &mut impl Visit<T>,
    ) -> Look<T> {
        let (version, record) = Record::with_version(self.log.view(), slot.address());
        if version % 2 == 1 {
            return Look::Again;
        }
        let seen = if record.key_is(key) {
            // A header that was overwritten or reused meanwhile may promise anything.
            let Some(value) = record.value() else { return Look::Again };
            if value.len() > LARGE_BYTES {
                return self.look_at_large(generation, word, slot, key, moment, read);
            }
            self.show(&record, value, version, moment, read)
        } else {
            Look::OtherKey
        };
        fence_look();
        let whole = self.segments.generation() == generation && record.version() == version;
        if whole { seen } else { Look::Again }
    }

    /// Shows the value to the reader, unless it has expired.
    #[inline(always)]
    fn show<T>(
        &self,
        record: &Record<'_>,
        value: Packed<'_>,
        version: u64,
        moment: &Moment<'_>,
        read: &mut impl Visit<T>,
    ) -> Look<T> {
        let expiry = record.expiry();
        if expired(expiry, moment) {
            return Look::Entry(None);
        }
        Look::Entry(Some(read.visit(self.entry(record, value, version, expiry))))
    }

    /// The entry as the log has it.
    #[inline(always)]
    fn entry<'a>(
        &self,
        record: &Record<'a>,
        value: Packed<'a>,
        version: u64,
        expiry: u64,
    ) -> Entry<'a> {
        Entry {
            value: Value(Source::Log(value)),
            version: Version(version),
            expiry,
            place: Some((self.geometry.segment_of(record.start), record.value_byte())),
        }
    }

    /// The same for a value that takes longer to copy than segments take to be freed.
    ///
    /// ```text
    /// version; then whether the slot is the same: the version is that of a published record
    /// header, key; then whether the record is whole so far, and with it the length that it promises
    /// the value; then whether the record is whole
    /// ```
    #[cold]
    #[inline(never)]
    fn look_at_large<T>(
        &self,
        generation: u64,
        word: usize,
        slot: Slot,
        key: &[u8],
        moment: &Moment<'_>,
        read: &mut impl Visit<T>,
    ) -> Look<T> {
        let version = Record::with_version(self.log.view(), slot.address()).0;
        let is_there = || {
            fence_look();
            self.segments.generation() == generation || self.is_same_run(word, slot)
        };
        if version % 2 == 1 || !is_there() {
            return Look::Again;
        }
        let record = Record::at(self.log.view(), slot.address());
        let value = if record.key_is(key) { record.value() } else { None };
        let Some(value) = value else { return Look::Again };
        let is_whole = || is_there() && record.version() == version;
        if !is_whole() {
            return Look::Again;
        }
        let seen = self.show(&record, value, version, moment, read);
        if is_whole() { seen } else { Look::Again }
    }

    /// Whether the slot names a run, and still does. A run is never moved, so that its slot and its version say enough: a
    /// large value may be read while segments come and go.
    fn is_same_run(&self, word: usize, slot: Slot) -> bool {
        let segment = self.geometry.segment_of(slot.address());
        // In a file the segments of a run may become those of a window. If its lease is the same before and after, then the slot
        // was published in it: one of before was replaced by then, and one of later brings the later lease along.
        let lease = self.segments.run_lease(segment);
        (self.geometry.is_run(segment) || lease != 0)
            // Pairs with the release store in `publish`: were it another record at the same place, its version will be seen.
            && Slot(self.index.pages.view().word(word).load(Ordering::Acquire)).names_same(slot)
            && self.segments.run_lease(segment) == lease
    }

    /// Counts a hit in a cache, or wherever reads are counted.
    #[inline(always)]
    fn count_hit(&self, word: usize, slot: Slot, key: &[u8], counted: bool) {
        if self.evicts {
            self.index.count_read(word, slot);
        }
        if counted {
            self.count_outcome(key, true);
        }
    }

    /// Counts a hit where a cache will look for it.
    #[inline(always)]
    fn count_read<T>(&self, look: &Look<T>, word: usize, slot: Slot) {
        if self.evicts
            && let Look::Entry(Some(_)) = look
        {
            self.index.count_read(word, slot);
        }
    }

    /// Reads many keys; `each` is called for each of them in order, with no lock held. A pipeline, so that some cache misses
    /// are always under way while others are worked on:
    ///
    /// ```text
    /// hash a key, ask for its bucket
    /// AHEAD keys later: find its slot, ask for its record
    /// AHEAD keys later: look at the record as `read` does; where that does not do, read anew
    /// ```
    pub(crate) fn read_many<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        moment: &Moment<'_>,
        mut each: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<()> {
        for key in keys {
            self.admit_key_len(key.as_ref())?;
        }
        let ahead = AHEAD.min(keys.len());
        let mut value = Vec::new();
        let mut ring = [Asked::NOTHING; RING];
        for turn in 0..keys.len() + 2 * ahead {
            if let Some(key) = keys.get(turn) {
                ring[turn % RING] = self.ask(key.as_ref());
            }
            if (ahead..ahead + keys.len()).contains(&turn) {
                let asked = &mut ring[(turn - ahead) % RING];
                asked.generation = self.segments.generation();
                (asked.word, asked.slot) = self.prefetch_record(asked.page, asked.hash);
            }
            let Some(number) = turn.checked_sub(2 * ahead) else { continue };
            let (key, asked) = (keys[number].as_ref(), &ring[number % RING]);
            let Asked { generation, word, slot, .. } = *asked;
            let copy = &mut CopyTo(&mut value);
            let usual = match slot {
                Slot::EMPTY => None,
                slot => self.confirm(generation, word, slot, key, copy, true, |expiry| {
                    expired(expiry, moment)
                }),
            };
            let found = match usual {
                Some(()) => usual,
                None => self.read_anywhere(asked.hash, key, moment, true, CopyTo(&mut value))?,
            };
            each(number, found.map(|()| value.as_slice()));
        }
        Ok(())
    }

    /// Hashes a key of a batch and asks for its bucket.
    #[inline(always)]
    fn ask(&self, key: &[u8]) -> Asked {
        let hash = self.hasher.hash(key);
        let page = self.stripe(hash).directory.home(&self.index, hash);
        self.index.prefetch_bucket(page, hash);
        Asked { hash, page, ..Asked::NOTHING }
    }

    /// Asks for the buckets and then the records of a few keys that are about to be written.
    pub(crate) fn prefetch_keys<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let mut asked = [(0, Hash(0)); GROUP];
        let mut count = 0;
        for (key, asked) in keys.zip(&mut asked) {
            let hash = self.hasher.hash(key);
            *asked = (self.stripe(hash).directory.home(&self.index, hash), hash);
            self.index.prefetch_bucket(asked.0, hash);
            self.index.prefetch_row(asked.0);
            count += 1;
        }
        for (page, hash) in &asked[..count] {
            self.prefetch_record(*page, *hash);
        }
    }

    /// Asks for the record of the first slot with the tag in the home bucket, and answers the slot and its word; if there
    /// is none, asks for what the search will need.
    #[inline(always)]
    pub(crate) fn prefetch_record(&self, page: usize, hash: Hash) -> (usize, Slot) {
        let Some((word, slot)) = self.index.first_in_bucket(page, hash) else {
            self.index.prefetch_row(page);
            return (0, Slot::EMPTY);
        };
        let log = self.log.view();
        for line in 0..PREFETCHED_LINES {
            log.prefetch(slot.address() + line * LINE_WORDS);
        }
        (word, slot)
    }
}

/// What comes between the words of a record and the questions whether they are of one write.
#[inline(always)]
fn fence_look() {
    // Pairs with the release fences of whoever overwrites the record or reuses the segment: had any word been read that
    // they wrote, version or generation differ.
    fence(Ordering::Acquire);
}

/// A key of a batch, and what has been found of it so far.
#[derive(Clone, Copy)]
struct Asked {
    hash: Hash,
    page: usize,
    /// That of before the slot was read.
    generation: u64,
    /// Where the slot was found; nothing if it is empty.
    word: usize,
    slot: Slot,
}

impl Asked {
    const NOTHING: Asked =
        Asked { hash: Hash(0), page: 0, generation: 0, word: 0, slot: Slot::EMPTY };
}

enum Look<T> {
    OtherKey,
    /// `None` if it has expired.
    Entry(Option<T>),
    Again,
}

#[inline]
pub(crate) fn expired(expiry: u64, moment: &Moment<'_>) -> bool {
    expiry != 0 && expiry <= moment.now_ms()
}
