//! `metrics.jsonl`, the log of a run: one event per line. Each line is a single write, so a killed
//! process loses at most the line that it was writing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Event, Sink, TelemetryError, name_file};

/// Writes events as lines of JSON.
#[derive(Debug)]
pub struct JsonlSink<W> {
    out: W,
    /// The file that `out` is, for messages.
    path: Option<PathBuf>,
    line: Vec<u8>,
}

impl<W: Write> JsonlSink<W> {
    /// Creates a sink that writes to `out`, for example a pipe to a parent process.
    pub fn new(out: W) -> Self {
        Self {
            out,
            path: None,
            line: Vec::with_capacity(1024),
        }
    }

    /// Adds the file to an error of the system.
    fn named(&self, result: io::Result<()>) -> io::Result<()> {
        match &self.path {
            Some(path) => result.map_err(name_file(path)),
            None => result,
        }
    }
}

impl JsonlSink<File> {
    /// Creates a log file. Replaces an existing one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(path: &Path) -> Result<Self, TelemetryError> {
        let file = File::create(path).map_err(TelemetryError::io(path))?;
        Ok(Self::of_file(file, path))
    }

    fn of_file(file: File, path: &Path) -> Self {
        Self {
            path: Some(path.to_owned()),
            ..Self::new(file)
        }
    }

    /// Continues a log at `global_step`. Drops later events and an incomplete last line. Creates
    /// the file if it does not exist.
    ///
    /// # Errors
    /// If the file cannot be read or written, or if a complete line is not an event.
    pub fn resume(path: &Path, global_step: u64) -> Result<Self, TelemetryError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::create(path),
            Err(error) => return Err(TelemetryError::io(path)(error)),
        };
        let mut kept_length = 0;
        for line in EventLines::new(path, &text) {
            let (event, end) = line?;
            if event.global_step() > global_step {
                break;
            }
            kept_length = end;
        }
        let mut out = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(TelemetryError::io(path))?;
        out.set_len(kept_length as u64)
            .and_then(|()| io::Seek::seek(&mut out, io::SeekFrom::End(0)))
            .map_err(TelemetryError::io(path))?;
        Ok(Self::of_file(out, path))
    }
}

impl<W: Write> Sink for JsonlSink<W> {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, event)?;
        self.line.push(b'\n');
        let written = self.out.write_all(&self.line);
        self.named(written)
    }

    /// Does not force the data to disk: that would take longer than a rollout. Each line has
    /// already been passed to the operating system when it was recorded.
    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.named(flushed)
    }
}

/// Reads a log. Skips a last line without a line end, which is left by a crash or is being written
/// by another process.
///
/// # Errors
/// If the file cannot be read, or if another line is not an event.
pub fn read_events(path: &Path) -> Result<Vec<Event>, TelemetryError> {
    let text = std::fs::read(path).map_err(TelemetryError::io(path))?;
    EventLines::new(path, &text)
        .map(|line| line.map(|(event, _)| event))
        .collect()
}

/// Iterator over the complete lines of a log: each event with the byte offset of its line's end.
struct EventLines<'a> {
    path: &'a Path,
    text: &'a [u8],
    /// Byte offset of the next line.
    offset: usize,
    /// Number of the last line, from 1.
    line: usize,
}

impl<'a> EventLines<'a> {
    fn new(path: &'a Path, text: &'a [u8]) -> Self {
        Self {
            path,
            text,
            offset: 0,
            line: 0,
        }
    }
}

impl Iterator for EventLines<'_> {
    type Item = Result<(Event, usize), TelemetryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text[self.offset..];
        let length = rest.iter().position(|&byte| byte == b'\n')?;
        self.offset += length + 1;
        self.line += 1;
        Some(
            serde_json::from_slice(&rest[..length])
                .map(|event| (event, self.offset))
                .map_err(|error| TelemetryError::Line {
                    path: self.path.to_owned(),
                    line: self.line,
                    reason: error.to_string(),
                }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{CheckpointReport, UpdateReport};

    fn update(global_step: u64, norm: f64) -> Event {
        Event::Step(UpdateReport {
            global_step,
            grad_norm: Some(norm),
            ..UpdateReport::default()
        })
    }

    fn write_events(path: &Path, events: &[Event]) {
        let mut sink = JsonlSink::create(path).unwrap();
        for event in events {
            sink.record(event).unwrap();
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_write_error_names_the_file() {
        let mut sink = JsonlSink::create(Path::new("/dev/full")).unwrap();
        let message = sink.record(&update(1, 0.1)).unwrap_err().to_string();
        assert!(message.starts_with("/dev/full: No space left"), "{message}");
    }

    #[test]
    fn written_events_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let events = [
            update(1, 0.1),
            Event::Checkpoint(CheckpointReport {
                name: "last".into(),
                global_step: 1,
            }),
        ];
        write_events(&path, &events);
        assert_eq!(read_events(&path).unwrap(), events);
    }

    #[test]
    fn non_finite_numbers_are_read_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        write_events(&path, &[update(1, f64::NAN)]);
        let Event::Step(report) = &read_events(&path).unwrap()[0] else {
            panic!("not an optimiser step")
        };
        assert_eq!(report.grad_norm, None);
    }

    #[test]
    fn an_incomplete_last_line_is_skipped_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        write_events(&path, &[update(1, 0.1), update(2, 0.2)]);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert_eq!(read_events(&path).unwrap(), [update(1, 0.1)]);

        JsonlSink::resume(&path, 9)
            .unwrap()
            .record(&update(2, 0.3))
            .unwrap();
        assert_eq!(
            read_events(&path).unwrap(),
            [update(1, 0.1), update(2, 0.3)]
        );
    }

    #[test]
    fn resuming_drops_events_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        write_events(&path, &[update(1, 0.1), update(2, 0.2), update(3, 0.3)]);
        JsonlSink::resume(&path, 2)
            .unwrap()
            .record(&update(3, 0.4))
            .unwrap();
        assert_eq!(
            read_events(&path).unwrap(),
            [update(1, 0.1), update(2, 0.2), update(3, 0.4)]
        );
    }

    #[test]
    fn the_error_of_an_invalid_line_names_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, "{\"event\":\"no_such\"}\n").unwrap();
        let message = read_events(&path).unwrap_err().to_string();
        assert!(message.contains("metrics.jsonl:1: "), "{message}");
    }
}
