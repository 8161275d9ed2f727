//! What a scan that is under way may and must yield.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{Check, ensure};

#[derive(Debug)]
pub(crate) struct ScanTrack {
    prefix: Vec<u8>,
    /// There ever since the scan began, and not yielded yet.
    owed: BTreeSet<Vec<u8>>,
    /// There ever since the scan began, and yielded.
    yielded: BTreeSet<Vec<u8>>,
    /// Values that were replaced or removed since the scan began: a cursor may have read them before.
    past: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    /// Whether a position was taken in a store whose keys' hashes are equal: it cannot tell which of them have come, so
    /// that some come again, and none is lost.
    may_repeat: bool,
}

impl ScanTrack {
    pub(crate) fn new<'a>(prefix: &[u8], keys: impl Iterator<Item = &'a Vec<u8>>) -> ScanTrack {
        ScanTrack {
            prefix: prefix.to_vec(),
            owed: keys.filter(|key| key.starts_with(prefix)).cloned().collect(),
            yielded: BTreeSet::new(),
            past: BTreeMap::new(),
            may_repeat: false,
        }
    }

    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    pub(crate) fn resumed_among_equal_hashes(&mut self) {
        self.may_repeat = true;
    }

    pub(crate) fn overwritten(&mut self, key: &[u8], old: Vec<u8>) {
        if key.starts_with(&self.prefix) {
            self.past.entry(key.to_vec()).or_default().push(old);
        }
    }

    pub(crate) fn removed(&mut self, key: &[u8], old: Vec<u8>) {
        self.overwritten(key, old);
        self.owed.remove(key);
        self.yielded.remove(key);
    }

    pub(crate) fn check(&mut self, key: &[u8], value: &[u8], present: Option<&[u8]>) -> Check {
        let name = String::from_utf8_lossy(key);
        ensure!(key.starts_with(&self.prefix), "scan yields {name:.40}, which lacks the prefix");
        let was_there = present == Some(value)
            || self.past.get(key).is_some_and(|past| past.iter().any(|old| old == value));
        ensure!(was_there, "scan yields a value that {name:.40} never had since the scan began");
        if self.owed.remove(key) {
            self.yielded.insert(key.to_vec());
        } else {
            ensure!(
                self.may_repeat || !self.yielded.contains(key),
                "scan yields {name:.40} twice, and it was there throughout"
            );
        }
        Ok(())
    }

    pub(crate) fn finish(&self) -> Check {
        let missing = self.owed.len();
        let example = self.owed.first().map(|key| String::from_utf8_lossy(key).into_owned());
        ensure!(
            missing == 0,
            "scan left out {missing} keys that were there throughout: {example:?}"
        );
        Ok(())
    }
}
