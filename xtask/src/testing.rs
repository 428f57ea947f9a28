//! Temporary folders for tests.

use std::fs;
use std::path::{Path, PathBuf};

/// An empty temporary folder that is removed when the value is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Creates the folder. Its path consists of `name`, the test's thread name and the process ID, so
    /// that two folders of one test need different names.
    pub(crate) fn new(name: &str) -> Self {
        let thread = std::thread::current();
        let owner = thread.name().unwrap_or("main").replace("::", "-");
        let id = std::process::id();
        let path = std::env::temp_dir().join(format!("xtask-{name}-{owner}-{id}"));
        fs::create_dir_all(&path).expect("cannot create a temporary folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
