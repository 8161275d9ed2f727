//! The public handle. Operations that change an entry say what they want, most of them as a closure; `update.rs` does it.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::ceil_ms;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file::copy::FileReport;
use crate::file::progress::{Meter, Progress, watched};
use crate::options::{Access, Options};
use crate::pin::Pinned;
use crate::reader::{CopyTo, Entry, Value, Visit};
use crate::region::WORD;
use crate::scan::Cursor;
use crate::stats::Stats;
use crate::types::{
    Condition, EntryInfo, ExpireCondition, SetOptions, SetOutcome, TimeToLive, Version, WorkLeft,
};
use crate::uncounted::Uncounted;
use crate::update::{Change, Current, NewValue};

/// A key-value store or cache, in memory or in a file, under a hard cap.
///
/// Handles are cheap to clone; all clones are one store, which lives until the last handle, pin or cursor is dropped.
/// Every method may be called from any thread at any time. Operations on one key are linearizable; there is no order
/// between keys, and no operation but [`Store::set_many_atomic`] is atomic over several keys.
///
/// # Errors
/// Every operation on a key answers [`Error::InvalidArgument`] for an empty key, [`Error::KeyTooLarge`] for one that is
/// too long, and [`Error::Forked`] in a process that was forked from the one that opened the store. A key that is not
/// there is not an error.
///
/// ```
/// use nyala::{Options, Store};
/// let store = Store::open(Options::memory(64 << 20))?;
/// store.set("user:1", "Ada")?;
/// assert_eq!(store.get("user:1")?, Some(b"Ada".to_vec()));
/// assert!(store.delete("user:1")?);
/// # Ok::<(), nyala::Error>(())
/// ```
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
}

impl Store {
    /// Opens a store. Reserves address space; memory is committed as it is used. One in a file is made if the file is empty or
    /// not there. One that was closed is opened by the index that was stored with it, some nanoseconds an entry, and what it
    /// holds is checked where it is first used; of any other, everything is checked and indexed, less than a microsecond an
    /// entry.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if an option lies outside its limits or the path names no regular file, [`Error::NoMemory`]
    /// if the operating system refuses the address space. Of a file: [`Error::Locked`] while somebody else has it open,
    /// [`Error::Io`], [`Error::Corrupt`] if it is no store or damaged, [`Error::Version`] and [`Error::Unsupported`] if a
    /// later library wrote it.
    pub fn open(options: Options) -> Result<Store> {
        Store::open_metered(&options, &Meter::default())
    }

    /// The same, and tells `progress` how far it has come: before it begins, and every 50 milliseconds while it looks at what a
    /// file holds. `progress` is called in this thread, the work is done in another one, `nyala-work`, which ends before this
    /// returns.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use nyala::{Error, Options, Store};
    /// let refused = Store::open_with(Options::memory(1 << 20), |_| ControlFlow::Break(()));
    /// assert_eq!(refused.unwrap_err(), Error::Cancelled);
    /// ```
    ///
    /// # Errors
    /// [`Error::Cancelled`] after `progress` answered [`ControlFlow::Break`]: the file holds what it held, and is opened again as if
    /// the process had died. Else as [`Store::open`].
    pub fn open_with(
        options: Options,
        progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Store> {
        watched(progress, |meter| Store::open_metered(&options, meter))
    }

    /// Closes the store, and tells what fails in that. A file is synced and says from then on that it was closed: it is opened
    /// again without a look for what a crash left. Dropping the last handle does the same, but tells nobody.
    ///
    /// While other handles, pins or cursors live, the last of them closes the file, and this call syncs it.
    ///
    /// ```
    /// use nyala::{Options, Store};
    /// let store = Store::open(Options::memory(1 << 20))?;
    /// store.close()?;
    /// # Ok::<(), nyala::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if a sync fails, [`Error::Poisoned`] if one had failed before: what was written since the last good one may not
    /// survive a power cut. The file is let go of all the same, and is recovered when it is opened again. In a process that was
    /// forked from the one that opened the store the file is left alone, and that is no error.
    pub fn close(self) -> Result<()> {
        let is_mine = self.engine.birthplace.check().is_ok();
        let synced = match &self.engine.file {
            Some(file)
                if is_mine
                    && file.access() == Access::Write
                    && Arc::strong_count(&self.engine) > 1 =>
            {
                file.sync()
            }
            _ => Ok(()),
        };
        Arc::into_inner(self.engine).map_or(synced, |mut engine| engine.finish())
    }

    /// For what reads a file and says how far it is.
    pub(crate) fn open_metered(options: &Options, meter: &Meter) -> Result<Store> {
        Ok(Store { engine: Arc::new(Engine::open(options, meter)?) })
    }

    /// Opens a store on a disk of the tests.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn open_on(
        disk: Arc<dyn crate::file::disk::Disk>,
        options: &Options,
    ) -> Result<Store> {
        Ok(Store { engine: Arc::new(Engine::open_on(disk, options, &Meter::default())?) })
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn file(&self) -> &crate::file::log::FileLog {
        self.engine.file.as_deref().expect("a store in a file")
    }

    /// The value of a key, or `None`. Takes no lock; costs about two cache misses. Writes no shared memory in a store; in a
    /// cache it counts up to three reads of an entry in its slot.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        Ok(self.get_into(key, &mut value)?.then_some(value))
    }

