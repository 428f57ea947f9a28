//! A temporary folder that is kept if a check fails.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::{Context, Result};

/// A new temporary folder. It is removed when the value is dropped, unless it is kept.
pub(super) struct Scratch {
    path: PathBuf,
    is_kept: bool,
}

impl Scratch {
    /// Creates the folder.
    pub(super) fn new(name: &str) -> Result<Self> {
        let path = env::temp_dir().join(format!("evenkeel-{name}-{}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(&path).context(format!("cannot create {}", path.display()))?;
        Ok(Self {
            path,
            is_kept: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the folder.
    pub(super) fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept {
            fs::remove_dir_all(&self.path).ok();
        }
    }
}
