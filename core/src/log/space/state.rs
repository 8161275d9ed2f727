//! What the space lock guards: which segments, pages and runs are free, and how many bytes are committed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{PAGE_BYTES, Regions, SLOTS_BYTES};
use crate::geometry::{Geometry, RUN_PAGE_WORDS};
use crate::index::PAGE_WORDS;
use crate::log::holes::Holes;
use crate::log::segment::{BYTES_PER_SEGMENT, Segments};
use crate::region::{Region, WORD};

/// Bytes of bookkeeping that a run costs beside its pages.
pub(super) const BYTES_PER_RUN: usize = 64;

/// Of the budget, all that changes.
#[derive(Debug)]
pub(super) struct State {
    /// The cap.
    pub(super) max_bytes: u64,
    /// The last cap that was found to hold what is committed.
    pub(super) settled_bytes: u64,
    /// Bytes that are committed to log, index and tables.
    pub(super) committed: usize,
    /// Committed segments, from whose end the next one is leased. Of a file the highest first: it is cut behind its last leased
    /// segment when it is closed.
    pub(super) free: Vec<usize>,
    /// Retired segments and runs that are still pinned.
    pub(super) limbo: Vec<usize>,
    /// Runs, leased, retired or in limbo: first page and number of pages; in a file, first segment and number of segments.
    pub(super) runs: BTreeMap<usize, usize>,
    /// Pages or segments of all runs.
    pub(super) run_pages: usize,
    /// Segments whose memory was given back.
    pub(super) decommitted: BTreeSet<usize>,
    /// Of pieces whose memory was given back altogether, the first segment: these can be huge pages again.
    pub(super) empty_pieces: BTreeSet<usize>,
    pub(super) holes: Holes,
    /// From this segment on nothing was ever committed of those that are committed in pieces ...
    pub(super) next_in_piece: usize,
    /// ... and from this one on of the others.
    pub(super) next_single: usize,
    pub(super) leased: usize,
    /// Committed pages for the next split.
    pub(super) free_pages: Vec<usize>,
    /// Pages whose memory was given back.
    pub(super) decommitted_pages: Vec<usize>,
    pub(super) page_holes: Holes,
    /// From this page on nothing was ever handed out ...
    pub(super) next_page: usize,
    /// ... and from this one on nothing was ever committed.
    pub(super) committed_pages: usize,
    /// Bytes of directories and ghosts.
    pub(super) table_bytes: usize,
    pub(super) next_lease: u64,
}

/// Bytes that a run of so many pages costs.
pub(super) fn run_bytes(pages: usize) -> usize {
    pages * RUN_PAGE_WORDS * WORD + BYTES_PER_RUN
}

impl State {
    /// A budget of which `fixed` bytes are spent already.
    pub(super) fn new(geometry: &Geometry, fixed: usize) -> State {
        State {
            max_bytes: geometry.opened_bytes,
            settled_bytes: geometry.opened_bytes,
            committed: match geometry.in_file {
                // The file is all that counts.
                true => 0,
                false => fixed + geometry.opened_segments * BYTES_PER_SEGMENT,
            },
            free: Vec::new(),
            limbo: Vec::new(),
            runs: BTreeMap::new(),
            run_pages: 0,
            decommitted: BTreeSet::new(),
            empty_pieces: BTreeSet::new(),
            holes: Holes::new(geometry.log_piece, geometry.segment_words()),
            next_in_piece: 0,
            next_single: geometry.segments_in_pieces,
            leased: 0,
            free_pages: Vec::new(),
            decommitted_pages: Vec::new(),
            page_holes: Holes::new(geometry.index_piece, PAGE_WORDS),
            next_page: 0,
            committed_pages: 0,
            table_bytes: 0,
            next_lease: 1,
        }
    }

    pub(super) fn available(&self, geometry: &Geometry) -> usize {
        let room =
            (self.max_bytes as usize).saturating_sub(self.committed) / geometry.segment_bytes();
        let piece = geometry.log_piece;
        let in_pieces =
            (room / piece * piece).min(geometry.segments_in_pieces - self.next_in_piece);
        let single = geometry.segments - self.next_single + self.given_back(geometry);
        self.free.len() + room.min(in_pieces + single)
    }

    /// Segments whose memory was given back.
    pub(super) fn given_back(&self, geometry: &Geometry) -> usize {
        self.decommitted.len() + self.empty_pieces.len() * geometry.log_piece
    }

    /// Segments that were ever committed.
    pub(super) fn ever_committed(&self, geometry: &Geometry) -> usize {
        self.next_in_piece + self.next_single - geometry.segments_in_pieces
    }

