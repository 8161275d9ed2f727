//! Whole files: checked, copied, and what can be saved of a damaged one; and who is told how far that has come.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::ops::ControlFlow;

use nyala::{FileReport, Progress};

use crate::argument;
use crate::boundary::{self, Failure};
use crate::status::{NYALA_OK, nyala_status};
use crate::store::{self, nyala_store};
use crate::versioned::{self, Versioned};

/// Is told how far something has come: bytes of files that were worked through, and how many there are in all, about; 0
/// before that is known. Answers 0 to go on, and anything else to end it: the function then answers NYALA_ERR_CANCELLED,
/// unless it was done already.
///
/// It is called in the thread that called the function, before the work begins and every 50 milliseconds while it goes
/// on, which it does in a thread of its own, nyala-work. It may call the library. It must not throw, unwind or longjmp.
pub type nyala_progress_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, done: u64, total: u64) -> i32>;

/// What a file holds. Prepare it with nyala_file_report_init. Later versions append fields.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyala_file_report {
    /// sizeof(nyala_file_report), set by nyala_file_report_init.
    pub struct_size: usize,
    /// Entries, expired ones included that nobody noticed.
    pub entries: u64,
    /// Bytes of records that are current.
    pub live_bytes: u64,
    /// Bytes of records that are not, until they are reclaimed.
    pub dead_bytes: u64,
    /// Length of the file in bytes.
    pub file_bytes: u64,
}

// SAFETY: repr(C), the size first; integers only.
unsafe impl Versioned for nyala_file_report {
    const NAME: &'static str = "nyala_file_report";
    const FIRST_SIZE: usize = offset_of!(nyala_file_report, file_bytes) + size_of::<u64>();
}

/// A callback of the caller's, of functions that answer before it may be gone.
#[derive(Clone, Copy)]
pub(crate) struct CallerProgress {
    on_progress: unsafe extern "C" fn(*mut c_void, u64, u64) -> i32,
    userdata: *mut c_void,
}

impl CallerProgress {
    pub(crate) fn new(on_progress: nyala_progress_fn, userdata: *mut c_void) -> Option<Self> {
        on_progress.map(|on_progress| CallerProgress { on_progress, userdata })
    }

    pub(crate) fn tell(self, progress: Progress) -> ControlFlow<()> {
        // SAFETY: the header asks for a callback that works until the function answers that was given it.
        match unsafe { (self.on_progress)(self.userdata, progress.done, progress.total) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

/// Sets every number to 0 and struct_size to its argument, which is sizeof(nyala_file_report) as the program was
/// compiled.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (report NULL; struct_size below the first version's or above 4,096 bytes).
/// Threads: any. Cost: nanoseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_file_report_init(
    report: *mut nyala_file_report,
    struct_size: usize,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's struct has `struct_size` bytes.
        unsafe { versioned::init(report, struct_size, "report") }?;
        Ok(NYALA_OK)
    })
}

/// Writes a copy of a store, in memory or in a file, to a new file while it is in use, by other threads too: each entry
/// as it is at some moment of the call, with its lifetime. Nothing is at path until the copy is whole, checked and
/// durable, and nothing that is there is replaced. It can be opened with the options that the store was opened with.
///
/// Errors: NYALA_ERR_INVALID_ARGUMENT (a NULL; a path that is empty), NYALA_ERR_IO (there is something at path already,
/// or it cannot be written, as where the disk is full), NYALA_ERR_FULL (so much was written meanwhile that the copy does not
/// fit under max_bytes), NYALA_ERR_UNSUPPORTED (the file system cannot allocate space), NYALA_ERR_NO_MEMORY,
/// NYALA_ERR_CORRUPT, NYALA_ERR_FORKED; the store is as it was, and nothing is at path. Threads: any. Cost: reads every
/// entry and writes as much; the copy's index takes as much memory again meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_backup(
    store: *mut nyala_store,
    path: *const c_char,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        // SAFETY: the caller's path.
        let path = unsafe { argument::path(path, "path") }?;
        store.backup(path)?;
        Ok(NYALA_OK)
    })
}

/// As nyala_backup, tells on_progress how far it has come, and fills in *report of the copy, at most struct_size bytes
/// of it. on_progress may be NULL: nobody is told.
///
/// Errors: as nyala_backup; NYALA_ERR_CANCELLED (nothing is at path), NYALA_ERR_UNSUPPORTED (non-zero bytes behind the
/// numbers this library knows). Threads, cost: as nyala_backup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_backup_with(
    store: *mut nyala_store,
    path: *const c_char,
    on_progress: nyala_progress_fn,
    userdata: *mut c_void,
    report: *mut nyala_file_report,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's handle.
        let store = unsafe { store::of(store) }?;
        // SAFETY: the caller's path.
        let path = unsafe { argument::path(path, "path") }?;
        // SAFETY: the caller's struct.
        let report = unsafe { Report::new(report) }?;
        let found = match CallerProgress::new(on_progress, userdata) {
            Some(caller) => store.backup_with(path, |progress| caller.tell(progress)),
            None => store.backup(path),
        }?;
        report.fill(&found)
    })
}

