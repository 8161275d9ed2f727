//! The one way in which an operation changes an entry.
//!
//! ```text
//! lock the stripe; find the entry; an expired one counts as absent
//! let the operation decide
//! do it; if there is no room: unlock, make room, start over
//! unlock; pay for what was appended
//! ```
//! Two take a shorter way first, where nearly all of them end: a set, which has nothing to decide, and an increment of a
//! counter that is there.

use crate::clock::Moment;
use crate::decimal::{self, Decimal};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::log::record::Record;
use crate::reader::expired;
use crate::region::WORD;
use crate::stripe::{Located, NeedRoom, NewEntry, Writer};
use crate::types::Version;

/// A counter gets room for any number, in whole words, so that it never outgrows its record.
const NUMBER_ROOM: usize = decimal::MAX_LEN.next_multiple_of(WORD);

/// The entry as an operation finds it, under the stripe's lock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Current<'a> {
    record: Record<'a>,
    /// Milliseconds since the epoch; 0 for none.
    pub(crate) expiry: u64,
}

impl Current<'_> {
    pub(crate) fn version(&self) -> Version {
        Version(self.record.version())
    }

    pub(crate) fn value_len(&self) -> usize {
        self.record.header.value_len()
    }

    pub(crate) fn value(&self) -> Vec<u8> {
        let mut value = Vec::new();
        self.record.copy_value(&mut value);
        value
    }

    /// The number that the value says in decimal.
    fn number(&self) -> Result<i64> {
        let mut bytes = [0; decimal::MAX_LEN];
        let len = self.value_len();
        let parsed = bytes.get_mut(..len).and_then(|text| {
            self.record.value()?.copy_to(text);
            decimal::parse(text)
        });
        parsed.ok_or(Error::NotANumber { len })
    }

    pub(crate) fn value_is(&self, bytes: &[u8]) -> bool {
        self.record.value_is(bytes)
    }
}

/// What an operation decides to do.
#[derive(Clone, Copy)]
pub(crate) enum Change<'v> {
    Keep,
    Remove,
    /// Write a value with this expiry, 0 for none.
    Store(NewValue<'v>, u64),
    /// Give the entry this expiry, 0 for none.
    Expire(u64),
}

#[derive(Clone, Copy)]
pub(crate) enum NewValue<'v> {
    Bytes(&'v [u8]),
    /// The number in decimal.
    Number(i64),
    /// The present value with these bytes behind it.
    Appended(&'v [u8]),
}

impl Engine {
    /// Writes a value without expiry, whatever is there.
    #[inline]
    pub(crate) fn set(&self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.file.is_some() {
            return self.set_in_file(key, value);
        }
        self.set_unacknowledged(key, value).map(|_| ())
    }

    /// Out of line, so that sets in memory keep their registers.
    #[cold]
    #[inline(never)]
    fn set_in_file(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.admit_change()?;
        let appended = self.set_unacknowledged(key, value)?;
        self.acknowledge(appended)
    }

    /// The same without waiting for a sync. Answers the words that were appended.
    #[inline]
    pub(crate) fn set_unacknowledged(&self, key: &[u8], value: &[u8]) -> Result<usize> {
        self.admit_value_len(value.len())?;
        let hash = self.admit_key(key)?;
        let moment = self.moment();
        let mut writer = self.lock(hash, &moment)?;
        let entry = NewEntry { key, value, expiry: 0, least_len: 0 };
        let done = match writer.locate_at_home(hash, key) {
            Some(found) => writer.store(Some(found), hash, entry, &moment),
            None => {
                writer.wake(hash)?;
                writer.store_elsewhere(hash, entry, &moment)
            }
        };
        let appended = writer.appended;
        drop(writer);
        match done {
            Ok(_) => {
                self.pay(appended, &moment);
                Ok(appended)
            }
            Err(NeedRoom) => self.set_in_need(key, value).map(|()| 0),
        }
    }

    /// Answers an error if the file does not take changes any more.
    #[inline]
    pub(crate) fn admit_change(&self) -> Result<()> {
        match &self.file {
            Some(file) => file.admit(),
            None => Ok(()),
        }
    }

    /// Waits, if the durability level says so, until what was appended is durable.
    #[inline]
    pub(crate) fn acknowledge(&self, appended: usize) -> Result<()> {
        match &self.file {
            Some(file) if appended > 0 || file.owes_sync() => file.acknowledge(),
            _ => Ok(()),
        }
    }

    #[cold]
    fn set_in_need(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.update(key, |_, _| Ok((Change::Store(NewValue::Bytes(value), 0), ()))).map(|_| ())
    }

    /// Adds to the number that the value says and answers the sum. A key that is not there counts as 0, and is created with
    /// a lifetime of `ttl_ms` milliseconds if that is given.
    pub(crate) fn increment(&self, key: &[u8], delta: i64, ttl_ms: Option<u64>) -> Result<i64> {
        if self.file.is_some() {
            self.admit_change()?;
        }
        let hash = self.admit_key(key)?;
        let moment = self.moment();
        let mut writer = self.lock(hash, &moment)?;
        if let Some(found) = writer.locate(hash, key)?
            && let Some(sum) = writer.add_in_place(&found, key, delta, &moment)
        {
            return Ok(sum);
        }
        self.increment_anyhow(writer, hash, key, (delta, ttl_ms), &moment)
    }

    /// Out of line, so that the short way keeps its registers.
    #[inline(never)]
    fn increment_anyhow<'a>(
        &'a self,
        writer: Writer<'a>,
        hash: Hash,
        key: &[u8],
        (delta, ttl_ms): (i64, Option<u64>),
        moment: &Moment<'_>,
    ) -> Result<i64> {
        let add = |current: Option<Current<'_>>, now_ms: &dyn Fn() -> u64| {
            let (sum, expiry) = match current {
                Some(current) => {
                    let value = current.number()?;
                    let sum = value.checked_add(delta).ok_or(Error::Overflow { value, delta })?;
                    (sum, current.expiry)
                }
                None => (delta, ttl_ms.map_or(0, |ttl_ms| now_ms().saturating_add(ttl_ms))),
            };
            Ok((Change::Store(NewValue::Number(sum), expiry), sum))
        };
        Ok(self.update_locked(writer, hash, key, moment, add)?.0)
    }

    /// Lets `decide` look at the entry of a key and does what it says, as one step. Answers what `decide` answered last,
    /// and the version if a value was written.
    #[inline]
    pub(crate) fn update<'v, T>(
        &self,
        key: &[u8],
        decide: impl FnMut(Option<Current<'_>>, &dyn Fn() -> u64) -> Result<(Change<'v>, T)>,
    ) -> Result<(T, Option<Version>)> {
        self.admit_change()?;
        let hash = self.admit_key(key)?;
        let moment = self.moment();
        let writer = self.lock(hash, &moment)?;
        self.update_locked(writer, hash, key, &moment, decide)
    }

    fn update_locked<'a, 'v, T>(
        &'a self,
        mut writer: Writer<'a>,
        hash: Hash,
        key: &[u8],
        moment: &Moment<'_>,
        mut decide: impl FnMut(Option<Current<'_>>, &dyn Fn() -> u64) -> Result<(Change<'v>, T)>,
    ) -> Result<(T, Option<Version>)> {
        let mut attempt = 0;
        loop {
            let found = writer.locate(hash, key)?;
            let current = found
                .as_ref()
                .map(|found| Current { record: found.record, expiry: found.record.expiry() });
            let current = current.filter(|current| !expired(current.expiry, moment));
            let present = current.as_ref().map_or(0, Current::value_len);
            let (change, answer) = decide(current, &|| moment.now_ms())?;
            let done = match (change, found) {
                (Change::Store(value, expiry), _) => {
                    let mut scratch = Scratch::default();
                    let bytes = scratch.bytes(value, current);
                    self.admit_value_len(bytes.len())?;
                    let least_len = if let NewValue::Number(_) = value { NUMBER_ROOM } else { 0 };
                    let entry = NewEntry { key, value: bytes, expiry, least_len };
                    writer.store(found, hash, entry, moment).map(Some)
                }
                (Change::Expire(expiry), Some(found)) => {
                    writer.set_expiry(found, hash, expiry, moment).map(|()| None)
                }
                (Change::Remove, Some(found)) if current.is_some() => {
                    writer.delete(found, hash, key, moment).map(|()| None)
                }
                (_, Some(found)) if current.is_none() => {
                    // Without room for a record that says so it stays, expired.
                    let _ = writer.let_expire(found, hash, moment);
                    Ok(None)
                }
                _ => Ok(None),
            };
            let appended = writer.appended;
            drop(writer);
            match done {
                Ok(version) => {
                    self.tell(self.hasher.stripe(hash), moment);
                    self.pay(appended, moment);
                    self.acknowledge(appended)?;
                    return Ok((answer, version));
                }
                Err(NeedRoom) => {
                    let words =
                        words_of(key, change, if self.geometry.in_file { present } else { 0 });
                    self.make_room(words, moment, attempt)?;
                    attempt += 1;
                    writer = self.lock(hash, moment)?;
                }
            }
        }
    }
}

