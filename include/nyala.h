/*
 * Nyala: an embeddable key-value store. This is its C interface; link with -lnyala.
 *
 * Generated from the Rust sources in ffi/src; edit the comments there. Licence: MIT OR Apache-2.0.
 *
 * Status. Every fallible function returns a nyala_status: 0 done, positive a fact (not found, conflict, ...), negative
 * an error, which nyala_last_error explains. After a fact or an error nothing has changed and no output was written,
 * save where a function says more.
 *
 * Pointers. A pointer must be valid for the length given with it, for the whole call; inputs must not change meanwhile,
 * and outputs must not overlap inputs or each other. NULL is NYALA_ERR_INVALID_ARGUMENT, save bytes or arrays of
 * length 0 and where a function says more. The library copies what it keeps. Keys are 1 to 65,535 bytes (under 256 is
 * best), values 0 to a limit that depends on max_bytes; both are any bytes. Paths are bytes that end with a NUL.
 *
 * Handles. Each is given by one function and given back to another, once: nyala_open and nyala_close, nyala_pin and
 * nyala_unpin, nyala_scan_open and nyala_scan_close. A handle used after that is undefined, as after free. Pins and
 * cursors may outlive their store's handle.
 *
 * Threads. Functions on one store may be called from any number of threads at the same time, save nyala_close; each
 * operation on one key is linearizable. A cursor serves one thread at a time. There are no hidden threads, but for the
 * one that NYALA_DURABILITY_INTERVAL asks for, and one while on_progress is told. Functions are not safe in signal handlers.
 *
 * Files. A store with a path is kept in that file, which one store has open at a time: it is locked from nyala_open
 * until the store, its pins and its cursors are closed; with NYALA_OPEN_READ_ONLY others may read it meanwhile, and a
 * function that changes a store answers NYALA_ERR_READ_ONLY. Else it may also answer NYALA_ERR_IO (the file system has no
 * room, or failed: nothing was changed, unless it was a sync), NYALA_ERR_POISONED (an earlier sync failed: it is unknown
 * what is durable; reading goes on, changes need the store to be opened again) and NYALA_ERR_UNSUPPORTED (the file system
 * cannot allocate space). Nobody may cut or write the file meanwhile: a
 * process that reads a map of what is cut off gets SIGBUS. Network file systems are not supported.
 *
 * Fork. A child process must not use a store that its parent opened: operations that can fail answer NYALA_ERR_FORKED,
 * and nyala_close, nyala_unpin and nyala_scan_close are allowed. A file stays open and locked for the parent.
 *
 * Structs that grow start with struct_size and have an init function. A program may be older than the library, or
 * newer: then fields that the library does not know must be 0, else NYALA_ERR_UNSUPPORTED.
 *
 * Unloading the library (dlclose) while handles are open or threads are inside it is undefined.
 */


#ifndef NYALA_H
#define NYALA_H



#include <stddef.h>
#include <stdint.h>

/**
 * First part of the version: raised when programs must be changed.
 */
#define NYALA_VERSION_MAJOR 0

/**
 * Second part of the version: raised when functions are added.
 */
#define NYALA_VERSION_MINOR 1

/**
 * Third part of the version: raised for corrections.
 */
#define NYALA_VERSION_PATCH 0

/**
 * The version of this header as one number: major * 1,000,000 + minor * 1,000 + patch.
 */
#define NYALA_VERSION_NUMBER (((NYALA_VERSION_MAJOR * 1000000) + (NYALA_VERSION_MINOR * 1000)) + NYALA_VERSION_PATCH)

/**
 * The binary interface of this header. It is the number in the soname, libnyala.so.0: libraries with equal numbers
 * can replace one another without recompiling.
 */
#define NYALA_ABI_VERSION 0

/**
 * Done.
 */
#define NYALA_OK 0

/**
 * Fact: the key has no value, or its lifetime has ended.
 */
#define NYALA_NOT_FOUND 1

/**
 * Fact: nothing was stored, because the key has a value.
 */
#define NYALA_EXISTS 2

/**
 * Fact: nothing was changed, because the key has another value than the condition names.
 */
#define NYALA_CONFLICT 3

/**
 * Fact: the buffer is shorter than the value; nothing was copied, the length is given.
 */
#define NYALA_TRUNCATED 4

/**
 * Fact: the cursor has shown everything.
 */
#define NYALA_END 5

/**
 * Error: an argument is NULL or outside its range. The message names it, its value and the limit.
 */
#define NYALA_ERR_INVALID_ARGUMENT -1

/**
 * Error: a key or value is longer than this store takes. The message names the length and the limit in bytes.
 */
#define NYALA_ERR_TOO_LARGE -2

/**
 * Error: the entry does not fit beside what is live under max_bytes. Deleting never answers this.
 */
#define NYALA_ERR_FULL -3

/**
 * Error: the value to be incremented is not a canonical decimal integer of at most 20 bytes.
 */
#define NYALA_ERR_NOT_A_NUMBER -4

/**
 * Error: the sum lies outside the range of int64_t.
 */
#define NYALA_ERR_OVERFLOW -5

/**
 * Error: the entry holds another type of value than the function works on.
 */
#define NYALA_ERR_WRONG_TYPE -6

/**
 * Error: the file is open already, in this process or another, which the message names if the system tells.
 */
#define NYALA_ERR_LOCKED -7

/**
 * Error: the operating system failed to do something with the file. The message names both and says why.
 */
#define NYALA_ERR_IO -8

/**
 * Error: a structure in memory or on disk is not what this library wrote. The message names the file and the byte.
 */
#define NYALA_ERR_CORRUPT -9

/**
 * Error: the file was written by an incompatible version. The message names the file and both versions.
 */
#define NYALA_ERR_VERSION -10

/**
 * Error: an earlier failure to sync left it unknown what is durable. Open the store again.
 */
#define NYALA_ERR_POISONED -11

/**
 * Error: the store was opened for reading only.
 */
#define NYALA_ERR_READ_ONLY -12

