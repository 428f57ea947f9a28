//! The episodes behind an optimiser step: what the environments lived whose transitions carried
//! most of its gradient, and which transitions those were.

use std::sync::Arc;

use super::{AutopsyError, MAX_TRANSITIONS, experiment, find};
use evenkeel_learn::learn::{Incident, LearnError, LearnerPool, gradient_breakdown};
use evenkeel_learn::nn::entries;
use evenkeel_runs::recording::Trajectory;
use evenkeel_sim::env::{PolicyPrediction, VecEnv};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::Split;

/// What is behind an optimiser step.
#[derive(Clone, Debug)]
pub struct GradientSources {
    /// The step.
    pub optimiser_step: u64,
    /// What it was in.
    pub scenario: Arc<Scenario>,
    /// What environments lived in the rollout, that of the largest share first.
    pub trajectories: Vec<Trajectory>,
    /// The transitions that carried most of the gradient, of those environments; the largest first.
    pub transitions: Vec<SourceTransition>,
}

/// A transition that carried some of a gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceTransition {
    /// Which of [`GradientSources::lived`] it is of.
    pub trajectory: usize,
    /// Which robot's it is.
    pub robot: usize,
    /// The step of the rollout, from 0.
    pub rollout_step: usize,
    /// Its share in the gradient; NaN where that is not finite.
    pub share: f64,
    /// Its advantage, as the loss reads it.
    pub advantage: f64,
}

/// Finds what is behind a step of an incident, the last without a number.
///
/// # Errors
/// If there is no such step, or its rollout cannot be simulated again.
pub fn gradient_sources(
    incident: &Incident,
    number: Option<u64>,
    threads: usize,
) -> Result<GradientSources, AutopsyError> {
    let step = find(incident, number)?;
    let experiment = experiment(incident)?;
    incident.check(&experiment)?;
    let config = &incident.state.config;
    let envs = config.train.num_envs as usize;
    let (scenario, seed) = (&experiment.scenario, experiment.seed);
    let mut vector = VecEnv::new(scenario, seed, Split::Train, envs, threads)?;
    incident.replay(step, &mut vector)?;
    let torch_threads = config.train.torch_threads as usize;
    let workers = LearnerPool::new(threads, torch_threads).map_err(LearnError::from)?;
    let carried = gradient_breakdown(&incident.policy(), &workers, &step.input, MAX_TRANSITIONS);

    let row_layout = step.input.row_layout;
    let rows = entries(&step.input.rows.contiguous().reshape([-1]));
    let rows: Vec<&[f32]> = rows.chunks_exact(row_layout.width()).collect();
    let returns = incident.returns(step);
    let actions = incident.actions(step);
    let mut gradient_sources = GradientSources {
        optimiser_step: step.input.optimiser_step,
        scenario: Arc::clone(scenario),
        trajectories: Vec::new(),
        transitions: Vec::new(),
    };
    let robots = scenario.spec.robot_count();
    for one in &carried.top {
        let (rollout_step, row) = (one.row / envs, one.row % envs);
        let (env, robot) = (row / robots, row % robots);
        let known = gradient_sources
            .trajectories
            .iter()
            .position(|trajectory| trajectory.env == env as u64);
        gradient_sources.transitions.push(SourceTransition {
            trajectory: known.unwrap_or(gradient_sources.trajectories.len()),
            robot,
            rollout_step,
            share: one.share.unwrap_or(f64::NAN),
            advantage: one.advantage,
        });
        if known.is_none() {
            let of_env = actions.chunks_exact(robots * row_layout.action);
            let of_env = of_env.skip(env).step_by(envs / robots);
            let values = rows.chunks_exact(robots).skip(env).step_by(envs / robots);
            let prediction = |row: &&[f32]| PolicyPrediction {
                value: returns.denormalise(row[row_layout.value()]),
                ..PolicyPrediction::default()
            };
            gradient_sources.trajectories.push(Trajectory {
                env: env as u64,
                iteration: incident.iteration(step) + 1,
                global_step: step.input.global_step - config.steps_per_iteration(),
                initial_state: incident.environments(step)[env].clone(),
                levels: incident.levels(step).cloned(),
                actions: of_env.flatten().copied().collect(),
                policy_outputs: values.flatten().map(prediction).collect(),
            });
        }
    }
    Ok(gradient_sources)
}
