//! Files and folders of commands, with error messages that name the path.

use std::path::Path;

use anyhow::Context as _;

use evenkeel::runs::write_atomic;

/// Writes a file atomically: under its name there is always a complete file.
pub(super) fn write_file(path: &Path, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
    write_atomic(path, bytes.as_ref()).with_context(|| format!("cannot write {}", path.display()))
}

/// Creates a folder and its parents, if they do not exist.
pub(super) fn create_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}
