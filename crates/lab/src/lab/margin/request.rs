//! Requests for margins, and what makes one of them impossible.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::axis::{AxisBase, AxisError, MarginAxis, OCTAVE, Turn};
use super::run::{ArmPlan, AxisPlan, MarginPlan};
use super::search::RangeSearch;
use super::{MARGIN_FILE, MarginReport};
use crate::lab::comparison_request::{absolute_scenario, parse_overrides, seeds};
use crate::lab::{
    Arm, ArmError, ComparisonRequestError, TrainRunsError, TrainRunsOptions, component_arms,
    resolve_arms, with_built_in_arms,
};
use evenkeel_learn::learn::RunDefinition;
use evenkeel_runs::runs::{
    FolderLock, RUNS_FOLDER, RunError, WriteError, create_dated_folder, create_folder,
};
use evenkeel_sim::config::{Diagnostic, Override};
use evenkeel_sim::env::thread_count;
use evenkeel_sim::scenario::{self, Scenario, ScenarioError};

/// Stability margins to measure. Options that are `None` or empty have the defaults of
/// `evenkeel margin`.
#[derive(Clone, Debug, Default)]
pub struct MarginRequest {
    /// The name of a shipped scenario, or the path of a scenario file.
    pub scenario: String,
    /// Arms; `clipped` and `raw` by default.
    pub arms: Vec<String>,
    /// Arms besides the built-in ones.
    pub defined_arms: Vec<Arm>,
    /// Axes; the learning rate by default.
    pub axes: Vec<String>,
    /// The first seed; 1 by default.
    pub seed: Option<u64>,
    /// Number of seeds at each factor; 5 by default.
    pub seeds: Option<u64>,
    /// Environment steps of each run; by default as in the scenario.
    pub steps: Option<u64>,
    /// Overrides for every run, each `path=value`.
    pub set: Vec<String>,
    /// Whether all runs go on to their ends, also those that are far behind.
    pub exhaustive: bool,
    /// Number of runs trained at the same time; one per core by default.
    pub jobs: Option<u32>,
    /// The folder of the runs. A folder that already has some of them is continued. Defaults to a
    /// folder in [`RUNS_FOLDER`] that is named after the scenario and the time.
    pub out: Option<PathBuf>,
}

