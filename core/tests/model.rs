//! The store against a plain map: random operations, with small counter-examples.
#![forbid(unsafe_code)]

mod common;
#[path = "model/mod.rs"]
mod model;

use proptest::prelude::*;
use proptest::test_runner::Config;

use model::{Op, SHAPES, Trial};

fn operations() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(any::<[u64; 4]>().prop_map(Op::from_words), 1..600)
}

proptest! {
    // The number of cases comes from PROPTEST_CASES; a failure prints the fewest operations that show it.
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn answers_as_a_plain_map_does(
        number in 0..SHAPES.len(),
        seed in any::<u64>(),
        operations in operations(),
    ) {
        let mut trial = Trial::open(&SHAPES[number], seed).map_err(TestCaseError::fail)?;
        for (i, operation) in operations.iter().enumerate() {
            let outcome = trial.apply(operation);
            prop_assert!(
                outcome.is_ok(),
                "{}: operation {i}, {operation:?}: {}",
                SHAPES[number].name,
                outcome.unwrap_err()
            );
        }
        trial.finish().map_err(TestCaseError::fail)?;
    }
}

/// Long runs reach what short ones do not: full stores, many reclaimed segments, pages that split again and again.
#[test]
fn answers_as_a_plain_map_does_for_long() {
    for shape in &SHAPES {
        let seed = 1;
        if let Err(what) = model::run_seeded(shape, seed, 20_000) {
            panic!("{}, seed {seed}: {what}", shape.name);
        }
    }
}
