//! The recordings that can be looked at, and the one that is open.

use std::path::{Path, PathBuf};

use super::reel::Reel;
use evenkeel_runs::record::messages::{Recording, TrainingMoment, outcome};
use evenkeel_runs::record::{Ending, Episode, Reader, RecordError};
use evenkeel_sim::env::{NavEnv, Outcome};

/// A transition of a recording that is pointed out.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The optimiser step that it is about.
    pub optimiser_step: u64,
    /// Which of the recordings.
    pub volume: usize,
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
pub struct Volume {
    /// The file.
    pub path: PathBuf,
    /// What was recorded.
    pub about: Recording,
    /// The moment of training that it is of, or that its policy comes from.
    pub training: Option<TrainingMoment>,
}

impl Volume {
    /// Looks into a file.
    ///
    /// # Errors
    /// If it is no recording.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let reader = Reader::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            about: reader.about().clone(),
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
    fn driver(&self) -> String {
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
pub(super) struct Line {
    pub(super) episode: u64,
    pub(super) outcome: Option<Outcome>,
    pub(super) steps: usize,
    pub(super) episodic_return: f64,
}

/// The recordings, and what is open of them.
pub(super) struct Shelf {
    pub(super) volumes: Vec<Volume>,
    /// In order of their optimiser steps; the first of each weighs most.
    marks: Vec<Mark>,
    /// The optimiser step whose marks are shown.
    pub(super) step: Option<u64>,
    /// Which volume is open.
    pub(super) volume: usize,
    /// Its episodes.
    pub(super) lines: Vec<Line>,
    /// Which of them is on the reel.
    pub(super) index: usize,
    pub(super) reel: Reel,
    /// What is wrong with what was asked for last, or with the open volume.
    pub(super) trouble: Option<String>,
    episodes: Vec<Episode>,
    env: NavEnv,
}

/// A volume's episodes, read.
struct Opened {
    env: NavEnv,
    episodes: Vec<Episode>,
    trouble: Option<String>,
}

fn read(volume: &Volume) -> Result<Opened, RecordError> {
    let mut reader = Reader::open(&volume.path)?;
    let env = reader.environment()?;
    let mut episodes = Vec::new();
    while let Some(episode) = reader.next_episode()? {
        episodes.push(episode);
    }
    if episodes.is_empty() {
        return Err(RecordError::NotARecording {
            path: volume.path.clone(),
            reason: "there is no episode in it".to_owned(),
        });
    }
    let trouble = match reader.ending() {
        Some(Ending::CutOff(reason)) => Some(format!("cut off: {reason}")),
        _ => None,
    };
    Ok(Opened {
        env,
        episodes,
        trouble,
    })
}

impl Shelf {
    /// A shelf with one of its volumes open at its first episode, and the marks of a step, without
    /// one of the last that has any.
    pub(super) fn new(
        volumes: Vec<Volume>,
        mut marks: Vec<Mark>,
        step: Option<u64>,
        volume: usize,
    ) -> Result<Self, RecordError> {
        marks.sort_by_key(|mark| mark.optimiser_step);
        let mut opened = read(&volumes[volume])?;
        let reel = first(&volumes[volume], &mut opened);
        Ok(Self {
            lines: lines(&opened.episodes),
            reel,
            index: 0,
            trouble: opened.trouble,
            episodes: opened.episodes,
            env: opened.env,
            volumes,
            step: step.or(marks.last().map(|mark| mark.optimiser_step)),
            marks,
            volume,
        })
    }

    /// Opens another volume at its first episode; whether there is such a one. If it cannot be read,
    /// all stays as it is.
    pub(super) fn open(&mut self, volume: usize) -> bool {
        if volume == self.volume || volume >= self.volumes.len() {
            return false;
        }
        match read(&self.volumes[volume]) {
            Ok(mut opened) => {
                self.reel = first(&self.volumes[volume], &mut opened);
                self.volume = volume;
                self.index = 0;
                self.lines = lines(&opened.episodes);
                self.trouble = opened.trouble;
                self.episodes = opened.episodes;
                self.env = opened.env;
                true
            }
            Err(error) => {
                self.trouble = Some(error.to_string());
                false
            }
        }
    }

    /// Puts another episode of the open volume on the reel; whether there is such a one.
    pub(super) fn choose(&mut self, index: usize) -> bool {
        if index == self.index || index >= self.episodes.len() {
            return false;
        }
        let volume = &self.volumes[self.volume];
        let episode = self.episodes[index].clone();
        self.reel = Reel::new(episode, &mut self.env, &volume.driver(), volume.about.seed);
        self.index = index;
        true
    }

    /// Puts the episode of this number on the reel, if the open volume has it.
    pub(super) fn find(&mut self, episode: u64) -> bool {
        let place = self.lines.iter().position(|line| line.episode == episode);
        if let Some(place) = place {
            self.choose(place);
        }
        place.is_some()
    }

    /// The open volume.
    pub(super) fn current(&self) -> &Volume {
        &self.volumes[self.volume]
    }

    /// The optimiser steps that marks are about, in order.
    pub(super) fn steps(&self) -> Vec<u64> {
        let mut steps: Vec<u64> = self.marks.iter().map(|mark| mark.optimiser_step).collect();
        steps.dedup();
        steps
    }

    /// The step before, or after, the one whose marks are shown.
    pub(super) fn step_beside(&self, after: bool) -> Option<u64> {
        let (step, steps) = (self.step?, self.steps());
        let mut steps = steps.into_iter();
        if after {
            steps.find(|&other| other > step)
        } else {
            steps.take_while(|&other| other < step).last()
        }
    }

    /// The marks that are shown, that which weighs most first.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Mark> {
        let of_it = |mark: &&Mark| Some(mark.optimiser_step) == self.step;
        self.marks.iter().filter(of_it)
    }

    /// Those of an episode of the open volume.
    pub(super) fn marks_in(&self, index: usize) -> impl Iterator<Item = &Mark> {
        let place = (self.volume, index);
        self.shown()
            .filter(move |mark| (mark.volume, mark.episode) == place)
    }

    /// Those of a robot in the episode on the reel.
    pub(super) fn marks_of(&self, robot: usize) -> impl Iterator<Item = &Mark> {
        self.marks_in(self.index)
            .filter(move |mark| mark.robot == robot)
    }

    /// Whether a volume is to be seen: each is, unless marks of other volumes are shown.
    pub(super) fn has(&self, volume: usize) -> bool {
        let mut shown = self.shown().peekable();
        volume < self.volumes.len()
            && (shown.peek().is_none() || shown.any(|mark| mark.volume == volume))
    }

    /// The volume before, or after, the open one among those to be seen.
    pub(super) fn beside(&self, after: bool) -> Option<usize> {
        let mut seen = (0..self.volumes.len()).filter(|&volume| self.has(volume));
        if after {
            seen.find(|&volume| volume > self.volume)
        } else {
            seen.take_while(|&volume| volume < self.volume).last()
        }
    }

    /// The first mark that is shown in the open volume, or else of all.
    pub(super) fn first_mark(&self) -> Option<&Mark> {
        let here = self.shown().find(|mark| mark.volume == self.volume);
        here.or_else(|| self.shown().next())
    }

    /// The volume that is nearest to an optimiser step among those that are not of later ones; of
    /// the earliest moment if all are.
    pub(super) fn nearest(&self, optimiser_step: u64) -> Option<usize> {
        let spans = self.volumes.iter().enumerate();
        let spans = spans.filter_map(|(index, volume)| Some((volume.span()?.0, index)));
        let before = spans.clone().filter(|(first, _)| *first <= optimiser_step);
        before.max().or_else(|| spans.min()).map(|(_, index)| index)
    }
}

/// The first episode of a volume, which has one.
fn first(volume: &Volume, opened: &mut Opened) -> Reel {
    let episode = opened.episodes[0].clone();
    Reel::new(
        episode,
        &mut opened.env,
        &volume.driver(),
        volume.about.seed,
    )
}

fn lines(episodes: &[Episode]) -> Vec<Line> {
    let line = |episode: &Episode| Line {
        episode: episode.begin.episode,
        outcome: episode.end.as_ref().and_then(|end| outcome(&end.outcome)),
        steps: episode.length(),
        episodic_return: episode.episodic_return(),
    };
    episodes.iter().map(line).collect()
}
