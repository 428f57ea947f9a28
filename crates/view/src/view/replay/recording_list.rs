//! The list of recordings, and the one that is open.

use std::path::{Path, PathBuf};

use super::playback::Playback;
use evenkeel_runs::recording::messages::{RecordingHeader, TrainingIteration, outcome_named};
use evenkeel_runs::recording::{RecordError, RecordedEpisode, RecordingReader};
use evenkeel_sim::env::{NavEnv, Outcome};

/// A marked transition of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct TransitionMarker {
    /// The optimiser step that it was used in.
    pub optimiser_step: u64,
    /// Index of the recording.
    pub recording: usize,
    /// Index of the episode in the recording; a level may be played more than once.
    pub episode: usize,
    /// Index of the robot.
    pub robot: usize,
    /// Number of the control step, from 1.
    pub step: u32,
    /// Its share of the gradient, 0 to 1.
    pub weight: f32,
    /// Text that is shown.
    pub text: String,
}

/// A recording file and its header.
#[derive(Clone, Debug)]
pub struct RecordingFile {
    /// The file.
    pub path: PathBuf,
    /// The header.
    pub header: RecordingHeader,
    /// The iteration of training that it is of, or that its policy comes from.
    pub training: Option<TrainingIteration>,
}

impl RecordingFile {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// If the file is not a recording.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let reader = RecordingReader::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            header: reader.header().clone(),
            training: reader.training().cloned(),
        })
    }

    /// Whether its episodes are of training.
    pub fn is_of_training(&self) -> bool {
        self.header.split == "train"
    }

    /// Environment steps that its policy had learned from.
    pub fn global_step(&self) -> u64 {
        self.header
            .policy
            .as_ref()
            .map_or(0, |policy| policy.global_step)
    }

    /// The name of its policy, and its title.
    fn controller_name(&self) -> String {
        let name = self
            .header
            .policy
            .as_ref()
            .map_or("", |policy| &policy.name);
        format!("{name}, {}", self.title())
    }

    /// The first and the last optimiser step of its iteration.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        let updates = &self.training.as_ref()?.updates;
        Some((
            updates.first()?.optimiser_step,
            updates.last()?.optimiser_step,
        ))
    }

    /// What distinguishes it from the other recordings of its policy.
    pub(super) fn title(&self) -> String {
        let checkpoint = self.header.policy.as_ref().map(|policy| &policy.checkpoint);
        match (&self.training, checkpoint) {
            (Some(training), _) if self.is_of_training() && self.header.env > 0 => format!(
                "environment {}, iteration {}",
                self.header.env, training.iteration
            ),
            (Some(training), _) if self.is_of_training() => {
                format!("iteration {}", training.iteration)
            }
            (_, Some(name)) if !name.is_empty() => format!("held out, {name}"),
            _ if self.is_of_training() => format!("environment {}", self.header.env),
            _ => "held out".to_owned(),
        }
    }
}

/// The list's row for an episode.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EpisodeListRow {
    pub(super) episode: u64,
    pub(super) outcome: Option<Outcome>,
    pub(super) steps: usize,
    pub(super) episodic_return: f64,
}

/// The recordings, and the open recording and episode.
pub(super) struct RecordingList {
    pub(super) recordings: Vec<RecordingFile>,
    /// In order of their optimiser steps; for each step, the largest share first.
    marks: Vec<TransitionMarker>,
    /// The optimiser step whose markers are shown.
    pub(super) step: Option<u64>,
    /// Index of the open recording.
    pub(super) recording: usize,
    /// Rows for its episodes.
    pub(super) rows: Vec<EpisodeListRow>,
    /// Index of the open episode.
    pub(super) index: usize,
    pub(super) playback: Playback,
    /// The error of the last request, or what is wrong with the open recording.
    pub(super) problem: Option<String>,
    episodes: Vec<RecordedEpisode>,
    env: NavEnv,
}

/// The episodes of a recording, and their environment.
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
            reason: "it has no episode".to_owned(),
        });
    }
    let faults = reader.faults();
    let problem = (!faults.is_empty()).then(|| faults.join("; "));
    Ok(OpenRecording {
        env,
        episodes,
        problem,
    })
}

impl RecordingList {
    /// A list with recording `recording` open at its first episode. Shows the markers of `step`, or of
    /// the last step with markers.
    ///
    /// # Errors
    /// If the recording cannot be read.
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

