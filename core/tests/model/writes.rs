//! Operations that change values and lifetimes.

use std::time::{Duration, UNIX_EPOCH};

use nyala::{Condition, Error, ExpireCondition, Result, SetOptions, Version};

use super::op::{KeyNumber, Lifetime, Payload, When};
use super::trial::{Trial, compare, expect_ok};
use crate::common::{Check, canonical_number, charge_any, ensure};

impl Trial {
    fn expires_in(&self, ttl_ms: u64) -> u64 {
        self.model.now_ms() + ttl_ms
    }

    /// What must come of a value that is too long; `None` if this one is not.
    fn too_large<T: std::fmt::Debug>(&self, result: &Result<T>, len: usize) -> Option<Check> {
        if len <= self.value_limit {
            return None;
        }
        let expected = Error::ValueTooLarge { len, max: self.value_limit };
        Some(match result {
            Err(error) if *error == expected => Ok(()),
            other => Err(format!("value of {len} bytes: {other:?}, expected {expected:?}")),
        })
    }

    pub(crate) fn set(&mut self, number: KeyNumber, value: Payload) -> Check {
        let (key, value) = (self.key(number), self.bytes(value));
        let result = self.store.set(&key, &value);
        if let Some(refused) = self.too_large(&result, value.len()) {
            return refused;
        }
        match self.settle("set", result, self.model.growth(&key, value.len()))? {
            Some(()) => {
                self.model.put(&key, value, None);
                Ok(())
            }
            None => self.check_unchanged(&key),
        }
    }

    pub(crate) fn set_with(
        &mut self,
        number: KeyNumber,
        value: Payload,
        when: When,
        lifetime: Lifetime,
        previous: bool,
    ) -> Check {
        let (key, value) = (self.key(number), self.bytes(value));
        if matches!(when, When::IfVersion | When::IfOtherVersion) {
            self.check_entry(&key)?;
        }
        let entry = self.model.get(&key);
        let old_value = entry.map(|entry| entry.value.clone());
        let old_expiry = entry.and_then(|entry| entry.expires_ms);
        let old_version = entry.and_then(|entry| entry.version);
        let other_value = old_value.as_ref().map_or_else(Vec::new, |old| {
            let mut other = old.clone();
            if let Some(last) = other.last_mut() {
                *last ^= 1;
            } else {
                other.push(0);
            }
            other
        });
        let other_version = self.model.other_version(&key);
        let (condition, holds) = match when {
            When::Always => (Condition::Always, true),
            When::IfAbsent => (Condition::IfAbsent, old_value.is_none()),
            When::IfPresent => (Condition::IfPresent, old_value.is_some()),
            When::IfVersion => {
                let version = old_version.unwrap_or(other_version);
                (Condition::IfVersion(Version::from_u64(version)), old_version.is_some())
            }
            When::IfOtherVersion => (Condition::IfVersion(Version::from_u64(other_version)), false),
            When::IfValue => {
                (Condition::IfValue(old_value.as_deref().unwrap_or(b"?")), old_value.is_some())
            }
            When::IfOtherValue => (Condition::IfValue(&other_value), false),
        };
        let mut options = SetOptions::new().condition(condition);
        let mut expires_ms = None;
        match lifetime {
            Lifetime::Forever => {}
            Lifetime::Keep => {
                options = options.keep_ttl();
                expires_ms = old_expiry;
            }
            Lifetime::Milliseconds(ttl) => {
                options = options.ttl(Duration::from_millis(ttl));
                expires_ms = Some(self.expires_in(ttl));
            }
        }
        if previous {
            options = options.return_previous();
        }
        let result = self.store.set_with(&key, &value, options);
        if let Some(refused) = self.too_large(&result, value.len()) {
            return refused;
        }
        let gone = result.as_ref().is_ok_and(|outcome| {
            holds && !outcome.stored || previous && outcome.previous.is_none()
        });
        let (holds, old_value) = match self.believe_absent(&key, gone) {
            true => (when == When::Always, None),
            false => (holds, old_value),
        };
        // A write whose condition does not hold needs no room.
        let Some(outcome) = (if holds {
            self.settle("set_with", result, self.model.growth(&key, value.len()))?
        } else {
            Some(expect_ok("set_with", result)?)
        }) else {
            return self.check_unchanged(&key);
        };
        ensure!(outcome.stored == holds, "set_with {when:?}: stored is {}", outcome.stored);
        let asked = old_value.as_deref().filter(|_| previous);
        compare("set_with, previous", outcome.previous.as_deref(), asked)?;
        if holds {
            self.model.put(&key, value, expires_ms);
            if lifetime == Lifetime::Keep {
                self.believe_lifetime(&key, None)?;
            }
        }
        match outcome.version {
            Some(version) => self.model.observe(&key, version.get()),
            None => {
                ensure!(self.model.get(&key).is_none(), "set_with answers no version");
                Ok(())
            }
        }
    }

