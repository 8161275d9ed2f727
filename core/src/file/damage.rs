//! Files in which a bit has flipped, that were cut off, or whose segments changed places: every key answers its value or an
//! error, or the file is refused.
//!
//! The reduced form takes every so-manieth bit; all of them with `NYALA_DAMAGE=full`.

use std::collections::HashMap;
use std::sync::Arc;

use super::disk::BootId;
use super::fake::FakeDisk;
use crate::file::header::{self, MainHeader};
use crate::file::segment::{Site, State, decode};
use crate::hash::MAX_STRIPES;
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::{Error, Options, Store, Tuning};

const SEGMENT: usize = 4096;
const FILE: usize = 64 << 10;
const RESERVED: u64 = 192 << 10;
/// Prime, so that all bits of a byte and all places in a record have their turn.
const STRIDE: usize = 89;

type Model = HashMap<String, Option<Vec<u8>>>;

fn options() -> Options {
    let tuning = Tuning { segment_bytes: SEGMENT, stripes: 1, seed: Some(3), ..Tuning::default() };
    Options::file("fake").max_bytes(16 * SEGMENT as u64).tuning(tuning)
}

/// A file of 64 KiB in which every segment was written and some were reclaimed; closed, or left by a process that died.
fn image(closed: bool) -> (Vec<u8>, Model) {
    let disk = Arc::new(FakeDisk::new(RESERVED));
    let store = Store::open_on(disk.clone(), &options()).unwrap();
    let mut model = Model::new();
    for turn in 0..1400_u32 {
        let key = format!("key {}", turn * 13 % 180);
        if turn % 11 == 3 {
            store.delete(&key).unwrap();
            model.insert(key, None);
        } else {
            // A large one now and then, of one segment or two.
            let times = if turn % 100 == 50 { 600 + turn as usize } else { turn as usize % 40 };
            let value = format!("{turn} ").repeat(times).into_bytes();
            store.set(&key, &value).unwrap();
            model.insert(key, Some(value));
        }
    }
    // What a process that dies leaves of its last record cannot be told from damage to it.
    loop {
        // Nor of a copy that reclaim made last.
        let moved = store.stats().records_moved;
        store.set("last", "1").unwrap();
        if store.stats().records_moved == moved {
            break;
        }
    }
    let mut image = disk.process_image(None);
    if closed {
        drop(store);
        image = disk.process_image(None);
        assert_ne!(header_of(&image).checkpoint, 0);
    } else {
        // What lies behind was never written to.
        let written = image.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        image.truncate(written.next_multiple_of(SEGMENT));
    }
    assert!(image.len() >= FILE / 2, "{} bytes", image.len());
    (image, model)
}

fn header_of(image: &[u8]) -> MainHeader {
    header::read(&FakeDisk::with_image(image, RESERVED)).unwrap().unwrap().header
}

/// Whether the file was opened. What it answers then must be what was written last, or an error where it was opened by its
/// checkpoint.
fn check(image: &[u8], model: &Model, boot: BootId, what: &dyn Fn() -> String) -> bool {
    let checked = std::panic::catch_unwind(|| {
        let disk = Arc::new(FakeDisk::with_image(image, RESERVED));
        disk.set_boot(boot);
        match Store::open_on(disk, &options()) {
            Ok(store) => {
                let mut errors = 0;
                for (key, value) in model {
                    match store.get(key) {
                        Ok(found) => assert_eq!(found, *value, "{key}"),
                        Err(error) => {
                            assert!(matches!(error, Error::Corrupt(_)), "{key}: {error:?}");
                            errors += 1;
                        }
                    }
                }
                assert_eq!(store.validate().is_ok(), errors == 0);
                assert!(errors == 0 || header_of(image).checkpoint != 0);
                true
            }
            Err(error) => {
                let typed = matches!(error, Error::Corrupt(_) | Error::Version { .. });
                assert!(typed, "{error:?}");
                false
            }
        }
    });
    checked.unwrap_or_else(|panic| {
        eprintln!("{}", what());
        std::panic::resume_unwind(panic)
    })
}

fn is_full() -> bool {
    std::env::var("NYALA_DAMAGE").is_ok_and(|form| form == "full")
}

