//! A run directory: names and access of its files.

mod evaluations;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::lock::LOCK_FILE;
use super::{
    Comparison, FolderLock, RunError, RunInfo, atomic, read_json, write_atomic, write_json,
};
use crate::telemetry::{Event, read_events};
use evenkeel_sim::config::Override;
use evenkeel_sim::scenario::Scenario;

/// Format version of run directories in this build.
pub(super) const FORMAT: u32 = 1;

const INFO: &str = "run.json";

/// A file that is in a run's folder until `config.toml` and `run.json` are.
const CREATING: &str = ".creating";

/// The file of the policy that a run started from.
const START: &str = "start.safetensors";

/// What a new run directory holds besides `run.json`.
#[derive(Clone, Copy, Debug)]
pub struct RunFiles<'a> {
    /// The text of `config.toml`.
    pub config: &'a str,
    /// The contents of `start.safetensors`, for a run that starts from a policy.
    pub start: Option<&'a [u8]>,
}

impl<'a> From<&'a str> for RunFiles<'a> {
    fn from(config: &'a str) -> Self {
        Self {
            config,
            start: None,
        }
    }
}

impl<'a> From<&'a String> for RunFiles<'a> {
    fn from(config: &'a String) -> Self {
        config.as_str().into()
    }
}

/// An existing run directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates `<parent>/<scenario>__<arm>__s<seed>__<utc>/` with its first files and `run.json`.
    ///
    /// # Errors
    /// If a folder or file cannot be written.
    pub fn create<'a>(
        parent: &Path,
        files: impl Into<RunFiles<'a>>,
        info: &RunInfo,
    ) -> Result<Self, RunError> {
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
        Self::write_files(atomic::create_new_dir(parent, &name)?, files.into(), info)
    }

    /// Creates the run directory at `path` (`--out`).
    ///
    /// # Errors
    /// If the folder exists and is not empty, or a folder or file cannot be written.
    pub fn create_at<'a>(
        path: &Path,
        files: impl Into<RunFiles<'a>>,
        info: &RunInfo,
    ) -> Result<Self, RunError> {
        fs::create_dir_all(path).map_err(RunError::io(path))?;
        let is_empty = fs::read_dir(path)
            .map_err(RunError::io(path))?
            .next()
            .is_none();
        // What a killed process left of a run that it had not yet created is written again.
        let is_remnant = path.join(CREATING).is_file() && !path.join(INFO).is_file();
        if !is_empty && !is_remnant {
            let not_empty = io::Error::new(
                io::ErrorKind::AlreadyExists,
                "the folder is not empty; choose another",
            );
            return Err(RunError::io(path)(not_empty));
        }
        Self::write_files(path.to_owned(), files.into(), info)
    }

    fn write_files(path: PathBuf, files: RunFiles, info: &RunInfo) -> Result<Self, RunError> {
        let run = Self { path };
        let marker = run.path.join(CREATING);
        File::create(&marker).map_err(RunError::io(&marker))?;
        let config = Some((run.config_path(), files.config.as_bytes()));
        let start = files.start.map(|start| (run.start_path(), start));
        let mut files = config.into_iter().chain(start);
        let paths = [run.config_path(), run.start_path()];
        let written = files
            .try_for_each(|(path, bytes)| write_atomic(&path, bytes).map_err(RunError::io(&path)))
            .and_then(|()| run.write_info(info));
        if written.is_err() {
            for path in paths {
                fs::remove_file(path).ok();
            }
        }
        // If writing failed, the folder is empty again; else it is a run.
        fs::remove_file(&marker).ok();
        written.map(|()| run)
    }

    /// Opens an existing run directory.
    ///
    /// # Errors
    /// If the folder has no `run.json`.
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

    /// The run whose folder `checkpoints`, `recordings` or `incidents` holds `path`, if there is one.
    pub fn containing(path: &Path) -> Option<Self> {
        let path = path.canonicalize().ok()?;
        Self::open(path.parent()?.parent()?).ok()
    }

    /// Locks the run for this process.
    ///
    /// # Errors
    /// If another process holds the lock, or the lock file cannot be written.
    pub fn lock(&self) -> Result<FolderLock, RunError> {
        FolderLock::acquire(&self.path, "run")
    }

    /// Whether a process holds the run's lock.
    pub fn is_live(&self) -> bool {
        FolderLock::is_held(&self.path)
    }

    /// Path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name of the directory.
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

    /// `config.toml`: all settings, resolved.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// `start.safetensors`: the policy that the run started from, if it did.
    pub fn start_path(&self) -> PathBuf {
        self.path.join(START)
    }

    /// `metrics.jsonl`.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// `incidents/`.
    pub fn incidents_path(&self) -> PathBuf {
        self.path.join("incidents")
    }

    /// `recordings/`. It exists once something was recorded.
    pub fn recordings_path(&self) -> PathBuf {
        self.path.join("recordings")
    }

    /// The saved incidents in the order of their optimiser steps.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn incidents(&self) -> Result<Vec<PathBuf>, RunError> {
        matching_entries(&self.incidents_path(), is_incident)
    }

    /// The complete recordings in the order of their names.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn recordings(&self) -> Result<Vec<PathBuf>, RunError> {
        matching_entries(&self.recordings_path(), |path| {
            let name = path.to_string_lossy();
            name.ends_with(".mcap") && !name.ends_with(".unfinished.mcap")
        })
    }

    /// `checkpoints/<name>/`. Write it with [`super::replace_dir`].
    pub fn checkpoint_path(&self, name: &str) -> PathBuf {
        self.path.join("checkpoints").join(name)
    }

    /// `checkpoints/<name>/` if it exists. Completes an interrupted replacement first.
    ///
    /// # Errors
    /// If the system fails to complete it.
    pub fn checkpoint(&self, name: &str) -> Result<Option<PathBuf>, RunError> {
        let path = self.checkpoint_path(name);
        atomic::recover_dir(&path).map_err(RunError::io(&path))?;
        Ok(path.is_dir().then_some(path))
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// If the file cannot be read or has another format.
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
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_info(&self, info: &RunInfo) -> Result<(), RunError> {
        write_json(&self.path.join(INFO), info)
    }

    /// Reads `config.toml` as an untyped table.
    ///
    /// # Errors
    /// If the file cannot be read or is not TOML.
    pub fn config(&self) -> Result<toml::Table, RunError> {
        let path = self.config_path();
        let text = fs::read_to_string(&path).map_err(RunError::io(&path))?;
        text.parse()
            .map_err(|error: toml::de::Error| RunError::Format {
                path,
                reason: error.message().into(),
            })
    }

    /// The run's scenario with `overrides`, read from `config.toml`, which is a complete scenario
    /// file. Overrides of training settings are ignored.
    ///
    /// # Errors
    /// If a file cannot be read or is not a valid scenario.
    pub fn scenario(&self, overrides: &[Override]) -> Result<Scenario, RunError> {
        let scenario = Scenario::load(&self.config_path(), overrides);
        let mut scenario = scenario.map_err(RunError::Scenario)?;
        scenario.name = self.info()?.scenario;
        Ok(scenario)
    }

    /// The environment steps of the last logged event; `None` without a log or an event.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn last_logged_step(&self) -> Result<Option<u64>, RunError> {
        Ok(self.events()?.iter().map(Event::global_step).max())
    }

    /// Reads all logged events. Empty if there is no log yet.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn events(&self) -> Result<Vec<Event>, RunError> {
        let path = self.metrics_path();
        if path.exists() {
            Ok(read_events(&path)?)
        } else {
            Ok(Vec::new())
        }
    }
}

