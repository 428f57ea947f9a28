//! Reads a recording, an episode at a time; one that was cut off is read up to its last whole
//! chunk.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mcap::McapError;
use mcap::records::Record;
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use super::RecordError;
use super::foxglove::LaserScan;
use super::messages::{EpisodeBegin, EpisodeEnd, FORMAT, Recording, Step, TrainingMoment};
use super::proto::{Malformed, Message};
use super::writer::topic;
use crate::sim::Frame;

/// Longest record that is read, bytes: far beyond any chunk that is written, and no more than a
/// file can make the reader ask memory for.
const LONGEST_RECORD: usize = 1 << 28;

/// Longest observation: 4096 beams, and other blocks, stacked.
const LONGEST_OBSERVATION: usize = 1 << 20;

/// A recording that is being read.
pub struct Reader {
    path: PathBuf,
    records: Records,
    about: Recording,
    training: Option<TrainingMoment>,
    /// What was read beyond the last episode.
    next: Option<EpisodeBegin>,
    ending: Option<Ending>,
}

/// How a recording ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Whole,
    /// In the middle: the program that wrote it was stopped, or the file was damaged there.
    CutOff(String),
}

/// An episode of a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Episode {
    /// How it begins.
    pub begin: EpisodeBegin,
    /// Its control steps.
    pub steps: Vec<Step>,
    /// Scans, metres, `[1 + steps, beams]`: before the first step, and after each.
    pub scans: Vec<Vec<f32>>,
    /// How it ends; nothing if the recording was cut off before.
    pub end: Option<EpisodeEnd>,
}

impl Reader {
    /// Opens a recording.
    ///
    /// # Errors
    /// If the file is none, or not of this build's format.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let nothing = |reason: &str| RecordError::NotARecording {
            path: path.to_owned(),
            reason: format!("{reason}; `evenkeel record` writes recordings"),
        };
        if path.is_dir() {
            return Err(nothing(
                "a folder; those of a run are files in its folder `recordings`",
            ));
        }
        let mut records = Records::open(path)?;
        let about: Recording = match records.next() {
            Ok(Some((topic::RECORDING, message))) => message.read(path)?,
            Ok(Some(_)) => return Err(nothing("a recording, but not of evenkeel's")),
            Ok(None) => return Err(nothing("an MCAP file that holds nothing of evenkeel's")),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::CutOff(reason)) => {
                return Err(nothing(&format!("not a recording: {reason}")));
            }
        };
        if about.format != FORMAT {
            let reason = format!(
                "a recording of format {}, where this build reads {FORMAT}; it was made by {}",
                about.format,
                about.build.unwrap_or_default()
            );
            return Err(RecordError::NotARecording {
                path: path.to_owned(),
                reason,
            });
        }
        check(&about).map_err(|reason| RecordError::Malformed {
            path: path.to_owned(),
            reason: reason.to_owned(),
        })?;
        let mut this = Self {
            path: path.to_owned(),
            records,
            about,
            training: None,
            next: None,
            ending: None,
        };
        this.advance(&mut Episode::default())?;
        Ok(this)
    }

    /// What was recorded.
    pub fn about(&self) -> &Recording {
        &self.about
    }

    /// The moment of training that the policy comes from.
    pub fn training(&self) -> Option<&TrainingMoment> {
        self.training.as_ref()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the recording ends, once its last episode has been read.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Reads the next episode; nothing after the last.
    ///
    /// # Errors
    /// If the file cannot be read, or says what no recording does.
    pub fn next_episode(&mut self) -> Result<Option<Episode>, RecordError> {
        let Some(begin) = self.next.take() else {
            return Ok(None);
        };
        let mut episode = Episode {
            begin,
            ..Episode::default()
        };
        self.advance(&mut episode)?;
        Ok(Some(episode))
    }

    /// Reads up to the next episode's beginning, or to the end.
    fn advance(&mut self, episode: &mut Episode) -> Result<(), RecordError> {
        loop {
            let (topic, message) = match self.records.next() {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.ending = Some(Ending::Whole);
                    return Ok(());
                }
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::CutOff(reason)) => {
                    self.ending = Some(Ending::CutOff(reason));
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
                topic::SCAN => {
                    let scan: LaserScan = message.read(path)?;
                    let ranges = scan.ranges.iter().map(|&range| range as f32);
                    episode.scans.push(ranges.collect());
                }
                topic::TRAINING => self.training = Some(message.read(path)?),
                _ => {}
            }
        }
    }
}

