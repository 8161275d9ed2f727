//! The budget: who holds which bytes of `max_bytes`, and where the next segment or page comes from.
//!
//! # Invariants
//! Committed bytes (log, index, tables) never pass `max_bytes` (I1). Every segment is in exactly one of: leased, free,
//! limbo, decommitted, never committed (I2).

mod state;

use crate::geometry::{Geometry, RESIZE};
use crate::index::{PAGE_TABLE_WORDS, PAGE_WORDS};
use crate::log::segment::{BYTES_PER_SEGMENT, Segments};
use crate::region::{Region, WORD};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
use state::{BYTES_PER_RUN, State, run_bytes};

/// Bytes of a page with its row of the page table.
const PAGE_BYTES: usize = (PAGE_WORDS + PAGE_TABLE_WORDS) * WORD;
/// What of them can be given back: the row keeps the page's version.
const SLOTS_BYTES: usize = PAGE_WORDS * WORD;

/// For whom a segment is leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// New records; leaves the reserve alone.
    Fresh,
    /// Copies by reclaim, which frees a segment for each one it fills.
    Survivors,
}

#[derive(Debug)]
pub(crate) struct Space {
    state: Mutex<State>,
    /// Segments that could be leased, the reserve included. A hint for pacing, exact when nobody holds the lock.
    available: AtomicU64,
    /// Segments that the cap would hold if it held nothing else.
    segments: AtomicU64,
    geometry: Geometry,
}

/// Where memory is given back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Regions<'a> {
    pub(crate) log: &'a Region,
    pub(crate) index_pages: &'a Region,
}

/// How the budget is spent, in bytes and segments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spending {
    pub(crate) committed: usize,
    pub(crate) index: usize,
    /// Bytes of the pages that hold entries.
    pub(crate) index_in_use: usize,
    pub(crate) leased: usize,
    pub(crate) runs: usize,
    pub(crate) run_bytes: usize,
    pub(crate) free: usize,
    pub(crate) limbo: usize,
    pub(crate) pages: usize,
}

impl Space {
    /// A budget of which `fixed` bytes are spent already.
    pub(crate) fn new(geometry: &Geometry, fixed: usize) -> Self {
        let space = Space {
            state: Mutex::new(State::new(geometry, fixed)),
            available: AtomicU64::new(0),
            segments: AtomicU64::new(geometry.opened_segments as u64),
            geometry: geometry.clone(),
        };
        space.publish(&space.lock());
        space
    }

    /// Segments that could be leased without reclaim, the reserve included.
    #[inline]
    pub(crate) fn available(&self) -> usize {
        self.available.load(Ordering::Relaxed) as usize
    }

    /// Whether there is room for a fresh record that occupies so many words, if need be in the place of free index pages: in a
    /// segment, or as a run.
    pub(crate) fn has_room(&self, words: usize) -> bool {
        let state = self.lock();
        let bytes = self.geometry.segment_bytes();
        let beside = if self.geometry.in_file { 0 } else { BYTES_PER_RUN };
        let segments = (words * WORD + beside).div_ceil(bytes);
        state.available(&self.geometry) >= self.geometry.reserve + segments
            || !self.geometry.in_file && state.free_pages.len() * SLOTS_BYTES >= segments * bytes
    }

    /// Takes over the segments of a file: the first `total`, of which `leased` hold records, and `runs` large ones; the others are
    /// free. The next lease has this number.
    pub(crate) fn adopt(
        &self,
        total: usize,
        leased: &[usize],
        runs: &[(usize, usize)],
        next_lease: u64,
    ) {
        let mut state = self.lock();
        state.next_single = total;
        state.leased = leased.len();
        state.runs = runs.iter().copied().collect();
        state.run_pages = runs.iter().map(|(_, segments)| segments).sum();
        state.committed += (leased.len() + state.run_pages) * self.geometry.segment_bytes();
        state.decommitted = (0..total).collect();
        let in_runs = runs.iter().flat_map(|(first, segments)| *first..first + segments);
        for segment in leased.iter().copied().chain(in_runs) {
            state.decommitted.remove(&segment);
        }
        state.next_lease = next_lease;
        self.publish(&state);
    }

