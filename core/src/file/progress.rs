//! How far something long has come, and whether it is to go on.
//!
//! The work runs on a thread of its own and only adds to a counter; the caller's thread tells. So whoever is told holds up
//! no work, need not be sent to another thread, and can do what only this one may, such as look for signals.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::error::{Error, Result};

/// How far a long operation has come, in bytes of files that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that were worked through.
    pub done: u64,
    /// Bytes that are to be worked through in all, about; 0 before that is known, never less than `done`.
    pub total: u64,
}

/// How long nobody is told.
const EVERY: Duration = Duration::from_millis(50);

/// What the work counts on.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl Meter {
    /// So many bytes are to come, or more if more were announced before.
    pub(crate) fn expect(&self, bytes: u64) {
        self.total.fetch_max(self.done.load(Relaxed).saturating_add(bytes), Relaxed);
    }

    /// So many bytes are done; an error if the rest is not wanted.
    pub(crate) fn advance(&self, bytes: u64) -> Result<()> {
        self.done.fetch_add(bytes, Relaxed);
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }

    fn progress(&self) -> Progress {
        let done = self.done.load(Relaxed);
        let total = self.total.load(Relaxed);
        Progress { done, total: if total == 0 { 0 } else { total.max(done) } }
    }
}

/// Ends the work when its caller is gone, by a panic too.
struct Cancels<'a>(&'a Meter);

impl Drop for Cancels<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Does the work, and calls `tell` before it begins and every 50 milliseconds as long as it goes on.
pub(crate) fn watched<T: Send>(
    mut tell: impl FnMut(Progress) -> ControlFlow<()>,
    work: impl FnOnce(&Meter) -> Result<T> + Send,
) -> Result<T> {
    let meter = &Meter::default();
    if tell(meter.progress()).is_break() {
        return Err(Error::Cancelled);
    }
    let (running, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new()
            .name("nyala-work".into())
            .spawn_scoped(scope, move || {
                // Dropped when the work ends, in whatever way.
                let _running = running;
                work(meter)
            })
            .map_err(|error| Error::NoMemory { bytes: 0, reason: error.to_string() })?;
        let on_panic = Cancels(meter);
        while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            if !meter.is_cancelled() && tell(meter.progress()).is_break() {
                meter.cancel();
            }
        }
        drop(on_panic);
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread::{current, sleep};
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_caller_is_told_while_the_work_goes_on() {
        let caller = current().id();
        let mut told = Vec::new();
        let tell = |progress| {
            assert_eq!(current().id(), caller);
            told.push(progress);
            ControlFlow::Continue(())
        };
        let done = watched(tell, |meter| {
            assert_ne!(current().id(), caller);
            meter.expect(10);
            meter.advance(4)?;
            sleep(5 * EVERY);
            meter.expect(3);
            meter.advance(20)?;
            sleep(5 * EVERY);
            Ok(meter.progress())
        });
        assert_eq!(done, Ok(Progress { done: 24, total: 24 }));
        assert_eq!(told[0], Progress { done: 0, total: 0 });
        assert!(told.contains(&Progress { done: 4, total: 10 }), "{told:?}");
        assert!(told.contains(&Progress { done: 24, total: 24 }), "{told:?}");
        assert!(told.len() <= 12, "{told:?}");
    }

    #[test]
    fn work_that_is_not_wanted_ends() {
        let nothing = watched(|_| ControlFlow::Break(()), |_| -> Result<()> { panic!("begun") });
        assert_eq!(nothing, Err(Error::Cancelled));
        let for_ever = |meter: &Meter| -> Result<()> {
            loop {
                meter.advance(1)?;
                sleep(EVERY / 50);
            }
        };
        let mut calls = 0;
        let second = |_| {
            calls += 1;
            if calls == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let began = Instant::now();
        assert_eq!(watched(second, for_ever), Err(Error::Cancelled));
        assert_eq!(calls, 2);
        let panics = std::panic::AssertUnwindSafe(|| {
            let mut calls = 0;
            let panic = |_| {
                calls += 1;
                assert!(calls < 2, "told too much");
                ControlFlow::Continue(())
            };
            watched(panic, for_ever)
        });
        assert!(std::panic::catch_unwind(panics).is_err());
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