impl Episode {
    fn add(&mut self, step: Step, path: &Path) -> Result<(), RecordError> {
        let (episode, number) = (self.begin.episode, self.steps.len() as u32 + 1);
        if step.episode == episode && step.step == number {
            self.steps.push(step);
            return Ok(());
        }
        Err(RecordError::Malformed {
            path: path.to_owned(),
            reason: format!(
                "step {} of episode {} stands where step {number} of episode {episode} should",
                step.step, step.episode
            ),
        })
    }

    /// The world after so many control steps, if the recording has them.
    pub fn frame(&self, step: usize, control_step_secs: f64) -> Option<Frame> {
        let state = match step.checked_sub(1) {
            None => self.begin.state.as_ref(),
            Some(index) => self.steps.get(index)?.state.as_ref(),
        };
        let scan = self.scans.get(step)?.clone();
        Some(state?.frame(step as u32, control_step_secs, scan))
    }

    /// Undiscounted sum of its rewards.
    pub fn episodic_return(&self) -> f64 {
        self.steps.iter().map(|step| f64::from(step.reward)).sum()
    }
}

/// Refuses what no recording says of itself and others rely on.
fn check(about: &Recording) -> Result<(), &'static str> {
    let mut next = 0_u32;
    for block in &about.observation {
        if block.first != next {
            return Err("the blocks of an observation do not follow one another");
        }
        next = next.saturating_add(block.length);
    }
    if next as usize > LONGEST_OBSERVATION {
        Err("an observation is longer than any can be")
    } else if !(about.control_step_secs > 0.0 && about.control_step_secs.is_finite()) {
        Err("a control step takes no time")
    } else {
        Ok(())
    }
}

/// Why no further message could be read.
enum Stop {
    /// The file ends there, or is broken from there on.
    CutOff(String),
    /// It could not be read at all.
    Failed(RecordError),
}

/// The messages of an MCAP file, in the order in which they were written.
struct Records {
    path: PathBuf,
    file: File,
    reader: LinearReader,
    /// Topic and schema of each channel.
    channels: HashMap<u16, Channel>,
    schemas: HashMap<u16, String>,
}

/// A channel of the file.
struct Channel {
    topic: &'static str,
    schema: String,
}

/// A message as it stands in the file.
struct Raw<'a> {
    schema: &'a str,
    data: Vec<u8>,
}

impl Raw<'_> {
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
        M::decode(&self.data).map_err(|Malformed| malformed(format!("a {name} cannot be read")))
    }
}

/// The topics that are read. Others, and those of others, are passed over.
const READ: [&str; 6] = [
    topic::RECORDING,
    topic::TRAINING,
    topic::BEGIN,
    topic::STEP,
    topic::END,
    topic::SCAN,
];

impl Records {
    fn open(path: &Path) -> Result<Self, RecordError> {
        let options = LinearReaderOptions::default()
            .with_prevalidate_chunk_crcs(true)
            .with_record_length_limit(LONGEST_RECORD);
        Ok(Self {
            path: path.to_owned(),
            file: File::open(path).map_err(RecordError::io(path))?,
            reader: LinearReader::new_with_options(options),
            channels: HashMap::new(),
            schemas: HashMap::new(),
        })
    }

    /// The next message of a topic that is read.
    fn next(&mut self) -> Result<Option<(&'static str, Raw<'_>)>, Stop> {
        let (id, data) = loop {
            let record = match self.reader.next_event() {
                None => return Ok(None),
                Some(Err(error)) => return Err(Stop::CutOff(in_words(&error))),
                Some(Ok(LinearReadEvent::ReadRequest(length))) => {
                    // A request is a wish: what the file does not hold is not asked memory for.
                    let length = length.min(1 << 16);
                    let read = self.file.read(self.reader.insert(length));
                    let failed = |error| Stop::Failed(RecordError::io(&self.path)(error));
                    self.reader.notify_read(read.map_err(failed)?);
                    continue;
                }
                Some(Ok(LinearReadEvent::Record { opcode, data })) => {
                    mcap::parse_record(opcode, data)
                        .map_err(|error| Stop::CutOff(in_words(&error)))?
                }
            };
            match record {
                Record::Schema { header, .. } => {
                    self.schemas.insert(header.id, header.name);
                }
                Record::Channel(channel) => {
                    if let Some(topic) = READ.into_iter().find(|topic| *topic == channel.topic) {
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
        Ok(Some((topic, Raw { schema, data })))
    }
}

/// What stopped the reader, for people.
fn in_words(error: &McapError) -> String {
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
