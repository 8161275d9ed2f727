//! Counting hits and misses without shared memory: each thread has a cell of its own.
//!
//! A thread takes a number when it first counts, and gives it back when it ends; its cell is written with plain loads and
//! stores, which cost about a nanosecond. An addition that is atomic would keep the processor from overlapping the cache
//! misses of one read with those of the next. Threads beyond the number of cells share one, with such additions.

use std::cell::OnceCell;

use crate::hottest::SAMPLED;
use crate::sync::{AtomicU64, Ordering, Padded};

/// Threads that have a cell of their own.
const OWN: usize = 64;

/// Hits and misses of all threads.
#[derive(Debug)]
pub(crate) struct Tally {
    cells: Box<[Padded<Cell>]>,
}

#[derive(Debug, Default)]
struct Cell {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally { cells: (0..=OWN).map(|_| Padded(Cell::default())).collect() }
    }

    /// Bytes of the cells.
    pub(crate) const fn bytes() -> usize {
        (OWN + 1) * size_of::<Padded<Cell>>()
    }

    /// Counts a read; whether it is a hit to be sampled, one in [`SAMPLED`].
    #[inline]
    pub(crate) fn count(&self, hit: bool) -> bool {
        let thread = thread_number();
        let cell = &self.cells[thread];
        let counter = if hit { &cell.hits } else { &cell.misses };
        let count = if thread < OWN {
            let count = counter.load(Ordering::Relaxed) + 1;
            counter.store(count, Ordering::Relaxed);
            count
        } else {
            counter.fetch_add(1, Ordering::Relaxed) + 1
        };
        // Scattered by the golden ratio: every so many-th would fall in step with a caller that takes turns.
        hit && count.wrapping_mul(0x9e37_79b9_7f4a_7c15) < u64::MAX / SAMPLED
    }

    pub(crate) fn hits(&self) -> u64 {
        self.cells.iter().map(|cell| cell.hits.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn misses(&self) -> u64 {
        self.cells.iter().map(|cell| cell.misses.load(Ordering::Relaxed)).sum()
    }
}

/// A bit for each number below [`OWN`] that a living thread has.
static TAKEN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
const _: () = assert!(OWN == 64, "a bit of one word for each cell");

/// A number below [`OWN`] that no other living thread has, or `OWN`.
struct Number(usize);

impl Number {
    fn take() -> Number {
        let mut taken = TAKEN.load(Ordering::Relaxed);
        loop {
            let number = taken.trailing_ones() as usize;
            if number == OWN {
                return Number(OWN);
            }
            // Pairs with the release in `drop`: this thread counts on from where the one before it ended.
            let with = taken | 1 << number;
            match TAKEN.compare_exchange(taken, with, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Number(number),
                Err(now) => taken = now,
            }
        }
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        if self.0 < OWN {
            TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }
}

thread_local! {
    static NUMBER: OnceCell<Number> = const { OnceCell::new() };
}

/// The number of this thread; one that is ending shares.
#[inline]
fn thread_number() -> usize {
    NUMBER.try_with(|number| number.get_or_init(Number::take).0).unwrap_or(OWN)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_however_many_threads_there_are() {
        let tally = Tally::new();
        for threads in [1, 10, 2 * OWN] {
            let before = (tally.hits(), tally.misses());
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| (0..3_000).for_each(|n| _ = tally.count(n % 3 > 0)));
                }
            });
            let threads = threads as u64;
            assert_eq!(tally.hits() - before.0, 2_000 * threads);
            assert_eq!(tally.misses() - before.1, 1_000 * threads);
        }
    }
}
