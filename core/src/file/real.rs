//! The file of the operating system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, fallocate};

use crate::error::{Error, Result};
use crate::file::disk::{BootId, Disk, PAGE_BYTES, check_range, failure};
use crate::file::memory;
use crate::fork::Birthplace;
use crate::sync::AtomicU64;

/// Owner only: what a store holds is nobody else's business.
const PERMISSIONS: u32 = 0o600;
/// How often another process may put a new file in the place of the one just opened before that is an error.
const REPLACED_MAX: usize = 8;
/// A file that takes more than this part of the memory counts as one that does not fit: there is more than files in it.
const FILES_PER_MEMORY: u64 = 2;

/// The largest page in which the system keeps a part of a file, on x86-64.
#[cfg(target_os = "linux")]
const LARGE_PAGE_BYTES: u64 = 2 << 20;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To be created if it is not there, and written. Nobody else has it open.
    ReadWrite,
    /// To be read beside other readers.
    ReadOnly,
}

/// A file, locked and mapped.
#[derive(Debug)]
pub(crate) struct RealDisk {
    file: File,
    path: PathBuf,
    map: MmapRaw,
    reserved: u64,
    mode: Mode,
    birthplace: Birthplace,
    /// Bytes of memory that there may be for this process.
    memory: u64,
    /// Whether single records are read, in no order.
    scattered: AtomicBool,
    /// Whether the system may read more than it is asked for.
    ahead: AtomicBool,
    /// Whether pages could not be written when space was given back. Held while anything is synced: the system tells of such
    /// pages only once, and whoever it tells is not the one who has to know.
    unwritten: Mutex<bool>,
}

impl RealDisk {
    /// Opens the file, locks it and maps as many bytes as `max_len` answers for its length, a multiple of the page. A file
    /// that is longer is mapped in full.
    pub(crate) fn open(
        path: &Path,
        max_len: impl FnOnce(u64) -> u64,
        mode: Mode,
    ) -> Result<RealDisk> {
        check_path(path)?;
        let (file, len) = open_locked(path, mode)?;
        let max_len = max_len(len);
        if len == 0 && mode == Mode::ReadWrite {
            sync_parent(path)?;
        }
        let reserved = max_len.max(len).checked_next_multiple_of(PAGE_BYTES);
        let no_memory = |bytes, reason: String| {
            let reason = format!("cannot map file {}: {reason}", path.display());
            Error::NoMemory { bytes, reason }
        };
        let bytes = reserved.and_then(|bytes| isize::try_from(bytes).ok()).ok_or_else(|| {
            no_memory(max_len, "the address space of this machine is smaller".into())
        })?;
        let reserved = bytes.unsigned_abs() as u64;
        let mut options = MmapOptions::new();
        options.len(bytes.unsigned_abs());
        let map = match mode {
            Mode::ReadWrite => options.map_raw(&file),
            // A map of its own, which could be written: atomic loads are promised for no other memory. Nothing of it
            // reaches the file.
            // SAFETY: the words are only touched as atomics, and everything that is read of them is checked: whoever changes
            // the file meanwhile makes an error of it at worst.
            Mode::ReadOnly => {
                options.no_reserve_swap();
                // SAFETY: the words are only touched as atomics, and everything that is read of them is checked: whoever
                // changes the file meanwhile makes an error of it at worst.
                let copy = unsafe { options.map_copy(&file) };
                copy.map(MmapRaw::from)
            }
        }
        .map_err(|error| no_memory(reserved, error.to_string()))?;
        Ok(RealDisk {
            file,
            path: path.to_owned(),
            map,
            reserved,
            mode,
            birthplace: Birthplace::here(),
            memory: memory::allowed(),
            scattered: AtomicBool::new(false),
            ahead: AtomicBool::new(true),
            unwritten: Mutex::new(false),
        })
    }

