//! What the operating system may refuse: space, length, permission, and names that come to mean another file.
#![cfg(unix)]
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::validate;
use nyala::{Durability, Error, Options, Store, Tuning};

/// Says what a child of this program is to do, and with which file.
const TASK: &str = "NYALA_REALFS_TASK";
const FILE: &str = "NYALA_REALFS_FILE";

const MIB: u64 = 1 << 20;
const NOBODY: u32 = 65_534;

/// A folder that goes with the test, and with what is mounted on it.
struct Folder {
    path: PathBuf,
    mounted: bool,
}

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("nyala-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Folder { path, mounted: false }
    }

    /// A filesystem of so many KiB in memory, or `None` where this process may not mount one.
    fn small(name: &str, kib: u32) -> Option<Folder> {
        let mut folder = Folder::new(name);
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(&folder.path)
            .output();
        folder.mounted = mount.is_ok_and(|done| done.status.success());
        if !folder.mounted {
            eprintln!("skipped: needs root, to mount a small filesystem");
        }
        folder.mounted.then_some(folder)
    }

    fn file(&self) -> PathBuf {
        self.path.join("store.nyala")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.path).output();
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

#[test]
fn a_full_disk_is_an_error() {
    for options in [small, default] {
        for level in [Durability::Process, Durability::Sync] {
            let Some(folder) = Folder::small("disk-full", 3 << 10) else { return };
            let options = || options(&folder.file()).durability(level);
            let store = Store::open(options()).unwrap();
            let (kept, error) = fill(&store);
            assert_eq!(kind_of(&error), Some(ErrorKind::StorageFull), "{error}");
            assert!(kept > 500, "{kept}");
            check(&store, kept);
            // Somebody else takes what is left.
            let rest = folder.path.join("rest");
            let _ = fs::write(&rest, vec![1; 4 << 20]);
            for _ in 0..1000 {
                let refused = store.set("one more", [0; 1000]);
                assert!(refused.is_ok() || kind_of(&refused.unwrap_err()).is_some());
            }
            check(&store, kept);
            drop(store);
            let _ = fs::write(&rest, vec![1; 4 << 20]);
            let store = Store::open(options()).unwrap();
            check(&store, kept);
            drop(store);
            fs::remove_file(&rest).unwrap();
            let store = Store::open(options()).unwrap();
            // What is removed is written down too, which may need room that the disk has not.
            for key in 0..kept / 2 {
                match store.delete(format!("key {key}")) {
                    Ok(deleted) => assert!(deleted),
                    Err(error) => assert_eq!(kind_of(&error), Some(ErrorKind::StorageFull)),
                }
            }
            validate(&store).unwrap();
        }
    }
}

#[test]
fn a_full_disk_refuses_a_new_store() {
    let Some(folder) = Folder::small("disk-full-new", 64) else { return };
    let _ = fs::write(folder.path.join("rest"), vec![1; 1 << 20]);
    let error = Store::open(default(&folder.file())).unwrap_err();
    assert_eq!(kind_of(&error), Some(ErrorKind::StorageFull), "{error}");
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