    pub(crate) fn swap(&mut self, number: KeyNumber, value: Payload) -> Check {
        let (key, value) = (self.key(number), self.bytes(value));
        let result = self.store.swap(&key, &value);
        if let Some(refused) = self.too_large(&result, value.len()) {
            return refused;
        }
        self.believe_absent(&key, matches!(result, Ok(None)));
        match self.settle("swap", result, self.model.growth(&key, value.len()))? {
            Some(previous) => {
                let expected = self.model.get(&key).map(|entry| entry.value.as_slice());
                compare("swap", previous.as_deref(), expected)?;
                self.model.put(&key, value, None);
                Ok(())
            }
            None => self.check_unchanged(&key),
        }
    }

    pub(crate) fn append(&mut self, number: KeyNumber, tail: Payload) -> Check {
        let (key, tail) = (self.key(number), self.bytes(tail));
        let result = self.store.append(&key, &tail);
        let had = self.model.get(&key).map_or(0, |entry| entry.value.len());
        self.believe_absent(&key, had > 0 && result == Ok(tail.len()));
        let (mut value, expires_ms) = match self.model.get(&key) {
            Some(entry) => (entry.value.clone(), entry.expires_ms),
            None => (Vec::new(), None),
        };
        value.extend_from_slice(&tail);
        if let Some(refused) = self.too_large(&result, value.len()) {
            return refused;
        }
        match self.settle("append", result, self.model.growth(&key, value.len()))? {
            Some(len) => {
                ensure!(len == value.len(), "append answers {len}, expected {}", value.len());
                self.model.put(&key, value, expires_ms);
                self.believe_lifetime(&key, None)
            }
            None => self.check_unchanged(&key),
        }
    }

    pub(crate) fn increment(
        &mut self,
        number: KeyNumber,
        delta: i64,
        ttl_on_create_ms: Option<u64>,
    ) -> Check {
        let key = self.key(number);
        let ttl = ttl_on_create_ms.map(Duration::from_millis);
        let result = self.store.increment(&key, delta, ttl);
        let had = self.model.get(&key).and_then(|entry| canonical_number(&entry.value));
        self.believe_absent(&key, had.is_some_and(|had| had != 0) && result == Ok(delta));
        let created_until = ttl_on_create_ms.map(|ttl| self.expires_in(ttl));
        let (expected, expires_ms) = match self.model.get(&key) {
            None => (Ok(delta), created_until),
            Some(entry) => {
                let sum = match canonical_number(&entry.value) {
                    None => Err(Error::NotANumber { len: entry.value.len() }),
                    Some(value) => value.checked_add(delta).ok_or(Error::Overflow { value, delta }),
                };
                (sum, entry.expires_ms)
            }
        };
        let sum = match expected {
            Ok(sum) => sum,
            Err(expected) => {
                ensure!(
                    result.as_ref() == Err(&expected),
                    "increment: {result:?}, expected {expected:?}"
                );
                return Ok(());
            }
        };
        let text = sum.to_string().into_bytes();
        match self.settle("increment", result, self.model.growth(&key, text.len()))? {
            Some(got) => {
                ensure!(got == sum, "increment answers {got}, expected {sum}");
                self.model.put(&key, text, expires_ms);
                self.believe_lifetime(&key, created_until)
            }
            None => self.check_unchanged(&key),
        }
    }

    /// Items of different keys may be applied in any order: one is full if all together would be.
    pub(crate) fn set_many(
        &mut self,
        number: KeyNumber,
        count: usize,
        stride: u64,
        value: Payload,
    ) -> Check {
        let keys = self.batch(number, count, stride);
        let pairs: Vec<(Vec<u8>, Vec<u8>)> =
            keys.into_iter().zip(0..).map(|(key, i)| (key, self.bytes(value.varied(i)))).collect();
        let growth = pairs.iter().map(|(key, value)| self.model.growth(key, value.len())).sum();
        let outcomes = expect_ok("set_many", self.store.set_many(&pairs))?;
        ensure!(outcomes.len() == count, "set_many answers {} of {count}", outcomes.len());
        for (result, (key, value)) in outcomes.into_iter().zip(pairs) {
            if let Some(refused) = self.too_large(&result, value.len()) {
                refused?;
            } else if self.settle("set_many", result, growth)?.is_some() {
                self.model.put(&key, value, None);
            }
        }
        Ok(())
    }

