//! Requests for comparisons: which arms are trained with which seeds, in which folder. A comparison
//! that a folder already holds is resumed, or extended by arms and seeds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    Arm, ArmError, TrainRunsOptions, arms_toml, component_arms, load_arms, with_built_in_arms,
};
use evenkeel_learn::learn::{RunDefinition, TrainError};
use evenkeel_runs::runs::{
    Comparison, RUNS_FOLDER, RunError, WriteError, create_dated_folder, create_folder,
    is_same_file, list_runs, write_file,
};
use evenkeel_sim::config::{Diagnostic, Override};
use evenkeel_sim::env::thread_count;
use evenkeel_sim::scenario::{self, Scenario, ScenarioError, shipped_scenarios};

/// Name of the file in a comparison's folder that defines its arms.
const ARM_FILE: &str = "arms.toml";

/// A comparison to start, resume or extend. Options that are `None` or empty have the defaults of
/// `evenkeel compare`, or keep the values of an existing comparison.
#[derive(Clone, Debug, Default)]
pub struct ComparisonRequest {
    /// The name of a shipped scenario, or the path of a scenario file.
    pub scenario: String,
    /// Arms to train. If empty, the existing comparison's arms or the default arms.
    pub arms: Vec<String>,
    /// The file that defines `defined_arms`, for error messages.
    pub arm_file: Option<PathBuf>,
    /// Arms besides the built-in ones.
    pub defined_arms: Vec<Arm>,
    /// The first seed; 1 by default.
    pub seed: Option<u64>,
    /// Number of seeds per arm; 5 by default.
    pub seeds: Option<u64>,
    /// Environment steps of each run; by default as in the scenario.
    pub steps: Option<u64>,
    /// Held-out episodes of each run's final evaluation; 1000 by default.
    pub episodes: Option<u64>,
    /// Overrides for every arm, each `path=value`.
    pub set: Vec<String>,
    /// Number of runs trained at the same time; one per core by default.
    pub jobs: Option<u32>,
    /// Whether runs that are behind the median of earlier ones are given up.
    pub give_up: bool,
    /// The comparison's folder. Defaults to a folder in [`RUNS_FOLDER`] that is named after the
    /// scenario and the time.
    pub out: Option<PathBuf>,
}

