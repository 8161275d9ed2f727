//! SQLite in memory: a `WITHOUT ROWID` table, prepared statements, one connection a thread.
//!
//! One thread gets `:memory:`, SQLite's fastest form, which cannot be shared. Two threads share a database of its `memdb`
//! file system, each through a connection of its own; where writers collide they spin, because SQLite's own waiting sleeps
//! for milliseconds.

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Statement, ffi};

use super::contract::{Config, Engine, Group, Info, Key, Session, Tally};
use crate::fault::{Context, Fault, Result};

const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS kv(k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID";
const GET: &str = "SELECT v FROM kv WHERE k = ?1";
const SET: &str = "INSERT INTO kv(k, v) VALUES(?1, ?2) ON CONFLICT(k) DO UPDATE SET v = excluded.v";
const INCREMENT: &str = "INSERT INTO kv(k, v) VALUES(?1, CAST('1' AS BLOB)) ON CONFLICT(k) \
    DO UPDATE SET v = CAST(CAST(v AS INTEGER) + 1 AS BLOB) RETURNING CAST(v AS INTEGER)";
/// Rows of a load that share a transaction.
const LOAD_TRANSACTION: u32 = 1000;

pub(crate) struct Sqlite {
    idle: Mutex<Vec<Handle>>,
    threads: usize,
    cache_kib: u64,
}

/// A connection with its statements. It lives as long as the process, which measures one engine and ends: a statement
/// borrows its connection, and both must outlast every session.
struct Handle {
    get: Statement<'static>,
    set: Statement<'static>,
    increment: Statement<'static>,
    begin: Statement<'static>,
    begin_writing: Statement<'static>,
    commit: Statement<'static>,
}

// SAFETY: a `Connection` may move between threads, and is not to be shared. This one is reached through the
// statements of this one handle alone, so handing the handle over hands over everything.
unsafe impl Send for Handle {}

impl Handle {
    fn open(threads: usize, cache_kib: u64) -> Result<Handle> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let name = if threads == 1 { ":memory:" } else { "file:/nyala-bench?vfs=memdb" };
        let mut connection = Connection::open_with_flags(name, flags)
            .context(|| format!("SQLite cannot open {name}"))?;
        connection
            .busy_handler(Some(|_| {
                std::thread::yield_now();
                true
            }))
            .context(|| "SQLite: busy handler".to_owned())?;
        let pragmas = format!(
            "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; \
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{cache_kib}; PRAGMA secure_delete = OFF; {SCHEMA}"
        );
        connection.execute_batch(&pragmas).context(|| "SQLite: pragmas and schema".to_owned())?;
        let connection: &'static Connection = Box::leak(Box::new(connection));
        let prepare = |text: &str| {
            connection.prepare(text).context(|| format!("SQLite cannot prepare {text}"))
        };
        Ok(Handle {
            get: prepare(GET)?,
            set: prepare(SET)?,
            increment: prepare(INCREMENT)?,
            begin: prepare("BEGIN")?,
            begin_writing: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
        })
    }
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
        without_memory_statistics();
        let cache_kib = config.budget_bytes.div_ceil(1024);
        let idle = (0..config.threads)
            .map(|_| Handle::open(config.threads, cache_kib))
            .collect::<Result<_>>()?;
        Ok(Sqlite { idle: Mutex::new(idle), threads: config.threads, cache_kib })
    }

    fn info(&self) -> Info {
        Info {
            name: "sqlite".to_owned(),
            title: "SQLite in memory".to_owned(),
            version: rusqlite::version().to_owned(),
            note: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!("{SCHEMA}; prepared statements, one connection a thread without mutex"),
                "one thread: :memory:; two threads: a shared database of the memdb file system, busy connections spin".to_owned(),
                format!("journal_mode = OFF (fastest; a database that nobody keeps needs no rollback), synchronous = OFF, page_size = 4096, cache_size = the budget ({} KiB here), memory statistics off", self.cache_kib),
                format!("load: {LOAD_TRANSACTION} rows a transaction; a batch: one read transaction; else one operation a transaction"),
                format!("compiled from rusqlite {}'s bundled source at the suite's optimisation level", env!("VERSION_RUSQLITE")),
            ],
        }
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

pub(crate) struct SqliteSession<'a> {
    home: &'a Sqlite,
    /// Taken out only when the session ends.
    handle: Option<Handle>,
    /// Rows of the load's open transaction.
    loaded: Option<u32>,
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
            if *rows == LOAD_TRANSACTION {
                *rows = 0;
                let handle = self.handle()?;
                run(&mut handle.commit)?;
                run(&mut handle.begin_writing)?;
            }
        }
        Ok(())
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
