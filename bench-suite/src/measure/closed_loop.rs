//! The timed loop: as many operations as fit into a span of time, one in so many timed by itself.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::fault::{Fault, Result};

/// Rounds between two looks at the clock: rare enough to cost nothing, often enough that a pipeline of 32 overshoots the
/// span by milliseconds only.
const ROUNDS_A_LOOK: u32 = 64;
/// Where each call is timed, calls are so slow that a look at the clock costs nothing beside them, and 64 may be seconds.
const fn rounds_a_look(sample_every: u32) -> u32 {
    if sample_every == 1 { 1 } else { ROUNDS_A_LOOK }
}
/// Longest latency that is told apart; longer ones count as this.
const LONGEST_NS: u64 = 60_000_000_000;
/// Significant decimal digits of a recorded latency.
const DIGITS: u8 = 2;

/// How long to go on and how often to time one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// `None`: until the stream is used up, which a load is.
    pub(crate) span: Option<Duration>,
    pub(crate) sample_every: u32,
}

/// What one thread's loop did.
#[derive(Debug, Clone)]
pub(crate) struct Timed {
    pub(crate) ops: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Histogram<u64>,
}

pub(crate) fn empty_histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)
        .map_err(|error| Fault::new(format!("histogram: {error}")))
}

/// Calls `round` again and again; it returns how many operations it did, 0 when there are none left.
#[inline]
pub(crate) fn run(pace: Pace, mut round: impl FnMut() -> Result<u64>) -> Result<Timed> {
    let mut latencies = empty_histogram()?;
    let mut ops = 0;
    let mut until_sample = pace.sample_every;
    let started = Instant::now();
    let deadline = pace.span.map(|span| started + span);
    let rounds = rounds_a_look(pace.sample_every);
    loop {
        for _ in 0..rounds {
            until_sample -= 1;
            let sampled = (until_sample == 0).then(Instant::now);
            let done = round()?;
            if let Some(before) = sampled {
                let nanoseconds = before.elapsed().as_nanos();
                latencies.saturating_record(u64::try_from(nanoseconds).unwrap_or(LONGEST_NS));
                until_sample = pace.sample_every;
            }
            ops += done;
            if done == 0 {
                return Ok(Timed { ops, elapsed: started.elapsed(), latencies });
            }
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(Timed { ops, elapsed: started.elapsed(), latencies });
        }
    }
}

/// What reading the clock twice costs, in nanoseconds: it is part of every sampled latency. The median of many.
pub(crate) fn timer_ns() -> u64 {
    let mut costs: Vec<u64> = (0..2001)
        .map(|_| {
            let before = Instant::now();
            u64::try_from(before.elapsed().as_nanos()).unwrap_or(u64::MAX)
        })
        .collect();
    costs.sort_unstable();
    costs[costs.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_when_the_stream_ends() {
        let mut left = 1000;
        let timed = run(Pace { span: None, sample_every: 10 }, || {
            left -= 1;
            Ok(u64::from(left >= 0))
        });
        let timed = timed.unwrap();
        assert_eq!(timed.ops, 1000);
        assert_eq!(timed.latencies.len(), 100);
    }

    #[test]
    fn ends_when_the_time_is_over() {
        let span = Duration::from_millis(20);
        let timed = run(Pace { span: Some(span), sample_every: 1 }, || Ok(32)).unwrap();
        assert!(timed.elapsed >= span);
        assert_eq!(timed.ops, timed.latencies.len() * 32);
    }

    #[test]
    fn a_fault_ends_the_loop() {
        let pace = Pace { span: None, sample_every: 1 };
        assert!(run(pace, || Err(Fault::new("no"))).is_err());
    }
}
