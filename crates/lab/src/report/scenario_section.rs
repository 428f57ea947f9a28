//! The section of one scenario: evidence for the verdict, scorecard, learning curves, trajectories
//! and failures of the robots, gradients. Details are folded.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::arm_runs::ArmRuns;
use super::charts::{
    Chart, StepBins, clip_factors, grad_norm, hidden_grad_norms, iteration_metric_chart, layers,
    norms, robot_failures, success_chart, survival, sweep_charts, time_growth, update_cosine,
    update_ratio,
};
use super::html::{collapsible_section, escape, section, sentence};
use super::player_data::{PlayerEpisode, episodes};
use super::verdict::{verdict_details, verdict_notices};
use super::{events, tables};
use crate::lab::{Assessment, RunRecord};

/// The data of one scenario, for the scripts.
#[derive(Serialize)]
pub(super) struct ScenarioData {
    success: Vec<ArmSuccess>,
    charts: Vec<Chart>,
    episodes: Vec<PlayerEpisode>,
}

/// Success of one arm over held-out episodes.
#[derive(Serialize)]
struct ArmSuccess {
    arm: usize,
    /// Interquartile mean over seeds.
    middle: Option<f64>,
    /// Its 95 % confidence interval, if there are enough seeds.
    interval: Option<[f64; 2]>,
    /// `(seed, success of the best checkpoint, success of the last)`.
    runs: Vec<(u64, f64, Option<f64>)>,
}

/// The section of one scenario.
pub(super) struct ScenarioSection<'a> {
    pub(super) index: usize,
    pub(super) assessment: Assessment,
    pub(super) arms: Vec<ArmRuns<'a>>,
    /// All runs of the scenario, including those excluded from the arms.
    pub(super) all: Vec<&'a RunRecord>,
}

/// The charts of a section, in the order of their elements.
#[derive(Default)]
struct ChartCollector {
    charts: Vec<Chart>,
}

impl ChartCollector {
    /// Adds charts. Returns an empty figure element for each, which a script fills.
    fn add<C: Into<Chart>>(&mut self, charts: impl IntoIterator<Item = C>, wide: bool) -> String {
        let mut html = String::new();
        for chart in charts {
            let (class, index) = (if wide { "chart wide" } else { "chart" }, self.charts.len());
            let _ = write!(
                html,
                "<figure class=\"{class}\" data-chart=\"{index}\"></figure>"
            );
            self.charts.push(chart.into());
        }
        html
    }
}

fn grid(figures: &str) -> String {
    format!("<div class=\"charts\">{figures}</div>")
}

