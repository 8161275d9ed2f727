//! What the operating system may refuse: space, length, permission, and names that come to mean another file.
#![cfg(unix)]
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::validate;
use nyala::{Durability, Error, Options, Store, Tuning};

/// Says what a child of this program is to do, and with which file.
const TASK: &str = "NYALA_REALFS_TASK";
const FILE: &str = "NYALA_REALFS_FILE";

/// Says that this process is in a namespace of its own, in which it may mount what it likes, if it may anywhere.
const NAMESPACE: &str = "NYALA_REALFS_NAMESPACE";

const MIB: u64 = 1 << 20;
const NOBODY: u32 = 65_534;

/// A folder that goes with the test, and with what is mounted on it.
struct Folder {
    path: PathBuf,
    mounted: bool,
    /// The file that the filesystem lies in.
    image: Option<PathBuf>,
}

/// What can be mounted small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filesystem {
    Tmpfs,
    /// In a file, which takes a loop device.
    Ext4,
}

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("nyala-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Folder { path, mounted: false, image: None }
    }

    /// A filesystem of so many KiB, or `None` where this process may not mount one.
    fn small(name: &str, filesystem: Filesystem, kib: u64) -> Option<Folder> {
        let mut folder = Folder::new(name);
        let mut mount = Command::new("mount");
        match filesystem {
            Filesystem::Tmpfs => {
                mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]);
            }
            Filesystem::Ext4 => {
                // In memory, so that its syncs do not wait for the machine's disk.
                let memory = Path::new("/dev/shm");
                let image = folder.path.with_extension("ext4");
                let image = match memory.is_dir() {
                    true => memory.join(image.file_name().unwrap()),
                    false => image,
                };
                fs::File::create(&image).unwrap().set_len(kib << 10).unwrap();
                let made =
                    Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image).output();
                folder.image = Some(image.clone());
                if !made.is_ok_and(|done| done.status.success()) {
                    return None;
                }
                mount.args(["-t", "ext4", "-o", "loop"]).arg(image);
            }
        }
        let mounted = mount.arg(&folder.path).output();
        folder.mounted = mounted.is_ok_and(|done| done.status.success());
        folder.mounted.then_some(folder)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "lost+found").collect();
        names.sort();
        names
    }

    /// Takes what space there is left.
    fn take_the_rest(&self) {
        let mut rest = fs::OpenOptions::new().append(true).create(true).open(self.rest()).unwrap();
        for bytes in [1 << 20, 4096, 1] {
            while rest.write_all(&vec![1; bytes]).is_ok() {}
        }
        // Where space is given out later than it is written to.
        let _ = rest.sync_all();
    }

    /// Takes so many MiB, to be given back when the disk is full.
    fn take(&self, mib: usize) {
        fs::write(self.rest(), vec![1; mib << 20]).unwrap();
    }

    fn give_the_rest(&self) {
        fs::remove_file(self.rest()).unwrap();
    }

    fn rest(&self) -> PathBuf {
        self.path.join("rest")
    }

    fn file(&self) -> PathBuf {
        self.path.join("store.nyala")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A process that another test is starting has what is open here until it becomes its program.
        for _ in 0..200 {
            if !self.mounted {
                break;
            }
            let done = Command::new("umount").arg(&self.path).output();
            self.mounted = !done.is_ok_and(|done| done.status.success());
            if self.mounted {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        if let Some(image) = &self.image {
            let _ = fs::remove_file(image);
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn small(path: &Path) -> Options {
    let tuning = Tuning { segment_bytes: 4096, stripes: 2, ..Tuning::default() };
    Options::file(path).max_bytes(16 * MIB).tuning(tuning)
}

fn default(path: &Path) -> Options {
    Options::file(path).max_bytes(64 * MIB)
}

/// Writes until something is refused; answers how many entries were acknowledged, and the error.
fn fill(store: &Store) -> (u32, Error) {
    let mut kept = 0;
    loop {
        match store.set(format!("key {kept}"), value(kept)) {
            Ok(()) => kept += 1,
            Err(error) => return (kept, error),
        }
    }
}

fn value(key: u32) -> Vec<u8> {
    vec![key.to_le_bytes()[0]; 500]
}

fn check(store: &Store, kept: u32) {
    validate(store).unwrap();
    for key in 0..kept {
        assert_eq!(store.get(format!("key {key}")).unwrap(), Some(value(key)), "{key} of {kept}");
    }
}

fn kind_of(error: &Error) -> Option<ErrorKind> {
    match error {
        Error::Io(failure) => Some(failure.kind),
        _ => None,
    }
}

/// Runs a test on small filesystems of each kind that can be mounted here. Where a user may mount none, the test runs again in a
/// namespace of its own, in which he is root.
fn on_small_filesystems(test: &str, kib: u64, body: impl Fn(&dyn Fn() -> Folder, Filesystem)) {
    for (filesystem, kib) in [(Filesystem::Tmpfs, kib), (Filesystem::Ext4, kib + 1024)] {
        let name = format!("{test}-{filesystem:?}").to_lowercase();
        let folder = || Folder::small(&name, filesystem, kib);
        if folder().is_some() {
            body(&|| folder().expect("it was mounted before"), filesystem);
        } else if filesystem == Filesystem::Tmpfs && std::env::var_os(NAMESPACE).is_none() {
            return in_a_namespace(test);
        } else {
            eprintln!("not run: {test} on {filesystem:?}, which cannot be mounted here");
        }
    }
}

fn in_a_namespace(test: &str) {
    let mut again = Command::new("unshare");
    again.args(["--map-root-user", "--mount", "--propagation", "private"]);
    let able = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).output();
    if !able.is_ok_and(|done| done.status.success()) {
        eprintln!(
            "not run: {test}, since this user may neither mount nor have a namespace of his own"
        );
        return;
    }
    again.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let done = again.env(NAMESPACE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {said}", done.status);
    eprint!("{said}");
}

/// Where a sync takes its time, the one that begins by itself must do.
fn levels_on(filesystem: Filesystem) -> [Durability; 2] {
    match filesystem {
        Filesystem::Tmpfs => [Durability::Process, Durability::Sync],
        Filesystem::Ext4 => [Durability::Process, Durability::Interval(Duration::from_millis(5))],
    }
}

fn is_full(error: &Error) -> bool {
    kind_of(error) == Some(ErrorKind::StorageFull)
}

#[test]
fn a_full_disk_is_an_error() {
    on_small_filesystems("a_full_disk_is_an_error", 10 << 10, |folder, filesystem| {
        for (options, level) in in_turn([small, default], levels_on(filesystem)) {
            let folder = folder();
            let options = || options(&folder.file()).durability(level);
            folder.take(6);
            let store = Store::open(options()).unwrap();
            let (kept, error) = fill(&store);
            assert!(is_full(&error), "{error}");
            assert!(kept > 500, "{kept}");
            check(&store, kept);
            // Somebody else takes what is left.
            folder.take_the_rest();
            for _ in 0..1000 {
                let refused = store.set("one more", [0; 1000]);
                assert!(refused.is_ok() || is_full(&refused.unwrap_err()));
            }
            check(&store, kept);
            drop(store);
            folder.take_the_rest();
            let store = Store::open(options()).unwrap();
            check(&store, kept);
            // What is removed is written down too, which may need room that the disk has not.
            for key in 0..kept / 4 {
                match store.delete(format!("key {key}")) {
                    Ok(deleted) => assert!(deleted),
                    Err(error) => {
                        assert!(is_full(&error), "{error}");
                        assert_eq!(store.get(format!("key {key}")).unwrap(), Some(value(key)));
                    }
                }
            }
            validate(&store).unwrap();
            // It goes on as soon as there is room.
            folder.give_the_rest();
            store.set("one more", [1; 1000]).unwrap();
            drop(store);
            let store = Store::open(options()).unwrap();
            assert_eq!(store.get("one more").unwrap(), Some(vec![1; 1000]));
            (kept / 4..kept).for_each(|key| assert!(store.delete(format!("key {key}")).unwrap()));
            validate(&store).unwrap();
        }
    });
}

fn in_turn<A: Copy, B: Copy>(these: [A; 2], those: [B; 2]) -> impl Iterator<Item = (A, B)> {
    these.into_iter().flat_map(move |this| those.map(|that| (this, that)))
}

#[test]
fn a_full_disk_refuses_a_new_store() {
    on_small_filesystems("a_full_disk_refuses_a_new_store", 64, |folder, _| {
        let folder = folder();
        folder.take_the_rest();
        let error = Store::open(default(&folder.file())).unwrap_err();
        assert!(is_full(&error), "{error}");
        folder.give_the_rest();
    });
}

/// Reclaim and the next session need no space that the file has not, or say so.
#[test]
fn what_is_full_is_compacted_and_opened_after_a_death() {
    let test = "what_is_full_is_compacted_and_opened_after_a_death";
    on_small_filesystems(test, 20 << 10, |folder, filesystem| {
        for (options, level) in in_turn([small, default], levels_on(filesystem)) {
            let folder = folder();
            let copy = folder.path.join("copy.nyala");
            let options = |path: &Path| options(path).durability(level);
            let store = Store::open(options(&folder.file())).unwrap();
            let kept = 3000;
            for turn in [1, 0] {
                (0..kept)
                    .for_each(|key| store.set(format!("key {key}"), value(key + turn)).unwrap());
            }
            // As a dead process leaves it.
            fs::copy(folder.file(), &copy).unwrap();
            folder.take_the_rest();
            match store.maintain(Duration::from_secs(10)) {
                Ok(_) => {}
                Err(error) => assert!(is_full(&error), "{error}"),
            }
            check(&store, kept);
            drop(store);
            for path in [folder.file(), copy.clone()] {
                let store = Store::open(options(&path)).unwrap();
                check(&store, kept);
                for key in 0..kept {
                    match store.set(format!("key {key}"), value(key)) {
                        Ok(()) => {}
                        Err(error) => assert!(is_full(&error), "{error}"),
                    }
                }
                check(&store, kept);
            }
            folder.give_the_rest();
            for path in [folder.file(), copy] {
                let store = Store::open(options(&path)).unwrap();
                check(&store, kept);
                store.maintain(Duration::from_secs(10)).unwrap();
                (0..kept).for_each(|key| store.set(format!("key {key}"), value(key)).unwrap());
                check(&store, kept);
            }
        }
    });
}

/// A copy for which there is no room goes, and takes nothing with it.
#[test]
fn a_backup_to_a_full_disk_leaves_nothing() {
    on_small_filesystems(
        "a_backup_to_a_full_disk_leaves_nothing",
        24 << 10,
        |folder, filesystem| {
            for (options, level) in in_turn([small, default], levels_on(filesystem)) {
                let folder = folder();
                let copy = folder.path.join("copy.nyala");
                folder.take(12);
                let store = Store::open(options(&folder.file()).durability(level)).unwrap();
                let (kept, error) = fill(&store);
                assert!(is_full(&error), "{error}");
                for error in [
                    store.backup(&copy).unwrap_err(),
                    nyala::salvage(folder.path.join("none"), &copy).unwrap_err(),
                ] {
                    assert!(kind_of(&error).is_some(), "{error}");
                }
                assert_eq!(folder.names(), ["rest", "store.nyala"]);
                check(&store, kept);
                drop(store);
                let error = nyala::salvage(folder.file(), &copy).unwrap_err();
                assert!(is_full(&error), "{error}");
                assert_eq!(folder.names(), ["rest", "store.nyala"]);
                // There is room again, and soon more.
                folder.give_the_rest();
                let store = Store::open(options(&folder.file()).durability(level)).unwrap();
                store.clear().unwrap();
                (0..kept / 4).for_each(|key| store.set(format!("key {key}"), value(key)).unwrap());
                store.maintain(Duration::from_secs(10)).unwrap();
                drop(store);
                let store = Store::open(options(&folder.file()).durability(level)).unwrap();
                let report = store.backup(&copy).unwrap();
                assert_eq!(report.entries, u64::from(kept / 4));
                check(&Store::open(options(&copy)).unwrap(), kept / 4);
                check(&store, kept / 4);
            }
        },
    );
}

/// Runs one test of this program again, as a child that is told its task.
fn child(task: &str, file: &Path) -> Command {
    let mut child = Command::new("sh");
    // Blocks of 512 bytes.
    let script =
        if task == "limited" { "ulimit -f 4096; exec \"$0\" \"$@\"" } else { "exec \"$0\" \"$@\"" };
    child.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
    child.args(["--exact", "what_children_do", "--nocapture"]);
    child.env(TASK, task).env(FILE, file);
    child
}

#[test]
fn what_children_do() {
    let Ok(task) = std::env::var(TASK) else { return };
    let file = PathBuf::from(std::env::var(FILE).unwrap());
    match task.as_str() {
        "limited" => {
            for options in [small, default] {
                let store = Store::open(options(&file)).unwrap();
                let (kept, error) = fill(&store);
                assert_eq!(kind_of(&error), Some(ErrorKind::FileTooLarge), "{error}");
                assert!(kept > 100, "{kept}");
                check(&store, kept);
                drop(store);
                check(&Store::open(options(&file)).unwrap(), kept);
                fs::remove_file(&file).unwrap();
            }
        }
        "refused" => {
            let error = Store::open(default(&file)).unwrap_err();
            assert_eq!(kind_of(&error), Some(ErrorKind::PermissionDenied), "{error}");
        }
        other => panic!("{other}"),
    }
}

/// The system would end the process with SIGXFSZ.
#[test]
fn a_limit_of_the_files_length_is_an_error() {
    let folder = Folder::new("limited");
    let done = child("limited", &folder.file()).output().unwrap();
    assert!(done.status.success(), "{}: {}", done.status, String::from_utf8_lossy(&done.stderr));
}

#[test]
fn files_that_may_not_be_written_are_refused() {
    let folder = Folder::new("permission");
    drop(Store::open(default(&folder.file())).unwrap());
    let bytes = fs::read(folder.file()).unwrap();
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o755)).unwrap();
    for mode in [0o444, 0o000] {
        fs::set_permissions(folder.file(), fs::Permissions::from_mode(mode)).unwrap();
        refused(&folder.file());
    }
    // Nor is one made in a folder that may not be written to.
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o555)).unwrap();
    refused(&folder.path.join("new"));
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::read(folder.file()).unwrap(), bytes);
}

