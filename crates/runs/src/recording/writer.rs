//! Writes a recording: messages on topics, with one clock, in whole chunks.
//!
//! The file is called `NAME.unfinished.mcap` until [`RecordingWriter::finish`] renames it. After a
//! crash it is a recording up to its last chunk, and an older recording `NAME.mcap` is untouched.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcap::records::MessageHeader;
use mcap::write::NoSeek;
use mcap::{McapError, WriteOptions};

use super::foxglove::{Log, LogLevel, NANOS, Timestamp};
use super::messages::{
    EpisodeBegin, EpisodeEnd, RecordingHeader, RobotState, RobotStep, SampledParameter,
    TrainingIteration,
};
use super::{RecordError, scene};
use crate::proto::{Enum, Message};
use evenkeel_sim::env::{NavEnv, Outcome};
use evenkeel_sim::sim::WorldSnapshot;

/// A chunk is closed and written once it has this many bytes: about two hundred control steps. A
/// crash loses at most one chunk.
const CHUNK_BYTES: usize = 256 * 1024;

/// The clock at the beginning of the first episode, nanoseconds. In MCAP, 0 means no time.
const CLOCK_START_NANOS: u64 = NANOS;

/// Time on the clock between two episodes, nanoseconds.
const EPISODE_GAP_NANOS: u64 = NANOS;

/// The topics. Each has one type of message.
pub(super) mod topic {
    pub(in crate::recording) const RECORDING: &str = "/recording";
    pub(in crate::recording) const TRAINING: &str = "/training";
    pub(in crate::recording) const BEGIN: &str = "/episode/begin";
    pub(in crate::recording) const END: &str = "/episode/end";
    pub(in crate::recording) const STEP: &str = "/step";
    pub(in crate::recording) const SCAN: &str = "/scan";
    pub(in crate::recording) const TRANSFORMS: &str = "/tf";
    pub(in crate::recording) const POSE: &str = "/pose";
    pub(in crate::recording) const SCENE: &str = "/scene";
    pub(in crate::recording) const MOVERS: &str = "/movers";
    pub(in crate::recording) const LOG: &str = "/log";

    /// A topic of one robot: plain for the first, as in `/robot_1/scan` for the others.
    pub(in crate::recording) fn of_robot(topic: &str, robot: usize) -> String {
        match robot {
            0 => topic.to_owned(),
            _ => format!("/{}{topic}", super::scene::frame_id_of(robot)),
        }
    }

    /// The robot whose `topic` has this name, if there is one.
    pub(in crate::recording) fn robot_of(topic: &str, name: &str) -> Option<usize> {
        let end = name.strip_suffix(topic)?;
        let index = || end.rsplit('_').next()?.parse().ok();
        let robot = if end.is_empty() { Some(0) } else { index() };
        robot.filter(|&robot| of_robot(topic, robot) == name)
    }
}

/// The topics of one robot.
struct RobotTopics {
    scan: String,
    pose: String,
}

/// A recording that is being written.
pub struct RecordingWriter {
    mcap: mcap::Writer<NoSeek<BufWriter<File>>>,
    /// Locked until the file is closed.
    _lock: File,
    unfinished: PathBuf,
    path: PathBuf,
    channels: BTreeMap<String, u16>,
    /// `[robots]`.
    robots: Arc<[RobotTopics]>,
    /// Bytes in the open chunk.
    pending: usize,
    /// Nanoseconds.
    clock: u64,
    /// Nanoseconds.
    control_step: u64,
    episodes: u64,
    steps: u64,
    buffer: Vec<u8>,
}

/// A finished recording.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RecordingSummary {
    /// The file.
    pub path: PathBuf,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// Number of episodes.
    pub episodes: u64,
    /// Number of control steps.
    pub steps: u64,
}

