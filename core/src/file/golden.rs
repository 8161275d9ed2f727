//! Files that were written once and are committed, below `core/tests/golden`: what they hold is served for as long as the major
//! version of the format stays, whatever becomes of the code that writes.
//!
//! Beside each `NAME.od`, the file as `od -A x -t x8 -w32` prints it, lies `NAME.txt`, what it serves: of each entry the key, the
//! version, the millisecond of its expiry (0 for never), and how often which text makes its value.
//!
//! `NYALA_GOLDEN=write cargo test -p nyala --lib golden` writes all of them anew, for a new major version.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::disk::{BootId, Disk, PAGE_BYTES};
use super::fake::{Dice, FakeDisk};
use crate::file::check::sum_of_words;
use crate::file::header::{self, HEADER_WORDS, MAJOR, MINOR, MainHeader};
use crate::file::segment::{Site, State, decode};
use crate::options::MIN_FILE_BYTES;
use crate::{Clock, Durability, Error, Options, SetOptions, Store, TimeToLive, Tuning, verify};

const SEGMENT: usize = 4096;
const RESERVED: u64 = 256 << 10;
/// The time at which the files were written, and that at which they are read.
const WRITTEN_MS: u64 = 2_000_000;
const READ_MS: u64 = 3_000_000;
/// The run of the system that wrote them, and another one.
const BOOTS: [BootId; 2] = [BootId(1), BootId(2)];
const WORDS_PER_LINE: usize = 4;

/// A file, how it came to be, and what is done with it.
struct Golden {
    name: &'static str,
    write: fn() -> Written,
    /// Whether it was closed, so that it is opened by its checkpoint.
    closed: bool,
}

const GOLDEN: [Golden; 8] = [
    Golden { name: "closed", write: closed, closed: true },
    Golden { name: "killed", write: killed, closed: false },
    Golden { name: "reclaimed", write: reclaimed, closed: false },
    Golden { name: "recovered", write: recovered, closed: false },
    Golden { name: "frames", write: frames, closed: false },
    Golden { name: "large", write: large, closed: false },
    Golden { name: "removed", write: removed, closed: false },
    Golden { name: "later_minor", write: later_minor, closed: true },
];
/// Of another major version: it is only refused.
const REFUSED: &str = "later_major";

#[derive(Debug)]
struct Fixed(u64);

impl Clock for Fixed {
    fn now_ms(&self) -> u64 {
        self.0
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    version: u64,
    expiry_ms: u64,
    value: Vec<u8>,
}

type Entries = BTreeMap<String, Entry>;

struct Written {
    bytes: Vec<u8>,
    entries: Entries,
}

fn options(now_ms: u64) -> Options {
    Options::file("golden").max_bytes(16 * SEGMENT as u64).clock(Arc::new(Fixed(now_ms)))
}

/// A store of which everything is fixed, and what it should hold.
struct Writer {
    disk: Arc<FakeDisk>,
    store: Option<Store>,
    options: Options,
    model: BTreeMap<String, Vec<u8>>,
}

impl Writer {
    fn new(stripes: usize, level: Durability) -> Writer {
        let tuning =
            Tuning { segment_bytes: SEGMENT, stripes, seed: Some(0x5EED), ..Tuning::default() };
        let mut writer = Writer {
            disk: Arc::new(FakeDisk::new(RESERVED)),
            store: None,
            options: options(WRITTEN_MS).tuning(tuning).durability(level),
            model: BTreeMap::new(),
        };
        writer.open();
        writer
    }

    fn open(&mut self) {
        self.store = Some(Store::open_on(self.disk.clone(), &self.options).unwrap());
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open")
    }

    fn set(&mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        let (key, value) = (key.into(), value.into());
        self.store().set(&key, &value).unwrap();
        self.model.insert(key, value);
    }

    fn set_for(&mut self, key: &str, value: &str, ttl_ms: u64) {
        let ttl = SetOptions::new().ttl(Duration::from_millis(ttl_ms));
        self.store().set_with(key, value, ttl).unwrap();
        self.model.remove(key);
        if WRITTEN_MS + ttl_ms > READ_MS {
            self.model.insert(key.into(), value.into());
        }
    }

    fn delete(&mut self, key: &str) {
        assert!(self.store().delete(key).unwrap());
        self.model.remove(key);
    }

