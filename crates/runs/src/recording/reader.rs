//! Reads a recording, one episode at a time. Of a recording that was cut off or is damaged, every
//! chunk that is whole is read.

use std::path::{Path, PathBuf};

use super::RecordError;
use super::foxglove::LaserScan;
use super::message_stream::{MessageStream, StreamItem, TopicOfRobot};
use super::messages::{
    EpisodeBegin, EpisodeEnd, FORMAT, FORMAT_SINGLE_ROBOT, RecordingHeader, RobotState, RobotStep,
    TrainingIteration, outcome_named,
};
use super::writer::topic;
use super::{Damage, RecordingEnd};
use evenkeel_sim::env::Outcome;
use evenkeel_sim::sim::WorldSnapshot;

/// Longest observation: 4096 beams and the other blocks, stacked.
const MAX_OBSERVATION_LEN: usize = 1 << 20;

/// A recording that is being read.
pub struct RecordingReader {
    path: PathBuf,
    stream: MessageStream,
    header: RecordingHeader,
    training: Option<TrainingIteration>,
    /// The beginning of the next episode, which ends the one before.
    next: Option<EpisodeBegin>,
}

/// An episode of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEpisode {
    /// How it begins.
    pub begin: EpisodeBegin,
    /// Number of robots.
    pub robots: usize,
    /// `[length, robots]`: its control steps.
    pub steps: Vec<RobotStep>,
    /// `[1 + length, robots]`: scans, metres, each `[beams]`, before the first step and after each
    /// step.
    pub scans: Vec<Vec<f32>>,
    /// How it ends; `None` if the recording was cut off before, or the end is damaged.
    pub end: Option<EpisodeEnd>,
    /// Whether its steps end early because the file is damaged.
    pub damaged: bool,
}

impl Default for RecordedEpisode {
    fn default() -> Self {
        Self {
            begin: EpisodeBegin::default(),
            robots: 1,
            steps: Vec::new(),
            scans: Vec::new(),
            end: None,
            damaged: false,
        }
    }
}

impl RecordingReader {
    /// Opens a recording.
    ///
    /// # Errors
    /// If the file is not a recording, or not in a format that this build reads.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let not_a_recording = |reason: &str| RecordError::NotARecording {
            path: path.to_owned(),
            reason: format!("{reason}; `evenkeel record` writes recordings"),
        };
        if path.is_dir() {
            return Err(not_a_recording(
                "a folder; those of a run are files in its folder `recordings`",
            ));
        }
        let mut stream = MessageStream::open(path)?;
        let header: RecordingHeader = loop {
            match stream.next()? {
                Some(StreamItem::Message(TopicOfRobot(topic::RECORDING, 0), message)) => {
                    break message.read(path)?;
                }
                Some(StreamItem::Gap) => {}
                item => {
                    let is_other = item.is_some();
                    return Err(match (stream.damage().first(), stream.end()) {
                        (Some(damage), _) => RecordError::HeaderDamaged {
                            path: path.to_owned(),
                            damage: damage.clone(),
                        },
                        (None, Some(RecordingEnd::Truncated(reason))) => {
                            not_a_recording(&format!("not a recording: {reason}"))
                        }
                        (None, _) if is_other => {
                            not_a_recording("a recording, but not of evenkeel's")
                        }
                        (None, _) => {
                            not_a_recording("an MCAP file that holds nothing of evenkeel's")
                        }
                    });
                }
            }
        };
        if !(FORMAT_SINGLE_ROBOT..=FORMAT).contains(&header.format) {
            let reason = format!(
                "a recording of format {}, where this build reads {FORMAT_SINGLE_ROBOT} to {FORMAT}; it was \
                 made by {}",
                header.format,
                header.build.unwrap_or_default()
            );
            return Err(RecordError::NotARecording {
                path: path.to_owned(),
                reason,
            });
        }
        validate_header(&header).map_err(|reason| RecordError::Malformed {
            path: path.to_owned(),
            reason: reason.to_owned(),
        })?;
        let mut this = Self {
            path: path.to_owned(),
            stream,
            header,
            training: None,
            next: None,
        };
        this.advance(&mut RecordedEpisode::default())?;
        Ok(this)
    }

    /// The header.
    pub fn header(&self) -> &RecordingHeader {
        &self.header
    }

    /// The iteration of training that the policy comes from, if the recording has it.
    pub fn training(&self) -> Option<&TrainingIteration> {
        self.training.as_ref()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the recording ends; `None` before its last episode has been read.
    pub fn end(&self) -> Option<&RecordingEnd> {
        self.stream.end()
    }

    /// The damaged parts found so far, in order. After the last episode, all of them.
    pub fn damage(&self) -> &[Damage] {
        self.stream.damage()
    }

    /// What is wrong with the file, one phrase for each fault found so far: its damaged parts, and
    /// that it was cut off.
    pub fn faults(&self) -> Vec<String> {
        let damaged = self.damage().iter().map(|part| format!("damaged, {part}"));
        let cut_off = match self.end() {
            Some(RecordingEnd::Truncated(reason)) => Some(format!("cut off: {reason}")),
            _ => None,
        };
        damaged.chain(cut_off).collect()
    }

    /// Reads the next episode; `None` after the last.
    ///
    /// # Errors
    /// If the file cannot be read, or its messages contradict each other.
    pub fn next_episode(&mut self) -> Result<Option<RecordedEpisode>, RecordError> {
        let Some(begin) = self.next.take() else {
            return Ok(None);
        };
        let mut episode = RecordedEpisode {
            begin,
            robots: self.header.robot_count(),
            ..RecordedEpisode::default()
        };
        self.advance(&mut episode)?;
        // The file may end within a control step.
        episode.steps.truncate(episode.length() * episode.robots);
        Ok(Some(episode))
    }

    /// Reads up to the beginning of the next episode, or to the end.
    fn advance(&mut self, episode: &mut RecordedEpisode) -> Result<(), RecordError> {
        let mut in_gap = false;
        loop {
            let (TopicOfRobot(topic, robot), message) = match self.stream.next()? {
                Some(StreamItem::Message(topic, message)) => (topic, message),
                Some(StreamItem::Gap) => {
                    in_gap = true;
                    episode.damaged = episode.end.is_none();
                    continue;
                }
                None => return Ok(()),
            };
            let path = &self.path;
            match topic {
                topic::BEGIN => {
                    self.next = Some(message.read(path)?);
                    return Ok(());
                }
                topic::TRAINING => self.training = Some(message.read(path)?),
                // What follows a gap may be of another episode.
                _ if in_gap => {}
                topic::STEP => episode.add(message.read(path)?, path)?,
                topic::END => episode.end = Some(message.read(path)?),
                topic::SCAN => episode.add_scan(robot, &message.read(path)?, path)?,
                _ => {}
            }
        }
    }
}

