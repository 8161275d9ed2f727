//! One file an engine, and the list of them.

pub(crate) mod conformance;
pub(crate) mod contract;
mod dashmap;
mod every_second;
mod fjall;
mod grouped;
mod hashbrown;
mod integers;
mod lmdb;
mod lru;
mod moka;
mod noop;
mod nyala;
mod papaya;
pub(crate) mod pwrite;
mod quick_cache;
mod redb;
pub(crate) mod redis_server;
pub(crate) mod remote;
mod resp;
pub(crate) mod resp_server;
mod rocksdb;
mod rocksdb_api;
mod roofline;
mod s3fifo;
mod scc;
pub(crate) mod server;
pub(crate) mod settings;
mod sqlite;
pub(crate) mod way;
pub(crate) mod words;

#[cfg(test)]
pub(crate) use nyala::Nyala;

use std::sync::Arc;

use crate::fault::Result;
use crate::measure::sockets;
use crate::measure::unit::{self, Emit, Unit};
use conformance::{Extent, check, check_crowd};
use contract::{Config, Durability, Engine, Info};
use remote::{Ping, Remote};
use server::Server;
use way::Way;

/// How an engine enters the plan: which sizes it is asked for, and what the estimate of time assumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// In-process and in memory: every size.
    Memory,
    /// The same, but made to hold a part of what there is: the common size only.
    Cache,
    /// A reference for eviction: no store that anybody would choose for what fits, so only in experiments.
    Policy,
    /// The hardware's floor: every size, but it is no store, so no replay of a trace.
    Hardware,
    /// The harness's floor: the common size, since it does not depend on the size.
    Harness,
    /// A storage engine or a server: the common size only.
    Slow,
    /// Servers once more, asked in more ways: in long profiles only, on one thread at the smallest size.
    Sockets,
    /// It lives in files, and nowhere else.
    Files,
}

/// An engine of the list.
#[derive(Clone, Copy)]
pub(crate) struct Listed {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    /// Durability classes that it has in files.
    pub(crate) in_files: &'static [Durability],
    /// Nanoseconds that a set took while loading on the reference machine; for the estimate of time only.
    pub(crate) load_ns: u32,
    /// Opens the engine, holds it to its contract and introduces it: a server introduces one row a pipeline.
    pub(crate) introduce: fn() -> Result<Vec<Info>>,
    /// Measures one unit in this process.
    pub(crate) measure: fn(&Unit, &mut Emit<'_>) -> Result<()>,
}

/// Every engine, in the order of tables. A new one needs its file and its line here.
pub(crate) const ALL: [Listed; 23] = [
    Listed {
        name: "nyala",
        class: Class::Memory,
        in_files: &Durability::OF_FILES,
        load_ns: 300,
        introduce: store::<nyala::Nyala>,
        measure: unit::measure::<nyala::Nyala>,
    },
    Listed {
        name: "hashbrown",
        class: Class::Memory,
        in_files: &[],
        load_ns: 600,
        introduce: store::<hashbrown::Hashbrown>,
        measure: unit::measure::<hashbrown::Hashbrown>,
    },
    Listed {
        name: "dashmap",
        class: Class::Memory,
        in_files: &[],
        load_ns: 650,
        introduce: store::<dashmap::Dash>,
        measure: unit::measure::<dashmap::Dash>,
    },
    Listed {
        name: "papaya",
        class: Class::Memory,
        in_files: &[],
        load_ns: 900,
        introduce: store::<papaya::Papaya>,
        measure: unit::measure::<papaya::Papaya>,
    },
    Listed {
        name: "scc",
        class: Class::Memory,
        in_files: &[],
        load_ns: 600,
        introduce: store::<scc::Scc>,
        measure: unit::measure::<scc::Scc>,
    },
    Listed {
        name: "quick_cache",
        class: Class::Cache,
        in_files: &[],
        load_ns: 700,
        introduce: store::<quick_cache::Quick>,
        measure: unit::measure::<quick_cache::Quick>,
    },
    Listed {
        name: "moka",
        class: Class::Cache,
        in_files: &[],
        load_ns: 2000,
        introduce: store::<moka::Moka>,
        measure: unit::measure::<moka::Moka>,
    },
    Listed {
        name: "lru",
        class: Class::Policy,
        in_files: &[],
        load_ns: 600,
        introduce: store::<lru::Lru>,
        measure: unit::measure::<lru::Lru>,
    },
    Listed {
        name: "s3fifo",
        class: Class::Policy,
        in_files: &[],
        load_ns: 600,
        introduce: store::<s3fifo::S3Fifo>,
        measure: unit::measure::<s3fifo::S3Fifo>,
    },
    Listed {
        name: "sqlite",
        class: Class::Slow,
        in_files: &Durability::OF_FILES,
        load_ns: 3500,
        introduce: store::<sqlite::Sqlite>,
        measure: unit::measure::<sqlite::Sqlite>,
    },
    Listed {
        name: "sqlite-stock",
        class: Class::Files,
        in_files: &[Durability::D1],
        load_ns: 8000,
        introduce: in_files_alone,
        measure: unit::measure::<sqlite::Sqlite>,
    },
    Listed {
        name: "rocksdb",
        class: Class::Slow,
        in_files: &Durability::OF_FILES,
        load_ns: 5500,
        introduce: store::<rocksdb::Rocks>,
        measure: unit::measure::<rocksdb::Rocks>,
    },
    Listed {
        name: "rocksdb-stock",
        class: Class::Files,
        in_files: &[Durability::D1],
        load_ns: 5500,
        introduce: in_files_alone,
        measure: unit::measure::<rocksdb::Rocks>,
    },
    Listed {
        name: "lmdb",
        class: Class::Files,
        in_files: &[Durability::D1, Durability::D3],
        load_ns: 3000,
        introduce: in_files_alone,
        measure: unit::measure::<lmdb::Lmdb>,
    },
    Listed {
        name: "lmdb-stock",
        class: Class::Files,
        in_files: &[Durability::D1],
        load_ns: 4000,
        introduce: in_files_alone,
        measure: unit::measure::<lmdb::Lmdb>,
    },
    Listed {
        name: "redb",
        class: Class::Files,
        in_files: &[Durability::D2, Durability::D3],
        load_ns: 6000,
        introduce: in_files_alone,
        measure: unit::measure::<redb::Redb>,
    },
    Listed {
        name: "fjall",
        class: Class::Files,
        in_files: &Durability::OF_FILES,
        load_ns: 3000,
        introduce: in_files_alone,
        measure: unit::measure::<fjall::Fjall>,
    },
    Listed {
        name: "redis",
        class: Class::Slow,
        in_files: &Durability::OF_FILES,
        load_ns: 2600,
        introduce: redis_rows,
        measure: sockets::measure_redis,
    },
    Listed {
        name: "nyala-resp",
        class: Class::Slow,
        in_files: &[],
        load_ns: 900,
        introduce: resp_rows,
        measure: sockets::measure_resp,
    },
    Listed {
        name: "sockets",
        class: Class::Sockets,
        in_files: &[],
        load_ns: 3500,
        introduce: more_rows,
        measure: sockets::measure_more,
    },
    Listed {
        name: "pwrite",
        class: Class::Files,
        in_files: &[Durability::D3],
        load_ns: 10,
        introduce: in_files_alone,
        measure: unit::measure::<pwrite::Pwrite>,
    },
    Listed {
        name: "noop",
        class: Class::Harness,
        in_files: &[],
        load_ns: 10,
        introduce: floor::<noop::Noop>,
        measure: unit::measure::<noop::Noop>,
    },
    Listed {
        name: "roofline",
        class: Class::Hardware,
        in_files: &[],
        load_ns: 150,
        introduce: floor::<roofline::Roofline>,
        measure: unit::measure::<roofline::Roofline>,
    },
];

impl Listed {
    /// Whether it is a library as it is by itself, beside the same library tuned.
    pub(crate) fn is_stock(&self) -> bool {
        self.name.ends_with("-stock")
    }
}

pub(crate) fn find(name: &str) -> Option<&'static Listed> {
    ALL.iter().find(|listed| listed.name == name)
}

