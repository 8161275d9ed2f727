//! What a store is opened with.

use std::ffi::{CStr, OsStr, c_char, c_void};
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use nyala::{Cause, Clock, Durability, Error, Eviction, Options, Removal};

use crate::boundary::{self, Failure};
use crate::file::{CallerProgress, nyala_progress_fn};
use crate::status::{NYALA_OK, nyala_status};
use crate::versioned::{self, Versioned};

/// A source of time for expiry: milliseconds since the Unix epoch. It is called from any thread that uses the store,
/// at the same time, with no lock held, and may call the library. It must not go back (entries would live longer),
/// must not throw, unwind or longjmp, and must work until the store, its pins and its cursors are closed.
pub type nyala_now_ms_fn = Option<unsafe extern "C" fn(userdata: *mut c_void) -> u64>;

/// Flag: the file is opened only to be read, beside other readers, while nobody has it open for writing, and however large it
/// is. It is read into an index in memory and stays as it is; every change answers NYALA_ERR_READ_ONLY. Without a path it is
/// NYALA_ERR_INVALID_ARGUMENT.
pub const NYALA_OPEN_READ_ONLY: u64 = 1;

/// Eviction: a store. Nothing is lost; a write that needs room where there is none answers NYALA_ERR_FULL.
pub const NYALA_EVICTION_NONE: u32 = 0;
/// Eviction: a cache. What is read least makes room for what is new.
pub const NYALA_EVICTION_ADAPTIVE: u32 = 1;

/// Reads are counted in a cache and not in a store.
pub const NYALA_COUNT_READS_DEFAULT: u32 = 0;
/// Reads are counted: hits, misses, and the keys that are read most. Costs about a nanosecond a read, and 9 KiB.
pub const NYALA_COUNT_READS_ON: u32 = 1;
/// Reads are not counted.
pub const NYALA_COUNT_READS_OFF: u32 = 2;

/// Durability of a store in a file: every acknowledged write survives the death of the process (kill -9, abort,
/// out-of-memory kill) while the operating system runs on. After a power cut the store opens, perhaps with old state or
/// empty, never with a wrong value. No system call per write.
pub const NYALA_DURABILITY_PROCESS: u32 = 0;
/// Durability: as NYALA_DURABILITY_PROCESS, and a power cut loses at most sync_interval_ms plus one sync. Starts a
/// thread, nyala-sync, which lives until the store, its pins and its cursors are closed.
pub const NYALA_DURABILITY_INTERVAL: u32 = 1;
/// Durability: acknowledged means that a sync which started after the write was complete has finished. Threads that
/// write at the same time share one, for which they may wait for each other: one and a half times as long as a sync
/// takes, and 10 ms, at most.
pub const NYALA_DURABILITY_SYNC: u32 = 2;

/// Cause: a cache needed the room.
pub const NYALA_CAUSE_EVICTED: u32 = 1;
/// Cause: the entry's time had come, and a write or upkeep noticed.
pub const NYALA_CAUSE_EXPIRED: u32 = 2;
/// Cause: the entry was deleted, or given a lifetime that had passed.
pub const NYALA_CAUSE_REMOVED: u32 = 3;

/// Is told of an entry that is gone: its key, the value that it had last, and NYALA_CAUSE_... It is not called for
/// entries that are overwritten, nor for those that nyala_clear or nyala_close forget; an expired entry that is
/// overwritten before anybody notices counts as overwritten.
///
/// It is called after the entry is gone, in no order, from any thread that uses the store, in the midst of that thread's
/// call, at the same time as from others, with no lock held. It may call the library, on this store too, save
/// nyala_close; it should not put back what was evicted, which evicts in turn. The bytes are copies that live until it
/// returns. It must not throw, unwind or longjmp, and must work until the store, its pins and its cursors are closed.
pub type nyala_removal_fn = Option<
    unsafe extern "C" fn(
        userdata: *mut c_void,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
        cause: u32,
    ),
>;

