//! What the kernel says about processes: memory, processor time, steal. Linux's /proc, read as text.

use std::path::Path;

use crate::fault::{Context, Fault, Result};

/// Resident memory of this process, in bytes.
pub(crate) fn resident_bytes() -> Result<u64> {
    resident_from("/proc/self/smaps_rollup")
}

/// Resident memory of another process, in bytes.
pub(crate) fn resident_bytes_of(process: u32) -> Result<u64> {
    resident_from(&format!("/proc/{process}/smaps_rollup"))
}

/// Resident memory of a process that no file lies under, in bytes.
pub(crate) fn anonymous_bytes_of(process: u32) -> Result<u64> {
    kib_of(&format!("/proc/{process}/smaps_rollup"), "Anonymous:")
}

/// The sum over all mappings: /proc/PID/statm would be cheaper, but is brought up to date only every 64 pages a thread.
fn resident_from(path: &str) -> Result<u64> {
    kib_of(path, "Rss:")
}

fn kib_of(path: &str, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(path).context(|| format!("cannot read {path}"))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        })
        .map(|kib| kib * 1024)
        .ok_or_else(|| Fault::new(format!("{path} has no line `{name} … kB`")))
}

/// User and system time of this process and all its threads, in seconds.
pub(crate) fn cpu_seconds() -> f64 {
    cpu_seconds_by(libc::RUSAGE_SELF)
}

/// The same of all processes that this one has started, if they have ended and were waited for.
pub(crate) fn cpu_seconds_of_ended() -> f64 {
    cpu_seconds_by(libc::RUSAGE_CHILDREN)
}

fn cpu_seconds_by(who: libc::c_int) -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is large enough for what the call writes.
    if unsafe { libc::getrusage(who, usage.as_mut_ptr()) } != 0 {
        return 0.0;
    }
    // SAFETY: zeroed before and filled by the call; every bit pattern is a valid `rusage`.
    let usage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// User and system time of another process, in seconds, to the kernel's tick of 10 milliseconds.
pub(crate) fn cpu_seconds_of(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path).context(|| format!("cannot read {path}"))?;
    // The program's name, in parentheses, may hold spaces; fields 14 and 15 count from the whole line's start.
    let fields: Vec<&str> =
        text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<u32>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok(f64::from(user + system) / 100.0),
        _ => Err(Fault::new(format!("{path} has no processor times"))),
    }
}

/// Ends a process, if it is still there.
pub(crate) fn kill(process: libc::pid_t) {
    // SAFETY: a plain system call. One that has ended by itself is no fault.
    let _ = unsafe { libc::kill(process, libc::SIGKILL) };
}

/// Processor time of the whole machine since it started: all of it, and what the hypervisor gave to others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MachineTime {
    all: u64,
    stolen: u64,
}

impl MachineTime {
    pub(crate) fn now() -> MachineTime {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let fields: Vec<u64> = text
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|field| field.parse().ok())
            .collect();
        MachineTime { all: fields.iter().sum(), stolen: fields.get(7).copied().unwrap_or(0) }
    }

    /// Per cent of the machine's time that was stolen since `earlier`.
    pub(crate) fn steal_percent_since(self, earlier: MachineTime) -> f64 {
        let all = self.all.saturating_sub(earlier.all);
        let stolen = self.stolen.saturating_sub(earlier.stolen);
        if all == 0 { 0.0 } else { 100.0 * stolen as f64 / all as f64 }
    }
}

/// Runnable processes, averaged over the last minute.
pub(crate) fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0.0)
}

/// Bytes that the file system under `path` has left for us.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
    let mut facts = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path is null-terminated, and `facts` large enough for what the call writes.
    if unsafe { libc::statvfs(path.as_ptr(), facts.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: zeroed before and filled by the call; every bit pattern is a valid `statvfs`.
    let facts = unsafe { facts.assume_init() };
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// Bytes of the files in a directory; what vanishes meanwhile counts as nothing.
pub(crate) fn bytes_below(directory: &Path) -> u64 {
    let Ok(files) = std::fs::read_dir(directory) else {
        return 0;
    };
    files
        .flatten()
        .filter_map(|file| file.metadata().ok())
        .filter(|facts| facts.is_file())
        .map(|facts| facts.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_grows_with_what_is_touched() {
        let before = resident_bytes().unwrap();
        let block = vec![1_u8; 64 << 20];
        let after = resident_bytes_of(std::process::id()).unwrap();
        assert!(after >= before + (60 << 20), "{before} to {after}");
        drop(std::hint::black_box(block));
    }

    #[test]
    fn processor_time_is_that_of_this_process() {
        let started = std::time::Instant::now();
        while started.elapsed().as_millis() < 50 {
            std::hint::spin_loop();
        }
        assert!(cpu_seconds() > 0.01);
        assert!(cpu_seconds_of(std::process::id()).unwrap() <= cpu_seconds() + 1.0);
    }

    #[test]
    fn a_missing_process_is_a_fault() {
        assert!(resident_bytes_of(u32::MAX).is_err());
        assert!(cpu_seconds_of(u32::MAX).is_err());
    }

    #[test]
    fn a_memory_file_system_has_room() {
        assert!(free_bytes(Path::new("/")).is_some());
        assert!(free_bytes(Path::new("/no/such/place")).is_none());
    }
}
