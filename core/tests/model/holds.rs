//! Operations that hold on to something: pins and cursors.

use nyala::Error;

use super::op::KeyNumber;
use super::scan::ScanTrack;
use super::trial::{Held, PREFIXES, PinnedBytes, Trial, compare, expect_ok};
use crate::common::{Check, ensure};

impl Trial {
    pub(crate) fn pin(&mut self, hand: usize, number: KeyNumber) -> Check {
        let key = self.key(number);
        self.unpin(hand)?;
        let pinned = match self.store.pin(&key) {
            Err(Error::Busy { pinned, max }) => {
                let held = self.hands.iter().flatten().count();
                ensure!(held > 0, "Busy ({pinned} of {max} segments) while nothing is pinned");
                return Ok(());
            }
            other => expect_ok("pin", other)?,
        };
        let expected = self.model.get(&key).map(|entry| entry.value.as_slice());
        compare("pin", pinned.as_deref(), expected)?;
        if let Some(pinned) = pinned {
            let version = pinned.version().get();
            let copy = pinned.to_vec();
            self.model.observe(&key, version)?;
            self.hands[hand] = Some(Held { pinned: PinnedBytes(pinned), copy, version });
        }
        Ok(())
    }

    pub(crate) fn check_pins(&mut self) -> Check {
        for held in self.hands.iter().flatten() {
            compare("pinned bytes", Some(&held.pinned.0), Some(&held.copy))?;
            let version = held.pinned.0.version().get();
            ensure!(version == held.version, "pin of {} now says {version}", held.version);
        }
        Ok(())
    }

    pub(crate) fn unpin(&mut self, hand: usize) -> Check {
        self.check_pins()?;
        self.hands[hand] = None;
        Ok(())
    }

    /// A scan that nothing disturbs yields exactly what is there.
    pub(crate) fn scan_whole(&mut self, prefix: usize) -> Check {
        let prefix = PREFIXES[prefix].as_bytes();
        let keys = self.model.entries().map(|(key, _)| key);
        let mut track = ScanTrack::new(prefix, keys);
        for item in expect_ok("scan", self.store.scan(prefix))? {
            let (key, value) = expect_ok("scan", item)?;
            let present = self.model.get(&key).map(|entry| entry.value.as_slice());
            track.check(&key, &value, present)?;
        }
        track.finish()
    }

    pub(crate) fn scan_open(&mut self, prefix: usize) -> Check {
        let prefix = PREFIXES[prefix].as_bytes();
        self.cursor = Some(expect_ok("scan", self.store.scan(prefix))?);
        let keys = self.model.entries().map(|(key, _)| key);
        self.model.scan = Some(ScanTrack::new(prefix, keys));
        Ok(())
    }

    fn check_yielded(&mut self, key: &[u8], value: &[u8]) -> Check {
        let Some(mut track) = self.model.scan.take() else {
            return Err("a cursor without a track".to_owned());
        };
        let present = self.model.get(key).map(|entry| entry.value.as_slice());
        track.check(key, value, present)?;
        self.model.scan = Some(track);
        Ok(())
    }

    fn scan_finished(&mut self) -> Check {
        self.cursor = None;
        if self.evicts {
            self.notice_all()?;
        }
        self.model.scan.take().map_or(Ok(()), |track| track.finish())
    }

    pub(crate) fn scan_step(&mut self, count: usize) -> Check {
        for _ in 0..count {
            let Some(cursor) = &mut self.cursor else {
                return Ok(());
            };
            match cursor.next() {
                Some(item) => {
                    let (key, value) = expect_ok("scan", item)?;
                    self.check_yielded(&key, &value)?;
                }
                None => return self.scan_finished(),
            }
        }
        Ok(())
    }

    pub(crate) fn scan_batch(&mut self, budget: usize) -> Check {
        let Some(cursor) = &mut self.cursor else {
            return Ok(());
        };
        match expect_ok("next_batch", cursor.next_batch(budget))? {
            Some(batch) => {
                for (key, value) in batch {
                    self.check_yielded(&key, &value)?;
                }
                Ok(())
            }
            None => self.scan_finished(),
        }
    }

    /// Goes on in another cursor from where the present one stands.
    pub(crate) fn scan_resume(&mut self) -> Check {
        let (Some(cursor), Some(track)) = (&self.cursor, &mut self.model.scan) else {
            return Ok(());
        };
        let Some(position) = cursor.position() else {
            return self.scan_finished();
        };
        if self.collides {
            track.resumed_among_equal_hashes();
        }
        let resumed = self.store.scan_from(track.prefix(), position);
        self.cursor = Some(expect_ok("scan_from", resumed)?);
        Ok(())
    }
}
