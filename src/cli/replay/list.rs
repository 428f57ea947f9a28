//! Lists the episodes of recordings in the terminal.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::target::ReplayTarget;
use super::{RecordingFaults, Ui, answer, recorded_by};
use crate::cli::table::table;
use evenkeel::recording::messages::{EpisodeEnd, TrainingIteration};
use evenkeel::recording::{RecordedEpisode, RecordingReader};
use evenkeel::telemetry::format::{ABSENT, counted, number, percent, steps};

/// The answer for one recording.
#[derive(Serialize)]
struct RecordingContents {
    /// The file, or `None` for the temporary recordings of an incident.
    recording: Option<PathBuf>,
    scenario: String,
    policy: String,
    /// Environment steps that the policy was trained on.
    global_step: u64,
    stochastic: bool,
    seed: u64,
    /// `eval` for held-out episodes, `train` for training episodes.
    split: String,
    /// Index of the training environment.
    env: u64,
    /// Number of robots in each world.
    robots: usize,
    recorded_by: String,
    episodes: Vec<RecordingEpisode>,
    #[serde(flatten)]
    faults: RecordingFaults,
    #[serde(skip)]
    training: Option<TrainingIteration>,
}

#[derive(Serialize)]
struct RecordingEpisode {
    episode: u64,
    /// `None` if the episode continues after the recorded iteration, or its end is missing.
    outcome: Option<String>,
    /// Whether its steps end early because the file is damaged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    damaged: bool,
    /// Outcome of each robot; empty in a world with one robot.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    outcomes: Vec<String>,
    /// Number of robots that reached their goals, in a world with several robots.
    #[serde(skip)]
    goals: Option<usize>,
    steps: usize,
    time_secs: f64,
    episodic_return: f64,
}

/// Prints the episodes of all recordings of the target.
pub(super) fn list(target: &ReplayTarget, ui: &Ui) -> anyhow::Result<()> {
    let contents = target.recordings.iter().map(|path| read_contents(path));
    let mut contents = contents.collect::<anyhow::Result<Vec<RecordingContents>>>()?;
    if target.incident.is_some() {
        for one in &mut contents {
            one.recording = None;
        }
    }
    answer(ui, target, &contents, || {
        let texts: Vec<String> = contents.iter().map(text).collect();
        texts.join("\n\n") + &transitions_text(target, &contents)
    })
}

/// Reads the contents of a recording.
fn read_contents(path: &Path) -> anyhow::Result<RecordingContents> {
    let mut reader = RecordingReader::open(path)?;
    let mut episodes = Vec::new();
    let dt_secs = reader.header().control_step_secs;
    while let Some(episode) = reader.next_episode()? {
        episodes.push(episode_entry(&episode, dt_secs));
    }
    let header = reader.header();
    let policy = header.policy.clone().unwrap_or_default();
    Ok(RecordingContents {
        recording: Some(path.to_owned()),
        scenario: header.scenario.clone(),
        policy: policy.name,
        global_step: policy.global_step,
        stochastic: policy.stochastic,
        seed: header.seed,
        split: header.split.clone(),
        env: header.env,
        robots: header.robot_count(),
        recorded_by: recorded_by(header),
        episodes,
        faults: RecordingFaults::of(&reader),
        training: reader.training().cloned(),
    })
}

/// Formats the marked transitions of an incident, one per line.
fn transitions_text(target: &ReplayTarget, contents: &[RecordingContents]) -> String {
    let lines = target.marks().iter().map(|mark| {
        let env = contents[mark.recording].env;
        let (episode, step, text) = (mark.episode, mark.step, &mark.text);
        format!("environment {env}, episode {episode}, step {step}: {text}")
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("\n\n{}{}", lines.join("\n"), other_steps_text(target))
}

/// Lists the other optimiser steps that the incident holds.
fn other_steps_text(target: &ReplayTarget) -> String {
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
    format!("\n{faint}other optimiser steps of this incident, for --step: {all}{faint:#}")
}

fn episode_entry(episode: &RecordedEpisode, dt_secs: f64) -> RecordingEpisode {
    let end = episode.end.as_ref();
    RecordingEpisode {
        episode: episode.begin.episode,
        outcome: end.map(|end| end.outcome.clone()),
        damaged: episode.damaged,
        outcomes: end.map_or_else(Vec::new, |end| end.outcomes.clone()),
        goals: end.and_then(EpisodeEnd::goals_reached),
        steps: episode.length(),
        time_secs: episode.length() as f64 * dt_secs,
        episodic_return: episode.episodic_return(),
    }
}

fn text(contents: &RecordingContents) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let RecordingContents {
        policy, scenario, ..
    } = contents;
    let mut details = match contents.global_step {
        0 => String::new(),
        count => format!(" after {} steps", steps(count as f64)),
    };
    if contents.stochastic {
        details.push_str(", sampled actions");
    }
    let rows = contents.episodes.iter().map(|episode| {
        let outcome = match &episode.outcome {
            Some(outcome) => outcome,
            None if episode.damaged => "damaged",
            None if contents.faults.is_cut_off() => "unfinished, recording cut off",
            None => "unfinished",
        };
        vec![
            episode.episode.to_string(),
            match episode.goals {
                Some(goals) if goals < contents.robots => {
                    format!("{outcome}, {goals} of {} at their goals", contents.robots)
                }
                _ => outcome.to_owned(),
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
        format!("{strong}{policy}{strong:#}{details} in {strong}{scenario}{strong:#}"),
        format!(
            "{faint}{}, seed {}, recorded by {}{faint:#}",
            contents.episodes_text(),
            contents.seed,
            contents.recorded_by
        ),
    ];
    if let Some(path) = &contents.recording {
        lines.insert(1, format!("{faint}{}{faint:#}", path.display()));
    }
    let subject = if contents.is_of_training() {
        "these steps were used"
    } else {
        "this policy was trained"
    };
    let training = contents.training.as_ref();
    lines.extend(training.map(|iteration| training_text(subject, iteration)));
    lines.push(table);
    lines.extend(contents.faults.warnings("what is whole is shown"));
    lines.join("\n")
}

impl RecordingContents {
    fn is_of_training(&self) -> bool {
        self.split == "train"
    }

    /// Describes the episodes, as in `10 held-out episodes`.
    fn episodes_text(&self) -> String {
        let count = self.episodes.len();
        if self.is_of_training() {
            let episodes = counted(count, "training episode");
            format!("{episodes} of environment {}", self.env)
        } else {
            counted(count, "held-out episode")
        }
    }
}

/// Describes the gradients of a training iteration.
fn training_text(subject: &str, iteration: &TrainingIteration) -> String {
    let norms = iteration.updates.iter().map(|step| step.grad_norm);
    let (mut sum, mut max) = (0.0, f64::NEG_INFINITY);
    for norm in norms {
        sum += norm;
        max = max.max(norm);
    }
    let faint = Ui::FAINT;
    let norms = match iteration.updates.len() {
        0 => ABSENT.to_owned(),
        count => format!(
            "mean {}, maximum {}",
            number(sum / count as f64),
            number(max)
        ),
    };
    format!(
        "{faint}{subject} in iteration {}: gradient norm {norms}, {} of its optimiser steps \
         clipped{faint:#}",
        iteration.iteration,
        percent(iteration.clip_share),
    )
}
