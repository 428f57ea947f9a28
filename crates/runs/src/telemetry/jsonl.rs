//! `metrics.jsonl`, the truth about a run: one event a line, appended in place. Each line is one
//! write, so that a killed process costs at most the line it was writing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::{Event, Sink, TelemetryError};

/// Writes events as lines of JSON.
#[derive(Debug)]
pub struct JsonlSink<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> JsonlSink<W> {
    /// Writes to anything that takes bytes, such as a pipe to a parent process.
    pub fn new(out: W) -> Self {
        Self {
            out,
            line: Vec::with_capacity(1024),
        }
    }
}

impl JsonlSink<File> {
    /// Begins a log; one that is there already is replaced.
    pub fn create(path: &Path) -> Result<Self, TelemetryError> {
        File::create(path)
            .map(Self::new)
            .map_err(TelemetryError::io(path))
    }

    /// Goes on with a log from `global_step`: what was logged after it, and a line that a crash
    /// cut off, is dropped. A log that isn't there is begun.
    pub fn resume(path: &Path, global_step: u64) -> Result<Self, TelemetryError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::create(path),
            Err(error) => return Err(TelemetryError::io(path)(error)),
        };
        let mut keep = 0;
        for line in EventLines::new(path, &text) {
            let (event, end) = line?;
            if event.global_step() > global_step {
                break;
            }
            keep = end;
        }
        let mut out = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(TelemetryError::io(path))?;
        out.set_len(keep as u64)
            .and_then(|()| io::Seek::seek(&mut out, io::SeekFrom::End(0)))
            .map_err(TelemetryError::io(path))?;
        Ok(Self::new(out))
    }
}

impl<W: Write> Sink for JsonlSink<W> {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, event)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    /// Lines are with the operating system as soon as they are recorded; a disk flush at each
    /// iteration would cost more than the rollout.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads a log. A last line without its line end is what a crash leaves, or what another process
/// is writing just now, and is passed over; any other line that is no event is an error.
pub fn read_events(path: &Path) -> Result<Vec<Event>, TelemetryError> {
    let text = std::fs::read(path).map_err(TelemetryError::io(path))?;
    EventLines::new(path, &text)
        .map(|line| line.map(|(event, _)| event))
        .collect()
}

/// The complete lines of a log: each event with the offset at which its line ends.
struct EventLines<'a> {
    path: &'a Path,
    text: &'a [u8],
    offset: usize,
    number: usize,
}

impl<'a> EventLines<'a> {
    fn new(path: &'a Path, text: &'a [u8]) -> Self {
        Self {
            path,
            text,
            offset: 0,
            number: 0,
        }
    }
}

impl Iterator for EventLines<'_> {
    type Item = Result<(Event, usize), TelemetryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text[self.offset..];
        let length = rest.iter().position(|&byte| byte == b'\n')?;
        self.offset += length + 1;
        self.number += 1;
        Some(
            serde_json::from_slice(&rest[..length])
                .map(|event| (event, self.offset))
                .map_err(|error| TelemetryError::Line {
                    path: self.path.to_owned(),
                    line: self.number,
                    reason: error.to_string(),
                }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{CheckpointReport, UpdateReport};

    fn step(global_step: u64, norm: f64) -> Event {
        Event::Step(UpdateReport {
            global_step,
            grad_norm: Some(norm),
            ..UpdateReport::default()
        })
    }

    fn written(path: &Path, events: &[Event]) {
        let mut sink = JsonlSink::create(path).unwrap();
        for event in events {
            sink.record(event).unwrap();
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let events = [
            step(1, 0.1),
            Event::Checkpoint(CheckpointReport {
                name: "last".into(),
                global_step: 1,
            }),
        ];
        written(&path, &events);
        assert_eq!(read_events(&path).unwrap(), events);
    }

    #[test]
    fn numbers_that_are_not_finite_are_read_as_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        written(&path, &[step(1, f64::NAN)]);
        let Event::Step(read) = &read_events(&path).unwrap()[0] else {
            panic!("not a step")
        };
        assert_eq!(read.grad_norm, None);
    }

    #[test]
    fn a_cut_last_line_is_passed_over_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        written(&path, &[step(1, 0.1), step(2, 0.2)]);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert_eq!(read_events(&path).unwrap(), [step(1, 0.1)]);

        JsonlSink::resume(&path, 9)
            .unwrap()
            .record(&step(2, 0.3))
            .unwrap();
        assert_eq!(read_events(&path).unwrap(), [step(1, 0.1), step(2, 0.3)]);
    }

    #[test]
    fn resuming_drops_what_was_logged_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        written(&path, &[step(1, 0.1), step(2, 0.2), step(3, 0.3)]);
        JsonlSink::resume(&path, 2)
            .unwrap()
            .record(&step(3, 0.4))
            .unwrap();
        assert_eq!(
            read_events(&path).unwrap(),
            [step(1, 0.1), step(2, 0.2), step(3, 0.4)]
        );
    }

    #[test]
    fn a_broken_line_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, "{\"event\":\"no_such\"}\n").unwrap();
        let message = read_events(&path).unwrap_err().to_string();
        assert!(message.contains("metrics.jsonl:1: "), "{message}");
    }
}
