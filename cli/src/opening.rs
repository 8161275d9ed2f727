//! How the commands open a file.

use std::path::Path;

use nyala::{DEFAULT_FILE_BYTES, MAX_MAX_BYTES, Options, Store};

use crate::arguments::{Cap, Durability, Writing};
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

pub(crate) fn for_reading(file: &Path, cap: Cap) -> Options {
    Options::file(file).max_bytes(max_bytes(file, cap)).read_only()
}

pub(crate) fn for_writing(file: &Path, writing: Writing) -> Options {
    let durability = match writing.durability {
        Durability::Process => nyala::Durability::Process,
        Durability::Sync => nyala::Durability::Sync,
    };
    Options::file(file).max_bytes(max_bytes(file, writing.cap)).durability(durability)
}

/// For writing a file that must be there already.
pub(crate) fn for_changing(file: &Path, writing: Writing) -> Result<Options> {
    std::fs::metadata(file).map_err(|error| Failure::of_file("open", file, &error))?;
    Ok(for_writing(file, writing))
}

/// Opens a file, shows how far that is, and lets it be when a signal comes.
pub(crate) fn unless_interrupted(options: Options, interrupt: &Interrupt) -> Result<Store> {
    let progress = Progress::of_bytes("reading", 0);
    let opened = Store::open_with(options, |done| {
        progress.tell(done);
        interrupt.flow()
    });
    Ok(opened?)
}

/// What was asked for; else the usual, or more where the file has more.
fn max_bytes(file: &Path, cap: Cap) -> u64 {
    let there = || std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    cap.max_bytes.unwrap_or_else(|| there().clamp(DEFAULT_FILE_BYTES, MAX_MAX_BYTES))
}
