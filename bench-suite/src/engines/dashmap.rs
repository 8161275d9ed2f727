//! DashMap: hashbrown tables behind its own sharded locks.

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::contract::{Config, Engine, Group, Info, Session};
use super::integers;
use crate::fault::Result;

/// As many locks as the striped baseline has: the stock number, four for each core, makes two threads meet more often.
const SHARDS: usize = 1024;

type Map = DashMap<Box<[u8]>, Box<[u8]>, RandomState>;

pub(crate) struct Dash {
    map: Map,
}

impl Engine for Dash {
    type Session<'a> = DashSession<'a>;
    const SAMPLE_EVERY: u32 = 16;
    const ENDS_WITH_PROCESS: bool = true;

    fn open(_config: &Config) -> Result<Dash> {
        Ok(Dash { map: DashMap::with_hasher_and_shard_amount(RandomState::default(), SHARDS) })
    }

    fn info(&self) -> Info {
        Info {
            name: "dashmap".to_owned(),
            title: "DashMap".to_owned(),
            version: env!("VERSION_DASHMAP").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!("{SHARDS} locks; foldhash {} (fast)", env!("VERSION_FOLDHASH")),
                "keys and values are boxed byte slices; an overwrite of equal size copies in place"
                    .to_owned(),
                "starts empty; batches loop get; counters are 8-byte integers".to_owned(),
            ],
        }
    }

    fn session(&self) -> Result<DashSession<'_>> {
        Ok(DashSession { map: &self.map })
    }
}

pub(crate) struct DashSession<'a> {
    map: &'a Map,
}

impl Session for DashSession<'_> {
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
        if let Some(mut held) = self.map.get_mut(key) {
            integers::overwrite(&mut held, value);
            return Ok(());
        }
        self.map.insert(key.into(), value.into());
        Ok(())
    }

    #[inline]
    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        if let Some(mut held) = self.map.get_mut(key) {
            return integers::add_one(&mut held);
        }
        // Another thread may have come first, so the entry decides.
        match self.map.entry(key.into()) {
            dashmap::Entry::Occupied(mut entry) => integers::add_one(entry.get_mut()),
            dashmap::Entry::Vacant(entry) => {
                entry.insert(integers::ONE.into());
                Ok(1)
            }
        }
    }
}
