//! The ground floor of a store in a file: what the file is made of, and every effect on it.
//!
//! `disk` is the seam to the operating system, `header` says what the file is, `segment` what a piece of it holds,
//! `check` that bytes are what was written. FORMAT.md describes every byte and argues every crash.

pub(crate) mod check;
mod checkpoint;
pub(crate) mod copy;
#[cfg(all(test, not(loom)))]
mod crash;
mod cut;
#[cfg(all(test, not(loom)))]
mod damage;
pub(crate) mod disk;
#[cfg(all(test, not(loom)))]
pub(crate) mod fake;
#[cfg(all(test, not(loom)))]
mod format;
#[cfg(all(test, not(loom)))]
mod golden;
pub(crate) mod header;
pub(crate) mod interval;
pub(crate) mod large;
mod links;
pub(crate) mod log;
mod memory;
pub(crate) mod mutant;
pub(crate) mod open;
pub(crate) mod progress;
pub(crate) mod real;
mod recovery;
pub(crate) mod segment;
#[cfg(all(test, not(loom)))]
mod sweep;
mod syncer;
pub(crate) mod wake;
pub(crate) mod window;
