//! Which library this is.

use std::ffi::c_char;

/// First part of the version: raised when programs must be changed.
pub const NYALA_VERSION_MAJOR: u32 = 0;

/// Second part of the version: raised when functions are added.
pub const NYALA_VERSION_MINOR: u32 = 1;

/// Third part of the version: raised for corrections.
pub const NYALA_VERSION_PATCH: u32 = 0;

/// The version of this header as one number: major * 1,000,000 + minor * 1,000 + patch.
pub const NYALA_VERSION_NUMBER: u32 =
    NYALA_VERSION_MAJOR * 1000000 + NYALA_VERSION_MINOR * 1000 + NYALA_VERSION_PATCH;

/// The binary interface of this header. It is the number in the soname, libnyala.so.0: libraries with equal numbers
/// can replace one another without recompiling.
pub const NYALA_ABI_VERSION: u32 = 0;

/// The version of the library that is loaded, as in "0.1.0". Static text. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn nyala_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// NYALA_VERSION_NUMBER of the library that is loaded, which may be newer than this header. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn nyala_version_number() -> u32 {
    NYALA_VERSION_NUMBER
}

/// NYALA_ABI_VERSION of the library that is loaded. A program that finds it with dlopen compares it with the header's
/// before it calls anything else. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn nyala_abi_version() -> u32 {
    NYALA_ABI_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_number_is_that_of_cargo_toml() {
        let part = |text: &str| text.parse::<u32>().expect("a number in Cargo.toml's version");
        let composed = part(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
            + part(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
            + part(env!("CARGO_PKG_VERSION_PATCH"));
        assert_eq!(NYALA_VERSION_NUMBER, composed);
    }
}
