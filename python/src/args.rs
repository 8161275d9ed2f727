//! Arguments: from whatever Python passes to what the core takes, or an error that names what was wrong.
//!
//! All of this may run other people's code (`__buffer__`, `__float__`, `__index__`), so all of it comes before a store
//! is entered.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nyala::{Durability, Eviction, ExpireCondition, Version};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyString};

use crate::errors::{InvalidArgumentError, OverflowError};

/// Least time from one sync to the next.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

/// An argument that may be left out. Unlike with an `Option`, passing None is passing something, and the wrong type.
pub(crate) struct Given<'py>(pub(crate) Option<Bound<'py, PyAny>>);

impl Given<'_> {
    /// What it is by default.
    pub(crate) const NOTHING: Self = Given(None);
}

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Given(Some(object.to_owned())))
    }
}

/// The bytes of an argument. Those of `bytes` and `str` never change and are borrowed; anything else could be written
/// to by another thread or by whatever runs in between, and is copied.
pub(crate) enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Copied(PyBackedBytes),
}

impl AsRef<[u8]> for Bytes<'_> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        match self {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Copied(bytes) => bytes,
        }
    }
}

impl Bytes<'_> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.as_ref().len()
    }
}

/// A key: a bytes-like object, or a `str` as its UTF-8.
#[inline]
pub(crate) fn key<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<Bytes<'a>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Bytes::Borrowed(bytes.as_bytes()));
    }
    text_or_buffer(object, "key")
}

/// A prefix of keys.
pub(crate) fn prefix<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<Bytes<'a>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Bytes::Borrowed(bytes.as_bytes()));
    }
    text_or_buffer(object, "prefix")
}

fn text_or_buffer<'a>(object: &'a Bound<'_, PyAny>, name: &str) -> PyResult<Bytes<'a>> {
    match object.cast::<PyString>() {
        Ok(text) => Ok(Bytes::Borrowed(text.to_str()?.as_bytes())),
        Err(_) => buffer(object, name, "a bytes-like object or str"),
    }
}

/// A value: a bytes-like object.
#[inline]
pub(crate) fn value<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<Bytes<'a>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Bytes::Borrowed(bytes.as_bytes()));
    }
    buffer(object, "value", "a bytes-like object")
}

#[cold]
fn buffer<'a>(object: &Bound<'_, PyAny>, name: &str, expected: &str) -> PyResult<Bytes<'a>> {
    // SAFETY: the object is alive and the interpreter attached.
    if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } == 0 {
        return Err(wrong_type(object, name, expected));
    }
    // SAFETY: as above. Being a buffer, the object is copied by way of the buffer protocol; it is not iterated over.
    let copy = unsafe { ffi::PyBytes_FromObject(object.as_ptr()) };
    // SAFETY: a new reference, or null with an exception set.
    let copy = unsafe { Bound::from_owned_ptr_or_err(object.py(), copy) }?;
    Ok(Bytes::Copied(copy.cast_into::<PyBytes>()?.into()))
}

fn wrong_type(object: &Bound<'_, PyAny>, name: &str, expected: &str) -> PyErr {
    let found = object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{name} must be {expected}, not '{found}'"))
}

/// A number as an error message shows it: whole if that is short.
fn shown(object: &Bound<'_, PyAny>) -> String {
    if let Ok(number) = object.cast::<PyInt>() {
        // Python refuses to write very long integers out.
        let bits = number.call_method0("bit_length").and_then(|bits| bits.extract::<u64>());
        if let Ok(bits) = bits
            && bits > 128
        {
            return format!("an integer of {bits} bits");
        }
    }
    object.str().map_or_else(|_| "?".to_owned(), |text| text.to_string_lossy().into_owned())
}

/// A number of seconds: anything that `float()` takes, but no text.
fn seconds(object: &Bound<'_, PyAny>, name: &str) -> PyResult<f64> {
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(number.value());
    }
    object.extract::<f64>().map_err(|error| {
        let py = object.py();
        if error.is_instance_of::<PyTypeError>(py) {
            let wrong = wrong_type(object, name, "a number of seconds");
            wrong.set_cause(py, Some(error));
            wrong
        } else if error.is_instance_of::<PyOverflowError>(py) && object.cast::<PyInt>().is_ok() {
            InvalidArgumentError::new_err(format!(
                "{name} = {} is out of range: the greatest is about {:.0e} s",
                shown(object),
                Duration::MAX.as_secs_f64()
            ))
        } else {
            error
        }
    })
}

