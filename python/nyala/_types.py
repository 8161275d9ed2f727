"""What Store.info and Store.stats answer."""

from typing import NamedTuple


class EntryInfo(NamedTuple):
    """About one entry."""

    version: int
    """Identifies the write of the value."""
    value_len: int
    """Length of the value in bytes."""
    ttl: float
    """Seconds to live, infinity if the entry stays."""


class Stats(NamedTuple):
    """A picture of a store at one moment; writers go on while it is taken. All sizes are in bytes."""

    entries: int
    """Entries, expired ones included until they are noticed."""
    max_bytes: int
    """The cap: used_bytes never passes it."""
    used_bytes: int
    """Committed bytes: log, index, metadata, slack, pinned and limbo segments."""
    live_bytes: int
    """Bytes of the log that live records occupy, headers included."""
    dead_bytes: int
    """Bytes of leased segments that hold dead records, shrunk values' remains and headers."""
    slack_bytes: int
    """Bytes of leased segments behind their last record."""
    index_bytes: int
    """Committed bytes of the index: pages, their versions, directories, and a cache's memory of what it evicted."""
    segment_bytes: int
    """Size of one segment in bytes."""
    segments_leased: int
    """Number of segments that hold records."""
    runs: int
    """Number of large records that have a run of pages for themselves."""
    run_bytes: int
    """Size of these runs together, those in limbo included."""
    segments_free: int
    """Number of committed segments that are free for the next lease."""
    segments_limbo: int
    """Number of freed segments that wait for a pin to be dropped."""
    segments_pinned: int
    """Number of segments that a pin holds in place."""
    stripes: int
    """Number of locks, each with its part of the index."""
    fewest_in_stripe: int
    """Number of entries of the stripe that has fewest."""
    most_in_stripe: int
    """Number of entries of the stripe that has most."""
    index_pages: int
    """Number of index pages in use."""
    entries_relaid: int
    """Number of entries whose slots page splits and merges have moved since the store was opened."""
    records_moved: int
    """Number of records that reclaim has moved since the store was opened."""
    bytes_moved: int
    """Bytes that reclaim has moved since the store was opened."""
    expired: int
    """Number of entries whose expiry reclaim or a write has noticed since the store was opened."""
    hits: int
    """Number of reads that found an entry, if reads are counted: in a cache, or with count_reads=True."""
    misses: int
    """Number of reads that found none, if reads are counted."""
    oldest_ms: int
    """Milliseconds since the oldest segment in use was begun: no entry is older, but for those copied since."""
    evicted: int
    """Number of entries that were evicted to make room since the cache was opened."""
    bytes_evicted: int
    """Bytes of the log that they occupied, headers included."""


class FileReport(NamedTuple):
    """What a file holds. Sizes are in bytes."""

    entries: int
    """Entries, expired ones included that nobody noticed."""
    live_bytes: int
    """Bytes of records that are current."""
    dead_bytes: int
    """Bytes of records that are not, until they are reclaimed."""
    file_bytes: int
    """Length of the file."""


EntryInfo.__module__ = FileReport.__module__ = Stats.__module__ = "nyala"
