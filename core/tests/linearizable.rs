//! Four threads on a few keys: every history has an order that explains all answers.
#![forbid(unsafe_code)]

mod common;
#[path = "linearizable/mod.rs"]
mod linearizable;

#[path = "linearizable/handmade.rs"]
mod handmade;

use linearizable::Plan;

/// Histories of a run; `torture histories` runs more.
const HISTORIES: u64 = 600;

#[test]
fn histories_are_linearizable() {
    let plan = Plan { seed: 1, histories: HISTORIES, shape: None };
    match plan.run(|_, _| ()) {
        Ok(totals) => {
            assert!(totals.contended > 0, "no two calls on a key overlapped");
            assert!(totals.moved_bytes > 0, "reclaim moved nothing");
            assert!(totals.evicted > 0, "no cache evicted anything");
            eprintln!("{totals:?}");
        }
        Err(failure) => panic!("{failure}"),
    }
}
