//! Files that were closed and are opened by their checkpoints, true ones, damaged ones, and ones that somebody made up.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::error::Error;
use crate::file::disk::BootId;
use crate::file::fake::{Dice, Effect, Failure, FakeDisk};
use crate::file::header;
use crate::options::Access;
use crate::{Durability, Eviction, Options, SetOptions, Store, Tuning};

const RESERVED: u64 = 320 << 10;
const SEGMENT: usize = 2048;
const MAX_BYTES: u64 = 60 * SEGMENT as u64;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn options(stripes: usize, hash_drop: u64) -> Options {
    let tuning = Tuning { segment_bytes: SEGMENT, stripes, seed: Some(3), hash_drop };
    Options::file("fake").max_bytes(MAX_BYTES).tuning(tuning)
}

fn key(number: usize) -> Vec<u8> {
    format!("{number}").into_bytes()
}

fn disk_of(image: &[u8]) -> Arc<FakeDisk> {
    Arc::new(FakeDisk::with_image(image, RESERVED))
}

fn open(image: &[u8], options: &Options) -> Result<Store> {
    Store::open_on(disk_of(image), options)
}

/// Whether any segment was not read when the store was opened.
fn by_checkpoint(store: &Store) -> bool {
    let engine = store.engine();
    let moment = engine.moment();
    let unread = |number| !engine.lock_stripe(number, &moment).unwrap().state.unread.is_empty();
    (0..engine.stripes.len()).any(unread)
}

/// A file with so many entries, some of them written more than once, and a few of them large, that was closed.
fn closed(entries: usize, options: &Options) -> (Vec<u8>, Model) {
    let disk = Arc::new(FakeDisk::new(RESERVED));
    let store = Store::open_on(disk.clone(), options).unwrap();
    let mut model = Model::new();
    for number in (0..entries).chain((0..entries).step_by(7)) {
        let len = if number % 400 == 5 { SEGMENT / 2 + 100 + number } else { number % 5 };
        let value = vec![number as u8; len];
        store.set(key(number), &value).unwrap();
        model.insert(key(number), value);
    }
    for number in (0..entries).step_by(11) {
        assert!(store.delete(key(number)).unwrap());
        model.remove(&key(number));
    }
    drop(store);
    (disk.process_image(None), model)
}

fn holds(store: &Store, model: &Model) {
    assert_eq!(store.len(), model.len() as u64);
    for (key, value) in model {
        assert_eq!(store.get(key).unwrap().as_ref(), Some(value));
    }
    assert_eq!(store.get("nobody").unwrap(), None);
}

/// Stripes, dropped bits of the hash, entries: one page, many pages, and chains of pages that nothing tells apart.
const SHAPES: [(usize, u64, usize); 4] =
    [(1, 0, 200), (4, 0, 1600), (1, 0, 1600), (1, (1 << 34) - 1, 1300)];

#[test]
fn closed_files_are_opened_by_their_checkpoints_again_and_again() {
    for (stripes, hash_drop, entries) in SHAPES {
        let options = options(stripes, hash_drop);
        let (mut image, model) = closed(entries, &options);
        for round in 0..4 {
            let disk = disk_of(&image);
            let store = Store::open_on(disk.clone(), &options).unwrap();
            assert!(by_checkpoint(&store), "{entries} entries in {stripes} stripes");
            match round {
                // Once asleep from one closing to the next.
                0 => {}
                1 => holds(&store, &model),
                2 => store.validate().unwrap(),
                _ => {
                    store.validate().unwrap();
                    holds(&store, &model);
                }
            }
            drop(store);
            image = disk.process_image(None);
        }
    }
}

