//! A frame: several values written as one, all of them or none.
//!
//! ```text
//! lock the stripes of all keys, in the order of their numbers
//! in each: reserve the words of its records, which together are its share, and slots for its new keys
//!                               if there is no room: take back what was reserved, unlock, make room, start over
//! in each: write the records and publish them                      nothing here can fail
//! let the runs go whose links are hidden by that                   only now: of a frame that is not whole nothing counts
//! unlock; pay; sync
//! ```
//! A share lies in one segment. In a file it begins with a record that names where the next share ends, in a ring, so that
//! recovery notices a frame of which a part is missing (`file/cut.rs`).

use std::ops::Range;

use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file::window::{NextShare, SHARE_WORDS};
use crate::hash::Hash;
use crate::log::space::Purpose;
use crate::region::WORD;
use crate::stripe::{NeedRoom, NewEntry, Pool, Writer};

/// Words that a pair counts beyond its key and value: more than header, check and its part of the share's own record take.
const WORDS_PER_PAIR: usize = 8;

/// A pair of a frame.
#[derive(Clone, Copy)]
struct Item<'v> {
    stripe: usize,
    hash: Hash,
    entry: NewEntry<'v>,
}

/// What a frame writes to one stripe.
struct Share<'a, 'v> {
    writer: Writer<'a>,
    items: &'v [Item<'v>],
    /// The pool of each item.
    pools: Vec<Pool>,
    /// Words that each pool needs, and keys that are not there.
    words: [usize; 2],
    absent: Vec<Hash>,
    /// What was reserved in each pool: from where the next record begins to the end.
    reserved: [Option<Range<usize>>; 2],
}

impl Engine {
    /// Writes values without expiry as one, whatever is there.
    pub(crate) fn set_frame<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, pairs: &[(K, V)]) -> Result<()> {
        self.birthplace.check()?;
        self.admit_change()?;
        let mut words = 0;
        for (key, value) in pairs {
            let (key, value) = (key.as_ref(), value.as_ref());
            self.admit_key_len(key)?;
            // A value that gets a run of a file has only a link in the window.
            let max = self.geometry.max_value_len.min(self.geometry.beside_len_max);
            if value.len() > max {
                return Err(Error::ValueTooLarge { len: value.len(), max });
            }
            words += WORDS_PER_PAIR + (key.len() + value.len()).div_ceil(WORD);
        }
        let max = self.geometry.frame_words();
        if words > max {
            return Err(Error::FrameTooLarge { bytes: words * WORD, max: max * WORD });
        }
        let mut items: Vec<Item<'_>> = pairs
            .iter()
            .map(|(key, value)| {
                let (key, value) = (key.as_ref(), value.as_ref());
                let hash = self.hasher.hash(key);
                let entry = NewEntry { key, value, expiry: 0, least_len: 0 };
                Item { stripe: self.hasher.stripe(hash), hash, entry }
            })
            .collect();
        // Stable: of several pairs with one key the last one is written.
        items.sort_by(|a, b| {
            let hashes = (a.stripe, a.hash.0).cmp(&(b.stripe, b.hash.0));
            hashes.then_with(|| a.entry.key.cmp(b.entry.key))
        });
        items.dedup_by(|later, kept| {
            let same = later.entry.key == kept.entry.key;
            if same {
                *kept = *later;
            }
            same
        });
        let moment = self.moment();
        let mut attempt = 0;
        let appended = loop {
            match self.try_frame(&items, &moment)? {
                Ok(appended) => break appended,
                Err(NeedRoom) => self.make_room(words, &moment, attempt)?,
            }
            attempt += 1;
        };
        self.pay(appended, &moment);
        self.acknowledge(appended)
    }

    /// Writes the items, which are in the order of their stripes; answers the words that were appended.
    fn try_frame(
        &self,
        items: &[Item<'_>],
        moment: &Moment<'_>,
    ) -> Result<std::result::Result<usize, NeedRoom>> {
        let mut shares = Vec::new();
        for items in items.chunk_by(|a, b| a.stripe == b.stripe) {
            shares.push(Share::new(self.lock_stripe(items[0].stripe, moment)?, items)?);
        }
        // From here on no other writer comes between.
        for number in 0..shares.len() {
            if shares[number].reserve(moment).is_err() {
                shares[..number].iter_mut().for_each(Share::retract);
                return Ok(Err(NeedRoom));
            }
        }
        let places: Vec<Option<NextShare>> = shares.iter().map(Share::place).collect();
        for (number, share) in shares.iter_mut().enumerate() {
            share.write(places[(number + 1) % places.len()], moment);
        }
        for (share, place) in shares.iter_mut().zip(places) {
            share.writer.let_held_runs_go();
            if let Some(place) = place {
                share.writer.note_share(place.lease);
            }
        }
        Ok(Ok(shares.iter().map(|share| share.writer.appended).sum()))
    }
}

