//! A stripe's window of the file: its segments from the oldest to the open one, whose records, each over those before,
//! are what the stripe holds.

use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file::large::Link;
use crate::file::log::FileLog;
use crate::file::mutant::{Mutant, is_on};
use crate::file::segment::{Lease, State};
use crate::file::syncer::Ticket;
use crate::hash::Hash;
use crate::log::record::{Header, Kind, Record};
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::log::space::Purpose;
use crate::region::WORD;
use crate::removal::Cause;
use crate::stripe::{Located, NeedRoom, Open, Pool, Writer};

/// Words of the record with which a share begins, and of a milestone.
pub(crate) const SHARE_WORDS: usize = 4;
pub(crate) const MILESTONE_WORDS: usize = 3;

/// Where the next share of a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NextShare {
    /// The lease of its segment.
    pub(crate) lease: u64,
    pub(crate) stripe: usize,
    /// Word of the log behind its last record.
    pub(crate) end: usize,
}

impl NextShare {
    const STRIPE_SHIFT: u32 = 56;
    const END_MASK: u64 = (1 << 45) - 1;

    pub(crate) fn key(self) -> [u8; WORD] {
        (self.end as u64 | (self.stripe as u64) << Self::STRIPE_SHIFT).to_le_bytes()
    }

    /// What the first record of a share says; `None` if it is another one.
    pub(crate) fn of(record: &Record<'_>) -> Option<NextShare> {
        if record.header.kind() != Some(Kind::Share) {
            return None;
        }
        let mut key = Vec::new();
        record.copy_key(&mut key);
        let word = u64::from_le_bytes(key.try_into().ok()?);
        let stripe = (word >> Self::STRIPE_SHIFT) as usize;
        Some(NextShare { lease: record.version(), stripe, end: (word & Self::END_MASK) as usize })
    }
}

/// A record of the file that is to count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replayed<'a> {
    pub(crate) record: Record<'a>,
    /// Of its key.
    pub(crate) hash: Hash,
    /// Of a link that counts, the record in its run.
    pub(crate) run: Option<Record<'a>>,
}

/// The shares of a stripe that may not be durable.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shares {
    /// The lease of the first of them.
    oldest: u64,
    /// The sync that makes them durable, with all of their frames; 0 before the first.
    durable_after: Ticket,
}

impl Engine {
    /// Removes everything that a stripe holds.
    pub(crate) fn clear_stripe(&self, number: usize, moment: &Moment<'_>) -> Result<()> {
        self.admit_change()?;
        for attempt in 0.. {
            let mut writer = self.lock_stripe(number, moment)?;
            if self.file.is_none() {
                writer.clear();
                break;
            }
            writer.settle_shares(u64::MAX)?;
            let done = writer.clear_in_file(moment);
            let appended = writer.appended;
            drop(writer);
            match done {
                Ok(()) => return self.acknowledge(appended),
                Err(NeedRoom) => self.make_room(0, moment, attempt)?,
            }
        }
        Ok(())
    }
}

impl<'a> Writer<'a> {
    /// The pool to which reclaim copies. In a file records follow each other in one, so that later ones lie behind.
    pub(crate) fn survivors(&self) -> Pool {
        if self.engine.geometry.in_file { Pool::Admission } else { Pool::Main }
    }

    /// Gives a record its check word, in a file.
    #[inline]
    pub(crate) fn seal_in_file(&self, record: &Record<'_>) {
        if self.engine.geometry.in_file {
            record.seal(self.lease_appended_to(record.start));
        }
    }

    /// The lease of a segment that is being appended to, so that this opening has written it.
    #[inline]
    pub(crate) fn lease_appended_to(&self, word: usize) -> u64 {
        let geometry = &self.engine.geometry;
        self.engine.log.view().load(geometry.first_word(geometry.segment_of(word)))
    }

