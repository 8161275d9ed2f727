//! Reclaim: the only mechanism that frees space.
//!
//! ```text
//! choose the stripe with the most dead words; under its lock, choose its segment with the fewest live ones
//! for each record of the segment that a slot still names: drop it if it has expired, else copy it to the survivors
//! end the segment's generation; give it back
//! ```
//! The walk is cut into steps of a bounded number of records, and writers pay for it: once free segments are few, a
//! write that appended `n` words walks `n` times the factor that keeps up with it.
//!
//! A step copies and publishes under the lock of the stripe that owns the segment, so that nobody else writes to the
//! records meanwhile. The alternative, to copy outside the lock and to compare slot and version afterwards, holds the
//! lock for shorter, but needs a reservation that outlives the lock.

use std::time::{Duration, Instant};

use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::evict::WORTH_COMPACTING;
use crate::file::mutant::{Mutant, is_on};
use crate::file::window::MILESTONE_WORDS;
use crate::hash::Hash;
use crate::index::SPARSE_BYTES_PER_ENTRY;
use crate::log::record::{Kind, Record};
use crate::log::segment::{Expired, SEGMENT_HEADER_WORDS};
use crate::reader::expired;
use crate::region::WORD;
use crate::stripe::{Keep, Located, NeedRoom, Pool, Victim, Writer};
use crate::sync::{AtomicU64, Ordering};

/// Most records that one step looks at.
const STEP_RECORDS: usize = 32;
/// A write walks at most this many times the words that it appended.
const FACTOR_MAX: usize = 48;
/// A file is compacted as it is written if its segments take more than what lives in them and this part of that beside it, or a
/// segment a stripe if that is more.
const FILE_SLACK: usize = 2;
/// `maintain` leaves segments alone of which less than this part is dead.
const WORTH_MAINTAINING: usize = 4;
/// A writer in need takes any segment that gives back this part of itself.
const WORTH_IN_NEED: usize = 64;
/// Times that a writer tries again because there seems to be room that it did not find: somebody else was faster, or no gap
/// between runs is long enough.
const RETRIES: usize = 16;
/// Times that a writer without room walks a segment of a cache before it evicts whatever lies there, read or not: the
/// work of one write stays bounded where everything is popular.
const PATIENCE: usize = 2;

/// Which stripe is being reclaimed, and how fast writers pay. Hints, shared by all threads.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    stripe: AtomicU64,
    factor: AtomicU64,
    /// Words of a cache's last victims, and how many of them were gained.
    walked: AtomicU64,
    gained: AtomicU64,
    /// 1 if expired records are in the way, or a file takes too much.
    pressed: AtomicU64,
    /// Words that steps have walked beyond what writers owed.
    ahead: AtomicU64,
    /// The stripe at which the next `maintain` begins.
    maintained: AtomicU64,
}

/// Words of victims after which older ones count half.
const PACER_MEMORY: u64 = 1 << 20;

impl Pacer {
    /// Notes whether writers pay before free segments are few: a store is so near to what it can keep live that expired records,
    /// which still count as live, are worth looking for, or a file takes more than it should.
    pub(crate) fn press(&self, pressed: bool) {
        self.pressed.store(pressed.into(), Ordering::Relaxed);
    }

    fn pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed) != 0
    }

    /// Words of `due` that are still to be walked: steps are longer than most debts.
    fn settle(&self, due: usize) -> usize {
        let ahead = self.ahead.load(Ordering::Relaxed) as usize;
        self.ahead.store(ahead.saturating_sub(due) as u64, Ordering::Relaxed);
        due.saturating_sub(ahead)
    }

    /// Notes a victim of `walked` words of which `gained` were not copied.
    fn note_victim(&self, walked: usize, gained: usize) {
        let (mut all, mut gone) =
            (self.walked.load(Ordering::Relaxed), self.gained.load(Ordering::Relaxed));
        if all > PACER_MEMORY {
            (all, gone) = (all / 2, gone / 2);
        }
        self.walked.store(all + walked as u64, Ordering::Relaxed);
        self.gained.store(gone + gained as u64, Ordering::Relaxed);
    }

    /// Words that victims had of late for each word that was gained.
    fn walked_per_gained(&self) -> usize {
        let gained = self.gained.load(Ordering::Relaxed).max(1);
        (self.walked.load(Ordering::Relaxed) / gained) as usize
    }
}

