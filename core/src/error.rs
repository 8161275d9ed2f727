//! The one error type. It carries lengths, limits and offsets, never keys or values.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What every fallible operation returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation could not be done. A key that is not there is not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An argument lies outside its documented range. The text names the argument, its value and the limit.
    InvalidArgument(String),
    /// A key is longer than the store takes.
    KeyTooLarge {
        /// Length of the key in bytes.
        len: usize,
        /// Longest key this store takes, in bytes.
        max: usize,
    },
    /// A value is longer than the store takes, or a frame of it.
    ValueTooLarge {
        /// Length of the value in bytes.
        len: usize,
        /// Longest value this store, or a frame of it, takes, in bytes.
        max: usize,
    },
    /// The pairs of a frame are more than a segment takes.
    FrameTooLarge {
        /// What the pairs count: for each its key and value, rounded up to 8 bytes, and 64 bytes more.
        bytes: usize,
        /// What a frame may count, in bytes.
        max: usize,
    },
    /// The entry does not fit beside what is live. Nothing was changed.
    Full {
        /// Bytes that live entries and the index occupy.
        live_bytes: u64,
        /// The cap that was set by `max_bytes`.
        max_bytes: u64,
        /// The file whose entries do not fit, where it is opened or copied to.
        path: Option<Box<PathBuf>>,
    },
    /// The value is not a canonical decimal integer of up to 20 bytes.
    NotANumber {
        /// Length of the value in bytes.
        len: usize,
    },
    /// The sum lies outside the range of a signed 64-bit integer. Nothing was changed.
    Overflow {
        /// The number that is stored.
        value: i64,
        /// What was to be added to it.
        delta: i64,
    },
    /// As many segments are pinned as the store allows. Unpin something and try again.
    Busy {
        /// Segments that are pinned.
        pinned: u64,
        /// Segments that may be pinned at once.
        max: u64,
    },
    /// The store was opened by a parent process. Open a store of your own after `fork`.
    Forked,
    /// The operating system gave no address space or memory.
    NoMemory {
        /// Bytes that were asked for.
        bytes: u64,
        /// What the operating system answered.
        reason: String,
    },
    /// Another store has the file open: a writer shares it with nobody, readers with each other.
    Locked {
        /// The file.
        path: Box<Path>,
        /// The process that holds it, where the operating system tells.
        holder: Option<u32>,
    },
    /// The operating system failed to do something with the file.
    Io(Box<IoFailure>),
    /// The file was written by a version of this library with another format.
    Version {
        /// Major version of the file's format.
        found: u64,
        /// Major version that this library reads and writes.
        supported: u64,
        /// The file.
        path: Option<Box<PathBuf>>,
    },
    /// An earlier failure to write or sync left it unknown what is durable. Open the store again.
    Poisoned,
    /// The store was opened for reading only.
    ReadOnly,
    /// What is told of progress asked for the operation to end.
    Cancelled,
    /// Something that this library knows but cannot do here. The text names it and what is missing.
    Unsupported(String),
    /// A structure in memory or on disk is not what this library wrote.
    Corrupt(Box<Corruption>),
}

/// What is not as this library wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    /// What was found to be wrong.
    pub what: &'static str,
    /// The number that was found instead, if it was one.
    pub found: Option<u64>,
    /// Where, in bytes from the start of the file, or of the region of a store in memory.
    pub offset: u64,
    /// The file of a store in one.
    pub path: Option<PathBuf>,
}

/// What the operating system refused to do with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoFailure {
    /// What was to be done, as in "sync".
    pub op: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What kind of failure it was.
    pub kind: io::ErrorKind,
    /// The number that the operating system gave it, if any.
    pub code: Option<i32>,
    /// What the operating system says of it.
    pub reason: String,
}

const _: () = assert!(
    size_of::<Error>() <= 32,
    "every operation answers it: a larger one costs each of them"
);

impl Error {
    /// Something is not what was written, at this byte.
    #[cold]
    pub(crate) fn corrupt(what: &'static str, offset: u64) -> Error {
        Error::Corrupt(Box::new(Corruption { what, found: None, offset, path: None }))
    }

    /// The same of a number, which is told.
    #[cold]
    pub(crate) fn corrupt_number(what: &'static str, found: u64, offset: u64) -> Error {
        Error::Corrupt(Box::new(Corruption { what, found: Some(found), offset, path: None }))
    }

