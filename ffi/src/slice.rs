//! Bytes that belong to somebody else.

use std::ffi::c_void;

/// Borrowed bytes. data may be NULL where len is 0.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyala_slice {
    /// The first byte.
    pub data: *const c_void,
    /// How many, in bytes.
    pub len: usize,
}

impl nyala_slice {
    pub(crate) fn of(bytes: &[u8]) -> nyala_slice {
        nyala_slice { data: bytes.as_ptr().cast(), len: bytes.len() }
    }
}
