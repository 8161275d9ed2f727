//! Eviction: which entries a cache lets go when its budget is spent.
//!
//! S3-FIFO by the segment. Each stripe has two queues of segments, by age:
//!
//! ```text
//! a new entry        -> main, while the cache has never evicted, or if a ghost says that it was evicted lately, or
//!                       if it is larger than admission's share; else admission
//! room is needed     -> if a segment of main is dead or expired by a third: compact it
//!                       else if admission has more than its share: evict from its oldest segment
//!                       else evict from the oldest segment of main
//! evict from admission: what was read since it came moves to main, the rest goes and leaves a ghost
//! evict from main:      what was read since it came or was last spared moves to the end of main, its frequency lowered
//!                       by one; the rest goes
//! ```
//! Filling main first, before anything is let go, is what makes loops that are longer than the cache hit at all: their
//! entries never prove themselves by being read twice in a short while. ARCHITECTURE.md has the measurements.

use crate::clock::Moment;
use crate::ghost::Ghosts;
use crate::hash::Hash;
use crate::removal::Cause;
use crate::stripe::{Keep, Located, NeedRoom, Pool, Victim, Writer};

/// Admission's share of the words that a stripe leases: one in so many.
const ADMISSION_PART: usize = 20;
/// Evictions that are remembered, as a fraction of the entries. A longer memory takes what returns once in a loop for
/// popular.
const GHOSTS_PER_ENTRY: (usize, usize) = (7, 10);
/// Least number of evictions that a stripe remembers.
const GHOSTS_MIN: usize = 64;
/// A segment of main of which this part is dead or expired is compacted before anything is evicted.
pub(crate) const WORTH_COMPACTING: usize = 3;

impl<'a> Writer<'a> {
    /// The pool for an entry that is not there yet and takes `words` words.
    #[inline]
    pub(crate) fn pool_for(&self, hash: Hash, words: usize) -> Pool {
        // In a file there is one.
        let chooses = self.engine.evicts && !self.engine.geometry.in_file;
        match chooses && self.belongs_to_main(hash, words) {
            true => Pool::Main,
            false => Pool::Admission,
        }
    }

    fn belongs_to_main(&self, hash: Hash, words: usize) -> bool {
        self.state.filling
            // With the open segment it would push itself out of admission before anybody could read it.
            || exceeds_share(self.with_open_segment(words), self.leased())
            || self.state.ghosts.as_ref().is_some_and(|ghosts| ghosts.contains(hash))
    }

    /// Words of the budget that a record of `words` words takes, and those of an open segment.
    fn with_open_segment(&self, words: usize) -> usize {
        self.engine.geometry.occupied(words) + self.engine.geometry.segment_words()
    }

    /// Words that the stripe leases.
    fn leased(&self) -> usize {
        self.state.leased(Pool::Admission) + self.state.leased(Pool::Main)
    }

    /// The next segment that a cache reclaims, and what it keeps of it.
    pub(crate) fn choose_to_evict(&mut self, keep: Keep) -> Option<Victim> {
        let over = exceeds_share(self.state.leased(Pool::Admission), self.leased());
        let pools = if over { Pool::ALL } else { [Pool::Main, Pool::Admission] };
        let pool = pools.into_iter().find(|pool| !self.state.sealed[*pool as usize].is_empty())?;
        self.begin_evicting();
        Some(self.take_victim(pool, 0, keep))
    }

    /// What eviction does with one entry of a victim.
    pub(crate) fn spare_or_evict(
        &mut self,
        found: Located<'a>,
        hash: Hash,
        victim: &Victim,
        moment: &Moment<'_>,
    ) -> std::result::Result<(), NeedRoom> {
        let frequency = found.slot.frequency();
        if victim.keep == Keep::Read && frequency > 0 {
            let lowered = if victim.pool == Pool::Main { frequency - 1 } else { 0 };
            return self.keep(found, hash, lowered, victim, moment);
        }
        self.note_in_file(&found, moment)?;
        self.count_eviction(&found);
        self.remove(found, hash, Cause::Evicted);
        if victim.pool == Pool::Admission
            && let Some(ghosts) = &mut self.state.ghosts
        {
            ghosts.insert(hash);
        }
        Ok(())
    }

    /// From now on new entries must prove themselves. Sees to it that the memory for ghosts is of the right size.
    fn begin_evicting(&mut self) {
        self.state.filling = false;
        let entries = self.stripe.counters.entries.get();
        let wanted = (entries * GHOSTS_PER_ENTRY.0 / GHOSTS_PER_ENTRY.1).max(GHOSTS_MIN);
        let len = self.state.ghosts.as_ref().map_or(0, Ghosts::len);
        let least = if wanted < len / 4 { 0 } else { len + len / 4 };
        // As many as there is room for now; the next victims make more.
        let halves = std::iter::successors(Some(wanted), |len| Some(len / 2));
        for len in halves.take_while(|len| *len > least) {
            if self.remember(len) {
                break;
            }
        }
    }

    /// Makes room for the ghosts of `len` evictions, forgetting those of before; whether the budget had it.
    fn remember(&mut self, len: usize) -> bool {
        let (space, log) = (&self.engine.space, &self.engine.log);
        let done = space.commit_table(Ghosts::bytes(len), log);
        if done {
            let old = self.state.ghosts.replace(Ghosts::new(len));
            space.give_back_table(old.map_or(0, |old| Ghosts::bytes(old.len())));
        }
        done
    }
}

/// Whether so many words are more than admission's share of all.
fn exceeds_share(words: usize, all: usize) -> bool {
    words * ADMISSION_PART > all
}
