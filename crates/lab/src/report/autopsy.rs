//! The page on one autopsy. Its figures are few and small, so they are drawn as SVG here and need
//! no script.

use std::fmt::Write as _;

use super::html::{arm, escape, section, sentence, table};
use crate::lab::{Autopsy, AutopsyTransition, RemedyTrial};
use evenkeel_runs::telemetry::UpdateReport;
use evenkeel_runs::telemetry::format::{ABSENT, counted, number, percent, steps};
use evenkeel_runs::telemetry::layer_name;

mod arena;
mod plot;

use plot::{DotSeries, PlotLine, PlotScale, bars, dots, lines};

/// Renders the page on an autopsy: one HTML file that works offline.
pub fn render_autopsy(autopsy: &Autopsy) -> String {
    // These arms first, so that they have the same colours as in a report.
    let mut names: Vec<&str> = autopsy
        .trials
        .iter()
        .map(|trial| trial.arm.as_str())
        .collect();
    names.sort_by_key(|name| match *name {
        "clipped" => 0,
        "unclipped" | "raw" => 1,
        _ => 2,
    });
    let title = format!(
        "{} · optimiser step {}",
        autopsy.scenario, autopsy.optimiser_step
    );
    let mut body = header(autopsy, &names);
    body += &remedies(autopsy, &names);
    body += &before(autopsy);
    body += &layers(autopsy, &names);
    body += &continuation(autopsy, &names);
    body += &transitions(autopsy);
    body += MEASURED;
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"data:,\"><title>{}</title><style>{}{}</style></head>\
         <body>{body}</body></html>\n",
        escape(&title),
        include_str!("../../../../assets/report/report.css"),
        include_str!("../../../../assets/report/autopsy.css"),
    )
}

fn header(autopsy: &Autopsy, names: &[&str]) -> String {
    let mut html = format!(
        "<header><p class=\"kicker\">evenkeel autopsy <b>{}</b>, {}, seed {}</p><h1>Optimiser step \
         {}</h1><p class=\"finding\">{}</p><p class=\"finding\">{}</p>",
        escape(&autopsy.scenario),
        arm(&autopsy.arm, names),
        autopsy.seed,
        autopsy.optimiser_step,
        sentence(&autopsy.headline(), names),
        sentence(&autopsy.contribution_summary(), names),
    );
    if let Some(offset) = autopsy.offset_summary() {
        let _ = write!(html, "<p class=\"finding\">{offset}</p>");
    }
    if let Some(survival) = autopsy.survival_summary() {
        let _ = write!(
            html,
            "<p class=\"finding\">{}</p>",
            sentence(&survival, names)
        );
    }
    if !autopsy.symptoms.is_empty() {
        html += "<h2 class=\"why\">What the detectors saw</h2><ul class=\"reasons\">";
        for seen in &autopsy.symptoms {
            let _ = write!(html, "<li>{}</li>", escape(&seen.to_string()));
        }
        html += "</ul>";
    }
    let same = if autopsy.reproduced {
        "Recomputed, the step matches the logged one bit for bit."
    } else {
        "Recomputed here, the step does not match the logged one bit for bit: another build or \
         machine recorded it."
    };
    let _ = write!(
        html,
        "<p class=\"meta\">Iteration {}, after {} environment steps; optimiser {}, learning rate {}. \
         {same}</p></header><main>",
        autopsy.iteration + 1,
        steps(autopsy.global_step as f64),
        escape(&autopsy.optimiser),
        number(autopsy.learning_rate),
    );
    html
}

fn figure(value: Option<f64>) -> String {
    value.map_or(ABSENT.into(), number)
}

/// A change relative to the norm of the weights: `0.30 %`, `× 368`.
fn moved_by(ratio: f64) -> String {
    if ratio < 1.0 {
        format!("{} %", number(100.0 * ratio))
    } else {
        format!("× {}", number(ratio))
    }
}

