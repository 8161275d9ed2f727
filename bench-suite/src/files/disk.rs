//! What files cost: their blocks, the pages that became dirty for them, and what a sync takes where they are.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::Instant;

use crate::engines::pwrite::{PAGE, preallocated};
use crate::fault::{Context, Fault, Result};
use crate::record::files::Place;

/// Syncs whose cost is taken.
const SAMPLES: u64 = 40;

/// Bytes of all blocks of all files below a folder; what vanishes meanwhile counts as nothing.
pub(crate) fn allocated(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| Some((file.path(), file.metadata().ok()?)))
        .map(|(path, facts)| if facts.is_dir() { allocated(&path) } else { facts.blocks() * 512 })
        .sum()
}

/// Bytes of pages that a process has made dirty so far in files with a device below them. The kernel counts a page when it goes from
/// clean to dirty, whether by a write or by a store through a shared map, so each counts as often as it goes to the device.
/// The file system's journal and the device's own work are not in it, nor what another process writes for this one.
pub(crate) fn dirtied_bytes(process: u32) -> Result<u64> {
    transferred(process, "write_bytes:")
}

/// Bytes that a process has read so far from files with a device below them, its background threads' and what the kernel read around
/// them included; `None` where the kernel does not tell.
pub(crate) fn read_bytes(process: u32) -> Option<u64> {
    transferred(process, "read_bytes:").ok()
}

fn transferred(process: u32, name: &str) -> Result<u64> {
    let path = format!("/proc/{process}/io");
    let text = fs::read_to_string(&path).context(|| format!("cannot read {path}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        .ok_or_else(|| Fault::new(format!("{path} has no line `{name} …`")))
}

/// Syncs every file below a folder, whoever wrote it; what vanishes meanwhile needs no sync.
pub(crate) fn sync(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sync(&path)?;
        } else if let Ok(file) = fs::File::open(&path) {
            file.sync_all().context(|| format!("cannot sync {}", path.display()))?;
        }
    }
    Ok(())
}

/// Looks at the file system below a folder and times syncs there.
pub(crate) fn place(folder: &Path) -> Result<Place> {
    let (device, file_system) = mount(folder);
    let file = folder.join("fdatasync-cost");
    let pages = preallocated(&file, SAMPLES)?;
    let mut costs = (0..SAMPLES)
        .map(|page| {
            let doing = || format!("cannot write {}", file.display());
            let before = Instant::now();
            pages.write_all_at(&[2; PAGE], page * PAGE as u64).context(doing)?;
            pages.sync_data().context(doing)?;
            Ok(u64::try_from(before.elapsed().as_nanos()).unwrap_or(u64::MAX))
        })
        .collect::<Result<Vec<u64>>>()?;
    fs::remove_file(&file).context(|| format!("cannot remove {}", file.display()))?;
    costs.sort_unstable();
    let at = |share: usize| costs[costs.len() * share / 100];
    Ok(Place {
        file_system,
        device,
        fdatasync_ns: at(50),
        fdatasync_p90_ns: at(90),
        samples: SAMPLES,
    })
}

/// Device, and type with options, of the mount that holds a folder: the longest mount point that leads to it.
fn mount(folder: &Path) -> (String, String) {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let best = fields
        .filter(|fields| fields.len() > 3 && folder.starts_with(fields[1]))
        .max_by_key(|fields| fields[1].len());
    best.map_or_else(
        || ("unknown".to_owned(), "unknown".to_owned()),
        |fields| (fields[0].to_owned(), format!("{} ({})", fields[2], fields[3])),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch::Scratch;

    /// Beside the test's own program, which lies on a disk, as the system's folder for temporary files may not.
    fn scratch(name: &str) -> Scratch {
        let program = std::env::current_exe().unwrap();
        Scratch::below(program.parent().unwrap(), name).unwrap()
    }

    #[test]
    fn pages_of_a_map_count_as_often_as_they_become_dirty() {
        let scratch = scratch("dirtied");
        const PAGES: usize = 512;
        let file = preallocated(&scratch.path().join("pages"), PAGES as u64).unwrap();
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(scratch.path().join("pages"))
            .inspect(|_| drop(file))
            .unwrap();
        // SAFETY: nobody else has the file.
        let mut map = unsafe { memmap2::MmapMut::map_mut(&file) }.unwrap();
        let mut dirty = |byte| {
            let before = dirtied_bytes(std::process::id()).unwrap();
            // Twice, of which the second finds it dirty.
            for round in [byte, byte + 1] {
                (0..PAGES).for_each(|page| map[page * PAGE] = round);
            }
            dirtied_bytes(std::process::id()).unwrap() - before
        };
        let bytes = (PAGES * PAGE) as u64;
        let first = dirty(10);
        file.sync_all().unwrap();
        let second = dirty(20);
        let expected = bytes..bytes + bytes / 2;
        assert!(expected.contains(&first) && expected.contains(&second), "{first}, {second}");
    }

    #[test]
    fn blocks_are_counted_in_folders_too() {
        let scratch = scratch("blocks");
        let inner = scratch.path().join("inner");
        fs::create_dir(&inner).unwrap();
        preallocated(&inner.join("pages"), 10).unwrap();
        let bytes = allocated(scratch.path());
        assert!((40_960..81_920).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_place_has_a_file_system_and_a_cost() {
        let scratch = scratch("place");
        let place = place(scratch.path()).unwrap();
        assert!(place.fdatasync_ns > 0 && place.fdatasync_ns <= place.fdatasync_p90_ns);
        assert_ne!(place.file_system, "unknown");
    }
}