    /// The same into a vector that is reused: `out` is cleared, then filled if there is a value.
    pub fn get_into(&self, key: impl AsRef<[u8]>, out: &mut Vec<u8>) -> Result<bool> {
        let found = self.read(key.as_ref(), CopyTo(out));
        if !matches!(found, Ok(Some(()))) {
            // What was there before, or a copy that lost a race.
            out.clear();
        }
        Ok(found?.is_some())
    }

    /// Shows the value to `read`, to be copied once to where it is wanted, and answers what `read` answers.
    ///
    /// No lock is held. `read` runs again if what it was shown changed meanwhile: only the answer of its last run says
    /// something about the entry.
    pub fn get_with<T>(
        &self,
        key: impl AsRef<[u8]>,
        mut read: impl FnMut(Value<'_>, Version) -> T,
    ) -> Result<Option<T>> {
        self.read(key.as_ref(), |entry: Entry<'_>| read(entry.value, entry.version))
    }

    /// The value with its version, for a later conditional write.
    pub fn get_versioned(&self, key: impl AsRef<[u8]>) -> Result<Option<(Vec<u8>, Version)>> {
        let key = key.as_ref();
        let found = self.look_for_value(key)?;
        self.engine.count_outcome(key, found.is_some());
        Ok(found)
    }

    /// The values of many keys, several times faster than one by one in a store larger than the processor's caches:
    /// their cache misses overlap. `each` gets the index of the key and the value, in order, with no lock held; it may
    /// use the store. Each value was current at some moment of the call, perhaps before `each` was called for the keys
    /// in front of it: what `each` writes, the rest of the batch need not see.
    pub fn get_many<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        each: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<()> {
        self.engine.birthplace.check()?;
        self.engine.read_many(keys, &self.engine.moment(), each)
    }

    /// The bytes of a value in place, as they are now, until the pin is dropped. Worth its price for values of several
    /// kilobytes.
    ///
    /// # Errors
    /// [`Error::Busy`] when as many segments are pinned as the store allows.
    pub fn pin(&self, key: impl AsRef<[u8]>) -> Result<Option<Pinned>> {
        let key = key.as_ref();
        let pinned = self.look_for_pin(key)?;
        self.engine.count_outcome(key, pinned.is_some());
        Ok(pinned)
    }

    /// Reads that are not counted, for operations that are made of several.
    #[doc(hidden)]
    #[must_use]
    pub fn uncounted(&self) -> Uncounted<'_> {
        Uncounted(self)
    }

    pub(crate) fn look_for_pin(&self, key: &[u8]) -> Result<Option<Pinned>> {
        let hash = self.engine.admit_key(key)?;
        Pinned::new(&self.engine, hash, key, &self.engine.moment())
    }

    pub(crate) fn look_for_value(&self, key: &[u8]) -> Result<Option<(Vec<u8>, Version)>> {
        let hash = self.engine.admit_key(key)?;
        let mut value = Vec::new();
        let version = self.engine.read(hash, key, &self.engine.moment(), |entry: Entry<'_>| {
            entry.value.copy_to_vec(&mut value);
            entry.version
        })?;
        Ok(version.map(|version| (value, version)))
    }