    pub(super) fn log_bytes(&self, geometry: &Geometry) -> usize {
        (self.ever_committed(geometry) - self.given_back(geometry)) * geometry.segment_bytes()
    }

    pub(super) fn take_segment(&mut self, geometry: &Geometry, log: &Region) -> Option<usize> {
        if let Some(segment) = self.free.pop() {
            return Some(segment);
        }
        // Whole pieces first: there a huge page can be had.
        if let Some(piece) = self.take_piece(geometry, log) {
            self.committed += piece.len() * geometry.segment_bytes();
            // Popped from the end: the lowest address first.
            self.free.extend(piece.rev());
            return self.free.pop();
        }
        if !self.fits(geometry.segment_bytes()) {
            return None;
        }
        if self.decommitted.is_empty() && self.next_single == geometry.segments {
            let first = self.empty_pieces.pop_first()?;
            self.decommitted.extend(first..first + geometry.log_piece);
        }
        let segment = match self.decommitted.pop_first() {
            Some(segment) => segment,
            None => {
                self.next_single += 1;
                self.next_single - 1
            }
        };
        self.holes.close(segment, log);
        self.committed += geometry.segment_bytes();
        Some(segment)
    }

    /// The segments of a piece of which nothing is committed, if the budget has room for all of it.
    pub(super) fn take_piece(&mut self, geometry: &Geometry, log: &Region) -> Option<Range<usize>> {
        let piece = geometry.log_piece.min(geometry.segments_in_pieces);
        if piece == 0 || !self.fits(piece * geometry.segment_bytes()) {
            return None;
        }
        if let Some(first) = self.empty_pieces.pop_first() {
            self.holes.close_all(first, log);
            return Some(first..first + piece);
        }
        let fresh =
            self.next_in_piece..(self.next_in_piece + piece).min(geometry.segments_in_pieces);
        self.next_in_piece = fresh.end;
        (!fresh.is_empty()).then_some(fresh)
    }

    pub(super) fn decommit_segment(&mut self, segment: usize, geometry: &Geometry, log: &Region) {
        self.committed -= geometry.segment_bytes();
        self.decommitted.insert(segment);
        if segment >= geometry.segments_in_pieces {
            return log.decommit(geometry.first_word(segment), geometry.segment_words());
        }
        if self.holes.open(segment, log) {
            let first = segment / geometry.log_piece * geometry.log_piece;
            for segment in first..first + geometry.log_piece {
                self.decommitted.remove(&segment);
            }
            self.empty_pieces.insert(first);
        }
    }

    /// Whether a number is that of a run.
    pub(super) fn is_run(&self, number: usize, geometry: &Geometry) -> bool {
        geometry.is_run(number) || geometry.in_file && self.runs.contains_key(&number)
    }

    /// The first of so many adjacent segments of a file that are free, or behind all that were ever leased.
    pub(super) fn lowest_gap(&self, count: usize, geometry: &Geometry) -> Option<usize> {
        let mut free = self.free.clone();
        free.sort_unstable();
        let mut free = free.into_iter().peekable();
        let (mut first, mut next) = (0, 0);
        for decommitted in self.decommitted.iter().copied().chain([self.next_single]) {
            while let Some(segment) = free.next_if(|segment| *segment < decommitted) {
                first = if segment == next { first } else { segment };
                next = segment + 1;
                if next - first == count {
                    return Some(first);
                }
            }
            first = if decommitted == next { first } else { decommitted };
            // What comes behind the last has no end but that of the addresses.
            next = decommitted + 1;
            if decommitted != self.next_single && next - first == count {
                return Some(first);
            }
        }
        (first + count <= geometry.segments).then_some(first)
    }

    /// Makes a run of a gap.
    pub(super) fn take_gap(&mut self, first: usize, count: usize, geometry: &Geometry) {
        let gap = first..first + count;
        let committed = self.free.len();
        self.free.retain(|segment| !gap.contains(segment));
        let committed = committed - self.free.len();
        for segment in gap {
            self.decommitted.remove(&segment);
        }
        self.next_single = self.next_single.max(first + count);
        self.committed += (count - committed) * geometry.segment_bytes();
        self.runs.insert(first, count);
        self.run_pages += count;
    }

    /// Ends a run of a file: its segments have no space any more.
    pub(super) fn end_run(&mut self, run: usize, geometry: &Geometry) {
        let Some(segments) = self.runs.remove(&run) else { return };
        self.run_pages -= segments;
        self.committed -= segments * geometry.segment_bytes();
        self.decommitted.extend(run..run + segments);
    }

