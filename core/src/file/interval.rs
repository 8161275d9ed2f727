//! The one thread that a store may have: at durability level `interval` it syncs what was appended, again and again.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::file::log::FileLog;

/// How the system's tools name the thread.
const NAME: &str = "nyala-sync";

#[derive(Debug)]
pub(crate) struct Interval {
    stop: Arc<Stop>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Interval {
    pub(crate) fn start(file: &Arc<FileLog>, interval: Duration) -> Result<Interval> {
        let stop = Arc::new(Stop::default());
        let (asked, file) = (Arc::clone(&stop), Arc::clone(file));
        let thread = std::thread::Builder::new()
            .name(NAME.into())
            .spawn(move || {
                // A failure poisons the file: every later change is told.
                while !asked.is_asked_within(interval) && file.end_interval().is_ok() {}
            })
            .map_err(|error| Error::NoMemory { bytes: 0, reason: error.to_string() })?;
        Ok(Interval { stop, thread })
    }

    /// Ends the thread and waits for it.
    pub(crate) fn stop(self) {
        *self.stop.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
        // It has nothing that could panic.
        let _ = self.thread.join();
    }
}

impl Stop {
    fn is_asked_within(&self, interval: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(asked, interval, |asked| !*asked);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
