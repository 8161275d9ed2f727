//! Whole files: whether one is sound, a copy of a store that is in use, and what can be saved of a damaged one.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::Result;
use crate::file::disk::failure;
use crate::file::progress::{Meter, Progress, watched};
use crate::geometry::MAX_FILE_SEGMENTS;
use crate::options::{Access, MAX_MAX_BYTES, Options, Tuning};
use crate::region::WORD;
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

/// Checks every record of a file that nobody has open for writing, and changes nothing. Reads all of it, whatever the
/// `max_bytes` that it was made with.
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
    verify_metered(path.as_ref(), &Meter::default())
}

/// The same, and tells `progress` how far it has come, as [`Store::open_with`] does.
///
/// # Errors
/// [`Error::Cancelled`](crate::Error::Cancelled) after `progress` answered [`ControlFlow::Break`]; else as [`verify`].
pub fn verify_with(
    path: impl AsRef<Path>,
    progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<FileReport> {
    let path = path.as_ref();
    watched(progress, |meter| verify_metered(path, meter))
}

/// Copies what is whole of a damaged file to a new one, and changes nothing in the damaged one. Where a later record of a key
/// is lost, an older value may come back, and what was deleted too, and of what [`Store::set_many_atomic`] wrote a part may be missing:
/// for when there is no backup.
///
/// # Errors
/// [`Error::Corrupt`](crate::Error::Corrupt) if nothing can be read, because both main headers are lost;
/// [`Error::Io`](crate::Error::Io) if `to` is there already.
pub fn salvage(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<FileReport> {
    salvage_metered(from.as_ref(), to.as_ref(), &Meter::default())
}

/// The same, and tells `progress` how far it has come, as [`Store::open_with`] does.
///
/// # Errors
/// [`Error::Cancelled`](crate::Error::Cancelled) after `progress` answered [`ControlFlow::Break`]: nothing is left of the copy.
/// Else as [`salvage`].
pub fn salvage_with(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<FileReport> {
    let (from, to) = (from.as_ref(), to.as_ref());
    watched(progress, |meter| salvage_metered(from, to, meter))
}

fn verify_metered(path: &Path, meter: &Meter) -> Result<FileReport> {
    let mut options = Options::file(path);
    options.access = Access::Verify;
    let store = Store::open_metered(&options, meter)?;
    store.check_structure(meter).map_err(|error| error.in_file(path))?;
    let stats = store.stats();
    Ok(FileReport {
        entries: stats.entries,
        live_bytes: stats.live_bytes,
        dead_bytes: stats.dead_bytes,
        file_bytes: len_of(path)?,
    })
}

fn salvage_metered(from: &Path, to: &Path, meter: &Meter) -> Result<FileReport> {
    let options = Options { access: Access::Salvage, ..Options::file(from) };
    // Before what may take long.
    crate::file::real::check_new(to)?;
    // Read, and what is whole of it copied and checked.
    meter.expect((1 + COPYING) * len_of(from)?);
    Store::open_metered(&options, meter)?.backup_metered(to, meter)
}

fn len_of(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).map_err(failure("read the length", path))?.len())
}

/// How often a copy goes through its bytes: to write each, to check it, to let it count.
const COPYING: u64 = 3;

impl Engine {
    /// Writes a copy of every entry to a new file, which appears at `path` when it is whole and durable.
    pub(crate) fn back_up(&self, cursor: Cursor, path: &Path, meter: &Meter) -> Result<FileReport> {
        crate::file::real::check_new(path)?;
        let (live_words, _) = self.live_and_used();
        meter.expect(COPYING * (live_words * WORD) as u64);
        let partial = Partial::beside(path)?;
        {
            let copy = Engine::open(&self.options_of_copy(&partial.0), meter)?;
            let taken = copy.take_over(cursor, &self.moment(), meter);
            taken.map_err(|error| error.in_file(path))?;
        }
        let report = verify_metered(&partial.0, meter)?;
        crate::file::real::rename_new(&partial.0, path)?;
        Ok(report)
    }

    /// A file of the same segments and stripes, so that it can be opened as this one; with room to spare, since what fits here
    /// need not fit where records lie otherwise, and for values that are longer than this opening takes; and another seed,
    /// under which its keys do not come in the order that fills page after page.
    fn options_of_copy(&self, path: &Path) -> Options {
        let options = Options::file(path);
        if !self.geometry.in_file {
            return options;
        }
        let opened = self.geometry.opened_bytes;
        let most = MAX_MAX_BYTES.min((MAX_FILE_SEGMENTS * self.geometry.segment_bytes()) as u64);
        options.max_bytes((4 * opened).min(most).max(opened)).tuning(Tuning {
            stripes: self.stripes.len(),
            segment_bytes: self.geometry.segment_bytes(),
            ..Tuning::default()
        })
    }

    fn take_over(&self, mut cursor: Cursor, moment: &Moment<'_>, meter: &Meter) -> Result<()> {
        while let Some((key, value, expiry)) = cursor.next_entry()? {
            let write = Change::Store(NewValue::Bytes(&value), expiry);
            if expiry == 0 || expiry > moment.now_ms() {
                self.update(&key, |_, _| Ok((write, ())))?;
            }
            meter.advance((key.len() + value.len() + BESIDE_BYTES) as u64)?;
        }
        Ok(())
    }
}

/// Bytes of most records beside key and value.
const BESIDE_BYTES: usize = 28;

/// Between the name of a copy that is being made, and the process and a number.
const PARTIAL: &str = ".partial-";

/// A new file that goes unless it was renamed.
struct Partial(PathBuf);

impl Partial {
    /// An empty file of this process alone: whoever copies to the same place meanwhile has one of his own.
    fn beside(path: &Path) -> Result<Partial> {
        use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        remove_left_behind(path);
        loop {
            let mut name = path.as_os_str().to_owned();
            let number = NUMBER.fetch_add(1, Relaxed);
            name.push(format!("{PARTIAL}{}-{number}", std::process::id()));
            let partial = PathBuf::from(name);
            match crate::file::real::create_new(&partial) {
                // Of a process that was killed, and had the same number.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                created => {
                    created.map_err(failure("create", path))?;
                    return Ok(Partial(partial));
                }
            }
        }
    }
}

/// Removes what is left of copies to the same place whose processes were killed. Those that cannot be told from what somebody
/// is still at work on stay: of a process with that number, or locked by one that has no number here, in another container.
fn remove_left_behind(path: &Path) {
    let (Some(name), Some(folder)) = (path.file_name(), path.parent()) else { return };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if let Some(process) = process_of(&entry.file_name(), name)
            && !crate::file::real::is_alive(process)
            && crate::file::real::is_unlocked(&entry.path())
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The process that makes a copy of this name in a file of the other one.
fn process_of(partial: &OsStr, name: &OsStr) -> Option<u32> {
    let rest = partial.as_encoded_bytes().strip_prefix(name.as_encoded_bytes())?;
    let rest = std::str::from_utf8(rest.strip_prefix(PARTIAL.as_bytes())?).ok()?;
    let (process, number) = rest.split_once('-')?;
    number.parse::<u32>().ok()?;
    process.parse().ok()
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