    /// The same error, and of which file, if that was not known yet where it arose.
    #[cold]
    pub(crate) fn in_file(mut self, file: &Path) -> Error {
        match &mut self {
            Error::Corrupt(corruption) => {
                corruption.path.get_or_insert_with(|| file.to_owned());
            }
            Error::Version { path, .. } | Error::Full { path, .. } => {
                path.get_or_insert_with(|| Box::new(file.to_owned()));
            }
            _ => {}
        }
        self
    }

    /// The same error, of a place that was counted from this byte on.
    #[cold]
    pub(crate) fn behind(mut self, byte: u64) -> Error {
        if let Error::Corrupt(corruption) = &mut self {
            corruption.offset += byte;
        }
        self
    }

    /// The file that an error is about, where it is one of a file and says so.
    ///
    /// ```
    /// use nyala::{Error, Options, Store};
    /// # let folder = std::env::temp_dir().join(format!("nyala-error-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("letter.txt");
    /// std::fs::write(&path, "This is no store.")?;
    /// let error = Store::open(Options::file(&path)).unwrap_err();
    /// assert!(matches!(error, Error::Corrupt(_)));
    /// assert_eq!(error.path(), Some(path.as_path()));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Error::Corrupt(corruption) => corruption.path.as_deref(),
            Error::Version { path, .. } | Error::Full { path, .. } => {
                path.as_ref().map(|path| path.as_path())
            }
            Error::Locked { path, .. } => Some(path),
            Error::Io(failure) => Some(&failure.path),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidArgument(what) => write!(f, "invalid argument: {what}"),
            Error::KeyTooLarge { len, max } => {
                write!(f, "key of {len} bytes is too large: the limit is {max} bytes")
            }
            Error::ValueTooLarge { len, max } => {
                write!(f, "value of {len} bytes is too large: the limit is {max} bytes")
            }
            Error::FrameTooLarge { bytes, max } => {
                write!(f, "frame of {bytes} bytes is too large: the limit is {max} bytes")
            }
            Error::Full { live_bytes, max_bytes, path: None } => {
                write!(f, "store is full: {live_bytes} live bytes of max_bytes = {max_bytes} bytes")
            }
            Error::Full { live_bytes, max_bytes, path: Some(path) } => write!(
                f,
                "what file {} is to hold does not fit max_bytes = {max_bytes} bytes: it was full at {live_bytes} live bytes",
                path.display()
            ),
            Error::NotANumber { len } => write!(
                f,
                "value of {len} bytes is not a number: expected a canonical decimal integer of up to 20 bytes"
            ),
            Error::Overflow { value, delta } => write!(
                f,
                "increment of {value} by {delta} overflows: the limits are {} and {}",
                i64::MIN,
                i64::MAX
            ),
            Error::Busy { pinned, max } => {
                write!(f, "too many pins: {pinned} segments are pinned, the limit is {max}")
            }
            Error::Forked => {
                f.write_str("store was opened before fork: open another one in the child process")
            }
            Error::NoMemory { bytes, reason } => {
                write!(f, "no memory: {bytes} bytes were refused: {reason}")
            }
            Error::Locked { path, holder: Some(holder) } => {
                write!(f, "file {} is locked: process {holder} has it open", path.display())
            }
            Error::Locked { path, holder: None } => {
                write!(f, "file {} is locked: another process has it open", path.display())
            }
            Error::Io(failure) => {
                let IoFailure { op, path, reason, .. } = &**failure;
                write!(f, "cannot {op} {}: {reason}", path.display())
            }
            Error::Version { found, supported, path } => {
                f.write_str("file ")?;
                if let Some(path) = path {
                    write!(f, "{} ", path.display())?;
                }
                write!(
                    f,
                    "has format version {found}: this library reads and writes version {supported}"
                )
            }
            Error::Poisoned => f.write_str(
                "store is poisoned: an earlier write or sync of its file failed: open it again",
            ),
            Error::ReadOnly => f.write_str("store was opened for reading only"),
            Error::Cancelled => f.write_str("cancelled by what is told of progress"),
            Error::Unsupported(what) => write!(f, "unsupported: {what}"),
            Error::Corrupt(corruption) => {
                let Corruption { what, found, offset, path } = &**corruption;
                if let Some(path) = path {
                    write!(f, "file {} is ", path.display())?;
                }
                write!(f, "corrupt at byte {offset}: {what}")?;
                found.map_or(Ok(()), |found| write!(f, ": {found}"))
            }
        }
    }
}

impl std::error::Error for Error {}
