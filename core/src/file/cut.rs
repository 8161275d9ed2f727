//! Where the windows of a file end so that no frame is there in part.
//!
//! Each share of a frame begins with a record that says where the frame's next share ends. A window that has the one and
//! lacks the other is cut off before it, and whatever needed what was cut off now lacks it too:
//!
//! ```text
//! until no window changes: for each window, at the first share whose next one is lacking: cut
//! ```
//! What is left is the greatest cut through all windows that holds every frame whole or not at all. FORMAT.md argues that it
//! loses nothing that was promised.

use crate::engine::Engine;
use crate::file::mutant::{Mutant, is_on};
use crate::file::window::NextShare;
use crate::log::record::{Kind, Record};
use crate::log::segment::SEGMENT_HEADER_WORDS;

/// A segment that counts, or the beginning of one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kept {
    pub(super) segment: usize,
    pub(super) lease: u64,
    /// Words up to the end of the last record that counts.
    pub(super) used: usize,
    /// The greatest lease that its records say is out.
    pub(super) past: u64,
    /// Whether a share begins in it.
    pub(super) has_shares: bool,
}

/// The segments of one stripe that count, and what is known of those before.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Oldest first.
    pub(super) kept: Vec<Kept>,
    /// The greatest lease that their records say is out.
    pub(super) past: u64,
    /// All leases up to here are out, or durable as they were sealed.
    pub(super) known: u64,
    /// Of the segments of all leases up to here every frame is whole.
    pub(super) whole: u64,
}

/// A window that was cut off.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) stripe: usize,
    /// Segments that do not count any more.
    pub(super) void: Vec<usize>,
}

impl Kept {
    /// Takes in what a record says of leases and of frames.
    pub(super) fn learn(&mut self, record: &Record<'_>) {
        match record.header.kind() {
            Some(Kind::Milestone) => self.past = self.past.max(record.version()),
            // It begins a segment, and what was before is out.
            Some(Kind::Clear) => self.past = self.past.max(self.lease.saturating_sub(1)),
            Some(Kind::Share) => self.has_shares = true,
            _ => {}
        }
    }
}

impl Window {
    /// To be called when what is kept has changed.
    pub(super) fn count_past(&mut self) {
        self.past = self.kept.iter().map(|kept| kept.past).max().unwrap_or(0);
    }
}

impl Engine {
    /// Cuts windows off where a frame would be there in part.
    pub(super) fn cut_frames(&self, windows: &mut [Window]) -> Vec<Cut> {
        let mut cuts = Vec::new();
        if is_on(Mutant::PartOfFrame) {
            return cuts;
        }
        loop {
            let before = cuts.len();
            for stripe in 0..windows.len() {
                let Some((index, used)) = self.first_lacking(windows, stripe) else { continue };
                let kept = &mut windows[stripe].kept;
                let void = kept.drain(index + 1..).map(|kept| kept.segment).collect();
                kept[index] = self.shortened(&kept[index], used);
                windows[stripe].count_past();
                cuts.push(Cut { stripe, void });
            }
            if cuts.len() == before {
                return cuts;
            }
        }
    }

    /// Where the first share of a window lies whose next one is not there: an index, and words from the segment's first.
    fn first_lacking(&self, windows: &[Window], number: usize) -> Option<(usize, usize)> {
        let window = &windows[number];
        let first = window.kept.partition_point(|kept| kept.lease <= window.whole);
        let kept = window.kept[first..].iter().enumerate();
        kept.filter(|(_, kept)| kept.has_shares).find_map(|(index, kept)| {
            let start = self.geometry.first_word(kept.segment);
            self.records(*kept)
                .find(|record| {
                    NextShare::of(record).is_some_and(|next| !self.is_there(windows, next))
                })
                .map(|record| (first + index, record.start - start))
        })
    }

    /// Whether a share is there, or was and is out.
    fn is_there(&self, windows: &[Window], share: NextShare) -> bool {
        let Some(window) = windows.get(share.stripe) else { return false };
        match window.kept.binary_search_by_key(&share.lease, |kept| kept.lease) {
            Ok(at) => {
                let kept = &window.kept[at];
                share.end <= self.geometry.first_word(kept.segment) + kept.used
            }
            Err(_) => share.lease <= window.known.max(window.past),
        }
    }

    /// The beginning of a segment that was checked, so many words of it.
    pub(super) fn shortened(&self, kept: &Kept, used: usize) -> Kept {
        let mut shorter = Kept { used, past: 0, has_shares: false, ..*kept };
        for record in self.records(shorter) {
            shorter.learn(&record);
        }
        shorter
    }

    /// The records of a segment that was checked.
    pub(super) fn records(&self, kept: Kept) -> impl Iterator<Item = Record<'_>> {
        let first = self.geometry.first_word(kept.segment);
        let (mut next, end) = (first + SEGMENT_HEADER_WORDS, first + kept.used);
        std::iter::from_fn(move || {
            let record = (next < end).then(|| Record::at(self.log.view(), next))?;
            next += record.header.extent();
            Some(record)
        })
    }
}
