//! Many entries in one call: cheaper than one by one, and atomic only where a function says so.

use std::ffi::c_void;
use std::slice;

use nyala::{Error, Result, Store};

use crate::argument::{self, Out};
use crate::boundary::{self, Failure};
use crate::slice::nyala_slice;
use crate::status::{NYALA_NOT_FOUND, NYALA_OK, nyala_status, of_error};
use crate::store::{self, nyala_store};

/// A key with its value, and what nyala_set_many made of them.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyala_pair {
    /// The key, 1 to 65,535 bytes.
    pub key: nyala_slice,
    /// The value.
    pub value: nyala_slice,
    /// Output of nyala_set_many: NYALA_OK if this pair was stored.
    pub status: nyala_status,
}

/// Receives the items of nyala_get_many: the key's index, NYALA_OK or NYALA_NOT_FOUND, and the value, which lives until
/// the callback returns (NULL and 0 where there is none). It is called in the calling thread with no lock held and may
/// call the library. It must not throw, unwind or longjmp.
pub type nyala_visit_fn = Option<
    unsafe extern "C" fn(
        userdata: *mut c_void,
        index: usize,
        status: nyala_status,
        value: *const c_void,
        value_len: usize,
    ),
>;

/// Pairs and keys that are handed to the core at a time: enough to overlap their cache misses, and a bound on what a
/// call allocates, however many there are.
const BATCH: usize = 1024;

/// A key of the caller's array.
#[repr(transparent)]
struct Key(nyala_slice);

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `keys` makes these, and found neither NULL nor a length beyond the longest key.
        unsafe { slice::from_raw_parts(self.0.data.cast(), self.0.len) }
    }
}

/// The caller's keys, each checked, so that a bad one is found before anything is done and is named by its index.
///
/// # Safety
/// `keys` is NULL or points to `count` slices that are valid for reads for `'a`.
unsafe fn keys<'a>(
    store: &Store,
    keys: *const nyala_slice,
    count: usize,
) -> std::result::Result<&'a [Key], Failure> {
    // SAFETY: handed on; `Key` is a transparent wrapper.
    let keys = unsafe { argument::array(keys.cast::<Key>(), count, "keys") }?;
    let max = store.max_key_len();
    for (index, Key(nyala_slice { data, len })) in keys.iter().enumerate() {
        let item = |error| Failure::Item { array: "keys", index, error };
        if data.is_null() {
            return Err(item(Error::InvalidArgument("data is NULL".into())));
        }
        if *len == 0 {
            return Err(item(empty_key()));
        }
        if *len > max {
            return Err(item(Error::KeyTooLarge { len: *len, max }));
        }
    }
    Ok(keys)
}

/// Looks up count keys and calls visit once for each, in no promised order. Each lookup is like a nyala_get of its own;
/// together they are no snapshot. keys may be NULL if count is 0.
///
/// Returns NYALA_OK when every key was visited. Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key),
/// NYALA_ERR_TOO_LARGE (a key above 65,535 bytes), each found before the first visit and naming the index;
/// NYALA_ERR_FORKED, NYALA_ERR_CORRUPT. Threads: any. Cost: below that of count calls of nyala_get, because the memory
/// accesses of several keys overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_get_many(
    store: *mut nyala_store,
    keys: *const nyala_slice,
    count: usize,
    visit: nyala_visit_fn,
    userdata: *mut c_void,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        // SAFETY: the caller's keys.
        let keys = unsafe { self::keys(store, keys, count) }?;
        let visit = visit.ok_or_else(|| argument::null("visit"))?;
        store.get_many(keys, |index, value| {
            let (status, data, len) = match value {
                Some(value) => (NYALA_OK, value.as_ptr().cast(), value.len()),
                None => (NYALA_NOT_FOUND, std::ptr::null(), 0),
            };
            // SAFETY: the caller's callback, with bytes that live during the call.
            unsafe { visit(userdata, index, status, data, len) };
        })?;
        Ok(NYALA_OK)
    })
}

/// Stores count pairs, each as nyala_set does, and gives each its own status. Not atomic: other threads see some pairs
/// before others, and pairs after a failed one are still stored. Pairs with one key apply in order. pairs may be NULL
/// if count is 0.
///
/// Returns NYALA_OK if every pair was stored, else the status of the first that was not, and nyala_last_error names its
/// index; pairs[i].status is written for every pair in either case. Errors: those of nyala_set, a pair each; a NULL or
/// a length that no memory has fails the whole call with NYALA_ERR_INVALID_ARGUMENT and stores nothing, statuses as they
/// were. Threads: any. Cost: below that of count calls of nyala_set; allocates for up to 1,024 pairs at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_set_many(
    store: *mut nyala_store,
    pairs: *mut nyala_pair,
    count: usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        // SAFETY: the caller's pairs.
        let pairs = unsafe { argument::array_mut(pairs, count, "pairs") }?;
        for (index, pair) in pairs.iter().enumerate() {
            // SAFETY: the caller's bytes.
            unsafe { pair.bytes() }.map_err(|error| Failure::Item {
                array: "pairs",
                index,
                error,
            })?;
        }
        let mut first_failure = None;
        for (batch, pairs) in pairs.chunks_mut(BATCH).enumerate() {
            // SAFETY: the caller's bytes.
            let failed = unsafe { set_batch(store, pairs) };
            if let (None, Some((index, error))) = (&first_failure, failed) {
                first_failure =
                    Some(Failure::Item { array: "pairs", index: batch * BATCH + index, error });
            }
        }
        first_failure.map_or(Ok(NYALA_OK), Err)
    })
}

