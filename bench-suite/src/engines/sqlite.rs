//! SQLite, in memory or in a file: a `WITHOUT ROWID` table, prepared statements, one connection a thread.
//!
//! In memory one thread gets `:memory:`, SQLite's fastest form, which cannot be shared. Two threads share a database of its `memdb`
//! file system, each through a connection of its own; where writers collide they spin, because SQLite's own waiting sleeps
//! for milliseconds. In a file the log is written ahead (WAL), whose `synchronous` is the durability class.

use std::ptr::NonNull;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Statement, ffi};

use super::contract::{Config, Durability, Engine, GROUP, Group, Info, Key, Session, Tally, named};
use super::every_second::EverySecond;
use crate::fault::{Context, Fault, Result};

const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS kv(k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID";
/// Where rows are long: those of the other form overflow their page from about a thousand bytes on, and take another one each.
const ROWID_SCHEMA: &str = "CREATE TABLE IF NOT EXISTS kv(k BLOB PRIMARY KEY, v BLOB NOT NULL)";
const GET: &str = "SELECT v FROM kv WHERE k = ?1";
const SET: &str = "INSERT INTO kv(k, v) VALUES(?1, ?2) ON CONFLICT(k) DO UPDATE SET v = excluded.v";
const INCREMENT: &str = "INSERT INTO kv(k, v) VALUES(?1, CAST('1' AS BLOB)) ON CONFLICT(k) \
    DO UPDATE SET v = CAST(CAST(v AS INTEGER) + 1 AS BLOB) RETURNING CAST(v AS INTEGER)";
const DELETE: &str = "DELETE FROM kv WHERE k = ?1";
const PAGE_BYTES: u32 = 4096;
/// What SQLite's own build allows at most.
const MAP_BYTES: u64 = 0x7fff_0000;
/// Asked for in `.cargo/config.toml`: as bundled SQLite syncs with fsync, which stores times of files too.
const FLAGS: &str = env!("BUILD_SQLITE_FLAGS");
/// The database's file in its folder.
const FILE: &str = "store.sqlite";

pub(crate) struct Sqlite {
    // Ends before the connections do.
    checkpoints: Option<EverySecond>,
    idle: Mutex<Vec<Handle>>,
    threads: usize,
    cache_kib: u64,
    durability: Durability,
    stock: bool,
}

/// A connection with its statements, which borrow it: it is declared after them, so that they are dropped first.
struct Handle {
    get: Statement<'static>,
    set: Statement<'static>,
    increment: Statement<'static>,
    delete: Statement<'static>,
    begin: Statement<'static>,
    begin_writing: Statement<'static>,
    commit: Statement<'static>,
    _connection: Owned,
}

/// A connection at an address of its own, given back when this is dropped.
struct Owned(NonNull<Connection>);

impl Owned {
    fn new(connection: Connection) -> Owned {
        Owned(NonNull::from(Box::leak(Box::new(connection))))
    }

    /// Not to be used after `self` is dropped; of those that are, `Handle` drops every one before.
    fn lent(&self) -> &'static Connection {
        // SAFETY: the box lives until `self` is dropped, and nobody takes a mutable reference to what is in it.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: it came out of `Box::leak` in `new`, is taken back once, and every statement on it has been dropped.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

// SAFETY: a `Connection` may move between threads, and is not to be shared. This one is reached through the
// statements of this one handle alone, so handing the handle over hands over everything.
unsafe impl Send for Handle {}

/// How a database is opened: its name, and what is said to it before the first row.
struct Opening {
    name: String,
    pragmas: String,
    busy: fn(i32) -> bool,
}

impl Opening {
    fn of(config: &Config) -> Opening {
        let cache_kib = cache_kib(config);
        let common = format!(
            "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{cache_kib}; PRAGMA secure_delete = OFF;"
        );
        match &config.home {
            None => Opening {
                name: if config.threads == 1 { ":memory:" } else { "file:/nyala-bench?vfs=memdb" }
                    .to_owned(),
                pragmas: format!(
                    "PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {common} {SCHEMA}"
                ),
                busy: |_| {
                    std::thread::yield_now();
                    true
                },
            },
            Some(home) if home.stock => Opening {
                name: home.folder.join(FILE).display().to_string(),
                pragmas: format!("PRAGMA synchronous = {}; {SCHEMA}", synchronous(home.durability)),
                busy,
            },
            // The size of pages is ignored once the log is written ahead.
            Some(home) => Opening {
                name: home.folder.join(FILE).display().to_string(),
                pragmas: format!(
                    "PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = {}; \
                     PRAGMA mmap_size = {}; {common} {}",
                    synchronous(home.durability),
                    map_bytes(config),
                    schema(config)
                ),
                busy,
            },
        }
    }

    fn connect(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let name = &self.name;
        let mut connection = Connection::open_with_flags(name, flags)
            .context(|| format!("SQLite cannot open {name}"))?;
        connection.busy_handler(Some(self.busy)).context(|| "SQLite: busy handler".to_owned())?;
        connection
            .execute_batch(&self.pragmas)
            .context(|| "SQLite: pragmas and schema".to_owned())?;
        Ok(connection)
    }
}

/// Waits for a lock in a file, which may be held for as long as a sync takes.
fn busy(tries: i32) -> bool {
    if tries < 16 {
        std::thread::yield_now();
    } else {
        std::thread::sleep(Duration::from_micros(100));
    }
    true
}

fn synchronous(durability: Durability) -> &'static str {
    match durability {
        Durability::D0 | Durability::D1 => "OFF",
        Durability::D2 => "NORMAL",
        Durability::D3 => "FULL",
    }
}

/// In memory the connections share their pages; in a file each has a cache, and together they have the budget.
fn cache_kib(config: &Config) -> u64 {
    let caches = if config.home.is_some() { config.threads as u64 } else { 1 };
    config.cache_bytes().div_ceil(1024 * caches)
}

/// Rows are longer where the data is larger than memory.
fn schema(config: &Config) -> &'static str {
    if config.limit_bytes.is_some() { ROWID_SCHEMA } else { SCHEMA }
}

