//! `--verify`: simulates recorded episodes again and compares every step.

use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;

use super::target::ReplayTarget;
use super::{RecordingFaults, Ui, answer, recorded_by};
use evenkeel::recording::{RecordingReader, ReplayMismatch, verify};
use evenkeel::telemetry::format::counted;

/// The answer for one recording.
#[derive(Serialize)]
struct VerifyReport {
    recording: PathBuf,
    recorded_by: String,
    simulated_by: String,
    episodes: usize,
    steps: usize,
    differences: Vec<ReplayMismatch>,
    #[serde(flatten)]
    faults: RecordingFaults,
}

/// Verifies all recordings of the target.
///
/// # Errors
/// If a recording cannot be read, is damaged or cut off, or an episode differs from its recording.
pub(super) fn verify_all(target: &ReplayTarget, ui: &Ui) -> anyhow::Result<()> {
    let reports = target.recordings.iter().map(|path| verify_recording(path));
    let reports = reports.collect::<anyhow::Result<Vec<VerifyReport>>>()?;
    let episodes: usize = reports.iter().map(|report| report.episodes).sum();
    let mismatches = reports.iter().map(|report| report.differences.len());
    answer(ui, target, &reports, || {
        let texts = reports.iter().map(|report| {
            let name = if target.is_one_file {
                String::new()
            } else {
                format!("{}\n", report.recording.display())
            };
            name + &text(report)
        });
        texts.collect::<Vec<String>>().join("\n\n")
    })?;
    match mismatches.sum() {
        0_usize => {}
        count => bail!(
            "{count} of {} differ from their recording",
            counted(episodes, "episode")
        ),
    }
    if let Some(report) = reports.iter().find(|report| !report.faults.is_empty()) {
        bail!(
            "{}: only a part of the recording could be verified",
            report.recording.display()
        );
    }
    Ok(())
}

/// Simulates the episodes of a recording again and compares them.
fn verify_recording(path: &Path) -> anyhow::Result<VerifyReport> {
    let reader = &mut RecordingReader::open(path)?;
    let (mut episodes, mut steps) = (0, 0);
    let mut differences = Vec::new();
    verify(reader, &mut |episode, difference| {
        episodes += 1;
        steps += episode.length();
        differences.extend(difference);
    })?;
    Ok(VerifyReport {
        recording: path.to_owned(),
        recorded_by: recorded_by(reader.header()),
        simulated_by: evenkeel::build().to_string(),
        episodes,
        steps,
        differences,
        faults: RecordingFaults::of(reader),
    })
}

fn text(report: &VerifyReport) -> String {
    let VerifyReport {
        recorded_by,
        simulated_by,
        episodes,
        steps,
        ..
    } = report;
    let faint = Ui::FAINT;
    let mut lines: Vec<String> = match &report.differences[..] {
        [] => {
            let good = Ui::GOOD;
            vec![format!(
                "{good}reproduced{good:#}: {}, {}, bit for bit",
                counted(*episodes, "episode"),
                counted(*steps, "step"),
            )]
        }
        differences => differences.iter().map(ToString::to_string).collect(),
    };
    lines.extend(report.faults.warnings("only what is whole was compared"));
    lines.push(format!("{faint}recorded by {recorded_by}{faint:#}"));
    lines.push(format!("{faint}simulated by {simulated_by}{faint:#}"));
    lines.join("\n")
}