/// What nyala_open takes. Fill it with nyala_options_init, then set max_bytes, or path, or both. Later versions append
/// fields.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyala_options {
    /// sizeof(nyala_options), set by nyala_options_init.
    pub struct_size: usize,
    /// Cap in bytes. Without a path that of the store's memory, 1,048,576 (1 MiB) to 4,398,046,511,104 (4 TiB): keys,
    /// values, index, metadata and slack together; there is no default. With a path that of the file, 4,194,304 (4 MiB)
    /// to 4,398,046,511,104 (4 TiB); 0: 274,877,906,944 (256 GiB). nyala_set_max_bytes changes it later.
    pub max_bytes: u64,
    /// Where the time comes from; NULL: the system.
    pub now_ms: nyala_now_ms_fn,
    /// Handed to now_ms; may be NULL.
    pub now_ms_userdata: *mut c_void,
    /// 0, or NYALA_OPEN_READ_ONLY. Unknown flags are NYALA_ERR_UNSUPPORTED.
    pub flags: u64,
    /// Whether it is a store or a cache: NYALA_EVICTION_NONE or NYALA_EVICTION_ADAPTIVE. Any other value is
    /// NYALA_ERR_INVALID_ARGUMENT.
    pub eviction: u32,
    /// Whether reads are counted: NYALA_COUNT_READS_DEFAULT or one of NYALA_COUNT_READS_... Any other value is
    /// NYALA_ERR_INVALID_ARGUMENT.
    pub count_reads: u32,
    /// Is told of entries that are gone; NULL: nobody is.
    pub on_removal: nyala_removal_fn,
    /// Handed to on_removal; may be NULL.
    pub on_removal_userdata: *mut c_void,
    /// The file that the store is kept in, which is made, for its owner alone, if it is not there: bytes that end with a
    /// NUL, as open(2) takes them. NULL: the store is in memory. Copied.
    pub path: *const c_char,
    /// What an acknowledged write to the file survives: NYALA_DURABILITY_PROCESS or one of NYALA_DURABILITY_... Any
    /// other value, and any but 0 without a path, is NYALA_ERR_INVALID_ARGUMENT.
    pub durability: u32,
    /// 0. Any other value is NYALA_ERR_UNSUPPORTED.
    pub reserved: u32,
    /// Milliseconds from one sync to the next with NYALA_DURABILITY_INTERVAL, 1 or more; with any other durability 0,
    /// else NYALA_ERR_INVALID_ARGUMENT.
    pub sync_interval_ms: u64,
    /// Is told how far nyala_open has come with a file, and may end it; NULL: nobody is.
    pub on_progress: nyala_progress_fn,
    /// Handed to on_progress; may be NULL.
    pub on_progress_userdata: *mut c_void,
}

/// Without padding: its bytes would be nobody's, and a field that a later version puts there would read them.
const _: () = assert!(
    offset_of!(nyala_options, on_removal)
        == offset_of!(nyala_options, count_reads) + size_of::<u32>()
        && offset_of!(nyala_options, sync_interval_ms)
            == offset_of!(nyala_options, reserved) + size_of::<u32>()
        && size_of::<nyala_options>()
            == offset_of!(nyala_options, on_progress_userdata) + size_of::<u64>(),
    "no padding between the fields of nyala_options"
);

// SAFETY: repr(C), the size first; zero is valid for every field, and C's pointers and function pointers are what those
// fields hold.
unsafe impl Versioned for nyala_options {
    const NAME: &'static str = "nyala_options";
    const FIRST_SIZE: usize = offset_of!(nyala_options, flags) + size_of::<u64>();
}

/// Sets every option to 0 and struct_size to its argument, which is sizeof(nyala_options) as the program was compiled.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (options NULL; struct_size below the first version's or above 4,096 bytes).
/// Threads: any. Cost: nanoseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_options_init(
    options: *mut nyala_options,
    struct_size: usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's struct has `struct_size` bytes.
        unsafe { versioned::init(options, struct_size, "options") }?;
        Ok(NYALA_OK)
    })
}

/// The core's options from the caller's struct, and who is told how far opening has come.
///
/// # Safety
/// `options` is NULL or points to a struct as large as its first field says, whose `path` is NULL or ends with a NUL.
pub(crate) unsafe fn read(
    options: *const nyala_options,
) -> Result<(Options, Option<CallerProgress>), Failure> {
    // SAFETY: handed on.
    let given = unsafe { versioned::read(options, "options") }?;
    if given.flags & !NYALA_OPEN_READ_ONLY != 0 {
        return Err(Failure::Unsupported(format!(
            "nyala_options.flags = {:#x}: this library knows no other flag than NYALA_OPEN_READ_ONLY, {NYALA_OPEN_READ_ONLY:#x}",
            given.flags
        )));
    }
    if given.reserved != 0 {
        return Err(Failure::Unsupported(format!(
            "nyala_options.reserved = {:#x}: this library knows no use of it",
            given.reserved
        )));
    }
    // SAFETY: the caller's path.
    let path = (!given.path.is_null()).then(|| unsafe { CStr::from_ptr(given.path) });
    let options = match path {
        None => Options::memory(given.max_bytes),
        Some(path) => in_file(path, given.max_bytes),
    };
    let mut options = options
        .durability(durability(given.durability, given.sync_interval_ms, path.is_some())?)
        .eviction(eviction(given.eviction)?);
    if let Some(now_ms) = given.now_ms {
        options = options.clock(Arc::new(CallerClock { now_ms, userdata: given.now_ms_userdata }));
    }
    if let Some(count) = count_reads(given.count_reads)? {
        options = options.count_reads(count);
    }
    if let Some(on_removal) = given.on_removal {
        let listener = CallerListener { on_removal, userdata: given.on_removal_userdata };
        options = options.on_removal(move |removal| listener.tell(&removal));
    }
    if given.flags & NYALA_OPEN_READ_ONLY != 0 {
        options = options.read_only();
    }
    Ok((options, CallerProgress::new(given.on_progress, given.on_progress_userdata)))
}

