//! What nobody has read since a file was opened by its index checkpoint: it is checked where it is first needed.
//!
//! The sums of the checkpoint say that its slots are what was stored, not that the records are. So its pages sleep
//! (`index/asleep.rs`) until their records have been checked, and reclaim checks what it walks over.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::index::Slot;
use crate::log::record::Record;
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::region::LINE_WORDS;
use crate::stripe::Writer;

/// Records whose cache lines are asked for before they are checked.
const AHEAD: usize = 16;

/// A sealed segment whose records were not all checked when the file was opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unread {
    pub(crate) segment: usize,
    /// As header or trailer say, by a sum that was right.
    pub(crate) lease: u64,
    /// Words up to the end of the last record.
    pub(crate) used_words: usize,
}

impl Engine {
    /// A record that is not what was written, or was not written at all.
    #[cold]
    pub(crate) fn damaged(&self, word: usize) -> Error {
        self.corrupt("a record that the index names is not what was written", word)
    }

    /// Something at a word of the log is not what was written.
    #[cold]
    pub(crate) fn corrupt(&self, what: &'static str, word: usize) -> Error {
        let offset = 8 * word as u64;
        match &self.file {
            Some(file) => {
                Error::corrupt(what, file.byte_of(0) + offset).in_file(file.disk().path())
            }
            None => Error::corrupt(what, offset),
        }
    }
}

impl<'a> Writer<'a> {
    /// Wakes the page of a key, if it sleeps. Nothing of it is known before.
    #[inline]
    pub(crate) fn wake(&self, hash: Hash) -> Result<()> {
        self.wake_page(self.stripe.directory.home(&self.engine.index, hash))
    }

    /// Wakes a page that the directory names, if it sleeps.
    #[inline]
    pub(crate) fn wake_page(&self, head: usize) -> Result<()> {
        if self.engine.index.is_asleep(head) { self.check_page(head) } else { Ok(()) }
    }

    /// ```text
    /// for each slot of the page: its segment is the stripe's, the record whole, the key one of this page
    /// if all are: lay them out, where readers see them
    /// ```
    #[cold]
    #[inline(never)]
    fn check_page(&self, head: usize) -> Result<()> {
        let engine = self.engine;
        let chain = || engine.index.chain(head);
        let slots: Vec<Slot> = chain().flat_map(|page| engine.index.slots_asleep(page)).collect();
        let counted: usize = chain().map(|page| engine.index.outline(page).entries).sum();
        if slots.len() != counted {
            return Err(engine.damaged(0));
        }
        let mut entries = Vec::with_capacity(slots.len());
        let mut key = Vec::new();
        for (i, slot) in slots.iter().enumerate() {
            if let Some(ahead) = slots.get(i + AHEAD) {
                engine.log.view().prefetch(ahead.address());
                engine.log.view().prefetch(ahead.address() + LINE_WORDS);
            }
            let record = self.unread_record(slot.address());
            let record = record.filter(|record| record.header.is_value());
            let Some(record) = record else { return Err(engine.damaged(slot.address())) };
            key.clear();
            record.copy_key(&mut key);
            let hash = engine.hasher.hash(&key);
            let belongs = !key.is_empty()
                && engine.hasher.stripe(hash) == self.state.number
                && self.stripe.directory.home(&engine.index, hash) == head
                && hash.tag() == slot.tag();
            if !belongs {
                return Err(engine.damaged(slot.address()));
            }
            entries.push((*slot, hash));
        }
        self.stripe.directory.wake(&engine.index, head, entries, &engine.space);
        Ok(())
    }

    /// Wakes all pages of the stripe.
    pub(crate) fn wake_all(&self) -> Result<()> {
        let directory = &self.stripe.directory;
        directory.pages(&self.engine.index).try_for_each(|head| self.wake_page(head))
    }

    /// A segment that may hold records which nobody has checked.
    pub(crate) fn unread(&self, segment: usize) -> Option<Unread> {
        let unread = &self.state.unread;
        let found = unread.binary_search_by_key(&segment, |unread| unread.segment);
        found.ok().map(|index| unread[index])
    }

    /// The record that begins at a word of a segment which nobody has read, or of a run; `None` if none does.
    pub(crate) fn unread_record(&self, start: usize) -> Option<Record<'a>> {
        let geometry = &self.engine.geometry;
        let segment = geometry.segment_of(start);
        let first = geometry.first_word(segment);
        let (lease, words, run) = match self.unread(segment) {
            Some(unread) => (unread.lease, unread.used_words, None),
            None => {
                let run = self.state.runs.get(&segment)?;
                let begins_run = start == first + SEGMENT_HEADER_WORDS;
                begins_run.then_some((run.lease, run.words, Some(run.words)))?
            }
        };
        let room = (first + words).checked_sub(start)?;
        let begins_behind_header = start >= first + SEGMENT_HEADER_WORDS;
        let record = || Record::whole(self.engine.log.view(), start, room, lease);
        let record = begins_behind_header.then(record).flatten()?;
        // Marks and links of any length lie in windows.
        let large = self.is_large(&record).then(|| geometry.run_words(record.header));
        (!record.header.is_value() || large == run).then_some(record)
    }

    /// The segment is no longer the stripe's.
    pub(crate) fn forget_unread(&mut self, segment: usize) {
        let unread = &mut self.state.unread;
        if let Ok(index) = unread.binary_search_by_key(&segment, |unread| unread.segment) {
            unread.remove(index);
        }
    }
}