    fn close(&mut self) {
        self.store.take().expect("it is open").close().unwrap();
    }

    /// The file as it is, without what lies behind the last segment that was written to.
    fn bytes(&self) -> Vec<u8> {
        trimmed(self.disk.process_image(None))
    }

    /// A file and what it must hold: the model, or what was there before.
    fn written(&self, bytes: Vec<u8>) -> Written {
        let entries = served(&open(&bytes, BOOTS[0]));
        let values = entries.iter().map(|(key, entry)| (key.clone(), entry.value.clone()));
        assert_eq!(values.collect::<BTreeMap<_, _>>(), self.model);
        Written { bytes, entries }
    }
}

fn trimmed(mut bytes: Vec<u8>) -> Vec<u8> {
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("a header") + 1;
    bytes.truncate(used.next_multiple_of(SEGMENT));
    bytes
}

fn header_of(bytes: &[u8]) -> MainHeader {
    header::read(&FakeDisk::with_image(bytes, RESERVED)).unwrap().unwrap().header
}

fn closed() -> Written {
    let mut writer = Writer::new(2, Durability::Process);
    for number in 0..24 {
        writer.set(format!("key-{number}"), format!("value-{number}"));
    }
    writer.set("large", vec![b'l'; 3 * SEGMENT / 2]);
    writer.set("empty", "");
    (0..24).step_by(5).for_each(|number| writer.delete(&format!("key-{number}")));
    (1..24).step_by(5).for_each(|number| writer.set(format!("key-{number}"), "changed"));
    writer.set_for("hour", "brief", 3_600_000);
    writer.set_for("minute", "gone", 60_000);
    writer.close();
    let bytes = writer.disk.process_image(None);
    assert!(header_of(&bytes).clean && header_of(&bytes).checkpoint != 0);
    writer.written(bytes)
}

/// In its second life, in the midst of a record.
fn killed() -> Written {
    let mut writer = Writer::new(2, Durability::Process);
    (0..12).for_each(|number| writer.set(format!("key-{number}"), "first"));
    writer.close();
    writer.open();
    (6..18).for_each(|number| writer.set(format!("key-{number}"), "second"));
    writer.delete("key-3");
    writer.disk.observe();
    writer.store().set("torn", "0123456789abcdef".repeat(4)).unwrap();
    let bytes = trimmed(writer.disk.process_image(Some(&mut Dice::new(1))));
    assert_ne!(bytes, writer.bytes(), "the last record is whole");
    assert!(!header_of(&bytes).clean);
    writer.written(bytes)
}

/// All segments were used more than once, under syncs.
fn reclaimed() -> Written {
    let mut writer = Writer::new(2, Durability::Sync);
    (0..6).for_each(|number| writer.set(format!("cold-{number}"), vec![b'c'; 100]));
    for turn in 0..100 {
        writer.set(format!("hot-{}", turn % 4), vec![b'a' + turn % 26; 1500]);
    }
    assert!(writer.store().stats().records_moved > 0);
    writer.written(writer.bytes())
}

/// A power cut took the end of what was written, a recovery gave up what lay behind the hole, and the store went on.
fn recovered() -> Written {
    let before = |writer: &mut Writer| {
        (0..6).for_each(|number| writer.set(format!("durable-{number}"), "1"));
        writer.store().sync().unwrap();
        for number in 0..12 {
            let key = format!("lost-{number}");
            writer.store().set(key, vec![b'l'; 1000]).unwrap();
        }
    };
    for seed in 0..1000 {
        let mut writer = Writer::new(1, Durability::Interval(Duration::from_secs(3600)));
        before(&mut writer);
        let image = writer.disk.crash_image(&mut Dice::new(seed));
        let mut writer =
            Writer { disk: Arc::new(FakeDisk::with_image(&image, RESERVED)), ..writer };
        writer.disk.set_boot(BOOTS[1]);
        writer.open();
        let marks = trimmed(writer.disk.process_image(None));
        if !has_discarded(&marks) {
            continue;
        }
        for (key, entry) in served(writer.store()) {
            writer.model.insert(key, entry.value);
        }
        writer.set("after", "2");
        // The run of the system that reads is the one that wrote.
        let store = writer.store.take().expect("it is open");
        writer.disk.set_boot(BOOTS[0]);
        let bytes = writer.bytes();
        drop(store);
        return writer.written(bytes);
    }
    panic!("no power cut left a hole with anything behind it");
}

fn has_discarded(bytes: &[u8]) -> bool {
    let (MainHeader { seed, .. }, first) =
        (header_of(bytes), header_of(bytes).first_segment() as usize);
    bytes[first..].chunks(SEGMENT).enumerate().any(|(number, segment)| {
        let (words, _) = segment.as_chunks();
        let words = std::array::from_fn(|word| u64::from_le_bytes(words[word]));
        let site = Site { address: (number * SEGMENT / 8) as u64, seed };
        matches!(decode(&words, site, 1, SEGMENT / 8), Some((_, State::Discarded)))
    })
}

/// The process died in the midst of a frame.
fn frames() -> Written {
    let keys = |name: &str| (0..6).map(|number| format!("{name}-{number}")).collect::<Vec<_>>();
    let mut best: Option<(usize, Written)> = None;
    for seed in 0..40 {
        let mut writer = Writer::new(2, Durability::Process);
        for name in ["first", "second"] {
            let pairs: Vec<_> = keys(name).into_iter().map(|key| (key, name)).collect();
            writer.store().set_many_atomic(&pairs).unwrap();
            writer.model.extend(pairs.into_iter().map(|(key, value)| (key, value.into())));
        }
        writer.set("first-0", "alone");
        writer.disk.observe();
        writer.disk.photograph_records(seed);
        let lost: Vec<_> =
            keys("lost").into_iter().chain(keys("first")).map(|key| (key, "lost")).collect();
        writer.store().set_many_atomic(&lost).unwrap();
        for image in FakeDisk::take_records() {
            let bytes = trimmed(image);
            let stored = bytes.iter().filter(|byte| **byte != 0).count();
            let is_lost = open(&bytes, BOOTS[0]).get("lost-0").unwrap().is_none();
            if is_lost && best.as_ref().is_none_or(|(most, _)| stored > *most) {
                best = Some((stored, writer.written(bytes)));
            }
        }
    }
    best.expect("a frame in part").1
}

/// Values in runs: whole, removed, replaced by a small one, by another run, and in a segment that was a run's.
fn large() -> Written {
    let mut writer = Writer::new(1, Durability::Process);
    for (key, segments) in [("whole", 3), ("removed", 1), ("small", 2), ("longer", 1)] {
        writer.set(key, key[..1].repeat(segments * SEGMENT - 500));
    }
    writer.delete("removed");
    writer.set("small", "1");
    writer.set("longer", "m".repeat(2 * SEGMENT));
    for number in 0..4 {
        writer.set(format!("beside-{number}"), vec![b'b'; 1800]);
    }
    let stats = writer.store().stats();
    assert_eq!(stats.runs, 2);
    writer.written(writer.bytes())
}

/// Nothing of what was cleared, removed or has expired comes back, whatever older values the file holds.
fn removed() -> Written {
    let mut writer = Writer::new(1, Durability::Process);
    (0..8).for_each(|number| writer.set(format!("cleared-{number}"), "1"));
    writer.store().clear().unwrap();
    writer.model.clear();
    (0..4).for_each(|number| writer.set(format!("key-{number}"), "2"));
    writer.set("cleared-0", "written again");
    writer.delete("key-1");
    writer.delete("key-2");
    writer.set("key-2", "3");
    // An older value lies below each of them.
    writer.set_for("key-3", "brief", 1000);
    writer.set("longer", "4");
    assert!(writer.store().expire("longer", Duration::from_secs(3600)).unwrap());
    writer.set("persisted", "5");
    assert!(writer.store().expire("persisted", Duration::from_secs(1)).unwrap());
    assert!(writer.store().persist("persisted").unwrap());
    writer.written(writer.bytes())
}

/// The file of `closed` as a later version of the library might write it.
fn later_minor() -> Written {
    let Written { bytes, entries } = closed();
    let bytes = with_header_words(bytes, |words| {
        words[2] = MINOR + 7;
        // Reserved in this version.
        words[30] = 0xDEAD_BEEF;
    });
    Written { bytes, entries }
}

fn later_major() -> Vec<u8> {
    with_header_words(closed().bytes, |words| words[1] = MAJOR + 1)
}

/// Changes both main headers, with sums that are right.
fn with_header_words(mut bytes: Vec<u8>, change: fn(&mut [u64])) -> Vec<u8> {
    for page in bytes.chunks_mut(PAGE_BYTES as usize).take(2) {
        let (words, _) = page.as_chunks_mut();
        let mut changed: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        change(&mut changed);
        let sum = sum_of_words(0, &changed[..HEADER_WORDS - 1]);
        changed[HEADER_WORDS - 1] = u64::from(sum) | u64::from(!sum) << 32;
        words.iter_mut().zip(changed).for_each(|(word, new)| *word = new.to_le_bytes());
    }
    bytes
}

fn open(bytes: &[u8], boot: BootId) -> Store {
    let disk = Arc::new(FakeDisk::with_image(bytes, RESERVED));
    disk.set_boot(boot);
    Store::open_on(disk, &options(READ_MS)).unwrap()
}

/// All entries, found by a walk, and each one again by its key.
fn served(store: &Store) -> Entries {
    let mut cursor = store.scan("").unwrap();
    let mut entries = Entries::new();
    while let Some(batch) = cursor.next_batch(1000).unwrap() {
        for (key, value) in batch {
            let (found, version) = store.get_versioned(&key).unwrap().expect("it was found");
            assert_eq!(found, value);
            let expiry_ms = match store.ttl(&key).unwrap().expect("it was found") {
                TimeToLive::Remaining(left) => READ_MS + u64::try_from(left.as_millis()).unwrap(),
                _ => 0,
            };
            let entry = Entry { version: version.get(), expiry_ms, value };
            entries.insert(String::from_utf8(key).unwrap(), entry);
        }
    }
    entries
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(name: &str, ending: &str) -> String {
    let path = folder().join(format!("{name}.{ending}"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `od -A x -t x8 -w32` prints: a line that is as the one before becomes `*`, with all that follow it.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (words, []) = bytes.as_chunks() else { panic!("no whole words") };
    let mut before = None;
    let mut starred = false;
    for (number, line) in words.chunks(WORDS_PER_LINE).enumerate() {
        if before == Some(line) && line.len() == WORDS_PER_LINE {
            if !starred {
                text.push_str("*\n");
            }
            starred = true;
            continue;
        }
        (before, starred) = (Some(line), false);
        write!(text, "{:06x}", number * WORDS_PER_LINE * 8).unwrap();
        for word in line {
            write!(text, " {:016x}", u64::from_le_bytes(*word)).unwrap();
        }
        text.push('\n');
    }
    writeln!(text, "{:06x}", bytes.len()).unwrap();
    text
}

fn undump(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    for (offset, words) in text.lines().filter(|line| *line != "*").map(|line| line.split_at(6)) {
        let offset = usize::from_str_radix(offset, 16).expect("an offset");
        while bytes.len() < offset {
            bytes.extend_from_slice(&line);
        }
        assert_eq!(bytes.len(), offset);
        let words = words.split_whitespace().map(|word| u64::from_str_radix(word, 16).unwrap());
        line = words.flat_map(u64::to_le_bytes).collect();
        bytes.extend_from_slice(&line);
    }
    bytes
}

fn list(entries: &Entries) -> String {
    let mut text = String::new();
    for (key, Entry { version, expiry_ms, value }) in entries {
        let value = std::str::from_utf8(value).expect("text");
        let (times, value) = match value.bytes().collect::<BTreeSet<_>>().len() {
            0 => (0, "-"),
            1 => (value.len(), &value[..1]),
            _ => (1, value),
        };
        writeln!(text, "{key} {version} {expiry_ms} {times} {value}").unwrap();
    }
    text
}

fn unlist(text: &str) -> Entries {
    let entry = |line: &str| {
        let fields: Vec<&str> = line.splitn(5, ' ').collect();
        let [key, version, expiry, times, value] = fields[..] else { panic!("{line}") };
        let (version, expiry_ms) = (version.parse().unwrap(), expiry.parse().unwrap());
        let value = value.repeat(times.parse().unwrap()).into_bytes();
        (key.to_owned(), Entry { version, expiry_ms, value })
    };
    text.lines().map(entry).collect()
}

#[test]
fn what_od_prints_is_read_again() {
    let mut bytes = vec![7; 32 * 9];
    bytes.extend_from_slice(&[0; 96]);
    bytes.extend_from_slice(&(0..40).collect::<Vec<u8>>());
    let text = dump(&bytes);
    assert_eq!(undump(&text), bytes);
    assert_eq!(text.lines().filter(|line| *line == "*").count(), 2, "{text}");
}

/// All of them, in one test: written and read in turn if they are to be written.
#[test]
fn files_of_this_major_version_are_served_and_others_refused() {
    if std::env::var("NYALA_GOLDEN").is_ok_and(|what| what == "write") {
        fs::create_dir_all(folder()).unwrap();
        let write = |name, ending, text| {
            fs::write(folder().join(format!("{name}.{ending}")), text).unwrap();
        };
        for golden in &GOLDEN {
            let Written { bytes, entries } = (golden.write)();
            write(golden.name, "od", dump(&bytes));
            write(golden.name, "txt", list(&entries));
        }
        write(REFUSED, "od", dump(&later_major()));
    }
    for golden in &GOLDEN {
        let (bytes, entries) =
            (undump(&read(golden.name, "od")), unlist(&read(golden.name, "txt")));
        assert!(!entries.is_empty(), "{}", golden.name);
        let header = header_of(&bytes);
        assert_eq!((header.clean, header.checkpoint != 0), (golden.closed, golden.closed));
        for boot in BOOTS {
            serves(golden.name, &bytes, &entries, boot);
        }
        serves_from_a_real_file(golden.name, &bytes, &entries);
    }
    refuses_another_major_version();
}

/// As long as the file is only read, when it is written to, and when it is opened again.
fn serves(name: &str, bytes: &[u8], entries: &Entries, boot: BootId) {
    let mut entries = entries.clone();
    let disk = Arc::new(FakeDisk::with_image(bytes, RESERVED));
    disk.set_boot(boot);
    for life in 0..3 {
        let place = format!("{name}, {boot:?}, life {life}");
        let store = Store::open_on(disk.clone(), &options(READ_MS)).expect(&place);
        assert_eq!(served(&store), entries, "{place}");
        store.validate().expect(&place);
        let key = entries.keys().next().expect("an entry").clone();
        assert!(store.delete(&key).unwrap());
        entries.remove(&key);
        store.set("new", "1").unwrap();
        let version = store.get_versioned("new").unwrap().unwrap().1.get();
        let greatest = entries.values().map(|entry| entry.version).max().unwrap_or(0);
        assert!(version > greatest, "{place}: version {version} after {greatest}");
        entries.insert("new".into(), Entry { version, expiry_ms: 0, value: b"1".to_vec() });
        store.close().expect(&place);
    }
}

/// By everybody who opens files: nothing of what the tests tune is needed.
fn serves_from_a_real_file(name: &str, bytes: &[u8], entries: &Entries) {
    let folder = std::env::temp_dir().join(format!("nyala-golden-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    let options = || Options::file(&path).max_bytes(MIN_FILE_BYTES).clock(Arc::new(Fixed(READ_MS)));
    let report = verify(&path).expect(name);
    assert!(report.entries >= entries.len() as u64, "{name}: {report:?}");
    assert_eq!(served(&Store::open(options().read_only()).expect(name)), *entries, "{name}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "{name} was changed by who reads it");
    assert_eq!(served(&Store::open(options()).expect(name)), *entries, "{name}");
    // Closed now, by this version.
    let header = header_of(&fs::read(&path).unwrap());
    assert!(header.clean, "{name}");
    assert_eq!(served(&Store::open(options().read_only()).expect(name)), *entries, "{name}");
    fs::remove_dir_all(&folder).unwrap();
}

/// And left as it is.
fn refuses_another_major_version() {
    let bytes = undump(&read(REFUSED, "od"));
    let disk = Arc::new(FakeDisk::with_image(&bytes, RESERVED));
    let error = Store::open_on(disk.clone(), &options(READ_MS)).unwrap_err();
    let refused =
        matches!(error, Error::Version { found, supported: MAJOR, .. } if found == MAJOR + 1);
    assert!(refused && error.path() == Some(disk.path()), "{error:?}");
    assert_eq!(disk.process_image(None), bytes);
    assert_eq!(Disk::len(&*disk), Ok(bytes.len() as u64));
}
