//! Compares the tables of FORMAT.md on the file with what the code writes.

use crate::file::check::{Place, RecordCheck, sum_of};
use crate::file::checkpoint::{self, Head, Listed, ListedRun, Row};
use crate::file::disk::{BootId, Disk, PAGE_BYTES};
use crate::file::fake::FakeDisk;
use crate::file::header::{self, HEADER_WORDS, HEADERS_BYTES, JOURNAL_BYTE, MAGIC, MainHeader};
use crate::file::large::Link;
use crate::file::segment::{self, Lease, SEGMENT_TRAILER_WORDS, Site, State};
use crate::file::window::{MILESTONE_WORDS, NextShare};
use crate::format::{DOCUMENT, Layout};
use crate::index::Slot;
use crate::log::record::Kind;
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::region::WORD;
use crate::sync::{AtomicU64, Ordering::Relaxed};

const HEADER: MainHeader = MainHeader {
    segment_bytes: 8192,
    stripes: 16,
    seed: 3,
    seed_proof: 4,
    boot: BootId(6 << 64 | 5),
    clean: false,
    unordered: true,
    versions: 7,
    leases: 18,
    durable_lease: 12,
    durable_len: HEADERS_BYTES,
    latest_ms: 9,
    checkpoint: 0,
    census: 0,
};

#[test]
fn areas_are_those_of_the_document() {
    let (_, section) = DOCUMENT.split_once("\n## The file\n").expect("the chapter");
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).take(5).collect();
    let headers = format!("| {PAGE_BYTES} | main header, copy 1 | {PAGE_BYTES} |");
    assert_eq!(rows[2], headers);
    assert_eq!(rows[3], format!("| {JOURNAL_BYTE} | journal | S |"));
    assert!(rows[4].starts_with(&format!("| {JOURNAL_BYTE} + S, rounded up to a page |")));
    assert_eq!(HEADER.first_segment(), JOURNAL_BYTE + HEADER.segment_bytes);
}

#[test]
fn main_headers_are_those_of_the_document() {
    let layout = Layout::read("Main header", HEADER_WORDS * WORD);
    let disk = FakeDisk::new(4 * PAGE_BYTES);
    header::create(&disk, &HEADER).unwrap();
    for copy in 0..2 {
        let disk: &dyn Disk = &disk;
        let words = disk.words(copy * PAGE_BYTES, PAGE_BYTES as usize / WORD).unwrap();
        let get = |field| words[layout.words(field).0].load(Relaxed);
        for (field, value) in [
            ("magic", MAGIC),
            ("major", header::MAJOR),
            ("minor", header::MINOR),
            ("page_bytes", PAGE_BYTES),
            ("segment_bytes", 8192),
            ("stripes", 16),
            ("seed", 3),
            ("seed_proof", 4),
            ("boot_id", 5),
            ("epoch", copy + 1),
            ("clean", 0),
            ("unordered", 1),
            ("versions", 7),
            ("leases", 18),
            ("durable_len", HEADERS_BYTES),
            ("latest_ms", 9),
            ("checkpoint", 0),
            ("census", 0),
            ("durable_lease", 12),
        ] {
            assert_eq!(get(field), value, "{field}");
        }
        let (boot, boot_words) = layout.words("boot_id");
        assert_eq!((words[boot + 1].load(Relaxed), boot_words), (6, 2));
        let (first, count) = layout.words("reserved");
        let zero = |words: &[AtomicU64]| words.iter().all(|word| word.load(Relaxed) == 0);
        assert!(zero(&words[first..first + count]) && zero(&words[HEADER_WORDS..]));
        let sum =
            words[..HEADER_WORDS - 1].iter().fold(0, |sum, word| sum_of(sum, [word.load(Relaxed)]));
        assert_eq!(get("check"), u64::from(sum) | u64::from(!sum) << 32);
    }
    let magic: Vec<String> = MAGIC.to_le_bytes().map(|byte| format!("{byte:02X}")).to_vec();
    assert!(DOCUMENT.contains(&format!("the bytes {} |", magic.join(" "))));
}

#[test]
fn segment_headers_are_those_of_the_document() {
    let layout = Layout::read("Segment header in a file", SEGMENT_HEADER_WORDS * WORD);
    let in_memory = Layout::read("Segment header", SEGMENT_HEADER_WORDS * WORD);
    for field in ["lease", "stripe", "leased_at"] {
        assert_eq!(layout.words(field), in_memory.words(field), "{field}");
    }
    assert_eq!(SEGMENT_TRAILER_WORDS, SEGMENT_HEADER_WORDS);
    let lease =
        Lease { number: 9, stripe: 2, leased_at_ms: 3, previous: 8, oldest: 5, durable: 6, run: 4 };
    let site = Site { address: 4096, seed: 77 };
    let check = Layout::read("Segment check word", 64);
    for (name, state, used) in [
        ("in use", State::InUse, 0),
        ("sealed", State::Sealed { used_words: 77 }, 77),
        ("freed", State::Freed, 0),
        ("discarded", State::Discarded, 0),
    ] {
        let words = segment::encode(&lease, state, site);
        for (field, value) in [
            ("lease", 9),
            ("stripe", 2),
            ("leased_at", 3),
            ("previous", 8),
            ("oldest", 5),
            ("durable", 6),
            ("run", 4),
        ] {
            assert_eq!(words[layout.words(field).0], value, "{field}");
        }
        let word = words[layout.words("check").0];
        assert_eq!(check.get(word, "used"), used);
        let sum =
            words[..7].iter().chain(&[4096, used, 77]).fold(0, |sum, word| sum_of(sum, [*word]));
        let constant = check.get(word, "sum") ^ u64::from(sum);
        assert!(DOCUMENT.contains(&format!("{name} `{constant:08X}`")), "{name} {constant:08X}");
    }
}