/// Why a comparison cannot be started, resumed or extended as requested.
#[derive(Debug, thiserror::Error)]
pub enum ComparisonRequestError {
    /// An arm is requested twice.
    #[error("arm '{arm}' is named twice")]
    RepeatedArm {
        /// Its name.
        arm: String,
    },
    /// An override or an arm is invalid.
    #[error(transparent)]
    Invalid(#[from] Diagnostic),
    /// The scenario is invalid or does not exist.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// An arm does not exist.
    #[error(transparent)]
    Arm(#[from] ArmError),
    /// The manifest of the existing comparison cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The existing comparison has an arm of this name with other settings.
    #[error(
        "{file}: arm '{arm}' has other settings than in {folder}; give it another name, or choose \
         another --out"
    )]
    ChangedArm {
        /// The file that defines the arm.
        file: PathBuf,
        /// The arm's name.
        arm: String,
        /// The comparison's folder.
        folder: PathBuf,
    },
    /// The existing comparison has another scenario, number of steps, or overrides.
    #[error("{folder}: this folder holds a comparison {existing}; {help}")]
    OtherComparison {
        /// The comparison's folder.
        folder: PathBuf,
        /// How the existing comparison differs.
        existing: String,
        /// What to do instead.
        help: String,
    },
    /// The scenario is not the one that the comparison's runs were started with, so that new runs
    /// would train in another world, or with other settings.
    #[error(
        "{folder}: the scenario has changed since the runs here were started: `{}`; undo the change, \
         or choose another --out",
        changed.join("`, `")
    )]
    ChangedScenario {
        /// The comparison's folder.
        folder: PathBuf,
        /// The settings that differ, as `--set` names them.
        changed: Vec<String>,
    },
    /// The arms would be written over a file that the comparison reads.
    #[error("--out: {file} is a file that the comparison reads; choose another --out")]
    OverwritesInput {
        /// The file.
        file: PathBuf,
    },
    /// A seed would be above 2⁶⁴ − 1.
    #[error(
        "{count} seeds from seed {first} exceed the largest seed, {}; begin at {} or less",
        u64::MAX,
        u64::MAX - count.saturating_sub(1)
    )]
    SeedOverflow {
        /// The first seed.
        first: u64,
        /// The number of seeds.
        count: u64,
    },
    /// A run of the existing comparison cannot be read.
    #[error(transparent)]
    Train(#[from] Box<TrainError>),
    /// The comparison's folder, or a file in it, cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ComparisonRequest {
    /// Plans the comparison, locks its folder, and writes its arms to it.
    /// [`compare`](super::compare) then trains the runs that do not exist yet, by the `evenkeel`
    /// program at `program`.
    ///
    /// # Errors
    /// If the request is invalid or contradicts the comparison in the folder, another process holds
    /// the folder's lock, or the folder cannot be written.
    pub fn prepare(
        &self,
        program: PathBuf,
    ) -> Result<(Comparison, TrainRunsOptions), ComparisonRequestError> {
        for (index, arm) in self.arms.iter().enumerate() {
            if self.arms[..index].contains(arm) {
                let arm = arm.clone();
                return Err(ComparisonRequestError::RepeatedArm { arm });
            }
        }
        let overrides = parse_overrides(&self.set)?;
        let scenario = scenario::resolve(&self.scenario, &overrides)?;
        // A request that cannot be met writes nothing.
        self.checked_plan(&scenario)?;
        let folder = if let Some(out) = &self.out {
            create_folder(out)?;
            out.clone()
        } else {
            create_dated_folder(Path::new(RUNS_FOLDER), "compare", &scenario.name)?
        };
        let lock = Comparison::lock(&folder)?;
        // Before the lock was acquired, another process may have changed the comparison.
        let (manifest, arms) = self.checked_plan(&scenario)?;
        let arm_file = folder.join(ARM_FILE);
        write_file(&arm_file, arms_toml(&arms)?)?;
        let cores = thread_count(0);
        let count = manifest.arms.len() * manifest.seeds.len();
        let jobs = self.jobs.map_or(cores, |jobs| jobs as usize);
        let jobs = jobs.min(count).max(1);
        let options = TrainRunsOptions {
            program,
            threads: (cores / jobs).max(1),
            folder,
            arm_file,
            jobs,
            lock,
        };
        Ok((manifest, options))
    }

    /// Returns the comparison and its arms, or why the request cannot be met.
    fn checked_plan(
        &self,
        scenario: &Scenario,
    ) -> Result<(Comparison, Vec<Arm>), ComparisonRequestError> {
        let existing = self.out.as_deref();
        let existing = existing.filter(|folder| Comparison::exists_in(folder));
        let (manifest, arms) = plan(self, existing)?;
        // A resumed comparison reads its arms from this file, so that their settings stay the same.
        if let Some(folder) = existing {
            check_unchanged(&manifest, &arms, folder)?;
        } else if let Some(out) = &self.out {
            let file = out.join(ARM_FILE);
            let mut inputs = scenario.files().iter().chain(&self.arm_file);
            if inputs.any(|input| is_same_file(input, &file)) {
                return Err(ComparisonRequestError::OverwritesInput { file });
            }
        }
        Ok((manifest, arms))
    }
}

/// Parses overrides, each `path=value`.
pub(super) fn parse_overrides(set: &[String]) -> Result<Vec<Override>, Diagnostic> {
    set.iter().map(|text| Override::parse(text)).collect()
}

/// Returns the scenario as the manifest names it: a shipped name, or an absolute path.
pub(super) fn absolute_scenario(name: &str) -> String {
    if shipped_scenarios()
        .iter()
        .any(|scenario| scenario.name == name)
    {
        return name.to_owned();
    }
    Path::new(name)
        .canonicalize()
        .map_or_else(|_| name.to_owned(), |path| path.display().to_string())
}

/// Returns the requested comparison and its arms. The comparison that a folder already holds,
/// `existing`, is extended by the requested arms and seeds, and keeps its other settings.
fn plan(
    request: &ComparisonRequest,
    existing: Option<&Path>,
) -> Result<(Comparison, Vec<Arm>), ComparisonRequestError> {
    if let Some(folder) = existing {
        return extended_comparison(request, folder);
    }
    let mut names = request.arms.clone();
    if names.is_empty() {
        names = ["clipped", "raw"].map(str::to_owned).to_vec();
    }
    let known = with_built_in_arms(request.defined_arms.clone())?;
    let arms = component_arms(&names, &known)?;
    let seeds = seeds(request.seed.unwrap_or(1), request.seeds.unwrap_or(5))?;
    let episodes = request.episodes.unwrap_or(1000);
    let mut manifest =
        Comparison::new(absolute_scenario(&request.scenario), names, seeds, episodes);
    manifest.steps = request.steps;
    manifest.set.clone_from(&request.set);
    manifest.give_up = request.give_up;
    Ok((manifest, arms))
}