/// Opens it as somebody to whom permissions apply.
fn refused(file: &Path) {
    let mut command = child("refused", file);
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| {
        use std::os::unix::fs::MetadataExt;
        me.uid() == 0
    });
    if is_root {
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    }
    match command.output() {
        // The shell may not run what nobody may read.
        Ok(done) if done.status.code() == Some(126) => {
            eprintln!("skipped: this program cannot be run by another user");
        }
        Ok(done) => {
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        Err(error) => eprintln!("skipped: no other user: {error}"),
    }
}

#[test]
fn a_store_keeps_its_file_when_the_name_comes_to_mean_another() {
    let folder = Folder::new("replaced");
    let (file, other, old) = (folder.file(), folder.path.join("other"), folder.path.join("old"));
    Store::open(small(&other)).unwrap().set("key 0", "other").unwrap();
    let store = Store::open(small(&file)).unwrap();
    store.set("key 0", value(0)).unwrap();
    fs::rename(&file, &old).unwrap();
    fs::rename(&other, &file).unwrap();
    for key in 1..2000 {
        store.set(format!("key {key}"), value(key)).unwrap();
    }
    {
        let new = Store::open(small(&file)).unwrap();
        assert_eq!((new.len(), new.get("key 0").unwrap().as_deref()), (1, Some(&b"other"[..])));
        assert!(matches!(Store::open(small(&old)), Err(Error::Locked { .. })));
    }
    check(&store, 2000);
    drop(store);
    check(&Store::open(small(&old)).unwrap(), 2000);
    // And one that nobody can name any more.
    let store = Store::open(small(&file)).unwrap();
    fs::remove_file(&file).unwrap();
    store.set("key 1", value(1)).unwrap();
    drop(store);
    assert!(Store::open(small(&file)).unwrap().is_empty());
}