fn heads(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// A table of the step under each remedy.
fn remedies(autopsy: &Autopsy, names: &[&str]) -> String {
    let row = |trial: &RemedyTrial| {
        let after = trial.next_report.as_ref();
        let acted: Vec<&str> = trial
            .report
            .clip
            .iter()
            .filter(|stage| stage.acted)
            .map(|stage| stage.stage.as_str())
            .collect();
        let clipped = match (trial.report.clip.is_empty(), acted.is_empty()) {
            (true, _) => "no clip".into(),
            (false, true) => "unchanged".into(),
            (false, false) => {
                let norm = trial.report.clip.last().and_then(|stage| stage.norm_after);
                format!(
                    "{} <small>{}</small>",
                    figure(norm),
                    escape(&acted.join(", "))
                )
            }
        };
        let name = if trial.as_trained {
            format!("{} <small>as trained</small>", arm(&trial.arm, names))
        } else {
            arm(&trial.arm, names)
        };
        let moved = match (trial.divergence, trial.report.update_ratio) {
            (Some(reason), _) if reason.is_non_finite() => {
                format!("not taken: {}", reason.description())
            }
            (Some(reason), Some(ratio)) => {
                format!(
                    "{} <small>{}</small>",
                    moved_by(ratio),
                    reason.description()
                )
            }
            (_, Some(ratio)) => moved_by(ratio),
            (_, None) => ABSENT.into(),
        };
        vec![
            name,
            figure(trial.report.grad_norm),
            clipped,
            moved,
            figure(trial.report.update_cosine),
            figure(after.and_then(|after| after.approx_kl)),
            figure(after.and_then(|after| after.ratio_max)),
            figure(after.and_then(|after| after.grad_norm)),
        ]
    };
    let head = heads(&[
        "technique",
        "gradient norm",
        "after its clip",
        "weights moved",
        "cosine",
        "KL after",
        "largest ratio after",
        "gradient norm after",
    ]);
    let rows: Vec<Vec<String>> = autopsy.trials.iter().map(row).collect();
    section(
        "remedies",
        "The same step under each stabilising technique",
        "Same weights, same minibatch, same optimiser state. <b>After</b> is measured on the same \
         minibatch after the step: if the gradient is larger there, the step went over a cliff. \
         <b>Cosine</b> is between the step and the negative gradient.",
        &table("trials", &head, &rows),
    )
}

/// A table of the preceding steps.
fn before(autopsy: &Autopsy) -> String {
    let row = |report: &UpdateReport| {
        let here = report.optimiser_step == autopsy.optimiser_step;
        let name = if here {
            format!("<b>{}</b>", report.optimiser_step)
        } else {
            report.optimiser_step.to_string()
        };
        vec![
            name,
            figure(report.grad_norm),
            figure(report.clip.last().and_then(|stage| stage.norm_after)),
            report.update_ratio.map_or(ABSENT.into(), moved_by),
            figure(report.param_norm),
            figure(report.approx_kl),
            figure(report.ratio_max),
            figure(report.value_loss),
            figure(report.hidden_grad_growth),
        ]
    };
    let head = heads(&[
        "optimiser step",
        "gradient norm",
        "after the clip",
        "weights moved",
        "‖θ‖ after",
        "KL",
        "largest ratio",
        "value loss",
        "growth through time",
    ]);
    let rows: Vec<Vec<String>> = autopsy.preceding_steps.iter().map(row).collect();
    section(
        "before",
        "The steps before",
        "The logs of the last steps, with this one in bold. Growth through time is the factor by which \
         the gradient grows with each step back in time.",
        &table("before", &head, &rows),
    )
}

/// The gradient norm of each layer, and how far each remedy moves it.
fn layers(autopsy: &Autopsy, names: &[&str]) -> String {
    let own = &autopsy.trials[0].report;
    let all: Vec<&str> = autopsy.layers.iter().map(String::as_str).collect();
    let labels: Vec<String> = all.iter().map(|name| layer_name(name, &all)).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let mut figures = bars(
        "Gradient norm by layer",
        "before any clip, the same under every technique; logarithmic",
        &labels,
        &own.layer_norms,
    );
    let moved: Vec<DotSeries> = autopsy
        .trials
        .iter()
        .map(|trial| DotSeries {
            colour: colour(trial, names),
            name: &trial.arm,
            values: &trial.report.layer_update_ratios,
        })
        .collect();
    figures += &dots(
        "How far each layer moves",
        "‖Δθ‖/‖θ‖ under each technique; logarithmic",
        &labels,
        &moved,
    );
    if !own.hidden_grad_norms.is_empty() {
        let mut series = vec![PlotLine {
            colour: plot::EMPHASIS,
            name: "before the step",
            values: own.hidden_grad_norms.clone(),
        }];
        for trial in &autopsy.trials {
            if let Some(after) = &trial.next_report {
                series.push(PlotLine {
                    colour: colour(trial, names),
                    name: &trial.arm,
                    values: after.hidden_grad_norms.clone(),
                });
            }
        }
        figures += &lines(
            "Gradient through time",
            "‖∂L/∂h‖ after each unrolled step; it travels from right to left, and explodes if it rises \
             to the left. Before the step, and on the same minibatch after it under each technique; \
             logarithmic",
            "unrolled step",
            PlotScale::Log,
            &series,
        );
    }
    section(
        "layers",
        "Where the gradient is",
        "",
        &format!("<div class=\"charts\">{figures}</div>"),
    )
}

/// The index of a remedy among all, which sets its colour.
fn colour(trial: &RemedyTrial, names: &[&str]) -> usize {
    names
        .iter()
        .position(|name| *name == trial.arm)
        .unwrap_or(0)
}

/// The continuation of training under each remedy.
fn continuation(autopsy: &Autopsy, names: &[&str]) -> String {
    let continued: Vec<&RemedyTrial> = autopsy
        .trials
        .iter()
        .filter(|trial| trial.continuation.is_some())
        .collect();
    if continued.is_empty() {
        return String::new();
    }
    let mut items = String::new();
    let mut success = Vec::new();
    let mut norms = Vec::new();
    for trial in continued {
        let Some(continuation) = &trial.continuation else {
            continue;
        };
        let outcome = match &continuation.diverged {
            Some(diverged) => format!(
                "diverged at optimiser step {}: {}",
                diverged.optimiser_step,
                diverged.reason.description()
            ),
            None => format!("survived {}", counted(continuation.iterations, "iteration")),
        };
        let _ = write!(items, "<li>{}: {outcome}.</li>", arm(&trial.arm, names));
        let line = |values: &[Option<f64>]| PlotLine {
            colour: colour(trial, names),
            name: &trial.arm,
            values: values.to_vec(),
        };
        success.push(line(&continuation.success));
        norms.push(line(&continuation.grad_norm));
    }
    let figures = lines(
        "Success in training",
        "share of the episodes that ended in each iteration",
        "iterations from the step",
        PlotScale::Percent,
        &success,
    ) + &lines(
        "Gradient norm",
        "mean of each iteration, before any clip; logarithmic",
        "iterations from the step",
        PlotScale::Log,
        &norms,
    );
    section(
        "continued",
        "Training continued under each technique",
        "From the same weights, environments and random numbers.",
        &format!("<ul class=\"reasons\">{items}</ul><div class=\"charts\">{figures}</div>"),
    )
}

/// The transitions that contributed most to the gradient.
fn transitions(autopsy: &Autopsy) -> String {
    let row = |(rank, one): (usize, &AutopsyTransition)| {
        let contribution = &one.contribution;
        let [x, y] = one.position;
        vec![
            (rank + 1).to_string(),
            contribution.share.map_or("not finite".into(), percent),
            figure(Some(contribution.advantage)),
            figure(contribution.ratio),
            figure(contribution.value_loss),
            format!("{}", one.env),
            format!("{}", one.episode),
            format!("{}", one.episode_step),
            format!("({x:.2}, {y:.2})"),
            format!("{:.2}", one.speed_mps),
            format!("{:.2}", one.clearance_m),
            one.outcome
                .map_or(ABSENT.into(), |outcome| outcome.name().into()),
        ]
    };
    let head = heads(&[
        "",
        "share of the gradient",
        "advantage",
        "ratio",
        "value loss",
        "environment",
        "episode",
        "control step",
        "position (m)",
        "speed (m/s)",
        "clearance (m)",
        "outcome",
    ]);
    let rows: Vec<Vec<String>> = autopsy.transitions.iter().enumerate().map(row).collect();
    let ranked = || autopsy.transitions.iter().enumerate();
    let drawn = ranked().filter_map(|(_, one)| {
        let same = |other: &AutopsyTransition| (other.env, other.episode) == (one.env, one.episode);
        let of_episode: Vec<(usize, &AutopsyTransition)> =
            ranked().filter(|(_, other)| same(other)).collect();
        Some(arena::draw(&of_episode, one.trace.as_ref()?))
    });
    let mut inner = format!(
        "<div class=\"arenas\">{}</div>{}",
        drawn.collect::<String>(),
        table("transitions", &head, &rows)
    );
    if !autopsy.is_concentrated() {
        inner = format!(
            "<details><summary>No transition stands out. The largest contributions</summary>{inner}</details>"
        );
    }
    section(
        "transitions",
        "Contributions of transitions",
        "The gradient is a sum over the minibatch. A share is the contribution of one transition along \
         that sum; all shares add up to 100 %. A negative share pulls in the opposite direction. The \
         drawings show the episode up to the end of the rollout, with the robot at the transition.",
        &inner,
    )
}

const MEASURED: &str = "<section id=\"measured\"><h2>How it is measured</h2><details>\
    <summary>Definitions</summary><dl>\
    <dt>stabilising technique</dt><dd>The clip stages, decay, optimiser, learning rate and coefficients of the \
    objective of a named configuration (arm), over the settings of the run without its own arm. Weights, networks, rollout and \
    minibatch are the run's.</dd>\
    <dt>optimiser state</dt><dd>If the technique has the same optimiser or clip stage as the run, it starts with \
    the run's state; otherwise with the initial state.</dd>\
    <dt>weights moved</dt><dd>‖Δθ‖/‖θ‖ of the step.</dd>\
    <dt>KL, ratio</dt><dd>Relative to the policy that collected the rollout, over the minibatch.</dd>\
    <dt>share of the gradient</dt><dd>⟨gᵢ, g⟩/‖g‖², where gᵢ is the contribution of transition i to g. \
    For a policy with memory, the transitions are those of the three sequences that contribute \
    most, each with its gradient through all earlier steps of its sequence.</dd></dl></details>\
    </section></main>";