/**
 * Error: the store was opened before fork. The child process opens one of its own.
 */
#define NYALA_ERR_FORKED -13

/**
 * Error: an option, flag or struct field that this library does not know, or something that it cannot do on this
 * system. The message names it.
 */
#define NYALA_ERR_UNSUPPORTED -14

/**
 * Error: as much memory is pinned as the store allows. Unpin something and try again.
 */
#define NYALA_ERR_BUSY -15

/**
 * Error: the operating system gave no memory or address space.
 */
#define NYALA_ERR_NO_MEMORY -16

/**
 * Error: what is told of progress ended it.
 */
#define NYALA_ERR_CANCELLED -17

/**
 * Error: a defect of the library, caught before it reached the caller. The store may be inconsistent: close it.
 */
#define NYALA_ERR_PANIC -99

/**
 * Flag: the file is opened only to be read, beside other readers, while nobody has it open for writing, and however large it
 * is. It is read into an index in memory and stays as it is; every change answers NYALA_ERR_READ_ONLY. Without a path it is
 * NYALA_ERR_INVALID_ARGUMENT.
 */
#define NYALA_OPEN_READ_ONLY 1

/**
 * Eviction: a store. Nothing is lost; a write that needs room where there is none answers NYALA_ERR_FULL.
 */
#define NYALA_EVICTION_NONE 0

/**
 * Eviction: a cache. What is read least makes room for what is new.
 */
#define NYALA_EVICTION_ADAPTIVE 1

/**
 * Reads are counted in a cache and not in a store.
 */
#define NYALA_COUNT_READS_DEFAULT 0

/**
 * Reads are counted: hits, misses, and the keys that are read most. Costs about a nanosecond a read, and 9 KiB.
 */
#define NYALA_COUNT_READS_ON 1

/**
 * Reads are not counted.
 */
#define NYALA_COUNT_READS_OFF 2

/**
 * Durability of a store in a file: every acknowledged write survives the death of the process (kill -9, abort,
 * out-of-memory kill) while the operating system runs on. After a power cut the store opens, perhaps with old state or
 * empty, never with a wrong value. No system call per write.
 */
#define NYALA_DURABILITY_PROCESS 0

/**
 * Durability: as NYALA_DURABILITY_PROCESS, and a power cut loses at most sync_interval_ms plus one sync. Starts a
 * thread, nyala-sync, which lives until the store, its pins and its cursors are closed.
 */
#define NYALA_DURABILITY_INTERVAL 1

/**
 * Durability: acknowledged means that a sync which started after the write was complete has finished. Threads that
 * write at the same time share one, for which they may wait for each other: one and a half times as long as a sync
 * takes, and 10 ms, at most.
 */
#define NYALA_DURABILITY_SYNC 2

/**
 * Cause: a cache needed the room.
 */
#define NYALA_CAUSE_EVICTED 1

/**
 * Cause: the entry's time had come, and a write or upkeep noticed.
 */
#define NYALA_CAUSE_EXPIRED 2

/**
 * Cause: the entry was deleted, or given a lifetime that had passed.
 */
#define NYALA_CAUSE_REMOVED 3

/**
 * Condition: store in any case.
 */
#define NYALA_SET_ALWAYS 0

/**
 * Condition: store if the key has no value; otherwise NYALA_EXISTS.
 */
#define NYALA_SET_IF_ABSENT 1

/**
 * Condition: store if the key has a value; otherwise NYALA_NOT_FOUND.
 */
#define NYALA_SET_IF_PRESENT 2

/**
 * Condition: store if the key's value is of the given version; otherwise NYALA_CONFLICT, or NYALA_NOT_FOUND.
 */
#define NYALA_SET_IF_VERSION 3

/**
 * Condition: store if the key's value equals the expected bytes; otherwise NYALA_CONFLICT, or NYALA_NOT_FOUND.
 */
#define NYALA_SET_IF_VALUE 4

/**
 * Flag: the entry keeps the lifetime it has. Together with ttl_ms it is NYALA_ERR_INVALID_ARGUMENT.
 */
#define NYALA_SET_KEEP_TTL 1

/**
 * A walk over the entries whose keys start with a prefix, in no order. It blocks no writer.
 */
typedef struct nyala_cursor nyala_cursor;

/**
 * A claim on a value's bytes: they stay as they were until nyala_unpin, whatever happens to the entry or to the store's
 * handle. A pin is not a lock and blocks nobody, but the memory around it cannot be reclaimed.
 */
typedef struct nyala_pinned nyala_pinned;

/**
 * An open store. All functions may be called on one store from any number of threads at the same time, save
 * nyala_close.
 */
typedef struct nyala_store nyala_store;

/**
 * What a fallible function answers: 0 done, positive a fact about the entry, negative an error. After a fact or an
 * error the store and the outputs are as they were, save where a function says more. Numbers are never reused.
 */
typedef int32_t nyala_status;

/**
 * A source of time for expiry: milliseconds since the Unix epoch. It is called from any thread that uses the store,
 * at the same time, with no lock held, and may call the library. It must not go back (entries would live longer),
 * must not throw, unwind or longjmp, and must work until the store, its pins and its cursors are closed.
 */
typedef uint64_t (*nyala_now_ms_fn)(void *userdata);

/**
 * Is told of an entry that is gone: its key, the value that it had last, and NYALA_CAUSE_... It is not called for
 * entries that are overwritten, nor for those that nyala_clear or nyala_close forget; an expired entry that is
 * overwritten before anybody notices counts as overwritten.
 *
 * It is called after the entry is gone, in no order, from any thread that uses the store, in the midst of that thread's
 * call, at the same time as from others, with no lock held. It may call the library, on this store too, save
 * nyala_close; it should not put back what was evicted, which evicts in turn. The bytes are copies that live until it
 * returns. It must not throw, unwind or longjmp, and must work until the store, its pins and its cursors are closed.
 */
typedef void (*nyala_removal_fn)(void *userdata,
                                 const void *key,
                                 size_t key_len,
                                 const void *value,
                                 size_t value_len,
                                 uint32_t cause);

