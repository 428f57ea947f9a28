//! Heat maps over optimiser steps: the gradient norm of every layer, and at every step back in
//! time. A column covers several steps and shows their maximum, so that a spike in a single step is
//! visible.

use serde::Serialize;

use super::axis::StepAxis;
use super::step_bins::StepBins;
use crate::lab::RunRecord;
use crate::report::arm_runs::ArmRuns;
use crate::report::layer_names::layer_names;
use evenkeel_runs::stats::quantile;
use evenkeel_runs::telemetry::UpdateReport;

/// Maximum number of runs shown. Each adds 10 to 30 kB to the page.
const MAX_PANELS: usize = 12;
/// Maximum number of rows of the map over time.
const MAX_ROWS: usize = 64;

/// Heat maps of several runs with the same colour scale.
#[derive(Debug, Serialize)]
pub(in crate::report) struct HeatMap {
    title: String,
    help: String,
    axis: StepAxis,
    /// Column `i` covers the steps from `edges[i]` to `edges[i + 1]`, exclusive.
    edges: Vec<u64>,
    /// Kind of the rows.
    rows: &'static str,
    /// Ends of the colour scale.
    range: [f64; 2],
    /// Selectable seeds, the most informative first.
    seeds: Vec<u64>,
    panels: Vec<HeatPanel>,
}

/// The heat map of one run.
#[derive(Debug, Serialize)]
struct HeatPanel {
    arm: usize,
    seed: u64,
    /// The optimiser step at which it diverged.
    diverged: Option<u64>,
    /// Names of the rows, from top to bottom.
    names: Vec<String>,
    /// The cells of each row, encoded by [`encode`].
    cells: Vec<String>,
}

/// One cell: the maximum over the steps of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
enum HeatCell {
    /// No steps, or nothing was measured in them.
    Empty,
    Norm(f64),
    NotFinite,
}

/// The gradient norm of every layer.
pub(in crate::report) fn layers(arms: &[ArmRuns], bins: &StepBins) -> Option<HeatMap> {
    let help = format!(
        "L2 norm of the gradient in every layer before any clip, on a logarithmic colour scale. A \
         column is {} and shows the largest norm among them. Look for columns in which all layers \
         flare up, and for rows that stay dark.",
        bins.column_width_text()
    );
    let rows = |run: &RunRecord| {
        let layers = run.steps.iter().map(|step| step.layer_norms.len()).max()?;
        let cells = columns(run, bins, layers, |step| &step.layer_norms);
        let names = match layer_names(run, arms) {
            names if names.len() == layers => names,
            _ => (1..=layers).map(|row| format!("parameter {row}")).collect(),
        };
        Some((names, cells))
    };
    let title = "gradient norm by layer";
    heat_map(arms, bins, title, help, "layer", rows)
}

/// The gradient norm at every step back in time, for policies with memory.
pub(in crate::report) fn hidden_grad_norms(arms: &[ArmRuns], bins: &StepBins) -> Option<HeatMap> {
    let help = format!(
        "‖∂L/∂h_t‖, the gradient with respect to the hidden state after step t of the unrolled \
         sequence, on a logarithmic colour scale; it travels from the top, the end of the sequence, \
         down to its start. A column is {} and shows the largest norm among them. In columns that \
         get brighter downwards the gradient explodes through time; in columns that get darker it \
         vanishes.",
        bins.column_width_text()
    );
    let rows = |run: &RunRecord| {
        let unrolled = run
            .steps
            .iter()
            .map(|step| step.hidden_grad_norms.len())
            .max()?;
        let cells = columns(run, bins, unrolled, |step| &step.hidden_grad_norms);
        let rows_each = unrolled.div_ceil(MAX_ROWS).max(1);
        let mut names: Vec<String> = (1..=unrolled)
            .step_by(rows_each)
            .map(|first| match (first + rows_each - 1).min(unrolled) {
                last if last == first => first.to_string(),
                last => format!("{first}–{last}"),
            })
            .collect();
        let mut cells: Vec<Vec<HeatCell>> = cells.chunks(rows_each).map(max_of_rows).collect();
        // The end of the sequence is at the top.
        names.reverse();
        cells.reverse();
        Some((names, cells))
    };
    let title = "gradient through time";
    heat_map(arms, bins, title, help, "t", rows)
}

