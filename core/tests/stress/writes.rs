//! Writes of own keys.

use std::time::Duration;

use nyala::{Error, SetOptions, SetOutcome, Version};

use super::ledger::Family;
use super::worker::Worker;
use crate::common::{Check, ensure};

/// Most items of a batch.
pub(crate) const BATCH: usize = 8;

impl Worker<'_> {
    pub(crate) fn get_own(&mut self) -> Check {
        let place = self.pick(None);
        self.check_own(place)
    }

    fn put(&mut self, place: usize, len: usize) -> Check {
        let (generation, bound) = self.begin_value(place, len, false);
        match self.store.set(self.ledger.key(self.owned[place].id), &self.writing) {
            Ok(()) => {
                self.finish_value(place, generation, len);
                Ok(())
            }
            Err(Error::Full { .. }) => self.finish_full(place, len, bound),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes all permanent keys: they fit.
    pub(crate) fn fill_permanent(&mut self) -> Check {
        for place in 0..self.owned.len() {
            if Family::of(place) == Family::Permanent {
                let len = self.pick_len();
                self.put(place, len)?;
                ensure!(self.owned[place].present.is_some(), "full before it can be");
            }
        }
        Ok(())
    }

    /// Writes most of the other keys, as far as they fit.
    pub(crate) fn fill_others(&mut self) -> Check {
        for place in 0..self.owned.len() {
            if Family::of(place) != Family::Permanent && !self.random.one_in(4) {
                let len = self.pick_len();
                self.put(place, len)?;
            }
        }
        Ok(())
    }

    pub(crate) fn set(&mut self, same_len: bool) -> Check {
        let place = self.pick(None);
        let len = match self.owned[place].present {
            Some(present) if same_len => present.len,
            _ => self.pick_len(),
        };
        self.put(place, len)
    }

    /// `set_with` of a new value; whether it was stored, or `None` if the store is full.
    fn put_with(
        &mut self,
        place: usize,
        len: usize,
        may_expire: bool,
        options: SetOptions<'_>,
    ) -> Result<Option<SetOutcome>, String> {
        let began_ms = self.time.now_ms();
        let (generation, bound) = self.begin_value(place, len, may_expire);
        let key = self.ledger.key(self.owned[place].id);
        match self.store.set_with(key, &self.writing, options.return_previous()) {
            Ok(outcome) => {
                self.check_exact(place, outcome.previous.as_deref(), began_ms)?;
                if outcome.stored {
                    self.finish_value(place, generation, len);
                    self.note_version(place, outcome.version)?;
                } else {
                    self.ledger.shrink(self.growth(place, len));
                    if outcome.previous.is_none() {
                        self.note_absent(place);
                    }
                }
                Ok(Some(outcome))
            }
            Err(Error::Full { .. }) => self.finish_full(place, len, bound).map(|()| None),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn set_if_version(&mut self) -> Check {
        let place = self.pick(None);
        let known = self.owned[place].present.and_then(|present| present.version);
        let right = !self.random.one_in(4);
        let (options, right) = match (self.owned[place].present, known) {
            (Some(_), Some(version)) if right => (SetOptions::new().if_version(version), true),
            (Some(_), None) if right => (SetOptions::new().if_present(), true),
            (None, _) if right => (SetOptions::new().if_absent(), true),
            // A version that no store gets to.
            _ => (SetOptions::new().if_version(Version::from_u64(u64::MAX)), false),
        };
        let absent_before = self.owned[place].present.is_none();
        let len = self.pick_len();
        if let Some(outcome) = self.put_with(place, len, false, options)? {
            let holds = right && (absent_before || outcome.previous.is_some());
            ensure!(outcome.stored == holds, "stored is {}, expected {holds}", outcome.stored);
        }
        Ok(())
    }

    pub(crate) fn set_with_lifetime(&mut self) -> Check {
        let place = self.pick(Some(Family::Expiring));
        let len = self.pick_len();
        let old = self.owned[place].present.and_then(|present| present.expires_ms);
        if self.random.one_in(4) {
            let stored = self.put_with(place, len, true, SetOptions::new().keep_ttl())?;
            if let Some(outcome) = stored {
                let kept = if outcome.previous.is_some() { old } else { None };
                self.set_expiry(place, kept);
            }
            return Ok(());
        }
        let ttl_ms = 1 + self.random.word() % 500;
        let began_ms = self.time.now_ms();
        let options = SetOptions::new().ttl(Duration::from_millis(ttl_ms));
        if self.put_with(place, len, true, options)?.is_some() {
            self.set_expiry(place, Some((began_ms + ttl_ms, self.time.now_ms() + ttl_ms)));
        }
        Ok(())
    }

    fn set_expiry(&mut self, place: usize, expires_ms: Option<(u64, u64)>) {
        if let Some(present) = &mut self.owned[place].present {
            present.expires_ms = expires_ms;
        }
    }

    pub(crate) fn change_lifetime(&mut self) -> Check {
        let place = self.pick(Some(Family::Expiring));
        let id = self.owned[place].id;
        let began_ms = self.time.now_ms();
        let had = self.owned[place].present.is_some_and(|present| present.expires_ms.is_some());
        if self.random.one_in(3) {
            let persisted = self.store.persist(self.ledger.key(id)).map_err(|e| e.to_string())?;
            ensure!(had || !persisted, "persist answers true where there was no lifetime");
            if had {
                self.check_found(place, persisted, began_ms)?;
                self.set_expiry(place, None);
                if !persisted {
                    self.note_absent(place);
                }
            }
            return Ok(());
        }
        let absence = self.owned[place].next_absence();
        self.ledger.announce_absence(id, absence);
        let ttl_ms = 1 + self.random.word() % 500;
        match self.store.expire(self.ledger.key(id), Duration::from_millis(ttl_ms)) {
            Ok(found) => {
                self.check_found(place, found, began_ms)?;
                let until = (began_ms + ttl_ms, self.time.now_ms() + ttl_ms);
                self.set_expiry(place, Some(until));
                if !found {
                    self.note_absent(place);
                }
                Ok(())
            }
            Err(Error::Full { .. }) => self.ledger.permit_full(0),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn swap(&mut self) -> Check {
        let place = self.pick(None);
        let len = self.pick_len();
        let began_ms = self.time.now_ms();
        let (generation, bound) = self.begin_value(place, len, false);
        match self.store.swap(self.ledger.key(self.owned[place].id), &self.writing) {
            Ok(previous) => {
                self.check_exact(place, previous.as_deref(), began_ms)?;
                self.finish_value(place, generation, len);
                Ok(())
            }
            Err(Error::Full { .. }) => self.finish_full(place, len, bound),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Announces that an own key goes.
    fn begin_absence(&mut self, place: usize) {
        let owned = &mut self.owned[place];
        let generation = owned.next_absence();
        self.ledger.announce_absence(owned.id, generation);
    }

    pub(crate) fn take(&mut self) -> Check {
        let place = self.pick(Some(Family::Volatile));
        let began_ms = self.time.now_ms();
        self.begin_absence(place);
        let key = self.ledger.key(self.owned[place].id);
        let value = self.store.take(key).map_err(|error| error.to_string())?;
        self.check_exact(place, value.as_deref(), began_ms)?;
        self.note_absent(place);
        Ok(())
    }

    pub(crate) fn delete(&mut self) -> Check {
        let place = self.pick(Some(Family::Volatile));
        let began_ms = self.time.now_ms();
        self.begin_absence(place);
        let id = self.owned[place].id;
        let version = self.owned[place].present.and_then(|present| present.version);
        let result = match version {
            Some(version) => self.store.delete_if(self.ledger.key(id), version),
            None => self.store.delete(self.ledger.key(id)),
        };
        self.check_found(place, result.map_err(|error| error.to_string())?, began_ms)?;
        self.note_absent(place);
        Ok(())
    }

    /// Neighbouring places, from a random one on.
    fn pick_batch(&mut self) -> Vec<usize> {
        let (first, count) = (self.pick(None), self.random.between(1, BATCH));
        (first..self.owned.len().min(first + count)).collect()
    }

    pub(crate) fn delete_many(&mut self) -> Check {
        let mut places = self.pick_batch();
        places.retain(|place| Family::of(*place) != Family::Permanent);
        let began_ms = self.time.now_ms();
        for place in &places {
            self.begin_absence(*place);
        }
        let keys: Vec<&[u8]> =
            places.iter().map(|place| self.ledger.key(self.owned[*place].id)).collect();
        let found = self.store.delete_many(&keys).map_err(|error| error.to_string())?;
        for (place, found) in places.into_iter().zip(found) {
            self.check_found(place, found, began_ms)?;
            self.note_absent(place);
        }
        Ok(())
    }

    pub(crate) fn set_many(&mut self) -> Check {
        let places = self.pick_batch();
        let mut begun = Vec::new();
        let mut pairs: Vec<(&[u8], Vec<u8>)> = Vec::new();
        for place in &places {
            let len = self.pick_len();
            let (generation, _) = self.begin_value(*place, len, false);
            begun.push((generation, len));
            let key = self.ledger.key(self.owned[*place].id);
            pairs.push((key, self.writing.clone()));
        }
        let bound = self.ledger.charge_bound();
        let outcomes = self.store.set_many(&pairs).map_err(|error| error.to_string())?;
        ensure!(outcomes.len() == places.len(), "answers {} items", outcomes.len());
        drop(pairs);
        for ((place, (generation, len)), outcome) in places.into_iter().zip(begun).zip(outcomes) {
            match outcome {
                Ok(()) => self.finish_value(place, generation, len),
                Err(Error::Full { .. }) => self.finish_full(place, len, bound)?,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Empties the store under the others, and checks that own keys are gone: nobody else can have written them.
    pub(crate) fn clear(&mut self) -> Check {
        for place in 0..self.owned.len() {
            self.begin_absence(place);
        }
        self.store.clear().map_err(|error| error.to_string())?;
        self.totals.clears += 1;
        for place in 0..self.owned.len() {
            self.note_absent(place);
            self.check_own(place)?;
        }
        Ok(())
    }
}
