//! Where built tools are kept.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::IoContext;
use crate::{Error, Progress, Result};

/// The folder of built tools.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `HEYUN_CACHE`, else `target/heyun` of the workspace around this executable or the current
    /// folder, else `$XDG_CACHE_HOME/heyun` (`~/.cache/heyun`).
    ///
    /// # Errors
    /// [`Error::Missing`] if there is neither a workspace nor a home.
    pub fn locate() -> Result<Self> {
        if let Some(root) = set("HEYUN_CACHE") {
            return Ok(Self { root });
        }
        if let Some(workspace) = workspace() {
            return Ok(Self {
                root: workspace.join("target/heyun"),
            });
        }
        let base = set("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| env::home_dir().map(|home| home.join(".cache")));
        match base {
            Some(base) => Ok(Self {
                root: base.join("heyun"),
            }),
            None => Err(Error::Missing(
                "no folder for built tools: set HEYUN_CACHE or HOME".to_owned(),
            )),
        }
    }

    /// A cache in a folder of the caller's choice.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder; it need not exist yet.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Finds the folder `kind/key`, or makes it with `build`, which gets an empty folder to fill.
    ///
    /// One process builds at a time; the others wait, and say for whom. The lock is the kernel's,
    /// so a builder that dies frees it, and a folder appears under its name when it is complete.
    ///
    /// # Errors
    /// What `build` answers, and errors of the file system.
    pub(crate) fn folder(
        &self,
        kind: &str,
        key: &str,
        progress: &Progress,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let home = self.root.join(kind);
        let wanted = home.join(key);
        if wanted.is_dir() {
            return Ok(wanted);
        }
        fs::create_dir_all(&home).io(|| format!("making {}", home.display()))?;
        let lock_path = home.join("build.lock");
        let lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .io(|| format!("opening {}", lock_path.display()))?;
        take(&lock, &lock_path, progress)?;
        if wanted.is_dir() {
            return Ok(wanted);
        }
        // Whoever waits reads from here who builds.
        let _ = fs::write(&lock_path, format!("process {}", std::process::id()));
        let temporary = tempfile::Builder::new()
            .prefix(".building-")
            .tempdir_in(&home)
            .io(|| format!("making a folder in {}", home.display()))?;
        build(temporary.path())?;
        let filled = temporary.keep();
        fs::rename(&filled, &wanted)
            .io(|| format!("renaming {} to {}", filled.display(), wanted.display()))?;
        Ok(wanted)
    }
}

fn take(lock: &File, path: &Path, progress: &Progress) -> Result<()> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error).io(|| format!("locking {}", path.display())),
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(path).unwrap_or_default();
            let holder = if holder.is_empty() {
                "another process"
            } else {
                &holder
            };
            let step = progress.step(format!("waiting for {holder}, which builds the same"));
            lock.lock().io(|| format!("locking {}", path.display()))?;
            step.done("waited");
            Ok(())
        }
    }
}

/// The folder of the workspace that this executable, or else the current folder, lies in.
pub(crate) fn workspace() -> Option<PathBuf> {
    let starts = [env::current_exe().ok(), env::current_dir().ok()];
    starts.into_iter().flatten().find_map(|start| {
        let marker = "tests/sandbox/modules/controlplane/go.mod";
        start
            .ancestors()
            .find(|folder| folder.join(marker).is_file())
            .map(Path::to_path_buf)
    })
}

/// A variable of the environment that is set and not empty, as a path.
pub(crate) fn set(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_build_leaves_no_folder_and_the_next_one_fills_it_once() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path());
        let silent = Progress::silent();
        let failed = cache.folder("k", "v", &silent, |folder| {
            fs::write(folder.join("half"), "").unwrap();
            Err(Error::Missing("x".to_owned()))
        });
        assert!(failed.is_err());
        assert!(!root.path().join("k/v").exists());
        let mut builds = 0;
        for _ in 0..2 {
            let built = cache.folder("k", "v", &silent, |folder| {
                builds += 1;
                fs::write(folder.join("whole"), "").unwrap();
                Ok(())
            });
            assert!(built.unwrap().join("whole").is_file());
        }
        assert_eq!(builds, 1);
    }

    #[test]
    fn inside_the_workspace_the_cache_is_under_target() {
        assert!(workspace().unwrap().join("Cargo.lock").is_file());
    }
}
