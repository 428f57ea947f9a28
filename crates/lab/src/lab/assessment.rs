//! Assessments of runs, separately for each scenario. Scenarios are never averaged: that would hide
//! an arm that does well in one and badly in another.

use serde::Serialize;

use super::{RunRecord, Scorecard, Verdict};

/// The assessment of the runs of one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Assessment {
    /// The scenario's name.
    pub scenario: String,
    /// The result in words.
    pub verdict: Verdict,
    /// The result in numbers.
    pub scorecard: Scorecard,
}

impl Assessment {
    /// Assesses the runs of one scenario. Arms are in the order of `order`, then in the order in
    /// which they first appear.
    pub fn new(scenario: &str, runs: &[&RunRecord], order: &[String]) -> Self {
        let scorecard = Scorecard::new(runs, order);
        Self {
            scenario: scenario.into(),
            verdict: Verdict::new(&scorecard),
            scorecard,
        }
    }
}

/// Assesses the runs of each scenario, in the order in which scenarios first appear. Arms are
/// ordered as in [`Assessment::new`].
pub fn assess(runs: &[RunRecord], order: &[String]) -> Vec<Assessment> {
    by_scenario(runs)
        .iter()
        .map(|(scenario, runs)| Assessment::new(scenario, runs, order))
        .collect()
}

/// What must be known first about runs of several scenarios: they are not compared with each other.
pub fn scenarios_notice(assessments: &[Assessment]) -> Option<String> {
    if assessments.len() < 2 {
        return None;
    }
    let names: Vec<&str> = assessments
        .iter()
        .map(|one| one.scenario.as_str())
        .collect();
    let names = names.join(", ");
    let compares = assessments.iter().any(|one| one.scorecard.arms.len() > 1);
    let outcome = if compares {
        "each has its own part"
    } else {
        "no two of them are of one scenario and differ in settings, so nothing is compared"
    };
    Some(format!(
        "These runs are of {} scenarios ({names}). Runs of different scenarios are never compared with \
         each other: {outcome}.",
        assessments.len()
    ))
}

/// Runs grouped by scenario, in the order in which scenarios first appear.
pub fn by_scenario(runs: &[RunRecord]) -> Vec<(&str, Vec<&RunRecord>)> {
    let mut scenarios: Vec<(&str, Vec<&RunRecord>)> = Vec::new();
    for run in runs {
        let name = run.info.scenario.as_str();
        match scenarios.iter_mut().find(|(scenario, _)| *scenario == name) {
            Some((_, group)) => group.push(run),
            None => scenarios.push((name, vec![run])),
        }
    }
    scenarios
}