/**
 * Is told how far something has come: bytes of files that were worked through, and how many there are in all, about; 0
 * before that is known. Answers 0 to go on, and anything else to end it: the function then answers NYALA_ERR_CANCELLED,
 * unless it was done already.
 *
 * It is called in the thread that called the function, before the work begins and every 50 milliseconds while it goes
 * on, which it does in a thread of its own, nyala-work. It may call the library. It must not throw, unwind or longjmp.
 */
typedef int32_t (*nyala_progress_fn)(void *userdata, uint64_t done, uint64_t total);

/**
 * What nyala_open takes. Fill it with nyala_options_init, then set max_bytes, or path, or both. Later versions append
 * fields.
 */
typedef struct nyala_options {
  /**
   * sizeof(nyala_options), set by nyala_options_init.
   */
  size_t struct_size;
  /**
   * Cap in bytes. Without a path that of the store's memory, 1,048,576 (1 MiB) to 4,398,046,511,104 (4 TiB): keys,
   * values, index, metadata and slack together; there is no default. With a path that of the file, 4,194,304 (4 MiB)
   * to 4,398,046,511,104 (4 TiB); 0: 274,877,906,944 (256 GiB). nyala_set_max_bytes changes it later.
   */
  uint64_t max_bytes;
  /**
   * Where the time comes from; NULL: the system.
   */
  nyala_now_ms_fn now_ms;
  /**
   * Handed to now_ms; may be NULL.
   */
  void *now_ms_userdata;
  /**
   * 0, or NYALA_OPEN_READ_ONLY. Unknown flags are NYALA_ERR_UNSUPPORTED.
   */
  uint64_t flags;
  /**
   * Whether it is a store or a cache: NYALA_EVICTION_NONE or NYALA_EVICTION_ADAPTIVE. Any other value is
   * NYALA_ERR_INVALID_ARGUMENT.
   */
  uint32_t eviction;
  /**
   * Whether reads are counted: NYALA_COUNT_READS_DEFAULT or one of NYALA_COUNT_READS_... Any other value is
   * NYALA_ERR_INVALID_ARGUMENT.
   */
  uint32_t count_reads;
  /**
   * Is told of entries that are gone; NULL: nobody is.
   */
  nyala_removal_fn on_removal;
  /**
   * Handed to on_removal; may be NULL.
   */
  void *on_removal_userdata;
  /**
   * The file that the store is kept in, which is made, for its owner alone, if it is not there: bytes that end with a
   * NUL, as open(2) takes them. NULL: the store is in memory. Copied.
   */
  const char *path;
  /**
   * What an acknowledged write to the file survives: NYALA_DURABILITY_PROCESS or one of NYALA_DURABILITY_... Any
   * other value, and any but 0 without a path, is NYALA_ERR_INVALID_ARGUMENT.
   */
  uint32_t durability;
  /**
   * 0. Any other value is NYALA_ERR_UNSUPPORTED.
   */
  uint32_t reserved;
  /**
   * Milliseconds from one sync to the next with NYALA_DURABILITY_INTERVAL, 1 or more; with any other durability 0,
   * else NYALA_ERR_INVALID_ARGUMENT.
   */
  uint64_t sync_interval_ms;
  /**
   * Is told how far nyala_open has come with a file, and may end it; NULL: nobody is.
   */
  nyala_progress_fn on_progress;
  /**
   * Handed to on_progress; may be NULL.
   */
  void *on_progress_userdata;
} nyala_options;

/**
 * Borrowed bytes. data may be NULL where len is 0.
 */
typedef struct nyala_slice {
  /**
   * The first byte.
   */
  const void *data;
  /**
   * How many, in bytes.
   */
  size_t len;
} nyala_slice;

/**
 * How nyala_set_with stores. Fill it with nyala_set_options_init, which is nyala_set's way. Later versions append
 * fields.
 */
typedef struct nyala_set_options {
  /**
   * sizeof(nyala_set_options), set by nyala_set_options_init.
   */
  size_t struct_size;
  /**
   * Time to live in milliseconds; 0: none.
   */
  uint64_t ttl_ms;
  /**
   * NYALA_SET_ALWAYS or one of NYALA_SET_IF_...
   */
  uint32_t condition;
  /**
   * 0 or NYALA_SET_KEEP_TTL.
   */
  uint32_t flags;
  /**
   * The version for NYALA_SET_IF_VERSION; not looked at otherwise.
   */
  uint64_t version;
  /**
   * The bytes for NYALA_SET_IF_VALUE; not looked at otherwise.
   */
  struct nyala_slice expected;
} nyala_set_options;

/**
 * Receives the items of nyala_get_many: the key's index, NYALA_OK or NYALA_NOT_FOUND, and the value, which lives until
 * the callback returns (NULL and 0 where there is none). It is called in the calling thread with no lock held and may
 * call the library. It must not throw, unwind or longjmp.
 */
typedef void (*nyala_visit_fn)(void *userdata, size_t index, nyala_status status, const void *value, size_t value_len);

/**
 * A key with its value, and what nyala_set_many made of them.
 */
typedef struct nyala_pair {
  /**
   * The key, 1 to 65,535 bytes.
   */
  struct nyala_slice key;
  /**
   * The value.
   */
  struct nyala_slice value;
  /**
   * Output of nyala_set_many: NYALA_OK if this pair was stored.
   */
  nyala_status status;
} nyala_pair;

/**
 * What nyala_stats gives: a picture at one moment. Writers go on while it is taken, so that sums may be off by what
 * they did. Prepare it with nyala_statistics_init. Later versions append fields.
 */
