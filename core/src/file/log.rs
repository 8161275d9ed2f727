//! The log of an open store in a file: where leases are written down, what is durable, and when a segment that was
//! reclaimed may be leased again.
//!
//! ```text
//! lease      the file is made long enough; the segment gets space and memory; its header says whose it is
//! seal       the header says how long it is; from then on nothing is appended
//! retire     every live record was copied. At level `process` it is freed at once, if there is space for the mark, else
//!            a sync begins and ends, it is freed, another sync begins and ends, then it may be leased again
//! let go     of a run: the same, from the moment at which what hides its link was appended, and nobody pins it
//! ```

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::file::check::sum_of;
use crate::file::disk::{Disk, PAGE_BYTES};
use crate::file::header::{self, MainHeader, Opened, RESERVATION_MAX};
use crate::file::mutant::{Mutant, is_on};
use crate::file::segment::{Found, Lease, SEGMENT_TRAILER_WORDS, Segment, Site, State};
use crate::file::syncer::{Syncer, Ticket};
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::options::{Access, Durability};
use crate::region::WORD;
use crate::sync::{AtomicU64, Ordering, fence};

/// Bytes behind the last segment that the file has too: a reader that was overtaken by a reuse may read as far as the longest
/// key and a small value before it notices.
pub(crate) const GUARD_BYTES: u64 = 128 << 10;
/// Leases that are reserved at a time.
const LEASES: u64 = 1 << 20;
/// Writes that a stripe may be short of its reservation before more are reserved; a segment holds fewer.
const VERSIONS_LOW: u64 = 1 << 30;

/// Of what needs no sync any more, but a mark for which there was no space.
const AGAIN: Ticket = 0;

#[derive(Debug)]
pub(crate) struct FileLog {
    disk: Arc<dyn Disk>,
    durability: Durability,
    access: Access,
    /// The main header as it is in the file.
    header: Mutex<Opened>,
    /// Byte of segment 0, bytes of a segment, number of stripes: as the header says.
    first_segment: u64,
    segment_bytes: u64,
    stripes: u64,
    seed: u64,
    syncer: Syncer,
    retired: Mutex<Retired>,
    /// Length of the file.
    len: Mutex<u64>,
    /// The last failure to get space for a segment, to be told to whoever finds no room.
    refused: Mutex<Option<Error>>,
    /// Whether anything was appended since the last time that the interval ended.
    dirty: AtomicU64,
    /// At level `sync`, the sync that makes the last eviction durable; 0 if there was none.
    evicted: AtomicU64,
}

/// Segments whose live records were copied elsewhere, and runs that were let go, in that order.
#[derive(Debug, Default)]
struct Retired {
    /// Their copies, or what hides their links, are durable from this sync on, or need none: [`AGAIN`]. In the order of these.
    copied: Vec<(Ticket, Gone)>,
    /// Runs that could be freed but for somebody who pins their values.
    held: Vec<Gone>,
    /// They are marked as freed, durably from this sync on.
    freed: Vec<(Ticket, Gone)>,
}

/// A segment of a window, or a run.
#[derive(Debug, Clone, Copy)]
struct Gone {
    /// The segment, the first of a run.
    segment: usize,
    /// Segments of the run, 0 if it is none.
    run: usize,
}

/// What a stripe knows of its leases.
#[derive(Debug, Default)]
pub(crate) struct LeaseHistory {
    /// The last lease.
    pub(crate) last: u64,
    /// The last lease that is known to be sealed durably.
    durable: u64,
    /// The last one that was sealed, and the sync that makes it durable.
    sealed: Option<(Ticket, u64)>,
}

