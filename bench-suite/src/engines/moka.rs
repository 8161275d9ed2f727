//! moka: W-TinyLFU behind a lock-free table, after Java's Caffeine. Recency and frequency are booked later, in batches.

use std::sync::Arc;

use foldhash::fast::RandomState;
use moka::sync::Cache;

use super::contract::{Config, Counts, Engine, Group, Info, Session};
use super::integers;
use crate::fault::Result;

type Map = Cache<Box<[u8]>, Arc<[u8]>, RandomState>;

pub(crate) struct Moka {
    map: Map,
}

impl Engine for Moka {
    type Session<'a> = MokaSession<'a>;
    const SAMPLE_EVERY: u32 = 16;
    const ENDS_WITH_PROCESS: bool = true;

    fn open(config: &Config) -> Result<Moka> {
        let map = Cache::builder()
            .max_capacity(config.capacity as u64)
            .build_with_hasher(RandomState::default());
        Ok(Moka { map })
    }

    fn info(&self) -> Info {
        Info {
            name: "moka".to_owned(),
            title: "moka".to_owned(),
            version: env!("VERSION_MOKA").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!(
                    "sync::Cache; max_capacity in entries, twice what will come except in experiments with eviction; stock policy (TinyLFU); foldhash {} (fast)",
                    env!("VERSION_FOLDHASH")
                ),
                "keys are boxed byte slices (in an Arc, as it does), values Arc<[u8]>: a read clones the Arc and copies the bytes, a write allocates all".to_owned(),
                "its table grows from nothing; batches loop get; counters are 8-byte integers, one and_upsert_with an increment".to_owned(),
                "hit ratios: its pending tasks are run every 64 requests, without which it books too late".to_owned(),
            ],
        }
    }

    fn session(&self) -> Result<MokaSession<'_>> {
        Ok(MokaSession { map: &self.map })
    }

    fn settle(&self) -> Result<()> {
        self.map.run_pending_tasks();
        Ok(())
    }

    fn counts(&self) -> Counts {
        Counts { entries: Some(self.map.entry_count()), ..Counts::default() }
    }
}

pub(crate) struct MokaSession<'a> {
    map: &'a Map,
}

impl Session for MokaSession<'_> {
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
        let entry = self.map.entry(key.into()).and_upsert_with(|held| match held {
            Some(held) => match integers::sum_of(held.value()) {
                Ok(sum) => sum.to_le_bytes().into(),
                // Left as it is: the conformance check and the sum below notice.
                Err(_) => held.into_value(),
            },
            None => integers::ONE.into(),
        });
        integers::sum_of(entry.value()).map(|next| next.wrapping_sub(1))
    }
}