typedef struct nyala_statistics {
  /**
   * sizeof(nyala_statistics), set by nyala_statistics_init.
   */
  size_t struct_size;
  /**
   * Entries, expired ones included until they are noticed.
   */
  uint64_t entries;
  /**
   * The cap in bytes: used_bytes never passes it.
   */
  uint64_t max_bytes;
  /**
   * Committed bytes: entries, index, metadata, slack, and what pins hold back.
   */
  uint64_t used_bytes;
  /**
   * Bytes that live entries occupy, headers included.
   */
  uint64_t live_bytes;
  /**
   * Bytes that dead entries, shrunk values' remains and headers occupy until they are reclaimed.
   */
  uint64_t dead_bytes;
  /**
   * Committed bytes of the index.
   */
  uint64_t index_bytes;
  /**
   * Size of one segment in bytes.
   */
  uint64_t segment_bytes;
  /**
   * Segments that hold entries.
   */
  uint64_t segments_leased;
  /**
   * Committed segments that are free for the next use.
   */
  uint64_t segments_free;
  /**
   * Freed segments that wait for a pin to be dropped.
   */
  uint64_t segments_limbo;
  /**
   * Segments that a pin holds in place.
   */
  uint64_t segments_pinned;
  /**
   * Locks, each with its part of the index.
   */
  uint64_t stripes;
  /**
   * Index pages in use.
   */
  uint64_t index_pages;
  /**
   * Entries that reclaim has moved since the store was opened.
   */
  uint64_t records_moved;
  /**
   * Bytes that reclaim has moved since the store was opened.
   */
  uint64_t bytes_moved;
  /**
   * Entries whose expiry was noticed since the store was opened.
   */
  uint64_t expired;
  /**
   * Large entries that have pages of their own.
   */
  uint64_t runs;
  /**
   * Bytes of these pages, those that wait for a pin to be dropped included.
   */
  uint64_t run_bytes;
  /**
   * Entries that were evicted to make room since the cache was opened; 0 in a store.
   */
  uint64_t evicted;
  /**
   * Bytes that they occupied, headers included.
   */
  uint64_t bytes_evicted;
  /**
   * Bytes of segments behind their last entry.
   */
  uint64_t slack_bytes;
  /**
   * Entries of the stripe that has fewest.
   */
  uint64_t fewest_in_stripe;
  /**
   * Entries of the stripe that has most.
   */
  uint64_t most_in_stripe;
  /**
   * Reads that found an entry, if reads are counted: see nyala_options.count_reads.
   */
  uint64_t hits;
  /**
   * Reads that found none, if reads are counted.
   */
  uint64_t misses;
  /**
   * Milliseconds since the oldest segment that is in use was begun: no entry is older, but for those that reclaim has
   * copied since.
   */
  uint64_t oldest_ms;
  /**
   * Entries whose slots page splits and merges have moved since the store was opened.
   */
  uint64_t entries_relaid;
} nyala_statistics;

/**
 * Receives the items of nyala_hottest and nyala_largest: a key, which lives until the callback returns, and a number.
 * It is called in the calling thread with no lock held and may call the library. It must not throw, unwind or longjmp.
 */
typedef void (*nyala_ranked_fn)(void *userdata, const void *key, size_t key_len, uint64_t number);

/**
 * What a file holds. Prepare it with nyala_file_report_init. Later versions append fields.
 */
typedef struct nyala_file_report {
  /**
   * sizeof(nyala_file_report), set by nyala_file_report_init.
   */
  size_t struct_size;
  /**
   * Entries, expired ones included that nobody noticed.
   */
  uint64_t entries;
  /**
   * Bytes of records that are current.
   */
  uint64_t live_bytes;
  /**
   * Bytes of records that are not, until they are reclaimed.
   */
  uint64_t dead_bytes;
  /**
   * Length of the file in bytes.
   */
  uint64_t file_bytes;
} nyala_file_report;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that is loaded, as in "0.1.0". Static text. Any thread.
 */
const char *nyala_version(void);

/**
 * NYALA_VERSION_NUMBER of the library that is loaded, which may be newer than this header. Any thread.
 */
uint32_t nyala_version_number(void);

/**
 * NYALA_ABI_VERSION of the library that is loaded. A program that finds it with dlopen compares it with the header's
 * before it calls anything else. Any thread.
 */
uint32_t nyala_abi_version(void);

/**
 * The name of a status, as in "NYALA_NOT_FOUND"; "unknown status" for a number that this library does not give.
 * Static text, never NULL. Any thread.
 */
const char *nyala_status_name(nyala_status status);

/**
 * What the calling thread's latest error was about: argument, value, limit, in words and units; "" before the first.
 * Facts and successes leave it alone. Never NULL, at most 511 bytes, never holds a key or value. Borrowed: copy it
 * before this thread's next call of any function. Each thread has its own.
 */
const char *nyala_last_error(void);

/**
 * Sets every option to 0 and struct_size to its argument, which is sizeof(nyala_options) as the program was compiled.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (options NULL; struct_size below the first version's or above 4,096 bytes).
 * Threads: any. Cost: nanoseconds.
 */
nyala_status nyala_options_init(struct nyala_options *options, size_t struct_size);

/**
 * Opens a store in memory, or in a file if options->path says so; a cache if options->eviction does. *store is set on
 * NYALA_OK; the caller owns it and gives it to nyala_close. options are copied, callbacks and their userdata are kept
 * until the store, its pins and its cursors are closed.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (an argument NULL; max_bytes, eviction, count_reads, durability, sync_interval_ms
 * or struct_size outside its range; a path that is empty or names no regular file; max_bytes too small for what the
 * file holds), NYALA_ERR_UNSUPPORTED (unknown flag; non-zero bytes behind the options this library knows; a file
 * system that cannot allocate space), NYALA_ERR_NO_MEMORY (the operating system refuses the address space or the
 * thread), and for a file NYALA_ERR_LOCKED (it is open already, in this process or another), NYALA_ERR_IO,
 * NYALA_ERR_CORRUPT (it is no store, or damaged), NYALA_ERR_VERSION; NYALA_ERR_CANCELLED. Threads: any. Cost: some system calls, and memory
 * is committed as it is used; of a file, a look at every record in it, and some syncs.
 */
nyala_status nyala_open(const struct nyala_options *options,
                        struct nyala_store **store);

