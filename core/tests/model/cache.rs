//! What only caches do, and what the cap is.
//!
//! Which entries a cache lets go is its own affair. So before an operation the trial looks whether the keys that it names
//! are still there, and the reference drops those that are not: from then on they must not come back by themselves.

use nyala::Error;

use super::op::{Named, Op};
use super::trial::{Trial, expect_ok};
use crate::common::{Check, ensure, validate};

/// Least `max_bytes` of any store.
const LEAST_BYTES: u64 = 1 << 20;
/// How far from what it was opened with a store's cap may be set, either way.
const RESIZE: u64 = 4;

impl Trial {
    /// Notices which of the keys that an operation names were evicted.
    pub(crate) fn notice_named(&mut self, op: &Op) -> Check {
        if !self.evicts {
            return Ok(());
        }
        self.evicted_before = self.store.stats().evicted;
        match op.named() {
            Named::None => Ok(()),
            Named::One(number) => self.notice(&self.key(number)),
            Named::Batch { key, count, stride } => {
                self.batch(key, count, stride).iter().try_for_each(|key| self.notice(key))
            }
            Named::All => self.notice_all(),
        }
    }

    pub(crate) fn notice_all(&mut self) -> Check {
        (0..self.keys.len()).try_for_each(|number| self.notice(&self.keys[number].clone()))
    }

    /// Notices whether a key was evicted.
    pub(crate) fn notice(&mut self, key: &[u8]) -> Check {
        if self.evicts
            && self.model.get(key).is_some()
            && !expect_ok("contains", self.store.contains(key))?
        {
            self.drop_evicted(key);
        }
        Ok(())
    }

    fn drop_evicted(&mut self, key: &[u8]) {
        self.model.remove(key);
        self.evictions_seen += 1;
    }

    /// Whether the operation under way has evicted anything.
    fn evicts_now(&self) -> bool {
        self.evicts && self.store.stats().evicted > self.evicted_before
    }

    /// A write without room may evict the very entry that it was asked to change. Where its answer `says` that there was
    /// none, the reference believes it if anything was evicted meanwhile.
    pub(crate) fn believe_absent(&mut self, key: &[u8], says: bool) -> bool {
        let believed = says && self.model.get(key).is_some() && self.evicts_now();
        if believed {
            self.drop_evicted(key);
        }
        believed
    }

    /// The same where the answer does not tell, but the lifetime does that the entry has now: it would be this one, had
    /// there been no entry.
    pub(crate) fn believe_lifetime(&mut self, key: &[u8], if_absent: Option<u64>) -> Check {
        if !self.evicts_now() {
            return Ok(());
        }
        let info = expect_ok("entry_info", self.store.entry_info(key))?;
        if info.is_some_and(|info| info.ttl == self.model.remaining(if_absent)) {
            self.model.set_expiry(key, if_absent);
        }
        Ok(())
    }

    /// Compares the entry of a key with what it was before a write that was refused; a cache may have evicted it
    /// meanwhile.
    pub(crate) fn check_unchanged(&mut self, key: &[u8]) -> Check {
        self.notice(key)?;
        self.check_entry(key)
    }

    pub(crate) fn check_evictions(&self) -> Check {
        let (evicted, seen) = (self.store.stats().evicted, self.evictions_seen);
        ensure!(evicted >= seen, "stats count {evicted} evictions, and {seen} were seen");
        ensure!(self.evicts || evicted == 0, "a store evicted {evicted} entries");
        self.model.check_len(self.store.len(), evicted - seen)
    }

    pub(crate) fn set_max_bytes(&mut self, share: u64) -> Check {
        let asked = self.opened_bytes * share / 1000;
        let least = (self.opened_bytes / RESIZE).max(LEAST_BYTES);
        if !(least..=self.opened_bytes * RESIZE).contains(&asked) {
            let result = self.store.set_max_bytes(asked);
            ensure!(
                matches!(result, Err(Error::InvalidArgument(_))),
                "set_max_bytes {asked} of {} at opening: {result:?}",
                self.opened_bytes
            );
            return Ok(());
        }
        if !self.resizes {
            return Ok(());
        }
        match self.store.set_max_bytes(asked) {
            Ok(()) => {
                self.max_bytes = asked;
                self.resized += 1;
            }
            Err(Error::Full { max_bytes, .. }) => {
                ensure!(max_bytes == asked, "Full names max_bytes = {max_bytes}, not {asked}");
                self.model.permit_full(0, self.pinned_bytes(), asked)?;
                self.full_answers += 1;
                for number in 0..self.keys.len() {
                    self.check_unchanged(&self.keys[number].clone())?;
                }
            }
            Err(error) => return Err(format!("set_max_bytes: {error}")),
        }
        validate(&self.store)
    }
}