/// Why margins cannot be measured as requested.
#[derive(Debug, thiserror::Error)]
pub enum MarginError {
    /// An axis cannot be used.
    #[error(transparent)]
    Axis(#[from] AxisError),
    /// An arm or an axis is requested twice.
    #[error("{kind} '{name}' is named twice")]
    Repeated {
        /// `arm` or `axis`.
        kind: &'static str,
        /// Its name.
        name: String,
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
    /// A seed would be above 2⁶⁴ − 1.
    #[error(transparent)]
    Request(#[from] Box<ComparisonRequestError>),
    /// The folder holds margins of another scenario or with other steps.
    #[error(
        "{folder}: this folder holds margins of {existing}, not of {requested}; choose another --out"
    )]
    OtherMargins {
        /// The folder.
        folder: PathBuf,
        /// What it holds.
        existing: String,
        /// What was requested.
        requested: String,
    },
    /// A run could not be trained.
    #[error(transparent)]
    Train(#[from] TrainRunsError),
    /// A file of a run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The folder, or a file in it, cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Half an octave: how close the two sides of an end are bracketed.
const RESOLUTION: Turn = OCTAVE / 2;

/// Held-out episodes of the final evaluation of each run, which a margin does not read.
pub(super) const FINAL_EPISODES: u64 = 100;

impl MarginRequest {
    /// Checks the request and plans the search, whose runs the `evenkeel` program at `program`
    /// trains.
    ///
    /// # Errors
    /// If the request is invalid, or contradicts the margins in the folder.
    pub fn prepare(&self, program: PathBuf) -> Result<MarginPlan, MarginError> {
        let or_default = |names: &[String], default: &[&str]| -> Vec<String> {
            match names {
                [] => default.iter().map(|&name| name.to_owned()).collect(),
                names => names.to_vec(),
            }
        };
        let arms = or_default(&self.arms, &["clipped", "raw"]);
        let axes = or_default(&self.axes, &["learning_rate"]);
        refuse_repeated("arm", &arms)?;
        refuse_repeated("axis", &axes)?;
        let axes: Vec<MarginAxis> = axes
            .iter()
            .map(|name| MarginAxis::named(name))
            .collect::<Result<_, _>>()?;
        let seeds = seeds(self.seed.unwrap_or(1), self.seeds.unwrap_or(5)).map_err(Box::new)?;
        let known = with_built_in_arms(self.defined_arms.clone())?;
        let components = component_arms(&arms, &known)?;
        let mut set = self.set.clone();
        if let Some(steps) = self.steps {
            set.push(format!("train.total_steps={steps}"));
        }
        let scenario = Arc::new(scenario::resolve(&self.scenario, &parse_overrides(&set)?)?);
        let mut steps = 0;
        let arms = resolve_arms(&arms, &known)?
            .into_iter()
            .map(|arm| {
                let (plan, budget) = arm_plan(&arm, &axes, (&self.scenario, &scenario), &set)?;
                steps = budget;
                Ok(plan)
            })
            .collect::<Result<_, MarginError>>()?;
        let folder = match &self.out {
            Some(out) => {
                create_folder(out)?;
                out.clone()
            }
            None => create_dated_folder(Path::new(RUNS_FOLDER), "margin", &scenario.name)?,
        };
        let lock = FolderLock::acquire(&folder, "margin")?;
        check_same(&folder, &scenario.name, steps)?;
        let cores = thread_count(0);
        let jobs = self.jobs.map_or(cores, |jobs| jobs as usize).max(1);
        Ok(MarginPlan {
            scenario: absolute_scenario(&self.scenario),
            scenario_name: scenario.name.clone(),
            steps,
            set,
            seeds,
            exhaustive: self.exhaustive,
            components,
            arms,
            axes,
            options: TrainRunsOptions {
                program,
                arm_file: folder.join("arms.toml"),
                folder,
                jobs,
                threads: (cores / jobs).max(1),
                lock,
            },
        })
    }
}

/// Plans the search of one arm, and returns its budget.
fn arm_plan(
    arm: &Arm,
    axes: &[MarginAxis],
    scenario: (&str, &Arc<Scenario>),
    set: &[String],
) -> Result<(ArmPlan, u64), MarginError> {
    let definition = RunDefinition::new(scenario.1.clone(), &arm.layer, &parse_overrides(set)?, 0)?;
    let config: toml::Table = definition
        .config_toml()?
        .parse()
        .expect("a written configuration can be read");
    let axis_plan = |axis: &MarginAxis| {
        let base = axis.base(&arm.name, &config)?;
        let is_valid = |turn: Turn| is_valid(scenario, arm, set, &base, turn);
        let [low, high] = base.range();
        let down = (low / OCTAVE..=-1).map(|octave| octave * OCTAVE);
        let up = (1..=high / OCTAVE).map(|octave| octave * OCTAVE);
        let ends = [
            down.rev().take_while(|turn| is_valid(*turn)).last(),
            up.take_while(|turn| is_valid(*turn)).last(),
        ];
        Ok(AxisPlan {
            search: RangeSearch {
                ends: ends.map(Option::unwrap_or_default),
                resolution: RESOLUTION,
            },
            base,
        })
    };
    let axes = axes.iter().map(axis_plan);
    let plan = ArmPlan {
        name: arm.name.clone(),
        axes: axes.collect::<Result<_, MarginError>>()?,
    };
    Ok((plan, definition.config.train.total_steps))
}

/// Whether training accepts the settings at a turn.
fn is_valid(
    (name, scenario): (&str, &Arc<Scenario>),
    arm: &Arm,
    set: &[String],
    base: &AxisBase,
    turn: Turn,
) -> bool {
    let texts: Vec<String> = set.iter().cloned().chain(base.overrides(turn)).collect();
    let Ok(overrides) = parse_overrides(&texts) else {
        return false;
    };
    let changes_world = |change: &Override| !change.affects_training();
    let scenario = if overrides.iter().any(changes_world) {
        let Ok(changed) = scenario::resolve(name, &overrides) else {
            return false;
        };
        Arc::new(changed)
    } else {
        scenario.clone()
    };
    RunDefinition::new(scenario, &arm.layer, &overrides, 0).is_ok()
}

fn refuse_repeated(kind: &'static str, names: &[String]) -> Result<(), MarginError> {
    let mut later = names.iter().enumerate();
    match later.find(|(index, name)| names[..*index].contains(name)) {
        Some((_, name)) => Err(MarginError::Repeated {
            kind,
            name: name.clone(),
        }),
        None => Ok(()),
    }
}

/// Checks that the folder holds no margins of another scenario or budget.
fn check_same(folder: &Path, scenario: &str, steps: u64) -> Result<(), MarginError> {
    let file = folder.join(MARGIN_FILE);
    if !file.is_file() {
        return Ok(());
    }
    let existing: MarginReport = evenkeel_runs::runs::read_json(&file)?;
    if (existing.scenario.as_str(), existing.steps) == (scenario, steps) {
        return Ok(());
    }
    let describe = |scenario: &str, steps: u64| format!("{scenario} with {steps} steps");
    Err(MarginError::OtherMargins {
        folder: folder.to_owned(),
        existing: describe(&existing.scenario, existing.steps),
        requested: describe(scenario, steps),
    })
}