/// A store in a file whose cap is the core's default where the caller gave none.
fn in_file(path: &CStr, max_bytes: u64) -> Options {
    let options = Options::file(OsStr::from_bytes(path.to_bytes()));
    if max_bytes == 0 { options } else { options.max_bytes(max_bytes) }
}

fn durability(given: u32, interval_ms: u64, in_file: bool) -> Result<Durability, Error> {
    let refuse = |why: String| Err(Error::InvalidArgument(why));
    if given > NYALA_DURABILITY_SYNC {
        return Err(outside("durability", given, NYALA_DURABILITY_SYNC));
    }
    if given != NYALA_DURABILITY_PROCESS && !in_file {
        return refuse(format!(
            "nyala_options.durability = {given} without a path: a store in memory ends with its process"
        ));
    }
    match (given, interval_ms) {
        (NYALA_DURABILITY_INTERVAL, 0) => refuse(
            "nyala_options.sync_interval_ms = 0 ms: the least with NYALA_DURABILITY_INTERVAL is 1 ms"
                .to_owned(),
        ),
        (NYALA_DURABILITY_INTERVAL, ms) => Ok(Durability::Interval(Duration::from_millis(ms))),
        (_, 1..) => refuse(format!(
            "nyala_options.sync_interval_ms = {interval_ms} ms with durability = {given}: without NYALA_DURABILITY_INTERVAL it must be 0 ms"
        )),
        (NYALA_DURABILITY_SYNC, 0) => Ok(Durability::Sync),
        (_, 0) => Ok(Durability::Process),
    }
}

fn eviction(given: u32) -> Result<Eviction, Error> {
    match given {
        NYALA_EVICTION_NONE => Ok(Eviction::None),
        NYALA_EVICTION_ADAPTIVE => Ok(Eviction::Adaptive),
        other => Err(outside("eviction", other, NYALA_EVICTION_ADAPTIVE)),
    }
}

/// `None`: as the core does by default.
fn count_reads(given: u32) -> Result<Option<bool>, Error> {
    match given {
        NYALA_COUNT_READS_DEFAULT => Ok(None),
        NYALA_COUNT_READS_ON => Ok(Some(true)),
        NYALA_COUNT_READS_OFF => Ok(Some(false)),
        other => Err(outside("count_reads", other, NYALA_COUNT_READS_OFF)),
    }
}

fn outside(field: &str, given: u32, greatest: u32) -> Error {
    Error::InvalidArgument(format!("nyala_options.{field} = {given} lies outside 0 to {greatest}"))
}

struct CallerClock {
    now_ms: unsafe extern "C" fn(*mut c_void) -> u64,
    userdata: *mut c_void,
}

// SAFETY: the header asks for a callback that any thread may call, at the same time; `userdata` only travels to it.
unsafe impl Send for CallerClock {}
// SAFETY: as for Send.
unsafe impl Sync for CallerClock {}

impl Clock for CallerClock {
    fn now_ms(&self) -> u64 {
        // SAFETY: the header asks for a callback that works until the store and what it handed out are closed.
        unsafe { (self.now_ms)(self.userdata) }
    }
}

struct CallerListener {
    on_removal: unsafe extern "C" fn(*mut c_void, *const c_void, usize, *const c_void, usize, u32),
    userdata: *mut c_void,
}

// SAFETY: the header asks for a callback that any thread may call, at the same time; `userdata` only travels to it.
unsafe impl Send for CallerListener {}
// SAFETY: as for Send.
unsafe impl Sync for CallerListener {}

impl CallerListener {
    fn tell(&self, removal: &Removal<'_>) {
        let Removal { key, value, cause, .. } = removal;
        let cause = match cause {
            Cause::Evicted => NYALA_CAUSE_EVICTED,
            Cause::Expired => NYALA_CAUSE_EXPIRED,
            // `Cause` is non-exhaustive: whatever this face has no number for, the entry is gone.
            _ => NYALA_CAUSE_REMOVED,
        };
        // SAFETY: the header asks for a callback that works until the store and what it handed out are closed; the bytes
        // live during the call.
        unsafe {
            (self.on_removal)(
                self.userdata,
                key.as_ptr().cast(),
                key.len(),
                value.as_ptr().cast(),
                value.len(),
                cause,
            );
        }
    }
}
