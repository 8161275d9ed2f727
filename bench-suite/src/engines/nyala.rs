//! Nyala through its public Rust interface, as an application calls it.

use std::time::Duration;

use nyala::{Eviction, Options, Store};

use super::contract::{
    Config, Counts, Durability, Engine, GROUP, Group, Home, Info, Key, Session, Tally,
};
use super::grouped::Grouped;
use crate::fault::{Context, Result};
use crate::report::format;

/// The store's file in its folder.
const FILE: &str = "store.nyala";
/// A file's cap over the budget of memory. The other engines' files have no cap; this one is not to be made to clean by it.
const FILE_BUDGETS: u64 = 2;

#[derive(Debug)]
pub(crate) struct Nyala {
    store: Store,
    durability: Durability,
}

fn in_file(home: &Home, budget_bytes: u64) -> Options {
    let durability = match home.durability {
        Durability::D0 | Durability::D1 => nyala::Durability::Process,
        Durability::D2 => nyala::Durability::Interval(Duration::from_secs(1)),
        Durability::D3 => nyala::Durability::Sync,
    };
    Options::file(home.folder.join(FILE))
        .max_bytes(FILE_BUDGETS * budget_bytes)
        .durability(durability)
}

impl Engine for Nyala {
    type Session<'a> = NyalaSession<'a>;
    const SAMPLE_EVERY: u32 = 16;

    const COUNTS_BYTES: bool = true;

    fn open(config: &Config) -> Result<Nyala> {
        let eviction = if config.evicts { Eviction::Adaptive } else { Eviction::None };
        let options = match &config.home {
            Some(home) => in_file(home, config.budget_bytes),
            None => Options::memory(config.budget_bytes).eviction(eviction),
        };
        let store = Store::open(options).context(|| "nyala: open".to_owned())?;
        let durability = config.home.as_ref().map_or(Durability::D0, |home| home.durability);
        Ok(Nyala { store, durability })
    }

    fn info(&self) -> Info {
        Info {
            name: "nyala".to_owned(),
            title: "Nyala".to_owned(),
            // The workspace has one version for all its crates.
            version: env!("CARGO_PKG_VERSION").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: settings(self.durability),
        }
    }

    fn under_limit(config: &Config) -> String {
        let cap = format::bytes(FILE_BUDGETS * config.budget_bytes);
        format!("no cache but the page cache; max_bytes of the file {cap}; the index in memory")
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
        Ok(NyalaSession {
            store: &self.store,
            group: Grouped::default(),
            in_file: !self.durability.is_volatile(),
        })
    }
}

fn settings(durability: Durability) -> Vec<String> {
    let level = match durability {
        Durability::D0 => {
            return vec![
                "Options::memory(max_bytes), max_bytes = twice the live data; nothing else set"
                    .to_owned(),
                "experiments with eviction: Eviction::Adaptive and the max_bytes at which it holds as many entries as the others"
                    .to_owned(),
                "get_into for reads, get_many for batches, increment for counters (decimal text)"
                    .to_owned(),
            ];
        }
        Durability::D1 => "Process",
        Durability::D2 => "Interval(1 s)",
        Durability::D3 => "Sync",
    };
    vec![
        format!("Options::file(path), Durability::{level}"),
        format!(
            "max_bytes of the file = {FILE_BUDGETS} times the budget that the others get as memory; the index lives in memory beside it"
        ),
        format!("get_into, get_many, set, delete; load by set_many of {GROUP}"),
    ]
}

#[derive(Debug)]
pub(crate) struct NyalaSession<'a> {
    store: &'a Store,
    group: Grouped,
    in_file: bool,
}

impl NyalaSession<'_> {
    #[cold]
    fn flush(&mut self) -> Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        let pairs: Vec<(&[u8], &[u8])> = self.group.pairs().collect();
        let outcomes = self.store.set_many(&pairs).context(|| "nyala: set_many".to_owned())?;
        for outcome in outcomes {
            outcome.context(|| "nyala: set_many".to_owned())?;
        }
        self.group.clear();
        Ok(())
    }
}

impl Session for NyalaSession<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.store.get_into(key, out).context(|| "nyala: get_into".to_owned())
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.group.collects() {
            return if self.group.push(key, value) { self.flush() } else { Ok(()) };
        }
        self.store.set(key, value).context(|| "nyala: set".to_owned())
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.store.delete(key).map(drop).context(|| "nyala: delete".to_owned())
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

    fn loading(&mut self, on: bool) -> Result<()> {
        // In memory a load is so many sets, as for the maps.
        self.group.collect(on && self.in_file);
        self.flush()
    }
}
