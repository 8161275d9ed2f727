//! Operations that change nothing.

use nyala::TimeToLive;

use super::op::KeyNumber;
use super::trial::{Trial, compare, expect_ok};
use crate::common::{Check, ensure};

impl Trial {
    fn expected(&self, key: &[u8]) -> Option<&[u8]> {
        self.model.get(key).map(|entry| entry.value.as_slice())
    }

    fn expected_ttl(&self, key: &[u8]) -> Option<TimeToLive> {
        self.model.get(key).map(|entry| self.model.remaining(entry.expires_ms))
    }

    pub(crate) fn get(&mut self, number: KeyNumber) -> Check {
        let key = self.key(number);
        let got = expect_ok("get", self.store.get(&key))?;
        compare("get", got.as_deref(), self.expected(&key))
    }

    pub(crate) fn get_versioned(&mut self, number: KeyNumber) -> Check {
        let key = self.key(number);
        self.check_entry(&key)
    }

    pub(crate) fn get_into(&mut self, number: KeyNumber) -> Check {
        let key = self.key(number);
        let mut out = b"to be cleared".to_vec();
        let found = expect_ok("get_into", self.store.get_into(&key, &mut out))?;
        ensure!(found || out.is_empty(), "get_into left {} bytes at a miss", out.len());
        compare("get_into", found.then_some(out.as_slice()), self.expected(&key))
    }

    pub(crate) fn get_with(&mut self, number: KeyNumber) -> Check {
        let key = self.key(number);
        let got = self.store.get_with(&key, |value, version| {
            let mut copy = Vec::new();
            value.copy_to_vec(&mut copy);
            let mut slice = vec![0; value.len()];
            value.copy_to_slice(&mut slice);
            (copy, slice, value.is_empty(), version)
        });
        let got = expect_ok("get_with", got)?;
        compare("get_with", got.as_ref().map(|(copy, ..)| copy.as_slice()), self.expected(&key))?;
        if let Some((copy, slice, is_empty, version)) = got {
            compare("copy_to_slice", Some(&slice), Some(&copy))?;
            ensure!(is_empty == copy.is_empty(), "is_empty is {is_empty} of {} bytes", copy.len());
            self.model.observe(&key, version.get())?;
        }
        Ok(())
    }

    pub(crate) fn get_many(&mut self, number: KeyNumber, count: usize, stride: u64) -> Check {
        let keys = self.batch(number, count, stride);
        let mut answers: Vec<Option<Option<Vec<u8>>>> = vec![None; count];
        let mut twice = None;
        let result = self.store.get_many(&keys, |i, value| {
            if answers[i].replace(value.map(<[u8]>::to_vec)).is_some() {
                twice = Some(i);
            }
        });
        expect_ok("get_many", result)?;
        ensure!(twice.is_none(), "get_many answers number {twice:?} twice");
        for (i, (key, answer)) in keys.iter().zip(&answers).enumerate() {
            let Some(answer) = answer else {
                return Err(format!("get_many leaves out number {i} of {count}"));
            };
            compare(&format!("get_many {i}"), answer.as_deref(), self.expected(key))?;
        }
        Ok(())
    }

    pub(crate) fn contains(&mut self, number: KeyNumber) -> Check {
        let key = self.key(number);
        let got = expect_ok("contains", self.store.contains(&key))?;
        ensure!(got == self.model.get(&key).is_some(), "contains answers {got}");
        Ok(())
    }

    pub(crate) fn entry_info(&mut self, number: KeyNumber) -> Check {
        let key = self.key(number);
        self.check_info(&key)
    }

    pub(crate) fn check_info(&mut self, key: &[u8]) -> Check {
        let got = expect_ok("entry_info", self.store.entry_info(key))?;
        let expected = self.model.get(key).map(|entry| entry.value.len());
        let expected = expected.zip(self.expected_ttl(key));
        let described = got.map(|info| (info.value_len, info.ttl));
        ensure!(described == expected, "entry_info {described:?}, expected {expected:?}");
        match got {
            Some(info) => self.model.observe(key, info.version.get()),
            None => Ok(()),
        }
    }

    pub(crate) fn ttl(&mut self, number: KeyNumber) -> Check {
        let key = self.key(number);
        let got = expect_ok("ttl", self.store.ttl(&key))?;
        let expected = self.expected_ttl(&key);
        ensure!(got == expected, "ttl {got:?}, expected {expected:?}");
        Ok(())
    }
}