    /// Takes over index pages, the next ones that were never handed out, and bytes of directories, of a file, in which neither
    /// counts in the budget.
    pub(crate) fn adopt_pages(&self, pages: usize, table_bytes: usize) {
        let mut state = self.lock();
        state.next_page += pages;
        let piece = self.geometry.index_piece;
        let committed = state.next_page.next_multiple_of(piece).min(self.geometry.pages);
        state.committed_pages = state.committed_pages.max(committed);
        state.table_bytes += table_bytes;
    }

    /// Takes a segment back that was leased and could not be used.
    pub(crate) fn unlease(&self, segment: usize) {
        let mut state = self.lock();
        state.leased -= 1;
        state.committed -= self.geometry.segment_bytes();
        state.decommitted.insert(segment);
        self.publish(&state);
    }

    /// A run of so many segments of a file, and its lease number, or `None` if that would touch the reserve or pass the budget,
    /// or there is no gap of that length.
    pub(crate) fn lease_segments(
        &self,
        count: usize,
        segments: &Segments,
        log: &Region,
    ) -> Option<(usize, u64)> {
        let mut state = self.lock();
        state.leave_limbo(segments, &self.geometry, log);
        let room = state.available(&self.geometry) >= self.geometry.reserve + count;
        let first = if room { state.lowest_gap(count, &self.geometry) } else { None };
        let lease = first.map(|first| {
            state.take_gap(first, count, &self.geometry);
            state.next_lease += 1;
            (first, state.next_lease - 1)
        });
        self.publish(&state);
        lease
    }

    /// Takes a run of a file back that was leased and could not be used.
    pub(crate) fn unlease_run(&self, run: usize) {
        let mut state = self.lock();
        state.end_run(run, &self.geometry);
        self.publish(&state);
    }

    /// The runs of a file: first segment and number of segments.
    pub(crate) fn runs_of_file(&self) -> Vec<(usize, usize)> {
        self.lock().runs.iter().map(|(first, segments)| (*first, *segments)).collect()
    }

    /// A segment and its lease number, or `None` if that would touch the reserve or pass the budget.
    pub(crate) fn lease(
        &self,
        purpose: Purpose,
        segments: &Segments,
        regions: Regions<'_>,
    ) -> Option<(usize, u64)> {
        let mut state = self.lock();
        state.leave_limbo(segments, &self.geometry, regions.log);
        let keep = match purpose {
            Purpose::Fresh => self.geometry.reserve,
            Purpose::Survivors => 0,
        };
        if state.available(&self.geometry) <= keep && !self.geometry.in_file {
            state.decommit_pages(self.geometry.segment_bytes(), regions.index_pages);
        }
        let lease = (state.available(&self.geometry) > keep)
            .then(|| state.take_segment(&self.geometry, regions.log))
            .flatten()
            .map(|segment| {
                state.leased += 1;
                state.next_lease += 1;
                (segment, state.next_lease - 1)
            });
        self.publish(&state);
        lease
    }

    /// A run of pages for one record, and its lease number, or `None` if the budget has no room for it but the free
    /// segments of the reserve, or its addresses no gap of that length: they are four times the budget at opening.
    pub(crate) fn lease_run(
        &self,
        pages: usize,
        segments: &Segments,
        log: &Region,
    ) -> Option<(usize, u64)> {
        let mut state = self.lock();
        state.leave_limbo(segments, &self.geometry, log);
        let lease = state.first_gap(pages, &self.geometry).and_then(|first| {
            state.commit(run_bytes(pages), &self.geometry, log).then(|| {
                state.runs.insert(first, pages);
                state.run_pages += pages;
                state.next_lease += 1;
                (self.geometry.segments + first, state.next_lease - 1)
            })
        });
        self.publish(&state);
        lease
    }

    /// Takes a retired run back: its memory goes to the system, at once or when nobody pins it any more.
    pub(crate) fn give_back_run(&self, run: usize, reusable: bool, log: &Region) {
        let mut state = self.lock();
        match reusable {
            true => state.free_run(run, &self.geometry, log),
            false => state.limbo.push(run),
        }
        self.publish(&state);
    }

