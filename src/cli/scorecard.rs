//! The scorecard as text for the terminal.

use std::fmt::Write as _;

use super::Ui;
use super::table::table;
use crate::lab::format::{ABSENT, number, number_interval, percent, percent_interval, steps};
use crate::lab::{ArmScore, NormScore, RunFigure, Scorecard, Share, StepsTo, Verdict};
use crate::stats::Average;

/// The verdict and the table beneath it.
pub(super) fn text(card: &Scorecard, verdict: &Verdict) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let plain = |sentence: &str| sentence.replace('`', "");
    let mut text = format!("{}\n", figures(card));
    let _ = writeln!(text, "{strong}{}{strong:#}", plain(&verdict.headline));
    for finding in &verdict.findings {
        let _ = writeln!(text, "{}", plain(finding));
    }
    for reason in &verdict.reasons {
        let _ = writeln!(text, "{faint}·{faint:#} {}", plain(reason));
    }
    text
}

fn figures(card: &Scorecard) -> String {
    let mut head = vec!["interquartile means over seeds"];
    head.extend(card.arms.iter().map(|arm| arm.arm.as_str()));
    let row = |name: &str, cell: &dyn Fn(&ArmScore) -> String| {
        let mut row = vec![name.to_owned()];
        row.extend(card.arms.iter().map(cell));
        row
    };
    let over_seeds = |average: fn(&ArmScore) -> Option<Average>,
                      each: RunFigure,
                      write: fn(f64) -> String,
                      write_interval: fn(f64, [f64; 2]) -> String| {
        move |arm: &ArmScore| {
            let Some(average) = average(arm) else {
                return ABSENT.to_owned();
            };
            let values = arm.values(each);
            let (told, of) = (values.len(), arm.runs.len());
            let figure = if let Some(interval) = average.interval() {
                write_interval(average.value, interval)
            } else if told > 1 {
                let values: Vec<String> = values.into_iter().map(write).collect();
                format!("{} ({})", write(average.value), values.join(", "))
            } else {
                write(average.value)
            };
            if told < of {
                format!("{figure}, {told} of {of} runs")
            } else {
                figure
            }
        }
    };
    let absent = || ABSENT.to_owned();
    let share = |share: Share| {
        let [low, high] = [share.share.low, share.share.high].map(percent);
        format!("{} of {} [{low}, {high}]", share.count, share.of)
    };
    let reached = |to: StepsTo| {
        let median = to.median.map_or_else(absent, steps);
        format!("{median} ({} of {})", to.reached, to.of)
    };
    let norm = |arm: &ArmScore, of: fn(&NormScore) -> f64| {
        arm.grad_norm
            .as_ref()
            .map_or_else(absent, |norm| number(of(norm)))
    };
    let rows = vec![
        row("seeds", &|arm| arm.runs.len().to_string()),
        row(
            "success, held out",
            &over_seeds(
                |arm| arm.success,
                |run| run.success,
                percent,
                percent_interval,
            ),
        ),
        row(
            "return, held out",
            &over_seeds(
                |arm| arm.episodic_return,
                |run| run.episodic_return,
                number,
                number_interval,
            ),
        ),
        row(
            "success over all of training",
            &over_seeds(
                |arm| arm.area_under_curve,
                |run| run.area_under_curve,
                percent,
                percent_interval,
            ),
        ),
        row("median steps to 50 %", &|arm| reached(arm.steps_to_50)),
        row("median steps to 90 %", &|arm| reached(arm.steps_to_90)),
        row("diverged", &|arm| share(arm.diverged)),
        row("collapsed", &|arm| share(arm.collapsed)),
        row("optimiser steps clipped", &|arm| {
            arm.clip_share.map_or("no clip".to_owned(), percent)
        }),
        row("gradient norm, median", &|arm| norm(arm, |norm| norm.p50)),
        row("gradient norm, P99", &|arm| norm(arm, |norm| norm.p99)),
        row("gradient norm, largest", &|arm| norm(arm, |norm| norm.max)),
    ];
    table(&head, 1, rows)
}
