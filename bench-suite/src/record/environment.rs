//! Where the numbers come from. What the system does not tell is `unknown`, never guessed.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::measure::process;

/// Machine, system, compiler and revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    pub(crate) system: String,
    pub(crate) clock_source: String,
    pub(crate) rustc: String,
    pub(crate) target: String,
    pub(crate) build: String,
    pub(crate) git_revision: String,
    /// The working tree differed from the revision.
    pub(crate) git_dirty: Option<bool>,
    /// Mode of transparent huge pages.
    pub(crate) huge_pages: String,
    /// How measured processes allocate.
    pub(crate) allocator: String,
    pub(crate) load_average: f64,
    pub(crate) timer_ns: u64,
}

/// Lets glibc's malloc ask for huge pages as the stores with regions of their own do, so that no map loses by its allocator.
pub(crate) const MALLOC_TUNABLE: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

impl Environment {
    pub(crate) fn look() -> Environment {
        let cpu_info = read("/proc/cpuinfo");
        let memory = read("/proc/meminfo");
        let system = read("/etc/os-release");
        Environment {
            cpu: field(&cpu_info, "model name", ':').unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_bytes: field(&memory, "MemTotal", ':')
                .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
                .map_or(0, |kib| kib * 1024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            system: field(&system, "PRETTY_NAME", '=')
                .map_or_else(unknown, |name| name.trim_matches('"').to_owned()),
            clock_source: clock_source(),
            rustc: env!("BUILD_RUSTC").to_owned(),
            target: env!("BUILD_TARGET").to_owned(),
            build: format!("{} {}", env!("BUILD_PROFILE"), env!("BUILD_FLAGS")).trim().to_owned(),
            git_revision: git(&["rev-parse", "HEAD"]).unwrap_or_else(unknown),
            git_dirty: git(&["status", "--porcelain"]).map(|changes| !changes.is_empty()),
            huge_pages: chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled")),
            allocator: format!("glibc malloc with {}={}", MALLOC_TUNABLE.0, MALLOC_TUNABLE.1),
            load_average: process::load_average(),
            timer_ns: crate::measure::closed_loop::timer_ns(),
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn clock_source() -> String {
    let name = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    if name.is_empty() { unknown() } else { name.trim().to_owned() }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What follows `separator` on the line that starts with `name`.
fn field(text: &str, name: &str, separator: char) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(separator)?.1.trim().to_owned())
}

/// The word in brackets.
fn chosen(text: &str) -> String {
    text.split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or_else(unknown, |(word, _)| word.to_owned())
}

/// Asks git about the sources that this program was built from, wherever it is run.
fn git(arguments: &[&str]) -> Option<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("git").arg("-C").arg(sources).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_chosen_mode() {
        assert_eq!(chosen("always [madvise] never\n"), "madvise");
        assert_eq!(chosen(""), "unknown");
    }

    #[test]
    fn knows_this_machine() {
        let here = Environment::look();
        assert!(here.cores > 0 && here.memory_bytes > 0 && !here.kernel.is_empty());
    }
}
