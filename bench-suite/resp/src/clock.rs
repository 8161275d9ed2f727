//! The store's clock: it stands still while a command runs, as Redis's does.
//!
//! So a time of day that a request names becomes exactly that time: what is computed from the clock here and what the
//! store computes from it are the same moment.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nyala::Clock;

thread_local! {
    /// The time of the present command of this thread; 0 until somebody asks.
    static COMMAND_MS: Cell<u64> = const { Cell::new(0) };
}

/// Lets the clock go on: the next command of this thread has a time of its own.
#[inline]
pub(crate) fn begin_command() {
    COMMAND_MS.set(0);
}

/// Wall time at the start plus monotonic time since, so that setting the machine's clock kills no entry.
#[derive(Debug)]
pub(crate) struct CommandClock {
    started_at: Instant,
    started_at_ms: u64,
}

impl CommandClock {
    pub(crate) fn new() -> CommandClock {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        CommandClock { started_at: Instant::now(), started_at_ms: whole_ms(since_epoch).max(1) }
    }
}

impl Clock for CommandClock {
    #[inline]
    fn now_ms(&self) -> u64 {
        match COMMAND_MS.get() {
            0 => {
                let now_ms = self.started_at_ms + whole_ms(self.started_at.elapsed());
                COMMAND_MS.set(now_ms);
                now_ms
            }
            now_ms => now_ms,
        }
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_still_during_a_command() {
        let clock = CommandClock::new();
        begin_command();
        let begun = clock.now_ms();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(clock.now_ms(), begun);
        begin_command();
        assert!(clock.now_ms() >= begun + 5);
    }
}