/// Which segments a step may choose for its victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Those of which one part in so many would be gained, and no entry lost.
    Compact(usize),
    /// Any, as eviction chooses, keeping this.
    Evict(Keep),
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Walked this many words.
    Walked(usize),
    /// Walked this many words, and the segment is free.
    Freed(usize),
    /// No segment of the stripe is worth it.
    Nothing,
    /// There is no segment for survivors.
    NoRoom,
}

impl Engine {
    /// Pays for `words` that were appended. No lock is held.
    #[inline]
    pub(crate) fn pay(&self, words: usize, moment: &Moment<'_>) {
        if words > 0 && (self.pacer.pressed() || self.space.available() <= self.low_water()) {
            // The write is done and stays so. What fails here is a stripe that a panic has left half changed; whoever
            // uses that stripe is told.
            let _ = self.pay_in_need(words, moment);
        }
    }

    #[cold]
    fn pay_in_need(&self, words: usize, moment: &Moment<'_>) -> Result<()> {
        if self.pacer.factor.load(Ordering::Relaxed) == 0 && !self.choose_stripe(moment, 0)? {
            return Ok(());
        }
        let available = self.space.available();
        let urgent = if available <= self.geometry.reserve + 1 { 2 } else { 1 };
        let factor = self.pacer.factor.load(Ordering::Relaxed) as usize;
        let aim = match available <= self.low_water() {
            true => self.usual_aim(),
            false => Aim::Compact(WORTH_MAINTAINING),
        };
        let due = self.pacer.settle(words * factor * urgent);
        if due > 0 {
            let walked = self.reclaim(due, aim, moment)?;
            self.pacer.ahead.store(walked.saturating_sub(due) as u64, Ordering::Relaxed);
            if walked == 0 {
                // Nothing is worth it until more has died.
                self.pacer.press(false);
            }
        }
        Ok(())
    }

    /// Free segments at which writers begin to pay.
    fn low_water(&self) -> usize {
        self.geometry.reserve + 2 + self.space.segments() / 64
    }

    /// How a writer in need reclaims.
    pub(crate) fn usual_aim(&self) -> Aim {
        if self.evicts { Aim::Evict(Keep::Read) } else { Aim::Compact(WORTH_IN_NEED) }
    }

    /// Walks about `words` words; answers how many it did. 0: nothing is worth reclaiming.
    pub(crate) fn reclaim(&self, words: usize, aim: Aim, moment: &Moment<'_>) -> Result<usize> {
        let mut walked = 0;
        let mut stuck = 0;
        while walked < words {
            let stripe = self.pacer.stripe.load(Ordering::Relaxed) as usize;
            match self.step(stripe, aim, moment)? {
                Step::Walked(n) => walked += n.max(1),
                Step::Freed(n) => {
                    walked += n.max(1);
                    if self.geometry.in_file {
                        self.press();
                    }
                    if !self.choose_stripe(moment, 0)? {
                        break;
                    }
                }
                Step::Nothing | Step::NoRoom => {
                    stuck += 1;
                    if stuck > self.stripes.len() || !self.choose_stripe(moment, stuck)? {
                        break;
                    }
                }
            }
        }
        Ok(walked)
    }

    /// One step under the lock of a stripe; the listener is told afterwards.
    fn step(&self, stripe: usize, aim: Aim, moment: &Moment<'_>) -> Result<Step> {
        let step = self.lock_stripe(stripe, moment)?.reclaim_step(moment, aim)?;
        self.tell(stripe, moment);
        Ok(step)
    }

