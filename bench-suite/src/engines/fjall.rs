//! fjall: a log-structured merge tree in Rust; classes D1, D2 and D3.

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::Mutex;

use super::contract::{Config, Durability, Engine, GROUP, Group, Info, Session};
use super::every_second::EverySecond;
use super::grouped::Grouped;
use super::integers;
use crate::fault::{Context, Fault, Result};
use crate::report::format;

/// As shipped.
const MEMTABLE_BYTES: u64 = 64 << 20;

pub(crate) struct Fjall {
    // Ends before the database is closed.
    syncs: Option<EverySecond>,
    database: Database,
    table: Keyspace,
    durability: Durability,
    /// Counters: without transactions there is no read-modify-write.
    counters: Mutex<()>,
}

impl Fjall {
    /// What follows a write in class D3.
    fn acknowledge(&self) -> Result<()> {
        if self.durability != Durability::D3 {
            return Ok(());
        }
        self.database.persist(PersistMode::SyncData).context(|| "fjall: persist".to_owned())
    }
}

impl Engine for Fjall {
    type Session<'a> = FjallSession<'a>;
    const SAMPLE_EVERY: u32 = 4;

    fn open(config: &Config) -> Result<Fjall> {
        let home = config.home.as_ref().ok_or_else(|| Fault::new("fjall lives in files"))?;
        let doing = || "fjall: open".to_owned();
        let database = Database::builder(home.folder.join("fjall"))
            .cache_size(config.cache_bytes())
            .open()
            .context(doing)?;
        let memtable_bytes = config.buffer_bytes(MEMTABLE_BYTES);
        let options = || KeyspaceCreateOptions::default().max_memtable_size(memtable_bytes);
        let table = database.keyspace("kv", options).context(doing)?;
        let syncs = (home.durability == Durability::D2).then(|| {
            let database = database.clone();
            EverySecond::call(move || {
                database.persist(PersistMode::SyncData).context(|| "fjall: persist".to_owned())
            })
        });
        let counters = Mutex::new(());
        Ok(Fjall { syncs, database, table, durability: home.durability, counters })
    }

    fn info(&self) -> Info {
        let log = match self.durability {
            Durability::D3 => "persist(SyncData) after each write",
            Durability::D2 => {
                "writes go to the system's buffers, as shipped; persist(SyncData) every second"
            }
            _ => "writes go to the system's buffers, as shipped",
        };
        Info {
            name: "fjall".to_owned(),
            title: "fjall".to_owned(),
            version: env!("VERSION_FJALL").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!("{log}; cache size = the budget, no compression, else as shipped"),
                format!("insert and get; load by batches of {GROUP}; batches of reads loop get"),
            ],
        }
    }

    fn under_limit(config: &Config) -> String {
        let [cache, memtable] =
            [config.cache_bytes(), config.buffer_bytes(MEMTABLE_BYTES)].map(format::bytes);
        format!("cache {cache}, memtables of {memtable}")
    }

    fn session(&self) -> Result<FjallSession<'_>> {
        Ok(FjallSession { fjall: self, group: Grouped::default() })
    }

    fn close(mut self) -> Result<()> {
        self.syncs.as_mut().map_or(Ok(()), EverySecond::stop)
    }
}

pub(crate) struct FjallSession<'a> {
    fjall: &'a Fjall,
    group: Grouped,
}

impl FjallSession<'_> {
    fn flush(&mut self) -> Result<()> {
        let Fjall { database, table, .. } = self.fjall;
        let mut batch = database.batch();
        for (key, value) in self.group.pairs() {
            batch.insert(table, key, value);
        }
        batch.commit().context(|| "fjall: batch".to_owned())?;
        self.group.clear();
        self.fjall.acknowledge()
    }
}

impl Session for FjallSession<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let found = self.fjall.table.get(key).context(|| "fjall: get".to_owned())?;
        if let Some(value) = &found {
            out.clear();
            out.extend_from_slice(value);
        }
        Ok(found.is_some())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.group.collects() {
            return if self.group.push(key, value) { self.flush() } else { Ok(()) };
        }
        self.fjall.table.insert(key, value).context(|| "fjall: insert".to_owned())?;
        self.fjall.acknowledge()
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.fjall.table.remove(key).context(|| "fjall: remove".to_owned())?;
        self.fjall.acknowledge()
    }

    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let _turn = self.fjall.counters.lock();
        let found = self.fjall.table.get(key).context(|| "fjall: get".to_owned())?;
        let sum = found.map_or(Ok(1), |held| integers::sum_of(&held))?;
        self.set(key, &sum.to_le_bytes())?;
        Ok(sum)
    }

    fn loading(&mut self, on: bool) -> Result<()> {
        self.group.collect(on);
        if self.group.is_empty() { Ok(()) } else { self.flush() }
    }
}
