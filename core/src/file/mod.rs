//! The ground floor of a store in a file: every effect on it goes through `disk`.

#![cfg_attr(not(test), expect(dead_code, reason = "the engine opens files in the next commit"))]

pub(crate) mod disk;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(unix)]
pub(crate) mod real;