    /// Opens another recording at its first episode. Returns whether it did. If the recording cannot
    /// be read, the open one stays open.
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

    /// Opens another episode of the open recording. Returns whether it did.
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
            recording.header.seed,
        );
        self.index = index;
        true
    }

    /// Opens the episode with this number. Returns whether the open recording has it.
    pub(super) fn find(&mut self, episode: u64) -> bool {
        let index = self.rows.iter().position(|row| row.episode == episode);
        if let Some(index) = index {
            self.choose(index);
        }
        index.is_some()
    }

    /// The open recording.
    pub(super) fn current(&self) -> &RecordingFile {
        &self.recordings[self.recording]
    }

    /// The optimiser steps that have markers, in order.
    pub(super) fn steps(&self) -> Vec<u64> {
        let mut steps: Vec<u64> = self.marks.iter().map(|mark| mark.optimiser_step).collect();
        steps.dedup();
        steps
    }

    /// The step with markers before, or after, the one whose markers are shown.
    pub(super) fn neighbour_step(&self, after: bool) -> Option<u64> {
        let (step, steps) = (self.step?, self.steps());
        let mut steps = steps.into_iter();
        if after {
            steps.find(|&other| other > step)
        } else {
            steps.take_while(|&other| other < step).last()
        }
    }

    /// The markers that are shown, the largest share first.
    pub(super) fn shown(&self) -> impl Iterator<Item = &TransitionMarker> {
        let is_shown = |mark: &&TransitionMarker| Some(mark.optimiser_step) == self.step;
        self.marks.iter().filter(is_shown)
    }

    /// The shown markers of an episode of the open recording.
    pub(super) fn marks_in(&self, index: usize) -> impl Iterator<Item = &TransitionMarker> {
        let episode = (self.recording, index);
        self.shown()
            .filter(move |mark| (mark.recording, mark.episode) == episode)
    }

    /// The shown markers of a robot in the open episode.
    pub(super) fn marks_of(&self, robot: usize) -> impl Iterator<Item = &TransitionMarker> {
        self.marks_in(self.index)
            .filter(move |mark| mark.robot == robot)
    }

    /// Whether a recording is listed: all are, unless markers of other recordings are shown.
    pub(super) fn is_listed(&self, recording: usize) -> bool {
        let mut shown = self.shown().peekable();
        recording < self.recordings.len()
            && (shown.peek().is_none() || shown.any(|mark| mark.recording == recording))
    }

    /// The listed recording before, or after, the open one.
    pub(super) fn neighbour(&self, after: bool) -> Option<usize> {
        let mut listed = (0..self.recordings.len()).filter(|&recording| self.is_listed(recording));
        if after {
            listed.find(|&recording| recording > self.recording)
        } else {
            listed
                .take_while(|&recording| recording < self.recording)
                .last()
        }
    }

    /// The first shown marker of the open recording, or else of any.
    pub(super) fn first_mark(&self) -> Option<&TransitionMarker> {
        let own = self.shown().find(|mark| mark.recording == self.recording);
        own.or_else(|| self.shown().next())
    }

    /// The last recording that starts at or before an optimiser step; the first recording if all start
    /// later.
    pub(super) fn nearest(&self, optimiser_step: u64) -> Option<usize> {
        let spans = self.recordings.iter().enumerate();
        let spans = spans.filter_map(|(index, recording)| Some((recording.span()?.0, index)));
        let before = spans.clone().filter(|(first, _)| *first <= optimiser_step);
        before.max().or_else(|| spans.min()).map(|(_, index)| index)
    }
}

/// A playback of the first episode of a recording.
fn first(recording: &RecordingFile, opened: &mut OpenRecording) -> Playback {
    let episode = opened.episodes[0].clone();
    Playback::new(
        episode,
        &mut opened.env,
        &recording.controller_name(),
        recording.header.seed,
    )
}

fn episode_rows(episodes: &[RecordedEpisode]) -> Vec<EpisodeListRow> {
    let row = |episode: &RecordedEpisode| EpisodeListRow {
        episode: episode.begin.episode,
        outcome: episode
            .end
            .as_ref()
            .and_then(|end| outcome_named(&end.outcome)),
        steps: episode.length(),
        episodic_return: episode.episodic_return(),
    };
    episodes.iter().map(row).collect()
}
