//! Reads of any thread's keys, checked against the ledger.

use super::worker::Worker;
use crate::common::{Check, ensure};

/// Most keys of one `get_many`: more than a group that a store prefetches at once.
const KEYS_AT_ONCE: usize = 70;

impl Worker<'_> {
    /// Checks what a read found and counts it.
    fn check_seen(&mut self, id: usize, before: u64, found: Option<&[u8]>) -> Check {
        match self.ledger.check_read(id, before, found)? {
            Some(_) => self.totals.hits += 1,
            None => self.totals.misses += 1,
        }
        Ok(())
    }

    pub(crate) fn get(&mut self) -> Check {
        let id = self.any_key();
        let before = self.ledger.acknowledged(id);
        let value = self.store.get(self.ledger.key(id)).map_err(|error| error.to_string())?;
        self.check_seen(id, before, value.as_deref())
    }

    pub(crate) fn get_into(&mut self) -> Check {
        let id = self.any_key();
        let mut value = std::mem::take(&mut self.reading);
        let before = self.ledger.acknowledged(id);
        let found = self
            .store
            .get_into(self.ledger.key(id), &mut value)
            .map_err(|error| error.to_string())?;
        self.check_seen(id, before, found.then_some(value.as_slice()))?;
        self.reading = value;
        Ok(())
    }

    pub(crate) fn get_with(&mut self) -> Check {
        let id = self.any_key();
        let mut value = std::mem::take(&mut self.reading);
        let before = self.ledger.acknowledged(id);
        let version = self
            .store
            .get_with(self.ledger.key(id), |seen, version| {
                seen.copy_to_vec(&mut value);
                version
            })
            .map_err(|error| error.to_string())?;
        self.check_seen(id, before, version.map(|_| value.as_slice()))?;
        self.reading = value;
        Ok(())
    }

    pub(crate) fn get_versioned(&mut self) -> Check {
        let id = self.any_key();
        let before = self.ledger.acknowledged(id);
        let found =
            self.store.get_versioned(self.ledger.key(id)).map_err(|error| error.to_string())?;
        let Some((value, version)) = found else { return self.check_seen(id, before, None) };
        let generation = self.ledger.check_read(id, before, Some(&value))?.unwrap_or_default();
        self.totals.hits += 1;
        self.note_seen(id, generation, version.get())
    }

    /// Generations of a key rise with its versions, and neither goes back.
    pub(crate) fn note_seen(&mut self, id: usize, generation: u64, version: u64) -> Check {
        let last = self.last_seen[id];
        let now = (generation, version);
        ensure!(
            now == last || (generation > last.0 && version > last.1),
            "generation {generation} with version {version} after {} with {}",
            last.0,
            last.1
        );
        self.last_seen[id] = now;
        Ok(())
    }

    pub(crate) fn get_many(&mut self) -> Check {
        let count = self.random.between(1, KEYS_AT_ONCE);
        let ids: Vec<usize> = (0..count).map(|_| self.any_key()).collect();
        let before: Vec<u64> = ids.iter().map(|id| self.ledger.acknowledged(*id)).collect();
        let keys: Vec<&[u8]> = ids.iter().map(|id| self.ledger.key(*id)).collect();
        let mut answered = vec![false; count];
        let mut outcome = Ok(());
        let (mut hits, mut misses) = (0, 0);
        let ledger = self.ledger;
        let result = self.store.get_many(&keys, |i, value| {
            if std::mem::replace(&mut answered[i], true) {
                outcome = Err(format!("answers item {i} twice"));
            }
            match ledger.check_read(ids[i], before[i], value) {
                Ok(Some(_)) => hits += 1,
                Ok(None) => misses += 1,
                Err(what) => outcome = Err(what),
            }
        });
        result.map_err(|error| error.to_string())?;
        outcome?;
        ensure!(answered.iter().all(|answered| *answered), "leaves items out");
        self.totals.hits += hits;
        self.totals.misses += misses;
        Ok(())
    }

    pub(crate) fn entry_info(&mut self) -> Check {
        let id = self.any_key();
        let key = self.ledger.key(id);
        let before = self.ledger.acknowledged(id);
        if !self.store.contains(key).map_err(|error| error.to_string())? {
            return self.check_seen(id, before, None);
        }
        let before = self.ledger.acknowledged(id);
        match self.store.entry_info(key).map_err(|error| error.to_string())? {
            Some(info) => {
                let last = self.last_seen[id].1;
                ensure!(info.version.get() >= last, "version {} after {last}", info.version);
                ensure!(info.value_len <= self.value_limit, "length {}", info.value_len);
                self.totals.hits += 1;
                Ok(())
            }
            None => self.check_seen(id, before, None),
        }
    }
}
