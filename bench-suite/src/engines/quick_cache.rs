//! quick_cache: a sharded Clock-Pro with ghosts, where a hit costs one counter under a read lock.

use std::sync::Arc;

use foldhash::fast::RandomState;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle, EntryAction, EntryResult};

use super::contract::{Config, Counts, Engine, Group, Info, Session};
use super::integers;
use crate::fault::{Fault, Result};

type Map = Cache<Box<[u8]>, Arc<[u8]>, UnitWeighter, RandomState>;

pub(crate) struct Quick {
    map: Map,
}

impl Engine for Quick {
    type Session<'a> = QuickSession<'a>;
    const SAMPLE_EVERY: u32 = 16;
    const ENDS_WITH_PROCESS: bool = true;

    fn open(config: &Config) -> Result<Quick> {
        let map = Cache::with(
            config.capacity,
            config.capacity as u64,
            UnitWeighter,
            RandomState::default(),
            DefaultLifecycle::default(),
        );
        Ok(Quick { map })
    }

    fn info(&self) -> Info {
        Info {
            name: "quick_cache".to_owned(),
            title: "quick_cache".to_owned(),
            version: env!("VERSION_QUICK_CACHE").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!(
                    "sync::Cache; capacity in entries, twice what will come except in experiments with eviction; stock shards and shares of its queues; foldhash {} (fast)",
                    env!("VERSION_FOLDHASH")
                ),
                "keys are boxed byte slices, values Arc<[u8]>: a read clones the Arc and copies the bytes, a write allocates both".to_owned(),
                "its tables grow from nothing; batches loop get; counters are 8-byte integers, one entry() an increment".to_owned(),
            ],
        }
    }

    fn session(&self) -> Result<QuickSession<'_>> {
        Ok(QuickSession { map: &self.map })
    }

    fn counts(&self) -> Counts {
        Counts { entries: Some(self.map.len() as u64), ..Counts::default() }
    }
}

pub(crate) struct QuickSession<'a> {
    map: &'a Map,
}

impl Session for QuickSession<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let Some(value) = self.map.get(key) else {
            return Ok(false);
        };
        out.clear();
        out.extend_from_slice(&value);
        Ok(true)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.map.insert(key.into(), value.into());
        Ok(())
    }

    #[inline]
    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let key: Box<[u8]> = key.into();
        let counted = self.map.entry(&key, None, |_, held| {
            EntryAction::Retain(integers::sum_of(held).inspect(|sum| {
                *held = sum.to_le_bytes().into();
            }))
        });
        match counted {
            EntryResult::Retained(sum) => sum,
            EntryResult::Vacant(place) => place
                .insert(integers::ONE.into())
                .map(|()| 1)
                .map_err(|_| Fault::new("a counter was removed while it was being created")),
            _ => Err(Fault::new("an entry that was retained is gone")),
        }
    }
}
