//! The segments and runs of a stripe: how it gets them, what lives in them, and how they go back.

use std::collections::VecDeque;

use crate::clock::Moment;
use crate::file::window::MILESTONE_WORDS;
use crate::geometry::RUN_PAGE_WORDS;
use crate::log::record::Record;
use crate::log::segment::{Account, LEASED_AT_WORD, SEGMENT_HEADER_WORDS};
use crate::log::space::Purpose;
use crate::region::LINE_WORDS;
use crate::stripe::{Located, Open, Pool, Victim, Writer};
use crate::sync::{Ordering, fence};

impl<'a> Writer<'a> {
    /// Words at the end of an open segment, for a record that is written before the lock is released.
    #[inline]
    pub(crate) fn reserve(
        &mut self,
        words: usize,
        pool: Pool,
        purpose: Purpose,
        moment: &Moment<'_>,
    ) -> Option<usize> {
        // Survivors stay in segments, whatever they have shrunk to: what reclaim may need is what its victim held.
        if purpose == Purpose::Fresh
            && let Some(pages) = self.engine.geometry.run_pages_of(words)
        {
            return self.lease_run(pages, pool, moment);
        }
        self.reserve_in_segment(words, pool, purpose, moment)
    }

    /// The same for a record that gets no run of its own, however long it is.
    #[inline]
    pub(crate) fn reserve_in_segment(
        &mut self,
        words: usize,
        pool: Pool,
        purpose: Purpose,
        moment: &Moment<'_>,
    ) -> Option<usize> {
        if self.state.open[pool as usize].is_none_or(|open| open.next + words > open.end) {
            self.seal_open(pool);
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
        self.stripe.counters.used_words.add(words);
        if purpose == Purpose::Fresh {
            self.appended += words;
        }
        Some(start)
    }

    /// Takes words back that were reserved last in a pool and that nothing was written to.
    pub(crate) fn retract(&mut self, start: usize, words: usize, pool: Pool) {
        if let Some(open) = self.state.open[pool as usize].as_mut() {
            debug_assert_eq!(open.next, start + words, "nothing was reserved since");
            open.next = start;
            self.engine.segments.account(open.segment).sub_used(words);
            self.stripe.counters.used_words.sub(words);
            self.appended -= words;
        }
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
        self.stripe.counters.used_words.add(words);
        self.appended += words;
        Some(start)
    }

    fn lease(&mut self, pool: Pool, purpose: Purpose, moment: &Moment<'_>) -> Option<Open> {
        let engine = self.engine;
        if purpose == Purpose::Fresh && !engine.evicts {
            if engine.over_limit(0) {
                return None;
            }
            engine.press();
        }
        // Syncs may have finished since, so that the file need not grow. What fails here fails whoever needs the segments.
        let _ = engine.reuse_retired(false);
        let (segment, lease) = engine.space.lease(purpose, &engine.segments, engine.regions())?;
        if let Some(file) = &engine.file
            && file.prepare(segment, 1).is_err()
        {
            engine.space.unlease(segment);
            return None;
        }
        // Pairs with the acquire fence at the end of a reader's look: a reader that sees any word written from here on
        // sees the generation that ended before.
        fence(Ordering::Release);
        let next = match &engine.file {
            Some(file) => self.begin_file_lease(file, segment, lease, moment)?,
            None => self.begin_lease(segment, lease, moment),
        };
        engine.segments.account(segment).open(pool);
        self.state.leased[pool as usize] += engine.geometry.segment_words();
        self.stripe.counters.used_words.add(SEGMENT_HEADER_WORDS);
        let left = if engine.geometry.in_file { MILESTONE_WORDS } else { 0 };
        let end = engine.geometry.first_word(segment + 1) - engine.geometry.trailer_words - left;
        Some(Open { segment, next, end })
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

    /// The record is dead: no slot names it any more. A run goes back with its record.
    #[inline]
    pub(crate) fn let_die(&mut self, record: &Record<'_>) {
        self.sub_live(record);
        let run = self.engine.geometry.segment_of(record.start);
        if self.engine.geometry.is_run(run) {
            self.free_run(run, self.engine.geometry.occupied(record.header.extent()));
        } else if self.is_large(record) {
            self.let_run_go(run);
        }
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
        self.stripe.counters.used_words.sub(account.used_words());
        self.stripe.counters.slack_words.sub(self.slack_of(segment));
        self.state.leased[account.pool() as usize] -= engine.geometry.segment_words();
        account.close();
        self.forget_unread(segment);
        let reusable = engine.segments.retire(segment);
        let at_once = match &engine.file {
            Some(file) => file.retire(segment),
            None => true,
        };
        if at_once {
            engine.space.give_back(segment, reusable, &engine.log);
        }
    }

    /// Gives a run back whose record no slot names any more.
    pub(crate) fn free_run(&mut self, run: usize, words: usize) {
        let engine = self.engine;
        for pool in Pool::ALL {
            let sealed = &mut self.state.sealed[pool as usize];
            if let Some(index) = sealed.iter().position(|number| *number == run) {
                sealed.remove(index);
                self.state.leased[pool as usize] -= words;
            }
        }
        self.stripe.counters.used_words.sub(words);
        let reusable = engine.segments.retire(run);
        engine.space.give_back_run(run, reusable, &engine.log);
    }

    /// Spares an entry in a run, which is never copied: it goes to the end of the main pool as it is.
    pub(crate) fn spare_run(&mut self, found: Located<'a>, note: u64, victim: &Victim) {
        let words = self.engine.geometry.occupied(found.record.header.extent());
        self.state.sealed[victim.pool as usize].retain(|run| *run != victim.segment);
        self.state.leased[victim.pool as usize] -= words;
        self.state.leased[Pool::Main as usize] += words;
        self.state.sealed[Pool::Main as usize].push_back(victim.segment);
        self.engine.index.publish(found.place.word, found.slot.with_note(note));
    }

    /// The pool that a record lies in.
    #[inline]
    pub(crate) fn pool_of(&self, record: &Record<'_>) -> Pool {
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
    pub(crate) fn add_live(&self, record: &Record<'_>) {
        let words = self.live_words_of(record);
        if let Some(account) = self.account(record) {
            account.add_live(words);
        }
        self.stripe.counters.live_words.add(words);
    }

    #[inline]
    pub(crate) fn sub_live(&self, record: &Record<'_>) {
        let words = self.live_words_of(record);
        if let Some(account) = self.account(record) {
            account.sub_live(words);
        }
        self.stripe.counters.live_words.sub(words);
    }

    /// Words that a live record counts for: all of its pages if it has a run of its own.
    #[inline]
    pub(crate) fn live_words_of(&self, record: &Record<'_>) -> usize {
        match self.account(record) {
            Some(_) => record.header.words(),
            None => self.engine.geometry.run_words(record.header),
        }
    }

    #[inline]
    pub(crate) fn note_expiry(&self, record: &Record<'_>, moment: &Moment<'_>) {
        let expiry = record.expiry();
        // Of a large value of a file, its link is noted.
        if expiry != 0 && !self.is_large(record) {
            let words = record.header.words();
            if let Some(account) = self.account(record) {
                account.note_expiry(words, expiry, moment.now_ms());
            }
            self.stripe.counters.expiring_words.add(words);
        }
    }

    /// The account of the segment that a record lies in; a run has none, since its record is all it holds.
    #[inline]
    pub(crate) fn account(&self, record: &Record<'_>) -> Option<&'a Account> {
        let engine = self.engine;
        let segment = engine.geometry.segment_of(record.start);
        let in_run = engine.geometry.is_run(segment) || self.is_large(record);
        (!in_run).then(|| engine.segments.account(segment))
    }
}
