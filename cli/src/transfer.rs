//! All entries as lines of JSON: dump and load.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, StdinLock};
use std::os::fd::AsFd;

use nyala::{SetOptions, Store};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde_json::json;

use crate::arguments::{Dump, Durability, Load, Writing};
use crate::entry::Entry;
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::moment::Moment;
use crate::opening;
use crate::output::Output;
use crate::progress::Progress;
use crate::units::entries;

/// Longest key in bytes.
const KEY_MAX: usize = 65_535;
/// What a byte of a key or value takes in a line at most, as `\u0000`, and what a line has beside them.
const JSON_BYTES: usize = 6;
const BESIDE: usize = 256;
/// A batch is written when it has so many entries or bytes.
const BATCH_ENTRIES: usize = 4096;
const BATCH_BYTES: usize = 8 << 20;

pub(crate) fn dump(arguments: &Dump, output: &mut Output) -> Result<()> {
    let moment = Moment::now();
    let options = opening::for_reading(&arguments.file, arguments.cap).clock(moment.clock());
    let store = Store::open(options)?;
    let progress = Progress::of_entries("dumping", store.len()).unless_output_is_shown();
    for (number, entry) in (0..).zip(store.scan("")?) {
        let (key, value) = entry?;
        let expires_at_ms = store.ttl(&key)?.and_then(|ttl| moment.end_of(ttl));
        output.json(&Entry { key, value, expires_at_ms }.line())?;
        progress.set(number);
    }
    Ok(())
}

pub(crate) fn load(arguments: &Load, output: &mut Output) -> Result<()> {
    let moment = Moment::now();
    let interrupt = Interrupt::watch()?;
    // A batch waits for one sync, not every entry for its own.
    let writing = Writing { durability: Durability::Process, ..arguments.writing };
    let options = opening::for_writing(&arguments.file, writing).clock(moment.clock());
    let store = opening::unless_interrupted(options, &interrupt)?;
    let syncs = arguments.writing.durability == Durability::Sync;
    let mut loading = Loading { store, moment, syncs, batch: Vec::new(), loaded: 0, expired: 0 };
    let done = loading.lines(&interrupt);
    let text = format!("{} loaded, {} expired", entries(loading.loaded), entries(loading.expired));
    match done {
        Err(failure) => Err(failure.with_note(&text)),
        Ok(()) => {
            let json = json!({ "loaded": loading.loaded, "expired": loading.expired });
            output.report(&json, &text)
        }
    }
}

struct Loading {
    store: Store,
    moment: Moment,
    syncs: bool,
    /// Entries that are to be written, with the numbers of their lines.
    batch: Vec<(u64, Entry)>,
    loaded: u64,
    /// Entries that were left out because their time has passed.
    expired: u64,
}

impl Loading {
    fn lines(&mut self, interrupt: &Interrupt) -> Result<()> {
        let stdin = io::stdin().lock();
        let progress = match len_of(&stdin) {
            0 => Progress::waiting("loading"),
            len => Progress::of_bytes("loading", len),
        };
        let mut input = BufReader::with_capacity(1 << 16, stdin);
        let longest = JSON_BYTES * (KEY_MAX + self.store.max_value_len()) + BESIDE;
        let longest = longest as u64;
        let (mut line, mut read, mut bytes) = (Vec::new(), 0, 0);
        for number in 1.. {
            line.clear();
            if input.buffer().is_empty() {
                wait_for(input.get_ref(), interrupt)?;
            }
            if interrupt.asked() {
                self.write()?;
                return Err(Failure::Interrupted(format!("interrupted at line {number}")));
            }
            let taken = input.by_ref().take(longest + 1).read_until(b'\n', &mut line);
            let taken = taken.map_err(|error| Failure::of_input(&error))?;
            if taken == 0 {
                break;
            }
            read += taken as u64;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let entry = match taken as u64 > longest {
                false => Entry::parse(&line),
                true => Err(format!("longer than {longest} bytes, more than any entry takes")),
            };
            match entry {
                Ok(entry) => {
                    bytes += entry.key.len() + entry.value.len();
                    self.batch.push((number, entry));
                }
                Err(error) => {
                    self.write()?;
                    return Err(Failure::Usage(format!("line {number}: {error}")));
                }
            }
            if self.batch.len() >= BATCH_ENTRIES || bytes >= BATCH_BYTES {
                self.write()?;
                bytes = 0;
                progress.set(read);
            }
        }
        self.write()
    }

    /// Writes the batch: neighbours without a lifetime at once, in the order of the lines all of them.
    fn write(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let lasts = |entry: &Entry| entry.expires_at_ms.is_none();
        for group in batch.chunk_by(|(_, a), (_, b)| lasts(a) && lasts(b)) {
            let pairs: Vec<(&[u8], &[u8])> =
                group.iter().map(|(_, entry)| (&entry.key[..], &entry.value[..])).collect();
            let outcomes = match group {
                [(_, Entry { key, value, expires_at_ms: Some(at_ms) })] => {
                    let Some(ttl) = self.moment.until(*at_ms) else {
                        self.expired += 1;
                        continue;
                    };
                    let options = SetOptions::new().ttl(ttl);
                    vec![self.store.set_with(key, value, options).map(|_| ())]
                }
                _ => self.store.set_many(&pairs)?,
            };
            self.loaded += outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
            for ((number, _), outcome) in group.iter().zip(outcomes) {
                outcome.map_err(|error| Failure::Store(error, Some(format!("line {number}"))))?;
            }
        }
        if self.syncs && !batch.is_empty() {
            self.store.sync()?;
        }
        Ok(())
    }
}

/// Waits until there is something to read, or its end, or a signal.
fn wait_for(stdin: &StdinLock<'_>, interrupt: &Interrupt) -> Result<()> {
    const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    while !interrupt.asked() {
        match poll(&mut [PollFd::new(stdin, PollFlags::IN)], Some(&LOOK)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(Failure::of_input(&error.into())),
        }
    }
    Ok(())
}

/// Length of what is read, if it is a file.
fn len_of(stdin: &StdinLock<'_>) -> u64 {
    let file = stdin.as_fd().try_clone_to_owned().map(File::from);
    let metadata = file.and_then(|file| file.metadata());
    metadata.ok().filter(|metadata| metadata.is_file()).map_or(0, |metadata| metadata.len())
}
