//! A folder for one test.

use std::fs;
use std::path::{Path, PathBuf};

/// An empty folder that goes when the value does.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// `name` is used by one test alone, or by tests whose threads differ.
    pub(crate) fn new(name: &str) -> Self {
        let thread = std::thread::current();
        let owner = thread.name().unwrap_or("main").replace("::", "-");
        let id = std::process::id();
        let path = std::env::temp_dir().join(format!("xtask-{name}-{owner}-{id}"));
        fs::create_dir_all(&path).expect("a folder for temporary files");
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
