//! Heat maps over optimiser steps: the gradient's norm in every layer, and at every step back in
//! time. A column stands for several steps and shows the greatest of them, so that a spike of a
//! single step is seen.

use serde::Serialize;

use super::{Chart, StepAxis, StepBins};
use crate::lab::RunRecord;
use crate::report::ArmRuns;
use crate::report::layer_names::layer_names;
use evenkeel_runs::stats::quantile;
use evenkeel_runs::telemetry::UpdateReport;

/// Runs shown at most; each costs some 10 to 30 kB of the page.
const PANELS: usize = 12;
/// Rows of the map through time at most.
const ROWS: usize = 64;

/// Maps of several runs, on the same scale of colours.
#[derive(Debug, Serialize)]
pub(in crate::report) struct HeatMap {
    title: String,
    help: String,
    axis: StepAxis,
    /// Columns: `i` is the steps from `edges[i]` up to but not with `edges[i + 1]`.
    edges: Vec<u64>,
    /// What the rows are.
    rows: &'static str,
    /// The ends of the scale of colours.
    range: [f64; 2],
    /// Seeds to choose from, the most telling first.
    seeds: Vec<u64>,
    panels: Vec<HeatPanel>,
}

/// One run's map.
#[derive(Debug, Serialize)]
struct HeatPanel {
    arm: usize,
    seed: u64,
    /// The optimiser step at which it diverged.
    diverged: Option<u64>,
    /// Names of the rows, from the top.
    names: Vec<String>,
    /// One text for each row, as [`encode`] writes it.
    cells: Vec<String>,
}

/// What a column shows of its steps.
#[derive(Clone, Copy, Debug, PartialEq)]
enum HeatCell {
    /// There are no such steps, or nothing was measured in them.
    Empty,
    Norm(f64),
    NotFinite,
}

/// The gradient's norm in every layer.
pub(in crate::report) fn layers(arms: &[ArmRuns], time: &StepBins) -> Option<Chart> {
    let help = format!(
        "L2 norm of the gradient in every layer before any clip, on a logarithmic scale of colours. \
         A column is {} and shows the greatest norm among them. Look for columns in which all \
         layers flare up, and for rows that stay dark.",
        time.column_width_text()
    );
    let rows = |run: &RunRecord| {
        let layers = run.steps.iter().map(|step| step.layer_norms.len()).max()?;
        let cells = columns(run, time, layers, |step| &step.layer_norms);
        let names = match layer_names(run, arms) {
            names if names.len() == layers => names,
            _ => (1..=layers).map(|row| format!("parameter {row}")).collect(),
        };
        Some((names, cells))
    };
    let title = "gradient norm by layer";
    heat(arms, time, title, help, "layer", rows)
}

/// The gradient's norm at every step back in time, of policies with memory.
pub(in crate::report) fn hidden_grad_norms(arms: &[ArmRuns], time: &StepBins) -> Option<Chart> {
    let help = format!(
        "‖∂L/∂h_t‖, the gradient with respect to the memory after step t of the unrolled sequence, \
         on a logarithmic scale of colours; it travels from the top, the end of the sequence, down \
         to its beginning. A column is {} and shows the greatest norm among them. Columns that get \
         brighter downwards explode through time, those that get darker vanish.",
        time.column_width_text()
    );
    let rows = |run: &RunRecord| {
        let unrolled = run
            .steps
            .iter()
            .map(|step| step.hidden_grad_norms.len())
            .max()?;
        let cells = columns(run, time, unrolled, |step| &step.hidden_grad_norms);
        let each = unrolled.div_ceil(ROWS).max(1);
        let mut names: Vec<String> = (1..=unrolled)
            .step_by(each)
            .map(|first| match (first + each - 1).min(unrolled) {
                last if last == first => first.to_string(),
                last => format!("{first}–{last}"),
            })
            .collect();
        let mut cells: Vec<Vec<HeatCell>> = cells.chunks(each).map(greatest_of_rows).collect();
        // The end of the sequence is on top.
        names.reverse();
        cells.reverse();
        Some((names, cells))
    };
    let title = "gradient through time";
    heat(arms, time, title, help, "t", rows)
}

