//! A control group that caps the memory of one measuring process: what it allocates, and the pages of files that it brings into the
//! page cache.
//!
//! It is made below the group that this process is in, or above that where the kernel allows no other. A guard removes it: this program
//! once more, in a process group of its own, which waits until we let the group go or are gone, whatever ended us.

use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::process;
use crate::fault::{Context, Fault, Result};
use crate::report::format;

/// The hidden subcommand of the guard.
pub(crate) const GUARD: &str = "__guard";
/// Lists the processes of a group; who writes 0 to it goes in.
const PROCESSES: &str = "cgroup.procs";
/// A group can be removed once the kernel has let go of its last process.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// The two interfaces that kernels have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A place where groups can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    version: Version,
    folder: PathBuf,
}

/// A process that the kernel ended because it needed more than its group allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutOfMemory {
    pub(crate) engine: String,
    pub(crate) limit_bytes: u64,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = format::bytes(self.limit_bytes);
        write!(f, "{} needed more memory than its limit of {limit} and was killed", self.engine)
    }
}

impl From<OutOfMemory> for Fault {
    fn from(end: OutOfMemory) -> Fault {
        Fault::new(end.to_string())
    }
}

/// A group, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Cage {
    place: Place,
    guard: Child,
    limit_bytes: u64,
}

impl Cage {
    /// A group whose processes may take so many bytes together, and nothing of the swap. `program` is this program's file.
    pub(crate) fn new(program: &Path, limit_bytes: u64) -> Result<Cage> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nyala-bench-{}-{number}", std::process::id());
        let mut why = Fault::new("no memory controller of control groups is mounted");
        for Place { version, folder } in
            places(&read("/proc/self/mounts"), &read("/proc/self/cgroup"))
        {
            let folder = folder.join(&name);
            match fs::create_dir(&folder) {
                Ok(()) => return Cage::guarded(Place { version, folder }, program, limit_bytes),
                Err(error) => {
                    why = Fault::new(format!(
                        "cannot make the control group {}: {error}",
                        folder.display()
                    ));
                }
            }
        }
        Err(why)
    }

    /// Takes over a group that was made just now.
    fn guarded(place: Place, program: &Path, limit_bytes: u64) -> Result<Cage> {
        let guard = Command::new(program)
            .arg(GUARD)
            .arg(&place.folder)
            // Signals from a terminal, which end us, are not for it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        let guard = match guard {
            Ok(guard) => guard,
            Err(error) => {
                // Empty as it is.
                let _ = fs::remove_dir(&place.folder);
                return Err(Fault::new(format!("cannot start {}: {error}", program.display())));
            }
        };
        let cage = Cage { place, guard, limit_bytes };
        cage.limit()?;
        Ok(cage)
    }

    fn limit(&self) -> Result<()> {
        let folder = &self.place.folder;
        let set = |name: &str, value: u64| {
            let file = folder.join(name);
            fs::write(&file, value.to_string())
                .context(|| format!("cannot write {value} to {}", file.display()))
        };
        let there = |name: &str| folder.join(name).exists();
        match self.place.version {
            Version::One => {
                set("memory.limit_in_bytes", self.limit_bytes)?;
                // Memory and swap together: nothing is left for the swap.
                if there("memory.memsw.limit_in_bytes") {
                    set("memory.memsw.limit_in_bytes", self.limit_bytes)
                } else {
                    set("memory.swappiness", 0)
                }
            }
            Version::Two => {
                set("memory.max", self.limit_bytes)?;
                if there("memory.swap.max") { set("memory.swap.max", 0) } else { Ok(()) }
            }
        }
    }

    /// The file through which a process goes in.
    pub(crate) fn door(&self) -> PathBuf {
        self.place.folder.join(PROCESSES)
    }

    /// Whether the kernel has ended a process of the group for want of memory.
    pub(crate) fn has_killed(&self) -> bool {
        let file = match self.place.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(self.place.folder.join(file)).unwrap_or_default();
        let count =
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse::<u64>().ok());
        count.is_some_and(|count| count > 0)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // The end of its input tells it to remove the group.
        drop(self.guard.stdin.take());
        // It says itself what it could not do.
        let _ = self.guard.wait();
    }
}

