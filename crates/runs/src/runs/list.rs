//! Finds the runs in a folder.

use std::fs;
use std::io;
use std::path::Path;

use super::{RunDir, RunError};

/// All runs in a folder, including those of comparisons (three levels deep), oldest first. Empty if
/// the folder does not exist.
///
/// # Errors
/// If a folder cannot be read.
pub fn list_runs(root: &Path) -> Result<Vec<RunDir>, RunError> {
    let mut runs = Vec::new();
    collect_runs(root, 3, &mut runs)?;
    let mut dated: Vec<(String, RunDir)> = runs
        .into_iter()
        .map(|run| {
            (
                run.info()
                    .map_or_else(|_| String::new(), |info| info.started),
                run,
            )
        })
        .collect();
    dated.sort_by(|a, b| (&a.0, a.1.path()).cmp(&(&b.0, b.1.path())));
    Ok(dated.into_iter().map(|(_, run)| run).collect())
}

/// The newest run in a folder for which `has` is true. `what` names what the run has, for the error
/// message, as in `a recording`.
///
/// # Errors
/// If a folder cannot be read, or there is no such run.
pub fn newest_run_with(
    root: &Path,
    what: &'static str,
    has: impl Fn(&RunDir) -> Result<bool, RunError>,
) -> Result<RunDir, RunError> {
    for run in list_runs(root)?.into_iter().rev() {
        if has(&run)? {
            return Ok(run);
        }
    }
    Err(RunError::NoRunWith {
        root: root.to_owned(),
        what,
    })
}

fn collect_runs(folder: &Path, depth: usize, runs: &mut Vec<RunDir>) -> Result<(), RunError> {
    if let Ok(run) = RunDir::open(folder) {
        runs.push(run);
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(RunError::io(folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(RunError::io(folder))?.path();
        if path.is_dir() {
            collect_runs(&path, depth - 1, runs)?;
        }
    }
    Ok(())
}