#[test]
fn every_operation_may_be_the_first_on_a_page() {
    let options = options(2, 0);
    let (image, model) = closed(1500, &options);
    let first = |operation: &dyn Fn(&Store)| {
        let disk = disk_of(&image);
        let store = Store::open_on(disk.clone(), &options).unwrap();
        assert!(by_checkpoint(&store));
        operation(&store);
        store.validate().unwrap();
        drop(store);
        // Closed and opened once more, it says the same.
        let again = Store::open_on(disk, &options).unwrap();
        again.validate().unwrap();
        again
    };
    let there = key(1);
    let value = &model[&there];
    first(&|store| assert_eq!(store.get(&there).unwrap().as_ref(), Some(value)));
    first(&|store| assert_eq!(store.get("nobody").unwrap(), None));
    first(&|store| assert_eq!(&*store.pin(&there).unwrap().unwrap(), &value[..]));
    first(&|store| {
        let keys: Vec<_> = model.keys().collect();
        store
            .get_many(&keys, |i, value| assert_eq!(value, model.get(keys[i]).map(|v| &v[..])))
            .unwrap();
    });
    let again = first(&|store| store.set(&there, "other").unwrap());
    assert_eq!(again.get(&there).unwrap().as_deref(), Some(&b"other"[..]));
    assert_eq!(again.len(), model.len() as u64);
    let frame = || [(&there[..], "1"), (b"fresh", "2"), (&there[..], "3")];
    let again = first(&|store| store.set_many_atomic(&frame()).unwrap());
    assert_eq!(again.get(&there).unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(again.len(), model.len() as u64 + 1);
    let again = first(&|store| store.set("fresh", "1").unwrap());
    assert_eq!(again.len(), model.len() as u64 + 1);
    let again = first(&|store| {
        assert!(!store.delete("nobody").unwrap());
        assert!(store.delete(&there).unwrap());
    });
    assert_eq!(again.get(&there).unwrap(), None);
    let again = first(&|store| assert_eq!(store.increment("counter", 3, None).unwrap(), 3));
    assert_eq!(again.get("counter").unwrap().as_deref(), Some(&b"3"[..]));
    let again = first(&|store| assert!(store.expire(&there, Duration::from_secs(99)).unwrap()));
    assert!(again.ttl(&there).unwrap().is_some());
    first(&|store| {
        let found: Model = store.scan("").unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(found, model);
    });
    let longest = model.values().map(|value| value.len() as u64).max().unwrap();
    first(&|store| assert_eq!(store.largest(3).unwrap()[0].1, longest));
    let again = first(&|store| store.clear().unwrap());
    assert_eq!(again.len(), 0);
    let again = first(&|store| {
        store.maintain(Duration::from_secs(60)).unwrap();
    });
    holds(&again, &model);
    // More than there is room for: the oldest segments are reclaimed, which nobody has read.
    let again = first(&|store| {
        for round in 0..400_usize {
            store.set("often", vec![round as u8; 500]).unwrap();
        }
    });
    assert_eq!(again.len(), model.len() as u64 + 1);
}

#[test]
fn lifetimes_accounts_and_caches_survive() {
    let options = options(1, 0);
    let disk = Arc::new(FakeDisk::new(RESERVED));
    let store = Store::open_on(disk.clone(), &options).unwrap();
    for number in 0..600_usize {
        let ttl = Duration::from_secs(1 + number as u64);
        store.set_with(key(number), "brief", SetOptions::new().ttl(ttl)).unwrap();
    }
    let before = store.stats();
    let expiring = |store: &Store| store.engine().stripes[0].counters.expiring_words.get();
    let noted = expiring(&store);
    drop(store);
    let store = Store::open_on(disk.clone(), &options).unwrap();
    assert!(by_checkpoint(&store));
    let after = store.stats();
    assert_eq!(
        (after.entries, after.live_bytes, after.dead_bytes, after.index_pages),
        (before.entries, before.live_bytes, before.dead_bytes, before.index_pages)
    );
    assert_eq!(expiring(&store), noted);
    store.validate().unwrap();
    drop(store);

    let cache = options.clone().eviction(Eviction::Adaptive);
    let store = Store::open_on(disk.clone(), &cache).unwrap();
    for number in 0..4000 {
        store.set(key(number), [7; 90]).unwrap();
        store.get(key(number % 50)).unwrap();
    }
    let entries = store.len();
    drop(store);
    let store = Store::open_on(disk, &cache).unwrap();
    assert!(by_checkpoint(&store));
    assert_eq!(store.len(), entries);
    for number in 0..4000 {
        store.set(key(number), [8; 90]).unwrap();
    }
    store.validate().unwrap();
}

#[test]
fn readers_use_it_and_change_nothing_and_verification_reads_all() {
    let options = options(2, 0);
    let (image, model) = closed(1000, &options);
    for (access, by) in [(Access::Read, true), (Access::Verify, false), (Access::Salvage, false)] {
        let disk = disk_of(&image);
        let mut options = options.clone();
        options.access = access;
        let store = Store::open_on(disk.clone(), &options).unwrap();
        assert_eq!(by_checkpoint(&store), by, "{access:?}");
        if access != Access::Salvage {
            holds(&store, &model);
            store.validate().unwrap();
        }
        drop(store);
        assert_eq!(disk.process_image(None), image, "{access:?}");
    }
}

/// The index of a file that was not closed is made from its records, whatever lies behind them.
#[test]
fn a_file_that_was_written_to_has_none() {
    let options = options(1, 0);
    let (image, mut model) = closed(800, &options);
    let disk = disk_of(&image);
    let store = Store::open_on(disk.clone(), &options).unwrap();
    store.set("later", "1").unwrap();
    model.insert(b"later".to_vec(), b"1".to_vec());
    for boot in [BootId(1), BootId(2)] {
        store.sync().unwrap();
        let killed = disk_of(&disk.process_image(None));
        killed.set_boot(boot);
        let again = Store::open_on(killed, &options).unwrap();
        assert!(!by_checkpoint(&again));
        again.validate().unwrap();
        holds(&again, &model);
    }
}

#[test]
fn without_room_a_file_is_closed_without_one() {
    let roomy = options(1, 0);
    let (image, model) = closed(2000, &roomy);
    let used = {
        let store = open(&image, &roomy).unwrap();
        assert!(by_checkpoint(&store));
        let stats = store.stats();
        stats.segments_leased * SEGMENT as u64 + stats.run_bytes
    };
    // The cap has room for the leased segments alone.
    let tight = roomy.clone().max_bytes(used + 4096);
    let disk = disk_of(&image);
    drop(Store::open_on(disk.clone(), &tight).unwrap());
    let store = Store::open_on(disk.clone(), &roomy).unwrap();
    assert!(!by_checkpoint(&store));
    holds(&store, &model);
    // The disk is full.
    disk.fail_nth(Effect::Allocate, 1, Failure::Once);
    drop(store);
    assert_eq!(disk.failed().0, 1);
    let store = Store::open_on(disk.clone(), &roomy).unwrap();
    assert!(!by_checkpoint(&store) && store.file().header().checkpoint == 0);
    holds(&store, &model);
    drop(store);
    assert!(by_checkpoint(&Store::open_on(disk, &roomy).unwrap()));
    // Few entries are read as soon as the page that they would fill.
    let (image, _) = closed(1, &options(4, 0));
    assert!(!by_checkpoint(&open(&image, &options(4, 0)).unwrap()));
}

/// Where the checkpoint lies, in words of the image, and how long it is.
fn place_of(image: &[u8]) -> (usize, usize) {
    let disk = FakeDisk::with_image(image, RESERVED);
    let found = header::read(&disk).unwrap().unwrap().header;
    assert_ne!(found.checkpoint, 0);
    (found.checkpoint as usize / 8, (image.len() - found.checkpoint as usize) / 8)
}

#[test]
fn any_flipped_bit_of_it_discards_it() {
    let options = options(1, 0);
    let (image, model) = closed(300, &options);
    let (first, words) = place_of(&image);
    let stride =
        if std::env::var("NYALA_DAMAGE").is_ok_and(|form| form == "full") { 1 } else { 17 };
    let mut discarded = 0;
    for bit in (64 * first..64 * (first + words)).step_by(stride) {
        let mut damaged = image.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let store = open(&damaged, &options).unwrap();
        // What lies between header and trailer alone.
        let in_segment = (bit / 64 - first) % (SEGMENT / 8);
        let counts = (8..SEGMENT / 8 - 8).contains(&in_segment);
        assert_eq!(by_checkpoint(&store), !counts, "bit {bit}");
        discarded += usize::from(counts);
        if discarded % 97 == 0 {
            store.validate().unwrap();
            holds(&store, &model);
        }
    }
    assert!(discarded > 64 * 200 / stride, "{discarded} bits");
    for len in (8 * first..image.len()).step_by(8) {
        let store = open(&image[..len], &options).unwrap();
        assert!(!by_checkpoint(&store));
        if len % 104 == 0 {
            holds(&store, &model);
        }
    }
}

/// What somebody who computes sums makes of a file's checkpoint.
fn made_up(image: &[u8], stripes: usize, change: impl FnOnce(&mut [u64], usize)) -> Vec<u8> {
    let (first, _) = place_of(image);
    let words: Vec<AtomicU64> = image[8 * first..]
        .as_chunks()
        .0
        .iter()
        .map(|word| AtomicU64::new(u64::from_le_bytes(*word)))
        .collect();
    let area = Area { words: &words, segment_words: SEGMENT / 8 };
    let head = Head::decode(&area.load(0, HEAD_WORDS)).unwrap();
    let slots_at = HEAD_WORDS + head.table_words(stripes);
    let mut all = area.load(0, slots_at + head.slots as usize);
    change(&mut all, slots_at);
    let mut at = slots_at;
    let rows = slots_at - head.pages as usize * ROW_WORDS;
    for row in (rows..slots_at).step_by(ROW_WORDS) {
        let entries = (all[row] >> 32 & 0xffff) as usize;
        let end = (at + entries).min(all.len());
        let sum = sum_of_words(0, &all[at..end]);
        all[row] = all[row] >> 32 << 32 | u64::from(sum);
        at = end;
    }
    // Counts of its own, which may be wrong.
    let mut head_words = all[..HEAD_WORDS].to_vec();
    let sum = sum_of_words(0, &head_words[..HEAD_WORDS - 1]);
    let sum = sum_of_words(sum, &all[HEAD_WORDS..slots_at]);
    head_words[HEAD_WORDS - 1] = u64::from(sum) | u64::from(!sum) << 32;
    area.store(0, &all);
    area.store(0, &head_words);
    let mut image = image.to_vec();
    let bytes = words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes());
    image[8 * first..].iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    image
}

