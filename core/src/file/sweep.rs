//! Every effect fails once, and for good, at every place where it is called: what is answered then, and what is there
//! when the file is opened again, after the death of the process and after a power cut.
//!
//! The reduced form leaves out some of the later places and the larger segments; all of them with `NYALA_SWEEP=full`.

mod run;
mod scenarios;

use std::sync::Arc;
use std::time::Duration;

use super::disk::BootId;
use super::fake::{Effect, Failure, FakeDisk};
use crate::{Durability, Error, Store};
use run::{RESERVED, Run, expected};
use scenarios::{SCENARIOS, Scenario};

const EFFECTS: [Effect; 6] = [
    Effect::Len,
    Effect::Allocate,
    Effect::Populate,
    Effect::Punch,
    Effect::Truncate,
    Effect::Sync,
];
/// So long that the thread of level `interval` never wakes: the scenarios end intervals themselves.
const HOUR: Duration = Duration::from_secs(3600);

fn is_full() -> bool {
    std::env::var("NYALA_SWEEP").is_ok_and(|form| form == "full")
}

/// Runs one scenario with one failure after the other; answers how many.
fn sweep(scenario: &Scenario, level: Durability, segment_bytes: usize) -> u64 {
    let (what, before, after) = scenario;
    let full = is_full();
    let mut failures = 0;
    for effect in EFFECTS {
        for failure in [Failure::Once, Failure::ForGood] {
            let mut n = 0;
            loop {
                n += if full || n < 4 { 1 } else { n };
                let place =
                    format!("{what}, {level:?}, {segment_bytes}: {effect:?} {n} {failure:?}");
                let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let mut run = Run::new(level, segment_bytes);
                    before(&mut run);
                    run.disk.fail_nth(effect, n, failure);
                    after(&mut run);
                    run.check_images();
                    run.disk.failed().0 > 0
                }));
                match noticed {
                    Ok(true) => failures += 1,
                    // The scenario does not call it so often.
                    Ok(false) => break,
                    Err(panic) => {
                        eprintln!("{place}");
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }
    failures
}

fn sweep_all(level: Durability) {
    let mut failures = 0;
    let sizes: &[usize] = if is_full() { &[512, 4096] } else { &[512] };
    for segment_bytes in sizes {
        for scenario in &SCENARIOS {
            failures += sweep(scenario, level, *segment_bytes);
        }
    }
    eprintln!("{level:?}: {failures} failures in {} scenarios", SCENARIOS.len());
}

#[test]
fn every_failure_at_level_process() {
    sweep_all(Durability::Process);
}

#[test]
fn every_failure_at_level_interval() {
    sweep_all(Durability::Interval(HOUR));
}

#[test]
fn every_failure_at_level_sync() {
    sweep_all(Durability::Sync);
}

/// Several writers share a sync that fails: none of them is told that its write is durable.
#[test]
fn a_failed_sync_fails_all_who_share_it() {
    /// Writes of a thread, so that there are as many syncs at least.
    const WRITES: u64 = 10;
    for n in 1..=WRITES {
        let run = Run::new(Durability::Sync, 4096);
        let store = Store::open_on(run.disk.clone(), &run.options()).unwrap();
        run.disk.fail_nth(Effect::Sync, n, Failure::Once);
        let acknowledged: Vec<String> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|thread| {
                    let store = &store;
                    scope.spawn(move || {
                        let keys = (0..WRITES).map(|key| format!("{thread} {key}"));
                        keys.take_while(|key| store.set(key, key).map_err(expected).is_ok())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        assert_eq!(store.set("one", "more"), Err(Error::Poisoned));
        let disk = Arc::new(FakeDisk::with_image(&run.disk.durable_image(), RESERVED));
        disk.set_boot(BootId(2));
        let again = Store::open_on(disk, &run.options()).unwrap();
        for key in acknowledged {
            assert_eq!(again.get(&key).unwrap().as_deref(), Some(key.as_bytes()));
        }
    }
}
