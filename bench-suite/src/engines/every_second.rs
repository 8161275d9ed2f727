//! What class D2 needs of a library that syncs only when it is told to: somebody who tells it every second.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::fault::{Fault, Result};

const SECOND: Duration = Duration::from_secs(1);

/// A thread that calls one function every second until this is dropped.
#[derive(Debug)]
pub(crate) struct EverySecond {
    /// Dropped to end the thread.
    running: Option<Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl EverySecond {
    pub(crate) fn call(mut work: impl FnMut() -> Result<()> + Send + 'static) -> EverySecond {
        let (running, ended) = channel();
        let thread = std::thread::spawn(move || {
            let mut next = Instant::now() + SECOND;
            // The time that a sync takes is part of its second.
            while let Err(RecvTimeoutError::Timeout) =
                ended.recv_timeout(next.saturating_duration_since(Instant::now()))
            {
                work()?;
                next = (next + SECOND).max(Instant::now());
            }
            Ok(())
        });
        EverySecond { running: Some(running), thread: Some(thread) }
    }

    /// Ends the thread; a fault of any of its calls.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.running = None;
        let ended = self.thread.take().map(JoinHandle::join);
        ended
            .unwrap_or(Ok(Ok(())))
            .unwrap_or_else(|_| Err(Fault::new("the syncing thread panicked")))
    }
}

impl Drop for EverySecond {
    fn drop(&mut self) {
        // Who wants to know of a fault has called `stop`.
        let _ = self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn calls_once_a_second_and_ends_at_once() {
        let calls = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&calls);
        let mut clock = EverySecond::call(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        std::thread::sleep(Duration::from_millis(1300));
        let before = Instant::now();
        clock.stop().unwrap();
        assert!(before.elapsed() < Duration::from_millis(500));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_fault_is_told_at_the_end() {
        let mut clock = EverySecond::call(|| Err(Fault::new("no room")));
        std::thread::sleep(Duration::from_millis(1200));
        assert!(clock.stop().unwrap_err().to_string().contains("no room"));
    }
}
