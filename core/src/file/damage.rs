//! Files in which a bit has flipped, that were cut off, or whose segments changed places: every key answers its value,
//! or the file is refused.
//!
//! The reduced form takes every so-manieth bit; all of them with `NYALA_DAMAGE=full`.

use std::collections::HashMap;
use std::sync::Arc;

use super::disk::BootId;
use super::fake::FakeDisk;
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
    for turn in 0..700_u32 {
        let key = format!("key {}", turn * 13 % 90);
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
    }
    assert!(image.len() >= FILE / 2, "{} bytes", image.len());
    image.truncate(FILE.min(image.len()));
    (image, model)
}

/// Whether the file was opened. What it answers then must be what was written last.
fn check(image: &[u8], model: &Model, boot: BootId, what: &dyn Fn() -> String) -> bool {
    let checked = std::panic::catch_unwind(|| {
        let disk = Arc::new(FakeDisk::with_image(image, RESERVED));
        disk.set_boot(boot);
        match Store::open_on(disk, &options()) {
            Ok(store) => {
                store.validate().unwrap();
                for (key, value) in model {
                    assert_eq!(store.get(key).unwrap(), *value, "{key}");
                }
                true
            }
            Err(error) => {
                let typed = matches!(error, Error::Corrupt { .. } | Error::Version { .. });
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

#[test]
fn cut_off_files() {
    let (image, model) = image(true);
    let stride = if is_full() { 1 } else { 7 };
    // An empty file is a new store.
    for len in (1..image.len()).step_by(stride) {
        let opened = check(&image[..len], &model, BootId(1), &|| format!("{len} bytes"));
        assert!(!opened, "{len} bytes");
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