    /// Chooses the stripe with the most dead and expired words, in a cache the one with the most words at all, or the one
    /// `skip` ranks behind it; `false` if there are none.
    pub(crate) fn choose_stripe(&self, moment: &Moment<'_>, skip: usize) -> Result<bool> {
        let mut ranked: Vec<(usize, usize)> = Vec::with_capacity(self.stripes.len());
        for (number, stripe) in self.stripes.iter().enumerate() {
            let counters = &stripe.counters;
            let kept = if self.evicts { 0 } else { counters.live_words.get() };
            let used = counters.used_words.get() + counters.slack_words.get();
            let mut dead = used.saturating_sub(kept);
            if counters.expiring_words.get() > 0 {
                dead += self.lock_stripe(number, moment)?.expired_words(moment);
            }
            ranked.push((dead, number));
        }
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        self.pacer.factor.store(self.factor() as u64, Ordering::Relaxed);
        let Some((dead, stripe)) = ranked.get(skip) else { return Ok(false) };
        self.pacer.stripe.store(*stripe as u64, Ordering::Relaxed);
        Ok(*dead > 0)
    }

    /// Words of a file's segments that were sealed early, behind their last record.
    fn slack(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.counters.slack_words.get()).sum()
    }

    /// Words to walk for each word that is to be gained.
    fn factor(&self) -> usize {
        let factor = if self.evicts {
            self.pacer.walked_per_gained() + 2
        } else {
            let (live, used) = self.live_and_used();
            let used = used + self.slack();
            used / used.saturating_sub(live).max(1) + 2
        };
        factor.min(FACTOR_MAX)
    }

    /// Whether live records with `words` more would pass what the budget can keep.
    pub(crate) fn over_limit(&self, words: usize) -> bool {
        let (live, _) = self.live_and_used();
        (live + words) * 8 > self.space.live_limit()
    }

    /// Gives retired segments back whose syncs are done; whether there were any. With `hurry`, waits for these syncs.
    pub(crate) fn reuse_retired(&self, hurry: bool) -> Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let segments = file.reusable(hurry, |segment| self.segments.unpinned(segment))?;
        for segment in &segments {
            self.space.give_back(*segment, self.segments.unpinned(*segment), &self.log);
        }
        Ok(!segments.is_empty())
    }

    /// Asked when a segment is leased for fresh records, in a file also when one was freed: whether writers should pay from
    /// now on although segments are free, because expired records should be looked for, or because a file is to stay near what
    /// lives in it.
    pub(crate) fn press(&self) {
        if let Some(file) = &self.file {
            let (live, _) = self.live_and_used();
            let spending = self.space.spending();
            let segment = self.geometry.segment_words();
            let waiting = file.retired_segments() * segment;
            let taken = spending.leased * segment + spending.run_bytes / WORD;
            let beyond = (live / FILE_SLACK).max(self.stripes.len() * segment);
            self.pacer.press(taken.saturating_sub(waiting) > live + beyond);
            return;
        }
        const NEAR: usize = 16;
        let expiring = self.stripes.iter().any(|stripe| stripe.counters.expiring_words.get() > 0);
        let near = self.space.segments() / NEAR * self.geometry.segment_words();
        self.pacer.press(expiring && self.over_limit(near));
    }

    /// Makes room for a write that found none and needs `words`; `Full` if there is none to be had.
    pub(crate) fn make_room(
        &self,
        words: usize,
        moment: &Moment<'_>,
        attempt: usize,
    ) -> Result<()> {
        if let Some(file) = &self.file {
            file.admit()?;
            if let Some(refused) = file.take_refusal() {
                return Err(refused);
            }
        }
        let words = self.geometry.occupied(words);
        self.space.trim(&self.segments, &self.log);
        // What removes is never refused.
        if !self.evicts && words > 0 && self.over_limit(words) {
            self.drop_expired(moment, || !self.over_limit(words))?;
            if !self.shrink_index(moment, || !self.over_limit(words))? {
                return Err(self.full());
            }
        }
        // The first time, a segment that somebody else has freed meanwhile may do.
        if attempt == 0 && self.space.available() > self.geometry.reserve {
            return Ok(());
        }
        if self.reuse_retired(true)? {
            return Ok(());
        }
        self.choose_stripe(moment, 0)?;
        let patience = PATIENCE * (1 + words / self.geometry.segment_words());
        let aim = match self.evicts && attempt >= patience {
            true => Aim::Evict(Keep::Nothing),
            false => self.usual_aim(),
        };
        // In a file as many segments at once as a run takes: to wait for syncs after each would take long.
        let segment = match self.geometry.in_file {
            true => words.max(self.geometry.segment_words()),
            false => self.geometry.segment_words(),
        };
        let gained = self.reclaim(segment, aim, moment)? > 0
            // Pins may hold what the survivors need.
            || self.evicts && self.reclaim(segment, Aim::Evict(Keep::Nothing), moment)? > 0
            || !self.evicts && self.drop_expired(moment, || self.space.has_room(words))?
            || attempt < RETRIES && self.shrink_index(moment, || self.space.has_room(words))?;
        if !gained || attempt > 4 * self.space.segments() { Err(self.full()) } else { Ok(()) }
    }

    /// Reclaims full segments in which a record has expired, until there is `enough` room; whether there were any. What is
    /// left of them is copied, and its classes are made anew, so that the next call finds only what has expired since.
    pub(crate) fn drop_expired(
        &self,
        moment: &Moment<'_>,
        enough: impl Fn() -> bool,
    ) -> Result<bool> {
        let mut dropped = false;
        for number in 0..self.stripes.len() {
            if self.stripes[number].counters.expiring_words.get() == 0 {
                continue;
            }
            // No segment twice, whatever the copies out of it say of themselves.
            let mut left = None;
            loop {
                let mut writer = self.lock_stripe(number, moment)?;
                // The open ones too: the copies may fill them.
                let left = left.get_or_insert_with(|| writer.state.segments().count());
                if writer.drop_expired_runs(moment)? {
                    drop(writer);
                    self.tell(number, moment);
                    dropped = true;
                    if enough() {
                        return Ok(true);
                    }
                    continue;
                }
                if writer.state.victim.is_none() && *left > 0 {
                    *left -= 1;
                    writer.state.victim = writer.choose_expired(moment);
                }
                if writer.state.victim.is_none() {
                    break;
                }
                let step = writer.reclaim_step(moment, self.usual_aim())?;
                drop(writer);
                self.tell(number, moment);
                if step == Step::NoRoom {
                    break;
                }
                dropped = true;
                if enough() {
                    return Ok(true);
                }
            }
        }
        Ok(dropped)
    }

    /// Merges sparse pages, which deletes leave behind, until there is `enough` room; whether there is.
    pub(crate) fn shrink_index(
        &self,
        moment: &Moment<'_>,
        enough: impl Fn() -> bool,
    ) -> Result<bool> {
        let entries: usize = self.stripes.iter().map(|stripe| stripe.counters.entries.get()).sum();
        for number in 0..self.stripes.len() {
            let mut next = Some(0);
            while let Some(from) = next {
                let in_use = self.space.spending().index_in_use;
                if enough() || in_use <= entries * SPARSE_BYTES_PER_ENTRY {
                    return Ok(enough());
                }
                next = self.lock_stripe(number, moment)?.shrink_index(from);
            }
        }
        Ok(enough())
    }

    #[cold]
    pub(crate) fn full(&self) -> Error {
        let (live, _) = self.live_and_used();
        let live_bytes = (8 * live + self.space.spending().index) as u64;
        Error::Full { live_bytes, max_bytes: self.space.max_bytes(), path: None }
    }

    /// Reclaims for as long as `budget`, and lets a cache evict what the next writes would have to. Each call goes on where
    /// the last one ended, and passes its budget by one step at most. Answers about how many dead bytes are left to
    /// reclaim, 0 when nothing is worth it.
    pub(crate) fn maintain(&self, budget: Duration, moment: &Moment<'_>) -> Result<u64> {
        let start = Instant::now();
        let over = || start.elapsed() >= budget;
        let first = self.pacer.maintained.load(Ordering::Relaxed) as usize;
        let mut room = true;
        for turn in 0..self.stripes.len() {
            let number = (first + turn) % self.stripes.len();
            loop {
                let aim = match self.evicts && self.space.available() <= self.low_water() {
                    true => Aim::Evict(Keep::Read),
                    false => Aim::Compact(WORTH_MAINTAINING),
                };
                match self.step(number, aim, moment)? {
                    Step::Walked(_) | Step::Freed(_) if over() => {
                        self.pacer.maintained.store(number as u64, Ordering::Relaxed);
                        return Ok(self.dead_bytes());
                    }
                    Step::Walked(_) | Step::Freed(_) => {}
                    Step::Nothing => break,
                    Step::NoRoom => {
                        room = false;
                        break;
                    }
                }
            }
        }
        self.reuse_retired(false)?;
        let mut more = true;
        while more {
            more = self.space.trim(&self.segments, &self.log);
            if over() {
                break;
            }
        }
        Ok(if room && !more { 0 } else { self.dead_bytes() })
    }

    /// Bytes of dead records, and at least one: asked where something is left to do.
    fn dead_bytes(&self) -> u64 {
        let (live, used) = self.live_and_used();
        (8 * used.saturating_sub(live) as u64).max(1)
    }
}

