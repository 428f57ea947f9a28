//! Writer of `TensorBoard` event files: scalars, texts and hyper-parameters.

mod encoding;
mod hyper_parameters;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use super::{EVALUATION_METRICS, Event, ITERATION_METRICS, Sink, TelemetryError, name_file};

use encoding::{ProtoMessage, event_field};
use hyper_parameters::SessionStatus;

pub use encoding::write_record;

/// How the names of event files begin.
const FILE_PREFIX: &str = "events.out.tfevents.";

/// Writes iterations and evaluations as scalars over environment steps, with `CleanRL`'s tags, and
/// what detectors and the guard report as texts. Optimiser steps are only in `metrics.jsonl`, because
/// `TensorBoard` has a single step axis.
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

    /// Writes the settings of the run, for the tab `HParams`: each number, word and flag in
    /// `settings`, which is named by its path, after `labels`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_hyper_parameters<T: Serialize>(
        &mut self,
        labels: &[(&str, Value)],
        settings: &T,
    ) -> Result<(), TelemetryError> {
        let value = hyper_parameters::session_start(wall_secs(), labels, settings);
        self.write_values(0, [value])
            .map_err(TelemetryError::io(&self.path))
    }

    fn write_scalars(
        &mut self,
        step: u64,
        scalars: impl Iterator<Item = (impl AsRef<str>, f64)>,
    ) -> io::Result<()> {
        let values = scalars.map(|(tag, value)| ProtoMessage::scalar(tag.as_ref(), value));
        self.write_values(step, values)
            .map_err(name_file(&self.path))
    }

    /// Writes a text, which `TensorBoard` shows as Markdown.
    fn write_text(&mut self, step: u64, tag: &str, text: &str) -> io::Result<()> {
        let tensor = ProtoMessage::string_tensor(text);
        let value = ProtoMessage::plugin_value(tag, "text", &[], &tensor);
        self.write_values(step, [value])
            .map_err(name_file(&self.path))
    }

    /// Writes an event with values of a `Summary`.
    fn write_values(
        &mut self,
        step: u64,
        values: impl IntoIterator<Item = ProtoMessage>,
    ) -> io::Result<()> {
        let mut summary = ProtoMessage::default();
        for value in values {
            summary.bytes(1, &value.0);
        }
        let mut event = ProtoMessage::event(wall_secs(), step);
        event.bytes(event_field::SUMMARY, &summary.0);
        write_record(&mut self.out, &event.0)
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
            Event::Health(event) => {
                self.write_text(event.global_step, "events/health", &event.to_string())
            }
            Event::Guard(report) => {
                self.write_text(report.global_step, "events/guard", &report.to_string())
            }
            Event::Diverged(report) => {
                let (step, reason) = (report.optimiser_step, report.reason.description());
                let text = format!("diverged at optimiser step {step}: {reason}");
                self.write_text(report.global_step, "events/diverged", &text)?;
                let value = hyper_parameters::session_end(wall_secs(), SessionStatus::Failure);
                self.write_values(report.global_step, [value])
                    .map_err(name_file(&self.path))
            }
            Event::Step(_) | Event::Checkpoint(_) | Event::Incident(_) => Ok(()),
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

#[cfg(test)]
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{
        DivergedReport, DivergenceReason, EvalSummary, EvaluationReport, GuardAction, GuardFault,
        GuardReport, HealthEvent, Severity, Symptom, SymptomLocation,
    };

    /// The events in a file without framing and wall-clock times.
    fn events(path: &Path) -> Vec<Vec<u8>> {
        let bytes = std::fs::read(path).unwrap();
        let mut rest = &bytes[..];
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            // The wall-clock time comes first: one byte of key and eight of value.
            events.push(rest[12 + 9..12 + length].to_vec());
            rest = &rest[12 + length + 4..];
        }
        events
    }

    #[test]
    fn a_file_that_follows_another_discards_its_values() {
        let folder = tempfile::tempdir().unwrap();
        let start_at = |step: u8| vec![0x10, step, 0x3a, 2, 8, 1];
        let first = TensorBoardSink::create(folder.path()).unwrap();
        assert_eq!(events(&first.path).len(), 1, "only the version");
        let second = TensorBoardSink::create(folder.path()).unwrap();
        assert_eq!(events(&second.path)[1], start_at(0));
        let resumed = TensorBoardSink::resume(folder.path(), 40).unwrap();
        assert_eq!(events(&resumed.path)[1], start_at(41));
    }

    /// What the sink writes for an event: the tag and the rest of each value.
    fn written(event: &Event) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = TensorBoardSink::create(folder.path()).unwrap();
        sink.record(event).unwrap();
        let events = events(&sink.path);
        let texts = events[1..].iter();
        texts
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    #[test]
    fn detectors_guard_and_divergence_are_texts() {
        let symptom = Symptom::GradientSpike;
        let health = Event::Health(HealthEvent {
            global_step: 5,
            optimiser_step: 7,
            symptom,
            severity: Severity::Warning,
            location: SymptomLocation::Actor,
            value: Some(3.0),
            threshold: Some(1.0),
            advice: symptom.advice().into(),
        });
        let text = &written(&health)[0];
        assert!(text.contains("events/health"), "{text}");
        let message = "gradient spike (actor) at optimiser step 7: gradient norm 3.00";
        assert!(text.contains(message), "{text}");
        let guard = Event::Guard(GuardReport {
            global_step: 5,
            optimiser_step: 7,
            fault: GuardFault::WouldDiverge(DivergenceReason::ParameterNorm),
            action: GuardAction::Skip,
        });
        let text = &written(&guard)[0];
        assert!(text.contains("events/guard") && text.contains("step skipped"));
        let diverged = Event::Diverged(DivergedReport {
            global_step: 5,
            optimiser_step: 7,
            reason: DivergenceReason::NonFiniteLoss,
        });
        let texts = written(&diverged);
        assert!(texts[0].contains("diverged at optimiser step 7: the loss was not finite"));
        assert!(texts[1].contains("_hparams_/session_end_info"));
    }

    #[test]
    fn an_evaluation_has_its_interval_and_failures() {
        let mut summary = EvalSummary {
            episodes: 10,
            outcomes: [6, 1, 1, 0, 2, 0],
            ..EvalSummary::default()
        };
        summary.success.low = 0.3;
        let evaluation = Event::Evaluation(EvaluationReport {
            global_step: 5,
            elapsed_secs: 1.0,
            summary,
            best: true,
        });
        let text = &written(&evaluation)[0];
        for (tag, value) in [
            ("eval/success_rate_low", 0.3_f32),
            ("eval/collision_rate", 0.2),
            ("eval/time_limit_rate", 0.2),
        ] {
            let mut expected = ProtoMessage::default();
            expected.bytes(1, tag.as_bytes());
            expected.float(2, value);
            let expected = String::from_utf8_lossy(&expected.0).into_owned();
            assert!(text.contains(&expected), "{tag}");
        }
    }
}
