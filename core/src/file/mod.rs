//! The ground floor of a store in a file: what the file is made of, and every effect on it.
//!
//! `disk` is the seam to the operating system, `header` says what the file is, `segment` what a piece of it holds,
//! `check` that bytes are what was written. FORMAT.md describes every byte and argues every crash.

pub(crate) mod check;
#[cfg(all(test, not(loom)))]
mod damage;
pub(crate) mod disk;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod format;
pub(crate) mod header;
pub(crate) mod interval;
pub(crate) mod log;
pub(crate) mod open;
#[cfg(all(unix, not(loom)))]
pub(crate) mod real;
mod recovery;
pub(crate) mod segment;
#[cfg(all(test, not(loom)))]
mod sweep;
mod syncer;
mod window;
