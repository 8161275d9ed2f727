//! The hardware's floor: what any hash store on this machine must at least wait for.
//!
//! ```text
//! get:   load slot (key bits) of a random 64-byte bucket line
//!        load every line of the 88-byte record that the slot names, copy 64 bytes
//! batch: prefetch 32 bucket lines; load 32 slots and prefetch their records; copy 32 values
//! load:  append the record, store one slot of a random bucket line
//! ```
//! No hash, no comparison, no lock, no growth: it answers every key with some record. Same number of keys and same huge
//! pages (asked for by madvise) as the stores beside it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::contract::{Config, Engine, Group, Info, KEY_LEN, Key, Session, Tally};
use super::words::{Words, prefetch};
use crate::fault::{Fault, Result};
use crate::workloads::keys::{below, mix};
use crate::workloads::stream::VALUE_LEN;

const SLOTS: usize = 8;
/// Entries for each bucket line: eight slots three quarters full.
const ENTRIES_PER_BUCKET: usize = 6;
const HEADER_WORDS: usize = 3;
const VALUE_WORDS: usize = VALUE_LEN / 8;
/// Header of eight bytes, key, value: 88 bytes.
const RECORD_WORDS: usize = HEADER_WORDS + VALUE_WORDS;
/// Records that a session reserves at a time, so that loading threads do not share a counter's cache line at each set.
const LEASE: u64 = 1024;

const _: () = assert!(RECORD_WORDS * 8 == 88 && HEADER_WORDS * 8 == 8 + KEY_LEN);

#[derive(Debug)]
pub(crate) struct Roofline {
    buckets: Words,
    records: Words,
    bucket_count: u64,
    record_count: u64,
    appended: AtomicU64,
}

impl Roofline {
    #[inline]
    fn slot_of(&self, key: &[u8]) -> usize {
        let (words, _) = key.as_chunks::<8>();
        let high = words.first().map_or(0, |word| u64::from_le_bytes(*word));
        let low = words.get(1).map_or(0, |word| u64::from_le_bytes(*word));
        below(high, self.bucket_count) * SLOTS + (low as usize % SLOTS)
    }

    /// Touches the header and copies the value: together every cache line of the record.
    #[inline]
    fn copy_record(&self, record: usize, out: &mut Vec<u8>) {
        let words = &self.records.get()[record * RECORD_WORDS..][..RECORD_WORDS];
        std::hint::black_box(words[0].load(Relaxed));
        let mut value = [[0_u8; 8]; VALUE_WORDS];
        for (bytes, word) in value.iter_mut().zip(&words[HEADER_WORDS..]) {
            *bytes = word.load(Relaxed).to_le_bytes();
        }
        out.clear();
        out.extend_from_slice(value.as_flattened());
    }

    #[inline]
    fn write_record(&self, record: usize, key: &[u8], value: &[u8]) {
        let words = &self.records.get()[record * RECORD_WORDS..][..RECORD_WORDS];
        let (key_words, _) = key.as_chunks::<8>();
        let (value_words, _) = value.as_chunks::<8>();
        words[0].store(value.len() as u64, Relaxed);
        for (word, bytes) in words[1..].iter().zip(key_words.iter().chain(value_words)) {
            word.store(u64::from_le_bytes(*bytes), Relaxed);
        }
    }

    #[inline]
    fn record_in(&self, slot: usize) -> usize {
        self.buckets.get()[slot].load(Relaxed) as usize
    }
}

impl Engine for Roofline {
    type Session<'a> = RooflineSession<'a>;
    const SAMPLE_EVERY: u32 = 16;

    fn open(config: &Config) -> Result<Roofline> {
        // The budget is twice the live data, so this is the number of keys.
        let entries = usize::try_from(config.budget_bytes).map_err(|_| {
            Fault::new(format!("roofline: budget of {} bytes", config.budget_bytes))
        })? / (2 * (KEY_LEN + VALUE_LEN));
        let bucket_count = entries / ENTRIES_PER_BUCKET + 1;
        // One lease more than needed for each session, because the last one is seldom used up.
        let record_count = entries + (config.threads + 1) * LEASE as usize;
        Ok(Roofline {
            buckets: Words::zeroed(bucket_count * SLOTS)?,
            records: Words::zeroed(record_count * RECORD_WORDS)?,
            bucket_count: bucket_count as u64,
            record_count: entries.max(1) as u64,
            appended: AtomicU64::new(0),
        })
    }

