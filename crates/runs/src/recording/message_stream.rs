//! The messages of an MCAP file, in order. What is damaged is skipped and reported; reading goes on
//! at the next whole chunk.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use mcap::McapError;
use mcap::records::{Record, op};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader};

use super::mcap_records::{
    CHUNK_HEADER_BYTES, MAX_COMPRESSION_BYTES, MAX_RECORD_BYTES, RECORD_HEAD_BYTES, check_record,
    chunk_reader, compression_length, describe_error, reader_of, record_options, u64_at,
};
use super::writer::topic;
use super::{Damage, RecordError, RecordingEnd};
use crate::proto::{DecodeError, Message};

/// What a stream contains.
pub(super) enum StreamItem<'a> {
    Message(TopicOfRobot, RawMessage<'a>),
    /// Messages are missing here, because the file is damaged.
    Gap,
}

/// The messages of an MCAP file, in order.
pub(super) struct MessageStream {
    path: PathBuf,
    file: File,
    file_bytes: u64,
    /// Yields the records of the file, and chunks as a whole.
    records: LinearReader,
    /// Offset of the next record of `records`.
    offset: u64,
    /// Yields the records of the chunk that is being read.
    chunk: Option<LinearReader>,
    /// Offset of that chunk.
    chunk_offset: u64,
    /// Whether all messages have been read, and the summary is left.
    in_summary: bool,
    /// By id; `None` if the topic is not one that is read.
    channels: HashMap<u16, Option<Channel>>,
    schemas: HashMap<u16, String>,
    damage: Vec<Damage>,
    end: Option<RecordingEnd>,
}

/// A topic that is read, and its robot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TopicOfRobot(pub(super) &'static str, pub(super) usize);

