//! Writer of `TensorBoard` event files: `TFRecord` framing around the few protobuf fields of
//! scalars (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{EVALUATION_METRICS, Event, ITERATION_METRICS, Sink, TelemetryError, name_file};

/// How the names of event files begin.
const FILE_PREFIX: &str = "events.out.tfevents.";

/// Writes iterations and evaluations as scalars over environment steps, with `CleanRL`'s tags.
/// Optimiser steps are only in `metrics.jsonl`, because `TensorBoard` has a single step axis.
#[derive(Debug)]
pub struct TensorBoardSink {
    out: File,
    path: PathBuf,
}

impl TensorBoardSink {
    /// Creates an event file in a run directory. Makes `TensorBoard` discard the values in earlier
    /// files, which a run leaves that was stopped before its first checkpoint.
    ///
    /// # Errors
    /// If the folder cannot be read, or the file cannot be written.
    pub fn create(folder: &Path) -> Result<Self, TelemetryError> {
        let entries = std::fs::read_dir(folder).map_err(TelemetryError::io(folder))?;
        let mut names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        let has_earlier = names.any(|name| name.to_string_lossy().starts_with(FILE_PREFIX));
        Self::open(folder, has_earlier.then_some(0))
    }

    /// Creates another event file in a run directory. It makes `TensorBoard` discard the values
    /// after `global_step` in earlier files.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn resume(folder: &Path, global_step: u64) -> Result<Self, TelemetryError> {
        Self::open(folder, Some(global_step + 1))
    }

    /// `discard_from` is the first step whose earlier values `TensorBoard` discards.
    fn open(folder: &Path, discard_from: Option<u64>) -> Result<Self, TelemetryError> {
        // TensorBoard reads files in the order of their names, so time comes first, then a count.
        let now = wall_secs();
        let mut count = 0;
        let (mut out, path) = loop {
            let name = format!("{FILE_PREFIX}{:010}.evenkeel.{count}", now as u64);
            let path = folder.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => break (file, path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => count += 1,
                Err(error) => return Err(TelemetryError::io(&path)(error)),
            }
        };
        let mut version = ProtoMessage::event(now, 0);
        version.bytes(event_field::FILE_VERSION, b"brain.Event:2");
        write_record(&mut out, &version.0).map_err(TelemetryError::io(&path))?;
        if let Some(step) = discard_from {
            const SESSION_START: u64 = 1;
            let mut log = ProtoMessage::default();
            log.varint(1, SESSION_START);
            let mut start = ProtoMessage::event(now, step);
            start.bytes(event_field::SESSION_LOG, &log.0);
            write_record(&mut out, &start.0).map_err(TelemetryError::io(&path))?;
        }
        Ok(Self { out, path })
    }

    fn write_scalars(
        &mut self,
        step: u64,
        scalars: impl Iterator<Item = (impl AsRef<str>, f64)>,
    ) -> io::Result<()> {
        let mut summary = ProtoMessage::default();
        for (tag, value) in scalars {
            let mut entry = ProtoMessage::default();
            entry.bytes(1, tag.as_ref().as_bytes());
            entry.float(2, value as f32);
            summary.bytes(1, &entry.0);
        }
        let mut event = ProtoMessage::event(wall_secs(), step);
        event.bytes(event_field::SUMMARY, &summary.0);
        write_record(&mut self.out, &event.0).map_err(name_file(&self.path))
    }
}

impl Sink for TensorBoardSink {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Iteration(report) => {
                let metrics = ITERATION_METRICS
                    .iter()
                    .filter_map(|metric| Some((metric.tag.to_owned(), metric.read(report)?)));
                let rewards = report
                    .reward_terms
                    .iter()
                    .map(|(name, mean)| (format!("reward/{name}"), *mean));
                self.write_scalars(report.global_step, metrics.chain(rewards))
            }
            Event::Evaluation(report) => {
                let metrics = EVALUATION_METRICS
                    .iter()
                    .filter_map(|metric| Some((metric.tag, metric.read(report)?)));
                self.write_scalars(report.global_step, metrics)
            }
            Event::Step(_)
            | Event::Checkpoint(_)
            | Event::Health(_)
            | Event::Guard(_)
            | Event::Incident(_)
            | Event::Diverged(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(name_file(&self.path))
    }
}

