//! The page on one autopsy. Its figures are drawn here, once: they are few and small, and need no
//! script.

use std::fmt::Write as _;

use super::html::{arm, escape, sentence, table};
use crate::lab::{Autopsy, AutopsyTransition, RemedyTrial};
use evenkeel_runs::telemetry::UpdateReport;
use evenkeel_runs::telemetry::format::{ABSENT, number, percent, steps};
use evenkeel_runs::telemetry::layer_name;

mod arena;
mod plot;

use plot::{DotSeries, PlotLine, PlotScale, bars, dots, lines};

/// Renders the page on an autopsy: one HTML file that works offline.
pub fn autopsy(autopsy: &Autopsy) -> String {
    // The usual two first, so that they have the colours that a report gives them.
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
    if let Some(whereabouts) = autopsy.offset_summary() {
        let _ = write!(html, "<p class=\"finding\">{whereabouts}</p>");
    }
    if let Some(survivors) = autopsy.survival_summary() {
        let _ = write!(
            html,
            "<p class=\"finding\">{}</p>",
            sentence(&survivors, names)
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
        "Run again, the step is the logged one bit for bit."
    } else {
        "Run again here, the step is not the logged one bit for bit: another build or machine \
         recorded it."
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

/// A share of the weights' norm: `0.30 %`, `× 368`.
fn moved_by(ratio: f64) -> String {
    if ratio < 1.0 {
        format!("{} %", number(100.0 * ratio))
    } else {
        format!("× {}", number(ratio))
    }
}

fn section(id: &str, title: &str, lead: &str, inner: &str) -> String {
    format!("<section id=\"{id}\"><h2>{title}</h2><p class=\"lead\">{lead}</p>{inner}</section>")
}

fn heads(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// The step under each remedy, side by side.
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
            (false, true) => "let through".into(),
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
        "remedy",
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
        "The same step under each remedy",
        "Same weights, same minibatch, same optimiser memory. <b>After</b> is the same minibatch seen \
         from where the step led: a gradient that has grown there means that the step went over a \
         cliff. <b>Cosine</b> is between the step and straight downhill.",
        &table("trials", &head, &rows),
    )
}

/// The steps that led there.
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
        "How it came to it",
        "What was logged of the last steps, this one in bold. Growth through time is by what factor \
         the gradient grows with each step that it travels back.",
        &table("before", &head, &rows),
    )
}

/// Where the gradient is, and what each remedy makes of it.
fn layers(autopsy: &Autopsy, names: &[&str]) -> String {
    let own = &autopsy.trials[0].report;
    let all: Vec<&str> = autopsy.layers.iter().map(String::as_str).collect();
    let labels: Vec<String> = all.iter().map(|name| layer_name(name, &all)).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let mut figures = bars(
        "Gradient norm by layer",
        "before any clip, the same under every remedy; logarithmic",
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
        "‖Δθ‖/‖θ‖ under each remedy; logarithmic",
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
            "‖∂L/∂h‖ after each unrolled step; it travels from right to left, and explodes where it \
             rises to the left. Before the step, and over the same minibatch after it under each \
             remedy; logarithmic",
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

/// The colour of a remedy, by its place among all.
fn colour(trial: &RemedyTrial, names: &[&str]) -> usize {
    names
        .iter()
        .position(|name| *name == trial.arm)
        .unwrap_or(0)
}

/// How training went on under each remedy.
fn continuation(autopsy: &Autopsy, names: &[&str]) -> String {
    let went_on: Vec<&RemedyTrial> = autopsy
        .trials
        .iter()
        .filter(|trial| trial.continuation.is_some())
        .collect();
    if went_on.is_empty() {
        return String::new();
    }
    let mut items = String::new();
    let mut success = Vec::new();
    let mut norms = Vec::new();
    for trial in went_on {
        let Some(continuation) = &trial.continuation else {
            continue;
        };
        let told = match &continuation.diverged {
            Some(diverged) => format!(
                "diverged at optimiser step {}: {}",
                diverged.optimiser_step,
                diverged.reason.description()
            ),
            None => format!("survived {} iterations", continuation.iterations),
        };
        let _ = write!(items, "<li>{}: {told}.</li>", arm(&trial.arm, names));
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
        "How training went on from there",
        "From the same weights, environments and random numbers, each under its own remedy.",
        &format!("<ul class=\"reasons\">{items}</ul><div class=\"charts\">{figures}</div>"),
    )
}

/// Which transitions carried the gradient.
fn transitions(autopsy: &Autopsy) -> String {
    let row = |(rank, one): (usize, &AutopsyTransition)| {
        let carried = &one.contribution;
        let [x, y] = one.position;
        vec![
            (rank + 1).to_string(),
            carried.share.map_or("not finite".into(), percent),
            figure(Some(carried.advantage)),
            figure(carried.ratio),
            figure(carried.value_loss),
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
        "robot at (m)",
        "speed (m/s)",
        "clearance (m)",
        "ended with",
    ]);
    let rows: Vec<Vec<String>> = autopsy.transitions.iter().enumerate().map(row).collect();
    let ranked = || autopsy.transitions.iter().enumerate();
    let drawn = ranked().filter_map(|(_, one)| {
        let same = |other: &AutopsyTransition| (other.env, other.episode) == (one.env, one.episode);
        let within: Vec<(usize, &AutopsyTransition)> =
            ranked().filter(|(_, other)| same(other)).collect();
        Some(arena::draw(&within, one.trace.as_ref()?))
    });
    let mut inner = format!(
        "<div class=\"arenas\">{}</div>{}",
        drawn.collect::<String>(),
        table("transitions", &head, &rows)
    );
    if !autopsy.is_concentrated() {
        inner = format!(
            "<details><summary>None stands out; those that add most</summary>{inner}</details>"
        );
    }
    section(
        "transitions",
        "Which transitions carried it",
        "The gradient is a sum over the minibatch; a share is what one transition adds along that sum, \
         and all shares make 100 %. Below 0 it pulls the other way. The drawings show the episode up \
         to the end of the rollout, with the robot where it was then.",
        &inner,
    )
}

const MEASURED: &str = "<section id=\"measured\"><h2>How it is measured</h2><details>\
    <summary>Definitions</summary><dl>\
    <dt>remedy</dt><dd>The arm's clip stages, decay, optimiser, learning rate and coefficients of the \
    objective, over the settings that the run would have had without its own arm's. Weights, \
    networks, rollout and minibatch are the run's.</dd>\
    <dt>memory</dt><dd>Moments of the optimiser and what clip stages have seen are the run's where \
    the remedy has the same; another optimiser, or another stage, begins anew.</dd>\
    <dt>weights moved</dt><dd>‖Δθ‖/‖θ‖ of the step.</dd>\
    <dt>KL, ratio</dt><dd>From the policy that gathered the rollout, over the minibatch.</dd>\
    <dt>share of the gradient</dt><dd>⟨gᵢ, g⟩/‖g‖², with gᵢ what transition i adds to g. For a policy \
    with memory, the transitions are those of the three sequences that add most, each with its \
    gradient through all earlier steps of its sequence.</dd></dl></details></section></main>";
