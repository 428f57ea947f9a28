//! Synthetic runs for the tests of this module, without files.

use super::arm_runs::ArmRuns;
use crate::lab::{RunRecord, by_arm};
use evenkeel_runs::runs::{RunInfo, RunStatus};
use evenkeel_runs::telemetry::{
    ClipReport, DivergedReport, DivergenceReason, HealthEvent, Severity, Symptom, SymptomLocation,
    UpdateReport,
};

/// A finished run with `steps` optimiser steps, all healthy, and two layers.
pub(super) fn run(arm: &str, seed: u64, steps: u64) -> RunRecord {
    let mut info = RunInfo::begin("reference", arm, seed, steps * 100, None);
    info.status = RunStatus::Finished;
    let step = |optimiser_step: u64| UpdateReport {
        global_step: optimiser_step * 100,
        optimiser_step,
        grad_norm: Some(1.0),
        layer_norms: vec![Some(0.5), Some(1.0)],
        ..UpdateReport::default()
    };
    RunRecord {
        name: format!("{arm}__s{seed}"),
        column: arm.to_owned(),
        info,
        config: toml::Table::new(),
        steps: (0..steps).map(step).collect(),
        iterations: Vec::new(),
        evaluations: Vec::new(),
        health: Vec::new(),
        guard: Vec::new(),
        diverged: None,
        evaluation: None,
        last_evaluation: None,
        random_evaluation: None,
        incidents: Vec::new(),
    }
}

/// Makes a run diverge at an optimiser step.
pub(super) fn diverge(run: &mut RunRecord, optimiser_step: u64) {
    run.diverged = Some(DivergedReport {
        global_step: optimiser_step * 100,
        optimiser_step,
        reason: DivergenceReason::ParameterNorm,
    });
    run.info.status = RunStatus::Diverged;
}

/// The report of a clip to `max` for a gradient of this norm.
pub(super) fn clip(norm: f64, max: f64) -> ClipReport {
    ClipReport {
        stage: "global_norm".into(),
        norm_before: Some(norm),
        norm_after: Some(norm.min(max)),
        acted: norm > max,
        bounds: true,
        threshold: Some(max),
    }
}

/// An event of a detector.
pub(super) fn health(optimiser_step: u64, symptom: Symptom, severity: Severity) -> HealthEvent {
    HealthEvent {
        global_step: optimiser_step * 100,
        optimiser_step,
        symptom,
        severity,
        location: SymptomLocation::Policy,
        value: Some(12.0),
        threshold: Some(1.5),
        advice: symptom.advice().into(),
    }
}

/// The runs, grouped by arm as in a report.
pub(super) fn arms(runs: &[RunRecord]) -> Vec<ArmRuns<'_>> {
    let all: Vec<&RunRecord> = runs.iter().collect();
    let grouped = by_arm(&all, &[]).into_iter().enumerate();
    grouped
        .map(|(index, (name, runs))| ArmRuns { index, name, runs })
        .collect()
}
