//! One run directory.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{RunError, RunInfo, atomic, read_json, write_atomic, write_json};
use crate::eval::EvalReport;
use crate::telemetry::{EvalSummary, Event, read_events};
use evenkeel_sim::scenario::Scenario;

/// The format version of run directories that this build reads and writes.
pub(super) const FORMAT: u32 = 1;

const INFO: &str = "run.json";

/// A run directory that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

/// The right to write into a run directory; given back when dropped, or when the process dies.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunDir {
    /// Makes `<parent>/<scenario>__<arm>__s<seed>__<utc>/` with its `config.toml` and `run.json`.
    pub fn create(parent: &Path, config: &str, info: &RunInfo) -> Result<Self, RunError> {
        fs::create_dir_all(parent).map_err(RunError::io(parent))?;
        let stamp: String = info
            .started
            .chars()
            .take(19)
            .filter(|c| !"-:".contains(*c))
            .collect();
        let name = format!(
            "{}__{}__s{}__{stamp}Z",
            sanitise(&info.scenario),
            sanitise(&info.arm),
            info.seed
        );
        for count in 1.. {
            let path = match count {
                1 => parent.join(&name),
                _ => parent.join(format!("{name}-{count}")),
            };
            match fs::create_dir(&path) {
                Ok(()) => return Self::fill(path, config, info),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(RunError::io(&path)(error)),
            }
        }
        unreachable!("counting does not end")
    }

    /// Makes the run directory exactly here (`--out`); a folder that is there must be empty.
    pub fn create_at(path: &Path, config: &str, info: &RunInfo) -> Result<Self, RunError> {
        fs::create_dir_all(path).map_err(RunError::io(path))?;
        if fs::read_dir(path)
            .map_err(RunError::io(path))?
            .next()
            .is_some()
        {
            let full = io::Error::new(
                io::ErrorKind::AlreadyExists,
                "the folder is not empty; choose another",
            );
            return Err(RunError::io(path)(full));
        }
        Self::fill(path.to_owned(), config, info)
    }

    fn fill(path: PathBuf, config: &str, info: &RunInfo) -> Result<Self, RunError> {
        let run = Self { path };
        let config_path = run.config_path();
        write_atomic(&config_path, config.as_bytes()).map_err(RunError::io(&config_path))?;
        run.write_info(info)?;
        Ok(run)
    }

    /// A run directory that is there.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        if path.join(INFO).is_file() {
            Ok(Self {
                path: path.to_owned(),
            })
        } else {
            Err(RunError::NotARun {
                path: path.to_owned(),
            })
        }
    }

    /// Claims the run for this process.
    pub fn lock(&self) -> Result<RunLock, RunError> {
        let path = self.path.join(".lock");
        let file = File::create(&path).map_err(RunError::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(RunLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(RunError::Busy {
                path: self.path.clone(),
            }),
            Err(TryLockError::Error(error)) => Err(RunError::io(&path)(error)),
        }
    }

    /// Whether some process holds the run's lock.
    pub fn is_live(&self) -> bool {
        File::open(self.path.join(".lock"))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its folder's name.
    pub fn name(&self) -> String {
        let path = self
            .path
            .canonicalize()
            .unwrap_or_else(|_| self.path.clone());
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// `config.toml`: every setting, resolved.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// `metrics.jsonl`.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// `evaluation.json`.
    pub fn evaluation_path(&self) -> PathBuf {
        self.path.join("evaluation.json")
    }

    /// `evaluation_random.json`.
    pub fn random_evaluation_path(&self) -> PathBuf {
        self.path.join("evaluation_random.json")
    }

    /// `incidents/`.
    pub fn incidents_path(&self) -> PathBuf {
        self.path.join("incidents")
    }

    /// `recordings/`, which is there once something was recorded.
    pub fn recordings_path(&self) -> PathBuf {
        self.path.join("recordings")
    }

    /// The incidents that are there, in the order of their steps.
    pub fn incidents(&self) -> Result<Vec<PathBuf>, RunError> {
        matching_entries(&self.incidents_path(), is_incident)
    }

    /// The recordings that are there and whole, in the order of their names.
    pub fn recordings(&self) -> Result<Vec<PathBuf>, RunError> {
        matching_entries(&self.recordings_path(), |path| {
            let name = path.to_string_lossy();
            name.ends_with(".mcap") && !name.ends_with(".unfinished.mcap")
        })
    }

    /// `checkpoints/<name>/`, to be written with [`super::replace_dir`].
    pub fn checkpoint_path(&self, name: &str) -> PathBuf {
        self.path.join("checkpoints").join(name)
    }

    /// `checkpoints/<name>/` if it is there; a replacement that a crash cut off is finished.
    pub fn checkpoint(&self, name: &str) -> Result<Option<PathBuf>, RunError> {
        let path = self.checkpoint_path(name);
        atomic::recover_dir(&path).map_err(RunError::io(&path))?;
        Ok(path.is_dir().then_some(path))
    }

    /// What the run is and how far it came.
    pub fn info(&self) -> Result<RunInfo, RunError> {
        let path = self.path.join(INFO);
        let info: RunInfo = read_json(&path)?;
        if info.format == FORMAT {
            Ok(info)
        } else {
            let reason = format!("format {} is not this build's {FORMAT}", info.format);
            Err(RunError::Format { path, reason })
        }
    }

    /// Replaces `run.json`.
    pub fn write_info(&self, info: &RunInfo) -> Result<(), RunError> {
        write_json(&self.path.join(INFO), info)
    }

    /// The resolved configuration as a table, for whatever reads it without knowing its types.
    pub fn config(&self) -> Result<toml::Table, RunError> {
        let path = self.config_path();
        let text = fs::read_to_string(&path).map_err(RunError::io(&path))?;
        text.parse()
            .map_err(|error: toml::de::Error| RunError::Format {
                path,
                reason: error.message().into(),
            })
    }

    /// The scenario that the run is about, as it was then: `config.toml` is a whole scenario file.
    pub fn scenario(&self) -> Result<Scenario, RunError> {
        let path = self.config_path();
        let text = fs::read_to_string(&path).map_err(RunError::io(&path))?;
        let name = self.info()?.scenario;
        let file = path.display().to_string();
        Scenario::from_text(&name, &file, &text, &[]).map_err(RunError::Scenario)
    }

    /// Everything that was logged; nothing yet if the log isn't there.
    pub fn events(&self) -> Result<Vec<Event>, RunError> {
        let path = self.metrics_path();
        if path.exists() {
            Ok(read_events(&path)?)
        } else {
            Ok(Vec::new())
        }
    }

    /// The reported evaluation, if there is one.
    pub fn evaluation(&self) -> Result<Option<EvalReport>, RunError> {
        read_if_there(&self.evaluation_path())
    }

    /// Writes `evaluation.json`, compact: traces are most of it.
    pub fn write_evaluation(&self, report: &EvalReport) -> Result<(), RunError> {
        let path = self.evaluation_path();
        let text = serde_json::to_vec(report).map_err(|error| RunError::Format {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        write_atomic(&path, &text).map_err(RunError::io(&path))
    }

    /// What random actions come to in the reported episodes. Kept beside a run that diverged,
    /// whose return counts as theirs; absent in those of older builds.
    pub fn random_evaluation(&self) -> Result<Option<EvalSummary>, RunError> {
        read_if_there(&self.random_evaluation_path())
    }

    /// Writes `evaluation_random.json`.
    pub fn write_random_evaluation(&self, summary: &EvalSummary) -> Result<(), RunError> {
        write_json(&self.random_evaluation_path(), summary)
    }
}

/// What is in a folder and is meant, in the order of its names; no folder holds nothing.
fn matching_entries(
    folder: &Path,
    meant: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, RunError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(RunError::io(folder))?,
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(RunError::io(folder))?;
    paths.retain(|path| meant(path));
    paths.sort();
    Ok(paths)
}

/// Whether a folder is an incident.
pub fn is_incident(path: &Path) -> bool {
    path.join("incident.json").is_file()
}

/// Reads a JSON file; nothing if it isn't there.
fn read_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RunError> {
    if path.exists() {
        read_json(path).map(Some)
    } else {
        Ok(None)
    }
}

/// The runs under a folder, oldest first; those of comparisons too (three levels deep). No folder
/// is no runs.
pub fn list_runs(root: &Path) -> Result<Vec<RunDir>, RunError> {
    let mut found = Vec::new();
    collect(root, 3, &mut found)?;
    let mut dated: Vec<(String, RunDir)> = found
        .into_iter()
        .map(|run| {
            (
                run.info()
                    .map_or_else(|_| String::new(), |info| info.started),
                run,
            )
        })
        .collect();
    dated.sort_by(|a, b| (&a.0, &a.1.path).cmp(&(&b.0, &b.1.path)));
    Ok(dated.into_iter().map(|(_, run)| run).collect())
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<RunDir>) -> Result<(), RunError> {
    if let Ok(run) = RunDir::open(folder) {
        found.push(run);
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
            collect(&path, depth - 1, found)?;
        }
    }
    Ok(())
}

/// A name without what would be a riddle in a folder's name.
fn sanitise(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    plain.replace("__", "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::RunStatus;
    use evenkeel_sim::scenario;

    fn info(arm: &str) -> RunInfo {
        RunInfo::begin("reference", arm, 3, 1000, Some("2.13.0".into()))
    }

    #[test]
    fn a_run_is_made_found_and_read_again() {
        let root = tempfile::tempdir().unwrap();
        let info = info("clipped");
        let run = RunDir::create(root.path(), "[train]\nenvs = 64\n", &info).unwrap();
        assert!(
            run.name().starts_with("reference__clipped__s3__2"),
            "{}",
            run.name()
        );
        assert_eq!(run.info().unwrap(), info);
        assert_eq!(
            run.config().unwrap()["train"]["envs"].as_integer(),
            Some(64)
        );
        assert_eq!(run.events().unwrap(), []);
        assert_eq!(run.evaluation().unwrap(), None);
        assert_eq!(list_runs(root.path()).unwrap(), [run]);
    }

    #[test]
    fn two_runs_in_one_second_get_two_folders() {
        let root = tempfile::tempdir().unwrap();
        let info = info("raw");
        let first = RunDir::create(root.path(), "", &info).unwrap();
        let second = RunDir::create(root.path(), "", &info).unwrap();
        assert_ne!(first.path(), second.path());
    }

    #[test]
    fn one_process_at_a_time_works_on_a_run() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(root.path(), "", &info("raw")).unwrap();
        assert!(!run.is_live());
        let lock = run.lock().unwrap();
        assert!(run.is_live());
        assert!(matches!(run.lock(), Err(RunError::Busy { .. })));
        drop(lock);
        assert!(!run.is_live());
        run.lock().unwrap();
    }

    #[test]
    fn the_status_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let mut info = info("raw");
        let run = RunDir::create(root.path(), "", &info).unwrap();
        info.status = RunStatus::Diverged;
        info.global_step = 640;
        run.write_info(&info).unwrap();
        assert_eq!(run.info().unwrap(), info);
    }

    #[test]
    fn a_configuration_is_a_scenario_again() {
        let scenario = scenario::resolve("movers", &[]).unwrap();
        let root = tempfile::tempdir().unwrap();
        let mut info = info("raw");
        info.scenario = "movers".into();
        let text = toml::to_string(&scenario.spec).unwrap();
        let run = RunDir::create(root.path(), &text, &info).unwrap();
        let read = run.scenario().unwrap();
        assert_eq!((read.name, read.spec), (scenario.name, scenario.spec));
    }

    #[test]
    fn another_format_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let mut info = info("raw");
        info.format = 9;
        let run = RunDir::create(root.path(), "", &info).unwrap();
        let message = run.info().unwrap_err().to_string();
        assert!(
            message.contains("run.json: format 9 is not this build's 1"),
            "{message}"
        );
    }
}
