//! Keys that all threads write, checked by what they add up to: counters, logs that grow by appending, values that are
//! replaced only if they are what they were, a lock, and tokens that are exchanged.

use nyala::{Error, SetOptions, Store};

use super::ledger::Ledger;
use super::worker::Worker;
use crate::common::{Check, charge, ensure, mix};

const COUNTERS: [&str; 4] = ["c/0", "c/1", "c/2", "c/3"];
const LOGS: [&str; 2] = ["l/0", "l/1"];
const REPLACED: [&str; 2] = ["r/0", "r/1"];
const LOCK: &str = "k/lock";
const LOCKED: &str = "k/value";
const EXCHANGED: [&str; 2] = ["e/0", "e/1"];

/// Bytes of one record of a log: thread, number, proof.
const LOG_RECORD: usize = 24;
/// A log of this many bytes is taken away by whoever sees it.
const LOG_TAKEN_AT: usize = 24 * 20;

/// What one thread did to the shared keys, as far as the store acknowledged it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    added: [i64; COUNTERS.len()],
    last_count: [i64; COUNTERS.len()],
    appended: [u64; LOGS.len()],
    appended_proof: [u64; LOGS.len()],
    taken: [u64; LOGS.len()],
    taken_proof: [u64; LOGS.len()],
    replaced: [u64; REPLACED.len()],
    locked_updates: u64,
    tokens_put: [u64; EXCHANGED.len()],
    tokens_got: [u64; EXCHANGED.len()],
    numbers: u64,
}

fn proof(log: usize, thread: u64, number: u64) -> u64 {
    mix(mix(thread ^ ((log as u64) << 32)) ^ number)
}

fn text(error: Error) -> String {
    error.to_string()
}

/// A decimal number; absent counts as 0.
fn parse(value: Option<&[u8]>) -> Result<u64, String> {
    let Some(value) = value else { return Ok(0) };
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{} bytes that are no number", value.len()))
}

/// A charge that the shared keys never pass.
pub(crate) fn charge_bound(threads: usize) -> u64 {
    let log = charge(3, LOG_TAKEN_AT + LOG_RECORD * (threads + 1));
    log * LOGS.len() as u64 + 12 * charge(8, 24)
}

/// Records of a log, checked one by one: their number, and the sum of their proofs.
fn check_log(log: usize, value: &[u8]) -> Result<(u64, u64), String> {
    let (records, rest) = value.as_chunks::<LOG_RECORD>();
    ensure!(rest.is_empty(), "log of {} bytes ends within a record", value.len());
    let mut last_numbers = std::collections::BTreeMap::new();
    let mut proofs: u64 = 0;
    for record in records {
        let (words, _) = record.as_chunks::<8>();
        let [thread, number, seal] = [0, 1, 2].map(|i| u64::from_le_bytes(words[i]));
        ensure!(seal == proof(log, thread, number), "log has a record that nobody appended");
        let last = last_numbers.insert(thread, number);
        ensure!(
            last.is_none_or(|last| last < number),
            "log has record {number} of thread {thread} after {last:?}"
        );
        proofs = proofs.wrapping_add(seal);
    }
    Ok((records.len() as u64, proofs))
}

