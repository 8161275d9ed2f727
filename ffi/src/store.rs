//! The store: opening, closing, and the operations on one entry that need no options of their own.

use std::ffi::c_void;
use std::time::Duration;

use nyala::{Store, TimeToLive, Version};

use crate::argument::{self, Buffer, Out};
use crate::boundary::{self, Failure};
use crate::options::{self, nyala_options};
use crate::status::{NYALA_CONFLICT, NYALA_NOT_FOUND, NYALA_OK, NYALA_TRUNCATED, nyala_status};

/// An open store. All functions may be called on one store from any number of threads at the same time, save
/// nyala_close.
#[derive(Debug)]
pub struct nyala_store(Store);

/// The store behind a handle.
///
/// # Safety
/// `handle` is NULL or was given by nyala_open and has not been closed.
#[inline]
pub(crate) unsafe fn of<'a>(handle: *const nyala_store) -> Result<&'a Store, Failure> {
    // SAFETY: handed on.
    Ok(unsafe { &argument::reference(handle, "store")?.0 })
}

/// Opens a store in memory, or in a file if options->path says so; a cache if options->eviction does. *store is set on
/// NYALA_OK; the caller owns it and gives it to nyala_close. options are copied, callbacks and their userdata are kept
/// until the store, its pins and its cursors are closed.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (an argument NULL; max_bytes, eviction, count_reads, durability, sync_interval_ms
/// or struct_size outside its range; a path that is empty or names no regular file; max_bytes too small for what the
/// file holds), NYALA_ERR_UNSUPPORTED (unknown flag; non-zero bytes behind the options this library knows; a file
/// system that cannot allocate space), NYALA_ERR_NO_MEMORY (the operating system refuses the address space or the
/// thread), and for a file NYALA_ERR_LOCKED (it is open already, in this process or another), NYALA_ERR_IO,
/// NYALA_ERR_CORRUPT (it is no store, or damaged), NYALA_ERR_VERSION; NYALA_ERR_CANCELLED. Threads: any. Cost: some system calls, and memory
/// is committed as it is used; of a file, a look at every record in it, and some syncs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_open(
    options: *const nyala_options,
    store: *mut *mut nyala_store,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's output.
        let handle = unsafe { Out::new(store, "store") }?;
        // SAFETY: the caller's struct.
        let (options, caller) = unsafe { options::read(options) }?;
        let store = match caller {
            Some(caller) => Store::open_with(options, |progress| caller.tell(progress)),
            None => Store::open(options),
        }?;
        handle.write(Box::into_raw(Box::new(nyala_store(store))));
        Ok(NYALA_OK)
    })
}

/// Closes a store. Entries in memory are gone, those in a file are there when it is opened again. NULL is a no-op. Pins
/// and cursors stay valid, and the memory goes with the last of them; a file stays open and locked so long. It is synced
/// now, at every durability, and again when the last of them goes, of which nobody is told; then it can be opened again at
/// once. Any other use of the handle afterwards, whatever was answered, and in another thread meanwhile, is undefined, as
/// after free.
///
/// Returns NYALA_OK, also in a forked child, where the file stays the parent's. Errors: NYALA_ERR_IO (a sync failed),
/// NYALA_ERR_POISONED (one had failed before): what was written since the last good one may not survive a power cut; the
/// store is closed all the same. Threads: one, when no other uses the handle. Cost: grows with the memory in use; of a
/// file, some syncs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_close(store: *mut nyala_store) -> nyala_status {
    boundary::call(|| {
        if !store.is_null() {
            // SAFETY: nyala_open made the box, and the caller gives it back once.
            let nyala_store(store) = *unsafe { Box::from_raw(store) };
            store.close()?;
        }
        Ok(NYALA_OK)
    })
}

