//! The one error of the suite: a sentence for the person who started it.

use std::fmt;

/// What went wrong, in words. A boxed string keeps `Result<bool>` at three words or fewer in the timed loops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(Box<str>);

pub(crate) type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Fault {
        Fault(message.into().into_boxed_str())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Adds what was being done to an error of another library.
pub(crate) trait Context<T> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    #[inline]
    fn context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Fault::new(format!("{}: {error}", doing())))
    }
}