impl Worker<'_> {
    /// A shared write was refused: whether it may have been. Its growth is part of the bound from the start.
    fn refused(&mut self, error: Error) -> Check {
        match error {
            Error::Full { .. } => {
                self.totals.full += 1;
                self.ledger.permit_full(0)
            }
            other => Err(text(other)),
        }
    }

    pub(crate) fn check_shared_name(&self, key: &[u8]) -> Check {
        let known = [&COUNTERS[..], &LOGS, &REPLACED, &EXCHANGED, &[LOCK, LOCKED]];
        let name = String::from_utf8_lossy(key);
        ensure!(known.concat().contains(&&*name), "{name:.40} was never set");
        Ok(())
    }

    pub(crate) fn increment(&mut self) -> Check {
        let at = self.random.below(COUNTERS.len());
        let shift = self.random.below(40);
        let delta = 1 + (self.random.word() % (1 << shift)).cast_signed();
        match self.store.increment(COUNTERS[at], delta, None) {
            Ok(sum) => {
                let last = self.tally.last_count[at];
                ensure!(
                    sum >= last + delta || self.ledger.may_vanish(),
                    "counter is {sum} after {last} and {delta} more"
                );
                self.tally.last_count[at] = sum;
                self.tally.added[at] += delta;
                Ok(())
            }
            Err(error) => self.refused(error),
        }
    }

    pub(crate) fn append(&mut self) -> Check {
        let log = self.random.below(LOGS.len());
        let (thread, number) = (self.thread as u64, self.tally.numbers);
        self.tally.numbers += 1;
        let seal = proof(log, thread, number);
        let record = [thread, number, seal].map(u64::to_le_bytes).concat();
        match self.store.append(LOGS[log], record) {
            Ok(len) => {
                self.tally.appended[log] += 1;
                self.tally.appended_proof[log] = self.tally.appended_proof[log].wrapping_add(seal);
                if len < LOG_TAKEN_AT {
                    return Ok(());
                }
            }
            // The others were faster than whoever is about to take it away.
            Err(Error::ValueTooLarge { .. }) => {}
            Err(error) => self.refused(error)?,
        }
        if let Some(value) = self.store.take(LOGS[log]).map_err(text)? {
            let (records, proofs) = check_log(log, &value)?;
            self.tally.taken[log] += records;
            self.tally.taken_proof[log] = self.tally.taken_proof[log].wrapping_add(proofs);
        }
        Ok(())
    }

    /// One more, if nobody was faster.
    pub(crate) fn compare_and_swap(&mut self) -> Check {
        let at = self.random.below(REPLACED.len());
        let found = self.store.get_versioned(REPLACED[at]).map_err(text)?;
        let number = parse(found.as_ref().map(|(value, _)| value.as_slice()))?;
        let options = match &found {
            None => SetOptions::new().if_absent(),
            Some((value, _)) if self.random.one_in(2) => SetOptions::new().if_value(value),
            Some((_, version)) => SetOptions::new().if_version(*version),
        };
        match self.store.set_with(REPLACED[at], (number + 1).to_string(), options) {
            Ok(outcome) => {
                self.tally.replaced[at] += u64::from(outcome.stored);
                Ok(())
            }
            Err(error) => self.refused(error),
        }
    }

    /// Reads, adds one and writes, with nothing but a lock made of a key to keep others out.
    pub(crate) fn locked_update(&mut self) -> Check {
        let token = format!("thread {}", self.thread);
        let lock = match self.store.set_with(LOCK, &token, SetOptions::new().if_absent()) {
            Ok(outcome) if !outcome.stored => return Ok(()),
            Ok(outcome) => outcome.version.ok_or("locked without a version")?,
            Err(error) => return self.refused(error),
        };
        let number = parse(self.store.get(LOCKED).map_err(text)?.as_deref())?;
        match self.store.set(LOCKED, (number + 1).to_string()) {
            Ok(()) => self.tally.locked_updates += 1,
            Err(error) => self.refused(error)?,
        }
        let unlocked = self.store.delete_if(LOCK, lock).map_err(text)?;
        ensure!(unlocked || self.ledger.may_vanish(), "the lock was gone, or another thread's");
        Ok(())
    }

    /// Puts a token of its own and takes what lies there: no token may be lost, and none come twice.
    pub(crate) fn exchange(&mut self) -> Check {
        let at = self.random.below(EXCHANGED.len());
        let token = self.random.word() >> 8;
        match self.store.swap(EXCHANGED[at], token.to_string()) {
            Ok(previous) => {
                let got = parse(previous.as_deref())?;
                self.tally.tokens_put[at] = self.tally.tokens_put[at].wrapping_add(token);
                self.tally.tokens_got[at] = self.tally.tokens_got[at].wrapping_add(got);
                Ok(())
            }
            Err(error) => self.refused(error),
        }
    }
}

/// Checks, when all threads are done, that what is left is what they did.
pub(crate) fn check_sums(store: &Store, ledger: &Ledger, tallies: &[Tally]) -> Check {
    let left = |key: &str| store.get(key).map_err(text);
    let sum = |of: &dyn Fn(&Tally) -> u64| {
        tallies.iter().fold(0, |sum: u64, tally| sum.wrapping_add(of(tally)))
    };
    for (log, key) in LOGS.iter().enumerate() {
        let (records, proofs) = check_log(log, &left(key)?.unwrap_or_default())?;
        let appended = (sum(&|t| t.appended[log]), sum(&|t| t.appended_proof[log]));
        let found =
            (sum(&|t| t.taken[log]) + records, sum(&|t| t.taken_proof[log]).wrapping_add(proofs));
        ensure!(
            found == appended || ledger.may_vanish(),
            "{key}: {} records were appended, {} are there or were taken",
            appended.0,
            found.0
        );
    }
    if ledger.may_vanish() {
        return Ok(());
    }
    let mut expected = Vec::new();
    for (at, key) in COUNTERS.iter().enumerate() {
        expected.push((*key, sum(&|t| t.added[at].cast_unsigned())));
    }
    for (at, key) in REPLACED.iter().enumerate() {
        expected.push((*key, sum(&|t| t.replaced[at])));
    }
    for (at, key) in EXCHANGED.iter().enumerate() {
        let missing = sum(&|t| t.tokens_put[at]).wrapping_sub(sum(&|t| t.tokens_got[at]));
        expected.push((*key, missing));
    }
    expected.push((LOCKED, sum(&|t| t.locked_updates)));
    for (key, expected) in expected {
        let found = parse(left(key)?.as_deref())?;
        ensure!(found == expected, "{key} is {found}, and all threads' work makes {expected}");
    }
    let locked = store.contains(LOCK).map_err(text)?;
    ensure!(!locked, "the lock was left, and nobody holds it");
    Ok(())
}