/**
 * Closes a store. Entries in memory are gone, those in a file are there when it is opened again. NULL is a no-op. Pins
 * and cursors stay valid, and the memory goes with the last of them; a file stays open and locked so long. It is synced
 * now, at every durability, and again when the last of them goes, of which nobody is told; then it can be opened again at
 * once. Any other use of the handle afterwards, whatever was answered, and in another thread meanwhile, is undefined, as
 * after free.
 *
 * Returns NYALA_OK, also in a forked child, where the file stays the parent's. Errors: NYALA_ERR_IO (a sync failed),
 * NYALA_ERR_POISONED (one had failed before): what was written since the last good one may not survive a power cut; the
 * store is closed all the same. Threads: one, when no other uses the handle. Cost: grows with the memory in use; of a
 * file, some syncs.
 */
nyala_status nyala_close(struct nyala_store *store);

/**
 * Copies the value of key into buffer and its length in bytes to *value_len. buffer may be NULL if buffer_len is 0,
 * which asks for the length alone.
 *
 * Returns NYALA_OK; NYALA_NOT_FOUND; NYALA_TRUNCATED (the value is longer than buffer_len: *value_len is its full
 * length, nothing was copied). The copy goes straight into buffer, which may therefore have been written to although
 * the answer is not NYALA_OK where another thread changed or removed the entry during the call. Errors:
 * NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key), NYALA_ERR_TOO_LARGE (key above 65,535 bytes), NYALA_ERR_FORKED,
 * NYALA_ERR_CORRUPT. Threads: any. Cost: no memory is allocated; tens of nanoseconds and a copy.
 */
nyala_status nyala_get(struct nyala_store *store,
                       const void *key,
                       size_t key_len,
                       void *buffer,
                       size_t buffer_len,
                       size_t *value_len);

/**
 * As nyala_get, with the value's version in *version, which is written on NYALA_OK and NYALA_TRUNCATED. A version is
 * unique in the store for ever, never 0, new with every write of the value and with nothing else.
 *
 * Returns, errors, threads, cost: as nyala_get; version NULL is NYALA_ERR_INVALID_ARGUMENT.
 */
nyala_status nyala_get_versioned(struct nyala_store *store,
                                 const void *key,
                                 size_t key_len,
                                 void *buffer,
                                 size_t buffer_len,
                                 size_t *value_len,
                                 uint64_t *version);

/**
 * Stores a value, whether or not the key has one, without a time to live. key and value are copied. value may be NULL
 * if value_len is 0: an empty value is a value.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key), NYALA_ERR_TOO_LARGE (key above 65,535 bytes, value above
 * what the message says), NYALA_ERR_FULL, NYALA_ERR_FORKED; after each the entry is as it was. Threads: any. Cost: a
 * copy, and a bounded share of the store's upkeep.
 */
nyala_status nyala_set(struct nyala_store *store, const void *key, size_t key_len, const void *value, size_t value_len);

/**
 * Removes an entry.
 *
 * Returns NYALA_OK; NYALA_NOT_FOUND. Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key), NYALA_ERR_TOO_LARGE
 * (key above 65,535 bytes), NYALA_ERR_FORKED; never NYALA_ERR_FULL, but of a file NYALA_ERR_IO where its disk has no
 * room to write the removal down: the entry is still there. Threads: any. Cost: as nyala_set without the copy.
 */
nyala_status nyala_delete(struct nyala_store *store, const void *key, size_t key_len);

/**
 * Removes an entry if its value is still of this version.
 *
 * Returns NYALA_OK; NYALA_NOT_FOUND; NYALA_CONFLICT (the value is of another version). Errors, threads, cost: as
 * nyala_delete.
 */
nyala_status nyala_delete_if(struct nyala_store *store, const void *key, size_t key_len, uint64_t version);

/**
 * Whether the key has a value.
 *
 * Returns NYALA_OK (it has); NYALA_NOT_FOUND. Errors, threads: as nyala_get. Cost: as nyala_get without the copy.
 */
nyala_status nyala_exists(struct nyala_store *store, const void *key, size_t key_len);

/**
 * Lets an entry live for ttl_ms milliseconds from now, 1 or more. Its version stays.
 *
 * Returns NYALA_OK; NYALA_NOT_FOUND. Errors: NYALA_ERR_INVALID_ARGUMENT (ttl_ms 0; a NULL; an empty key),
 * NYALA_ERR_TOO_LARGE (key above 65,535 bytes), NYALA_ERR_FULL (an entry that never had a lifetime grows by 8 bytes; in
 * a file it is written again), NYALA_ERR_FORKED; after each the entry is as it was. Threads: any. Cost: as nyala_delete;
 * in a file, as nyala_set of the value.
 */
nyala_status nyala_expire(struct nyala_store *store,
                          const void *key,
                          size_t key_len,
                          uint64_t ttl_ms);

/**
 * Takes an entry's time to live away. Its version stays.
 *
 * Returns NYALA_OK (the entry does not expire, whether or not it did before); NYALA_NOT_FOUND. Errors, threads, cost:
 * as nyala_delete; in a file as nyala_expire.
 */
nyala_status nyala_persist(struct nyala_store *store, const void *key, size_t key_len);

/**
 * How many milliseconds an entry has to live, in *remaining_ms; -1 if it does not expire.
 *
 * Returns NYALA_OK; NYALA_NOT_FOUND. Errors, threads: as nyala_get. Cost: as nyala_exists.
 */
nyala_status nyala_ttl(struct nyala_store *store, const void *key, size_t key_len, int64_t *remaining_ms);

/**
 * Adds delta to the number that the value is, and gives the sum in *result. The value is decimal text: nyala_get
 * returns it, and any canonical decimal of at most 20 bytes can be incremented. A missing key counts as 0 and is
 * created with a time to live of ttl_ms_on_create milliseconds (0: none); an existing one keeps its lifetime.
 *
 * Errors: NYALA_ERR_NOT_A_NUMBER, NYALA_ERR_OVERFLOW, NYALA_ERR_FULL, NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty
 * key), NYALA_ERR_TOO_LARGE (key above 65,535 bytes), NYALA_ERR_FORKED; after each the entry is as it was.
 * Threads: any; increments of one key add up. Cost: as nyala_set.
 */