/// Copies a value into the caller's buffer if it fits, and tells its length and version.
///
/// The core may run the closure again when a writer interferes, and then find no entry or a longer one, with the buffer
/// written to already. Copying to the stack first and into the buffer at the end would prevent that; it cost 9 ns for
/// 100 bytes, three times what crossing into the library costs.
#[inline]
fn copy_value(
    store: &Store,
    key: &[u8],
    buffer: &mut Buffer<'_>,
) -> nyala::Result<Option<(nyala_status, usize, Version)>> {
    store.get_with(key, |value, version| {
        let len = value.len();
        let Some(room) = buffer.first(len) else { return (NYALA_TRUNCATED, len, version) };
        value.copy_to_slice(room);
        (NYALA_OK, len, version)
    })
}

/// Copies the value of key into buffer and its length in bytes to *value_len. buffer may be NULL if buffer_len is 0,
/// which asks for the length alone.
///
/// Returns NYALA_OK; NYALA_NOT_FOUND; NYALA_TRUNCATED (the value is longer than buffer_len: *value_len is its full
/// length, nothing was copied). The copy goes straight into buffer, which may therefore have been written to although
/// the answer is not NYALA_OK where another thread changed or removed the entry during the call. Errors:
/// NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key), NYALA_ERR_TOO_LARGE (key above 65,535 bytes), NYALA_ERR_FORKED,
/// NYALA_ERR_CORRUPT. Threads: any. Cost: no memory is allocated; tens of nanoseconds and a copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_get(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    buffer_len: usize,
    value_len: *mut usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        // SAFETY: the caller's buffer.
        let mut buffer = unsafe { Buffer::new(buffer, buffer_len) }?;
        // SAFETY: the caller's output.
        let value_len = unsafe { Out::new(value_len, "value_len") }?;
        let Some((status, len, _)) = copy_value(store, key, &mut buffer)? else {
            return Ok(NYALA_NOT_FOUND);
        };
        value_len.write(len);
        Ok(status)
    })
}

/// As nyala_get, with the value's version in *version, which is written on NYALA_OK and NYALA_TRUNCATED. A version is
/// unique in the store for ever, never 0, new with every write of the value and with nothing else.
///
/// Returns, errors, threads, cost: as nyala_get; version NULL is NYALA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_get_versioned(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    buffer_len: usize,
    value_len: *mut usize,
    version: *mut u64,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        // SAFETY: the caller's buffer.
        let mut buffer = unsafe { Buffer::new(buffer, buffer_len) }?;
        // SAFETY: the caller's output.
        let value_len = unsafe { Out::new(value_len, "value_len") }?;
        // SAFETY: the caller's output.
        let version = unsafe { Out::new(version, "version") }?;
        let Some((status, len, number)) = copy_value(store, key, &mut buffer)? else {
            return Ok(NYALA_NOT_FOUND);
        };
        value_len.write(len);
        version.write(number.get());
        Ok(status)
    })
}

/// Stores a value, whether or not the key has one, without a time to live. key and value are copied. value may be NULL
/// if value_len is 0: an empty value is a value.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key), NYALA_ERR_TOO_LARGE (key above 65,535 bytes, value above
/// what the message says), NYALA_ERR_FULL, NYALA_ERR_FORKED; after each the entry is as it was. Threads: any. Cost: a
/// copy, and a bounded share of the store's upkeep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_set(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        // SAFETY: the caller's value.
        let value = unsafe { argument::value(store, value, value_len, "value") }?;
        store.set(key, value)?;
        Ok(NYALA_OK)
    })
}

/// Removes an entry.
///
/// Returns NYALA_OK; NYALA_NOT_FOUND. Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key), NYALA_ERR_TOO_LARGE
/// (key above 65,535 bytes), NYALA_ERR_FORKED; never NYALA_ERR_FULL, but of a file NYALA_ERR_IO where its disk has no
/// room to write the removal down: the entry is still there. Threads: any. Cost: as nyala_set without the copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_delete(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        Ok(if store.delete(key)? { NYALA_OK } else { NYALA_NOT_FOUND })
    })
}

