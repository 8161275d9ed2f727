//! Real threads over one store, with values that prove themselves.
#![forbid(unsafe_code)]

mod common;
#[path = "stress/mod.rs"]
mod stress;

use std::time::Duration;

/// Seconds that the test takes unless `NYALA_STRESS_SECONDS` says otherwise.
const SECONDS: u64 = 20;

fn seconds() -> u64 {
    match std::env::var("NYALA_STRESS_SECONDS") {
        Ok(text) => text.parse().expect("NYALA_STRESS_SECONDS is a number of seconds"),
        Err(_) => SECONDS,
    }
}

#[test]
fn threads_see_whole_values_and_lose_nothing() {
    let length = Duration::from_secs(seconds());
    // Every store comes twice, with two numbers of threads.
    let each = length / (2 * u32::try_from(stress::STORES.len()).expect("few stores"));
    let plan = stress::Plan { seed: 1, threads: None, store: None };
    match plan.run(length, each, |_, _| ()) {
        Ok(totals) => {
            assert!(totals.evicted > 0, "no cache evicted anything");
            assert!(totals.resized[0] > 0, "no cap was set");
            eprintln!("{} operations", totals.operations());
        }
        Err(failure) => panic!("{failure}"),
    }
}
