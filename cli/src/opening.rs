//! How the commands open a file.

use std::path::Path;

use nyala::{DEFAULT_FILE_BYTES, MAX_MAX_BYTES, Options, Store};

use crate::arguments::{Cap, Durability, Writing};
use crate::failure::{Failure, Result};

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

/// Opens a file for writing that must be there already.
pub(crate) fn existing(file: &Path, writing: Writing) -> Result<Store> {
    std::fs::metadata(file).map_err(|error| Failure::of_file("open", file, &error))?;
    Ok(Store::open(for_writing(file, writing))?)
}

/// What was asked for; else the usual, or more where the file has more.
fn max_bytes(file: &Path, cap: Cap) -> u64 {
    let there = || std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    cap.max_bytes.unwrap_or_else(|| there().clamp(DEFAULT_FILE_BYTES, MAX_MAX_BYTES))
}
