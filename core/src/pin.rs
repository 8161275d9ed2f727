//! Pins: bytes in place, for as long as the caller wants them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::reader::Entry;
use crate::types::Version;

/// A value that stays where and as it is until this is dropped, whatever happens to its entry or to the store's handle.
///
/// It blocks nobody, but holds a whole segment of the budget in place; how many may be held is limited, see
/// [`Error::Busy`].
pub struct Pinned {
    engine: Arc<Engine>,
    segment: usize,
    /// Segments that it counts for.
    weight: u64,
    /// First byte of the value in the log.
    byte: usize,
    len: usize,
    version: Version,
}

impl Pinned {
    /// Pins the value of a key.
    ///
    /// ```text
    /// let overwrites in place look for pins, if they do not yet
    /// find the record without a lock
    /// pin its segment, then find the record once more: the same place and version say that the pin came in time
    /// ```
    pub(crate) fn new(
        engine: &Arc<Engine>,
        hash: Hash,
        key: &[u8],
        moment: &Moment<'_>,
    ) -> Result<Option<Pinned>> {
        engine.expect_pins(hash, moment)?;
        loop {
            let look = || {
                engine.read(hash, key, moment, |entry: Entry<'_>| {
                    (entry.place, entry.version, entry.value.len())
                })
            };
            let Some(seen) = look()? else { return Ok(None) };
            // A read under the lock gives no place: writers were many, and the next round may be luckier.
            let (Some((segment, byte)), version, len) = seen else { continue };
            let weight = (len / engine.geometry.segment_bytes() + 1) as u64;
            let max = engine.geometry.pinned_max;
            engine
                .segments
                .pin(segment, weight, max)
                .map_err(|pinned| Error::Busy { pinned, max })?;
            let engine = Arc::clone(engine);
            let pinned = Pinned { engine, segment, weight, byte, len, version };
            if look()? == Some(seen) {
                return Ok(Some(pinned));
            }
        }
    }

    /// The pinned bytes by way of the words that hold them: the model checker's words are no plain memory.
    #[cfg(all(loom, test))]
    pub(crate) fn copy_through_words(&self) -> Vec<u8> {
        let mut copy = Vec::new();
        let words = self.engine.log.view().longest_run(self.byte / 8);
        let packed = crate::log::record::Packed::in_words(words, self.byte % 8, self.len);
        packed.unwrap().append_to(&mut copy);
        copy
    }

    /// Version of the value.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }
}

impl Deref for Pinned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the pin was validated after it was counted: from then on nobody overwrites the record in place, and
        // its segment is not reused (I7). The second look's acquire loads order the writes before this read.
        unsafe { self.engine.log.view().bytes(self.byte, self.len) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.engine.segments.unpin(self.segment, self.weight);
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("version", &self.version).field("len", &self.len).finish()
    }
}
