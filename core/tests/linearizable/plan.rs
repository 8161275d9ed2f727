//! Which trials there are, and a run of them.

use std::fmt;

use super::trial::{SHAPES, Shape, Totals};

/// Histories in one store.
const TRIAL: u64 = 50;

/// What to run; without a shape, each takes its turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) histories: u64,
    /// A number below that of `SHAPES`.
    pub(crate) shape: Option<usize>,
}

/// A trial that went wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    shape: usize,
    seed: u64,
    what: String,
}

impl Plan {
    /// Runs trials, the first with the plan's seed and each with one more than the one before, and tells of each what
    /// it did.
    pub(crate) fn run(self, mut done: impl FnMut(&Shape, &Totals)) -> Result<Totals, Failure> {
        let mut totals = Totals::default();
        for number in 0_usize.. {
            let count = TRIAL.min(self.histories - totals.histories);
            if count == 0 {
                break;
            }
            let seed = self.seed.wrapping_add(number as u64);
            let at = self.shape.unwrap_or(number % SHAPES.len());
            let histories = usize::try_from(count).expect("few histories");
            let outcome = SHAPES[at].run(seed, histories);
            let found = outcome.map_err(|what| Failure { shape: at, seed, what })?;
            done(&SHAPES[at], &found);
            totals.add(&found);
        }
        Ok(totals)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { shape, seed, what } = self;
        write!(
            f,
            "{what}\nin: {}, seed {seed}\nagain, as often as the threads need: cargo run --release -p nyala \
             --example torture -- histories --count 10000 --shape {shape} --seed {seed}",
            SHAPES[*shape].name
        )
    }
}
