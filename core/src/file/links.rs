//! Which links of a window count when a file is opened, and whether their runs are what was written.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file::cut::Kept;
use crate::file::large::Link;
use crate::file::mutant::{Mutant, is_on};
use crate::file::segment::Lease;
use crate::log::record::{Kind, Record};
use crate::log::segment::SEGMENT_HEADER_WORDS;

/// The runs in use that a file says it has, by their first segment.
pub(crate) type Runs = BTreeMap<usize, Lease>;

/// A link that counts and whose run is not whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Broken {
    /// The lease of the window's segment that holds it.
    pub(crate) lease: u64,
    /// Word of the log at which it begins.
    pub(crate) start: usize,
    /// The first segment of its run.
    pub(crate) run: u64,
}

/// What is to be done about a broken link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The window ends before it.
    Cut,
    /// Its key is gone.
    Gone,
}

impl Engine {
    /// Where the links lie that count in a window and whose runs are whole. `remedy` says what to do about one that counts and
    /// whose run is not; where it cuts, the window becomes shorter, and older links may count instead.
    pub(super) fn settle_links(
        &self,
        runs: &Runs,
        window: &mut Vec<Kept>,
        mut remedy: impl FnMut(Broken) -> Result<Remedy>,
    ) -> Result<HashSet<usize>> {
        'again: loop {
            let mut whole = HashSet::new();
            for (index, start) in self.links_that_count(window) {
                let link = Record::at(self.log.view(), start);
                if self.whole_run(runs, &link).is_some() {
                    whole.insert(start);
                    continue;
                }
                let run = Link::of(&link).map_or(0, |link| link.segment);
                let kept = window[index];
                if remedy(Broken { lease: kept.lease, start, run })? == Remedy::Cut {
                    window.truncate(index + 1);
                    let used = start - self.geometry.first_word(kept.segment);
                    window[index] = self.shortened(&kept, used);
                    continue 'again;
                }
            }
            return Ok(whole);
        }
    }

    /// The links that no later record of the window hides, in its order.
    fn links_that_count(&self, window: &[Kept]) -> Vec<(usize, usize)> {
        let mut links: HashMap<Vec<u8>, (usize, usize)> = HashMap::new();
        let mut key = Vec::new();
        for (index, kept) in window.iter().enumerate() {
            for record in self.records(*kept) {
                let kind = record.header.kind();
                if kind == Some(Kind::Clear) {
                    links.clear();
                    continue;
                }
                if !record.header.names_a_key() || kind != Some(Kind::Link) && links.is_empty() {
                    continue;
                }
                key.clear();
                record.copy_key(&mut key);
                match kind {
                    Some(Kind::Link) => drop(links.insert(key.clone(), (index, record.start))),
                    _ => drop(links.remove(&key)),
                }
            }
        }
        let mut links: Vec<_> = links.into_values().collect();
        links.sort_unstable();
        links
    }

    /// The record in a link's run, if that is whole.
    pub(crate) fn whole_run(&self, runs: &Runs, link: &Record<'_>) -> Option<Record<'_>> {
        let says = Link::of(link)?;
        let segment = usize::try_from(says.segment).ok()?;
        let lease = runs.get(&segment).filter(|lease| lease.number == says.lease)?;
        let start = self.geometry.first_word(segment) + SEGMENT_HEADER_WORDS;
        let room =
            usize::try_from(lease.run).ok()? * self.geometry.segment_words() - SEGMENT_HEADER_WORDS;
        if is_on(Mutant::UncheckedRuns) {
            let record = Record::at(self.log.view(), start);
            let fits = record.header.word() == says.header && record.header.extent() <= room;
            return fits.then_some(record);
        }
        let record = Record::whole(self.log.view(), start, room, says.lease)?;
        let (mut its_key, mut key) = (Vec::new(), Vec::new());
        record.copy_key(&mut its_key);
        link.copy_key(&mut key);
        let is_it = record.header.word() == says.header
            && record.check_word() == says.check
            && record.version() == link.version()
            && its_key == key
            && self.geometry.run_segments_of(record.header) == Some(lease.run as usize);
        is_it.then_some(record)
    }
}

/// The error for a large value that is not what was written, in a run that begins at this byte.
pub(crate) fn broken_value(offset: u64) -> Error {
    Error::corrupt("a large value is not what was written", offset)
}
