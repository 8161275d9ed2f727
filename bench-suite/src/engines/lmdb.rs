//! LMDB: a B-tree in a shared map. Volatile it is not; classes D1 and D3.
//!
//! There is no D2: told not to sync, its own documentation says, a power cut may corrupt the file, however often another thread syncs.

use std::ffi::{CStr, CString, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr::{null, null_mut};

use lmdb_master_sys as ffi;
use lmdb_master_sys::{MDB_dbi, MDB_env, MDB_txn, MDB_val};

use super::contract::{
    Config, Durability, Engine, GROUP, Group, Home, Info, Key, Session, Tally, named,
};
use super::grouped::Grouped;
use super::integers;
use crate::fault::{Context, Fault, Result};

/// Address space that is set aside: the most that the file may grow to.
const MAP_BYTES: u64 = 64 << 30;
/// Read transactions beside those of the sessions.
const SPARE_READERS: usize = 8;

#[derive(Debug)]
pub(crate) struct Lmdb {
    env: *mut MDB_env,
    table: MDB_dbi,
    durability: Durability,
    stock: bool,
}

// SAFETY: LMDB documents its environment and table handles as safe for concurrent use; transactions stay in their sessions.
unsafe impl Sync for Lmdb {}

fn check(code: c_int, doing: &str) -> Result<()> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: no pointers go in.
    let text = unsafe { ffi::mdb_strerror(code) };
    // SAFETY: the library answers a null-terminated text for every code, which lasts until this thread asks again.
    let text = unsafe { CStr::from_ptr(text) };
    Err(Fault::new(format!("LMDB: {doing}: {}", text.to_string_lossy())))
}

fn flags(home: &Home, limited: bool) -> c_uint {
    // Its documentation's advice for data beyond memory.
    let reads = if limited { ffi::MDB_NORDAHEAD } else { 0 };
    let stock = home.stock;
    let writes = match home.durability {
        // Readers' slots belong to transactions, so that a thread may hold several sessions.
        Durability::D3 => ffi::MDB_NOTLS,
        _ if stock => ffi::MDB_NOTLS | ffi::MDB_NOSYNC,
        _ => ffi::MDB_NOTLS | ffi::MDB_NOSYNC | ffi::MDB_WRITEMAP,
    };
    reads | writes
}

/// A byte string as the library takes it; it must outlive the call, and is not written to.
fn lent(bytes: &[u8]) -> MDB_val {
    MDB_val { mv_size: bytes.len(), mv_data: bytes.as_ptr().cast::<c_void>().cast_mut() }
}

impl Lmdb {
    fn begin(&self, flags: c_uint) -> Result<*mut MDB_txn> {
        let mut txn = null_mut();
        // SAFETY: the environment is open; `txn` is a live place for the answer.
        let code = unsafe { ffi::mdb_txn_begin(self.env, null_mut(), flags, &raw mut txn) };
        check(code, "begin")?;
        Ok(txn)
    }

    /// Runs `work` in a transaction of its own, which is committed unless it fails.
    fn write(&self, work: impl FnOnce(*mut MDB_txn) -> Result<()>) -> Result<()> {
        let txn = self.begin(0)?;
        if let Err(fault) = work(txn) {
            // SAFETY: a live transaction, not used again.
            unsafe { ffi::mdb_txn_abort(txn) };
            return Err(fault);
        }
        // SAFETY: as above.
        check(unsafe { ffi::mdb_txn_commit(txn) }, "commit")
    }

    fn put(&self, txn: *mut MDB_txn, key: &[u8], value: &[u8]) -> Result<()> {
        let (mut key, mut value) = (lent(key), lent(value));
        // SAFETY: a live write transaction; key and value outlive the call, which copies them.
        let code = unsafe { ffi::mdb_put(txn, self.table, &raw mut key, &raw mut value, 0) };
        check(code, "put")
    }

    /// The value, which lives as long as the transaction.
    fn find<'a>(&self, txn: *mut MDB_txn, key: &'a [u8]) -> Result<Option<&'a [u8]>> {
        let mut key = lent(key);
        let mut value = MDB_val { mv_size: 0, mv_data: null_mut() };
        // SAFETY: a live transaction; the key outlives the call.
        let code = unsafe { ffi::mdb_get(txn, self.table, &raw mut key, &raw mut value) };
        if code == ffi::MDB_NOTFOUND {
            return Ok(None);
        }
        check(code, "get")?;
        // SAFETY: so many bytes lie there until the transaction ends or writes, which no caller does before it is done with them.
        Ok(Some(unsafe { std::slice::from_raw_parts(value.mv_data.cast::<u8>(), value.mv_size) }))
    }
}

impl Drop for Lmdb {
    fn drop(&mut self) {
        // SAFETY: open, closed once, and no session is left, since sessions borrow `self`.
        unsafe { ffi::mdb_env_close(self.env) };
    }
}

impl Engine for Lmdb {
    type Session<'a> = LmdbSession<'a>;
    const SAMPLE_EVERY: u32 = 4;

