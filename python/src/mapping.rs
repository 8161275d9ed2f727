//! The mapping protocol.

use nyala::SetOptions;
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};

use crate::args::{self, Given};
use crate::batch;
use crate::errors::OrRaise;
use crate::read::{self, new_bytes};
use crate::scan::{Gives, Scan};
use crate::store::{Store, class};

#[pymethods]
impl Store {
    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.lookup(py, key)?.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    fn __setitem__(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let key = args::key(key)?;
        let value = args::value(value)?;
        let inside = self.enter(py)?;
        inside.change(py, value.len(), |store| store.set(&key, &value)).or_raise()
    }

    fn __delitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.delete(py, key)? { Ok(()) } else { Err(PyKeyError::new_err(key.clone().unbind())) }
    }

    fn __contains__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.contains(py, key)
    }

    /// Number of entries; expired ones count until they are noticed.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let inside = self.enter(py)?;
        inside.check().or_raise()?;
        Ok(usize::try_from(inside.len())?)
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<Scan> {
        Self::scanning(slf, b"", 0, Gives::Keys)
    }

    fn __richcmp__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        op: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        static EQUAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = slf.py();
        let undecided = py.NotImplemented().into_bound(py);
        if !matches!(op, CompareOp::Eq | CompareOp::Ne) {
            return Ok(undecided);
        }
        let equal = EQUAL.import(py, "nyala._mapping", "equal")?.call1((slf, other))?;
        if equal.is(&undecided) || matches!(op, CompareOp::Eq) {
            return Ok(equal);
        }
        Ok((!equal.is_truthy()?).into_pyobject(py)?.to_owned().into_any())
    }

    /// A view of the keys.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        class(&CLASS, slf.py(), "nyala._mapping", "KeysView")?.call1((slf,))
    }

    /// A view of the values.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        class(&CLASS, slf.py(), "nyala._mapping", "ValuesView")?.call1((slf,))
    }

    /// A view of the keys and values, as pairs.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        class(&CLASS, slf.py(), "nyala._mapping", "ItemsView")?.call1((slf,))
    }

    /// Removes a key and answers its value; if it is not there, `default`, or KeyError without one.
    #[pyo3(signature = (key, /, *default))]
    fn pop<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            return Err(PyTypeError::new_err(format!(
                "pop expected at most 2 arguments, got {}",
                1 + default.len()
            )));
        }
        match self.take(py, key)? {
            Some(value) => Ok(value.into_any()),
            None if default.is_empty() => Err(PyKeyError::new_err(key.clone().unbind())),
            None => default.get_item(0),
        }
    }

    /// Removes some entry and answers it as ``(key, value)``; KeyError if the store is empty. No two callers get the
    /// same one.
    fn popitem<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        loop {
            let inside = self.enter(py)?;
            let Some(key) = inside.candidate().or_raise()? else {
                return Err(PyKeyError::new_err("popitem(): store is empty"));
            };
            if let Some(value) = inside.take(py, &key).or_raise()? {
                return Ok((new_bytes(py, &key)?, new_bytes(py, &value)?));
            }
        }
    }

    /// The value of a key; if it is not there, stores `default` and answers that. Atomic: all callers get one value.
    #[pyo3(signature = (key, default, /))]
    fn setdefault<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let key = args::key(key)?;
        let value = args::value(default)?;
        let inside = self.enter(py)?;
        // Most callers find it there, and reading is cheaper than a refused write. This look is the one that counts.
        if let Some((present, _)) = read::value(py, &inside, key.as_ref())? {
            return Ok(present);
        }
        loop {
            let absent = SetOptions::new().if_absent();
            let outcome =
                inside.change(py, value.len(), |store| store.set_with(&key, &value, absent));
            if outcome.or_raise()?.stored {
                return match default.cast_exact::<PyBytes>() {
                    Ok(same) => Ok(same.clone()),
                    Err(_) => new_bytes(py, value.as_ref()),
                };
            }
            // Somebody came between; unless it is gone again, that is the value.
            let present = inside.uncounted().get_versioned(&key).or_raise()?;
            if let Some((present, _)) = present {
                return new_bytes(py, &present);
            }
        }
    }

    /// Stores the items of a mapping or of an iterable of pairs, and those given by name. As set_many.
    #[pyo3(signature = (other=Given::NOTHING, /, **named), text_signature = "($self, other=(), /, **named)")]
    fn update(&self, other: Given<'_>, named: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        if let Some(other) = &other.0 {
            batch::set_all(self, other)?;
        }
        if let Some(named) = named {
            batch::set_all(self, named)?;
        }
        Ok(())
    }
}
