//! A store and its reference side by side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nyala::{Clock, Cursor, Error, Eviction, Pinned, Result, Store};

use super::op::{HANDS, KeyNumber, Op, Payload};
use super::reference::Reference;
use super::shape::Shape;
use crate::common::{Check, FakeClock, charge_any, ensure, index, mix, validate};

/// A pin with a copy of what it must go on to show.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) pinned: PinnedBytes,
    pub(crate) copy: Vec<u8>,
    pub(crate) version: u64,
}

/// `Pinned` without its bytes in Debug output.
pub(crate) struct PinnedBytes(pub(crate) Pinned);

impl std::fmt::Debug for PinnedBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} pinned bytes", self.0.len())
    }
}

pub(crate) struct Trial {
    pub(crate) store: Store,
    pub(crate) model: Reference,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) opened_bytes: u64,
    /// The cap now.
    pub(crate) max_bytes: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) value_limit: usize,
    pub(crate) hands: [Option<Held>; HANDS],
    pub(crate) cursor: Option<Cursor>,
    /// Whether keys may have equal hashes.
    pub(crate) collides: bool,
    /// Operations applied, by kind.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Writes that were answered with `Full`.
    pub(crate) full_answers: u64,
    pub(crate) evicts: bool,
    /// Entries that were found to be evicted.
    pub(crate) evictions_seen: u64,
    /// Evictions by the time that the operation under way began.
    pub(crate) evicted_before: u64,
    /// Whether the cap changes, and how often it did.
    pub(crate) resizes: bool,
    pub(crate) resized: u64,
    applied: u64,
    skewed: bool,
    crowded: bool,
    long_one_in: u64,
}

/// Letters that keys begin with; scans choose one of them, or all.
pub(crate) const PREFIXES: [&str; 5] = ["", "a", "b", "c", "d"];

/// The keys of a store: unique, of one byte up to some hundred, and one as long as the store takes.
fn make_keys(count: usize, key_limit: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            let mut key = PREFIXES[1 + number % 4].as_bytes().to_vec();
            if number >= 4 {
                key.extend_from_slice((number / 4).to_string().as_bytes());
                key.push(b'.');
            }
            if number % 8 == 7 {
                key.resize(key.len() + number % 100, b'.');
            }
            if number == count - 1 {
                key.resize(key_limit, b'.');
            }
            key
        })
        .collect()
}

impl Trial {
    pub(crate) fn open(shape: &Shape, seed: u64) -> std::result::Result<Trial, String> {
        let clock = FakeClock::new();
        let store = Store::open(shape.options(seed, clock.clone()))
            .map_err(|error| format!("open {}: {error}", shape.name))?;
        ensure!(store.max_value_len() > 0, "max_value_len is 0");
        Ok(Trial {
            model: Reference::new(
                clock.now_ms(),
                store.stats().segment_bytes,
                shape.eviction != Eviction::None,
            ),
            clock,
            keys: make_keys(shape.keys, store.max_key_len()),
            opened_bytes: shape.max_bytes,
            max_bytes: shape.max_bytes,
            segment_bytes: store.stats().segment_bytes,
            value_limit: store.max_value_len(),
            store,
            hands: [const { None }; HANDS],
            cursor: None,
            collides: shape.hash_drop != 0,
            counts: BTreeMap::new(),
            full_answers: 0,
            evicts: shape.eviction != Eviction::None,
            evictions_seen: 0,
            evicted_before: 0,
            resizes: shape.resizes,
            resized: 0,
            applied: 0,
            skewed: shape.skewed,
            crowded: shape.crowded,
            long_one_in: shape.long_one_in,
        })
    }

    /// Applies one operation to both and compares the answers.
    pub(crate) fn apply(&mut self, op: &Op) -> Check {
        *self.counts.entry(op.name()).or_default() += 1;
        self.applied += 1;
        self.notice_named(op)?;
        self.dispatch(op)?;
        if self.applied.is_multiple_of(8) {
            let (used, max) = (self.store.used_bytes(), self.store.max_bytes());
            ensure!(max == self.max_bytes, "max_bytes {max} of a store of {}", self.max_bytes);
            ensure!(used <= max, "used_bytes {used} above max_bytes {max}");
            self.check_evictions()?;
        }
        if self.applied.is_multiple_of(4096) {
            validate(&self.store)?;
        }
        Ok(())
    }

    fn dispatch(&mut self, op: &Op) -> Check {
        match *op {
            Op::Set { key, value } => self.set(key, value),
            Op::SetWith { key, value, when, lifetime, previous } => {
                self.set_with(key, value, when, lifetime, previous)
            }
            Op::Swap { key, value } => self.swap(key, value),
            Op::Append { key, tail } => self.append(key, tail),
            Op::Increment { key, delta, ttl_on_create_ms } => {
                self.increment(key, delta, ttl_on_create_ms)
            }
            Op::SetMany { key, count, stride, value } => self.set_many(key, count, stride, value),
            Op::SetFrame { key, count, stride, value } => self.set_frame(key, count, stride, value),
            Op::Delete { key } => self.delete(key),
            Op::DeleteIf { key, current } => self.delete_if(key, current),
            Op::Take { key } => self.take(key),
            Op::DeleteMany { key, count, stride } => self.delete_many(key, count, stride),
            Op::Clear => self.clear(),
            Op::Get { key } => self.get(key),
            Op::GetVersioned { key } => self.get_versioned(key),
            Op::GetInto { key } => self.get_into(key),
            Op::GetWith { key } => self.get_with(key),
            Op::GetMany { key, count, stride } => self.get_many(key, count, stride),
            Op::Contains { key } => self.contains(key),
            Op::EntryInfo { key } => self.entry_info(key),
            Op::Ttl { key } => self.ttl(key),
            Op::Expire { key, ttl_ms, condition } => self.expire(key, ttl_ms, condition),
            Op::ExpireAt { key, offset_ms, condition } => self.expire_at(key, offset_ms, condition),
            Op::Persist { key } => self.persist(key),
            Op::Pin { hand, key } => self.pin(hand, key),
            Op::CheckPins => self.check_pins(),
            Op::Unpin { hand } => self.unpin(hand),
            Op::ScanWhole { prefix } => self.scan_whole(prefix),
            Op::ScanOpen { prefix } => self.scan_open(prefix),
            Op::ScanStep { count } => self.scan_step(count),
            Op::ScanBatch { budget } => self.scan_batch(budget),
            Op::ScanResume => self.scan_resume(),
            Op::Maintain { microseconds } => {
                let budget = Duration::from_micros(microseconds);
                expect_ok("maintain", self.store.maintain(budget)).map(|_| ())
            }
            Op::SetMaxBytes { share } => self.set_max_bytes(share),
            Op::Advance { milliseconds } => {
                self.clock.advance(Duration::from_millis(milliseconds));
                self.model.advance_to(self.clock.now_ms());
                Ok(())
            }
        }
    }