/// Removes an entry if its value is still of this version.
///
/// Returns NYALA_OK; NYALA_NOT_FOUND; NYALA_CONFLICT (the value is of another version). Errors, threads, cost: as
/// nyala_delete.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_delete_if(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
    version: u64,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        if store.delete_if(key, Version::from_u64(version))? {
            return Ok(NYALA_OK);
        }
        // The core says only that the version is not there. Looking again for the reason is still one linearizable
        // answer: versions never come back, so at the moment of this look either fact is what the whole call found.
        let there = store.uncounted().entry_info(key)?.is_some();
        Ok(if there { NYALA_CONFLICT } else { NYALA_NOT_FOUND })
    })
}

/// Whether the key has a value.
///
/// Returns NYALA_OK (it has); NYALA_NOT_FOUND. Errors, threads: as nyala_get. Cost: as nyala_get without the copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_exists(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        Ok(if store.contains(key)? { NYALA_OK } else { NYALA_NOT_FOUND })
    })
}

/// Lets an entry live for ttl_ms milliseconds from now, 1 or more. Its version stays.
///
/// Returns NYALA_OK; NYALA_NOT_FOUND. Errors: NYALA_ERR_INVALID_ARGUMENT (ttl_ms 0; a NULL; an empty key),
/// NYALA_ERR_TOO_LARGE (key above 65,535 bytes), NYALA_ERR_FULL (an entry that never had a lifetime grows by 8 bytes; in
/// a file it is written again), NYALA_ERR_FORKED; after each the entry is as it was. Threads: any. Cost: as nyala_delete;
/// in a file, as nyala_set of the value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_expire(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
    ttl_ms: u64,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        let changed = store.expire(key, Duration::from_millis(ttl_ms))?;
        Ok(if changed { NYALA_OK } else { NYALA_NOT_FOUND })
    })
}

/// Takes an entry's time to live away. Its version stays.
///
/// Returns NYALA_OK (the entry does not expire, whether or not it did before); NYALA_NOT_FOUND. Errors, threads, cost:
/// as nyala_delete; in a file as nyala_expire.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_persist(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        loop {
            if store.persist(key)? {
                return Ok(NYALA_OK);
            }
            // The core gives one answer for no entry and for no lifetime; the entry tells which. A lifetime seen here
            // was given after the core looked, and is taken away in the next round.
            match store.uncounted().entry_info(key)?.map(|info| info.ttl) {
                None => return Ok(NYALA_NOT_FOUND),
                Some(TimeToLive::Forever) => return Ok(NYALA_OK),
                Some(TimeToLive::Remaining(_)) => {}
            }
        }
    })
}

/// How many milliseconds an entry has to live, in *remaining_ms; -1 if it does not expire.
///
/// Returns NYALA_OK; NYALA_NOT_FOUND. Errors, threads: as nyala_get. Cost: as nyala_exists.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_ttl(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
    remaining_ms: *mut i64,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        // SAFETY: the caller's output.
        let remaining_ms = unsafe { Out::new(remaining_ms, "remaining_ms") }?;
        let Some(ttl) = store.ttl(key)? else {
            return Ok(NYALA_NOT_FOUND);
        };
        remaining_ms.write(match ttl {
            TimeToLive::Forever => -1,
            TimeToLive::Remaining(left) => i64::try_from(left.as_millis()).unwrap_or(i64::MAX),
        });
        Ok(NYALA_OK)
    })
}

/// Adds delta to the number that the value is, and gives the sum in *result. The value is decimal text: nyala_get
/// returns it, and any canonical decimal of at most 20 bytes can be incremented. A missing key counts as 0 and is
/// created with a time to live of ttl_ms_on_create milliseconds (0: none); an existing one keeps its lifetime.
///
/// Errors: NYALA_ERR_NOT_A_NUMBER, NYALA_ERR_OVERFLOW, NYALA_ERR_FULL, NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty
/// key), NYALA_ERR_TOO_LARGE (key above 65,535 bytes), NYALA_ERR_FORKED; after each the entry is as it was.
/// Threads: any; increments of one key add up. Cost: as nyala_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_increment(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
    delta: i64,
    ttl_ms_on_create: u64,
    result: *mut i64,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        // SAFETY: the caller's output.
        let result = unsafe { Out::new(result, "result") }?;
        let ttl_on_create =
            (ttl_ms_on_create != 0).then(|| Duration::from_millis(ttl_ms_on_create));
        result.write(store.increment(key, delta, ttl_on_create)?);
        Ok(NYALA_OK)
    })
}

