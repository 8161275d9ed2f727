//! Compares the tables of FORMAT.md with what the code writes: fields are found in written words at the bits and bytes
//! that the document names.

use std::collections::HashMap;

use crate::engine::Engine;
use crate::file::progress::Meter;
use crate::hash::{Hash, KeyHasher, MAX_DEPTH, MAX_STRIPES};
use crate::index::{BUCKETS_PER_PAGE, PAGE_TABLE_WORDS, PAGE_WORDS, Slot};
use crate::log::record::{Header, MAX_KEY_LEN, MAX_SLACK, MAX_VALUE_LEN, Record};
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::options::{Options, Tuning};
use crate::region::{Region, WORD};
use crate::update::{Change, NewValue};

pub(crate) const DOCUMENT: &str = include_str!("../../FORMAT.md");

/// The fields of one table: first and last bit, or byte.
pub(crate) struct Layout(HashMap<&'static str, (usize, usize)>);

impl Layout {
    /// Reads the table under a heading and checks that its fields fill `size` bits or bytes one behind the other.
    pub(crate) fn read(heading: &str, size: usize) -> Layout {
        let title = format!("\n## {heading}\n");
        let (_, section) = DOCUMENT.split_once(&title).expect(heading);
        let section = section.split("\n## ").next().expect(heading);
        let mut fields = HashMap::new();
        let mut next = 0;
        for row in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
            let mut cells = row.split('|').skip(1).map(str::trim);
            let range = cells.next().expect(row);
            let (first, last) = range.split_once(" to ").unwrap_or((range, range));
            let (first, last) = (first.parse().expect(row), last.parse().expect(row));
            assert_eq!(first, next, "{heading}: {row}");
            next = last + 1;
            fields.insert(cells.next().expect(row), (first, last));
        }
        assert_eq!(next, size, "{heading}");
        Layout(fields)
    }

    /// The bits of a field in a word.
    pub(crate) fn mask(&self, field: &str) -> u64 {
        let (first, last) = self.0[field];
        u64::MAX >> (63 - last) & u64::MAX << first
    }

    /// The number that a field of a word holds.
    pub(crate) fn get(&self, word: u64, field: &str) -> u64 {
        (word & self.mask(field)) >> self.0[field].0
    }

    /// The bits of a field of more than one word.
    pub(crate) fn words_of_bits(&self, field: &str) -> std::ops::Range<usize> {
        let (first, last) = self.0[field];
        first..last + 1
    }

    /// The word in which a field of bytes begins, and how many words it has.
    pub(crate) fn words(&self, field: &str) -> (usize, usize) {
        let (first, last) = self.0[field];
        assert!(first % WORD == 0 && (last + 1) % WORD == 0, "{field}");
        (first / WORD, (last + 1 - first) / WORD)
    }
}

#[test]
fn sizes_are_those_of_the_document() {
    for (region, unit) in [
        ("| pages |", format!("{PAGE_WORDS} words")),
        ("| page table |", format!("{PAGE_TABLE_WORDS} words")),
    ] {
        let row = DOCUMENT.lines().find(|line| line.starts_with(region)).expect(region);
        assert!(row.contains(&unit), "{row}");
    }
}

#[test]
fn record_headers_are_those_of_the_document() {
    let layout = Layout::read("Record header word", 64);
    let region = Region::anonymous(64, 64, 0).unwrap();
    let log = region.view();
    for (key_len, value_len, expires, slack) in [
        (1, 0, false, 0),
        (MAX_KEY_LEN, 0, false, 0),
        (1, MAX_VALUE_LEN, false, 0),
        (1, 0, true, 0),
        (1, 0, false, MAX_SLACK),
        (MAX_KEY_LEN, MAX_VALUE_LEN, true, MAX_SLACK),
    ] {
        let bare = Header::new(key_len, value_len, expires);
        let header = bare.with_extent(bare.words() + slack);
        // The bytes are not those of the header: only its word is looked at.
        Record::with_header(log, 8, header).write(2, 0, b"", b"");
        let word = log.load(8);
        assert_eq!(layout.get(word, "key_len"), key_len as u64);
        assert_eq!(layout.get(word, "value_len"), value_len as u64);
        assert_eq!(layout.get(word, "slack"), slack as u64);
        assert_eq!(layout.get(word, "kind"), 1);
        assert_eq!(layout.get(word, "expires"), u64::from(expires));
        assert_eq!(layout.get(word, "reserved"), 0);
        let bytes = (key_len + value_len).div_ceil(WORD);
        assert_eq!(header.extent(), 2 + usize::from(expires) + bytes + slack);
    }
    assert_eq!(layout.get(u64::MAX, "key_len"), MAX_KEY_LEN as u64);
    assert_eq!(layout.get(u64::MAX, "value_len"), MAX_VALUE_LEN as u64);
    assert_eq!(layout.get(u64::MAX, "slack"), MAX_SLACK as u64);
}