/// Uses a store in every way; whatever it answers, it answers.
fn use_it(store: &Store, entries: usize) {
    let typed = |error: Error| {
        let typed = matches!(error, Error::Corrupt(_) | Error::Full { .. });
        assert!(typed, "{error:?}");
    };
    for number in 0..entries {
        match number % 6 {
            0 => drop(store.get(key(number)).map_err(typed)),
            1 => drop(store.set(key(number), "new").map_err(typed)),
            2 => drop(store.delete(key(number)).map_err(typed)),
            3 => drop(store.pin(key(number)).map_err(typed)),
            4 => drop(store.set(format!("more {number}"), [1; 40]).map_err(typed)),
            _ => drop(store.expire(key(number), Duration::from_secs(5)).map_err(typed)),
        }
    }
    let _ = store.largest(5).map_err(typed);
    let _ = store.maintain(Duration::from_millis(20)).map_err(typed);
    for entry in store.scan("").unwrap() {
        let _ = entry.map_err(typed);
    }
    let _ = store.validate();
    let _ = store.clear().map_err(typed);
    let _ = store.set("end", "1").map_err(typed);
}

#[test]
fn made_up_checkpoints_do_no_harm() {
    let (mut believed, mut discarded) = (0, 0);
    let mut dice = Dice::new(1);
    for (stripes, hash_drop, entries) in [(2, 0, 1200), (1, (1 << 34) - 1, 900)] {
        let options = options(stripes, hash_drop);
        let (image, _) = closed(entries, &options);
        for round in 0..600 {
            let what = dice.next();
            let image = made_up(&image, stripes, |words, slots_at| {
                let segments = words[4] as usize * SEGMENT_WORDS;
                let (runs_at, runs) =
                    (HEAD_WORDS + stripes * STRIPE_WORDS + segments, words[5] as usize);
                for _ in 0..1 + dice.below(3) {
                    let at = match round % 4 {
                        0 => dice.below(slots_at),
                        1 => slots_at + dice.below(words.len() - slots_at),
                        2 => runs_at + dice.below(runs * RUN_WORDS),
                        _ => HEAD_WORDS + dice.below(slots_at - HEAD_WORDS),
                    };
                    let other = words[dice.below(words.len())];
                    words[at] = match dice.below(6) {
                        0 => words[at] ^ 1 << dice.below(64),
                        1 => other,
                        2 => words[at].wrapping_add(1 + dice.below(9) as u64),
                        3 => words[at].wrapping_sub(1 + dice.below(9) as u64),
                        4 => 0,
                        _ => what,
                    };
                }
            });
            let disk = disk_of(&image);
            let used = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let store = Store::open_on(disk.clone(), &options).unwrap();
                let by = by_checkpoint(&store);
                use_it(&store, entries);
                by
            }));
            match used {
                Ok(true) => believed += 1,
                Ok(false) => discarded += 1,
                Err(panic) => {
                    eprintln!("round {round} with {stripes} stripes");
                    std::panic::resume_unwind(panic);
                }
            }
            // Whatever became of it, it is closed, and what opens it says so in a typed way.
            match Store::open_on(disk, &options) {
                Ok(store) => drop(store.validate()),
                Err(error) => assert!(matches!(error, Error::Corrupt(_)), "{error:?}"),
            }
        }
    }
    assert!(believed > 200 && discarded > 200, "{believed} believed, {discarded} discarded");
}

