//! Reads a recording, one episode at a time. A recording that was cut off is read up to its last
//! whole chunk.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mcap::McapError;
use mcap::records::Record;
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use super::RecordError;
use super::foxglove::LaserScan;
use super::messages::{
    EpisodeBegin, EpisodeEnd, FORMAT, FORMAT_SINGLE_ROBOT, RecordingHeader, RobotState, RobotStep,
    TrainingIteration, outcome_named,
};
use super::proto::{DecodeError, Message};
use super::writer::topic;
use evenkeel_sim::env::Outcome;
use evenkeel_sim::sim::WorldSnapshot;

/// Longest MCAP record that is read, bytes. Far more than any chunk that is written; it bounds the
/// memory that a damaged file can make the reader allocate.
const MAX_RECORD_BYTES: usize = 1 << 28;

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
    ending: Option<RecordingEnd>,
}

/// How a recording ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingEnd {
    /// At the end of the file.
    Complete,
    /// Early: the program that wrote it was stopped, or the file is damaged there. Says why.
    Truncated(String),
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
    /// How it ends; `None` if the recording was cut off before.
    pub end: Option<EpisodeEnd>,
}

impl Default for RecordedEpisode {
    fn default() -> Self {
        Self {
            begin: EpisodeBegin::default(),
            robots: 1,
            steps: Vec::new(),
            scans: Vec::new(),
            end: None,
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
        let header: RecordingHeader = match stream.next() {
            Ok(Some((TopicOfRobot(topic::RECORDING, 0), message))) => message.read(path)?,
            Ok(Some(_)) => return Err(not_a_recording("a recording, but not of evenkeel's")),
            Ok(None) => {
                return Err(not_a_recording(
                    "an MCAP file that holds nothing of evenkeel's",
                ));
            }
            Err(ReadStop::Failed(error)) => return Err(error),
            Err(ReadStop::Truncated(reason)) => {
                return Err(not_a_recording(&format!("not a recording: {reason}")));
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
            ending: None,
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
        self.ending.as_ref()
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
        loop {
            let (TopicOfRobot(topic, robot), message) = match self.stream.next() {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.ending = Some(RecordingEnd::Complete);
                    return Ok(());
                }
                Err(ReadStop::Failed(error)) => return Err(error),
                Err(ReadStop::Truncated(reason)) => {
                    self.ending = Some(RecordingEnd::Truncated(reason));
                    return Ok(());
                }
            };
            let path = &self.path;
            match topic {
                topic::BEGIN => {
                    self.next = Some(message.read(path)?);
                    return Ok(());
                }
                topic::STEP => episode.add(message.read(path)?, path)?,
                topic::END => episode.end = Some(message.read(path)?),
                topic::SCAN => episode.add_scan(robot, &message.read(path)?, path)?,
                topic::TRAINING => self.training = Some(message.read(path)?),
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

/// Why no further message could be read.
enum ReadStop {
    /// The file ends here, or is damaged from here on.
    Truncated(String),
    /// The file could not be read.
    Failed(RecordError),
}

/// The messages of an MCAP file, in order.
struct MessageStream {
    path: PathBuf,
    file: File,
    reader: LinearReader,
    /// By id.
    channels: HashMap<u16, Channel>,
    schemas: HashMap<u16, String>,
}

/// A topic that is read, and its robot.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TopicOfRobot(&'static str, usize);

impl TopicOfRobot {
    /// The topic with this name, if it is one that is read.
    fn named(name: &str) -> Option<Self> {
        let topic = READ_TOPICS.into_iter().find(|topic| *topic == name);
        let scan = || topic::robot_of(topic::SCAN, name).map(|robot| Self(topic::SCAN, robot));
        topic.map(|topic| Self(topic, 0)).or_else(scan)
    }
}

/// A channel of the file.
struct Channel {
    topic: TopicOfRobot,
    schema: String,
}

/// A message that is not decoded yet.
struct RawMessage<'a> {
    schema: &'a str,
    data: Vec<u8>,
}

impl RawMessage<'_> {
    fn read<M: Message>(&self, path: &Path) -> Result<M, RecordError> {
        let name = M::TYPE.full_name();
        let malformed = |reason: String| RecordError::Malformed {
            path: path.to_owned(),
            reason,
        };
        if self.schema != name {
            return Err(malformed(format!(
                "a message is a {} where it should be a {name}",
                self.schema
            )));
        }
        M::decode(&self.data).map_err(|DecodeError| malformed(format!("a {name} cannot be read")))
    }
}

/// The topics that are read besides the scans of the robots. All others are skipped.
const READ_TOPICS: [&str; 5] = [
    topic::RECORDING,
    topic::TRAINING,
    topic::BEGIN,
    topic::STEP,
    topic::END,
];

impl MessageStream {
    fn open(path: &Path) -> Result<Self, RecordError> {
        let options = LinearReaderOptions::default()
            .with_prevalidate_chunk_crcs(true)
            .with_record_length_limit(MAX_RECORD_BYTES);
        Ok(Self {
            path: path.to_owned(),
            file: File::open(path).map_err(RecordError::io(path))?,
            reader: LinearReader::new_with_options(options),
            channels: HashMap::new(),
            schemas: HashMap::new(),
        })
    }

    /// The next message of a topic that is read.
    fn next(&mut self) -> Result<Option<(TopicOfRobot, RawMessage<'_>)>, ReadStop> {
        let (id, data) = loop {
            let record = match self.reader.next_event() {
                None => return Ok(None),
                Some(Err(error)) => return Err(ReadStop::Truncated(describe_error(&error))),
                Some(Ok(LinearReadEvent::ReadRequest(length))) => {
                    // The reader may request more than the file has; do not allocate all of it.
                    let length = length.min(1 << 16);
                    let read = self.file.read(self.reader.insert(length));
                    let failed = |error| ReadStop::Failed(RecordError::io(&self.path)(error));
                    self.reader.notify_read(read.map_err(failed)?);
                    continue;
                }
                Some(Ok(LinearReadEvent::Record { opcode, data })) => {
                    mcap::parse_record(opcode, data)
                        .map_err(|error| ReadStop::Truncated(describe_error(&error)))?
                }
            };
            match record {
                Record::Schema { header, .. } => {
                    self.schemas.insert(header.id, header.name);
                }
                Record::Channel(channel) => {
                    if let Some(topic) = TopicOfRobot::named(&channel.topic) {
                        let schema = self.schemas.get(&channel.schema_id);
                        let schema = schema.cloned().unwrap_or_default();
                        self.channels.insert(channel.id, Channel { topic, schema });
                    }
                }
                Record::Message { header, data }
                    if self.channels.contains_key(&header.channel_id) =>
                {
                    break (header.channel_id, data.into_owned());
                }
                _ => {}
            }
        };
        let Channel { topic, schema } = &self.channels[&id];
        Ok(Some((*topic, RawMessage { schema, data })))
    }
}

/// The error as a phrase.
fn describe_error(error: &McapError) -> String {
    match error {
        McapError::UnexpectedEof | McapError::UnexpectedEoc => "it ends in the middle".to_owned(),
        McapError::BadMagic => "it is no MCAP file".to_owned(),
        McapError::BadChunkCrc { .. } => "a chunk is not as it was written".to_owned(),
        McapError::UnsupportedCompression(name) => {
            format!("its chunks are compressed with {name}, which this build does not read")
        }
        other => other.to_string(),
    }
}
