//! The time that a burst's store goes by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nyala::{Clock, Options};

use crate::common::FakeClock;

/// Fake time moves when some thread moves it; real time is the store's own.
#[derive(Debug)]
pub(crate) enum Time {
    Fake(Arc<FakeClock>),
    Real(Instant),
}

impl Time {
    pub(crate) fn new(fake: bool) -> Time {
        if fake { Time::Fake(FakeClock::new()) } else { Time::Real(Instant::now()) }
    }

    pub(crate) fn apply(&self, options: Options) -> Options {
        match self {
            Time::Fake(clock) => options.clock(clock.clone()),
            Time::Real(_) => options,
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        match self {
            Time::Fake(clock) => clock.now_ms(),
            Time::Real(start) => {
                u64::try_from(start.elapsed().as_millis()).expect("shorter than the universe")
            }
        }
    }

    /// How far the store's milliseconds may be from these.
    pub(crate) fn slack_ms(&self) -> u64 {
        match self {
            Time::Fake(_) => 0,
            Time::Real(_) => 2,
        }
    }

    /// Lets some time pass, if that is in our hands.
    pub(crate) fn advance(&self, by: Duration) {
        if let Time::Fake(clock) = self {
            clock.advance(by);
        }
    }
}