#[test]
fn a_checkpoint_of_another_closing_is_discarded() {
    let options = options(1, 0);
    let (image, _) = closed(500, &options);
    for (word, what) in
        [(1, "epoch"), (2, "census"), (3, "leases"), (5, "runs"), (6, "pages"), (7, "slots")]
    {
        let changed = made_up(&image, 1, |words, _| words[word] = words[word].wrapping_sub(5));
        assert!(!by_checkpoint(&open(&changed, &options).unwrap()), "{what}");
    }
    let same = made_up(&image, 1, |_, _| {});
    assert_eq!(same, image);
}

/// A record that is not what was written is never shown, and never copied with a new sum.
#[test]
fn damaged_records_are_errors_wherever_they_are_needed() {
    let options = options(1, 0).durability(Durability::Process);
    let (image, model) = closed(1500, &options);
    let victim = model.iter().find(|(_, value)| value.len() == 4).unwrap();
    // The record is the last one that has the key and the value behind each other.
    let bytes = [&victim.0[..], &victim.1[..]].concat();
    let end = 8 * place_of(&image).0;
    let at = image[..end].windows(bytes.len()).rposition(|window| *window == bytes).unwrap();
    let mut damaged = image.clone();
    damaged[at + bytes.len() - 1] ^= 1;

    let corrupt = |error: &Error| matches!(error, Error::Corrupt(it) if it.offset.abs_diff(at as u64) < 64 && it.path.is_some());
    let disk = disk_of(&damaged);
    let store = Store::open_on(disk.clone(), &options).unwrap();
    assert!(by_checkpoint(&store));
    for _ in 0..3 {
        assert!(corrupt(&store.get(victim.0).unwrap_err()));
        assert!(corrupt(&store.set(victim.0, "new").unwrap_err()));
        assert!(corrupt(&store.delete(victim.0).unwrap_err()));
        assert!(corrupt(&store.increment(victim.0, 1, None).unwrap_err()));
        let frame = [(&b"fresh"[..], "1"), (victim.0, "2")];
        assert!(corrupt(&store.set_many_atomic(&frame).unwrap_err()));
    }
    assert!(store.scan("").unwrap().any(|entry| entry.is_err_and(|error| corrupt(&error))));
    let mut answered = 0;
    for (key, value) in &model {
        match store.get(key) {
            Ok(found) => {
                assert_eq!(found.as_ref(), Some(value));
                answered += 1;
            }
            Err(error) => assert!(corrupt(&error), "{error:?}"),
        }
    }
    assert!(answered > model.len() / 2, "{answered} of {}", model.len());
    // Reclaim stops at it: the file may fill, but what it says stays wrong.
    for round in 0..4000_usize {
        if store.set("often", vec![round as u8; 300]).is_err() {
            break;
        }
    }
    drop(store);
    for _ in 0..2 {
        let found = Store::open_on(disk.clone(), &options).and_then(|store| store.get(victim.0));
        assert!(found.is_err(), "{found:?}");
    }
}

