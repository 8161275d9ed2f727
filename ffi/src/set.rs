//! Setting with a condition or a lifetime.

use std::ffi::c_void;
use std::mem::offset_of;
use std::time::Duration;

use nyala::{Condition, SetOptions, Version};

use crate::argument;
use crate::boundary::{self, Failure};
use crate::slice::nyala_slice;
use crate::status::{NYALA_CONFLICT, NYALA_EXISTS, NYALA_NOT_FOUND, NYALA_OK, nyala_status};
use crate::store::{self, nyala_store};
use crate::versioned::{self, Versioned};

/// Condition: store in any case.
pub const NYALA_SET_ALWAYS: u32 = 0;
/// Condition: store if the key has no value; otherwise NYALA_EXISTS.
pub const NYALA_SET_IF_ABSENT: u32 = 1;
/// Condition: store if the key has a value; otherwise NYALA_NOT_FOUND.
pub const NYALA_SET_IF_PRESENT: u32 = 2;
/// Condition: store if the key's value is of the given version; otherwise NYALA_CONFLICT, or NYALA_NOT_FOUND.
pub const NYALA_SET_IF_VERSION: u32 = 3;
/// Condition: store if the key's value equals the expected bytes; otherwise NYALA_CONFLICT, or NYALA_NOT_FOUND.
pub const NYALA_SET_IF_VALUE: u32 = 4;

/// Flag: the entry keeps the lifetime it has. Together with ttl_ms it is NYALA_ERR_INVALID_ARGUMENT.
pub const NYALA_SET_KEEP_TTL: u32 = 1;

/// How nyala_set_with stores. Fill it with nyala_set_options_init, which is nyala_set's way. Later versions append
/// fields.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyala_set_options {
    /// sizeof(nyala_set_options), set by nyala_set_options_init.
    pub struct_size: usize,
    /// Time to live in milliseconds; 0: none.
    pub ttl_ms: u64,
    /// NYALA_SET_ALWAYS or one of NYALA_SET_IF_...
    pub condition: u32,
    /// 0 or NYALA_SET_KEEP_TTL.
    pub flags: u32,
    /// The version for NYALA_SET_IF_VERSION; not looked at otherwise.
    pub version: u64,
    /// The bytes for NYALA_SET_IF_VALUE; not looked at otherwise.
    pub expected: nyala_slice,
}

// SAFETY: repr(C), the size first; integers and raw pointers only.
unsafe impl Versioned for nyala_set_options {
    const NAME: &'static str = "nyala_set_options";
    const FIRST_SIZE: usize = offset_of!(nyala_set_options, expected) + size_of::<nyala_slice>();
}

/// Sets every option to 0 and struct_size to its argument, which is sizeof(nyala_set_options) as the program was
/// compiled.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (options NULL; struct_size below the first version's or above 4,096 bytes).
/// Threads: any. Cost: nanoseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_set_options_init(
    options: *mut nyala_set_options,
    struct_size: usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's struct has `struct_size` bytes.
        unsafe { versioned::init(options, struct_size, "options") }?;
        Ok(NYALA_OK)
    })
}

/// Stores a value if the options' condition holds at the moment of writing, and gives its version in *version, which
/// may be NULL. An expired entry counts as absent. key and value are copied; value may be NULL if value_len is 0.
///
/// Returns NYALA_OK; NYALA_EXISTS, NYALA_NOT_FOUND or NYALA_CONFLICT where the condition did not hold: nothing changed.
/// Errors: as nyala_set, and NYALA_ERR_INVALID_ARGUMENT (options NULL; struct_size outside its range; ttl_ms together
/// with NYALA_SET_KEEP_TTL), NYALA_ERR_UNSUPPORTED (unknown condition or flag; non-zero bytes behind the options this
/// library knows). Threads: any. Cost: as nyala_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_set_with(
    store: *mut nyala_store,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    options: *const nyala_set_options,
    version: *mut u64,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        // SAFETY: the caller's key.
        let key = unsafe { argument::key(store, key, key_len) }?;
        // SAFETY: the caller's value.
        let value = unsafe { argument::value(store, value, value_len, "value") }?;
        // SAFETY: the caller's struct.
        let given = unsafe { versioned::read(options, "options") }?;
        // SAFETY: the caller's `expected`.
        let options = unsafe { translate(&given) }?;

        let outcome = store.set_with(key, value, options)?;
        if outcome.stored {
            // SAFETY: the caller's output, which may be NULL.
            let version = unsafe { version.as_mut() };
            if let (Some(place), Some(number)) = (version, outcome.version) {
                *place = number.get();
            }
            return Ok(NYALA_OK);
        }
        Ok(match given.condition {
            _ if outcome.version.is_none() => NYALA_NOT_FOUND,
            NYALA_SET_IF_ABSENT => NYALA_EXISTS,
            _ => NYALA_CONFLICT,
        })
    })
}

/// # Safety
/// `given.expected` is valid for reads for `'a` if the condition is NYALA_SET_IF_VALUE.
unsafe fn translate<'a>(given: &nyala_set_options) -> Result<SetOptions<'a>, Failure> {
    let condition = match given.condition {
        NYALA_SET_ALWAYS => Condition::Always,
        NYALA_SET_IF_ABSENT => Condition::IfAbsent,
        NYALA_SET_IF_PRESENT => Condition::IfPresent,
        NYALA_SET_IF_VERSION => Condition::IfVersion(Version::from_u64(given.version)),
        NYALA_SET_IF_VALUE => {
            let nyala_slice { data, len } = given.expected;
            // SAFETY: handed on.
            Condition::IfValue(unsafe { argument::bytes(data, len, "expected") }?)
        }
        unknown => {
            return Err(Failure::Unsupported(format!(
                "nyala_set_options.condition = {unknown}: the greatest known is {NYALA_SET_IF_VALUE}"
            )));
        }
    };
    let unknown = given.flags & !NYALA_SET_KEEP_TTL;
    if unknown != 0 {
        return Err(Failure::Unsupported(format!(
            "nyala_set_options.flags = {:#x}: {unknown:#x} is unknown",
            given.flags
        )));
    }
    let mut options = SetOptions::new().condition(condition);
    if given.ttl_ms != 0 {
        options = options.ttl(Duration::from_millis(given.ttl_ms));
    }
    if given.flags & NYALA_SET_KEEP_TTL != 0 {
        options = options.keep_ttl();
    }
    Ok(options)
}
