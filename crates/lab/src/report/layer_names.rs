//! Readable names of layers.

use super::arm_runs::ArmRuns;
use crate::lab::RunRecord;
use evenkeel_runs::telemetry;

/// Readable names of a run's parameters, in order. A run that diverged in its first iteration has
/// not logged them; then the names come from another run with the same policy settings.
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

/// The parameter names that the run, or one with the same policy settings, has logged.
fn logged<'a>(run: &'a RunRecord, arms: &[ArmRuns<'a>]) -> Vec<&'a str> {
    let others = arms.iter().flat_map(|arm| arm.runs.iter().copied());
    let same_policy = others.filter(|other| other.config.get("policy") == run.config.get("policy"));
    std::iter::once(run)
        .chain(same_policy)
        .filter_map(|run| run.iterations.iter().find(|i| !i.layers.is_empty()))
        .map(|i| i.layers.iter().map(|layer| layer.name.as_str()).collect())
        .next()
        .unwrap_or_default()
}
