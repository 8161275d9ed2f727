//! Reads that are not counted: an operation of the caller is one hit or miss at most, however often it looks.

use crate::error::Result;
use crate::pin::Pinned;
use crate::store::Store;
use crate::types::{EntryInfo, Version};

/// Some reads of a store as steps of an operation that is counted already, or counts as none.
#[derive(Debug, Clone, Copy)]
#[doc(hidden)]
pub struct Uncounted<'a>(pub(crate) &'a Store);

impl Uncounted<'_> {
    /// As [`Store::entry_info`].
    pub fn entry_info(&self, key: impl AsRef<[u8]>) -> Result<Option<EntryInfo>> {
        self.0.look_for_info(key.as_ref())
    }

    /// As [`Store::pin`].
    pub fn pin(&self, key: impl AsRef<[u8]>) -> Result<Option<Pinned>> {
        self.0.look_for_pin(key.as_ref())
    }

    /// As [`Store::get_versioned`].
    pub fn get_versioned(&self, key: impl AsRef<[u8]>) -> Result<Option<(Vec<u8>, Version)>> {
        self.0.look_for_value(key.as_ref())
    }
}
