//! Memory at several numbers of entries: a table that doubles is half empty at some and full at others, so one number says little.

use super::Notebook;
use crate::engines::contract::{Engine, KEY_LEN};
use crate::fault::Result;
use crate::measure::process;
use crate::measure::unit::{Unit, fetch_memory};
use crate::record::trial::{Finding, MemoryAt};
use crate::workloads::load;
use crate::workloads::stream::VALUE_LEN;

pub(super) fn measure<E: Engine>(
    unit: &Unit,
    entries: u32,
    notebook: &mut Notebook<'_, '_>,
) -> Result<()> {
    let frame = unit.frame(entries);
    let streams = load::streams(&frame)?;
    fetch_memory(3 * u64::from(entries) * (KEY_LEN + VALUE_LEN) as u64)?;
    let before = process::resident_bytes()?;
    let engine = E::open(&unit.config(entries as usize, KEY_LEN + VALUE_LEN))?;
    load::run(&engine, &frame, &streams)?;
    engine.settle()?;
    let grown_bytes = engine.memory_bytes()?.saturating_sub(before);
    notebook.write(Finding::Memory(MemoryAt { entries, grown_bytes }))?;
    if E::ENDS_WITH_PROCESS {
        std::mem::forget(engine);
    }
    Ok(())
}