/// A time to live. The core rounds up to whole milliseconds; so does this to whole nanoseconds.
pub(crate) fn lifetime(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Duration> {
    let number = seconds(object, name)?;
    if number.is_nan() || number <= 0.0 {
        return Err(InvalidArgumentError::new_err(format!(
            "{name} = {number:?} s is not a time to live: it must be greater than 0 s"
        )));
    }
    match Duration::try_from_secs_f64(number) {
        Ok(duration) => Ok(duration.max(Duration::from_nanos(1))),
        Err(_) => Err(InvalidArgumentError::new_err(format!(
            "{name} = {number:?} s is out of range: the greatest is about {:.0e} s",
            Duration::MAX.as_secs_f64()
        ))),
    }
}

/// How long something may take; 0 is the least that can be done.
pub(crate) fn budget(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Duration> {
    let number = seconds(object, name)?;
    Duration::try_from_secs_f64(number).map_err(|_| {
        InvalidArgumentError::new_err(format!(
            "{name} = {number:?} s is out of range: it must be 0 s to about {:.0e} s",
            Duration::MAX.as_secs_f64()
        ))
    })
}

/// Time since the epoch in whole microseconds, the nearest to what was meant: at today's dates a float carries no more,
/// and its last bit must not make a millisecond of difference.
fn since_epoch(number: f64) -> Option<Duration> {
    let micros = (number * 1e6).round();
    // 2^63 microseconds are 292,000 years.
    if !(0.0..9.3e18).contains(&micros) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within range, tested above")]
    Some(Duration::from_micros(micros as u64))
}

/// A moment, in seconds since the epoch.
pub(crate) fn moment(object: &Bound<'_, PyAny>, name: &str) -> PyResult<SystemTime> {
    let number = seconds(object, name)?;
    (number > 0.0)
        .then(|| since_epoch(number))
        .flatten()
        .and_then(|since| UNIX_EPOCH.checked_add(since))
        .ok_or_else(|| {
            InvalidArgumentError::new_err(format!(
                "{name} = {number:?} s is out of range: it must be greater than 0 s and at most about 9e12 s since the epoch"
            ))
        })
}

/// What a clock answered, in milliseconds since the epoch.
pub(crate) fn clock_ms(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    let number = seconds(object, "clock()")?;
    since_epoch(number).and_then(|since| u64::try_from(since.as_millis()).ok()).ok_or_else(|| {
        InvalidArgumentError::new_err(format!(
            "clock() = {number:?} s is out of range: it must be 0 s to about 9e12 s since the epoch"
        ))
    })
}

/// What is added to a counter.
pub(crate) fn delta(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    object.extract::<i64>().map_err(|error| {
        not_an_integer(object, "delta", error, |shown| {
            OverflowError::new_err(format!(
                "delta = {shown} is out of range: the limits are {} and {}",
                i64::MIN,
                i64::MAX
            ))
        })
    })
}

/// A number from 0 to 2^64 - 1; `limits` is what the message says where they are narrower.
fn unsigned(
    object: &Bound<'_, PyAny>,
    name: &str,
    limits: (u64, u64),
    unit: &str,
) -> PyResult<u64> {
    object.extract::<u64>().map_err(|error| {
        not_an_integer(object, name, error, |shown| {
            InvalidArgumentError::new_err(format!(
                "{name} = {shown} lies outside {} to {}{unit}",
                limits.0, limits.1
            ))
        })
    })
}

#[cold]
fn not_an_integer(
    object: &Bound<'_, PyAny>,
    name: &str,
    error: PyErr,
    out_of_range: impl FnOnce(String) -> PyErr,
) -> PyErr {
    let py = object.py();
    if error.is_instance_of::<PyOverflowError>(py) {
        out_of_range(shown(object))
    } else if error.is_instance_of::<PyTypeError>(py) {
        let wrong = wrong_type(object, name, "an int");
        wrong.set_cause(py, Some(error));
        wrong
    } else {
        error
    }
}

pub(crate) fn max_bytes(object: &Bound<'_, PyAny>, least: u64) -> PyResult<u64> {
    unsigned(object, "max_bytes", (least, nyala::MAX_MAX_BYTES), " bytes")
}

/// A path: str, which stands for its bytes as `os.fsencode` gives them, bytes, or something that answers either.
pub(crate) fn path(object: &Bound<'_, PyAny>, name: &str) -> PyResult<PathBuf> {
    let text = object.cast::<PyString>().is_ok() || object.cast::<PyBytes>().is_ok();
    if !text && object.get_type().getattr_opt("__fspath__")?.is_none() {
        return Err(wrong_type(object, name, "str, bytes or os.PathLike"));
    }
    // SAFETY: the object is alive and the interpreter attached.
    let path = unsafe { ffi::PyOS_FSPath(object.as_ptr()) };
    // SAFETY: a new reference, or null with an exception set.
    let path = unsafe { Bound::from_owned_ptr_or_err(object.py(), path) }?;
    match path.cast::<PyBytes>() {
        Ok(bytes) => Ok(OsStr::from_bytes(bytes.as_bytes()).into()),
        Err(_) => Ok(path.extract::<OsString>()?.into()),
    }
}

/// What a write to a file survives.
pub(crate) fn durability(
    given: Given<'_>,
    sync_interval: Option<&Bound<'_, PyAny>>,
    in_file: bool,
) -> PyResult<Durability> {
    let expected = "'process', 'interval' or 'sync'";
    let level = match &given.0 {
        None => "process".to_owned(),
        Some(object) => match object.cast::<PyString>() {
            Ok(text) => text.to_string_lossy().into_owned(),
            Err(_) => return Err(wrong_type(object, "durability", expected)),
        },
    };
    let interval = sync_interval.map(|object| seconds(object, "sync_interval")).transpose()?;
    let durability = match (&*level, interval) {
        ("process", _) => Durability::Process,
        ("sync", _) => Durability::Sync,
        ("interval", Some(number)) => match Duration::try_from_secs_f64(number) {
            Ok(interval) if interval >= LEAST_INTERVAL => Durability::Interval(interval),
            _ => {
                return Err(InvalidArgumentError::new_err(format!(
                    "sync_interval = {number:?} s is out of range: it must be {:?} s to about {:.0e} s",
                    LEAST_INTERVAL.as_secs_f64(),
                    Duration::MAX.as_secs_f64()
                )));
            }
        },
        ("interval", None) => {
            return Err(InvalidArgumentError::new_err(format!(
                "durability = 'interval' needs sync_interval, the seconds from one sync to the next, at least {:?} s",
                LEAST_INTERVAL.as_secs_f64()
            )));
        }
        (other, _) => {
            return Err(InvalidArgumentError::new_err(format!(
                "durability = {other:?}: expected {expected}"
            )));
        }
    };
    if let (Durability::Process | Durability::Sync, Some(number)) = (durability, interval) {
        return Err(InvalidArgumentError::new_err(format!(
            "sync_interval = {number:?} s with durability = '{level}': only 'interval' takes one"
        )));
    }
    if !in_file && durability != Durability::Process {
        return Err(InvalidArgumentError::new_err(format!(
            "durability = '{level}' without a path: a store in memory ends with its process"
        )));
    }
    Ok(durability)
}

/// How many there may be at most.
pub(crate) fn most(object: &Bound<'_, PyAny>) -> PyResult<usize> {
    Ok(usize::try_from(unsigned(object, "most", (0, u64::MAX), "")?)?)
}

/// A function of Python's that is kept.
pub(crate) fn callable(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Py<PyAny>> {
    if object.is_callable() {
        return Ok(object.clone().unbind());
    }
    Err(wrong_type(object, name, "callable"))
}

/// Whether entries are evicted.
pub(crate) fn eviction(object: Option<&Bound<'_, PyAny>>) -> PyResult<Eviction> {
    let Some(object) = object else {
        return Ok(Eviction::None);
    };
    let expected = "None or 'adaptive'";
    let Ok(text) = object.cast::<PyString>() else {
        return Err(wrong_type(object, "eviction", expected));
    };
    match &*text.to_string_lossy() {
        "adaptive" => Ok(Eviction::Adaptive),
        other => {
            Err(InvalidArgumentError::new_err(format!("eviction = {other:?}: expected {expected}")))
        }
    }
}

pub(crate) fn version(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Version> {
    unsigned(object, name, (0, u64::MAX), "").map(Version::from_u64)
}

pub(crate) fn position(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    unsigned(object, "position", (0, u64::MAX), "")
}

/// When a lifetime is changed.
pub(crate) fn only_if(object: Option<&Bound<'_, PyAny>>) -> PyResult<ExpireCondition> {
    let Some(object) = object else {
        return Ok(ExpireCondition::Always);
    };
    let expected = "None, 'none', 'any', 'later' or 'sooner'";
    let Ok(text) = object.cast::<PyString>() else {
        return Err(wrong_type(object, "only_if", expected));
    };
    match &*text.to_string_lossy() {
        "none" => Ok(ExpireCondition::IfNone),
        "any" => Ok(ExpireCondition::IfAny),
        "later" => Ok(ExpireCondition::IfLater),
        "sooner" => Ok(ExpireCondition::IfSooner),
        other => {
            Err(InvalidArgumentError::new_err(format!("only_if = {other:?}: expected {expected}")))
        }
    }
}
