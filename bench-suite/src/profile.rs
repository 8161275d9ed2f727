//! Profiles: how much is measured, and so how long it takes. Everything else is the same in all of them.

use std::path::Path;

use crate::engines::{Class, Listed};
use crate::measure::unit::{Stage, Unit};
use crate::workloads::Workload;
use crate::workloads::keys::Random;

/// Threads that every stage is measured with.
const THREADS: [usize; 2] = [1, 2];
/// Workloads after the load at the size that all engines share.
const COMMON: [Workload; 5] =
    [Workload::Get, Workload::BatchGet, Workload::Zipf95, Workload::Zipf50, Workload::Counters];
/// Workloads after the load at the size that only the engines in memory get.
const LARGE: [Workload; 4] =
    [Workload::Get, Workload::BatchGet, Workload::Zipf95, Workload::Zipf50];

/// One of the profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) blocks: u32,
    /// Entries for every engine.
    pub(crate) entries: u32,
    /// Entries for the in-process engines in memory, in addition.
    pub(crate) large_entries: Option<u32>,
    /// Milliseconds of a timed cell.
    pub(crate) span_ms: u64,
    /// Milliseconds at most of a replay, which is shorter where the trace is.
    pub(crate) replay_ms: u64,
    /// Operations in a thread's stream.
    pub(crate) stream_len: usize,
}

pub(crate) const ALL: [Profile; 3] = [
    Profile {
        name: "tiny",
        about: "seconds, 5 k entries: shows that everything works, says nothing about speed",
        blocks: 3,
        entries: 5_000,
        large_entries: None,
        span_ms: 4,
        replay_ms: 4,
        stream_len: 1 << 12,
    },
    Profile {
        name: "smoke",
        about: "under 3 minutes, 100 k entries",
        blocks: 3,
        entries: 100_000,
        large_entries: None,
        span_ms: 60,
        replay_ms: 100,
        stream_len: 1 << 18,
    },
    Profile {
        name: "quick",
        about: "about 6 minutes, 1 M entries, and 5 M for the engines in memory",
        blocks: 3,
        entries: 1_000_000,
        large_entries: Some(5_000_000),
        span_ms: 225,
        replay_ms: 250,
        stream_len: 3 << 18,
    },
];

pub(crate) fn find(name: &str) -> Option<&'static Profile> {
    ALL.iter().find(|profile| profile.name == name)
}

/// What is measured next to each other within a block: every engine at one stage and number of threads.
#[derive(Debug, Clone)]
struct Round {
    stage: Stage,
    threads: usize,
}

impl Profile {
    fn rounds(&self, trace: Option<&Path>) -> Vec<Round> {
        let stages = [
            Some(Stage::Store { entries: self.entries, workloads: COMMON.to_vec() }),
            self.large_entries.map(|entries| Stage::Store { entries, workloads: LARGE.to_vec() }),
            Some(Stage::Replay { trace: trace.map(Path::to_owned) }),
        ];
        let stages = stages.into_iter().flatten();
        stages
            .flat_map(|stage| THREADS.map(|threads| Round { stage: stage.clone(), threads }))
            .collect()
    }

    /// Whether an engine takes part in a round.
    fn includes(&self, listed: &Listed, stage: &Stage) -> bool {
        match (stage, listed.class) {
            (Stage::Store { .. }, Class::Memory | Class::Hardware) => true,
            (Stage::Store { entries, .. }, Class::Cache | Class::Slow | Class::Harness) => {
                *entries == self.entries
            }
            (Stage::Replay { .. }, class) => {
                matches!(class, Class::Memory | Class::Cache | Class::Slow)
            }
        }
    }