impl<'a, 'v> Share<'a, 'v> {
    /// What the items need. The pages of all of them are awake then.
    fn new(writer: Writer<'a>, items: &'v [Item<'v>]) -> Result<Self> {
        let mut words = [0; 2];
        if writer.engine.geometry.in_file {
            words[Pool::Admission as usize] = SHARE_WORDS;
        }
        let mut absent = Vec::new();
        let mut pools = Vec::with_capacity(items.len());
        for item in items {
            let found = writer.locate(item.hash, item.entry.key)?;
            if found.is_none() {
                absent.push(item.hash);
            }
            let header = writer.header_of(&item.entry);
            let pool = writer.pool_to_append(found.as_ref(), item.hash, header);
            pools.push(pool);
            words[pool as usize] += header.extent();
        }
        Ok(Share { writer, items, pools, words, absent, reserved: [const { None }; 2] })
    }

    /// Reserves words and slots for all items; none if there is not room for all.
    fn reserve(&mut self, moment: &Moment<'_>) -> std::result::Result<(), NeedRoom> {
        let placed = self.writer.make_places(&mut self.absent);
        for pool in Pool::ALL {
            let words = self.words[pool as usize];
            if words == 0 {
                continue;
            }
            let start = self.writer.reserve_in_segment(words, pool, Purpose::Fresh, moment);
            self.reserved[pool as usize] = start.map(|start| start..start + words);
            if start.is_none() || !placed {
                self.retract();
                return Err(NeedRoom);
            }
        }
        Ok(())
    }

    /// Takes back what was reserved and is not used.
    fn retract(&mut self) {
        for pool in Pool::ALL {
            if let Some(reserved) = self.reserved[pool as usize].take() {
                self.writer.retract(reserved.start, reserved.len(), pool);
            }
        }
    }

    /// Where the share will lie, in a file.
    fn place(&self) -> Option<NextShare> {
        let reserved = self.reserved[Pool::Admission as usize].as_ref()?;
        self.writer.share_place(reserved.start, reserved.len())
    }

    /// Writes all records, each to what was reserved in its pool, and publishes them; or over the one that is there if it fits,
    /// which only a store in memory allows.
    fn write(&mut self, next: Option<NextShare>, moment: &Moment<'_>) {
        if let (Some(next), Some(reserved)) = (next, &mut self.reserved[Pool::Admission as usize]) {
            self.writer.write_share_mark(reserved.start, next);
            reserved.start += SHARE_WORDS;
        }
        self.writer.hold_runs();
        for (item, pool) in self.items.iter().zip(&self.pools) {
            let (hash, key) = (item.hash, item.entry.key);
            let found = self.writer.locate_at_home(hash, key);
            let found = found.or_else(|| self.writer.find_record(hash, |other| other.key_is(key)));
            if let Some(found) = &found
                && self.writer.overwrite(found, &item.entry, moment).is_some()
            {
                continue;
            }
            let header = self.writer.header_of(&item.entry);
            let place = match &found {
                Some(found) => found.place,
                None => self.writer.place_made(hash).expect("slots were made for all"),
            };
            let reserved =
                self.reserved[*pool as usize].as_mut().expect("words were reserved for all");
            let start = reserved.start;
            reserved.start += header.extent();
            self.writer.write_at(start, header, (found, place), hash, item.entry, moment);
        }
        self.retract();
    }
}