/// Checks every record of a file that nobody has open for writing, and changes nothing; fills in *report, at most
/// struct_size bytes of it.
///
/// Errors: NYALA_ERR_CORRUPT (the message names the first place that is not what was written), NYALA_ERR_LOCKED (it is
/// open for writing), NYALA_ERR_INVALID_ARGUMENT (a NULL; struct_size outside its range; a path that is empty or names no
/// regular file), NYALA_ERR_IO (there is no such file, or it cannot be read), NYALA_ERR_VERSION, NYALA_ERR_UNSUPPORTED
/// (another library wrote it; non-zero bytes behind the numbers this library knows), NYALA_ERR_NO_MEMORY. Threads: any.
/// Cost: reads all of the file into an index in memory, 1 to 2 microseconds an entry.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_verify(
    path: *const c_char,
    report: *mut nyala_file_report,
) -> nyala_status {
    // SAFETY: handed on.
    unsafe { nyala_verify_with(path, None, std::ptr::null_mut(), report) }
}

/// As nyala_verify, and tells on_progress how far it has come. on_progress may be NULL: nobody is told.
///
/// Errors: as nyala_verify; NYALA_ERR_CANCELLED. Threads, cost: as nyala_verify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_verify_with(
    path: *const c_char,
    on_progress: nyala_progress_fn,
    userdata: *mut c_void,
    report: *mut nyala_file_report,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's path.
        let path = unsafe { argument::path(path, "path") }?;
        // SAFETY: the caller's struct.
        let report = unsafe { Report::new(report) }?;
        let found = match CallerProgress::new(on_progress, userdata) {
            Some(caller) => nyala::verify_with(path, |progress| caller.tell(progress)),
            None => nyala::verify(path),
        }?;
        report.fill(&found)
    })
}

/// Copies what is whole of the damaged file `from` to a new file `to`, changes nothing in the damaged one, and fills in
/// *report of the copy, at most struct_size bytes of it. Where a later record of a key is lost, an older value may come
/// back, and what was deleted too: for when there is no backup.
///
/// Errors: NYALA_ERR_CORRUPT (nothing can be read, because both main headers are lost), NYALA_ERR_LOCKED (it is open for
/// writing), NYALA_ERR_INVALID_ARGUMENT (a NULL; struct_size outside its range; a path that is empty or names no regular
/// file), NYALA_ERR_IO (there is no such file, or it cannot be read; there is something at `to` already, or it cannot be
/// written), NYALA_ERR_FULL (what was damaged does not fit under the cap of the copy), NYALA_ERR_VERSION, NYALA_ERR_UNSUPPORTED (another library wrote it; the
/// file system cannot allocate space; non-zero bytes behind the numbers this library knows), NYALA_ERR_NO_MEMORY; nothing
/// is at `to`. Threads: any. Cost: that of nyala_verify and of nyala_backup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_salvage(
    from: *const c_char,
    to: *const c_char,
    report: *mut nyala_file_report,
) -> nyala_status {
    // SAFETY: handed on.
    unsafe { nyala_salvage_with(from, to, None, std::ptr::null_mut(), report) }
}

/// As nyala_salvage, and tells on_progress how far it has come. on_progress may be NULL: nobody is told.
///
/// Errors: as nyala_salvage; NYALA_ERR_CANCELLED (nothing is at `to`). Threads, cost: as nyala_salvage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nyala_salvage_with(
    from: *const c_char,
    to: *const c_char,
    on_progress: nyala_progress_fn,
    userdata: *mut c_void,
    report: *mut nyala_file_report,
) -> nyala_status {
    boundary::call(|| {
        // SAFETY: the caller's path.
        let from = unsafe { argument::path(from, "from") }?;
        // SAFETY: the caller's path.
        let to = unsafe { argument::path(to, "to") }?;
        // SAFETY: the caller's struct.
        let report = unsafe { Report::new(report) }?;
        let found = match CallerProgress::new(on_progress, userdata) {
            Some(caller) => nyala::salvage_with(from, to, |progress| caller.tell(progress)),
            None => nyala::salvage(from, to),
        }?;
        report.fill(&found)
    })
}

/// The caller's struct, checked before the work and filled in after it.
struct Report(*mut nyala_file_report);

impl Report {
    /// # Safety
    /// `report` is NULL or points to a struct as large as its first field says, while this lives.
    unsafe fn new(report: *mut nyala_file_report) -> Result<Report, Failure> {
        // SAFETY: handed on.
        unsafe { versioned::read(report, "report") }?;
        Ok(Report(report))
    }

    fn fill(self, found: &FileReport) -> Result<nyala_status, Failure> {
        let answer = nyala_file_report {
            struct_size: 0,
            entries: found.entries,
            live_bytes: found.live_bytes,
            dead_bytes: found.dead_bytes,
            file_bytes: found.file_bytes,
        };
        // SAFETY: `new`'s caller vouched for the struct.
        unsafe { versioned::write(self.0, &answer, "report") }?;
        Ok(NYALA_OK)
    }
}