/// A map reads around each page that is missing, which a memory with room for a part of them pays for.
fn map_bytes(config: &Config) -> u64 {
    if config.limit_bytes.is_some() { 0 } else { MAP_BYTES }
}

impl Handle {
    fn open(opening: &Opening) -> Result<Handle> {
        let owned = Owned::new(opening.connect()?);
        let prepare = |text: &str| {
            owned.lent().prepare(text).context(|| format!("SQLite cannot prepare {text}"))
        };
        Ok(Handle {
            get: prepare(GET)?,
            set: prepare(SET)?,
            increment: prepare(INCREMENT)?,
            delete: prepare(DELETE)?,
            begin: prepare("BEGIN")?,
            begin_writing: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
            _connection: owned,
        })
    }
}

/// A checkpoint first syncs the log: `synchronous = NORMAL` alone syncs nothing until 1,000 pages are in it.
fn checkpoint_every_second(opening: &Opening) -> Result<EverySecond> {
    let connection = opening.connect()?;
    Ok(EverySecond::call(move || {
        connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .context(|| "SQLite: checkpoint".to_owned())
    }))
}

fn build() -> String {
    format!(
        "C source in rusqlite {}, compiled at this program's optimisation level; flags beside the crate's own: {}",
        env!("VERSION_RUSQLITE"),
        if FLAGS.is_empty() { "none" } else { FLAGS }
    )
}

/// Memory statistics take a global lock at every allocation, and SQLite's own advice is to build without them.
fn without_memory_statistics() {
    // SAFETY: called before any connection exists, with the one `int` that this option takes.
    let _ = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0) };
}

impl Engine for Sqlite {
    type Session<'a> = SqliteSession<'a>;
    const SAMPLE_EVERY: u32 = 4;

    fn open(config: &Config) -> Result<Sqlite> {
        let stock = config.home.as_ref().is_some_and(|home| home.stock);
        if !stock {
            without_memory_statistics();
        }
        let opening = Opening::of(config);
        let durability = config.home.as_ref().map_or(Durability::D0, |home| home.durability);
        let idle =
            (0..config.threads).map(|_| Handle::open(&opening)).collect::<Result<Vec<_>>>()?;
        let checkpoints = match durability {
            Durability::D2 => Some(checkpoint_every_second(&opening)?),
            _ => None,
        };
        let (idle, cache_kib) = (Mutex::new(idle), cache_kib(config));
        Ok(Sqlite { checkpoints, idle, threads: config.threads, cache_kib, durability, stock })
    }

    fn info(&self) -> Info {
        Info {
            name: named("sqlite", self.stock),
            title: match (self.durability.is_volatile(), self.stock) {
                (true, _) => "SQLite in memory",
                (false, true) => "SQLite, stock",
                (false, false) => "SQLite",
            }
            .to_owned(),
            version: rusqlite::version().to_owned(),
            note: None,
            build: Some(build()),
            group: Group::InProcess,
            floor: false,
            settings: self.settings(),
        }
    }

    fn under_limit(config: &Config) -> String {
        let (cache, map) = (cache_kib(config), map_bytes(config));
        format!("cache_size {cache} KiB a connection, mmap_size {map}; a rowid table")
    }