impl RecordingWriter {
    /// Creates a recording that will be at `path`.
    ///
    /// # Errors
    /// If the file cannot be written, or another process is writing it; so do the other methods.
    pub fn create(path: &Path, header: &RecordingHeader) -> Result<Self, RecordError> {
        // Finishing replaces what is at `path`, which must not be a folder or a device.
        if fs::metadata(path).is_ok_and(|existing| !existing.is_file()) {
            let not_a_file = std::io::Error::other("it is not a file; choose another --out");
            return Err(RecordError::io(path)(not_a_file));
        }
        let unfinished = path.with_extension("unfinished.mcap");
        // Truncated only once it is locked.
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&unfinished)
            .map_err(RecordError::io(&unfinished))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RecordError::Busy {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(RecordError::io(&unfinished)(error)),
        }
        let lock = file.try_clone().map_err(RecordError::io(&unfinished))?;
        file.set_len(0).map_err(RecordError::io(&unfinished))?;
        let options = WriteOptions::new()
            .profile("")
            .library(concat!("evenkeel ", env!("CARGO_PKG_VERSION")))
            .disable_seeking(true)
            .chunk_size(None)
            .compression(None);
        let mcap = options
            .create(NoSeek::new(BufWriter::new(file)))
            .map_err(failed(&unfinished))?;
        let mut this = Self {
            mcap,
            _lock: lock,
            unfinished,
            path: path.to_owned(),
            channels: BTreeMap::new(),
            robots: (0..header.robot_count())
                .map(|robot| RobotTopics {
                    scan: topic::of_robot(topic::SCAN, robot),
                    pose: topic::of_robot(topic::POSE, robot),
                })
                .collect(),
            pending: 0,
            clock: CLOCK_START_NANOS,
            control_step: (header.control_step_secs * NANOS as f64).round() as u64,
            episodes: 0,
            steps: 0,
            buffer: Vec::new(),
        };
        this.write_message(topic::RECORDING, header)?;
        this.flush()?;
        Ok(this)
    }

    /// Writes the iteration of training that the policy comes from.
    pub fn write_training(&mut self, iteration: &TrainingIteration) -> Result<(), RecordError> {
        self.write_message(topic::TRAINING, iteration)
    }

    /// Writes a log message.
    pub fn log(&mut self, level: LogLevel, name: &str, message: &str) -> Result<(), RecordError> {
        self.write_message(
            topic::LOG,
            &Log {
                timestamp: Some(Timestamp::at(self.clock)),
                level: Enum(level),
                message: message.to_owned(),
                name: name.to_owned(),
                file: String::new(),
                line: 0,
            },
        )
    }

    /// Writes the beginning of the episode that `env` has started.
    pub fn begin_episode(
        &mut self,
        env: &NavEnv,
        snapshot: &WorldSnapshot,
    ) -> Result<(), RecordError> {
        if self.episodes > 0 {
            self.clock += EPISODE_GAP_NANOS;
        }
        self.episodes += 1;
        let sampled_parameters =
            env.layout()
                .sampled_parameters
                .iter()
                .map(|sampled| SampledParameter {
                    name: sampled.name.to_owned(),
                    value: sampled.value,
                });
        let begin = EpisodeBegin {
            episode: env.episode(),
            state: Some(RobotState::of(snapshot, 0)),
            state_hash: env.state_hash(),
            sampled_parameters: sampled_parameters.collect(),
            others: (1..snapshot.robots.len())
                .map(|robot| RobotState::of(snapshot, robot))
                .collect(),
        };
        self.write_message(topic::BEGIN, &begin)?;
        self.write_message(
            topic::SCENE,
            &scene::static_scene(env.layout(), &Timestamp::at(self.clock)),
        )?;
        self.write_snapshot(env, snapshot)
    }

    /// Writes one control step, `[robots]`, and the snapshot after it.
    pub fn write_step(
        &mut self,
        env: &NavEnv,
        step: &[RobotStep],
        snapshot: &WorldSnapshot,
    ) -> Result<(), RecordError> {
        self.clock += self.control_step;
        self.steps += 1;
        for robot_step in step {
            self.write_message(topic::STEP, robot_step)?;
        }
        self.write_snapshot(env, snapshot)
    }

    /// Writes the end of the episode.
    pub fn end_episode(
        &mut self,
        env: &NavEnv,
        outcome: Outcome,
    ) -> Result<EpisodeEnd, RecordError> {
        let robots = env.robot_count();
        let returns: f64 = (0..robots).map(|robot| env.robot_return(robot)).sum();
        let mut end = EpisodeEnd {
            episode: env.episode(),
            outcome: outcome.name().to_owned(),
            steps: env.steps(),
            episodic_return: returns / robots as f64,
            outcomes: Vec::new(),
        };
        if robots > 1 {
            let outcomes = (0..robots).filter_map(|robot| env.outcome(robot));
            end.outcomes
                .extend(outcomes.map(|outcome| outcome.name().to_owned()));
        }
        self.write_message(topic::END, &end)?;
        let level = match outcome {
            Outcome::Goal => LogLevel::Info,
            Outcome::TimeLimit => LogLevel::Warning,
            _ => LogLevel::Error,
        };
        let goals = match end.goals_reached() {
            Some(goals) => format!(", {goals} of {robots} robots at their goals"),
            None => String::new(),
        };
        let message = format!(
            "episode {}: {} after {} steps{goals}, return {:.2}",
            end.episode, end.outcome, end.steps, end.episodic_return
        );
        self.log(level, "evenkeel", &message)?;
        self.flush()?;
        Ok(end)
    }

    /// Writes what moves: transforms, poses, scans and movers.
    fn write_snapshot(
        &mut self,
        env: &NavEnv,
        snapshot: &WorldSnapshot,
    ) -> Result<(), RecordError> {
        let at = Timestamp::at(self.clock);
        self.write_message(topic::TRANSFORMS, &scene::transforms(snapshot, &at))?;
        let spec = &env.scenario().spec.robot[0].lidar;
        let topics = Arc::clone(&self.robots);
        let robots = snapshot.robots.iter().zip(&env.layout().robots).enumerate();
        for ((index, (robot, placed)), topics) in robots.zip(&*topics) {
            self.write_message(&topics.pose, &scene::robot_pose(robot, &at))?;
            let scan = scene::scan(spec, placed, index, robot, &at);
            self.write_message(&topics.scan, &scan)?;
        }
        // An empty message removes the movers of the episode before.
        if !snapshot.movers.is_empty() || self.channels.contains_key(topic::MOVERS) {
            self.write_message(topic::MOVERS, &scene::movers(snapshot, &at))?;
        }
        if self.pending >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes a message at the current time.
    fn write_message<M: Message>(&mut self, topic: &str, message: &M) -> Result<(), RecordError> {
        self.buffer.clear();
        message.encode(&mut self.buffer);
        self.pending += self.buffer.len();
        let header = MessageHeader {
            channel_id: self.channel::<M>(topic)?,
            sequence: 0,
            log_time: self.clock,
            publish_time: self.clock,
        };
        self.mcap
            .write_to_known_channel(&header, &self.buffer)
            .map_err(failed(&self.unfinished))
    }

    /// The channel of a topic. It is declared with its first message.
    fn channel<M: Message>(&mut self, topic: &str) -> Result<u16, RecordError> {
        if let Some(&channel) = self.channels.get(topic) {
            return Ok(channel);
        }
        let encoding = "protobuf";
        let schema = self
            .mcap
            .add_schema(&M::TYPE.full_name(), encoding, &M::descriptor());
        let channel = schema.and_then(|schema| {
            let no_metadata = BTreeMap::new();
            self.mcap.add_channel(schema, topic, encoding, &no_metadata)
        });
        let channel = channel.map_err(failed(&self.unfinished))?;
        self.channels.insert(topic.to_owned(), channel);
        Ok(channel)
    }

    /// Closes the chunk and passes it to the system, so that it survives a crash of this process.
    fn flush(&mut self) -> Result<(), RecordError> {
        self.pending = 0;
        self.mcap.flush().map_err(failed(&self.unfinished))
    }

    /// Ends the recording and renames the file to its final name.
    pub fn finish(mut self) -> Result<RecordingSummary, RecordError> {
        self.mcap.finish().map_err(failed(&self.unfinished))?;
        let at = RecordError::io(&self.unfinished);
        let mut inner = self.mcap.into_inner().into_inner();
        let synced = inner.flush().and_then(|()| inner.get_ref().sync_all());
        let length = synced.and_then(|()| inner.get_ref().metadata());
        let bytes = length.map_err(at)?.len();
        fs::rename(&self.unfinished, &self.path).map_err(RecordError::io(&self.path))?;
        Ok(RecordingSummary {
            path: self.path,
            bytes,
            episodes: self.episodes,
            steps: self.steps,
        })
    }
}

/// Adds the file to a write error.
fn failed(path: &Path) -> impl FnOnce(McapError) -> RecordError + use<> {
    let path = path.to_owned();
    move |error| RecordError::Io {
        path,
        source: match error {
            McapError::Io(source) => source,
            other => std::io::Error::other(other),
        },
    }
}