impl<'a> Writer<'a> {
    /// Walks a few records of the victim, or of a new one that the aim allows.
    fn reclaim_step(&mut self, moment: &Moment<'_>, aim: Aim) -> Result<Step> {
        let Some(mut victim) = self.state.victim.or_else(|| self.choose_victim(moment, aim)) else {
            return Ok(Step::Nothing);
        };
        if aim == Aim::Evict(Keep::Nothing) {
            victim.keep = Keep::Nothing;
        }
        if self.engine.geometry.is_run(victim.segment) {
            self.state.victim = None;
            return Ok(self.reclaim_run(&victim, moment));
        }
        self.state.victim = Some(victim);
        let engine = self.engine;
        let end = (victim.segment << engine.geometry.segment_shift)
            + engine.segments.account(victim.segment).used_words();
        let moved = self.stripe.counters.words_moved.get();
        let mut records = [(0, Hash(0)); STEP_RECORDS];
        let mut next = victim.next;
        let mut count = 0;
        let mut key = Vec::new();
        let unread = self.unread(victim.segment).is_some();
        while count < STEP_RECORDS && next < end {
            // A copy gets a sum of its own, which would vouch for whatever is copied.
            let record = match unread {
                true => self.unread_record(next).ok_or_else(|| engine.damaged(next))?,
                false => Record::at(engine.log.view(), next),
            };
            let kind = record.header.kind();
            if kind.is_some_and(|kind| !matches!(kind, Kind::Value | Kind::Link)) {
                // A mark: nothing older is left that it could hide.
                next += record.header.extent();
                continue;
            }
            if kind.is_none() {
                return Err(engine.corrupt("segment holds no record", next));
            }
            key.clear();
            record.copy_key(&mut key);
            let hash = engine.hasher.hash(&key);
            let page = self.stripe.directory.home(&engine.index, hash);
            self.wake_page(page)?;
            engine.index.prefetch_bucket(page, hash);
            records[count] = (next, hash);
            count += 1;
            next += record.header.extent();
        }
        for (i, (start, hash)) in records[..count].iter().enumerate() {
            if self.keep_or_drop(*start, *hash, &victim, moment) == Err(NeedRoom) {
                self.state.victim = Some(Victim { next: *start, ..victim });
                return Ok(Step::NoRoom);
            }
            // A run that goes is enough for a step.
            if self.let_go > 0
                && let Some((after, _)) = records[..count].get(i + 1)
            {
                next = *after;
                break;
            }
        }
        let walked = next - victim.next + self.let_go;
        let copied = victim.copied + self.stripe.counters.words_moved.get() - moved;
        if next < end {
            self.state.victim = Some(Victim { next, copied, ..victim });
            return Ok(Step::Walked(walked));
        }
        if unread && engine.segments.account(victim.segment).live_words() != 0 {
            let what = "the index checkpoint names records that are not there";
            return Err(engine.corrupt(what, victim.next));
        }
        if let Some(file) = &engine.file {
            let lease = file.lease_in(victim.segment)?;
            self.settle_shares(lease)?;
            if self.write_milestone(file, lease, moment).is_err() {
                self.state.victim = Some(Victim { next, copied, ..victim });
                return Ok(Step::NoRoom);
            }
        }
        self.state.victim = None;
        let words = engine.segments.account(victim.segment).used_words();
        self.free(victim.segment);
        engine.pacer.note_victim(words, words.saturating_sub(copied));
        Ok(Step::Freed(walked))
    }