/// Returns `count` seeds from `first` on.
///
/// # Errors
/// If the last one would be above 2⁶⁴ − 1.
pub(super) fn seeds(first: u64, count: u64) -> Result<Vec<u64>, ComparisonRequestError> {
    let Some(steps) = count.checked_sub(1) else {
        return Ok(Vec::new());
    };
    let last = first
        .checked_add(steps)
        .ok_or(ComparisonRequestError::SeedOverflow { first, count })?;
    Ok((first..=last).collect())
}

/// Reads the comparison in a folder and adds the requested arms and seeds.
fn extended_comparison(
    request: &ComparisonRequest,
    folder: &Path,
) -> Result<(Comparison, Vec<Arm>), ComparisonRequestError> {
    let mut manifest = Comparison::read(folder)?;
    check_same_comparison(request, &manifest, folder)?;
    let arm_file = folder.join(ARM_FILE);
    let saved_arms = if arm_file.is_file() {
        load_arms(&arm_file)?
    } else {
        Vec::new()
    };
    let arms = component_arms(&manifest.arms, &with_built_in_arms(saved_arms.clone())?)?;
    for arm in &request.defined_arms {
        let Some(existing) = arms.iter().find(|existing| existing.name == arm.name) else {
            continue;
        };
        if existing.settings()? != arm.settings()? {
            return Err(ComparisonRequestError::ChangedArm {
                file: request.arm_file.clone().unwrap_or_default(),
                arm: arm.name.clone(),
                folder: folder.to_owned(),
            });
        }
    }
    let new = request
        .arms
        .iter()
        .filter(|name| !manifest.arms.contains(name));
    let new: Vec<String> = new.cloned().collect();
    manifest.arms.extend(new);
    // The comparison's own arms come first: a built-in arm may have changed since.
    let mut known = arms;
    for arm in request.defined_arms.iter().chain(&saved_arms) {
        if known.iter().all(|existing| existing.name != arm.name) {
            known.push(arm.clone());
        }
    }
    let arms = component_arms(&manifest.arms, &with_built_in_arms(known)?)?;
    if request.seeds.is_some() || request.seed.is_some() {
        let first = manifest.seeds.iter().min().copied().unwrap_or(1);
        let count = request.seeds.unwrap_or(manifest.seeds.len() as u64);
        manifest
            .seeds
            .extend(seeds(request.seed.unwrap_or(first), count)?);
        manifest.seeds.sort_unstable();
        manifest.seeds.dedup();
    }
    manifest.episodes = request.episodes.unwrap_or(manifest.episodes);
    manifest.give_up |= request.give_up;
    Ok((manifest, arms))
}

/// Checks that the request does not contradict the comparison in the folder.
fn check_same_comparison(
    request: &ComparisonRequest,
    manifest: &Comparison,
    folder: &Path,
) -> Result<(), ComparisonRequestError> {
    let (requested, existing) = (
        absolute_scenario(&request.scenario),
        absolute_scenario(&manifest.scenario),
    );
    let refuse = |existing: String, help: &str| {
        Err(ComparisonRequestError::OtherComparison {
            folder: folder.to_owned(),
            existing,
            help: help.to_owned(),
        })
    };
    if requested != existing {
        return refuse(
            format!("in {existing}, not in {requested}"),
            "choose another --out",
        );
    }
    if let Some(steps) = request.steps.filter(|steps| manifest.steps != Some(*steps)) {
        let existing = manifest
            .steps
            .map_or("the scenario's steps".into(), |steps| {
                format!("--steps {steps}")
            });
        return refuse(
            format!("with {existing}, not with --steps {steps}"),
            "leave --steps out, or choose another --out",
        );
    }
    if !request.set.is_empty() && request.set != manifest.set {
        let existing = match manifest.set.as_slice() {
            [] => "no --set".to_owned(),
            set => format!("--set {}", set.join(" --set ")),
        };
        return refuse(
            format!("with {existing}"),
            "leave --set out, or choose another --out",
        );
    }
    Ok(())
}

