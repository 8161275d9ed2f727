//! Numbers about a store.

use std::ffi::c_void;
use std::mem::offset_of;

use nyala::Store;

use crate::argument;
use crate::boundary;
use crate::status::{NYALA_OK, nyala_status};
use crate::store::{self, nyala_store};
use crate::versioned::{self, Versioned};

/// What nyala_stats gives: a picture at one moment. Writers go on while it is taken, so that sums may be off by what
/// they did. Prepare it with nyala_statistics_init. Later versions append fields.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyala_statistics {
    /// sizeof(nyala_statistics), set by nyala_statistics_init.
    pub struct_size: usize,
    /// Entries, expired ones included until they are noticed.
    pub entries: u64,
    /// The cap in bytes: used_bytes never passes it.
    pub max_bytes: u64,
    /// Committed bytes: entries, index, metadata, slack, and what pins hold back.
    pub used_bytes: u64,
    /// Bytes that live entries occupy, headers included.
    pub live_bytes: u64,
    /// Bytes that dead entries, shrunk values' remains and headers occupy until they are reclaimed.
    pub dead_bytes: u64,
    /// Committed bytes of the index.
    pub index_bytes: u64,
    /// Size of one segment in bytes.
    pub segment_bytes: u64,
    /// Segments that hold entries.
    pub segments_leased: u64,
    /// Committed segments that are free for the next use.
    pub segments_free: u64,
    /// Freed segments that wait for a pin to be dropped.
    pub segments_limbo: u64,
    /// Segments that a pin holds in place.
    pub segments_pinned: u64,
    /// Locks, each with its part of the index.
    pub stripes: u64,
    /// Index pages in use.
    pub index_pages: u64,
    /// Entries that reclaim has moved since the store was opened.
    pub records_moved: u64,
    /// Bytes that reclaim has moved since the store was opened.
    pub bytes_moved: u64,
    /// Entries whose expiry was noticed since the store was opened.
    pub expired: u64,
    /// Large entries that have pages of their own.
    pub runs: u64,
    /// Bytes of these pages, those that wait for a pin to be dropped included.
    pub run_bytes: u64,
    /// Entries that were evicted to make room since the cache was opened; 0 in a store.
    pub evicted: u64,
    /// Bytes that they occupied, headers included.
    pub bytes_evicted: u64,
    /// Bytes of segments behind their last entry.
    pub slack_bytes: u64,
    /// Entries of the stripe that has fewest.
    pub fewest_in_stripe: u64,
    /// Entries of the stripe that has most.
    pub most_in_stripe: u64,
    /// Reads that found an entry, if reads are counted: see nyala_options.count_reads.
    pub hits: u64,
    /// Reads that found none, if reads are counted.
    pub misses: u64,
    /// Milliseconds since the oldest segment that is in use was begun: no entry is older, but for those that reclaim has
    /// copied since.
    pub oldest_ms: u64,
    /// Entries whose slots page splits and merges have moved since the store was opened.
    pub entries_relaid: u64,
}

// SAFETY: repr(C), the size first; integers only.
unsafe impl Versioned for nyala_statistics {
    const NAME: &'static str = "nyala_statistics";
    const FIRST_SIZE: usize = offset_of!(nyala_statistics, expired) + size_of::<u64>();
}

/// Sets every number to 0 and struct_size to its argument, which is sizeof(nyala_statistics) as the program was
/// compiled.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (stats NULL; struct_size below the first version's or above 4,096 bytes).
/// Threads: any. Cost: nanoseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_statistics_init(
    stats: *mut nyala_statistics,
    struct_size: usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's struct has `struct_size` bytes.
        unsafe { versioned::init(stats, struct_size, "stats") }?;
        Ok(NYALA_OK)
    })
}

/// Fills *stats, at most struct_size bytes of it; numbers that this library does not know stay 0.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; struct_size outside its range), NYALA_ERR_UNSUPPORTED (non-zero bytes
/// behind the numbers this library knows). Threads: any. Cost: microseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_stats(
    store: *mut nyala_store,
    stats: *mut nyala_statistics,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        let now = store.stats();
        let answer = nyala_statistics {
            struct_size: 0,
            entries: now.entries,
            max_bytes: now.max_bytes,
            used_bytes: now.used_bytes,
            live_bytes: now.live_bytes,
            dead_bytes: now.dead_bytes,
            index_bytes: now.index_bytes,
            segment_bytes: now.segment_bytes,
            segments_leased: now.segments_leased,
            segments_free: now.segments_free,
            segments_limbo: now.segments_limbo,
            segments_pinned: now.segments_pinned,
            stripes: now.stripes,
            index_pages: now.index_pages,
            records_moved: now.records_moved,
            bytes_moved: now.bytes_moved,
            expired: now.expired,
            runs: now.runs,
            run_bytes: now.run_bytes,
            evicted: now.evicted,
            bytes_evicted: now.bytes_evicted,
            slack_bytes: now.slack_bytes,
            fewest_in_stripe: now.fewest_in_stripe,
            most_in_stripe: now.most_in_stripe,
            hits: now.hits,
            misses: now.misses,
            oldest_ms: now.oldest_ms,
            entries_relaid: now.entries_relaid,
        };
        // SAFETY: the caller's struct.
        unsafe { versioned::write(stats, &answer, "stats") }?;
        Ok(NYALA_OK)
    })
}

/// Receives the items of nyala_hottest and nyala_largest: a key, which lives until the callback returns, and a number.
/// It is called in the calling thread with no lock held and may call the library. It must not throw, unwind or longjmp.
pub type nyala_ranked_fn = Option<
    unsafe extern "C" fn(userdata: *mut c_void, key: *const c_void, key_len: usize, number: u64),
>;

/// Calls visit for the keys that were read most of late, each with about how often, most first; for at most `most` of
/// them. They are known by samples of one read in 64, if reads are counted (nyala_options.count_reads): a key that is read less than one in some
/// sixteen reads may be missing or overestimated.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL), NYALA_ERR_FORKED. Threads: any. Cost: microseconds, in which writers may
/// wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_hottest(
    store: *mut nyala_store,
    most: usize,
    visit: nyala_ranked_fn,
    userdata: *mut c_void,
) -> nyala_status {
    // SAFETY: the caller's handle and callback.
    unsafe { rank(store, visit, userdata, |store| store.hottest(most)) }
}

/// Calls visit for the keys with the longest values, each with its length in bytes, longest first; for at most `most` of
/// them. What is written meanwhile may or may not count.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL), NYALA_ERR_FORKED. Threads: any. Cost: looks at every entry, some 50 ns
/// each; writers may wait for a few microseconds at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_largest(
    store: *mut nyala_store,
    most: usize,
    visit: nyala_ranked_fn,
    userdata: *mut c_void,
) -> nyala_status {
    // SAFETY: the caller's handle and callback.
    unsafe { rank(store, visit, userdata, |store| store.largest(most)) }
}

/// Shows the callback what `find` answers.
///
/// # Safety
/// As nyala_hottest.
unsafe fn rank(
    store: *mut nyala_store,
    visit: nyala_ranked_fn,
    userdata: *mut c_void,
    find: impl FnOnce(&Store) -> nyala::Result<Vec<(Vec<u8>, u64)>>,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        let visit = visit.ok_or_else(|| argument::null("visit"))?;
        for (key, number) in find(store)? {
            // SAFETY: the caller's callback, with bytes that live during the call.
            unsafe { visit(userdata, key.as_ptr().cast(), key.len(), number) };
        }
        Ok(NYALA_OK)
    })
}