/// Stores the pairs, writes their statuses and gives the first error with its index.
///
/// # Safety
/// Keys and values are valid for reads, and [`nyala_pair::bytes`] accepts them.
unsafe fn set_batch(store: &Store, pairs: &mut [nyala_pair]) -> Option<(usize, Error)> {
    let items: Vec<(&[u8], &[u8])> = pairs
        .iter()
        // SAFETY: handed on.
        .map(|pair| unsafe { pair.bytes() }.unwrap_or_default())
        .collect();
    let outcomes = match store.set_many(&items) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            let status = of_error(&error);
            pairs.iter_mut().for_each(|pair| pair.status = status);
            return Some((0, error));
        }
    };
    let mut first = None;
    for (index, (pair, outcome)) in pairs.iter_mut().zip(outcomes).enumerate() {
        pair.status = outcome.as_ref().map_or_else(of_error, |()| NYALA_OK);
        if let Err(error) = outcome {
            first.get_or_insert((index, error));
        }
    }
    first
}

/// Stores count pairs as one. Atomic means: with an error nothing was changed; in a file all of them are found or none when it is
/// opened, also where the process died meanwhile, and at the levels of durability that reach so far where the power went; and no
/// other write of their keys comes between. It does not mean that readers see them at once: a get, scan or backup that runs
/// meanwhile may see some values new and others still old, but only of calls that have not returned yet. A cache may evict some
/// of them later, and nyala_salvage may find a part.
///
/// Values are without expiry. Of pairs with one key the last counts, and nobody sees the others. pairs may be NULL if count is 0; their statuses
/// are neither read nor written. All pairs together may count up to a segment (nyala_statistics.segment_bytes) less 192 bytes,
/// where each counts its key and value, rounded up to 8 bytes, and 64 bytes more. In a file no value may be longer than half a
/// segment.
///
/// Returns NYALA_OK if every pair was stored, else nothing was changed. Errors: those of nyala_set, of the first pair that
/// has one, and nyala_last_error names its index; NYALA_ERR_TOO_LARGE, also for more than a call takes, with the size and the
/// limit in nyala_last_error; NYALA_ERR_FULL where there is no room for all at once, also where they replace others. In a file,
/// after NYALA_ERR_IO and NYALA_ERR_POISONED all or nothing is there when it is opened again. Threads: any. Cost: of the
/// order of nyala_set_many's, and one sync at most; the keys' stripes stay locked meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_set_many_atomic(
    store: *mut nyala_store,
    pairs: *const nyala_pair,
    count: usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        // SAFETY: the caller's pairs.
        let pairs = unsafe { argument::array(pairs, count, "pairs") }?;
        let mut items = Vec::with_capacity(count.min(BATCH));
        for (index, pair) in pairs.iter().enumerate() {
            let item = |error| Failure::Item { array: "pairs", index, error };
            // SAFETY: the caller's bytes.
            let (key, value) = unsafe { pair.bytes() }.map_err(item)?;
            admit(store, key, value).map_err(item)?;
            items.push((key, value));
        }
        store.set_many_atomic(&items)?;
        Ok(NYALA_OK)
    })
}

/// What the core would say of a pair, so that the error can name it.
fn admit(store: &Store, key: &[u8], value: &[u8]) -> Result<()> {
    let (max_key, max_value) = (store.max_key_len(), store.max_frame_value_len());
    match (key.len(), value.len()) {
        (0, _) => Err(empty_key()),
        (len, _) if len > max_key => Err(Error::KeyTooLarge { len, max: max_key }),
        (_, len) if len > max_value => Err(Error::ValueTooLarge { len, max: max_value }),
        _ => Ok(()),
    }
}

fn empty_key() -> Error {
    Error::InvalidArgument("key of 0 bytes is empty: the least length is 1 byte".into())
}

impl nyala_pair {
    /// The key and the value. The empty key is left to the core.
    ///
    /// # Safety
    /// Both are NULL or valid for reads for `'a`.
    unsafe fn bytes<'a>(&self) -> Result<(&'a [u8], &'a [u8])> {
        // SAFETY: handed on.
        let key = unsafe { argument::bytes(self.key.data, self.key.len, "key") }?;
        // SAFETY: handed on.
        let value = unsafe { argument::bytes(self.value.data, self.value.len, "value") }?;
        Ok((key, value))
    }
}

/// Removes count entries and gives in *deleted how many were there. Not atomic: other threads see some go before
/// others. keys may be NULL if count is 0.
///
/// Returns NYALA_OK, also where keys had no value. Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key),
/// NYALA_ERR_TOO_LARGE (a key above 65,535 bytes), each found before anything is removed and naming the index;
/// NYALA_ERR_FORKED; never NYALA_ERR_FULL. Threads: any. Cost: below that of count calls of nyala_delete; allocates for
/// up to 1,024 keys at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_delete_many(
    store: *mut nyala_store,
    keys: *const nyala_slice,
    count: usize,
    deleted: *mut usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        // SAFETY: the caller's keys.
        let keys = unsafe { self::keys(store, keys, count) }?;
        // SAFETY: the caller's output.
        let deleted = unsafe { Out::new(deleted, "deleted") }?;
        let mut removed = 0;
        for keys in keys.chunks(BATCH) {
            removed += store.delete_many(keys)?.into_iter().filter(|was_there| *was_there).count();
        }
        deleted.write(removed);
        Ok(NYALA_OK)
    })
}
