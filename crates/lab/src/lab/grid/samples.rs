//! Sampled grids: cells drawn at random from axes of ranges and options, within a budget of cells. The
//! draws depend on the grid's seed alone, and more cells keep the earlier ones.

use std::collections::BTreeSet;

use rand::RngExt as _;

use super::{AxisEntry, ExperimentGrid};
use crate::lab::Arm;
use crate::lab::arms::{ARM_SEPARATOR, is_valid_arm_name};
use evenkeel_sim::config::{Diagnostic, Document};
use evenkeel_sim::seed::{Purpose, Split, stream};

/// The cell of a sampled grid that changes nothing, with which the others are compared.
pub(super) const UNCHANGED: &str = "clipped";

/// Significant digits of a drawn value. Its name states all of them.
const DIGITS: usize = 3;

/// Draws per cell before distinct cells count as used up.
const DRAWS_PER_CELL: u64 = 100;

/// The range of an axis, from which values of a setting are drawn.
#[derive(Clone, Debug)]
pub(super) struct AxisRange {
    setting: String,
    low: f64,
    high: f64,
    /// Whether the logarithm is drawn uniformly.
    is_log: bool,
    /// Whether values are rounded to whole numbers.
    whole: bool,
}

impl AxisRange {
    /// The range of an axis; `None` for an axis of arms or values.
    pub(super) fn read(
        grid: &ExperimentGrid,
        path: &str,
        entry: &AxisEntry,
    ) -> Result<Option<Self>, Diagnostic> {
        let (key, [low, high], is_log) = match (entry.uniform, entry.log_uniform) {
            (None, None) => return Ok(None),
            (Some(range), None) => ("uniform", range, false),
            (None, Some(range)) => ("log_uniform", range, true),
            (Some(_), Some(_)) => {
                let message = format!("axis '{}' has two ranges", entry.name);
                return Err(grid.diagnostic(path, &message, "leave one of them out"));
            }
        };
        let Some(setting) = &entry.setting else {
            let message = format!("axis '{}' has a range and no setting", entry.name);
            return Err(grid.diagnostic(path, &message, "give it a `setting`"));
        };
        if entry.arms.is_some() || entry.values.is_some() || entry.names.is_some() {
            let message = format!("axis '{}' has a range and options", entry.name);
            let help = "give it either a range, or `arms`, or `values`";
            return Err(grid.diagnostic(path, &message, help));
        }
        if !is_valid_arm_name(&entry.name) {
            let message = format!("'{}' cannot be part of a cell's name", entry.name);
            let help = "use letters, digits, '-', '_' and '.'";
            return Err(grid.diagnostic(&format!("{path}.name"), &message, help));
        }
        grid.check_setting(path, setting)?;
        let is_range = low.is_finite() && high.is_finite() && low < high;
        if !is_range || (is_log && low <= 0.0) {
            let message = format!("{key} is [{low}, {high}]");
            let help = if is_log {
                "write two finite numbers above 0, the smaller one first"
            } else {
                "write two finite numbers, the smaller one first"
            };
            return Err(grid.diagnostic(&format!("{path}.{key}"), &message, help));
        }
        Ok(Some(Self {
            setting: setting.clone(),
            low,
            high,
            is_log,
            whole: entry.whole,
        }))
    }

    /// The value at a place from 0 to 1 of the range, as text in TOML.
    fn value_at(&self, place: f64) -> String {
        let value = if self.is_log {
            (self.low.ln() + place * (self.high / self.low).ln()).exp()
        } else {
            self.low + place * (self.high - self.low)
        };
        let value = value.clamp(self.low, self.high);
        if self.whole {
            return format!("{}", value.round() as i64);
        }
        let scientific = format!("{value:.*e}", DIGITS - 1);
        let rounded: f64 = scientific.parse().unwrap_or(value);
        if rounded == 0.0 || (1e-2..1e4).contains(&rounded.abs()) {
            format!("{rounded:?}")
        } else {
            format!("{rounded:e}")
        }
    }
}

