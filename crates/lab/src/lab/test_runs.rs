//! Synthetic runs for the tests of this module, without files.

use super::RunRecord;
use evenkeel_runs::eval::{CheckpointReference, EvalReport};
use evenkeel_runs::runs::{RunInfo, RunStatus};
use evenkeel_runs::stats::wilson;
use evenkeel_runs::telemetry::{EvalSummary, EvaluationReport};

/// A finished run of 1000 steps without logs and evaluation.
pub(super) fn run(scenario: &str, arm: &str, seed: u64) -> RunRecord {
    let mut info = RunInfo::begin(scenario, arm, seed, 1000, None);
    info.status = RunStatus::Finished;
    info.global_step = 1000;
    RunRecord {
        name: format!("{scenario}__{arm}__s{seed}"),
        column: arm.to_owned(),
        info,
        config: toml::Table::new(),
        steps: Vec::new(),
        iterations: Vec::new(),
        evaluations: Vec::new(),
        health: Vec::new(),
        guard: Vec::new(),
        incidents: Vec::new(),
        diverged: None,
        evaluation: None,
        last_evaluation: None,
        random_evaluation: None,
    }
}

/// A validation during training, over 100 episodes.
pub(super) fn validation(global_step: u64, success: f64) -> EvaluationReport {
    EvaluationReport {
        global_step,
        elapsed_secs: 0.0,
        summary: summary(success, 100),
        best: false,
    }
}

/// The reported evaluation of a checkpoint, over 1000 episodes.
pub(super) fn evaluated(checkpoint: &str, global_step: u64, success: f64) -> EvalReport {
    EvalReport {
        scenario: "reference".into(),
        policy: "a run".into(),
        checkpoint: Some(CheckpointReference {
            name: checkpoint.into(),
            global_step,
        }),
        deterministic: true,
        seed: 0,
        summary: summary(success, 1000),
        robustness: None,
        episodes: Vec::new(),
        traces: Vec::new(),
    }
}

fn summary(success: f64, episodes: u64) -> EvalSummary {
    EvalSummary {
        episodes,
        success: wilson((success * episodes as f64).round() as u64, episodes),
        ..EvalSummary::default()
    }
}