nyala_status nyala_increment(struct nyala_store *store,
                             const void *key,
                             size_t key_len,
                             int64_t delta,
                             uint64_t ttl_ms_on_create,
                             int64_t *result);

/**
 * Appends bytes to a value and gives the new length in *value_len. A missing key is created; an existing one keeps its
 * lifetime. tail may be NULL if tail_len is 0.
 *
 * Errors: NYALA_ERR_TOO_LARGE (the sum above what the message says; key above 65,535 bytes), NYALA_ERR_FULL,
 * NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key), NYALA_ERR_FORKED; after each the entry is as it was.
 * Threads: any. Cost: up to a copy of the whole new value.
 */
nyala_status nyala_append(struct nyala_store *store,
                          const void *key,
                          size_t key_len,
                          const void *tail,
                          size_t tail_len,
                          size_t *value_len);

/**
 * Changes the cap of an open store, in bytes: in memory to between a quarter of what it was opened with and four times
 * as much, and at least 1 MiB; in a file to between a quarter and what it was opened with, and at least 4 MiB. A
 * smaller cap holds when the call returns: memory was given back to the system, and a cache has evicted what did not
 * fit. The longest value stays what it was.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (store NULL; max_bytes outside these limits, which the message names),
 * NYALA_ERR_FULL (the entries of a store do not fit, or pins hold memory in place: the cap is as it was, and no entry
 * of a store is lost), NYALA_ERR_FORKED. Threads: any; the others go on meanwhile. Cost: grows with what must go.
 */
nyala_status nyala_set_max_bytes(struct nyala_store *store, uint64_t max_bytes);

/**
 * How many entries there are, in *entries, expired ones included until they are noticed. Writers go on meanwhile.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL). Threads: any. Cost: below a microsecond.
 */
nyala_status nyala_len(struct nyala_store *store, uint64_t *entries);

/**
 * Does upkeep for about max_ns nanoseconds, which sets otherwise pay for in small steps: expired and dead entries are
 * reclaimed. *work_left is how many bytes further calls would reclaim; 0 when there is nothing worth doing. With
 * max_ns 0 it does the least step there is.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL), NYALA_ERR_FORKED. Threads: any. Cost: max_ns and one small step.
 */
nyala_status nyala_maintain(struct nyala_store *store, uint64_t max_ns, uint64_t *work_left);

/**
 * Removes all entries. What other threads store meanwhile may stay. Pins keep their bytes.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (store NULL), NYALA_ERR_FORKED. Threads: any. Cost: grows with the store.
 */
nyala_status nyala_clear(struct nyala_store *store);

/**
 * Returns when every write that was acknowledged before the call would survive a power cut. At NYALA_DURABILITY_SYNC
 * they do already; of a store in memory there is nothing to make durable, and it returns at once.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (store NULL), NYALA_ERR_IO (the sync failed: nobody knows what is durable, and
 * from now on every change and every sync answers NYALA_ERR_POISONED until the store is opened again),
 * NYALA_ERR_POISONED, NYALA_ERR_FORKED. Threads: any; those that wait at the same time share one sync. Cost: what the
 * disk takes, milliseconds.
 */
nyala_status nyala_sync(struct nyala_store *store);

/**
 * Sets every option to 0 and struct_size to its argument, which is sizeof(nyala_set_options) as the program was
 * compiled.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (options NULL; struct_size below the first version's or above 4,096 bytes).
 * Threads: any. Cost: nanoseconds.
 */
nyala_status nyala_set_options_init(struct nyala_set_options *options, size_t struct_size);

/**
 * Stores a value if the options' condition holds at the moment of writing, and gives its version in *version, which
 * may be NULL. An expired entry counts as absent. key and value are copied; value may be NULL if value_len is 0.
 *
 * Returns NYALA_OK; NYALA_EXISTS, NYALA_NOT_FOUND or NYALA_CONFLICT where the condition did not hold: nothing changed.
 * Errors: as nyala_set, and NYALA_ERR_INVALID_ARGUMENT (options NULL; struct_size outside its range; ttl_ms together
 * with NYALA_SET_KEEP_TTL), NYALA_ERR_UNSUPPORTED (unknown condition or flag; non-zero bytes behind the options this
 * library knows). Threads: any. Cost: as nyala_set.
 */
nyala_status nyala_set_with(struct nyala_store *store,
                            const void *key,
                            size_t key_len,
                            const void *value,
                            size_t value_len,
                            const struct nyala_set_options *options,
                            uint64_t *version);

/**
 * Pins the value of key. *pinned is set on NYALA_OK; the caller owns it and gives it to nyala_unpin. The long form of
 * take and swap: pin, then nyala_delete_if or nyala_set_with(NYALA_SET_IF_VERSION) with its version.
 *
 * Returns NYALA_OK; NYALA_NOT_FOUND. Errors: NYALA_ERR_BUSY (pins are at their cap), NYALA_ERR_INVALID_ARGUMENT
 * (a NULL; an empty key), NYALA_ERR_TOO_LARGE (key above 65,535 bytes), NYALA_ERR_FORKED, NYALA_ERR_CORRUPT.
 * Threads: any. Cost: as nyala_get without the copy, and one small allocation: cheaper than a copy for long values
 * only.
 */
nyala_status nyala_pin(struct nyala_store *store, const void *key, size_t key_len, struct nyala_pinned **pinned);

/**
 * The pinned bytes, never NULL for a pin, also where the value is empty; NULL for NULL. Borrowed until nyala_unpin.
 * Threads: any.
 */
const void *nyala_pinned_data(const struct nyala_pinned *pinned);

/**
 * How many bytes are pinned; 0 for NULL. Threads: any.
 */
size_t nyala_pinned_len(const struct nyala_pinned *pinned);

/**
 * The version of the pinned value, never 0; 0 for NULL. Threads: any.
 */
uint64_t nyala_pinned_version(const struct nyala_pinned *pinned);

