//! A model of the store: operations, a plain map that says what each must answer, and a trial that applies them to
//! both. Property tests, the torture program and fuzzers drive the same code; an operation is decoded from four words.
#![allow(dead_code, unused_imports, reason = "each program uses its part of this module")]

mod cache;
mod holds;
mod op;
mod reads;
mod reference;
mod scan;
mod shape;
mod trial;
mod writes;

pub(crate) use op::Op;
pub(crate) use shape::{SHAPES, Shape};
pub(crate) use trial::Trial;

use crate::common::Random;

/// Runs `count` operations drawn from `seed` in a fresh store of this shape. The error says which operation failed
/// and which came before it.
pub(crate) fn run_seeded(shape: &Shape, seed: u64, count: u64) -> Result<Trial, String> {
    const SHOWN: usize = 12;
    let mut trial = Trial::open(shape, seed)?;
    let mut random = Random::new(seed);
    let mut recent = std::collections::VecDeque::with_capacity(SHOWN);
    for done in 0..count {
        let op = Op::from_words([random.word(), random.word(), random.word(), random.word()]);
        let outcome = trial.apply(&op);
        if recent.len() == SHOWN {
            recent.pop_front();
        }
        recent.push_back(op);
        if let Err(what) = outcome {
            return Err(format!("operation {}: {what}\nlast operations: {recent:#?}", done + 1));
        }
    }
    trial.finish()?;
    Ok(trial)
}
