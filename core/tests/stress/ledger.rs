//! What all threads know of all keys that have an owner.
//!
//! A key's generations rise with everything that its owner does to it: even ones are values, odd ones absences. The
//! owner announces a generation before it begins and acknowledges it when it is done. A reader that saw generation `a`
//! acknowledged before it began must see `a`, or something that was announced by the time it ended.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use super::burst::Burst;
use super::value::{key_hash, verify};
use crate::common::{Check, charge, ensure, never_full_below};

/// What happens to a key, by its place among its owner's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Written at the start, overwritten often, never removed.
    Permanent,
    Volatile,
    /// As volatile, with lifetimes.
    Expiring,
}

impl Family {
    pub(crate) fn of(place: usize) -> Family {
        match place % 4 {
            0 => Family::Permanent,
            1 | 2 => Family::Volatile,
            _ => Family::Expiring,
        }
    }

    fn letter(self) -> char {
        match self {
            Family::Permanent => 'p',
            Family::Volatile => 'v',
            Family::Expiring => 'x',
        }
    }
}

#[derive(Debug)]
struct KeyState {
    key: Vec<u8>,
    hash: u64,
    /// The last generation that its owner has finished.
    acknowledged: AtomicU64,
    /// The last value that its owner has begun to write.
    announced_value: AtomicU64,
    /// The last absence that may have begun.
    announced_absence: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    states: Vec<KeyState>,
    per_thread: usize,
    /// Whether any key may vanish at any time.
    may_vanish: bool,
    evicts: bool,
    /// The caps that the store may have.
    caps: RangeInclusive<u64>,
    segment_bytes: u64,
    /// Never less than the sum of the charges of live entries.
    charge_bound: AtomicU64,
    /// What threads may add and take back again while one of them looks at `charge_bound`.
    charge_slack: u64,
    /// Pins that are held or tried for.
    pins: AtomicU64,
}

/// Generation 1: absent, before anything was done.
pub(crate) const FIRST_GENERATION: u64 = 1;

impl Ledger {
    pub(crate) fn new(
        per_thread: usize,
        burst: &Burst,
        segment_bytes: u64,
        charge_slack: u64,
    ) -> Ledger {
        let states = (0..burst.threads * per_thread)
            .map(|id| {
                let (thread, place) = (id / per_thread, id % per_thread);
                let letter = Family::of(place).letter();
                let mut key = format!("{letter}/{thread}/{place}").into_bytes();
                if place % 16 == 9 {
                    key.resize(key.len() + place % 90, b'.');
                }
                KeyState {
                    hash: key_hash(&key),
                    key,
                    acknowledged: AtomicU64::new(FIRST_GENERATION),
                    announced_value: AtomicU64::new(0),
                    announced_absence: AtomicU64::new(FIRST_GENERATION),
                }
            })
            .collect();
        Ledger {
            states,
            per_thread,
            may_vanish: burst.clears || burst.evicts(),
            evicts: burst.evicts(),
            caps: burst.caps(),
            segment_bytes,
            charge_bound: AtomicU64::new(0),
            charge_slack,
            pins: AtomicU64::new(0),
        }
    }

    pub(crate) fn may_vanish(&self) -> bool {
        self.may_vanish
    }

    pub(crate) fn evicts(&self) -> bool {
        self.evicts
    }