#[test]
fn records_are_packed_as_the_document_says() {
    let region = Region::anonymous(64, 64, 0).unwrap();
    let log = region.view();
    for expires in [false, true] {
        let header = Header::new(9, 4, expires);
        Record::with_header(log, 8, header).write(
            18,
            if expires { 77 } else { 0 },
            b"key bytes",
            b"four",
        );
        assert_eq!(log.load(9), 18);
        let key = if expires { 11 } else { 10 };
        assert!(!expires || Layout::read("Expiry word", 64).get(log.load(10), "expiry") == 77);
        let words = [log.load(key), log.load(key + 1)].map(u64::to_le_bytes);
        assert_eq!(words.as_flattened(), b"key bytesfour\0\0\0");
    }
}

#[test]
fn segments_and_versions_are_those_of_the_document() {
    let tuning = Tuning { stripes: 2, seed: Some(1), ..Tuning::default() };
    let engine = Engine::open(&Options::memory(1 << 20).tuning(tuning), &Meter::default()).unwrap();
    let header = Layout::read("Segment header", SEGMENT_HEADER_WORDS * WORD);
    let version = Layout::read("Version word", 64);
    let mut leases = [0; 2];
    for key in 0..64_u64 {
        let key = key.to_le_bytes();
        let change = Change::Store(NewValue::Bytes(b"value"), 0);
        let (_, written) = engine.update(&key, |_, _| Ok((change, ()))).unwrap();
        let word = written.unwrap().get();
        let hash = engine.hasher.hash(&key);
        let stripe = engine.hasher.stripe(hash);
        assert_eq!(version.get(word, "busy"), 0);
        assert_eq!(version.get(word, "stripe"), stripe as u64);
        assert!((1..=64).contains(&version.get(word, "writes")));
        assert_eq!(version.get(u64::MAX, "stripe"), MAX_STRIPES as u64 - 1);

        let place = engine
            .read(hash, &key, &engine.moment(), |entry: crate::reader::Entry<'_>| entry.place);
        let (segment, byte) = place.unwrap().flatten().unwrap();
        let first = segment << engine.geometry.segment_shift;
        assert!(byte >= (first + SEGMENT_HEADER_WORDS) * WORD);
        let load = |field| engine.log.view().load(first + header.words(field).0);
        assert_eq!(load("stripe"), stripe as u64);
        leases[stripe] = load("lease");
    }
    leases.sort_unstable();
    assert_eq!(leases, [1, 2]);
}

#[test]
fn slots_are_those_of_the_document() {
    let layout = Layout::read("Slot word", 64);
    let (tag, address) = (layout.get(u64::MAX, "tag"), layout.get(u64::MAX, "address"));
    let slot = Slot::new(tag, address as usize);
    assert_eq!(slot.0, !layout.mask("note"));
    assert_eq!((slot.tag(), slot.address()), (tag, address as usize));
    let noted = slot.with_note(layout.get(u64::MAX, "note"));
    assert_eq!((noted.0, noted.note()), (u64::MAX, layout.get(u64::MAX, "note")));
    assert_eq!(layout.get(Slot::new(1, 5).with_frequency(2).0, "note"), 2);
    assert!(slot.0 & layout.mask("used") != 0);
    assert!(Slot(!layout.mask("tag")).is_empty() && Slot::EMPTY.is_empty());
}

#[test]
fn hashes_are_those_of_the_document() {
    let layout = Layout::read("Hash", 64);
    let hasher = KeyHasher::new(Some(1), 0, MAX_STRIPES);
    let fields = |hash: Hash| {
        let (directory, bucket) = (hash.directory(MAX_DEPTH), hash.bucket() as u64);
        [directory, hasher.stripe(hash) as u64, bucket, hash.tag() / BUCKETS_PER_PAGE as u64]
    };
    let all = fields(Hash(u64::MAX));
    assert_eq!(all[2], BUCKETS_PER_PAGE as u64 - 1);
    assert_eq!(fields(Hash(layout.mask("unused"))), [0; 4]);
    for (i, name) in ["directory", "stripe", "bucket", "rest"].into_iter().enumerate() {
        assert_eq!(all[i], layout.get(u64::MAX, name), "{name}");
        let mut only = [0; 4];
        only[i] = all[i];
        assert_eq!(fields(Hash(layout.mask(name))), only, "{name}");
    }
}