    /// All units of one block. Within a round the engines come in random order, one soon after the other, so that drift of
    /// the machine hits all of them alike.
    pub(crate) fn block(
        &self,
        engines: &[&'static Listed],
        trace: Option<&Path>,
        seed: u64,
        block: u32,
    ) -> Vec<Unit> {
        let mut random = Random::new(seed, 0x0062_6c6f_636b ^ (u64::from(block) << 48));
        let mut units = Vec::new();
        for round in self.rounds(trace) {
            let mut order: Vec<_> = engines
                .iter()
                .filter(|listed| self.includes(listed, &round.stage))
                .copied()
                .collect();
            random.shuffle(&mut order);
            units.extend(
                (0..)
                    .zip(order)
                    .map(|(position, listed)| self.unit(listed, &round, seed, block, position)),
            );
        }
        units
    }

    fn unit(&self, listed: &Listed, round: &Round, seed: u64, block: u32, position: u32) -> Unit {
        let replay = matches!(round.stage, Stage::Replay { .. });
        Unit {
            engine: listed.name.to_owned(),
            stage: round.stage.clone(),
            threads: round.threads,
            block,
            position,
            seed,
            span_ms: if replay { self.replay_ms } else { self.span_ms },
            // Prefixes of the same stream: a slow engine would not come to the rest of it.
            stream_len: if listed.class == Class::Slow {
                self.stream_len / 4
            } else {
                self.stream_len
            },
        }
    }
}

/// Seconds that a unit will take, from what its parts took on the reference machine.
pub(crate) fn estimate_seconds(unit: &Unit) -> f64 {
    const PROCESS: f64 = 0.05;
    const PREPARATION_NS: f64 = 60.0;
    let listed = crate::engines::find(&unit.engine);
    let load_ns = listed.map_or(0.0, |listed| f64::from(listed.load_ns));
    let span = unit.span_ms as f64 / 1000.0;
    let streams = unit.stream_len as f64 * PREPARATION_NS / 1e9;
    // Redis is asked in two depths of pipeline.
    let passes = if unit.engine == "redis" { 2.0 } else { 1.0 };
    match &unit.stage {
        Stage::Store { entries, workloads } => {
            let load = f64::from(*entries) * (load_ns + 20.0) / 1e9;
            PROCESS + load + workloads.len() as f64 * passes * (span + streams)
        }
        Stage::Replay { .. } => PROCESS + passes * span + 0.15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everybody() -> Vec<&'static Listed> {
        crate::engines::ALL.iter().collect()
    }

    #[test]
    fn every_block_has_the_same_units_in_another_order() {
        for profile in &ALL {
            let sorted = |block| {
                let mut units: Vec<String> = profile
                    .block(&everybody(), None, 1, block)
                    .iter()
                    .map(|unit| format!("{} {:?} {}", unit.engine, unit.stage, unit.threads))
                    .collect();
                units.sort();
                units
            };
            assert_eq!(sorted(0), sorted(1));
            let order = |block| {
                profile
                    .block(&everybody(), None, 1, block)
                    .into_iter()
                    .map(|unit| unit.engine)
                    .collect::<Vec<_>>()
            };
            assert_ne!(order(0), order(1));
            assert_eq!(order(0), order(0));
        }
    }

    #[test]
    fn slow_engines_stay_at_the_common_size() {
        let quick = find("quick").unwrap();
        let units = quick.block(&everybody(), None, 1, 0);
        for unit in &units {
            if let Stage::Store { entries: 5_000_000, .. } = unit.stage {
                assert!(
                    !["redis", "sqlite", "rocksdb", "moka"].contains(&unit.engine.as_str()),
                    "{}",
                    unit.engine
                );
            }
        }
        assert!(units.iter().any(|unit| unit.engine == "redis"));
    }

    #[test]
    fn estimates_keep_the_promises() {
        for (name, limit) in [("tiny", 30.0), ("smoke", 180.0), ("quick", 390.0)] {
            let profile = find(name).unwrap();
            let seconds: f64 = (0..profile.blocks)
                .flat_map(|block| profile.block(&everybody(), None, 1, block))
                .map(|unit| estimate_seconds(&unit))
                .sum();
            assert!(seconds < limit, "{name}: {seconds:.0} s");
        }
    }
}