impl RecordedEpisode {
    fn add(&mut self, step: RobotStep, path: &Path) -> Result<(), RecordError> {
        let episode = self.begin.episode;
        let (number, robot) = (self.length() as u32 + 1, self.steps.len() % self.robots);
        if (step.episode, step.step, step.robot) == (episode, number, robot as u32) {
            self.steps.push(step);
            return Ok(());
        }
        let name = |number: u32, episode: u64, robot: u32| match self.robots {
            1 => format!("step {number} of episode {episode}"),
            _ => format!("step {number} of episode {episode}, robot {robot}"),
        };
        Err(RecordError::Malformed {
            path: path.to_owned(),
            reason: format!(
                "{} stands where {} should",
                name(step.step, step.episode, step.robot),
                name(number, episode, robot as u32)
            ),
        })
    }

    fn add_scan(&mut self, robot: usize, scan: &LaserScan, path: &Path) -> Result<(), RecordError> {
        let next = self.scans.len() % self.robots;
        if robot != next {
            return Err(RecordError::Malformed {
                path: path.to_owned(),
                reason: format!("a scan of robot {robot} stands where one of robot {next} should"),
            });
        }
        let ranges = scan.ranges.iter().map(|&range| range as f32);
        self.scans.push(ranges.collect());
        Ok(())
    }

    /// Number of control steps.
    pub fn length(&self) -> usize {
        self.steps.len() / self.robots
    }

    /// `[robots]`: control step `index`, from 0.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn step(&self, index: usize) -> &[RobotStep] {
        &self.steps[index * self.robots..(index + 1) * self.robots]
    }

    /// The control steps of a robot while it was active.
    pub fn active_steps(&self, robot: usize) -> impl DoubleEndedIterator<Item = &RobotStep> {
        let steps = self.steps.iter().skip(robot).step_by(self.robots);
        steps.filter(|step| !step.inactive)
    }

    /// How it ended according to its steps: see `NavEnv::episode_outcome`.
    pub fn episode_outcome(&self) -> Option<Outcome> {
        let parts = (0..self.robots).map(|robot| self.active_steps(robot).next_back());
        Outcome::of_episode(parts.map(|last| outcome_named(&last?.outcome)))
    }

    /// The world after `step` control steps, if the recording has it.
    pub fn snapshot(&self, step: usize, control_step_secs: f64) -> Option<WorldSnapshot> {
        let scans = self
            .scans
            .get(step * self.robots..(step + 1) * self.robots)?;
        // Marks inactive robots, including those that became inactive in this step.
        let states: Option<Vec<(&RobotState, bool)>> = match step.checked_sub(1) {
            None => {
                let others = self.begin.others.iter().map(Some);
                let states = std::iter::once(self.begin.state.as_ref()).chain(others);
                states.map(|state| Some((state?, false))).collect()
            }
            Some(index) if index < self.length() => {
                let of = |step: &'_ RobotStep| step.inactive || !step.outcome.is_empty();
                let inactive = |step| self.robots > 1 && of(step);
                let states = self.step(index).iter();
                states
                    .map(|step| Some((step.state.as_ref()?, inactive(step))))
                    .collect()
            }
            Some(_) => None,
        };
        let states = states.filter(|states| states.len() == self.robots)?;
        let robots = states.iter().zip(scans);
        Some(WorldSnapshot {
            step: step as u32,
            time_secs: step as f32 * control_step_secs as f32,
            robots: robots
                .map(|((state, inactive), scan)| state.robot(*inactive, scan.clone()))
                .collect(),
            movers: states[0].0.movers(),
        })
    }

    /// Undiscounted sum of its rewards, averaged over the robots.
    pub fn episodic_return(&self) -> f64 {
        let all: f64 = self.steps.iter().map(|step| f64::from(step.reward)).sum();
        all / self.robots as f64
    }
}

/// Checks what other code relies on.
fn validate_header(header: &RecordingHeader) -> Result<(), &'static str> {
    let mut next = 0_u32;
    for block in &header.observation {
        if block.first != next {
            return Err("the blocks of an observation do not follow one another");
        }
        next = next.saturating_add(block.length);
    }
    if next as usize > MAX_OBSERVATION_LEN {
        Err("an observation is longer than any can be")
    } else if !(header.control_step_secs > 0.0 && header.control_step_secs.is_finite()) {
        Err("a control step takes no time")
    } else {
        Ok(())
    }
}
