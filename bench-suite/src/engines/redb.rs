//! redb: a copy-on-write B-tree in Rust; classes D2 and D3.
//!
//! There is no D1: a commit that does not sync stays in the memory of the process until the next one that does.

use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::contract::{Config, Durability, Engine, GROUP, Group, Info, Key, Session, Tally};
use super::every_second::EverySecond;
use super::grouped::Grouped;
use super::integers;
use crate::fault::{Context, Fault, Result};
use crate::report::format;

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("kv");
/// The database's file in its folder.
const FILE: &str = "store.redb";

#[derive(Debug)]
pub(crate) struct Redb {
    // Ends before the database is closed.
    commits: Option<EverySecond>,
    database: Arc<Database>,
    durability: Durability,
}

/// A commit, of pairs or of nothing but what earlier ones left in memory.
fn commit<'a>(
    database: &Database,
    durability: redb::Durability,
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<()> {
    let doing = || "redb: commit".to_owned();
    let mut txn = database.begin_write().context(doing)?;
    txn.set_durability(durability).context(doing)?;
    {
        let mut table = txn.open_table(TABLE).context(doing)?;
        for (key, value) in pairs {
            table.insert(key, value).context(|| "redb: insert".to_owned())?;
        }
    }
    txn.commit().context(doing)
}

impl Redb {
    fn level(&self) -> redb::Durability {
        match self.durability {
            Durability::D3 => redb::Durability::Immediate,
            _ => redb::Durability::None,
        }
    }
}

impl Engine for Redb {
    type Session<'a> = RedbSession<'a>;
    const SAMPLE_EVERY: u32 = 4;

    fn open(config: &Config) -> Result<Redb> {
        let home = config.home.as_ref().ok_or_else(|| Fault::new("redb lives in files"))?;
        let cache_bytes = usize::try_from(config.cache_bytes())
            .context(|| format!("cache of {} bytes", config.cache_bytes()))?;
        let database = Database::builder()
            .set_cache_size(cache_bytes)
            .create(home.folder.join(FILE))
            .context(|| "redb: open".to_owned())?;
        let database = Arc::new(database);
        // A read needs the table to be there.
        commit(&database, redb::Durability::Immediate, std::iter::empty())?;
        let commits = (home.durability == Durability::D2).then(|| {
            let database = Arc::clone(&database);
            EverySecond::call(move || {
                commit(&database, redb::Durability::Immediate, std::iter::empty())
            })
        });
        Ok(Redb { commits, database, durability: home.durability })
    }

    fn info(&self) -> Info {
        let commits = match self.durability {
            Durability::D3 => "Durability::Immediate for every commit",
            _ => {
                "Durability::None, and an Immediate commit every second, which makes those before it durable"
            }
        };
        Info {
            name: "redb".to_owned(),
            title: "redb".to_owned(),
            version: env!("VERSION_REDB").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!("{commits}; cache size = the budget"),
                "one read transaction a get or batch, in which the table is opened".to_owned(),
                format!("one write transaction an operation; load: {GROUP} a transaction"),
            ],
        }
    }

    fn under_limit(config: &Config) -> String {
        format!("cache size {}", format::bytes(config.cache_bytes()))
    }

    fn session(&self) -> Result<RedbSession<'_>> {
        Ok(RedbSession { redb: self, group: Grouped::default() })
    }

    fn settle(&self) -> Result<()> {
        // Until then a load of class D2 has not reached the file.
        commit(&self.database, redb::Durability::Immediate, std::iter::empty())
    }

    fn close(mut self) -> Result<()> {
        self.commits.as_mut().map_or(Ok(()), EverySecond::stop)
    }
}

#[derive(Debug)]
pub(crate) struct RedbSession<'a> {
    redb: &'a Redb,
    group: Grouped,
}

impl RedbSession<'_> {
    fn read(&self, keys: &[&[u8]], mut each: impl FnMut(Option<&[u8]>)) -> Result<()> {
        let doing = || "redb: get".to_owned();
        let txn = self.redb.database.begin_read().context(doing)?;
        let table = txn.open_table(TABLE).context(doing)?;
        for key in keys {
            let found = table.get(*key).context(doing)?;
            each(found.as_ref().map(|guard| guard.value()));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        commit(&self.redb.database, self.redb.level(), self.group.pairs())?;
        self.group.clear();
        Ok(())
    }
}

impl Session for RedbSession<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let mut hit = false;
        self.read(&[key], |found| {
            if let Some(value) = found {
                out.clear();
                out.extend_from_slice(value);
                hit = true;
            }
        })?;
        Ok(hit)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.group.collects() {
            return if self.group.push(key, value) { self.flush() } else { Ok(()) };
        }
        commit(&self.redb.database, self.redb.level(), std::iter::once((key, value)))
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        let doing = || "redb: delete".to_owned();
        let mut txn = self.redb.database.begin_write().context(doing)?;
        txn.set_durability(self.redb.level()).context(doing)?;
        txn.open_table(TABLE).context(doing)?.remove(key).context(doing)?;
        txn.commit().context(doing)
    }

    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let doing = || "redb: increment".to_owned();
        let mut txn = self.redb.database.begin_write().context(doing)?;
        txn.set_durability(self.redb.level()).context(doing)?;
        let mut sum = 1;
        {
            let mut table = txn.open_table(TABLE).context(doing)?;
            if let Some(held) = table.get(key).context(doing)? {
                sum = integers::sum_of(held.value())?;
            }
            table.insert(key, sum.to_le_bytes().as_slice()).context(doing)?;
        }
        txn.commit().context(doing)?;
        Ok(sum)
    }

    fn get_many(&mut self, keys: &[Key], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 16]>::as_slice).collect();
        self.read(&keys, |found| match found {
            Some(value) => {
                out.clear();
                out.extend_from_slice(value);
                tally.hit(out);
            }
            None => tally.miss(),
        })
    }

    fn loading(&mut self, on: bool) -> Result<()> {
        self.group.collect(on);
        if self.group.is_empty() { Ok(()) } else { self.flush() }
    }
}
