//! From pointers to references: the checks that every function makes on its arguments.
//!
//! What a pointer points to cannot be checked; that it is valid for the length given with it, and for as long as the
//! function says, is the caller's part (the header's opening comment), and what the SAFETY comments here rest on.

use std::ffi::{CStr, OsStr, c_char, c_void};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::slice;

use nyala::{Error, Result, Store};

/// Longest range of bytes that a Rust slice may cover.
const MAX_SLICE_LEN: usize = isize::MAX.unsigned_abs();

#[cold]
pub(crate) fn null(name: &str) -> Error {
    Error::InvalidArgument(format!("{name} is NULL"))
}

/// What a handle or struct pointer points to.
///
/// # Safety
/// `pointer` is NULL or points to a `T` that is valid, and not written to, for `'a`.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller vouches for the pointer, which as_ref checks for NULL.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// The same, exclusively.
///
/// # Safety
/// `pointer` is NULL or points to a `T` that is valid, and used by nobody else, for `'a`.
pub(crate) unsafe fn exclusive<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller vouches for the pointer, which as_mut checks for NULL.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(name))
}

/// A range of bytes. NULL is allowed where the length is 0.
///
/// # Safety
/// `data` is NULL or valid for reads of `len` bytes for `'a`.
pub(crate) unsafe fn bytes<'a>(data: *const c_void, len: usize, name: &str) -> Result<&'a [u8]> {
    if data.is_null() {
        return if len == 0 { Ok(&[]) } else { Err(null(name)) };
    }
    if len > MAX_SLICE_LEN {
        return Err(Error::InvalidArgument(format!(
            "{name} of {len} bytes: the limit is {MAX_SLICE_LEN} bytes"
        )));
    }
    // SAFETY: the caller vouches for `len` bytes, which do not pass isize::MAX.
    Ok(unsafe { slice::from_raw_parts(data.cast(), len) })
}

/// A key. The core refuses the empty one; its length limit is looked at here as well, before a slice exists, so that a
/// wild length is TooLarge and not a slice over memory that is not there.
///
/// # Safety
/// As [`bytes`].
#[inline]
pub(crate) unsafe fn key<'a>(store: &Store, data: *const c_void, len: usize) -> Result<&'a [u8]> {
    if data.is_null() {
        return Err(null("key"));
    }
    let max = store.max_key_len();
    if len > max {
        return Err(Error::KeyTooLarge { len, max });
    }
    // SAFETY: the caller vouches for `len` bytes, which do not pass the longest key.
    Ok(unsafe { slice::from_raw_parts(data.cast(), len) })
}

/// A value, or what is appended to one; the limit is looked at as in [`key`].
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn value<'a>(
    store: &Store,
    data: *const c_void,
    len: usize,
    name: &str,
) -> Result<&'a [u8]> {
    let max = store.max_value_len();
    if len > max {
        return Err(Error::ValueTooLarge { len, max });
    }
    // SAFETY: handed on.
    unsafe { bytes(data, len, name) }
}

/// A path: bytes that end with a NUL, as the operating system takes them.
///
/// # Safety
/// `path` is NULL or ends with a NUL, and nobody writes to it for `'a`.
pub(crate) unsafe fn path<'a>(path: *const c_char, name: &str) -> Result<&'a Path> {
    if path.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller vouches for the NUL.
    Ok(Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes())))
}

/// An array. NULL is allowed where the count is 0.
///
/// # Safety
/// `items` is NULL or points to `count` valid `T`s that nobody writes to for `'a`.
pub(crate) unsafe fn array<'a, T>(items: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    check_array(items, count, name)?;
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, and the caller vouches for `count` items, whose bytes do not pass isize::MAX.
    Ok(unsafe { slice::from_raw_parts(items, count) })
}

/// The same, exclusively.
///
/// # Safety
/// `items` is NULL or points to `count` valid `T`s that nobody else uses for `'a`.
pub(crate) unsafe fn array_mut<'a, T>(
    items: *mut T,
    count: usize,
    name: &str,
) -> Result<&'a mut [T]> {
    check_array(items, count, name)?;
    if count == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not NULL, and the caller vouches for `count` items, whose bytes do not pass isize::MAX.
    Ok(unsafe { slice::from_raw_parts_mut(items, count) })
}

fn check_array<T>(items: *const T, count: usize, name: &str) -> Result<()> {
    if items.is_null() && count > 0 {
        return Err(null(name));
    }
    let max = MAX_SLICE_LEN / size_of::<T>();
    if count > max {
        return Err(Error::InvalidArgument(format!(
            "count = {count} of {name}: the limit is {max}"
        )));
    }
    Ok(())
}

/// An output: checked before the work, written after it.
pub(crate) struct Out<'a, T> {
    place: NonNull<T>,
    scope: PhantomData<&'a mut T>,
}

impl<T> Out<'_, T> {
    /// # Safety
    /// `pointer` is NULL or valid for a write of a `T` while the output lives.
    #[inline]
    pub(crate) unsafe fn new(pointer: *mut T, name: &str) -> Result<Self> {
        match NonNull::new(pointer) {
            Some(place) => Ok(Out { place, scope: PhantomData }),
            None => Err(null(name)),
        }
    }

    #[inline]
    pub(crate) fn write(self, value: T) {
        // SAFETY: `new`'s caller vouched for the place.
        unsafe { self.place.write(value) };
    }
}

/// The caller's buffer for a value.
pub(crate) struct Buffer<'a> {
    data: *mut u8,
    len: usize,
    scope: PhantomData<&'a mut [u8]>,
}

impl Buffer<'_> {
    /// # Safety
    /// `data` is NULL or valid for writes of `len` bytes while the buffer lives.
    #[inline]
    pub(crate) unsafe fn new(data: *mut c_void, len: usize) -> Result<Self> {
        if data.is_null() && len > 0 {
            return Err(null("buffer"));
        }
        Ok(Buffer { data: data.cast(), len, scope: PhantomData })
    }

    /// The first `len` bytes; `None` if the buffer is shorter.
    #[inline]
    pub(crate) fn first(&mut self, len: usize) -> Option<&mut [u8]> {
        if len > self.len {
            return None;
        }
        if len == 0 {
            return Some(&mut []);
        }
        // SAFETY: `new`'s caller vouched for at least `len` bytes; the core writes them and does not read them.
        Some(unsafe { slice::from_raw_parts_mut(self.data, len) })
    }
}