fn flip_bits(closed: bool) {
    let (image, model) = image(closed);
    assert!(check(&image, &model, BootId(1), &|| "as it was".into()));
    let stride = if is_full() { 1 } else { STRIDE };
    let (mut flips, mut opened) = (0, 0);
    let mut damaged = image.clone();
    for bit in (0..8 * image.len()).step_by(stride) {
        damaged[bit / 8] ^= 1 << (bit % 8);
        opened += u64::from(check(&damaged, &model, BootId(1), &|| format!("bit {bit}")));
        damaged[bit / 8] = image[bit / 8];
        flips += 1;
    }
    eprintln!("{flips} bits of {} bytes, closed {closed}: {opened} opened", image.len());
}

#[test]
fn flipped_bits_in_a_closed_file() {
    flip_bits(true);
}

#[test]
fn flipped_bits_in_a_file_that_a_dead_process_left() {
    flip_bits(false);
}

/// What is damaged in one place of a segment and right in the other is not passed on to the next lease.
#[test]
fn files_with_a_damaged_header_are_written_to() {
    let (image, mut model) = image(true);
    let first = header_of(&image).first_segment() as usize;
    let stride = if is_full() { 1 } else { 7 };
    let lease_bits = (first..image.len()).step_by(SEGMENT).flat_map(|at| 8 * at..8 * (at + 8));
    let mut opened = 0;
    model.insert("new".into(), Some(b"1".to_vec()));
    for bit in lease_bits.step_by(stride) {
        let mut damaged = image.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let disk = Arc::new(FakeDisk::with_image(&damaged, RESERVED));
        disk.set_boot(BootId(1));
        if let Ok(store) = Store::open_on(disk.clone(), &options()) {
            if let Err(error) = store.set("new", "1") {
                // Bytes of a large value lie where other segments have their headers.
                assert!(matches!(error, Error::Corrupt(_)), "bit {bit}: {error:?}");
                continue;
            }
            drop(store);
            opened += u64::from(check(&disk.process_image(None), &model, BootId(1), &|| {
                format!("written to with bit {bit} flipped")
            }));
        }
    }
    assert!(opened > 0);
}

#[test]
fn cut_off_files() {
    let (image, model) = image(true);
    let stride = if is_full() { 1 } else { 7 };
    // An empty file is a new store.
    for len in (1..image.len()).step_by(stride) {
        let opened = check(&image[..len], &model, BootId(1), &|| format!("{len} bytes"));
        // The checkpoint is all that lies behind.
        assert_eq!(opened, len as u64 >= header_of(&image).durable_len, "{len} bytes");
    }
}

/// Whether the segment that begins here is one that is appended to.
fn is_open(bytes: &[u8], address: usize) -> bool {
    let (words, _) = bytes.as_chunks();
    let words: [u64; 8] = std::array::from_fn(|i| u64::from_le_bytes(words[i]));
    let found =
        decode(&words, Site { address: address as u64, seed: 3 }, MAX_STRIPES as u64, SEGMENT / 8);
    matches!(found, Some((_, State::InUse)))
}

#[test]
fn segments_in_the_place_of_others() {
    for closed in [true, false] {
        let (image, model) = image(closed);
        let first = 8192 + SEGMENT;
        let places: Vec<usize> = (first..image.len()).step_by(SEGMENT).collect();
        for from in &places {
            for to in &places {
                let (from, to) = (*from, *to);
                let end = (from.max(to) + SEGMENT).min(image.len());
                let len = SEGMENT.min(end - from.max(to));
                // That a segment became one that never was leased, or whose first lease was cut off, nothing tells if it is
                // the newest or the oldest of its stripe; of the newest of a file that nobody closed, nor that it became
                // anything else.
                let place = SEGMENT_HEADER_WORDS * 8;
                let is_blank = |at: usize| image[at..at + place].iter().all(|byte| *byte == 0);
                let unleased = is_blank(from) || is_blank(from + len - place);
                if unleased || !closed && is_open(&image[to..], (to - first) / 8) {
                    continue;
                }
                let mut damaged = image.clone();
                damaged.copy_within(from..from + len, to);
                check(&damaged, &model, BootId(1), &|| format!("{from} at {to}, closed {closed}"));
            }
        }
    }
}