/// Builds the heat maps; `of` returns the names of the rows and the cells of a run.
fn heat_map(
    arms: &[ArmRuns],
    bins: &StepBins,
    title: &str,
    help: String,
    rows: &'static str,
    of: impl Fn(&RunRecord) -> Option<(Vec<String>, Vec<Vec<HeatCell>>)>,
) -> Option<HeatMap> {
    let seeds = most_informative_seeds(arms);
    let mut panels = Vec::new();
    let mut norms = Vec::new();
    for seed in &seeds {
        for arm in arms.iter().take(MAX_PANELS) {
            let run = arm.runs.iter().find(|run| run.info.seed == *seed);
            let Some((run, (names, cells))) = run.and_then(|run| Some((run, of(run)?))) else {
                continue;
            };
            if cells.is_empty() {
                continue;
            }
            norms.extend(cells.iter().flatten().filter_map(|cell| match cell {
                HeatCell::Norm(norm) if *norm > 0.0 => Some(*norm),
                _ => None,
            }));
            panels.push(HeatPanel {
                arm: arm.index,
                seed: *seed,
                diverged: run.diverged.as_ref().map(|at| at.optimiser_step),
                names,
                cells: cells.iter().map(|row| encode(row)).collect(),
            });
        }
    }
    norms.sort_unstable_by(f64::total_cmp);
    // From the 2nd percentile: a few tiny gradients would leave the others one colour.
    let (low, high) = (quantile(&norms, 0.02)?, *norms.last()?);
    let low = low.min(high / 10.0);
    let all = arms.iter().map(|arm| arm.runs.len()).sum::<usize>();
    let help = match panels.len() {
        shown if shown < all => format!("{help} {shown} of {all} runs are shown."),
        _ => help,
    };
    Some(HeatMap {
        title: title.into(),
        help,
        axis: bins.axis(),
        edges: bins.edges.clone(),
        rows,
        range: [low, high],
        seeds,
        panels,
    })
}

/// The seeds to show: first those with a diverged run, the earliest divergence first, then those
/// with the largest ratio of maximum to median gradient norm.
fn most_informative_seeds(arms: &[ArmRuns]) -> Vec<u64> {
    let runs = || arms.iter().take(MAX_PANELS).flat_map(|arm| &arm.runs);
    let mut seeds: Vec<u64> = runs().map(|run| run.info.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let spike_ratio = |run: &RunRecord| {
        let norms = run.steps.iter().filter_map(|step| step.grad_norm);
        let mut norms: Vec<f64> = norms.filter(|norm| norm.is_finite()).collect();
        norms.sort_unstable_by(f64::total_cmp);
        Some(norms.last()? / quantile(&norms, 0.5)?)
    };
    let mut ranked: Vec<(u64, f64, u64)> = seeds
        .into_iter()
        .map(|seed| {
            let of_seed = || runs().filter(|run| run.info.seed == seed);
            let diverged = of_seed().filter_map(|run| Some(run.diverged.as_ref()?.optimiser_step));
            let ratios = of_seed().filter_map(|run| spike_ratio(run));
            let first = diverged.min().unwrap_or(u64::MAX);
            (first, -ratios.fold(0.0, f64::max), seed)
        })
        .collect();
    ranked.sort_by(|a, b| (a.0.cmp(&b.0)).then(a.1.total_cmp(&b.1)));
    ranked.truncate((MAX_PANELS / arms.len().max(1)).max(1));
    ranked.into_iter().map(|(_, _, seed)| seed).collect()
}

/// For each row, the maximum over the steps of each column.
fn columns(
    run: &RunRecord,
    bins: &StepBins,
    rows: usize,
    of: fn(&UpdateReport) -> &Vec<Option<f64>>,
) -> Vec<Vec<HeatCell>> {
    let mut cells = vec![vec![HeatCell::Empty; bins.bins()]; rows];
    for step in &run.steps {
        let column = bins.bin(step.optimiser_step);
        for (row, value) in cells.iter_mut().zip(of(step)) {
            let value = value.filter(|value| value.is_finite());
            row[column] = max_cell(
                row[column],
                value.map_or(HeatCell::NotFinite, HeatCell::Norm),
            );
        }
    }
    cells
}

/// The maximum. A value that is not finite is above every norm.
fn max_cell(one: HeatCell, other: HeatCell) -> HeatCell {
    match (one, other) {
        (HeatCell::NotFinite, _) | (_, HeatCell::NotFinite) => HeatCell::NotFinite,
        (HeatCell::Empty, cell) | (cell, HeatCell::Empty) => cell,
        (HeatCell::Norm(a), HeatCell::Norm(b)) => HeatCell::Norm(a.max(b)),
    }
}

fn max_of_rows(rows: &[Vec<HeatCell>]) -> Vec<HeatCell> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns)
        .map(|column| {
            let cells = rows.iter().map(|row| row[column]);
            cells.fold(HeatCell::Empty, max_cell)
        })
        .collect()
}

