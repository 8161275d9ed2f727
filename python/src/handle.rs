//! Who is inside a store, and when it may be let go of.
//!
//! `close` may come at any moment: from another thread, or from Python code that runs in the middle of an operation
//! (a finalizer, a signal handler). It must neither pull the store away from under the operation nor wait for it: the
//! operation may be waiting for the interpreter that the closing thread holds. So it only marks the store as closed;
//! whoever is the last inside lets go of it.
//!
//! This costs an operation two uncontended atomic additions: 4.2 ns to enter and leave, measured on one x86-64 machine
//! beside 4.7 ns for a reader-writer lock, which can deadlock as above, 8.6 ns for one that is only held to clone what
//! it guards, and 4.3 ns for a swappable shared pointer, which would be a dependency.

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

/// No new operation may enter.
const CLOSED: u64 = 1;
/// The contents are gone, or about to be: exactly one thread sets this.
const DRAINED: u64 = 2;
/// One operation that is inside.
const INSIDE: u64 = 4;

/// Something that can be closed while it is in use.
pub(crate) struct Handle<T> {
    /// `CLOSED | DRAINED | INSIDE * (operations inside)`.
    state: AtomicU64,
    contents: UnsafeCell<ManuallyDrop<T>>,
}

// SAFETY: contents are handed out as shared references to several threads, which takes `Sync`, and dropped by whichever
// thread leaves last, which takes `Send`.
unsafe impl<T: Send + Sync> Sync for Handle<T> {}

impl<T> Handle<T> {
    pub(crate) fn new(contents: T) -> Self {
        Handle { state: AtomicU64::new(0), contents: UnsafeCell::new(ManuallyDrop::new(contents)) }
    }

    /// Enters; `None` if closed. Whoever holds the answer may use the contents, however long.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Inside<'_, T>> {
        // Acquire pairs with the release half of `leave`, so that an addition that reads what a leaving thread stored
        // sees what that thread did.
        let before = self.state.fetch_add(INSIDE, Ordering::Acquire);
        let inside = Inside(self);
        // Having been counted, a thread that finds the mark must leave as any other does.
        (before & CLOSED == 0).then_some(inside)
    }

    /// Lets nobody in any more, and answers the contents; `None` while somebody is inside, who drops them, and later.
    pub(crate) fn close(&self) -> Option<T> {
        let before = self.state.fetch_or(CLOSED, Ordering::AcqRel);
        if before == 0 { self.drain() } else { None }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Relaxed) & CLOSED != 0
    }

    #[inline]
    fn leave(&self) {
        // Release: what was done inside happens before the drop. Pairs with the acquire in `drain`.
        let before = self.state.fetch_sub(INSIDE, Ordering::Release);
        if before == CLOSED | INSIDE {
            drop(self.drain());
        }
    }

    /// Takes the contents if nobody is inside and nobody has done so.
    #[cold]
    fn drain(&self) -> Option<T> {
        // A thread that was counted and refused in the meantime makes the exchange fail, and tries itself as it leaves.
        self.state
            .compare_exchange(CLOSED, CLOSED | DRAINED, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        // SAFETY: the state was CLOSED alone: nobody was inside, and nobody gets in after CLOSED is set.
        let contents = unsafe { &mut *self.contents.get() };
        // SAFETY: DRAINED goes from clear to set once, so that this runs once.
        Some(unsafe { ManuallyDrop::take(contents) })
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // No `Inside` can exist any more: it would borrow the handle.
        drop(self.close());
    }
}

/// The right to use the contents of a [`Handle`].
pub(crate) struct Inside<'a, T>(&'a Handle<T>);

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this operation is counted, so that `drain` has not dropped the contents, and nobody else makes a
        // mutable reference to them.
        unsafe { &*self.0.contents.get() }
    }
}

impl<T> Drop for Inside<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave();
    }
}