    /// The largest cap that the store may have.
    pub(crate) fn greatest_cap(&self) -> u64 {
        *self.caps.end()
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    pub(crate) fn per_thread(&self) -> usize {
        self.per_thread
    }

    pub(crate) fn family(&self, id: usize) -> Family {
        Family::of(id % self.per_thread)
    }

    pub(crate) fn key(&self, id: usize) -> &[u8] {
        &self.states[id].key
    }

    pub(crate) fn hash(&self, id: usize) -> u64 {
        self.states[id].hash
    }

    /// Whose key this is, if it has an owner.
    pub(crate) fn find(&self, key: &[u8]) -> Option<usize> {
        let text = std::str::from_utf8(key).ok()?.trim_end_matches('.');
        let mut parts = text.split('/');
        let _family = parts.next()?;
        let thread: usize = parts.next()?.parse().ok()?;
        let place: usize = parts.next()?.parse().ok()?;
        let id = thread * self.per_thread + place;
        (place < self.per_thread && self.states.get(id)?.key == key).then_some(id)
    }

    pub(crate) fn announce_value(&self, id: usize, generation: u64) {
        self.states[id].announced_value.store(generation, Ordering::Release);
    }

    pub(crate) fn announce_absence(&self, id: usize, generation: u64) {
        self.states[id].announced_absence.store(generation, Ordering::Release);
    }

    pub(crate) fn acknowledge(&self, id: usize, generation: u64) {
        self.states[id].acknowledged.store(generation, Ordering::Release);
    }

    /// What a read that begins now must see, or something newer.
    pub(crate) fn acknowledged(&self, id: usize) -> u64 {
        self.states[id].acknowledged.load(Ordering::Acquire)
    }

    /// Checks what a read found that began after `acknowledged` was `before`; the generation if it found a value.
    pub(crate) fn check_read(
        &self,
        id: usize,
        before: u64,
        found: Option<&[u8]>,
    ) -> Result<Option<u64>, String> {
        let state = &self.states[id];
        let name = || String::from_utf8_lossy(&state.key).into_owned();
        let Some(value) = found else {
            let absence = state.announced_absence.load(Ordering::Acquire);
            ensure!(
                self.may_vanish || absence >= before,
                "lost key {}: generation {before} was acknowledged, and the last removal is {absence}",
                name()
            );
            return Ok(None);
        };
        let generation = verify(state.hash, value).map_err(|what| format!("{}: {what}", name()))?;
        let newest = state.announced_value.load(Ordering::Acquire);
        ensure!(
            generation >= before,
            "resurrected {}: generation {generation} after {before} was acknowledged",
            name()
        );
        ensure!(
            generation <= newest,
            "{} has generation {generation}, and the newest is {newest}",
            name()
        );
        Ok(Some(generation))
    }

    /// Checks a value that may have been read a while ago: whole, and not older than `before`.
    pub(crate) fn check_value(&self, id: usize, before: u64, value: &[u8]) -> Check {
        self.check_read(id, before, Some(value)).map(|_| ())
    }

    /// Reserves charge before an entry grows; the greatest bound so far.
    pub(crate) fn grow(&self, bytes: u64) -> u64 {
        self.charge_bound.fetch_add(bytes, Ordering::SeqCst) + bytes
    }

    pub(crate) fn shrink(&self, bytes: u64) {
        self.charge_bound.fetch_sub(bytes, Ordering::SeqCst);
    }

    pub(crate) fn charge_of(&self, id: usize, value_len: usize) -> u64 {
        charge(self.states[id].key.len(), value_len)
    }

    pub(crate) fn charge_bound(&self) -> u64 {
        self.charge_bound.load(Ordering::SeqCst)
    }

    pub(crate) fn hold_pin(&self) {
        self.pins.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn drop_pin(&self) {
        self.pins.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether the store may have answered `Full` to a call before which the bound was `bound`. Whatever the cap is said to
    /// be, it may just have been the least.
    pub(crate) fn permit_full(&self, bound: u64) -> Check {
        ensure!(!self.evicts, "a cache answers Full");
        self.permit_full_at(bound, *self.caps.start())
    }

    /// The same of a cap.
    pub(crate) fn permit_full_at(&self, bound: u64, cap: u64) -> Check {
        let pinned = self.pins.load(Ordering::SeqCst) * self.segment_bytes;
        let bound = bound.max(self.charge_bound());
        ensure!(
            bound + self.charge_slack + pinned > never_full_below(cap),
            "Full at no more than {bound} charged bytes, {} in flight and {pinned} pinned of {cap}",
            self.charge_slack
        );
        Ok(())
    }
}
