//! The report page: header with verdict, one section for each scenario, definitions.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arm_runs::ArmRuns;
use super::html::{escape, json_script, sentence};
use super::scenario_section::{ScenarioData, ScenarioSection};
use super::tables;
use super::verdict::{verdict_details, verdict_notices};
use crate::lab::{Assessment, RunRecord, Scorecard, by_arm, by_scenario};
use evenkeel_runs::telemetry::format::{counted, duration, steps};
use evenkeel_sim::hash::fnv1a_64;

/// The page's scripts, each after those that it needs. They become one module.
const SCRIPTS: [&str; 9] = [
    include_str!("../../../../assets/report/core.js"),
    include_str!("../../../../assets/report/lines.js"),
    include_str!("../../../../assets/report/heat_map.js"),
    include_str!("../../../../assets/report/histogram.js"),
    include_str!("../../../../assets/report/survival.js"),
    include_str!("../../../../assets/report/sweep.js"),
    include_str!("../../../../assets/report/success_dots.js"),
    include_str!("../../../../assets/report/player.js"),
    include_str!("../../../../assets/report/page.js"),
];

/// An element that marks what a page is about: the folders of its runs. A page with the same mark
/// can be replaced without loss.
pub fn subject_mark(folders: &[PathBuf]) -> String {
    let mut paths: Vec<PathBuf> = folders
        .iter()
        .map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone()))
        .collect();
    paths.sort();
    let bytes = paths.iter().flat_map(|path| {
        let path = path.as_os_str().as_encoded_bytes();
        path.iter().copied().chain([0])
    });
    format!(
        "<meta name=\"evenkeel-subject\" content=\"{:016x}\">",
        fnv1a_64(bytes)
    )
}

/// A page with the mark of its subject.
#[must_use]
pub fn marked_page(page: &str, subject: &str) -> String {
    page.replacen("<title>", &format!("{subject}<title>"), 1)
}

/// The data that the scripts read.
#[derive(Serialize)]
struct Data<'a> {
    /// Names of all arms, over all scenarios.
    arms: &'a [&'a str],
    /// One for each scenario, in the order of the elements with `data-scenario`.
    scenarios: Vec<ScenarioData>,
}

/// Renders the report on runs, with one section for each scenario: one HTML file that works
/// offline. Arms are in the order of `order`, then others. Links to incidents are relative to
/// `folder`, the folder of the report.
///
/// # Panics
/// Never: every run has an arm.
pub fn render_report(runs: &[RunRecord], order: &[String], folder: &Path) -> String {
    let all: Vec<&RunRecord> = runs.iter().collect();
    let names: Vec<&str> = by_arm(&all, order).iter().map(|(name, _)| *name).collect();
    let order: Vec<String> = names.iter().map(ToString::to_string).collect();
    let sections: Vec<ScenarioSection> = by_scenario(runs)
        .iter()
        .enumerate()
        .map(|(index, (scenario, runs))| ScenarioSection {
            index,
            assessment: Assessment::new(scenario, runs, &order),
            arms: by_arm(runs, &order)
                .into_iter()
                .map(|(name, runs)| {
                    let index = names.iter().position(|arm| *arm == name);
                    let index = index.expect("`names` holds the arm of every run");
                    ArmRuns { index, name, runs }
                })
                .collect(),
            all: runs.clone(),
        })
        .collect();

    let mut body = header(runs, &sections, &names);
    let mut data = Vec::new();
    for section in &sections {
        let (html, section_data) = section.render(sections.len() > 1, &names, folder);
        body += &html;
        data.push(section_data);
    }
    body += &tables::runs(runs, &names);
    body += MEASURED;
    let data = Data {
        arms: &names,
        scenarios: data,
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"data:,\"><title>{}</title><style>{}</style></head>\
         <body>{body}{}<script type=\"module\">{}</script></body></html>\n",
        title(&sections),
        include_str!("../../../../assets/report/report.css"),
        json_script("data", &data),
        SCRIPTS.concat(),
    )
}

fn title(sections: &[ScenarioSection]) -> String {
    let names: Vec<String> = sections
        .iter()
        .map(|section| escape(section.scenario()))
        .collect();
    match sections {
        [only] => {
            let headline = only.assessment.verdict.headline.replace('`', "");
            format!("{}: {}", names[0], escape(&headline))
        }
        _ => format!("evenkeel: {}", names.join(", ")),
    }
}