/// The budget of an introduction: small, and enough for the conformance check.
pub(crate) fn small(threads: usize) -> Config {
    Config {
        home: None,
        budget_bytes: 64 << 20,
        capacity: 1 << 16,
        evicts: false,
        threads,
        limit_bytes: None,
    }
}

fn store<E: Engine>() -> Result<Vec<Info>> {
    E::available()?;
    // Once as it is measured on one thread and once as on two: SQLite, for one, opens another database then.
    let info = E::open(&small(1))
        .and_then(|engine| check(&engine, 0, Extent::FULL).map(|()| engine.info()))?;
    check(&E::open(&small(2))?, 0, Extent::FULL)?;
    if E::COUNTS_BYTES {
        check(&E::open(&Config { evicts: true, ..small(1) })?, 0, Extent::FULL)?;
    }
    Ok(vec![info])
}

/// It has no volatile row.
fn in_files_alone() -> Result<Vec<Info>> {
    Ok(Vec::new())
}

fn floor<E: Engine>() -> Result<Vec<Info>> {
    E::available()?;
    Ok(vec![E::open(&small(1))?.info()])
}

/// Rows of a server, held to its contract in every way.
fn rows(server: &Arc<Server>, ways: &[Way]) -> Result<Vec<Info>> {
    let mut infos = Vec::new();
    for (turn, way) in (0..).zip(ways) {
        let remote = Remote::on(server, *way);
        if way.connections == 1 {
            check(&remote, turn, Extent::FULL)?;
        } else {
            check_crowd(&remote, turn, Extent::FULL)?;
        }
        infos.push(remote.info());
    }
    Ok(infos)
}

fn floors(server: &Arc<Server>, ways: &[Way]) -> Vec<Info> {
    ways.iter().map(|way| Ping::on(server, *way).info()).collect()
}

fn redis_rows() -> Result<Vec<Info>> {
    redis_server::available()?;
    let server = Arc::new(redis_server::start(None)?);
    Ok([rows(&server, &way::FEW)?, floors(&server, &way::FEW)].concat())
}

fn resp_rows() -> Result<Vec<Info>> {
    let server = Arc::new(resp_server::start(small(1).budget_bytes)?);
    rows(&server, &way::FEW)
}

/// What needs no Redis is there without it.
fn more_rows() -> Result<Vec<Info>> {
    let server = Arc::new(resp_server::start(small(1).budget_bytes)?);
    let mut infos = rows(&server, &way::MORE)?;
    if redis_server::available().is_ok() {
        let server = Arc::new(redis_server::start(None)?);
        infos.extend(rows(&server, &way::MORE)?);
        infos.extend(floors(&server, &way::MORE));
    }
    Ok(infos)
}
