//! Named reward terms of one control step, scaled as the scenario says.

use super::Outcome;
use crate::scenario::spec::{RewardShape, RewardSpec, RewardTermSpec};

/// Largest number of reward terms.
pub const MAX_REWARD_TERMS: usize = BASE_TERMS + OPTIONAL_TERMS;

/// Terms that every scenario has.
const BASE_TERMS: usize = 5;

/// Terms that a scenario has if it sets them.
const OPTIONAL_TERMS: usize = 6;

/// Names of a scenario's reward terms, in the order of
/// [`StepResult::terms`](super::StepResult::terms): the five of every scenario, then those that it
/// sets.
pub fn reward_term_names(spec: &RewardSpec) -> Vec<&'static str> {
    let mut names = vec!["progress", "goal", "collision", "time", "clearance"];
    let optional = [
        ("heading", spec.heading.is_some()),
        ("turn_rate", spec.turn_rate.is_some()),
        ("jerk", spec.jerk.is_some()),
        ("mover_distance", spec.mover_distance.is_some()),
        ("near_obstacle", spec.near_obstacle.is_some()),
        ("path_progress", spec.path_progress.is_some()),
    ];
    let set = optional.into_iter().filter(|(_, is_set)| *is_set);
    names.extend(set.map(|(name, _)| name));
    names
}

/// Whether a scenario sets a term besides those of every scenario.
pub(super) fn has_optional_terms(spec: &RewardSpec) -> bool {
    reward_term_names(spec).len() > BASE_TERMS
}

/// What the reward terms read from one control step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RewardInput {
    /// Decrease of the distance to the goal, metres.
    pub(super) progress: f32,
    /// Whether the robot touches anything after the step.
    pub(super) contact: bool,
    /// Clearance after the step, metres: see `ClearanceRewardSpec`.
    pub(super) clearance_m: f32,
    /// How the robot's part of the episode ended, if the step ended it.
    pub(super) outcome: Option<Outcome>,
}

/// What the optional terms read from one control step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct OptionalRewardInput {
    /// |Angle| between heading and direction of the goal, radians.
    pub(super) heading_rad: f32,
    /// |Angular velocity|, radians per second.
    pub(super) turn_rate_radps: f32,
    /// |Jerk| along the heading, metres per second cubed.
    pub(super) jerk_mps3: f32,
    /// Distance to the nearest mover or other robot, metres; infinite without one.
    pub(super) mover_distance_m: f32,
    /// Clearance after the step, metres: see `ClearanceRewardSpec`.
    pub(super) clearance_m: f32,
    /// Decrease in the length of the shortest path to the goal, metres.
    pub(super) path_progress_m: f32,
    /// Duration of the control step, seconds.
    pub(super) dt_secs: f32,
}

/// The scaled terms of one step, in the order of [`reward_term_names`]; the rest is 0. The reward is
/// their sum.
pub(super) fn reward_terms(spec: &RewardSpec, step: &RewardInput) -> [f32; MAX_REWARD_TERMS] {
    let when = |condition: bool, scale: f64| if condition { scale as f32 } else { 0.0 };
    let near = (1.0 - step.clearance_m / spec.clearance.margin_m as f32).max(0.0);
    let mut terms = [0.0; MAX_REWARD_TERMS];
    terms[..BASE_TERMS].copy_from_slice(&[
        spec.progress as f32 * step.progress,
        when(step.outcome == Some(Outcome::Goal), spec.goal),
        when(step.contact, spec.collision),
        spec.time as f32,
        spec.clearance.scale as f32 * near,
    ]);
    terms
}

/// Writes the terms that the scenario sets besides those of every scenario.
pub(super) fn add_optional_terms(
    terms: &mut [f32; MAX_REWARD_TERMS],
    spec: &RewardSpec,
    step: &OptionalRewardInput,
) {
    let shaped = |term: &Option<RewardTermSpec>, x: f32| term.map(|term| scaled(term, x));
    let near = spec.near_obstacle.map(|term| {
        let is_near = step.clearance_m < term.margin_m as f32;
        term.scale as f32 * if is_near { step.dt_secs } else { 0.0 }
    });
    let mover = spec.mover_distance.map(|term| {
        let distance = step.mover_distance_m;
        if distance.is_finite() {
            scaled(term, distance)
        } else {
            0.0
        }
    });
    let optional: [Option<f32>; OPTIONAL_TERMS] = [
        shaped(&spec.heading, step.heading_rad),
        shaped(&spec.turn_rate, step.turn_rate_radps),
        shaped(&spec.jerk, step.jerk_mps3),
        mover,
        near,
        shaped(&spec.path_progress, step.path_progress_m),
    ];
    let set = optional.into_iter().flatten();
    for (slot, term) in terms[BASE_TERMS..].iter_mut().zip(set) {
        *slot = term;
    }
}

