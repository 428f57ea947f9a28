//! Grids: every combination of some arms and values of settings, in one or more scenarios, as
//! ordinary paired comparisons. A cell of a grid is an arm: those of its options laid over each
//! other in the order of the axes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::arms::{ARM_SEPARATOR, ArmEntry, is_valid_arm_name, parse_arms};
use super::{
    Arm, ArmError, ArmScore, PairedDifference, Proportion, Scorecard, component_arms, resolve_arms,
};
use evenkeel_runs::stats::Average;
use evenkeel_sim::config::{Diagnostic, Document, Override, suggest};
use evenkeel_sim::scenario::{TRAINING_SECTIONS, resolve};

/// A grid has no more cells than this.
const MAX_CELLS: usize = 10_000;

/// What a grid file asks for.
#[derive(Clone, Debug)]
pub struct ExperimentGrid {
    /// Scenarios, each by itself.
    pub scenarios: Vec<String>,
    /// The first seed.
    pub seed: u64,
    /// Seeds for each cell.
    pub seeds: u64,
    /// Environment steps of each run, if not the scenario's own.
    pub steps: Option<u64>,
    /// Held-out episodes of each run's evaluation.
    pub episodes: Option<u64>,
    /// Settings for all cells, `path=value`.
    pub set: Vec<String>,
    /// What cells are combinations of.
    pub axes: Vec<GridAxis>,
    /// Arms that the file defines, and one for each value of a setting.
    pub defined_arms: Vec<Arm>,
    /// The cell that all others are held against.
    pub baseline: String,
    document: Document,
}

/// One way in which cells differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GridAxis {
    /// What it is called.
    pub name: String,
    /// Names of arms, or of several laid over each other.
    pub options: Vec<String>,
}

/// One combination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GridCell {
    /// The arm that it is.
    pub name: String,
    /// Its option on each axis.
    pub options: Vec<String>,
}

