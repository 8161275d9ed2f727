//! Pins: values read in place.

use std::ffi::c_void;
use std::fmt;

use nyala::Pinned;

use crate::argument::{self, Out};
use crate::boundary;
use crate::status::{NYALA_NOT_FOUND, NYALA_OK, nyala_status};
use crate::store::{self, nyala_store};

/// A claim on a value's bytes: they stay as they were until nyala_unpin, whatever happens to the entry or to the store's
/// handle. A pin is not a lock and blocks nobody, but the memory around it cannot be reclaimed.
pub struct nyala_pinned(Pinned);

impl fmt::Debug for nyala_pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nyala_pinned({} bytes)", self.0.len())
    }
}

/// Pins the value of key. *pinned is set on NYALA_OK; the caller owns it and gives it to nyala_unpin. The long form of
/// take and swap: pin, then nyala_delete_if or nyala_set_with(NYALA_SET_IF_VERSION) with its version.
///
/// Returns NYALA_OK; NYALA_NOT_FOUND. Errors: NYALA_ERR_BUSY (pins are at their cap), NYALA_ERR_INVALID_ARGUMENT
/// (a NULL; an empty key), NYALA_ERR_TOO_LARGE (key above 65,535 bytes), NYALA_ERR_FORKED, NYALA_ERR_CORRUPT.
/// Threads: any. Cost: as nyala_get without the copy, and one small allocation: cheaper than a copy for long values
/// only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_pin(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
    pinned: *mut *mut nyala_pinned,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        // SAFETY: the caller's output.
        let handle = unsafe { Out::new(pinned, "pinned") }?;
        let Some(pinned) = store.pin(key)? else {
            return Ok(NYALA_NOT_FOUND);
        };
        handle.write(Box::into_raw(Box::new(nyala_pinned(pinned))));
        Ok(NYALA_OK)
    })
}

/// The pinned bytes, never NULL for a pin, also where the value is empty; NULL for NULL. Borrowed until nyala_unpin.
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_pinned_data(pinned: *const nyala_pinned) -> *const c_void {
    // SAFETY: the caller's handle, or NULL.
    unsafe { pinned.as_ref() }.map_or(std::ptr::null(), |pinned| pinned.0.as_ptr().cast())
}

/// How many bytes are pinned; 0 for NULL. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_pinned_len(pinned: *const nyala_pinned) -> usize {
    // SAFETY: the caller's handle, or NULL.
    unsafe { pinned.as_ref() }.map_or(0, |pinned| pinned.0.len())
}

/// The version of the pinned value, never 0; 0 for NULL. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_pinned_version(pinned: *const nyala_pinned) -> u64 {
    // SAFETY: the caller's handle, or NULL.
    unsafe { pinned.as_ref() }.map_or(0, |pinned| pinned.0.version().get())
}

/// Drops a pin; its bytes must not be looked at any more. NULL is a no-op. Threads: any one, not only the one that
/// pinned. Cost: nanoseconds; the last pin of a closed store frees the store's memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_unpin(pinned: *mut nyala_pinned) {
    if !pinned.is_null() {
        // SAFETY: nyala_pin made the box, and the caller gives it back once.
        boundary::release(unsafe { Box::from_raw(pinned) });
    }
}
