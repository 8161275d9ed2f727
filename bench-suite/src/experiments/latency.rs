//! Latency in an open loop: operations come by a Poisson schedule, at parts of the rate that the store reached in a closed loop, and
//! each latency counts from the moment that was intended for it. What a slow operation makes wait behind it is thus counted too, where a
//! closed loop would just ask later.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use crate::engines::contract::{Engine, Home, KEY_LEN, Session, Tally};
use crate::fault::Result;
use crate::measure::closed_loop;
use crate::measure::unit::Unit;
use crate::record::histogram::Buckets;
use crate::record::trial::Latency;
use crate::workloads::keys::Random;
use crate::workloads::stream::{Op, VALUE_LEN};
use crate::workloads::{self, Frame, Workload, load, warm};

/// Rates, in per cent of the closed loop's.
const PERCENTS: [u32; 5] = [10, 25, 50, 75, 90];
/// Lane of the schedules' random numbers.
const LANE: u64 = 0x706f_6973 << 32;
/// A schedule that a store cannot keep up with is given up after so many times its length.
const PATIENCE: u32 = 3;

/// Loads a store and asks it on one thread: 95 % reads, 5 % overwrites, Zipf 0.99.
pub(crate) fn measure<E: Engine>(
    unit: &Unit,
    home: Option<&Home>,
    entries: u32,
    mut found: impl FnMut(Latency) -> Result<()>,
) -> Result<()> {
    let frame = unit.frame(entries);
    let streams = load::streams(&frame)?;
    let mut config = unit.config(entries as usize, KEY_LEN + VALUE_LEN);
    config.home = home.cloned();
    let engine = E::open(&config)?;
    load::run(&engine, &frame, &streams)?;
    drop(streams);
    engine.settle()?;
    warm::run(&engine, &frame)?;
    let closed = workloads::run(Workload::Zipf95, &engine, &frame)?;
    let closed_ops_a_second = closed.ops as f64 / closed.elapsed.as_secs_f64();
    let ops = workloads::mixed_ops(&frame, Workload::Zipf95, 0.95, 0);
    let mut session = engine.session()?;
    for percent in PERCENTS {
        let rate = closed_ops_a_second * f64::from(percent) / 100.0;
        let schedule = schedule(rate, unit, percent);
        let paced = run(&mut session, &frame, &ops, &schedule)?;
        found(Latency {
            durability: unit.durability(),
            entries,
            percent,
            closed_ops_a_second,
            offered_ops_a_second: rate,
            ops: paced.ops,
            seconds: paced.elapsed.as_secs_f64(),
            timer_ns: closed_loop::timer_ns(),
            latencies: Buckets::of(&paced.latencies),
        })?;
    }
    drop(session);
    if home.is_some() {
        engine.close()
    } else {
        if E::ENDS_WITH_PROCESS {
            std::mem::forget(engine);
        }
        Ok(())
    }
}

/// Moments from the start, in nanoseconds: gaps between them follow the exponential law.
fn schedule(rate: f64, unit: &Unit, percent: u32) -> Vec<u64> {
    let mut random = Random::new(unit.seed, LANE | u64::from(unit.block) << 8 | u64::from(percent));
    let end = unit.span().as_nanos() as f64;
    let mean = 1e9 / rate.max(1.0);
    let mut at = 0.0;
    let mut moments = Vec::new();
    loop {
        at -= mean * (1.0 - random.fraction()).ln();
        if at >= end {
            return moments;
        }
        #[expect(clippy::cast_sign_loss, reason = "a sum of gaps, none of which is below zero")]
        moments.push(at as u64);
    }
}

fn run(
    session: &mut impl Session,
    frame: &Frame,
    ops: &[Op],
    schedule: &[u64],
) -> Result<closed_loop::Timed> {
    let mut latencies = closed_loop::empty_histogram()?;
    let (mut out, mut tally) = (Vec::new(), Tally::default());
    let mut done = 0;
    let limit = frame.span * PATIENCE;
    let started = Instant::now();
    for (moment, op) in schedule.iter().zip(ops.iter().cycle()) {
        let intended = started + Duration::from_nanos(*moment);
        // Sleeping would be late by tens of microseconds.
        while Instant::now() < intended {
            spin_loop();
        }
        session.execute(std::slice::from_ref(op), &frame.values, &mut out, &mut tally)?;
        let ended = Instant::now();
        let waited = ended.saturating_duration_since(intended).as_nanos();
        latencies.saturating_record(u64::try_from(waited).unwrap_or(u64::MAX));
        done += 1;
        if ended - started > limit {
            break;
        }
    }
    Ok(closed_loop::Timed { ops: done, elapsed: started.elapsed(), latencies })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::contract::Key;
    use crate::experiments::Task;
    use crate::measure::unit::Stage;
    use crate::workloads::stream::Kind;

    fn unit(span_ms: u64) -> Unit {
        Unit {
            engine: "nyala".to_owned(),
            stage: Stage::Experiment(Task::Latency { entries: 1000 }),
            threads: 1,
            block: 0,
            position: 0,
            seed: 1,
            span_ms,
            stream_len: 1000,
        }
    }

    #[test]
    fn gaps_are_exponential_around_the_rate() {
        let moments = schedule(100_000.0, &unit(1000), 50);
        assert!((99_000..101_000).contains(&moments.len()), "{}", moments.len());
        let gaps: Vec<f64> = moments.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let beyond = gaps.iter().filter(|gap| **gap > mean).count() as f64 / gaps.len() as f64;
        assert!((beyond - (-1.0_f64).exp()).abs() < 0.01, "{beyond}");
    }

    /// Takes a millisecond for its first operation and nothing for the others.
    struct Stall(bool);

    impl Session for Stall {
        fn get(&mut self, _key: &[u8], _out: &mut Vec<u8>) -> Result<bool> {
            if std::mem::take(&mut self.0) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(true)
        }

        fn set(&mut self, _key: &[u8], _value: &[u8]) -> Result<()> {
            Ok(())
        }

        fn increment(&mut self, _key: &[u8]) -> Result<i64> {
            Ok(0)
        }
    }

    #[test]
    fn what_waits_behind_a_stall_counts_its_waiting() {
        let op = Op { key: Key::default(), value: 0, kind: Kind::Get };
        let frame = unit(100).frame(1000);
        // Twenty operations that are all due within the stall.
        let schedule: Vec<u64> = (0..20).map(|number| number * 10_000).collect();
        let timed = run(&mut Stall(true), &frame, &[op], &schedule).unwrap();
        assert_eq!(timed.ops, 20);
        assert!(timed.latencies.min() > 500_000, "{}", timed.latencies.min());
    }

    #[test]
    fn every_rate_is_measured() {
        let mut all = Vec::new();
        let engine = |found| {
            all.push(found);
            Ok(())
        };
        measure::<crate::engines::Nyala>(&unit(5), None, 1000, engine).unwrap();
        assert_eq!(all.iter().map(|found| found.percent).collect::<Vec<_>>(), PERCENTS);
        assert!(all.iter().all(|found| found.ops > 0 && found.latencies.samples() == found.ops));
    }
}