#[test]
fn large_values_sleep_and_are_checked_as_others() {
    let options = options(2, 0).durability(Durability::Process);
    let disk = Arc::new(FakeDisk::new(RESERVED));
    let store = Store::open_on(disk.clone(), &options).unwrap();
    let large = |number: usize| vec![number as u8; 1500 * number];
    for number in 0..400_usize {
        store.set(key(100 + number), "small").unwrap();
    }
    for number in 1..=4 {
        store.set(key(number), large(number)).unwrap();
    }
    let before = store.stats();
    assert_eq!(before.runs, 4);
    drop(store);
    let image = disk.process_image(None);

    let store = Store::open_on(disk.clone(), &options).unwrap();
    assert!(by_checkpoint(&store));
    let after = store.stats();
    let of =
        |stats: &crate::Stats| (stats.runs, stats.run_bytes, stats.live_bytes, stats.dead_bytes);
    assert_eq!(of(&after), of(&before));
    // Reclaim copies links whose pages sleep.
    for round in 0..2000_usize {
        store.set("often", vec![round as u8; 300]).unwrap();
    }
    store.set(key(2), "small now").unwrap();
    store.validate().unwrap();
    drop(store);
    let store = Store::open_on(disk, &options).unwrap();
    assert!(by_checkpoint(&store));
    for number in [1, 3, 4] {
        assert_eq!(store.get(key(number)).unwrap(), Some(large(number)));
    }
    assert_eq!(
        (store.get(key(2)).unwrap().as_deref(), store.stats().runs),
        (Some(&b"small now"[..]), 3)
    );
    store.validate().unwrap();

    let at = image.windows(64).position(|window| window == [3; 64]).unwrap();
    let mut damaged = image;
    damaged[at + 1000] ^= 1;
    let store = open(&damaged, &options).unwrap();
    assert!(by_checkpoint(&store));
    for _ in 0..2 {
        assert!(matches!(store.get(key(3)), Err(Error::Corrupt(_))));
        assert!(matches!(store.set(key(3), "new"), Err(Error::Corrupt(_))));
    }
}

#[test]
fn pieces_are_those_between_header_and_trailer() {
    let segment_words = 64;
    let words: Vec<AtomicU64> = (0..640).map(AtomicU64::new).collect();
    let area = Area { words: &words, segment_words };
    let expected: Vec<u64> =
        (0..640).filter(|word| (8..56).contains(&(word % segment_words as u64))).collect();
    for first in 0..100 {
        for count in 0..150 {
            assert_eq!(area.load(first, count), expected[first..first + count]);
        }
    }
    for count in 1..400 {
        let last = expected[count - 1] as usize;
        assert_eq!(Area::extent(count, segment_words), last + 1, "{count} words");
    }
}
