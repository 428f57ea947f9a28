//! A run's log as a table for other programs: one row per iteration, optimiser step, evaluation or
//! other event. A column is a field of `metrics.jsonl`, named by its path there; entries of lists
//! have names instead of numbers (`docs/metrics.md`). No field is named here, so a new one is a new
//! column.

mod columns;
mod flatten;

use std::io::{self, Write};

use super::{Event, IterationReport, UpdateReport};
use crate::table::{TableFormat, TableWriter};

use columns::ColumnSet;
use flatten::FlatRow;

pub(super) use flatten::Flattener;

/// What the rows of the table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRows {
    /// Iterations, each with the evaluation after it, if there was one.
    Iterations,
    /// Optimiser steps.
    Steps,
    /// Evaluations during training.
    Evaluations,
    /// Everything else: detectors, guard, incidents, checkpoints, divergence.
    Events,
}

/// The size of a written table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Number of rows, without the names.
    pub rows: u64,
    /// Number of columns.
    pub columns: usize,
}

/// Writes a log as a table. Columns are in the order in which the log first has them. A column in
/// which no row has a value holds numbers.
///
/// # Errors
/// If `out` cannot be written.
pub fn write_log_table(
    events: &[Event],
    rows: LogRows,
    format: TableFormat,
    out: impl Write + Send,
) -> io::Result<TableSize> {
    let flattener = Flattener::new(layer_names(events));
    let mut columns = ColumnSet::default();
    for_each_row(events, rows, &flattener, &mut |row| {
        columns.observe(row);
        Ok(())
    })?;
    let mut table = TableWriter::new(format, &columns.columns, out)?;
    for_each_row(events, rows, &flattener, &mut |row| {
        table.row(columns.values(row))
    })?;
    Ok(TableSize {
        rows: table.finish()?,
        columns: columns.columns.len(),
    })
}

/// The names of the parameters, in the order of lists of them. Empty if no iteration was logged.
fn layer_names(events: &[Event]) -> Vec<String> {
    let layers = events.iter().find_map(|event| match event {
        Event::Iteration(report) if !report.layers.is_empty() => Some(&report.layers),
        _ => None,
    });
    let names = layers.into_iter().flatten().map(|layer| &layer.name);
    names.cloned().collect()
}

fn for_each_row(
    events: &[Event],
    rows: LogRows,
    flattener: &Flattener,
    take: &mut dyn FnMut(&FlatRow) -> io::Result<()>,
) -> io::Result<()> {
    if rows == LogRows::Iterations {
        return for_each_iteration(events, flattener, take);
    }
    for event in events {
        let row = match (rows, event) {
            (LogRows::Steps, Event::Step(report)) => flattener.row("", report),
            (LogRows::Evaluations, Event::Evaluation(report)) => flattener.row("", report),
            (
                LogRows::Events,
                Event::Checkpoint(_)
                | Event::Health(_)
                | Event::Guard(_)
                | Event::Incident(_)
                | Event::Diverged(_),
            ) => flattener.row("", event),
            _ => continue,
        };
        take(&row)?;
    }
    Ok(())
}

fn for_each_iteration(
    events: &[Event],
    flattener: &Flattener,
    take: &mut dyn FnMut(&FlatRow) -> io::Result<()>,
) -> io::Result<()> {
    let mut steps: Vec<&UpdateReport> = Vec::new();
    // The last iteration, which an evaluation may follow.
    let mut last: Option<(u64, FlatRow)> = None;
    for event in events {
        match event {
            Event::Step(report) => steps.push(report),
            Event::Iteration(report) => {
                if let Some((_, row)) = last.take() {
                    take(&row)?;
                }
                let row = flattener.row("", &with_step_means(report, &steps));
                last = Some((report.global_step, row));
                steps.clear();
            }
            Event::Evaluation(report) => {
                if let Some((global_step, row)) = &mut last
                    && *global_step == report.global_step
                {
                    row.extend(flattener.row("evaluation", report));
                }
            }
            Event::Checkpoint(_)
            | Event::Health(_)
            | Event::Guard(_)
            | Event::Incident(_)
            | Event::Diverged(_) => {}
        }
    }
    last.map_or(Ok(()), |(_, row)| take(&row))
}

