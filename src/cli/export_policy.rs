//! `evenkeel export-policy`: writes a trained policy as an ONNX file.

use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;

use super::Ui;
use super::files::{check_output, policy_files};
use super::policy::{find_policy, parse_scenario_override, warn_of_other_robot};
use evenkeel::config::Override;
use evenkeel::lab::policy_scenario;
use evenkeel::learn::{SavedPolicy, export_onnx};
use evenkeel::runs::{PolicySource, write_file};
use evenkeel::telemetry::format::counted;

/// Arguments of `evenkeel export-policy`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Write the best policy of the newest run:
    evenkeel export-policy @last --out policy.onnx
  Write the policy for a robot with another speed limit:
    evenkeel export-policy @last --set robot.0.drive.differential.max_speed_mps=0.5

The file takes raw observations and gives commands in m/s and rad/s: the observation normaliser
and the scale of the actions are part of it. Its metadata say how to build the observation.
docs/onnx.md describes it and shows how to run it.")]
pub(crate) struct Args {
    /// A run's folder, a checkpoint's folder, or `@last`
    #[arg(value_name = "POLICY")]
    policy: String,
    /// File to write to
    #[arg(long, short, value_name = "FILE.onnx", default_value = "policy.onnx")]
    out: PathBuf,
    /// Scenario whose robot the policy is for [default: the scenario that it was trained in]
    #[arg(long, value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Override one setting of that scenario, such as a limit of the robot's drive; repeatable
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_scenario_override)]
    set: Vec<Override>,
}

/// The answer.
#[derive(Serialize)]
struct Output {
    path: PathBuf,
    bytes: usize,
    parameters: usize,
    /// `metadata_props` of the file.
    metadata: serde_json::Map<String, serde_json::Value>,
}

/// Runs `evenkeel export-policy`.
///
/// # Errors
/// If the policy does not exist, is a planner or does not fit the scenario, or the file cannot be
/// written.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let source = find_policy(&args.policy)?;
    let PolicySource::Checkpoint { path, .. } = &source else {
        bail!(
            "{}: a planner is a program and no network; only trained policies can be exported",
            source.name()
        );
    };
    let scenario = policy_scenario(&source, args.scenario.as_deref(), &args.set)?;
    let inputs = [scenario.files(), &policy_files(&source)].concat();
    check_output("--out", &args.out, &inputs)?;
    warn_of_other_robot(&source, &scenario, ui)?;
    let saved = SavedPolicy::load(path)?;
    let exported = export_onnx(&saved, &scenario, &source.name())?;
    write_file(&args.out, &exported.bytes)?;
    let metadata = exported.metadata.into_iter();
    let answer = Output {
        path: args.out,
        bytes: exported.bytes.len(),
        parameters: saved.parameters.len(),
        metadata: metadata.map(|(key, value)| (key, value.into())).collect(),
    };
    ui.answer(&answer, |answer| {
        let (strong, path) = (Ui::STRONG, answer.path.display());
        format!(
            "{strong}{path}{strong:#}: {} of {} at step {}",
            counted(answer.bytes as u64, "byte"),
            source.name(),
            saved.header.global_step,
        )
    })?;
    Ok(())
}
