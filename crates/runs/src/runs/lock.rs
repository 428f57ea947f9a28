//! Locks of folders: one process at a time works on a run, or on a comparison.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::RunError;

/// Name of the lock file in a locked folder. It stays there when the lock is released.
pub(super) const LOCK_FILE: &str = ".lock";

/// A lock on a folder. It is released when dropped or when the process ends.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
}

impl Drop for FolderLock {
    /// Releases the lock, even if a child process that is being started still has the file open.
    fn drop(&mut self) {
        self.file.unlock().ok();
    }
}

impl FolderLock {
    /// Locks a folder for this process. `what` names its content in the error message.
    ///
    /// # Errors
    /// If another process holds the lock, or the lock file cannot be written.
    pub fn acquire(folder: &Path, what: &'static str) -> Result<Self, RunError> {
        let path = folder.join(LOCK_FILE);
        let file = File::create(&path).map_err(RunError::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(RunError::Busy {
                path: folder.to_owned(),
                what,
            }),
            Err(TryLockError::Error(error)) => Err(RunError::io(&path)(error)),
        }
    }

    /// Whether a process holds the lock on a folder.
    pub(super) fn is_held(folder: &Path) -> bool {
        File::open(folder.join(LOCK_FILE))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_can_be_locked_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(!FolderLock::is_held(folder));
        let lock = FolderLock::acquire(folder, "run").unwrap();
        assert!(FolderLock::is_held(folder));
        let error = FolderLock::acquire(folder, "run").unwrap_err();
        let expected = "another process is working on this run";
        assert!(error.to_string().contains(expected), "{error}");
        drop(lock);
        assert!(!FolderLock::is_held(folder));
        FolderLock::acquire(folder, "run").unwrap();
    }
}
