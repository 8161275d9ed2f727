//! The `lru` crate's exact LRU: every hit moves its entry to the front of a list, under an exclusive lock.

use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroUsize;

use foldhash::fast::RandomState;
use lru::LruCache;
use parking_lot::Mutex;

use super::contract::{Config, Counts, Engine, Group, Info, Session};
use super::integers;
use crate::fault::Result;

/// Stripes for more than one thread. Few enough that a stripe's share of the entries still is a cache, and its own order near
/// the exact one.
const STRIPES: usize = 64;

type Cache = LruCache<Box<[u8]>, Box<[u8]>, RandomState>;

/// Two cache lines a stripe, so that neighbours' locks do not share one.
#[repr(align(128))]
struct Stripe(Mutex<Cache>);

pub(crate) struct Lru {
    hasher: RandomState,
    stripes: Vec<Stripe>,
}

impl Lru {
    #[inline]
    fn stripe(&self, key: &[u8]) -> &Mutex<Cache> {
        if let [only] = self.stripes.as_slice() {
            return &only.0;
        }
        let mut state = self.hasher.build_hasher();
        state.write(key);
        &self.stripes[(state.finish() >> 40) as usize % self.stripes.len()].0
    }
}

impl Engine for Lru {
    type Session<'a> = LruSession<'a>;
    const SAMPLE_EVERY: u32 = 16;
    const ENDS_WITH_PROCESS: bool = true;

    fn open(config: &Config) -> Result<Lru> {
        let stripes = if config.threads == 1 { 1 } else { STRIPES };
        let share = config.capacity.div_ceil(stripes);
        let share = NonZeroUsize::new(share).unwrap_or(NonZeroUsize::MIN);
        let stripe = || Stripe(Mutex::new(LruCache::with_hasher(share, RandomState::default())));
        Ok(Lru {
            hasher: RandomState::default(),
            stripes: (0..stripes).map(|_| stripe()).collect(),
        })
    }

    fn info(&self) -> Info {
        Info {
            name: "lru".to_owned(),
            title: "LRU".to_owned(),
            version: env!("VERSION_LRU").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!(
                    "LruCache behind a parking_lot {} Mutex: one and exact for one thread, {STRIPES} for more, each with its share of the entries; foldhash {} (fast)",
                    env!("VERSION_PARKING_LOT"),
                    env!("VERSION_FOLDHASH")
                ),
                "capacity in entries; its tables are presized, as the crate does".to_owned(),
                "keys and values are boxed byte slices; an overwrite of equal size copies in place"
                    .to_owned(),
            ],
        }
    }

    fn session(&self) -> Result<LruSession<'_>> {
        Ok(LruSession { map: self })
    }

    fn counts(&self) -> Counts {
        let entries = self.stripes.iter().map(|stripe| stripe.0.lock().len() as u64).sum();
        Counts { entries: Some(entries), ..Counts::default() }
    }
}

pub(crate) struct LruSession<'a> {
    map: &'a Lru,
}

impl Session for LruSession<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let mut cache = self.map.stripe(key).lock();
        let Some(value) = cache.get(key) else {
            return Ok(false);
        };
        out.clear();
        out.extend_from_slice(value);
        Ok(true)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut cache = self.map.stripe(key).lock();
        match cache.get_mut(key) {
            Some(held) => integers::overwrite(held, value),
            None => {
                cache.put(key.into(), value.into());
            }
        }
        Ok(())
    }

    #[inline]
    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let mut cache = self.map.stripe(key).lock();
        match cache.get_mut(key) {
            Some(held) => integers::add_one(held),
            None => {
                cache.put(key.into(), integers::ONE.into());
                Ok(1)
            }
        }
    }
}
