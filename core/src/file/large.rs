//! Large values in a file: each lies in a run of segments for itself, and a link in the window stands for it.
//!
//! ```text
//! write     room for the link; a run is leased; the record is written there, whole; then the link; then the slot
//! read      as ever: the slot names the record in the run
//! reclaim   of the window copies the link; the run stays where it is
//! let go    when something that hides the link was appended: see `log.rs`
//! ```

use crate::clock::Moment;
use crate::engine::Engine;
use crate::file::log::FileLog;
use crate::file::mutant::{Mutant, is_on};
use crate::file::segment::Lease;
use crate::hash::Hash;
use crate::index::{Place, Slot};
use crate::log::record::{Header, Kind, Record};
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::log::space::Purpose;
use crate::reader::expired;
use crate::region::WORD;
use crate::stripe::{Located, NeedRoom, Pool, Writer};
use crate::sync::{Ordering, fence};

/// Expired values in runs that one step lets go.
const STEP_RUNS: usize = 32;

/// The run of a live value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Words of its segments.
    pub(crate) words: usize,
    pub(crate) lease: u64,
    /// Word of the log at which its link begins, and the words of that.
    pub(crate) link: usize,
    pub(crate) link_words: usize,
}

/// Room for a large record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Word of the log at which the record begins.
    pub(crate) start: usize,
    /// Word at which its link begins.
    link: usize,
}

/// What a link says of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// The first segment.
    pub(crate) segment: u64,
    pub(crate) lease: u64,
    /// Header and check word of the record there.
    pub(crate) header: u64,
    pub(crate) check: u64,
}

impl Link {
    const BYTES: usize = 4 * WORD;

    /// The header of a link of a key.
    fn header(key_len: usize) -> Header {
        Header::of_kind(Kind::Link, key_len, Link::BYTES)
    }

    pub(crate) fn encode(self) -> [u8; Link::BYTES] {
        let mut bytes = [0; Link::BYTES];
        let words = [self.segment, self.lease, self.header, self.check];
        for (bytes, word) in bytes.as_chunks_mut::<WORD>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    /// What a record says, if it is a link.
    pub(crate) fn of(record: &Record<'_>) -> Option<Link> {
        let value = record.value().filter(|value| value.len() == Link::BYTES)?;
        if record.header.kind() != Some(Kind::Link) {
            return None;
        }
        let mut bytes = [0; Link::BYTES];
        value.copy_to(&mut bytes);
        let word = |i: usize| u64::from_le_bytes(bytes.as_chunks().0[i]);
        Some(Link { segment: word(0), lease: word(1), header: word(2), check: word(3) })
    }
}

impl<'a> Writer<'a> {
    /// Room for a record that has a run of so many segments for itself, and for its link.
    #[cold]
    pub(crate) fn lease_large(
        &mut self,
        key_len: usize,
        segments: usize,
        moment: &Moment<'_>,
    ) -> Option<Room> {
        let words = Link::header(key_len).extent();
        // First: a run without a link would have to wait for syncs before it could be leased again.
        let link = self.reserve(words, Pool::Admission, Purpose::Fresh, moment)?;
        let file = self.engine.file.clone();
        let start = file.and_then(|file| self.lease_run_of_file(&file, segments, moment));
        if start.is_none() {
            self.retract(link, words, Pool::Admission);
        }
        Some(Room { start: start?, link })
    }

    fn lease_run_of_file(
        &mut self,
        file: &FileLog,
        segments: usize,
        moment: &Moment<'_>,
    ) -> Option<usize> {
        let engine = self.engine;
        let words = segments * engine.geometry.segment_words();
        if !engine.evicts {
            if engine.over_limit(words) {
                return None;
            }
            engine.press();
        }
        // What was let go before, now rather than when the budget is spent: a value that is overwritten again and again would
        // fill it.
        let _ = engine.reuse_retired(false);
        let (run, number) = engine.space.lease_segments(segments, &engine.segments, &engine.log)?;
        let stripe = self.state.number as u64;
        let lease = Lease::of_run(number, stripe, moment.now_ms(), segments as u64);
        let begun = file
            .prepare(run, segments)
            .and_then(|()| file.reserve_numbers(number, self.state.writes))
            .and_then(|()| {
                // As for any lease: readers that see words from here on see the generation that ended before.
                fence(Ordering::Release);
                file.begin_run(run, &lease)
            });
        if begun.is_err() {
            engine.space.unlease_run(run);
            return None;
        }
        engine.segments.set_run_lease(run, number);
        self.stripe.counters.used_words.add(words);
        self.appended += words;
        Some(engine.geometry.first_word(run) + SEGMENT_HEADER_WORDS)
    }

