//! hashbrown behind striped reader-writer locks: what a careful engineer writes in an afternoon, and the baseline of every
//! in-process comparison.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::RwLock;
use std::hash::{BuildHasher, Hasher};

use super::contract::{Config, Engine, Group, Info, Session};
use super::integers;
use crate::fault::Result;

/// Stripes: enough that two threads seldom meet.
const STRIPES: usize = 1024;

type Pair = (Box<[u8]>, Box<[u8]>);

/// Two cache lines a stripe, so that neighbours' locks do not share one (x86 prefetches lines in pairs).
#[repr(align(128))]
struct Stripe(RwLock<HashTable<Pair>>);

pub(crate) struct Hashbrown {
    hasher: RandomState,
    stripes: Vec<Stripe>,
}

impl Hashbrown {
    /// Hashed once per operation: the stripe and the table use different bits of it, which `HashMap` would not allow.
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        let mut state = self.hasher.build_hasher();
        state.write(key);
        state.finish()
    }

    #[inline]
    fn stripe(&self, hash: u64) -> &RwLock<HashTable<Pair>> {
        // The table takes its position from the low bits and its tags from the highest seven.
        &self.stripes[(hash >> 40) as usize % STRIPES].0
    }
}

impl Engine for Hashbrown {
    type Session<'a> = HashbrownSession<'a>;
    const SAMPLE_EVERY: u32 = 16;
    const ENDS_WITH_PROCESS: bool = true;

    fn open(_config: &Config) -> Result<Hashbrown> {
        let stripes = (0..STRIPES).map(|_| Stripe(RwLock::new(HashTable::new()))).collect();
        Ok(Hashbrown { hasher: RandomState::default(), stripes })
    }

    fn info(&self) -> Info {
        Info {
            name: "hashbrown".to_owned(),
            title: "hashbrown + locks".to_owned(),
            version: env!("VERSION_HASHBROWN").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!(
                    "{STRIPES} stripes on cache lines of their own, each a parking_lot {} RwLock around a HashTable",
                    env!("VERSION_PARKING_LOT")
                ),
                format!("foldhash {} (fast), hashed once per operation", env!("VERSION_FOLDHASH")),
                "keys and values are boxed byte slices; an overwrite of equal size copies in place"
                    .to_owned(),
                "starts empty; batches loop get; counters are 8-byte integers".to_owned(),
            ],
        }
    }

    fn session(&self) -> Result<HashbrownSession<'_>> {
        Ok(HashbrownSession { map: self })
    }
}

pub(crate) struct HashbrownSession<'a> {
    map: &'a Hashbrown,
}

impl Session for HashbrownSession<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let hash = self.map.hash(key);
        let table = self.map.stripe(hash).read();
        let Some((_, value)) = table.find(hash, |(held, _)| **held == *key) else {
            return Ok(false);
        };
        out.clear();
        out.extend_from_slice(value);
        Ok(true)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let map = self.map;
        let hash = map.hash(key);
        let mut table = map.stripe(hash).write();
        match table.entry(hash, |(held, _)| **held == *key, |(held, _)| map.hash(held)) {
            Entry::Occupied(mut entry) => integers::overwrite(&mut entry.get_mut().1, value),
            Entry::Vacant(entry) => {
                entry.insert((key.into(), value.into()));
            }
        }
        Ok(())
    }

    #[inline]
    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let map = self.map;
        let hash = map.hash(key);
        let mut table = map.stripe(hash).write();
        match table.entry(hash, |(held, _)| **held == *key, |(held, _)| map.hash(held)) {
            Entry::Occupied(mut entry) => integers::add_one(&mut entry.get_mut().1),
            Entry::Vacant(entry) => {
                entry.insert((key.into(), integers::ONE.into()));
                Ok(1)
            }
        }
    }
}