/// Puts this process into a group. To be called before anything is opened: pages that are there already are charged to others.
pub(crate) fn enter(door: &Path) -> Result<()> {
    fs::write(door, "0").context(|| format!("cannot go into {}", door.display()))
}

/// What the guard does: waits for the end of its input, ends what is still in the group, and removes it.
pub(crate) fn guard(folder: &Path) -> Result<()> {
    // An input that cannot be read has no other end any more.
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
    let mut outcome = Ok(());
    for _ in 0..TRIES {
        let inside = fs::read_to_string(folder.join(PROCESSES)).unwrap_or_default();
        inside.lines().filter_map(|line| line.parse().ok()).for_each(process::kill);
        outcome = fs::remove_dir(folder);
        match &outcome {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => std::thread::sleep(PAUSE),
            _ => return Ok(()),
        }
    }
    outcome.context(|| format!("cannot remove the control group {}", folder.display()))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Folders in which a group that limits memory may be made, the best first. In the second interface only a group without processes hands
/// its controllers on, so ours hardly does, and the groups above it come next.
fn places(mounts: &str, own: &str) -> Vec<Place> {
    let mut places = Vec::new();
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, mount, kind, options, ..] = fields[..] else { continue };
        let version = match kind {
            "cgroup" if options.split(',').any(|option| option == "memory") => Version::One,
            "cgroup2" => Version::Two,
            _ => continue,
        };
        let own = own.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let ours = match version {
                Version::One => controllers.split(',').any(|name| name == "memory"),
                Version::Two => controllers.is_empty(),
            };
            ours.then(|| path.trim_start_matches('/'))
        });
        let root = Path::new(mount);
        // In a container the mount may begin below what the kernel names.
        let below = own.map(|own| root.join(own)).filter(|below| below.is_dir());
        let candidates = below.as_deref().unwrap_or(root).ancestors();
        let candidates = candidates.take_while(|folder| folder.starts_with(root));
        let hands_memory_on = |folder: &&Path| {
            let names = fs::read_to_string(folder.join("cgroup.subtree_control"));
            names.is_ok_and(|names| names.split_whitespace().any(|name| name == "memory"))
        };
        let fit: Vec<&Path> = match version {
            Version::One => candidates.take(1).collect(),
            Version::Two => candidates.filter(hands_memory_on).collect(),
        };
        places.extend(fit.into_iter().map(|folder| Place { version, folder: folder.to_owned() }));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_this_process_comes_first() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /proc/self cgroup rw,relatime,memory 0 0\n\
                      cgroup /proc cgroup rw,relatime,cpu 0 0\n";
        let found = places(mounts, "4:cpu:/x\n3:memory,hugetlb:/task\n0::/\n");
        let place = |folder| [Place { version: Version::One, folder: PathBuf::from(folder) }];
        assert_eq!(found, place("/proc/self/task"));
        // A path that is not below the mount leaves the mount itself.
        assert_eq!(places(mounts, "3:memory:/no/such/group\n"), place("/proc/self"));
        assert!(places("cgroup /proc cgroup rw,cpu 0 0\n", "3:memory:/\n").is_empty());
    }

    #[test]
    fn groups_of_the_second_kind_need_the_controller() {
        let folder = std::env::temp_dir().join(format!("nyala-bench-cage-{}", std::process::id()));
        let inner = folder.join("a/b");
        fs::create_dir_all(&inner).unwrap();
        for (group, handed) in [(folder.join("a/b"), ""), (folder.join("a"), "cpu memory\n")] {
            fs::write(group.join("cgroup.subtree_control"), handed).unwrap();
        }
        let mounts = format!("cgroup2 {} cgroup2 rw 0 0\n", folder.display());
        let expected = [Place { version: Version::Two, folder: folder.join("a") }];
        assert_eq!(places(&mounts, "0::/a/b\n"), expected);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_limit_is_told_in_words() {
        let end = OutOfMemory { engine: "lmdb".to_owned(), limit_bytes: 64 << 20 };
        let text = Fault::from(end).to_string();
        assert!(text.contains("lmdb") && text.contains("64.0 MiB"), "{text}");
    }
}
