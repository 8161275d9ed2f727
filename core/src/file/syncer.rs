//! Syncs that many writers share: whoever needs one waits for the next that starts, and one of them starts it, as a rule the
//! last to come.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use self::gathering::{Advice, Gathering};
use crate::error::{Error, Result};
use crate::file::disk::Disk;
use crate::file::mutant::{Mutant, is_on};
use crate::sync::{AtomicU32, Condvar, Mutex, MutexGuard, Ordering, wait_at_most};

mod gathering;
#[cfg(all(loom, test))]
mod models;

/// Number of a sync, counted from 1 as they start.
pub(crate) type Ticket = u64;

#[derive(Debug, Default)]
pub(crate) struct Syncer {
    state: Mutex<State>,
    /// A sync has finished or failed.
    finished: Condvar,
    /// 1 if `failure` is set: asked before every change.
    failed: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    started: Ticket,
    finished: Ticket,
    running: bool,
    /// Whether a sync failed: nobody knows what is durable since.
    failure: bool,
    /// Those who need the sync that starts next.
    waiting: u32,
    gathering: Gathering,
}

impl Syncer {
    /// The first sync that starts after this call: what was stored before it is durable once that has finished.
    pub(crate) fn next(&self) -> Ticket {
        self.lock().started + 1
    }

    /// The last sync that finished.
    pub(crate) fn finished(&self) -> Ticket {
        self.lock().finished
    }

    /// Answers an error if a sync has failed.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        // A change that comes at the same time as the failure is told by the sync that it waits for.
        if self.failed.load(Ordering::Relaxed) != 0 { Err(Error::Poisoned) } else { Ok(()) }
    }

    /// Notes that something could not be made durable by others; answers the same error.
    pub(crate) fn fail(&self, error: Error) -> Error {
        self.lock().failure = true;
        self.failed.store(1, Ordering::Relaxed);
        self.finished.notify_all();
        error
    }

    /// Waits until what was stored before the call is durable.
    pub(crate) fn sync(&self, disk: &dyn Disk) -> Result<()> {
        let mut state = self.lock();
        let running_counts = is_on(Mutant::RunningSyncCounts) && state.running;
        let wanted = if running_counts { state.started } else { state.started + 1 };
        state.waiting += 1;
        loop {
            if state.failure {
                return Err(Error::Poisoned);
            }
            if state.finished >= wanted {
                return Ok(());
            }
            let waiting = state.waiting;
            let advice = if state.running { Advice::Wait } else { state.gathering.advise(waiting) };
            state = match advice {
                Advice::Wait => self.finished.wait(state).unwrap_or_else(PoisonError::into_inner),
                Advice::Gather(patience) => self.gather(state, patience),
                Advice::Start => self.run(state, disk)?,
            };
        }
    }

    /// Waits for the others, one of whom starts the sync when all have come.
    fn gather<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        patience: Duration,
    ) -> MutexGuard<'a, State> {
        let number = state.started;
        let lasts = |state: &mut State| state.started == number && !state.failure;
        let mut state = wait_at_most(&self.finished, &self.state, state, patience, lasts);
        if state.started == number && !is_on(Mutant::EndlessPatience) {
            state.gathering.give_up();
        }
        state
    }

    /// Runs the next sync, for all who have come before it.
    fn run<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        disk: &dyn Disk,
    ) -> Result<MutexGuard<'a, State>> {
        state.started += 1;
        state.running = true;
        let served = std::mem::take(&mut state.waiting);
        drop(state);
        let begun = Instant::now();
        let done = disk.sync_data();
        let took = begun.elapsed();
        let mut state = self.lock();
        state.running = false;
        let writers = served + state.waiting;
        state.gathering.note(writers, took);
        match done {
            Ok(()) => state.finished = state.started,
            // Whoever started it is told why; it is never tried again, because the system may have dropped what it could
            // not write and would call the next one a success.
            Err(_) if is_on(Mutant::SyncAgain) => {}
            Err(_) => {
                state.failure = true;
                self.failed.store(1, Ordering::Relaxed);
            }
        }
        if done.is_ok() || !is_on(Mutant::SilentFailure) {
            self.finished.notify_all();
        }
        done.map(|()| state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::file::disk::PAGE_BYTES;
    use crate::file::fake::{Effect, Failure, FakeDisk};

    #[test]
    fn a_sync_that_had_started_is_not_enough() {
        let (syncer, disk) = (Syncer::default(), FakeDisk::new(PAGE_BYTES));
        assert_eq!((syncer.next(), syncer.finished()), (1, 0));
        syncer.sync(&disk).unwrap();
        assert_eq!((syncer.next(), syncer.finished()), (2, 1));
    }

    #[test]
    fn writers_share_syncs() {
        const THREADS: u64 = 8;
        const EACH: u64 = 200;
        let (syncer, disk) = (Syncer::default(), FakeDisk::new(PAGE_BYTES));
        let acknowledged = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let before = syncer.next();
                        syncer.sync(&disk).unwrap();
                        assert!(syncer.finished() >= before);
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(acknowledged.into_inner(), THREADS * EACH);
        assert!(disk.calls().1 <= THREADS * EACH);
    }

    #[test]
    fn a_failed_sync_is_never_tried_again() {
        let (syncer, disk) = (Syncer::default(), FakeDisk::new(PAGE_BYTES));
        disk.fail_nth(Effect::Sync, 1, Failure::Once);
        assert!(matches!(syncer.sync(&disk), Err(Error::Io(_))));
        let calls = disk.calls();
        assert_eq!(syncer.sync(&disk), Err(Error::Poisoned));
        assert_eq!(syncer.check(), Err(Error::Poisoned));
        assert_eq!(disk.calls(), calls);
    }
}