/// Checks that the scenario is still the one of the comparison's existing runs.
fn check_unchanged(
    manifest: &Comparison,
    arms: &[Arm],
    folder: &Path,
) -> Result<(), ComparisonRequestError> {
    let Some(run) = list_runs(folder)?.into_iter().next() else {
        return Ok(());
    };
    let info = run.info()?;
    let Some(arm) = arms.iter().find(|arm| arm.name == info.arm) else {
        return Ok(());
    };
    let mut overrides = parse_overrides(&manifest.set)?;
    // The number of environments may depend on the steps.
    let steps = manifest
        .steps
        .map(|steps| format!("train.total_steps={steps}"));
    overrides.extend(parse_overrides(steps.as_slice())?);
    let scenario = Arc::new(scenario::resolve(&manifest.scenario, &overrides)?);
    let now = RunDefinition::new(scenario, &arm.layer, &overrides, info.seed)?;
    let changed = now.differences_from(&run).map_err(Box::new)?;
    if changed.is_empty() {
        return Ok(());
    }
    Err(ComparisonRequestError::ChangedScenario {
        folder: folder.to_owned(),
        changed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(folder: &Path) -> ComparisonRequest {
        ComparisonRequest {
            scenario: "open_field".into(),
            out: Some(folder.join("out")),
            ..ComparisonRequest::default()
        }
    }

    #[test]
    fn a_new_comparison_has_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, options) = request(folder.path()).prepare("evenkeel".into()).unwrap();
        assert_eq!(manifest.arms, ["clipped", "raw"]);
        assert_eq!(manifest.seeds, [1, 2, 3, 4, 5]);
        assert_eq!((manifest.steps, manifest.episodes), (None, 1000));
        assert_eq!(options.folder, folder.path().join("out"));
        let names = load_arms(&options.arm_file).unwrap();
        let names: Vec<String> = names.into_iter().map(|arm| arm.name).collect();
        assert_eq!(names, manifest.arms);
    }

    #[test]
    fn a_request_extends_the_comparison_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, options) = request(folder.path()).prepare("evenkeel".into()).unwrap();
        manifest.write(&options.folder).unwrap();
        drop(options);
        let extension = ComparisonRequest {
            arms: vec!["raw".into(), "agc+sgd".into()],
            seeds: Some(7),
            ..request(folder.path())
        };
        let (manifest, options) = extension.prepare("evenkeel".into()).unwrap();
        assert_eq!(manifest.arms, ["clipped", "raw", "agc+sgd"]);
        assert_eq!(manifest.seeds, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(load_arms(&options.arm_file).unwrap().len(), 4);
    }

    #[test]
    fn a_request_that_cannot_be_met_creates_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let repeated = ComparisonRequest {
            arms: vec!["raw".into(), "raw".into()],
            ..request(folder.path())
        };
        let error = repeated.prepare("evenkeel".into()).unwrap_err();
        assert_eq!(error.to_string(), "arm 'raw' is named twice");
        let unknown = ComparisonRequest {
            arms: vec!["rawr".into()],
            ..request(folder.path())
        };
        let error = unknown.prepare("evenkeel".into()).unwrap_err();
        assert!(matches!(error, ComparisonRequestError::Arm(_)), "{error}");
        assert!(!folder.path().join("out").exists());
    }

    #[test]
    fn a_comparison_that_another_process_trains_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let request = request(folder.path());
        let (_, options) = request.prepare("evenkeel".into()).unwrap();
        let error = request.prepare("evenkeel".into()).unwrap_err();
        let expected = "another process is working on this comparison";
        assert!(error.to_string().contains(expected), "{error}");
        drop(options);
        request.prepare("evenkeel".into()).unwrap();
    }

    #[test]
    fn no_seeds_are_no_runs() {
        let folder = tempfile::tempdir().unwrap();
        let none = ComparisonRequest {
            seeds: Some(0),
            ..request(folder.path())
        };
        let (manifest, options) = none.prepare("evenkeel".into()).unwrap();
        assert!(manifest.seeds.is_empty());
        assert_eq!(options.jobs, 1);
    }
}
