//! What layers are called for people.

use super::ArmRuns;
use crate::lab::RunRecord;
use evenkeel_runs::telemetry;

/// Readable names of a run's parameters, in their order. A run that diverged before its first
/// iteration was over has not logged them: those of another with the same policy are its own.
pub(super) fn layer_names(run: &RunRecord, arms: &[ArmRuns]) -> Vec<String> {
    let all = logged(run, arms);
    all.iter()
        .map(|name| telemetry::layer_name(name, &all))
        .collect()
}

/// The readable name of one parameter of a run.
pub(super) fn layer_name(name: &str, run: &RunRecord, arms: &[ArmRuns]) -> String {
    telemetry::layer_name(name, &logged(run, arms))
}

fn logged<'a>(run: &'a RunRecord, arms: &[ArmRuns<'a>]) -> Vec<&'a str> {
    let twins = arms.iter().flat_map(|arm| arm.runs.iter().copied());
    let alike = twins.filter(|twin| twin.config.get("policy") == run.config.get("policy"));
    std::iter::once(run)
        .chain(alike)
        .filter_map(|run| run.iterations.iter().find(|i| !i.layers.is_empty()))
        .map(|i| i.layers.iter().map(|layer| layer.name.as_str()).collect())
        .next()
        .unwrap_or_default()
}
