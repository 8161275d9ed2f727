//! What a store must answer: a plain map, and what it may answer where the interface leaves room.

use std::collections::{BTreeMap, HashSet};

use std::time::Duration;

use nyala::{ExpireCondition, TimeToLive};

use super::scan::ScanTrack;
use crate::common::{Check, EXPIRY_LAG_MS, charge_any, ensure, never_full_below};

/// What a key has.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) value: Vec<u8>,
    /// `None`: for ever.
    pub(crate) expires_ms: Option<u64>,
    /// The store chooses it: `None` until it has been seen.
    pub(crate) version: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Reference {
    now_ms: u64,
    segment_bytes: u64,
    /// Whether every entry gives way to a write that needs its room.
    evicts: bool,
    live: BTreeMap<Vec<u8>, Entry>,
    /// Expired keys that have no newer value, with their ends and charges: `len` may count them.
    expired: BTreeMap<Vec<u8>, (u64, u64)>,
    /// The greatest version that each key was seen to have: versions of one key only rise, even after a removal.
    floors: BTreeMap<Vec<u8>, u64>,
    versions: HashSet<u64>,
    charged: u64,
    /// The scan that is under way.
    pub(crate) scan: Option<ScanTrack>,
}

impl Reference {
    pub(crate) fn new(now_ms: u64, segment_bytes: u64, evicts: bool) -> Reference {
        Reference {
            now_ms,
            segment_bytes,
            evicts,
            live: BTreeMap::new(),
            expired: BTreeMap::new(),
            floors: BTreeMap::new(),
            versions: HashSet::new(),
            charged: 0,
            scan: None,
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.live.get(key)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Vec<u8>, &Entry)> {
        self.live.iter()
    }

    pub(crate) fn put(&mut self, key: &[u8], value: Vec<u8>, expires_ms: Option<u64>) {
        self.charged += charge_any(self.segment_bytes, key.len(), value.len());
        let entry = Entry { value, expires_ms, version: None };
        match self.live.get_mut(key) {
            Some(present) => {
                let old = std::mem::replace(present, entry);
                self.charged -= charge_any(self.segment_bytes, key.len(), old.value.len());
                if let Some(scan) = &mut self.scan {
                    scan.overwritten(key, old.value);
                }
            }
            None => {
                self.live.insert(key.to_vec(), entry);
                self.expired.remove(key);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let old = self.live.remove(key)?;
        self.charged -= charge_any(self.segment_bytes, key.len(), old.value.len());
        if let Some(scan) = &mut self.scan {
            scan.removed(key, old.value.clone());
        }
        Some(old)
    }

    pub(crate) fn clear(&mut self) {
        for (key, old) in std::mem::take(&mut self.live) {
            if let Some(scan) = &mut self.scan {
                scan.removed(&key, old.value);
            }
        }
        self.expired.clear();
        self.charged = 0;
    }

    fn expire_now(&mut self, key: &[u8]) {
        if let Some(old) = self.remove(key) {
            let end_ms = old.expires_ms.unwrap_or(self.now_ms);
            self.expired.insert(
                key.to_vec(),
                (end_ms, charge_any(self.segment_bytes, key.len(), old.value.len())),
            );
        }
    }

    pub(crate) fn advance_to(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        let over: Vec<Vec<u8>> = self
            .live
            .iter()
            .filter(|(_, entry)| entry.expires_ms.is_some_and(|at| at <= now_ms))
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            self.expire_now(&key);
        }
    }

    /// What is left of a lifetime that ends then.
    pub(crate) fn remaining(&self, expires_ms: Option<u64>) -> TimeToLive {
        match expires_ms {
            None => TimeToLive::Forever,
            Some(at) => TimeToLive::Remaining(Duration::from_millis(at - self.now_ms)),
        }
    }

    /// Whether a change of the lifetime to end at `at_ms` applies to the entry of this key.
    pub(crate) fn expire_applies(
        &self,
        key: &[u8],
        at_ms: u64,
        condition: ExpireCondition,
    ) -> bool {
        let Some(entry) = self.live.get(key) else {
            return false;
        };
        match condition {
            ExpireCondition::Always => true,
            ExpireCondition::IfNone => entry.expires_ms.is_none(),
            ExpireCondition::IfAny => entry.expires_ms.is_some(),
            ExpireCondition::IfLater => entry.expires_ms.is_some_and(|present| at_ms > present),
            ExpireCondition::IfSooner => entry.expires_ms.is_none_or(|present| at_ms < present),
        }
    }

    /// Gives the entry of this key a new end; one that has come removes it.
    pub(crate) fn set_expiry(&mut self, key: &[u8], expires_ms: Option<u64>) {
        if expires_ms.is_some_and(|at| at <= self.now_ms) {
            self.expire_now(key);
        } else if let Some(entry) = self.live.get_mut(key) {
            entry.expires_ms = expires_ms;
        }
    }

    /// Takes note of the version that the store gives for the present value of this key.
    pub(crate) fn observe(&mut self, key: &[u8], version: u64) -> Check {
        let Some(entry) = self.live.get_mut(key) else {
            return Err(format!("version {version} of a key that is not there"));
        };
        if let Some(known) = entry.version {
            ensure!(known == version, "version {version} where the same value had {known}");
            return Ok(());
        }
        ensure!(version != 0, "version 0");
        let floor = self.floors.get(key).copied().unwrap_or(0);
        ensure!(version > floor, "version {version} after {floor} of the same key");
        ensure!(self.versions.insert(version), "version {version} was given before");
        entry.version = Some(version);
        match self.floors.get_mut(key) {
            Some(floor) => *floor = version,
            None => {
                self.floors.insert(key.to_vec(), version);
            }
        }
        Ok(())
    }

    /// A version that this key has not got.
    pub(crate) fn other_version(&self, key: &[u8]) -> u64 {
        let floor = self.floors.get(key).copied().unwrap_or(0);
        match self.live.get(key) {
            // Its version is unknown or is the floor: a number above is not given yet, one below was.
            Some(entry) if entry.version.is_none() => floor,
            Some(_) => floor - 1,
            None => floor,
        }
    }

    /// Whether the store may answer `Full` to a write that makes the charge of live entries grow by `growth` bytes,
    /// while pins hold `pinned_bytes`.
    pub(crate) fn permit_full(&self, growth: u64, pinned_bytes: u64, max_bytes: u64) -> Check {
        // What a cache holds does not count: it can go.
        let standing = if self.evicts { 0 } else { self.charged + self.lagging() };
        let sum = standing + growth;
        ensure!(
            sum + pinned_bytes > never_full_below(max_bytes),
            "Full at {sum} charged bytes ({} entries) and {pinned_bytes} pinned bytes of {max_bytes}",
            self.live.len()
        );
        Ok(())
    }

    /// Charges of what has expired a moment ago.
    fn lagging(&self) -> u64 {
        let lagging = self.expired.values().filter(|(end, _)| end + EXPIRY_LAG_MS > self.now_ms);
        lagging.map(|(_, charge)| charge).sum()
    }

    /// What a write of a value of `value_len` bytes adds to the charge of live entries; 0 if it shrinks it. A large value
    /// is there twice for a moment.
    pub(crate) fn growth(&self, key: &[u8], value_len: usize) -> u64 {
        let old = self.live.get(key).map_or(0, |entry| self.charge(key, entry.value.len()));
        let new = self.charge(key, value_len);
        if new > self.segment_bytes / 8 { new } else { new.saturating_sub(old) }
    }

    /// What a first lifetime adds: a copy, for a moment, of an entry that is large.
    pub(crate) fn growth_by_lifetime(&self, key: &[u8]) -> u64 {
        self.live.get(key).map_or(0, |entry| self.growth(key, entry.value.len()))
    }

    fn charge(&self, key: &[u8], value_len: usize) -> u64 {
        charge_any(self.segment_bytes, key.len(), value_len)
    }

    /// `unseen` entries may be gone of which the reference does not know.
    pub(crate) fn check_len(&self, len: u64, unseen: u64) -> Check {
        let known = self.live.len() as u64;
        let least = known.saturating_sub(unseen);
        let most = known + self.expired.len() as u64;
        ensure!((least..=most).contains(&len), "len {len} lies outside {least} to {most}");
        Ok(())
    }
}
