//! What recordings hold, in a terminal.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::target::ReplayTarget;
use super::{Ui, answer, cut_off, recorded_by, warning};
use crate::cli::table::table;
use evenkeel::recording::messages::{EpisodeEnd, TrainingIteration};
use evenkeel::recording::{RecordedEpisode, RecordingReader};
use evenkeel::telemetry::format::{ABSENT, number, percent, plural, steps};

/// The answer without `--verify`.
#[derive(Serialize)]
struct RecordingContents {
    /// Absent where it was made to be looked at only now.
    recording: Option<PathBuf>,
    scenario: String,
    policy: String,
    /// Environment steps that the policy had learnt from.
    global_step: u64,
    stochastic: bool,
    seed: u64,
    /// Which episodes they are: `eval`, held out, or `train`.
    split: String,
    /// And of which of the training's environments.
    env: u64,
    /// How many robots share a world.
    robots: usize,
    recorded_by: String,
    episodes: Vec<RecordingEpisode>,
    /// Why there is no more, where the recording was cut off.
    cut_off: Option<String>,
    #[serde(skip)]
    training: Option<TrainingIteration>,
}

#[derive(Serialize)]
struct RecordingEpisode {
    episode: u64,
    /// Absent where it goes on after the iteration that was recorded, or the recording was cut off.
    outcome: Option<String>,
    /// How each robot's part ended, where there are several.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    outcomes: Vec<String>,
    /// How many robots came to their goals, where there are several.
    #[serde(skip)]
    goals: Option<usize>,
    steps: usize,
    time_secs: f64,
    episodic_return: f64,
}

/// Lists what was found.
pub(super) fn list(target: &ReplayTarget, ui: &Ui) -> anyhow::Result<()> {
    let listings = target.recordings.iter().map(|path| read_contents(path));
    let mut listings = listings.collect::<anyhow::Result<Vec<RecordingContents>>>()?;
    if target.incident.is_some() {
        for listing in &mut listings {
            listing.recording = None;
        }
    }
    answer(ui, target, &listings, || {
        let texts: Vec<String> = listings.iter().map(text).collect();
        texts.join("\n\n") + &carried(target, &listings)
    })
}

/// What a recording holds.
fn read_contents(path: &Path) -> anyhow::Result<RecordingContents> {
    let mut reader = RecordingReader::open(path)?;
    let mut episodes = Vec::new();
    let dt_secs = reader.header().control_step_secs;
    while let Some(episode) = reader.next_episode()? {
        episodes.push(listed(&episode, dt_secs));
    }
    let about = reader.header();
    let policy = about.policy.clone().unwrap_or_default();
    Ok(RecordingContents {
        recording: Some(path.to_owned()),
        scenario: about.scenario.clone(),
        policy: policy.name,
        global_step: policy.global_step,
        stochastic: policy.stochastic,
        seed: about.seed,
        split: about.split.clone(),
        env: about.env,
        robots: about.robot_count(),
        recorded_by: recorded_by(about),
        episodes,
        cut_off: cut_off(&reader),
        training: reader.training().cloned(),
    })
}

/// The transitions behind an incident.
fn carried(target: &ReplayTarget, listings: &[RecordingContents]) -> String {
    let lines = target.marks().iter().map(|mark| {
        let env = listings[mark.recording].env;
        let (episode, step, text) = (mark.episode, mark.step, &mark.text);
        format!("environment {env}, episode {episode}, step {step}: {text}")
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("\n\n{}{}", lines.join("\n"), others(target))
}

/// Which other steps of an incident could be looked behind.
fn others(target: &ReplayTarget) -> String {
    let Some(incident) = &target.incident else {
        return String::new();
    };
    let others = incident.steps.iter().map(|step| step.optimiser_step);
    let others = others.filter(|&step| step != incident.step);
    let others: Vec<String> = others.map(|step| step.to_string()).collect();
    if others.is_empty() {
        return String::new();
    }
    let (faint, all) = (Ui::FAINT, others.join(", "));
    format!("\n{faint}--step looks behind the others that the incident holds: {all}{faint:#}")
}

fn listed(episode: &RecordedEpisode, dt_secs: f64) -> RecordingEpisode {
    let end = episode.end.as_ref();
    RecordingEpisode {
        episode: episode.begin.episode,
        outcome: end.map(|end| end.outcome.clone()),
        outcomes: end.map_or_else(Vec::new, |end| end.outcomes.clone()),
        goals: end.and_then(EpisodeEnd::goals_reached),
        steps: episode.length(),
        time_secs: episode.length() as f64 * dt_secs,
        episodic_return: episode.episodic_return(),
    }
}

fn text(listing: &RecordingContents) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let RecordingContents {
        policy, scenario, ..
    } = listing;
    let mut learnt = match listing.global_step {
        0 => String::new(),
        count => format!(" after {} steps", steps(count as f64)),
    };
    if listing.stochastic {
        learnt.push_str(", actions drawn");
    }
    let unended = match listing.cut_off {
        None => "goes on",
        Some(_) => "cut off",
    };
    let rows = listing.episodes.iter().map(|episode| {
        vec![
            episode.episode.to_string(),
            match episode.goals {
                Some(goals) if goals < listing.robots => format!(
                    "{}, {goals} of {} at their goals",
                    episode.outcome.as_deref().unwrap_or(unended),
                    listing.robots
                ),
                _ => episode.outcome.clone().unwrap_or_else(|| unended.into()),
            },
            episode.steps.to_string(),
            format!("{:.1} s", episode.time_secs),
            number(episode.episodic_return),
        ]
    });
    let table = table(
        &["episode", "outcome", "steps", "time", "return"],
        2,
        rows.collect(),
    );
    let mut lines = vec![
        format!("{strong}{policy}{strong:#}{learnt} in {strong}{scenario}{strong:#}"),
        format!(
            "{faint}{}, seed {}, recorded by {}{faint:#}",
            listing.what(),
            listing.seed,
            listing.recorded_by
        ),
    ];
    if let Some(path) = &listing.recording {
        lines.insert(1, format!("{faint}{}{faint:#}", path.display()));
    }
    let learnt = if listing.is_of_training() {
        "these steps were learnt from"
    } else {
        "learnt"
    };
    let training = listing.training.as_ref();
    lines.extend(training.map(|moment| in_training(learnt, moment)));
    lines.push(table);
    lines.extend(listing.cut_off.as_ref().map(|reason| warning(reason)));
    lines.join("\n")
}

impl RecordingContents {
    fn is_of_training(&self) -> bool {
        self.split == "train"
    }

    /// `10 held-out episodes`.
    fn what(&self) -> String {
        let count = self.episodes.len();
        let s = plural(count);
        if self.is_of_training() {
            format!("{count} training episode{s} of environment {}", self.env)
        } else {
            format!("{count} held-out episode{s}")
        }
    }
}

/// What the gradients did when the policy, or what these steps led to, was learnt.
fn in_training(learnt: &str, moment: &TrainingIteration) -> String {
    let norms = moment.updates.iter().map(|step| step.grad_norm);
    let (mut sum, mut most) = (0.0, f64::NEG_INFINITY);
    for norm in norms {
        sum += norm;
        most = most.max(norm);
    }
    let faint = Ui::FAINT;
    let mean = match moment.updates.len() {
        0 => ABSENT.to_owned(),
        count => format!("{}, at most {}", number(sum / count as f64), number(most)),
    };
    format!(
        "{faint}{learnt} in iteration {}: gradient norm {mean}, {} of its optimiser steps clipped\
         {faint:#}",
        moment.iteration,
        percent(moment.clip_share),
    )
}
