//! One thread of a burst.

use std::collections::VecDeque;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nyala::{Error, Store};

use super::burst::{Burst, RESIZE, Totals};
use super::holds::{HeldPin, RunningScan};
use super::ledger::Ledger;
use super::owner::Owned;
use super::shared::Tally;
use super::time::Time;
use crate::common::{Check, Random, ensure};

/// What a thread does, and how often out of all weights together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Set,
    SetSameLength,
    SetIfVersion,
    SetMany,
    SetWithLifetime,
    ChangeLifetime,
    Swap,
    Take,
    Delete,
    DeleteMany,
    GetOwn,
    Get,
    GetInto,
    GetWith,
    GetVersioned,
    GetMany,
    EntryInfo,
    Pin,
    Unpin,
    ScanStep,
    Increment,
    Append,
    CompareAndSwap,
    LockedUpdate,
    Exchange,
    Maintain,
    AdvanceClock,
}

pub(crate) const ACTIONS: [(Action, &str, usize); 27] = [
    (Action::Set, "set", 180),
    (Action::SetSameLength, "set_same_length", 100),
    (Action::SetIfVersion, "set_if_version", 40),
    (Action::SetMany, "set_many", 25),
    (Action::SetWithLifetime, "set_with_lifetime", 60),
    (Action::ChangeLifetime, "change_lifetime", 30),
    (Action::Swap, "swap", 30),
    (Action::Take, "take", 15),
    (Action::Delete, "delete", 40),
    (Action::DeleteMany, "delete_many", 5),
    (Action::GetOwn, "get_own", 60),
    (Action::Get, "get", 120),
    (Action::GetInto, "get_into", 30),
    (Action::GetWith, "get_with", 30),
    (Action::GetVersioned, "get_versioned", 60),
    (Action::GetMany, "get_many", 30),
    (Action::EntryInfo, "entry_info", 20),
    (Action::Pin, "pin", 20),
    (Action::Unpin, "unpin", 15),
    (Action::ScanStep, "scan_step", 15),
    (Action::Increment, "increment", 40),
    (Action::Append, "append", 30),
    (Action::CompareAndSwap, "compare_and_swap", 30),
    (Action::LockedUpdate, "locked_update", 15),
    (Action::Exchange, "exchange", 20),
    (Action::Maintain, "maintain", 5),
    (Action::AdvanceClock, "advance_clock", 5),
];

/// Actions of the first thread between two calls of `clear`, in bursts that have them.
const CLEAR_EVERY: u64 = 30_000;
/// The same between two changes of the cap.
const RESIZE_EVERY: u64 = 1_000;