    /// Reclaims a run, whose one record is live: a run whose record died is given back at once.
    fn reclaim_run(&mut self, victim: &Victim, moment: &Moment<'_>) -> Step {
        let record = Record::at(self.engine.log.view(), victim.next);
        let words = self.engine.geometry.occupied(record.header.extent());
        let mut key = Vec::new();
        record.copy_key(&mut key);
        // Back to where it was taken from, so that it is found when its record dies.
        self.state.sealed[victim.pool as usize].push_front(victim.segment);
        let kept = self.keep_or_drop(victim.next, self.engine.hasher.hash(&key), victim, moment);
        debug_assert_eq!(kept, Ok(()), "a run is kept without a copy");
        Step::Freed(words)
    }

    /// What reclaim does with one record: nothing if no slot names it.
    fn keep_or_drop(
        &mut self,
        start: usize,
        hash: Hash,
        victim: &Victim,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        let record = Record::at(self.engine.log.view(), start);
        let start = match record.header.kind() {
            Some(Kind::Link) => self.run_of_link(&record),
            _ => Some(start),
        };
        let found = start.and_then(|start| self.find_at(hash, start));
        let Some(found) = found else { return Ok(()) };
        let Located { record, slot, .. } = found;
        if expired(record.expiry(), moment) {
            self.let_expire(found, hash, moment)
        } else if victim.keep == Keep::Live {
            self.keep(found, hash, slot.note(), victim, moment)
        } else {
            self.spare_or_evict(found, hash, victim, moment)
        }
    }