    pub(crate) fn look_for_info(&self, key: &[u8]) -> Result<Option<EntryInfo>> {
        let moment = self.engine.moment();
        let hash = self.engine.admit_key(key)?;
        self.engine.read(hash, key, &moment, |entry: Entry<'_>| EntryInfo {
            version: entry.version,
            value_len: entry.value.len(),
            ttl: match entry.expiry {
                0 => TimeToLive::Forever,
                at => {
                    TimeToLive::Remaining(Duration::from_millis(at.saturating_sub(moment.now_ms())))
                }
            },
        })
    }

    /// Writes a value. A time to live that the entry had ends.
    ///
    /// # Errors
    /// [`Error::ValueTooLarge`], [`Error::Full`]: nothing was changed.
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.engine.set(key.as_ref(), value.as_ref())
    }

    /// Writes a value under a condition, with a time to live, or both.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyala::{Options, SetOptions, Store};
    /// let store = Store::open(Options::memory(1 << 20))?;
    /// let lock = SetOptions::new().if_absent().ttl(Duration::from_secs(30));
    /// assert!(store.set_with("lock", "me", lock)?.stored);
    /// assert!(!store.set_with("lock", "you", lock)?.stored);
    /// # Ok::<(), nyala::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a time to live of zero or one together with `keep_ttl`; else as [`Store::set`].
    pub fn set_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: SetOptions<'_>,
    ) -> Result<SetOutcome> {
        let value = value.as_ref();
        self.engine.admit_value_len(value.len())?;
        let ttl_ms = options.ttl.map(admit_ttl).transpose()?;
        if ttl_ms.is_some() && options.keep_ttl {
            return Err(Error::InvalidArgument("ttl and keep_ttl exclude each other".into()));
        }
        let key = key.as_ref();
        let mut was_there = false;
        let (mut outcome, version) = self.engine.update(key, |current, now_ms| {
            was_there = current.is_some();
            let stored = holds(options.condition, current);
            let expiry = match (ttl_ms, options.keep_ttl, current) {
                (Some(ttl_ms), ..) => now_ms().saturating_add(ttl_ms),
                (None, true, Some(current)) => current.expiry,
                _ => 0,
            };
            let outcome = SetOutcome {
                stored,
                version: current.map(|current| current.version()),
                previous: current.filter(|_| options.return_previous).map(|c| c.value()),
            };
            let change = Change::Store(NewValue::Bytes(value), expiry);
            Ok((if stored { change } else { Change::Keep }, outcome))
        })?;
        outcome.version = version.or(outcome.version);
        if options.return_previous {
            self.engine.count_outcome(key, was_there);
        }
        Ok(outcome)
    }

    /// Writes a value and answers the one that was there.
    pub fn swap(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        Ok(self.set_with(key, value, SetOptions::new().return_previous())?.previous)
    }

    /// Removes an entry and answers its value.
    pub fn take(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let take = |current: Option<Current<'_>>, _: &dyn Fn() -> u64| {
            Ok((Change::Remove, current.map(|current| current.value())))
        };
        let key = key.as_ref();
        let (taken, _) = self.engine.update(key, take)?;
        self.engine.count_outcome(key, taken.is_some());
        Ok(taken)
    }

    /// Removes an entry; whether it was there. Never answers [`Error::Full`]: `max_bytes` leaves room for it.
    ///
    /// # Errors
    /// In a file a removal is written down as well: [`Error::Io`] where the disk has no room for that, and the entry is still
    /// there.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let delete = |current: Option<Current<'_>>, _: &dyn Fn() -> u64| {
            Ok((Change::Remove, current.is_some()))
        };
        Ok(self.engine.update(key.as_ref(), delete)?.0)
    }

    /// Removes an entry if its value is still of this version; whether it was removed.
    pub fn delete_if(&self, key: impl AsRef<[u8]>, version: Version) -> Result<bool> {
        let delete = |current: Option<Current<'_>>, _: &dyn Fn() -> u64| {
            let same = current.is_some_and(|current| current.version() == version);
            Ok((if same { Change::Remove } else { Change::Keep }, same))
        };
        Ok(self.engine.update(key.as_ref(), delete)?.0)
    }

    /// Puts bytes behind a value and answers its new length. A key that is not there is created; a lifetime is kept.
    /// Costs a copy of the value.
    ///
    /// # Errors
    /// [`Error::ValueTooLarge`] by the new length, [`Error::Full`]: nothing was changed.
    pub fn append(&self, key: impl AsRef<[u8]>, tail: impl AsRef<[u8]>) -> Result<usize> {
        let tail = tail.as_ref();
        let append = |current: Option<Current<'_>>, _: &dyn Fn() -> u64| {
            let (len, expiry) = current.map_or((0, 0), |c| (c.value_len(), c.expiry));
            Ok((Change::Store(NewValue::Appended(tail), expiry), len + tail.len()))
        };
        Ok(self.engine.update(key.as_ref(), append)?.0)
    }

    /// Adds to the number that a value says in decimal and answers the sum. A key that is not there counts as 0 and is
    /// created, with `ttl_on_create` if that is given; an entry that is there keeps its lifetime.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyala::{Options, Store};
    /// let store = Store::open(Options::memory(1 << 20))?;
    /// assert_eq!(store.increment("hits", 2, Some(Duration::from_secs(60)))?, 2);
    /// assert_eq!(store.increment("hits", -1, None)?, 1);
    /// assert_eq!(store.get("hits")?, Some(b"1".to_vec()));
    /// # Ok::<(), nyala::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotANumber`] if the value is no canonical decimal, [`Error::Overflow`], [`Error::Full`]: nothing was
    /// changed. [`Error::InvalidArgument`] for a time to live of zero.
    pub fn increment(
        &self,
        key: impl AsRef<[u8]>,
        delta: i64,
        ttl_on_create: Option<Duration>,
    ) -> Result<i64> {
        let ttl_ms = ttl_on_create.map(admit_ttl).transpose()?;
        self.engine.increment(key.as_ref(), delta, ttl_ms)
    }

    /// Whether a key has a value.
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.read(key.as_ref(), |_: Entry<'_>| ())?.is_some())
    }

    /// What is known of an entry, without its value.
    pub fn entry_info(&self, key: impl AsRef<[u8]>) -> Result<Option<EntryInfo>> {
        let key = key.as_ref();
        let info = self.look_for_info(key)?;
        self.engine.count_outcome(key, info.is_some());
        Ok(info)
    }

    /// Lets an entry expire after `ttl`, to the millisecond, rounded up; whether the entry was there. Its version stays.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a time to live of zero; [`Error::Full`], since an entry that never had a lifetime
    /// grows by eight bytes; in a file the entry is written again, value and all.
    pub fn expire(&self, key: impl AsRef<[u8]>, ttl: Duration) -> Result<bool> {
        self.expire_with(key, ttl, ExpireCondition::Always)
    }

    /// As [`Store::expire`], if a condition on the present lifetime holds; whether the lifetime was changed.
    pub fn expire_with(
        &self,
        key: impl AsRef<[u8]>,
        ttl: Duration,
        condition: ExpireCondition,
    ) -> Result<bool> {
        let ttl_ms = admit_ttl(ttl)?;
        self.set_expiry(key.as_ref(), condition, |now_ms| now_ms.saturating_add(ttl_ms))
    }

    /// Lets an entry expire at a time, if a condition on the present lifetime holds; whether the lifetime was changed. A
    /// time that has passed removes the entry.
    pub fn expire_at(
        &self,
        key: impl AsRef<[u8]>,
        at: SystemTime,
        condition: ExpireCondition,
    ) -> Result<bool> {
        // Before the epoch is as much in the past as the epoch; 0 would mean no expiry.
        let at_ms = ceil_ms(at.duration_since(UNIX_EPOCH).unwrap_or_default()).max(1);
        self.set_expiry(key.as_ref(), condition, |_| at_ms)
    }

    /// Takes an entry's lifetime away; whether there was an entry with one.
    pub fn persist(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let persist = |current: Option<Current<'_>>, _: &dyn Fn() -> u64| {
            let expires = current.is_some_and(|current| current.expiry != 0);
            Ok((if expires { Change::Expire(0) } else { Change::Keep }, expires))
        };
        Ok(self.engine.update(key.as_ref(), persist)?.0)
    }

    /// How long an entry has to live; `None` if there is no entry.
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<TimeToLive>> {
        Ok(self.entry_info(key)?.map(|info| info.ttl))
    }

    /// Writes many values, faster than one by one; an outcome for each, in their order. Not atomic
    /// ([`Store::set_many_atomic`] is): each is a [`Store::set`] of its own; of several for one key the last stays.
    ///
    /// # Errors
    /// [`Error::Forked`] before anything is written; what a single pair does wrong is in its outcome.
    pub fn set_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        pairs: &[(K, V)],
    ) -> Result<Vec<Result<()>>> {
        self.engine.birthplace.check()?;
        self.engine.admit_change()?;
        let mut outcomes = Vec::with_capacity(pairs.len());
        let mut appended = 0;
        for group in pairs.chunks(WRITE_GROUP) {
            self.engine.prefetch_keys(group.iter().map(|(key, _)| key.as_ref()));
            outcomes.extend(group.iter().map(|(key, value)| {
                let set = self.engine.set_unacknowledged(key.as_ref(), value.as_ref());
                set.map(|words| appended += words)
            }));
        }
        // One sync for all of them.
        if let Err(error) = self.engine.acknowledge(appended) {
            outcomes.iter_mut().filter(|outcome| outcome.is_ok()).for_each(|outcome| {
                *outcome = Err(error.clone());
            });
        }
        Ok(outcomes)
    }

    /// Writes many values as one. *Atomic* means: with an error nothing was changed; in a file all of them are found or none when it
    /// is opened, also where the process died meanwhile, and at the levels of durability that reach so far where the power
    /// went ([`Durability`](crate::Durability)); and no other write of their keys comes between. It does not mean that
    /// readers see them at once: they ask for no lock, and a get, scan or backup that runs meanwhile may see some
    /// values new and others still old, but only of frames that are not done yet. A cache may evict some of them later, and
    /// [`salvage`](crate::salvage) may find a part.
    ///
    /// Values are without expiry, as those of [`Store::set`]. Of several pairs with one key the last counts, and nobody
    /// sees the others. No pairs change nothing. There must be room for all values at once, also where they replace others.
    /// May be called from any thread. Holds the locks of all keys' stripes meanwhile. In memory it writes over
    /// what is there where a set would; in a file it appends, and at level `Sync` waits for one sync. Writers of those stripes
    /// wait as long as the values take to be written.
    ///
    /// ```
    /// use nyala::{Options, Store};
    /// let store = Store::open(Options::memory(16 << 20))?;
    /// store.set_many_atomic(&[("from", "90"), ("to", "10")])?;
    /// assert_eq!(store.get("to")?, Some(b"10".to_vec()));
    /// # Ok::<(), nyala::Error>(())
    /// ```
    ///
    /// # Errors
    /// Nothing was changed with [`Error::FrameTooLarge`] (the limit is [`Store::max_frame_bytes`]), [`Error::ValueTooLarge`] (for each
    /// value the limit is [`Store::max_frame_value_len`]), [`Error::Full`], nor with what a key does wrong. In a file [`Error::Io`] and [`Error::Poisoned`] as of [`Store::set`]: all of it
    /// or nothing is there when the file is opened again.
    pub fn set_many_atomic<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, pairs: &[(K, V)]) -> Result<()> {
        self.engine.set_frame(pairs)
    }

    /// Removes many entries, faster than one by one; for each key whether it was there.
    pub fn delete_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<bool>> {
        for key in keys {
            self.engine.admit_key_len(key.as_ref())?;
        }
        let mut outcomes = Vec::with_capacity(keys.len());
        for group in keys.chunks(WRITE_GROUP) {
            self.engine.prefetch_keys(group.iter().map(AsRef::as_ref));
            for key in group {
                outcomes.push(self.delete(key)?);
            }
        }
        Ok(outcomes)
    }

    /// Walks over the entries whose keys begin with `prefix` (all, if it is empty), in no useful order. The walk visits
    /// every entry of the store: its cost does not depend on how many match.
    pub fn scan(&self, prefix: impl AsRef<[u8]>) -> Result<Cursor> {
        self.scan_from(prefix, 0)
    }

    /// Goes on where another cursor of this store stood; 0 is the start.
    pub fn scan_from(&self, prefix: impl AsRef<[u8]>, position: u64) -> Result<Cursor> {
        Cursor::new(Arc::clone(&self.engine), prefix.as_ref(), position)
    }

    /// Whether the store may be used in this process. Costs one load; the numbers below, which cannot fail, do not ask.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn check(&self) -> Result<()> {
        self.engine.birthplace.check()
    }

    /// Number of entries, expired ones included until they are noticed.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.engine.stripes.iter().map(|stripe| stripe.counters.entries.get() as u64).sum()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Committed bytes: log, index, metadata and slack. Never more than [`Store::max_bytes`].
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.engine.space.spending().committed as u64
    }

    /// The cap.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.engine.space.max_bytes()
    }

    /// Changes the cap, to between a quarter of what the store was opened with and four times as much, and at least
    /// 1 MiB. A smaller cap holds when the call returns: memory has been given back, and a cache has evicted what did not
    /// fit. The cost is in proportion to what must go; other threads go on meanwhile. Of several calls at once one stays.
    ///
    /// ```
    /// use nyala::{Eviction, Options, Store};
    /// let cache = Store::open(Options::memory(16 << 20).eviction(Eviction::Adaptive))?;
    /// for n in 0..100_000_u32 {
    ///     cache.set(n.to_le_bytes(), [0; 100])?;
    /// }
    /// cache.set_max_bytes(4 << 20)?;
    /// assert!(cache.used_bytes() <= 4 << 20);
    /// # Ok::<(), nyala::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] outside these limits; [`Error::Full`] if the entries of a store do not fit: the cap stays
    /// as it was, and no entry is lost.
    pub fn set_max_bytes(&self, max_bytes: u64) -> Result<()> {
        self.engine.birthplace.check()?;
        self.engine.admit_change()?;
        self.engine.resize(max_bytes, &self.engine.moment())
    }

    /// Longest key in bytes: 65,535.
    #[must_use]
    pub fn max_key_len(&self) -> usize {
        self.engine.geometry.max_key_len
    }

    /// Longest value in bytes: a quarter of what the store was opened with, at most 1 GiB less one byte. A value that
    /// takes more than an eighth of a segment may get pages of its own, up to a quarter more than its size from 64 MiB on.
    #[must_use]
    pub fn max_value_len(&self) -> usize {
        self.engine.geometry.max_value_len
    }

    /// What the pairs of one [`Store::set_many_atomic`] may count, in bytes, each its key and value rounded up to 8 and 64 more: a
    /// segment ([`Stats::segment_bytes`]) less 192.
    #[must_use]
    pub fn max_frame_bytes(&self) -> usize {
        self.engine.geometry.frame_words() * WORD
    }

    /// Longest value of one [`Store::set_many_atomic`], in bytes: in a file half a segment ([`Stats::segment_bytes`]), in memory that of any
    /// value, which [`Store::max_frame_bytes`] is usually less than.
    #[must_use]
    pub fn max_frame_value_len(&self) -> usize {
        self.engine.geometry.max_value_len.min(self.engine.geometry.beside_len_max)
    }

    /// The keys that were read most of late, with about how often, most first; at most `most` of them. Known by samples of
    /// one read in 64, if reads are counted: see [`Options::count_reads`]. A key that is read less than one in some
    /// sixteen reads of its stripe may be missing or overestimated. Takes each stripe's lock for microseconds.
    pub fn hottest(&self, most: usize) -> Result<Vec<(Vec<u8>, u64)>> {
        self.engine.birthplace.check()?;
        self.engine.hottest(most, &self.engine.moment())
    }

    /// The keys with the longest values, with their length in bytes, longest first; at most `most` of them. Looks at every
    /// entry, some 50 ns each, a few hundred under a stripe's lock at a time: for finding out what fills a store, not for
    /// every frame. What is written meanwhile may or may not count.
    ///
    /// ```
    /// use nyala::{Options, Store};
    /// let store = Store::open(Options::memory(1 << 20))?;
    /// store.set("short", "1")?;
    /// store.set("long", "12345")?;
    /// assert_eq!(store.largest(1)?, [(b"long".to_vec(), 5)]);
    /// # Ok::<(), nyala::Error>(())
    /// ```
    pub fn largest(&self, most: usize) -> Result<Vec<(Vec<u8>, u64)>> {
        self.engine.birthplace.check()?;
        self.engine.largest(most, &self.engine.moment())
    }

    /// Numbers about the store; costs microseconds: takes each stripe's lock for a moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// Reclaims dead and expired records, and in a cache evicts what the next writes would have to, for as long as `budget`
    /// and at most one step of 32 records longer, which in a file may wait for a sync; answers about how much is left to do,
    /// 0 when nothing is worth it. The next call goes on where this one ended. Nothing depends on it being called: writers
    /// pay for reclaim as they go, and this lets them pay less.
    pub fn maintain(&self, budget: Duration) -> Result<WorkLeft> {
        self.engine.birthplace.check()?;
        self.engine.admit_change()?;
        Ok(WorkLeft { bytes: self.engine.maintain(budget, &self.engine.moment())? })
    }

    /// Removes all entries, stripe by stripe: what is written meanwhile may stay, and where the process dies meanwhile some
    /// entries may. Memory goes back to the system; the cost is in proportion to the index, not to the values. In a file, what
    /// [`Store::set_many_atomic`] wrote of late is made durable first, by a sync of each stripe that has some of it, at levels
    /// `interval` and `sync`.
    pub fn clear(&self) -> Result<()> {
        self.engine.birthplace.check()?;
        let moment = self.engine.moment();
        for number in 0..self.engine.stripes.len() {
            self.engine.clear_stripe(number, &moment)?;
        }
        while self.engine.space.trim(&self.engine.segments, &self.engine.log) {}
        Ok(())
    }

    /// Answers when every write that was acknowledged before the call would survive a power cut; at once in a store in memory,
    /// which has nothing to make durable.
    ///
    /// # Errors
    /// [`Error::Io`] if the sync fails, and [`Error::Poisoned`] from then on until the store is opened again.
    pub fn sync(&self) -> Result<()> {
        self.engine.birthplace.check()?;
        self.engine.file.as_ref().map_or(Ok(()), |file| file.sync())
    }

    /// Writes a copy of the store to a new file while it is in use, by other threads too: each entry as it is at some moment of
    /// the call, with its lifetime. Nothing is at `path` until the copy is whole, checked and durable, and nothing that is there
    /// is replaced. It can be opened with the options that this store was opened with; that of a store in memory is a file
    /// as [`Options::file`] makes it. Reads every entry; the copy's index takes as much memory again meanwhile. A process that is
    /// killed meanwhile leaves a file beside `path` whose name goes on with `.partial-`, its number and another one; the next
    /// copy to `path` removes it.
    ///
    /// # Errors
    /// [`Error::Io`] if there is something at `path` already or it cannot be written, [`Error::InvalidArgument`] if it can name no
    /// file; the store goes on.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<FileReport> {
        self.backup_metered(path.as_ref(), &Meter::default())
    }

    /// The same, and tells `progress` how far it has come, as [`Store::open_with`] does.
    ///
    /// # Errors
    /// [`Error::Cancelled`] after `progress` answered [`ControlFlow::Break`]: nothing is left of the copy. Else as [`Store::backup`].
    pub fn backup_with(
        &self,
        path: impl AsRef<Path>,
        progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<FileReport> {
        let path = path.as_ref();
        watched(progress, |meter| self.backup_metered(path, meter))
    }

    pub(crate) fn backup_metered(&self, path: &Path, meter: &Meter) -> Result<FileReport> {
        let cursor = self.scan("")?;
        self.engine.back_up(cursor, path, meter)
    }

    /// The invariants, as an error.
    pub(crate) fn check_structure(&self, meter: &Meter) -> Result<()> {
        for number in 0..self.engine.stripes.len() {
            meter.advance(0)?;
            self.validate_stripe(number).map_err(|_| unsound())?;
        }
        self.engine.space.validate().map_err(|_| unsound())
    }

    fn validate_stripe(&self, number: usize) -> std::result::Result<(), String> {
        let moment = self.engine.moment();
        self.engine.lock_stripe(number, &moment).map_err(|e| e.to_string())?.validate().map(drop)
    }

    /// Checks every structural invariant of a store that nobody writes to. For tests.
    #[doc(hidden)]
    pub fn validate(&self) -> std::result::Result<(), String> {
        (0..self.engine.stripes.len()).try_for_each(|number| self.validate_stripe(number))?;
        self.engine.space.validate()
    }

    #[inline]
    fn read<T>(&self, key: &[u8], mut read: impl Visit<T>) -> Result<Option<T>> {
        let engine = &*self.engine;
        let hash = engine.admit_key(key)?;
        match engine.glimpse(hash, key, true, &mut read) {
            Some(answer) => Ok(Some(answer)),
            None => engine.read_anywhere(hash, key, &engine.moment(), true, read),
        }
    }

    fn set_expiry(
        &self,
        key: &[u8],
        condition: ExpireCondition,
        expiry: impl Fn(u64) -> u64,
    ) -> Result<bool> {
        let expire = |current: Option<Current<'_>>, now_ms: &dyn Fn() -> u64| {
            let Some(current) = current else { return Ok((Change::Keep, false)) };
            let (now_ms, old) = (now_ms(), current.expiry);
            let new = expiry(now_ms);
            let wanted = match condition {
                ExpireCondition::Always => true,
                ExpireCondition::IfNone => old == 0,
                ExpireCondition::IfAny => old != 0,
                ExpireCondition::IfLater => old != 0 && new > old,
                ExpireCondition::IfSooner => old == 0 || new < old,
            };
            Ok(match (wanted, new <= now_ms) {
                (false, _) => (Change::Keep, false),
                (true, true) => (Change::Remove, true),
                (true, false) => (Change::Expire(new), true),
            })
        };
        Ok(self.engine.update(key, expire)?.0)
    }
}

fn unsound() -> Error {
    Error::corrupt("the index that was made of the file is not sound", 0)
}

/// Pairs of a batch whose cache misses overlap before they are written.
const WRITE_GROUP: usize = 32;

/// A time to live in milliseconds.
fn admit_ttl(ttl: Duration) -> Result<u64> {
    match ceil_ms(ttl) {
        0 => Err(Error::InvalidArgument("ttl = 0 ms: the least is 1 ms".into())),
        ms => Ok(ms),
    }
}

fn holds(condition: Condition<'_>, current: Option<Current<'_>>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::IfAbsent => current.is_none(),
        Condition::IfPresent => current.is_some(),
        Condition::IfVersion(version) => current.is_some_and(|c| c.version() == version),
        Condition::IfValue(value) => current.is_some_and(|c| c.value_is(value)),
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("entries", &self.len())
            .field("used_bytes", &self.used_bytes())
            .field("max_bytes", &self.max_bytes())
            .finish()
    }
}