#[test]
fn checkpoints_are_those_of_the_document() {
    let layout = Layout::read("Checkpoint head", checkpoint::HEAD_WORDS * WORD);
    let head = Head { epoch: 2, census: 3, leases: 4, segments: 5, runs: 8, pages: 6, slots: 7 };
    let words = head.encode(&[8, 9]);
    for (field, value) in [
        ("magic", checkpoint::MAGIC),
        ("epoch", 2),
        ("census", 3),
        ("leases", 4),
        ("segments", 5),
        ("runs", 8),
        ("pages", 6),
        ("slots", 7),
    ] {
        assert_eq!(words[layout.words(field).0], value, "{field}");
    }
    let sum = words[..8].iter().chain(&[8, 9]).fold(0, |sum, word| sum_of(sum, [*word]));
    assert_eq!(words[layout.words("check").0], u64::from(sum) | u64::from(!sum) << 32);
    let magic: Vec<String> =
        checkpoint::MAGIC.to_le_bytes().map(|byte| format!("{byte:02X}")).to_vec();
    assert!(DOCUMENT.contains(&format!("the bytes {} |", magic.join(" "))));

    let stripe = checkpoint::STRIPE_WORDS * WORD;
    assert_eq!(Layout::read("Checkpoint stripe", stripe).words("pages"), (1, 1));

    let layout = Layout::read("Listed segment", checkpoint::SEGMENT_WORDS * WORD);
    let lifetimes = std::array::from_fn(|i| 20 + i as u32);
    let listed = Listed { segment: 10, live_words: 11, lease: 12, lifetimes };
    let words = listed.encode();
    assert_eq!((words[0], words[layout.words("lease").0]), (10 | 11 << 32, 12));
    let (first, count) = layout.words("lifetimes");
    assert_eq!((words[first], words[first + count - 1]), (20 | 21 << 32, 30 | 31 << 32));

    let layout = Layout::read("Listed run", checkpoint::RUN_WORDS * WORD);
    let words = ListedRun { segment: 1, link_words: 2, lease: 3, link: 4 }.encode();
    assert_eq!((words[0], words[layout.words("lease").0]), (1 | 2 << 32, 3));
    assert_eq!(words[layout.words("link").0], 4);

    let layout = Layout::read("Listed page", checkpoint::ROW_WORDS * 64);
    let row = Row { sum: 1, entries: 2, depth: 3, inseparable: true, continues: false, bits: 5 };
    let [word, bits] = row.encode();
    for (field, value) in
        [("sum", 1), ("entries", 2), ("depth", 3), ("inseparable", 1), ("continues", 0)]
    {
        assert_eq!(layout.get(word, field), value, "{field}");
    }
    assert_eq!(layout.words_of_bits("bits"), 64..128);
    assert_eq!(bits, 5);
    let slot = Slot::new(7, 9);
    let layout = Layout::read("Slot word", 64);
    assert_eq!((layout.get(slot.0, "used"), layout.get(slot.asleep().0, "used")), (1, 0));
}

#[test]
fn share_words_are_those_of_the_document() {
    let layout = Layout::read("Share word", 64);
    let next = NextShare { lease: 9, stripe: 255, end: (1 << 45) - 1 };
    let word = u64::from_le_bytes(next.key());
    for (field, value) in [("end", (1 << 45) - 1), ("reserved", 0), ("stripe", 255)] {
        assert_eq!(layout.get(word, field), value, "{field}");
    }
    for (kind, name) in [
        (Kind::Value, "is a value"),
        (Kind::Tombstone, "is a removal"),
        (Kind::Share, "begins a *share*"),
        (Kind::Milestone, "is a *milestone*"),
    ] {
        let says = DOCUMENT.to_lowercase().find(&format!("kind {} {name}", kind as u64));
        assert!(says.is_some(), "kind {} {name}", kind as u64);
    }
    assert!(MILESTONE_WORDS == 3 && DOCUMENT.contains("leave at least three words of it to one"));
}

#[test]
fn links_are_those_of_the_document() {
    let layout = Layout::read("Link", 4 * WORD);
    let link = Link { segment: 1, lease: 2, header: 3, check: 4 };
    let bytes = link.encode();
    let (words, rest) = bytes.as_chunks::<WORD>();
    assert!(rest.is_empty());
    for (field, value) in [("segment", 1), ("lease", 2), ("header", 3), ("check", 4)] {
        assert_eq!(u64::from_le_bytes(words[layout.words(field).0]), value, "{field}");
    }
    assert!(DOCUMENT.contains(&format!("A record of kind {} with the key", Kind::Link as u64)));
}

#[test]
fn record_checks_are_those_of_the_document() {
    let layout = Layout::read("Record check word", 64);
    let place = Place { address: 5, lease: 6 };
    let rest = [8, 9].map(AtomicU64::new);
    let word = RecordCheck::of(place, 1, 7, &rest).word();
    let header = sum_of(0, [1, 5, 6]);
    assert_eq!(layout.get(word, "header"), u64::from(header));
    assert_eq!(layout.get(word, "body"), u64::from(sum_of(header, [7, 8, 9])));
}
