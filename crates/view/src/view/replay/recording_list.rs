//! The recordings that can be looked at, and the one that is open.

use std::path::{Path, PathBuf};

use super::playback::Playback;
use evenkeel_runs::recording::messages::{RecordingHeader, TrainingIteration, outcome_named};
use evenkeel_runs::recording::{RecordError, RecordedEpisode, RecordingEnd, RecordingReader};
use evenkeel_sim::env::{NavEnv, Outcome};

/// A transition of a recording that is pointed out.
#[derive(Clone, Debug, PartialEq)]
pub struct TransitionMarker {
    /// The optimiser step that it is about.
    pub optimiser_step: u64,
    /// Which of the recordings.
    pub recording: usize,
    /// Which of its episodes, from 0: a level may be played more than once.
    pub episode: usize,
    /// Which robot's.
    pub robot: usize,
    /// Number of the control step, from 1.
    pub step: u32,
    /// How much it weighs, 0 to 1.
    pub weight: f32,
    /// Why it is.
    pub text: String,
}

/// A recording, and what it says of itself.
#[derive(Clone, Debug)]
pub struct RecordingFile {
    /// The file.
    pub path: PathBuf,
    /// What was recorded.
    pub about: RecordingHeader,
    /// The moment of training that it is of, or that its policy comes from.
    pub training: Option<TrainingIteration>,
}

impl RecordingFile {
    /// Looks into a file.
    ///
    /// # Errors
    /// If it is no recording.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let reader = RecordingReader::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            about: reader.header().clone(),
            training: reader.training().cloned(),
        })
    }

    /// Whether its episodes are of training.
    pub fn is_of_training(&self) -> bool {
        self.about.split == "train"
    }

    /// Environment steps that its policy had learnt from.
    pub fn global_step(&self) -> u64 {
        self.about
            .policy
            .as_ref()
            .map_or(0, |policy| policy.global_step)
    }

    /// Who drives in it, and which of its recordings it is.
    fn controller_name(&self) -> String {
        let name = self.about.policy.as_ref().map_or("", |policy| &policy.name);
        format!("{name}, {}", self.title())
    }

    /// Numbers of the first and the last optimiser step of its moment.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        let updates = &self.training.as_ref()?.updates;
        Some((
            updates.first()?.optimiser_step,
            updates.last()?.optimiser_step,
        ))
    }

    /// What tells it from others.
    pub(super) fn title(&self) -> String {
        let checkpoint = self.about.policy.as_ref().map(|policy| &policy.checkpoint);
        match (&self.training, checkpoint) {
            (Some(moment), _) if self.is_of_training() && self.about.env > 0 => format!(
                "environment {}, iteration {}",
                self.about.env, moment.iteration
            ),
            (Some(moment), _) if self.is_of_training() => format!("iteration {}", moment.iteration),
            (_, Some(name)) if !name.is_empty() => format!("held out, {name}"),
            _ if self.is_of_training() => format!("environment {}", self.about.env),
            _ => "held out".to_owned(),
        }
    }
}

/// What the list says of an episode.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EpisodeListRow {
    pub(super) episode: u64,
    pub(super) outcome: Option<Outcome>,
    pub(super) steps: usize,
    pub(super) episodic_return: f64,
}

/// The recordings, and what is open of them.
pub(super) struct RecordingList {
    pub(super) recordings: Vec<RecordingFile>,
    /// In order of their optimiser steps; the first of each weighs most.
    marks: Vec<TransitionMarker>,
    /// The optimiser step whose marks are shown.
    pub(super) step: Option<u64>,
    /// Which volume is open.
    pub(super) recording: usize,
    /// Its episodes.
    pub(super) rows: Vec<EpisodeListRow>,
    /// Which of them is on the reel.
    pub(super) index: usize,
    pub(super) playback: Playback,
    /// What is wrong with what was asked for last, or with the open volume.
    pub(super) problem: Option<String>,
    episodes: Vec<RecordedEpisode>,
    env: NavEnv,
}

/// A volume's episodes, read.
struct OpenRecording {
    env: NavEnv,
    episodes: Vec<RecordedEpisode>,
    problem: Option<String>,
}

fn read(recording: &RecordingFile) -> Result<OpenRecording, RecordError> {
    let mut reader = RecordingReader::open(&recording.path)?;
    let env = reader.environment()?;
    let mut episodes = Vec::new();
    while let Some(episode) = reader.next_episode()? {
        episodes.push(episode);
    }
    if episodes.is_empty() {
        return Err(RecordError::NotARecording {
            path: recording.path.clone(),
            reason: "there is no episode in it".to_owned(),
        });
    }
    let problem = match reader.end() {
        Some(RecordingEnd::Truncated(reason)) => Some(format!("cut off: {reason}")),
        _ => None,
    };
    Ok(OpenRecording {
        env,
        episodes,
        problem,
    })
}

impl RecordingList {
    /// A shelf with one of its volumes open at its first episode, and the marks of a step, without
    /// one of the last that has any.
    pub(super) fn new(
        recordings: Vec<RecordingFile>,
        mut marks: Vec<TransitionMarker>,
        step: Option<u64>,
        recording: usize,
    ) -> Result<Self, RecordError> {
        marks.sort_by_key(|mark| mark.optimiser_step);
        let mut opened = read(&recordings[recording])?;
        let playback = first(&recordings[recording], &mut opened);
        Ok(Self {
            rows: episode_rows(&opened.episodes),
            playback,
            index: 0,
            problem: opened.problem,
            episodes: opened.episodes,
            env: opened.env,
            recordings,
            step: step.or(marks.last().map(|mark| mark.optimiser_step)),
            marks,
            recording,
        })
    }

