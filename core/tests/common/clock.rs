//! A clock that stands still until it is told to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nyala::Clock;

/// Where a [`FakeClock`] starts: some day in 2023, so that times before it can be named too.
pub(crate) const FAKE_EPOCH_MS: u64 = 1_700_000_000_000;

/// Time that the test moves.
#[derive(Debug)]
pub(crate) struct FakeClock {
    now_ms: AtomicU64,
}

impl FakeClock {
    pub(crate) fn new() -> Arc<FakeClock> {
        Arc::new(FakeClock { now_ms: AtomicU64::new(FAKE_EPOCH_MS) })
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).expect("a test does not wait that long");
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }
}
