//! A store with what it has handed out, and what must be so after every call.

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::slice;

use c_face::boundary::nyala_last_error;
use c_face::cursor::{nyala_cursor, nyala_scan_close};
use c_face::pinned::{
    nyala_pinned, nyala_pinned_data, nyala_pinned_len, nyala_pinned_version, nyala_unpin,
};
use c_face::status::{NYALA_OK, nyala_status};
use c_face::store::{nyala_close, nyala_store};

use crate::documented::Documented;

/// Handles of a kind that are held at once.
const HELD: usize = 8;

/// Where the injected clock starts: some day in 2023.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// A pin with what it showed at first.
struct Pin {
    handle: *mut nyala_pinned,
    copy: Vec<u8>,
    version: u64,
}

pub(crate) struct Session {
    documented: &'static Documented,
    /// NULL before the first nyala_open.
    pub(crate) store: *mut nyala_store,
    pins: Vec<Pin>,
    pub(crate) cursors: Vec<*mut nyala_cursor>,
    /// Boxed: the store calls [`now_ms`] with its address.
    clock: Box<Cell<u64>>,
    /// The latest version that a call told.
    pub(crate) version: u64,
}

/// The injected clock.
///
/// # Safety
/// `userdata` is a [`Session::clock`].
pub(crate) unsafe extern "C" fn now_ms(userdata: *mut c_void) -> u64 {
    // SAFETY: the caller's promise; the session outlives its store, pins and cursors.
    unsafe { &*userdata.cast::<Cell<u64>>() }.get()
}

impl Session {
    pub(crate) fn new(documented: &'static Documented) -> Session {
        Session {
            documented,
            store: ptr::null_mut(),
            pins: Vec::new(),
            cursors: Vec::new(),
            clock: Box::new(Cell::new(EPOCH_MS)),
            version: 0,
        }
    }

    pub(crate) fn clock(&self) -> *mut c_void {
        ptr::from_ref(&*self.clock).cast_mut().cast()
    }

    pub(crate) fn advance(&self, milliseconds: u64) {
        self.clock.set(self.clock.get().saturating_add(milliseconds));
    }

    pub(crate) fn check(&self, function: &str, status: nyala_status) {
        self.documented.check(function, status);
        // SAFETY: the answer ends with a NUL and lives until this thread's next call.
        let text = unsafe { CStr::from_ptr(nyala_last_error()) };
        let text = text.to_str().expect("the message is UTF-8");
        assert!(text.len() < 512, "a message of {} bytes", text.len());
        assert!(status >= 0 || !text.is_empty(), "{function}: {status} without a message");
    }

    /// Replaces the store, whose pins and cursors live on.
    pub(crate) fn reopen(&mut self, store: *mut nyala_store) {
        let old = std::mem::replace(&mut self.store, store);
        // SAFETY: nothing uses the old handle any more.
        let status = unsafe { nyala_close(old) };
        assert_eq!(status, NYALA_OK);
    }

    pub(crate) fn hold_cursor(&mut self, cursor: *mut nyala_cursor) {
        self.cursors.push(cursor);
        if self.cursors.len() > HELD {
            self.close_cursor(0);
        }
    }

    pub(crate) fn close_cursor(&mut self, at: usize) {
        let cursor = self.cursors.swap_remove(at);
        // SAFETY: it is given back once.
        unsafe { nyala_scan_close(cursor) };
    }

    pub(crate) fn hold_pin(&mut self, handle: *mut nyala_pinned) {
        let (copy, version) = look(handle);
        assert!(version != 0, "a pin of version 0");
        self.version = version;
        self.pins.push(Pin { handle, copy, version });
        if self.pins.len() > HELD {
            self.unpin(0);
        }
    }

    pub(crate) fn pins(&self) -> usize {
        self.pins.len()
    }

    pub(crate) fn unpin(&mut self, at: usize) {
        let Pin { handle, copy, version } = self.pins.swap_remove(at);
        assert!((copy, version) == look(handle), "pinned bytes changed");
        // SAFETY: it is given back once.
        unsafe { nyala_unpin(handle) };
    }

    /// Gives everything back, the store first.
    pub(crate) fn end(mut self) {
        self.reopen(ptr::null_mut());
        while !self.pins.is_empty() {
            self.unpin(0);
        }
        while !self.cursors.is_empty() {
            self.close_cursor(0);
        }
    }
}

/// What a pin shows.
fn look(handle: *mut nyala_pinned) -> (Vec<u8>, u64) {
    // SAFETY: the pin is held.
    let data = unsafe { nyala_pinned_data(handle) };
    // SAFETY: the pin is held.
    let len = unsafe { nyala_pinned_len(handle) };
    assert!(!data.is_null(), "a pin without data");
    // SAFETY: a held pin shows as many bytes as it says.
    let copy = unsafe { slice::from_raw_parts(data.cast::<u8>(), len) }.to_vec();
    // SAFETY: the pin is held.
    (copy, unsafe { nyala_pinned_version(handle) })
}
