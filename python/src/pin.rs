//! A value held in place, as a buffer.

use std::ffi::c_int;

use pyo3::ffi;
use pyo3::prelude::*;

/// A value that stays as it is, whatever happens to its entry or its store, for as long as this object or a view of it
/// lives. Nothing is copied: the bytes are those in the store.
///
/// It is what `Store.pin` answers. It has the buffer protocol, read-only, so that ``memoryview(pin)``, ``bytes(pin)``,
/// ``file.write(pin)`` and the like take it. A pin keeps the memory around its value from being reused, and there may
/// only be so many of them: let go soon.
///
/// >>> import nyala
/// >>> store = nyala.Store(max_bytes=64 << 20)
/// >>> store["k"] = b"first"
/// >>> pin = store.pin("k")
/// >>> store["k"] = b"second"
/// >>> bytes(pin), len(pin)
/// (b'first', 5)
/// >>> pin.version < store.info("k").version
/// True
/// >>> memoryview(pin).readonly
/// True
#[pyclass(frozen, module = "nyala")]
pub(crate) struct Pin(nyala::Pinned);

impl Pin {
    pub(crate) fn new(pinned: nyala::Pinned) -> Self {
        Pin(pinned)
    }
}

#[pymethods]
impl Pin {
    /// Version of the value.
    #[getter]
    fn version(&self) -> u64 {
        self.0.version().get()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __repr__(&self) -> String {
        format!("<nyala.Pin of {} bytes, version {}>", self.0.len(), self.0.version())
    }

    // SAFETY: called by Python, attached, with a view to be filled or null.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let value: &[u8] = &slf.get().0;
        let len = ffi::Py_ssize_t::try_from(value.len())?;
        let start = value.as_ptr().cast_mut().cast();
        // SAFETY: the view takes a reference to this object, which keeps the bytes in place until the view is released;
        // it is filled as read-only, so that nobody writes through the pointer. A null view is an error, not used.
        let done = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, len, 1, flags) };
        if done == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}
