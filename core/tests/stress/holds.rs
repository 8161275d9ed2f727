//! What a thread holds on to while others write: pins and a scan.

use nyala::{Cursor, Error, Pinned};

use super::ledger::Family;
use super::worker::Worker;
use crate::common::{Check, ensure};

/// Pins that a thread holds at most.
const PINS: usize = 3;

pub(crate) struct HeldPin {
    pinned: Pinned,
    copy: Vec<u8>,
    version: u64,
}

impl HeldPin {
    /// The bytes and the version are what they were when it was pinned.
    pub(crate) fn check(&self) -> Check {
        let version = self.pinned.version().get();
        ensure!(version == self.version, "pin of version {} says {version}", self.version);
        ensure!(
            *self.pinned == *self.copy,
            "{} pinned bytes of version {version} changed",
            self.copy.len()
        );
        Ok(())
    }
}

pub(crate) struct RunningScan {
    cursor: Cursor,
    /// Acknowledged generations when the scan began.
    before: Vec<u64>,
    yielded: Vec<bool>,
    prefix: &'static str,
    /// Whether it went on from a position that keys with equal hashes share.
    may_repeat: bool,
}

impl Worker<'_> {
    pub(crate) fn pin(&mut self) -> Check {
        if self.pins.len() == PINS {
            return self.unpin();
        }
        let id = self.any_key();
        let before = self.ledger.acknowledged(id);
        self.ledger.hold_pin();
        let pinned = match self.store.pin(self.ledger.key(id)) {
            Ok(Some(pinned)) => pinned,
            Ok(None) => {
                self.ledger.drop_pin();
                return self.ledger.check_read(id, before, None).map(|_| ());
            }
            Err(Error::Busy { max, .. }) => {
                self.ledger.drop_pin();
                self.totals.busy += 1;
                ensure!(max > 0, "Busy with a limit of no segments");
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        };
        let generation = self.ledger.check_read(id, before, Some(&pinned))?.unwrap_or_default();
        let version = pinned.version().get();
        let copy = pinned.to_vec();
        self.pins.push(HeldPin { pinned, copy, version });
        self.note_seen(id, generation, version)
    }

    pub(crate) fn check_pins(&self) -> Check {
        self.pins.iter().try_for_each(HeldPin::check)
    }

    /// Checks all pins and drops one of them.
    pub(crate) fn unpin(&mut self) -> Check {
        self.check_pins()?;
        if !self.pins.is_empty() {
            let at = self.random.below(self.pins.len());
            self.pins.swap_remove(at);
            self.ledger.drop_pin();
        }
        Ok(())
    }

    pub(crate) fn scan_step(&mut self) -> Check {
        let Some(mut scan) = self.scan.take() else { return self.open_scan() };
        if self.random.one_in(2) {
            let budget = self.random.between(1, 200);
            match scan.cursor.next_batch(budget).map_err(|error| error.to_string())? {
                None => return self.finish_scan(&scan),
                Some(batch) => {
                    for (key, value) in batch {
                        self.check_yielded(&mut scan, &key, &value)?;
                    }
                }
            }
            if self.random.one_in(4) {
                let Some(position) = scan.cursor.position() else {
                    return self.finish_scan(&scan);
                };
                let resumed = self.store.scan_from(scan.prefix, position);
                scan.cursor = resumed.map_err(|error| error.to_string())?;
                scan.may_repeat |= self.collides;
            }
        } else {
            for _ in 0..self.random.between(1, 100) {
                let Some(item) = scan.cursor.next() else { return self.finish_scan(&scan) };
                let (key, value) = item.map_err(|error| error.to_string())?;
                self.check_yielded(&mut scan, &key, &value)?;
            }
        }
        self.scan = Some(scan);
        Ok(())
    }

    fn open_scan(&mut self) -> Check {
        let prefix = if self.random.one_in(3) { "p/" } else { "" };
        let before = (0..self.ledger.len()).map(|id| self.ledger.acknowledged(id)).collect();
        let cursor = self.store.scan(prefix).map_err(|error| error.to_string())?;
        let yielded = vec![false; self.ledger.len()];
        self.scan = Some(RunningScan { cursor, before, yielded, prefix, may_repeat: false });
        Ok(())
    }

    fn check_yielded(&mut self, scan: &mut RunningScan, key: &[u8], value: &[u8]) -> Check {
        self.totals.scanned += 1;
        let name = String::from_utf8_lossy(key);
        ensure!(name.starts_with(scan.prefix), "scan of {} yields {name}", scan.prefix);
        let Some(id) = self.ledger.find(key) else {
            return self.check_shared_name(key);
        };
        self.ledger.check_value(id, scan.before[id], value)?;
        let twice = std::mem::replace(&mut scan.yielded[id], true);
        ensure!(
            !twice
                || scan.may_repeat
                || self.ledger.may_vanish()
                || self.ledger.family(id) != Family::Permanent,
            "scan yields {name} twice, and it was there throughout"
        );
        Ok(())
    }

    fn finish_scan(&mut self, scan: &RunningScan) -> Check {
        self.totals.scans += 1;
        if self.ledger.may_vanish() {
            return Ok(());
        }
        for id in 0..self.ledger.len() {
            ensure!(
                scan.yielded[id] || self.ledger.family(id) != Family::Permanent,
                "scan leaves out {}, which was there throughout",
                String::from_utf8_lossy(self.ledger.key(id))
            );
        }
        Ok(())
    }
}