    /// Lets the file and the index name a large record, of which all but the check word is written.
    pub(crate) fn publish_large(
        &mut self,
        old: Option<Located<'a>>,
        place: Place,
        hash: Hash,
        (record, room): (Record<'a>, Room),
        slot: Slot,
        moment: &Moment<'_>,
    ) {
        self.seal_in_file(&record);
        let segment = self.engine.geometry.segment_of(record.start);
        let says = Link {
            segment: segment as u64,
            lease: self.lease_appended_to(record.start),
            header: record.header.word(),
            check: record.check_word(),
        };
        let mut key = Vec::new();
        record.copy_key(&mut key);
        let link = Record::with_header(self.engine.log.view(), room.link, Link::header(key.len()));
        link.write(record.version(), 0, &key, &says.encode());
        self.seal_in_file(&link);
        self.publish(old, place, hash, record, slot, moment);
        self.note_link(&record, &link, says.lease, moment);
    }

    /// Accounts for a link of a run that the index names.
    pub(crate) fn note_link(
        &mut self,
        record: &Record<'a>,
        link: &Record<'a>,
        lease: u64,
        moment: &Moment<'_>,
    ) {
        let geometry = &self.engine.geometry;
        let (run, words) = (geometry.segment_of(record.start), geometry.run_words(record.header));
        let link_words = link.header.words();
        self.state.runs.insert(run, Run { words, lease, link: link.start, link_words });
        let account = self.engine.segments.account(geometry.segment_of(link.start));
        account.add_live(link_words);
        self.stripe.counters.live_words.add(link_words);
        let expiry = record.expiry();
        if expiry != 0 {
            account.note_expiry(link_words, expiry, moment.now_ms());
            self.stripe.counters.expiring_words.add(link_words);
        }
    }

    fn forget_link(&self, run: &Run) {
        let segment = self.engine.geometry.segment_of(run.link);
        self.engine.segments.account(segment).sub_live(run.link_words);
        self.stripe.counters.live_words.sub(run.link_words);
    }

    /// Lets a run go whose record is dead, because something hides its link.
    #[cold]
    pub(crate) fn let_run_go(&mut self, run: usize) {
        let Some(gone) = self.state.runs.remove(&run) else { return };
        self.forget_link(&gone);
        match &mut self.state.held_runs {
            Some(held) => held.push((run, gone.words)),
            None => self.give_run_back(run, gone.words),
        }
    }

    /// From now on runs stay, although their records are dead: what hides their links is a part of a frame that is yet to be
    /// written, without which it would not count.
    pub(crate) fn hold_runs(&mut self) {
        self.state.held_runs = (!is_on(Mutant::RunGoneInFrame)).then(Vec::new);
    }

    /// Lets these runs go: the frame is there as a whole.
    pub(crate) fn let_held_runs_go(&mut self) {
        for (run, words) in self.state.held_runs.take().into_iter().flatten() {
            self.give_run_back(run, words);
        }
    }

    /// Lets all runs of a stripe go that forgets everything.
    pub(crate) fn let_all_runs_go(&mut self) {
        for (run, gone) in std::mem::take(&mut self.state.runs) {
            self.give_run_back(run, gone.words);
        }
    }

    fn give_run_back(&mut self, run: usize, words: usize) {
        let engine = self.engine;
        self.stripe.counters.used_words.sub(words);
        self.let_go += words;
        let unpinned = engine.segments.retire(run);
        // While a file is opened, what no link names in the end is freed at once.
        let Some(file) = &engine.file else { return };
        let segments = words >> engine.geometry.segment_shift;
        if file.let_go(run, segments, unpinned) {
            engine.space.give_back(run, unpinned, &engine.log);
        }
    }

    /// Takes over the run of a link that was found in the file.
    pub(crate) fn adopt_run(&self, run: usize, words: usize, lease: u64) {
        self.engine.segments.set_run_lease(run, lease);
        self.stripe.counters.used_words.add(words);
    }

    /// Where the record of a link's run begins, if the link is the live one.
    pub(crate) fn run_of_link(&self, link: &Record<'_>) -> Option<usize> {
        let segment = usize::try_from(Link::of(link)?.segment).ok()?;
        let run = self.state.runs.get(&segment)?;
        let start = self.engine.run_record(segment).start;
        (run.link == link.start).then_some(start)
    }

    /// Copies the link of a live value to the end of the window.
    pub(crate) fn move_link(
        &mut self,
        found: Located<'a>,
        note: u64,
        moment: &Moment<'_>,
    ) -> Result<(), NeedRoom> {
        let engine = self.engine;
        let run = engine.geometry.segment_of(found.record.start);
        let Some(old) = self.state.runs.get(&run).copied() else { return Ok(()) };
        // By the link, which the walk has checked, and not by what a checkpoint lists of it.
        let link = Record::at(engine.log.view(), old.link);
        let words = link.header.words();
        let start =
            self.reserve(words, self.survivors(), Purpose::Survivors, moment).ok_or(NeedRoom)?;
        let copy = link.copy_to(engine.log.view(), start, link.header);
        self.seal_in_file(&copy);
        self.forget_link(&old);
        self.note_link(&found.record, &copy, old.lease, moment);
        engine.index.publish(found.place.word, found.slot.with_note(note));
        self.stripe.counters.records_moved.add(1);
        self.stripe.counters.words_moved.add(words);
        Ok(())
    }

    /// Whether a record has a run of a file for itself.
    #[inline]
    pub(crate) fn is_large(&self, record: &Record<'_>) -> bool {
        self.engine.geometry.run_segments_of(record.header).is_some()
    }

    /// Removes an entry whose expiry was noticed. A run goes before its link does, so that this must be written down.
    pub(crate) fn let_expire(
        &mut self,
        found: Located<'a>,
        hash: Hash,
        moment: &Moment<'_>,
    ) -> Result<(), NeedRoom> {
        if self.is_large(&found.record) {
            self.note_in_file(&found, moment)?;
        }
        self.remove_expired(found, hash);
        Ok(())
    }

    /// Words of runs that have expired but still count as live.
    pub(crate) fn expired_in_runs(&self, moment: &Moment<'_>) -> usize {
        let runs = self.state.runs.iter();
        runs.filter(|(run, _)| self.is_expired(**run, moment)).map(|(_, run)| run.words).sum()
    }

    fn is_expired(&self, run: usize, moment: &Moment<'_>) -> bool {
        expired(self.engine.run_record(run).expiry(), moment)
    }

    /// Removes a few large values that have expired; whether there were any.
    pub(crate) fn drop_expired_runs(&mut self, moment: &Moment<'_>) -> crate::Result<bool> {
        let runs = self.state.runs.keys().copied();
        let gone: Vec<usize> =
            runs.filter(|run| self.is_expired(*run, moment)).take(STEP_RUNS).collect();
        let mut dropped = false;
        let mut key = Vec::new();
        for run in gone {
            let record = self.engine.run_record(run);
            key.clear();
            record.copy_key(&mut key);
            let hash = self.engine.hasher.hash(&key);
            // Else nobody has looked yet whether the record is what was written.
            self.wake(hash)?;
            if let Some(found) = self.find_at(hash, record.start) {
                dropped |= self.let_expire(found, hash, moment).is_ok();
            }
        }
        Ok(dropped)
    }
}

impl Engine {
    /// The record in a run that begins in this segment.
    pub(crate) fn run_record(&self, segment: usize) -> Record<'_> {
        Record::at(self.log.view(), self.geometry.first_word(segment) + SEGMENT_HEADER_WORDS)
    }

    /// Frees the runs of a file that is being opened which no link names. All that says so is durable.
    pub(crate) fn free_orphans(&self, file: &FileLog, moment: &Moment<'_>) -> crate::Result<()> {
        let mut orphans = self.space.runs_of_file();
        for number in 0..self.stripes.len() {
            let stripe = self.lock_stripe(number, moment)?;
            orphans.retain(|(run, _)| !stripe.state.runs.contains_key(run));
        }
        if orphans.is_empty() {
            return Ok(());
        }
        for (run, segments) in &orphans {
            file.free_run(*run, *segments)?;
        }
        file.sync()?;
        for (run, _) in orphans {
            self.space.give_back(run, true, &self.log);
        }
        Ok(())
    }
}