impl TopicOfRobot {
    /// The topic with this name, if it is one that is read.
    fn named(name: &str) -> Option<Self> {
        let topic = READ_TOPICS.into_iter().find(|topic| *topic == name);
        let scan = || topic::robot_of(topic::SCAN, name).map(|robot| Self(topic::SCAN, robot));
        topic.map(|topic| Self(topic, 0)).or_else(scan)
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

/// A channel of the file.
struct Channel {
    topic: TopicOfRobot,
    schema: String,
}

/// A message that is not decoded yet.
pub(super) struct RawMessage<'a> {
    schema: &'a str,
    data: Vec<u8>,
}

impl RawMessage<'_> {
    pub(super) fn read<M: Message>(&self, path: &Path) -> Result<M, RecordError> {
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

/// The next record of a file, in a chunk or outside.
enum NextRecord {
    Record(u8, Vec<u8>),
    Gap,
    End,
}

/// A chunk that is whole.
struct WholeChunk {
    offset: u64,
    /// Offset after its last byte.
    end: u64,
    reader: LinearReader,
}

impl MessageStream {
    pub(super) fn open(path: &Path) -> Result<Self, RecordError> {
        let file = File::open(path).map_err(RecordError::io(path))?;
        let file_bytes = file.metadata().map_err(RecordError::io(path))?.len();
        let options = record_options()
            .with_validate_data_section_crc(true)
            .with_validate_summary_section_crc(true);
        Ok(Self {
            path: path.to_owned(),
            file,
            file_bytes,
            records: LinearReader::new_with_options(options),
            offset: mcap::MAGIC.len() as u64,
            chunk: None,
            chunk_offset: 0,
            in_summary: false,
            channels: HashMap::new(),
            schemas: HashMap::new(),
            damage: Vec::new(),
            end: None,
        })
    }

    /// The damaged parts found so far, in order.
    pub(super) fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// How the file ends; `None` before it has been read to its end.
    pub(super) fn end(&self) -> Option<&RecordingEnd> {
        self.end.as_ref()
    }

    /// The next message of a topic that is read, or the next gap; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<StreamItem<'_>>, RecordError> {
        let (id, data) = loop {
            let (opcode, data) = match self.next_record()? {
                NextRecord::Record(opcode, data) => (opcode, data),
                NextRecord::Gap => return Ok(Some(StreamItem::Gap)),
                NextRecord::End => return Ok(None),
            };
            if !matches!(opcode, op::SCHEMA | op::CHANNEL | op::MESSAGE) {
                continue;
            }
            match mcap::parse_record(opcode, &data) {
                Ok(Record::Schema { header, .. }) => {
                    self.schemas.entry(header.id).or_insert(header.name);
                }
                Ok(Record::Channel(channel)) => self.add_channel(&channel),
                Ok(Record::Message { header, data }) => match self.channels.get(&header.channel_id)
                {
                    Some(Some(_)) => break (header.channel_id, data.into_owned()),
                    Some(None) => {}
                    None => {
                        let reason = "the declaration of a message's channel is lost";
                        self.add_damage(self.chunk_offset, self.offset, reason);
                        return Ok(Some(StreamItem::Gap));
                    }
                },
                Ok(_) => {}
                Err(error) => {
                    self.add_damage(self.chunk_offset, self.offset, &describe_error(&error));
                    return Ok(Some(StreamItem::Gap));
                }
            }
        };
        let Some(Some(Channel { topic, schema })) = self.channels.get(&id) else {
            unreachable!("the channel was found above");
        };
        Ok(Some(StreamItem::Message(
            *topic,
            RawMessage { schema, data },
        )))
    }

    fn next_record(&mut self) -> Result<NextRecord, RecordError> {
        loop {
            if let Some(chunk) = &mut self.chunk {
                match chunk.next_event() {
                    Some(Ok(LinearReadEvent::Record { opcode, data })) => {
                        return Ok(NextRecord::Record(opcode, data.to_vec()));
                    }
                    Some(Err(error)) => {
                        self.chunk = None;
                        self.check_compression(&error)?;
                        let reason = describe_error(&error);
                        return self.skip_damage(self.chunk_offset, Some(self.offset), &reason);
                    }
                    Some(Ok(LinearReadEvent::ReadRequest(_))) | None => self.chunk = None,
                }
            }
            if self.end.is_some() {
                return Ok(NextRecord::End);
            }
            match self.records.next_event() {
                None => {
                    let end = self.offset + mcap::MAGIC.len() as u64;
                    if end < self.file_bytes {
                        self.add_damage(end, self.file_bytes, "bytes after the recording's end");
                    }
                    self.end = Some(RecordingEnd::Complete);
                }
                Some(Ok(LinearReadEvent::ReadRequest(length))) => {
                    // The reader may request more than the file has; do not allocate all of it.
                    let length = length.min(1 << 16);
                    let read = self.file.read(self.records.insert(length));
                    self.records
                        .notify_read(read.map_err(RecordError::io(&self.path))?);
                }
                Some(Ok(LinearReadEvent::Record { opcode, data })) => {
                    let (at, data) = (self.offset, data.to_vec());
                    self.offset += (RECORD_HEAD_BYTES + data.len()) as u64;
                    if let Err(reason) = check_record(opcode, &data, self.in_summary) {
                        return self.skip_damage(at, Some(self.offset), reason);
                    }
                    // All messages of a recording are in chunks.
                    if opcode == op::MESSAGE && self.chunk_offset > 0 {
                        let reason = "a message is outside the chunks";
                        return self.skip_damage(at, Some(self.offset), reason);
                    }
                    match opcode {
                        op::CHUNK => {
                            self.chunk = Some(chunk_reader(&data));
                            self.chunk_offset = at;
                        }
                        op::DATA_END => self.in_summary = true,
                        _ => return Ok(NextRecord::Record(opcode, data)),
                    }
                }
                Some(Err(error)) => return self.recover(&error),
            }
        }
    }

    /// Goes on after an error in the record at `self.offset`.
    fn recover(&mut self, error: &McapError) -> Result<NextRecord, RecordError> {
        let reason = describe_error(error);
        match error {
            McapError::BadMagic if self.in_summary => {
                let reason = "the last bytes are not an MCAP file's";
                self.add_damage(self.offset, self.file_bytes, reason);
                self.end = Some(RecordingEnd::Complete);
            }
            McapError::BadMagic => {
                if !self.ends_with_magic()? {
                    self.end = Some(RecordingEnd::Truncated(reason));
                    return Ok(NextRecord::End);
                }
                self.add_damage(0, self.offset, "the first bytes are not an MCAP file's");
                self.restart(self.offset)?;
            }
            McapError::UnexpectedEof if self.file_bytes == 0 => {
                self.end = Some(RecordingEnd::Truncated("it is empty".to_owned()));
                return Ok(NextRecord::End);
            }
            McapError::BadDataCrc { .. } => {
                // Known damage explains it.
                if self.damage.is_empty() {
                    self.add_damage(0, self.offset, &reason);
                }
                self.restart(self.offset)?;
            }
            McapError::BadSummaryCrc { .. } => {
                self.add_damage(self.offset, self.file_bytes, &reason);
                self.restart(self.offset)?;
            }
            _ => return self.skip_damage(self.offset, None, &reason),
        }
        Ok(NextRecord::Gap)
    }

    /// Goes on after a damaged record at `from`, which ends at `to` if its length is right.
    fn skip_damage(
        &mut self,
        from: u64,
        to: Option<u64>,
        reason: &str,
    ) -> Result<NextRecord, RecordError> {
        let to = to.filter(|&to| to <= self.file_bytes);
        let next = if self.in_summary {
            None
        } else {
            self.find_chunk(from)?
        };
        match (next, to) {
            // The length of the damaged record is not wrong.
            (next, Some(to)) if next.as_ref().is_none_or(|next| next.offset >= to) => {
                self.add_damage(from, to, reason);
                self.restart(to)?;
            }
            (Some(next), _) if next.offset == from => {
                let head = from + RECORD_HEAD_BYTES as u64;
                self.add_damage(from, head, "the length of a chunk is wrong");
                self.enter(next)?;
            }
            (Some(next), _) => {
                self.add_damage(from, next.offset, reason);
                self.enter(next)?;
            }
            (None, _) if self.ends_with_magic()? => {
                self.add_damage(from, self.file_bytes, reason);
                self.end = Some(RecordingEnd::Complete);
            }
            (None, _) => {
                self.end = Some(RecordingEnd::Truncated(reason.to_owned()));
                return Ok(NextRecord::End);
            }
        }
        self.add_channels_of_summary();
        Ok(NextRecord::Gap)
    }

    /// A chunk that a compression makes unreadable is not damaged.
    fn check_compression(&self, error: &McapError) -> Result<(), RecordError> {
        match error {
            McapError::UnsupportedCompression(name)
                if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                Err(RecordError::NotARecording {
                    path: self.path.clone(),
                    reason: describe_error(error),
                })
            }
            _ => Ok(()),
        }
    }