impl<'a> Writer<'a> {
    /// Adds to a number of few digits that has not expired and whose sum fits where it is; else changes nothing.
    #[inline(always)]
    fn add_in_place(
        &mut self,
        found: &Located<'a>,
        key: &[u8],
        delta: i64,
        moment: &Moment<'_>,
    ) -> Option<i64> {
        let expiry = found.record.expiry();
        if expired(expiry, moment) {
            return None;
        }
        let value = found.record.value()?;
        let sum = decimal::parse_word(value.as_word()?, value.len())?.checked_add(delta)?;
        if let Some((text, len)) = decimal::to_word(sum)
            && len == value.len()
        {
            // As nearly always: one word changes, and neither header nor account.
            return self.overwrite_word(found, value, text).map(|_| sum);
        }
        let text = Decimal::new(sum);
        let entry = NewEntry { key, value: text.as_bytes(), expiry, least_len: NUMBER_ROOM };
        self.overwrite(found, &entry, moment)?;
        Some(sum)
    }
}

/// Words that a change may need beyond what is there, or with the bytes that are `present` and written again.
fn words_of(key: &[u8], change: Change<'_>, present: usize) -> usize {
    let value_len = match change {
        Change::Store(NewValue::Bytes(value), _) => value.len(),
        Change::Store(NewValue::Appended(value), _) => present + value.len(),
        Change::Store(NewValue::Number(_), _) => NUMBER_ROOM,
        Change::Expire(_) => present,
        Change::Keep => 0,
        Change::Remove => return 0,
    };
    4 + (key.len() + value_len).div_ceil(8)
}

/// Holds a value that an operation makes up.
#[derive(Default)]
struct Scratch {
    number: Option<Decimal>,
    joined: Vec<u8>,
}

impl Scratch {
    fn bytes<'a>(&'a mut self, value: NewValue<'a>, current: Option<Current<'_>>) -> &'a [u8] {
        match value {
            NewValue::Bytes(bytes) => bytes,
            NewValue::Number(number) => self.number.insert(Decimal::new(number)).as_bytes(),
            NewValue::Appended(tail) => {
                if let Some(current) = current {
                    current.record.copy_value(&mut self.joined);
                }
                self.joined.extend_from_slice(tail);
                &self.joined
            }
        }
    }
}
