//! Calls with the time at which each began and ended.

use std::sync::atomic::{AtomicU64, Ordering};

use nyala::Error;

use super::call::{Answer, Call};

/// A clock whose every reading is another number.
///
/// Each reading synchronises with the one before it: a call that ended before another began happened before it, not
/// only by the clock.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    next: AtomicU64,
}

impl Ticks {
    pub(crate) fn read(&self) -> u64 {
        self.next.fetch_add(1, Ordering::AcqRel)
    }
}

/// A call on one key: it took effect at some moment between `began` and `ended`.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) thread: usize,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

impl Event {
    /// Whether the two may have taken effect in either order.
    pub(crate) fn overlaps(&self, other: &Event) -> bool {
        self.began < other.ended && other.began < self.ended
    }

    pub(crate) fn is_full(&self) -> bool {
        matches!(self.answer, Answer::Refused(Error::Full { .. }))
    }

    /// The version that the answer tells.
    pub(crate) fn told_version(&self) -> Option<u64> {
        match &self.answer {
            Answer::Versioned(found) => found.as_ref().map(|(_, version)| *version),
            Answer::Outcome { version, .. } => *version,
            _ => None,
        }
    }
}
