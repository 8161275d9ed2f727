//! One key for everybody: reads of it and increments of it, from one thread to more than there are cores.

use super::Notebook;
use crate::engines::contract::{Engine, KEY_LEN, Session};
use crate::fault::Result;
use crate::measure::closed_loop::{self, Pace};
use crate::measure::threads;
use crate::measure::unit::Unit;
use crate::record::trial::{Action, Finding, HotKey, Speed};
use crate::workloads::keys::{KeySpace, Space};
use crate::workloads::stream::{VALUE_LEN, Values, entry_keys};

pub(super) const THREADS: [usize; 5] = [1, 2, 4, 8, 16];
/// Entries around the hot one.
const ENTRIES: u32 = 1000;

pub(super) fn measure<E: Engine>(unit: &Unit, notebook: &mut Notebook<'_, '_>) -> Result<()> {
    let most = Unit { threads: THREADS[THREADS.len() - 1], ..unit.clone() };
    let engine = E::open(&most.config(ENTRIES as usize, KEY_LEN + VALUE_LEN))?;
    let keys = entry_keys(unit.seed);
    let values = Values::new(unit.seed);
    let mut session = engine.session()?;
    for entry in 0..ENTRIES {
        session.set(&keys.key(entry), values.at(entry))?;
    }
    drop(session);
    let read = keys.key(0);
    let counted = KeySpace::named(Space::Counters, unit.seed).key(0);
    let pace = Pace { span: Some(unit.span()), sample_every: E::SAMPLE_EVERY };
    for threads in THREADS {
        let outcome = threads::run(&engine, threads, |_, session, tally| {
            let mut out = Vec::new();
            closed_loop::run(pace, || {
                if session.get(&read, &mut out)? {
                    tally.hit(&out);
                } else {
                    tally.miss();
                }
                Ok(1)
            })
        })?;
        let speed = Speed { ops: outcome.ops, seconds: outcome.elapsed.as_secs_f64() };
        notebook.write(Finding::HotKey(HotKey { action: Action::Read, threads, speed }))?;
        let outcome = threads::run(&engine, threads, |_, session, tally| {
            closed_loop::run(pace, || {
                let sum = session.increment(&counted)?;
                tally.hit(&sum.to_le_bytes());
                Ok(1)
            })
        })?;
        let speed = Speed { ops: outcome.ops, seconds: outcome.elapsed.as_secs_f64() };
        notebook.write(Finding::HotKey(HotKey { action: Action::Increment, threads, speed }))?;
    }
    Ok(())
}