/// Encodes each cell as two base-64 letters, for `heat_map.js`. 0 is an empty cell, 4095 a value
/// that is not finite. Any other number is an exponent of ten in hundredths, from −20; the error is
/// about 2 %.
fn encode(row: &[HeatCell]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |digit: usize| char::from(LETTERS[digit]);
    let code = |cell: &HeatCell| match cell {
        HeatCell::Empty => 0,
        HeatCell::NotFinite => 4095,
        HeatCell::Norm(norm) => ((norm.log10() + 20.0) * 100.0).round().clamp(1.0, 4094.0) as usize,
    };
    let codes = row.iter().map(code);
    codes
        .flat_map(|code| [letter(code / 64), letter(code % 64)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs::{arms, diverge, run};

    fn decoded(row: &str) -> Vec<f64> {
        let digit = |letter: u8| match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let pairs = row.as_bytes().chunks(2);
        pairs
            .map(|pair| f64::from(digit(pair[0])) * 64.0 + f64::from(digit(pair[1])))
            .collect()
    }

    #[test]
    fn encoded_cells_can_be_decoded() {
        let row = [
            HeatCell::Empty,
            HeatCell::Norm(0.0),
            HeatCell::Norm(1.0),
            HeatCell::Norm(12.5),
            HeatCell::NotFinite,
        ];
        let codes = decoded(&encode(&row));
        assert_eq!(codes, [0.0, 1.0, 2000.0, 2110.0, 4095.0]);
        assert!((10_f64.powf(codes[3] / 100.0 - 20.0) / 12.5 - 1.0).abs() < 0.02);
    }

    #[test]
    fn a_column_shows_its_maximum_and_values_that_are_not_finite() {
        let mut run = run("unclipped", 1, 2400);
        run.steps[1004].layer_norms = vec![Some(50.0), Some(1.0)];
        run.steps[2009].layer_norms = vec![None, Some(1.0)];
        let runs = [run];
        let arms = arms(&runs);
        let bins = StepBins::new(&arms);
        let cells = columns(&runs[0], &bins, 2, |step| &step.layer_norms);
        assert_eq!(cells[0].len(), 240);
        assert_eq!(cells[0][100], HeatCell::Norm(50.0));
        assert_eq!(cells[1][100], HeatCell::Norm(1.0));
        assert_eq!(cells[0][200], HeatCell::NotFinite);
        assert_eq!(cells[1][200], HeatCell::Norm(1.0));
    }

    #[test]
    fn cells_are_empty_after_a_divergence() {
        let mut runs = [run("clipped", 1, 400), run("unclipped", 1, 200)];
        diverge(&mut runs[1], 200);
        let arms = arms(&runs);
        let heat = layers(&arms, &StepBins::new(&arms)).unwrap();
        let [whole, cut] = [0, 1].map(|panel| decoded(&heat.panels[panel].cells[0]));
        assert!(whole.iter().all(|code| *code > 0.0));
        let end = cut.iter().position(|code| *code == 0.0).unwrap();
        assert!((118..=122).contains(&end), "{end}");
        assert!(cut[end..].iter().all(|code| *code == 0.0));
        assert_eq!(heat.panels[1].diverged, Some(200));
    }

    #[test]
    fn many_steps_back_in_time_are_merged_by_their_maximum() {
        let mut run = run("rnn", 1, 3);
        for step in &mut run.steps {
            step.hidden_grad_norms = (0..100).map(|t| Some(f64::from(t + 1))).collect();
        }
        let runs = [run];
        let arms = arms(&runs);
        let heat = hidden_grad_norms(&arms, &StepBins::new(&arms)).unwrap();
        let panel = &heat.panels[0];
        assert_eq!(panel.names.len(), 50);
        assert_eq!(
            (panel.names[0].as_str(), panel.names[49].as_str()),
            ("99–100", "1–2")
        );
        assert_eq!(decoded(&panel.cells[0])[..1], [2200.0]);
    }

    #[test]
    fn a_policy_without_memory_has_no_map_over_time() {
        let runs = [run("clipped", 1, 30)];
        let arms = arms(&runs);
        assert!(hidden_grad_norms(&arms, &StepBins::new(&arms)).is_none());
    }

    #[test]
    fn the_seed_that_diverged_first_is_shown_first() {
        let mut runs: Vec<RunRecord> = (1..=4).map(|seed| run("unclipped", seed, 60)).collect();
        runs[0].steps[3].grad_norm = Some(500.0);
        diverge(&mut runs[1], 50);
        diverge(&mut runs[3], 12);
        assert_eq!(most_informative_seeds(&arms(&runs)), [4, 2, 1, 3]);
    }
}
