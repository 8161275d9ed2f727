//! What functions answer.

use std::ffi::{CStr, c_char};

use nyala::Error;

/// What a fallible function answers: 0 done, positive a fact about the entry, negative an error. After a fact or an
/// error the store and the outputs are as they were, save where a function says more. Numbers are never reused.
pub type nyala_status = i32;

/// Done.
pub const NYALA_OK: i32 = 0;
/// Fact: the key has no value, or its lifetime has ended.
pub const NYALA_NOT_FOUND: i32 = 1;
/// Fact: nothing was stored, because the key has a value.
pub const NYALA_EXISTS: i32 = 2;
/// Fact: nothing was changed, because the key has another value than the condition names.
pub const NYALA_CONFLICT: i32 = 3;
/// Fact: the buffer is shorter than the value; nothing was copied, the length is given.
pub const NYALA_TRUNCATED: i32 = 4;
/// Fact: the cursor has shown everything.
pub const NYALA_END: i32 = 5;
/// Error: an argument is NULL or outside its range. The message names it, its value and the limit.
pub const NYALA_ERR_INVALID_ARGUMENT: i32 = -1;
/// Error: a key or value is longer than this store takes. The message names the length and the limit in bytes.
pub const NYALA_ERR_TOO_LARGE: i32 = -2;
/// Error: the entry does not fit beside what is live under max_bytes. Deleting never answers this.
pub const NYALA_ERR_FULL: i32 = -3;
/// Error: the value to be incremented is not a canonical decimal integer of at most 20 bytes.
pub const NYALA_ERR_NOT_A_NUMBER: i32 = -4;
/// Error: the sum lies outside the range of int64_t.
pub const NYALA_ERR_OVERFLOW: i32 = -5;
/// Error: the entry holds another type of value than the function works on.
pub const NYALA_ERR_WRONG_TYPE: i32 = -6;
/// Error: the file is open already, in this process or another, which the message names if the system tells.
pub const NYALA_ERR_LOCKED: i32 = -7;
/// Error: the operating system failed to do something with the file. The message names both and says why.
pub const NYALA_ERR_IO: i32 = -8;
/// Error: a structure in memory or on disk is not what this library wrote. The message names the file and the byte.
pub const NYALA_ERR_CORRUPT: i32 = -9;
/// Error: the file was written by an incompatible version. The message names the file and both versions.
pub const NYALA_ERR_VERSION: i32 = -10;
/// Error: an earlier failure to sync left it unknown what is durable. Open the store again.
pub const NYALA_ERR_POISONED: i32 = -11;
/// Error: the store was opened for reading only.
pub const NYALA_ERR_READ_ONLY: i32 = -12;
/// Error: the store was opened before fork. The child process opens one of its own.
pub const NYALA_ERR_FORKED: i32 = -13;
/// Error: an option, flag or struct field that this library does not know, or something that it cannot do on this
/// system. The message names it.
pub const NYALA_ERR_UNSUPPORTED: i32 = -14;
/// Error: as much memory is pinned as the store allows. Unpin something and try again.
pub const NYALA_ERR_BUSY: i32 = -15;
/// Error: the operating system gave no memory or address space.
pub const NYALA_ERR_NO_MEMORY: i32 = -16;
/// Error: what is told of progress ended it.
pub const NYALA_ERR_CANCELLED: i32 = -17;
/// Error: a defect of the library, caught before it reached the caller. The store may be inconsistent: close it.
pub const NYALA_ERR_PANIC: i32 = -99;

/// The name of a status, as in "NYALA_NOT_FOUND"; "unknown status" for a number that this library does not give.
/// Static text, never NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn nyala_status_name(status: nyala_status) -> *const c_char {
    name(status).as_ptr()
}