/// The report with what the log has for each step alone: means of the lists over the iteration's
/// steps, entry by entry, without values that are not finite.
fn with_step_means(report: &IterationReport, steps: &[&UpdateReport]) -> IterationReport {
    let mean = |list: fn(&UpdateReport) -> &[Option<f64>]| {
        let length = steps.iter().map(|step| list(step).len()).max();
        let mean_at = |index: usize| {
            let known = steps.iter().filter_map(|step| *list(step).get(index)?);
            let (sum, count) = known.fold((0.0, 0u32), |(sum, n), value| (sum + value, n + 1));
            (count > 0).then(|| sum / f64::from(count))
        };
        (0..length.unwrap_or(0)).map(mean_at).collect()
    };
    let mut report = report.clone();
    report.mean.layer_norms = mean(|step| &step.layer_norms);
    report.mean.layer_update_ratios = mean(|step| &step.layer_update_ratios);
    report.mean.hidden_grad_norms = mean(|step| &step.hidden_grad_norms);
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{
        ClipReport, EvalSummary, EvaluationReport, HealthEvent, LayerReport, Severity, Symptom,
        SymptomLocation,
    };

    fn step(optimiser_step: u64, norms: [Option<f64>; 2]) -> Event {
        let clip = ClipReport {
            stage: "global_norm".into(),
            norm_before: Some(2.0),
            norm_after: Some(0.5),
            acted: true,
            bounds: true,
            threshold: Some(0.5),
        };
        Event::Step(UpdateReport {
            optimiser_step,
            layer_norms: norms.to_vec(),
            clip: vec![clip.clone(), clip],
            ..UpdateReport::default()
        })
    }

    fn iteration(iteration: u64) -> Event {
        let layer = |name: &str| LayerReport {
            name: name.into(),
            spectral_norm: Some(1.5),
            ..LayerReport::default()
        };
        Event::Iteration(IterationReport {
            iteration,
            global_step: 100 * iteration,
            outcomes: [7, 1, 0, 0, 2, 0],
            reward_terms: vec![("progress".into(), 0.25)],
            layers: vec![layer("actor.0.weight"), layer("actor.0.bias")],
            ..IterationReport::default()
        })
    }

    fn evaluation(global_step: u64) -> Event {
        let mut summary = EvalSummary::default();
        summary.success.value = 0.875;
        Event::Evaluation(EvaluationReport {
            global_step,
            elapsed_secs: 1.0,
            summary,
            best: true,
        })
    }

    fn health() -> Event {
        let symptom = Symptom::GradientSpike;
        Event::Health(HealthEvent {
            global_step: 100,
            optimiser_step: 2,
            symptom,
            severity: Severity::Warning,
            location: SymptomLocation::Layer("actor.0.bias".into()),
            value: Some(3.0),
            threshold: None,
            advice: symptom.advice().into(),
        })
    }

    fn log() -> Vec<Event> {
        vec![
            step(0, [Some(1.0), None]),
            step(1, [Some(2.0), Some(4.0)]),
            health(),
            iteration(1),
            step(2, [Some(9.0), Some(5.0)]),
            iteration(2),
            evaluation(200),
        ]
    }

    /// The table's columns, each with its name first.
    fn columns(rows: LogRows) -> Vec<Vec<String>> {
        let mut out = Vec::new();
        let size = write_log_table(&log(), rows, TableFormat::Csv, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(lines.len() as u64, size.rows + 1);
        let column = |index: usize| lines.iter().map(|line| line[index].to_owned()).collect();
        (0..size.columns).map(column).collect()
    }

    fn column(columns: &[Vec<String>], name: &str) -> Vec<String> {
        let found = columns.iter().find(|column| column[0] == name);
        found.unwrap_or_else(|| panic!("no {name}"))[1..].to_vec()
    }

    #[test]
    fn iterations_have_named_columns_and_the_evaluation_after_them() {
        let columns = columns(LogRows::Iterations);
        let expected = [
            ("iteration", ["1", "2"]),
            ("outcomes.goal", ["7", "7"]),
            ("outcomes.time_limit", ["2", "2"]),
            ("reward_terms.progress", ["0.25", "0.25"]),
            ("mean.layer_norms.actor.0.weight", ["1.5", "9"]),
            ("mean.layer_norms.actor.0.bias", ["4", "5"]),
            ("layers.actor.0.bias.spectral_norm", ["1.5", "1.5"]),
            ("evaluation.summary.success.value", ["", "0.875"]),
            ("evaluation.best", ["", "1"]),
        ];
        for (name, values) in expected {
            assert_eq!(column(&columns, name), values, "{name}");
        }
    }

    #[test]
    fn steps_have_a_column_for_each_clip_stage() {
        let columns = columns(LogRows::Steps);
        assert_eq!(column(&columns, "layer_norms.actor.0.bias"), ["", "4", "5"]);
        for name in [
            "clip.global_norm.norm_after",
            "clip.global_norm_2.norm_after",
        ] {
            assert_eq!(column(&columns, name), ["0.5"; 3]);
        }
        assert_eq!(column(&columns, "clip.global_norm.acted"), ["1"; 3]);
    }

    #[test]
    fn other_rows_are_evaluations_and_events() {
        let evaluations = columns(LogRows::Evaluations);
        assert_eq!(column(&evaluations, "global_step"), ["200"]);
        let mut out = Vec::new();
        write_log_table(&log(), LogRows::Events, TableFormat::Csv, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let head = "event,global_step,optimiser_step,symptom,severity,location.layer,value,";
        assert!(text.starts_with(head), "{text}");
        let row = "\nhealth,100,2,gradient_spike,warning,actor.0.bias,3,,\"clip the gradient";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn a_log_without_iterations_has_numbers_for_names() {
        let events = [step(0, [Some(1.0), None])];
        let mut out = Vec::new();
        write_log_table(&events, LogRows::Steps, TableFormat::Csv, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains(",layer_norms.0,"));
        let mut out = Vec::new();
        let size = write_log_table(&events, LogRows::Iterations, TableFormat::Csv, &mut out);
        assert_eq!(size.unwrap().rows, 0);
    }
}
