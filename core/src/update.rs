//! The one way in which an operation changes an entry.
//!
//! ```text
//! lock the stripe; find the entry; an expired one counts as absent
//! let the operation decide
//! do it; if there is no room: unlock, make room, start over
//! unlock; pay for what was appended
//! ```

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::log::record::Record;
use crate::reader::expired;
use crate::stripe::{NeedRoom, NewEntry};
use crate::types::Version;

/// An `i64` in decimal has at most this many bytes. A counter gets room for them, so that it never outgrows its record.
const NUMBER_LEN: usize = 20;
const NUMBER_ROOM: usize = 24;

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
    pub(crate) fn number(&self) -> Result<i64> {
        let len = self.value_len();
        let mut bytes = [0; NUMBER_LEN];
        let value = bytes.get_mut(..len).ok_or(Error::NotANumber { len })?;
        match self.record.value() {
            Some(packed) => packed.copy_to(value),
            None => return Err(Error::NotANumber { len }),
        }
        parse_number(value)
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
    /// Lets `decide` look at the entry of a key and does what it says, as one step. Answers what `decide` answered last,
    /// and the version if a value was written.
    #[inline]
    pub(crate) fn update<'v, T>(
        &self,
        key: &[u8],
        mut decide: impl FnMut(Option<Current<'_>>, &dyn Fn() -> u64) -> Result<(Change<'v>, T)>,
    ) -> Result<(T, Option<Version>)> {
        let hash = self.admit_key(key)?;
        let moment = self.moment();
        let mut attempt = 0;
        loop {
            let mut writer = self.lock(hash, &moment)?;
            let found = writer.locate(hash, key);
            let current = found
                .as_ref()
                .map(|found| Current { record: found.record, expiry: found.record.expiry() });
            let current = current.filter(|current| !expired(current.expiry, &moment));
            let (change, answer) = decide(current, &|| moment.now_ms())?;
            let done = match (change, found) {
                (Change::Store(value, expiry), _) => {
                    let mut scratch = Scratch::default();
                    let bytes = scratch.bytes(value, current);
                    self.admit_value_len(bytes.len())?;
                    let least_len = if let NewValue::Number(_) = value { NUMBER_ROOM } else { 0 };
                    let entry = NewEntry { key, value: bytes, expiry, least_len };
                    writer.store(found, hash, entry, &moment).map(Some)
                }
                (Change::Expire(expiry), Some(found)) => {
                    writer.set_expiry(found, hash, expiry, &moment).map(|()| None)
                }
                (Change::Remove, Some(found)) if current.is_some() => {
                    writer.remove(found, hash);
                    Ok(None)
                }
                (_, Some(found)) if current.is_none() => {
                    writer.remove_expired(found, hash);
                    Ok(None)
                }
                _ => Ok(None),
            };
            let appended = writer.appended;
            drop(writer);
            match done {
                Ok(version) => {
                    self.pay(appended, &moment);
                    return Ok((answer, version));
                }
                Err(NeedRoom) => {
                    self.make_room(words_of(key, change), &moment, attempt)?;
                    attempt += 1;
                }
            }
        }
    }
}

/// Words that a change may need beyond what is there.
fn words_of(key: &[u8], change: Change<'_>) -> usize {
    let value_len = match change {
        Change::Store(NewValue::Bytes(value) | NewValue::Appended(value), _) => value.len(),
        Change::Store(NewValue::Number(_), _) => NUMBER_ROOM,
        Change::Expire(_) | Change::Keep | Change::Remove => 0,
    };
    3 + (key.len() + value_len).div_ceil(8)
}

/// Holds a value that an operation makes up.
#[derive(Default)]
struct Scratch {
    number: [u8; NUMBER_LEN],
    joined: Vec<u8>,
}

impl Scratch {
    fn bytes<'a>(&'a mut self, value: NewValue<'a>, current: Option<Current<'_>>) -> &'a [u8] {
        match value {
            NewValue::Bytes(bytes) => bytes,
            NewValue::Number(number) => {
                let mut rest = number.unsigned_abs();
                let mut first = NUMBER_LEN;
                loop {
                    first -= 1;
                    self.number[first] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                    if rest == 0 {
                        break;
                    }
                }
                if number < 0 {
                    first -= 1;
                    self.number[first] = b'-';
                }
                &self.number[first..]
            }
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

/// The number that a value says in canonical decimal: no sign but a minus before a number that is not zero, no leading
/// zeros, no spaces.
fn parse_number(value: &[u8]) -> Result<i64> {
    let bad = || Error::NotANumber { len: value.len() };
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    let negative = digits.len() != value.len();
    if digits.is_empty() || digits[0] == b'0' && value != b"0" {
        return Err(bad());
    }
    // Downwards, because there is one more negative number than positive ones.
    let mut number = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(bad());
        }
        let digit = i64::from(digit - b'0');
        let next = number.checked_mul(10).and_then(|number| number.checked_sub(digit));
        number = next.ok_or_else(bad)?;
    }
    if negative { Ok(number) } else { number.checked_neg().ok_or_else(bad) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_decimals_are_numbers() {
        for number in [0, 1, -1, 42, i64::MAX, i64::MIN] {
            assert_eq!(parse_number(number.to_string().as_bytes()), Ok(number));
        }
        for text in
            ["", "-", "-0", "+1", "01", "-01", " 1", "1 ", "1e3", "9223372036854775808", "x"]
        {
            assert!(parse_number(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