    fn info(&self) -> Info {
        Info {
            name: "roofline".to_owned(),
            title: "roofline (hardware floor)".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: true,
            settings: vec![
                "a random 64-byte bucket line, then every line of the 88-byte record it names, 64 bytes copied".to_owned(),
                "same key count, huge pages by madvise, groups of 32 prefetched in batches; no hash, no comparison".to_owned(),
            ],
        }
    }

    fn session(&self) -> Result<RooflineSession<'_>> {
        Ok(RooflineSession { table: self, appending: false, next: 0, lease_end: 0 })
    }

    /// Makes every slot name a random record, so that reads need not look for a used slot.
    fn settle(&self) -> Result<()> {
        for (number, slot) in (0_u64..).zip(self.buckets.get()) {
            slot.store(below(mix(number), self.record_count) as u64, Relaxed);
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct RooflineSession<'a> {
    table: &'a Roofline,
    appending: bool,
    next: u64,
    lease_end: u64,
}

impl Session for RooflineSession<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let record = self.table.record_in(self.table.slot_of(key));
        self.table.copy_record(record, out);
        Ok(true)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let slot = self.table.slot_of(key);
        if !self.appending {
            self.table.write_record(self.table.record_in(slot), key, value);
            return Ok(());
        }
        if self.next == self.lease_end {
            self.next = self.table.appended.fetch_add(LEASE, Relaxed);
            self.lease_end = self.next + LEASE;
        }
        self.table.write_record(self.next as usize, key, value);
        self.table.buckets.get()[slot].store(self.next, Relaxed);
        self.next += 1;
        Ok(())
    }

    #[inline]
    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let record = self.table.record_in(self.table.slot_of(key));
        let word = &self.table.records.get()[record * RECORD_WORDS + HEADER_WORDS];
        let sum = word.load(Relaxed).wrapping_add(1);
        word.store(sum, Relaxed);
        Ok(sum.cast_signed())
    }

    #[inline]
    fn get_many(&mut self, keys: &[Key], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
        const GROUP: usize = 32;
        let mut found = [0_usize; GROUP];
        for keys in keys.chunks(GROUP) {
            for (place, key) in found.iter_mut().zip(keys) {
                *place = self.table.slot_of(key);
                prefetch(&self.table.buckets.get()[*place]);
            }
            for place in &mut found[..keys.len()] {
                *place = self.table.record_in(*place);
                let words = &self.table.records.get()[*place * RECORD_WORDS..][..RECORD_WORDS];
                prefetch(&words[0]);
                prefetch(&words[RECORD_WORDS / 2]);
                prefetch(&words[RECORD_WORDS - 1]);
            }
            for record in &found[..keys.len()] {
                self.table.copy_record(*record, out);
                tally.hit(out);
            }
        }
        Ok(())
    }

    fn loading(&mut self, on: bool) -> Result<()> {
        self.appending = on;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_writes_every_record() {
        let entries = 10_000;
        let budget_bytes = entries * 2 * (KEY_LEN + VALUE_LEN) as u64;
        let table = Roofline::open(&Config {
            home: None,
            budget_bytes,
            capacity: 0,
            evicts: false,
            threads: 1,
            limit_bytes: None,
        })
        .unwrap();
        let mut session = table.session().unwrap();
        session.loading(true).unwrap();
        for entry in 0..entries {
            let key: Key =
                [mix(entry), mix(!entry)].map(u64::to_le_bytes).as_flattened().try_into().unwrap();
            session.set(&key, &[7; VALUE_LEN]).unwrap();
        }
        session.loading(false).unwrap();
        let written =
            |record: u64| table.records.get()[record as usize * RECORD_WORDS].load(Relaxed) != 0;
        assert!((0..entries).all(written));
        table.settle().unwrap();
        let named = |slot: &AtomicU64| written(slot.load(Relaxed));
        assert!(table.buckets.get().iter().all(named));
        let mut out = Vec::new();
        assert!(session.get(&[9; KEY_LEN], &mut out).unwrap() && out == [7; VALUE_LEN]);
    }
}
