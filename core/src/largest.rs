//! Which entries have the longest values: a walk over all of them, a page of the index at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::Result;
use crate::log::record::Record;
use crate::reader::expired;

/// A length in bytes and a key; the shortest is the first to go.
type Shortest = BinaryHeap<Reverse<(usize, Vec<u8>)>>;

impl Engine {
    /// The keys with the longest values, with their length in bytes, longest first.
    pub(crate) fn largest(&self, most: usize, moment: &Moment<'_>) -> Result<Vec<(Vec<u8>, u64)>> {
        let mut largest = Shortest::new();
        let mut next = (most > 0).then_some(0);
        while let Some(position) = next {
            let (stripe, bits) = self.hasher.scan_page(position);
            let writer = self.lock_stripe(stripe, moment)?;
            let directory = &self.stripes[stripe].directory;
            let page = directory.page_at(&self.index, directory.depth(), bits);
            writer.wake_page(page)?;
            self.note_largest(page, most, &mut largest, moment);
            next = self.hasher.scan_next_page(position, directory.local_depth(&self.index, page));
        }
        let named = |Reverse((len, key))| (key, len as u64);
        Ok(largest.into_sorted_vec().into_iter().map(named).collect())
    }

    /// Looks at the entries of a page and those behind it; under the stripe's lock.
    fn note_largest(&self, page: usize, most: usize, largest: &mut Shortest, moment: &Moment<'_>) {
        let log = self.log.view();
        self.index.entries(page).for_each(|(_, slot)| log.prefetch(slot.address()));
        for (_, slot) in self.index.entries(page) {
            let record = Record::at(log, slot.address());
            let len = record.header.value_len();
            let shortest = largest.peek().map_or(0, |Reverse((len, _))| *len);
            let counts = largest.len() < most || len > shortest;
            if counts && !expired(record.expiry(), moment) {
                let mut key = Vec::new();
                record.copy_key(&mut key);
                largest.push(Reverse((len, key)));
                if largest.len() > most {
                    largest.pop();
                }
            }
        }
    }
}
