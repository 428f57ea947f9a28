//! `--verify`: whether this build comes to what was recorded.

use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;

use super::target::ReplayTarget;
use super::{Ui, answer, cut_off, recorded_by, warning};
use evenkeel::recording::{RecordingReader, ReplayMismatch, verify};
use evenkeel::telemetry::format::plural;

/// The answer.
#[derive(Serialize)]
struct VerifyReport {
    recording: PathBuf,
    recorded_by: String,
    simulated_by: String,
    episodes: usize,
    steps: usize,
    differences: Vec<ReplayMismatch>,
    cut_off: Option<String>,
}

/// Plays what was found again, and compares.
///
/// # Errors
/// If something cannot be read, or comes out otherwise.
pub(super) fn verify_all(target: &ReplayTarget, ui: &Ui) -> anyhow::Result<()> {
    let verdicts = target.recordings.iter().map(|path| verify_recording(path));
    let verdicts = verdicts.collect::<anyhow::Result<Vec<VerifyReport>>>()?;
    let episodes: usize = verdicts.iter().map(|verdict| verdict.episodes).sum();
    let differ = verdicts.iter().map(|verdict| verdict.differences.len());
    answer(ui, target, &verdicts, || {
        let texts = verdicts.iter().map(|verdict| {
            let name = if target.is_one_file {
                String::new()
            } else {
                format!("{}\n", verdict.recording.display())
            };
            name + &text(verdict)
        });
        texts.collect::<Vec<String>>().join("\n\n")
    })?;
    match differ.sum() {
        0_usize => Ok(()),
        count => bail!("{count} of {episodes} episodes are not as they were recorded"),
    }
}

/// Plays a recording again.
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
        cut_off: cut_off(reader),
    })
}

fn text(verdict: &VerifyReport) -> String {
    let VerifyReport {
        recorded_by,
        simulated_by,
        episodes,
        steps,
        ..
    } = verdict;
    let faint = Ui::FAINT;
    let mut lines: Vec<String> = match &verdict.differences[..] {
        [] => {
            let good = Ui::GOOD;
            vec![format!(
                "{good}the same{good:#}: {episodes} episode{}, {steps} steps, bit for bit",
                plural(*episodes)
            )]
        }
        differences => differences.iter().map(ToString::to_string).collect(),
    };
    lines.extend(verdict.cut_off.as_ref().map(|reason| warning(reason)));
    lines.push(format!("{faint}recorded by {recorded_by}{faint:#}"));
    lines.push(format!("{faint}simulated by {simulated_by}{faint:#}"));
    lines.join("\n")
}
