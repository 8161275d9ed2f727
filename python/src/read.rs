//! From a value in the store to a `bytes` object.

use nyala::{Error, Version};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::OrRaise;

/// From this many bytes on, copying (8 microseconds or more) is done detached from the interpreter, so that other
/// threads run meanwhile. Detaching takes a tenth of a microsecond, but coming back may wait for a busy thread.
pub(crate) const LARGE: usize = 64 << 10;

enum Read<'py> {
    Small(PyResult<Bound<'py, PyBytes>>, Version),
    Large,
}

/// The value and its version. A small value is copied once, from the store into the new object; no lock is held then.
#[inline]
pub(crate) fn value<'py>(
    py: Python<'py>,
    store: &nyala::Store,
    key: &[u8],
) -> PyResult<Option<(Bound<'py, PyBytes>, Version)>> {
    let read = store.get_with(key, |value, version| {
        if value.len() >= LARGE {
            return Read::Large;
        }
        let bytes = PyBytes::new_with(py, value.len(), |out| {
            value.copy_to_slice(out);
            Ok(())
        });
        Read::Small(bytes, version)
    });
    match read.or_raise()? {
        None => Ok(None),
        Some(Read::Small(bytes, version)) => Ok(Some((bytes?, version))),
        Some(Read::Large) => large(py, store, key),
    }
}

/// Pins the value, so that it can be copied while other threads run Python and change the store.
#[cold]
fn large<'py>(
    py: Python<'py>,
    store: &nyala::Store,
    key: &[u8],
) -> PyResult<Option<(Bound<'py, PyBytes>, Version)>> {
    // It counts as a read already.
    match store.uncounted().pin(key) {
        Ok(None) => Ok(None),
        Ok(Some(pinned)) => {
            let version = pinned.version();
            let bytes = copy_detached(py, &pinned)?;
            Ok(Some((bytes, version)))
        }
        // As much is pinned as may be: a copy on the way costs less than an error.
        Err(Error::Busy { .. }) => {
            match py.detach(|| store.uncounted().get_versioned(key)).or_raise()? {
                None => Ok(None),
                Some((value, version)) => Ok(Some((copy_detached(py, &value)?, version))),
            }
        }
        Err(error) => Err(error).or_raise(),
    }
}

/// A `bytes` object with these bytes.
pub(crate) fn new_bytes<'py>(py: Python<'py>, value: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    if value.len() >= LARGE {
        return copy_detached(py, value);
    }
    // Not `PyBytes::new`, which panics where memory runs out.
    PyBytes::new_with(py, value.len(), |out| {
        out.copy_from_slice(value);
        Ok(())
    })
}

/// The same, copied while detached and without zeroing the memory first.
fn copy_detached<'py>(py: Python<'py>, value: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let len = ffi::Py_ssize_t::try_from(value.len())?;
    // SAFETY: attached; null asks for memory that is filled below.
    let object = unsafe { ffi::PyBytes_FromStringAndSize(std::ptr::null(), len) };
    // SAFETY: a new reference, or null with an exception set.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, object) }?.cast_into::<PyBytes>()?;
    // SAFETY: a bytes object.
    let start = Start(unsafe { ffi::PyBytes_AsString(object.as_ptr()) }.cast::<u8>());
    py.detach(move || {
        let Start(start) = { start };
        // SAFETY: the object has room for `len` bytes, is kept alive by `object`, and nobody else knows it yet.
        unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), start, value.len()) };
    });
    Ok(object)
}

/// Where a new object's bytes start.
struct Start(*mut u8);

// SAFETY: used by one thread at a time; `detach` runs its closure on the calling thread.
unsafe impl Send for Start {}
