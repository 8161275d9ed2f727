//! Telling whoever embeds the store which entries are gone, and why.
//!
//! What is removed under a stripe's lock is copied into a list of that stripe; the operation calls the listener with it
//! when it has let go of the lock. Without a listener nothing is copied.

use std::fmt;
use std::sync::Arc;

use crate::clock::Moment;
use crate::engine::Engine;
use crate::log::record::Record;
use crate::stripe::Writer;

/// Why an entry is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A cache needed the room.
    Evicted,
    /// Its time had come, and a write or reclaim noticed.
    Expired,
    /// It was removed: by `delete`, `delete_if`, `take`, or a lifetime that had passed when it was given.
    Removed,
}

/// An entry that is gone, as a listener is told of it. The bytes are borrowed for the length of the call.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Removal<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// The value that it had last.
    pub value: &'a [u8],
    /// Why it is gone.
    pub cause: Cause,
}

impl fmt::Debug for Removal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removal")
            .field("key_len", &self.key.len())
            .field("value_len", &self.value.len())
            .field("cause", &self.cause)
            .finish()
    }
}

pub(crate) type Listener = dyn Fn(Removal<'_>) + Send + Sync;

/// What is called for each entry that is gone, if anything.
#[derive(Clone, Default)]
pub(crate) struct Listening(pub(crate) Option<Arc<Listener>>);

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "a listener" } else { "nobody" })
    }
}

/// A copy of an entry that is gone and that the listener has not been told of.
#[derive(Debug)]
pub(crate) struct Departed {
    key: Vec<u8>,
    value: Vec<u8>,
    cause: Cause,
}

impl Writer<'_> {
    /// Notes that the entry of this record is about to be removed.
    #[inline]
    pub(crate) fn note_departure(&mut self, record: &Record<'_>, cause: Cause) {
        if self.engine.listening.0.is_some() {
            self.copy_departed(record, cause);
        }
    }

    #[cold]
    fn copy_departed(&mut self, record: &Record<'_>, cause: Cause) {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        record.copy_key(&mut key);
        record.copy_value(&mut value);
        self.state.departed.push(Departed { key, value, cause });
    }
}

impl Engine {
    /// Tells the listener what has gone from a stripe. No lock is held.
    #[inline]
    pub(crate) fn tell(&self, stripe: usize, moment: &Moment<'_>) {
        if let Some(listener) = &self.listening.0 {
            self.tell_listener(&**listener, stripe, moment);
        }
    }

    #[cold]
    fn tell_listener(&self, listener: &Listener, stripe: usize, moment: &Moment<'_>) {
        // A stripe that a panic has left half changed has nothing to tell; whoever uses it is told that.
        let Ok(mut writer) = self.lock_stripe(stripe, moment) else { return };
        let departed = std::mem::take(&mut writer.state.departed);
        drop(writer);
        for Departed { key, value, cause } in &departed {
            listener(Removal { key, value, cause: *cause });
        }
    }
}