impl FileLog {
    /// The log of a file whose header was read or created.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        opened: Opened,
        durability: Durability,
        access: Access,
    ) -> Result<FileLog> {
        let len = disk.len()?;
        let header = opened.header;
        Ok(FileLog {
            durability,
            access,
            first_segment: header.first_segment(),
            segment_bytes: header.segment_bytes,
            stripes: header.stripes,
            seed: header.seed,
            header: Mutex::new(opened),
            syncer: Syncer::default(),
            retired: Mutex::default(),
            len: Mutex::new(len),
            refused: Mutex::default(),
            dirty: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            disk,
        })
    }

    pub(crate) fn access(&self) -> Access {
        self.access
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The header as it was read, or was last written.
    pub(crate) fn header(&self) -> MainHeader {
        lock(&self.header).header
    }

    /// Number of the header's last writing.
    pub(crate) fn epoch(&self) -> u64 {
        lock(&self.header).epoch
    }

    /// Words that the file has.
    pub(crate) fn file_words(&self) -> usize {
        *lock(&self.len) as usize / WORD
    }

    /// Words of the file, which must hold all of them.
    pub(crate) fn words_at(&self, byte: u64, count: usize) -> Result<&[AtomicU64]> {
        let len = *lock(&self.len);
        self.disk.words_before(len, byte, count)
    }

    /// Gets space and memory for words, and makes the file long enough.
    pub(crate) fn prepare_words(&self, byte: u64, count: usize) -> Result<&[AtomicU64]> {
        let first = byte / PAGE_BYTES * PAGE_BYTES;
        let end = (byte + (count * WORD) as u64).next_multiple_of(PAGE_BYTES);
        self.disk.allocate(first, end - first)?;
        {
            let mut len = lock(&self.len);
            *len = (*len).max(end);
        }
        self.disk.populate(first, end - first)?;
        self.words_at(byte, count)
    }

    /// Whole segments that the file has.
    pub(crate) fn segments(&self) -> usize {
        let (header, len) = (self.header(), *lock(&self.len));
        // What lies behind the end of a file that was closed was being cut off.
        header.segments_in(if header.clean { len.min(header.durable_len) } else { len }) as usize
    }

    /// The segment, which lies within the file.
    pub(crate) fn segment(&self, number: usize) -> Result<Segment<'_>> {
        let byte = self.byte_of(number);
        let words = self.segment_bytes as usize / WORD;
        let site = Site { address: (number * words) as u64, seed: self.seed };
        let len = *lock(&self.len);
        let words = self.disk.words_before(len, byte, words)?;
        Ok(Segment::new(words, site, self.stripes))
    }

    /// The lease of a segment.
    pub(crate) fn lease_in(&self, segment: usize) -> Result<u64> {
        Ok(self.segment(segment)?.lease_number())
    }

    /// What the first `segments` segments say of themselves, those within runs that are in use left out.
    pub(crate) fn found(&self, segments: usize) -> impl Iterator<Item = Result<(usize, Found)>> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let number = next;
            if number >= segments {
                return None;
            }
            next += 1;
            let mut found = match self.segment(number) {
                Ok(segment) => segment.read(),
                Err(error) => return Some(Err(error)),
            };
            if let Found::Leased { lease, state: State::InUse, .. } = found
                && lease.run > 0
            {
                match usize::try_from(lease.run) {
                    Ok(run) if run <= segments - number => next = number + run,
                    _ => found = Found::Damaged,
                }
            }
            Some(Ok((number, found)))
        })
    }

    /// Byte of the file at which a segment begins.
    pub(crate) fn byte_of(&self, number: usize) -> u64 {
        self.first_segment + number as u64 * self.segment_bytes
    }

    /// Cuts off what a file that was closed has behind the byte `end`, if the power went before that was done: nobody knows
    /// what is there.
    pub(crate) fn finish_cut(&self, end: u64) -> Result<()> {
        if self.header().clean && end < *lock(&self.len) {
            // As at the close: the other copy may still say that the file is longer.
            self.change_header(|_, _| ())?;
            self.disk.truncate(end)?;
            *lock(&self.len) = end;
        }
        Ok(())
    }

    /// Before the first change: the file is no longer clean, all that it holds is durable, and numbers are reserved. Durable
    /// when it answers.
    pub(crate) fn begin_writing(&self) -> Result<()> {
        self.change_header(|header, disk| {
            header.clean = false;
            if !is_on(Mutant::StaleCheckpoint) {
                header.checkpoint = 0;
            }
            if is_on(Mutant::LengthTooSoon) {
                header.durable_len += 2 * header.segment_bytes;
            }
            header.boot = disk.boot_id();
            header.unordered |= self.durability == Durability::Process;
            header.versions += RESERVATION_MAX;
            header.durable_lease = header.leases;
            header.leases += LEASES;
            header.latest_ms = header.latest_ms.max(disk.now_ms());
        })
    }

    /// After everything was sealed: makes all durable and says that the store was closed. `store_checkpoint` is told the
    /// census and answers where it has stored the index, if it has.
    pub(crate) fn end_writing(
        &self,
        segments: usize,
        store_checkpoint: impl FnOnce(u64) -> Option<Range<u64>>,
    ) -> Result<()> {
        self.sync()?;
        let census = self.census(segments)?;
        // Space that was refused was not added to the file.
        let len = self.byte_of(segments).min(*lock(&self.len));
        // Only now: it lies in segments that were freed, which are durably so.
        let checkpoint = store_checkpoint(census).unwrap_or(0..len);
        if checkpoint.start != 0 {
            self.sync()?;
        }
        let shrinks = checkpoint.end < self.header().durable_len;
        // Neither copy may say that a file is longer than it is: one whose end was lost is refused.
        for _ in 0..if shrinks { 2 } else { 1 } {
            self.change_header(|header, disk| {
                header.clean = true;
                header.unordered = false;
                header.durable_lease = header.leases;
                header.durable_len = len;
                header.checkpoint = checkpoint.start;
                header.census = census;
                header.latest_ms = header.latest_ms.max(disk.now_ms());
            })?;
        }
        self.disk.truncate(checkpoint.end)
    }

    /// The sum of what the first segments say of their leases.
    pub(crate) fn census(&self, segments: usize) -> Result<u64> {
        let mut sum = 0;
        for found in self.found(segments) {
            if let (number, Found::Leased { lease, state, .. }) = found?
                && matches!(state, State::InUse | State::Sealed { .. })
            {
                sum = sum_of(sum, [number as u64, lease.number]);
            }
        }
        Ok(sum.into())
    }

    fn change_header(&self, change: impl FnOnce(&mut MainHeader, &dyn Disk)) -> Result<()> {
        let mut opened = lock(&self.header);
        let mut changed = *opened;
        change(&mut changed.header, &*self.disk);
        self.syncer.check()?;
        header::make_ready(&*self.disk)?;
        header::write(&*self.disk, &mut changed).map_err(|error| self.syncer.fail(error))?;
        *opened = changed;
        Ok(())
    }

    /// Sees to it that a lease with this number, by a stripe that has written so often, is within what is reserved.
    pub(crate) fn reserve_numbers(&self, lease: u64, writes: u64) -> Result<()> {
        let reserved = self.header();
        if lease < reserved.leases && writes + VERSIONS_LOW < reserved.versions {
            return Ok(());
        }
        self.change_header(|header, _| {
            header.leases = header.leases.max(lease) + LEASES;
            header.versions = header.versions.max(writes + RESERVATION_MAX);
        })
    }

    /// Gets space and memory for adjacent segments: from now on stores to them cannot fail.
    pub(crate) fn prepare(&self, segment: usize, count: usize) -> Result<()> {
        // Segments may be smaller than a page.
        let first = self.byte_of(segment) / PAGE_BYTES * PAGE_BYTES;
        let end = self.byte_of(segment + count).next_multiple_of(PAGE_BYTES);
        let prepare = || {
            let mut len = lock(&self.len);
            if *len < end + GUARD_BYTES {
                // With space for what is only read: in some filesystems a hole needs it for that too.
                let longer = (end + GUARD_BYTES).min(self.disk.reserved());
                self.disk.allocate(first, longer - first)?;
                *len = (*len).max(longer);
            } else {
                drop(len);
                self.disk.allocate(first, end - first)?;
            }
            self.disk.populate(first, end - first)
        };
        prepare().inspect_err(|error| *lock(&self.refused) = Some(error.clone()))
    }

    /// Why a segment could not be had since this was last asked.
    pub(crate) fn take_refusal(&self) -> Option<Error> {
        lock(&self.refused).take()
    }

    /// Writes down a lease. The segment was prepared, and readers were told that it changes.
    pub(crate) fn begin_lease(
        &self,
        segment: usize,
        lease: Lease,
        history: &mut LeaseHistory,
    ) -> Result<()> {
        if let Some((ticket, sealed)) = history.sealed
            && ticket <= self.syncer.finished()
        {
            history.durable = sealed;
        }
        let previous = history.last;
        self.segment(segment)?.begin(&Lease { previous, durable: history.durable, ..lease });
        // Only now: the next lease names one that is there.
        history.last = lease.number;
        Ok(())
    }

    /// Writes down the lease of a run, which was prepared. No word of its value is stored before.
    pub(crate) fn begin_run(&self, run: usize, lease: &Lease) -> Result<()> {
        self.segment(run)?.begin(lease);
        // The header first, in the order of this thread: a process that dies leaves no bytes of a value where headers are
        // looked for.
        fence(Ordering::Release);
        Ok(())
    }

    /// Marks a run as free whose value nobody reads or needs: so many segments without a lease.
    pub(crate) fn free_run(&self, run: usize, segments: usize) -> Result<()> {
        self.make_ready(run, segments)?;
        self.segment(run)?.blank(1);
        for segment in run + 1..run + segments {
            self.segment(segment)?.blank(0);
        }
        #[cfg(all(test, not(loom)))]
        crate::file::fake::note_record();
        self.mark(run, State::Freed)
    }

    /// Writes down how long a segment is that nothing will be appended to.
    pub(crate) fn seal(
        &self,
        segment: usize,
        used_words: usize,
        history: &mut LeaseHistory,
    ) -> Result<()> {
        let used_words = u32::try_from(used_words).unwrap_or(u32::MAX);
        self.mark(segment, State::Sealed { used_words })?;
        // The oldest one that is not known to be durable stays: a later seal would push it on for ever.
        let finished = self.syncer.finished();
        match history.sealed {
            Some((ticket, sealed)) if ticket <= finished => history.durable = sealed,
            Some(_) => return Ok(()),
            None => {}
        }
        history.sealed = Some((self.syncer.next(), history.last));
        Ok(())
    }

    /// Writes down what a segment is that an earlier opening may have leased.
    pub(crate) fn set_state(&self, segment: usize, state: State) -> Result<()> {
        self.make_ready(segment, 1)?;
        self.mark(segment, state)
    }

    /// Makes sure that headers and trailers of these segments can be written.
    pub(crate) fn make_ready(&self, first: usize, segments: usize) -> Result<()> {
        let words = self.segment_bytes as usize / WORD;
        (first..first + segments).try_for_each(|segment| {
            self.make_writable(segment * words, SEGMENT_HEADER_WORDS)?;
            self.make_writable((segment + 1) * words - SEGMENT_TRAILER_WORDS, SEGMENT_TRAILER_WORDS)
        })
    }

    /// Makes sure that these words of the log can be written, which this opening may not have leased. A copy of a file may lack
    /// space for what is zero, and a system that keeps several pages as one needs it for all of them: a store without it would
    /// end the process.
    pub(crate) fn make_writable(&self, first: usize, words: usize) -> Result<()> {
        self.prepare_words(self.first_segment + (first * WORD) as u64, words).map(drop)
    }

    /// The same of a segment that this opening has leased, so that it can be written.
    pub(crate) fn mark(&self, segment: usize, state: State) -> Result<()> {
        let segment = self.segment(segment)?;
        if let Found::Leased { lease, .. } = segment.read() {
            segment.set_state(&lease, state);
        }
        Ok(())
    }

    /// The oldest lease of a stripe whose records were copied, but perhaps not durably.
    pub(crate) fn oldest_retired(&self, stripe: u64) -> Result<Option<u64>> {
        for (_, gone) in &lock(&self.retired).copied {
            if gone.run == 0
                && let Found::Leased { lease, .. } = self.segment(gone.segment)?.read()
                && lease.stripe == stripe
            {
                return Ok(Some(lease.number));
            }
        }
        Ok(None)
    }

    /// Says that a segment will be walked.
    pub(crate) fn expect_walk(&self, segment: usize) {
        let first = self.byte_of(segment) / PAGE_BYTES * PAGE_BYTES;
        let end = self.byte_of(segment + 1).next_multiple_of(PAGE_BYTES);
        self.disk.expect_run(first, end - first);
    }

    /// Takes a segment whose live records were all copied. Answers whether it may be leased again at once.
    pub(crate) fn retire(&self, segment: usize) -> bool {
        // First of all: the list is in the order of its tickets.
        let mut retired = lock(&self.retired);
        let after = if self.durability == Durability::Process || is_on(Mutant::ReuseTooSoon) {
            // No later segment is marked, and leased again, before one that could not be: recovery would miss it between two.
            let in_turn = !retired.copied.iter().any(|(_, gone)| gone.run == 0);
            if in_turn && self.set_state(segment, State::Freed).is_ok() {
                return true;
            }
            AGAIN
        } else {
            self.syncer.next()
        };
        retired.copied.push((after, Gone { segment, run: 0 }));
        false
    }

    /// Takes a run whose link is hidden by a later record. Answers whether its segments may be leased again at once.
    pub(crate) fn let_go(&self, run: usize, segments: usize, unpinned: bool) -> bool {
        let gone = Gone { segment: run, run: segments };
        let mut retired = lock(&self.retired);
        let after = if self.durability != Durability::Process && !is_on(Mutant::RunReusedTooSoon) {
            self.syncer.next()
        } else if !unpinned {
            retired.held.push(gone);
            return false;
        } else if self.free_run(run, segments).is_ok() {
            return true;
        } else {
            AGAIN
        };
        retired.copied.push((after, gone));
        false
    }

    /// Retired segments, and first segments of runs, that may be leased again by now. With `hurry`, waits for the syncs that
    /// they need.
    pub(crate) fn reusable(
        &self,
        hurry: bool,
        unpinned: impl Fn(usize) -> bool,
    ) -> Result<Vec<usize>> {
        const TURNS: usize = 3;
        let mut reusable = Vec::new();
        for turn in 1.. {
            let mut retired = lock(&self.retired);
            let finished = self.syncer.finished();
            let done = |list: &mut Vec<(Ticket, Gone)>| {
                debug_assert!(list.is_sorted_by_key(|(ticket, _)| *ticket), "{list:?}");
                let count = list.partition_point(|(ticket, _)| *ticket <= finished);
                list.drain(..count).map(|(_, gone)| gone).collect::<Vec<_>>()
            };
            reusable.extend(done(&mut retired.freed).iter().map(|gone| gone.segment));
            let mut free = VecDeque::from(done(&mut retired.copied));
            free.extend(retired.held.drain(..));
            let mut refused = None;
            while let Some(gone) = free.pop_front() {
                let marked = if gone.run == 0 {
                    self.set_state(gone.segment, State::Freed)
                } else if unpinned(gone.segment) {
                    self.free_run(gone.segment, gone.run)
                } else {
                    retired.held.push(gone);
                    continue;
                };
                if let Err(error) = marked {
                    free.push_front(gone);
                    let again = free.drain(..).map(|gone| (AGAIN, gone));
                    retired.copied.splice(..0, again);
                    refused = Some(error);
                    break;
                }
                match self.durability {
                    Durability::Process => reusable.push(gone.segment),
                    // Asked now that the mark is stored: a sync that has started since may have passed it.
                    _ => retired.freed.push((self.syncer.next(), gone)),
                }
            }
            // What was refused waits for space, and not for a sync.
            let copied = refused.is_none() && !retired.copied.is_empty();
            let waiting = copied || !retired.freed.is_empty();
            drop(retired);
            if !hurry || turn == TURNS || !waiting {
                return match refused {
                    Some(error) if reusable.is_empty() => Err(error),
                    _ => Ok(reusable),
                };
            }
            self.sync()?;
        }
        Ok(reusable)
    }

    /// Whether segments wait for syncs that were not done yet.
    pub(crate) fn is_waiting(&self) -> bool {
        let retired = lock(&self.retired);
        let finished = self.syncer.finished();
        retired.copied.iter().chain(&retired.freed).any(|(ticket, _)| *ticket > finished)
    }

    /// Segments, those of runs included, that wait to be leased again.
    pub(crate) fn retired_segments(&self) -> usize {
        let retired = lock(&self.retired);
        let waiting = retired.copied.iter().chain(&retired.freed).map(|(_, gone)| gone);
        waiting.chain(&retired.held).map(|gone| gone.run.max(1)).sum()
    }

    /// Asked before every change.
    #[inline]
    pub(crate) fn admit(&self) -> Result<()> {
        if self.access == Access::Write { self.syncer.check() } else { Err(Error::ReadOnly) }
    }

    /// Notes that an entry was evicted, or a large one removed because its time had come, which no acknowledgement has waited for
    /// yet. Under the lock of its stripe.
    pub(crate) fn note_eviction(&self) {
        match self.durability {
            Durability::Process => {}
            Durability::Interval(_) => self.dirty.store(1, Ordering::Relaxed),
            Durability::Sync => {
                self.evicted.fetch_max(self.syncer.next(), Ordering::Relaxed);
            }
        }
    }

    /// Whether an operation that found nothing must wait for a sync, because what it did not find may have been evicted.
    #[inline]
    pub(crate) fn owes_sync(&self) -> bool {
        let evicted = self.evicted.load(Ordering::Relaxed);
        evicted > 0 && evicted > self.syncer.finished()
    }

    /// What was appended may be acknowledged when this answers.
    #[inline]
    pub(crate) fn acknowledge(&self) -> Result<()> {
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Interval(_) => {
                if self.dirty.load(Ordering::Relaxed) == 0 {
                    self.dirty.store(1, Ordering::Relaxed);
                }
                Ok(())
            }
            Durability::Sync if is_on(Mutant::EarlyAcknowledgement) => Ok(()),
            Durability::Sync => self.sync(),
        }
    }

    /// Makes durable what was appended before.
    pub(crate) fn sync(&self) -> Result<()> {
        if self.access != Access::Write {
            return Err(Error::ReadOnly);
        }
        self.syncer.sync(&*self.disk)
    }

    /// The sync after which what was stored so far is durable.
    pub(crate) fn next_sync(&self) -> Ticket {
        self.syncer.next()
    }

    /// Whether that sync has finished. At level `process` nothing is promised that would have to wait for one.
    pub(crate) fn is_durable(&self, after: Ticket) -> bool {
        self.durability == Durability::Process || after <= self.syncer.finished()
    }

    /// What the thread of level `interval` does at the end of each.
    pub(crate) fn end_interval(&self) -> Result<()> {
        // Before the sync: what is appended from now on may come too late for it.
        if self.dirty.swap(0, Ordering::Relaxed) == 0 && !self.is_waiting() {
            return Ok(());
        }
        self.sync()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics half-way under these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::file::fake::{Effect, Failure, FakeDisk};
    use crate::file::header::HEADERS_BYTES;

    fn header() -> MainHeader {
        MainHeader {
            segment_bytes: 4096,
            stripes: 1,
            seed: 1,
            seed_proof: 2,
            boot: crate::file::disk::BootId(1),
            clean: true,
            unordered: false,
            versions: 0,
            leases: 0,
            durable_lease: 0,
            durable_len: HEADERS_BYTES,
            latest_ms: 3,
            checkpoint: 0,
            census: 0,
        }
    }

    #[test]
    fn a_main_header_that_was_not_synced_poisons() {
        let disk = Arc::new(FakeDisk::new(64 << 10));
        let opened = header::create(&*disk, &header()).unwrap();
        let log = FileLog::new(disk.clone(), opened, Durability::Sync, Access::Write).unwrap();
        log.begin_writing().unwrap();
        disk.fail_nth(Effect::Sync, 1, Failure::Once);
        assert!(matches!(log.reserve_numbers(LEASES, 0), Err(Error::Io(_))));
        assert_eq!((log.admit(), log.sync()), (Err(Error::Poisoned), Err(Error::Poisoned)));
    }
}
