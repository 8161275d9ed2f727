//! S3-FIFO as its authors describe it (Yang et al., SOSP 2023), plain and on one lock: the reference for hit ratios, not for speed.
//!
//! A new entry joins the small queue, or the main one if its key was evicted lately (a ghost). At the end of the small queue, whoever
//! was read more than once moves to the main queue, and the others become ghosts. At the end of the main queue, whoever was read
//! since goes round again with one read less.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::contract::{Config, Counts, Engine, Group, Info, Session};
use super::integers;
use crate::fault::Result;

/// The small queue's part of the capacity: one in so many.
const SMALL: usize = 10;
/// Reads that are told apart.
const MOST_READS: u8 = 3;
/// Reads in the small queue from which an entry moves to the main one.
const PROMOTED: u8 = 2;

type Key = Arc<[u8]>;

struct Entry {
    value: Box<[u8]>,
    reads: u8,
}

/// The policy and what it holds.
struct Queues {
    capacity: usize,
    entries: HashMap<Key, Entry, RandomState>,
    small: VecDeque<Key>,
    main: VecDeque<Key>,
    ghosts: Ghosts,
}

impl Queues {
    fn new(capacity: usize) -> Queues {
        let capacity = capacity.max(2);
        Queues {
            capacity,
            entries: HashMap::default(),
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghosts: Ghosts::new(capacity - capacity / SMALL),
        }
    }

    fn find(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(key)?;
        entry.reads = MOST_READS.min(entry.reads + 1);
        Some(entry)
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) {
        while self.entries.len() >= self.capacity {
            self.evict();
        }
        let returns = self.ghosts.take(key);
        let key: Key = key.into();
        if returns {
            self.main.push_back(key.clone())
        } else {
            self.small.push_back(key.clone())
        }
        self.entries.insert(key, Entry { value: value.into(), reads: 0 });
    }

    /// Removes one entry.
    fn evict(&mut self) {
        if self.small.len() >= self.capacity.div_ceil(SMALL) || self.main.is_empty() {
            while let Some(key) = self.small.pop_front() {
                match self.entries.get_mut(&key) {
                    Some(entry) if entry.reads >= PROMOTED => {
                        entry.reads = 0;
                        self.main.push_back(key);
                    }
                    _ => {
                        self.entries.remove(&key);
                        self.ghosts.add(key);
                        return;
                    }
                }
            }
        }
        while let Some(key) = self.main.pop_front() {
            match self.entries.get_mut(&key) {
                Some(entry) if entry.reads > 0 => {
                    entry.reads -= 1;
                    self.main.push_back(key);
                }
                _ => {
                    self.entries.remove(&key);
                    return;
                }
            }
        }
    }
}

/// Keys that were evicted from the small queue lately, oldest first out.
struct Ghosts {
    length: usize,
    /// When each was added.
    numbers: HashMap<Key, u64, RandomState>,
    /// Those that came back are still here, under a number that is no longer theirs.
    queue: VecDeque<(Key, u64)>,
    next: u64,
}

impl Ghosts {
    fn new(length: usize) -> Ghosts {
        Ghosts { length, numbers: HashMap::default(), queue: VecDeque::new(), next: 0 }
    }

    fn add(&mut self, key: Key) {
        self.numbers.insert(key.clone(), self.next);
        self.queue.push_back((key, self.next));
        self.next += 1;
        while self.numbers.len() > self.length {
            let Some((oldest, number)) = self.queue.pop_front() else { return };
            if self.numbers.get(&oldest) == Some(&number) {
                self.numbers.remove(&oldest);
            }
        }
    }

    /// Forgets the key; whether it was there.
    fn take(&mut self, key: &[u8]) -> bool {
        self.numbers.remove(key).is_some()
    }
}

pub(crate) struct S3Fifo {
    queues: Mutex<Queues>,
}

impl Engine for S3Fifo {
    type Session<'a> = S3FifoSession<'a>;
    const SAMPLE_EVERY: u32 = 16;
    const ENDS_WITH_PROCESS: bool = true;

    fn open(config: &Config) -> Result<S3Fifo> {
        Ok(S3Fifo { queues: Mutex::new(Queues::new(config.capacity)) })
    }

    fn info(&self) -> Info {
        Info {
            name: "s3fifo".to_owned(),
            title: "S3-FIFO".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                "the suite's own plain implementation, for hit ratios; capacity in entries"
                    .to_owned(),
                format!(
                    "small queue of one entry in {SMALL}, ghosts as many as the main queue has places, promotion after {PROMOTED} reads, at most {MOST_READS} counted"
                ),
            ],
        }
    }

    fn session(&self) -> Result<S3FifoSession<'_>> {
        Ok(S3FifoSession { queues: &self.queues })
    }

    fn counts(&self) -> Counts {
        Counts { entries: Some(self.queues.lock().entries.len() as u64), ..Counts::default() }
    }
}

pub(crate) struct S3FifoSession<'a> {
    queues: &'a Mutex<Queues>,
}

impl Session for S3FifoSession<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let mut queues = self.queues.lock();
        let Some(entry) = queues.find(key) else {
            return Ok(false);
        };
        out.clear();
        out.extend_from_slice(&entry.value);
        Ok(true)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut queues = self.queues.lock();
        match queues.find(key) {
            Some(entry) => integers::overwrite(&mut entry.value, value),
            None => queues.insert(key, value),
        }
        Ok(())
    }

    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let mut queues = self.queues.lock();
        match queues.find(key) {
            Some(entry) => integers::add_one(&mut entry.value),
            None => {
                queues.insert(key, &integers::ONE);
                Ok(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(queues: &Queues, key: u8) -> bool {
        queues.entries.contains_key([key].as_slice())
    }

    #[test]
    fn never_holds_more_than_its_capacity() {
        let mut queues = Queues::new(10);
        for key in 0..200 {
            if key % 3 == 0 {
                queues.find(&[key / 2]);
            }
            queues.insert(&[key], b"v");
            assert!(queues.entries.len() <= 10);
            assert_eq!(queues.entries.len(), queues.small.len() + queues.main.len());
            assert!(queues.ghosts.numbers.len() <= 9);
        }
    }

    #[test]
    fn who_was_read_twice_survives_a_scan() {
        let mut queues = Queues::new(10);
        queues.insert(&[0], b"v");
        assert!(queues.find(&[0]).is_some() && queues.find(&[0]).is_some());
        for key in 1..100 {
            queues.insert(&[key], b"v");
        }
        assert!(holds(&queues, 0) && !holds(&queues, 1));
    }

    #[test]
    fn a_ghost_returns_to_the_main_queue() {
        let mut queues = Queues::new(10);
        for key in 0..11 {
            queues.insert(&[key], b"v");
        }
        assert!(!holds(&queues, 0));
        queues.insert(&[0], b"v");
        assert_eq!(queues.main.back().map(|key| key[0]), Some(0));
    }
}
