//! Overwriting in place: the bytes of a record that readers may be copying.

use crate::clock::Moment;
use crate::log::record::{Packed, Record};
use crate::stripe::{Located, NewEntry, Writer};
use crate::sync::{Ordering, fence, full_fence};
use crate::types::Version;

impl<'a> Writer<'a> {
    /// Overwrites a record in place if the new value fits and nobody pins the segment.
    #[inline(always)]
    pub(crate) fn overwrite(
        &mut self,
        found: &Located<'a>,
        entry: &NewEntry<'_>,
        moment: &Moment<'_>,
    ) -> Option<Version> {
        let record = &found.record;
        // In a file what was acknowledged stays as it is until its successor is whole.
        if record.header.has_check_word() || entry.expiry != 0 && !record.header.has_expiry_word() {
            return None;
        }
        let header = record.header.overwritten(entry.value.len())?;
        self.begin_overwrite(record)?;
        let version = self.next_version();
        let new = Record { header, ..*record };
        new.overwrite(version.get(), entry.expiry, entry.key, entry.value);
        if header != record.header && self.account(record).is_some() {
            self.sub_live(record);
            self.add_live(&new);
        }
        if entry.expiry != 0 {
            self.note_expiry(&new, moment);
        }
        if self.engine.evicts {
            self.engine.index.count_read(found.place.word, found.slot);
        }
        Some(version)
    }

    /// Overwrites a value in place with a word of the same length, if nobody pins the segment. The expiry stays.
    #[inline(always)]
    pub(crate) fn overwrite_word(
        &mut self,
        found: &Located<'a>,
        value: Packed<'a>,
        word: u64,
    ) -> Option<Version> {
        if found.record.header.has_check_word() {
            return None;
        }
        self.begin_overwrite(&found.record)?;
        let version = self.next_version();
        found.record.overwrite_word(version.get(), value, word);
        if self.engine.evicts {
            self.engine.index.count_read(found.place.word, found.slot);
        }
        Some(version)
    }

    /// Makes the version of a record odd before its bytes are; `None`, and nothing is changed, if somebody pins it.
    #[inline(always)]
    fn begin_overwrite(&self, record: &Record<'a>) -> Option<()> {
        let version_word = record.version_word();
        let version = version_word.load(Ordering::Relaxed);
        version_word.store(version + 1, Ordering::Relaxed);
        if self.stripe.pins_expected.load(Ordering::Relaxed) == 0 {
            // Pairs with the acquire fence at the end of a reader's look: a reader that sees any word written from here
            // on sees the odd version, or a later one.
            fence(Ordering::Release);
            return Some(());
        }
        // Orders them as the other fence does. Pairs also with the fence in `Segments::pin`: either the pinning reader
        // sees the odd version and lets go, or its pin is seen here.
        full_fence();
        let unpinned = self.engine.segments.unpinned(self.engine.geometry.segment_of(record.start));
        if !unpinned {
            version_word.store(version, Ordering::Release);
        }
        unpinned.then_some(())
    }
}