impl ExperimentGrid {
    /// Draws distinct cells, and adds an arm for each drawn value. `ranges` has the range of each axis,
    /// or nothing for an axis of options.
    pub(super) fn draw_cells(
        &mut self,
        samples: u64,
        ranges: &[Option<AxisRange>],
    ) -> Result<(), Diagnostic> {
        let mut cells: Vec<Vec<String>> = Vec::new();
        let mut seen = BTreeSet::from([UNCHANGED.to_owned()]);
        let mut draws = 0..samples.saturating_mul(DRAWS_PER_CELL);
        while (cells.len() as u64) < samples {
            let Some(draw) = draws.next() else {
                let message = format!("the axes have only {} cells to draw", cells.len());
                let help = "make `samples` smaller, or leave it out to train every cell";
                return Err(self.diagnostic("samples", &message, help));
            };
            let mut cell = Vec::with_capacity(ranges.len());
            let mut arms = Vec::new();
            for (axis, range) in ranges.iter().enumerate() {
                let purpose = Purpose::Sweep;
                let mut rng = stream(self.seed, Split::Train, draw, axis as u64, purpose);
                let place: f64 = rng.random();
                let Some(range) = range else {
                    let options = &self.axes[axis].options;
                    let index = (place * options.len() as f64) as usize;
                    cell.push(options[index.min(options.len() - 1)].clone());
                    continue;
                };
                let value = range.value_at(place);
                let name = format!("{}_{value}", self.axes[axis].name);
                arms.push((axis, self.drawn_arm(axis, range, &value, &name)?));
                cell.push(name);
            }
            if !seen.insert(cell.join(&ARM_SEPARATOR.to_string())) {
                continue;
            }
            cells.push(cell);
            for (axis, arm) in arms {
                if self.defined_arms.iter().all(|known| known.name != arm.name) {
                    self.axes[axis].options.push(arm.name.clone());
                    self.defined_arms.push(arm);
                } else if !self.axes[axis].options.contains(&arm.name) {
                    let message = format!("'{}' is defined twice", arm.name);
                    let help = "give the axes other names";
                    return Err(self.diagnostic(&format!("axis.{axis}.name"), &message, help));
                }
            }
        }
        self.samples = Some(cells);
        Ok(())
    }

    /// The arm that sets a drawn value.
    fn drawn_arm(
        &self,
        axis: usize,
        range: &AxisRange,
        value: &str,
        name: &str,
    ) -> Result<Arm, Diagnostic> {
        let document = Document::parse(name, &format!("value = {value}"))?;
        let missing = || {
            self.document
                .diagnostic("axis", "the axis has no setting", None)
        };
        let part = |document: &Document, path: &str| document.subdocument(path);
        let origin = part(&self.document, &format!("axis.{axis}.setting")).ok_or_else(missing)?;
        let value_layer = part(&document, "value").ok_or_else(missing)?;
        Ok(Arm {
            name: name.to_owned(),
            description: format!("{} = {value}", range.setting),
            layer: value_layer.nested_at(&range.setting, &origin),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(low: f64, high: f64, is_log: bool, whole: bool) -> AxisRange {
        AxisRange {
            setting: "train.learning_rate".into(),
            low,
            high,
            is_log,
            whole,
        }
    }

    #[test]
    fn values_lie_in_their_range_and_are_legible() {
        let log = range(1e-4, 1e-2, true, false);
        assert_eq!(
            [0.0, 0.5, 1.0].map(|at| log.value_at(at)),
            ["1e-4", "1e-3", "0.01"]
        );
        let linear = range(0.9, 1.0, false, false);
        assert_eq!(
            [0.0, 0.123, 1.0].map(|at| linear.value_at(at)),
            ["0.9", "0.912", "1.0"]
        );
        let whole = range(1.0, 10.0, false, true);
        assert_eq!(
            [0.0, 0.5, 1.0].map(|at| whole.value_at(at)),
            ["1", "6", "10"]
        );
    }
}
