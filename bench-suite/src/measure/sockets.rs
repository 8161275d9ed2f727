//! Units of servers: one server of each kind, loaded once, then asked in every way, and the PING floor of each way.

use std::path::PathBuf;
use std::sync::Arc;

use super::closed_loop;
use super::unit::{Clerk, Emit, Stage, Unit, passes};
use crate::engines::contract::{Engine, KEY_LEN};
use crate::engines::remote::{Ping, Remote};
use crate::engines::server::Server;
use crate::engines::way::{FEW, MORE, Way};
use crate::engines::{redis_server, resp_server};
use crate::fault::{Fault, Result};
use crate::files;
use crate::record::Memory;
use crate::workloads::stream::{TRACE_VALUE_LEN, VALUE_LEN};
use crate::workloads::{self, Passes, Workload, load};

/// Redis over TCP, and in files.
pub(crate) fn measure_redis(unit: &Unit, emit: &mut Emit<'_>) -> Result<()> {
    if let Stage::Files { home, step } = &unit.stage {
        return files::run::<Remote>(unit, home, step, emit);
    }
    measure(unit, &|_| redis_server::start(None), &FEW, Way::LOADS, emit)
}

/// Our store behind its front end over TCP.
pub(crate) fn measure_resp(unit: &Unit, emit: &mut Emit<'_>) -> Result<()> {
    measure(unit, &resp_server::start, &FEW, Way::LOADS, emit)
}

/// Both, in the other ways. Who begins changes from block to block.
pub(crate) fn measure_more(unit: &Unit, emit: &mut Emit<'_>) -> Result<()> {
    let redis = redis_server::available().is_ok();
    for ours in [unit.block.is_multiple_of(2), !unit.block.is_multiple_of(2)] {
        if ours {
            measure(unit, &resp_server::start, &MORE, MORE[0], emit)?;
        } else if redis {
            measure(unit, &|_| redis_server::start(None), &MORE, MORE[0], emit)?;
        }
    }
    Ok(())
}

/// `start` gets the budget of a store that holds everything.
fn measure(
    unit: &Unit,
    start: &dyn Fn(u64) -> Result<Server>,
    ways: &[Way],
    loads: Way,
    emit: &mut Emit<'_>,
) -> Result<()> {
    match &unit.stage {
        Stage::Store { entries, workloads, .. } => {
            let budget_bytes = unit.config(*entries as usize, KEY_LEN + VALUE_LEN).budget_bytes;
            let server = Arc::new(start(budget_bytes)?);
            store(unit, *entries, workloads, &server, ways, loads, emit)
        }
        Stage::Replay { trace } => replay(unit, trace.as_ref(), start, ways, emit),
        Stage::Experiment(_) | Stage::Files { .. } => {
            Err(Fault::new("experiments are about stores in this process"))
        }
    }
}

fn store(
    unit: &Unit,
    entries: u32,
    workloads: &[Workload],
    server: &Arc<Server>,
    ways: &[Way],
    loads: Way,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let frame = unit.frame(entries);
    let streams = load::streams(&frame)?;
    let mut clerk = Clerk { unit, frame: &frame, timer_ns: closed_loop::timer_ns(), emit };
    let loader = Remote::on(server, loads);
    let memory = Memory { before_bytes: loader.memory_bytes()?, after_bytes: 0 };
    clerk.write(&loader, Workload::Load, Some(memory), || load::run(&loader, &frame, &streams))?;
    drop(streams);
    for way in ways {
        let remote = Remote::on(server, *way);
        for workload in workloads {
            // MGET is a pipeline by itself.
            if *workload != Workload::BatchGet || way.is_single() {
                clerk.write(&remote, *workload, None, || {
                    workloads::run(*workload, &remote, &frame)
                })?;
            }
        }
        if !server.is_ours() {
            let floor = Ping::on(server, *way);
            clerk.write(&floor, Workload::Get, None, || {
                workloads::run(Workload::Get, &floor, &frame)
            })?;
        }
    }
    Ok(())
}

fn replay(
    unit: &Unit,
    trace: Option<&PathBuf>,
    start: &dyn Fn(u64) -> Result<Server>,
    ways: &[Way],
    emit: &mut Emit<'_>,
) -> Result<()> {
    // The same requests under other keys, so that the second replay starts as cold as the first.
    let all: Vec<(Way, Passes)> = (1..)
        .zip(ways)
        .map(|(number, way)| Ok((*way, passes(unit, trace, unit.seed.wrapping_add(number))?)))
        .collect::<Result<_>>()?;
    let entries = all.iter().map(|(_, passes)| passes.entries).sum();
    let budget_bytes = unit.config(entries, KEY_LEN + TRACE_VALUE_LEN).budget_bytes;
    let server = Arc::new(start(budget_bytes)?);
    let frame = unit.frame(0);
    let mut clerk = Clerk { unit, frame: &frame, timer_ns: closed_loop::timer_ns(), emit };
    for (way, passes) in all {
        let remote = Remote::on(&server, way);
        clerk.write(&remote, Workload::CacheAside, None, || {
            workloads::replay(&remote, &passes, &frame.values, unit.span())
        })?;
    }
    Ok(())
}
