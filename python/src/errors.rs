//! The core's errors as the exceptions that nyala/_errors.py defines.

use pyo3::import_exception;
use pyo3::prelude::*;

import_exception!(nyala._errors, Error);
import_exception!(nyala._errors, InvalidArgumentError);
import_exception!(nyala._errors, TooLargeError);
import_exception!(nyala._errors, FullError);
import_exception!(nyala._errors, NotANumberError);
import_exception!(nyala._errors, OverflowError);
import_exception!(nyala._errors, BusyError);
import_exception!(nyala._errors, LockedError);
import_exception!(nyala._errors, IoError);
import_exception!(nyala._errors, VersionError);
import_exception!(nyala._errors, PoisonedError);
import_exception!(nyala._errors, ReadOnlyError);
import_exception!(nyala._errors, UnsupportedError);
import_exception!(nyala._errors, ForkedError);
import_exception!(nyala._errors, ClosedError);
import_exception!(nyala._errors, NoMemoryError);
import_exception!(nyala._errors, CorruptError);

/// The exception for an error of the core. The text is the core's: it names values and limits, never keys or values.
pub(crate) fn exception(error: &nyala::Error) -> PyErr {
    use nyala::Error as E;
    let text = error.to_string();
    match error {
        // The type says already that an argument is invalid.
        E::InvalidArgument(what) => InvalidArgumentError::new_err(what.clone()),
        E::KeyTooLarge { .. } | E::ValueTooLarge { .. } | E::FrameTooLarge { .. } => {
            TooLargeError::new_err(text)
        }
        E::Full { .. } => FullError::new_err(text),
        E::NotANumber { .. } => NotANumberError::new_err(text),
        E::Overflow { .. } => OverflowError::new_err(text),
        E::Busy { .. } => BusyError::new_err(text),
        E::Locked { .. } => LockedError::new_err(text),
        // With three arguments OSError tells them as `errno`, `strerror` and `filename`.
        E::Io(failure) => match failure.code {
            Some(code) => {
                let number = format!(" (os error {code})");
                let reason = failure.reason.strip_suffix(&number).unwrap_or(&failure.reason);
                let text = format!("cannot {}: {reason}", failure.op);
                IoError::new_err((code, text, failure.path.as_os_str().to_owned()))
            }
            None => IoError::new_err(text),
        },
        E::Version { .. } => VersionError::new_err(text),
        E::Poisoned => PoisonedError::new_err(text),
        E::ReadOnly => ReadOnlyError::new_err(text),
        // Whoever ended it has raised something else.
        E::Cancelled => Error::new_err(text),
        E::Unsupported(_) => UnsupportedError::new_err(text),
        E::Forked => ForkedError::new_err(text),
        E::NoMemory { .. } => NoMemoryError::new_err(text),
        E::Corrupt(_) => CorruptError::new_err(text),
        _ => Error::new_err(text),
    }
}

/// `?` for results of the core.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for nyala::Result<T> {
    #[inline]
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| exception(&error))
    }
}