    /// Opens another volume at its first episode; whether there is such a one. If it cannot be read,
    /// all stays as it is.
    pub(super) fn open(&mut self, recording: usize) -> bool {
        if recording == self.recording || recording >= self.recordings.len() {
            return false;
        }
        match read(&self.recordings[recording]) {
            Ok(mut opened) => {
                self.playback = first(&self.recordings[recording], &mut opened);
                self.recording = recording;
                self.index = 0;
                self.rows = episode_rows(&opened.episodes);
                self.problem = opened.problem;
                self.episodes = opened.episodes;
                self.env = opened.env;
                true
            }
            Err(error) => {
                self.problem = Some(error.to_string());
                false
            }
        }
    }

    /// Puts another episode of the open volume on the reel; whether there is such a one.
    pub(super) fn choose(&mut self, index: usize) -> bool {
        if index == self.index || index >= self.episodes.len() {
            return false;
        }
        let recording = &self.recordings[self.recording];
        let episode = self.episodes[index].clone();
        self.playback = Playback::new(
            episode,
            &mut self.env,
            &recording.controller_name(),
            recording.about.seed,
        );
        self.index = index;
        true
    }

    /// Puts the episode of this number on the reel, if the open volume has it.
    pub(super) fn find(&mut self, episode: u64) -> bool {
        let place = self.rows.iter().position(|line| line.episode == episode);
        if let Some(place) = place {
            self.choose(place);
        }
        place.is_some()
    }

    /// The open volume.
    pub(super) fn current(&self) -> &RecordingFile {
        &self.recordings[self.recording]
    }

    /// The optimiser steps that marks are about, in order.
    pub(super) fn steps(&self) -> Vec<u64> {
        let mut steps: Vec<u64> = self.marks.iter().map(|mark| mark.optimiser_step).collect();
        steps.dedup();
        steps
    }

    /// The step before, or after, the one whose marks are shown.
    pub(super) fn neighbour_step(&self, after: bool) -> Option<u64> {
        let (step, steps) = (self.step?, self.steps());
        let mut steps = steps.into_iter();
        if after {
            steps.find(|&other| other > step)
        } else {
            steps.take_while(|&other| other < step).last()
        }
    }

    /// The marks that are shown, that which weighs most first.
    pub(super) fn shown(&self) -> impl Iterator<Item = &TransitionMarker> {
        let of_it = |mark: &&TransitionMarker| Some(mark.optimiser_step) == self.step;
        self.marks.iter().filter(of_it)
    }

    /// Those of an episode of the open volume.
    pub(super) fn marks_in(&self, index: usize) -> impl Iterator<Item = &TransitionMarker> {
        let place = (self.recording, index);
        self.shown()
            .filter(move |mark| (mark.recording, mark.episode) == place)
    }

    /// Those of a robot in the episode on the reel.
    pub(super) fn marks_of(&self, robot: usize) -> impl Iterator<Item = &TransitionMarker> {
        self.marks_in(self.index)
            .filter(move |mark| mark.robot == robot)
    }

    /// Whether a volume is to be seen: each is, unless marks of other volumes are shown.
    pub(super) fn is_listed(&self, recording: usize) -> bool {
        let mut shown = self.shown().peekable();
        recording < self.recordings.len()
            && (shown.peek().is_none() || shown.any(|mark| mark.recording == recording))
    }

    /// The volume before, or after, the open one among those to be seen.
    pub(super) fn neighbour(&self, after: bool) -> Option<usize> {
        let mut seen = (0..self.recordings.len()).filter(|&recording| self.is_listed(recording));
        if after {
            seen.find(|&recording| recording > self.recording)
        } else {
            seen.take_while(|&recording| recording < self.recording)
                .last()
        }
    }

    /// The first mark that is shown in the open volume, or else of all.
    pub(super) fn first_mark(&self) -> Option<&TransitionMarker> {
        let here = self.shown().find(|mark| mark.recording == self.recording);
        here.or_else(|| self.shown().next())
    }

    /// The volume that is nearest to an optimiser step among those that are not of later ones; of
    /// the earliest moment if all are.
    pub(super) fn nearest(&self, optimiser_step: u64) -> Option<usize> {
        let spans = self.recordings.iter().enumerate();
        let spans = spans.filter_map(|(index, recording)| Some((recording.span()?.0, index)));
        let before = spans.clone().filter(|(first, _)| *first <= optimiser_step);
        before.max().or_else(|| spans.min()).map(|(_, index)| index)
    }
}

/// The first episode of a volume, which has one.
fn first(recording: &RecordingFile, opened: &mut OpenRecording) -> Playback {
    let episode = opened.episodes[0].clone();
    Playback::new(
        episode,
        &mut opened.env,
        &recording.controller_name(),
        recording.about.seed,
    )
}

fn episode_rows(episodes: &[RecordedEpisode]) -> Vec<EpisodeListRow> {
    let line = |episode: &RecordedEpisode| EpisodeListRow {
        episode: episode.begin.episode,
        outcome: episode
            .end
            .as_ref()
            .and_then(|end| outcome_named(&end.outcome)),
        steps: episode.length(),
        episodic_return: episode.episodic_return(),
    };
    episodes.iter().map(line).collect()
}
