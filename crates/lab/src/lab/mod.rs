//! Comparisons: arms, paired runs in child processes, scorecards and verdicts. This module must not
//! contain training or update code.

mod arms;
mod assessment;
#[cfg(feature = "learn")]
mod autopsy;
mod columns;
mod comparability;
#[cfg(feature = "learn")]
mod compare;
#[cfg(feature = "learn")]
mod comparison_request;
mod differences;
#[cfg(feature = "learn")]
mod final_evaluation;
#[cfg(feature = "learn")]
mod find_incident;
mod grid;
#[cfg(feature = "learn")]
mod incident_recordings;
mod instability;
#[cfg(feature = "learn")]
mod margin;
mod marked_transition;
#[cfg(feature = "learn")]
mod median_rule;
mod policy;
mod read_runs;
mod run_record;
mod run_summary;
mod scorecard;
mod scorecard_rows;
mod setting_labels;
mod sweep;
#[cfg(test)]
mod test_runs;
#[cfg(feature = "learn")]
mod train_runs;
mod verdict;

pub use arms::{
    Arm, ArmError, BUILT_IN_ARMS, arm, arms, arms_toml, component_arms, known_arms, load_arms,
    resolve_arms, with_built_in_arms,
};
pub use assessment::{Assessment, assess, by_scenario, scenarios_notice};
#[cfg(feature = "learn")]
pub use autopsy::{
    Autopsy, AutopsyError, AutopsyOptions, AutopsyTransition, Continuation, GradientSources,
    RemedyTrial, SourceTransition, autopsy, gradient_sources,
};
pub use columns::name_columns;
pub use comparability::ExcludedRun;
#[cfg(feature = "learn")]
pub use compare::compare;
#[cfg(feature = "learn")]
pub use comparison_request::{ComparisonRequest, ComparisonRequestError};
pub use differences::SettingDifference;
#[cfg(feature = "learn")]
pub use final_evaluation::{FinalEvaluation, FinalEvaluationError, evaluate_run};
#[cfg(feature = "learn")]
pub use find_incident::{FindIncidentError, find_incident};
pub use grid::{BestCells, CellScore, ExperimentGrid, GridAxis, GridCell, best_cells};
#[cfg(feature = "learn")]
pub use incident_recordings::{IncidentRecordingError, IncidentRecordings, record_incident};
pub use instability::{Collapse, Fall};
#[cfg(feature = "learn")]
pub use margin::{
    AxisError, MARGIN_FILE, Margin, MarginArm, MarginAxis, MarginAxisInfo, MarginEnd, MarginError,
    MarginListener, MarginOutcome, MarginPlan, MarginProbe, MarginReport, MarginRequest, MarginRun,
};
pub use marked_transition::MarkedTransition;
pub use policy::{PolicyError, policy_controller, policy_scenario, team_controller, team_name};
pub use read_runs::{ReadRunsError, RunRecords, read_runs};
pub use run_record::{RunRecord, SavedIncident, final_success};
pub use run_summary::RunSummary;
pub use scorecard::{
    ArmDifference, ArmScore, Divergence, GradNormQuantiles, PairedDifference, Proportion,
    RunMetric, RunScore, Scorecard, StepsToSuccess, by_arm,
};
pub use scorecard_rows::{
    BEST_SUCCESS, LAST_SUCCESS, ScorecardCell, ScorecardRow, Uncertainty, scorecard_rows,
};
pub use sweep::{Sweep, SweepPoint, SweepSeries, sweeps};
#[cfg(feature = "learn")]
pub use train_runs::{
    ChildProgress, PlannedRun, ProgressListener, RunPlan, TrainRunsError, TrainRunsOptions,
    train_runs,
};
pub use verdict::Verdict;
