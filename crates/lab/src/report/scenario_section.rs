//! One scenario's part of the page: the picture behind the verdict first, then figures, what the
//! robots did, and what went on inside; details are folded.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::charts::{
    Chart, StepBins, clip_factors, grad_norm, hidden_grad_norms, iteration, layers, norms,
    robot_failures, success, survival, sweeps, time_growth, update_cosine, update_ratio,
};
use super::html::{collapsible_section, escape, section, sentence};
use super::page::verdict_details;
use super::player_data::{PlayerEpisode, episodes};
use super::{ArmRuns, events, tables};
use crate::lab::{Assessment, RunRecord};

/// What is drawn of one scenario.
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
    /// Its interval, where there are seeds enough.
    interval: Option<[f64; 2]>,
    /// `(seed, success)`.
    runs: Vec<(u64, f64)>,
}

/// One scenario's part of the page.
pub(super) struct ScenarioSection<'a> {
    pub(super) index: usize,
    pub(super) assessment: Assessment,
    pub(super) arms: Vec<ArmRuns<'a>>,
    /// Every run of the scenario, those too that no arm's figures count.
    pub(super) all: Vec<&'a RunRecord>,
}

/// The charts of a part, as they find their places in it.
#[derive(Default)]
struct ChartCollector {
    drawn: Vec<Chart>,
}

impl ChartCollector {
    /// A figure for each of these charts.
    fn add(&mut self, charts: impl IntoIterator<Item = Chart>, wide: bool) -> String {
        let mut html = String::new();
        for chart in charts {
            let (class, index) = (if wide { "chart wide" } else { "chart" }, self.drawn.len());
            let _ = write!(
                html,
                "<figure class=\"{class}\" data-chart=\"{index}\"></figure>"
            );
            self.drawn.push(chart);
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

    /// An element's name, which no other has.
    pub(super) fn id(&self, name: &str) -> String {
        match self.index {
            0 => name.to_owned(),
            index => format!("{name}-{}", index + 1),
        }
    }

    /// The part and what is drawn in it; with its own heading where there are several. Links go
    /// from `folder`.
    pub(super) fn render(
        &self,
        several: bool,
        names: &[&str],
        folder: &Path,
    ) -> (String, ScenarioData) {
        let (card, verdict) = (&self.assessment.scorecard, &self.assessment.verdict);
        let time = StepBins::new(&self.arms);
        let mut charts = ChartCollector::default();
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
                verdict_details(verdict, names)
            );
        }
        // What a sweep was made for is its own picture.
        html += &self.sweep_section(&mut charts);
        html += &self.stability_evidence(&mut charts, &time, names, folder);
        html += &tables::scorecard(&self.id("scorecard"), card, names);
        html += &self.learning(&mut charts);
        let episodes = episodes(&self.arms);
        html += &self.robots(&mut charts, !episodes.is_empty(), folder);
        html += &self.gradient_section(&mut charts, &time);
        html += &tables::instabilities(&self.id("accidents"), card, names);
        html += &tables::settings(&self.id("settings"), card, names);
        html += "</article>";
        let data = ScenarioData {
            success: self.success(),
            charts: charts.drawn,
            episodes,
        };
        (html, data)
    }

    /// What the verdict rests on: the gradient with what the detectors saw, and who survived.
    fn stability_evidence(
        &self,
        charts: &mut ChartCollector,
        time: &StepBins,
        names: &[&str],
        folder: &Path,
    ) -> String {
        let lanes = events::step_lanes(&self.arms, time, folder);
        let mut inner = charts.add(grad_norm(&self.arms, time, lanes), true);
        inner += &events::event_list(&self.arms, names, folder);
        let mut figures = String::new();
        match survival(&self.arms, time) {
            Ok(chart) => figures += &charts.add([chart], false),
            Err(well) => {
                let _ = write!(inner, "<p class=\"empty\">{}</p>", sentence(&well, names));
            }
        }
        figures += &charts.add(success(&self.arms), false);
        inner += &grid(&figures);
        section(
            &self.id("proof"),
            "The picture behind it",
            STABILITY_EVIDENCE,
            &inner,
        )
    }

    fn sweep_section(&self, charts: &mut ChartCollector) -> String {
        let figures = charts.add(sweeps(&self.all), false);
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
            .filter_map(|tag| iteration(&self.arms, tag));
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

    /// What the robots did in the end, and how they failed on the way.
    fn robots(&self, charts: &mut ChartCollector, traced: bool, folder: &Path) -> String {
        let mut html = String::new();
        if traced {
            html += &section(
                &self.id("trajectories"),
                "What the robots did",
                TRAJECTORIES,
                "<div class=\"player\"></div>",
            );
        }
        let (failings, never) =
            robot_failures(&self.arms, &events::robot_lanes(&self.arms, folder));
        let figures = charts.add(failings, false);
        if figures.is_empty() && never.is_empty() {
            return html;
        }
        let never = match never.as_slice() {
            [] => String::new(),
            never => {
                let never = never.join(", ");
                format!("<p class=\"empty\">Hardly ever seen: {never}.</p>")
            }
        };
        let inner = format!("{}{never}", grid(&figures));
        html + &section(
            &self.id("failures"),
            "How the robots failed",
            FAILURES,
            &inner,
        )
    }

    /// What went on inside the optimiser.
    fn gradient_section(&self, charts: &mut ChartCollector, time: &StepBins) -> String {
        let arms = &self.arms;
        let maps =
            charts.add(layers(arms, time), true) + &charts.add(hidden_grad_norms(arms, time), true);
        let curves = [
            time_growth(arms, time),
            norms(arms),
            clip_factors(arms),
            update_ratio(arms, time),
            update_cosine(arms, time),
        ];
        let figures = charts.add(curves.into_iter().flatten(), false);
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
                .filter_map(|run| Some((run.seed, run.success?)))
                .collect(),
        })
        .collect()
    }
}

const STABILITY_EVIDENCE: &str = "How large the gradients were at every optimiser step, what the detectors saw in \
    them, and which runs were left. A stable arm's band stays narrow and reaches the right edge; a \
    cross is a divergence, and ends a run.";
const SWEEPS: &str = "What comes of the settings in which these runs differ, everything else being \
    equal along a line. The values stand in order, not to scale.";
const LEARNING: &str = "Over the environment steps of training: the interquartile mean over seeds, its \
    95 % interval as a band where there are at least five, and each run as a thin line. A cross \
    marks a divergence.";
const STABILITY: &str = "Where in the policy the gradient grew, how far back in time, what the clip \
    took of it, and what the weights made of the rest.";
const TRAJECTORIES: &str = "The same held-out episodes for every arm, driven by the deterministic policy. \
    Choose an episode, press play, or drag the slider.";
const FAILURES: &str = "Over the environment steps of training, in the held-out evaluations; beneath \
    each curve what the detectors saw of training and of the robot at the same time (▲ critical, ○ \
    warning). A failure that begins with a mark may well have come from it. A diverged run is in a \
    curve only until it diverged.";