    /// Lets the system read no more than it is asked for, once a file of this length has no room in memory. Around each record it
    /// would read what the device is set to read ahead, megabytes of it where that is much, and push as much out that is wanted.
    /// A shorter file is in memory all the sooner for it.
    fn mind_memory(&self, len: u64) {
        let large = len > self.memory / FILES_PER_MEMORY;
        if large && self.scattered.load(Relaxed) && self.ahead.swap(false, Relaxed) {
            // A system that does not know the advice reads more than it needs.
            let _ = self.map.advise(memmap2::Advice::Random);
        }
    }

    fn may_write(&self) -> Result<()> {
        if self.mode == Mode::ReadOnly { Err(Error::ReadOnly) } else { Ok(()) }
    }

    fn failed(&self, op: &'static str) -> impl Fn(io::Error) -> Error {
        failure(op, &self.path)
    }

    /// A file longer than the process may write is answered with SIGXFSZ, which ends it: a library installs no handler, so
    /// that the limit is asked for first.
    fn may_reach(&self, op: &'static str, end: u64) -> Result<()> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        if limit.is_some_and(|limit| end > limit) && end > self.len()? {
            return Err(self.failed(op)(rustix::io::Errno::FBIG.into()));
        }
        Ok(())
    }

    /// Gives space back of which no page in memory has a part.
    ///
    /// The system keeps pages of a file in memory as large ones, of up to some MiB, that may reach into what stays. It parts them at
    /// the hole where they are clean. A dirty one stays whole, and the next store to any of it after it was written would need space
    /// for the hole again: on a disk that is full by then, a signal. So it is written first; what cannot be parted keeps its space.
    #[cfg(target_os = "linux")]
    fn punch_alone(&self, first: u64, bytes: u64) -> Result<()> {
        let punch = || {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            self.fallocate("give space back", flags, first, bytes)?;
            Ok(self.is_in_memory(first) || self.is_in_memory(first + bytes - PAGE_BYTES))
        };
        if !punch()? {
            return Ok(());
        }
        let begin = first.saturating_sub(LARGE_PAGE_BYTES);
        let end = (first + bytes + LARGE_PAGE_BYTES).min(self.reserved);
        let mut unwritten = lock(&self.unwritten);
        if let Err(error) = self.map.flush_range(begin as usize, (end - begin) as usize) {
            *unwritten = true;
            return Err(self.failed("sync")(error));
        }
        drop(unwritten);
        if punch()? {
            self.fallocate("allocate space", FallocateFlags::empty(), first, bytes)?;
        }
        Ok(())
    }

    /// Whether the system has this page in memory.
    #[cfg(target_os = "linux")]
    fn is_in_memory(&self, byte: u64) -> bool {
        let (page, mut found) = (self.map.as_mut_ptr().wrapping_add(byte as usize), 0);
        // SAFETY: the page lies in the map, and for one page one byte is written.
        let done = unsafe { libc::mincore(page.cast(), PAGE_BYTES as usize, &raw mut found) };
        done == 0 && found & 1 == 1
    }

    /// Whether the disk has no space left to speak of.
    #[cfg(target_os = "linux")]
    fn is_full(&self) -> bool {
        let of = rustix::fs::fstatvfs(&self.file);
        of.is_ok_and(|of| of.f_bavail.saturating_mul(of.f_frsize) < LARGE_PAGE_BYTES)
    }

    /// `fallocate` on a range that has been checked; answers `Unsupported` where the filesystem has no such thing.
    fn fallocate(
        &self,
        op: &'static str,
        flags: FallocateFlags,
        first: u64,
        bytes: u64,
    ) -> Result<()> {
        match rustix::io::retry_on_intr(|| fallocate(&self.file, flags, first, bytes)) {
            Err(rustix::io::Errno::OPNOTSUPP) => Err(Error::Unsupported(format!(
                "the filesystem of {} cannot {op}: fallocate is not supported",
                self.path.display()
            ))),
            result => result.map_err(|error| self.failed(op)(error.into())),
        }
    }
}