    /// Keeps a committed segment for a later lease.
    pub(super) fn add_free(&mut self, segment: usize, geometry: &Geometry) {
        let place = match geometry.in_file {
            true => self.free.partition_point(|other| *other > segment),
            false => self.free.len(),
        };
        self.free.insert(place, segment);
    }

    /// The free segment that is best given back: in a file the highest.
    pub(super) fn spare_free(&mut self, geometry: &Geometry) -> Option<usize> {
        match geometry.in_file {
            true if !self.free.is_empty() => Some(self.free.remove(0)),
            _ => self.free.pop(),
        }
    }

    pub(super) fn leave_limbo(&mut self, segments: &Segments, geometry: &Geometry, log: &Region) {
        for i in (0..self.limbo.len()).rev() {
            if segments.unpinned(self.limbo[i]) {
                let number = self.limbo.swap_remove(i);
                match self.is_run(number, geometry) {
                    true => self.free_run(number, geometry, log),
                    false => self.add_free(number, geometry),
                }
            }
        }
    }

    /// The first page of the lowest gap between runs that holds `pages`.
    pub(super) fn first_gap(&self, pages: usize, geometry: &Geometry) -> Option<usize> {
        let mut end = 0;
        for (first, len) in &self.runs {
            if first - end >= pages {
                return Some(end);
            }
            end = first + len;
        }
        (geometry.run_pages - end >= pages).then_some(end)
    }

    pub(super) fn free_run(&mut self, run: usize, geometry: &Geometry, log: &Region) {
        if geometry.in_file {
            let segments = self.runs.get(&run).copied().unwrap_or(0);
            log.decommit(geometry.first_word(run), segments * geometry.segment_words());
            return self.end_run(run, geometry);
        }
        let first = run - geometry.segments;
        let Some(pages) = self.runs.remove(&first) else { return };
        log.decommit(geometry.first_word(run), pages * RUN_PAGE_WORDS);
        self.run_pages -= pages;
        self.committed -= run_bytes(pages);
    }

    /// Bytes of runs, leased or in limbo.
    pub(super) fn run_bytes(&self, geometry: &Geometry) -> usize {
        if geometry.in_file {
            return self.run_pages * geometry.segment_bytes();
        }
        self.run_pages * RUN_PAGE_WORDS * WORD + self.runs.len() * BYTES_PER_RUN
    }

    pub(super) fn take_page(&mut self, geometry: &Geometry, regions: Regions<'_>) -> Option<usize> {
        if let Some(page) = self.free_pages.pop() {
            return Some(page);
        }
        if self.next_page == self.committed_pages {
            let fresh = geometry.index_piece.min(geometry.pages - self.committed_pages);
            if fresh > 0 && self.commit(fresh * PAGE_BYTES, geometry, regions.log) {
                self.committed_pages += fresh;
            } else if !self.decommitted_pages.is_empty()
                && self.commit(SLOTS_BYTES, geometry, regions.log)
            {
                let page = self.decommitted_pages.pop()?;
                self.page_holes.close(page, regions.index_pages);
                return Some(page);
            } else {
                return None;
            }
        }
        self.next_page += 1;
        Some(self.next_page - 1)
    }

    /// Makes room for `bytes` by giving free pages back, if there are enough.
    pub(super) fn decommit_pages(&mut self, bytes: usize, pages: &Region) {
        let wanted = bytes.div_ceil(SLOTS_BYTES);
        if self.free_pages.len() < wanted {
            return;
        }
        for page in self.free_pages.drain(self.free_pages.len() - wanted..) {
            self.page_holes.open(page, pages);
            self.decommitted_pages.push(page);
            self.committed -= SLOTS_BYTES;
        }
    }

    /// Takes bytes from the budget, if need be from free segments, but never what reclaim needs for its survivors.
    pub(super) fn commit(&mut self, bytes: usize, geometry: &Geometry, log: &Region) -> bool {
        if geometry.in_file {
            return true;
        }
        while !self.fits(bytes) {
            if self.free.len() <= geometry.reserve {
                return false;
            }
            let Some(segment) = self.free.pop() else { return false };
            self.decommit_segment(segment, geometry, log);
        }
        self.committed += bytes;
        let reserved = self.available(geometry) >= geometry.reserve;
        if !reserved {
            self.committed -= bytes;
        }
        reserved
    }

    pub(super) fn fits(&self, bytes: usize) -> bool {
        (self.committed + bytes) as u64 <= self.max_bytes
    }
}