    fn add_damage(&mut self, from: u64, to: u64, reason: &str) {
        match self.damage.last_mut() {
            // A damaged length gives several reports of the same place.
            Some(last) if last.to >= from => last.to = last.to.max(to),
            _ => self.damage.push(Damage {
                from,
                to,
                reason: reason.to_owned(),
            }),
        }
    }

    /// Reads on at the record at `offset`.
    fn restart(&mut self, offset: u64) -> Result<(), RecordError> {
        self.seek(offset)?;
        self.offset = offset;
        self.records = LinearReader::new_with_options(record_options().with_skip_start_magic(true));
        Ok(())
    }

    /// Reads on in a chunk.
    fn enter(&mut self, chunk: WholeChunk) -> Result<(), RecordError> {
        self.chunk = Some(chunk.reader);
        self.chunk_offset = chunk.offset;
        self.restart(chunk.end)
    }

    fn seek(&mut self, offset: u64) -> Result<(), RecordError> {
        let sought = self.file.seek(SeekFrom::Start(offset));
        sought.map(|_| ()).map_err(RecordError::io(&self.path))
    }

    /// Up to `length` bytes of the file.
    fn read_at(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, RecordError> {
        self.seek(offset)?;
        let mut bytes = Vec::new();
        let read = (&self.file).take(length as u64).read_to_end(&mut bytes);
        read.map_err(RecordError::io(&self.path))?;
        Ok(bytes)
    }

    /// Whether the file ends like a complete MCAP file.
    fn ends_with_magic(&mut self) -> Result<bool, RecordError> {
        let length = mcap::MAGIC.len();
        let Some(offset) = self.file_bytes.checked_sub(length as u64) else {
            return Ok(false);
        };
        Ok(self.read_at(offset, length)? == mcap::MAGIC)
    }

    /// The first whole chunk at or after `from`.
    fn find_chunk(&mut self, from: u64) -> Result<Option<WholeChunk>, RecordError> {
        const BLOCK_BYTES: usize = 1 << 20;
        const HEAD_BYTES: usize = RECORD_HEAD_BYTES + CHUNK_HEADER_BYTES;
        let mut start = from;
        loop {
            let block = self.read_at(start, BLOCK_BYTES + HEAD_BYTES)?;
            if block.len() < HEAD_BYTES {
                return Ok(None);
            }
            for (index, head) in block.windows(HEAD_BYTES).enumerate() {
                let is_candidate = head[0] == op::CHUNK
                    && compression_length(&head[RECORD_HEAD_BYTES..]) <= MAX_COMPRESSION_BYTES;
                if is_candidate && let Some(chunk) = self.whole_chunk_at(start + index as u64)? {
                    return Ok(Some(chunk));
                }
            }
            start += (block.len() - HEAD_BYTES + 1) as u64;
        }
    }

    /// The chunk at `offset`, if its own lengths and its checksum are right. The length of its record
    /// may be wrong.
    fn whole_chunk_at(&mut self, offset: u64) -> Result<Option<WholeChunk>, RecordError> {
        let body_offset = offset + RECORD_HEAD_BYTES as u64;
        let header = self.read_at(body_offset, CHUNK_HEADER_BYTES + MAX_COMPRESSION_BYTES)?;
        if header.len() < CHUNK_HEADER_BYTES {
            return Ok(None);
        }
        let compression_length = compression_length(&header);
        let sizes_at = 32 + compression_length;
        let (Some(uncompressed), Some(compressed)) =
            (u64_at(&header, 16), u64_at(&header, sizes_at))
        else {
            return Ok(None);
        };
        let has_checksum = header[24..28] != [0; 4];
        let length = compressed.saturating_add((CHUNK_HEADER_BYTES + compression_length) as u64);
        let fits = length <= self.file_bytes.saturating_sub(body_offset)
            && length <= MAX_RECORD_BYTES as u64;
        if !has_checksum || !fits || (compression_length == 0 && compressed != uncompressed) {
            return Ok(None);
        }
        let body = self.read_at(body_offset, length as usize)?;
        if chunk_reader(&body)
            .next_event()
            .is_none_or(|event| event.is_err())
        {
            return Ok(None);
        }
        Ok(Some(WholeChunk {
            offset,
            end: body_offset + length,
            reader: chunk_reader(&body),
        }))
    }

    fn add_channel(&mut self, channel: &mcap::records::Channel) {
        let declared = TopicOfRobot::named(&channel.topic).map(|topic| Channel {
            topic,
            schema: self
                .schemas
                .get(&channel.schema_id)
                .cloned()
                .unwrap_or_default(),
        });
        self.channels.entry(channel.id).or_insert(declared);
    }

    /// Adds the channels that the summary at the end of the file declares. Their own declaration may
    /// be in a damaged chunk.
    fn add_channels_of_summary(&mut self) {
        for (opcode, data) in self.summary_records().unwrap_or_default() {
            match mcap::parse_record(opcode, &data) {
                Ok(Record::Schema { header, .. }) => {
                    self.schemas.entry(header.id).or_insert(header.name);
                }
                Ok(Record::Channel(channel)) => self.add_channel(&channel),
                _ => {}
            }
        }
    }

    /// The records of the summary, as far as they can be read.
    fn summary_records(&mut self) -> Option<Vec<(u8, Vec<u8>)>> {
        const FOOTER_BYTES: usize = RECORD_HEAD_BYTES + 20;
        let footer_offset = self
            .file_bytes
            .checked_sub((FOOTER_BYTES + mcap::MAGIC.len()) as u64)?;
        let resume_at = self.file.stream_position().ok()?;
        let footer = self.read_at(footer_offset, FOOTER_BYTES).ok()?;
        let start = u64_at(&footer, RECORD_HEAD_BYTES)?;
        let length = footer_offset.checked_sub(start)?;
        let is_footer = footer[0] == op::FOOTER && start > 0 && length < MAX_RECORD_BYTES as u64;
        let summary = if is_footer {
            self.read_at(start, length as usize).ok()
        } else {
            None
        };
        self.seek(resume_at).ok()?;
        let mut reader = reader_of(&summary?, record_options());
        let mut records = Vec::new();
        while let Some(Ok(LinearReadEvent::Record { opcode, data })) = reader.next_event() {
            records.push((opcode, data.to_vec()));
        }
        Some(records)
    }
}
