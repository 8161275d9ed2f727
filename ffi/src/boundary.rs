//! The boundary between Rust and C: panics end here, and errors become a status and the thread's message.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_char;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nyala::Error;

use crate::status::{NYALA_ERR_PANIC, NYALA_ERR_UNSUPPORTED, nyala_status, of_error};

/// Why a function answers an error. Facts are not failures: they cost no text.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The core's own error.
    Store(Error),
    /// One item of a batch.
    Item { array: &'static str, index: usize, error: Error },
    /// Something that a newer library may know.
    Unsupported(String),
}

impl Failure {
    fn status(&self) -> nyala_status {
        match self {
            Failure::Store(error) | Failure::Item { error, .. } => of_error(error),
            Failure::Unsupported(_) => NYALA_ERR_UNSUPPORTED,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Store(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Store(error) => error.fmt(f),
            Failure::Item { array, index, error } => write!(f, "{array}[{index}]: {error}"),
            Failure::Unsupported(what) => write!(f, "unsupported: {what}"),
        }
    }
}

/// Runs a fallible function's body.
///
/// `AssertUnwindSafe` is right because nothing that the body shares with the caller is looked at afterwards but the
/// store, which answers for its own state after a panic.
#[inline]
pub(crate) fn call(body: impl FnOnce() -> Result<nyala_status, Failure>) -> nyala_status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => status,
        Ok(Err(failure)) => failed(&failure),
        Err(payload) => panicked(payload),
    }
}

/// Drops what a handle owns.
pub(crate) fn release<T>(owned: Box<T>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(owned))) {
        panicked(payload);
    }
}

#[cold]
#[inline(never)]
fn failed(failure: &Failure) -> nyala_status {
    record(failure);
    failure.status()
}

#[cold]
#[inline(never)]
fn panicked(payload: Box<dyn Any + Send>) -> nyala_status {
    let text = payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    record(&format_args!("panic, a defect of the library: {text}"));
    // A payload's own drop may panic, and nothing would catch that.
    std::mem::forget(payload);
    NYALA_ERR_PANIC
}

/// Longest message in bytes, with its NUL. Messages hold numbers, names of arguments and paths, never keys or values.
const MESSAGE_BYTES: usize = 512;

/// A message in place: recording an error needs no memory, and a thread's last words can be read while it ends.
struct Message {
    len: usize,
    text: [u8; MESSAGE_BYTES],
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The last byte stays NUL. What does not fit is cut between two characters.
        let room = MESSAGE_BYTES - 1 - self.len;
        let cut = text.floor_char_boundary(room);
        self.text[self.len..self.len + cut].copy_from_slice(&text.as_bytes()[..cut]);
        self.len += cut;
        if cut == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

thread_local! {
    static LAST_ERROR: RefCell<Message> =
        const { RefCell::new(Message { len: 0, text: [0; MESSAGE_BYTES] }) };
}

fn record(what: &dyn fmt::Display) {
    LAST_ERROR.with_borrow_mut(|message| {
        message.len = 0;
        // A failure to write means that the text was cut.
        let _ = write!(message, "{what}");
        let end = message.len;
        message.text[end] = 0;
    });
}

/// What the calling thread's latest error was about: argument, value, limit, in words and units; "" before the first.
/// Facts and successes leave it alone. Never NULL, at most 511 bytes, never holds a key or value. Borrowed: copy it
/// before this thread's next call of any function. Each thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn nyala_last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|message| message.text.as_ptr().cast())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::status::NYALA_ERR_FORKED;

    fn last_error() -> String {
        // SAFETY: nyala_last_error gives a NUL-terminated text that lives until this thread's next call.
        let text = unsafe { CStr::from_ptr(nyala_last_error()) };
        text.to_str().expect("UTF-8").to_owned()
    }

    #[test]
    fn panics_become_a_status() {
        assert_eq!(call(|| panic!("page {} lost", 7)), NYALA_ERR_PANIC);
        assert_eq!(last_error(), "panic, a defect of the library: page 7 lost");
        assert_eq!(call(|| std::panic::panic_any(7_u8)), NYALA_ERR_PANIC);
        assert_eq!(last_error(), "panic, a defect of the library: no message");
    }

    #[test]
    fn panics_in_a_drop_stop_too() {
        struct Loud;
        impl Drop for Loud {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        release(Box::new(Loud));
        assert_eq!(last_error(), "panic, a defect of the library: dropped");
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let long = "é".repeat(400);
        assert_eq!(call(|| Err(Failure::Unsupported(long))), NYALA_ERR_UNSUPPORTED);
        let text = last_error();
        assert!(text.len() < MESSAGE_BYTES && text.ends_with('é'), "{} bytes", text.len());
        assert_eq!(call(|| Err(Error::Forked.into())), NYALA_ERR_FORKED);
        assert_eq!(last_error(), Error::Forked.to_string());
    }

    #[test]
    fn threads_do_not_share_it() {
        call(|| Err(Error::Forked.into()));
        std::thread::spawn(|| assert_eq!(last_error(), "")).join().expect("no panic");
        assert_eq!(last_error(), Error::Forked.to_string());
    }
}
