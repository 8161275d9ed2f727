//! A clock that stands still: a command sees all lifetimes at one moment.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nyala::{Clock, TimeToLive};

/// The time at which a command began, in milliseconds since the epoch. Lifetimes that are left are counted from here, so
/// that the end of one is known exactly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn now() -> Moment {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(millis(since_epoch).max(1))
    }

    pub(crate) fn clock(self) -> Arc<dyn Clock> {
        Arc::new(self)
    }

    /// When a lifetime ends, in milliseconds since the epoch.
    pub(crate) fn end_of(self, ttl: TimeToLive) -> Option<u64> {
        match ttl {
            TimeToLive::Forever => None,
            TimeToLive::Remaining(left) => Some(self.0.saturating_add(millis(left))),
        }
    }

    /// How long it is until then; `None` if that has passed.
    pub(crate) fn until(self, at_ms: u64) -> Option<Duration> {
        let left = at_ms.checked_sub(self.0).filter(|left| *left > 0)?;
        Some(Duration::from_millis(left))
    }
}

impl Clock for Moment {
    fn now_ms(&self) -> u64 {
        self.0
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
