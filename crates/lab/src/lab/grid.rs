//! Grids: all combinations of arms and values of settings, in one or more scenarios, as ordinary
//! paired comparisons. A cell of a grid is an arm that combines the cell's options in the order of
//! the axes. A grid with `samples` trains cells that are drawn at random instead of all.

use std::path::Path;

use serde::{Deserialize, Serialize};

mod best;
mod check;
mod samples;

use super::arms::{ARM_SEPARATOR, ArmEntry, is_valid_arm_name, parse_arms};
#[cfg(feature = "learn")]
use super::comparison_request::{ComparisonRequest, ComparisonRequestError};
use super::{Arm, ArmScore, PairedDifference, Proportion, Scorecard};
#[cfg(feature = "learn")]
use evenkeel_runs::runs::{create_folder, is_same_file, write_file};
use evenkeel_runs::stats::Average;
use evenkeel_sim::config::{Diagnostic, Document, Override, suggest};
#[cfg(feature = "learn")]
use evenkeel_sim::scenario::resolve;

pub use best::{BestCells, best_cells};
use samples::{AxisRange, UNCHANGED};

/// Maximum number of cells.
const MAX_CELLS: usize = 10_000;

/// Maximum number of seeds, as on the command line.
const MAX_SEEDS: u64 = 1000;

/// A grid, as read from its file.
#[derive(Clone, Debug)]
pub struct ExperimentGrid {
    /// Scenarios. Each is compared separately.
    pub scenarios: Vec<String>,
    /// The first seed.
    pub seed: u64,
    /// Number of seeds for each cell.
    pub seeds: u64,
    /// Environment steps of each run. Absent: as in the scenario.
    pub steps: Option<u64>,
    /// Held-out episodes of each run's evaluation.
    pub episodes: Option<u64>,
    /// Settings for all cells, `path=value`.
    pub set: Vec<String>,
    /// The axes. A cell has one option of each.
    pub axes: Vec<GridAxis>,
    /// The arms that the file defines, and an arm for each value of a setting.
    pub defined_arms: Vec<Arm>,
    /// Name of the cell that all others are compared with.
    pub baseline: String,
    /// Whether runs that are behind the median of earlier ones are given up.
    pub give_up: bool,
    /// The drawn cells, each with its option on each axis; absent where all cells are trained.
    samples: Option<Vec<Vec<String>>>,
    document: Document,
}

/// An axis of a grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GridAxis {
    /// Its name.
    pub name: String,
    /// Names of arms or of combined arms.
    pub options: Vec<String>,
}

/// A cell of a grid: one combination of options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GridCell {
    /// Name of its arm.
    pub name: String,
    /// Its option on each axis.
    pub options: Vec<String>,
}

/// The score of a cell.
#[derive(Clone, Debug, Serialize)]
pub struct CellScore {
    /// Name of its arm.
    pub cell: String,
    /// Its option on each axis.
    pub options: Vec<String>,
    /// Success over held-out episodes: interquartile mean over seeds.
    pub success: Option<Average>,
    /// Share of runs that diverged.
    pub diverged: Proportion,
    /// Runs that were given up before their end. Each counts with its best checkpoint.
    pub given_up: usize,
    /// Success of the cell minus that of the baseline, paired by seed. Absent for the baseline.
    pub difference_to_baseline: Option<PairedDifference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GridFile {
    scenarios: Vec<String>,
    #[serde(default = "default_seed")]
    seed: u64,
    #[serde(default = "default_seed_count")]
    seeds: u64,
    steps: Option<u64>,
    episodes: Option<u64>,
    #[serde(default)]
    set: Vec<String>,
    baseline: Option<String>,
    /// Cells to draw; absent: all are trained.
    samples: Option<u64>,
    give_up: Option<GiveUpRule>,
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
    /// Range from which values are drawn uniformly.
    uniform: Option<[f64; 2]>,
    /// Range from which values are drawn so that their logarithm is uniform.
    log_uniform: Option<[f64; 2]>,
    /// Whether drawn values are rounded to whole numbers.
    #[serde(default)]
    whole: bool,
}

/// When a run of a grid is given up.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GiveUpRule {
    /// Behind the median of earlier runs: see `median_rule.rs`.
    Median,
}

fn default_seed() -> u64 {
    1
}

fn default_seed_count() -> u64 {
    5
}

