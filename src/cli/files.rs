//! Files and folders of commands, with error messages that name the path.

use std::path::Path;

use anyhow::{Context as _, bail};

use evenkeel::runs::{RUNS_FOLDER, RunDir, list_runs, write_atomic};

/// Writes a file atomically: under its name there is always a complete file.
pub(super) fn write_file(path: &Path, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
    write_atomic(path, bytes.as_ref()).with_context(|| format!("cannot write {}", path.display()))
}

/// Creates a folder and its parents, if they do not exist.
pub(super) fn create_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Returns the newest run in [`RUNS_FOLDER`] for which `has` is true. `what` names what it has, for
/// the error message.
pub(super) fn newest_run_with(
    what: &str,
    has: impl Fn(&RunDir) -> anyhow::Result<bool>,
) -> anyhow::Result<RunDir> {
    for run in list_runs(Path::new(RUNS_FOLDER))?.into_iter().rev() {
        if has(&run)? {
            return Ok(run);
        }
    }
    bail!("no run in {RUNS_FOLDER} has {what}")
}