pub(crate) struct Worker<'a> {
    pub(crate) store: Store,
    pub(crate) ledger: &'a Ledger,
    pub(crate) time: &'a Time,
    pub(crate) thread: usize,
    pub(crate) random: Random,
    pub(crate) value_limit: usize,
    pub(crate) owned: Vec<Owned>,
    /// Charges of entries that expired, or may have, until when the store may not have noticed it.
    pub(crate) lagging: VecDeque<(u64, u64)>,
    pub(crate) pins: Vec<HeldPin>,
    pub(crate) scan: Option<RunningScan>,
    clears: bool,
    resizes: bool,
    /// Whether keys may have equal hashes.
    pub(crate) collides: bool,
    /// Newest generation and its version that this thread has seen of each key.
    pub(crate) last_seen: Vec<(u64, u64)>,
    pub(crate) tally: Tally,
    pub(crate) totals: Totals,
    /// A value about to be written, and one that was read.
    pub(crate) writing: Vec<u8>,
    pub(crate) reading: Vec<u8>,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(
        store: Store,
        ledger: &'a Ledger,
        time: &'a Time,
        thread: usize,
        burst: &Burst,
    ) -> Worker<'a> {
        let first = thread * ledger.per_thread();
        Worker {
            value_limit: burst.value_limit(&store),
            store,
            ledger,
            time,
            thread,
            random: Random::new(burst.seed ^ ((thread as u64) << 56)),
            owned: (first..first + ledger.per_thread()).map(Owned::new).collect(),
            lagging: VecDeque::new(),
            pins: Vec::new(),
            scan: None,
            clears: burst.clears && thread == 0,
            resizes: burst.resizes && thread == 0,
            collides: burst.hash_drop != 0,
            last_seen: vec![(0, 0); ledger.len()],
            tally: Tally::default(),
            totals: Totals::default(),
            writing: Vec::new(),
            reading: Vec::new(),
        }
    }

    /// Works until `stop`, or until something is wrong; then it tells the others to stop.
    pub(crate) fn run(&mut self, ready: &Barrier, stop: &AtomicBool) -> Check {
        let filled = self.fill_permanent();
        ready.wait();
        let outcome = filled
            .and_then(|()| self.fill_others())
            .map_err(|what| format!("at the start: {what}"))
            .and_then(|()| self.work(stop));
        if outcome.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn work(&mut self, stop: &AtomicBool) -> Check {
        let weights: usize = ACTIONS.iter().map(|(_, _, weight)| weight).sum();
        let mut done: u64 = 0;
        while !stop.load(Ordering::Relaxed) {
            let mut at = self.random.below(weights);
            let chosen = ACTIONS.iter().position(|(_, _, weight)| match at.checked_sub(*weight) {
                Some(rest) => {
                    at = rest;
                    false
                }
                None => true,
            });
            let chosen = chosen.expect("below the sum of weights");
            let (action, name, _) = ACTIONS[chosen];
            self.act(action).map_err(|what| format!("thread {}, {name}: {what}", self.thread))?;
            self.totals.actions[chosen] += 1;
            done += 1;
            if done.is_multiple_of(64) {
                self.release_lagging();
                // The first thread alone knows that the cap is not just changing.
                let used = self.store.used_bytes();
                let max = match self.thread {
                    0 => self.store.max_bytes(),
                    _ => self.ledger.greatest_cap(),
                };
                ensure!(used <= max, "used_bytes {used} above max_bytes {max}");
            }
            if self.clears && done.is_multiple_of(CLEAR_EVERY) {
                self.clear().map_err(|what| format!("clear: {what}"))?;
            }
            if self.resizes && done.is_multiple_of(RESIZE_EVERY) {
                self.resize().map_err(|what| format!("set_max_bytes: {what}"))?;
            }
        }
        self.check_pins()
    }

    /// Sets another cap. A cache takes any; of a store it holds what the ledger says of `Full`.
    fn resize(&mut self) -> Check {
        let opened = self.ledger.greatest_cap() / RESIZE;
        let quarters = self.random.between(1, 4 * 4) as u64;
        let (before, asked) = (self.store.max_bytes(), opened * quarters / 4);
        let bound = self.ledger.charge_bound();
        let expected = match self.store.set_max_bytes(asked) {
            Ok(()) => asked,
            Err(Error::Full { .. }) => {
                ensure!(!self.ledger.evicts(), "a cache refuses a cap");
                self.ledger.permit_full_at(bound, asked)?;
                before
            }
            Err(error) => return Err(error.to_string()),
        };
        self.totals.resized[usize::from(expected != asked)] += 1;
        let (used, max) = (self.store.used_bytes(), self.store.max_bytes());
        ensure!(max == expected, "max_bytes is {max}, not {expected}");
        ensure!(used <= max, "used_bytes {used} above a new max_bytes {max}");
        Ok(())
    }

    fn release_lagging(&mut self) {
        let now_ms = self.time.now_ms();
        while let Some((until_ms, charge)) = self.lagging.front() {
            if *until_ms + self.time.slack_ms() > now_ms {
                break;
            }
            self.ledger.shrink(*charge);
            self.lagging.pop_front();
        }
    }

    fn act(&mut self, action: Action) -> Check {
        match action {
            Action::Set => self.set(false),
            Action::SetSameLength => self.set(true),
            Action::SetIfVersion => self.set_if_version(),
            Action::SetMany => self.set_many(),
            Action::SetWithLifetime => self.set_with_lifetime(),
            Action::ChangeLifetime => self.change_lifetime(),
            Action::Swap => self.swap(),
            Action::Take => self.take(),
            Action::Delete => self.delete(),
            Action::DeleteMany => self.delete_many(),
            Action::GetOwn => self.get_own(),
            Action::Get => self.get(),
            Action::GetInto => self.get_into(),
            Action::GetWith => self.get_with(),
            Action::GetVersioned => self.get_versioned(),
            Action::GetMany => self.get_many(),
            Action::EntryInfo => self.entry_info(),
            Action::Pin => self.pin(),
            Action::Unpin => self.unpin(),
            Action::ScanStep => self.scan_step(),
            Action::Increment => self.increment(),
            Action::Append => self.append(),
            Action::CompareAndSwap => self.compare_and_swap(),
            Action::LockedUpdate => self.locked_update(),
            Action::Exchange => self.exchange(),
            Action::Maintain => {
                let budget = Duration::from_micros(self.random.word() % 300);
                self.store.maintain(budget).map(|_| ()).map_err(|error| error.to_string())
            }
            Action::AdvanceClock => {
                self.time.advance(Duration::from_millis(self.random.word() % 100));
                Ok(())
            }
        }
    }

    /// Any key that has an owner, low places more often than high ones.
    pub(crate) fn any_key(&mut self) -> usize {
        let per_thread = self.ledger.per_thread();
        let thread = self.random.below(self.ledger.len() / per_thread);
        thread * per_thread + self.random.skewed(per_thread)
    }
}