/// The top of the page: the verdict of a single scenario, or the headlines of several.
fn header(runs: &[RunRecord], sections: &[ScenarioSection], names: &[&str]) -> String {
    let mut html = String::from("<header>");
    if let [only] = sections {
        let verdict = &only.assessment.verdict;
        let _ = write!(
            html,
            "<p class=\"kicker\">evenkeel <b>{}</b></p>{}<h1>{}</h1>{}",
            escape(only.scenario()),
            verdict_notices(verdict, names),
            sentence(&verdict.headline, names),
            verdict_details(verdict, names)
        );
    } else {
        let _ = write!(
            html,
            "<p class=\"kicker\">evenkeel</p><h1>{}</h1><p class=\"finding\">Runs of different \
             scenarios are never compared with each other: each has its own part.</p>\
             <div class=\"overview\">",
            sentence(&subject(sections.len(), names), names)
        );
        for section in sections {
            html += &section.overview(names);
        }
        html += "</div>";
    }
    let cards = || sections.iter().map(|section| &section.assessment.scorecard);
    let seeds = cards().map(Scorecard::seeds).max().unwrap_or(0);
    let budget = runs.iter().map(RunRecord::budget).max().unwrap_or(0);
    let wall: f64 = runs.iter().map(|run| run.info.wall_secs).sum();
    let _ = write!(
        html,
        "<p class=\"meta\">{}: {} (arms), up to {} each, up to {} environment \
         steps a run, {} of training in all.{}</p></header>",
        counted(runs.len(), "run"),
        counted(names.len(), "named configuration"),
        counted(seeds, "seed"),
        steps(budget as f64),
        duration(wall),
        escape(&optimiser_text(runs)),
    );
    html += "<nav id=\"legend\" aria-label=\"Arms\"></nav>";
    html + "<noscript><p class=\"note\">The charts and the trajectories need JavaScript. The scripts \
            are in this file; nothing is fetched.</p></noscript><main>"
}

/// What a page on several scenarios is about, as in "`clipped` and `raw` in 2 scenarios".
fn subject(scenarios: usize, arms: &[&str]) -> String {
    let arms = match arms {
        [one] => format!("`{one}`"),
        [one, other] => format!("`{one}` and `{other}`"),
        arms => counted(arms.len(), "arm"),
    };
    format!("{arms} in {}", counted(scenarios, "scenario"))
}

/// ` Optimiser sgd, learning rate 0.3.`, if they are the same in all runs; otherwise empty.
fn optimiser_text(runs: &[RunRecord]) -> String {
    let settings = |run: &RunRecord| {
        let train = run.config.get("train")?.as_table()?;
        let optimiser = train.get("optimiser")?.as_table()?.keys().next()?.clone();
        Some((optimiser, train.get("learning_rate")?.to_string()))
    };
    let mut settings = runs.iter().map(settings);
    match settings.next().flatten() {
        Some(first) if settings.all(|other| other.as_ref() == Some(&first)) => {
            format!(" Optimiser {}, learning rate {}.", first.0, first.1)
        }
        _ => String::new(),
    }
}

const MEASURED: &str = "<section id=\"measured\"><h2>How it is measured</h2><details>\
    <summary>Definitions</summary><dl>\
    <dt>arm</dt><dd>A named configuration. A column with other settings than its arm is named after \
    what differs, and a run with a name of its own after that.</dd>\
    <dt>held-out success, return</dt><dd>Deterministic policies of the best and of the last checkpoint \
    over frozen episodes that neither training nor validation uses. A diverged run counts with \
    success 0 and with the return of uniformly random actions in the same episodes.</dd>\
    <dt>validation</dt><dd>Evaluations during training, on other episodes. They choose the best \
    checkpoint and give the curves of success.</dd>\
    <dt>interquartile mean, 95 % confidence interval</dt><dd>The mean without the lowest and the highest \
    quarter of the seeds. The interval is a stratified percentile bootstrap over seeds (Agarwal et \
    al. 2021).</dd>\
    <dt>difference</dt><dd>Mean over seeds of one arm minus the other with the same seed: same \
    initial weights, same episodes. If its 95 % bootstrap confidence interval contains 0, no difference is \
    found. With fewer than five seeds nothing is claimed.</dd>\
    <dt>probability that the first beats the other</dt><dd>The probability that the best checkpoint \
    of a run of the first arm has a higher success than that of a run of the other. Ties count \
    half.</dd>\
    <dt>mean success during training</dt><dd>Area under the curve of validation success over the \
    step budget. High if learning is fast and its result lasts.</dd>\
    <dt>gradient norm</dt><dd>Global norm over all parameters of every optimiser step, before any \
    clip.</dd>\
    <dt>success weighted by path length</dt><dd>Mean of S · l / max(p, l), with l the shortest \
    path for the robot's radius and p the path driven (Anderson et al. 2018).</dd></dl></details>\
    </section></main>";
