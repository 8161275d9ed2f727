//! Reads that nobody times, before those that are timed: a store with a cache of its own has it empty after a load that went to
//! files, and would be measured by its misses.

use super::stream;
use super::{Frame, Workload};
use crate::engines::contract::{Engine, Key, Session, Tally};
use crate::fault::Result;

/// One entry in so many is read. A page of 4 KiB holds dozens, so that hardly any page is left out.
const SHARE: usize = 8;
/// Keys a call.
const BATCH: usize = 32;

/// Reads uniformly drawn entries on one thread.
pub(crate) fn run<E: Engine>(engine: &E, frame: &Frame) -> Result<()> {
    // Others than those that are timed.
    let mut random = frame.random(Workload::Load, 1);
    let count = frame.entries as usize / SHARE;
    let keys: Vec<Key> = stream::uniform(frame.entries, count, &mut random)
        .map(|entry| frame.keys.key(entry))
        .collect();
    let mut session = engine.session()?;
    let (mut out, mut tally) = (Vec::new(), Tally::default());
    keys.chunks(BATCH).try_for_each(|keys| session.get_many(keys, &mut out, &mut tally))
}
