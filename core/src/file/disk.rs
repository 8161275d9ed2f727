//! The seam to a file: every effect that the store has on it or learns from it, so that tests can take its place and
//! lose what a power cut loses, or fail a call.

use std::fmt;
use std::io;
use std::path::Path;

use crate::error::{Error, IoFailure, Result};
use crate::sync::AtomicU64;

/// Bytes of the unit in which space is allocated, given back, written and lost.
pub(crate) const PAGE_BYTES: u64 = 4096;

/// One run of the operating system; 0 if it is not known. What a dead process had stored in its map is still there
/// under the same number, and may not be under another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BootId(pub(crate) u128);

impl BootId {
    /// Whether nothing that was stored can have been lost between the two.
    pub(crate) fn is_same_boot(self, other: BootId) -> bool {
        self.0 != 0 && self == other
    }
}

/// A file and a map of it that never moves. Offsets are bytes from the start of the file, multiples of the page where
/// space is concerned.
pub(crate) trait Disk: Send + Sync + fmt::Debug {
    /// The first word of the map. It covers `reserved` bytes as long as the disk lives; to touch what lies behind the
    /// end of the file kills the process.
    fn base(&self) -> *const AtomicU64;

    /// Greatest length that the file may reach.
    fn reserved(&self) -> u64;

    /// Length of the file.
    fn len(&self) -> Result<u64>;

    /// Makes sure that these bytes have space on the disk, and makes the file longer if it ends before. What they hold
    /// stays as it is; new ones are zero. Without space it answers an error and not, at the first store, a signal.
    fn allocate(&self, first: u64, bytes: u64) -> Result<()>;

    /// Brings these bytes, which are allocated, into memory, ready to be written without a fault. A disk that cannot
    /// does nothing.
    fn populate(&self, first: u64, bytes: u64) -> Result<()>;

    /// Says that from here on single records will be read, in no order: what lies around one that is not in memory is not wanted.
    /// Before that, the file is read from its beginning to its end.
    fn expect_single_reads(&self) {}

    /// Gives the space of these bytes back. They read as zeros and may not be written until they are allocated again.
    fn punch(&self, first: u64, bytes: u64) -> Result<()>;

    /// Cuts the file off.
    fn truncate(&self, len: u64) -> Result<()>;

    /// Answers when everything stored before the call would survive a power cut, its length included. After an error
    /// nobody knows what would, and to try again would not tell: what failed once counts as written.
    fn sync_data(&self) -> Result<()>;

    /// What the file is called.
    fn path(&self) -> &Path;

    /// Wall time in milliseconds since the epoch.
    fn now_ms(&self) -> u64;

    /// The present run of the operating system.
    fn boot_id(&self) -> BootId;
}

impl dyn Disk + '_ {
    /// Words of the file, which must hold all of them.
    pub(crate) fn words(&self, first: u64, count: usize) -> Result<&[AtomicU64]> {
        self.words_before(self.len()?, first, count)
    }

    /// The same of a file that is known to be so long: nothing that the operating system could fail to do.
    pub(crate) fn words_before(&self, len: u64, first: u64, count: usize) -> Result<&[AtomicU64]> {
        let bytes = (count as u64).checked_mul(8);
        let end = bytes.and_then(|bytes| first.checked_add(bytes));
        let len = len.min(self.reserved());
        if !first.is_multiple_of(8) || end.is_none_or(|end| end > len) {
            return Err(Error::corrupt_number(
                "something lies behind the end of the file, which is as long as this",
                len,
                first,
            ));
        }
        // SAFETY: the map covers the range, which was checked to end within what is reserved.
        let start = unsafe { self.base().add((first / 8) as usize) };
        // SAFETY: as before, and the file is as long, so that the words can be read as long as the disk lives; they are
        // atomics, which others may store to.
        Ok(unsafe { std::slice::from_raw_parts(start, count) })
    }
}

/// What the system refused, and of which file.
pub(crate) fn failure<'a>(
    op: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> Error + use<'a> {
    move |error| {
        Error::Io(Box::new(IoFailure {
            op,
            path: path.to_owned(),
            kind: error.kind(),
            code: error.raw_os_error(),
            reason: error.to_string(),
        }))
    }
}

/// Answers an error unless the range is made of whole pages and lies within what is reserved.
pub(crate) fn check_range(first: u64, bytes: u64, reserved: u64) -> Result<()> {
    let fits = first.checked_add(bytes).is_some_and(|end| end <= reserved);
    if fits && first.is_multiple_of(PAGE_BYTES) && bytes.is_multiple_of(PAGE_BYTES) && bytes > 0 {
        return Ok(());
    }
    Err(Error::InvalidArgument(format!(
        "range of {bytes} bytes at {first} is not one of whole pages of {PAGE_BYTES} bytes within {reserved} bytes"
    )))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_boot_is_never_the_same() {
        assert!(BootId(7).is_same_boot(BootId(7)));
        assert!(!BootId(7).is_same_boot(BootId(8)));
        assert!(!BootId(0).is_same_boot(BootId(0)));
    }

    #[test]
    fn ranges_are_checked_without_overflow() {
        assert_eq!(check_range(4096, 8192, 12_288), Ok(()));
        for (first, bytes) in [
            (4096, 12_288),
            (0, 0),
            (1, 4096),
            (4096, 1),
            (u64::MAX - 4095, 8192),
            (1 << 63, 1 << 63),
        ] {
            let error = check_range(first, bytes, 12_288).unwrap_err().to_string();
            assert!(error.contains(&first.to_string()) && error.contains("12288"), "{error}");
        }
    }
}