    fn open(config: &Config) -> Result<Lmdb> {
        let home = config.home.as_ref().ok_or_else(|| Fault::new("LMDB lives in files"))?;
        let path = CString::new(home.folder.as_os_str().as_bytes())
            .context(|| format!("{} cannot be a path", home.folder.display()))?;
        let mut env = null_mut();
        // SAFETY: `env` is a live place for the answer.
        check(unsafe { ffi::mdb_env_create(&raw mut env) }, "create")?;
        // From here on dropping this closes the environment, which a failed opening asks for too.
        let mut lmdb = Lmdb { env, table: 0, durability: home.durability, stock: home.stock };
        let readers = c_uint::try_from(config.threads + SPARE_READERS)
            .context(|| format!("{} threads", config.threads))?;
        let map_bytes = usize::try_from(MAP_BYTES).context(|| format!("{MAP_BYTES} bytes"))?;
        // SAFETY: created and not yet open, which these calls ask for.
        check(unsafe { ffi::mdb_env_set_mapsize(env, map_bytes) }, "map size")?;
        // SAFETY: as above.
        check(unsafe { ffi::mdb_env_set_maxreaders(env, readers) }, "readers")?;
        // SAFETY: the path is null-terminated and outlives the call.
        let code = unsafe {
            ffi::mdb_env_open(env, path.as_ptr(), flags(home, config.limit_bytes.is_some()), 0o600)
        };
        check(code, "open")?;
        let mut table = 0;
        lmdb.write(|txn| {
            // SAFETY: a live transaction; no name asks for the table that needs none.
            check(unsafe { ffi::mdb_dbi_open(txn, null(), 0, &raw mut table) }, "table")
        })?;
        lmdb.table = table;
        Ok(lmdb)
    }

    fn info(&self) -> Info {
        let (mut major, mut minor, mut patch) = (0, 0, 0);
        // SAFETY: three live integers; the text that is answered is not used.
        unsafe { ffi::mdb_version(&raw mut major, &raw mut minor, &raw mut patch) };
        let flags = match self.durability {
            Durability::D3 => "no flags: two syncs a commit",
            _ if self.stock => "MDB_NOSYNC: commits are written and never synced",
            _ => "MDB_NOSYNC and MDB_WRITEMAP: commits go to the shared map and are never synced",
        };
        Info {
            name: named("lmdb", self.stock),
            title: if self.stock { "LMDB, stock" } else { "LMDB" }.to_owned(),
            version: format!("{major}.{minor}.{patch} (mdb.master)"),
            note: None,
            build: Some(format!(
                "C source in lmdb-master-sys {}, compiled at this program's optimisation level",
                env!("VERSION_LMDB_MASTER_SYS")
            )),
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!(
                    "{flags}; MDB_NOTLS; map size {} GiB, no cache of its own",
                    MAP_BYTES >> 30
                ),
                "one read transaction a session, renewed and reset around each get or batch"
                    .to_owned(),
                format!("one write transaction an operation; load: {GROUP} a transaction"),
            ],
        }
    }

    fn under_limit(_config: &Config) -> String {
        "no cache but the page cache; MDB_NORDAHEAD".to_owned()
    }

    fn session(&self) -> Result<LmdbSession<'_>> {
        let reader = self.begin(ffi::MDB_RDONLY)?;
        // SAFETY: a live read transaction.
        unsafe { ffi::mdb_txn_reset(reader) };
        Ok(LmdbSession { lmdb: self, reader, group: Grouped::default() })
    }
}

#[derive(Debug)]
pub(crate) struct LmdbSession<'a> {
    lmdb: &'a Lmdb,
    /// Reset between calls.
    reader: *mut MDB_txn,
    group: Grouped,
}

impl Drop for LmdbSession<'_> {
    fn drop(&mut self) {
        // SAFETY: a live read transaction, not used again.
        unsafe { ffi::mdb_txn_abort(self.reader) };
    }
}

impl LmdbSession<'_> {
    /// Runs `work` on the newest state.
    fn read<T>(&mut self, work: impl FnOnce(&Lmdb, *mut MDB_txn) -> Result<T>) -> Result<T> {
        // SAFETY: a live read transaction that was reset.
        check(unsafe { ffi::mdb_txn_renew(self.reader) }, "renew")?;
        let outcome = work(self.lmdb, self.reader);
        // SAFETY: renewed above; what `work` found has been copied.
        unsafe { ffi::mdb_txn_reset(self.reader) };
        outcome
    }

    fn flush(&mut self) -> Result<()> {
        let Self { lmdb, group, .. } = self;
        lmdb.write(|txn| group.pairs().try_for_each(|(key, value)| lmdb.put(txn, key, value)))?;
        group.clear();
        Ok(())
    }
}

fn copy(found: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    if let Some(value) = found {
        out.clear();
        out.extend_from_slice(value);
    }
    found.is_some()
}

impl Session for LmdbSession<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.read(|lmdb, txn| Ok(copy(lmdb.find(txn, key)?, out)))
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.group.collects() {
            return if self.group.push(key, value) { self.flush() } else { Ok(()) };
        }
        self.lmdb.write(|txn| self.lmdb.put(txn, key, value))
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        let table = self.lmdb.table;
        self.lmdb.write(|txn| {
            let mut key = lent(key);
            // SAFETY: a live write transaction; the key outlives the call, and no value is asked for.
            check(unsafe { ffi::mdb_del(txn, table, &raw mut key, null_mut()) }, "delete")
        })
    }

    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let mut sum = 1;
        self.lmdb.write(|txn| {
            if let Some(held) = self.lmdb.find(txn, key)? {
                sum = integers::sum_of(held)?;
            }
            self.lmdb.put(txn, key, &sum.to_le_bytes())
        })?;
        Ok(sum)
    }

    fn get_many(&mut self, keys: &[Key], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
        self.read(|lmdb, txn| {
            for key in keys {
                if copy(lmdb.find(txn, key)?, out) {
                    tally.hit(out);
                } else {
                    tally.miss();
                }
            }
            Ok(())
        })
    }

    fn loading(&mut self, on: bool) -> Result<()> {
        self.group.collect(on);
        if self.group.is_empty() { Ok(()) } else { self.flush() }
    }
}
