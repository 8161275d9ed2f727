//! Numbers that [`Store::stats`](crate::Store::stats) gives.

/// A picture of the store at one moment; writers go on while it is taken, so that sums may be off by what they did.
/// All sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Entries, expired ones included until they are noticed.
    pub entries: u64,
    /// The cap: `used_bytes` never passes it.
    pub max_bytes: u64,
    /// Committed bytes: log, index, metadata, slack, pinned and limbo segments.
    pub used_bytes: u64,
    /// Bytes of the log that live records occupy, headers included.
    pub live_bytes: u64,
    /// Bytes of leased segments that hold dead records, shrunk values' remains and headers.
    pub dead_bytes: u64,
    /// Bytes of leased segments behind their last record.
    pub slack_bytes: u64,
    /// Committed bytes of the index: pages, their versions, directories, and a cache's memory of what it evicted.
    pub index_bytes: u64,
    /// Size of one segment.
    pub segment_bytes: u64,
    /// Segments that hold records.
    pub segments_leased: u64,
    /// Large records that have a run of pages for themselves, in a file of segments.
    pub runs: u64,
    /// Size of these runs together, those in limbo or waiting for syncs included.
    pub run_bytes: u64,
    /// Committed segments that are free for the next lease.
    pub segments_free: u64,
    /// Freed segments that wait for a pin to be dropped.
    pub segments_limbo: u64,
    /// Segments that a pin holds in place.
    pub segments_pinned: u64,
    /// Locks, each with its part of the index.
    pub stripes: u64,
    /// Entries of the stripe that has fewest.
    pub fewest_in_stripe: u64,
    /// Entries of the stripe that has most.
    pub most_in_stripe: u64,
    /// Index pages in use.
    pub index_pages: u64,
    /// Entries whose slots page splits and merges have moved since the store was opened.
    pub entries_relaid: u64,
    /// Records that reclaim has moved since the store was opened.
    pub records_moved: u64,
    /// Bytes that reclaim has moved since the store was opened.
    pub bytes_moved: u64,
    /// Entries whose expiry reclaim or a write has noticed since the store was opened.
    pub expired: u64,
    /// Reads that found an entry, if reads are counted: see [`Options::count_reads`](crate::Options::count_reads).
    pub hits: u64,
    /// Reads that found none, if reads are counted.
    pub misses: u64,
    /// Milliseconds since the oldest segment that is in use was begun: no entry is older, but for those that reclaim has
    /// copied since.
    pub oldest_ms: u64,
    /// Entries that were evicted to make room since the cache was opened.
    pub evicted: u64,
    /// Bytes of the log that they occupied, headers included.
    pub bytes_evicted: u64,
}
