//! What a store is opened with.

use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::Arc;

use nyala::{Clock, Error, Eviction, Options};

use crate::boundary::{self, Failure};
use crate::status::{NYALA_OK, nyala_status};
use crate::versioned::{self, Versioned};

/// A source of time for expiry: milliseconds since the Unix epoch. It is called from any thread that uses the store,
/// at the same time, with no lock held, and may call the library. It must not go back (entries would live longer),
/// must not throw, unwind or longjmp, and must work until the store, its pins and its cursors are closed.
pub type nyala_now_ms_fn = Option<unsafe extern "C" fn(userdata: *mut c_void) -> u64>;

/// Eviction: a store. Nothing is lost; a write that needs room where there is none answers NYALA_ERR_FULL.
pub const NYALA_EVICTION_NONE: u32 = 0;
/// Eviction: a cache. What is read least makes room for what is new.
pub const NYALA_EVICTION_ADAPTIVE: u32 = 1;

/// What nyala_open takes. Fill it with nyala_options_init, then set max_bytes. Later versions append fields.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyala_options {
    /// sizeof(nyala_options), set by nyala_options_init.
    pub struct_size: usize,
    /// Cap on the store's memory in bytes, 1,048,576 (1 MiB) to 4,398,046,511,104 (4 TiB): keys, values, index,
    /// metadata and slack together. There is no default. nyala_set_max_bytes changes it later.
    pub max_bytes: u64,
    /// Where the time comes from; NULL: the system.
    pub now_ms: nyala_now_ms_fn,
    /// Handed to now_ms; may be NULL.
    pub now_ms_userdata: *mut c_void,
    /// 0: there are no flags. Any other value is NYALA_ERR_UNSUPPORTED.
    pub flags: u64,
    /// Whether it is a store or a cache: NYALA_EVICTION_NONE or NYALA_EVICTION_ADAPTIVE. Any other value is
    /// NYALA_ERR_INVALID_ARGUMENT.
    pub eviction: u32,
    /// Unused, 0. Any other value is NYALA_ERR_UNSUPPORTED.
    pub reserved: u32,
}

/// Without padding: its bytes would be nobody's, and a field that a later version puts there would read them.
const _: () = assert!(
    size_of::<nyala_options>() == offset_of!(nyala_options, reserved) + size_of::<u32>(),
    "nyala_options ends with its last field"
);

// SAFETY: repr(C), the size first; zero is valid for every field, and C's function pointers are what `now_ms` holds.
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

/// The core's options from the caller's struct.
///
/// # Safety
/// `options` is NULL or points to a struct as large as its first field says.
pub(crate) unsafe fn read(options: *const nyala_options) -> Result<Options, Failure> {
    // SAFETY: handed on.
    let given = unsafe { versioned::read(options, "options") }?;
    if given.flags != 0 {
        return Err(Failure::Unsupported(format!(
            "nyala_options.flags = {:#x}: this library knows no flags",
            given.flags
        )));
    }
    if given.reserved != 0 {
        return Err(Failure::Unsupported(format!(
            "nyala_options.reserved = {}: this library knows no use of it",
            given.reserved
        )));
    }
    let mut options = Options::memory(given.max_bytes).eviction(eviction(given.eviction)?);
    if let Some(now_ms) = given.now_ms {
        options = options.clock(Arc::new(CallerClock { now_ms, userdata: given.now_ms_userdata }));
    }
    Ok(options)
}

fn eviction(given: u32) -> Result<Eviction, Error> {
    match given {
        NYALA_EVICTION_NONE => Ok(Eviction::None),
        NYALA_EVICTION_ADAPTIVE => Ok(Eviction::Adaptive),
        other => Err(Error::InvalidArgument(format!(
            "nyala_options.eviction = {other} lies outside {NYALA_EVICTION_NONE} (NYALA_EVICTION_NONE) to {NYALA_EVICTION_ADAPTIVE} (NYALA_EVICTION_ADAPTIVE)"
        ))),
    }
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