    /// Takes a retired segment back, in a file also a run: for the next lease if nobody pins it, else into limbo. When much is
    /// free, its memory goes back to the system.
    pub(crate) fn give_back(&self, segment: usize, reusable: bool, log: &Region) {
        let mut state = self.lock();
        if state.is_run(segment, &self.geometry) {
            drop(state);
            return self.give_back_run(segment, reusable, log);
        }
        state.leased -= 1;
        if !reusable {
            state.limbo.push(segment);
        } else {
            state.add_free(segment, &self.geometry);
            if state.free.len() > self.keep_free(&state)
                && let Some(segment) = state.spare_free(&self.geometry)
            {
                state.decommit_segment(segment, &self.geometry, log);
            }
        }
        self.publish(&state);
    }

    /// Gives memory back that only waits: limbo that nobody pins, and free segments beyond the reserve and a quarter
    /// of what is leased, but no more than about a megabyte of these. Whether there are more.
    pub(crate) fn trim(&self, segments: &Segments, log: &Region) -> bool {
        let mut state = self.lock();
        state.leave_limbo(segments, &self.geometry, log);
        let keep = self.keep_free(&state);
        let at_once = (1 << 20 >> self.geometry.segment_shift) / WORD;
        for _ in 0..at_once.max(1).min(state.free.len().saturating_sub(keep)) {
            let Some(segment) = state.spare_free(&self.geometry) else { break };
            state.decommit_segment(segment, &self.geometry, log);
        }
        self.publish(&state);
        state.free.len() > keep
    }

    /// Free segments that stay as they are: beyond the reserve, a part of what is leased. A file keeps few: to others the
    /// space that they take is lost.
    fn keep_free(&self, state: &State) -> usize {
        match self.geometry.in_file {
            true => 2 + state.leased / 32,
            false => self.geometry.reserve + state.leased / 4,
        }
    }

    /// An index page, or `None` if the budget has no room for it but the free segments of the reserve.
    pub(crate) fn take_page(&self, regions: Regions<'_>) -> Option<usize> {
        let mut state = self.lock();
        let page = state.take_page(&self.geometry, regions);
        self.publish(&state);
        page
    }

    /// Takes an empty page back.
    pub(crate) fn give_back_page(&self, page: usize) {
        self.lock().free_pages.push(page);
    }

    /// Commits `bytes` of a directory that grows, or of ghosts; whether there was room.
    pub(crate) fn commit_table(&self, bytes: usize, log: &Region) -> bool {
        let mut state = self.lock();
        let done = state.commit(bytes, &self.geometry, log);
        if done {
            state.table_bytes += bytes;
        }
        self.publish(&state);
        done
    }

    /// Takes back what ghosts held.
    pub(crate) fn give_back_table(&self, bytes: usize) {
        let mut state = self.lock();
        state.table_bytes -= bytes;
        if !self.geometry.in_file {
            state.committed -= bytes;
        }
        self.publish(&state);
    }

    /// Bytes that live records may take at most. The rest is for the index as it stands, open segments, the reserve,
    /// and a 32nd of slack, without which reclaim would copy without end.
    pub(crate) fn live_limit(&self) -> usize {
        let state = self.lock();
        let other = match self.geometry.in_file {
            true => 0,
            false => {
                state.committed
                    - state.log_bytes(&self.geometry)
                    - state.run_bytes(&self.geometry)
                    - state.free_pages.len() * PAGE_BYTES
                    - (state.committed_pages - state.next_page) * PAGE_BYTES
            }
        };
        let standing =
            (2 * self.geometry.stripes + self.geometry.reserve) * self.geometry.segment_bytes();
        let log = (state.max_bytes as usize).saturating_sub(other + standing);
        log - log / 32
    }

