//! scc: a concurrent map with a lock for each bucket of 32 entries and incremental resize. Its HashMap, not its HashIndex: the
//! latter reads without a lock, but replaces a value by a second entry, which no store that is overwritten would choose.

use foldhash::fast::RandomState;
use scc::HashMap;
use scc::hash_map::Entry;

use super::contract::{Config, Engine, Group, Info, Session};
use super::integers;
use crate::fault::Result;

type Map = HashMap<Box<[u8]>, Box<[u8]>, RandomState>;

pub(crate) struct Scc {
    map: Map,
}

impl Engine for Scc {
    type Session<'a> = SccSession<'a>;
    const SAMPLE_EVERY: u32 = 16;
    const ENDS_WITH_PROCESS: bool = true;

    fn open(_config: &Config) -> Result<Scc> {
        Ok(Scc { map: HashMap::with_hasher(RandomState::default()) })
    }

    fn info(&self) -> Info {
        Info {
            name: "scc".to_owned(),
            title: "scc HashMap".to_owned(),
            version: env!("VERSION_SCC").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!(
                    "HashMap, stock; foldhash {} (fast); read_sync, update_sync, entry_sync",
                    env!("VERSION_FOLDHASH")
                ),
                "keys and values are boxed byte slices; an overwrite of equal size copies in place"
                    .to_owned(),
                "starts empty; batches loop get; counters are 8-byte integers".to_owned(),
            ],
        }
    }

    fn session(&self) -> Result<SccSession<'_>> {
        Ok(SccSession { map: &self.map })
    }
}

pub(crate) struct SccSession<'a> {
    map: &'a Map,
}

impl Session for SccSession<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let found = self.map.read_sync(key, |_, value| {
            out.clear();
            out.extend_from_slice(value);
        });
        Ok(found.is_some())
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.map.update_sync(key, |_, held| integers::overwrite(held, value)).is_none() {
            self.map.upsert_sync(key.into(), value.into());
        }
        Ok(())
    }

    #[inline]
    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        if let Some(sum) = self.map.update_sync(key, |_, held| integers::add_one(held)) {
            return sum;
        }
        // Another thread may have come first, so the entry decides.
        match self.map.entry_sync(key.into()) {
            Entry::Occupied(mut entry) => integers::add_one(entry.get_mut()),
            Entry::Vacant(entry) => {
                entry.insert_entry(integers::ONE.into());
                Ok(1)
            }
        }
    }
}