fn wall_secs() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// Writes one `TFRecord` with a single write: length, checksum of the length, data, checksum of the
/// data, all little-endian.
///
/// # Errors
/// If `out` fails.
pub fn write_record(out: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend_from_slice(&length);
    record.extend_from_slice(&masked_crc(&length).to_le_bytes());
    record.extend_from_slice(data);
    record.extend_from_slice(&masked_crc(data).to_le_bytes());
    out.write_all(&record)
}

/// Masked CRC-32C of the `TFRecord` format, which stays useful on data that contains checksums.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// Field numbers of `tensorflow.Event`.
mod event_field {
    pub(super) const WALL_TIME: u64 = 1;
    pub(super) const STEP: u64 = 2;
    pub(super) const FILE_VERSION: u64 = 3;
    pub(super) const SUMMARY: u64 = 5;
    pub(super) const SESSION_LOG: u64 = 7;
}

/// The bytes of a protobuf message that is being built.
#[derive(Default)]
struct ProtoMessage(Vec<u8>);

impl ProtoMessage {
    fn event(wall_secs: f64, step: u64) -> Self {
        let mut event = Self::default();
        event.key(event_field::WALL_TIME, 1);
        event.0.extend_from_slice(&wall_secs.to_le_bytes());
        event.varint(event_field::STEP, step);
        event
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
            hex
        })
    }

    #[test]
    fn a_record_equals_one_written_by_tensorboard() {
        // Written by tensorboard: RecordWriter(f).write(b"evenkeel").
        let mut out = Vec::new();
        write_record(&mut out, b"evenkeel").unwrap();
        assert_eq!(
            hex(&out),
            "0800000000000000ff86240f6576656e6b65656cd5d81036"
        );
    }

    /// The step and the session log's status of each event in a file.
    fn session_starts(path: &Path) -> Vec<Vec<u8>> {
        let bytes = std::fs::read(path).unwrap();
        let mut rest = &bytes[..];
        let mut starts = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            // The wall-clock time comes first: one byte of key and eight of value.
            starts.push(rest[12 + 9..12 + length].to_vec());
            rest = &rest[12 + length + 4..];
        }
        starts
    }

    #[test]
    fn a_file_that_follows_another_discards_its_values() {
        let folder = tempfile::tempdir().unwrap();
        let start_at = |step: u8| vec![0x10, step, 0x3a, 2, 8, 1];
        let first = TensorBoardSink::create(folder.path()).unwrap();
        assert_eq!(session_starts(&first.path).len(), 1, "only the version");
        let second = TensorBoardSink::create(folder.path()).unwrap();
        assert_eq!(session_starts(&second.path)[1], start_at(0));
        let resumed = TensorBoardSink::resume(folder.path(), 40).unwrap();
        assert_eq!(session_starts(&resumed.path)[1], start_at(41));
    }

    #[test]
    fn a_scalar_equals_one_written_by_tensorboard() {
        // Written by tensorboard: Event(wall_time=1.5, step=300, summary=Summary(value=[
        // Summary.Value(tag="charts/SPS", simple_value=2.5)])).SerializeToString().
        let mut value = ProtoMessage::default();
        value.bytes(1, b"charts/SPS");
        value.float(2, 2.5);
        let mut summary = ProtoMessage::default();
        summary.bytes(1, &value.0);
        let mut event = ProtoMessage::event(1.5, 300);
        event.bytes(event_field::SUMMARY, &summary.0);
        assert_eq!(
            hex(&event.0),
            "09000000000000f83f10ac022a130a110a0a6368617274732f5350531500002040"
        );
    }
}
