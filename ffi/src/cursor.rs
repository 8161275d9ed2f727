//! Cursors: walking over entries.

use std::ffi::c_void;
use std::fmt;

use nyala::Cursor;

use crate::argument::{self, Out};
use crate::boundary;
use crate::slice::nyala_slice;
use crate::status::{NYALA_END, NYALA_OK, nyala_status};
use crate::store::{self, nyala_store};

/// A walk over the entries whose keys start with a prefix, in no order. It blocks no writer.
pub struct nyala_cursor {
    entries: Cursor,
    /// What the latest nyala_scan_next showed, kept because the caller borrows it.
    shown: (Vec<u8>, Vec<u8>),
}

impl fmt::Debug for nyala_cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nyala_cursor")
    }
}

/// Starts a walk over the entries whose keys start with prefix; NULL with length 0: all entries. *cursor is set on
/// NYALA_OK; the caller owns it and gives it to nyala_scan_close. What is there throughout the walk is shown once; what
/// comes or goes meanwhile may or may not be. A prefix does not shorten the walk, only what it shows.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL), NYALA_ERR_FORKED. Threads: any. Cost: microseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_scan_open(
    store: *mut nyala_store,
    prefix: *const c_void,
    prefix_len: usize,
    cursor: *mut *mut nyala_cursor,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        // SAFETY: the caller's bytes.
        let prefix = unsafe { argument::bytes(prefix, prefix_len, "prefix") }?;
        // SAFETY: the caller's output.
        let handle = unsafe { Out::new(cursor, "cursor") }?;
        let entries = store.scan(prefix)?;
        handle.write(Box::into_raw(Box::new(nyala_cursor { entries, shown: Default::default() })));
        Ok(NYALA_OK)
    })
}

/// Goes to the next entry and gives its key and value. Both are copies that the cursor owns: borrowed until the next
/// nyala_scan_next or nyala_scan_close of this cursor.
///
/// Returns NYALA_OK; NYALA_END after the last entry, and from then on. Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL),
/// NYALA_ERR_FORKED, NYALA_ERR_CORRUPT. Threads: one at a time on a cursor, any on others. Cost: as nyala_get, and with
/// a prefix that few keys have a walk over the others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_scan_next(
    cursor: *mut nyala_cursor,
    key: *mut nyala_slice,
    value: *mut nyala_slice,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle, used by one thread at a time.
        let cursor = unsafe { argument::exclusive(cursor, "cursor") }?;
        // SAFETY: the caller's output.
        let key = unsafe { Out::new(key, "key") }?;
        // SAFETY: the caller's output.
        let value = unsafe { Out::new(value, "value") }?;
        let Some(entry) = cursor.entries.next() else {
            return Ok(NYALA_END);
        };
        cursor.shown = entry?;
        key.write(nyala_slice::of(&cursor.shown.0));
        value.write(nyala_slice::of(&cursor.shown.1));
        Ok(NYALA_OK)
    })
}

/// Ends a walk, at any point; also after nyala_close of its store. NULL is a no-op. What the cursor showed must not be
/// looked at any more. Threads: any one. Cost: nanoseconds; the last cursor of a closed store frees the store's memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_scan_close(cursor: *mut nyala_cursor) {
    if !cursor.is_null() {
        // SAFETY: nyala_scan_open made the box, and the caller gives it back once.
        boundary::release(unsafe { Box::from_raw(cursor) });
    }
}