    /// Compares everything, and the store with its own invariants, and with what it must be when emptied.
    pub(crate) fn finish(&mut self) -> Check {
        validate(&self.store)?;
        self.check_pins()?;
        self.notice_all()?;
        self.check_evictions()?;
        for number in 0..self.keys.len() {
            let key = self.keys[number].clone();
            self.check_entry(&key)?;
        }
        self.scan_whole(0)?;
        self.clear()?;
        ensure!(self.store.is_empty(), "{} entries after clear", self.store.len());
        self.check_pins()?;
        validate(&self.store)
    }

    pub(crate) fn key_index(&self, KeyNumber(word): KeyNumber) -> usize {
        let count = self.keys.len() as u64;
        let bound = if self.skewed { (word >> 32) % count + 1 } else { count };
        usize::try_from((word & 0xffff_ffff) % bound).expect("below the number of keys")
    }

    pub(crate) fn key(&self, number: KeyNumber) -> Vec<u8> {
        self.keys[self.key_index(number)].clone()
    }

    /// The keys of a batch.
    pub(crate) fn batch(&self, number: KeyNumber, count: usize, stride: u64) -> Vec<Vec<u8>> {
        let first = self.key_index(number) as u64;
        (0..count as u64)
            .map(|i| {
                let at = (first + i * stride) % self.keys.len() as u64;
                self.keys[usize::try_from(at).expect("below the number of keys")].clone()
            })
            .collect()
    }

    pub(crate) fn bytes(&self, payload: Payload) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Payload::Bytes { fill, .. } = payload else {
            payload.write_to(&mut bytes, self.value_limit);
            return bytes;
        };
        // The longest values are rare: what is rare about them is their length, and time goes by bytes.
        let usual = usize::try_from(self.segment_bytes).expect("fits").min(self.value_limit);
        let limit = if fill.is_multiple_of(self.long_one_in) { self.value_limit } else { usual };
        payload.write_to(&mut bytes, limit);
        if self.crowded && bytes.len() <= limit && !fill.is_multiple_of(4) {
            let more = mix(fill);
            let len = usual / 8 + index(more, usual / 8);
            bytes.resize(len, more.to_le_bytes()[7]);
        }
        bytes
    }

    /// Bytes that pins may keep from being reclaimed.
    pub(crate) fn pinned_bytes(&self) -> u64 {
        let held = self.hands.iter().flatten();
        held.map(|held| charge_any(self.segment_bytes, 0, held.copy.len()).max(self.segment_bytes))
            .sum()
    }

    /// The answer of a write that makes the charge grow by `growth`; `None` if the store is full and may be.
    pub(crate) fn settle<T>(
        &mut self,
        operation: &str,
        result: Result<T>,
        growth: u64,
    ) -> std::result::Result<Option<T>, String> {
        match result {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::Full { max_bytes, .. }) => {
                ensure!(max_bytes == self.max_bytes, "Full names max_bytes = {max_bytes}");
                self.model
                    .permit_full(growth, self.pinned_bytes(), self.max_bytes)
                    .map_err(|what| format!("{operation}: {what}"))?;
                self.full_answers += 1;
                Ok(None)
            }
            Err(error) => Err(format!("{operation}: {error}")),
        }
    }

    /// Compares the entry of one key, version and lifetime included.
    pub(crate) fn check_entry(&mut self, key: &[u8]) -> Check {
        let got = expect_ok("get_versioned", self.store.get_versioned(key))?;
        let expected = self.model.get(key).map(|entry| entry.value.as_slice());
        compare("value", got.as_ref().map(|(value, _)| value.as_slice()), expected)?;
        if let Some((_, version)) = got {
            self.model.observe(key, version.get())?;
        }
        self.check_info(key)
    }
}

/// The answer of an operation that has no reason to fail.
pub(crate) fn expect_ok<T>(operation: &str, result: Result<T>) -> std::result::Result<T, String> {
    result.map_err(|error| format!("{operation}: {error}"))
}

/// Compares two values without printing them.
pub(crate) fn compare(what: &str, got: Option<&[u8]>, expected: Option<&[u8]>) -> Check {
    if got == expected {
        return Ok(());
    }
    let at = match (got, expected) {
        (Some(got), Some(expected)) => {
            let same = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
            format!("; they differ from byte {same}")
        }
        _ => String::new(),
    };
    let len = |value: Option<&[u8]>| {
        value.map_or_else(|| "nothing".to_owned(), |value| format!("{} bytes", value.len()))
    };
    Err(format!("{what}: got {}, expected {}{at}", len(got), len(expected)))
}
