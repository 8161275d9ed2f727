//! Operations for `core/instructions.sh` to count: what a single one costs in instructions, which neither a busy machine
//! nor its caches change.
//!
//! Without an argument: prints for each operation its name and how many of it there are. With a name: does them, in
//! [`counted`]; callgrind counts what is executed in there.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program that reports to a script")]

use std::process::ExitCode;

use nyala::{Options, Result, Store, Tuning};

/// Entries of the store: enough for pages that have split, spilled buckets and many segments.
const ENTRIES: usize = 50_000;
/// Keys of an operation on some entries.
const SOME: usize = 8_000;
const VALUE: [u8; 64] = [7; 64];
/// Does not fit the record of [`VALUE`].
const LONGER: [u8; 80] = [8; 80];

type Key = [u8; 16];

/// What is counted: a name, and an operation on some keys.
type Operation = (&'static str, Keys, fn(&Store, &[Key]) -> Result<()>);

/// Which keys an operation gets.
#[derive(PartialEq, Eq)]
enum Keys {
    /// Those of all entries, of which there is none yet: what growing costs is spread over them.
    Fresh,
    Present,
    Absent,
    Counters,
}

impl Keys {
    fn count(&self) -> usize {
        if *self == Keys::Fresh { ENTRIES } else { SOME }
    }
}

const ALL: [Operation; 8] = [
    ("get", Keys::Present, |store, keys| {
        let mut value = Vec::with_capacity(VALUE.len());
        for key in keys {
            assert!(store.get_into(key, &mut value)?);
        }
        Ok(())
    }),
    ("get-miss", Keys::Absent, |store, keys| {
        let mut value = Vec::with_capacity(VALUE.len());
        for key in keys {
            assert!(!store.get_into(key, &mut value)?);
        }
        Ok(())
    }),
    ("get-many", Keys::Present, |store, keys| {
        keys.chunks(32)
            .try_for_each(|batch| store.get_many(batch, |_, value| assert!(value.is_some())))
    }),
    ("set-new", Keys::Fresh, |store, keys| keys.iter().try_for_each(|key| store.set(key, VALUE))),
    ("set-in-place", Keys::Present, |store, keys| {
        keys.iter().try_for_each(|key| store.set(key, VALUE))
    }),
    ("set-append", Keys::Present, |store, keys| {
        keys.iter().try_for_each(|key| store.set(key, LONGER))
    }),
    ("increment", Keys::Counters, |store, keys| {
        keys.iter().try_for_each(|key| store.increment(key, 1, None).map(|_| ()))
    }),
    ("delete", Keys::Present, |store, keys| {
        for key in keys {
            assert!(store.delete(key)?);
        }
        Ok(())
    }),
];

/// The script knows this function by its name.
#[inline(never)]
fn counted(store: &Store, operation: &Operation, keys: &[Key]) -> Result<()> {
    (operation.2)(store, keys)
}

fn key(kind: u8, number: usize) -> Key {
    let mut key = [kind; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

/// Keys of entries all over the store.
fn spread(kind: u8) -> Vec<Key> {
    (0..SOME).map(|i| key(kind, i * (ENTRIES / SOME))).collect()
}

fn count(operation: &Operation) -> Result<()> {
    // One seed and one number of stripes: the same work on every machine.
    let tuning = Tuning { seed: Some(1), stripes: 4, ..Tuning::default() };
    let store = Store::open(Options::memory(64 << 20).tuning(tuning))?;
    let all: Vec<Key> = (0..ENTRIES).map(|number| key(b'v', number)).collect();
    let counters = spread(b'c');
    if operation.1 != Keys::Fresh {
        all.iter().try_for_each(|key| store.set(key, VALUE))?;
        // Three digits, as a counter in use has.
        counters.iter().try_for_each(|key| store.increment(key, 100, None).map(|_| ()))?;
    }
    let keys = match operation.1 {
        Keys::Fresh => all,
        Keys::Present => spread(b'v'),
        Keys::Absent => spread(b'x'),
        Keys::Counters => counters,
    };
    counted(&store, operation, &keys)
}

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        ALL.iter().for_each(|(name, keys, _)| println!("{name} {}", keys.count()));
        return ExitCode::SUCCESS;
    };
    let done = match ALL.iter().find(|(known, ..)| *known == name) {
        Some(operation) => count(operation).map_err(|error| error.to_string()),
        None => Err(format!("{name}: there is no such operation")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("instructions: {what}");
            ExitCode::FAILURE
        }
    }
}
