//! How much memory this process may have: what the machine has, or less if a control group says so.

use std::fs;
use std::path::{Path, PathBuf};

/// In bytes; more than any file where nobody says.
pub(crate) fn allowed() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = |file: &PathBuf| fs::read_to_string(file).ok()?.trim().parse().ok();
    let limits = limit_files(&groups);
    let machine = machine_bytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default());
    limits.iter().filter_map(limit).chain(machine).min().unwrap_or(u64::MAX)
}

/// What `/proc/meminfo` says in lines like `MemTotal:       24641040 kB`.
fn machine_bytes(text: &str) -> Option<u64> {
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The files that hold the limits of the groups that `/proc/self/cgroup` lists, and of those above them, in lines like
/// `4:memory:/group` of the first version and `0::/group` of the second. A container may see its own group as the root alone.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let of_line = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            some if some.split(',').any(|controller| controller == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let group = Path::new(root).join(path.trim_start_matches('/'));
        let above = group.ancestors().take_while(|folder| folder.starts_with(root));
        Some(above.map(|folder| folder.join(name)).collect::<Vec<_>>())
    };
    groups.lines().filter_map(of_line).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_how_much_it_has() {
        assert_eq!(
            machine_bytes("MemFree: 5 kB\nMemTotal:       24641040 kB\n"),
            Some(25_232_424_960)
        );
        assert_eq!(machine_bytes("MemTotal: many kB\n"), None);
        assert_eq!(machine_bytes(""), None);
    }

    #[test]
    fn groups_have_limits_and_so_do_those_above_them() {
        let text = "5:devices:/x\n4:cpuset,memory:/a/b\nno group\n0::/c\n";
        let expected = [
            "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/c/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(limit_files(text), expected.map(PathBuf::from));
    }

    #[test]
    fn some_memory_is_allowed() {
        assert!(allowed() > 1 << 20);
    }
}