    /// All items or none. One that is not refused changes the keys in their order.
    pub(crate) fn set_frame(
        &mut self,
        number: KeyNumber,
        count: usize,
        stride: u64,
        value: Payload,
    ) -> Check {
        let keys = self.batch(number, count, stride);
        let pairs: Vec<(Vec<u8>, Vec<u8>)> =
            keys.into_iter().zip(0..).map(|(key, i)| (key, self.bytes(value.varied(i)))).collect();
        let result = self.store.set_many_atomic(&pairs);
        let value_limit = self.value_limit.min(self.store.max_frame_value_len());
        let too_long = pairs.iter().find(|(_, value)| value.len() > value_limit);
        let counts =
            |(key, value): &(Vec<u8>, Vec<u8>)| (key.len() + value.len()).next_multiple_of(8) + 64;
        let bytes = pairs.iter().map(counts).sum();
        let max = self.store.max_frame_bytes();
        let expected = match too_long {
            Some((_, value)) => Some(Error::ValueTooLarge { len: value.len(), max: value_limit }),
            None => (bytes > max).then_some(Error::FrameTooLarge { bytes, max }),
        };
        if let Some(expected) = expected {
            ensure!(result == Err(expected.clone()), "frame: {result:?}, expected {expected:?}");
        } else {
            // What a stripe gets of it lies in one segment, of which it may leave as much again unused.
            let growth = 2 * charge_any(self.segment_bytes, 0, bytes);
            if self.settle("set_many_atomic", result, growth)?.is_some() {
                for (key, value) in pairs {
                    self.model.put(&key, value, None);
                }
                return Ok(());
            }
        }
        pairs.iter().try_for_each(|(key, _)| self.check_unchanged(key))
    }

    pub(crate) fn delete(&mut self, number: KeyNumber) -> Check {
        let key = self.key(number);
        let got = expect_ok("delete", self.store.delete(&key))?;
        let expected = self.model.remove(&key).is_some();
        ensure!(got == expected, "delete answers {got}");
        Ok(())
    }

    pub(crate) fn delete_if(&mut self, number: KeyNumber, current: bool) -> Check {
        let key = self.key(number);
        self.check_entry(&key)?;
        let present = self.model.get(&key).and_then(|entry| entry.version);
        let version = match present {
            Some(version) if current => version,
            _ => self.model.other_version(&key),
        };
        let got = expect_ok("delete_if", self.store.delete_if(&key, Version::from_u64(version)))?;
        let expected = present == Some(version);
        ensure!(got == expected, "delete_if version {version} of {present:?} answers {got}");
        if expected {
            self.model.remove(&key);
        }
        Ok(())
    }

    pub(crate) fn take(&mut self, number: KeyNumber) -> Check {
        let key = self.key(number);
        let got = expect_ok("take", self.store.take(&key))?;
        let expected = self.model.remove(&key).map(|entry| entry.value);
        compare("take", got.as_deref(), expected.as_deref())
    }

    pub(crate) fn delete_many(&mut self, number: KeyNumber, count: usize, stride: u64) -> Check {
        let keys = self.batch(number, count, stride);
        let got = expect_ok("delete_many", self.store.delete_many(&keys))?;
        let expected: Vec<bool> = keys.iter().map(|key| self.model.remove(key).is_some()).collect();
        ensure!(got == expected, "delete_many answers {got:?}, expected {expected:?}");
        Ok(())
    }

    pub(crate) fn clear(&mut self) -> Check {
        expect_ok("clear", self.store.clear())?;
        self.model.clear();
        Ok(())
    }

    pub(crate) fn expire(
        &mut self,
        number: KeyNumber,
        ttl_ms: u64,
        condition: ExpireCondition,
    ) -> Check {
        let key = self.key(number);
        let ttl = Duration::from_millis(ttl_ms);
        let result = match condition {
            ExpireCondition::Always => self.store.expire(&key, ttl),
            _ => self.store.expire_with(&key, ttl, condition),
        };
        self.settle_expiry("expire", result, &key, self.expires_in(ttl_ms), condition)
    }

    pub(crate) fn expire_at(
        &mut self,
        number: KeyNumber,
        offset_ms: i64,
        condition: ExpireCondition,
    ) -> Check {
        let key = self.key(number);
        let at_ms = self.model.now_ms().saturating_add_signed(offset_ms);
        let at = UNIX_EPOCH + Duration::from_millis(at_ms);
        let result = self.store.expire_at(&key, at, condition);
        self.settle_expiry("expire_at", result, &key, at_ms, condition)
    }

    fn settle_expiry(
        &mut self,
        operation: &str,
        result: Result<bool>,
        key: &[u8],
        at_ms: u64,
        condition: ExpireCondition,
    ) -> Check {
        let applies = self.model.expire_applies(key, at_ms, condition);
        let gone = self.believe_absent(key, applies && result == Ok(false));
        let applies = applies && !gone;
        let growth = self.model.growth_by_lifetime(key);
        let Some(got) = self.settle(operation, result, growth)? else {
            return self.check_unchanged(key);
        };
        ensure!(got == applies, "{operation} {condition:?} answers {got}");
        if applies {
            self.model.set_expiry(key, Some(at_ms));
        }
        Ok(())
    }

    pub(crate) fn persist(&mut self, number: KeyNumber) -> Check {
        let key = self.key(number);
        let got = expect_ok("persist", self.store.persist(&key))?;
        let expected = self.model.get(&key).is_some_and(|entry| entry.expires_ms.is_some());
        ensure!(got == expected, "persist answers {got}");
        if expected {
            self.model.set_expiry(&key, None);
        }
        Ok(())
    }
}
