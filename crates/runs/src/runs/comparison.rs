//! `comparison.json`: the settings and runs of a comparison, so that it can be continued.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FolderLock, RunDir, RunError, create_new_dir, read_json, write_json};

const FORMAT: u32 = 1;
const FILE: &str = "comparison.json";

/// Settings and runs of a comparison. Each arm is trained with each seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Format version; this build reads and writes 1.
    pub format: u32,
    /// The scenario as written on the command line: a shipped name, or a path made absolute.
    pub scenario: String,
    /// Arm names in display order. Their definitions are in `arms.toml` in the same folder.
    pub arms: Vec<String>,
    /// Root seeds.
    pub seeds: Vec<u64>,
    /// Environment steps of each run; `None` for the scenario's own number.
    pub steps: Option<u64>,
    /// Number of episodes of each final evaluation.
    pub episodes: u64,
    /// Settings for all arms, each as `path=value`.
    pub set: Vec<String>,
    /// Whether runs that are behind the median of earlier ones are given up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub give_up: bool,
    /// The started runs.
    pub runs: Vec<ComparisonRun>,
}

/// One run of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRun {
    /// Arm name.
    pub arm: String,
    /// Root seed.
    pub seed: u64,
    /// Run directory, relative to the folder of the manifest.
    pub path: PathBuf,
}

/// Creates a folder for a comparison that starts now: `runs/KIND__NAME__TIME`, where `kind` is
/// `compare` or `grid` and TIME is in UTC, to the second. No other process gets the same folder.
///
/// # Errors
/// If the folder cannot be created.
pub fn create_dated_folder(runs: &Path, kind: &str, name: &str) -> Result<PathBuf, RunError> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    create_new_dir(runs, &format!("{kind}__{name}__{now}"))
}

impl Comparison {
    /// Creates a comparison without runs.
    pub fn new(scenario: String, arms: Vec<String>, seeds: Vec<u64>, episodes: u64) -> Self {
        let (steps, set, runs) = (None, Vec::new(), Vec::new());
        Self {
            format: FORMAT,
            scenario,
            arms,
            seeds,
            steps,
            episodes,
            set,
            give_up: false,
            runs,
        }
    }

    /// Whether a folder contains a comparison.
    pub fn exists_in(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// Locks the comparison in a folder for this process. The folder must exist.
    ///
    /// # Errors
    /// If another process holds the lock, or the lock file cannot be written.
    pub fn lock(folder: &Path) -> Result<FolderLock, RunError> {
        FolderLock::acquire(folder, "comparison")
    }

    /// Reads the manifest in a folder.
    ///
    /// # Errors
    /// If the file cannot be read or has another format.
    pub fn read(folder: &Path) -> Result<Self, RunError> {
        let path = folder.join(FILE);
        let manifest: Self = read_json(&path)?;
        if manifest.format == FORMAT {
            Ok(manifest)
        } else {
            let reason = format!("format {} is not this build's {FORMAT}", manifest.format);
            Err(RunError::Format { path, reason })
        }
    }

    /// Writes the manifest into a folder.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RunError> {
        write_json(&folder.join(FILE), self)
    }

    /// The existing run directories, sorted by arm and seed.
    pub fn run_dirs(&self, folder: &Path) -> Vec<RunDir> {
        let arm_index = |arm: &str| self.arms.iter().position(|name| name == arm);
        let mut runs: Vec<&ComparisonRun> = self.runs.iter().collect();
        runs.sort_by_key(|run| (arm_index(&run.arm), run.seed));
        runs.iter()
            .filter_map(|run| RunDir::open(&folder.join(&run.path)).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!Comparison::exists_in(folder.path()));
        let arms = vec!["clipped".into(), "raw".into()];
        let mut manifest = Comparison::new("reference".into(), arms, vec![1, 2], 1000);
        manifest.runs.push(ComparisonRun {
            arm: "raw".into(),
            seed: 1,
            path: "raw__s1".into(),
        });
        manifest.write(folder.path()).unwrap();
        assert_eq!(Comparison::read(folder.path()).unwrap(), manifest);
        assert_eq!(manifest.run_dirs(folder.path()), []);
    }
}