fn name(status: nyala_status) -> &'static CStr {
    match status {
        NYALA_OK => c"NYALA_OK",
        NYALA_NOT_FOUND => c"NYALA_NOT_FOUND",
        NYALA_EXISTS => c"NYALA_EXISTS",
        NYALA_CONFLICT => c"NYALA_CONFLICT",
        NYALA_TRUNCATED => c"NYALA_TRUNCATED",
        NYALA_END => c"NYALA_END",
        NYALA_ERR_INVALID_ARGUMENT => c"NYALA_ERR_INVALID_ARGUMENT",
        NYALA_ERR_TOO_LARGE => c"NYALA_ERR_TOO_LARGE",
        NYALA_ERR_FULL => c"NYALA_ERR_FULL",
        NYALA_ERR_NOT_A_NUMBER => c"NYALA_ERR_NOT_A_NUMBER",
        NYALA_ERR_OVERFLOW => c"NYALA_ERR_OVERFLOW",
        NYALA_ERR_WRONG_TYPE => c"NYALA_ERR_WRONG_TYPE",
        NYALA_ERR_LOCKED => c"NYALA_ERR_LOCKED",
        NYALA_ERR_IO => c"NYALA_ERR_IO",
        NYALA_ERR_CORRUPT => c"NYALA_ERR_CORRUPT",
        NYALA_ERR_VERSION => c"NYALA_ERR_VERSION",
        NYALA_ERR_POISONED => c"NYALA_ERR_POISONED",
        NYALA_ERR_READ_ONLY => c"NYALA_ERR_READ_ONLY",
        NYALA_ERR_FORKED => c"NYALA_ERR_FORKED",
        NYALA_ERR_UNSUPPORTED => c"NYALA_ERR_UNSUPPORTED",
        NYALA_ERR_BUSY => c"NYALA_ERR_BUSY",
        NYALA_ERR_NO_MEMORY => c"NYALA_ERR_NO_MEMORY",
        NYALA_ERR_CANCELLED => c"NYALA_ERR_CANCELLED",
        NYALA_ERR_PANIC => c"NYALA_ERR_PANIC",
        _ => c"unknown status",
    }
}

/// The status of one of the core's errors.
pub(crate) fn of_error(error: &Error) -> nyala_status {
    match error {
        Error::InvalidArgument(_) => NYALA_ERR_INVALID_ARGUMENT,
        Error::KeyTooLarge { .. } | Error::ValueTooLarge { .. } | Error::FrameTooLarge { .. } => {
            NYALA_ERR_TOO_LARGE
        }
        Error::Full { .. } => NYALA_ERR_FULL,
        Error::NotANumber { .. } => NYALA_ERR_NOT_A_NUMBER,
        Error::Overflow { .. } => NYALA_ERR_OVERFLOW,
        Error::Busy { .. } => NYALA_ERR_BUSY,
        Error::Locked { .. } => NYALA_ERR_LOCKED,
        Error::Io(_) => NYALA_ERR_IO,
        Error::Version { .. } => NYALA_ERR_VERSION,
        Error::Poisoned => NYALA_ERR_POISONED,
        Error::ReadOnly => NYALA_ERR_READ_ONLY,
        Error::Forked => NYALA_ERR_FORKED,
        Error::Cancelled => NYALA_ERR_CANCELLED,
        Error::Unsupported(_) => NYALA_ERR_UNSUPPORTED,
        Error::NoMemory { .. } => NYALA_ERR_NO_MEMORY,
        Error::Corrupt(_) => NYALA_ERR_CORRUPT,
        // `Error` is non-exhaustive, so the compiler asks for an answer to variants that do not exist: an error that
        // this face has no number for.
        _ => NYALA_ERR_UNSUPPORTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_files_have_the_numbers_of_their_names() {
        use std::path::{Path, PathBuf};
        let failure = nyala::IoFailure {
            op: "sync",
            path: PathBuf::from("store"),
            kind: std::io::ErrorKind::Other,
            code: Some(5),
            reason: "Input/output error".to_owned(),
        };
        let locked = Error::Locked { path: Path::new("store").into(), holder: None };
        for (error, number) in [
            (locked, -7),
            (Error::Io(Box::new(failure)), -8),
            (Error::Version { found: 2, supported: 1, path: None }, -10),
            (Error::Poisoned, -11),
            (Error::ReadOnly, -12),
            (Error::Cancelled, -17),
            (Error::Unsupported(String::new()), -14),
        ] {
            assert_eq!(of_error(&error), number, "{error}");
        }
    }

    #[test]
    fn every_status_has_its_own_number_and_its_name() {
        let mut numbers = Vec::new();
        for line in include_str!("status.rs").lines() {
            let Some(rest) = line.strip_prefix("pub const ") else {
                continue;
            };
            let (constant, number) = rest.split_once(": i32 = ").expect("a status");
            let number = number.trim_end_matches(';').parse().expect("an integer");
            assert_eq!(name(number).to_str(), Ok(constant));
            assert!(!numbers.contains(&number), "{constant} = {number} is taken");
            numbers.push(number);
        }
        assert_eq!(numbers.len(), 24);
        assert_eq!(name(7), c"unknown status");
    }
}
