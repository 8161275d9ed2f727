//! Compares FORMAT.md's row of the page table with what the code writes.

use super::{Index, PAGE_TABLE_WORDS, PAGE_WORDS, Place, SLOTS_PER_BUCKET, Slot};
use crate::format::Layout;
use crate::geometry::Geometry;
use crate::hash::Hash;
use crate::options::Options;
use crate::region::WORD;
use crate::sync::Ordering;

/// A page in the middle, so that neither its row nor its slots begin at 0.
const PAGE: usize = 3;

#[test]
fn rows_are_those_of_the_document() {
    let row = Layout::read("Page-table row", PAGE_TABLE_WORDS * WORD);
    let info = Layout::read("Info word", 64);
    let index = Index::new(&Geometry::new(&Options::memory(1 << 20)).unwrap(), false).unwrap();
    let load = |field, word| {
        let (first, words) = row.words(field);
        assert!(word < words);
        index.table.view().load(PAGE * PAGE_TABLE_WORDS + first + word)
    };

    index.version(PAGE).store(6, Ordering::Relaxed);
    assert_eq!(load("version", 0), 6);

    index.wipe(PAGE, 21);
    index.set_info(PAGE, index.info(PAGE).with_inseparable());
    index.extend_chain(PAGE, 40);
    // Hash 0 has bucket 0 for its home; the entry lies two buckets further.
    let word = PAGE * PAGE_WORDS + 2 * SLOTS_PER_BUCKET;
    index.insert(Place::of_entry(PAGE, word), Hash(0), Slot::new(0, 9));
    let word = load("info", 0);
    assert_eq!(info.get(word, "entries"), 1);
    assert_eq!(info.get(word, "depth"), 21);
    assert_eq!(info.get(word, "inseparable"), 1);
    assert_eq!(info.get(word, "overflow"), 41);
    assert_eq!(info.get(word, "reserved"), 0);

    assert_eq!([0, 1, 2, 3].map(|word| load("passed", word)), [0x11, 0, 0, 0]);
    assert_eq!(row.words("passed").1, 4);
    // In the overflow page, an entry has passed every bucket of the first.
    index.insert(Place::of_entry(PAGE, 40 * PAGE_WORDS), Hash(0), Slot::new(0, 10));
    let ones = 0x1111_1111_1111_1111;
    assert_eq!([0, 1, 2, 3].map(|word| load("passed", word)), [ones + 0x11, ones, ones, ones]);
}