    /// Keeps a live record of a victim: a copy of it, or the run that it lies in.
    pub(crate) fn keep(
        &mut self,
        found: Located<'a>,
        hash: Hash,
        note: u64,
        victim: &Victim,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        match self.engine.geometry.is_run(victim.segment) {
            true => {
                self.spare_run(found, note, victim);
                Ok(())
            }
            false if self.is_large(&found.record) => self.move_link(found, note, moment),
            false => self.relocate(found, hash, note, moment),
        }
    }

    /// Takes a sealed segment for a victim out of its list.
    fn choose_victim(&mut self, moment: &Moment<'_>, aim: Aim) -> Option<Victim> {
        match aim {
            _ if self.engine.geometry.in_file => self.choose_oldest(aim),
            Aim::Compact(part) => {
                let pools: &[Pool] = if self.engine.evicts { &[Pool::Main] } else { &Pool::ALL };
                self.choose_to_compact(pools, moment, part)
            }
            // A cache compacts nothing of admission: its turn comes soon, and then what was not read goes.
            Aim::Evict(keep) => self
                .choose_to_compact(&[Pool::Main], moment, WORTH_COMPACTING)
                .or_else(|| self.choose_to_evict(keep)),
        }
    }

    /// The oldest segment, the only one that may be reclaimed in a file, if the stripe has enough that is dead.
    fn choose_oldest(&mut self, aim: Aim) -> Option<Victim> {
        // Links are so small that all of a cache's may lie in the segment that is appended to.
        if matches!(aim, Aim::Evict(_))
            && !self.state.runs.is_empty()
            && self.state.sealed[0].is_empty()
        {
            self.seal_open(Pool::Admission);
        }
        self.state.sealed[Pool::Admission as usize].front()?;
        let keep = match aim {
            Aim::Compact(part) => {
                let counters = &self.stripe.counters;
                // Headers and milestones are not gained: with many segments they would look worth a walk that never ends.
                let sealed = self.state.sealed[Pool::Admission as usize].len();
                let headers = (sealed + 2) * (SEGMENT_HEADER_WORDS + MILESTONE_WORDS);
                let kept = counters.live_words.get() + headers;
                let used = counters.used_words.get() + counters.slack_words.get();
                let dead = used.saturating_sub(kept);
                if (dead + counters.expiring_words.get()) * part
                    < self.engine.geometry.segment_words()
                {
                    return None;
                }
                Keep::Live
            }
            Aim::Evict(keep) => keep,
        };
        let last = self.state.sealed[Pool::Admission as usize].len() - 1;
        let index = if is_on(Mutant::AnyVictim) { last } else { 0 };
        let victim = self.take_victim(Pool::Admission, index, keep);
        if let Some(file) = &self.engine.file {
            file.expect_walk(victim.segment);
        }
        Some(victim)
    }

