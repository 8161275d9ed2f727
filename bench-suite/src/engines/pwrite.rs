//! The floor of class D3: a page written into a preallocated file and synced, again and again, which is the least that a store without
//! group commit can do for a write. It stores nothing that could be read.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::contract::{Config, Engine, Group, Info, Session};
use crate::fault::{Context, Fault, Result};

/// What is written for a set.
pub(crate) const PAGE: usize = 4096;
/// Pages of the file; each thread walks over a part of it.
const PAGES: u64 = 4096;

#[derive(Debug)]
pub(crate) struct Pwrite {
    file: File,
    /// Where the next session begins.
    next: AtomicU64,
}

/// A file of so many pages whose room and length the file system has stored already, so that a sync has only data to write.
pub(crate) fn preallocated(path: &std::path::Path, pages: u64) -> Result<File> {
    let doing = || format!("cannot make {}", path.display());
    let file = File::create(path).context(doing)?;
    for page in 0..pages {
        file.write_all_at(&[1; PAGE], page * PAGE as u64).context(doing)?;
    }
    file.sync_all().context(doing)?;
    Ok(file)
}

impl Engine for Pwrite {
    type Session<'a> = PwriteSession<'a>;
    const SAMPLE_EVERY: u32 = 1;

    fn open(config: &Config) -> Result<Pwrite> {
        let home = config.home.as_ref().ok_or_else(|| Fault::new("pwrite needs a folder"))?;
        let file = preallocated(&home.folder.join("pages"), PAGES)?;
        Ok(Pwrite { file, next: AtomicU64::new(0) })
    }

    fn info(&self) -> Info {
        Info {
            name: "pwrite".to_owned(),
            title: "pwrite + fdatasync (floor)".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: true,
            settings: vec![format!(
                "a set writes {PAGE} bytes into a file that was written and synced before, and syncs them with fdatasync"
            )],
        }
    }

    fn session(&self) -> Result<PwriteSession<'_>> {
        let first = self.next.fetch_add(PAGES / 16, Ordering::Relaxed) % PAGES;
        Ok(PwriteSession { file: &self.file, page: first })
    }
}

#[derive(Debug)]
pub(crate) struct PwriteSession<'a> {
    file: &'a File,
    page: u64,
}

impl Session for PwriteSession<'_> {
    fn get(&mut self, _key: &[u8], _out: &mut Vec<u8>) -> Result<bool> {
        Ok(false)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut page = [0; PAGE];
        page[..key.len()].copy_from_slice(key);
        page[key.len()..key.len() + value.len()].copy_from_slice(value);
        let doing = || "cannot write a page".to_owned();
        self.file.write_all_at(&page, self.page * PAGE as u64).context(doing)?;
        self.page = (self.page + 1) % PAGES;
        self.file.sync_data().context(doing)
    }

    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        self.set(key, &super::integers::ONE)?;
        Ok(1)
    }
}
