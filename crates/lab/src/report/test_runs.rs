//! Runs for the tests of this room: plain numbers, no files.

use super::ArmRuns;
use crate::lab::{RunRecord, by_arm};
use evenkeel_runs::runs::{RunInfo, RunStatus};
use evenkeel_runs::telemetry::{
    ClipReport, DivergedReport, DivergenceReason, HealthEvent, Severity, Symptom, SymptomLocation,
    UpdateReport,
};

/// A run of so many optimiser steps, all of them healthy, in two layers.
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
        info,
        config: toml::Table::new(),
        steps: (0..steps).map(step).collect(),
        iterations: Vec::new(),
        evaluations: Vec::new(),
        health: Vec::new(),
        guard: Vec::new(),
        diverged: None,
        evaluation: None,
        random_evaluation: None,
        incidents: Vec::new(),
    }
}

/// Lets a run diverge at an optimiser step.
pub(super) fn diverge(run: &mut RunRecord, optimiser_step: u64) {
    run.diverged = Some(DivergedReport {
        global_step: optimiser_step * 100,
        optimiser_step,
        reason: DivergenceReason::ParameterNorm,
    });
    run.info.status = RunStatus::Diverged;
}

/// What a clip to `max` does to a gradient of this norm.
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

/// The runs as a report groups them.
pub(super) fn arms(runs: &[RunRecord]) -> Vec<ArmRuns<'_>> {
    let all: Vec<&RunRecord> = runs.iter().collect();
    let grouped = by_arm(&all, &[]).into_iter().enumerate();
    grouped
        .map(|(index, (name, runs))| ArmRuns { index, name, runs })
        .collect()
}
