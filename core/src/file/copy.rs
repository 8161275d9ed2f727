//! Whole files: whether one is sound, a copy of a store that is in use, and what can be saved of a damaged one.

use std::path::{Path, PathBuf};

use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::Result;
use crate::file::disk::failure;
use crate::options::{Access, Durability, Options};
use crate::scan::Cursor;
use crate::store::Store;
use crate::update::{Change, NewValue};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// Entries, expired ones that nobody noticed included.
    pub entries: u64,
    /// Bytes of records that are current.
    pub live_bytes: u64,
    /// Bytes of records that are not, until they are reclaimed.
    pub dead_bytes: u64,
    /// Length of the file in bytes.
    pub file_bytes: u64,
}

/// Checks every record of a file that nobody has open for writing, and changes nothing. Reads all of it.
///
/// ```
/// use nyala::{Options, Store};
/// # let folder = std::env::temp_dir().join(format!("nyala-verify-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("store.nyala");
/// Store::open(Options::file(&path))?.set("key", "value")?;
/// assert_eq!(nyala::verify(&path)?.entries, 1);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Corrupt`](crate::Error::Corrupt) with the first place that is not what was written,
/// [`Error::Locked`](crate::Error::Locked) while somebody writes to it, and those of opening.
pub fn verify(path: impl AsRef<Path>) -> Result<FileReport> {
    let path = path.as_ref();
    let mut options = Options::file(path);
    options.access = Access::Verify;
    let store = Store::open(options)?;
    store.check_structure()?;
    report(&store, path)
}

/// Copies what is whole of a damaged file to a new one, and changes nothing in the damaged one. Where a later record of a key
/// is lost, an older value may come back, and what was deleted too: for when there is no backup.
///
/// # Errors
/// [`Error::Corrupt`](crate::Error::Corrupt) if nothing can be read, because both main headers are lost;
/// [`Error::Io`](crate::Error::Io) if `to` is there already.
pub fn salvage(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<FileReport> {
    let mut options = Options::file(from.as_ref());
    options.access = Access::Salvage;
    let store = Store::open(options)?;
    store.backup(to)
}

fn report(store: &Store, path: &Path) -> Result<FileReport> {
    let stats = store.stats();
    let file_bytes = std::fs::metadata(path).map_err(failure("read the length", path))?.len();
    Ok(FileReport {
        entries: stats.entries,
        live_bytes: stats.live_bytes,
        dead_bytes: stats.dead_bytes,
        file_bytes,
    })
}

impl Engine {
    /// Writes a copy of every entry to a new file, which appears at `path` when it is whole and durable.
    pub(crate) fn back_up(&self, cursor: Cursor, path: &Path) -> Result<FileReport> {
        let failed_here = |op| failure(op, path);
        if std::fs::symlink_metadata(path).is_ok() {
            let there = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(failed_here("create")(there));
        }
        let partial = Partial(path_with(path, ".partial"));
        let _ = std::fs::remove_file(&partial.0);
        {
            let options = Options::file(&partial.0).durability(Durability::Process);
            let copy = Engine::open(&options)?;
            copy.take_over(cursor, &copy.moment())?;
        }
        let report = verify(&partial.0)?;
        std::fs::rename(&partial.0, path).map_err(failed_here("rename"))?;
        #[cfg(all(unix, not(loom)))]
        crate::file::real::sync_parent(path)?;
        Ok(report)
    }

    fn take_over(&self, mut cursor: Cursor, moment: &Moment<'_>) -> Result<()> {
        while let Some((key, value, expiry)) = cursor.next_entry()? {
            let write = Change::Store(NewValue::Bytes(&value), expiry);
            if expiry == 0 || expiry > moment.now_ms() {
                self.update(&key, |_, _| Ok((write, ())))?;
            }
        }
        Ok(())
    }
}

/// A file that goes unless it was renamed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn path_with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