    fn close(mut self) -> Result<()> {
        self.checkpoints.as_mut().map_or(Ok(()), EverySecond::stop)
    }

    fn session(&self) -> Result<SqliteSession<'_>> {
        let handle = self.idle.lock().pop().ok_or_else(|| {
            Fault::new(format!(
                "SQLite was opened for {} sessions and asked for one more",
                self.threads
            ))
        })?;
        Ok(SqliteSession { home: self, handle: Some(handle), loaded: None })
    }
}

impl Sqlite {
    fn settings(&self) -> Vec<String> {
        let form = if self.durability.is_volatile() {
            vec![
                "one thread: :memory:; two threads: a shared database of the memdb file system, busy connections spin".to_owned(),
                format!("journal_mode = OFF (fastest; a database that nobody keeps needs no rollback), synchronous = OFF, page_size = {PAGE_BYTES}, cache_size = the budget ({} KiB here), memory statistics off", self.cache_kib),
            ]
        } else if self.stock {
            vec![format!(
                "rollback journal, 2 MB cache and no map as shipped; synchronous = {}",
                synchronous(self.durability)
            )]
        } else {
            let checkpoints = if self.checkpoints.is_some() {
                "; a checkpoint every second, which syncs the log first (NORMAL alone bounds no time)"
            } else {
                ""
            };
            vec![
                format!(
                    "journal_mode = WAL, synchronous = {}{checkpoints}; wal_autocheckpoint = 1,000 pages, as shipped",
                    synchronous(self.durability)
                ),
                format!(
                    "page_size = {PAGE_BYTES}, set before WAL; mmap_size = {MAP_BYTES}; cache_size = the budget over the connections; secure_delete = OFF, memory statistics off"
                ),
            ]
        };
        [
            vec![format!("{SCHEMA}; prepared statements, one connection a thread without mutex")],
            form,
            vec![
                format!("load: {GROUP} rows a transaction; a batch: one read transaction; else one operation a transaction"),
            ],
        ]
        .concat()
    }
}

pub(crate) struct SqliteSession<'a> {
    home: &'a Sqlite,
    /// Taken out only when the session ends.
    handle: Option<Handle>,
    /// Rows of the load's open transaction.
    loaded: Option<usize>,
}

impl Drop for SqliteSession<'_> {
    fn drop(&mut self) {
        self.home.idle.lock().extend(self.handle.take());
    }
}

/// Runs a statement that returns no row.
fn run(statement: &mut Statement<'static>) -> Result<()> {
    statement.execute([]).context(|| "SQLite: transaction".to_owned())?;
    Ok(())
}

impl SqliteSession<'_> {
    #[inline]
    fn handle(&mut self) -> Result<&mut Handle> {
        self.handle.as_mut().ok_or_else(|| Fault::new("SQLite session has ended"))
    }
}

impl Session for SqliteSession<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let mut rows = self.handle()?.get.query([key]).context(|| "SQLite: get".to_owned())?;
        let Some(row) = rows.next().context(|| "SQLite: get".to_owned())? else {
            return Ok(false);
        };
        let value = row.get_ref(0).context(|| "SQLite: value".to_owned())?;
        out.clear();
        out.extend_from_slice(value.as_blob().context(|| "SQLite: value".to_owned())?);
        Ok(true)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.handle()?.set.execute([key, value]).context(|| "SQLite: set".to_owned())?;
        if let Some(rows) = &mut self.loaded {
            *rows += 1;
            if *rows == GROUP {
                *rows = 0;
                let handle = self.handle()?;
                run(&mut handle.commit)?;
                run(&mut handle.begin_writing)?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.handle()?.delete.execute([key]).map(drop).context(|| "SQLite: delete".to_owned())
    }

    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let mut rows =
            self.handle()?.increment.query([key]).context(|| "SQLite: increment".to_owned())?;
        let row = rows.next().context(|| "SQLite: increment".to_owned())?;
        let sum = row
            .ok_or_else(|| Fault::new("SQLite returned no counter"))?
            .get(0)
            .context(|| "SQLite: sum".to_owned())?;
        // Only the step past the last row commits.
        rows.next().context(|| "SQLite: increment".to_owned())?;
        Ok(sum)
    }

    fn get_many(&mut self, keys: &[Key], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
        run(&mut self.handle()?.begin)?;
        for key in keys {
            if self.get(key, out)? {
                tally.hit(out);
            } else {
                tally.miss();
            }
        }
        run(&mut self.handle()?.commit)
    }

    fn loading(&mut self, on: bool) -> Result<()> {
        let handle = self.handle()?;
        run(if on { &mut handle.begin_writing } else { &mut handle.commit })?;
        self.loaded = on.then_some(0);
        Ok(())
    }
}