impl Disk for RealDisk {
    fn base(&self) -> *const AtomicU64 {
        self.map.as_ptr().cast()
    }

    fn reserved(&self) -> u64 {
        self.reserved
    }

    fn len(&self) -> Result<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(self.failed("read the length"))
    }

    fn allocate(&self, first: u64, bytes: u64) -> Result<()> {
        self.may_write()?;
        check_range(first, bytes, self.reserved)?;
        self.may_reach("allocate space", first + bytes)?;
        self.fallocate("allocate space", FallocateFlags::empty(), first, bytes)?;
        self.mind_memory(first + bytes);
        Ok(())
    }

    fn populate(&self, first: u64, bytes: u64) -> Result<()> {
        self.may_write()?;
        check_range(first, bytes, self.reserved)?;
        #[cfg(target_os = "linux")]
        {
            let (first, bytes) = (first as usize, bytes as usize);
            match self.map.advise_range(memmap2::Advice::PopulateWrite, first, bytes) {
                // Linux before 5.14 does not know the advice.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                // A store would have been answered with a signal.
                Err(error) if error.raw_os_error() == Some(libc::EFAULT) && self.is_full() => {
                    return Err(self.failed("populate the map")(rustix::io::Errno::NOSPC.into()));
                }
                result => result.map_err(self.failed("populate the map"))?,
            }
        }
        Ok(())
    }

    fn expect_single_reads(&self) {
        self.scattered.store(true, Relaxed);
        self.mind_memory(self.len().unwrap_or(0));
    }

    fn expect_run(&self, first: u64, bytes: u64) {
        if !self.ahead.load(Relaxed) {
            // Else it comes by single pages.
            let _ =
                self.map.advise_range(memmap2::Advice::WillNeed, first as usize, bytes as usize);
        }
    }

    fn punch(&self, first: u64, bytes: u64) -> Result<()> {
        self.may_write()?;
        check_range(first, bytes, self.reserved)?;
        #[cfg(target_os = "linux")]
        return self.punch_alone(first, bytes);
        #[cfg(not(target_os = "linux"))]
        Err(Error::Unsupported("this operating system cannot give space of a file back".into()))
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.may_write()?;
        self.may_reach("truncate", len)?;
        self.file.set_len(len).map_err(self.failed("truncate"))
    }

    fn sync_data(&self) -> Result<()> {
        self.may_write()?;
        let unwritten = lock(&self.unwritten);
        if *unwritten {
            return Err(self.failed("sync")(rustix::io::Errno::IO.into()));
        }
        self.file.sync_data().map_err(self.failed("sync"))
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn now_ms(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    fn boot_id(&self) -> BootId {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = text.trim().split('-').collect();
        BootId(u128::from_str_radix(&digits, 16).unwrap_or(0))
    }
}

impl Drop for RealDisk {
    fn drop(&mut self) {
        // The lock belongs to the open file, which forked children share: one that lives on would keep it. In such a
        // child it is the parent's, and stays.
        if self.birthplace.check().is_ok() {
            let _ = self.file.unlock();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics under it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_name(path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(Error::InvalidArgument(format!(
            "path {path:?} is empty or holds a NUL: it cannot name a file"
        )));
    }
    Ok(())
}

fn check_path(path: &Path) -> Result<()> {
    check_name(path)?;
    match fs::metadata(path) {
        // Before it is opened: to open a pipe would wait for somebody at its other end.
        Ok(metadata) => check_kind(path, &metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failure("open", path)(error)),
    }
}

fn check_kind(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let kind = if metadata.is_dir() { "a directory" } else { "not a regular file" };
    Err(Error::InvalidArgument(format!("path {} is {kind}", path.display())))
}

/// The file with its lock, and its length.
fn open_locked(path: &Path, mode: Mode) -> Result<(File, u64)> {
    for _ in 0..REPLACED_MAX {
        let mut options = OpenOptions::new();
        options.read(true).mode(PERMISSIONS);
        if mode == Mode::ReadWrite {
            options.write(true).create(true);
        }
        let file = options.open(path).map_err(failure("open", path))?;
        let metadata = file.metadata().map_err(failure("open", path))?;
        check_kind(path, &metadata)?;
        let locked = match mode {
            Mode::ReadWrite => file.try_lock(),
            Mode::ReadOnly => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = lock_holder(&metadata);
                return Err(Error::Locked { path: path.into(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(failure("lock", path)(error)),
        }
        // Whoever had the lock before may have removed the file, or put another in its place.
        let is_at_path = fs::metadata(path)
            .is_ok_and(|now| (now.dev(), now.ino()) == (metadata.dev(), metadata.ino()));
        if is_at_path {
            // Again, under the lock: it may have grown meanwhile.
            let len = file.metadata().map_err(failure("open", path))?.len();
            return Ok((file, len));
        }
    }
    Err(failure("open", path)(io::Error::other("the file is replaced again and again")))
}

/// The process that holds a lock on the file, as far as the system tells. Locks are listed as
/// `1: FLOCK  ADVISORY  WRITE 1234 08:01:131 0 EOF`, process, device and inode behind the kind.
fn lock_holder(metadata: &fs::Metadata) -> Option<u32> {
    let dev = metadata.dev();
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    holder_in(
        &fs::read_to_string("/proc/locks").ok()?,
        &format!("{major:02x}:{minor:02x}:{}", metadata.ino()),
    )
}

fn holder_in(locks: &str, file: &str) -> Option<u32> {
    let holder = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_held = fields.get(1) == Some(&"FLOCK") && fields.get(5) == Some(&file);
        // A process outside of this container has no number here: 0.
        fields.get(4).filter(|_| is_held)?.parse().ok().filter(|process| *process != 0)
    };
    locks.lines().find_map(holder)
}

/// Answers an error if there is something with this name, or can be nothing.
pub(crate) fn check_new(path: &Path) -> Result<()> {
    check_name(path)?;
    match fs::symlink_metadata(path) {
        Ok(_) => Err(failure("create", path)(rustix::io::Errno::EXIST.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failure("create", path)(error)),
    }
}

/// Makes an empty file, where there is nothing yet.
pub(crate) fn create_new(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(PERMISSIONS).open(path).map(drop)
}

/// Whether there is a process of this number, as far as this one can tell.
pub(crate) fn is_alive(process: u32) -> bool {
    let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    process.is_some_and(|process| {
        rustix::process::test_kill_process(process) != Err(rustix::io::Errno::SRCH)
    })
}

/// Whether this is a file that nobody has locked.
pub(crate) fn is_unlocked(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
        && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Gives a file a new name, which nobody else may have taken meanwhile, and makes it survive a power cut.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    rename_unless_taken(from, to).map_err(failure("create", to))?;
    sync_parent(to)
}

#[cfg(target_os = "linux")]
fn rename_unless_taken(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The filesystem, or the kernel, does not know how.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_unless_taken(from, to),
        result => Ok(result?),
    }
}

#[cfg(not(target_os = "linux"))]
use link_unless_taken as rename_unless_taken;

/// With both names for a moment, where the system cannot rename so.
fn link_unless_taken(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

/// Makes the name of a new file survive a power cut.
fn sync_parent(path: &Path) -> Result<()> {
    let failed = failure("sync the folder", path);
    // The file itself, where the path is a link to it.
    let real = fs::canonicalize(path).map_err(&failed)?;
    let parent = real.parent().unwrap_or(Path::new("/"));
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Folder {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let name = format!("nyala-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Folder(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("store")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const RESERVED: u64 = 1 << 20;

    fn open(path: &Path) -> Result<RealDisk> {
        RealDisk::open(path, |_| RESERVED, Mode::ReadWrite)
    }

    fn word(disk: &RealDisk, byte: u64) -> &AtomicU64 {
        let disk: &dyn Disk = disk;
        &disk.words(byte, 1).unwrap()[0]
    }

    #[test]
    fn what_is_stored_is_in_the_file() {
        let folder = Folder::new();
        let disk = open(&folder.file()).unwrap();
        assert_eq!((disk.len(), disk.reserved()), (Ok(0), RESERVED));
        disk.allocate(0, 8192).unwrap();
        disk.populate(0, 8192).unwrap();
        disk.allocate(4096, 4096).unwrap();
        assert_eq!(disk.len(), Ok(8192));
        word(&disk, 4096).store(0x0102_0304_0506_0708, Relaxed);
        disk.sync_data().unwrap();
        drop(disk);
        let bytes = fs::read(folder.file()).unwrap();
        assert_eq!(bytes.len(), 8192);
        assert_eq!(bytes[4096..4104], 0x0102_0304_0506_0708_u64.to_ne_bytes());
        let mode = fs::metadata(folder.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn space_comes_and_goes_while_it_is_mapped() {
        let folder = Folder::new();
        let disk = open(&folder.file()).unwrap();
        disk.allocate(0, 64 << 10).unwrap();
        for byte in [4096, 40_960] {
            word(&disk, byte).store(7, Relaxed);
        }
        match disk.punch(8192, 48 << 10) {
            Ok(()) => assert_eq!(word(&disk, 40_960).load(Relaxed), 0),
            Err(error) => assert!(matches!(error, Error::Unsupported(_)), "{error:?}"),
        }
        assert_eq!((disk.len(), word(&disk, 4096).load(Relaxed)), (Ok(64 << 10), 7));
        disk.allocate(40_960, 4096).unwrap();
        word(&disk, 40_960).store(8, Relaxed);
        disk.truncate(8192).unwrap();
        assert_eq!((disk.len(), word(&disk, 4096).load(Relaxed)), (Ok(8192), 7));
        disk.allocate(40_960, 4096).unwrap();
        assert_eq!(word(&disk, 40_960).load(Relaxed), 0);
    }

    #[test]
    fn nobody_else_opens_what_is_written() {
        let folder = Folder::new();
        let disk = open(&folder.file()).unwrap();
        for mode in [Mode::ReadWrite, Mode::ReadOnly] {
            let error = RealDisk::open(&folder.file(), |_| RESERVED, mode).unwrap_err();
            let Error::Locked { path, holder } = &error else { panic!("{error:?}") };
            assert_eq!(**path, *folder.file());
            assert!(holder.is_none_or(|holder| holder == std::process::id()), "{error}");
        }
        drop(disk);
        open(&folder.file()).unwrap();
    }

    #[test]
    fn readers_share_and_write_nothing() {
        let folder = Folder::new();
        let missing = RealDisk::open(&folder.file(), |_| RESERVED, Mode::ReadOnly).unwrap_err();
        let Error::Io(failure) = missing else { panic!("{missing:?}") };
        assert_eq!((failure.op, failure.kind), ("open", io::ErrorKind::NotFound));
        {
            let disk = open(&folder.file()).unwrap();
            disk.allocate(0, 4096).unwrap();
            word(&disk, 8).store(9, Relaxed);
        }
        let readers =
            [0, 1].map(|_| RealDisk::open(&folder.file(), |_| RESERVED, Mode::ReadOnly).unwrap());
        for disk in &readers {
            assert_eq!(word(disk, 8).load(Relaxed), 9);
            let effects = [
                disk.allocate(0, 4096),
                disk.populate(0, 4096),
                disk.punch(0, 4096),
                disk.truncate(0),
                disk.sync_data(),
            ];
            assert!(effects.into_iter().all(|effect| effect == Err(Error::ReadOnly)));
        }
        assert!(matches!(open(&folder.file()), Err(Error::Locked { .. })));
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = Folder::new();
        let named = |path: &Path| open(path).map(drop);
        let invalid = |result: Result<()>| match result {
            Err(Error::InvalidArgument(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(invalid(named(&folder.0)).contains("is a directory"));
        assert!(invalid(named(Path::new("/dev/null"))).contains("not a regular file"));
        assert!(invalid(named(Path::new("a\0b"))).contains("NUL"));
        assert!(invalid(named(Path::new(""))).contains("empty"));
        assert!(matches!(named(&folder.0.join("no/store")), Err(Error::Io(_))));
    }

    #[test]
    fn a_link_leads_to_its_file() {
        let folder = Folder::new();
        let link = folder.0.join("link");
        symlink(folder.file(), &link).unwrap();
        open(&link).unwrap().allocate(0, 4096).unwrap();
        assert_eq!(fs::metadata(folder.file()).unwrap().len(), 4096);
    }

    #[test]
    fn a_longer_file_is_mapped_in_full() {
        let folder = Folder::new();
        fs::write(folder.file(), vec![1; 10_000]).unwrap();
        let disk = RealDisk::open(&folder.file(), |_| 4096, Mode::ReadOnly).unwrap();
        assert_eq!((disk.len(), disk.reserved()), (Ok(10_000), 12_288));
        let disk: &dyn Disk = &disk;
        assert!(disk.words(9992, 1).is_ok());
        for (first, count) in
            [(9996, 1), (10_000, 1), (0, 1251), (8, usize::MAX), (u64::MAX - 7, 1)]
        {
            assert!(matches!(disk.words(first, count), Err(Error::Corrupt(_))), "{first}");
        }
    }

    #[test]
    fn too_much_address_space_is_a_typed_error() {
        let folder = Folder::new();
        for max_len in [1 << 60, u64::MAX] {
            let error = RealDisk::open(&folder.file(), |_| max_len, Mode::ReadWrite).unwrap_err();
            assert!(matches!(error, Error::NoMemory { .. }), "{error:?}");
        }
    }

    #[test]
    fn a_new_name_replaces_nothing() {
        let folder = Folder::new();
        let [from, to] = ["from", "to"].map(|name| folder.0.join(name));
        for rename in [rename_new, |from: &Path, to: &Path| {
            link_unless_taken(from, to).map_err(failure("create", to))
        }] {
            fs::write(&from, "new").unwrap();
            fs::write(&to, "old").unwrap();
            let Err(Error::Io(failure)) = rename(&from, &to) else { panic!("replaced") };
            assert_eq!((&failure.path, failure.kind), (&to, io::ErrorKind::AlreadyExists));
            assert_eq!(fs::read(&to).unwrap(), b"old");
            fs::remove_file(&to).unwrap();
            rename(&from, &to).unwrap();
            assert_eq!((fs::read(&to).unwrap(), from.exists()), (b"new".to_vec(), false));
            assert!(matches!(check_new(&to), Err(Error::Io(_))) && check_new(&from) == Ok(()));
        }
        symlink(folder.0.join("nothing"), &from).unwrap();
        assert!(matches!(check_new(&from), Err(Error::Io(_))));
        assert!(matches!(check_new(Path::new("")), Err(Error::InvalidArgument(_))));
    }

    #[test]
    fn holders_are_found_in_the_list_of_locks() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:01:131 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 08:01:130 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 0 08:01:131 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 13 08:01:131 0 EOF\n\
                     4: FLOCK  ADVISORY  READ  14 08:01:131 0 EOF\n";
        assert_eq!(holder_in(locks, "08:01:131"), Some(14));
        assert_eq!(holder_in(locks, "08:01:132"), None);
        assert_eq!(holder_in("nonsense\n\n", "08:01:131"), None);
    }

    #[test]
    fn time_and_boot_are_known() {
        let folder = Folder::new();
        let disk = open(&folder.file()).unwrap();
        assert!(disk.now_ms() > 1_600_000_000_000);
        assert_eq!(disk.boot_id(), disk.boot_id());
        assert!(!Path::new("/proc/sys/kernel/random/boot_id").exists() || disk.boot_id().0 != 0);
    }
}