    /// The segment of these pools that gives most back, if that is at least one `part`-th of it.
    fn choose_to_compact(
        &mut self,
        pools: &[Pool],
        moment: &Moment<'_>,
        part: usize,
    ) -> Option<Victim> {
        let least = self.engine.geometry.segment_words() / part;
        let counters = &self.stripe.counters;
        let sealed = self.state.sealed[0].len() + self.state.sealed[1].len();
        let headers = (sealed + 2) * SEGMENT_HEADER_WORDS;
        let dead = counters.used_words.get().saturating_sub(counters.live_words.get() + headers);
        // Asked before every account is looked at.
        if dead + counters.expiring_words.get() < least {
            return None;
        }
        let (pool, index, gain) = pools
            .iter()
            .flat_map(|pool| (0..self.state.sealed[*pool as usize].len()).map(|i| (*pool, i)))
            .map(|(pool, i)| (pool, i, self.gain(self.state.sealed[pool as usize][i], moment)))
            .max_by_key(|(_, _, gain)| *gain)?;
        (gain >= least).then(|| self.take_victim(pool, index, Keep::Live))
    }

    /// Takes a sealed segment out of the list in which a record has expired.
    fn choose_expired(&mut self, moment: &Moment<'_>) -> Option<Victim> {
        for pool in Pool::ALL {
            let index = self.state.sealed[pool as usize]
                .iter()
                .position(|segment| self.expired_in(*segment, moment, Expired::Some) > 0);
            if let Some(index) = index {
                // In a file those before it must go first.
                let index = if self.engine.geometry.in_file { 0 } else { index };
                return Some(self.take_victim(pool, index, Keep::Live));
            }
        }
        None
    }

    pub(crate) fn take_victim(&mut self, pool: Pool, index: usize, keep: Keep) -> Victim {
        let segment = self.state.sealed[pool as usize].remove(index);
        let segment = segment.expect("the caller has seen the index in the list");
        let first = self.engine.geometry.first_word(segment);
        Victim { segment, next: first + SEGMENT_HEADER_WORDS, copied: 0, pool, keep }
    }

    /// Words of a segment or run that have expired but still count as live.
    fn expired_in(&self, segment: usize, moment: &Moment<'_>, which: Expired) -> usize {
        let engine = self.engine;
        if engine.geometry.is_run(segment) {
            let start = engine.geometry.first_word(segment) + SEGMENT_HEADER_WORDS;
            let record = Record::at(engine.log.view(), start);
            let words = engine.geometry.occupied(record.header.extent());
            return if expired(record.expiry(), moment) { words } else { 0 };
        }
        let account = engine.segments.account(segment);
        if account.may_expire() { account.expired_words(moment.now_ms(), which) } else { 0 }
    }

    /// Words that reclaim of a segment would give back.
    fn gain(&self, segment: usize, moment: &Moment<'_>) -> usize {
        let expired = self.expired_in(segment, moment, Expired::All);
        if self.engine.geometry.is_run(segment) {
            return expired;
        }
        let account = self.engine.segments.account(segment);
        // The tail behind the last record is not counted: the copies would waste as much again.
        account.used_words().saturating_sub(SEGMENT_HEADER_WORDS + account.live_words()) + expired
    }

    /// Words of full segments that have expired but still count as live; renews the stripe's hint.
    fn expired_words(&self, moment: &Moment<'_>) -> usize {
        let (segments, geometry) = (&self.engine.segments, &self.engine.geometry);
        let may_expire =
            |segment| geometry.is_run(segment) || segments.account(segment).may_expire();
        if !self.state.segments().any(may_expire) {
            self.stripe.counters.expiring_words.set(0);
            return 0;
        }
        let sealed = self.state.sealed.iter().flatten();
        let beside = sealed.map(|segment| self.expired_in(*segment, moment, Expired::All));
        beside.sum::<usize>() + self.expired_in_runs(moment)
    }
}