/// As the tests on a disk of their own do with every bit.
#[test]
fn damage_is_an_error_or_does_no_harm() {
    let folder = Folder::new("damaged");
    let kept = 100;
    {
        let store = Store::open(small(&folder.file())).unwrap();
        (0..kept).for_each(|key| store.set(format!("key {key}"), value(key)).unwrap());
    }
    let bytes = fs::read(folder.file()).unwrap();
    // The keys that answered an error, or the error of opening.
    let opens = |bytes: &[u8]| {
        fs::write(folder.file(), bytes).unwrap();
        let typed = |error: &Error| {
            let typed = matches!(error, Error::Corrupt(_) | Error::Version { .. });
            assert!(typed, "{error:?}");
        };
        let store = Store::open(small(&folder.file())).inspect_err(typed)?;
        let mut errors = 0;
        for key in 0..kept {
            match store.get(format!("key {key}")).inspect_err(typed) {
                Ok(found) => assert_eq!(found, Some(value(key)), "{key} of {kept}"),
                Err(_) => errors += 1,
            }
        }
        assert_eq!(validate(&store).is_ok(), errors == 0);
        Ok::<u32, Error>(errors)
    };
    assert_eq!(opens(&bytes), Ok(0));
    for bit in (0..8 * bytes.len()).step_by(4999) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let _ = opens(&damaged);
    }
    let mut opened = 0;
    for len in (1..bytes.len()).step_by(997) {
        match opens(&bytes[..len]) {
            Ok(errors) => {
                // Nothing is missing but a part of the index.
                assert_eq!(errors, 0);
                opened += 1;
            }
            Err(_) => assert_eq!(opened, 0, "{len} of {} bytes", bytes.len()),
        }
    }
    assert!(opened < bytes.len() / 997 / 4, "{opened}");
}