impl ScenarioSection<'_> {
    pub(super) fn scenario(&self) -> &str {
        &self.assessment.scenario
    }

    /// An element id that is unique on the page.
    pub(super) fn id(&self, name: &str) -> String {
        match self.index {
            0 => name.to_owned(),
            index => format!("{name}-{}", index + 1),
        }
    }

    /// The scenario's card at the top of a page on several: headline, success of every run, and the
    /// robots of all arms in one episode.
    pub(super) fn overview(&self, names: &[&str]) -> String {
        let player = if self.arms.iter().any(ArmRuns::has_episodes) {
            "<div class=\"player preview\"></div>"
        } else {
            ""
        };
        format!(
            "<div data-scenario=\"{}\"><h2><a href=\"#{}\">{}</a></h2><p>{}</p>\
             <figure class=\"dots\"></figure>{player}</div>",
            self.index,
            self.id("scenario"),
            escape(self.scenario()),
            sentence(&self.assessment.verdict.headline, names),
        )
    }

    /// Renders the section and its data. With `several` it has its own heading. Links are relative
    /// to `folder`.
    pub(super) fn render(
        &self,
        several: bool,
        names: &[&str],
        folder: &Path,
    ) -> (String, ScenarioData) {
        let (card, verdict) = (&self.assessment.scorecard, &self.assessment.verdict);
        let bins = StepBins::new(&self.arms);
        let mut charts = ChartCollector::default();
        let mut html = format!(
            "<article id=\"{}\" data-scenario=\"{}\">",
            self.id("scenario"),
            self.index
        );
        if several {
            let _ = write!(
                html,
                "<h1 class=\"scenario\">{}</h1>{}<p class=\"headline\">{}</p>{}",
                escape(self.scenario()),
                verdict_notices(verdict, names),
                sentence(&verdict.headline, names),
                verdict_details(verdict, names)
            );
        }
        // In a sweep this is the main chart, so it comes first.
        html += &self.sweep_section(&mut charts);
        html += &self.stability_evidence(&mut charts, &bins, names, folder);
        html += &tables::scorecard(&self.id("scorecard"), card, names);
        html += &self.learning(&mut charts);
        let episodes = episodes(&self.arms);
        html += &self.robots(&mut charts, !episodes.is_empty(), folder);
        html += &self.gradient_section(&mut charts, &bins);
        html += &tables::instabilities(&self.id("instabilities"), card, names);
        html += &tables::settings(&self.id("settings"), card, names);
        html += "</article>";
        let data = ScenarioData {
            success: self.success(),
            charts: charts.charts,
            episodes,
        };
        (html, data)
    }

    /// The evidence for the verdict: gradient norm with events, survival, success.
    fn stability_evidence(
        &self,
        charts: &mut ChartCollector,
        bins: &StepBins,
        names: &[&str],
        folder: &Path,
    ) -> String {
        let lanes = events::step_lanes(&self.arms, bins, folder);
        let mut inner = charts.add(grad_norm(&self.arms, bins, lanes), true);
        inner += &events::event_list(&self.arms, names, folder);
        let mut figures = String::new();
        match survival(&self.arms, bins) {
            Ok(chart) => figures += &charts.add([chart], false),
            Err(no_divergence) => {
                let _ = write!(
                    inner,
                    "<p class=\"empty\">{}</p>",
                    sentence(&no_divergence, names)
                );
            }
        }
        figures += &charts.add(success_chart(&self.arms), false);
        inner += &grid(&figures);
        section(
            &self.id("proof"),
            "The evidence",
            STABILITY_EVIDENCE,
            &inner,
        )
    }

    fn sweep_section(&self, charts: &mut ChartCollector) -> String {
        let figures = charts.add(sweep_charts(&self.all), false);
        if figures.is_empty() {
            return String::new();
        }
        section(&self.id("sweep"), "Sweeps", SWEEPS, &grid(&figures))
    }

    fn learning(&self, charts: &mut ChartCollector) -> String {
        let tags = [
            "charts/success_rate",
            "charts/episodic_return",
            "losses/approx_kl",
            "losses/entropy",
            "losses/explained_variance",
            "stability/clip_share",
            "curriculum/stage",
            "curriculum/learnability",
            "curriculum/candidate_success_rate",
        ];
        let curves = tags
            .into_iter()
            .filter_map(|tag| iteration_metric_chart(&self.arms, tag));
        let figures = charts.add(curves, false);
        if figures.is_empty() {
            return String::new();
        }
        let summary = "Success and return in training, KL, entropy, explained variance";
        collapsible_section(
            &self.id("learning"),
            "Learning",
            LEARNING,
            summary,
            &grid(&figures),
        )
    }

    /// Trajectories in held-out episodes, and failures during training.
    fn robots(&self, charts: &mut ChartCollector, has_episodes: bool, folder: &Path) -> String {
        let mut html = String::new();
        if has_episodes {
            html += &section(
                &self.id("trajectories"),
                "What the robots did",
                TRAJECTORIES,
                "<div class=\"player\"></div>",
            );
        }
        let (failures, negligible) =
            robot_failures(&self.arms, &events::robot_lanes(&self.arms, folder));
        let figures = charts.add(failures, false);
        if figures.is_empty() && negligible.is_empty() {
            return html;
        }
        let mut inner = grid(&figures);
        if !negligible.is_empty() {
            let names = negligible.join(", ");
            let _ = write!(inner, "<p class=\"empty\">Almost never seen: {names}.</p>");
        }
        html + &section(
            &self.id("failures"),
            "How the robots failed",
            FAILURES,
            &inner,
        )
    }

    /// Charts of gradients, clipping and updates.
    fn gradient_section(&self, charts: &mut ChartCollector, bins: &StepBins) -> String {
        let arms = &self.arms;
        let maps = [layers(arms, bins), hidden_grad_norms(arms, bins)];
        let maps = charts.add(maps.into_iter().flatten(), true);
        let histograms = [norms(arms), clip_factors(arms)];
        let updates = [update_ratio(arms, bins), update_cosine(arms, bins)];
        let mut figures = charts.add(time_growth(arms, bins), false);
        figures += &charts.add(histograms.into_iter().flatten(), false);
        figures += &charts.add(updates.into_iter().flatten(), false);
        if maps.is_empty() && figures.is_empty() {
            return String::new();
        }
        let inner = maps + &grid(&figures);
        section(
            &self.id("stability"),
            "Inside the gradient",
            STABILITY,
            &inner,
        )
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
                .filter_map(|run| Some((run.seed, run.success?, run.last_success)))
                .collect(),
        })
        .collect()
    }
}

const STABILITY_EVIDENCE: &str = "The gradient norm at every optimiser step, the events of the detectors, and \
    the runs that survived. The band of a stable arm stays narrow and reaches the right edge. A \
    cross marks a divergence, which ends a run.";
const SWEEPS: &str = "Outcomes by the setting in which the runs of a line differ; their other settings \
    are equal. The values are in order, not to scale.";
const LEARNING: &str = "Over the environment steps of training: the interquartile mean over seeds, its \
    95 % confidence interval as a band if there are at least five seeds, and each run as a thin line. A cross \
    marks a divergence.";
const STABILITY: &str = "Where in the policy the gradient grew, how it grew back in time, how much the \
    clip removed, and how far the weights moved.";
const TRAJECTORIES: &str = "The same held-out episodes for every arm, driven by the deterministic policy. \
    Choose an episode, press play, or drag the slider.";
const FAILURES: &str = "Over the environment steps of training, in the validation episodes; below \
    each curve the events of training and of the robot at the same time (▲ critical, ○ warning). A \
    failure that starts at a mark may be caused by it. A diverged run is part of a curve only until \
    it diverged.";