fn heat(
    arms: &[ArmRuns],
    time: &StepBins,
    title: &str,
    help: String,
    rows: &'static str,
    of: impl Fn(&RunRecord) -> Option<(Vec<String>, Vec<Vec<HeatCell>>)>,
) -> Option<Chart> {
    let seeds = most_informative_seeds(arms);
    let mut panels = Vec::new();
    let mut norms = Vec::new();
    for seed in &seeds {
        for arm in arms.iter().take(PANELS) {
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
    // A handful of gradients next to nothing would cost the others their colours.
    let (low, high) = (quantile(&norms, 0.02)?, *norms.last()?);
    let low = low.min(high / 10.0);
    let all = arms.iter().map(|arm| arm.runs.len()).sum::<usize>();
    let help = match panels.len() {
        shown if shown < all => format!("{help} Of {all} runs {shown} are here."),
        _ => help,
    };
    Some(Chart::HeatMap(HeatMap {
        title: title.into(),
        help,
        axis: time.axis(),
        edges: time.edges.clone(),
        rows,
        range: [low, high],
        seeds,
        panels,
    }))
}

/// Seeds by how much they tell: those of a run that diverged first, the sooner the better, then
/// those with the greatest leap of the gradient above its median.
fn most_informative_seeds(arms: &[ArmRuns]) -> Vec<u64> {
    let runs = || arms.iter().take(PANELS).flat_map(|arm| &arm.runs);
    let mut seeds: Vec<u64> = runs().map(|run| run.info.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let leap = |run: &RunRecord| {
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
            let leaps = of_seed().filter_map(|run| leap(run));
            let first = diverged.min().unwrap_or(u64::MAX);
            (first, -leaps.fold(0.0, f64::max), seed)
        })
        .collect();
    ranked.sort_by(|a, b| (a.0.cmp(&b.0)).then(a.1.total_cmp(&b.1)));
    ranked.truncate((PANELS / arms.len().max(1)).max(1));
    ranked.into_iter().map(|(_, _, seed)| seed).collect()
}

/// For each row, the greatest value of each column's steps.
fn columns(
    run: &RunRecord,
    time: &StepBins,
    rows: usize,
    of: fn(&UpdateReport) -> &Vec<Option<f64>>,
) -> Vec<Vec<HeatCell>> {
    let mut cells = vec![vec![HeatCell::Empty; time.bins()]; rows];
    for step in &run.steps {
        let column = time.bin(step.optimiser_step);
        for (row, value) in cells.iter_mut().zip(of(step)) {
            let value = value.filter(|value| value.is_finite());
            row[column] = greatest(
                row[column],
                value.map_or(HeatCell::NotFinite, HeatCell::Norm),
            );
        }
    }
    cells
}

/// What is not finite is beyond everything.
fn greatest(one: HeatCell, other: HeatCell) -> HeatCell {
    match (one, other) {
        (HeatCell::NotFinite, _) | (_, HeatCell::NotFinite) => HeatCell::NotFinite,
        (HeatCell::Empty, cell) | (cell, HeatCell::Empty) => cell,
        (HeatCell::Norm(a), HeatCell::Norm(b)) => HeatCell::Norm(a.max(b)),
    }
}

fn greatest_of_rows(rows: &[Vec<HeatCell>]) -> Vec<HeatCell> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns)
        .map(|column| {
            let cells = rows.iter().map(|row| row[column]);
            cells.fold(HeatCell::Empty, greatest)
        })
        .collect()
}

/// Two letters a cell, base 64 to `heat.js`: 0 is nothing and 4095 not finite, any other number a
/// power of ten in hundredths from 10⁻²⁰ on, to some 2 %.
fn encode(row: &[HeatCell]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |place: usize| char::from(LETTERS[place]);
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
    use crate::report::test::{arms, diverge, run};

    fn decoded(row: &str) -> Vec<f64> {
        let place = |letter: u8| match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let pairs = row.as_bytes().chunks(2);
        pairs
            .map(|pair| f64::from(place(pair[0])) * 64.0 + f64::from(place(pair[1])))
            .collect()
    }

    #[test]
    fn cells_can_be_read_back() {
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
    fn a_column_shows_the_greatest_of_its_steps_and_what_is_not_finite_above_all() {
        let mut run = run("unclipped", 1, 2400);
        run.steps[1004].layer_norms = vec![Some(50.0), Some(1.0)];
        run.steps[2009].layer_norms = vec![None, Some(1.0)];
        let runs = [run];
        let arms = arms(&runs);
        let time = StepBins::new(&arms);
        let cells = columns(&runs[0], &time, 2, |step| &step.layer_norms);
        assert_eq!(cells[0].len(), 240);
        assert_eq!(cells[0][100], HeatCell::Norm(50.0));
        assert_eq!(cells[1][100], HeatCell::Norm(1.0));
        assert_eq!(cells[0][200], HeatCell::NotFinite);
        assert_eq!(cells[1][200], HeatCell::Norm(1.0));
    }

    #[test]
    fn nothing_is_drawn_of_a_run_after_it_diverged() {
        let mut runs = [run("clipped", 1, 400), run("unclipped", 1, 200)];
        diverge(&mut runs[1], 200);
        let arms = arms(&runs);
        let time = StepBins::new(&arms);
        let Some(Chart::HeatMap(heat)) = layers(&arms, &time) else {
            panic!("a map of the layers");
        };
        let [whole, cut] = [0, 1].map(|panel| decoded(&heat.panels[panel].cells[0]));
        assert!(whole.iter().all(|code| *code > 0.0));
        let gone = cut.iter().position(|code| *code == 0.0).unwrap();
        assert!((118..=122).contains(&gone), "{gone}");
        assert!(cut[gone..].iter().all(|code| *code == 0.0));
        assert_eq!(heat.panels[1].diverged, Some(200));
    }

    #[test]
    fn many_positions_in_time_are_joined_by_the_greatest() {
        let mut run = run("rnn", 1, 3);
        for step in &mut run.steps {
            step.hidden_grad_norms = (0..100).map(|t| Some(f64::from(t + 1))).collect();
        }
        let runs = [run];
        let arms = arms(&runs);
        let Some(Chart::HeatMap(heat)) = hidden_grad_norms(&arms, &StepBins::new(&arms)) else {
            panic!("a map through time");
        };
        let panel = &heat.panels[0];
        assert_eq!(panel.names.len(), 50);
        assert_eq!(
            (panel.names[0].as_str(), panel.names[49].as_str()),
            ("99–100", "1–2")
        );
        assert_eq!(decoded(&panel.cells[0])[..1], [2200.0]);
    }

    #[test]
    fn a_policy_without_memory_has_no_map_through_time() {
        let runs = [run("clipped", 1, 30)];
        let arms = arms(&runs);
        assert!(hidden_grad_norms(&arms, &StepBins::new(&arms)).is_none());
    }

    #[test]
    fn the_seed_that_broke_first_is_shown_first() {
        let mut runs: Vec<RunRecord> = (1..=4).map(|seed| run("unclipped", seed, 60)).collect();
        runs[0].steps[3].grad_norm = Some(500.0);
        diverge(&mut runs[1], 50);
        diverge(&mut runs[3], 12);
        assert_eq!(most_informative_seeds(&arms(&runs)), [4, 2, 1, 3]);
    }
}
