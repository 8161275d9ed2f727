//! Stores in files: held to their durability class, measured, opened again after a clean close and after a kill.

pub(crate) mod audit;
pub(crate) mod beyond;
pub(crate) mod disk;
mod measure;
pub(crate) mod scratch;
mod trace;
mod writer;

use serde::{Deserialize, Serialize};

use crate::engines::contract::{Engine, Home};
use crate::experiments;
use crate::fault::Result;
use crate::measure::unit::{Emit, Unit};
use crate::workloads::Workload;
use crate::workloads::stream::Content;
use beyond::Excess;
use writer::Writing;

/// What one process does with a store in files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// Open it and say how it is set.
    Describe,
    /// Hold the engine to its contract and to its class.
    Introduce,
    /// Load so many entries, then these workloads, then open the store again.
    Measure { entries: u32, workloads: Vec<Workload>, values: Content },
    /// Load so many entries, then ask in an open loop.
    Latency { entries: u32 },
    /// Load more than memory holds, then ask and overwrite.
    Beyond(Excess),
    /// Write for another process that watches, or ends this one.
    Write(Writing),
}

pub(crate) fn run<E: Engine>(
    unit: &Unit,
    home: &Home,
    step: &Step,
    emit: &mut Emit<'_>,
) -> Result<()> {
    match step {
        Step::Describe => audit::describe::<E>(home, emit),
        Step::Introduce => audit::introduce::<E>(unit, home, emit),
        Step::Measure { entries, workloads, values } => {
            measure::run::<E>(unit, home, *entries, workloads, *values, emit)
        }
        Step::Latency { entries } => experiments::measure_latency::<E>(unit, home, *entries, emit),
        Step::Beyond(excess) => beyond::run::<E>(unit, home, excess, emit),
        Step::Write(writing) => writer::run::<E>(unit, home, writing),
    }
}