    /// Removes an entry because somebody asked for it; in a file, with a record that says so.
    pub(crate) fn delete(
        &mut self,
        found: Located<'a>,
        hash: Hash,
        key: &[u8],
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        if self.engine.geometry.in_file && !is_on(Mutant::NoTombstone) {
            self.append_mark(Kind::Tombstone, key, moment)?;
        }
        self.remove(found, hash, Cause::Removed);
        Ok(())
    }

    /// Writes down that an entry is evicted. The segment in which it lies is there until a later sync, so that it would come
    /// back in a power cut.
    pub(crate) fn note_in_file(
        &mut self,
        found: &Located<'a>,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        if !self.engine.geometry.in_file {
            return Ok(());
        }
        let mut key = Vec::new();
        found.record.copy_key(&mut key);
        self.append_mark(Kind::Tombstone, &key, moment)?;
        if let Some(file) = &self.engine.file {
            file.note_eviction();
        }
        Ok(())
    }

    /// Appends a record that no slot names. It may take what fresh records leave to reclaim: to remove makes room.
    fn append_mark(
        &mut self,
        kind: Kind,
        key: &[u8],
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        let header = Header::of_kind(kind, key.len(), 0);
        let start = self
            .reserve(header.extent(), Pool::Admission, Purpose::Survivors, moment)
            .ok_or(NeedRoom)?;
        self.appended += header.extent();
        let version = self.next_version();
        let record = Record::with_header(self.engine.log.view(), start, header);
        record.write(version.get(), 0, key, &[]);
        self.seal_in_file(&record);
        Ok(())
    }

    /// Where a share lies, in a file, that takes these words.
    pub(crate) fn share_place(&self, start: usize, words: usize) -> Option<NextShare> {
        let in_file = self.engine.geometry.in_file;
        let stripe = self.state.number;
        in_file.then(|| NextShare {
            lease: self.lease_appended_to(start),
            stripe,
            end: start + words,
        })
    }

    /// Writes the record with which a share begins.
    pub(crate) fn write_share_mark(&self, start: usize, next: NextShare) {
        let header = Header::of_kind(Kind::Share, WORD, 0);
        debug_assert_eq!(header.extent(), SHARE_WORDS);
        let record = Record::with_header(self.engine.log.view(), start, header);
        record.write(next.lease, 0, &next.key(), &[]);
        self.seal_in_file(&record);
    }

    /// Notes that a share of this lease is stored, and all others of its frame.
    pub(crate) fn note_share(&mut self, lease: u64) {
        let Some(file) = &self.engine.file else { return };
        if file.is_durable(self.state.shares.durable_after) {
            self.state.shares.oldest = lease;
        }
        self.state.shares.durable_after = file.next_sync();
    }

    /// To be called before a record says that leases up to this one are out: frames with a share there are made durable. Else a
    /// power cut could leave that record and a part of such a frame, and nothing that tells of the rest.
    pub(crate) fn settle_shares(&self, lease: u64) -> Result<()> {
        let Shares { oldest, durable_after } = self.state.shares;
        match &self.engine.file {
            Some(file)
                if oldest <= lease
                    && !file.is_durable(durable_after)
                    && !is_on(Mutant::OutBeforeFrame) =>
            {
                file.sync()
            }
            _ => Ok(()),
        }
    }

    /// Writes a milestone: what lived in a victim of this lease was copied, and it will be out, with all before it. None is needed
    /// for one that was leased before the file was opened.
    pub(crate) fn write_milestone(
        &mut self,
        file: &FileLog,
        lease: u64,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        let engine = self.engine;
        if lease <= file.header().durable_lease {
            // The main header says as much, and there may be no segment to write to: all may be full when a file is opened.
            return Ok(());
        }
        // The last words of each segment are left to milestones, so that whatever reclaim copies out of one and its own fit
        // another.
        if let Some(open) = self.state.open[Pool::Admission as usize].as_mut() {
            let end = engine.geometry.first_word(open.segment + 1);
            open.end = end - engine.geometry.trailer_words;
        }
        let header = Header::of_kind(Kind::Milestone, 0, 0);
        debug_assert_eq!(header.extent(), MILESTONE_WORDS);
        let start = self
            .reserve_in_segment(MILESTONE_WORDS, Pool::Admission, Purpose::Survivors, moment)
            .ok_or(NeedRoom)?;
        let record = Record::with_header(engine.log.view(), start, header);
        record.write(lease, 0, &[], &[]);
        self.seal_in_file(&record);
        Ok(())
    }

    /// Forgets all entries, with a record that says so, and gives the segments before it back.
    pub(crate) fn clear_in_file(
        &mut self,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        if self.state.segments().next().is_none() {
            return Ok(());
        }
        // In a segment of its own, so that all others can go.
        self.seal_open(Pool::Admission);
        if !is_on(Mutant::UnloggedClear) {
            self.append_mark(Kind::Clear, &[], moment)?;
        }
        self.forget_all();
        self.state.filling = true;
        let oldest_first = self.state.victim.take().map(|victim| victim.segment);
        let sealed: Vec<usize> = self.state.sealed[Pool::Admission as usize].drain(..).collect();
        for segment in oldest_first.into_iter().chain(sealed) {
            self.free(segment);
        }
        Ok(())
    }

    /// Puts the open segment of a pool, to which nothing more is appended, behind the full ones.
    pub(crate) fn seal_open(&mut self, pool: Pool) {
        let Some(full) = self.state.open[pool as usize].take() else { return };
        if let Some(file) = &self.engine.file {
            let used = full.next - self.engine.geometry.first_word(full.segment);
            // It is mapped and was leased: there is nothing that could fail.
            let sealed = file.seal(full.segment, used, &mut self.state.leases);
            debug_assert_eq!(sealed, Ok(()));
        }
        self.stripe.counters.slack_words.add(self.slack_of(full.segment));
        self.state.sealed[pool as usize].push_back(full.segment);
    }

    /// Words of a sealed segment that were not worth ending it for: what comes after the last record of one that is less than
    /// half full. To compact it gives them back.
    pub(crate) fn slack_of(&self, segment: usize) -> usize {
        let geometry = &self.engine.geometry;
        let used = self.engine.segments.account(segment).used_words();
        let end = geometry.segment_words() - geometry.trailer_words;
        if geometry.in_file && used < end / 2 { end - used } else { 0 }
    }

    /// Writes a lease of this stripe down, in a segment that the budget gave; answers where its first record begins, or
    /// gives the segment back.
    pub(crate) fn begin_file_lease(
        &mut self,
        file: &FileLog,
        segment: usize,
        number: u64,
        moment: &Moment<'_>,
    ) -> Option<usize> {
        let written = self.write_file_lease(file, segment, number, moment);
        if written.is_err() {
            self.engine.space.unlease(segment);
        }
        written.ok().map(|()| self.engine.geometry.first_word(segment) + SEGMENT_HEADER_WORDS)
    }

    fn write_file_lease(
        &mut self,
        file: &FileLog,
        segment: usize,
        number: u64,
        moment: &Moment<'_>,
    ) -> Result<()> {
        file.reserve_numbers(number, self.state.writes)?;
        // What was copied out of an older one may not be durable yet when this lease is.
        let retired = file
            .oldest_retired(self.state.number as u64)?
            .filter(|_| !is_on(Mutant::OldestTooSoon));
        let oldest = match retired {
            None => self.state.oldest_segment().map(|oldest| file.lease_in(oldest)).transpose()?,
            retired => retired,
        };
        let lease = Lease {
            number,
            stripe: self.state.number as u64,
            leased_at_ms: moment.now_ms(),
            previous: 0,
            oldest: oldest.unwrap_or(number),
            durable: 0,
            run: 0,
        };
        self.engine.segments.set_run_lease(segment, 0);
        file.begin_lease(segment, lease, &mut self.state.leases)
    }

    /// Takes over a sealed segment that was found in the file, the next of this stripe.
    pub(crate) fn adopt(&mut self, segment: usize, lease: u64) {
        let geometry = &self.engine.geometry;
        self.engine.segments.account(segment).open(Pool::Admission);
        self.state.leased[Pool::Admission as usize] += geometry.segment_words();
        self.stripe.counters.used_words.add(SEGMENT_HEADER_WORDS);
        self.state.sealed[Pool::Admission as usize].push_back(segment);
        self.state.leases.last = lease;
    }

    /// The hash of a record's key, whose bucket is asked for.
    pub(crate) fn prefetch_bucket(&self, record: &Record<'a>, key: &mut Vec<u8>) -> Hash {
        key.clear();
        record.copy_key(key);
        let hash = self.engine.hasher.hash(key);
        let page = self.stripe.directory.home(&self.engine.index, hash);
        self.engine.index.prefetch_bucket(page, hash);
        self.engine.index.prefetch_row(page);
        hash
    }

    /// Asks for the records that these may hide, whose buckets were asked for.
    pub(crate) fn prefetch_records(&self, group: &[Replayed<'a>]) {
        for Replayed { hash, .. } in group {
            let page = self.stripe.directory.home(&self.engine.index, *hash);
            self.engine.prefetch_record(page, *hash);
        }
    }

    /// Lets a record of an adopted segment count: a link by the record in its run, or as a removal if it hides something but
    /// does not count itself.
    pub(crate) fn replay(
        &mut self,
        Replayed { record, hash, run }: Replayed<'a>,
        key: &mut Vec<u8>,
        moment: &Moment<'_>,
    ) -> Result<()> {
        let engine = self.engine;
        let words = record.header.extent();
        engine.segments.account(engine.geometry.segment_of(record.start)).add_used(words);
        self.stripe.counters.used_words.add(words);
        match record.header.kind() {
            Some(Kind::Clear) => self.forget_all(),
            _ if record.header.names_a_key() => {
                return self.replay_entry(Replayed { record, hash, run }, key, moment);
            }
            _ => {}
        }
        Ok(())
    }

    fn replay_entry(
        &mut self,
        Replayed { record, hash, run }: Replayed<'a>,
        key: &mut Vec<u8>,
        moment: &Moment<'_>,
    ) -> Result<()> {
        let wrong = |what| Error::corrupt(what, 8 * record.start as u64);
        let engine = self.engine;
        key.clear();
        record.copy_key(key);
        if key.is_empty() || engine.hasher.stripe(hash) != self.state.number {
            return Err(wrong("a record lies in a stripe that its key does not belong to"));
        }
        if record.header.is_value() && self.is_large(&record) {
            return Err(wrong("a value that lies beside others is too long for that"));
        }
        let found = self.find_record(hash, |other| other.key_is(key));
        let value = if record.header.is_value() { Some(record) } else { run };
        match (value, found) {
            (Some(value), found) => {
                let (place, slot) = match &found {
                    Some(found) => (found.place, found.slot.at(value.start)),
                    None => {
                        let place = self.prepare(hash).ok_or_else(|| engine.full())?;
                        (place, engine.index.new_slot(place.head, hash, value.start))
                    }
                };
                self.publish(found, place, hash, value, slot, moment);
                if let Some(link) = Link::of(&record) {
                    let run = engine.geometry.segment_of(value.start);
                    self.adopt_run(run, engine.geometry.run_words(value.header), link.lease);
                    self.note_link(&value, &record, link.lease, moment);
                }
            }
            (_, Some(found)) => self.forget(found, hash),
            (_, None) => {}
        }
        Ok(())
    }

    /// Marks the open segment as sealed, before the file is closed.
    pub(crate) fn close_window(&mut self, file: &FileLog) -> Result<()> {
        if let Some(Open { segment, next, .. }) = self.state.open[Pool::Admission as usize].take() {
            let used_words = (next - self.engine.geometry.first_word(segment)) as u32;
            file.mark(segment, State::Sealed { used_words })?;
            self.state.sealed[Pool::Admission as usize].push_back(segment);
        }
        Ok(())
    }
}