    /// The cap.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.lock().max_bytes
    }

    /// Segments that the cap would hold if it held nothing else.
    pub(crate) fn segments(&self) -> usize {
        self.segments.load(Ordering::Relaxed) as usize
    }

    /// Least and greatest cap that the store can be given while it is open.
    pub(crate) fn resizable(&self) -> (u64, u64) {
        let opened = self.geometry.opened_bytes;
        if self.geometry.in_file {
            // The file has addresses for no more.
            return ((opened / RESIZE).max(crate::options::MIN_FILE_BYTES.min(opened)), opened);
        }
        ((opened / RESIZE).max(crate::options::MIN_MAX_BYTES), opened * RESIZE)
    }

    /// Keeps a cap that what is committed fits, unless another has been set since.
    pub(crate) fn settle_max_bytes(&self, max_bytes: u64) {
        let mut state = self.lock();
        if state.max_bytes == max_bytes {
            state.settled_bytes = max_bytes;
        }
    }

    /// Goes back from a cap that cannot be kept to the last that could, unless another has been set since.
    pub(crate) fn unset_max_bytes(&self, max_bytes: u64) {
        let mut state = self.lock();
        if state.max_bytes == max_bytes {
            let settled = state.settled_bytes;
            self.change_max_bytes(&mut state, settled);
        }
    }

    /// Sets the cap, which nothing that is committed gives way to by itself. Answers the bytes by which what is committed
    /// passes it.
    pub(crate) fn set_max_bytes(&self, max_bytes: u64) -> usize {
        let mut state = self.lock();
        self.change_max_bytes(&mut state, max_bytes);
        state.committed.saturating_sub(max_bytes as usize)
    }

    fn change_max_bytes(&self, state: &mut State, max_bytes: u64) {
        let tables = |max_bytes: u64| {
            if self.geometry.in_file {
                return 0;
            }
            let segments = max_bytes as usize / self.geometry.segment_bytes();
            segments.saturating_sub(self.geometry.opened_segments) * BYTES_PER_SEGMENT
        };
        state.committed += tables(max_bytes);
        state.committed -= tables(state.max_bytes);
        state.max_bytes = max_bytes;
        self.segments.store(max_bytes / self.geometry.segment_bytes() as u64, Ordering::Relaxed);
        self.publish(state);
    }

    /// Gives back what is free beyond the reserve, as long as what is committed passes the cap. Answers by how much it still
    /// does.
    pub(crate) fn shrink(&self, segments: &Segments, regions: Regions<'_>) -> usize {
        let mut state = self.lock();
        state.leave_limbo(segments, &self.geometry, regions.log);
        let over = |state: &State| state.committed.saturating_sub(state.max_bytes as usize);
        while over(&state) > 0 && state.free.len() > self.geometry.reserve {
            let Some(segment) = state.spare_free(&self.geometry) else { break };
            state.decommit_segment(segment, &self.geometry, regions.log);
        }
        if !self.geometry.in_file {
            let bytes = over(&state).min(state.free_pages.len() * SLOTS_BYTES);
            state.decommit_pages(bytes, regions.index_pages);
        }
        self.publish(&state);
        over(&state)
    }

    pub(crate) fn spending(&self) -> Spending {
        let state = self.lock();
        let pages = state.next_page - state.free_pages.len() - state.decommitted_pages.len();
        Spending {
            committed: state.committed,
            index_in_use: pages * PAGE_BYTES,
            index: state.committed_pages * PAGE_BYTES + state.table_bytes
                - state.decommitted_pages.len() * SLOTS_BYTES,
            leased: state.leased,
            runs: state.runs.len()
                - state.limbo.iter().filter(|n| state.is_run(**n, &self.geometry)).count(),
            run_bytes: state.run_bytes(&self.geometry),
            free: state.free.len(),
            limbo: state.limbo.len(),
            pages,
        }
    }

    /// Checks I1 and I2.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let state = self.lock();
        if state.committed as u64 > state.max_bytes {
            return Err(format!("I1: {} bytes are committed", state.committed));
        }
        let limbo = state.limbo.iter().filter(|n| !state.is_run(**n, &self.geometry)).count();
        let in_runs = if self.geometry.in_file { state.run_pages } else { 0 };
        let given_back = state.given_back(&self.geometry);
        let known = state.leased + state.free.len() + limbo + given_back + in_runs;
        let committed = state.ever_committed(&self.geometry);
        if known != committed {
            return Err(format!("I2: {known} of {committed} segments are known"));
        }
        let overlap = state
            .runs
            .iter()
            .zip(state.runs.keys().skip(1))
            .find(|((first, pages), next)| *first + *pages > **next);
        if let Some(((first, _), next)) = overlap {
            return Err(format!("I2: the runs at pages {first} and {next} overlap"));
        }
        if state.runs.values().sum::<usize>() != state.run_pages {
            return Err(format!("I2: {} pages of runs are counted", state.run_pages));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing here panics half-way: a poisoned lock still guards a consistent state.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        self.available.store(state.available(&self.geometry) as u64, Ordering::Relaxed);
    }
}
