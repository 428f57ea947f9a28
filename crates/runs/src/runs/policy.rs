//! Resolution of the command-line arguments POLICY and RUN.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{RunDir, RunError, RunStatus, atomic, list_started_runs, read_json};
use crate::eval::CheckpointReference;
use crate::telemetry::format::shell_path;

/// Argument for what was started last: a run with a checkpoint, or a comparison.
pub const LAST: &str = "@last";

/// The source of a controller's actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// `planner:NAME`: a planner without learning.
    Planner(String),
    /// A trained policy.
    Checkpoint {
        /// The checkpoint directory.
        path: PathBuf,
        /// The run of the checkpoint; `None` if the checkpoint was moved out of its run.
        run: Option<RunDir>,
    },
}

/// The part of a checkpoint's `state.json` that is read here.
#[derive(Deserialize)]
struct CheckpointState {
    global_step: u64,
}

/// Name and step of the checkpoint in a folder; `None` if the folder holds none.
pub fn checkpoint_reference(folder: &Path) -> Option<CheckpointReference> {
    let state: CheckpointState = read_json(&folder.join("state.json")).ok()?;
    Some(CheckpointReference {
        name: folder.file_name()?.to_string_lossy().into_owned(),
        global_step: state.global_step,
    })
}

impl PolicySource {
    /// Display name: `planner:straight`, or the name of the run.
    pub fn name(&self) -> String {
        match self {
            Self::Planner(name) => format!("planner:{name}"),
            Self::Checkpoint { run: Some(run), .. } => run.name(),
            Self::Checkpoint { path, run: None } => path.display().to_string(),
        }
    }

    /// Name and step of the checkpoint, if it is one.
    pub fn checkpoint(&self) -> Option<CheckpointReference> {
        match self {
            Self::Planner(_) => None,
            Self::Checkpoint { path, .. } => checkpoint_reference(path),
        }
    }
}

/// The error of a run without a checkpoint. What to do depends on how far the run is.
fn no_checkpoint(run: &RunDir) -> RunError {
    let path = run.path().to_owned();
    let resume = format!("`evenkeel train --resume {}`", shell_path(&path));
    let state = match run.info().map(|info| info.status) {
        Ok(RunStatus::Diverged) => {
            ": it diverged before it saved one, so it has no policy; choose another run".to_owned()
        }
        Ok(RunStatus::Running) if run.is_live() => {
            " yet; let it train until the first one, or choose another run".to_owned()
        }
        Ok(RunStatus::Running | RunStatus::Stopped) => {
            format!(": it was stopped before it saved one; {resume} starts it again")
        }
        Ok(RunStatus::Finished) | Err(_) => "; choose another run".to_owned(),
    };
    RunError::NoCheckpoint { path, state }
}

/// Resolves a POLICY argument: a run directory (its checkpoint `best` or else `last`), a checkpoint
/// directory, `@last` (the most recent run with a checkpoint in the folder `runs`, without those of
/// comparisons), or `planner:NAME`.
///
/// # Errors
/// If there is no such run or checkpoint. Does not check the name of a planner.
pub fn resolve_policy(text: &str, runs: &Path) -> Result<PolicySource, RunError> {
    if let Some(name) = text.strip_prefix("planner:") {
        return Ok(PolicySource::Planner(name.into()));
    }
    if text == LAST {
        let (run, path) = newest_with_checkpoint(runs)?;
        return Ok(PolicySource::Checkpoint {
            path,
            run: Some(run),
        });
    }
    let path = Path::new(text);
    if let Ok(run) = RunDir::open(path) {
        let path = preferred_checkpoint(&run)?;
        let path = path.ok_or_else(|| no_checkpoint(&run))?;
        return Ok(PolicySource::Checkpoint {
            path,
            run: Some(run),
        });
    }
    atomic::recover_dir(path).map_err(RunError::io(path))?;
    if path.is_dir() && contains_weights(path) {
        return Ok(PolicySource::Checkpoint {
            path: path.to_owned(),
            run: RunDir::containing(path),
        });
    }
    if path.is_dir() {
        return Err(RunError::NotARun {
            path: path.to_owned(),
        });
    }
    Err(RunError::NoPolicy { text: text.into() })
}

/// The last checkpoint of the run that a POLICY argument names, if it is a later one than that in
/// `source`, which [`resolve_policy`] gave for it. `None` where a checkpoint or planner is named.
///
/// # Errors
/// If the system fails to complete an interrupted replacement of the checkpoint.
pub fn resolve_last_checkpoint(
    text: &str,
    source: &PolicySource,
) -> Result<Option<PolicySource>, RunError> {
    let PolicySource::Checkpoint {
        run: Some(run),
        path: best,
    } = source
    else {
        return Ok(None);
    };
    let names_checkpoint = text != LAST && RunDir::open(Path::new(text)).is_err();
    let Some(path) = run.checkpoint("last")?.filter(|_| !names_checkpoint) else {
        return Ok(None);
    };
    let step = |folder: &Path| checkpoint_reference(folder).map(|state| state.global_step);
    Ok(
        (step(&path) > step(best)).then(|| PolicySource::Checkpoint {
            path,
            run: Some(run.clone()),
        }),
    )
}

