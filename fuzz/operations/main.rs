//! A byte string is a sequence of operations on a small store, each compared with the model of the core's tests.
#![no_main]

#[path = "../../core/tests/common/mod.rs"]
mod common;
mod decode;
#[path = "../../core/tests/model/mod.rs"]
mod model;

use std::collections::VecDeque;

use decode::Operations;
use libfuzzer_sys::fuzz_target;
use model::{Op, SHAPES, Shape, Trial};

/// Operations between two looks at the store's invariants.
const VALIDATED_EVERY: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let shape = small(&SHAPES[usize::from(*first) % SHAPES.len()]);
    if let Err(what) = run(&shape, Operations::new(rest)) {
        panic!("{}: {what}", shape.name);
    }
});

/// The shape, with what takes long made smaller: an input should take about a millisecond.
fn small(shape: &Shape) -> Shape {
    const MIB: u64 = 1 << 20;
    let keys = match shape {
        // It must be able to be full, or to evict.
        Shape { resizes: true, .. } => 4000,
        Shape { crowded: true, .. } => 2500,
        // More keys than a page has slots.
        Shape { hash_drop: 1.., .. } => 600,
        _ => 300,
    };
    Shape { keys, max_bytes: shape.max_bytes.min(2 * MIB), skewed: false, ..*shape }
}

fn run(shape: &Shape, operations: Operations<'_>) -> Result<(), String> {
    const SHOWN: usize = 12;
    let mut trial = Trial::open(shape, 1)?;
    let mut recent: VecDeque<Op> = VecDeque::with_capacity(SHOWN);
    for (number, op) in operations.enumerate() {
        if recent.len() == SHOWN {
            recent.pop_front();
        }
        recent.push_back(op);
        let mut outcome = trial.apply(&op);
        if number % VALIDATED_EVERY == VALIDATED_EVERY - 1 {
            outcome = outcome.and_then(|()| common::validate(&trial.store));
        }
        outcome.map_err(|what| {
            format!("operation {}: {what}\nlast operations: {recent:#?}", number + 1)
        })?;
    }
    trial.finish()
}
