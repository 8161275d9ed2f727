//! Nyala through its public Rust interface, as an application calls it.

use nyala::{Eviction, Options, Store};

use super::contract::{Config, Counts, Engine, Group, Info, Key, Session, Tally};
use crate::fault::{Context, Result};

#[derive(Debug)]
pub(crate) struct Nyala {
    store: Store,
}

impl Engine for Nyala {
    type Session<'a> = NyalaSession<'a>;
    const SAMPLE_EVERY: u32 = 16;

    const COUNTS_BYTES: bool = true;

    fn open(config: &Config) -> Result<Nyala> {
        let eviction = if config.evicts { Eviction::Adaptive } else { Eviction::None };
        let options = Options::memory(config.budget_bytes).eviction(eviction);
        let store = Store::open(options).context(|| "nyala: open".to_owned())?;
        Ok(Nyala { store })
    }

    fn info(&self) -> Info {
        Info {
            name: "nyala".to_owned(),
            title: "Nyala".to_owned(),
            // The workspace has one version for all its crates.
            version: env!("CARGO_PKG_VERSION").to_owned(),
            note: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                "Options::memory(max_bytes), max_bytes = twice the live data; nothing else set"
                    .to_owned(),
                "experiments with eviction: Eviction::Adaptive and the max_bytes at which it holds as many entries as the others"
                    .to_owned(),
                "get_into for reads, get_many for batches, increment for counters (decimal text)"
                    .to_owned(),
            ],
        }
    }

    fn counts(&self) -> Counts {
        let stats = self.store.stats();
        let live_bytes = stats.live_bytes + stats.index_bytes;
        Counts {
            entries: Some(stats.entries),
            live_share: Some(live_bytes as f64 / stats.max_bytes as f64),
            bytes_moved: Some(stats.bytes_moved),
        }
    }

    fn session(&self) -> Result<NyalaSession<'_>> {
        Ok(NyalaSession { store: &self.store })
    }
}

#[derive(Debug)]
pub(crate) struct NyalaSession<'a> {
    store: &'a Store,
}

impl Session for NyalaSession<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.store.get_into(key, out).context(|| "nyala: get_into".to_owned())
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.store.set(key, value).context(|| "nyala: set".to_owned())
    }

    #[inline]
    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        self.store.increment(key, 1, None).context(|| "nyala: increment".to_owned())
    }

    #[inline]
    fn get_many(&mut self, keys: &[Key], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
        self.store
            .get_many(keys, |_, value| match value {
                Some(value) => {
                    out.clear();
                    out.extend_from_slice(value);
                    tally.hit(out);
                }
                None => tally.miss(),
            })
            .context(|| "nyala: get_many".to_owned())
    }
}
