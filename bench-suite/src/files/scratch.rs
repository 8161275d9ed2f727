//! A folder of this process alone, on a real disk, removed when it is dropped.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fault::{Context, Result};

const PREFIX: &str = "nyala-bench-files-";

#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Below `folder`, from which is removed what interrupted runs left there: folders whose process has ended.
    pub(crate) fn below(folder: &Path, name: &str) -> Result<Scratch> {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let left = entry.file_name();
            let process =
                left.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
            if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                // Another run may remove it at the same time.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let path = folder.join(format!("{PREFIX}{}-{name}", std::process::id()));
        fs::create_dir_all(&path)
            .context(|| format!("cannot make the folder {}", path.display()))?;
        let path = fs::canonicalize(&path)
            .context(|| format!("cannot find the folder {}", path.display()))?;
        Ok(Scratch(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A new folder in it.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir(&path).context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now goes with the next run.
        let _ = fs::remove_dir_all(&self.0);
    }
}