/// Appends bytes to a value and gives the new length in *value_len. A missing key is created; an existing one keeps its
/// lifetime. tail may be NULL if tail_len is 0.
///
/// Errors: NYALA_ERR_TOO_LARGE (the sum above what the message says; key above 65,535 bytes), NYALA_ERR_FULL,
/// NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key), NYALA_ERR_FORKED; after each the entry is as it was.
/// Threads: any. Cost: up to a copy of the whole new value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_append(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
    tail: *const c_void,
    tail_len: usize,
    value_len: *mut usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        // SAFETY: the caller's bytes.
        let tail = unsafe { argument::value(store, tail, tail_len, "tail") }?;
        // SAFETY: the caller's output.
        let value_len = unsafe { Out::new(value_len, "value_len") }?;
        value_len.write(store.append(key, tail)?);
        Ok(NYALA_OK)
    })
}

/// Changes the cap of an open store, in bytes: in memory to between a quarter of what it was opened with and four times
/// as much, and at least 1 MiB; in a file to between a quarter and what it was opened with, and at least 4 MiB. A
/// smaller cap holds when the call returns: memory was given back to the system, and a cache has evicted what did not
/// fit. The longest value stays what it was.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (store NULL; max_bytes outside these limits, which the message names),
/// NYALA_ERR_FULL (the entries of a store do not fit, or pins hold memory in place: the cap is as it was, and no entry
/// of a store is lost), NYALA_ERR_FORKED. Threads: any; the others go on meanwhile. Cost: grows with what must go.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_set_max_bytes(
    store: *mut nyala_store,
    max_bytes: u64,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        store.set_max_bytes(max_bytes)?;
        Ok(NYALA_OK)
    })
}

/// How many entries there are, in *entries, expired ones included until they are noticed. Writers go on meanwhile.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL). Threads: any. Cost: below a microsecond.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_len(store: *mut nyala_store, entries: *mut u64) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's output.
        let entries = unsafe { Out::new(entries, "entries") }?;
        entries.write(store.len());
        Ok(NYALA_OK)
    })
}

/// Does upkeep for about max_ns nanoseconds, which sets otherwise pay for in small steps: expired and dead entries are
/// reclaimed. *work_left is how many bytes further calls would reclaim; 0 when there is nothing worth doing. With
/// max_ns 0 it does the least step there is.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL), NYALA_ERR_FORKED. Threads: any. Cost: max_ns and one small step.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_maintain(
    store: *mut nyala_store,
    max_ns: u64,
    work_left: *mut u64,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        // SAFETY: the caller's output.
        let work_left = unsafe { Out::new(work_left, "work_left") }?;
        work_left.write(store.maintain(Duration::from_nanos(max_ns))?.bytes);
        Ok(NYALA_OK)
    })
}

/// Removes all entries. What other threads store meanwhile may stay. Pins keep their bytes.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (store NULL), NYALA_ERR_FORKED. Threads: any. Cost: grows with the store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_clear(store: *mut nyala_store) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        store.clear()?;
        Ok(NYALA_OK)
    })
}

/// Returns when every write that was acknowledged before the call would survive a power cut. At NYALA_DURABILITY_SYNC
/// they do already; of a store in memory there is nothing to make durable, and it returns at once.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (store NULL), NYALA_ERR_IO (the sync failed: nobody knows what is durable, and
/// from now on every change and every sync answers NYALA_ERR_POISONED until the store is opened again),
/// NYALA_ERR_POISONED, NYALA_ERR_FORKED. Threads: any; those that wait at the same time share one sync. Cost: what the
/// disk takes, milliseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_sync(store: *mut nyala_store) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { of(store) }?;
        store.sync()?;
        Ok(NYALA_OK)
    })
}
