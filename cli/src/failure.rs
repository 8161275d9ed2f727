//! What went wrong, and the exit code that says so.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use nyala::Error;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

#[derive(Debug)]
pub(crate) enum Failure {
    /// A key has no value.
    NotFound(String),
    /// The key has a value already.
    Exists(String),
    /// An argument is wrong, or the input of `load`.
    Usage(String),
    /// What the store answered, and in which line of the input.
    Store(Error, Option<String>),
    /// A stream or a file failed.
    Io(String),
    /// Ended from outside.
    Interrupted(String),
    /// Nobody reads the output any more.
    Unread,
}

impl Failure {
    /// A file that the operating system refuses.
    pub(crate) fn of_file(op: &str, path: &Path, error: &io::Error) -> Failure {
        Failure::Io(format!("cannot {op} {}: {error}", path.display()))
    }

    pub(crate) fn of_output(error: &io::Error) -> Failure {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::Unread,
            _ => Failure::Io(format!("cannot write to standard output: {error}")),
        }
    }

    pub(crate) fn of_input(error: &io::Error) -> Failure {
        Failure::Io(format!("cannot read standard input: {error}"))
    }

    /// The same, and behind it what was done all the same.
    pub(crate) fn with_note(self, note: &str) -> Failure {
        let noted = |what: String| format!("{what}; {note}");
        match self {
            Failure::Usage(what) => Failure::Usage(noted(what)),
            Failure::Io(what) => Failure::Io(noted(what)),
            Failure::Interrupted(what) => Failure::Interrupted(noted(what)),
            Failure::Store(error, place) => {
                let place = place.map_or_else(String::new, |place| format!("; {place}"));
                Failure::Store(error, Some(format!("{note}{place}")))
            }
            other => other,
        }
    }

    /// The same with the file that it is about, where the store does not name it.
    pub(crate) fn in_file(self, file: &Path) -> Failure {
        match self {
            Failure::Store(
                error @ (Error::Corrupt(_) | Error::Version { .. } | Error::Full { .. }),
                place,
            ) if error.path().is_none() => {
                let place = place.map_or_else(String::new, |place| format!(": {place}"));
                Failure::Store(error, Some(format!("{}{place}", file.display())))
            }
            other => other,
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Unread => 0,
            Failure::NotFound(_) | Failure::Exists(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Store(error, _) => match error {
                Error::InvalidArgument(_)
                | Error::KeyTooLarge { .. }
                | Error::ValueTooLarge { .. }
                | Error::FrameTooLarge { .. } => 2,
                Error::Corrupt(_) => 3,
                Error::Locked { .. } => 4,
                Error::Full { .. } => 5,
                Error::Io(io) if is_full(io.kind) => 5,
                _ => 6,
            },
            Failure::Io(_) => 6,
            Failure::Interrupted(_) => 130,
        }
    }

    /// One word for scripts.
    fn kind(&self) -> &'static str {
        match (self, self.exit_code()) {
            (Failure::Exists(_), _) => "exists",
            (_, 1) => "not_found",
            (_, 2) => "usage",
            (_, 3) => "damaged",
            (_, 4) => "locked",
            (_, 5) => "full",
            (_, 130) => "interrupted",
            _ => "io",
        }
    }

    /// Says it on standard error; there is nobody to tell that this failed.
    pub(crate) fn tell(&self, json: bool) {
        if let Failure::Unread = self {
            return;
        }
        let mut stderr = io::stderr().lock();
        let _ = if json {
            let error = serde_json::json!({
                "error": { "kind": self.kind(), "exit_code": self.exit_code(), "message": self.to_string() }
            });
            writeln!(stderr, "{error}")
        } else {
            writeln!(stderr, "nyala: {self}")
        };
    }
}

fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Store(error, None) => error.fmt(f),
            Failure::Store(error, Some(place)) => write!(f, "{place}: {error}"),
            Failure::NotFound(what)
            | Failure::Exists(what)
            | Failure::Usage(what)
            | Failure::Io(what)
            | Failure::Interrupted(what) => f.write_str(what),
            Failure::Unread => f.write_str("nobody reads the output"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Cancelled => Failure::Interrupted("interrupted: nothing was changed".into()),
            error => Failure::Store(error, None),
        }
    }
}
