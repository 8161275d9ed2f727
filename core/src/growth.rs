//! How a stripe's part of the index grows and shrinks with its entries. The hash of an entry lies nowhere: where its slot
//! does not tell enough of it, it is made anew of the record's key.

use crate::engine::Engine;
use crate::hash::Hash;
use crate::index::{Helpers, Index, Place, Slot};
use crate::log::record::Record;
use crate::stripe::Writer;

impl Writer<'_> {
    /// A free slot for a key that is not there.
    #[inline]
    pub(crate) fn prepare(&self, hash: Hash) -> Option<Place> {
        let stripe = self.stripe;
        let place = stripe.directory.free_place(&self.engine.index, hash);
        place.or_else(|| self.prepare_by_growing(hash))
    }

    #[cold]
    fn prepare_by_growing(&self, hash: Hash) -> Option<Place> {
        let stripe = self.stripe;
        self.with_helpers(|index, helpers| stripe.directory.prepare(index, hash, helpers))
    }

    /// Sees to it that each of these keys, which are not there, has a free slot; see [`Writer::place_made`].
    pub(crate) fn make_places(&self, hashes: &mut [Hash]) -> bool {
        let stripe = self.stripe;
        self.with_helpers(|index, helpers| stripe.directory.make_room(index, hashes, helpers))
    }

    /// One of these slots.
    pub(crate) fn place_made(&self, hash: Hash) -> Option<Place> {
        self.stripe.directory.place_made(&self.engine.index, hash)
    }

    pub(crate) fn with_helpers<T>(&self, run: impl FnOnce(&Index, &mut Helpers<'_>) -> T) -> T {
        let engine = self.engine;
        let mut hash_all = |entries: &mut [(Slot, Hash)]| engine.hash_slots(entries);
        let mut helpers =
            Helpers { space: &engine.space, log: &engine.log, hash_all: &mut hash_all, moved: 0 };
        let answer = run(&engine.index, &mut helpers);
        if helpers.moved > 0 {
            self.stripe.counters.entries_relaid.add(helpers.moved);
        }
        answer
    }

    /// Merges two of the stripe's pages, the first that can be from the directory word `from` on; answers where to go on.
    pub(crate) fn shrink_index(&self, from: u64) -> Option<u64> {
        let stripe = self.stripe;
        self.with_helpers(|index, helpers| stripe.directory.shrink(index, from, helpers))
    }
}

impl Engine {
    /// Replaces each slot's hash by that of its key; all keys are asked for before the first is read.
    fn hash_slots(&self, entries: &mut [(Slot, Hash)]) {
        const AHEAD: usize = 16;
        let mut key = Vec::new();
        for i in 0..entries.len() {
            if let Some((ahead, _)) = entries.get(i + AHEAD) {
                self.log.view().prefetch(ahead.address());
            }
            let (slot, hash) = &mut entries[i];
            key.clear();
            Record::at(self.log.view(), slot.address()).copy_key(&mut key);
            *hash = self.hasher.hash(&key);
        }
    }
}