/// What a cell came to.
#[derive(Clone, Debug, Serialize)]
pub struct CellScore {
    /// The arm that it is.
    pub cell: String,
    /// Its option on each axis.
    pub options: Vec<String>,
    /// Success over held-out episodes: interquartile mean over seeds.
    pub success: Option<Average>,
    /// Share of runs that diverged.
    pub diverged: Proportion,
    /// Success of the cell less that of the baseline, paired by seed; absent of the baseline.
    pub difference_to_baseline: Option<PairedDifference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GridFile {
    scenarios: Vec<String>,
    #[serde(default = "first_seed")]
    seed: u64,
    #[serde(default = "seed_count")]
    seeds: u64,
    steps: Option<u64>,
    episodes: Option<u64>,
    #[serde(default)]
    set: Vec<String>,
    baseline: Option<String>,
    axis: Vec<AxisEntry>,
    #[serde(default)]
    arm: Vec<ArmEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AxisEntry {
    name: String,
    arms: Option<Vec<String>>,
    setting: Option<String>,
    values: Option<Vec<toml::Value>>,
    names: Option<Vec<String>>,
}

fn first_seed() -> u64 {
    1
}

fn seed_count() -> u64 {
    5
}

impl ExperimentGrid {
    /// Reads a grid file.
    ///
    /// # Errors
    /// If the file says something that cannot be.
    pub fn load(path: &Path) -> Result<Self, Diagnostic> {
        let document = Document::load(path)?;
        let file: GridFile = document.read()?;
        let arms = parse_arms(&document, file.arm)?;
        let mut grid = Self {
            scenarios: file.scenarios,
            seed: file.seed,
            seeds: file.seeds,
            steps: file.steps,
            episodes: file.episodes,
            set: file.set,
            axes: Vec::new(),
            defined_arms: arms,
            baseline: String::new(),
            document,
        };
        grid.check_budget()?;
        for (index, entry) in file.axis.into_iter().enumerate() {
            grid.add_axis(index, entry)?;
        }
        grid.choose_baseline(file.baseline)?;
        grid.check_cells()?;
        Ok(grid)
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        self.document.text().unwrap_or_default()
    }

    /// The cells, the last axis running fastest.
    pub fn cells(&self) -> Vec<GridCell> {
        let mut cells = vec![Vec::new()];
        for axis in &self.axes {
            let with = |cell: &Vec<String>| -> Vec<Vec<String>> {
                let options = axis.options.iter();
                options
                    .map(|option| [cell.as_slice(), std::slice::from_ref(option)].concat())
                    .collect()
            };
            cells = cells.iter().flat_map(with).collect();
        }
        let cell = |options: Vec<String>| GridCell {
            name: options.join(&ARM_SEPARATOR.to_string()),
            options,
        };
        cells.into_iter().map(cell).collect()
    }

    /// The cells as arms of a comparison: the baseline first, as all are held against the first.
    pub fn arm_order(&self) -> Vec<String> {
        let others = self.cells().into_iter().map(|cell| cell.name);
        let others = others.filter(|name| *name != self.baseline);
        std::iter::once(self.baseline.clone())
            .chain(others)
            .collect()
    }

    /// What the cells came to in one scenario, in their order; those without a run are left out.
    pub fn scores(&self, card: &Scorecard) -> Vec<CellScore> {
        let scored = |cell: GridCell| -> Option<CellScore> {
            let arm: &ArmScore = card.arms.iter().find(|arm| arm.arm == cell.name)?;
            let pair =
                |pair: &&super::ArmDifference| pair.arm == self.baseline && pair.other == cell.name;
            let against = card.differences.iter().find(pair);
            Some(CellScore {
                success: arm.success,
                diverged: arm.diverged,
                difference_to_baseline: against.and_then(|pair| Some(pair.success?.reversed())),
                cell: cell.name,
                options: cell.options,
            })
        };
        self.cells().into_iter().filter_map(scored).collect()
    }

    fn diagnostic(&self, path: &str, message: &str, help: &str) -> Diagnostic {
        self.document.diagnostic(path, message, Some(help.into()))
    }

    /// Scenarios, seeds and what is set for all.
    fn check_budget(&self) -> Result<(), Diagnostic> {
        if self.scenarios.is_empty() {
            let message = "a grid needs a scenario";
            return Err(self.diagnostic("scenarios", message, "for example [\"reference\"]"));
        }
        for (name, value) in [
            ("seeds", Some(self.seeds)),
            ("steps", self.steps),
            ("episodes", self.episodes),
        ] {
            if value == Some(0) {
                return Err(self.diagnostic(
                    name,
                    &format!("`{name}` is 0"),
                    "it must be at least 1",
                ));
            }
        }
        let overrides = self.overrides()?;
        let mut names = Vec::new();
        for (index, text) in self.scenarios.iter().enumerate() {
            let path = format!("scenarios.{index}");
            let scenario = resolve(text, &overrides)
                .map_err(|error| self.document.diagnostic(&path, &error.to_string(), None))?;
            if names.contains(&scenario.name) {
                let message = format!("scenario '{}' is there twice", scenario.name);
                return Err(self.document.diagnostic(&path, &message, None));
            }
            names.push(scenario.name);
        }
        Ok(())
    }

    fn overrides(&self) -> Result<Vec<Override>, Diagnostic> {
        let parse = |(index, text): (usize, &String)| {
            Override::parse(text).map_err(|wrong| {
                let path = format!("set.{index}");
                self.document.diagnostic(&path, &wrong.message, wrong.help)
            })
        };
        self.set.iter().enumerate().map(parse).collect()
    }

    fn add_axis(&mut self, index: usize, entry: AxisEntry) -> Result<(), Diagnostic> {
        let place = format!("axis.{index}");
        if self.axes.iter().any(|axis| axis.name == entry.name) {
            let message = format!("axis '{}' is there twice", entry.name);
            return Err(self
                .document
                .diagnostic(&format!("{place}.name"), &message, None));
        }
        let options = match (entry.arms, entry.setting, entry.values) {
            (Some(arms), None, None) => {
                self.check_arms(&place, &arms)?;
                arms
            }
            (None, Some(setting), Some(values)) => {
                self.check_setting(&place, &setting)?;
                self.add_values(&place, &setting, &values, entry.names.as_deref())?
            }
            _ => {
                let message = format!("axis '{}' is neither of arms nor of values", entry.name);
                let help = "give it `arms`, or a `setting` with its `values`";
                return Err(self.diagnostic(&place, &message, help));
            }
        };
        if options.is_empty() {
            let message = format!("axis '{}' has no options", entry.name);
            return Err(self.diagnostic(&place, &message, "give it at least one"));
        }
        self.axes.push(GridAxis {
            name: entry.name,
            options,
        });
        Ok(())
    }

    fn check_arms(&self, place: &str, names: &[String]) -> Result<(), Diagnostic> {
        let known = super::with_built_in_arms(self.defined_arms.clone())?;
        for (index, name) in names.iter().enumerate() {
            if let Err(error) = component_arms(std::slice::from_ref(name), &known) {
                let (message, help) = match error {
                    ArmError::Unknown { name, hint } => (format!("no arm '{name}'"), hint),
                    ArmError::Invalid(diagnostic) => return Err(diagnostic),
                };
                return Err(self.diagnostic(&format!("{place}.arms.{index}"), &message, &help));
            }
        }
        Ok(())
    }

    fn check_setting(&self, place: &str, setting: &str) -> Result<(), Diagnostic> {
        let keys: Vec<&str> = setting.split('.').collect();
        let whole = |key: &&str| !key.is_empty() && key.parse::<usize>().is_err();
        let place = format!("{place}.setting");
        if !TRAINING_SECTIONS.contains(&keys[0]) || keys.len() < 2 {
            let message = format!("cells cannot differ in '{setting}'");
            let help = format!(
                "they share one world and differ in settings below: {}",
                TRAINING_SECTIONS.join(", ")
            );
            return Err(self.diagnostic(&place, &message, &help));
        }
        if !keys.iter().all(whole) {
            let message = format!("'{setting}' names an entry of a list");
            let help = "name the list, and write each of its values whole";
            return Err(self.diagnostic(&place, &message, help));
        }
        Ok(())
    }

    /// An arm for each value.
    fn add_values(
        &mut self,
        place: &str,
        setting: &str,
        values: &[toml::Value],
        names: Option<&[String]>,
    ) -> Result<Vec<String>, Diagnostic> {
        if let Some(names) = names.filter(|names| names.len() != values.len()) {
            let message = format!("{} names for {} values", names.len(), values.len());
            return Err(self.diagnostic(&format!("{place}.names"), &message, "give each one name"));
        }
        let key = setting.rsplit('.').next().unwrap_or(setting);
        let mut options = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let written = match value {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let name = match names {
                Some(names) => names[index].clone(),
                None => format!("{key}_{written}"),
            };
            let at = match names {
                Some(_) => format!("{place}.names.{index}"),
                None => format!("{place}.values.{index}"),
            };
            if !is_valid_arm_name(&name) {
                let message = format!("'{name}' is no name for a cell");
                let help = "give the values `names` of letters, digits, '-', '_' and '.'";
                return Err(self.diagnostic(&at, &message, help));
            }
            if self.defined_arms.iter().any(|arm| arm.name == name) {
                let message = format!("'{name}' is there twice");
                return Err(self.diagnostic(&at, &message, "give the values `names` of their own"));
            }
            let missing = || self.document.diagnostic(place, "it has no values", None);
            let part = |path: String| self.document.subdocument(&path).ok_or_else(missing);
            let value = part(format!("{place}.values.{index}"))?;
            let layer = value.nested_at(setting, &part(format!("{place}.setting"))?);
            self.defined_arms.push(Arm {
                description: format!("{setting} = {written}"),
                name: name.clone(),
                layer,
            });
            options.push(name);
        }
        Ok(options)
    }

    fn choose_baseline(&mut self, asked: Option<String>) -> Result<(), Diagnostic> {
        let count: usize = self.axes.iter().map(|axis| axis.options.len()).product();
        if self.axes.is_empty() {
            return Err(self.diagnostic("axis", "a grid needs an axis", "write one as [[axis]]"));
        }
        if count > MAX_CELLS {
            let message = format!("the axes make {count} cells");
            return Err(self.diagnostic("axis", &message, &format!("at most {MAX_CELLS} will do")));
        }
        let cells = self.cells();
        let names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let twice = sorted.windows(2).find(|pair| pair[0] == pair[1]);
        if let Some([twice, ..]) = twice {
            let message = format!("cell '{twice}' is there twice");
            return Err(self.diagnostic(
                "axis",
                &message,
                "no two cells may have the same options",
            ));
        }
        let baseline = asked.unwrap_or_else(|| names[0].to_owned());
        if !names.contains(&baseline.as_str()) {
            let message = format!("no cell '{baseline}'");
            let help = suggest(&baseline, &names);
            return Err(self.document.diagnostic("baseline", &message, help));
        }
        self.baseline = baseline;
        Ok(())
    }

    /// Refuses settings that cannot work before anything is run.
    #[cfg(feature = "learn")]
    fn check_cells(&self) -> Result<(), Diagnostic> {
        use evenkeel_learn::learn::Experiment;
        let overrides = self.overrides()?;
        let known = super::with_built_in_arms(self.defined_arms.clone())?;
        let arms = resolve_arms(&self.arm_order(), &known).map_err(|error| match error {
            ArmError::Invalid(diagnostic) => diagnostic,
            unknown @ ArmError::Unknown { .. } => {
                self.document.diagnostic("axis", &unknown.to_string(), None)
            }
        })?;
        for text in &self.scenarios {
            let scenario = resolve(text, &overrides).map_err(|error| {
                self.document
                    .diagnostic("scenarios", &error.to_string(), None)
            })?;
            let scenario = std::sync::Arc::new(scenario);
            for arm in &arms {
                Experiment::new(scenario.clone(), &arm.layer, &overrides, self.seed)?;
            }
        }
        Ok(())
    }

    #[cfg(not(feature = "learn"))]
    fn check_cells(&self) -> Result<(), Diagnostic> {
        let known = super::with_built_in_arms(self.defined_arms.clone())?;
        resolve_arms(&self.arm_order(), &known)
            .map(drop)
            .map_err(|error| self.document.diagnostic("axis", &error.to_string(), None))
    }
}