/**
 * Drops a pin; its bytes must not be looked at any more. NULL is a no-op. Threads: any one, not only the one that
 * pinned. Cost: nanoseconds; the last pin of a closed store frees the store's memory.
 */
void nyala_unpin(struct nyala_pinned *pinned);

/**
 * Looks up count keys and calls visit once for each, in no promised order. Each lookup is like a nyala_get of its own;
 * together they are no snapshot. keys may be NULL if count is 0.
 *
 * Returns NYALA_OK when every key was visited. Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key),
 * NYALA_ERR_TOO_LARGE (a key above 65,535 bytes), each found before the first visit and naming the index;
 * NYALA_ERR_FORKED, NYALA_ERR_CORRUPT. Threads: any. Cost: below that of count calls of nyala_get, because the memory
 * accesses of several keys overlap.
 */
nyala_status nyala_get_many(struct nyala_store *store,
                            const struct nyala_slice *keys,
                            size_t count,
                            nyala_visit_fn visit,
                            void *userdata);

/**
 * Stores count pairs, each as nyala_set does, and gives each its own status. Not atomic: other threads see some pairs
 * before others, and pairs after a failed one are still stored. Pairs with one key apply in order. pairs may be NULL
 * if count is 0.
 *
 * Returns NYALA_OK if every pair was stored, else the status of the first that was not, and nyala_last_error names its
 * index; pairs[i].status is written for every pair in either case. Errors: those of nyala_set, a pair each; a NULL or
 * a length that no memory has fails the whole call with NYALA_ERR_INVALID_ARGUMENT and stores nothing, statuses as they
 * were. Threads: any. Cost: below that of count calls of nyala_set; allocates for up to 1,024 pairs at a time.
 */
nyala_status nyala_set_many(struct nyala_store *store, struct nyala_pair *pairs, size_t count);

/**
 * Stores count pairs as one. Atomic means: with an error nothing was changed; in a file all of them are found or none when it is
 * opened, also where the process died meanwhile, and at the levels of durability that reach so far where the power went; and no
 * other write of their keys comes between. It does not mean that readers see them at once: a get, scan or backup that runs
 * meanwhile may see some values new and others still old, but only of calls that have not returned yet. A cache may evict some
 * of them later, and nyala_salvage may find a part.
 *
 * Values are without expiry. Of pairs with one key the last counts, and nobody sees the others. pairs may be NULL if count is 0; their statuses
 * are neither read nor written. All pairs together may count up to a segment (nyala_statistics.segment_bytes) less 192 bytes,
 * where each counts its key and value, rounded up to 8 bytes, and 64 bytes more. In a file no value may be longer than half a
 * segment.
 *
 * Returns NYALA_OK if every pair was stored, else nothing was changed. Errors: those of nyala_set, of the first pair that
 * has one, and nyala_last_error names its index; NYALA_ERR_TOO_LARGE, also for more than a call takes, with the size and the
 * limit in nyala_last_error; NYALA_ERR_FULL where there is no room for all at once, also where they replace others. In a file,
 * after NYALA_ERR_IO and NYALA_ERR_POISONED all or nothing is there when it is opened again. Threads: any. Cost: of the
 * order of nyala_set_many's, and one sync at most; the keys' stripes stay locked meanwhile.
 */
nyala_status nyala_set_many_atomic(struct nyala_store *store,
                                   const struct nyala_pair *pairs,
                                   size_t count);

/**
 * Removes count entries and gives in *deleted how many were there. Not atomic: other threads see some go before
 * others. keys may be NULL if count is 0.
 *
 * Returns NYALA_OK, also where keys had no value. Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; an empty key),
 * NYALA_ERR_TOO_LARGE (a key above 65,535 bytes), each found before anything is removed and naming the index;
 * NYALA_ERR_FORKED; never NYALA_ERR_FULL. Threads: any. Cost: below that of count calls of nyala_delete; allocates for
 * up to 1,024 keys at a time.
 */
nyala_status nyala_delete_many(struct nyala_store *store,
                               const struct nyala_slice *keys,
                               size_t count,
                               size_t *deleted);

/**
 * Starts a walk over the entries whose keys start with prefix; NULL with length 0: all entries. *cursor is set on
 * NYALA_OK; the caller owns it and gives it to nyala_scan_close. What is there throughout the walk is shown once; what
 * comes or goes meanwhile may or may not be. A prefix does not shorten the walk, only what it shows.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL), NYALA_ERR_FORKED. Threads: any. Cost: microseconds.
 */
nyala_status nyala_scan_open(struct nyala_store *store,
                             const void *prefix,
                             size_t prefix_len,
                             struct nyala_cursor **cursor);

/**
 * Goes to the next entry and gives its key and value. Both are copies that the cursor owns: borrowed until the next
 * nyala_scan_next or nyala_scan_close of this cursor.
 *
 * Returns NYALA_OK; NYALA_END after the last entry, and from then on. Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL),
 * NYALA_ERR_FORKED, NYALA_ERR_CORRUPT. Threads: one at a time on a cursor, any on others. Cost: as nyala_get, and with
 * a prefix that few keys have a walk over the others.
 */
nyala_status nyala_scan_next(struct nyala_cursor *cursor, struct nyala_slice *key, struct nyala_slice *value);

/**
 * Ends a walk, at any point; also after nyala_close of its store. NULL is a no-op. What the cursor showed must not be
 * looked at any more. Threads: any one. Cost: nanoseconds; the last cursor of a closed store frees the store's memory.
 */
void nyala_scan_close(struct nyala_cursor *cursor);

/**
 * Sets every number to 0 and struct_size to its argument, which is sizeof(nyala_statistics) as the program was
 * compiled.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (stats NULL; struct_size below the first version's or above 4,096 bytes).
 * Threads: any. Cost: nanoseconds.
 */
nyala_status nyala_statistics_init(struct nyala_statistics *stats, size_t struct_size);

