//! What a thread knows of its own keys: everything.

use nyala::Version;

use super::ledger::{FIRST_GENERATION, Family};
use super::value::{LEAST_LEN, encode, verify};
use super::worker::Worker;
use crate::common::{Check, EXPIRY_LAG_MS, ensure};

/// A key, by the thread that alone writes it.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    pub(crate) id: usize,
    pub(crate) present: Option<Present>,
    /// The last generation used, for a value or an absence.
    last_generation: u64,
    /// The greatest version that the store gave to the key.
    version_floor: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Present {
    pub(crate) generation: u64,
    pub(crate) len: usize,
    pub(crate) version: Option<Version>,
    /// Not before the first and not after the second of these times, if ever.
    pub(crate) expires_ms: Option<(u64, u64)>,
}

/// What an operation must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    Have,
    Lack,
    Either,
}

impl Owned {
    pub(crate) fn new(id: usize) -> Owned {
        Owned { id, present: None, last_generation: FIRST_GENERATION, version_floor: 0 }
    }

    fn next_value(&mut self) -> u64 {
        self.last_generation = (self.last_generation | 1) + 1;
        self.last_generation
    }

    pub(crate) fn next_absence(&mut self) -> u64 {
        self.last_generation = (self.last_generation + 1) | 1;
        self.last_generation
    }
}

impl Worker<'_> {
    /// Lengths around the words of a record and the edges of what the store takes.
    pub(crate) fn pick_len(&mut self) -> usize {
        super::burst::pick_len(&mut self.random, self.value_limit)
    }

    pub(crate) fn pick(&mut self, family: Option<Family>) -> usize {
        loop {
            let place = if self.random.one_in(2) {
                self.random.below(self.owned.len())
            } else {
                self.random.skewed(self.owned.len())
            };
            if family.is_none_or(|family| Family::of(place) == family) {
                return place;
            }
        }
    }

    fn judge(&self, place: usize, began_ms: u64, ended_ms: u64) -> Must {
        let Some(present) = self.owned[place].present else { return Must::Lack };
        let slack = self.time.slack_ms();
        match present.expires_ms {
            Some((_, latest)) if began_ms >= latest + slack => Must::Lack,
            _ if self.ledger.may_vanish() => Must::Either,
            Some((earliest, _)) if ended_ms + slack >= earliest => Must::Either,
            _ => Must::Have,
        }
    }

    /// Checks whether an operation found the key, against what it had to find.
    pub(crate) fn check_found(&self, place: usize, found: bool, began_ms: u64) -> Check {
        let must = self.judge(place, began_ms, self.time.now_ms());
        let present = self.owned[place].present;
        match (must, found) {
            (Must::Have, false) => Err(format!("lost own key: {present:?}")),
            (Must::Lack, true) => Err(format!("own key is there again: {present:?}")),
            _ => Ok(()),
        }
    }

    /// Checks a value that an operation found under an own key, exactly.
    pub(crate) fn check_exact(&self, place: usize, value: Option<&[u8]>, began_ms: u64) -> Check {
        self.check_found(place, value.is_some(), began_ms)?;
        let Some(value) = value else { return Ok(()) };
        let owned = &self.owned[place];
        let generation = verify(self.ledger.hash(owned.id), value)?;
        let found = (generation, value.len());
        let known = owned.present.map(|present| (present.generation, present.len));
        ensure!(Some(found) == known, "own key has {found:?}, expected {known:?}");
        Ok(())
    }

    /// The key is seen to be absent: others must not find it any more.
    pub(crate) fn note_absent(&mut self, place: usize) {
        let owned = &mut self.owned[place];
        if let Some(present) = owned.present.take() {
            let generation = owned.next_absence();
            self.ledger.announce_absence(owned.id, generation);
            self.ledger.acknowledge(owned.id, generation);
            let charge = self.ledger.charge_of(owned.id, present.len);
            match present.expires_ms {
                Some((_, latest)) => self.lagging.push_back((latest + EXPIRY_LAG_MS, charge)),
                None => self.ledger.shrink(charge),
            }
        }
    }

    /// Announces the next value of a key and writes it into `self.writing`. Returns its generation and the greatest
    /// charge that the store has to carry for it.
    pub(crate) fn begin_value(&mut self, place: usize, len: usize, may_expire: bool) -> (u64, u64) {
        let owned = &mut self.owned[place];
        let generation = owned.next_value();
        self.ledger.announce_value(owned.id, generation);
        if may_expire {
            let absence = owned.next_absence();
            self.ledger.announce_absence(owned.id, absence);
        }
        encode(&mut self.writing, self.ledger.hash(owned.id), generation, len);
        let bound = self.ledger.grow(self.growth(place, len));
        (generation, bound)
    }

    pub(crate) fn growth(&self, place: usize, len: usize) -> u64 {
        let owned = &self.owned[place];
        let old = owned.present.map_or(0, |present| self.ledger.charge_of(owned.id, present.len));
        self.ledger.charge_of(owned.id, len).saturating_sub(old)
    }

    /// The value was stored.
    pub(crate) fn finish_value(&mut self, place: usize, generation: u64, len: usize) {
        let owned = &mut self.owned[place];
        if let Some(old) = owned.present {
            let (old, new) =
                (self.ledger.charge_of(owned.id, old.len), self.ledger.charge_of(owned.id, len));
            self.ledger.shrink(old.saturating_sub(new));
        }
        owned.present = Some(Present { generation, len, version: None, expires_ms: None });
        self.ledger.acknowledge(owned.id, generation);
    }

    /// The value was not stored because the store is full: check that it may be, and that nothing changed.
    pub(crate) fn finish_full(&mut self, place: usize, len: usize, bound: u64) -> Check {
        self.totals.full += 1;
        self.ledger.permit_full(bound)?;
        self.ledger.shrink(self.growth(place, len));
        self.check_own(place).map_err(|what| format!("after Full: {what}"))
    }

    pub(crate) fn note_version(&mut self, place: usize, version: Option<Version>) -> Check {
        let owned = &mut self.owned[place];
        let Some(version) = version else { return Err("stored without a version".to_owned()) };
        let floor = owned.version_floor;
        ensure!(version.get() > floor, "version {version} of an own key after {floor}");
        owned.version_floor = version.get();
        if let Some(present) = &mut owned.present {
            present.version = Some(version);
        }
        Ok(())
    }

    pub(crate) fn check_own(&mut self, place: usize) -> Check {
        let began_ms = self.time.now_ms();
        let key = self.ledger.key(self.owned[place].id);
        let value = self.store.get(key).map_err(|error| error.to_string())?;
        self.check_exact(place, value.as_deref(), began_ms)?;
        if value.is_none() {
            self.note_absent(place);
        }
        Ok(())
    }
}

const _: () = assert!(LEAST_LEN <= 24, "short values matter: counters are overwritten in place");