impl ExperimentGrid {
    /// Reads a grid file.
    ///
    /// # Errors
    /// If the file cannot be read or is invalid.
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
            give_up: file.give_up.is_some(),
            samples: None,
            document,
        };
        grid.check_run_settings()?;
        let mut ranges = Vec::new();
        for (index, entry) in file.axis.into_iter().enumerate() {
            let range = AxisRange::read(&grid, &format!("axis.{index}"), &entry)?;
            let is_range = range.is_some();
            ranges.push(range);
            if is_range && file.samples.is_none() {
                let message = format!("axis '{}' has a range", entry.name);
                let help = "say how many cells are drawn with `samples`";
                return Err(grid.diagnostic(&format!("axis.{index}"), &message, help));
            }
            grid.add_axis(index, entry, is_range)?;
        }
        if let Some(samples) = file.samples {
            if !(1..=MAX_CELLS as u64).contains(&samples) {
                let message = format!("`samples` is {samples}");
                let help = format!("it must be from 1 to {MAX_CELLS}");
                return Err(grid.diagnostic("samples", &message, &help));
            }
            grid.draw_cells(samples, &ranges)?;
        }
        grid.choose_baseline(file.baseline)?;
        grid.check_cells()?;
        Ok(grid)
    }

    /// The text of the file.
    pub fn text(&self) -> &str {
        self.document.text().unwrap_or_default()
    }

    /// All cells. The option of the last axis changes fastest. Of a sampled grid, an unchanged cell and
    /// then the drawn ones.
    pub fn cells(&self) -> Vec<GridCell> {
        if let Some(samples) = &self.samples {
            let unchanged = GridCell {
                name: UNCHANGED.into(),
                options: vec!["unchanged".into(); self.axes.len()],
            };
            let drawn = samples.iter().map(|options| GridCell {
                name: options.join(&ARM_SEPARATOR.to_string()),
                options: options.clone(),
            });
            return std::iter::once(unchanged).chain(drawn).collect();
        }
        let mut cells = vec![Vec::new()];
        for axis in &self.axes {
            let extend = |cell: &Vec<String>| -> Vec<Vec<String>> {
                let options = axis.options.iter();
                options
                    .map(|option| [cell.as_slice(), std::slice::from_ref(option)].concat())
                    .collect()
            };
            cells = cells.iter().flat_map(extend).collect();
        }
        let cell = |options: Vec<String>| GridCell {
            name: options.join(&ARM_SEPARATOR.to_string()),
            options,
        };
        cells.into_iter().map(cell).collect()
    }

    /// The names of all cells, the baseline first: a comparison compares all arms with the first.
    pub fn arm_order(&self) -> Vec<String> {
        let others = self.cells().into_iter().map(|cell| cell.name);
        let others = others.filter(|name| *name != self.baseline);
        std::iter::once(self.baseline.clone())
            .chain(others)
            .collect()
    }

    /// The scores of the cells in one scenario, in order. Cells without a run are skipped.
    pub fn scores(&self, card: &Scorecard) -> Vec<CellScore> {
        let score = |cell: GridCell| -> Option<CellScore> {
            let arm: &ArmScore = card.arms.iter().find(|arm| arm.arm == cell.name)?;
            let pair =
                |pair: &&super::ArmDifference| pair.arm == self.baseline && pair.other == cell.name;
            let difference = card.differences.iter().find(pair);
            Some(CellScore {
                success: arm.success,
                diverged: arm.diverged,
                given_up: arm.runs.iter().filter(|run| run.given_up).count(),
                difference_to_baseline: difference.and_then(|pair| Some(pair.success?.reversed())),
                cell: cell.name,
                options: cell.options,
            })
        };
        self.cells().into_iter().filter_map(score).collect()
    }

    /// Creates the grid's folder with a copy of the grid file, and returns one comparison per
    /// scenario, each in its own folder below. `jobs` is the number of runs trained at the same time.
    ///
    /// # Errors
    /// If a scenario is invalid, or the folder cannot be written.
    #[cfg(feature = "learn")]
    pub fn prepare(
        &self,
        folder: &Path,
        jobs: Option<u32>,
    ) -> Result<Vec<ComparisonRequest>, ComparisonRequestError> {
        create_folder(folder)?;
        let copy = folder.join("grid.toml");
        if !is_same_file(Path::new(self.document.file()), &copy) {
            write_file(&copy, self.text())?;
        }
        let overrides = self.overrides()?;
        let request = |scenario: &String| {
            let name = resolve(scenario, &overrides)?.name;
            Ok(ComparisonRequest {
                scenario: scenario.clone(),
                arms: self.arm_order(),
                arm_file: Some(self.document.file().into()),
                defined_arms: self.defined_arms.clone(),
                seed: Some(self.seed),
                seeds: Some(self.seeds),
                steps: self.steps,
                episodes: self.episodes,
                set: self.set.clone(),
                jobs,
                give_up: self.give_up,
                out: Some(folder.join(name)),
            })
        };
        self.scenarios.iter().map(request).collect()
    }

    fn diagnostic(&self, path: &str, message: &str, help: &str) -> Diagnostic {
        self.document.diagnostic(path, message, Some(help.into()))
    }

    fn overrides(&self) -> Result<Vec<Override>, Diagnostic> {
        let parse = |(index, text): (usize, &String)| {
            Override::parse(text).map_err(|error| {
                let path = format!("set.{index}");
                self.document.diagnostic(&path, &error.message, error.help)
            })
        };
        self.set.iter().enumerate().map(parse).collect()
    }

    /// Adds an axis. That of a range has no options until cells are drawn.
    fn add_axis(
        &mut self,
        index: usize,
        entry: AxisEntry,
        is_range: bool,
    ) -> Result<(), Diagnostic> {
        let path = format!("axis.{index}");
        if self.axes.iter().any(|axis| axis.name == entry.name) {
            let message = format!("axis '{}' is defined twice", entry.name);
            return Err(self
                .document
                .diagnostic(&format!("{path}.name"), &message, None));
        }
        let options = match (entry.arms, entry.setting, entry.values) {
            (Some(arms), None, None) => {
                self.check_arms(&path, &arms)?;
                arms
            }
            (None, Some(setting), Some(values)) => {
                self.check_setting(&path, &setting)?;
                self.add_values(&path, &setting, &values, entry.names.as_deref())?
            }
            _ if is_range => Vec::new(),
            _ => {
                let message = format!("axis '{}' has neither arms nor values", entry.name);
                let help = "give it `arms`, or a `setting` with its `values` or a range";
                return Err(self.diagnostic(&path, &message, help));
            }
        };
        if options.is_empty() && !is_range {
            let message = format!("axis '{}' has no options", entry.name);
            return Err(self.diagnostic(&path, &message, "give it at least one"));
        }
        self.axes.push(GridAxis {
            name: entry.name,
            options,
        });
        Ok(())
    }

    /// Adds an arm for each value of a setting, and returns their names.
    fn add_values(
        &mut self,
        path: &str,
        setting: &str,
        values: &[toml::Value],
        names: Option<&[String]>,
    ) -> Result<Vec<String>, Diagnostic> {
        if let Some(names) = names.filter(|names| names.len() != values.len()) {
            let message = format!("{} names for {} values", names.len(), values.len());
            return Err(self.diagnostic(
                &format!("{path}.names"),
                &message,
                "give each value a name",
            ));
        }
        let key = setting.rsplit('.').next().unwrap_or(setting);
        let mut options = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let value_text = match value {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let name = match names {
                Some(names) => names[index].clone(),
                None => format!("{key}_{value_text}"),
            };
            let name_path = match names {
                Some(_) => format!("{path}.names.{index}"),
                None => format!("{path}.values.{index}"),
            };
            if !is_valid_arm_name(&name) {
                let message = format!("'{name}' is not a valid name for a cell");
                let help = "give the values `names` of letters, digits, '-', '_' and '.'";
                return Err(self.diagnostic(&name_path, &message, help));
            }
            if self.defined_arms.iter().any(|arm| arm.name == name) {
                let message = format!("'{name}' is defined twice");
                let help = "give the values distinct `names`";
                return Err(self.diagnostic(&name_path, &message, help));
            }
            let missing = || {
                self.document
                    .diagnostic(path, "the axis has no values", None)
            };
            let part = |path: String| self.document.subdocument(&path).ok_or_else(missing);
            let value = part(format!("{path}.values.{index}"))?;
            let layer = value.nested_at(setting, &part(format!("{path}.setting"))?);
            self.defined_arms.push(Arm {
                description: format!("{setting} = {value_text}"),
                name: name.clone(),
                layer,
            });
            options.push(name);
        }
        Ok(options)
    }

    /// Checks that cell names are unique, and sets the baseline: the requested cell, or the first.
    fn choose_baseline(&mut self, requested: Option<String>) -> Result<(), Diagnostic> {
        let count: usize = match &self.samples {
            Some(samples) => samples.len(),
            None => self.axes.iter().map(|axis| axis.options.len()).product(),
        };
        if self.axes.is_empty() {
            return Err(self.diagnostic(
                "axis",
                "a grid needs at least one axis",
                "add an [[axis]]",
            ));
        }
        if count > MAX_CELLS {
            let message = format!("the axes make {count} cells");
            return Err(self.diagnostic(
                "axis",
                &message,
                &format!("at most {MAX_CELLS} are allowed"),
            ));
        }
        let cells = self.cells();
        let names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let duplicate = sorted.windows(2).find(|pair| pair[0] == pair[1]);
        if let Some([name, ..]) = duplicate {
            let message = format!("cell '{name}' is defined twice");
            return Err(self.diagnostic(
                "axis",
                &message,
                "no two cells may have the same options",
            ));
        }
        let baseline = requested.unwrap_or_else(|| names[0].to_owned());
        if !names.contains(&baseline.as_str()) {
            let message = format!("no cell '{baseline}'");
            let help = suggest(&baseline, &names);
            return Err(self.document.diagnostic("baseline", &message, help));
        }
        self.baseline = baseline;
        Ok(())
    }
}
