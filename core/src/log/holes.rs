//! Holes in huge pages.
//!
//! Memory that is wanted in huge pages is committed a huge page at a time, and given back a segment or an index page at a
//! time. Where a part was given back, the system must not serve the next write with a huge page, nor fill the hole in
//! the background: it would commit what the budget does not count. So small pages are asked for before the first part
//! of a huge page goes, and a huge page again when nothing of it is missing.

use std::collections::BTreeMap;

use crate::region::Region;

/// How much is missing in which huge page of a region.
#[derive(Debug)]
pub(crate) struct Holes {
    /// Units of a huge page, each with memory of its own: segments, or index pages.
    units: usize,
    unit_words: usize,
    /// First unit of each huge page with holes, and their number.
    missing: BTreeMap<usize, usize>,
}

impl Holes {
    /// Of a region that is committed `units` units at a time; 1 if it has no huge pages.
    pub(crate) fn new(units: usize, unit_words: usize) -> Holes {
        Holes { units, unit_words, missing: BTreeMap::new() }
    }

    /// Gives the memory of a unit back. Whether nothing of its huge page is left.
    pub(crate) fn open(&mut self, unit: usize, region: &Region) -> bool {
        let first = self.first(unit);
        let missing = self.missing.entry(first).or_insert(0);
        *missing += 1;
        let (opened, empty) = (*missing == 1, *missing == self.units);
        if opened && self.units > 1 {
            region.prefer_huge(first * self.unit_words, self.units * self.unit_words, false);
        }
        region.decommit(unit * self.unit_words, self.unit_words);
        empty
    }

    /// The unit is to be committed again.
    pub(crate) fn close(&mut self, unit: usize, region: &Region) {
        let first = self.first(unit);
        let Some(missing) = self.missing.get_mut(&first) else { return };
        *missing -= 1;
        if *missing == 0 {
            self.close_all(first, region);
        }
    }

    /// All units of a huge page, of which this is the first, are to be committed again.
    pub(crate) fn close_all(&mut self, first: usize, region: &Region) {
        if self.missing.remove(&first).is_some() && self.units > 1 {
            region.prefer_huge(first * self.unit_words, self.units * self.unit_words, true);
        }
    }

    fn first(&self, unit: usize) -> usize {
        unit / self.units * self.units
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;
    use crate::geometry::{Geometry, HUGE_PAGE_BYTES};
    use crate::log::segment::Segments;
    use crate::log::space::{Purpose, Regions, Space};
    use crate::options::Options;
    use crate::region::WORD;
    use crate::storage::{Memory, Storage};
    use crate::sync::AtomicU64;

    const HUGE_WORDS: usize = HUGE_PAGE_BYTES / WORD;

    /// What the system was told: where it may commit by the huge page, and which ranges it was given back.
    #[derive(Debug, Default)]
    struct Told {
        huge: BTreeSet<usize>,
        given_back: BTreeSet<usize>,
    }

    #[derive(Debug)]
    struct Listener {
        memory: Memory,
        told: Arc<Mutex<Told>>,
    }

    impl Storage for Listener {
        fn base(&self) -> *const AtomicU64 {
            self.memory.base()
        }

        fn decommit(&self, first: usize, _words: usize) {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(!told.huge.contains(&(first / HUGE_WORDS)), "a hole in a huge page");
            assert!(told.given_back.insert(first), "word {first} was given back twice");
        }

        fn prefer_huge(&self, first: usize, words: usize, huge: bool) {
            assert_eq!((first % HUGE_WORDS, words), (0, HUGE_WORDS));
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if huge {
                assert!(told.huge.insert(first / HUGE_WORDS), "it is so already");
                told.given_back.retain(|word| word / HUGE_WORDS != first / HUGE_WORDS);
            } else {
                assert!(told.huge.remove(&(first / HUGE_WORDS)), "it is so already");
            }
        }
    }

    #[test]
    fn huge_pages_have_no_holes() {
        const MAX_BYTES: u64 = 64 << 20;
        let geometry = Geometry::new(&Options::memory(MAX_BYTES)).unwrap();
        assert!(geometry.log_piece > 1, "{geometry:?}");
        let words = geometry.log_words().next_power_of_two();
        let told = Arc::new(Mutex::new(Told::default()));
        told.lock().unwrap().huge.extend(0..geometry.segments_in_pieces / geometry.log_piece);
        let memory = Memory::reserve(words + geometry.record_words_max(), 0).unwrap();
        let listener = Listener { memory, told: Arc::clone(&told) };
        let log = Region::of_storage(Box::new(listener), words, geometry.record_words_max());
        let regions = Regions { log: &log, index_pages: &log };
        let space = Space::new(&geometry, 0);
        let segments = Segments::new(&geometry);
        let mut random = 1_u64;
        let mut leased = Vec::new();
        for step in 0_u64..20_000 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            // It fills and empties in turns, now with a small cap and now with a great one.
            let fills = step / 2_000 % 2 == 0;
            match random >> 60 {
                0 if step % 100 == 0 => {
                    space.set_max_bytes((MAX_BYTES / 4) << (random >> 40 & 3));
                    space.shrink(&segments, regions);
                }
                1 => drop(space.trim(&segments, &log)),
                0..8 if !fills => {}
                _ if fills => {
                    if let Some((segment, _)) = space.lease(Purpose::Survivors, &segments, regions)
                    {
                        // A lease may be of what was committed with the rest of its huge page.
                        told.lock().unwrap().given_back.remove(&geometry.first_word(segment));
                        leased.push(segment);
                    }
                }
                _ if leased.is_empty() => {}
                _ => {
                    let chosen = (random >> 20) as usize % leased.len();
                    space.give_back(leased.swap_remove(chosen), true, &log);
                }
            }
            let told = told.lock().unwrap();
            let hole =
                told.given_back.iter().find(|word| told.huge.contains(&(*word / HUGE_WORDS)));
            assert_eq!(hole, None, "step {step}");
        }
        assert!(told.lock().unwrap().given_back.len() > 50, "nothing was given back");
    }
}
