//! Threads that start together, each with a session of its own, and the sum of what they did.

use std::sync::Barrier;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::closed_loop::{Timed, empty_histogram};
use super::process;
use crate::engines::contract::{Engine, Tally};
use crate::fault::{Fault, Result};

/// What all threads did together.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ops: u64,
    /// From the common start to the end of the last thread.
    pub(crate) elapsed: Duration,
    /// Of every process that took part.
    pub(crate) cpu_seconds: f64,
    pub(crate) latencies: Histogram<u64>,
    pub(crate) tally: Tally,
}

/// Runs `work` on every thread with its number and a session; the first fault is everybody's.
pub(crate) fn run<'engine, E, W>(engine: &'engine E, threads: usize, work: W) -> Result<Outcome>
where
    E: Engine,
    W: Fn(usize, &mut E::Session<'engine>, &mut Tally) -> Result<Timed> + Sync,
{
    let cpu_before = process::cpu_seconds() + engine.server_cpu_seconds()?;
    let start = Barrier::new(threads);
    let parts = std::thread::scope(|scope| {
        let (start, work) = (&start, &work);
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let session = engine.session();
                    // Passed before a failed session is looked at: the others wait for everyone.
                    start.wait();
                    let mut session = session?;
                    let mut tally = Tally::default();
                    let timed = work(thread, &mut session, &mut tally)?;
                    Ok((timed, tally))
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| {
                thread.join().unwrap_or_else(|_| Err(Fault::new("a measuring thread panicked")))
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let cpu_after = process::cpu_seconds() + engine.server_cpu_seconds()?;
    let mut outcome = Outcome {
        ops: 0,
        elapsed: Duration::ZERO,
        cpu_seconds: cpu_after - cpu_before,
        latencies: empty_histogram()?,
        tally: Tally::default(),
    };
    for (timed, tally) in parts {
        outcome.ops += timed.ops;
        outcome.elapsed = outcome.elapsed.max(timed.elapsed);
        outcome
            .latencies
            .add(&timed.latencies)
            .map_err(|error| Fault::new(format!("histogram: {error}")))?;
        outcome.tally.add(tally);
    }
    Ok(outcome)
}
