//! Models of the syncer, beside a disk that makes durable what had been stored when its sync began, and nothing else.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use loom::thread;

use super::*;
use crate::file::disk::BootId;
use crate::file::mutant::switch;
use crate::models::explore;
use crate::sync::{AtomicU64, Ordering::Relaxed};

const WRITERS: usize = 3;

/// A file of one word for each writer.
#[derive(Debug, Default)]
struct Words {
    stored: [AtomicU64; WRITERS],
    /// What a power cut would leave.
    durable: [AtomicU64; WRITERS],
    /// What a sync that failed would have written: the system counts it as written, and no later sync writes it.
    lost: [AtomicU32; WRITERS],
    syncs: AtomicU32,
    /// Which sync fails, 0 for none.
    fails: u32,
}

impl Words {
    fn is_durable(&self, writer: usize) -> bool {
        self.durable[writer].load(Relaxed) == 1
    }
}

impl Disk for Words {
    fn sync_data(&self) -> Result<()> {
        let number = self.syncs.fetch_add(1, Relaxed) + 1;
        let covered = [0, 1, 2].map(|writer: usize| self.stored[writer].load(Relaxed) == 1);
        for (writer, _) in covered.iter().enumerate().filter(|(_, is_covered)| **is_covered) {
            if number == self.fails {
                self.lost[writer].store(1, Relaxed);
            } else if self.lost[writer].load(Relaxed) == 0 {
                self.durable[writer].store(1, Relaxed);
            }
        }
        if number == self.fails { Err(refused()) } else { Ok(()) }
    }

    fn base(&self) -> *const AtomicU64 {
        self.stored.as_ptr()
    }

    fn reserved(&self) -> u64 {
        0
    }

    fn len(&self) -> Result<u64> {
        Ok(0)
    }

    fn allocate(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn populate(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn punch(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn truncate(&self, _: u64) -> Result<()> {
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new("model")
    }

    fn now_ms(&self) -> u64 {
        0
    }

    fn boot_id(&self) -> BootId {
        BootId(1)
    }
}

/// What the disk of the model answers, told from what the syncer does.
fn refused() -> Error {
    Error::Unsupported("a sync of the model".into())
}

#[derive(Debug, Default)]
struct Shared {
    syncer: Syncer,
    disk: Words,
}

impl Shared {
    fn new(fails: u32) -> Arc<Shared> {
        Arc::new(Shared { disk: Words { fails, ..Words::default() }, ..Shared::default() })
    }

    /// As a writer at level `sync`: what is acknowledged is durable.
    fn write(&self, writer: usize) -> Result<()> {
        self.disk.stored[writer].store(1, Relaxed);
        let done = self.syncer.sync(&self.disk);
        assert!(done.is_err() || self.disk.is_durable(writer), "acknowledged and not durable");
        done
    }

    /// The same by all writers at once.
    fn write_all(self: &Arc<Self>) -> [Result<()>; WRITERS] {
        let spawn = |writer: usize| {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.write(writer))
        };
        let others = [spawn(0), spawn(1)];
        let mine = self.write(2);
        let [first, second] = others.map(|other| other.join().unwrap());
        [first, second, mine]
    }
}

fn all_succeed() {
    let shared = Shared::new(0);
    assert!(shared.write_all().iter().all(Result::is_ok));
    assert!(shared.disk.syncs.load(Relaxed) as usize <= WRITERS);
}

/// The `fails`th sync fails, if so many are needed.
fn one_fails(fails: u32) {
    let shared = Shared::new(fails);
    let done = shared.write_all();
    let told = done.iter().filter(|done| **done == Err(refused())).count();
    if shared.disk.syncs.load(Relaxed) >= fails {
        assert_eq!((told, shared.syncer.check()), (1, Err(Error::Poisoned)));
        assert_eq!(shared.write(0), Err(Error::Poisoned));
        assert_eq!(shared.disk.syncs.load(Relaxed), fails, "a sync after one that failed");
    } else {
        assert!(done.iter().all(Result::is_ok));
    }
}

#[test]
fn what_is_acknowledged_is_durable() {
    explore("writers that share syncs", all_succeed);
}

#[test]
fn a_failure_is_told_to_all_and_nobody_waits_for_ever() {
    explore("a first sync that fails", || one_fails(1));
    explore("a second sync that fails", || one_fails(2));
}

#[test]
fn what_a_number_was_asked_for_is_durable_when_it_has_finished() {
    explore("a mark and its number", || {
        let shared = Shared::new(0);
        let writer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || (0..2).for_each(|_| shared.write(0).unwrap())
        });
        shared.disk.stored[1].store(1, Relaxed);
        let number = shared.syncer.next();
        let check = || {
            let finished = shared.syncer.finished() >= number;
            assert!(!finished || shared.disk.is_durable(1), "finished and not durable");
        };
        check();
        writer.join().unwrap();
        check();
    });
}

#[test]
fn who_fails_elsewhere_leaves_nobody_waiting() {
    explore("a failure beside a sync", || {
        let shared = Shared::new(0);
        let writers = [0, 1].map(|writer| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.write(writer))
        });
        assert_eq!(shared.syncer.fail(refused()), refused());
        for writer in writers {
            let done = writer.join().unwrap();
            assert!(done.is_ok() || done == Err(Error::Poisoned), "{done:?}");
        }
        assert_eq!(shared.write(2), Err(Error::Poisoned));
    });
}

#[test]
#[should_panic(expected = "acknowledged and not durable")]
fn a_running_sync_that_counts_is_noticed() {
    switch(Some(Mutant::RunningSyncCounts));
    explore("bug: a running sync counts", all_succeed);
}

#[test]
#[should_panic(expected = "acknowledged and not durable")]
fn a_sync_that_is_tried_again_is_noticed() {
    switch(Some(Mutant::SyncAgain));
    explore("bug: a sync is tried again", || drop(Shared::new(1).write_all()));
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_failure_that_wakes_nobody_is_noticed() {
    switch(Some(Mutant::SilentFailure));
    explore("bug: a failure wakes nobody", || one_fails(1));
}

#[test]
#[should_panic(expected = "deadlock")]
fn patience_without_end_is_noticed() {
    switch(Some(Mutant::EndlessPatience));
    explore("bug: who gathers others never gives up", all_succeed);
}
