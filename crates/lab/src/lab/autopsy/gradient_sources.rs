//! The sources of an optimiser step's gradient: the transitions that contributed most, and the
//! trajectories of their environments.

use std::sync::Arc;

use super::{AutopsyError, MAX_TRANSITIONS, definition, find};
use evenkeel_learn::learn::{Incident, LearnError, LearnerPool, gradient_breakdown};
use evenkeel_sim::env::{Trajectory, VecEnv};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::Split;

/// The sources of an optimiser step's gradient.
#[derive(Clone, Debug)]
pub struct GradientSources {
    /// Number of the step.
    pub optimiser_step: u64,
    /// Scenario of the run.
    pub scenario: Arc<Scenario>,
    /// Trajectories of the transitions' environments in the rollout; that of the largest contribution
    /// first.
    pub trajectories: Vec<Trajectory>,
    /// The transitions that contributed most to the gradient, the largest first.
    pub transitions: Vec<SourceTransition>,
}

/// A transition that contributed to a gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceTransition {
    /// Index into [`GradientSources::trajectories`].
    pub trajectory: usize,
    /// Index of the robot.
    pub robot: usize,
    /// Its step in the rollout, from 0.
    pub rollout_step: usize,
    /// Its share of the gradient; NaN if that is not finite.
    pub share: f64,
    /// Its advantage in the loss.
    pub advantage: f64,
}

/// Finds the sources of the gradient of a step; without a number, of the last step.
///
/// # Errors
/// If the incident does not have the step, or its rollout cannot be reproduced.
pub fn gradient_sources(
    incident: &Incident,
    number: Option<u64>,
    threads: usize,
) -> Result<GradientSources, AutopsyError> {
    let step = find(incident, number)?;
    let definition = definition(incident)?;
    definition.check_incident(incident)?;
    let config = &incident.state.config;
    let envs = config.train.num_envs as usize;
    let (scenario, seed) = (&definition.scenario, definition.seed);
    let mut vector = VecEnv::new(scenario, seed, Split::Train, envs, threads)?;
    incident.replay(step, &mut vector)?;
    let torch_threads = config.train.torch_threads as usize;
    let workers = LearnerPool::new(threads, torch_threads).map_err(LearnError::from)?;
    let breakdown = gradient_breakdown(&incident.policy(), &workers, &step.input, MAX_TRANSITIONS);

    let mut gradient_sources = GradientSources {
        optimiser_step: step.input.optimiser_step,
        scenario: Arc::clone(scenario),
        trajectories: Vec::new(),
        transitions: Vec::new(),
    };
    let robots = scenario.spec.robot_count();
    for contribution in &breakdown.top {
        let (rollout_step, row) = (contribution.row / envs, contribution.row % envs);
        let (env, robot) = (row / robots, row % robots);
        let known = gradient_sources
            .trajectories
            .iter()
            .position(|trajectory| trajectory.env == env as u64);
        gradient_sources.transitions.push(SourceTransition {
            trajectory: known.unwrap_or(gradient_sources.trajectories.len()),
            robot,
            rollout_step,
            share: contribution.share.unwrap_or(f64::NAN),
            advantage: contribution.advantage,
        });
        if known.is_none() {
            let trajectory = incident.trajectory(step, env);
            gradient_sources.trajectories.push(trajectory);
        }
    }
    Ok(gradient_sources)
}
