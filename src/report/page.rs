//! The page: verdict, scorecard, curves, trajectories and tables of each scenario.

use std::fmt::Write as _;

use serde::Serialize;

use super::ArmRuns;
use super::charts::{Chart, charts};
use super::html::{escape, json, sentence};
use super::tables;
use super::traces::{Episode, episodes};
use crate::lab::format::{duration, plural, steps};
use crate::lab::{Assessment, RunRecord, Scorecard, Verdict, by_arm, by_scenario};

/// The page's scripts, in the order in which they need each other; one module in the page.
const SCRIPTS: [&str; 5] = [
    include_str!("web/core.js"),
    include_str!("web/lines.js"),
    include_str!("web/dots.js"),
    include_str!("web/player.js"),
    include_str!("web/page.js"),
];

/// What the scripts read.
#[derive(Serialize)]
struct Data<'a> {
    /// All arms, whichever scenario they were run in.
    arms: &'a [&'a str],
    /// One for each scenario, in the order of the elements that say `data-part`.
    parts: Vec<PartData>,
}

/// What is drawn of one scenario.
#[derive(Serialize)]
struct PartData {
    success: Vec<ArmSuccess>,
    charts: Vec<Chart>,
    episodes: Vec<Episode>,
}

/// Success of one arm over held-out episodes.
#[derive(Serialize)]
struct ArmSuccess {
    arm: usize,
    /// Interquartile mean over seeds.
    middle: Option<f64>,
    /// Its interval, where there are seeds enough.
    interval: Option<[f64; 2]>,
    /// `(seed, success)`.
    runs: Vec<(u64, f64)>,
}

/// One scenario's part of the page.
struct Part<'a> {
    index: usize,
    assessment: Assessment,
    arms: Vec<ArmRuns<'a>>,
}

pub(super) fn page(runs: &[RunRecord], order: &[String]) -> String {
    let all: Vec<&RunRecord> = runs.iter().collect();
    let names: Vec<&str> = by_arm(&all, order).iter().map(|(name, _)| *name).collect();
    let order: Vec<String> = names.iter().map(ToString::to_string).collect();
    let parts: Vec<Part> = by_scenario(runs)
        .iter()
        .enumerate()
        .map(|(index, (scenario, runs))| Part {
            index,
            assessment: Assessment::new(scenario, runs, &order),
            arms: by_arm(runs, &order)
                .into_iter()
                .map(|(name, runs)| {
                    let index = names.iter().position(|arm| *arm == name);
                    let index = index.expect("every run's arm is among all arms");
                    ArmRuns { index, name, runs }
                })
                .collect(),
        })
        .collect();

    let mut body = header(runs, &parts, &names);
    let mut data = Vec::new();
    for part in &parts {
        let (html, drawn) = part.render(parts.len() > 1, &names);
        body += &html;
        data.push(drawn);
    }
    body += &tables::runs(runs, &names);
    body += MEASURED;
    let data = Data {
        arms: &names,
        parts: data,
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"data:,\"><title>{}</title><style>{}</style></head>\
         <body>{body}{}<script type=\"module\">{}</script></body></html>\n",
        title(&parts),
        include_str!("web/report.css"),
        json("data", &data),
        SCRIPTS.concat(),
    )
}

fn title(parts: &[Part]) -> String {
    let names: Vec<String> = parts.iter().map(|part| escape(part.scenario())).collect();
    match parts {
        [only] => {
            let headline = only.assessment.verdict.headline.replace('`', "");
            format!("{}: {}", names[0], escape(&headline))
        }
        _ => format!("evenkeel: {}", names.join(", ")),
    }
}

/// The top of the page: of one scenario the verdict itself, of several the headline of each.
fn header(runs: &[RunRecord], parts: &[Part], names: &[&str]) -> String {
    let mut html = String::from("<header>");
    if let [only] = parts {
        let verdict = &only.assessment.verdict;
        let _ = write!(
            html,
            "<p class=\"kicker\">evenkeel <b>{}</b></p><h1>{}</h1>{}",
            escape(only.scenario()),
            sentence(&verdict.headline, names),
            told(verdict, names)
        );
    } else {
        let _ = write!(
            html,
            "<p class=\"kicker\">evenkeel</p><h1>{} scenarios, each by itself</h1>\
             <ul class=\"verdicts\">",
            parts.len()
        );
        for part in parts {
            let _ = write!(
                html,
                "<li><a href=\"#{}\">{}</a>: {}</li>",
                part.id("scenario"),
                escape(part.scenario()),
                sentence(&part.assessment.verdict.headline, names)
            );
        }
        html += "</ul>";
    }
    let cards = || parts.iter().map(|part| &part.assessment.scorecard);
    let seeds = cards().map(Scorecard::seeds).max().unwrap_or(0);
    let budget = runs.iter().map(RunRecord::budget).max().unwrap_or(0);
    let wall: f64 = runs.iter().map(|run| run.info.wall_secs).sum();
    let _ = write!(
        html,
        "<p class=\"meta\">{} run{}: {} arm{}, up to {seeds} seed{} each, up to {} environment \
         steps a run, {} of training in all.</p></header>",
        runs.len(),
        plural(runs.len()),
        names.len(),
        plural(names.len()),
        plural(seeds),
        steps(budget as f64),
        duration(wall),
    );
    html += "<nav id=\"legend\" aria-label=\"Arms\"></nav>";
    html + "<noscript><p class=\"note\">The charts and the trajectories need JavaScript; it is \
            inside this file, nothing is fetched.</p></noscript><main>"
}

