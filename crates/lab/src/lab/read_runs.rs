//! Reading of the runs in folders, for comparisons and reports.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{RunRecord, name_columns};
use evenkeel_runs::runs::{Comparison, RunDir, RunError, list_runs};

/// Why the runs in folders cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadRunsError {
    /// The folder does not exist.
    #[error("{folder}: no such folder; `evenkeel runs` lists the existing runs")]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds no run.
    #[error("{folder}: no runs in this folder; `evenkeel runs` lists the existing runs")]
    NoRuns {
        /// The folder.
        folder: PathBuf,
    },
    /// The comparison has not started a run.
    #[error("the comparison has no run yet; resume it with `evenkeel compare`")]
    NoRunYet,
    /// A file of a run or of a comparison cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// The runs in some folders.
#[derive(Debug)]
pub struct RunRecords {
    /// The runs that can be read; at least one. Their columns are named.
    pub records: Vec<RunRecord>,
    /// The comparisons' arms in their order, which is the order that [`assess`](super::assess) takes.
    pub order: Vec<String>,
    /// Why the other runs cannot be read.
    pub unreadable: Vec<RunError>,
}

/// Reads all runs in the folders, each once. A folder is a run, a comparison, or a folder that
/// contains such folders. One broken run does not hide the others.
///
/// # Errors
/// If a folder has no runs, or no run can be read: the error of the first.
pub fn read_runs(folders: &[PathBuf]) -> Result<RunRecords, ReadRunsError> {
    let mut order = Vec::new();
    let mut runs: Vec<RunDir> = Vec::new();
    for folder in folders {
        if Comparison::exists_in(folder) {
            let comparison = Comparison::read(folder)?;
            runs.extend(comparison.run_dirs(folder));
            order.extend(comparison.arms);
        } else {
            let folder = folder.clone();
            if !folder.is_dir() {
                return Err(ReadRunsError::NoFolder { folder });
            }
            let found = list_runs(&folder)?;
            if found.is_empty() {
                return Err(ReadRunsError::NoRuns { folder });
            }
            runs.extend(found);
        }
    }
    let mut seen = HashSet::new();
    runs.retain(|run| seen.insert(run.path().canonicalize().unwrap_or(run.path().to_owned())));
    if runs.is_empty() {
        return Err(ReadRunsError::NoRunYet);
    }
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    for run in &runs {
        match RunRecord::read(run) {
            Ok(record) => records.push(record),
            Err(error) => unreadable.push(error),
        }
    }
    if records.is_empty() {
        return Err(unreadable.swap_remove(0).into());
    }
    name_columns(&mut records);
    Ok(RunRecords {
        records,
        order,
        unreadable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_runs::runs::RunInfo;

    #[test]
    fn a_run_that_is_named_twice_is_read_once() {
        let root = tempfile::tempdir().unwrap();
        let info = RunInfo::begin("reference", "raw", 1, 10, None);
        let run = RunDir::create(root.path(), "", &info).unwrap();
        let folders = [root.path().to_owned(), run.path().to_owned()];
        let runs = read_runs(&folders).unwrap();
        assert_eq!(runs.records.len(), 1);
        assert!(runs.order.is_empty());
    }

    #[test]
    fn folders_without_runs_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let error = read_runs(&[root.path().join("none")]).unwrap_err();
        assert!(matches!(error, ReadRunsError::NoFolder { .. }), "{error}");
        let error = read_runs(&[root.path().to_owned()]).unwrap_err();
        assert!(matches!(error, ReadRunsError::NoRuns { .. }), "{error}");
        let comparison = Comparison::new("reference".into(), Vec::new(), Vec::new(), 5);
        comparison.write(root.path()).unwrap();
        let error = read_runs(&[root.path().to_owned()]).unwrap_err();
        assert!(matches!(error, ReadRunsError::NoRunYet), "{error}");
    }
}