/// Resolves a RUN argument: a run directory, or `@last` for the same run as in a POLICY argument.
///
/// # Errors
/// If there is no such run.
pub fn resolve_run(text: &str, runs: &Path) -> Result<RunDir, RunError> {
    if text == LAST {
        newest_with_checkpoint(runs).map(|(run, _)| run)
    } else {
        RunDir::open(Path::new(text))
    }
}

/// The most recent run with a checkpoint that the user started, and that checkpoint.
fn newest_with_checkpoint(runs: &Path) -> Result<(RunDir, PathBuf), RunError> {
    for run in list_started_runs(runs)?.into_iter().rev() {
        if let Some(path) = preferred_checkpoint(&run)? {
            return Ok((run, path));
        }
    }
    Err(RunError::NoLast {
        root: runs.to_owned(),
    })
}

/// The checkpoint `best` of a run or else `last`.
fn preferred_checkpoint(run: &RunDir) -> Result<Option<PathBuf>, RunError> {
    match run.checkpoint("best")? {
        Some(best) => Ok(Some(best)),
        None => run.checkpoint("last"),
    }
}

fn contains_weights(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "safetensors")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::RunInfo;
    use std::fs;

    fn run(root: &Path, started: &str, checkpoints: &[&str]) -> RunDir {
        let mut info = RunInfo::begin("reference", "clipped", 1, 10, None);
        info.started = started.into();
        let run = RunDir::create(root, "", &info).unwrap();
        for name in checkpoints {
            fs::create_dir_all(run.checkpoint_path(name)).unwrap();
            fs::write(run.checkpoint_path(name).join("policy.safetensors"), "").unwrap();
        }
        run
    }

    #[test]
    fn each_kind_of_policy_is_resolved() {
        let root = tempfile::tempdir().unwrap();
        let resolve = |text: &str| resolve_policy(text, root.path());
        let old = run(root.path(), "2026-01-01T00:00:00.000Z", &["last", "best"]);
        let new = run(root.path(), "2026-01-02T00:00:00.000Z", &["last"]);
        run(root.path(), "2026-01-03T00:00:00.000Z", &[]);

        assert_eq!(
            resolve("planner:straight").unwrap(),
            PolicySource::Planner("straight".into())
        );
        let expected = PolicySource::Checkpoint {
            path: new.checkpoint_path("last"),
            run: Some(new.clone()),
        };
        assert_eq!(resolve("@last").unwrap(), expected);
        assert_eq!(resolve_run("@last", root.path()).unwrap(), new);
        let by_path = resolve_run(old.path().to_str().unwrap(), root.path());
        assert_eq!(by_path.unwrap(), old);
        let PolicySource::Checkpoint { path, .. } = resolve(old.path().to_str().unwrap()).unwrap()
        else {
            panic!("a run is not a planner");
        };
        assert_eq!(path, old.checkpoint_path("best"));
        let last = old.checkpoint_path("last");
        let by_checkpoint = resolve(last.to_str().unwrap()).unwrap();
        assert_eq!(by_checkpoint.name(), old.name());
        let canonical = RunDir::open(&old.path().canonicalize().unwrap()).unwrap();
        assert_eq!(RunDir::containing(&last), Some(canonical));
        assert_eq!(RunDir::containing(old.path()), None);
    }

    #[test]
    fn the_error_of_an_unknown_policy_says_what_a_policy_is() {
        let root = tempfile::tempdir().unwrap();
        let message = resolve_policy("nonsense", root.path())
            .unwrap_err()
            .to_string();
        assert!(message.contains("planner:straight"), "{message}");
        let message = resolve_policy("@last", root.path())
            .unwrap_err()
            .to_string();
        assert!(message.contains("evenkeel train"), "{message}");
        let error = resolve_run("@last", root.path()).unwrap_err();
        assert!(matches!(error, RunError::NoLast { .. }));
        let empty = run(root.path(), "2026-01-01T00:00:00.000Z", &[]);
        let error = || resolve_policy(empty.path().to_str().unwrap(), root.path()).unwrap_err();
        assert!(matches!(error(), RunError::NoCheckpoint { .. }));
        let mut info = empty.info().unwrap();
        for (status, expected) in [
            (RunStatus::Running, "evenkeel train --resume"),
            (RunStatus::Stopped, "evenkeel train --resume"),
            (RunStatus::Diverged, "diverged before it saved one"),
        ] {
            info.status = status;
            empty.write_info(&info).unwrap();
            let message = error().to_string();
            assert!(message.contains(expected), "{message}");
        }
        info.status = RunStatus::Running;
        empty.write_info(&info).unwrap();
        let _lock = empty.lock().unwrap();
        let message = error().to_string();
        assert!(
            message.contains("let it train until the first one"),
            "{message}"
        );
    }
}
