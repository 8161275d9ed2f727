//! Counts the syncs in a trace of system calls as strace writes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::{Fault, Result};
use crate::record::files::Syncs;

/// Calls that are traced: syncs, and what is needed to tell writes that sync by themselves.
pub(super) const TRACED: &str = "fsync,fdatasync,msync,sync_file_range,syncfs,sync,openat,open,close,\
                                 write,pwrite64,writev,pwritev,pwritev2,io_uring_enter";
const SYNCS: [&str; 6] = ["fsync", "fdatasync", "msync", "sync_file_range", "syncfs", "sync"];
const WRITES: [&str; 5] = ["write", "pwrite64", "writev", "pwritev", "pwritev2"];

/// A line: `PID SECONDS name(arguments) = result`, or half of one where another thread came between.
#[derive(Debug)]
struct Call<'a> {
    process: &'a str,
    at: f64,
    name: &'a str,
    /// Empty in the second half.
    arguments: &'a str,
    /// `None` in the first half.
    result: Option<i64>,
}

fn parse(line: &str) -> Option<Call<'_>> {
    let (process, rest) = line.trim_start().split_once(' ')?;
    let (at, rest) = rest.trim_start().split_once(' ')?;
    let at = at.parse().ok()?;
    let result = || {
        let (_, result) = rest.rsplit_once(" = ")?;
        result.split_whitespace().next()?.parse().ok()
    };
    if let Some(resumed) = rest.strip_prefix("<... ") {
        let name = resumed.split(' ').next()?;
        return Some(Call { process, at, name, arguments: "", result: result() });
    }
    let (name, arguments) = rest.split_once('(')?;
    let unfinished = rest.ends_with("<unfinished ...>");
    Some(Call { process, at, name, arguments, result: if unfinished { None } else { result() } })
}

fn descriptor(arguments: &str) -> Option<i64> {
    arguments.split([',', ')', ' ']).next()?.parse().ok()
}

/// Whether a file is opened so that each write to it is a sync. The flags stand behind the path, which may hold any letters.
fn opens_synced(arguments: &str) -> bool {
    let flags = arguments.rsplit('"').next().unwrap_or_default();
    flags.split([',', '|', ' ']).any(|flag| ["O_SYNC", "O_DSYNC"].contains(&flag))
}

/// What happened between the two marks, which are syncs of descriptor -1.
pub(super) fn syncs(trace: &str, sets: u64) -> Result<Syncs> {
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    let mut synced_files: BTreeSet<i64> = BTreeSet::new();
    // Arguments of calls whose second half is still to come.
    let mut begun: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut marks = Vec::new();
    let (mut last, mut longest_gap) = (0.0, 0.0_f64);
    for call in trace.lines().filter_map(parse) {
        let key = || (call.process.to_owned(), call.name.to_owned());
        let Some(result) = call.result else {
            begun.insert(key(), call.arguments.to_owned());
            continue;
        };
        let arguments = if call.arguments.is_empty() {
            begun.remove(&key()).unwrap_or_default()
        } else {
            call.arguments.to_owned()
        };
        let file = descriptor(&arguments);
        if call.name == "fsync" && file == Some(-1) {
            if marks.len() == 1 {
                longest_gap = longest_gap.max(call.at - last);
            }
            marks.push(call.at);
            last = call.at;
            continue;
        }
        match call.name {
            "openat" | "open" if opens_synced(&arguments) => {
                synced_files.insert(result);
            }
            "close" | "openat" | "open" => {
                synced_files.remove(&if call.name == "close" {
                    file.unwrap_or(-1)
                } else {
                    result
                });
            }
            _ => {}
        }
        let weak = call.name == "msync" && !arguments.contains("MS_SYNC");
        let name = if SYNCS.contains(&call.name) && !weak {
            call.name
        } else if WRITES.contains(&call.name)
            && (file.is_some_and(|file| synced_files.contains(&file))
                || ["RWF_DSYNC", "RWF_SYNC"].iter().any(|flag| arguments.contains(flag)))
        {
            "dsync-write"
        } else {
            continue;
        };
        if marks.len() == 1 && result >= 0 {
            *calls.entry(name.to_owned()).or_default() += 1;
            if name != "sync_file_range" {
                longest_gap = longest_gap.max(call.at - last);
                last = call.at;
            }
        }
    }
    match marks[..] {
        [begin, end] => Ok(Syncs { sets, seconds: end - begin, calls, longest_gap }),
        _ => Err(Fault::new(format!("a trace has {} marks instead of 2", marks.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
10 1.0 openat(AT_FDCWD, \"/x/data\", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5
10 1.1 openat(AT_FDCWD, \"/x/meta\", O_RDWR|O_DSYNC|O_CLOEXEC, 0600) = 6
10 1.2 fdatasync(5) = 0
10 2.0 fsync(-1) = -1 EBADF (Bad file descriptor)
10 2.1 fdatasync(5) = 0
10 2.2 pwrite64(6, \"\"..., 120, 0) = 120
11 2.3 fdatasync(5 <unfinished ...>
10 2.4 write(5, \"\"..., 9) = 9
10 2.5 msync(0x7f00, 4096, MS_ASYNC) = 0
10 2.6 msync(0x7f00, 4096, MS_SYNC) = 0
11 3.0 <... fdatasync resumed>) = 0
10 3.1 fdatasync(9) = -1 EIO (Input/output error)
10 3.2 sync_file_range(5, 0, 4096, SYNC_FILE_RANGE_WRITE) = 0
10 5.0 fsync(-1) = -1 EBADF (Bad file descriptor)
10 5.1 fdatasync(5) = 0
";

    #[test]
    fn counts_what_ended_well_between_the_marks() {
        let syncs = syncs(TRACE, 3).unwrap();
        let expected = [("fdatasync", 2), ("dsync-write", 1), ("msync", 1), ("sync_file_range", 1)];
        let expected: BTreeMap<String, u64> =
            expected.map(|(name, count)| (name.to_owned(), count)).into();
        assert_eq!(syncs.calls, expected);
        assert_eq!(syncs.durable(), 4);
        assert!((syncs.seconds - 3.0).abs() < 1e-9 && (syncs.longest_gap - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_trace_without_its_marks_is_refused() {
        assert!(syncs("", 1).is_err());
        assert!(syncs("10 1.0 fsync(-1) = -1 EBADF (x)\n", 1).is_err());
    }

    #[test]
    fn a_closed_file_no_longer_syncs() {
        let trace = "\
10 1.0 openat(AT_FDCWD, \"a\", O_WRONLY|O_SYNC) = 3
10 1.1 close(3) = 0
10 1.2 openat(AT_FDCWD, \"/O_SYNC|O_DSYNC,O_SYNC/b\", O_WRONLY|O_ASYNC) = 3
10 2.0 fsync(-1) = -1 EBADF (x)
10 2.1 write(3, \"\"..., 1) = 1
10 2.2 fsync(-1) = -1 EBADF (x)
";
        assert_eq!(syncs(trace, 1).unwrap().durable(), 0);
    }
}