/**
 * Fills *stats, at most struct_size bytes of it; numbers that this library does not know stay 0.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; struct_size outside its range), NYALA_ERR_UNSUPPORTED (non-zero bytes
 * behind the numbers this library knows). Threads: any. Cost: microseconds.
 */
nyala_status nyala_stats(struct nyala_store *store, struct nyala_statistics *stats);

/**
 * Calls visit for the keys that were read most of late, each with about how often, most first; for at most `most` of
 * them. They are known by samples of one read in 64, if reads are counted (nyala_options.count_reads): a key that is read less than one in some
 * sixteen reads may be missing or overestimated.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL), NYALA_ERR_FORKED. Threads: any. Cost: microseconds, in which writers may
 * wait.
 */
nyala_status nyala_hottest(struct nyala_store *store,
                           size_t most,
                           nyala_ranked_fn visit,
                           void *userdata);

/**
 * Calls visit for the keys with the longest values, each with its length in bytes, longest first; for at most `most` of
 * them. What is written meanwhile may or may not count.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL), NYALA_ERR_FORKED. Threads: any. Cost: looks at every entry, some 50 ns
 * each; writers may wait for a few microseconds at a time.
 */
nyala_status nyala_largest(struct nyala_store *store, size_t most, nyala_ranked_fn visit, void *userdata);

/**
 * Sets every number to 0 and struct_size to its argument, which is sizeof(nyala_file_report) as the program was
 * compiled.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (report NULL; struct_size below the first version's or above 4,096 bytes).
 * Threads: any. Cost: nanoseconds.
 */
nyala_status nyala_file_report_init(struct nyala_file_report *report, size_t struct_size);

/**
 * Writes a copy of a store, in memory or in a file, to a new file while it is in use, by other threads too: each entry
 * as it is at some moment of the call, with its lifetime. Nothing is at path until the copy is whole, checked and
 * durable, and nothing that is there is replaced. It can be opened with the options that the store was opened with.
 *
 * Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; a path that is empty), NYALA_ERR_IO (there is something at path already,
 * or it cannot be written, as where the disk is full), NYALA_ERR_FULL (so much was written meanwhile that the copy does not
 * fit under max_bytes), NYALA_ERR_UNSUPPORTED (the file system cannot allocate space), NYALA_ERR_NO_MEMORY,
 * NYALA_ERR_CORRUPT, NYALA_ERR_FORKED; the store is as it was, and nothing is at path. Threads: any. Cost: reads every
 * entry and writes as much; the copy's index takes as much memory again meanwhile.
 */
nyala_status nyala_backup(struct nyala_store *store,
                          const char *path);

/**
 * As nyala_backup, tells on_progress how far it has come, and fills in *report of the copy, at most struct_size bytes
 * of it. on_progress may be NULL: nobody is told.
 *
 * Errors: as nyala_backup; NYALA_ERR_CANCELLED (nothing is at path), NYALA_ERR_UNSUPPORTED (non-zero bytes behind the
 * numbers this library knows). Threads, cost: as nyala_backup.
 */
nyala_status nyala_backup_with(struct nyala_store *store,
                               const char *path,
                               nyala_progress_fn on_progress,
                               void *userdata,
                               struct nyala_file_report *report);

/**
 * Checks every record of a file that nobody has open for writing, and changes nothing; fills in *report, at most
 * struct_size bytes of it.
 *
 * Errors: NYALA_ERR_CORRUPT (the message names the first place that is not what was written), NYALA_ERR_LOCKED (it is
 * open for writing), NYALA_ERR_INVALID_ARGUMENT (a NULL; struct_size outside its range; a path that is empty or names no
 * regular file), NYALA_ERR_IO (there is no such file, or it cannot be read), NYALA_ERR_VERSION, NYALA_ERR_UNSUPPORTED
 * (another library wrote it; non-zero bytes behind the numbers this library knows), NYALA_ERR_NO_MEMORY. Threads: any.
 * Cost: reads all of the file into an index in memory, 1 to 2 microseconds an entry.
 */
nyala_status nyala_verify(const char *path,
                          struct nyala_file_report *report);

/**
 * As nyala_verify, and tells on_progress how far it has come. on_progress may be NULL: nobody is told.
 *
 * Errors: as nyala_verify; NYALA_ERR_CANCELLED. Threads, cost: as nyala_verify.
 */
nyala_status nyala_verify_with(const char *path,
                               nyala_progress_fn on_progress,
                               void *userdata,
                               struct nyala_file_report *report);

/**
 * Copies what is whole of the damaged file `from` to a new file `to`, changes nothing in the damaged one, and fills in
 * *report of the copy, at most struct_size bytes of it. Where a later record of a key is lost, an older value may come
 * back, and what was deleted too: for when there is no backup.
 *
 * Errors: NYALA_ERR_CORRUPT (nothing can be read, because both main headers are lost), NYALA_ERR_LOCKED (it is open for
 * writing), NYALA_ERR_INVALID_ARGUMENT (a NULL; struct_size outside its range; a path that is empty or names no regular
 * file), NYALA_ERR_IO (there is no such file, or it cannot be read; there is something at `to` already, or it cannot be
 * written), NYALA_ERR_FULL (what was damaged does not fit under the cap of the copy), NYALA_ERR_VERSION, NYALA_ERR_UNSUPPORTED (another library wrote it; the
 * file system cannot allocate space; non-zero bytes behind the numbers this library knows), NYALA_ERR_NO_MEMORY; nothing
 * is at `to`. Threads: any. Cost: that of nyala_verify and of nyala_backup.
 */
nyala_status nyala_salvage(const char *from,
                           const char *to,
                           struct nyala_file_report *report);

/**
 * As nyala_salvage, and tells on_progress how far it has come. on_progress may be NULL: nobody is told.
 *
 * Errors: as nyala_salvage; NYALA_ERR_CANCELLED (nothing is at `to`). Threads, cost: as nyala_salvage.
 */
nyala_status nyala_salvage_with(const char *from,
                                const char *to,
                                nyala_progress_fn on_progress,
                                void *userdata,
                                struct nyala_file_report *report);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NYALA_H */