/// `scale · shape(x)`.
fn scaled(term: RewardTermSpec, x: f32) -> f32 {
    let shaped = match term.shape {
        RewardShape::Linear => x,
        RewardShape::Exponential { width } => libm::expf(-x / width as f32),
        RewardShape::Clipped { min, max } => x.clamp(min as f32, max as f32),
    };
    term.scale as f32 * shaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::spec::{ClearanceRewardSpec, NearObstacleRewardSpec, ProgressMetric};

    fn assert_close(terms: &[f32], expected: &[f32]) {
        assert_eq!(terms.len(), expected.len());
        let mut pairs = terms.iter().zip(expected);
        assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-6), "{terms:?}");
    }

    #[test]
    fn each_term_is_scaled_as_the_scenario_says() {
        let spec = RewardSpec {
            progress: 2.0,
            progress_along: ProgressMetric::Line,
            goal: 10.0,
            collision: -5.0,
            time: -0.1,
            clearance: ClearanceRewardSpec {
                scale: -1.0,
                margin_m: 0.4,
            },
            ..RewardSpec::default()
        };
        let mut step = RewardInput {
            progress: 0.1,
            contact: false,
            clearance_m: 0.1,
            outcome: None,
        };
        let terms = |step: &RewardInput| reward_terms(&spec, step)[..BASE_TERMS].to_vec();
        assert_close(&terms(&step), &[0.2, 0.0, 0.0, -0.1, -0.75]);
        step.outcome = Some(Outcome::Goal);
        step.contact = true;
        step.clearance_m = 1.0;
        assert_close(&terms(&step), &[0.2, 10.0, -5.0, -0.1, 0.0]);
        assert_eq!(
            reward_terms(&spec, &step)[BASE_TERMS..],
            [0.0; OPTIONAL_TERMS]
        );
    }

    #[test]
    fn optional_terms_are_shaped_scaled_and_in_the_order_of_their_names() {
        let term = |scale, shape| Some(RewardTermSpec { scale, shape });
        let mut spec = RewardSpec {
            heading: term(-1.0, RewardShape::Clipped { min: 0.5, max: 1.0 }),
            turn_rate: term(-0.5, RewardShape::Linear),
            jerk: term(-0.1, RewardShape::Linear),
            mover_distance: term(-2.0, RewardShape::Exponential { width: 0.5 }),
            near_obstacle: Some(NearObstacleRewardSpec {
                scale: -3.0,
                margin_m: 0.25,
            }),
            path_progress: term(4.0, RewardShape::Linear),
            ..RewardSpec::default()
        };
        let step = OptionalRewardInput {
            heading_rad: 0.25,
            turn_rate_radps: 2.0,
            jerk_mps3: 5.0,
            mover_distance_m: 0.5,
            clearance_m: 0.2,
            path_progress_m: 0.1,
            dt_secs: 0.1,
        };
        let optional = |spec: &RewardSpec, step: &OptionalRewardInput| {
            let mut terms = [0.0; MAX_REWARD_TERMS];
            add_optional_terms(&mut terms, spec, step);
            terms[BASE_TERMS..reward_term_names(spec).len()].to_vec()
        };
        let near = -2.0 / std::f32::consts::E;
        assert_close(
            &optional(&spec, &step),
            &[-0.5, -1.0, -0.5, near, -0.3, 0.4],
        );
        let alone = OptionalRewardInput {
            mover_distance_m: f32::INFINITY,
            clearance_m: 0.3,
            ..step
        };
        (spec.heading, spec.jerk) = (None, None);
        assert_close(&optional(&spec, &alone), &[-1.0, 0.0, 0.0, 0.4]);
        assert_eq!(
            reward_term_names(&spec)[BASE_TERMS..],
            [
                "turn_rate",
                "mover_distance",
                "near_obstacle",
                "path_progress"
            ]
        );
        assert!(!has_optional_terms(&RewardSpec::default()));
    }
}