/// Entries of a folder that match, sorted by name. Empty if the folder does not exist.
fn matching_entries(
    folder: &Path,
    matches: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, RunError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(RunError::io(folder))?,
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(RunError::io(folder))?;
    paths.retain(|path| matches(path));
    paths.sort();
    Ok(paths)
}

/// Whether a folder is a saved incident.
pub fn is_incident(path: &Path) -> bool {
    path.join("incident.json").is_file()
}

/// Whether a file is one that the program reads of a run, a comparison, a checkpoint or an incident,
/// so that other output must not replace it. Reports and recordings are not.
pub fn is_run_file(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return false;
    };
    let name = name.to_string_lossy();
    let is_one_of = |names: &[&str]| names.contains(&&*name);
    let is_checkpoint = folder.join("policy.safetensors").is_file();
    is_checkpoint
        || (RunDir::open(folder).is_ok()
            && (is_one_of(&[INFO, START, "config.toml", "metrics.jsonl", LOCK_FILE])
                || name.starts_with("evaluation")
                || name.starts_with("events.out.tfevents.")))
        || (is_incident(folder) && !name.ends_with(".html"))
        || (Comparison::exists_in(folder)
            && is_one_of(&["comparison.json", "arms.toml", LOCK_FILE]))
}

/// Replaces special characters by hyphens, and `__`, which separates the parts of a run's name.
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
    use crate::runs::{RunStatus, list_runs};
    use evenkeel_sim::scenario;

    fn info(arm: &str) -> RunInfo {
        RunInfo::begin("reference", arm, 3, 1000, Some("2.13.0".into()))
    }

    #[test]
    fn a_created_run_is_listed_and_read_back() {
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
    fn two_runs_started_in_the_same_second_have_different_folders() {
        let root = tempfile::tempdir().unwrap();
        let info = info("raw");
        let first = RunDir::create(root.path(), "", &info).unwrap();
        let second = RunDir::create(root.path(), "", &info).unwrap();
        assert_ne!(first.path(), second.path());
    }

    #[test]
    fn the_files_of_a_run_are_known_and_its_reports_are_not() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(root.path(), "", &info("raw")).unwrap();
        let own = [
            "run.json",
            "config.toml",
            "evaluation.json",
            "checkpoints/last/policy.safetensors",
            "incidents/step_000001/incident.json",
            "incidents/step_000001/config.toml",
        ];
        let other = [
            "report.html",
            "recordings/a.mcap",
            "incidents/step_000001/autopsy.html",
            "notes/config.toml",
        ];
        for (names, is_own) in [(&own[..], true), (&other, false)] {
            for name in names {
                let path = run.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, "").unwrap();
                assert_eq!(is_run_file(&path), is_own, "{name}");
            }
        }
        assert!(!is_run_file(&run.path().join("metrics.jsonl")), "absent");
    }

    #[test]
    fn a_run_whose_creation_was_killed_is_created_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("config.toml"), "mine").unwrap();
        let error = RunDir::create_at(&path, "", &info("raw")).unwrap_err();
        assert!(error.to_string().contains("not empty"), "{error}");
        fs::write(path.join(CREATING), "").unwrap();
        let run = RunDir::create_at(&path, "a = 1\n", &info("raw")).unwrap();
        assert_eq!(run.config().unwrap()["a"].as_integer(), Some(1));
        assert!(!path.join(CREATING).exists());
        fs::write(path.join(CREATING), "").unwrap();
        RunDir::create_at(&path, "", &info("raw")).unwrap_err();
    }

    #[test]
    fn the_run_info_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let mut info = info("raw");
        let run = RunDir::create(root.path(), "", &info).unwrap();
        info.status = RunStatus::Diverged;
        info.global_step = 640;
        run.write_info(&info).unwrap();
        assert_eq!(run.info().unwrap(), info);
    }

    #[test]
    fn the_scenario_is_read_back_from_the_configuration() {
        let scenario = scenario::resolve("movers", &[]).unwrap();
        let root = tempfile::tempdir().unwrap();
        let mut info = info("raw");
        info.scenario = "movers".into();
        let text = toml::to_string(&scenario.spec).unwrap();
        let run = RunDir::create(root.path(), &text, &info).unwrap();
        let read = run.scenario(&[]).unwrap();
        assert_eq!((read.name, read.spec), (scenario.name, scenario.spec));
    }

    #[test]
    fn another_format_version_is_an_error() {
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