/// What is beneath a headline: findings and reasons.
fn told(verdict: &Verdict, names: &[&str]) -> String {
    let mut html = String::new();
    for finding in &verdict.findings {
        let finding = sentence(finding, names);
        let _ = write!(html, "<p class=\"finding\">{finding}</p>");
    }
    html += "<h2 class=\"why\">What the logs say about why</h2><ul class=\"reasons\">";
    for reason in &verdict.reasons {
        let _ = write!(html, "<li>{}</li>", sentence(reason, names));
    }
    html + "</ul>"
}

impl Part<'_> {
    fn scenario(&self) -> &str {
        &self.assessment.scenario
    }

    /// An element's name, which no other has.
    fn id(&self, name: &str) -> String {
        match self.index {
            0 => name.to_owned(),
            index => format!("{name}-{}", index + 1),
        }
    }

    /// The part and what is drawn in it; with its own heading where there are several.
    fn render(&self, several: bool, names: &[&str]) -> (String, PartData) {
        let (card, verdict) = (&self.assessment.scorecard, &self.assessment.verdict);
        let (learning, stability) = charts(&self.arms);
        let episodes = episodes(&self.arms);
        let mut html = format!(
            "<article id=\"{}\" data-part=\"{}\">",
            self.id("scenario"),
            self.index
        );
        if several {
            let _ = write!(
                html,
                "<h1 class=\"scenario\">{}</h1><p class=\"headline\">{}</p>{}",
                escape(self.scenario()),
                sentence(&verdict.headline, names),
                told(verdict, names)
            );
        }
        html += &tables::scorecard(&self.id("scorecard"), card, names);
        html += &chart_section(
            &self.id("learning"),
            "Learning",
            LEARNING,
            0..learning.len(),
        );
        if !episodes.is_empty() {
            html += &section(
                &self.id("trajectories"),
                "What the robots did",
                TRAJECTORIES,
                "<div class=\"player\"></div>",
            );
        }
        html += &chart_section(
            &self.id("stability"),
            "Stability",
            STABILITY,
            learning.len()..learning.len() + stability.len(),
        );
        html += &tables::accidents(&self.id("accidents"), card, names);
        html += &tables::settings(&self.id("settings"), card, names);
        html += "</article>";
        let data = PartData {
            success: self.success(),
            charts: learning.into_iter().chain(stability).collect(),
            episodes,
        };
        (html, data)
    }

    fn success(&self) -> Vec<ArmSuccess> {
        let scores = &self.assessment.scorecard.arms;
        let arms = self.arms.iter().zip(scores);
        arms.map(|(arm, score)| ArmSuccess {
            arm: arm.index,
            middle: score.success.map(|success| success.value),
            interval: score.success.and_then(|success| success.interval()),
            runs: score
                .runs
                .iter()
                .filter_map(|run| Some((run.seed, run.success?)))
                .collect(),
        })
        .collect()
    }
}

const LEARNING: &str = "Over the environment steps of training: the interquartile mean over seeds, its \
    95 % interval as a band where there are at least five, and each run as a thin line. A cross marks a divergence.";
const STABILITY: &str = "What the optimiser went through. Lines and bands as above, where nothing else \
    is said.";
const TRAJECTORIES: &str = "The same held-out episodes for every arm, driven by the deterministic policy. \
    Choose an episode, press play, or drag the slider.";

pub(super) fn section(id: &str, title: &str, lead: &str, inner: &str) -> String {
    format!("<section id=\"{id}\"><h2>{title}</h2><p class=\"lead\">{lead}</p>{inner}</section>")
}

fn chart_section(id: &str, title: &str, lead: &str, charts: std::ops::Range<usize>) -> String {
    if charts.is_empty() {
        return String::new();
    }
    let figures = charts.fold(String::new(), |mut html, index| {
        let _ = write!(
            html,
            "<figure class=\"chart\" data-chart=\"{index}\"></figure>"
        );
        html
    });
    let inner = format!("<div class=\"charts\">{figures}</div>");
    section(id, title, lead, &inner)
}

const MEASURED: &str = "<section id=\"measured\"><h2>How it is measured</h2><details>\
    <summary>Definitions</summary><dl>\
    <dt>success, return, held out</dt><dd>Deterministic policy of the best checkpoint over frozen \
    episodes that neither training nor the choice of the checkpoint has seen. A diverged run \
    stays in the sample with success 0 and with the return of uniformly random actions in the same \
    episodes.</dd>\
    <dt>interquartile mean, 95 % interval</dt><dd>The mean without the lowest and the highest \
    quarter of the seeds, and a stratified percentile bootstrap over seeds (Agarwal et al. \
    2021).</dd>\
    <dt>difference</dt><dd>Mean over seeds of one arm less the other with the same seed: same \
    initial weights, same episodes. Where its 95 % bootstrap interval contains 0, no difference \
    was found; under five seeds nothing is claimed.</dd>\
    <dt>beats the other</dt><dd>The chance that a run of the one arm has the higher success than a run \
    of the other, ties counting half.</dd>\
    <dt>success over all of training</dt><dd>Area under the curve of evaluation success over the \
    step budget: high where learning was fast and lasted.</dd>\
    <dt>gradient norm</dt><dd>Global norm over all parameters of every optimiser step, before any \
    clip.</dd>\
    <dt>success weighted by path length</dt><dd>Mean of S · l / max(p, l), with l the shortest \
    path for the robot's radius and p the path driven (Anderson et al. 2018).</dd></dl></details>\
    </section></main>";
