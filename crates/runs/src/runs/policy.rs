//! What POLICY and RUN mean on the command line.

use std::path::{Path, PathBuf};

use super::{RunDir, RunError, atomic, list_runs};

/// The newest run with a checkpoint.
const LAST: &str = "@last";

/// Where a policy comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// `planner:NAME`: an actor without learning.
    Planner(String),
    /// A trained policy.
    Checkpoint {
        /// The checkpoint directory.
        path: PathBuf,
        /// The run that it belongs to, unless it was moved away from it.
        run: Option<RunDir>,
    },
}

impl PolicySource {
    /// What tables call it: `planner:straight`, or the run's name.
    pub fn name(&self) -> String {
        match self {
            Self::Planner(name) => format!("planner:{name}"),
            Self::Checkpoint { run: Some(run), .. } => run.name(),
            Self::Checkpoint { path, run: None } => path.display().to_string(),
        }
    }
}

/// Finds a policy: a run directory (its `best` checkpoint, else its `last`), a checkpoint
/// directory, `@last` (the newest run with a checkpoint under `runs`), or `planner:NAME`.
pub fn resolve_policy(text: &str, runs: &Path) -> Result<PolicySource, RunError> {
    if let Some(name) = text.strip_prefix("driver:") {
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
        let path = path.ok_or_else(|| RunError::NoCheckpoint {
            path: run.path().to_owned(),
        })?;
        return Ok(PolicySource::Checkpoint {
            path,
            run: Some(run),
        });
    }
    atomic::recover_dir(path).map_err(RunError::io(path))?;
    if path.is_dir() && holds_weights(path) {
        let owner = path.canonicalize().ok();
        let owner = owner
            .as_deref()
            .and_then(Path::parent)
            .and_then(Path::parent);
        let run = owner.and_then(|owner| RunDir::open(owner).ok());
        return Ok(PolicySource::Checkpoint {
            path: path.to_owned(),
            run,
        });
    }
    if path.is_dir() {
        return Err(RunError::NotARun {
            path: path.to_owned(),
        });
    }
    Err(RunError::NoPolicy { text: text.into() })
}

/// Finds a run: a run directory, or `@last`, the same run that it is as a policy.
pub fn resolve_run(text: &str, runs: &Path) -> Result<RunDir, RunError> {
    if text == LAST {
        newest_with_checkpoint(runs).map(|(run, _)| run)
    } else {
        RunDir::open(Path::new(text))
    }
}

/// The newest run with a checkpoint, and that checkpoint.
fn newest_with_checkpoint(runs: &Path) -> Result<(RunDir, PathBuf), RunError> {
    for run in list_runs(runs)?.into_iter().rev() {
        if let Some(path) = preferred_checkpoint(&run)? {
            return Ok((run, path));
        }
    }
    Err(RunError::NoLast {
        root: runs.to_owned(),
    })
}

/// The checkpoint that a run is known by: the best, else the last.
fn preferred_checkpoint(run: &RunDir) -> Result<Option<PathBuf>, RunError> {
    match run.checkpoint("best")? {
        Some(best) => Ok(Some(best)),
        None => run.checkpoint("last"),
    }
}

fn holds_weights(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|kind| kind == "safetensors")
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
    fn every_kind_of_policy_is_found() {
        let root = tempfile::tempdir().unwrap();
        let find = |text: &str| resolve_policy(text, root.path());
        let old = run(root.path(), "2026-01-01T00:00:00.000Z", &["last", "best"]);
        let new = run(root.path(), "2026-01-02T00:00:00.000Z", &["last"]);
        run(root.path(), "2026-01-03T00:00:00.000Z", &[]);

        assert_eq!(
            find("planner:straight").unwrap(),
            PolicySource::Planner("straight".into())
        );
        let expect = PolicySource::Checkpoint {
            path: new.checkpoint_path("last"),
            run: Some(new.clone()),
        };
        assert_eq!(find("@last").unwrap(), expect);
        assert_eq!(resolve_run("@last", root.path()).unwrap(), new);
        let named = resolve_run(old.path().to_str().unwrap(), root.path());
        assert_eq!(named.unwrap(), old);
        let PolicySource::Checkpoint { path, .. } = find(old.path().to_str().unwrap()).unwrap()
        else {
            panic!("a run is no driver");
        };
        assert_eq!(path, old.checkpoint_path("best"));
        let last = old.checkpoint_path("last");
        let found = find(last.to_str().unwrap()).unwrap();
        assert_eq!(found.name(), old.name());
    }

    #[test]
    fn what_is_no_policy_is_refused_with_what_would_be_one() {
        let root = tempfile::tempdir().unwrap();
        let message = resolve_policy("nonsense", root.path())
            .unwrap_err()
            .to_string();
        assert!(message.contains("planner:straight"), "{message}");
        let message = resolve_policy("@last", root.path())
            .unwrap_err()
            .to_string();
        assert!(message.contains("evenkeel train"), "{message}");
        let message = resolve_run("@last", root.path()).unwrap_err();
        assert!(matches!(message, RunError::NoLast { .. }));
        let bare = run(root.path(), "2026-01-01T00:00:00.000Z", &[]);
        let message = resolve_policy(bare.path().to_str().unwrap(), root.path()).unwrap_err();
        assert!(matches!(message, RunError::NoCheckpoint { .. }));
    }
}
