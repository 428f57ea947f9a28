//! Finds the runs and comparisons in a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{RunDir, RunError};

/// Files that mark the folder of a comparison or of a margin, whose runs the program starts.
const GROUP_FILES: [&str; 3] = ["comparison.json", "margin.json", "arms.toml"];

/// Levels of folders below the folder of all runs: grids, comparisons, runs.
const MAX_DEPTH: usize = 3;

/// All runs in a folder, including those of comparisons (three levels deep), oldest first. Empty if
/// the folder does not exist.
///
/// # Errors
/// If a folder cannot be read.
pub fn list_runs(root: &Path) -> Result<Vec<RunDir>, RunError> {
    let mut found = FolderContents::default();
    found.collect(root, MAX_DEPTH, true)?;
    Ok(oldest_first(found.runs))
}

/// The runs in a folder that a user started, oldest first: not those of comparisons and margins.
///
/// # Errors
/// If a folder cannot be read.
pub fn list_started_runs(root: &Path) -> Result<Vec<RunDir>, RunError> {
    let mut found = FolderContents::default();
    found.collect(root, MAX_DEPTH, false)?;
    Ok(oldest_first(found.runs))
}

/// The folder of the comparison, grid or margin under `root` that started a run last.
///
/// # Errors
/// If a folder cannot be read, or no comparison has a run.
pub fn newest_comparison(root: &Path) -> Result<PathBuf, RunError> {
    match newest_group(root)? {
        Some((_, folder)) => Ok(folder),
        None => Err(RunError::NoComparison {
            root: root.to_owned(),
        }),
    }
}

/// What the user started last under `root`: the folder of a run, or of a comparison.
///
/// # Errors
/// If a folder cannot be read, or there is no run.
pub fn newest_run_or_comparison(root: &Path) -> Result<PathBuf, RunError> {
    let run = list_started_runs(root)?.pop();
    let run = run.map(|run| (started(&run), run.path().to_owned()));
    let newest = run.into_iter().chain(newest_group(root)?).max();
    match newest {
        Some((_, folder)) => Ok(folder),
        None => Err(RunError::NoRunWith {
            root: root.to_owned(),
            what: "been started",
        }),
    }
}

/// The comparison, grid or margin that started a run last, after the time at which it did.
fn newest_group(root: &Path) -> Result<Option<(String, PathBuf)>, RunError> {
    let mut found = FolderContents::default();
    found.collect(root, MAX_DEPTH, false)?;
    let mut groups = Vec::new();
    for folder in found.groups {
        let Some(newest) = list_runs(&folder)?.pop() else {
            continue;
        };
        // The comparisons of a grid are in one folder.
        let parent = folder.parent().filter(|parent| *parent != root);
        let group = parent.map_or(folder.clone(), Path::to_owned);
        groups.push((started(&newest), group));
    }
    Ok(groups.into_iter().max())
}

/// When a run was started; empty if it cannot be read.
fn started(run: &RunDir) -> String {
    run.info()
        .map_or_else(|_| String::new(), |info| info.started)
}

fn oldest_first(runs: Vec<RunDir>) -> Vec<RunDir> {
    let mut dated: Vec<(String, RunDir)> =
        runs.into_iter().map(|run| (started(&run), run)).collect();
    dated.sort_by(|a, b| (&a.0, a.1.path()).cmp(&(&b.0, b.1.path())));
    dated.into_iter().map(|(_, run)| run).collect()
}

/// The newest run in a folder that a user started and for which `has` is true. `what` names what the run has, for the error
/// message, as in `a recording`.
///
/// # Errors
/// If a folder cannot be read, or there is no such run.
pub fn newest_run_with(
    root: &Path,
    what: &'static str,
    has: impl Fn(&RunDir) -> Result<bool, RunError>,
) -> Result<RunDir, RunError> {
    for run in list_started_runs(root)?.into_iter().rev() {
        if has(&run)? {
            return Ok(run);
        }
    }
    Err(RunError::NoRunWith {
        root: root.to_owned(),
        what,
    })
}

/// The runs in a folder, and the folders of comparisons and margins.
#[derive(Default)]
struct FolderContents {
    runs: Vec<RunDir>,
    groups: Vec<PathBuf>,
}

impl FolderContents {
    /// Searches a folder `depth` levels deep. Runs of comparisons and margins are found only with
    /// `enters_groups`, or if the folder itself is one.
    fn collect(
        &mut self,
        folder: &Path,
        depth: usize,
        enters_groups: bool,
    ) -> Result<(), RunError> {
        if let Ok(run) = RunDir::open(folder) {
            self.runs.push(run);
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
            if !path.is_dir() {
                continue;
            }
            let is_group = GROUP_FILES.iter().any(|file| path.join(file).is_file());
            if is_group {
                self.groups.push(path.clone());
            }
            if enters_groups || !is_group {
                self.collect(&path, depth - 1, enters_groups)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{Comparison, RunInfo};

    fn run(root: &Path, started: &str) -> RunDir {
        let mut info = RunInfo::begin("reference", "clipped", 1, 10, None);
        info.started = started.into();
        RunDir::create(root, "", &info).unwrap()
    }

    fn comparison(folder: &Path, started: &str) {
        fs::create_dir_all(folder).unwrap();
        let manifest = Comparison::new("reference".into(), Vec::new(), Vec::new(), 5);
        manifest.write(folder).unwrap();
        run(folder, started);
    }

    #[test]
    fn the_runs_of_comparisons_are_not_those_of_the_user() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert!(newest_run_or_comparison(root).is_err());
        let own = run(root, "2026-01-02T00:00:00.000Z");
        assert!(newest_comparison(root).is_err());
        comparison(&root.join("compare__a"), "2026-01-01T00:00:00.000Z");
        assert_eq!(list_runs(root).unwrap().len(), 2);
        assert_eq!(list_started_runs(root).unwrap(), std::slice::from_ref(&own));
        assert_eq!(newest_comparison(root).unwrap(), root.join("compare__a"));
        assert_eq!(newest_run_or_comparison(root).unwrap(), own.path());
        comparison(&root.join("grid__b/reference"), "2026-01-03T00:00:00.000Z");
        comparison(&root.join("grid__b/maze"), "2026-01-03T00:00:00.000Z");
        assert_eq!(newest_comparison(root).unwrap(), root.join("grid__b"));
        assert_eq!(
            newest_run_or_comparison(root).unwrap(),
            root.join("grid__b")
        );
        assert_eq!(list_started_runs(root).unwrap(), [own]);
    }
}
