//! Time: milliseconds since the Unix epoch, from the system or from whoever embeds the store.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of time for expiry. It must not go back; a step back makes entries live longer, nothing worse.
///
/// After 2^32 seconds, in the year 2106, entries expire as before, but a full store no longer looks for the expired among the others.
///
/// It is called with no lock held, from any thread that uses the store, and may itself use the store.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
}

/// Wall time at opening plus monotonic time since: setting the machine's clock neither revives nor kills an entry.
pub(crate) struct SystemClock {
    opened_at: Instant,
    opened_at_ms: u64,
}

impl SystemClock {
    fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SystemClock { opened_at: Instant::now(), opened_at_ms: ceil_ms(since_epoch) }
    }

    fn now_ms(&self) -> u64 {
        self.opened_at_ms.saturating_add(floor_ms(self.opened_at.elapsed()))
    }
}

/// The clock of one store.
pub(crate) enum ClockSource {
    System(SystemClock),
    Injected(Arc<dyn Clock>),
}

impl ClockSource {
    pub(crate) fn new(injected: Option<Arc<dyn Clock>>) -> Self {
        match injected {
            Some(clock) => ClockSource::Injected(clock),
            None => ClockSource::System(SystemClock::new()),
        }
    }

    /// Makes the system's time begin no earlier: where a file has seen later times, a clock that was set back revives
    /// nothing.
    pub(crate) fn not_before(&mut self, now_ms: u64) {
        if let ClockSource::System(clock) = self {
            clock.opened_at_ms = clock.opened_at_ms.max(now_ms);
        }
    }

    /// The time of one operation: read when the first record with an expiry is met, so that operations on records
    /// without one do not pay for it.
    pub(crate) fn moment(&self) -> Moment<'_> {
        Moment { source: self, now_ms: Cell::new(0) }
    }

    fn now_ms(&self) -> u64 {
        match self {
            ClockSource::System(clock) => clock.now_ms(),
            ClockSource::Injected(clock) => clock.now_ms(),
        }
        .max(1)
    }
}

impl fmt::Debug for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClockSource::System(_) => "System",
            ClockSource::Injected(_) => "Injected",
        })
    }
}

/// One operation's time, read at most once.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    source: &'a ClockSource,
    /// 0 until it has been read.
    now_ms: Cell<u64>,
}

impl Moment<'_> {
    pub(crate) fn now_ms(&self) -> u64 {
        if self.now_ms.get() == 0 { self.read() } else { self.now_ms.get() }
    }

    #[cold]
    fn read(&self) -> u64 {
        self.now_ms.set(self.source.now_ms());
        self.now_ms.get()
    }

    /// To be called before a lock is taken: an injected clock is user code and is asked now (C9).
    pub(crate) fn settle(&self) {
        if let ClockSource::Injected(_) = self.source {
            self.now_ms();
        }
    }
}

/// Whole milliseconds, rounded up: a lifetime is never shorter than what was asked for.
pub(crate) fn ceil_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn floor_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
